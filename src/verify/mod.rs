//! `stape-api verify`: recomputes everything that is stored twice and names each difference. Reads only.
//!
//! Balances from ledger entries, statuses and amounts of commissions from payments, refunds and entries, counters from
//! containers and links, statistics of referral links from clicks and sign-ups, owners from their histories, feeds from their
//! numbers, dates of payouts from schedules. Goes account by account, so its memory does not grow with the database.

mod accounts;
mod alerts;
mod commissions;
mod containers;
mod ledger;
mod months;
mod payouts;
mod portfolios;
mod referrals;
mod schedules;

use diesel::prelude::*;

use crate::accounts::{AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::accounts as accounts_table;
use crate::error::Result;
use crate::id::AccountId;
use crate::program;

/// Accounts that are looked at between two queries for more.
const ACCOUNTS_PER_PAGE: i64 = 500;

/// Ledgers that a running server looks at in one go.
const LEDGERS_PER_CHECK: i64 = 10;

/// No more differences are named than this; the last line says so.
const MAX_DIFFERENCES: usize = 1_000;

/// Differences found so far.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    /// Notes that `what` is stored as `stored` where `computed` is right.
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: impl FnOnce() -> String, stored: &T, computed: &T) {
        if stored != computed {
            self.note(|| format!("{}: stored {stored:?}, computed {computed:?}", what()));
        }
    }

    fn note(&mut self, difference: impl FnOnce() -> String) {
        if self.0.len() < MAX_DIFFERENCES {
            self.0.push(difference());
        }
    }
}

/// Every difference between what is stored and what follows from the rows and entries; empty where all is well.
/// `progress` is told how many accounts are done.
///
/// # Errors
/// The database's own failure.
pub fn run(conn: &mut Conn, now: Timestamp, mut progress: impl FnMut(u64)) -> Result<Vec<String>> {
    let mut differences = Differences::default();
    commissions::check_strays(conn, &mut differences)?;
    containers::check(conn, &mut differences)?;
    payouts::check_batches(conn, &mut differences)?;
    let mut page = next_accounts(conn, None, ACCOUNTS_PER_PAGE)?;
    let mut done = 0;
    while let Some(last) = page.last().map(|account| account.id) {
        // A database that was never served has accounts no more than it has a program.
        let program = program::service::current(conn)?;
        for account in &page {
            accounts::check(conn, account, &mut differences)?;
            ledger::check(conn, account.id, &mut differences)?;
            commissions::check(conn, account.id, &mut differences)?;
            alerts::check(conn, account, &mut differences)?;
            payouts::check(conn, account.id, &mut differences)?;
            schedules::check(conn, account.id, &mut differences)?;
            referrals::check(conn, now, account, &mut differences)?;
            portfolios::check(conn, account, &program.config, &mut differences)?;
            done += 1;
        }
        progress(done);
        page = next_accounts(conn, Some(last), ACCOUNTS_PER_PAGE)?;
    }
    let mut found = differences.0;
    if found.len() == MAX_DIFFERENCES {
        found.push(format!("and perhaps more: only the first {MAX_DIFFERENCES} are named"));
    }
    Ok(found)
}

/// The next partners behind `after`, which alone have ledgers; none when all were seen.
///
/// # Errors
/// The database's own failure.
pub fn next_ledgers(conn: &mut Conn, after: Option<AccountId>) -> Result<Vec<AccountId>> {
    let mut query = accounts_table::table
        .filter(accounts_table::kind.eq(AccountKind::Partner))
        .order(accounts_table::id)
        .limit(LEDGERS_PER_CHECK)
        .select(accounts_table::id)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(accounts_table::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// The differences between an account's balances, months and ledger entries: what a running server checks of itself.
///
/// # Errors
/// The database's own failure.
pub fn ledger(conn: &mut Conn, account_id: AccountId) -> Result<Vec<String>> {
    let mut differences = Differences::default();
    ledger::check(conn, account_id, &mut differences)?;
    Ok(differences.0)
}

fn next_accounts(conn: &mut Conn, after: Option<AccountId>, limit: i64) -> Result<Vec<AccountRow>> {
    let mut query =
        accounts_table::table.order(accounts_table::id).limit(limit).select(AccountRow::as_select()).into_boxed();
    if let Some(after) = after {
        query = query.filter(accounts_table::id.gt(after));
    }
    Ok(query.load(conn)?)
}
