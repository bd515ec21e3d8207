//! Sessions: signing in, refreshing, signing out. A session lives 30 days from its last refresh, by the machine's clock.
//!
//! A refresh token is good once. Who uses one again holds a copy, the owner or a thief, and nobody can tell which: the
//! session ends. What sets a password or opens a session holds the lock of the account's row; a refresh and a sign-out are
//! each decided by one update of the session's own row. What holds a hash or a token is never `Debug`.

use diesel::prelude::*;

use super::{password_tokens, service};
use crate::audit;
use crate::auth::TokenKeys;
use crate::auth::authenticator::{blocked, invalid};
use crate::auth::token::RefreshToken;
use crate::clock::Timestamp;
use crate::context::{Actor, ActorKind, Context};
use crate::db::Conn;
use crate::db::schema::{accounts, sessions, user_emails, users};
use crate::error::{Code, Error, Result};
use crate::id::{AccountId, SessionId, UserId};
use crate::mail::outbox;

const LIFETIME_DAYS: i64 = 30;

/// Who may be about to sign in.
#[derive(Queryable)]
pub struct Candidate {
    /// The user.
    pub user_id: UserId,
    /// Its account.
    pub account_id: AccountId,
    /// Argon2id; none until a password is set.
    pub password_hash: Option<String>,
}

/// The tokens of a session.
pub struct Tokens {
    /// JWT.
    pub access_token: String,
    /// End of the access token.
    pub expires_at: Timestamp,
    /// For the next refresh.
    pub refresh_token: String,
}

/// What became of a refresh.
pub enum Refreshed {
    /// The session goes on.
    Renewed(Tokens),
    /// The token was used before: the session has ended, which must be committed.
    Reused,
}

/// The user with this e-mail address.
///
/// # Errors
/// The database's failure.
pub fn candidate(conn: &mut Conn, email: &str) -> Result<Option<Candidate>> {
    Ok(user_emails::table
        .inner_join(users::table.on(users::id.eq(user_emails::user_id)))
        .filter(user_emails::email_key.eq(service::email_key(email)))
        .select((users::id, users::account_id, users::password_hash))
        .get_result(conn)
        .optional()?)
}

/// The signed-in user as a candidate: for operations that ask for the password again.
///
/// # Errors
/// 401 `invalidCredentials` where the user was removed meanwhile; the database's failure.
pub fn candidate_by_id(conn: &mut Conn, user_id: UserId) -> Result<Candidate> {
    let columns = (users::id, users::account_id, users::password_hash);
    users::table.find(user_id).select(columns).get_result(conn).optional()?.ok_or_else(invalid)
}

/// Starts a session of a user whose password was found right.
///
/// # Errors
/// 403 `accountBlocked`; 401 `invalidCredentials` when the password was changed meanwhile.
pub fn sign_in(conn: &mut Conn, context: &Context, keys: &TokenKeys, verified: &Candidate) -> Result<Tokens> {
    let (context, account) = &service::lock_one(conn, context, verified.account_id)?;
    if !holds(conn, verified)? {
        return Err(wrong_password());
    }
    if account.blocked_at.is_some() {
        return Err(blocked());
    }
    let now = Timestamp::machine();
    let session_id = SessionId::new(context.now);
    let (tokens, refresh) = issue(keys, now, verified.user_id, session_id)?;
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session_id),
            sessions::user_id.eq(verified.user_id),
            sessions::refresh_hash.eq(refresh.hash.to_vec()),
            sessions::created_at.eq(now),
            sessions::expires_at.eq(now.plus_days(LIFETIME_DAYS)),
        ))
        .execute(conn)?;
    let context = as_user(context, verified.user_id);
    audit::record(conn, &context, Some(verified.account_id), "session.created", session_id, None)?;
    Ok(tokens)
}

/// Exchanges a refresh token for new tokens; of two uses at once one wins, and the other ends the session. While the account
/// is blocked a token that is still good stays so.
///
/// # Errors
/// 401 `invalidCredentials`: no such session, or it has ended; 403 `accountBlocked`, told of a token that is still good only.
pub fn refresh(conn: &mut Conn, context: &Context, keys: &TokenKeys, token: RefreshToken) -> Result<Refreshed> {
    let now = Timestamp::machine();
    let session_id = token.session_id;
    let session: Option<(UserId, AccountId, Option<Timestamp>, Vec<u8>)> = sessions::table
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .inner_join(accounts::table.on(accounts::id.eq(users::account_id)))
        .filter(sessions::id.eq(session_id))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .select((users::id, users::account_id, accounts::blocked_at, sessions::refresh_hash))
        .get_result(conn)
        .optional()?;
    let (user_id, account_id, blocked_at, present_hash) = session.ok_or_else(invalid)?;
    // Before anything else: a copy in wrong hands ends the session, whatever else stands against the refresh.
    let is_present = present_hash == token.hash;
    if is_present && blocked_at.is_some() {
        return Err(blocked());
    }
    let (tokens, next) = issue(keys, now, user_id, session_id)?;
    if is_present && rotate(conn, now, &token, &next)? {
        return Ok(Refreshed::Renewed(tokens));
    }
    // Ended since it was read: by a sign-out or a change of the password, not by this.
    if !end(conn, session_id)? {
        return Err(invalid());
    }
    let context = as_user(context, user_id);
    audit::record(conn, &context, Some(account_id), "session.refreshTokenReused", session_id, None)?;
    Ok(Refreshed::Reused)
}

/// Ends a session by its user's wish.
///
/// # Errors
/// The database's failure.
pub fn sign_out(conn: &mut Conn, context: &Context, account_id: AccountId, session_id: SessionId) -> Result<()> {
    if end(conn, session_id)? {
        audit::record(conn, context, Some(account_id), "session.ended", session_id, None)?;
    }
    Ok(())
}

/// Sets a user's password and ends all its sessions. `verified` is the user as its present password was found right.
///
/// # Errors
/// 422 `wrongPassword` when the password was changed meanwhile; the database's failure.
pub fn change_password(conn: &mut Conn, context: &Context, verified: &Candidate, new_hash: &str) -> Result<()> {
    let (context, _) = &service::lock_one(conn, context, verified.account_id)?;
    if !holds(conn, verified)? {
        return Err(wrong_current_password("/currentPassword"));
    }
    withdraw_links(conn, verified.user_id)?;
    set_password(conn, verified.user_id, new_hash)?;
    audit::record(conn, context, Some(verified.account_id), "user.passwordChanged", verified.user_id, None)
}

/// Withdraws the letters that would bring a user another link to set its password. Whoever sets the password does so before it
/// touches the user's token, in the order of the courier, whose letter takes the token's place: a letter that is on its way
/// now has left its token when this goes on. Wants the account's row to be locked.
///
/// # Errors
/// The database's failure.
pub fn withdraw_links(conn: &mut Conn, user_id: UserId) -> Result<()> {
    let email: Option<String> = users::table.find(user_id).select(users::email).get_result(conn).optional()?;
    email.map_or(Ok(()), |email| outbox::withdraw_links(conn, user_id, &email, None))
}

/// Sets a user's password; ends all its sessions, and its token for setting one. Wants the account's row to be locked, and its
/// [letters withdrawn](withdraw_links).
///
/// # Errors
/// The database's failure.
pub fn set_password(conn: &mut Conn, user_id: UserId, new_hash: &str) -> Result<()> {
    diesel::update(users::table.find(user_id)).set(users::password_hash.eq(new_hash)).execute(conn)?;
    let live = sessions::table.filter(sessions::user_id.eq(user_id)).filter(sessions::ended_at.is_null());
    diesel::update(live).set(sessions::ended_at.eq(Timestamp::machine())).execute(conn)?;
    password_tokens::revoke(conn, user_id)
}

/// 401: says nothing of whether the e-mail address is a user's.
#[must_use]
pub fn wrong_password() -> Error {
    Error::refused(Code::InvalidCredentials, "the e-mail address or the password is wrong")
}

/// 422: the present password, asked for once more at `pointer`, is wrong.
#[must_use]
pub fn wrong_current_password(pointer: &str) -> Error {
    Error::invalid(pointer, "wrongPassword", "is not the present password")
}

/// Whether the user still has the password that was verified.
///
/// # Errors
/// The database's failure.
pub fn holds(conn: &mut Conn, verified: &Candidate) -> Result<bool> {
    let hash: Option<Option<String>> =
        users::table.find(verified.user_id).select(users::password_hash).get_result(conn).optional()?;
    Ok(hash.flatten() == verified.password_hash && verified.password_hash.is_some())
}

fn issue(keys: &TokenKeys, now: Timestamp, user_id: UserId, session_id: SessionId) -> Result<(Tokens, RefreshToken)> {
    let access = keys.issue_access(now, user_id, session_id)?;
    let (refresh_token, refresh) = keys.issue_refresh(session_id);
    Ok((Tokens { access_token: access.token, expires_at: access.expires_at, refresh_token }, refresh))
}

/// Puts `next` in the place of `token`; whether that was still the session's present one.
fn rotate(conn: &mut Conn, now: Timestamp, token: &RefreshToken, next: &RefreshToken) -> Result<bool> {
    let unused = sessions::table
        .find(token.session_id)
        .filter(sessions::refresh_hash.eq(token.hash.to_vec()))
        .filter(sessions::ended_at.is_null());
    let renewed =
        (sessions::refresh_hash.eq(next.hash.to_vec()), sessions::expires_at.eq(now.plus_days(LIFETIME_DAYS)));
    Ok(diesel::update(unused).set(renewed).execute(conn)? == 1)
}

fn end(conn: &mut Conn, session_id: SessionId) -> Result<bool> {
    let live = sessions::table.find(session_id).filter(sessions::ended_at.is_null());
    Ok(diesel::update(live).set(sessions::ended_at.eq(Timestamp::machine())).execute(conn)? == 1)
}

fn as_user(context: &Context, user_id: UserId) -> Context {
    let actor = Actor { kind: ActorKind::User, id: user_id.to_string(), acting_account: None };
    Context { actor, ..context.clone() }
}
