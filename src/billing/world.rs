//! What a batch of billing events needs to know and changes: loaded with a few queries under the locks of all accounts
//! concerned, changed in memory event by event, and written at once.

mod load;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::models::{BillingEventRow, PaymentRow, RefundRow};
use crate::accounts::AccountRow;
use crate::batch::Tracked;
use crate::clock::Timestamp;
use crate::commissions::{CommissionRow, LineId};
use crate::containers::{ContainerRow, OwnershipRow, slots};
use crate::error::Result;
use crate::events::{EventType, NewEvent};
use crate::id::{AccountId, ContainerId, OperatorRequestId, Resource};
use crate::ledger::Journal;
use crate::operator_requests::{OperatorRequestRow, OperatorRequestStatus};
use crate::partners::portfolio::Portfolio;
use crate::program::service::ProgramHistory;
use crate::referrals::attribution::ReferralRow;
use crate::sub_accounts::{Billing, LinkRow};

/// Everything that a batch reads and changes.
#[derive(Debug)]
pub struct World {
    /// The versions of the program since the oldest event.
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
    requests: HashMap<OperatorRequestId, OperatorRequestRow>,
    carried_out: Vec<(OperatorRequestRow, BTreeSet<AccountId>)>,
    switched_links: Vec<LinkRow>,
    last_payments: BTreeMap<ContainerId, Timestamp>,
    /// Clients that came with a code, unless they had paid something themselves before the oldest event.
    unpaid_referrals: HashMap<AccountId, ReferralRow>,
    first_payments: BTreeMap<AccountId, Timestamp>,
    /// Clients whose alerts may have changed.
    pub alerted: BTreeSet<AccountId>,
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

impl World {
    /// Who owned the container at `time`; before its first owner, the first owner.
    #[must_use]
    pub fn owner_at(&self, container_id: ContainerId, time: Timestamp) -> Option<AccountId> {
        let owners = self.owners.get(&container_id)?;
        let at_time = owners.iter().rev().find(|row| row.owned_from <= time);
        at_time.or(owners.first()).map(|row| row.account_id)
    }

    /// Whether the account owns the container, or ever did.
    #[must_use]
    pub fn was_owner(&self, account_id: AccountId, container_id: ContainerId) -> bool {
        self.owners.get(&container_id).into_iter().flatten().any(|row| row.account_id == account_id)
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

    /// An operator request that the events name.
    #[must_use]
    pub fn request(&self, id: OperatorRequestId) -> Option<&OperatorRequestRow> {
        self.requests.get(&id)
    }

    /// Notes that a request is carried out, and tells those whom it concerns.
    pub fn carry_out(&mut self, id: OperatorRequestId, told: &BTreeSet<AccountId>, now: Timestamp) {
        let Some(row) = self.requests.get_mut(&id) else { return };
        row.status = OperatorRequestStatus::Done;
        row.closed_at = Some(now);
        let subject = row.subject();
        self.carried_out.push((row.clone(), told.clone()));
        self.tell_all(told, EventType::OperatorRequestDone, &subject);
    }

    /// Lets another pay for all containers of a client: they join or leave the paid ones of its manager.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn switch_billing(&mut self, client_id: AccountId, billing: Billing) -> Result<()> {
        let links = self.links.get_mut(&client_id).into_iter().flatten();
        let Some(link) = links.rev().find(|link| link.detached_at.is_none()) else { return Ok(()) };
        if link.billing == billing {
            return Ok(());
        }
        let before = std::mem::replace(&mut link.billing, billing);
        self.switched_links.push(link.clone());
        let manager_id = link.account_id;
        let program = self.programs.newest()?;
        if let Some(portfolio) = self.portfolios.get_mut(&manager_id) {
            let own = self.containers.values().map(|tracked| &tracked.row);
            for container in own.filter(|row| row.account_id == client_id && row.manager_id == Some(manager_id)) {
                portfolio.remove(&slots::slot(container, before), &program.config)?;
                portfolio.add(&slots::slot(container, billing), &program.config)?;
            }
        }
        self.tell_all(&BTreeSet::from([client_id, manager_id]), EventType::SubAccountUpdated, &client_id.into());
        Ok(())
    }

    /// Notes that a client paid something itself: a client that came with a code counts at its first time, in whatever order its
    /// payments arrive.
    pub fn note_paying(&mut self, client_id: AccountId, occurred_at: Timestamp) {
        let Some(referral) = self.unpaid_referrals.get(&client_id) else { return };
        let known = self.first_payments.get(&client_id).copied().or(referral.first_paid_at);
        if known.is_none_or(|first| occurred_at < first) {
            self.first_payments.insert(client_id, occurred_at);
        }
    }

    /// Notes when a container was paid for, where that is its newest payment. Of the container nothing else is written.
    pub fn note_payment_of(&mut self, container_id: ContainerId, occurred_at: Timestamp) {
        if let Some(tracked) = self.containers.get_mut(&container_id)
            && tracked.row.last_payment_at.is_none_or(|last| last < occurred_at)
        {
            tracked.row.last_payment_at = Some(occurred_at);
            self.last_payments.insert(container_id, occurred_at);
        }
    }

    fn tell_all(&mut self, told: &BTreeSet<AccountId>, event_type: EventType, resource: &Resource) {
        let event =
            |account_id: &AccountId| NewEvent { account_id: *account_id, event_type, resource: resource.clone() };
        self.new_events.extend(told.iter().map(event));
    }
}
