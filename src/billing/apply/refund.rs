//! `payment.refunded`: what it takes back of the payment's commission.

use super::super::event::PaymentRefunded;
use super::super::models::{RefundReason, RefundRow};
use super::super::world::World;
use super::payment::earned_posting;
use super::tell;
use crate::clock::Timestamp;
use crate::commissions::{CommissionRow, CommissionStatus, LineId, accrual};
use crate::context::Context;
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::events::EventType;
use crate::id::AdjustmentId;
use crate::ledger::{EntryKind, LedgerAccount, Posting};

/// Applies a refund.
///
/// # Errors
/// The refusals of domain section 5.
pub fn apply(world: &mut World, context: &Context, occurred_at: Timestamp, refund: &PaymentRefunded) -> Result<()> {
    let Some(payment) = world.payments.get(&refund.payment_id).map(|tracked| tracked.row.clone()) else {
        let detail = format!("no payment with the paymentId {} has been applied", refund.payment_id);
        let violation = Violation::at("/data/paymentId", "unknown", "is not the id of an applied payment");
        return Err(Problem::new(Code::PaymentUnknown, detail).with(violation).into());
    };
    if world.has_refund(&refund.refund_id) {
        let detail = format!("another event has the refundId {}", refund.refund_id);
        let violation = Violation::at("/data/refundId", "taken", "belongs to another event");
        return Err(Problem::new(Code::RefundExists, detail).with(violation).into());
    }
    if refund.amount.currency != payment.currency {
        let detail = format!("the payment was in {}, the refund is in {}", payment.currency, refund.amount.currency);
        let violation = Violation::at("/data/amount/currency", "currencyMismatch", "must be the payment's currency");
        return Err(Problem::new(Code::CurrencyMismatch, detail).with(violation).into());
    }
    let left = payment.amount_minor - payment.refunded_minor;
    if refund.amount.minor > left {
        let detail = format!("{} is more than the {} that is left of the payment", refund.amount, payment.money(left));
        let violation = Violation::at("/data/amount", "tooLarge", "is more than what is left of the payment");
        return Err(Problem::new(Code::RefundExceedsPayment, detail).with(violation).into());
    }
    let refunded_minor = payment.refunded_minor + refund.amount.minor;
    if let Some(commission_id) = payment.commission_id {
        reverse(world, context, commission_id, refunded_minor, payment.amount_minor, refund.reason)?;
    }
    if let Some(tracked) = world.payments.get_mut(&refund.payment_id) {
        tracked.change().refunded_minor = refunded_minor;
    }
    world.take_refund_id(&refund.refund_id);
    world.new_refunds.push(RefundRow {
        external_id: refund.refund_id.clone(),
        payment_id: payment.id,
        amount_minor: refund.amount.minor,
        reason: refund.reason,
        occurred_at,
        created_at: context.now,
    });
    Ok(())
}

/// Takes back what the refunds so far are worth: from the row while it is open, else by an adjustment.
fn reverse(
    world: &mut World,
    context: &Context,
    commission_id: LineId,
    refunded_minor: i64,
    paid_minor: i64,
    reason: RefundReason,
) -> Result<()> {
    let missing = || Error::internal("a payment's commission is not loaded");
    let tracked = world.commissions.get_mut(&commission_id).ok_or_else(missing)?;
    let delta = match tracked.row.status {
        CommissionStatus::NoCommission => 0,
        _ => accrual::refund_delta(&tracked.row, refunded_minor, paid_minor)?,
    };
    if delta == 0 {
        return Ok(());
    }
    let row = tracked.change();
    let manager_id = row.account_id;
    if !row.status.is_open() {
        row.refund_adjusted_minor -= delta;
        let id = AdjustmentId::new(context.now);
        let amount = row.money(-delta);
        let adjustment = CommissionRow::adjustment(context.now, id, manager_id, amount, reason.as_str(), Some(&*row));
        world.journal.post(context.now, &adjustment_posting(&adjustment))?;
        tell(world, manager_id, EventType::CommissionAdjusted, adjustment.id);
        world.new_adjustments.push(adjustment);
        return Ok(());
    }
    let from = match row.status {
        CommissionStatus::InReview => LedgerAccount::InReview,
        _ => LedgerAccount::Ready,
    };
    row.reversed_minor += delta;
    if row.net_minor() == 0 {
        row.status = CommissionStatus::Reversed;
    }
    let posting = Posting {
        kind: EntryKind::CommissionReversed,
        from,
        to: LedgerAccount::Program,
        amount_minor: delta,
        earned_at: None,
        ..earned_posting(row)
    };
    world.journal.post(context.now, &posting)?;
    tell(world, manager_id, EventType::CommissionReversed, commission_id);
    Ok(())
}

const fn adjustment_posting(row: &CommissionRow) -> Posting {
    Posting { kind: EntryKind::RefundAdjustment, to: LedgerAccount::Ready, earned_at: None, ..earned_posting(row) }
}
