//! The feed of events of each account: gap-free from 1, in commit order.
//!
//! A sequence number is taken from the account's row in the transaction of the cause, and that row's lock is held until
//! the commit; so a reader that has seen a number has seen all below it. Events say what happened to which resource and
//! nothing of its content. Rows are never changed or deleted.

use std::collections::BTreeMap;

use actix_web::get;
use diesel::prelude::*;
use diesel::result::Error::RollbackTransaction;
use diesel::sql_types::{Array, BigInt, Text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::principal::{Account, EventsRead};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::schema::{accounts, events};
use crate::db::{Conn, KeepPrepared, insert_rows};
use crate::error::{Error, Result};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Filter, Listing, list_type};
use crate::id::{AccountId, Resource};
use crate::state::App;

crate::text_enum! {
    /// What happened.
    pub enum EventType {
        /// The account was made.
        AccountCreated = "account.created",
        /// Names or company of the account changed.
        AccountUpdated = "account.updated",
        /// The operator blocked the account.
        AccountBlocked = "account.blocked",
        /// The operator unblocked the account.
        AccountUnblocked = "account.unblocked",
        /// A client and a manager were linked.
        SubAccountLinked = "subAccount.linked",
        /// Note or billing of a sub-account changed.
        SubAccountUpdated = "subAccount.updated",
        /// A client and a manager were separated.
        SubAccountDetached = "subAccount.detached",
        /// A manager asked for access or, in the client's feed alone, to manage the account.
        AccessRequested = "access.requested",
        /// A client granted access.
        AccessGranted = "access.granted",
        /// A client declined access or, in its own feed alone, to be managed.
        AccessDeclined = "access.declined",
        /// A client took access back.
        AccessRevoked = "access.revoked",
        /// A container was made.
        ContainerCreated = "container.created",
        /// A container changed: its name, status or errors, or whether it has exceeded its limit.
        ContainerUpdated = "container.updated",
        /// A container has another owner.
        ContainerTransferred = "container.transferred",
        /// A container was deleted.
        ContainerDeleted = "container.deleted",
        /// The subscription of a container changed.
        SubscriptionChanged = "subscription.changed",
        /// The operator was asked to carry something out for a container or a sub-account.
        OperatorRequestCreated = "operatorRequest.created",
        /// What the operator was asked for is carried out.
        OperatorRequestDone = "operatorRequest.done",
        /// The operator declined what it was asked for.
        OperatorRequestDeclined = "operatorRequest.declined",
        /// A commission arose.
        CommissionCreated = "commission.created",
        /// A commission is ready to payout.
        CommissionReady = "commission.ready",
        /// A refund took back all or part of a commission.
        CommissionReversed = "commission.reversed",
        /// An adjustment was made: it is the resource, and its `adjusts` the commission, if it is about one.
        CommissionAdjusted = "commission.adjusted",
        /// A payout was requested.
        PayoutRequested = "payout.requested",
        /// The operator approved a payout.
        PayoutApproved = "payout.approved",
        /// A payout is on its way.
        PayoutStarted = "payout.started",
        /// A payout was paid.
        PayoutPaid = "payout.paid",
        /// A payout was canceled; its rows are ready again.
        PayoutCanceled = "payout.canceled",
        /// The operator rejected a payout; its rows are ready again.
        PayoutRejected = "payout.rejected",
        /// A payout failed; its rows are ready again.
        PayoutFailed = "payout.failed",
        /// A payout method was set or changed.
        PayoutMethodChanged = "payoutMethod.changed",
        /// A payout method was removed.
        PayoutMethodRemoved = "payoutMethod.removed",
        /// The schedule of payouts changed.
        PayoutScheduleChanged = "payoutSchedule.changed",
        /// The level of a partner changed.
        LevelChanged = "level.changed",
        /// The operator changed a partner's own rates.
        RatesChanged = "rates.changed",
        /// An application to the partner program was filed.
        PartnerApplicationCreated = "partnerApplication.created",
        /// An application was approved: the account is a partner.
        PartnerApplicationApproved = "partnerApplication.approved",
        /// An application was rejected.
        PartnerApplicationRejected = "partnerApplication.rejected",
        /// A referral link was made.
        ReferralLinkCreated = "referralLink.created",
        /// A referral link changed.
        ReferralLinkUpdated = "referralLink.updated",
        /// An API key was made.
        ApiKeyCreated = "apiKey.created",
        /// An API key was revoked.
        ApiKeyRevoked = "apiKey.revoked",
    }
}

/// Something that happened to a resource of the account.
#[derive(Debug, Clone, Queryable, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number in the account's feed: 1, 2, 3, … without a gap.
    #[schema(minimum = 1, example = 17)]
    pub sequence: i64,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Kind of the resource.
    #[schema(example = "commission")]
    pub resource_type: String,
    /// Its id.
    #[schema(example = "com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub resource_id: String,
    /// When it happened.
    pub occurred_at: Timestamp,
}

list_type!(EventList, Event, "One page of events, oldest first.");

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct EventFilter {
    /// Only events with a greater number: the last one that was seen.
    #[param(minimum = 0, example = 16)]
    pub after: Option<u64>,
}

/// Registers the operation.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/events").service(list_events));
}

/// Read the feed of events.
///
/// What happened to the account and its sub-accounts, access, containers, operator requests, commissions, payouts, payout methods
/// and schedule, level, rates, applications, links and keys, oldest first. Not every count of requests makes an event: of usage,
/// only that a limit is reached or no longer is. `commission.adjusted` names the adjustment, whose `adjusts` is the commission. A
/// payout's event stands for all its commissions: its lines name them, and they follow its status. The numbers have no gap, and
/// an event that appears has a greater number than every one before it: ask again with the last number seen as `after`, and
/// nothing is missed.
#[utoipa::path(tag = "Events", operation_id = "listEvents", params(EventFilter),
    responses((status = 200, description = "One page of events", body = EventList)),
    extensions(("x-accounts" = json!("any"))),
    security(("apiKey" = ["events:read"])))]
#[get("")]
async fn list_events(who: Account<EventsRead>, app: App, filter: Filter<EventFilter>) -> Result<Listing> {
    let Filter { filter, page } = filter;
    let seen = filter.after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let (account_id, after, fetch) = (who.account_id()?, page.after_key()?.unwrap_or(seen), page.fetch());
    app.db.read(move |conn| page.listing(list(conn, account_id, after, fetch)?, |event| event.sequence)).await
}

/// An event before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose feed.
    pub account_id: AccountId,
    /// What happened.
    pub event_type: EventType,
    /// To what.
    pub resource: Resource,
}

#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct EventRow {
    account_id: AccountId,
    sequence: i64,
    event_type: EventType,
    resource_type: &'static str,
    resource_id: String,
    occurred_at: Timestamp,
}

/// Appends one event to the feed of `account_id`.
///
/// # Errors
/// The database's failure; an account that does not exist.
pub fn record(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    event_type: EventType,
    resource: impl Into<Resource>,
) -> Result<()> {
    record_many(conn, context.now, &[NewEvent { account_id, event_type, resource: resource.into() }])
}

/// [`record`], or, where nobody is to be told, the same work without a trace: the time that it takes does not tell which.
///
/// # Errors
/// The database's failure; an account that does not exist.
pub fn record_if(
    conn: &mut Conn,
    context: &Context,
    is_told: bool,
    account_id: AccountId,
    event_type: EventType,
    resource: impl Into<Resource>,
) -> Result<()> {
    let recorded = conn.transaction(|conn| {
        record(conn, context, account_id, event_type, resource)?;
        if is_told { Ok(()) } else { Err(Error::Database(RollbackTransaction)) }
    });
    match recorded {
        Err(Error::Database(RollbackTransaction)) => Ok(()),
        recorded => recorded,
    }
}

/// Appends events to the feeds of their accounts: one update per account, in the order of their ids, and the events of
/// an account in the order given.
///
/// # Errors
/// The database's failure; an account that does not exist.
pub fn record_many(conn: &mut Conn, now: Timestamp, new_events: &[NewEvent]) -> Result<()> {
    if new_events.is_empty() {
        return Ok(());
    }
    let mut by_account: BTreeMap<AccountId, Vec<&NewEvent>> = BTreeMap::new();
    for event in new_events {
        by_account.entry(event.account_id).or_default().push(event);
    }
    let count = |events: &Vec<&NewEvent>| i64::try_from(events.len()).map_err(Error::internal);
    let counts = by_account.iter().map(|(account_id, events)| Ok((*account_id, count(events)?)));
    let firsts = take_sequences(conn, &counts.collect::<Result<Vec<_>>>()?)?;
    let mut rows = Vec::with_capacity(new_events.len());
    for (account_id, account_events) in by_account {
        let first = *firsts.get(&account_id).ok_or_else(|| no_feed(account_id))?;
        let numbered = (first..).zip(account_events);
        rows.extend(
            numbered.map(|(sequence, event)| row(now, sequence, account_id, event.event_type, &event.resource)),
        );
    }
    insert_rows!(conn, events::table, rows);
    Ok(())
}

/// The number of the account's last event; 0 before the first.
///
/// # Errors
/// The database's failure; an account that does not exist.
pub fn last_number(conn: &mut Conn, account_id: AccountId) -> Result<i64> {
    Ok(accounts::table.find(account_id).select(accounts::event_sequence).get_result(conn)?)
}

/// Up to `limit` events of the account with a number above `after`, oldest first.
fn list(conn: &mut Conn, account_id: AccountId, after: i64, limit: i64) -> Result<Vec<Event>> {
    Ok(events::table
        .filter(events::account_id.eq(account_id))
        .filter(events::sequence.gt(after))
        .order(events::sequence)
        .limit(limit)
        .select((events::sequence, events::event_type, events::resource_type, events::resource_id, events::occurred_at))
        .load(conn)?)
}

fn no_feed(account_id: AccountId) -> Error {
    Error::internal(format!("the feed of {account_id}: there is no such account"))
}

/// The number of the last event of an account, after others took theirs.
#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Text)]
    account_id: AccountId,
    #[diesel(sql_type = BigInt)]
    last: i64,
}

/// Takes so many numbers of each account's feed and returns the first ones; locks the accounts' rows until the commit.
fn take_sequences(conn: &mut Conn, counts: &[(AccountId, i64)]) -> Result<BTreeMap<AccountId, i64>> {
    let lasts: BTreeMap<AccountId, i64> = match conn {
        Conn::Postgres(conn) => {
            let (ids, by): (Vec<AccountId>, Vec<i64>) = counts.iter().copied().unzip();
            diesel::sql_query(
                "UPDATE accounts SET event_sequence = event_sequence + taken.count \
                 FROM unnest($1::text[], $2::bigint[]) AS taken (account_id, count) WHERE accounts.id = taken.account_id \
                 RETURNING accounts.id AS account_id, accounts.event_sequence AS last",
            )
            .bind::<Array<Text>, _>(ids)
            .bind::<Array<BigInt>, _>(by)
            .kept()
            .load::<Taken>(conn)?
            .into_iter()
            .map(|taken| (taken.account_id, taken.last))
            .collect()
        }
        Conn::Sqlite(conn) => {
            let mut lasts = BTreeMap::new();
            for (account_id, count) in counts {
                let account = accounts::table.find(account_id);
                let last = diesel::update(account)
                    .set(accounts::event_sequence.eq(accounts::event_sequence + count))
                    .returning(accounts::event_sequence)
                    .kept()
                    .get_result(conn)
                    .optional()?;
                lasts.extend(last.map(|last: i64| (*account_id, last)));
            }
            lasts
        }
    };
    Ok(counts.iter().filter_map(|(id, count)| Some((*id, lasts.get(id)? - count + 1))).collect())
}

fn row(now: Timestamp, sequence: i64, account_id: AccountId, event_type: EventType, resource: &Resource) -> EventRow {
    EventRow {
        account_id,
        sequence,
        event_type,
        resource_type: resource.kind,
        resource_id: resource.id.clone(),
        occurred_at: now,
    }
}

#[cfg(test)]
mod tests;
