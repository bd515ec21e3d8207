//! What came of a referral link day by day: counters, and what its sign-ups brought. Reads only.
//!
//! Earned on a day is, as everywhere (domain section 5): the commissions of payments of that day, less the reversals and
//! with the adjustments of that day, of all clients that signed up with the link and for as long as its manager earns them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveTime};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp as SqlTimestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::models::ReferralLinkRow;
use super::statistics::{self, Counts};
use crate::clock::Timestamp;
use crate::db::{Conn, utc_day};
use crate::error::{Error, Result};
use crate::http::invalid_parameter;
use crate::money::{Currency, Money};

/// Days that are shown when the client does not say.
const DEFAULT_DAYS: i64 = 30;

/// Days that are shown at most.
const MAX_DAYS: i64 = 366;

/// A UTC day, `2026-01-31` in JSON and in queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(NaiveDate);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.naive().date())
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from(self.0.and_time(NaiveTime::MIN))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        // The parser would take signs and days without zeros as well.
        let is_plain = |date: &NaiveDate| date.to_string() == text && (1970..=9999).contains(&date.year());
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(is_plain);
        date.map(Self).ok_or("is not a day of the years 1970 to 9999, such as 2026-01-31")
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .pattern(Some("^(19[7-9]|[2-9][0-9]{2})[0-9]-"))
            .description(Some("A day of the UTC calendar."))
            .examples(["2026-01-31"])
            .into()
    }
}

impl ToSchema for Day {}

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatisticsQuery {
    /// The first UTC day; without it, 29 days before the last.
    #[param(inline, example = "2026-01-01")]
    from: Option<Day>,
    /// The last UTC day, itself included; without it, today. At most 366 days from the first.
    #[param(inline, example = "2026-01-31")]
    to: Option<Day>,
}

impl StatisticsQuery {
    /// The range that is asked for.
    ///
    /// # Errors
    /// 400 `invalidParameter`: a range that ends before it begins, or is too long.
    pub fn range(&self, now: Timestamp) -> Result<Range> {
        let today = Day::of(now);
        let last = self.to.unwrap_or_else(|| self.from.map_or(today, |first| first.max(today)));
        let first = self
            .from
            .unwrap_or_else(|| Day::of(last.start().plus_days(1 - DEFAULT_DAYS).max(Timestamp::from_unix_micros(0))));
        if first > last {
            return Err(invalid_parameter("from", "range", "must not be after to"));
        }
        if first.start().plus_days(MAX_DAYS) <= last.start() {
            let parameter = if self.to.is_some() { "to" } else { "from" };
            return Err(invalid_parameter(
                parameter,
                "range",
                "must leave at most 366 days from the first to the last",
            ));
        }
        Ok(Range { first, last })
    }
}

/// Days, both ends included.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    first: Day,
    last: Day,
}

/// What came of a link.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkStatistics {
    /// The first day.
    from: Day,
    /// The last day.
    to: Day,
    /// Every day of the range, oldest first.
    #[schema(max_items = 366)]
    data: Vec<DayStatistics>,
    /// The sum of the days.
    totals: LinkTotals,
}

/// What came of a link on a UTC day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayStatistics {
    /// The day.
    date: Day,
    /// The figures.
    #[serde(flatten)]
    figures: LinkTotals,
}

/// What came of a link in some time.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkTotals {
    /// Clicks, without known bots and HEAD requests.
    #[schema(minimum = 0, example = 42)]
    clicks: i64,
    /// Visitors; the same person on two days counts twice.
    #[schema(minimum = 0, example = 31)]
    unique_visitors: i64,
    /// Clients that signed up with the code.
    #[schema(minimum = 0, example = 2)]
    sign_ups: i64,
    /// Clients that paid themselves for the first time.
    #[schema(minimum = 0, example = 1)]
    paying_clients: i64,
    /// Commissions of its sign-ups by the time of the payment, less reversals and with adjustments by their own time: an
    /// amount per currency, signed; empty where nothing was earned.
    earned: Vec<Money>,
}

impl LinkTotals {
    fn of(counts: Counts, earned: &BTreeMap<Currency, i64>) -> Self {
        Self {
            clicks: counts.clicks,
            unique_visitors: counts.unique_visitors,
            sign_ups: counts.sign_ups,
            paying_clients: counts.paying_clients,
            earned: earned.iter().map(|(currency, minor)| Money::new(*minor, *currency)).collect(),
        }
    }
}

/// What came of `link` on the days of `range`.
///
/// # Errors
/// The database's failure.
pub fn read(conn: &mut Conn, link: &ReferralLinkRow, range: Range) -> Result<LinkStatistics> {
    let (first, end) = (range.first.start(), range.last.start().plus_days(1));
    let rows = statistics::days(conn, link.account_id, link.id, first, end)?;
    let counts: BTreeMap<Day, Counts> = rows.iter().map(|row| (Day::of(row.day), row.counts())).collect();
    let earned = earned(conn, link, first, end)?;
    let (mut all_counts, mut all_earned) = (Counts::default(), BTreeMap::new());
    let mut data = Vec::new();
    let days = range.first.0.iter_days().take_while(|date| *date <= range.last.0).map(Day);
    for date in days {
        let counts = counts.get(&date).copied().unwrap_or_default();
        let earned = earned.get(&date).cloned().unwrap_or_default();
        all_counts.add(counts);
        for (currency, minor) in &earned {
            *all_earned.entry(*currency).or_insert(0) += minor;
        }
        data.push(DayStatistics { date, figures: LinkTotals::of(counts, &earned) });
    }
    Ok(LinkStatistics { from: range.first, to: range.last, data, totals: LinkTotals::of(all_counts, &all_earned) })
}

/// A sum of one day and currency.
#[derive(QueryableByName)]
struct EarnedRow {
    #[diesel(sql_type = Text)]
    day: String,
    #[diesel(sql_type = Text)]
    currency: Currency,
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

/// What the link's sign-ups brought, by day and currency.
fn earned(
    conn: &mut Conn,
    link: &ReferralLinkRow,
    first: Timestamp,
    end: Timestamp,
) -> Result<BTreeMap<Day, BTreeMap<Currency, i64>>> {
    let (paid_day, posted_day) = (utc_day(conn, "c.payment_occurred_at"), utc_day(conn, "e.created_at"));
    // The program's side of a posting is the negative of what the partner got.
    let sql = format!(
        "SELECT day, currency, CAST(SUM(minor) AS BIGINT) AS minor FROM (
            SELECT {paid_day} AS day, c.currency AS currency, c.amount_minor AS minor
            FROM referrals r JOIN commissions c ON c.account_id = r.account_id AND c.client_id = r.client_id
            WHERE r.account_id = $1 AND r.link_id = $2 AND c.kind = 'commission' AND c.amount_minor <> 0
                AND c.payment_occurred_at >= $3 AND c.payment_occurred_at < $4
            UNION ALL
            SELECT {posted_day} AS day, e.currency AS currency, -e.amount_minor AS minor
            FROM referrals r JOIN commissions c ON c.account_id = r.account_id AND c.client_id = r.client_id
                JOIN ledger_entries e ON e.account_id = c.account_id AND e.commission_id = c.id
            WHERE r.account_id = $1 AND r.link_id = $2 AND e.ledger_account = 'program'
                AND e.kind IN ('commissionReversed', 'refundAdjustment', 'operatorAdjustment')
                AND e.created_at >= $3 AND e.created_at < $4
        ) AS changes GROUP BY day, currency"
    );
    let rows: Vec<EarnedRow> = diesel::sql_query(sql)
        .bind::<Text, _>(link.account_id)
        .bind::<Text, _>(link.id)
        .bind::<SqlTimestamp, _>(first)
        .bind::<SqlTimestamp, _>(end)
        .load(conn)?;
    let mut earned: BTreeMap<Day, BTreeMap<Currency, i64>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.minor != 0) {
        let day = row.day.parse().map_err(Error::internal)?;
        *earned.entry(day).or_default().entry(row.currency).or_insert(0) += row.minor;
    }
    Ok(earned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Option<&str>, to: Option<&str>) -> Option<(String, String)> {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let query = StatisticsQuery { from: from.map(day), to: to.map(day) };
        let range = query.range("2026-03-31T12:00:00Z".parse().unwrap()).ok()?;
        Some((range.first.to_string(), range.last.to_string()))
    }

    fn days(first: &str, last: &str) -> (String, String) {
        (first.to_owned(), last.to_owned())
    }

    #[test]
    fn a_range_has_1_to_366_days_and_30_by_default() {
        assert_eq!(range(None, None), Some(days("2026-03-02", "2026-03-31")));
        assert_eq!(range(None, Some("2026-01-30")), Some(days("2026-01-01", "2026-01-30")));
        assert_eq!(range(Some("2026-03-31"), None), Some(days("2026-03-31", "2026-03-31")));
        assert_eq!(range(Some("2027-01-01"), None), Some(days("2027-01-01", "2027-01-01")));
        assert_eq!(range(Some("2024-01-01"), Some("2024-12-31")), Some(days("2024-01-01", "2024-12-31")));
        assert_eq!(range(Some("2024-01-01"), Some("2025-01-01")), None);
        assert_eq!(range(Some("2024-01-02"), Some("2024-01-01")), None);
        assert_eq!(range(Some("2025-01-01"), None), None);
    }

    #[test]
    fn a_day_is_written_in_full() {
        for wrong in ["", "2026-1-1", "2026-02-30", "1969-12-31", "2026-01-01T00:00:00Z", "+2026-01-1", "today"] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }
}
