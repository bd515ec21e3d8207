//! The payouts of an account: amounts are the sums of their lines, rows are where the status says, numbers have no gaps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::Differences;
use crate::commissions::{CommissionStatus, LineId};
use crate::db::Conn;
use crate::db::schema::{commissions, payout_batches, payout_lines, payout_numbers, payouts};
use crate::error::Result;
use crate::id::{AccountId, PayoutBatchId, PayoutId};
use crate::payouts::{PayoutRow, PayoutStatus};

/// Rows with their status and what is left of them.
type Rows = BTreeMap<LineId, (CommissionStatus, i64)>;

/// Where the rows of a payout are by its status; none where they went on.
const fn place(status: PayoutStatus) -> Option<CommissionStatus> {
    match status {
        PayoutStatus::Requested | PayoutStatus::Approved | PayoutStatus::Processing => Some(CommissionStatus::InPayout),
        PayoutStatus::Paid => Some(CommissionStatus::Paid),
        PayoutStatus::Canceled | PayoutStatus::Rejected | PayoutStatus::Failed => None,
    }
}

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let rows: Vec<PayoutRow> = payouts::table
        .filter(payouts::account_id.eq(account_id))
        .order(payouts::id)
        .select(PayoutRow::as_select())
        .load(conn)?;
    check_numbers(conn, account_id, &rows, differences)?;
    let mut claimed = claimed_rows(conn, account_id)?;
    for row in rows {
        let lines: Vec<(LineId, i64)> = payout_lines::table
            .filter(payout_lines::account_id.eq(account_id))
            .filter(payout_lines::payout_id.eq(row.id))
            .select((payout_lines::line_id, payout_lines::amount_minor))
            .load(conn)?;
        let sum: i64 = lines.iter().map(|(_, amount_minor)| amount_minor).sum();
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        differences.compare(|| format!("{}: amount", row.id), &row.amount_minor, &sum);
        differences.compare(|| format!("{}: number of lines", row.id), &row.line_count, &count);
        let held = claimed.remove(&row.id).unwrap_or_default();
        let expected: Rows = match place(row.status) {
            Some(status) => lines.iter().map(|(id, amount_minor)| (*id, (status, *amount_minor))).collect(),
            None => BTreeMap::new(),
        };
        if held != expected {
            let found = differing(&held, &expected);
            differences.note(|| format!("{}: its rows are not where its status {} says: {found}", row.id, row.status));
        }
    }
    for id in claimed.into_keys() {
        differences.note(|| format!("{account_id}: rows of {id}, which is no payout"));
    }
    Ok(())
}

/// Batches whose payouts are not the ones that they were made of.
pub fn check_batches(conn: &mut Conn, differences: &mut Differences) -> Result<()> {
    let batches: Vec<(PayoutBatchId, i64, i64)> = payout_batches::table
        .order(payout_batches::id)
        .select((payout_batches::id, payout_batches::amount_minor, payout_batches::payout_count))
        .load(conn)?;
    for (id, amount_minor, payout_count) in batches {
        let amounts: Vec<i64> = payouts::table
            .filter(payouts::batch_id.eq(id).and(payouts::batch_id.is_not_null()))
            .select(payouts::amount_minor)
            .load(conn)?;
        differences.compare(|| format!("{id}: amount"), &amount_minor, &amounts.iter().sum());
        let count = i64::try_from(amounts.len()).unwrap_or(i64::MAX);
        differences.compare(|| format!("{id}: number of payouts"), &payout_count, &count);
    }
    Ok(())
}

fn check_numbers(
    conn: &mut Conn,
    account_id: AccountId,
    rows: &[PayoutRow],
    differences: &mut Differences,
) -> Result<()> {
    let stored: Vec<(i32, i64)> = payout_numbers::table
        .filter(payout_numbers::account_id.eq(account_id))
        .select((payout_numbers::year, payout_numbers::last_number))
        .load(conn)?;
    let given: BTreeSet<&str> = rows.iter().map(|row| row.number.as_str()).collect();
    let right: BTreeSet<String> =
        stored.iter().flat_map(|(year, last)| (1..=*last).map(move |number| format!("{year}-{number:04}"))).collect();
    if !given.iter().copied().eq(right.iter().map(String::as_str)) {
        differences.note(|| format!("{account_id}: the numbers of its payouts are {given:?}, not {right:?}"));
    }
    Ok(())
}

/// The rows that payouts hold, with their status and what is left of them.
fn claimed_rows(conn: &mut Conn, account_id: AccountId) -> Result<HashMap<PayoutId, Rows>> {
    let rows: Vec<(Option<PayoutId>, LineId, CommissionStatus, i64, i64)> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::payout_id.is_not_null())
        .select((
            commissions::payout_id,
            commissions::id,
            commissions::status,
            commissions::amount_minor,
            commissions::reversed_minor,
        ))
        .load(conn)?;
    let mut claimed: HashMap<PayoutId, Rows> = HashMap::new();
    for (payout_id, id, status, amount_minor, reversed_minor) in rows {
        if let Some(payout_id) = payout_id {
            claimed.entry(payout_id).or_default().insert(id, (status, amount_minor - reversed_minor));
        }
    }
    Ok(claimed)
}

/// The first rows that differ, for people.
fn differing(held: &Rows, expected: &Rows) -> String {
    let ids: BTreeSet<&LineId> = held.keys().chain(expected.keys()).collect();
    let shown = ids.into_iter().filter(|id| held.get(id) != expected.get(id)).take(5);
    shown.map(|id| format!("{id} {:?} not {:?}", held.get(id), expected.get(id))).collect::<Vec<_>>().join(", ")
}
