//! The next date of each currency: one row where the account has a schedule with dates and a method for the currency.
//! `verify` recomputes them.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::calendar::Rhythm;
use super::models::{ScheduleRow, ScheduledRow};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{payout_methods, payout_schedules, scheduled_payouts};
use crate::error::Result;
use crate::id::AccountId;
use crate::money::Currency;
use crate::payout_methods::PayoutMethodRow;

/// The schedule, if one was ever set.
///
/// # Errors
/// The database's failure.
pub fn schedule(conn: &mut Conn, account_id: AccountId) -> Result<Option<ScheduleRow>> {
    let row = payout_schedules::table.find(account_id).select(ScheduleRow::as_select());
    Ok(row.get_result(conn).optional()?)
}

/// The next dates of the account, by currency.
///
/// # Errors
/// The database's failure.
pub fn list(conn: &mut Conn, account_id: AccountId) -> Result<Vec<ScheduledRow>> {
    Ok(scheduled_payouts::table
        .filter(scheduled_payouts::account_id.eq(account_id))
        .order(scheduled_payouts::currency)
        .select(ScheduledRow::as_select())
        .load(conn)?)
}

/// Lets the dates follow a change of the schedule or of a method. A date that has come and waits for the end of a hold
/// goes on waiting, if it is one of the schedule's. Wants the account's row to be locked.
///
/// # Errors
/// The database's failure.
pub fn refresh(conn: &mut Conn, now: Timestamp, account_id: AccountId) -> Result<()> {
    let mut old: BTreeMap<Currency, ScheduledRow> =
        list(conn, account_id)?.into_iter().map(|row| (row.currency, row)).collect();
    if let Some(rhythm) = schedule(conn, account_id)?.and_then(|schedule| schedule.rhythm()) {
        for method in methods(conn, account_id)? {
            let known = old.remove(&method.currency);
            let pending = known.map(|row| row.scheduled_for).filter(|date| *date <= now && rhythm.has(*date));
            let row = row_of(&method, pending.unwrap_or_else(|| rhythm.next_after(now)));
            match known {
                None => insert(conn, row)?,
                Some(known) if known != row => change(conn, row)?,
                Some(_) => {}
            }
        }
    }
    old.values().try_for_each(|gone| remove(conn, gone.account_id, gone.currency))
}

/// Goes on to the first date after `now`, the method's hold being over. Wants the account's row to be locked.
///
/// # Errors
/// The database's failure.
pub fn go_on(conn: &mut Conn, now: Timestamp, row: ScheduledRow, rhythm: Rhythm) -> Result<()> {
    let next = rhythm.next_after(now);
    change(conn, ScheduledRow { scheduled_for: next, due_at: next, ..row })
}

/// The row of a method whose next date is `scheduled_for`.
#[must_use]
pub fn row_of(method: &PayoutMethodRow, scheduled_for: Timestamp) -> ScheduledRow {
    let due_at = scheduled_for.max(method.held_until());
    ScheduledRow { account_id: method.account_id, currency: method.currency, scheduled_for, due_at }
}

/// The account's methods, by currency.
///
/// # Errors
/// The database's failure.
pub fn methods(conn: &mut Conn, account_id: AccountId) -> Result<Vec<PayoutMethodRow>> {
    Ok(payout_methods::table
        .filter(payout_methods::account_id.eq(account_id))
        .order(payout_methods::currency)
        .select(PayoutMethodRow::as_select())
        .load(conn)?)
}

/// Takes a date away. Wants the account's row to be locked.
///
/// # Errors
/// The database's failure.
pub fn remove(conn: &mut Conn, account_id: AccountId, currency: Currency) -> Result<()> {
    diesel::delete(scheduled_payouts::table.find((account_id, currency))).execute(conn)?;
    Ok(())
}

fn insert(conn: &mut Conn, row: ScheduledRow) -> Result<()> {
    diesel::insert_into(scheduled_payouts::table).values(row).execute(conn)?;
    Ok(())
}

fn change(conn: &mut Conn, row: ScheduledRow) -> Result<()> {
    diesel::update(scheduled_payouts::table.find((row.account_id, row.currency)))
        .set((scheduled_payouts::scheduled_for.eq(row.scheduled_for), scheduled_payouts::due_at.eq(row.due_at)))
        .execute(conn)?;
    Ok(())
}
