//! Access of a manager to its client's account: asked for, granted, declined, taken back. Whoever changes it holds the locks
//! of both accounts.

use diesel::dsl::max;
use diesel::prelude::*;
use serde_json::{Value, json};

use super::links;
use super::models::{Access, LinkRow, Origin};
use super::requests::{self, AccessRequest, RequestKind, RequestRow, RequestStatus};
use crate::accounts;
use crate::auth::TokenKeys;
use crate::auth::token::{AccessToken, ActorClaim};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::sub_account_links;
use crate::error::{Code, Error, Result};
use crate::events::EventType;
use crate::id::{AccessRequestId, AccountId, SessionId};
use crate::mail::Letter;
use crate::{audit, events, program};

/// Hours after a decline or a revocation before a manager may ask again (domain section 3).
const PAUSE_HOURS: i64 = 24;

/// A decline at this time or before it does not count any more.
#[must_use]
pub fn pause_start(now: Timestamp) -> Timestamp {
    now.plus_seconds(-PAUSE_HOURS * 3_600)
}

/// Asks a client for access.
///
/// # Errors
/// 404 where the client is not this manager's; 409 `accessAlreadyGranted`, `accessAlreadyRequested`, `accessRequestTooSoon`.
pub fn request(
    conn: &mut Conn,
    context: &Context,
    manager_id: AccountId,
    client_id: AccountId,
) -> Result<AccessRequest> {
    let (context, link) = &lock_managed(conn, context, manager_id, client_id)?;
    match link.access {
        Access::Granted => return Err(Error::refused(Code::AccessAlreadyGranted, "the client has granted access")),
        Access::Requested => {
            return Err(Error::refused(
                Code::AccessAlreadyRequested,
                "the client has not answered the last request yet",
            ));
        }
        Access::None | Access::Declined => refuse_too_soon(conn, context.now, link)?,
    }
    let request_id = requests::file(conn, context, Some(client_id), manager_id, RequestKind::Access)?;
    set(conn, context, link, Access::Requested, EventType::AccessRequested, None)?;
    let manager = accounts::service::find(conn, manager_id)?.signature();
    links::write_to(conn, context, client_id, &Letter::AccessRequested { manager, request_id })?;
    Ok(requests::find(conn, client_id, request_id)?.1)
}

/// The client says yes.
///
/// # Errors
/// 404; 409 `accessRequestClosed`; of a link request 409 `alreadyManaged`.
pub fn approve(conn: &mut Conn, context: &Context, client_id: AccountId, id: AccessRequestId) -> Result<AccessRequest> {
    program::service::keep(conn)?;
    let (context, row) = &answer(conn, context, client_id, id, RequestStatus::Approved)?;
    match row.kind {
        RequestKind::Access => {
            let link = links::managed_by(conn, row.manager_id, client_id)?;
            set(conn, context, &link, Access::Granted, EventType::AccessGranted, None)?;
        }
        RequestKind::Link => {
            links::link(conn, context, client_id, row.manager_id, Origin::Attached, Access::None)?;
        }
    }
    Ok(requests::find(conn, client_id, id)?.1)
}

/// The client says no; the reason, if it gives one, is for the audit logs.
///
/// # Errors
/// 404; 409 `accessRequestClosed`.
pub fn decline(
    conn: &mut Conn,
    context: &Context,
    client_id: AccountId,
    id: AccessRequestId,
    reason: Option<&str>,
) -> Result<AccessRequest> {
    let (context, row) = &answer(conn, context, client_id, id, RequestStatus::Declined)?;
    let details = reason.map(|reason| json!({ "reason": reason }));
    match row.kind {
        RequestKind::Access => {
            let link = links::managed_by(conn, row.manager_id, client_id)?;
            set(conn, context, &link, Access::Declined, EventType::AccessDeclined, details.as_ref())?;
        }
        // The manager is told nothing: it could not know that there is such an account.
        RequestKind::Link => {
            audit::record(conn, context, Some(client_id), "subAccount.linkDeclined", id, details)?;
            events::record(conn, context, client_id, EventType::AccessDeclined, client_id)?;
        }
    }
    Ok(requests::find(conn, client_id, id)?.1)
}

/// The client takes granted access back.
///
/// # Errors
/// 404 without a manager, or where it has no access.
pub fn revoke(conn: &mut Conn, context: &Context, client_id: AccountId) -> Result<()> {
    let (ref context, _, link) = links::lock_with_manager(conn, context, client_id)?;
    let link = link.filter(|link| link.access == Access::Granted).ok_or_else(Error::not_found)?;
    set(conn, context, &link, Access::Declined, EventType::AccessRevoked, None)
}

/// A token by which the manager acts as its client; `session_id` is that of the manager's user, if it is one.
///
/// # Errors
/// 404 where the client is not this manager's; 403 `accessNotGranted` or `accountBlocked`.
pub fn log_in(
    conn: &mut Conn,
    context: &Context,
    tokens: &TokenKeys,
    (manager_id, session_id): (AccountId, Option<SessionId>),
    client_id: AccountId,
) -> Result<AccessToken> {
    granted(conn, manager_id, client_id)?;
    if accounts::service::find(conn, client_id)?.blocked_at.is_some() {
        return Err(Error::refused(Code::AccountBlocked, "the client's account is blocked"));
    }
    for account_id in [manager_id, client_id] {
        let details = Some(json!({ "managerId": manager_id }));
        audit::record(conn, context, Some(account_id), "subAccount.loggedIn", client_id, details)?;
    }
    let actor = ActorClaim { sub: context.actor.id.clone(), acc: manager_id };
    tokens.issue_impersonation(Timestamp::machine(), client_id, actor, session_id)
}

/// Refuses what a manager may do only with access.
///
/// # Errors
/// 403 `accessNotGranted`.
pub fn refuse_without(link: &LinkRow) -> Result<()> {
    if link.access == Access::Granted {
        return Ok(());
    }
    Err(Error::refused(Code::AccessNotGranted, "the client has not granted access; request it first"))
}

/// The link by which `manager_id` may change what its client has.
///
/// # Errors
/// 404 where the client is not this manager's; 403 `accessNotGranted`.
pub fn granted(conn: &mut Conn, manager_id: AccountId, client_id: AccountId) -> Result<LinkRow> {
    let link = links::managed_by(conn, manager_id, client_id)?;
    refuse_without(&link)?;
    Ok(link)
}

/// The link of `manager_id` with `client_id`, with the locks of both.
///
/// # Errors
/// 404 where the client is not this manager's.
pub fn lock_managed(
    conn: &mut Conn,
    context: &Context,
    manager_id: AccountId,
    client_id: AccountId,
) -> Result<(Context, LinkRow)> {
    let (context, _, link) = links::lock_with_manager(conn, context, client_id)?;
    let link = link.filter(|link| link.account_id == manager_id).ok_or_else(Error::not_found)?;
    Ok((context, link))
}

/// Locks both sides of a pending request and closes it.
fn answer(
    conn: &mut Conn,
    context: &Context,
    client_id: AccountId,
    id: AccessRequestId,
    status: RequestStatus,
) -> Result<(Context, RequestRow)> {
    let (row, _) = requests::find(conn, client_id, id)?;
    let (context, _) = accounts::lock(conn, context, &[client_id, row.manager_id])?;
    if !requests::close(conn, &context, &row, status)? {
        let present = requests::find(conn, client_id, id)?.1.status;
        return Err(Error::refused(Code::AccessRequestClosed, format!("the request is {present}")));
    }
    Ok((context, row))
}

/// The last decline counts whichever link of the two it belongs to: linking anew is no way round the pause.
fn refuse_too_soon(conn: &mut Conn, now: Timestamp, link: &LinkRow) -> Result<()> {
    let declined_at: Option<Timestamp> = sub_account_links::table
        .filter(sub_account_links::client_id.eq(link.client_id))
        .filter(sub_account_links::account_id.eq(link.account_id))
        .filter(sub_account_links::access.eq(Access::Declined))
        .select(max(sub_account_links::access_changed_at))
        .get_result(conn)?;
    match declined_at.filter(|at| *at > pause_start(now)) {
        Some(at) => {
            let detail =
                format!("the client declined at {at}; ask again from {} on", at.plus_seconds(PAUSE_HOURS * 3_600));
            Err(Error::refused(Code::AccessRequestTooSoon, detail))
        }
        None => Ok(()),
    }
}

fn set(
    conn: &mut Conn,
    context: &Context,
    link: &LinkRow,
    access: Access,
    event: EventType,
    details: Option<&Value>,
) -> Result<()> {
    diesel::update(sub_account_links::table.find((link.account_id, link.id)))
        .set((sub_account_links::access.eq(access), sub_account_links::access_changed_at.eq(context.now)))
        .execute(conn)?;
    for account_id in [link.account_id, link.client_id] {
        audit::record(conn, context, Some(account_id), event.as_str(), link.client_id, details.cloned())?;
        events::record(conn, context, account_id, event, link.client_id)?;
    }
    Ok(())
}
