//! The payouts of an account: amounts are the sums of their lines, rows and times are as the status says, numbers have no gaps,
//! and what the bank sent back was booked once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::Differences;
use crate::commissions::{CommissionStatus, LineId, LineKind};
use crate::db::Conn;
use crate::db::schema::{commissions, ledger_entries, payout_batches, payout_lines, payout_numbers, payouts};
use crate::error::Result;
use crate::id::{AccountId, PayoutBatchId, PayoutId};
use crate::ledger::LedgerAccount;
use crate::money::{Currency, Money};
use crate::payouts::adjustments::AdjustmentReason;
use crate::payouts::{PayoutRow, PayoutStatus};

/// Lines without a payout that are named of an account.
const MAX_STRAYS: i64 = 100;

/// Rows with their status and what is left of them.
type Rows = BTreeMap<LineId, (CommissionStatus, Money)>;

/// Where the rows of a payout are by its status; none where they went on.
const fn place(status: PayoutStatus) -> Option<CommissionStatus> {
    match status {
        PayoutStatus::Requested | PayoutStatus::Approved | PayoutStatus::Processing => Some(CommissionStatus::InPayout),
        PayoutStatus::Paid => Some(CommissionStatus::Paid),
        PayoutStatus::Canceled | PayoutStatus::Rejected | PayoutStatus::Failed => None,
    }
}

/// What is set in each status: when it was approved, started, paid and closed, the transfer's reference, and the reason; none
/// where it may be or not.
const fn marks(status: PayoutStatus) -> [Option<bool>; 6] {
    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);
    match status {
        PayoutStatus::Requested => [NO, NO, NO, NO, NO, NO],
        PayoutStatus::Approved => [YES, NO, NO, NO, NO, NO],
        PayoutStatus::Processing => [YES, YES, NO, NO, NO, NO],
        PayoutStatus::Paid => [YES, YES, YES, YES, YES, NO],
        PayoutStatus::Canceled => [NO, NO, NO, YES, NO, NO],
        PayoutStatus::Rejected => [None, NO, NO, YES, NO, YES],
        PayoutStatus::Failed => [YES, YES, NO, YES, NO, YES],
    }
}

/// Adjustments that book a return, with their amounts, by the payout that their posting names.
type Returns = HashMap<Option<PayoutId>, Vec<(LineId, Money)>>;

/// A line of a payout: its row, the amount, and the row's currency; none where there is no such row.
type Line = (LineId, i64, Option<Currency>);

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let rows: Vec<PayoutRow> = payouts::table
        .filter(payouts::account_id.eq(account_id))
        .order(payouts::id)
        .select(PayoutRow::as_select())
        .load(conn)?;
    check_numbers(conn, account_id, &rows, differences)?;
    check_returns(conn, account_id, &rows, differences)?;
    check_stray_lines(conn, account_id, differences)?;
    let mut claimed = claimed_rows(conn, account_id)?;
    for row in rows {
        check_marks(&row, differences);
        let lines = lines_of(conn, &row)?;
        for (id, _, currency) in &lines {
            differences.compare(|| format!("{}: currency of its line {id}", row.id), currency, &Some(row.currency));
        }
        let sum: i64 = lines.iter().map(|(_, amount_minor, _)| amount_minor).sum();
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        differences.compare(|| format!("{}: amount", row.id), &row.money(), &Money::new(sum, row.currency));
        differences.compare(|| format!("{}: number of lines", row.id), &row.line_count, &count);
        let held = claimed.remove(&row.id).unwrap_or_default();
        let expected: Rows = match place(row.status) {
            Some(status) => lines
                .iter()
                .map(|(id, amount_minor, _)| (*id, (status, Money::new(*amount_minor, row.currency))))
                .collect(),
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
    let batches: Vec<(PayoutBatchId, Currency, i64, i64)> = payout_batches::table
        .order(payout_batches::id)
        .select((
            payout_batches::id,
            payout_batches::currency,
            payout_batches::amount_minor,
            payout_batches::payout_count,
        ))
        .load(conn)?;
    for (id, currency, amount_minor, payout_count) in batches {
        let amounts: Vec<i64> = payouts::table
            .filter(payouts::batch_id.eq(id).and(payouts::batch_id.is_not_null()))
            .select(payouts::amount_minor)
            .load(conn)?;
        let [stored, right] = [amount_minor, amounts.iter().sum()].map(|minor| Money::new(minor, currency));
        differences.compare(|| format!("{id}: amount"), &stored, &right);
        let count = i64::try_from(amounts.len()).unwrap_or(i64::MAX);
        differences.compare(|| format!("{id}: number of payouts"), &payout_count, &count);
    }
    Ok(())
}

fn lines_of(conn: &mut Conn, payout: &PayoutRow) -> Result<Vec<Line>> {
    let its_row = commissions::account_id.eq(payout_lines::account_id).and(commissions::id.eq(payout_lines::line_id));
    Ok(payout_lines::table
        .left_join(commissions::table.on(its_row))
        .filter(payout_lines::account_id.eq(payout.account_id))
        .filter(payout_lines::payout_id.eq(payout.id))
        .select((payout_lines::line_id, payout_lines::amount_minor, commissions::currency.nullable()))
        .load(conn)?)
}

/// What a payout went through, by its status.
fn check_marks(row: &PayoutRow, differences: &mut Differences) {
    let set = [
        ("approvedAt", row.approved_at.is_some()),
        ("startedAt", row.started_at.is_some()),
        ("paidAt", row.paid_at.is_some()),
        ("closedAt", row.closed_at.is_some()),
        ("reference", row.reference.is_some()),
        ("reason", row.reason.is_some()),
    ];
    for ((name, is_set), expected) in set.into_iter().zip(marks(row.status)) {
        let expected = expected.unwrap_or(is_set);
        differences.compare(|| format!("{}: whether it has {name} as {}", row.id, row.status), &is_set, &expected);
    }
    if row.batch_id.is_some() && row.started_at.is_none() {
        differences.note(|| format!("{}: in a batch, and never started", row.id));
    }
}

/// A returned payout names the adjustment that gave its money back, and that one's posting names the payout.
fn check_returns(
    conn: &mut Conn,
    account_id: AccountId,
    rows: &[PayoutRow],
    differences: &mut Differences,
) -> Result<()> {
    let mut booked = returns(conn, account_id)?;
    for row in rows {
        let found = booked.remove(&Some(row.id)).unwrap_or_default();
        let stored: Vec<LineId> = row.returned_by.map(LineId::Adjustment).into_iter().collect();
        let ids: Vec<LineId> = found.iter().map(|(id, _)| *id).collect();
        differences.compare(|| format!("{}: adjustments by which it came back", row.id), &stored, &ids);
        for (id, amount) in found {
            differences.compare(|| format!("{id}: amount of a returned payout"), &amount, &row.money());
        }
        if row.returned_by.is_some() && row.status != PayoutStatus::Paid {
            differences.note(|| format!("{}: came back, and is {}", row.id, row.status));
        }
    }
    for (id, _) in booked.into_values().flatten() {
        differences.note(|| format!("{id}: the return of no payout"));
    }
    Ok(())
}

fn returns(conn: &mut Conn, account_id: AccountId) -> Result<Returns> {
    let its_posting = ledger_entries::account_id
        .eq(commissions::account_id)
        .and(ledger_entries::commission_id.eq(commissions::id.nullable()))
        .and(ledger_entries::ledger_account.eq(LedgerAccount::Program));
    let rows: Vec<(LineId, i64, Currency, Option<PayoutId>)> = commissions::table
        .left_join(ledger_entries::table.on(its_posting))
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::kind.eq(LineKind::Adjustment))
        .filter(commissions::reason.eq(AdjustmentReason::PayoutReturned.as_str()))
        .select((
            commissions::id,
            commissions::amount_minor,
            commissions::currency,
            ledger_entries::payout_id.nullable(),
        ))
        .load(conn)?;
    let mut found = Returns::new();
    for (id, amount_minor, currency, payout_id) in rows {
        found.entry(payout_id).or_default().push((id, Money::new(amount_minor, currency)));
    }
    Ok(found)
}

/// Lines of payouts that do not exist.
fn check_stray_lines(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let its_payout = payouts::account_id.eq(payout_lines::account_id).and(payouts::id.eq(payout_lines::payout_id));
    let strays: Vec<(PayoutId, LineId)> = payout_lines::table
        .left_join(payouts::table.on(its_payout))
        .filter(payout_lines::account_id.eq(account_id))
        .filter(payouts::id.nullable().is_null())
        .select((payout_lines::payout_id, payout_lines::line_id))
        .limit(MAX_STRAYS)
        .load(conn)?;
    for (payout_id, line_id) in strays {
        differences.note(|| format!("{account_id}: the line {line_id} of {payout_id}, which is no payout"));
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
    let rows: Vec<(Option<PayoutId>, LineId, CommissionStatus, Currency, i64, i64)> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::payout_id.is_not_null())
        .select((
            commissions::payout_id,
            commissions::id,
            commissions::status,
            commissions::currency,
            commissions::amount_minor,
            commissions::reversed_minor,
        ))
        .load(conn)?;
    let mut claimed: HashMap<PayoutId, Rows> = HashMap::new();
    for (payout_id, id, status, currency, amount_minor, reversed_minor) in rows {
        if let Some(payout_id) = payout_id {
            let left = Money::new(amount_minor - reversed_minor, currency);
            claimed.entry(payout_id).or_default().insert(id, (status, left));
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
