//! What managers ask clients, as rows and as the client sees it: for access, or to manage the account at all.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::AccountRow;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{access_requests, accounts};
use crate::error::{OrNotFound, Result};
use crate::http::Page;
use crate::id::{AccessRequestId, AccountId};

crate::text_enum! {
    /// What a manager asks for.
    pub enum RequestKind {
        /// To change the client's containers and to act for it.
        Access = "access",
        /// To manage the account.
        Link = "link",
    }
}

crate::text_enum! {
    /// Where a request stands.
    pub enum RequestStatus {
        /// Waits for the client.
        Pending = "pending",
        /// The client said yes.
        Approved = "approved",
        /// The client said no.
        Declined = "declined",
        /// It has no object any more: the client has parted from the manager, or is linked to it.
        Withdrawn = "withdrawn",
    }
}

/// The status of a request that nobody is to see.
const VOID: &str = "void";

/// A request as stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = access_requests)]
pub struct RequestRow {
    /// The client.
    pub account_id: AccountId,
    /// Its id.
    pub id: AccessRequestId,
    /// Who asks.
    pub manager_id: AccountId,
    /// For what.
    pub kind: RequestKind,
    /// [`RequestStatus`], or void.
    pub status: String,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When it was answered or withdrawn.
    pub decided_at: Option<Timestamp>,
}

/// An agency or partner as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagerContact {
    /// Its account id.
    pub id: AccountId,
    /// E-mail address of its first owner.
    #[schema(format = "email", example = "ann@agency.example")]
    pub email: String,
    /// First name of its first owner.
    #[schema(example = "Ann")]
    pub first_name: String,
    /// Last name of its first owner.
    #[schema(example = "Archer")]
    pub last_name: String,
    /// Company, if it has one.
    #[schema(required = true, example = "Archer Analytics")]
    pub company_name: Option<String>,
}

impl From<AccountRow> for ManagerContact {
    fn from(row: AccountRow) -> Self {
        let AccountRow { id, email, first_name, last_name, company_name, .. } = row;
        Self { id, email, first_name, last_name, company_name }
    }
}

/// A request to the client: for access to its account, or to manage it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessRequest {
    /// Its id.
    pub id: AccessRequestId,
    /// What is asked for.
    pub kind: RequestKind,
    /// Where it stands.
    pub status: RequestStatus,
    /// Who asks.
    pub manager: ManagerContact,
    /// When it was filed.
    pub created_at: Timestamp,
    /// When it was answered or withdrawn; null while it is pending.
    #[schema(required = true, example = json!(null))]
    pub decided_at: Option<Timestamp>,
}

impl AccessRequest {
    fn of((row, manager): (RequestRow, AccountRow)) -> Option<Self> {
        let RequestRow { id, kind, created_at, decided_at, .. } = row;
        let status = row.status.parse().ok()?;
        Some(Self { id, kind, status, manager: manager.into(), created_at, decided_at })
    }
}

/// Files a request to `client_id`, or one that nobody sees.
///
/// # Errors
/// The database's failure.
pub fn file(
    conn: &mut Conn,
    context: &Context,
    client_id: Option<AccountId>,
    manager_id: AccountId,
    kind: RequestKind,
) -> Result<AccessRequestId> {
    let status = client_id.map_or(VOID, |_| RequestStatus::Pending.as_str());
    let row = RequestRow {
        account_id: client_id.unwrap_or(manager_id),
        id: AccessRequestId::new(context.now),
        manager_id,
        kind,
        status: status.to_owned(),
        created_at: context.now,
        decided_at: None,
    };
    diesel::insert_into(access_requests::table).values(&row).execute(conn)?;
    Ok(row.id)
}

/// Whether a request still waits for its answer. One that nobody is to see is gone afterwards.
///
/// # Errors
/// The database's failure.
pub fn is_to_be_told(conn: &mut Conn, id: AccessRequestId) -> Result<bool> {
    let this = access_requests::table.filter(access_requests::id.eq(id));
    diesel::delete(this.filter(access_requests::status.eq(VOID))).execute(conn)?;
    let status: Option<String> = this.select(access_requests::status).get_result(conn).optional()?;
    Ok(status.as_deref() == Some(RequestStatus::Pending.as_str()))
}

/// One of the client's requests.
///
/// # Errors
/// 404.
pub fn find(conn: &mut Conn, client_id: AccountId, id: AccessRequestId) -> Result<(RequestRow, AccessRequest)> {
    let found: (RequestRow, AccountRow) = access_requests::table
        .inner_join(accounts::table.on(accounts::id.eq(access_requests::manager_id)))
        .filter(access_requests::account_id.eq(client_id))
        .filter(access_requests::id.eq(id))
        .filter(access_requests::status.ne(VOID))
        .select((RequestRow::as_select(), AccountRow::as_select()))
        .get_result(conn)
        .or_not_found()?;
    let row = found.0.clone();
    AccessRequest::of(found).map(|shown| (row, shown)).ok_or_else(crate::error::Error::not_found)
}

/// A page of the client's requests, newest first.
///
/// # Errors
/// The database's failure.
pub fn list(
    conn: &mut Conn,
    client_id: AccountId,
    statuses: &[RequestStatus],
    page: &Page,
) -> Result<Vec<AccessRequest>> {
    let mut query = access_requests::table
        .inner_join(accounts::table.on(accounts::id.eq(access_requests::manager_id)))
        .filter(access_requests::account_id.eq(client_id))
        .filter(access_requests::status.ne(VOID))
        .order(access_requests::id.desc())
        .limit(page.fetch())
        .select((RequestRow::as_select(), AccountRow::as_select()))
        .into_boxed();
    if !statuses.is_empty() {
        let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        query = query.filter(access_requests::status.eq_any(words));
    }
    if let Some(after) = page.after_key::<AccessRequestId>()? {
        query = query.filter(access_requests::id.lt(after));
    }
    let rows: Vec<(RequestRow, AccountRow)> = query.load(conn)?;
    Ok(rows.into_iter().filter_map(AccessRequest::of).collect())
}

/// Answers a pending request; false where it is answered already.
///
/// # Errors
/// The database's failure.
pub fn close(conn: &mut Conn, context: &Context, row: &RequestRow, status: RequestStatus) -> Result<bool> {
    let pending = access_requests::table
        .find((row.account_id, row.id))
        .filter(access_requests::status.eq(RequestStatus::Pending.as_str()));
    let changes = (access_requests::status.eq(status.as_str()), access_requests::decided_at.eq(Some(context.now)));
    Ok(diesel::update(pending).set(changes).execute(conn)? == 1)
}

/// Withdraws what `manager_id` asks `client_id` for, because its object is gone.
///
/// # Errors
/// The database's failure.
pub fn withdraw(conn: &mut Conn, context: &Context, client_id: AccountId, manager_id: AccountId) -> Result<()> {
    let pending = access_requests::table
        .filter(access_requests::account_id.eq(client_id))
        .filter(access_requests::manager_id.eq(manager_id))
        .filter(access_requests::status.eq(RequestStatus::Pending.as_str()));
    let status = access_requests::status.eq(RequestStatus::Withdrawn.as_str());
    diesel::update(pending).set((status, access_requests::decided_at.eq(Some(context.now)))).execute(conn)?;
    Ok(())
}

/// Whether a link request of `manager_id` to `client_id` is pending, or was declined after `since`.
///
/// # Errors
/// The database's failure.
pub fn was_asked(conn: &mut Conn, client_id: AccountId, manager_id: AccountId, since: Timestamp) -> Result<bool> {
    let pending = access_requests::status.eq(RequestStatus::Pending.as_str());
    let declined = access_requests::status.eq(RequestStatus::Declined.as_str());
    let asked = access_requests::table
        .filter(access_requests::account_id.eq(client_id))
        .filter(access_requests::manager_id.eq(manager_id))
        .filter(access_requests::kind.eq(RequestKind::Link))
        .filter(pending.or(declined.and(access_requests::decided_at.gt(Some(since)))));
    let found: i64 = asked.count().get_result(conn)?;
    Ok(found > 0)
}
