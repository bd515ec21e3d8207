//! Who is the same visitor within a UTC day, without knowing who it is: an HMAC under a random key that all servers share
//! for the day. When the day is over, and the minutes in which its last clicks may still be written, the key is deleted from the
//! database and forgotten by each server, and with it every way back from a hash.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::prelude::*;

use super::collector::Click;
use crate::clock::{Clock, Timestamp};
use crate::crypto;
use crate::db::schema::visitor_keys;
use crate::db::{Conn, Db, with_conn};
use crate::error::Result;

/// Clicks that were made before midnight may be written shortly after it.
const GRACE_S: i64 = 600;

/// Visitors that one transaction deletes at most: on SQLite all other writes wait for it.
const CHUNK: i64 = 500;

type Key = Vec<u8>;

/// The keys that this server has asked for: those of a day and of the day before, for around midnight clicks of both come. No log
/// line holds one.
#[derive(Clone, Default)]
pub struct VisitorKeys(Arc<Mutex<BTreeMap<Timestamp, Key>>>);

impl fmt::Debug for VisitorKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VisitorKeys")
    }
}

impl VisitorKeys {
    /// The visitor of a click as a hash that holds for the link's day alone.
    pub(super) fn hash(&self, db: &Db, click: &Click) -> Result<Vec<u8>> {
        let key = self.key(db, click.created_at.day())?;
        let message = format!("{}\n{}", click.peer, click.user_agent);
        Ok(crypto::hmac_sha256(&key, message.as_bytes()).to_vec())
    }

    fn key(&self, db: &Db, day: Timestamp) -> Result<Key> {
        let known = self.lock().get(&day).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let stored = db.read_blocking(|conn| {
            Ok(visitor_keys::table.find(day).select(visitor_keys::key).get_result(conn).optional()?)
        })?;
        let key = match stored {
            Some(key) => key,
            None => db.write_blocking(move |conn| make_key(conn, day))?,
        };
        let mut keys = self.lock();
        keys.retain(|known, _| *known >= day.plus_days(-1));
        keys.insert(day, key.clone());
        Ok(key)
    }

    /// Forgets the keys of days that are over. The worker calls it at each of its rounds: nobody may click for long.
    pub fn forget_past_days(&self, clock: &Clock) {
        let first = first_kept_day(clock);
        self.lock().retain(|day, _| *day >= first);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Timestamp, Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first day of which a click may still come.
fn first_kept_day(clock: &Clock) -> Timestamp {
    clock.now().plus_seconds(-GRACE_S).day()
}

/// The key of a day, made by whoever needs it first.
fn make_key(conn: &mut Conn, day: Timestamp) -> Result<Key> {
    let row = (visitor_keys::day.eq(day), visitor_keys::key.eq(crypto::random_bytes::<32>().to_vec()));
    with_conn!(conn, c => diesel::insert_into(visitor_keys::table).values(row).on_conflict_do_nothing().execute(c))?;
    Ok(visitor_keys::table.find(day).select(visitor_keys::key).get_result(conn)?)
}

/// Deletes the keys of days that are over, then some of their visitors; says how many.
///
/// # Errors
/// The database's failure.
pub fn forget_past_days(db: &Db, clock: &Clock) -> Result<usize> {
    let first = first_kept_day(clock);
    db.write_blocking(move |conn| {
        diesel::delete(visitor_keys::table.filter(visitor_keys::day.lt(first))).execute(conn)?;
        let sql = "DELETE FROM link_visitors WHERE (account_id, link_id, day, visitor_hash) IN \
            (SELECT account_id, link_id, day, visitor_hash FROM link_visitors WHERE day < $1 ORDER BY day LIMIT $2)";
        let delete = diesel::sql_query(sql)
            .bind::<diesel::sql_types::Timestamp, _>(first)
            .bind::<diesel::sql_types::BigInt, _>(CHUNK);
        Ok(delete.execute(conn)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::new_database;

    #[test]
    fn keys_are_kept_around_midnight_and_forgotten_by_the_clock() {
        let (_directory, db) = new_database();
        let day = |text: &str| text.parse::<Timestamp>().unwrap().day();
        let (first, second) = (day("2026-01-01T12:00:00Z"), day("2026-01-02T12:00:00Z"));
        let (keys, other_server) = (VisitorKeys::default(), VisitorKeys::default());
        let held = || keys.lock().keys().copied().collect::<Vec<_>>();
        let key = keys.key(&db, first).unwrap();
        assert_eq!(other_server.key(&db, first).unwrap(), key);
        assert_ne!(keys.key(&db, second).unwrap(), key);
        assert_eq!(keys.key(&db, first).unwrap(), key);
        assert_eq!(held(), [first, second]);
        let forget = |now: &str| keys.forget_past_days(&Clock::standing_at(now.parse().unwrap()));
        forget("2026-01-02T00:09:59Z");
        assert_eq!(held(), [first, second]);
        forget("2026-01-02T00:10:00Z");
        assert_eq!(held(), [second]);
        // Where no round came between, a click of a later day does it.
        let fourth = day("2026-01-04T12:00:00Z");
        keys.key(&db, fourth).unwrap();
        assert_eq!(held(), [fourth]);
        forget("2026-02-01T00:00:00Z");
        assert_eq!(held(), []);
    }
}
