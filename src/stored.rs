//! What a database remembers of the servers that ran on it: its clock, the time that their ids have reached, and whether it is
//! a demonstration's.
//!
//! A database is made for the machine's clock or for a test clock, when it is first served or when the first command is given a
//! test clock, and stays so for ever. What a command wrote before, without one, has the machine's time.

use diesel::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::config::SettingError;
use crate::db::schema::{accounts, settings};
use crate::db::{Conn, with_conn};
use crate::error::{Code, Error, Result};
use crate::id;

const CLOCK: &str = "clock";
const MACHINE: &str = "machine";
const ID_FLOOR: &str = "idFloor";
const DEMONSTRATION: &str = "demonstration";
const FILLED: &str = "filled";

/// How far ahead of the clock the floor is kept, and how close the clock may come before it is moved.
const FLOOR_AHEAD_S: i64 = 60;
const FLOOR_MARGIN_S: i64 = 30;

/// The clock that the database keeps; the machine's for one that nobody has decided on.
///
/// # Errors
/// The database's own failure.
pub fn clock(conn: &mut Conn) -> Result<Clock> {
    Ok(read(conn, CLOCK)?.map_or(Clock::Machine, |kept| parse(&kept)))
}

/// The clock to serve the database with, which whoever is the first decides: by `wanted`, the test clock's time.
///
/// # Errors
/// `Ok(Err(…))` when the database was made for the other kind of clock; the database's own failure.
pub fn settle_clock(conn: &mut Conn, wanted: Option<Timestamp>) -> Result<Result<Clock, SettingError>> {
    if read(conn, CLOCK)?.is_none() {
        let in_use = has_accounts(conn)?;
        let first = wanted.filter(|_| !in_use).map_or(MACHINE.to_owned(), written);
        insert(conn, CLOCK, &first)?;
    }
    let kept = clock(conn)?;
    let refused = |reason| Ok(Err(SettingError::new("STAPE_TEST_CLOCK", reason)));
    match (kept.is_test(), wanted.is_some()) {
        (true, false) => {
            refused("the database was made with a test clock and is never served without it (--test-clock)")
        }
        (false, true) => refused("the database runs on the machine's clock; a test clock needs a new database"),
        _ => Ok(Ok(kept)),
    }
}

/// The clock for a command that writes to the database: the one that it keeps, or `wanted` for a new one. Without that, nothing is
/// decided: a key may be made before the first start with a test clock.
///
/// # Errors
/// As [`settle_clock`].
pub fn clock_of_command(conn: &mut Conn, wanted: Option<Timestamp>) -> Result<Result<Clock, SettingError>> {
    if wanted.is_none() { Ok(Ok(clock(conn)?)) } else { settle_clock(conn, wanted) }
}

/// Whether anybody has an account: otherwise the database is as good as new.
///
/// # Errors
/// The database's own failure; one without tables.
pub fn has_accounts(conn: &mut Conn) -> Result<bool> {
    Ok(!accounts::table.limit(1).select(accounts::id).load::<String>(conn)?.is_empty())
}

/// Whether a demonstration has filled the database to the end of its story.
///
/// # Errors
/// The database's own failure; one without tables.
pub fn is_filled_demonstration(conn: &mut Conn) -> Result<bool> {
    Ok(read(conn, DEMONSTRATION)?.is_some())
}

/// Remembers that a demonstration has filled the database to the end of its story.
///
/// # Errors
/// The database's own failure.
pub fn mark_filled_demonstration(conn: &mut Conn) -> Result<()> {
    insert(conn, DEMONSTRATION, FILLED)
}

/// Moves the database's test clock forward to `now`.
///
/// # Errors
/// 409 `testClockMissing` on the machine's clock; 409 `testClockRewound` for a time before the clock's.
pub fn advance_clock(conn: &mut Conn, now: Timestamp) -> Result<()> {
    // One statement: of two who move it at once, the second sees the first one's time.
    let moved =
        diesel::update(settings::table.filter(settings::name.eq(CLOCK)).filter(settings::value.le(written(now))))
            .set(settings::value.eq(written(now)))
            .execute(conn)?;
    if moved == 1 {
        return Ok(());
    }
    match clock(conn)? {
        Clock::Machine => Err(Error::refused(
            Code::TestClockMissing,
            "the database runs on the machine's clock, which cannot be set; only a new database can have a test clock",
        )),
        test @ Clock::Test(_) => {
            let detail = format!("the clock stands at {}, which is after {now}", test.now());
            Err(Error::refused(Code::TestClockRewound, detail))
        }
    }
}

/// Lets new ids follow those of all earlier servers, also when the machine's clock was set back.
///
/// # Errors
/// The database's own failure.
pub fn load_id_floor(conn: &mut Conn) -> Result<()> {
    if let Some(floor) = read(conn, ID_FLOOR)?.and_then(|kept| kept.parse().ok()) {
        id::never_before(Timestamp::from_unix_micros(floor));
    }
    Ok(())
}

/// Keeps the floor above every id that can be made in the next half minute, so that one that a crash left behind is too.
///
/// # Errors
/// The database's own failure.
pub fn raise_id_floor(conn: &mut Conn, now: Timestamp) -> Result<()> {
    let above_all = id::reached().plus_seconds(1);
    let kept = read(conn, ID_FLOOR)?;
    if kept.as_ref().is_some_and(|kept| *kept >= written(above_all.max(now.plus_seconds(FLOOR_MARGIN_S)))) {
        return Ok(());
    }
    let wanted = written(above_all.max(now.plus_seconds(FLOOR_AHEAD_S)));
    insert(conn, ID_FLOOR, &wanted)?;
    let row = settings::table.filter(settings::name.eq(ID_FLOOR)).filter(settings::value.lt(&wanted));
    diesel::update(row).set(settings::value.eq(&wanted)).execute(conn)?;
    Ok(())
}

fn read(conn: &mut Conn, name: &str) -> Result<Option<String>> {
    Ok(settings::table.filter(settings::name.eq(name)).select(settings::value).get_result(conn).optional()?)
}

/// Of several servers that start at once, the first one's value stays.
fn insert(conn: &mut Conn, name: &str, value: &str) -> Result<()> {
    let row = (settings::name.eq(name), settings::value.eq(value));
    with_conn!(conn, conn => {
        diesel::insert_into(settings::table).values(row).on_conflict_do_nothing().execute(conn)?
    });
    Ok(())
}

/// Microseconds with leading zeros: texts that sort as times.
fn written(time: Timestamp) -> String {
    format!("{:020}", time.unix_micros())
}

fn parse(kept: &str) -> Clock {
    kept.parse().map_or(Clock::Machine, |micros| Clock::standing_at(Timestamp::from_unix_micros(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::new_database;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_database_made_with_a_test_clock_keeps_its_time_and_is_never_served_without_it() {
        let (_directory, db) = new_database();
        let (first, later) = (time("2026-01-01T00:00:00Z"), time("2026-03-01T00:00:00Z"));
        db.write_blocking(move |conn| {
            assert_eq!(settle_clock(conn, Some(first))?.unwrap().now(), first);
            advance_clock(conn, later)?;
            assert_eq!(settle_clock(conn, Some(first))?.unwrap().now(), later);
            assert!(settle_clock(conn, None)?.is_err());
            assert_eq!(clock(conn)?.now(), later);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_database_served_with_the_machines_clock_never_gets_a_test_clock() {
        let (_directory, db) = new_database();
        db.write_blocking(|conn| {
            assert!(!settle_clock(conn, None)?.unwrap().is_test());
            assert!(settle_clock(conn, Some(time("2026-01-01T00:00:00Z")))?.is_err());
            let refused = advance_clock(conn, time("2036-01-01T00:00:00Z")).unwrap_err();
            assert_eq!(refused.problem().code, Code::TestClockMissing);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_test_clock_may_stand_still_but_not_go_back() {
        let (_directory, db) = new_database();
        let now = time("2026-01-01T00:00:00Z");
        db.write_blocking(move |conn| {
            settle_clock(conn, Some(now))?.unwrap();
            advance_clock(conn, now)?;
            let refused = advance_clock(conn, now.plus_seconds(-1)).unwrap_err();
            assert_eq!(refused.problem().code, Code::TestClockRewound);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn the_id_floor_stays_above_every_id_and_never_falls() {
        let (_directory, db) = new_database();
        let now = time("2026-01-01T00:00:00Z");
        let floor = |conn: &mut Conn| read(conn, ID_FLOOR);
        let raise = |now: Timestamp| db.write_blocking(move |conn| raise_id_floor(conn, now)).unwrap();
        let reached = id::reached().max(now);
        raise(now);
        let first = db.read_blocking(floor).unwrap().unwrap();
        assert!(first > written(reached));
        raise(now.plus_days(3650));
        let second = db.read_blocking(floor).unwrap().unwrap();
        assert!(second > first);
        raise(now);
        assert_eq!(db.read_blocking(floor).unwrap().unwrap(), second);
    }
}
