//! The rules of an account's API keys.

use diesel::prelude::*;
use serde_json::json;

use super::models::{ApiKeyRow, CreateApiKey};
use super::secret::Secret;
use crate::accounts;
use crate::audit;
use crate::auth::{Scope, Scopes};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{api_key_hashes, api_keys};
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::id::{AccountId, ApiKeyId};

/// How many keys of an account may be active at once.
const MAX_ACTIVE: i64 = 10;

/// Up to `limit` keys before `after` that were not revoked, newest first.
///
/// # Errors
/// The database's failure.
pub fn list(conn: &mut Conn, account_id: AccountId, after: Option<ApiKeyId>, limit: i64) -> Result<Vec<ApiKeyRow>> {
    let mut query = api_keys::table
        .filter(api_keys::account_id.eq(account_id))
        .filter(api_keys::revoked_at.is_null())
        .select(ApiKeyRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(api_keys::id.lt(after));
    }
    Ok(query.order(api_keys::id.desc()).limit(limit).load(conn)?)
}

/// Makes a key and returns it with its text. The maker's scopes bound the key's.
///
/// # Errors
/// 422 for a scope that the maker lacks or an end that is not in the future; 409 `apiKeyLimitReached`.
pub fn create(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    makers_scopes: Scopes,
    input: &CreateApiKey,
) -> Result<(ApiKeyRow, String)> {
    // Under the lock, so that two requests at once cannot both take the last place.
    let (context, _) = &accounts::service::lock_one(conn, context, account_id)?;
    check(context.now, makers_scopes, input)?;
    let active = count_active(conn, account_id, context.now)?;
    if active >= MAX_ACTIVE {
        let detail =
            format!("the account has {active} active API keys, and {MAX_ACTIVE} are the most; revoke one first");
        return Err(Error::refused(Code::ApiKeyLimitReached, detail));
    }
    let secret = Secret::generate();
    let row = ApiKeyRow {
        account_id,
        id: ApiKeyId::new(context.now),
        name: input.name.clone(),
        hint: secret.hint(),
        scopes: Scopes::of(&input.scopes).to_text(),
        expires_at: input.expires_at,
        last_used_at: None,
        revoked_at: None,
        created_at: context.now,
    };
    diesel::insert_into(api_keys::table).values(row.clone()).execute(conn)?;
    diesel::insert_into(api_key_hashes::table)
        .values((
            api_key_hashes::hash.eq(secret.hash()),
            api_key_hashes::account_id.eq(account_id),
            api_key_hashes::key_id.eq(row.id),
        ))
        .execute(conn)?;
    let details = json!({ "name": row.name, "scopes": row.scopes, "expiresAt": row.expires_at });
    audit::record(conn, context, Some(account_id), "apiKey.created", row.id, Some(details))?;
    events::record(conn, context, account_id, EventType::ApiKeyCreated, row.id)?;
    Ok((row, secret.into_text()))
}

/// Revokes a key for ever.
///
/// # Errors
/// 404 where the account has no such key, or has revoked it before.
pub fn revoke(conn: &mut Conn, context: &Context, account_id: AccountId, id: ApiKeyId) -> Result<()> {
    let (context, _) = &accounts::service::lock_one(conn, context, account_id)?;
    let live = api_keys::table.find((account_id, id)).filter(api_keys::revoked_at.is_null());
    if diesel::update(live).set(api_keys::revoked_at.eq(context.now)).execute(conn)? == 0 {
        return Err(Error::not_found());
    }
    audit::record(conn, context, Some(account_id), "apiKey.revoked", id, None)?;
    events::record(conn, context, account_id, EventType::ApiKeyRevoked, id)
}

fn check(now: Timestamp, makers_scopes: Scopes, input: &CreateApiKey) -> Result<()> {
    let lacking = |(index, scope): (usize, &Scope)| {
        let detail = format!("{scope} is not a scope of this login, so its keys cannot have it");
        (!makers_scopes.contains(*scope)).then(|| Violation::at(format!("/scopes/{index}"), "scopeNotGranted", detail))
    };
    let mut violations: Vec<Violation> = input.scopes.iter().enumerate().filter_map(lacking).collect();
    if let Some(end) = input.expires_at.filter(|end| *end <= now) {
        violations.push(Violation::at("/expiresAt", "past", format!("{end} is not in the future; it is {now}")));
    }
    if violations.is_empty() { Ok(()) } else { Err(Problem::validation(violations).into()) }
}

/// Keys that are neither revoked nor expired.
fn count_active(conn: &mut Conn, account_id: AccountId, now: Timestamp) -> Result<i64> {
    Ok(api_keys::table
        .filter(api_keys::account_id.eq(account_id))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
        .count()
        .get_result(conn)?)
}
