//! Days, weeks and months in a time zone, also over a change of clocks. Pure.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{Datelike, Days, LocalResult, Months, NaiveDate, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;

/// All present time zones keep to quarters of an hour; sums are formed over these.
pub const QUARTER_SECONDS: i64 = 900;

crate::text_enum! {
    /// How long a point of a time series is.
    pub enum Interval {
        /// A day, from midnight to midnight.
        Day = "day",
        /// A week, from Monday on (ISO 8601).
        Week = "week",
        /// A calendar month.
        Month = "month",
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The calendar day of a time.
    #[must_use]
    pub fn date_of(self, time: Timestamp) -> NaiveDate {
        self.0.from_utc_datetime(&time.naive()).date_naive()
    }

    /// The first moment of a day. Where clocks are put forward at midnight that is the first moment that exists.
    #[must_use]
    pub fn start_of(self, date: NaiveDate) -> Timestamp {
        let mut local = date.and_time(chrono::NaiveTime::MIN);
        for _quarter in 0..=96 {
            match self.0.from_local_datetime(&local) {
                LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => return time.naive_utc().into(),
                LocalResult::None => local += TimeDelta::seconds(QUARTER_SECONDS),
            }
        }
        local.into()
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.parse().map(Self).map_err(|_| "is not a time zone of the IANA database, such as Europe/Berlin".to_owned())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of every zone, as a pattern: the document names them all.
static NAMES: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<String> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name().replace('+', r"\+")).collect();
    format!("^({})$", names.join("|"))
});

impl PartialSchema for Zone {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(NAMES.as_str()))
            .examples(["Europe/Berlin"])
            .description(Some("A time zone of the IANA database."))
            .into()
    }
}

impl ToSchema for Zone {}

/// How a day or a time of the years 1970 to 9999 begins.
const YEARS: &str = "^(19[7-9]|[2-9][0-9]{2})[0-9]-";

/// A time, or a day that begins in the time zone asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A time.
    Time(Timestamp),
    /// The first moment of a day.
    Day(NaiveDate),
}

impl Moment {
    /// The time that it is in `zone`.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Day(date) => zone.start_of(date),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 10 {
            let in_range = |date: &NaiveDate| (1970..=9999).contains(&date.year());
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(in_range);
            return date.map(Self::Day).ok_or_else(|| "is not a day such as 2026-01-31".to_owned());
        }
        text.parse().map(Self::Time).map_err(|error: crate::clock::MalformedTimestamp| error.to_string())
    }
}

impl PartialSchema for Moment {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let day = utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Date)))
            .pattern(Some(YEARS))
            .examples(["2026-01-31"]);
        utoipa::openapi::schema::OneOfBuilder::new().item(day).item(Timestamp::schema()).into()
    }
}

impl ToSchema for Moment {}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Intervals that follow each other in a time zone.
#[derive(Debug)]
pub struct Calendar {
    /// How long one is.
    pub interval: Interval,
    /// Whose days they are.
    pub zone: Zone,
    /// They themselves, oldest first.
    pub spans: Vec<Span>,
}

/// One interval of a calendar, never empty: its first day, its first moment and the first moment after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first day.
    pub date: NaiveDate,
    /// Its first moment.
    pub starts_at: Timestamp,
    /// The first moment after it.
    pub ends_at: Timestamp,
}

/// The first moment of the intervals that a reader sees who does not say since when: the last 30 days, 12 weeks or 12 months
/// before `to`, of which the last one holds the moment before it.
#[must_use]
pub fn usual_start(interval: Interval, zone: Zone, to: Timestamp) -> Timestamp {
    let last = first_day(interval, zone.date_of(to.plus_micros(-1)));
    let first = match interval {
        Interval::Day => last.checked_sub_days(Days::new(29)),
        Interval::Week => last.checked_sub_days(Days::new(7 * 11)),
        Interval::Month => last.checked_sub_months(Months::new(11)),
    };
    zone.start_of(first.unwrap_or(last))
}

/// The whole intervals that `[from, to)` touches, oldest first.
#[must_use]
pub fn spans(interval: Interval, zone: Zone, from: Timestamp, to: Timestamp) -> Vec<Span> {
    let mut date = first_day(interval, zone.date_of(from));
    let mut spans = Vec::new();
    loop {
        let starts_at = zone.start_of(date);
        let next = next_day(interval, date);
        if starts_at >= to || next == date {
            return spans;
        }
        let ends_at = zone.start_of(next);
        // Where clocks jumped over a whole day, that day does not exist.
        if starts_at < ends_at {
            spans.push(Span { date, starts_at, ends_at });
        }
        date = next;
    }
}

fn first_day(interval: Interval, date: NaiveDate) -> NaiveDate {
    match interval {
        Interval::Day => date,
        Interval::Week => date.week(chrono::Weekday::Mon).checked_first_day().unwrap_or(date),
        Interval::Month => date.with_day(1).unwrap_or(date),
    }
}

fn next_day(interval: Interval, date: NaiveDate) -> NaiveDate {
    match interval {
        Interval::Day => date.checked_add_days(Days::new(1)),
        Interval::Week => date.checked_add_days(Days::new(7)),
        Interval::Month => date.checked_add_months(Months::new(1)),
    }
    .unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn starts(interval: Interval, name: &str, from: &str, to: &str) -> Vec<String> {
        spans(interval, zone(name), time(from), time(to)).iter().map(|span| span.starts_at.to_string()).collect()
    }

    #[test]
    fn a_day_has_23_hours_when_clocks_are_put_forward_and_25_when_they_are_put_back() {
        let hours = |from: &str, to: &str| {
            let spans = spans(Interval::Day, zone("Europe/Berlin"), time(from), time(to));
            spans.iter().map(|span| (span.ends_at.unix_seconds() - span.starts_at.unix_seconds()) / 3600).collect()
        };
        let spring: Vec<i64> = hours("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
        let autumn: Vec<i64> = hours("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        assert_eq!((spring, autumn), (vec![24, 23, 24], vec![24, 25, 24]));
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first_in_their_zone() {
        let weeks = starts(Interval::Week, "America/New_York", "2026-01-01T00:00:00Z", "2026-01-12T00:00:00Z");
        assert_eq!(weeks, ["2025-12-29T05:00:00.000Z", "2026-01-05T05:00:00.000Z"]);
        let months = starts(Interval::Month, "Asia/Kathmandu", "2026-01-31T18:15:00Z", "2026-02-28T18:15:01Z");
        assert_eq!(months, ["2026-01-31T18:15:00.000Z", "2026-02-28T18:15:00.000Z"]);
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_the_first_moment_after_it() {
        // Beirut puts its clocks forward at midnight.
        assert_eq!(
            zone("Asia/Beirut").start_of(NaiveDate::from_ymd_opt(2026, 3, 29).unwrap()),
            time("2026-03-28T22:00:00Z")
        );
    }

    #[test]
    fn the_usual_range_is_so_many_intervals_wherever_it_ends() {
        for to in
            ["2026-03-10T00:00:00Z", "2026-03-10T00:00:00.000001Z", "2026-03-31T23:59:59Z", "2026-03-29T22:00:00Z"]
        {
            for (interval, count) in [(Interval::Day, 30), (Interval::Week, 12), (Interval::Month, 12)] {
                for zone in [Zone::UTC, zone("Europe/Berlin")] {
                    let from = usual_start(interval, zone, time(to));
                    assert_eq!(spans(interval, zone, from, time(to)).len(), count, "{interval} {zone} {to}");
                }
            }
        }
    }

    #[test]
    fn spans_follow_each_other_without_a_gap() {
        for name in ["Pacific/Apia", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"] {
            for interval in Interval::ALL {
                let spans = spans(*interval, zone(name), time("2009-06-01T00:00:00Z"), time("2013-06-01T00:00:00Z"));
                assert!(spans.windows(2).all(|pair| pair[0].ends_at == pair[1].starts_at), "{name} {interval}");
            }
        }
    }

    #[test]
    fn a_day_that_a_zone_left_out_is_none() {
        // Samoa changed sides of the date line.
        let days =
            spans(Interval::Day, zone("Pacific/Apia"), time("2011-12-29T12:00:00Z"), time("2012-01-01T00:00:00Z"));
        let dates: Vec<String> = days.iter().map(|span| span.date.to_string()).collect();
        assert_eq!(dates, ["2011-12-29", "2011-12-31", "2012-01-01"]);
    }

    #[test]
    fn what_is_no_zone_or_moment_is_refused() {
        for bad in ["Mars/Olympus", "", "europe/berlin ", "+02:00"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
        for bad in ["2026-02-30", "2026-1-01", "26-01-0001", "yesterday", "0001-01-01"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
        let day: Moment = "2026-03-29".parse().unwrap();
        assert_eq!(day.in_zone(zone("Europe/Berlin")), time("2026-03-28T23:00:00Z"));
    }
}
