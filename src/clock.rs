//! Time: the one type for moments, and the clock that tells now. Nothing else asks the system for the time.
//!
//! The domain's time may be a test clock that stands still; tokens, sessions, caches, limits and timeouts run on the
//! machine's ([`Timestamp::machine`]).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Datelike, Months, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, Timelike, Utc};

use crate::short_text::{ShortText, date_and_time, joined, push_number};

/// A moment in UTC, truncated to microseconds, by which the billing system may order its events; RFC 3339 with milliseconds and
/// `Z` in JSON.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = diesel::sql_types::Timestamp)]
pub struct Timestamp(NaiveDateTime);

impl Timestamp {
    /// The machine's time. It never goes back by a little: where the machine's clock is set back, it stands still until that
    /// clock has caught up, so that whatever has a beginning ends after it, and no token is from the future.
    #[must_use]
    pub fn machine() -> Self {
        static LATEST_MICROS: AtomicI64 = AtomicI64::new(i64::MIN);
        Self::from_unix_micros(onward(&LATEST_MICROS, Utc::now().timestamp_micros()))
    }

    /// The moment so many microseconds after 1970-01-01T00:00:00Z; the epoch itself when out of range.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(DateTime::from_timestamp_micros(micros).unwrap_or_default().naive_utc())
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        self.0.and_utc().timestamp_micros()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.and_utc().timestamp()
    }

    /// The moment `days` × 24 hours later.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days.saturating_mul(86_400))
    }

    /// The moment `seconds` later (earlier when negative).
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        let delta = TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX);
        Self(self.0.checked_add_signed(delta).unwrap_or(self.0))
    }

    /// The moment `micros` microseconds later.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.checked_add_signed(TimeDelta::microseconds(micros)).unwrap_or(self.0))
    }

    /// Its year in UTC.
    #[must_use]
    pub fn year(self) -> i32 {
        self.0.year()
    }

    /// The beginning of its millisecond.
    #[must_use]
    pub fn millisecond(self) -> Self {
        let within = self.0.nanosecond() % 1_000_000;
        Self(self.0.with_nanosecond(self.0.nanosecond() - within).unwrap_or(self.0))
    }

    /// The first moment of its UTC day.
    #[must_use]
    pub fn day(self) -> Self {
        Self(self.0.date().and_time(NaiveTime::MIN))
    }

    /// The first moment of its UTC month.
    #[must_use]
    pub fn month(self) -> Self {
        let first = self.0.date().with_day(1).unwrap_or_else(|| self.0.date());
        Self(first.and_time(NaiveTime::MIN))
    }

    /// The first moment of the UTC month `months` after its own (before it when negative).
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let first = self.month().0;
        let by = Months::new(months.unsigned_abs());
        let shifted = if months < 0 { first.checked_sub_months(by) } else { first.checked_add_months(by) };
        Self(shifted.unwrap_or(first))
    }

    /// RFC 3339 with milliseconds, as the API shows it.
    #[must_use]
    pub fn shown(self) -> ShortText {
        let Some(mut text) = date_and_time(self.0, "T") else {
            return joined([&self.rfc3339(SecondsFormat::Millis)]);
        };
        text.push('.');
        push_number(&mut text, self.0.nanosecond() / 1_000_000, 3);
        text.push('Z');
        text
    }

    fn rfc3339(self, decimals: SecondsFormat) -> String {
        self.0.and_utc().to_rfc3339_opts(decimals, true)
    }

    /// The UTC calendar date and time.
    #[must_use]
    pub fn naive(self) -> NaiveDateTime {
        self.0
    }
}

impl From<NaiveDateTime> for Timestamp {
    fn from(naive: NaiveDateTime) -> Self {
        Self::from_unix_micros(naive.and_utc().timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.rfc3339(SecondsFormat::Micros))
    }
}

/// Why a text is no timestamp.
#[derive(Debug, thiserror::Error)]
#[error("is not an RFC 3339 time between the years 1970 and 9999, such as 2026-01-31T12:00:00Z")]
pub struct MalformedTimestamp;

impl FromStr for Timestamp {
    type Err = MalformedTimestamp;

    fn from_str(text: &str) -> Result<Self, MalformedTimestamp> {
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| MalformedTimestamp)?.with_timezone(&Utc);
        if !(1970..=9999).contains(&parsed.year()) {
            return Err(MalformedTimestamp);
        }
        Ok(Self::from_unix_micros(parsed.timestamp_micros()))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .pattern(Some("^(19[7-9]|[2-9][0-9]{2})[0-9]-"))
            .description(Some("A moment, RFC 3339; answers are in UTC with milliseconds."))
            .examples(["2026-01-31T12:00:00.000Z"])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

crate::db::timestamp_column!(Timestamp);

/// How far the machine's clock may be set back unnoticed, in microseconds. After more it was wrong before, and is believed.
const STEP_BACK_MAX_MICROS: i64 = 15 * 60 * 1_000_000;

/// `now`, or the latest moment that was told if that is a little later.
fn onward(latest: &AtomicI64, now: i64) -> i64 {
    let before = latest.fetch_max(now, Ordering::AcqRel);
    if before.saturating_sub(now) > STEP_BACK_MAX_MICROS && before != i64::MIN {
        latest.store(now, Ordering::Release);
        return now;
    }
    before.max(now)
}

/// Tells the domain's time: the machine's, or a test clock that moves only when it is told to.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    Machine,
    /// Stands still at so many microseconds since the epoch.
    Test(Arc<AtomicI64>),
}

impl Clock {
    /// A test clock standing at `now`.
    #[must_use]
    pub fn standing_at(now: Timestamp) -> Self {
        Self::Test(Arc::new(AtomicI64::new(now.unix_micros())))
    }

    /// The present moment of the domain. It counts milliseconds: what is shown is what is in force.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Machine => Timestamp::machine().millisecond(),
            Self::Test(micros) => Timestamp::from_unix_micros(micros.load(Ordering::Acquire)),
        }
    }

    /// Whether this is a test clock.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        matches!(self, Self::Test(_))
    }

    /// Moves a test clock forward to `now`, never back; the machine's clock cannot be moved.
    pub fn set(&self, now: Timestamp) {
        if let Self::Test(micros) = self {
            micros.fetch_max(now.unix_micros(), Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;

    proptest::proptest! {
        #[test]
        fn a_moment_is_shown_as_chrono_shows_it(micros in -70_000_000_000_000_000_i64..270_000_000_000_000_000) {
            let moment = Timestamp::from_unix_micros(micros);
            proptest::prop_assert_eq!(moment.shown().to_string(), moment.rfc3339(SecondsFormat::Millis));
        }
    }

    #[test]
    fn the_present_moment_is_what_is_shown_of_it() {
        let now = Clock::Machine.now();
        assert_eq!(now.to_string().parse::<Timestamp>().unwrap(), now);
        let fine: Timestamp = "2026-01-31T12:00:00.123999999Z".parse().unwrap();
        assert_eq!(fine.millisecond().to_string(), fine.to_string());
        assert!(fine.millisecond() < fine);
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_it_has_caught_up() {
        let latest = AtomicI64::new(i64::MIN);
        let told = [100, 95, 96, 100, 101, 106, 103].map(|minutes| onward(&latest, minutes * MINUTE) / MINUTE);
        assert_eq!(told, [100, 100, 100, 100, 101, 106, 106]);
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_believed_when_it_is_corrected() {
        let latest = AtomicI64::new(i64::MIN);
        assert_eq!([900, 100, 101].map(|minutes| onward(&latest, minutes * MINUTE) / MINUTE), [900, 100, 101]);
    }
}
