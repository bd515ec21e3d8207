//! What the operator's support does with accounts: looks them up, blocks and unblocks them.

use actix_web::{HttpResponse, get, post, web};
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::models::{Account, AccountRow};
use super::{AccountKind, service};
use crate::audit;
use crate::auth::principal::{Operator, OperatorAccounts};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::schema::accounts;
use crate::db::{Conn, containing};
use crate::error::Result;
use crate::events::{self, EventType};
use crate::http::routes::ServiceConfig;
use crate::http::{Command, Filter, Listing, NoFields, OneOf, Reply, SearchWords, list_type, trimmed};
use crate::id::AccountId;
use crate::state::App;

list_type!(AccountList, Account, "One page of accounts, newest first.");

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct AccountFilter {
    /// Part of the e-mail address, the first owner's name or the company; or an account's id. Empty, it narrows nothing.
    #[param(value_type = Option<String>, max_length = 254, example = "archer")]
    pub q: Option<SearchWords>,
    /// Kinds of accounts.
    pub kind: Option<OneOf<AccountKind>>,
    /// Only accounts made at this time or later.
    pub created_after: Option<Timestamp>,
    /// Only accounts made before this time.
    pub created_before: Option<Timestamp>,
}

/// Why an account is blocked.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockAccount {
    /// For the audit log.
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S", example = "chargebacks under another name")]
    pub reason: String,
}

/// Registers the operations in the scope of the operator's accounts, where the operations on links are, too.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list).service(block).service(unblock).service(get);
}

/// List accounts.
///
/// Newest first.
#[utoipa::path(tag = "Operator: accounts", operation_id = "listAccounts", params(AccountFilter),
    responses((status = 200, description = "One page of accounts", body = AccountList)),
    security(("apiKey" = ["operator:accounts"])))]
#[get("")]
async fn list(_who: Operator<OperatorAccounts>, app: App, filter: Filter<AccountFilter>) -> Result<Listing> {
    let Filter { filter, page } = filter;
    let after = page.after_key()?;
    let fetch = page.fetch();
    app.db
        .read(move |conn| page.rows(search(conn, &filter, after, fetch)?, |row| row.id).map(Account::from).listing())
        .await
}

/// Get an account.
///
/// Any account, blocked or not.
#[utoipa::path(tag = "Operator: accounts", operation_id = "getAccountAsOperator",
    params(("accountId" = AccountId, Path, description = "The account")),
    responses((status = 200, description = "The account", body = Account)),
    security(("apiKey" = ["operator:accounts"])))]
#[get("/{accountId}")]
async fn get(_who: Operator<OperatorAccounts>, app: App, id: web::Path<AccountId>) -> Result<web::Json<Account>> {
    let row = app.db.read(move |conn| service::find(conn, *id)).await?;
    Ok(web::Json(row.into()))
}

/// Block an account.
///
/// At once nobody can sign in to it, and its keys and tokens are refused. Its commissions still arise, its payouts stop.
/// Blocking a blocked account changes nothing.
#[utoipa::path(tag = "Operator: accounts", operation_id = "blockAccount", request_body = BlockAccount,
    params(("accountId" = AccountId, Path, description = "The account")),
    responses((status = 200, description = "The account", body = Account)),
    security(("apiKey" = ["operator:accounts"])))]
#[post("/{accountId}/block")]
async fn block(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<BlockAccount>,
) -> Result<HttpResponse> {
    let effect = move |conn: &mut _, context: &_, input: &BlockAccount| {
        Reply::ok(&Account::from(set_blocked(conn, context, *id, Some(&input.reason))?))
    };
    let answer = app.execute(who.principal(), command, effect).await?;
    app.authenticator.forget();
    app.clicks.forget();
    Ok(answer)
}

/// Unblock an account.
///
/// Unblocking an account that is not blocked changes nothing.
#[utoipa::path(tag = "Operator: accounts", operation_id = "unblockAccount", request_body = NoFields,
    params(("accountId" = AccountId, Path, description = "The account")),
    responses((status = 200, description = "The account", body = Account)),
    security(("apiKey" = ["operator:accounts"])))]
#[post("/{accountId}/unblock")]
async fn unblock(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let effect = move |conn: &mut _, context: &_, _: &NoFields| {
        Reply::ok(&Account::from(set_blocked(conn, context, *id, None)?))
    };
    let answer = app.execute(who.principal(), command, effect).await?;
    app.authenticator.forget();
    app.clicks.forget();
    Ok(answer)
}

/// Up to `limit` accounts before `after`, newest first. It reads them all where `q` is given: for support, not for a
/// request path.
fn search(conn: &mut Conn, filter: &AccountFilter, after: Option<AccountId>, limit: i64) -> Result<Vec<AccountRow>> {
    let mut query = accounts::table.select(AccountRow::as_select()).into_boxed();
    if let Some(words) = filter.q.as_ref().and_then(SearchWords::some) {
        query = match words.parse::<AccountId>() {
            Ok(id) => query.filter(accounts::id.eq(id)),
            Err(_) => query.filter(accounts::search_text.like(containing(words)).escape('\\')),
        };
    }
    if let Some(OneOf(kinds)) = &filter.kind {
        query = query.filter(accounts::kind.eq_any(kinds.clone()));
    }
    if let Some(from) = filter.created_after {
        query = query.filter(accounts::created_at.ge(from));
    }
    if let Some(until) = filter.created_before {
        query = query.filter(accounts::created_at.lt(until));
    }
    if let Some(after) = after {
        query = query.filter(accounts::id.lt(after));
    }
    Ok(query.order(accounts::id.desc()).limit(limit).load(conn)?)
}

/// Blocks the account for a reason, or unblocks it.
fn set_blocked(conn: &mut Conn, context: &Context, id: AccountId, reason: Option<&str>) -> Result<AccountRow> {
    let (ref context, account) = service::lock_one(conn, context, id)?;
    if account.blocked_at.is_some() == reason.is_some() {
        return Ok(account);
    }
    let blocked_at = reason.map(|_| context.now);
    diesel::update(accounts::table.find(id)).set(accounts::blocked_at.eq(blocked_at)).execute(conn)?;
    let (action, event) = match reason {
        Some(_) => ("account.blocked", EventType::AccountBlocked),
        None => ("account.unblocked", EventType::AccountUnblocked),
    };
    audit::record(conn, context, Some(id), action, id, reason.map(|reason| json!({ "reason": reason })))?;
    events::record(conn, context, id, event, id)?;
    Ok(AccountRow { blocked_at, ..account })
}
