//! Earnings over time, and what is in review by the day on which it gets ready. Reads only.
//!
//! *Earned* is the domain's word: commissions by the time of their payment, less what was reversed and with what was adjusted,
//! by their own time. Sums are formed by the database over quarters of an hour and put together here, for it knows no time
//! zones that both engines agree about.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp as SqlTimestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::calendar::{Calendar, Interval, QUARTER_SECONDS, Span, Zone};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::Result;
use crate::id::AccountId;
use crate::ledger::EntryKind;
use crate::money::{Currency, Money};

/// What was earned over time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeSeries {
    /// How long a point is.
    pub interval: Interval,
    /// The time zone of days, weeks and months.
    pub time_zone: Zone,
    /// The currency.
    pub currency: Currency,
    /// The points, oldest first; those without any earnings are there, too.
    pub data: Vec<EarningsPoint>,
}

/// What was earned in a day, week or month.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EarningsPoint {
    /// Its first day, in the time zone.
    #[schema(value_type = String, format = Date, example = "2026-01-31")]
    pub date: NaiveDate,
    /// Its first moment.
    pub starts_at: Timestamp,
    /// The first moment after it.
    pub ends_at: Timestamp,
    /// Commissions of payments made in it.
    pub commissions: Money,
    /// What refunds took back in it; subtracted.
    pub reversed: Money,
    /// Adjustments made in it, signed.
    pub adjusted: Money,
    /// Commissions − reversed + adjusted.
    pub earned: Money,
}

/// What gets ready when, as far as refunds leave it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaturingCommissions {
    /// The time zone of the days.
    pub time_zone: Zone,
    /// The days on which commissions get ready, soonest first, by currency.
    pub data: Vec<MaturingDay>,
}

/// What gets ready on a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaturingDay {
    /// The day, in the time zone.
    #[schema(value_type = String, format = Date, example = "2026-01-31")]
    pub date: NaiveDate,
    /// What is left of the commissions that get ready then.
    pub amount: Money,
    /// How many commissions.
    #[schema(minimum = 1, example = 7)]
    pub commissions: i64,
}

/// Sums of a quarter of an hour.
#[derive(QueryableByName)]
struct QuarterRow {
    #[diesel(sql_type = BigInt)]
    quarter: i64,
    #[diesel(sql_type = Text)]
    label: String,
    #[diesel(sql_type = BigInt)]
    amount_minor: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

impl QuarterRow {
    fn starts_at(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.quarter * QUARTER_SECONDS * 1_000_000)
    }
}

/// What a manager earned in the intervals of a calendar.
///
/// # Errors
/// The database's own failure.
pub fn earnings(conn: &mut Conn, account_id: AccountId, currency: Currency, calendar: &Calendar) -> Result<TimeSeries> {
    let Calendar { interval, zone, spans } = calendar;
    let mut points: Vec<_> = spans.iter().map(|span| (*span, Sums::default())).collect();
    if let (Some(first), Some(last)) = (spans.first(), spans.last()) {
        let range = (first.starts_at, last.ends_at);
        for row in
            earned(conn, account_id, currency, range)?.into_iter().chain(moved(conn, account_id, currency, range)?)
        {
            let index = points.partition_point(|(span, _)| span.ends_at <= row.starts_at());
            if let Some((_, sums)) = points.get_mut(index) {
                sums.add(&row);
            }
        }
    }
    let data = points.into_iter().map(|(span, sums)| sums.point(span, currency)).collect();
    Ok(TimeSeries { interval: *interval, time_zone: *zone, currency, data })
}

/// What a manager has in review, by the day on which it gets ready; of one currency, or of all.
///
/// # Errors
/// The database's own failure.
pub fn maturing(
    conn: &mut Conn,
    account_id: AccountId,
    currency: Option<Currency>,
    zone: Zone,
) -> Result<MaturingCommissions> {
    let quarter = quarter_of(conn, "review_until");
    let rows: Vec<QuarterRow> = diesel::sql_query(format!(
        "SELECT {quarter} AS quarter, currency AS label, \
            CAST(SUM(amount_minor - reversed_minor) AS BIGINT) AS amount_minor, COUNT(*) AS rows \
        FROM commissions \
        WHERE account_id = $1 AND status = 'inReview' \
        GROUP BY 1, 2"
    ))
    .bind::<Text, _>(account_id)
    .load(conn)?;
    let mut days: BTreeMap<(NaiveDate, Currency), (i64, i64)> = BTreeMap::new();
    for row in rows {
        let row_currency: Currency = row.label.parse().map_err(crate::error::Error::internal)?;
        if currency.is_none_or(|wanted| wanted == row_currency) {
            let sums = days.entry((zone.date_of(row.starts_at()), row_currency)).or_default();
            sums.0 += row.amount_minor;
            sums.1 += row.rows;
        }
    }
    let day = |((date, currency), (minor, commissions)): ((NaiveDate, Currency), (i64, i64))| MaturingDay {
        date,
        amount: Money::new(minor, currency),
        commissions,
    };
    Ok(MaturingCommissions { time_zone: zone, data: days.into_iter().map(day).collect() })
}

/// Sums of a point, in minor units.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    commissions: i64,
    reversed: i64,
    adjusted: i64,
}

impl Sums {
    fn add(&mut self, row: &QuarterRow) {
        match row.label.parse() {
            Ok(EntryKind::CommissionEarned) => self.commissions += row.amount_minor,
            Ok(EntryKind::CommissionReversed) => self.reversed -= row.amount_minor,
            _ => self.adjusted += row.amount_minor,
        }
    }

    fn point(self, span: Span, currency: Currency) -> EarningsPoint {
        let money = |minor| Money::new(minor, currency);
        EarningsPoint {
            date: span.date,
            starts_at: span.starts_at,
            ends_at: span.ends_at,
            commissions: money(self.commissions),
            reversed: money(self.reversed),
            adjusted: money(self.adjusted),
            earned: money(self.commissions - self.reversed + self.adjusted),
        }
    }
}

/// What payments earned, by their time.
fn earned(
    conn: &mut Conn,
    account_id: AccountId,
    currency: Currency,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<QuarterRow>> {
    let quarter = quarter_of(conn, "payment_occurred_at");
    // The condition on the kind is a literal: the partial index serves no other.
    Ok(diesel::sql_query(format!(
        "SELECT {quarter} AS quarter, 'commissionEarned' AS label, CAST(SUM(amount_minor) AS BIGINT) AS amount_minor, \
            COUNT(*) AS rows \
        FROM commissions \
        WHERE account_id = $1 AND currency = $2 AND kind = 'commission' \
            AND payment_occurred_at >= $3 AND payment_occurred_at < $4 \
        GROUP BY 1"
    ))
    .bind::<Text, _>(account_id)
    .bind::<Text, _>(currency)
    .bind::<SqlTimestamp, _>(from)
    .bind::<SqlTimestamp, _>(to)
    .load(conn)?)
}

/// What was reversed and adjusted, by its own time. That no entry is in review is said for the index of entries by time, which
/// holds none.
fn moved(
    conn: &mut Conn,
    account_id: AccountId,
    currency: Currency,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<QuarterRow>> {
    let quarter = quarter_of(conn, "created_at");
    Ok(diesel::sql_query(format!(
        "SELECT {quarter} AS quarter, kind AS label, CAST(SUM(-amount_minor) AS BIGINT) AS amount_minor, \
            COUNT(*) AS rows \
        FROM ledger_entries \
        WHERE account_id = $1 AND currency = $2 AND ledger_account = 'program' AND ledger_account <> 'inReview' \
            AND kind <> 'commissionEarned' \
            AND created_at >= $3 AND created_at < $4 \
        GROUP BY 1, 2"
    ))
    .bind::<Text, _>(account_id)
    .bind::<Text, _>(currency)
    .bind::<SqlTimestamp, _>(from)
    .bind::<SqlTimestamp, _>(to)
    .load(conn)?)
}

/// How many quarters of an hour lie between 1970 and the time in `column`.
fn quarter_of(conn: &Conn, column: &str) -> String {
    match conn {
        Conn::Postgres(_) => format!("CAST(floor(extract(epoch FROM {column}) / {QUARTER_SECONDS}) AS BIGINT)"),
        Conn::Sqlite(_) => format!("CAST(strftime('%s', {column}) AS INTEGER) / {QUARTER_SECONDS}"),
    }
}
