//! Tokens for setting a password without knowing the old one: of forgotten passwords and of invitations.
//!
//! A user has at most one, good once; a newer one takes its place, and any change of the password ends it. The database
//! keeps SHA-256 alone: 256 random bits need no slower hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;

use super::models::UserRow;
use super::{service, sessions};
use crate::audit;
use crate::clock::Timestamp;
use crate::context::{Actor, ActorKind, Context};
use crate::crypto;
use crate::db::Conn;
use crate::db::schema::{password_tokens, users};
use crate::error::{Code, Error, Result};
use crate::id::UserId;
use crate::mail::TokenKind;

const RESET_SECONDS: i64 = 3_600;
const INVITATION_DAYS: i64 = 7;

/// Until when a token is good that was asked for at `created_at`, in the domain's time.
#[must_use]
pub fn expiry(created_at: Timestamp, kind: TokenKind) -> Timestamp {
    match kind {
        TokenKind::Reset => created_at.plus_seconds(RESET_SECONDS),
        TokenKind::Invitation => created_at.plus_days(INVITATION_DAYS),
    }
}

/// A new token for the user, asked for at `created_at` in the domain's time, instead of any that was asked for until then;
/// none where the user has one that was asked for later.
///
/// # Errors
/// The database's failure.
pub fn issue(conn: &mut Conn, created_at: Timestamp, user_id: UserId, kind: TokenKind) -> Result<Option<String>> {
    let newer = password_tokens::table.find(user_id).filter(password_tokens::created_at.gt(created_at));
    if newer.select(password_tokens::user_id).get_result::<UserId>(conn).optional()?.is_some() {
        return Ok(None);
    }
    let token = URL_SAFE_NO_PAD.encode(crypto::random_bytes::<32>());
    let values = (
        password_tokens::user_id.eq(user_id),
        password_tokens::hash.eq(crypto::sha256(token.as_bytes()).to_vec()),
        password_tokens::kind.eq(kind),
        password_tokens::expires_at.eq(expiry(created_at, kind)),
        password_tokens::created_at.eq(created_at),
    );
    revoke(conn, user_id)?;
    diesel::insert_into(password_tokens::table).values(values).execute(conn)?;
    Ok(Some(token))
}

/// Ends the user's token, if there is one.
///
/// # Errors
/// The database's failure.
pub fn revoke(conn: &mut Conn, user_id: UserId) -> Result<()> {
    diesel::delete(password_tokens::table.find(user_id)).execute(conn)?;
    Ok(())
}

/// Whose token it is.
///
/// # Errors
/// 422 `invalidToken`: unknown, used, replaced or expired.
pub fn holder(conn: &mut Conn, now: Timestamp, token: &str) -> Result<UserRow> {
    let hash = crypto::sha256(token.as_bytes()).to_vec();
    let user = password_tokens::table
        .inner_join(users::table.on(users::id.eq(password_tokens::user_id)))
        .filter(password_tokens::hash.eq(hash))
        .filter(password_tokens::expires_at.gt(now))
        .select(UserRow::as_select())
        .get_result(conn)
        .optional()?;
    user.ok_or_else(invalid)
}

/// Uses the token of `user` up: sets the password, ends all sessions.
///
/// # Errors
/// 422 `invalidToken`; the database's failure.
pub fn redeem(conn: &mut Conn, context: &Context, user: &UserRow, token: &str, new_hash: &str) -> Result<()> {
    let (context, _) = service::lock_one(conn, context, user.account_id)?;
    sessions::withdraw_links(conn, user.id)?;
    let token_row = password_tokens::table
        .find(user.id)
        .filter(password_tokens::hash.eq(crypto::sha256(token.as_bytes()).to_vec()))
        .filter(password_tokens::expires_at.gt(context.now));
    let kind: Option<TokenKind> =
        diesel::delete(token_row).returning(password_tokens::kind).get_result(conn).optional()?;
    let kind = kind.ok_or_else(invalid)?;
    sessions::set_password(conn, user.id, new_hash)?;
    let actor = Actor { kind: ActorKind::User, id: user.id.to_string(), acting_account: None };
    let context = Context { actor, ..context };
    let action = match kind {
        TokenKind::Reset => "user.passwordReset",
        TokenKind::Invitation => "user.invitationAccepted",
    };
    audit::record(conn, &context, Some(user.account_id), action, user.id, None)
}

fn invalid() -> Error {
    Error::refused(Code::InvalidToken, "the token is unknown, used, replaced by a newer one, or expired")
}
