//! Clicks as rows: written many at once, and deleted when nobody can need them any more.

use std::collections::BTreeSet;

use diesel::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::db::schema::{clicks, link_visitors};
use crate::db::{Conn, Db, KeepPrepared, in_few_sizes, insert_rows};
use crate::error::Result;
use crate::id::{AccountId, ClickId, ReferralLinkId};
use crate::program;
use crate::referrals::statistics::{Counts, Tally};

/// Days that every click is kept at least *(our default)*.
const KEPT_DAYS: i64 = 400;

/// Days that a click is kept beyond the time in which it can count for a sign-up.
const MARGIN_DAYS: i64 = 30;

/// Clicks that one transaction deletes at most: on SQLite all other writes wait for it.
const CHUNK: i64 = 500;

/// A click as stored. Nothing in it tells who it was.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = clicks, treat_none_as_default_value = false)]
pub struct ClickRow {
    /// The manager.
    pub account_id: AccountId,
    /// Its id, which the target gets as `click`.
    pub id: ClickId,
    /// The link.
    pub link_id: ReferralLinkId,
    /// The source that the target got as `rs`.
    pub source: Option<String>,
    /// HMAC of address and user agent under the key of the day.
    pub visitor_hash: Vec<u8>,
    /// When.
    pub created_at: Timestamp,
}

/// Who was on a link on a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Insertable)]
#[diesel(table_name = link_visitors, treat_none_as_default_value = false)]
struct VisitorRow {
    account_id: AccountId,
    link_id: ReferralLinkId,
    day: Timestamp,
    visitor_hash: Vec<u8>,
}

/// Writes clicks and counts them, in the order of keys.
///
/// # Errors
/// The database's failure.
pub fn record(conn: &mut Conn, rows: &[ClickRow]) -> Result<()> {
    insert_rows!(conn, clicks::table, rows);
    let visitor = |row: &ClickRow| VisitorRow {
        account_id: row.account_id,
        link_id: row.link_id,
        day: row.created_at.day(),
        visitor_hash: row.visitor_hash.clone(),
    };
    let visitors: Vec<VisitorRow> = rows.iter().map(visitor).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tally = Tally::default();
    for row in rows {
        tally.note(row.account_id, row.link_id, row.created_at, Counts { clicks: 1, ..Counts::default() });
    }
    for (account_id, link_id, day) in record_visitors(conn, &visitors)? {
        tally.note(account_id, link_id, day, Counts { unique_visitors: 1, ..Counts::default() });
    }
    tally.write(conn)
}

/// Writes who is there for the first time, and gives where.
fn record_visitors(conn: &mut Conn, visitors: &[VisitorRow]) -> Result<Vec<(AccountId, ReferralLinkId, Timestamp)>> {
    macro_rules! insert {
        ($rows:expr) => {
            diesel::insert_into(link_visitors::table)
                .values($rows)
                .on_conflict_do_nothing()
                .returning((link_visitors::account_id, link_visitors::link_id, link_visitors::day))
                .kept()
        };
    }
    let mut new = Vec::new();
    match conn {
        Conn::Postgres(conn) => {
            for few in in_few_sizes(visitors) {
                new.append(&mut insert!(few).get_results(conn)?);
            }
        }
        Conn::Sqlite(conn) => {
            for visitor in visitors {
                new.append(&mut insert!(visitor).get_results(conn)?);
            }
        }
    }
    Ok(new)
}

/// Days that a click is kept at least, whatever the program says: within them `verify` counts the clicks.
#[must_use]
pub const fn kept_days() -> i64 {
    KEPT_DAYS
}

/// Deletes some clicks that are older than 400 days and can count for no sign-up any more; says how many.
///
/// # Errors
/// The database's failure.
pub fn forget_old(db: &Db, clock: &Clock) -> Result<usize> {
    let now = clock.now();
    db.write_blocking(move |conn| {
        let window = i64::from(program::service::current(conn)?.config.attribution_window_days);
        let before = now.plus_days(-KEPT_DAYS.max(window + MARGIN_DAYS));
        let oldest: Vec<(Timestamp, ClickId)> = clicks::table
            .filter(clicks::created_at.lt(before))
            .order(clicks::created_at)
            .limit(CHUNK)
            .select((clicks::created_at, clicks::id))
            .load(conn)?;
        let Some((last, _)) = oldest.last() else { return Ok(0) };
        let ids: Vec<ClickId> = oldest.iter().map(|(_, id)| *id).collect();
        let old = clicks::table.filter(clicks::created_at.le(*last)).filter(clicks::id.eq_any(ids));
        Ok(diesel::delete(old).execute(conn)?)
    })
}
