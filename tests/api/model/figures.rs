//! The model's own arithmetic and spelling: money in minor units, times in milliseconds, rates in hundredths of a percent.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};

/// The currencies of a run, with their digits.
pub const CURRENCIES: [(&str, u32); 5] = [("USD", 2), ("EUR", 2), ("GBP", 2), ("JPY", 0), ("KWD", 3)];

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// numerator / denominator to a whole number, half to even.
pub fn rounded(numerator: i128, denominator: i128) -> i64 {
    let (whole, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(whole + i128::from(up)).expect("an amount that fits")
}

/// A rate's share of an amount.
pub fn share(amount: i64, rate: i64) -> i64 {
    rounded(i128::from(amount) * i128::from(rate), 10_000)
}

/// Money as the API writes it.
pub fn money(minor: i64, currency: usize) -> Value {
    let (code, digits) = CURRENCIES[currency];
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0width$}", minor.unsigned_abs(), width = digits as usize + 1);
    let (whole, fraction) = text.split_at(text.len() - digits as usize);
    let amount = if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    json!({"amount": amount, "currency": code})
}

/// A rate as the API writes it: percent without needless zeros.
pub fn percent(rate: i64) -> String {
    let text = format!("{}.{:02}", rate / 100, rate % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time as the API writes it.
pub fn time(at: i64) -> String {
    date(at).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Year and month of a time.
pub fn month(at: i64) -> (i32, u32) {
    (date(at).year(), date(at).month())
}

/// The first millisecond of the month after this one.
pub fn end_of_month(month: (i32, u32)) -> i64 {
    start_of_month(after(month))
}

/// The first millisecond of a month.
pub fn start_of_month((year, month): (i32, u32)) -> i64 {
    let first = chrono::NaiveDate::from_ymd_opt(year, month, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    first.expect("a date").and_utc().timestamp_millis()
}

/// The month after this one.
pub const fn after((year, month): (i32, u32)) -> (i32, u32) {
    if month == 12 { (year + 1, 1) } else { (year, month + 1) }
}

/// Reads a time that the API wrote.
pub fn parse(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis()
}

fn date(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).expect("a time")
}
