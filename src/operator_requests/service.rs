//! The rules of operator requests: one open at a time, closed once. Whoever opens or closes one holds the lock of the
//! client's account.

use std::collections::{BTreeSet, HashMap};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde_json::json;

use super::models::{OperatorRequest, OperatorRequestRow, OperatorRequestStatus, OperatorRequestType, RequestDetails};
use crate::accounts;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts as accounts_table, containers, operator_requests};
use crate::error::{Code, Error, OrNotFound, Result};
use crate::events::EventType;
use crate::http::Page;
use crate::id::{AccountId, ContainerId, OperatorRequestId};
use crate::{audit, events};

/// As the partial indexes have it: a bound value would keep the engines from using them.
const IS_OPEN: &str = "status = 'open'";

/// Files a request about a container of `account_id`, or about the client itself; the client and its manager are told.
///
/// # Errors
/// 409 `requestPending` naming the one that is open.
pub fn open(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    container_id: Option<ContainerId>,
    request_type: OperatorRequestType,
    details: &RequestDetails,
) -> Result<OperatorRequest> {
    refuse_second(conn, account_id, container_id)?;
    let row = OperatorRequestRow {
        account_id,
        id: OperatorRequestId::new(context.now),
        request_type,
        container_id,
        status: OperatorRequestStatus::Open,
        details: serde_json::to_string(details).map_err(Error::internal)?,
        reason: None,
        created_at: context.now,
        closed_at: None,
    };
    diesel::insert_into(operator_requests::table).values(&row).execute(conn)?;
    let told = json!({"type": row.request_type, "containerId": row.container_id, "details": details});
    for told_id in concerned(conn, &row)? {
        audit::record(conn, context, Some(told_id), "operatorRequest.created", row.id, Some(told.clone()))?;
        events::record(conn, context, told_id, EventType::OperatorRequestCreated, row.subject())?;
    }
    row.try_into()
}

/// Refuses what would be a second open request.
///
/// # Errors
/// 409 `requestPending` naming the one that is open.
pub fn refuse_second(conn: &mut Conn, account_id: AccountId, container_id: Option<ContainerId>) -> Result<()> {
    let pending = match container_id {
        Some(id) => pending_of_containers(conn, &[id])?.remove(&id),
        None => pending_of_clients(conn, &[account_id])?.remove(&account_id),
    };
    pending.map_or(Ok(()), |request| {
        let detail = format!("the {} request {} is open; wait for the operator", request.request_type, request.id);
        Err(Error::refused(Code::RequestPending, detail))
    })
}

/// The open request of each of `containers` that has one.
///
/// # Errors
/// The database's own failure.
pub fn pending_of_containers(
    conn: &mut Conn,
    containers: &[ContainerId],
) -> Result<HashMap<ContainerId, OperatorRequest>> {
    let rows: Vec<OperatorRequestRow> = operator_requests::table
        .filter(operator_requests::container_id.eq_any(containers))
        .filter(sql::<Bool>(IS_OPEN))
        .select(OperatorRequestRow::as_select())
        .load(conn)?;
    let shown = |row: OperatorRequestRow| row.container_id.map(|id| row.try_into().map(|request| (id, request)));
    rows.into_iter().filter_map(shown).collect()
}

/// The open request of each of `clients` that has one about itself.
///
/// # Errors
/// The database's own failure.
pub fn pending_of_clients(conn: &mut Conn, clients: &[AccountId]) -> Result<HashMap<AccountId, OperatorRequest>> {
    let rows: Vec<OperatorRequestRow> = operator_requests::table
        .filter(operator_requests::account_id.eq_any(clients))
        .filter(operator_requests::container_id.is_null())
        .filter(sql::<Bool>(IS_OPEN))
        .select(OperatorRequestRow::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| Ok((row.account_id, row.try_into()?))).collect()
}

/// Closes an open request; false where it was closed before.
///
/// # Errors
/// The database's own failure.
pub fn close(
    conn: &mut Conn,
    context: &Context,
    row: &OperatorRequestRow,
    status: OperatorRequestStatus,
    reason: Option<&str>,
) -> Result<bool> {
    let open = operator_requests::table
        .find((row.account_id, row.id))
        .filter(operator_requests::status.eq(OperatorRequestStatus::Open));
    let changed = diesel::update(open)
        .set((
            operator_requests::status.eq(status),
            operator_requests::reason.eq(reason),
            operator_requests::closed_at.eq(Some(context.now)),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Closes an open request that is carried out. The caller tells the feeds of `told`.
///
/// # Errors
/// The database's own failure.
pub fn complete(
    conn: &mut Conn,
    context: &Context,
    row: &OperatorRequestRow,
    told: &BTreeSet<AccountId>,
) -> Result<()> {
    if !close(conn, context, row, OperatorRequestStatus::Done, None)? {
        return Err(Error::internal(format!("{} was closed under the lock of its account", row.id)));
    }
    for account_id in told {
        audit::record(conn, context, Some(*account_id), "operatorRequest.done", row.id, None)?;
    }
    Ok(())
}

/// Closes what is open about a client itself, because it is carried out without the billing system. The caller holds the locks of
/// client and manager.
///
/// # Errors
/// The database's own failure.
pub fn complete_of_client(conn: &mut Conn, context: &Context, account_id: AccountId) -> Result<()> {
    let Some(request) = pending_of_clients(conn, &[account_id])?.remove(&account_id) else { return Ok(()) };
    let row = find(conn, request.id)?;
    let told = concerned(conn, &row)?;
    complete(conn, context, &row, &told)?;
    for account_id in told {
        events::record(conn, context, account_id, EventType::OperatorRequestDone, row.subject())?;
    }
    Ok(())
}

/// Turns an open request down; the client and its manager are told.
///
/// # Errors
/// 404; 409 `requestClosed`.
pub fn decline(conn: &mut Conn, context: &Context, id: OperatorRequestId, reason: &str) -> Result<OperatorRequest> {
    let (context, row, told) = &lock_concerned(conn, context, id)?;
    decline_locked(conn, context, row, reason, told)
}

/// Declines what is open about a client itself, because its link ends. The caller holds the locks of client and manager.
///
/// # Errors
/// The database's own failure.
pub fn decline_of_client(conn: &mut Conn, context: &Context, account_id: AccountId, reason: &str) -> Result<()> {
    let pending = pending_of_clients(conn, &[account_id])?.remove(&account_id);
    decline_pending(conn, context, pending, reason)
}

/// Declines what is open about a container, because it is deleted, but for a transfer: its former owner's subscription is still
/// to be ended. The caller holds the locks of owner and manager.
///
/// # Errors
/// The database's own failure.
pub fn decline_of_container(conn: &mut Conn, context: &Context, id: ContainerId, reason: &str) -> Result<()> {
    let pending = pending_of_containers(conn, &[id])?.remove(&id);
    let pending = pending.filter(|request| request.request_type != OperatorRequestType::Transfer);
    decline_pending(conn, context, pending, reason)
}

fn decline_pending(conn: &mut Conn, context: &Context, pending: Option<OperatorRequest>, reason: &str) -> Result<()> {
    let Some(request) = pending else { return Ok(()) };
    let row = find(conn, request.id)?;
    let told = concerned(conn, &row)?;
    decline_locked(conn, context, &row, reason, &told).map(|_| ())
}

/// The request.
///
/// # Errors
/// 404.
pub fn find(conn: &mut Conn, id: OperatorRequestId) -> Result<OperatorRequestRow> {
    operator_requests::table
        .filter(operator_requests::id.eq(id))
        .select(OperatorRequestRow::as_select())
        .get_result(conn)
        .or_not_found()
}

/// A page of everybody's requests, newest first.
///
/// # Errors
/// The database's own failure.
pub fn list(conn: &mut Conn, statuses: &[OperatorRequestStatus], page: &Page) -> Result<Vec<OperatorRequest>> {
    let mut query = operator_requests::table
        .order(operator_requests::id.desc())
        .limit(page.fetch())
        .select(OperatorRequestRow::as_select())
        .into_boxed();
    if !statuses.is_empty() {
        query = query.filter(operator_requests::status.eq_any(statuses));
    }
    if let Some(after) = page.after_key::<OperatorRequestId>()? {
        query = query.filter(operator_requests::id.lt(after));
    }
    let rows: Vec<OperatorRequestRow> = query.load(conn)?;
    rows.into_iter().map(OperatorRequest::try_from).collect()
}

/// The accounts that a request concerns: the client, the container's present owner, and the managers of both.
///
/// # Errors
/// The database's own failure.
pub fn concerned(conn: &mut Conn, row: &OperatorRequestRow) -> Result<BTreeSet<AccountId>> {
    let mut ids = BTreeSet::from([row.account_id]);
    if let Some(container_id) = row.container_id {
        ids.insert(containers::table.find(container_id).select(containers::account_id).get_result(conn)?);
    }
    let managers: Vec<Option<AccountId>> =
        accounts_table::table.filter(accounts_table::id.eq_any(&ids)).select(accounts_table::manager_id).load(conn)?;
    ids.extend(managers.into_iter().flatten());
    Ok(ids)
}

fn lock_concerned(
    conn: &mut Conn,
    context: &Context,
    id: OperatorRequestId,
) -> Result<(Context, OperatorRequestRow, BTreeSet<AccountId>)> {
    let row = find(conn, id)?;
    let (context, _) = accounts::lock_concerned(conn, context, |conn| concerned(conn, &row))?;
    let told = concerned(conn, &row)?;
    Ok((context, row, told))
}

fn decline_locked(
    conn: &mut Conn,
    context: &Context,
    row: &OperatorRequestRow,
    reason: &str,
    told: &BTreeSet<AccountId>,
) -> Result<OperatorRequest> {
    if !close(conn, context, row, OperatorRequestStatus::Declined, Some(reason))? {
        let status = find(conn, row.id)?.status;
        return Err(Error::refused(Code::RequestClosed, format!("the request is {status}")));
    }
    for account_id in told {
        let details = json!({"reason": reason});
        audit::record(conn, context, Some(*account_id), "operatorRequest.declined", row.id, Some(details))?;
        events::record(conn, context, *account_id, EventType::OperatorRequestDeclined, row.subject())?;
    }
    find(conn, row.id)?.try_into()
}
