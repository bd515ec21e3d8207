//! The operator's API keys: made, listed and revoked on the command line alone. No key belongs to an account.

use diesel::prelude::*;
use serde_json::json;

use super::secret::Secret;
use crate::audit;
use crate::auth::Scopes;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::operator_keys;
use crate::error::{OrNotFound, Result};
use crate::id::OperatorKeyId;

/// A key as the database keeps it, without its hash.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operator_keys)]
pub struct OperatorKey {
    /// Its id.
    pub id: OperatorKeyId,
    /// What it is for.
    pub name: String,
    /// Its last 4 characters.
    pub hint: String,
    /// What it may do: scopes with spaces between.
    pub scopes: String,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is useless.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a key and returns its text, which is shown once.
///
/// # Errors
/// The database's failure.
pub fn create(conn: &mut Conn, context: &Context, name: &str, scopes: Scopes) -> Result<String> {
    let secret = Secret::generate();
    let id = OperatorKeyId::new(context.now);
    let scopes = scopes.to_text();
    diesel::insert_into(operator_keys::table)
        .values((
            operator_keys::id.eq(id),
            operator_keys::name.eq(name),
            operator_keys::hash.eq(secret.hash()),
            operator_keys::hint.eq(secret.hint()),
            operator_keys::scopes.eq(&scopes),
            operator_keys::created_at.eq(context.now),
        ))
        .execute(conn)?;
    audit::record(conn, context, None, "operatorKey.created", id, Some(json!({ "name": name, "scopes": scopes })))?;
    Ok(secret.into_text())
}

/// Every key, revoked ones too, oldest first.
///
/// # Errors
/// The database's failure.
pub fn list(conn: &mut Conn) -> Result<Vec<OperatorKey>> {
    Ok(operator_keys::table.order(operator_keys::id).select(OperatorKey::as_select()).load(conn)?)
}

/// Makes a key useless; servers notice within a second. Revoking it again changes nothing.
///
/// # Errors
/// `notFound` for an unknown id; the database's failure.
pub fn revoke(conn: &mut Conn, context: &Context, id: OperatorKeyId) -> Result<()> {
    let row = operator_keys::table.filter(operator_keys::id.eq(id));
    let revoked_at: Option<Timestamp> = row.select(operator_keys::revoked_at).get_result(conn).or_not_found()?;
    if revoked_at.is_none() {
        diesel::update(row).set(operator_keys::revoked_at.eq(context.now)).execute(conn)?;
        audit::record(conn, context, None, "operatorKey.revoked", id, None)?;
    }
    Ok(())
}
