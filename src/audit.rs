//! The audit log: who did what to which resource, when, and in which request. Written in the transaction of the act; rows
//! are never changed or deleted. It must never hold a secret: no key, token, password or bank detail.

use actix_web::get;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::principal::{Account, Operator, OperatorAccounts, Owner};
use crate::clock::Timestamp;
use crate::context::{ActorKind, Context};
use crate::db::schema::audit_log;
use crate::db::{Conn, insert_rows, narrow};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Filter, Listing, OneOf, list_type};
use crate::id::{AccountId, AuditId, Resource};
use crate::state::App;

/// A row of the log.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log, treat_none_as_default_value = false)]
pub struct AuditRow {
    /// Its id.
    pub id: AuditId,
    /// Whose log it is in; none for the operator's own affairs.
    pub account_id: Option<AccountId>,
    /// What kind of actor.
    pub actor_type: ActorKind,
    /// Id of the user or key.
    pub actor_id: String,
    /// The manager's account where a manager acted as its client.
    pub acting_account_id: Option<AccountId>,
    /// What was done, such as `apiKey.created`.
    pub action: String,
    /// Kind of the resource.
    pub resource_type: String,
    /// Its id as the API shows it.
    pub resource_id: String,
    /// JSON: what the action's name leaves open.
    pub details: Option<String>,
    /// The request.
    pub request_id: String,
    /// When.
    pub created_at: Timestamp,
}

impl AuditRow {
    /// The row that the context's actor did `action` to `resource`, in the log of `account_id`.
    #[must_use]
    pub fn new(
        context: &Context,
        account_id: Option<AccountId>,
        action: &str,
        resource: Resource,
        details: Option<serde_json::Value>,
    ) -> Self {
        Self {
            id: AuditId::new(context.now),
            account_id,
            actor_type: context.actor.kind,
            actor_id: context.actor.id.clone(),
            acting_account_id: context.actor.acting_account,
            action: action.to_owned(),
            resource_type: resource.kind.to_owned(),
            resource_id: resource.id,
            details: details.map(|details| details.to_string()),
            request_id: context.request_id.clone(),
            created_at: context.now,
        }
    }
}

/// Somebody did something to a resource.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// The account that it concerns; null for the operator's own affairs.
    #[schema(required = true)]
    pub account_id: Option<AccountId>,
    /// What kind of actor.
    pub actor_type: ActorKind,
    /// Id of the user or key that acted; `system` or `visitor` where there is none.
    #[schema(example = "usr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub actor_id: String,
    /// The manager's account, where a manager acted as its client.
    #[schema(required = true)]
    pub acting_account_id: Option<AccountId>,
    /// What was done.
    #[schema(example = "apiKey.created")]
    pub action: String,
    /// Kind of the resource.
    #[schema(example = "apiKey")]
    pub resource_type: String,
    /// Its id.
    #[schema(example = "key_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub resource_id: String,
    /// What the action's name leaves open, such as a reason; its fields depend on the action.
    #[schema(required = true, value_type = Option<Object>, example = json!({ "name": "Reporting" }))]
    pub details: Option<serde_json::Value>,
    /// The request in which it was done.
    #[schema(example = "01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub request_id: String,
    /// When it was done.
    pub created_at: Timestamp,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            account_id: row.account_id,
            actor_type: row.actor_type,
            actor_id: row.actor_id,
            acting_account_id: row.acting_account_id,
            action: row.action,
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            details: row.details.and_then(|details| serde_json::from_str(&details).ok()),
            request_id: row.request_id,
            created_at: row.created_at,
        }
    }
}

list_type!(AuditEntryList, AuditEntry, "One page of the audit log, newest first.");

/// Which rows of the account's log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct AuditFilter {
    /// Only what was done at this time or later.
    pub created_after: Option<Timestamp>,
    /// Only what was done before this time.
    pub created_before: Option<Timestamp>,
}

/// Which rows of the whole log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct OperatorAuditFilter {
    /// Only what concerns these accounts, separated by commas.
    #[param(value_type = Option<Vec<AccountId>>, style = Form, explode = false)]
    pub account_id: Option<OneOf<String>>,
    /// Only what was done at this time or later.
    pub created_after: Option<Timestamp>,
    /// Only what was done before this time.
    pub created_before: Option<Timestamp>,
}

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/audit-log").service(list_own)).service(scope("/v3/operator/audit-log").service(list_all));
}

/// Read the audit log of the account.
///
/// Who did what, newest first: users, keys, the operator, and the manager acting as the account.
#[utoipa::path(tag = "Audit log", operation_id = "listAuditEntries", params(AuditFilter),
    responses((status = 200, description = "One page of the log", body = AuditEntryList)),
    extensions(("x-accounts" = json!("any"))),
    security(("session" = ["owner"])))]
#[get("")]
async fn list_own(who: Account<Owner>, app: App, filter: Filter<AuditFilter>) -> Result<Listing> {
    let Filter { filter: AuditFilter { created_after, created_before }, page } = filter;
    let (account_id, after, limit) = (who.account_id()?, page.after_key()?, page.fetch());
    let wanted = Wanted { accounts: Some(vec![account_id]), created_after, created_before, after, limit };
    app.db.read(move |conn| page.rows(list(conn, &wanted)?, |row| row.id).map(AuditEntry::from).listing()).await
}

/// Read the whole audit log.
///
/// Of all accounts and of the operator's own affairs, newest first.
#[utoipa::path(tag = "Operator: accounts", operation_id = "listAllAuditEntries", params(OperatorAuditFilter),
    responses((status = 200, description = "One page of the log", body = AuditEntryList)),
    security(("apiKey" = ["operator:accounts"])))]
#[get("")]
async fn list_all(_who: Operator<OperatorAccounts>, app: App, filter: Filter<OperatorAuditFilter>) -> Result<Listing> {
    let Filter { filter: OperatorAuditFilter { account_id, created_after, created_before }, page } = filter;
    let (after, limit) = (page.after_key()?, page.fetch());
    let wanted = Wanted { accounts: account_id.map(OneOf::ids), created_after, created_before, after, limit };
    app.db.read(move |conn| page.rows(list(conn, &wanted)?, |row| row.id).map(AuditEntry::from).listing()).await
}

/// Writes that the context's actor did `action` to `resource`, in the log of `account_id`.
///
/// # Errors
/// The database's failure.
pub fn record(
    conn: &mut Conn,
    context: &Context,
    account_id: Option<AccountId>,
    action: &str,
    resource: impl Into<Resource>,
    details: Option<serde_json::Value>,
) -> Result<()> {
    record_rows(conn, &[AuditRow::new(context, account_id, action, resource.into(), details)])
}

/// [`record`] of several requests.
///
/// # Errors
/// The database's failure.
pub fn record_rows(conn: &mut Conn, rows: &[AuditRow]) -> Result<()> {
    insert_rows!(conn, audit_log::table, rows);
    Ok(())
}

struct Wanted {
    accounts: Option<Vec<AccountId>>,
    created_after: Option<Timestamp>,
    created_before: Option<Timestamp>,
    after: Option<AuditId>,
    limit: i64,
}

/// The wanted rows, newest first.
fn list(conn: &mut Conn, wanted: &Wanted) -> Result<Vec<AuditRow>> {
    let mut query = audit_log::table.select(AuditRow::as_select()).into_boxed();
    narrow!(query, audit_log::account_id, &wanted.accounts);
    if let Some(from) = wanted.created_after {
        query = query.filter(audit_log::created_at.ge(from)).filter(audit_log::id.ge(AuditId::earliest(from)));
    }
    if let Some(until) = wanted.created_before {
        query = query.filter(audit_log::created_at.lt(until));
    }
    if let Some(after) = wanted.after {
        query = query.filter(audit_log::id.lt(after));
    }
    Ok(query.order(audit_log::id.desc()).limit(wanted.limit).load(conn)?)
}
