//! The commissions of an account: amounts follow from payments and rates, what was taken back from refunds, statuses from
//! amounts, and the ledger has each row's money where its status says.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;

use super::Differences;
use crate::billing::{Payer, PaymentRow, RefundRow};
use crate::commissions::{CommissionRow, CommissionStatus, LineId, LineKind, accrual};
use crate::db::Conn;
use crate::db::schema::{commissions, ledger_entries, payments, refunds};
use crate::error::Result;
use crate::id::{AccountId, PaymentId};
use crate::ledger::LedgerAccount;
use crate::money::Rate;
use crate::partners::AppliedRate;

/// Rows that are in memory at once.
const ROWS_PER_PAGE: i64 = 2_000;

type Placed = HashMap<LineId, BTreeMap<LedgerAccount, i64>>;

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let adjusted = refund_adjustments(conn, account_id)?;
    let mut last: Option<LineId> = None;
    loop {
        let page = next_rows(conn, account_id, last)?;
        let Some(row) = page.last() else { return Ok(()) };
        last = Some(row.id);
        let payment_ids: Vec<PaymentId> = page.iter().filter_map(|row| row.payment_id).collect();
        let paid: HashMap<PaymentId, PaymentRow> = payments::table
            .filter(payments::id.eq_any(&payment_ids))
            .select(PaymentRow::as_select())
            .load(conn)?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        let refunded = refunded_sums(conn, &payment_ids)?;
        let placed = placed(conn, account_id, &page)?;
        for row in &page {
            check_place(row, placed.get(&row.id), differences);
            let payment = row.payment_id.and_then(|id| paid.get(&id));
            if row.kind == LineKind::Commission {
                let Some(payment) = payment else {
                    differences.note(|| format!("{}: its payment is missing", row.id));
                    continue;
                };
                let refunded = refunded.get(&payment.id).copied().unwrap_or(0);
                differences.compare(|| format!("{}: refunded", payment.id), &payment.refunded_minor, &refunded);
                check_amounts(row, payment, adjusted.get(&row.id).copied().unwrap_or(0), differences)?;
            }
        }
    }
}

/// Payments whose commission row does not exist.
pub fn check_strays(conn: &mut Conn, differences: &mut Differences) -> Result<()> {
    let its_commission = payments::manager_id
        .eq(commissions::account_id.nullable())
        .and(payments::commission_id.eq(commissions::id.nullable()));
    let strays: Vec<PaymentId> = payments::table
        .left_join(commissions::table.on(its_commission))
        .filter(payments::manager_id.is_not_null())
        .filter(commissions::id.nullable().is_null())
        .select(payments::id)
        .limit(100)
        .load(conn)?;
    for id in strays {
        differences.note(|| format!("{id}: a managed client's payment without a commission row"));
    }
    Ok(())
}

fn check_amounts(
    row: &CommissionRow,
    payment: &PaymentRow,
    adjusted_minor: i64,
    differences: &mut Differences,
) -> Result<()> {
    let id = row.id;
    let applied = row.rate_bps.zip(row.rate_source).zip(row.level).map(|((bps, source), level)| AppliedRate {
        rate: Rate::from_bps(bps),
        source,
        level,
    });
    let amount = payment.money(payment.amount_minor);
    let right = accrual::accrue(amount, payment.tax_minor, payment.payer == Payer::Client, applied)?;
    differences.compare(|| format!("{id}: payment"), &payment.commission_id, &Some(id));
    differences.compare(|| format!("{id}: currency"), &row.currency, &payment.currency);
    differences.compare(|| format!("{id}: base"), &row.base_minor, &Some(right.base.minor));
    differences.compare(|| format!("{id}: amount"), &row.amount_minor, &right.amount.minor);
    differences.compare(
        || format!("{id}: reason"),
        &row.reason.as_deref(),
        &right.reason.map(super::super::commissions::NoCommissionReason::as_str),
    );
    differences.compare(|| format!("{id}: adjusted by refunds"), &row.refund_adjusted_minor, &adjusted_minor);
    if right.reason.is_none() && payment.amount_minor > 0 {
        let left = accrual::refund_delta(row, payment.refunded_minor, payment.amount_minor)?;
        differences.compare(|| format!("{id}: still to be taken back"), &left, &0);
    }
    let earned = row.status != CommissionStatus::NoCommission;
    differences.compare(|| format!("{id}: whether it earned"), &earned, &right.reason.is_none());
    let is_reversed = earned && row.net_minor() == 0;
    differences.compare(|| format!("{id}: reversed"), &(row.status == CommissionStatus::Reversed), &is_reversed);
    if let (Some(days), Some(paid_at)) = (row.review_days, row.payment_occurred_at) {
        let until = accrual::review_until(paid_at, u32::try_from(days).unwrap_or(0));
        differences.compare(|| format!("{id}: end of review"), &row.review_until, &Some(until));
    }
    Ok(())
}

/// The row's money must be where its status says, all of it, and the program must owe just that.
fn check_place(row: &CommissionRow, placed: Option<&BTreeMap<LedgerAccount, i64>>, differences: &mut Differences) {
    let expected_at = match row.status {
        CommissionStatus::InReview => Some(LedgerAccount::InReview),
        CommissionStatus::ReadyToPayout => Some(LedgerAccount::Ready),
        CommissionStatus::InPayout => Some(LedgerAccount::InPayout),
        CommissionStatus::Paid => Some(LedgerAccount::Paid),
        CommissionStatus::Reversed | CommissionStatus::NoCommission => None,
    };
    for account in LedgerAccount::ALL {
        let expected = match *account {
            LedgerAccount::Program => -expected_at.map_or(0, |_| row.net_minor()),
            account if Some(account) == expected_at => row.net_minor(),
            _ => 0,
        };
        let sum = placed.and_then(|sums| sums.get(account)).copied().unwrap_or(0);
        differences.compare(|| format!("{}: {account} by its status {}", row.id, row.status), &sum, &expected);
    }
}

fn next_rows(conn: &mut Conn, account_id: AccountId, after: Option<LineId>) -> Result<Vec<CommissionRow>> {
    let mut query = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .order(commissions::id)
        .limit(ROWS_PER_PAGE)
        .select(CommissionRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(commissions::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// Sums of the adjustments that refunds made, by the commission that they adjust.
fn refund_adjustments(conn: &mut Conn, account_id: AccountId) -> Result<HashMap<LineId, i64>> {
    let rows: Vec<(Option<LineId>, i64)> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::kind.eq(LineKind::Adjustment))
        .filter(commissions::reason.eq_any(["refund", "chargeback"]))
        .select((commissions::adjusts, commissions::amount_minor))
        .load(conn)?;
    let mut sums = HashMap::new();
    for (adjusts, amount_minor) in rows {
        if let Some(id) = adjusts {
            *sums.entry(id).or_default() += amount_minor;
        }
    }
    Ok(sums)
}

fn refunded_sums(conn: &mut Conn, payment_ids: &[PaymentId]) -> Result<HashMap<PaymentId, i64>> {
    let rows: Vec<RefundRow> =
        refunds::table.filter(refunds::payment_id.eq_any(payment_ids)).select(RefundRow::as_select()).load(conn)?;
    let mut sums = HashMap::new();
    for row in rows {
        *sums.entry(row.payment_id).or_default() += row.amount_minor;
    }
    Ok(sums)
}

/// Where the entries have put the money of each row.
fn placed(conn: &mut Conn, account_id: AccountId, page: &[CommissionRow]) -> Result<Placed> {
    let ids: Vec<LineId> = page.iter().map(|row| row.id).collect();
    let entries: Vec<(Option<LineId>, LedgerAccount, i64)> = ledger_entries::table
        .filter(ledger_entries::account_id.eq(account_id))
        .filter(ledger_entries::commission_id.eq_any(&ids))
        .select((ledger_entries::commission_id, ledger_entries::ledger_account, ledger_entries::amount_minor))
        .load(conn)?;
    let mut placed = Placed::new();
    for (id, account, amount_minor) in entries {
        if let Some(id) = id {
            *placed.entry(id).or_default().entry(account).or_default() += amount_minor;
        }
    }
    Ok(placed)
}
