//! Balances, present and past. Reads only.
//!
//! A past balance is the one that its last entry by then left behind: two look-ups in an index for each ledger account,
//! however many entries there are. That of what is in review is what the others leave of zero, which all of them are together.
//! Times count to the millisecond, as they are shown.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::Serialize;
use utoipa::ToSchema;

use super::journal::{Balances, LedgerAccount};
use crate::clock::Timestamp;
use crate::db::schema::{ledger_balances, ledger_entries};
use crate::db::{Conn, KeepPrepared};
use crate::error::Result;
use crate::id::{AccountId, EntryId};
use crate::money::{Currency, Money};

/// How long a unit of work may take from its time to its turn at an account: longer than any transaction lives.
const OVERTAKEN_FOR_SECONDS: i64 = 60;

/// What the index of entries by time holds: of the two sides of most postings one. In these words an engine recognises it.
const HELD_BY_TIME: &str = "ledger_account <> 'inReview'";

/// Balances of an account at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerBalances {
    /// The time.
    pub as_of: Timestamp,
    /// One row for each currency that had an entry by then.
    pub data: Vec<CurrencyLedger>,
}

/// Balances in one currency, signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrencyLedger {
    /// The currency.
    pub currency: Currency,
    /// Earned, may still be refunded.
    pub in_review: Money,
    /// Can be paid out; negative is debt.
    pub ready: Money,
    /// In open payouts.
    pub in_payout: Money,
    /// Paid out. What the bank sent back (`payoutReturned`) stays in it, and is ready once more.
    pub paid: Money,
}

/// The present balance rows of an account, by currency.
///
/// # Errors
/// The database's own failure.
pub fn present(conn: &mut Conn, account_id: AccountId) -> Result<Vec<Balances>> {
    let rows = ledger_balances::table
        .filter(ledger_balances::account_id.eq(account_id))
        .order(ledger_balances::currency)
        .select(Balances::as_select())
        .load(conn)?;
    Ok(rows)
}

/// The balances of an account at `as_of`; a time that has not come yet is now.
///
/// # Errors
/// The database's own failure.
pub fn at(conn: &mut Conn, now: Timestamp, account_id: AccountId, as_of: Option<Timestamp>) -> Result<LedgerBalances> {
    let rows = present(conn, account_id)?;
    let Some(as_of) = as_of.filter(|time| *time < now) else {
        return Ok(LedgerBalances { as_of: now, data: rows.iter().map(CurrencyLedger::from).collect() });
    };
    let mut data = Vec::new();
    for row in rows {
        data.extend(past(conn, account_id, row.currency, as_of)?.as_ref().map(CurrencyLedger::from));
    }
    Ok(LedgerBalances { as_of, data })
}

/// The balances in one currency at `as_of`; none before the first entry.
///
/// # Errors
/// The database's own failure.
pub fn past(conn: &mut Conn, account_id: AccountId, currency: Currency, as_of: Timestamp) -> Result<Option<Balances>> {
    let end = next_millisecond(as_of);
    let mut balances = Balances::zero(account_id, currency);
    let mut any = false;
    for ledger_account in LedgerAccount::ALL.iter().filter(|account| **account != LedgerAccount::InReview) {
        if let Some(minor) = past_balance(conn, account_id, currency, *ledger_account, end)? {
            *balances.of(*ledger_account) = minor;
            balances.in_review_minor -= minor;
            any = true;
        }
    }
    Ok(any.then_some(balances))
}

/// What the last entry before `end` left behind, but for what is in review.
///
/// The last posted is the one with the greatest id: a unit of work that began earlier but waited for its turn at the account
/// has the earlier time and the later entry. It is close by.
fn past_balance(
    conn: &mut Conn,
    account_id: AccountId,
    currency: Currency,
    ledger_account: LedgerAccount,
    end: Timestamp,
) -> Result<Option<i64>> {
    let entries = ledger_entries::table
        .filter(ledger_entries::account_id.eq(account_id))
        .filter(ledger_entries::currency.eq(currency))
        .filter(ledger_entries::ledger_account.eq(ledger_account))
        .filter(sql::<Bool>(HELD_BY_TIME))
        .order((ledger_entries::created_at.desc(), ledger_entries::id.desc()));
    let newest: Option<(EntryId, Timestamp, i64)> = entries
        .clone()
        .filter(ledger_entries::created_at.lt(end))
        .limit(1)
        .select((ledger_entries::id, ledger_entries::created_at, ledger_entries::balance_minor))
        .kept()
        .get_result(conn)
        .optional()?;
    let Some((id, time, balance_minor)) = newest else { return Ok(None) };
    let overtaken: Vec<(EntryId, i64)> = entries
        .filter(ledger_entries::created_at.lt(time))
        .filter(ledger_entries::created_at.ge(time.plus_seconds(-OVERTAKEN_FOR_SECONDS)))
        .filter(ledger_entries::id.gt(id))
        .select((ledger_entries::id, ledger_entries::balance_minor))
        .kept()
        .load(conn)?;
    let last = overtaken.into_iter().max_by_key(|(id, _)| *id);
    Ok(Some(last.map_or(balance_minor, |(_, minor)| minor)))
}

fn next_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_micros((time.unix_micros().div_euclid(1_000) + 1) * 1_000)
}

impl From<&Balances> for CurrencyLedger {
    fn from(row: &Balances) -> Self {
        let money = |minor| Money::new(minor, row.currency);
        Self {
            currency: row.currency,
            in_review: money(row.in_review_minor),
            ready: money(row.ready_minor),
            in_payout: money(row.in_payout_minor),
            paid: money(row.paid_minor),
        }
    }
}

#[cfg(test)]
mod tests;
