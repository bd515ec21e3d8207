//! The worked examples of domain section 5, and what holds for every series of refunds.

use proptest::prelude::*;

use super::*;
use crate::commissions::{CommissionStatus, LineId};
use crate::id::{AccountId, CommissionId};
use crate::money::{Currency, Rate};
use crate::partners::RateSource;

fn at_rate(percent: &str) -> AppliedRate {
    AppliedRate { rate: percent.parse().unwrap(), source: RateSource::LevelDefault, level: 1 }
}

fn money(amount: &str, currency: &str) -> Money {
    Money::parse(amount, currency.parse().unwrap()).unwrap()
}

fn earned(amount: &str, currency: &str, percent: &str) -> String {
    accrue(money(amount, currency), 0, true, Some(at_rate(percent))).unwrap().amount.to_string()
}

/// A commission as it arises.
fn commission(amount: Money) -> CommissionRow {
    let now = Timestamp::from_unix_micros(0);
    let id = LineId::Commission(CommissionId::new(now));
    CommissionRow::bare(now, AccountId::new(now), id, CommissionStatus::InReview, amount)
}

/// Takes what a refund is worth: from the row while it is open, else by an adjustment.
fn take(row: &mut CommissionRow, open: bool, refunded_minor: i64, paid_minor: i64) -> i64 {
    let delta = refund_delta(row, refunded_minor, paid_minor).unwrap();
    if open {
        row.reversed_minor += delta;
    } else {
        row.refund_adjusted_minor -= delta;
    }
    delta
}

#[test]
fn tax_earns_nothing() {
    let accrual = accrue(money("24.00", "USD"), 400, true, Some(at_rate("30"))).unwrap();
    assert_eq!((accrual.base, accrual.amount), (money("20.00", "USD"), money("6.00", "USD")));
    assert_eq!(accrual.reason, None);
}

#[test]
fn the_worked_examples_of_rounding() {
    assert_eq!(earned("1000.00", "USD", "30"), "300.00 USD");
    assert_eq!(earned("0.05", "USD", "30"), "0.02 USD");
    assert_eq!(earned("0.15", "USD", "30"), "0.04 USD");
    assert_eq!(earned("2000", "JPY", "35"), "700 JPY");
    assert_eq!(earned("1.005", "KWD", "30"), "0.302 KWD");
    let unrounded = |amount, currency| unrounded(money(amount, currency), Rate::from_bps(3_000)).to_string();
    assert_eq!(unrounded("0.05", "USD"), "0.015");
    assert_eq!(unrounded("1.005", "KWD"), "0.3015");
    assert_eq!(unrounded("20.00", "USD"), "6");
    assert_eq!(unrounded("0.00", "USD"), "0");
}

#[test]
fn the_first_reason_that_fits_is_given() {
    let reason = |amount: &str, tax_minor, by_client, applied| {
        accrue(money(amount, "USD"), tax_minor, by_client, applied).unwrap().reason.map(NoCommissionReason::as_str)
    };
    let (thirty, zero) = (Some(at_rate("30")), Some(at_rate("0")));
    assert_eq!(reason("0.00", 0, false, None), Some("paidByManager"));
    assert_eq!(reason("0.00", 0, true, None), Some("notPartnerThen"));
    assert_eq!(reason("4.00", 400, true, zero), Some("zeroBase"));
    assert_eq!(reason("0.01", 0, true, zero), Some("zeroRate"));
    assert_eq!(reason("0.01", 0, true, thirty), Some("roundedToZero"));
    assert_eq!(reason("0.02", 0, true, thirty), None);
}

#[test]
fn refunds_in_parts_take_the_whole_commission() {
    let mut row = commission(money("6.00", "USD"));
    assert_eq!(take(&mut row, true, 800, 2_400), 200);
    assert_eq!(take(&mut row, true, 2_400, 2_400), 400);
    assert_eq!(row.net_minor(), 0);
}

#[test]
fn a_refund_while_in_a_payout_is_an_adjustment_and_the_next_one_is_taken_from_the_row_again() {
    let mut row = commission(money("6.00", "USD"));
    assert_eq!(take(&mut row, false, 800, 2_400), 200);
    assert_eq!((row.net_minor(), row.refund_adjusted_minor), (600, -200));
    assert_eq!(take(&mut row, true, 2_400, 2_400), 400);
    assert_eq!((row.net_minor(), row.net_minor() + row.refund_adjusted_minor), (200, 0));
}

#[test]
fn a_review_lasts_so_many_times_24_hours() {
    let paid_at: Timestamp = "2026-02-20T10:00:00Z".parse().unwrap();
    assert_eq!(review_until(paid_at, 14).to_string(), "2026-03-06T10:00:00.000Z");
    assert_eq!(review_until(paid_at, 0), paid_at);
}

fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["JPY", "USD", "KWD"]).prop_map(|code| code.parse().unwrap())
}

/// What was paid, the tax in it, and refunds that do not exceed it, each with whether the row was open then.
fn payment_with_refunds() -> impl Strategy<Value = (i64, i64, Vec<(i64, bool)>)> {
    (1_i64..=50_000_000).prop_flat_map(|paid| {
        let refunded = prop::collection::vec((1..=paid, any::<bool>()), 1..12);
        (Just(paid), 0..=paid, refunded)
    })
}

proptest! {
    #[test]
    fn refunds_take_the_rounded_share_of_their_sum_and_never_more_than_the_commission(
        (paid, tax, mut refunds) in payment_with_refunds(),
        bps in 0..=10_000,
        currency in any_currency(),
    ) {
        let applied = AppliedRate { rate: Rate::from_bps(bps), ..at_rate("0") };
        let amount = accrue(Money::new(paid, currency), tax, true, Some(applied)).unwrap().amount;
        let mut row = commission(amount);
        refunds.sort_unstable();
        let mut taken = 0;
        for (refunded, open) in refunds {
            let delta = take(&mut row, open, refunded, paid);
            prop_assert!(delta >= 0);
            taken += delta;
            let share = Decimal::from(amount.minor) * Decimal::from(refunded) / Decimal::from(paid);
            let distance = (share - Decimal::from(taken)).abs();
            prop_assert!(distance <= Decimal::new(5, 1), "{} is not round({})", taken, share);
            prop_assert_eq!(taken, money::pro_rata(amount, refunded, paid).unwrap().minor);
            prop_assert_eq!(row.net_minor() + row.refund_adjusted_minor, amount.minor - taken);
            prop_assert!(taken <= amount.minor);
        }
        let rest = take(&mut row, true, paid, paid);
        prop_assert_eq!(taken + rest, amount.minor);
    }

    #[test]
    fn a_commission_is_at_most_the_base(paid in 0_i64..=50_000_000, bps in 0..=10_000, currency in any_currency()) {
        let applied = AppliedRate { rate: Rate::from_bps(bps), ..at_rate("0") };
        let accrual = accrue(Money::new(paid, currency), 0, true, Some(applied)).unwrap();
        prop_assert!((0..=accrual.base.minor).contains(&accrual.amount.minor));
        prop_assert_eq!(accrual.reason.is_none(), accrual.amount.minor > 0);
    }
}
