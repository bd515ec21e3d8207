//! The team of an account: its users. An account always keeps an owner who can sign in, as soon as it has one; its own
//! address and names are those of the first owner. All that changes a team holds the lock of the account's row.

use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::models::{AccountRow, UserRow};
use super::{Role, service};
use crate::audit;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts, users};
use crate::error::{Code, Error, OrNotFound, Result};
use crate::events::{self, EventType};
use crate::http::{Page, trimmed, trimmed_present};
use crate::id::{AccountId, UserId};
use crate::mail::{self, Letter, Recipient};

/// Users of one account *(our default)*.
const MAX_MEMBERS: i64 = 100;

/// A person with a login to the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its id.
    pub id: UserId,
    /// The e-mail address that it signs in with.
    #[schema(format = "email", example = "max@agency.example")]
    pub email: String,
    /// First name.
    #[schema(example = "Max")]
    pub first_name: String,
    /// Last name.
    #[schema(example = "Moreau")]
    pub last_name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it has not set a password yet, and so cannot sign in.
    #[schema(example = true)]
    pub invitation_pending: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<UserRow> for Member {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            role: row.role,
            invitation_pending: row.password_hash.is_none(),
            created_at: row.created_at,
        }
    }
}

/// A new member of the team; it gets an invitation.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddMember {
    /// Its e-mail address; no user may have it yet.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "super::models::validate_email"))]
    #[schema(format = "email", max_length = 254, example = "max@agency.example")]
    pub email: String,
    /// First name.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "super::models::validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Max")]
    pub first_name: String,
    /// Last name.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "super::models::validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Moreau")]
    pub last_name: String,
    /// What it shall be allowed.
    pub role: Role,
}

/// A change to a member: JSON Merge Patch.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateMember {
    /// First name.
    #[serde(default, deserialize_with = "trimmed_present")]
    #[validate(custom(function = "super::models::validate_name"))]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Max")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, deserialize_with = "trimmed_present")]
    #[validate(custom(function = "super::models::validate_name"))]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Moreau")]
    pub last_name: Option<String>,
    /// What it shall be allowed.
    #[serde(default, deserialize_with = "crate::http::present")]
    #[schema(nullable = false)]
    pub role: Option<Role>,
}

/// A page of the account's users, newest first.
///
/// # Errors
/// The database's failure.
pub fn list(conn: &mut Conn, account_id: AccountId, page: &Page) -> Result<Vec<UserRow>> {
    let mut query = users::table
        .filter(users::account_id.eq(account_id))
        .order(users::id.desc())
        .limit(page.fetch())
        .select(UserRow::as_select())
        .into_boxed();
    if let Some(after) = page.after_key::<UserId>()? {
        query = query.filter(users::id.lt(after));
    }
    Ok(query.load(conn)?)
}

/// Makes a user of the account and invites it.
///
/// # Errors
/// 409 `emailTaken` or `memberLimitReached`.
pub fn add(conn: &mut Conn, context: &Context, account_id: AccountId, input: &AddMember) -> Result<UserRow> {
    let (context, account) = &service::lock_one(conn, context, account_id)?;
    let team: i64 = users::table.filter(users::account_id.eq(account_id)).select(count_star()).get_result(conn)?;
    if team >= MAX_MEMBERS {
        let detail = format!("the team has {team} of at most {MAX_MEMBERS} members");
        return Err(Error::refused(Code::MemberLimitReached, detail));
    }
    let user = UserRow {
        id: UserId::new(context.now),
        account_id,
        email: input.email.clone(),
        first_name: input.first_name.clone(),
        last_name: input.last_name.clone(),
        role: input.role,
        password_hash: None,
        created_at: context.now,
    };
    service::insert_user(conn, user.clone())?;
    mail::enqueue(conn, context, Recipient::User(user.id), &Letter::MemberInvitation { team: account.signature() })?;
    let details = json!({ "email": user.email, "role": user.role });
    audit::record(conn, context, Some(account_id), "member.created", user.id, Some(details))?;
    Ok(user)
}

/// Changes a user's names and role.
///
/// # Errors
/// 404 for a missing user and for another account's; 409 `lastOwner`.
pub fn update(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    user_id: UserId,
    change: &UpdateMember,
) -> Result<UserRow> {
    let (context, account) = &service::lock_one(conn, context, account_id)?;
    let old = find(conn, account_id, user_id)?;
    let new = UserRow {
        first_name: change.first_name.clone().unwrap_or_else(|| old.first_name.clone()),
        last_name: change.last_name.clone().unwrap_or_else(|| old.last_name.clone()),
        role: change.role.unwrap_or(old.role),
        ..old.clone()
    };
    if new == old {
        return Ok(old);
    }
    if new.role != Role::Owner {
        keep_an_owner(conn, account_id, user_id)?;
    }
    diesel::update(users::table.find(user_id))
        .set((users::first_name.eq(&new.first_name), users::last_name.eq(&new.last_name), users::role.eq(new.role)))
        .execute(conn)?;
    let details = json!({
        "before": { "firstName": old.first_name, "lastName": old.last_name, "role": old.role },
        "after": { "firstName": new.first_name, "lastName": new.last_name, "role": new.role },
    });
    audit::record(conn, context, Some(account_id), "member.updated", user_id, Some(details))?;
    follow_first_owner(conn, context, account)?;
    Ok(new)
}

/// Removes a user, and with it its sessions.
///
/// # Errors
/// 404 for a missing user and for another account's; 409 `lastOwner`.
pub fn remove(conn: &mut Conn, context: &Context, account_id: AccountId, user_id: UserId) -> Result<()> {
    let (context, account) = &service::lock_one(conn, context, account_id)?;
    let user = find(conn, account_id, user_id)?;
    keep_an_owner(conn, account_id, user_id)?;
    // Its sessions, its place in the directory of addresses and its token go with it.
    diesel::delete(users::table.find(user_id)).execute(conn)?;
    let details = json!({ "email": user.email, "role": user.role });
    audit::record(conn, context, Some(account_id), "member.deleted", user_id, Some(details))?;
    follow_first_owner(conn, context, account)
}

fn find(conn: &mut Conn, account_id: AccountId, user_id: UserId) -> Result<UserRow> {
    users::table
        .find(user_id)
        .filter(users::account_id.eq(account_id))
        .select(UserRow::as_select())
        .get_result(conn)
        .or_not_found()
}

/// Refuses what would leave the account without an owner who can sign in, were `user_id` none any more. Who has not accepted
/// the invitation may never do so.
fn keep_an_owner(conn: &mut Conn, account_id: AccountId, user_id: UserId) -> Result<()> {
    let others: i64 = users::table
        .filter(users::account_id.eq(account_id))
        .filter(users::role.eq(Role::Owner))
        .filter(users::password_hash.is_not_null())
        .filter(users::id.ne(user_id))
        .select(count_star())
        .get_result(conn)?;
    if others == 0 {
        return Err(Error::refused(Code::LastOwner, "the user is the account's only owner who has set a password"));
    }
    Ok(())
}

/// Gives the account the address and names of its first owner, who may be another one now.
fn follow_first_owner(conn: &mut Conn, context: &Context, account: &AccountRow) -> Result<()> {
    let Some(owner) = service::first_owner(conn, account.id)? else { return Ok(()) };
    let UserRow { email, first_name, last_name, .. } = owner;
    let new = AccountRow { email, first_name, last_name, ..account.clone() }.searchable();
    if new == *account {
        return Ok(());
    }
    diesel::update(accounts::table.find(account.id))
        .set((
            accounts::email.eq(&new.email),
            accounts::first_name.eq(&new.first_name),
            accounts::last_name.eq(&new.last_name),
            accounts::search_text.eq(&new.search_text),
        ))
        .execute(conn)?;
    events::record(conn, context, account.id, EventType::AccountUpdated, account.id)
}
