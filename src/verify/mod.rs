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
use diesel::result::Error as DieselError;

use crate::accounts::{AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::accounts as accounts_table;
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::program::{self, ProgramConfig};

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

    /// Notes where `check` met a value that it cannot read, and goes on.
    fn readable<T>(
        &mut self,
        what: impl FnOnce() -> String,
        check: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        match check(self) {
            // It was read, so that the transaction goes on; only its meaning is unknown.
            Err(Error::Database(DieselError::DeserializationError(error))) => {
                let reason = error.source().map(|reason| format!(": {reason}")).unwrap_or_default();
                self.note(|| format!("{}: {error}{reason}", what()));
                Ok(None)
            }
            other => other.map(Some),
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
    for (name, check) in OVER_ALL {
        differences.readable(|| (*name).to_owned(), |differences| check(conn, differences))?;
    }
    let mut page = next_accounts(conn, None)?;
    let mut done = 0;
    while let Some(last) = page.last().copied() {
        // A database that was never served has accounts no more than it has a program.
        let program = program::service::current(conn)?;
        for id in page {
            check_account(conn, now, id, &program.config, &mut differences)?;
            done += 1;
        }
        progress(done);
        page = next_accounts(conn, Some(last))?;
    }
    let mut found = differences.0;
    if found.len() == MAX_DIFFERENCES {
        found.push(format!("and perhaps more: only the first {MAX_DIFFERENCES} are named"));
    }
    Ok(found)
}

type Check = fn(&mut Conn, &mut Differences) -> Result<()>;

/// What is not looked at account by account.
const OVER_ALL: &[(&str, Check)] = &[
    ("commissions", commissions::check_strays),
    ("containers", containers::check),
    ("payout batches", payouts::check_batches),
];

/// Everything of one account. A value that cannot be read ends the check that meets it, and no other one.
fn check_account(
    conn: &mut Conn,
    now: Timestamp,
    id: AccountId,
    config: &ProgramConfig,
    differences: &mut Differences,
) -> Result<()> {
    let find =
        |_: &mut Differences| Ok(accounts_table::table.find(id).select(AccountRow::as_select()).get_result(conn)?);
    let Some(account): Option<AccountRow> = differences.readable(|| format!("{id}, account"), find)? else {
        return Ok(());
    };
    let mut check = |name: &str, check: &mut dyn FnMut(&mut Conn, &mut Differences) -> Result<()>| {
        differences.readable(|| format!("{id}, {name}"), |differences| check(conn, differences)).map(|_| ())
    };
    check("account", &mut |conn, differences| accounts::check(conn, &account, differences))?;
    check("ledger", &mut |conn, differences| ledger::check(conn, id, differences))?;
    check("commissions", &mut |conn, differences| commissions::check(conn, id, differences))?;
    check("alerts", &mut |conn, differences| alerts::check(conn, &account, differences))?;
    check("payouts", &mut |conn, differences| payouts::check(conn, id, differences))?;
    check("payout schedules", &mut |conn, differences| schedules::check(conn, id, differences))?;
    check("referral links", &mut |conn, differences| referrals::check(conn, now, &account, differences))?;
    check("portfolio", &mut |conn, differences| portfolios::check(conn, &account, config, differences))
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

fn next_accounts(conn: &mut Conn, after: Option<AccountId>) -> Result<Vec<AccountId>> {
    let mut query = accounts_table::table
        .order(accounts_table::id)
        .limit(ACCOUNTS_PER_PAGE)
        .select(accounts_table::id)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(accounts_table::id.gt(after));
    }
    Ok(query.load(conn)?)
}
