//! From a credential to its principal: one query each. Decides nothing about time or blocking; the authenticator does.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::principal::{Credential, Principal, PrincipalKind};
use super::scope::Scopes;
use super::token::ActorClaim;
use crate::accounts::{AccountKind, Role};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{accounts, api_key_hashes, api_keys, operator_keys, sessions, sub_account_links, users};
use crate::error::Result;
use crate::id::{AccountId, ApiKeyId, OperatorKeyId, SessionId, UserId};

/// A principal with what may still refuse it.
#[derive(Debug, Clone)]
pub struct Found {
    /// Who it is.
    pub principal: Principal,
    /// Whether the account, or the manager that acts for it, is blocked.
    pub is_blocked: bool,
    /// When an API key ends, in the domain's time.
    pub key_expires_at: Option<Timestamp>,
}

/// The principal of the key with this hash, an account's or an operator's; none when it is unknown or revoked.
///
/// # Errors
/// The database's failure.
pub fn by_key(conn: &mut Conn, hash: [u8; 32]) -> Result<Option<Found>> {
    match by_account_key(conn, hash)? {
        Some(found) => Ok(Some(found)),
        None => by_operator_key(conn, hash),
    }
}

fn by_account_key(conn: &mut Conn, hash: [u8; 32]) -> Result<Option<Found>> {
    type Row = (AccountId, AccountKind, Option<Timestamp>, ApiKeyId, String, Option<Timestamp>);
    let same_key = api_keys::account_id.eq(api_key_hashes::account_id).and(api_keys::id.eq(api_key_hashes::key_id));
    let row: Option<Row> = api_key_hashes::table
        .inner_join(api_keys::table.on(same_key))
        .inner_join(accounts::table.on(accounts::id.eq(api_key_hashes::account_id)))
        .filter(api_key_hashes::hash.eq(hash.to_vec()))
        .filter(api_keys::revoked_at.is_null())
        .select((
            accounts::id,
            accounts::kind,
            accounts::blocked_at,
            api_keys::id,
            api_keys::scopes,
            api_keys::expires_at,
        ))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(account_id, kind, blocked_at, key_id, scopes, key_expires_at)| Found {
        principal: Principal {
            kind: PrincipalKind::Account(kind),
            account_id: Some(account_id),
            credential: Credential::ApiKey(key_id),
            scopes: Scopes::from_text(&scopes).and(Scopes::of_owner(kind)),
        },
        is_blocked: blocked_at.is_some(),
        key_expires_at,
    }))
}

fn by_operator_key(conn: &mut Conn, hash: [u8; 32]) -> Result<Option<Found>> {
    let row: Option<(OperatorKeyId, String)> = operator_keys::table
        .filter(operator_keys::hash.eq(hash.to_vec()))
        .filter(operator_keys::revoked_at.is_null())
        .select((operator_keys::id, operator_keys::scopes))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(key_id, scopes)| Found {
        principal: Principal {
            kind: PrincipalKind::Operator,
            account_id: None,
            credential: Credential::Operator(key_id),
            scopes: Scopes::from_text(&scopes).and(Scopes::of_operator()),
        },
        is_blocked: false,
        key_expires_at: None,
    }))
}

/// The principal of a session that is live at `machine_now` and belongs to this user.
///
/// # Errors
/// The database's failure.
pub fn by_session(
    conn: &mut Conn,
    machine_now: Timestamp,
    user_id: UserId,
    session_id: SessionId,
) -> Result<Option<Found>> {
    type Row = (AccountId, AccountKind, Option<Timestamp>, Role);
    let row: Option<Row> = sessions::table
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .inner_join(accounts::table.on(accounts::id.eq(users::account_id)))
        .filter(sessions::id.eq(session_id))
        .filter(sessions::user_id.eq(user_id))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(machine_now))
        .select((accounts::id, accounts::kind, accounts::blocked_at, users::role))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(account_id, kind, blocked_at, role)| Found {
        principal: Principal {
            kind: PrincipalKind::Account(kind),
            account_id: Some(account_id),
            credential: Credential::Login { user_id, session_id, role },
            scopes: match role {
                Role::Owner => Scopes::of_owner(kind),
                Role::Member => Scopes::of_member(kind),
            },
        },
        is_blocked: blocked_at.is_some(),
        key_expires_at: None,
    }))
}

/// The principal of a manager acting as `client_id`: while the client is its sub-account with access granted, and while
/// the session (or, where an API key asked, the key) is live that the manager acted by. Sessions end by the machine's
/// time, keys by the domain's.
///
/// # Errors
/// The database's failure.
pub fn by_impersonation(
    conn: &mut Conn,
    (machine_now, domain_now): (Timestamp, Timestamp),
    client_id: AccountId,
    actor: &ActorClaim,
    session_id: Option<SessionId>,
) -> Result<Option<Found>> {
    type Row = (AccountKind, Option<Timestamp>, Option<Timestamp>);
    let managers = diesel::alias!(accounts as managers);
    let link = sub_account_links::table
        .inner_join(accounts::table.on(accounts::id.eq(sub_account_links::client_id)))
        .inner_join(managers.on(managers.field(accounts::id).eq(sub_account_links::account_id)))
        .filter(sub_account_links::client_id.eq(client_id))
        .filter(sub_account_links::account_id.eq(actor.acc))
        .filter(sub_account_links::detached_at.is_null())
        .filter(sub_account_links::access.eq("granted"))
        .select((accounts::kind, accounts::blocked_at, managers.field(accounts::blocked_at)));
    let row: Option<Row> = match (actor.sub.parse::<UserId>(), actor.sub.parse::<ApiKeyId>(), session_id) {
        (Ok(user_id), _, Some(session_id)) => {
            let live = sessions::table
                .inner_join(users::table.on(users::id.eq(sessions::user_id)))
                .filter(sessions::id.eq(session_id))
                .filter(users::id.eq(user_id))
                .filter(users::account_id.eq(actor.acc))
                .filter(sessions::ended_at.is_null())
                .filter(sessions::expires_at.gt(machine_now));
            link.filter(exists(live)).get_result(conn).optional()?
        }
        (_, Ok(key_id), None) => {
            let live = api_keys::table
                .filter(api_keys::account_id.eq(actor.acc))
                .filter(api_keys::id.eq(key_id))
                .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(domain_now)))
                .filter(api_keys::revoked_at.is_null());
            link.filter(exists(live)).get_result(conn).optional()?
        }
        _ => None,
    };
    Ok(row.map(|(kind, client_blocked_at, manager_blocked_at)| Found {
        principal: Principal {
            kind: PrincipalKind::Account(kind),
            account_id: Some(client_id),
            credential: Credential::Impersonation { manager_id: actor.acc, actor: actor.sub.clone() },
            scopes: Scopes::of_impersonation(),
        },
        is_blocked: client_blocked_at.is_some() || manager_blocked_at.is_some(),
        key_expires_at: None,
    }))
}
