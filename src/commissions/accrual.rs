//! How a commission arises at a payment, and what a refund takes back: the arithmetic of domain section 5. Pure.

use rust_decimal::Decimal;

use super::models::{CommissionRow, NoCommissionReason};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::money::{self, Money};
use crate::partners::AppliedRate;

/// What a managed account's payment earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accrual {
    /// Amount without tax.
    pub base: Money,
    /// The commission, zero where `reason` is set.
    pub amount: Money,
    /// Why nothing was earned.
    pub reason: Option<NoCommissionReason>,
}

/// round((amount − tax) × rate), or why there is none. `applied` is none where the manager was no partner then.
///
/// # Errors
/// An amount that does not fit.
pub fn accrue(amount: Money, tax_minor: i64, by_client: bool, applied: Option<AppliedRate>) -> Result<Accrual> {
    let base = Money::new(amount.minor - tax_minor, amount.currency);
    let nothing = |reason| Ok(Accrual { base, amount: Money::new(0, base.currency), reason: Some(reason) });
    if !by_client {
        return nothing(NoCommissionReason::PaidByManager);
    }
    let Some(applied) = applied else { return nothing(NoCommissionReason::NotPartnerThen) };
    if base.minor == 0 {
        return nothing(NoCommissionReason::ZeroBase);
    }
    if applied.rate.bps() == 0 {
        return nothing(NoCommissionReason::ZeroRate);
    }
    let commission = money::round(applied.rate.of(base), base.currency)?;
    if commission.minor == 0 {
        return nothing(NoCommissionReason::RoundedToZero);
    }
    Ok(Accrual { base, amount: commission, reason: None })
}

/// `base × rate` before rounding, as short as it can be written.
#[must_use]
pub fn unrounded(base: Money, rate: money::Rate) -> Decimal {
    rate.of(base).normalize()
}

/// What a further refund takes of a commission, from the cumulative sum: round(commission × refunded / paid) less what was
/// taken before, from the row or by adjustments.
///
/// # Errors
/// A payment of nothing, which has no refunds.
pub fn refund_delta(commission: &CommissionRow, refunded_minor: i64, paid_minor: i64) -> Result<i64> {
    let amount = commission.money(commission.amount_minor);
    let reversed_total = money::pro_rata(amount, refunded_minor, paid_minor)?;
    Ok(reversed_total.minor - (commission.reversed_minor - commission.refund_adjusted_minor))
}

/// End of the review: so many times 24 hours after the payment, to the millisecond, so that it ends when it is shown to.
#[must_use]
pub fn review_until(paid_at: Timestamp, days: u32) -> Timestamp {
    paid_at.plus_days(i64::from(days)).millisecond()
}

#[cfg(test)]
mod tests;
