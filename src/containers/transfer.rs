//! The transfer of a container to another standard account: ownership moves at once, what it paid before stays with the old
//! owner's manager, and its subscription ends here until the billing system reports the new owner's.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::models::{Container, ContainerRow, OwnershipRow, SubscriptionStatus};
use super::{alerts, service, slots};
use crate::accounts::service::email_key;
use crate::accounts::{self, AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts as accounts_table, container_owners, containers, user_emails, users};
use crate::error::{Code, Error, Result};
use crate::events::EventType;
use crate::http::trimmed;
use crate::id::{AccountId, ContainerId, OwnershipId};
use crate::operator_requests::{self, OperatorRequestType, RequestDetails};
use crate::partners::portfolio::Portfolio;
use crate::program::{self, Program};
use crate::sub_accounts::{LinkRow, links};
use crate::{audit, events};

/// Who shall own a container.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferContainer {
    /// E-mail address of a user of another standard account.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "crate::accounts::models::validate_email"))]
    #[schema(format = "email", max_length = 254, example = "shop@example.com")]
    pub email: String,
}

/// Moves a container of `account_id` to the standard account with a user of this e-mail address. The owner of before and
/// the new one, and the managers of both, are told; the operator is asked to end the one's subscription.
///
/// # Errors
/// 404; 409 `requestPending`; 422 `transferRefused`, the same whatever is wrong with the address.
pub fn transfer(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    id: ContainerId,
    to: &TransferContainer,
) -> Result<Container> {
    service::reachable(conn, account_id, false, id)?;
    operator_requests::service::refuse_second(conn, account_id, Some(id))?;
    let new_owner_id = takers_id(conn, account_id, &to.email)?;
    let (context, locked) =
        &accounts::lock_concerned(conn, context, |conn| with_managers(conn, account_id, new_owner_id))?;
    let before = service::reachable(conn, account_id, false, id)?;
    operator_requests::service::refuse_second(conn, account_id, Some(id))?;
    if !locked.get(&new_owner_id).is_some_and(is_fit) {
        return Err(refused());
    }
    let (old_link, new_link) = (links::current(conn, account_id)?, links::current(conn, new_owner_id)?);
    let present: (OwnershipId, Timestamp) = container_owners::table
        .filter(container_owners::container_id.eq(id))
        .order(container_owners::id.desc())
        .limit(1)
        .select((container_owners::id, container_owners::owned_from))
        .get_result(conn)?;
    let (ownership_id, owned_from) = OwnershipId::following(context.now, [present]);
    let ownership = OwnershipRow { container_id: id, id: ownership_id, account_id: new_owner_id, owned_from };
    diesel::insert_into(container_owners::table).values(&ownership).execute(conn)?;
    let after = moved(context, &before, &ownership, new_link.as_ref().map(|link| link.account_id));
    diesel::update(containers::table.find(id)).set(&after).execute(conn)?;
    let program = program::service::current(conn)?;
    let managers = [&old_link, &new_link].map(|link| link.as_ref().map(|link| link.account_id));
    count(conn, context, locked, (&before, old_link), (&after, new_link), &program)?;
    alerts::refresh(conn, &BTreeSet::from([account_id, new_owner_id]))?;
    let details = json!({"from": account_id, "to": new_owner_id});
    // Locked may be more: who managed one of the two until just now.
    let told: BTreeSet<AccountId> =
        [account_id, new_owner_id].into_iter().chain(managers.into_iter().flatten()).collect();
    for told_id in told {
        audit::record(conn, context, Some(told_id), "container.transferred", id, Some(details.clone()))?;
        events::record(conn, context, told_id, EventType::ContainerTransferred, id)?;
    }
    let wanted = RequestDetails { new_owner_id: Some(new_owner_id), ..RequestDetails::default() };
    operator_requests::service::open(conn, context, account_id, Some(id), OperatorRequestType::Transfer, &wanted)?;
    service::view(conn, after, None, &program)
}

/// The account that takes the container. One query, whatever it finds, so that time tells no more than the answer.
fn takers_id(conn: &mut Conn, giver_id: AccountId, email: &str) -> Result<AccountId> {
    let found: Option<AccountRow> = user_emails::table
        .inner_join(users::table.on(users::id.eq(user_emails::user_id)))
        .inner_join(accounts_table::table.on(accounts_table::id.eq(users::account_id)))
        .filter(user_emails::email_key.eq(email_key(email)))
        .select(AccountRow::as_select())
        .get_result(conn)
        .optional()?;
    found.filter(|account| account.id != giver_id && is_fit(account)).map(|account| account.id).ok_or_else(refused)
}

fn is_fit(account: &AccountRow) -> bool {
    account.kind == AccountKind::Standard && account.blocked_at.is_none()
}

fn refused() -> Error {
    Error::refused(Code::TransferRefused, "the address is not that of another standard account that can take it")
}

fn with_managers(conn: &mut Conn, giver_id: AccountId, taker_id: AccountId) -> Result<BTreeSet<AccountId>> {
    let mut ids = BTreeSet::from([giver_id, taker_id]);
    for client_id in [giver_id, taker_id] {
        ids.extend(links::current(conn, client_id)?.map(|link| link.account_id));
    }
    Ok(ids)
}

/// The container with its new owner. A `subscription.changed` from before the new ownership is the old owner's: it is stale. And
/// one that was applied to the old owner's subscription, be it a future one, makes none of the new owner's stale.
fn moved(
    context: &Context,
    before: &ContainerRow,
    ownership: &OwnershipRow,
    manager_id: Option<AccountId>,
) -> ContainerRow {
    ContainerRow {
        account_id: ownership.account_id,
        manager_id,
        subscription_status: SubscriptionStatus::Canceled,
        cancel_at_period_end: false,
        next_payment_at: None,
        subscription_changed_at: Some(ownership.owned_from),
        updated_at: context.now,
        ..before.clone()
    }
}

/// Takes the container out of the counters of the one manager and into those of the other, which may be the same.
fn count(
    conn: &mut Conn,
    context: &Context,
    locked: &BTreeMap<AccountId, AccountRow>,
    (before, old_link): (&ContainerRow, Option<LinkRow>),
    (after, new_link): (&ContainerRow, Option<LinkRow>),
    program: &Program,
) -> Result<()> {
    let managers: BTreeSet<AccountId> =
        [&old_link, &new_link].into_iter().flatten().map(|link| link.account_id).collect();
    let rows: Vec<AccountRow> = managers.iter().filter_map(|id| locked.get(id)).cloned().collect();
    let mut portfolios = Portfolio::load(conn, &rows)?;
    if let Some((link, portfolio)) =
        old_link.and_then(|link| Some((link.billing, portfolios.get_mut(&link.account_id)?)))
    {
        portfolio.remove(&slots::slot(before, link), &program.config)?;
    }
    if let Some((link, portfolio)) =
        new_link.and_then(|link| Some((link.billing, portfolios.get_mut(&link.account_id)?)))
    {
        portfolio.add(&slots::slot(after, link), &program.config)?;
    }
    for id in managers {
        if let Some(portfolio) = portfolios.remove(&id) {
            portfolio.write(conn, context, &program.config)?;
        }
    }
    Ok(())
}
