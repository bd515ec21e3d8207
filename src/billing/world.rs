//! What a batch of billing events needs to know and changes: loaded with a few queries under the locks of all accounts
//! concerned, changed in memory event by event, and written at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::prelude::*;

use super::event::{Element, EventData};
use super::models::{BillingEventRow, PaymentRow, RefundRow};
use crate::accounts::{self, AccountRow};
use crate::clock::Timestamp;
use crate::commissions::{CommissionRow, LineId};
use crate::containers::{ContainerRow, OwnershipRow};
use crate::context::Context;
use crate::db::schema::{
    billing_events, commissions, container_owners, containers, payments, refunds, sub_account_links,
};
use crate::db::{Conn, with_conn};
use crate::error::{Error, Result};
use crate::events::{self, NewEvent};
use crate::id::{AccountId, ContainerId};
use crate::ledger::Journal;
use crate::partners::portfolio::Portfolio;
use crate::program::{self, service::ProgramHistory};
use crate::sub_accounts::LinkRow;

/// Rows of one insert statement: below the engines' limits on bound values, 36 columns each.
const ROWS_PER_INSERT: usize = 500;

/// How often loading starts again because an account came in between.
const LOCK_ATTEMPTS: usize = 4;

/// A row in memory, and whether the database has it and it changed.
#[derive(Debug)]
pub struct Tracked<T> {
    /// The row.
    pub row: T,
    is_new: bool,
    changed: bool,
}

impl<T> Tracked<T> {
    /// A row that the database has.
    pub const fn stored(row: T) -> Self {
        Self { row, is_new: false, changed: false }
    }

    /// A row that is to be inserted.
    pub const fn new(row: T) -> Self {
        Self { row, is_new: true, changed: false }
    }

    /// The row, to be changed.
    pub const fn change(&mut self) -> &mut T {
        self.changed = true;
        &mut self.row
    }
}

/// Everything that a batch reads and changes.
#[derive(Debug)]
pub struct World {
    /// Every version of the program.
    pub programs: ProgramHistory,
    /// The accounts concerned, locked.
    pub accounts: HashMap<AccountId, AccountRow>,
    /// The containers that the events name.
    pub containers: HashMap<ContainerId, Tracked<ContainerRow>>,
    owners: HashMap<ContainerId, Vec<OwnershipRow>>,
    links: HashMap<AccountId, Vec<LinkRow>>,
    /// The portfolios of all managers concerned.
    pub portfolios: HashMap<AccountId, Portfolio>,
    /// The payments that the events name, by the billing system's id.
    pub payments: HashMap<String, Tracked<PaymentRow>>,
    /// Their commissions.
    pub commissions: HashMap<LineId, Tracked<CommissionRow>>,
    refund_ids: HashSet<String>,
    /// Refunds to insert.
    pub new_refunds: Vec<RefundRow>,
    /// Adjustments to insert.
    pub new_adjustments: Vec<CommissionRow>,
    /// Money to move.
    pub journal: Journal,
    /// Events for the feeds.
    pub new_events: Vec<NewEvent>,
    /// The events that were applied before, by id.
    pub known_events: HashMap<String, BillingEventRow>,
    /// Applied events to insert.
    pub applied: Vec<BillingEventRow>,
}

/// What a batch names.
#[derive(Debug, Default)]
struct Named {
    event_ids: BTreeSet<String>,
    containers: BTreeSet<ContainerId>,
    payments: BTreeSet<String>,
    refunds: BTreeSet<String>,
}

impl Named {
    fn of(elements: &[Element]) -> Self {
        let mut named = Self::default();
        for element in elements {
            named.event_ids.extend(element.id.clone());
            let Ok((_, data)) = &element.content else { continue };
            match data {
                EventData::Payment(payment) => {
                    named.payments.insert(payment.payment_id.clone());
                    named.containers.extend(payment.container_id.parse::<ContainerId>());
                }
                EventData::Refund(refund) => {
                    named.refunds.insert(refund.refund_id.clone());
                    named.payments.insert(refund.payment_id.clone());
                }
                EventData::Subscription(subscription) => {
                    named.containers.extend(subscription.container_id.parse::<ContainerId>());
                }
            }
        }
        named
    }
}

impl World {
    /// Locks the accounts that `elements` concern and loads what they name.
    ///
    /// # Errors
    /// The database's own failure; 503 where owners and managers change faster than they can be locked.
    pub fn load(conn: &mut Conn, elements: &[Element]) -> Result<Self> {
        let named = Named::of(elements);
        let mut locked: BTreeMap<AccountId, AccountRow> = BTreeMap::new();
        let mut concerned = concerned_accounts(conn, &named)?;
        for _attempt in 0..LOCK_ATTEMPTS {
            let ids: Vec<AccountId> = concerned.iter().copied().collect();
            locked.extend(accounts::lock(conn, &ids)?.into_iter().map(|row| (row.id, row)));
            let now_concerned = concerned_accounts(conn, &named)?;
            if now_concerned.is_subset(&concerned) {
                return Self::load_locked(conn, &named, locked);
            }
            concerned.extend(now_concerned);
        }
        Err(Error::Unavailable("the accounts of a billing batch keep changing".to_owned()))
    }

    fn load_locked(conn: &mut Conn, named: &Named, locked: BTreeMap<AccountId, AccountRow>) -> Result<Self> {
        let container_rows: Vec<ContainerRow> = containers::table
            .filter(containers::id.eq_any(&named.containers))
            .select(ContainerRow::as_select())
            .load(conn)?;
        let payment_rows: Vec<PaymentRow> = payments::table
            .filter(payments::external_id.eq_any(&named.payments))
            .select(PaymentRow::as_select())
            .load(conn)?;
        let commission_ids: Vec<LineId> = payment_rows.iter().filter_map(|row| row.commission_id).collect();
        let commission_rows: Vec<CommissionRow> = if commission_ids.is_empty() {
            Vec::new()
        } else {
            commissions::table
                .filter(commissions::id.eq_any(commission_ids))
                .select(CommissionRow::as_select())
                .load(conn)?
        };
        let refund_ids: Vec<String> = if named.refunds.is_empty() {
            Vec::new()
        } else {
            refunds::table
                .filter(refunds::external_id.eq_any(&named.refunds))
                .select(refunds::external_id)
                .load(conn)?
        };
        let known_events: Vec<BillingEventRow> = billing_events::table
            .filter(billing_events::id.eq_any(&named.event_ids))
            .select(BillingEventRow::as_select())
            .load(conn)?;
        let managers: Vec<AccountRow> = locked.values().filter(|row| is_manager(row)).cloned().collect();
        let manager_ids: Vec<AccountId> = managers.iter().map(|row| row.id).collect();
        let clients: Vec<AccountId> = locked.keys().copied().filter(|id| !manager_ids.contains(id)).collect();
        Ok(Self {
            programs: program::service::history(conn)?,
            owners: owners_of(conn, named)?,
            links: links_of(conn, &clients)?,
            portfolios: Portfolio::load(conn, &managers)?,
            journal: Journal::open(conn, &manager_ids)?,
            accounts: locked.into_iter().collect(),
            containers: container_rows.into_iter().map(|row| (row.id, Tracked::stored(row))).collect(),
            payments: payment_rows.into_iter().map(|row| (row.external_id.clone(), Tracked::stored(row))).collect(),
            commissions: commission_rows.into_iter().map(|row| (row.id, Tracked::stored(row))).collect(),
            refund_ids: refund_ids.into_iter().collect(),
            known_events: known_events.into_iter().map(|row| (row.id.clone(), row)).collect(),
            new_refunds: Vec::new(),
            new_adjustments: Vec::new(),
            new_events: Vec::new(),
            applied: Vec::new(),
        })
    }

    /// Who owned the container at `time`; before its first owner, the first owner.
    #[must_use]
    pub fn owner_at(&self, container_id: ContainerId, time: Timestamp) -> Option<AccountId> {
        let owners = self.owners.get(&container_id)?;
        let at_time = owners.iter().rev().find(|row| row.owned_from <= time);
        at_time.or(owners.first()).map(|row| row.account_id)
    }

    /// Under which link the client was managed at `time`.
    #[must_use]
    pub fn link_at(&self, client_id: AccountId, time: Timestamp) -> Option<&LinkRow> {
        self.links.get(&client_id)?.iter().rev().find(|link| link.holds_at(time))
    }

    /// The client's present link.
    #[must_use]
    pub fn present_link(&self, client_id: AccountId) -> Option<&LinkRow> {
        self.links.get(&client_id)?.iter().rev().find(|link| link.detached_at.is_none())
    }

    /// Takes a refund's id; false where it was taken before.
    pub fn take_refund_id(&mut self, refund_id: &str) -> bool {
        self.refund_ids.insert(refund_id.to_owned())
    }

    /// Whether a refund has this id.
    #[must_use]
    pub fn has_refund(&self, refund_id: &str) -> bool {
        self.refund_ids.contains(refund_id)
    }

    /// Writes all changes.
    ///
    /// # Errors
    /// The database's own failure; a unique violation where another server applied the same ids meanwhile.
    pub fn write(self, conn: &mut Conn, context: &Context) -> Result<()> {
        insert_all(
            conn,
            &self.applied,
            |conn, rows| with_conn!(conn, c => diesel::insert_into(billing_events::table).values(rows).execute(c)),
        )?;
        let (new_payments, changed_payments) = split(self.payments.into_values());
        insert_all(
            conn,
            &new_payments,
            |conn, rows| with_conn!(conn, c => diesel::insert_into(payments::table).values(rows).execute(c)),
        )?;
        for row in changed_payments {
            diesel::update(payments::table.find(row.id))
                .set(payments::refunded_minor.eq(row.refunded_minor))
                .execute(conn)?;
        }
        insert_all(
            conn,
            &self.new_refunds,
            |conn, rows| with_conn!(conn, c => diesel::insert_into(refunds::table).values(rows).execute(c)),
        )?;
        let (mut new_commissions, changed_commissions) = split(self.commissions.into_values());
        new_commissions.sort_by_key(|row| row.id);
        new_commissions.extend(self.new_adjustments);
        insert_all(
            conn,
            &new_commissions,
            |conn, rows| with_conn!(conn, c => diesel::insert_into(commissions::table).values(rows).execute(c)),
        )?;
        for row in changed_commissions {
            diesel::update(commissions::table.find((row.account_id, row.id)))
                .set((
                    commissions::status.eq(row.status),
                    commissions::reversed_minor.eq(row.reversed_minor),
                    commissions::refund_adjusted_minor.eq(row.refund_adjusted_minor),
                ))
                .execute(conn)?;
        }
        let (_, changed_containers) = split(self.containers.into_values());
        for row in changed_containers {
            diesel::update(containers::table.find(row.id)).set(&row).execute(conn)?;
        }
        self.journal.write(conn)?;
        let program = self.programs.newest()?;
        let mut portfolios: Vec<_> = self.portfolios.into_iter().collect();
        portfolios.sort_by_key(|(id, _)| *id);
        for (_, portfolio) in portfolios {
            portfolio.write(conn, context, &program.config)?;
        }
        events::record_many(conn, context.now, &self.new_events)
    }
}

/// Every owner of the containers and payments named, and every manager that these owners ever had.
fn concerned_accounts(conn: &mut Conn, named: &Named) -> Result<BTreeSet<AccountId>> {
    let mut clients: BTreeSet<AccountId> = container_owners::table
        .filter(container_owners::container_id.eq_any(&named.containers))
        .select(container_owners::account_id)
        .load::<AccountId>(conn)?
        .into_iter()
        .collect();
    let of_payments: Vec<(AccountId, Option<AccountId>)> = payments::table
        .filter(payments::external_id.eq_any(&named.payments))
        .select((payments::account_id, payments::manager_id))
        .load(conn)?;
    clients.extend(of_payments.iter().map(|(client_id, _)| *client_id));
    let managers: Vec<AccountId> = sub_account_links::table
        .filter(sub_account_links::client_id.eq_any(&clients))
        .select(sub_account_links::account_id)
        .distinct()
        .load(conn)?;
    clients.extend(managers);
    clients.extend(of_payments.into_iter().filter_map(|(_, manager_id)| manager_id));
    Ok(clients)
}

fn owners_of(conn: &mut Conn, named: &Named) -> Result<HashMap<ContainerId, Vec<OwnershipRow>>> {
    let rows: Vec<OwnershipRow> = container_owners::table
        .filter(container_owners::container_id.eq_any(&named.containers))
        .order((container_owners::container_id, container_owners::id))
        .select(OwnershipRow::as_select())
        .load(conn)?;
    let mut owners: HashMap<ContainerId, Vec<OwnershipRow>> = HashMap::new();
    for row in rows {
        owners.entry(row.container_id).or_default().push(row);
    }
    Ok(owners)
}

fn links_of(conn: &mut Conn, clients: &[AccountId]) -> Result<HashMap<AccountId, Vec<LinkRow>>> {
    let rows: Vec<LinkRow> = sub_account_links::table
        .filter(sub_account_links::client_id.eq_any(clients))
        .order((sub_account_links::client_id, sub_account_links::id))
        .select(LinkRow::as_select())
        .load(conn)?;
    let mut links: HashMap<AccountId, Vec<LinkRow>> = HashMap::new();
    for row in rows {
        links.entry(row.client_id).or_default().push(row);
    }
    Ok(links)
}

fn is_manager(account: &AccountRow) -> bool {
    crate::containers::service::is_manager(account.kind)
}

fn split<T>(rows: impl Iterator<Item = Tracked<T>>) -> (Vec<T>, Vec<T>) {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for tracked in rows {
        if tracked.is_new {
            new.push(tracked.row);
        } else if tracked.changed {
            changed.push(tracked.row);
        }
    }
    (new, changed)
}

fn insert_all<T>(conn: &mut Conn, rows: &[T], insert: impl Fn(&mut Conn, &[T]) -> QueryResult<usize>) -> Result<()> {
    for chunk in rows.chunks(ROWS_PER_INSERT) {
        insert(conn, chunk)?;
    }
    Ok(())
}
