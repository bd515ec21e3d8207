//! The commissions of an account: amounts follow from payments and rates, what was taken back from refunds, statuses from
//! amounts, copies from the payment, and the ledger has each row's money where its status says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::prelude::*;

use super::Differences;
use crate::billing::{Payer, PaymentRow, RefundReason, RefundRow};
use crate::clock::Timestamp;
use crate::commissions::{CommissionRow, CommissionStatus, LineId, LineKind, accrual};
use crate::containers::Product;
use crate::db::Conn;
use crate::db::schema::{commissions, containers, ledger_entries, payments, refunds};
use crate::error::Result;
use crate::id::{AccountId, ContainerId, EntryId, PaymentId, PayoutId};
use crate::ledger::{EntryKind, EntryRow, LedgerAccount};
use crate::money::{Currency, Rate};
use crate::partners::AppliedRate;
use crate::payouts::adjustments::AdjustmentReason;

/// Rows that are in memory at once.
const ROWS_PER_PAGE: i64 = 2_000;

/// Entries that are named of an account whose rows are missing.
const MAX_STRAYS: i64 = 100;

type Placed = HashMap<LineId, Entries>;

/// What the ledger has of one row.
#[derive(Debug, Default)]
struct Entries {
    /// Where its money is.
    sums: BTreeMap<(Currency, LedgerAccount), i64>,
    /// Why it left the program or went back there, with the payout that is named.
    causes: BTreeSet<(EntryKind, Option<PayoutId>)>,
}

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let adjusted = refund_adjustments(conn, account_id)?;
    let mut last: Option<LineId> = None;
    loop {
        let page = next_rows(conn, account_id, last)?;
        let Some(row) = page.last() else { return check_stray_entries(conn, account_id, differences) };
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
        let products = products(conn, &page)?;
        let placed = placed(conn, account_id, &page)?;
        let nothing = Entries::default();
        for row in &page {
            let entries = placed.get(&row.id).unwrap_or(&nothing);
            check_place(row, entries, differences);
            check_causes(row, entries, differences);
            check_ready(row, differences);
            let payment = row.payment_id.and_then(|id| paid.get(&id));
            if let Some(payment) = payment {
                check_copies(row, payment, products.get(&payment.container_id).copied(), differences);
            }
            if row.kind == LineKind::Commission {
                let Some(payment) = payment else {
                    differences.note(|| format!("{}: its payment is missing", row.id));
                    continue;
                };
                let refunded = refunded.get(&payment.id).copied().unwrap_or(0);
                let [stored, refunded] = [payment.refunded_minor, refunded].map(|minor| payment.money(minor));
                differences.compare(|| format!("{}: refunded", payment.id), &stored, &refunded);
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
    let base = row.base_minor.map(|minor| row.money(minor));
    differences.compare(|| format!("{id}: base"), &base, &Some(right.base));
    differences.compare(|| format!("{id}: amount"), &row.money(row.amount_minor), &right.amount);
    differences.compare(
        || format!("{id}: reason"),
        &row.reason.as_deref(),
        &right.reason.map(super::super::commissions::NoCommissionReason::as_str),
    );
    let [adjusted, right_adjusted] = [row.refund_adjusted_minor, adjusted_minor].map(|minor| row.money(minor));
    differences.compare(|| format!("{id}: adjusted by refunds"), &adjusted, &right_adjusted);
    if right.reason.is_none() && payment.amount_minor > 0 {
        let left = accrual::refund_delta(row, payment.refunded_minor, payment.amount_minor)?;
        differences.compare(|| format!("{id}: still to be taken back"), &row.money(left), &row.money(0));
    }
    let earned = row.status != CommissionStatus::NoCommission;
    differences.compare(|| format!("{id}: whether it earned"), &earned, &right.reason.is_none());
    let is_reversed = earned && row.net_minor() == 0;
    differences.compare(|| format!("{id}: reversed"), &(row.status == CommissionStatus::Reversed), &is_reversed);
    differences.compare(|| format!("{id}: whether it is reviewed"), &row.review_days.is_some(), &earned);
    if let (Some(days), Some(paid_at)) = (row.review_days, row.payment_occurred_at) {
        let until = accrual::review_until(paid_at, u32::try_from(days).unwrap_or(0));
        // Rows of before that were kept to the microsecond.
        let stored = row.review_until.map(Timestamp::millisecond);
        differences.compare(|| format!("{id}: end of review"), &stored, &Some(until));
    }
    Ok(())
}

/// What a row repeats of its payment, or of that of the commission which it adjusts. Names and addresses are as they were then.
fn check_copies(row: &CommissionRow, payment: &PaymentRow, product: Option<Product>, differences: &mut Differences) {
    let id = row.id;
    differences.compare(|| format!("{id}: manager then"), &Some(row.account_id), &payment.manager_id);
    differences.compare(|| format!("{id}: client"), &row.client_id, &Some(payment.account_id));
    differences.compare(|| format!("{id}: container"), &row.container_id, &Some(payment.container_id));
    differences.compare(|| format!("{id}: product"), &row.product, &product);
    differences.compare(|| format!("{id}: plan"), &row.plan.as_deref(), &Some(payment.plan.as_str()));
    differences.compare(|| format!("{id}: billing period"), &row.billing_period, &Some(payment.billing_period));
    let external_id = row.payment_external_id.as_deref();
    differences.compare(|| format!("{id}: payment's name"), &external_id, &Some(payment.external_id.as_str()));
    let paid = (row.payment_amount_minor.map(|minor| row.money(minor)), row.payment_occurred_at);
    let right = (Some(payment.money(payment.amount_minor)), Some(payment.occurred_at));
    differences.compare(|| format!("{id}: payment's amount and time"), &paid, &right);
}

/// A commission is ready from the end of its review on, an adjustment at once.
fn check_ready(row: &CommissionRow, differences: &mut Differences) {
    let right = match (row.kind, row.status) {
        (LineKind::Adjustment, _) => Some(row.created_at),
        (_, CommissionStatus::InReview | CommissionStatus::NoCommission) => None,
        (_, CommissionStatus::ReadyToPayout | CommissionStatus::InPayout | CommissionStatus::Paid) => row.review_until,
        // In review, or when it was ready.
        (_, CommissionStatus::Reversed) => row.ready_at.and(row.review_until),
    };
    differences.compare(|| format!("{}: since when it is ready, as {}", row.id, row.status), &row.ready_at, &right);
}

/// What left the program, or went back there, for what the row says it is; only for a payout that came back one is named.
fn check_causes(row: &CommissionRow, entries: &Entries, differences: &mut Differences) {
    let reason = row.reason.as_deref().unwrap_or_default();
    let is_return = reason == AdjustmentReason::PayoutReturned.as_str();
    let right: &[EntryKind] = match row.kind {
        LineKind::Commission => &[EntryKind::CommissionEarned, EntryKind::CommissionReversed],
        LineKind::Adjustment if reason.parse::<RefundReason>().is_ok() => &[EntryKind::RefundAdjustment],
        LineKind::Adjustment if reason.parse::<AdjustmentReason>().is_ok() => &[EntryKind::OperatorAdjustment],
        LineKind::Adjustment => &[],
    };
    for (kind, payout_id) in &entries.causes {
        if !right.contains(kind) {
            differences.note(|| format!("{}: an entry {kind} of a row with the reason {reason:?}", row.id));
        }
        if payout_id.is_some() != (is_return && row.kind == LineKind::Adjustment) {
            differences.note(|| format!("{}: the reason {reason:?} with the payout {payout_id:?}", row.id));
        }
    }
}

/// The row's money must be where its status says, all of it and in its currency, and the program must owe just that.
fn check_place(row: &CommissionRow, entries: &Entries, differences: &mut Differences) {
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
        let sum = entries.sums.get(&(row.currency, *account)).copied().unwrap_or(0);
        differences.compare(
            || format!("{}: {account} by its status {}", row.id, row.status),
            &row.money(sum),
            &row.money(expected),
        );
    }
    if let Some(other) = entries.sums.keys().map(|(currency, _)| currency).find(|currency| **currency != row.currency) {
        differences.note(|| format!("{}: entries in {other} of a row in {}", row.id, row.currency));
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

/// The products of the containers that a page was paid for.
fn products(conn: &mut Conn, page: &[CommissionRow]) -> Result<HashMap<ContainerId, Product>> {
    let ids: BTreeSet<ContainerId> = page.iter().filter_map(|row| row.container_id).collect();
    let rows: Vec<(ContainerId, Product)> = containers::table
        .filter(containers::id.eq_any(ids))
        .select((containers::id, containers::product))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Entries about rows that do not exist.
fn check_stray_entries(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let its_row = commissions::account_id
        .eq(ledger_entries::account_id)
        .and(ledger_entries::commission_id.eq(commissions::id.nullable()));
    let strays: Vec<(EntryId, Option<LineId>)> = ledger_entries::table
        .left_join(commissions::table.on(its_row))
        .filter(ledger_entries::account_id.eq(account_id))
        .filter(commissions::id.nullable().is_null())
        .select((ledger_entries::id, ledger_entries::commission_id))
        .limit(MAX_STRAYS)
        .load(conn)?;
    for (id, line_id) in strays {
        let line = line_id.map_or("nothing".to_owned(), |id| id.to_string());
        differences.note(|| format!("{id}: about {line}, which is no commission or adjustment"));
    }
    Ok(())
}

/// Where the entries have put the money of each row.
fn placed(conn: &mut Conn, account_id: AccountId, page: &[CommissionRow]) -> Result<Placed> {
    let ids: Vec<LineId> = page.iter().map(|row| row.id).collect();
    let entries: Vec<EntryRow> = ledger_entries::table
        .filter(ledger_entries::account_id.eq(account_id))
        .filter(ledger_entries::commission_id.eq_any(&ids))
        .select(EntryRow::as_select())
        .load(conn)?;
    let mut placed = Placed::new();
    for entry in entries {
        let Some(id) = entry.commission_id else { continue };
        let of_row = placed.entry(id).or_default();
        *of_row.sums.entry((entry.currency, entry.ledger_account)).or_default() += entry.amount_minor;
        if entry.ledger_account == LedgerAccount::Program {
            of_row.causes.insert((entry.kind, entry.payout_id));
        }
    }
    Ok(placed)
}
