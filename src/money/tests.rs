//! Amounts, rates and rounding, against the definitions.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn rounded(text: &str, code: &str) -> String {
    round(decimal(text), currency(code)).unwrap().to_string()
}

/// Currencies without, with two and with three digits.
fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec![currency("JPY"), Currency::USD, currency("EUR"), currency("KWD")])
}

#[test]
fn a_half_goes_to_the_even_neighbour() {
    assert_eq!(rounded("0.015", "USD"), "0.02 USD");
    assert_eq!(rounded("0.045", "USD"), "0.04 USD");
    assert_eq!(rounded("-0.015", "USD"), "-0.02 USD");
    assert_eq!(rounded("-0.045", "USD"), "-0.04 USD");
    assert_eq!(rounded("0.3015", "KWD"), "0.302 KWD");
    assert_eq!(rounded("0.5", "JPY"), "0 JPY");
    assert_eq!(rounded("1.5", "JPY"), "2 JPY");
    assert_eq!(rounded("0.0450001", "USD"), "0.05 USD");
}

#[test]
fn an_amount_has_at_most_its_currencys_digits() {
    let parse = |amount, code| Money::parse(amount, currency(code)).map(|money| money.minor);
    assert_eq!(parse("17.00", "USD"), Ok(1_700));
    assert_eq!(parse("17", "USD"), Ok(1_700));
    assert_eq!(parse("-0.5", "USD"), Ok(-50));
    assert_eq!(parse("2000", "JPY"), Ok(2_000));
    assert_eq!(parse("1.005", "KWD"), Ok(1_005));
    for (amount, code) in [("1.005", "USD"), ("1.0", "JPY"), ("1.", "USD"), (".5", "USD"), ("", "USD"), ("1e3", "USD")]
    {
        assert!(parse(amount, code).is_err(), "{amount} {code}");
    }
    assert!(parse("10000000000000.01", "USD").is_err());
    assert!(parse("99999999999999999999", "USD").is_err());
}

#[test]
fn a_rate_is_a_percentage_with_at_most_two_decimals() {
    let parse = |percent: &str| percent.parse::<Rate>().map(Rate::bps);
    assert_eq!([parse("0"), parse("30"), parse("32.5"), parse("100")], [Ok(0), Ok(3_000), Ok(3_250), Ok(10_000)]);
    for percent in ["", "-1", "100.01", "1.005", "+3", "3%", "."] {
        assert!(parse(percent).is_err(), "{percent}");
    }
}

proptest! {
    #[test]
    fn an_amount_reads_back_as_it_was_written(
        minor in -MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR,
        currency in any_currency(),
    ) {
        let money = Money::new(minor, currency);
        prop_assert_eq!(Money::parse(&money.decimal().to_string(), currency), Ok(money));
        let written = serde_json::to_value(money).unwrap();
        prop_assert_eq!(&written, &json!({"amount": money.decimal().to_string(), "currency": currency.as_str()}));
        prop_assert_eq!(serde_json::from_value::<Money>(written).unwrap(), money);
    }

    #[test]
    fn a_rate_reads_back_as_it_was_written(bps in 0..=10_000) {
        let rate = Rate::from_bps(bps);
        prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
    }

    #[test]
    fn rounding_goes_to_the_nearest_and_from_a_half_to_the_even(
        ten_thousandths in -1_000_000_000_000_i64..=1_000_000_000_000,
        currency in any_currency(),
    ) {
        let minor_units = Decimal::new(ten_thousandths, 4);
        let scale = Decimal::from(10_u64.pow(u32::from(currency.digits())));
        let minor = round(minor_units / scale, currency).unwrap().minor;
        let (distance, half) = ((minor_units - Decimal::from(minor)).abs(), Decimal::new(5, 1));
        prop_assert!(distance < half || (distance == half && minor % 2 == 0), "{} became {}", minor_units, minor);
    }

    #[test]
    fn pro_rata_is_the_rounded_share(
        whole in -1_000_000_000_i64..=1_000_000_000,
        (total, part) in (1_i64..=1_000_000_000).prop_flat_map(|total| (Just(total), 0..=total)),
    ) {
        let minor = pro_rata(Money::new(whole, Currency::USD), part, total).unwrap().minor;
        let error = (i128::from(minor) * i128::from(total) - i128::from(whole) * i128::from(part)).abs() * 2;
        prop_assert!(error < i128::from(total) || (error == i128::from(total) && minor % 2 == 0));
        prop_assert!(minor.abs() <= whole.abs());
    }
}

#[test]
fn pro_rata_of_nothing_is_refused() {
    assert!(pro_rata(Money::new(1, Currency::USD), 0, 0).is_err());
}
