//! On which dates a schedule requests payouts. Pure; all dates are UTC.

use chrono::Datelike;

use crate::clock::Timestamp;

/// Months between two dates of a quarterly schedule.
const QUARTER: u32 = 3;

crate::text_enum! {
    /// How often payouts are requested by themselves.
    pub enum ScheduleType {
        /// Never: each payout is requested by somebody.
        Manual = "manual",
        /// Once a month.
        Monthly = "monthly",
        /// In January, April, July and October.
        Quarterly = "quarterly",
    }
}

/// The dates of a schedule that has some: a day of every month, or of every quarter's first month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    every_months: u32,
    day_of_month: i32,
}

impl Rhythm {
    /// The rhythm of a schedule; none where it is manual.
    #[must_use]
    pub fn of(schedule_type: ScheduleType, day_of_month: Option<i32>) -> Option<Self> {
        let every_months = match schedule_type {
            ScheduleType::Manual => return None,
            ScheduleType::Monthly => 1,
            ScheduleType::Quarterly => QUARTER,
        };
        day_of_month.map(|day_of_month| Self { every_months, day_of_month })
    }

    /// The first date whose beginning is after `now`.
    #[must_use]
    pub fn next_after(self, now: Timestamp) -> Timestamp {
        let months = (0..).map(|month| now.plus_months(month));
        let mut dates = months.filter(|month| self.has_month(*month)).map(|month| self.date_in(month));
        dates.find(|date| *date > now).unwrap_or(now)
    }

    /// Whether `time` is the beginning of one of the dates.
    #[must_use]
    pub fn has(self, time: Timestamp) -> bool {
        self.has_month(time) && self.date_in(time) == time
    }

    fn has_month(self, time: Timestamp) -> bool {
        time.naive().month0().is_multiple_of(self.every_months)
    }

    fn date_in(self, month: Timestamp) -> Timestamp {
        month.month().plus_days(i64::from(self.day_of_month) - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn next(schedule_type: ScheduleType, day: i32, now: &str) -> Timestamp {
        Rhythm::of(schedule_type, Some(day)).unwrap().next_after(time(now))
    }

    #[test]
    fn a_date_begins_strictly_after_now() {
        let monthly = |day, now| next(ScheduleType::Monthly, day, now);
        assert_eq!(monthly(15, "2026-01-14T23:59:59.999Z"), time("2026-01-15T00:00:00Z"));
        assert_eq!(monthly(15, "2026-01-15T00:00:00Z"), time("2026-02-15T00:00:00Z"));
        assert_eq!(monthly(28, "2026-12-31T00:00:00Z"), time("2027-01-28T00:00:00Z"));
    }

    #[test]
    fn quarters_begin_in_january_april_july_and_october() {
        let quarterly = |day, now| next(ScheduleType::Quarterly, day, now);
        assert_eq!(quarterly(5, "2026-01-04T12:00:00Z"), time("2026-01-05T00:00:00Z"));
        assert_eq!(quarterly(5, "2026-01-05T12:00:00Z"), time("2026-04-05T00:00:00Z"));
        assert_eq!(quarterly(5, "2026-06-30T00:00:00Z"), time("2026-07-05T00:00:00Z"));
        assert_eq!(quarterly(5, "2026-11-01T00:00:00Z"), time("2027-01-05T00:00:00Z"));
    }

    #[test]
    fn a_manual_schedule_has_no_dates() {
        assert_eq!(Rhythm::of(ScheduleType::Manual, None), None);
    }

    proptest! {
        #[test]
        fn the_next_date_is_the_first_one(day in 1..=28, quarterly: bool, micros in 0_i64..4_000_000_000_000_000) {
            let schedule_type = if quarterly { ScheduleType::Quarterly } else { ScheduleType::Monthly };
            let rhythm = Rhythm::of(schedule_type, Some(day)).unwrap();
            let now = Timestamp::from_unix_micros(micros);
            let next = rhythm.next_after(now);
            prop_assert!(next > now && rhythm.has(next) && next <= now.plus_days(93));
            // No beginning of a day between the two is a date.
            let mut between = now.day().plus_days(1);
            while between < next {
                prop_assert!(!rhythm.has(between));
                between = between.plus_days(1);
            }
        }
    }
}
