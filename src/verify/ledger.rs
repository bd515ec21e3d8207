//! The ledger of an account: postings sum to zero and go where their kind says, balances follow from entries.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use diesel::prelude::*;

use super::Differences;
use super::months::Months;
use crate::db::Conn;
use crate::db::schema::{ledger_balances, ledger_entries};
use crate::error::Result;
use crate::id::{AccountId, EntryId, PostingId};
use crate::ledger::{Balances, EntryKind, EntryRow, LedgerAccount};
use crate::money::{Currency, Money};

/// Entries that are in memory at once.
const ENTRIES_PER_PAGE: i64 = 5_000;

/// A posting of which not all entries were seen, or not all add up.
struct OpenPosting {
    first: EntryRow,
    sum: i64,
}

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let mut computed: HashMap<Currency, Balances> = HashMap::new();
    let mut open_postings: HashMap<PostingId, OpenPosting> = HashMap::new();
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
                &Money::new(entry.balance_minor, entry.currency),
                &Money::new(*balance, entry.currency),
            );
            check_payout(entry, differences);
            match open_postings.entry(entry.posting_id) {
                Entry::Vacant(vacant) => {
                    vacant.insert(OpenPosting { first: entry.clone(), sum: entry.amount_minor });
                }
                Entry::Occupied(mut occupied) => {
                    check_sides(&occupied.get().first, entry, differences);
                    occupied.get_mut().sum += entry.amount_minor;
                    if occupied.get().sum == 0 {
                        occupied.remove();
                    }
                }
            }
        }
    }
    for (posting_id, OpenPosting { first, sum }) in open_postings {
        let sum = Money::new(sum, first.currency);
        differences.note(|| format!("{account_id}: the entries of {posting_id} sum to {sum}, not to zero"));
    }
    let stored: Vec<Balances> = ledger_balances::table.filter(ledger_balances::account_id.eq(account_id)).load(conn)?;
    for mut stored in stored {
        let currency = stored.currency;
        let mut right = computed.remove(&currency).unwrap_or_else(|| Balances::zero(account_id, currency));
        for account in LedgerAccount::ALL {
            let what = || format!("{account_id}: balance {account}");
            let [stored, right] =
                [&mut stored, &mut right].map(|balances| Money::new(*balances.of(*account), currency));
            differences.compare(what, &stored, &right);
        }
        let what = || format!("{account_id}: newest entry in {currency}");
        differences.compare(what, &stored.last_entry_id, &right.last_entry_id);
    }
    for currency in computed.into_keys() {
        differences.note(|| format!("{account_id}: entries in {currency}, but no balance row"));
    }
    months.check(conn, differences)
}

/// The two sides of a posting are about the same, and of the ledger accounts between which its kind moves money.
fn check_sides(first: &EntryRow, second: &EntryRow, differences: &mut Differences) {
    let about = |entry: &EntryRow| (entry.kind, entry.currency, entry.commission_id, entry.payout_id);
    differences.compare(|| format!("{}: what it is about", second.id), &about(second), &about(first));
    let sides = (first.ledger_account, second.ledger_account);
    if !ways(first.kind).iter().any(|(from, to)| sides == (*from, *to) || sides == (*to, *from)) {
        let (kind, (from, to)) = (first.kind, sides);
        differences.note(|| format!("{}: {kind} does not move money between {from} and {to}", first.posting_id));
    }
}

/// From where to where money moves; a negative amount moves the other way.
const fn ways(kind: EntryKind) -> &'static [(LedgerAccount, LedgerAccount)] {
    use LedgerAccount::{InPayout, InReview, Paid, Program, Ready};
    match kind {
        EntryKind::CommissionEarned => &[(Program, InReview)],
        EntryKind::CommissionReady => &[(InReview, Ready)],
        EntryKind::CommissionReversed => &[(InReview, Program), (Ready, Program)],
        EntryKind::RefundAdjustment | EntryKind::OperatorAdjustment => &[(Program, Ready)],
        EntryKind::PayoutRequested => &[(Ready, InPayout)],
        EntryKind::PayoutReleased => &[(InPayout, Ready)],
        EntryKind::PayoutPaid => &[(InPayout, Paid)],
    }
}

/// What a payout moved names it. Of the rest only the operator's adjustments may, for money that came back.
fn check_payout(entry: &EntryRow, differences: &mut Differences) {
    let is_of_payout =
        matches!(entry.kind, EntryKind::PayoutRequested | EntryKind::PayoutReleased | EntryKind::PayoutPaid);
    if entry.kind != EntryKind::OperatorAdjustment && entry.payout_id.is_some() != is_of_payout {
        differences.note(|| format!("{}: {} with the payout {:?}", entry.id, entry.kind, entry.payout_id));
    }
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
