//! The one way in which a client gets or loses a manager: link, counters, level, events and audit rows together.
//!
//! A client has at most one manager at a time. Links are never deleted: commissions ask who managed the client when it
//! paid. Whoever links or detaches locks both accounts first.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use serde_json::json;

use super::models::{Access, Billing, LinkRow, Origin};
use super::requests;
use crate::accounts::{self, AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::containers::{alerts, slots};
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts as accounts_table, sub_account_links};
use crate::error::{Code, Error, Result};
use crate::events::EventType;
use crate::id::{AccountId, SubAccountLinkId};
use crate::mail::{self, Letter, Recipient};
use crate::partners::portfolio::Portfolio;
use crate::{audit, events, operator_requests, program};

/// Links `client_id` to `manager_id`.
///
/// # Errors
/// 404 for a client that does not exist, 409 `alreadyManaged`, 403 `wrongAccountKind` where the client is no standard
/// account, 422 where the manager is none.
pub fn link(
    conn: &mut Conn,
    context: &Context,
    client_id: AccountId,
    manager_id: AccountId,
    origin: Origin,
    access: Access,
) -> Result<LinkRow> {
    program::service::keep(conn)?;
    let (context, locked) = &accounts::lock(conn, context, &[client_id, manager_id])?;
    let find = |id: AccountId| locked.iter().find(|row| row.id == id);
    let client = find(client_id).ok_or_else(Error::not_found)?;
    let manager = find(manager_id).filter(|row| row.kind != AccountKind::Standard).cloned();
    let manager =
        manager.ok_or_else(|| Error::invalid("/managerId", "unknown", "is not the id of an agency or a partner"))?;
    refuse_unfit(client)?;
    let (id, linked_at) = SubAccountLinkId::following(context.now, last_end(conn, client_id)?);
    let link = LinkRow {
        account_id: manager_id,
        id,
        client_id,
        origin,
        access,
        access_changed_at: context.now,
        billing: Billing::Individual,
        note: None,
        linked_at,
        detached_at: None,
    };
    diesel::insert_into(sub_account_links::table).values(&link).execute(conn)?;
    diesel::update(accounts_table::table.find(client_id))
        .set(accounts_table::manager_id.eq(Some(manager_id)))
        .execute(conn)?;
    let signature = manager.signature();
    change_portfolio(conn, context, manager, |conn, portfolio, program| {
        slots::join(conn, client_id, link.billing, manager_id, portfolio, program)
    })?;
    alerts::refresh(conn, &BTreeSet::from([client_id]))?;
    requests::withdraw(conn, context, client_id, manager_id)?;
    tell_both(conn, context, &link, EventType::SubAccountLinked)?;
    // Whoever creates a client writes the letter, too, for an invitation may be in it.
    if origin != Origin::Created {
        let letter = Letter::Linked { manager: signature, has_access: access == Access::Granted };
        write_to(conn, context, client_id, &letter)?;
    }
    Ok(link)
}

/// Ends the link between `client_id` and its manager. Commissions already made stay with the manager; its note is cleared.
///
/// # Errors
/// 409 `notManaged`.
pub fn detach(conn: &mut Conn, context: &Context, client_id: AccountId) -> Result<()> {
    let (ref context, locked, link) = lock_with_manager(conn, context, client_id)?;
    let link = link.ok_or_else(|| Error::refused(Code::NotManaged, "the account has no manager"))?;
    let manager = locked.into_iter().find(|row| row.id == link.account_id).ok_or_else(Error::not_found)?;
    let row = sub_account_links::table.find((link.account_id, link.id));
    // A server may have linked the client whose clock is ahead.
    let detached_at = context.now.max(link.linked_at);
    diesel::update(row)
        .set((sub_account_links::detached_at.eq(Some(detached_at)), sub_account_links::note.eq(None::<String>)))
        .execute(conn)?;
    operator_requests::service::decline_of_client(conn, context, client_id, "the client was detached")?;
    diesel::update(accounts_table::table.find(client_id))
        .set(accounts_table::manager_id.eq(None::<AccountId>))
        .execute(conn)?;
    let letter = Letter::Detached { manager: manager.signature() };
    change_portfolio(conn, context, manager, |conn, portfolio, program| {
        slots::leave(conn, client_id, link.billing, portfolio, program)
    })?;
    alerts::refresh(conn, &BTreeSet::from([client_id]))?;
    requests::withdraw(conn, context, client_id, link.account_id)?;
    tell_both(conn, context, &link, EventType::SubAccountDetached)?;
    write_to(conn, context, client_id, &letter)
}

/// Writes a letter to the first owner of an account.
///
/// # Errors
/// The database's own failure.
pub fn write_to(conn: &mut Conn, context: &Context, account_id: AccountId, letter: &Letter) -> Result<()> {
    match accounts::service::first_owner(conn, account_id)? {
        Some(owner) => mail::enqueue(conn, context, Recipient::User(owner.id), letter),
        None => Ok(()),
    }
}

/// The present link of a client.
///
/// # Errors
/// The database's own failure.
pub fn current(conn: &mut Conn, client_id: AccountId) -> Result<Option<LinkRow>> {
    let link = sub_account_links::table
        .filter(sub_account_links::client_id.eq(client_id))
        .filter(sub_account_links::detached_at.is_null())
        .select(LinkRow::as_select())
        .get_result(conn)
        .optional()?;
    Ok(link)
}

/// Locks a client together with its manager, if it has one, and tells the link that holds under the locks.
///
/// # Errors
/// 503 where the client changes managers again and again meanwhile.
pub fn lock_with_manager(
    conn: &mut Conn,
    context: &Context,
    client_id: AccountId,
) -> Result<(Context, Vec<AccountRow>, Option<LinkRow>)> {
    let concerned = |link: &Option<LinkRow>| link.iter().map(|link| link.account_id).chain([client_id]).collect();
    let (context, mut locked, link) = accounts::lock_around(conn, context, |conn| current(conn, client_id), concerned)?;
    // Locked may be more: who managed the client until just now.
    let present: BTreeSet<AccountId> = concerned(&link);
    locked.retain(|id, _| present.contains(id));
    Ok((context, locked.into_values().collect(), link))
}

/// Who pays for the containers of each of `clients` that `manager_id` manages now.
///
/// # Errors
/// The database's own failure.
pub fn billing_of(
    conn: &mut Conn,
    manager_id: AccountId,
    clients: &[AccountId],
) -> Result<HashMap<AccountId, Billing>> {
    let rows: Vec<(AccountId, Billing)> = sub_account_links::table
        .filter(sub_account_links::account_id.eq(manager_id))
        .filter(sub_account_links::client_id.eq_any(clients))
        .filter(sub_account_links::detached_at.is_null())
        .select((sub_account_links::client_id, sub_account_links::billing))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Stores who pays under a link from now on. The caller holds the locks of both accounts, has moved the containers'
/// counters, and tells the feeds.
///
/// # Errors
/// The database's own failure.
pub fn store_billing(conn: &mut Conn, context: &Context, link: &LinkRow) -> Result<()> {
    diesel::update(sub_account_links::table.find((link.account_id, link.id)))
        .set(sub_account_links::billing.eq(link.billing))
        .execute(conn)?;
    for account_id in [link.account_id, link.client_id] {
        let details = Some(json!({"billing": link.billing}));
        audit::record(conn, context, Some(account_id), "subAccount.billingChanged", link.client_id, details)?;
    }
    Ok(())
}

/// The present link of `client_id` with `manager_id`: how a manager reaches a sub-account.
///
/// # Errors
/// 404 where the client is not this manager's.
pub fn managed_by(conn: &mut Conn, manager_id: AccountId, client_id: AccountId) -> Result<LinkRow> {
    current(conn, client_id)?.filter(|link| link.account_id == manager_id).ok_or_else(Error::not_found)
}

/// Id and end of the last link of a client that has no manager now, if it ever had one.
fn last_end(conn: &mut Conn, client_id: AccountId) -> Result<Option<(SubAccountLinkId, Timestamp)>> {
    let last = sub_account_links::table
        .filter(sub_account_links::client_id.eq(client_id))
        .order(sub_account_links::id.desc())
        .limit(1)
        .select((sub_account_links::id, sub_account_links::detached_at.assume_not_null()))
        .get_result(conn)
        .optional()?;
    Ok(last)
}

fn refuse_unfit(client: &AccountRow) -> Result<()> {
    if client.kind != AccountKind::Standard {
        return Err(Error::refused(Code::WrongAccountKind, "only a standard account can have a manager"));
    }
    if client.manager_id.is_some() {
        return Err(Error::refused(Code::AlreadyManaged, "the client has a manager; detach it first"));
    }
    Ok(())
}

fn change_portfolio(
    conn: &mut Conn,
    context: &Context,
    manager: AccountRow,
    change: impl FnOnce(&mut Conn, &mut Portfolio, &program::ProgramConfig) -> Result<()>,
) -> Result<()> {
    let program = program::service::current(conn)?;
    let manager_id = manager.id;
    let mut portfolios = Portfolio::load(conn, &[manager])?;
    let Some(mut portfolio) = portfolios.remove(&manager_id) else { return Ok(()) };
    change(conn, &mut portfolio, &program.config)?;
    portfolio.rise(context, &program.config);
    portfolio.write(conn, context, &program.config)
}

fn tell_both(conn: &mut Conn, context: &Context, link: &LinkRow, event: EventType) -> Result<()> {
    for account_id in [link.account_id, link.client_id] {
        audit::record(conn, context, Some(account_id), event.as_str(), link.client_id, None)?;
        events::record(conn, context, account_id, event, link.client_id)?;
    }
    Ok(())
}
