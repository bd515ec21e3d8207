//! The rules of accounts and users. One account has at least one owner; e-mail addresses are unique over all users.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use serde_json::json;

use super::models::{AccountRow, UpdateAccount, UserRow};
use super::{AccountKind, Role};
use crate::audit;
use crate::context::Context;
use crate::db::schema::{accounts, user_emails, users};
use crate::db::{Conn, KeepPrepared, few_sizes, is_unique_violation, overtaken};
use crate::error::{Code, Error, OrNotFound, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::id::{AccountId, UserId};
use crate::referrals;

/// An account that is to be, with its owner.
#[derive(Clone)]
pub struct NewAccount {
    /// What it is.
    pub kind: AccountKind,
    /// The owner's e-mail address.
    pub email: String,
    /// The owner's first name.
    pub first_name: String,
    /// The owner's last name.
    pub last_name: String,
    /// Company.
    pub company_name: Option<String>,
    /// Argon2id; none when the owner is to be invited.
    pub password_hash: Option<String>,
}

/// Locks the rows of `ids` until the commit and returns those that exist, in the order of their ids. For work in which no time
/// counts, or that tells it by itself; all other work wants [`lock`] or its kin.
///
/// One order for everybody keeps transactions from waiting for each other in a circle. `NO KEY` lets rows that refer to an
/// account be inserted meanwhile. On SQLite all writes use one connection, so there is nothing to lock.
///
/// # Errors
/// The database's failure.
pub fn lock_rows(conn: &mut Conn, ids: &[AccountId]) -> Result<Vec<AccountRow>> {
    let query = accounts::table.filter(accounts::id.eq_any(few_sizes(ids))).order(accounts::id);
    Ok(match conn {
        Conn::Postgres(postgres) => query.for_no_key_update().select(AccountRow::as_select()).load(postgres)?,
        Conn::Sqlite(sqlite) => query.select(AccountRow::as_select()).kept().load(sqlite)?,
    })
}

/// [`lock_rows`], and the context [at the moment](Context::under_locks) at which they are locked: what is written by it follows
/// what was written while it waited.
///
/// # Errors
/// The database's failure.
pub fn lock(conn: &mut Conn, context: &Context, ids: &[AccountId]) -> Result<(Context, Vec<AccountRow>)> {
    let rows = lock_rows(conn, ids)?;
    Ok((context.under_locks(), rows))
}

/// [`lock`] for all accounts that something concerns, where others may change meanwhile which ones these are: all that
/// `concerned` tells under the locks are locked.
///
/// # Errors
/// As [`lock_around`].
pub fn lock_concerned(
    conn: &mut Conn,
    context: &Context,
    concerned: impl Fn(&mut Conn) -> Result<BTreeSet<AccountId>>,
) -> Result<(Context, BTreeMap<AccountId, AccountRow>)> {
    let (context, locked, _) = lock_around(conn, context, concerned, BTreeSet::clone)?;
    Ok((context, locked))
}

/// [`lock_concerned`] for what tells more than the accounts: `load` reads it, `concerned` names the accounts in it, and it is
/// returned as it was under the locks. Where these are more accounts than were locked, the transaction gives its locks back and
/// runs again: to wait for one more with others held would be against the order of the ids.
///
/// # Errors
/// What has the transaction run again, which ends as 503 where they change again and again; the database's failure.
pub fn lock_around<T>(
    conn: &mut Conn,
    context: &Context,
    load: impl Fn(&mut Conn) -> Result<T>,
    concerned: impl Fn(&T) -> BTreeSet<AccountId>,
) -> Result<(Context, BTreeMap<AccountId, AccountRow>, T)> {
    let mut loaded = load(conn)?;
    let ids: Vec<AccountId> = concerned(&loaded).into_iter().collect();
    let (context, locked) = lock(conn, context, &ids)?;
    let locked: BTreeMap<_, _> = locked.into_iter().map(|row| (row.id, row)).collect();
    // On SQLite nobody else writes meanwhile.
    if matches!(conn, Conn::Postgres(_)) {
        loaded = load(conn)?;
        if concerned(&loaded).iter().any(|id| ids.binary_search(id).is_err()) {
            return Err(overtaken("those whom a change concerns have changed meanwhile"));
        }
    }
    Ok((context, locked, loaded))
}

/// [`lock`] for one account.
///
/// # Errors
/// 404 where there is none; the database's failure.
pub fn lock_one(conn: &mut Conn, context: &Context, id: AccountId) -> Result<(Context, AccountRow)> {
    let (context, mut rows) = lock(conn, context, &[id])?;
    Ok((context, rows.pop().ok_or_else(Error::not_found)?))
}

/// The account.
///
/// # Errors
/// 404 where there is none; the database's failure.
pub fn find(conn: &mut Conn, id: AccountId) -> Result<AccountRow> {
    accounts::table.find(id).select(AccountRow::as_select()).get_result(conn).or_not_found()
}

/// Makes an account with its owner; a manager gets its default referral link.
///
/// # Errors
/// 409 `emailTaken`; the database's failure.
pub fn create(conn: &mut Conn, context: &Context, new: NewAccount) -> Result<AccountRow> {
    let account = AccountRow {
        id: AccountId::new(context.now),
        kind: new.kind,
        email: new.email.clone(),
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        company_name: new.company_name,
        blocked_at: None,
        manager_id: None,
        level: None,
        level_pinned: false,
        event_sequence: 0,
        created_at: context.now,
        search_text: String::new(),
    }
    .searchable();
    let owner = UserRow {
        id: UserId::new(context.now),
        account_id: account.id,
        email: new.email,
        first_name: new.first_name,
        last_name: new.last_name,
        role: Role::Owner,
        password_hash: new.password_hash,
        created_at: context.now,
    };
    diesel::insert_into(accounts::table).values(account.clone()).execute(conn)?;
    insert_user(conn, owner)?;
    audit::record(
        conn,
        context,
        Some(account.id),
        "account.created",
        account.id,
        Some(json!({ "kind": account.kind })),
    )?;
    events::record(conn, context, account.id, EventType::AccountCreated, account.id)?;
    if account.kind != AccountKind::Standard {
        referrals::create_default_link(conn, context, account.id)?;
    }
    Ok(account)
}

/// The user, if there is one with this id.
///
/// # Errors
/// The database's failure.
pub fn user(conn: &mut Conn, id: UserId) -> Result<Option<UserRow>> {
    Ok(users::table.find(id).select(UserRow::as_select()).get_result(conn).optional()?)
}

/// What somebody who guesses at a user's password knows already: e-mail address, names, company.
///
/// # Errors
/// 404 where the account is gone; the database's failure.
pub fn known_of_user(conn: &mut Conn, account_id: AccountId, user_id: UserId) -> Result<Vec<String>> {
    let company = find(conn, account_id)?.company_name;
    let user = user(conn, user_id)?.into_iter().flat_map(|user| [user.email, user.first_name, user.last_name]);
    Ok(user.chain(company).collect())
}

/// The user with this e-mail address, if there is one.
///
/// # Errors
/// The database's failure.
pub fn user_by_email(conn: &mut Conn, email: &str) -> Result<Option<UserRow>> {
    Ok(user_emails::table
        .inner_join(users::table.on(users::id.eq(user_emails::user_id)))
        .filter(user_emails::email_key.eq(email_key(email)))
        .select(UserRow::as_select())
        .get_result(conn)
        .optional()?)
}

/// Inserts a user and claims its e-mail address.
///
/// # Errors
/// 409 `emailTaken`; the database's failure.
pub fn insert_user(conn: &mut Conn, user: UserRow) -> Result<()> {
    let (user_id, key) = (user.id, email_key(&user.email));
    diesel::insert_into(users::table).values(user).execute(conn)?;
    let entry = (user_emails::email_key.eq(key), user_emails::user_id.eq(user_id));
    diesel::insert_into(user_emails::table).values(entry).execute(conn).map_err(|error| -> Error {
        if is_unique_violation(&error, "user_emails.email_key") {
            let violation = Violation::at("/email", "taken", "is a user's already");
            return Problem::new(Code::EmailTaken, "a user has this e-mail address already").with(violation).into();
        }
        error.into()
    })?;
    Ok(())
}

/// The form in which e-mail addresses are compared. Addresses are ASCII: a letter that Unicode folds into an ASCII one, such
/// as the Kelvin sign into k, stays itself and finds nobody.
#[must_use]
pub fn email_key(email: &str) -> String {
    email.to_ascii_lowercase()
}

/// Changes names and company of the account, and the names of its first owner with them; its manager, who sees them, is told.
/// `check` sees the account as it was and may refuse.
///
/// # Errors
/// What `check` refuses; 404; the database's failure.
pub fn update(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    change: &UpdateAccount,
    check: impl FnOnce(&AccountRow) -> Result<()>,
) -> Result<AccountRow> {
    let (ref context, mut locked) = lock_concerned(conn, context, |conn| with_manager(conn, account_id))?;
    let old = locked.remove(&account_id).ok_or_else(Error::not_found)?;
    check(&old)?;
    let new = AccountRow {
        first_name: change.first_name.clone().unwrap_or_else(|| old.first_name.clone()),
        last_name: change.last_name.clone().unwrap_or_else(|| old.last_name.clone()),
        company_name: change.company_name.clone().apply(old.company_name.clone()),
        ..old.clone()
    }
    .searchable();
    if new == old {
        return Ok(old);
    }
    diesel::update(accounts::table.find(account_id))
        .set((
            accounts::first_name.eq(&new.first_name),
            accounts::last_name.eq(&new.last_name),
            accounts::company_name.eq(&new.company_name),
            accounts::search_text.eq(&new.search_text),
        ))
        .execute(conn)?;
    if let Some(owner) = first_owner(conn, account_id)? {
        diesel::update(users::table.find(owner.id))
            .set((users::first_name.eq(&new.first_name), users::last_name.eq(&new.last_name)))
            .execute(conn)?;
    }
    let details = json!({
        "before": { "firstName": old.first_name, "lastName": old.last_name, "companyName": old.company_name },
        "after": { "firstName": new.first_name, "lastName": new.last_name, "companyName": new.company_name },
    });
    audit::record(conn, context, Some(account_id), "account.updated", account_id, Some(details))?;
    events::record(conn, context, account_id, EventType::AccountUpdated, account_id)?;
    if let Some(manager_id) = old.manager_id {
        events::record(conn, context, manager_id, EventType::SubAccountUpdated, account_id)?;
    }
    Ok(new)
}

fn with_manager(conn: &mut Conn, account_id: AccountId) -> Result<BTreeSet<AccountId>> {
    let manager_id: Option<Option<AccountId>> =
        accounts::table.find(account_id).select(accounts::manager_id).get_result(conn).optional()?;
    Ok(manager_id.flatten().into_iter().chain([account_id]).collect())
}

/// All owners of an account, the first made first: who is told about its money.
///
/// # Errors
/// The database's failure.
pub fn owners(conn: &mut Conn, account_id: AccountId) -> Result<Vec<UserId>> {
    Ok(users::table
        .filter(users::account_id.eq(account_id))
        .filter(users::role.eq(Role::Owner))
        .order(users::id)
        .select(users::id)
        .load(conn)?)
}

/// The owner that was made first: whose address and names the account shows, and who gets its letters.
///
/// # Errors
/// The database's failure.
pub fn first_owner(conn: &mut Conn, account_id: AccountId) -> Result<Option<UserRow>> {
    Ok(users::table
        .filter(users::account_id.eq(account_id))
        .filter(users::role.eq(Role::Owner))
        .order(users::id)
        .limit(1)
        .select(UserRow::as_select())
        .get_result(conn)
        .optional()?)
}
