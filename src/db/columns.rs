//! How the crate's own types are stored: words and ids as TEXT, moments as TIMESTAMP, on both engines and through the
//! connection that is either.

use chrono::Timelike;

use crate::short_text::{ShortText, date_and_time, joined, push_number};

/// Stores a type as TEXT: by `as_str` and `FromStr`, or by the two named functions.
macro_rules! text_column {
    ($name:ident) => {
        $crate::db::text_column!(@impl $name, |value| value.as_str(), |text: &str| text.parse::<$name>().ok());
    };
    ($name:ident, $write:ident, $read:ident) => {
        $crate::db::text_column!(@impl $name, |value| value.$write(), $name::$read);
    };
    (@impl $name:ident, |$value:ident| $write:expr, $read:expr) => {
        $crate::db::column!($name, diesel::sql_types::Text);

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                let $value = self;
                std::io::Write::write_all(out, $write.as_bytes())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::sqlite::Sqlite> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
            ) -> diesel::serialize::Result {
                let $value = self;
                out.set_value($write.to_string());
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = std::str::from_utf8(bytes.as_bytes())?;
                $read(text).ok_or_else(|| format!("{text:?} is no {}", stringify!($name)).into())
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::sqlite::Sqlite> for $name {
            fn from_sql(
                mut bytes: <diesel::sqlite::Sqlite as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                let text = bytes.read_text();
                $read(text).ok_or_else(|| format!("{text:?} is no {}", stringify!($name)).into())
            }
        }
    };
}
pub(crate) use text_column;

/// Reads a moment as SQLite keeps it, `2026-01-31 12:00:00.123456` with any number of decimals: rows have several, and trying
/// format after format takes longer than all else about a row. None for any other form.
pub(crate) fn stored_moment(text: &str) -> Option<chrono::NaiveDateTime> {
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    let is_mark = |(place, mark): (usize, u8)| text.as_bytes().get(place) == Some(&mark);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 19 || fraction.len() > 9 || !marks.into_iter().all(is_mark) {
        return None;
    }
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let part = |range: std::ops::Range<usize>| whole.get(range).and_then(number);
    let nanos = number(fraction)? * 10_u32.pow(9 - u32::try_from(fraction.len()).ok()?);
    let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(part(0..4)?).ok()?, part(5..7)?, part(8..10)?)?;
    date.and_hms_nano_opt(part(11..13)?, part(14..16)?, part(17..19)?, nanos)
}

/// A moment as SQLite keeps it, as diesel writes it: decimals only where there are any, in groups of three, up to microseconds.
pub(crate) fn moment_to_store(moment: chrono::NaiveDateTime) -> ShortText {
    let Some(mut text) = date_and_time(moment, " ") else {
        return joined([&moment.format("%F %T%.f").to_string()]);
    };
    let micros = moment.nanosecond() / 1_000;
    if micros > 0 {
        let (decimals, width) = if micros.is_multiple_of(1_000) { (micros / 1_000, 3) } else { (micros, 6) };
        text.push('.');
        push_number(&mut text, decimals, width);
    }
    text
}

/// Stores a type that wraps a `NaiveDateTime` of whole microseconds as TIMESTAMP.
macro_rules! timestamp_column {
    ($name:ident) => {
        $crate::db::column!($name, diesel::sql_types::Timestamp);

        impl diesel::serialize::ToSql<diesel::sql_types::Timestamp, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Timestamp, diesel::pg::Pg>::to_sql(&self.0, out)
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Timestamp, diesel::sqlite::Sqlite> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
            ) -> diesel::serialize::Result {
                out.set_value($crate::db::moment_to_store(self.0).to_string());
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Timestamp, diesel::pg::Pg> for $name {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                <chrono::NaiveDateTime as diesel::deserialize::FromSql<diesel::sql_types::Timestamp, diesel::pg::Pg>>::from_sql(bytes)
                    .map(Self)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Timestamp, diesel::sqlite::Sqlite> for $name {
            fn from_sql(
                mut bytes: <diesel::sqlite::Sqlite as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                match $crate::db::stored_moment(bytes.read_text()) {
                    Some(moment) => Ok(Self(moment)),
                    None => {
                        <chrono::NaiveDateTime as diesel::deserialize::FromSql<diesel::sql_types::Timestamp, diesel::sqlite::Sqlite>>::from_sql(bytes)
                            .map(Self)
                    }
                }
            }
        }
    };
}
pub(crate) use timestamp_column;

/// Lets a type that both engines can store go through the connection that is either.
macro_rules! column {
    ($name:ident, $sql_type:path) => {
        impl diesel::serialize::ToSql<$sql_type, $crate::db::MultiBackend> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, $crate::db::MultiBackend>,
            ) -> diesel::serialize::Result {
                out.set_value(($sql_type, self));
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<$sql_type, $crate::db::MultiBackend> for $name {
            fn from_sql(
                bytes: <$crate::db::MultiBackend as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                bytes.from_sql::<Self, $sql_type>()
            }
        }
    };
}
pub(crate) use column;

#[cfg(test)]
mod tests {
    use chrono::Datelike;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_is_stored_as_diesel_does_and_read_as_it_was(micros in 0_i64..260_000_000_000_000_000, digits in 0_u32..7) {
            let micros = micros - micros % 10_i64.pow(digits);
            let moment = chrono::DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
            let text = moment.format("%F %T%.f").to_string();
            prop_assert_eq!(stored_moment(&text), (moment.year() <= 9999).then_some(moment));
            prop_assert_eq!(moment_to_store(moment).to_string(), text);
        }

        #[test]
        fn any_other_text_is_no_stored_moment(text in "[0-9 :.+-]{0,30}") {
            let expected = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok();
            if let Some(moment) = stored_moment(&text) {
                prop_assert_eq!(Some(moment), expected);
            }
        }
    }
}
