//! The dates that have come: each requests a payout, once, and goes on to the next date.
//!
//! The date's row, read under the lock of its account, decides which of several servers takes it; request and next date
//! commit together.

use diesel::prelude::*;

use super::dates;
use super::models::{ScheduleRow, ScheduledRow};
use crate::accounts;
use crate::clock::{Clock, Timestamp};
use crate::context::Context;
use crate::db::schema::scheduled_payouts;
use crate::db::{Conn, Db, Patience};
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::money::Currency;
use crate::payouts;
use crate::program;

/// Dates that are looked up at once.
const PAGE: i64 = 200;

/// What dates are taken by, the longest due first.
type Key = (Timestamp, AccountId, Currency);

/// Takes some of the dates that have come; answers how many, 0 when nothing is left. An account that fails is logged and left for
/// the next time; the others are taken all the same, however many fail.
///
/// # Errors
/// A database that is away; an account's that was locked too long, where no other one had anything that was due.
pub fn request_due(db: &Db, clock: &Clock) -> Result<usize> {
    let (mut after, mut patience, mut unavailable) = (None, Patience::default(), None);
    loop {
        let now = clock.now();
        let page = db.read_blocking(move |conn| due(conn, now, after))?;
        let Some(last) = page.last() else { return unavailable.map_or(Ok(0), Err) };
        after = Some(*last);
        let mut taken = 0;
        for (_, account_id, currency) in page {
            let server = Context::of_server(clock);
            match db.write_blocking(move |conn| take(conn, &server, account_id, currency)) {
                Ok(is_taken) => taken += usize::from(is_taken),
                Err(error) => {
                    log::error!("the scheduled payout of {account_id} in {currency}: {error}");
                    let error = patience.bear(error)?;
                    unavailable = unavailable.or(Some(error).filter(|error| matches!(error, Error::Unavailable(_))));
                }
            }
        }
        if taken > 0 {
            return Ok(taken);
        }
    }
}

/// Dates that have come, behind the one that was looked at last.
fn due(conn: &mut Conn, now: Timestamp, after: Option<Key>) -> Result<Vec<Key>> {
    let key = (scheduled_payouts::due_at, scheduled_payouts::account_id, scheduled_payouts::currency);
    let mut query = scheduled_payouts::table
        .filter(scheduled_payouts::due_at.le(now))
        .order(key)
        .limit(PAGE)
        .select(key)
        .into_boxed();
    if let Some((due_at, account_id, currency)) = after {
        let same_account = scheduled_payouts::account_id.eq(account_id).and(scheduled_payouts::currency.gt(currency));
        let same_moment =
            scheduled_payouts::due_at.eq(due_at).and(scheduled_payouts::account_id.gt(account_id).or(same_account));
        query = query
            .filter(scheduled_payouts::due_at.ge(due_at))
            .filter(scheduled_payouts::due_at.gt(due_at).or(same_moment));
    }
    Ok(query.load(conn)?)
}

/// Requests the payout of a date, if it has come and nobody took it meanwhile.
fn take(conn: &mut Conn, context: &Context, account_id: AccountId, currency: Currency) -> Result<bool> {
    let (context, _) = &accounts::lock(conn, context, &[account_id])?;
    let now = context.now;
    let row: Option<ScheduledRow> = scheduled_payouts::table
        .find((account_id, currency))
        .filter(scheduled_payouts::due_at.le(now))
        .select(ScheduledRow::as_select())
        .get_result(conn)
        .optional()?;
    let Some(row) = row else { return Ok(false) };
    let schedule = dates::schedule(conn, account_id)?;
    let Some((schedule, rhythm)) = schedule.and_then(|row| row.rhythm().map(|rhythm| (row, rhythm))) else {
        return Err(Error::internal("a date without a schedule"));
    };
    let minimum_minor = minimum(conn, &schedule, currency)?;
    payouts::request::request_scheduled(conn, context, account_id, currency, minimum_minor)?;
    dates::go_on(conn, now, row, rhythm)?;
    Ok(true)
}

/// What the payout must be more than: the account's own minimum or the program's, whichever is more.
fn minimum(conn: &mut Conn, schedule: &ScheduleRow, currency: Currency) -> Result<i64> {
    let own = schedule.minimums()?.get(&currency).copied();
    let programs = program::currencies::terms_for(conn, schedule.account_id, currency)?;
    let programs = programs.map(|terms| terms.minimum_payout.minor);
    Ok(own.max(programs).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::AccountKind;
    use crate::accounts::service::NewAccount;
    use crate::db::new_database;
    use crate::db::schema::payout_schedules;

    /// Makes an agency whose date has come, so many seconds after `now`.
    fn insert(conn: &mut Conn, now: Timestamp, number: i64, seconds: i64, minimums: &str) -> Result<()> {
        let new = NewAccount {
            kind: AccountKind::Agency,
            email: format!("{number}@example.com"),
            first_name: "Ada".to_owned(),
            last_name: "Byron".to_owned(),
            company_name: None,
            password_hash: None,
        };
        let account_id = accounts::service::create(conn, &Context::system(now), new)?.id;
        let schedule = (
            payout_schedules::account_id.eq(account_id),
            payout_schedules::schedule_type.eq("monthly"),
            payout_schedules::day_of_month.eq(15),
            payout_schedules::minimums.eq(minimums),
            payout_schedules::changed_at.eq(now),
        );
        diesel::insert_into(payout_schedules::table).values(schedule).execute(conn)?;
        let due_at = now.plus_seconds(seconds);
        let usd: Currency = "USD".parse().map_err(Error::internal)?;
        let date = ScheduledRow { account_id, currency: usd, scheduled_for: now, due_at };
        diesel::insert_into(scheduled_payouts::table).values(date).execute(conn)?;
        Ok(())
    }

    #[test]
    fn no_more_than_a_page_is_taken_at_once_also_behind_dates_that_fail() {
        let (_directory, db) = new_database();
        let now: Timestamp = "2026-01-15T00:00:00Z".parse().unwrap();
        db.write_blocking(move |conn| {
            program::service::ensure_first_version(conn, now)?;
            // Many of them at the same moment.
            (0..6 * PAGE).try_for_each(|number| insert(conn, now, number, number / 300, "not JSON"))?;
            (0..PAGE + 50).try_for_each(|number| insert(conn, now, 10 * PAGE + number, 4 + number, "{}"))
        })
        .unwrap();
        let clock = Clock::standing_at(now.plus_days(1));
        let taken: Vec<usize> = (0..3).map(|_| request_due(&db, &clock).unwrap()).collect();
        assert_eq!(taken, [200, 50, 0]);
    }
}
