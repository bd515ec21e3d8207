//! Finds out whom and what a batch concerns, locks the accounts, and loads the rest under their locks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::World;
use crate::accounts::{self, AccountRow};
use crate::batch::Tracked;
use crate::billing::event::{Element, EventData};
use crate::billing::models::{BillingEventRow, PaymentRow};
use crate::clock::{Clock, Timestamp};
use crate::commissions::{CommissionRow, LineId};
use crate::containers::{ContainerRow, OwnershipRow};
use crate::context::Context;
use crate::db::schema::{
    billing_events, commissions, container_owners, containers, operator_requests, payments, refunds, sub_account_links,
};
use crate::db::{Conn, KeepPrepared, few_sizes, with_conn};
use crate::error::Result;
use crate::id::{AccountId, ContainerId, OperatorRequestId};
use crate::ledger::Journal;
use crate::operator_requests::{OperatorRequestRow, OperatorRequestStatus};
use crate::partners::portfolio::Portfolio;
use crate::program;
use crate::referrals::attribution;
use crate::sub_accounts::LinkRow;

/// What a batch names.
#[derive(Debug, Default)]
struct Named {
    /// When the oldest of its events occurred.
    oldest: Option<Timestamp>,
    event_ids: BTreeSet<String>,
    containers: BTreeSet<ContainerId>,
    payments: BTreeSet<String>,
    refunds: BTreeSet<String>,
    requests: BTreeSet<OperatorRequestId>,
}

impl Named {
    fn of<'a>(elements: impl IntoIterator<Item = &'a Element>) -> Self {
        let mut named = Self::default();
        for element in elements {
            named.event_ids.extend(element.id.clone());
            let Ok((occurred_at, data)) = &element.content else { continue };
            named.oldest = named.oldest.into_iter().chain([*occurred_at]).min();
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
                    let request_id = subscription.request_id.as_deref();
                    named.requests.extend(request_id.and_then(|id| id.parse::<OperatorRequestId>().ok()));
                }
            }
        }
        named
    }
}

/// What tells which accounts a batch concerns.
#[derive(Debug)]
struct Concerned {
    /// The owners that the containers named ever had.
    owners: HashMap<ContainerId, Vec<OwnershipRow>>,
    payments: Vec<PaymentRow>,
    requests: HashMap<OperatorRequestId, OperatorRequestRow>,
    /// The managers that all these clients ever had.
    links: HashMap<AccountId, Vec<LinkRow>>,
}

impl Concerned {
    fn load(conn: &mut Conn, named: &Named) -> Result<Self> {
        let owners = owners_of(conn, named)?;
        let payments: Vec<PaymentRow> = with_conn!(conn, c => payments::table
            .filter(payments::external_id.eq_any(few_sizes(&named.payments)))
            .select(PaymentRow::as_select())
            .kept()
            .load(c))?;
        let mut concerned = Self { owners, payments, requests: requests_of(conn, named)?, links: HashMap::new() };
        concerned.links = links_of(conn, &concerned.clients())?;
        Ok(concerned)
    }

    fn clients(&self) -> BTreeSet<AccountId> {
        let owners = self.owners.values().flatten().map(|row| row.account_id);
        let of_payments = self.payments.iter().map(|row| row.account_id);
        owners.chain(of_payments).chain(self.requests.values().map(|row| row.account_id)).collect()
    }

    fn accounts(&self) -> BTreeSet<AccountId> {
        let managers = self.links.values().flatten().map(|link| link.account_id);
        let mut accounts = self.clients();
        accounts.extend(managers.chain(self.payments.iter().filter_map(|row| row.manager_id)));
        accounts
    }
}

impl World {
    /// Locks the accounts that `elements` concern and loads what they name; tells the time at which they are locked, too.
    ///
    /// # Errors
    /// The database's own failure; 503 where owners and managers change faster than they can be locked.
    pub fn load<'a>(
        conn: &mut Conn,
        clock: &Clock,
        elements: impl IntoIterator<Item = &'a Element>,
    ) -> Result<(Timestamp, Self)> {
        let named = Named::of(elements);
        let server = Context::of_server(clock);
        let (context, locked, concerned) =
            accounts::lock_around(conn, &server, |conn| Concerned::load(conn, &named), Concerned::accounts)?;
        Ok((context.now, Self::load_locked(conn, &named, concerned, locked)?))
    }

    fn load_locked(
        conn: &mut Conn,
        named: &Named,
        concerned: Concerned,
        locked: BTreeMap<AccountId, AccountRow>,
    ) -> Result<Self> {
        let Concerned { owners, payments, links, requests } = concerned;
        let container_rows = containers_of(conn, named, &requests)?;
        let commission_rows = commissions_of(conn, &payments)?;
        let refund_ids: Vec<String> = if named.refunds.is_empty() {
            Vec::new()
        } else {
            refunds::table
                .filter(refunds::external_id.eq_any(&named.refunds))
                .select(refunds::external_id)
                .load(conn)?
        };
        let known_events: Vec<BillingEventRow> = with_conn!(conn, c => billing_events::table
            .filter(billing_events::id.eq_any(few_sizes(&named.event_ids)))
            .select(BillingEventRow::as_select())
            .kept()
            .load(c))?;
        let managers: Vec<AccountRow> = locked.values().filter(|row| row.kind.is_manager()).cloned().collect();
        let manager_ids: Vec<AccountId> = managers.iter().map(|row| row.id).collect();
        let clients = locked.values().filter(|row| !row.kind.is_manager());
        let clients: Vec<AccountId> = clients.map(|row| row.id).collect();
        let unpaid_referrals = match named.oldest {
            Some(oldest) => attribution::unpaid_by(conn, &clients, oldest)?,
            None => HashMap::new(),
        };
        Ok(Self {
            programs: program::service::history(conn, named.oldest)?,
            owners,
            links,
            portfolios: Portfolio::load(conn, &managers)?,
            journal: Journal::open(conn, &manager_ids)?,
            accounts: locked.into_iter().collect(),
            containers: container_rows.into_iter().map(|row| (row.id, Tracked::stored(row))).collect(),
            payments: payments.into_iter().map(|row| (row.external_id.clone(), Tracked::stored(row))).collect(),
            commissions: commission_rows.into_iter().map(|row| (row.id, Tracked::stored(row))).collect(),
            refund_ids: refund_ids.into_iter().collect(),
            requests,
            carried_out: Vec::new(),
            switched_links: Vec::new(),
            last_payments: BTreeMap::new(),
            unpaid_referrals,
            first_payments: BTreeMap::new(),
            known_events: known_events.into_iter().map(|row| (row.id.clone(), row)).collect(),
            alerted: BTreeSet::new(),
            new_refunds: Vec::new(),
            new_adjustments: Vec::new(),
            new_events: Vec::new(),
            applied: Vec::new(),
        })
    }
}

fn requests_of(conn: &mut Conn, named: &Named) -> Result<HashMap<OperatorRequestId, OperatorRequestRow>> {
    if named.requests.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<OperatorRequestRow> = operator_requests::table
        .filter(operator_requests::id.eq_any(&named.requests))
        .select(OperatorRequestRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The containers named, and all those of clients whose payer may change.
fn containers_of(
    conn: &mut Conn,
    named: &Named,
    requests: &HashMap<OperatorRequestId, OperatorRequestRow>,
) -> Result<Vec<ContainerRow>> {
    let switching: BTreeSet<AccountId> = requests
        .values()
        .filter(|row| row.container_id.is_none() && row.status == OperatorRequestStatus::Open)
        .map(|row| row.account_id)
        .collect();
    let mut rows: Vec<ContainerRow> = with_conn!(conn, c => containers::table
        .filter(containers::id.eq_any(few_sizes(&named.containers)))
        .select(ContainerRow::as_select())
        .kept()
        .load(c))?;
    if !switching.is_empty() {
        let others: Vec<ContainerRow> = containers::table
            .filter(containers::account_id.eq_any(&switching))
            .filter(containers::deleted_at.is_null())
            .select(ContainerRow::as_select())
            .load(conn)?;
        rows.extend(others.into_iter().filter(|row| !named.containers.contains(&row.id)));
    }
    Ok(rows)
}

fn commissions_of(conn: &mut Conn, payments: &[PaymentRow]) -> Result<Vec<CommissionRow>> {
    let mut ids: BTreeMap<AccountId, Vec<LineId>> = BTreeMap::new();
    for (manager_id, id) in payments.iter().filter_map(|row| row.manager_id.zip(row.commission_id)) {
        ids.entry(manager_id).or_default().push(id);
    }
    let mut rows = Vec::new();
    for (manager_id, ids) in ids {
        let of_manager: Vec<CommissionRow> = with_conn!(conn, c => commissions::table
            .filter(commissions::account_id.eq(manager_id))
            .filter(commissions::id.eq_any(few_sizes(&ids)))
            .select(CommissionRow::as_select())
            .kept()
            .load(c))?;
        rows.extend(of_manager);
    }
    Ok(rows)
}

fn owners_of(conn: &mut Conn, named: &Named) -> Result<HashMap<ContainerId, Vec<OwnershipRow>>> {
    let rows: Vec<OwnershipRow> = with_conn!(conn, c => container_owners::table
        .filter(container_owners::container_id.eq_any(few_sizes(&named.containers)))
        .order((container_owners::container_id, container_owners::id))
        .select(OwnershipRow::as_select())
        .kept()
        .load(c))?;
    let mut owners: HashMap<ContainerId, Vec<OwnershipRow>> = HashMap::new();
    for row in rows {
        owners.entry(row.container_id).or_default().push(row);
    }
    Ok(owners)
}

fn links_of(conn: &mut Conn, clients: &BTreeSet<AccountId>) -> Result<HashMap<AccountId, Vec<LinkRow>>> {
    let rows: Vec<LinkRow> = with_conn!(conn, c => sub_account_links::table
        .filter(sub_account_links::client_id.eq_any(few_sizes(clients)))
        .order((sub_account_links::client_id, sub_account_links::id))
        .select(LinkRow::as_select())
        .kept()
        .load(c))?;
    let mut links: HashMap<AccountId, Vec<LinkRow>> = HashMap::new();
    for row in rows {
        links.entry(row.client_id).or_default().push(row);
    }
    Ok(links)
}
