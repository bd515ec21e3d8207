//! The ledger of an account: postings sum to zero, balances follow from entries.

use std::collections::HashMap;

use diesel::prelude::*;

use super::Differences;
use super::months::Months;
use crate::db::Conn;
use crate::db::schema::{ledger_balances, ledger_entries};
use crate::error::Result;
use crate::id::{AccountId, EntryId, PostingId};
use crate::ledger::{Balances, EntryRow, LedgerAccount};
use crate::money::Currency;

/// Entries that are in memory at once.
const ENTRIES_PER_PAGE: i64 = 5_000;

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let mut computed: HashMap<Currency, Balances> = HashMap::new();
    let mut open_postings: HashMap<PostingId, i64> = HashMap::new();
    let mut months = Months::of(account_id);
    let mut last: Option<EntryId> = None;
    loop {
        let page = next_entries(conn, account_id, last)?;
        let Some(entry) = page.last() else { break };
        last = Some(entry.id);
        for entry in &page {
            months.count(entry);
            let balances = computed.entry(entry.currency).or_insert_with(|| Balances::zero(account_id, entry.currency));
            balances.last_entry_id = Some(entry.id);
            let balance = balances.of(entry.ledger_account);
            *balance += entry.amount_minor;
            differences.compare(
                || format!("{}: balance after {}", account_id, entry.id),
                &entry.balance_minor,
                balance,
            );
            let sum = open_postings.entry(entry.posting_id).or_default();
            *sum += entry.amount_minor;
            if *sum == 0 {
                open_postings.remove(&entry.posting_id);
            }
        }
    }
    for (posting_id, sum) in open_postings {
        differences.note(|| format!("{account_id}: the entries of {posting_id} sum to {sum}, not to zero"));
    }
    let stored: Vec<Balances> = ledger_balances::table.filter(ledger_balances::account_id.eq(account_id)).load(conn)?;
    for mut stored in stored {
        let currency = stored.currency;
        let mut right = computed.remove(&currency).unwrap_or_else(|| Balances::zero(account_id, currency));
        for account in LedgerAccount::ALL {
            let what = || format!("{account_id}: balance {account} {currency}");
            differences.compare(what, stored.of(*account), right.of(*account));
        }
        let what = || format!("{account_id}: newest entry in {currency}");
        differences.compare(what, &stored.last_entry_id, &right.last_entry_id);
    }
    for currency in computed.into_keys() {
        differences.note(|| format!("{account_id}: entries in {currency}, but no balance row"));
    }
    months.check(conn, differences)
}

fn next_entries(conn: &mut Conn, account_id: AccountId, after: Option<EntryId>) -> Result<Vec<EntryRow>> {
    let mut query = ledger_entries::table
        .filter(ledger_entries::account_id.eq(account_id))
        .order(ledger_entries::id)
        .limit(ENTRIES_PER_PAGE)
        .select(EntryRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(ledger_entries::id.gt(after));
    }
    Ok(query.load(conn)?)
}
