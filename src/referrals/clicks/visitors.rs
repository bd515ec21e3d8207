//! Who is the same visitor within a UTC day, without knowing who it is: an HMAC under a random key that all servers share
//! for the day. When the day is over the key is deleted, and with it every way back from a hash.

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

/// The key of the last day that was asked for. Never `Debug`, so that no log line holds it.
#[derive(Default)]
pub(super) struct Visitors(Option<(Timestamp, Vec<u8>)>);

impl Visitors {
    /// The visitor of a click as a hash that holds for the link's day alone.
    pub(super) fn hash(&mut self, db: &Db, click: &Click) -> Result<Vec<u8>> {
        let day = click.created_at.day();
        let key = match self.0.take().filter(|(known, _)| *known == day) {
            Some((_, key)) => key,
            None => db.write_blocking(move |conn| key_of(conn, day))?,
        };
        let message = format!("{}\n{}", click.peer, click.user_agent);
        let hash = crypto::hmac_sha256(&key, message.as_bytes()).to_vec();
        self.0 = Some((day, key));
        Ok(hash)
    }
}

/// The key of a day, made by whoever needs it first.
fn key_of(conn: &mut Conn, day: Timestamp) -> Result<Vec<u8>> {
    let row = (visitor_keys::day.eq(day), visitor_keys::key.eq(crypto::random_bytes::<32>().to_vec()));
    with_conn!(conn, c => diesel::insert_into(visitor_keys::table).values(row).on_conflict_do_nothing().execute(c))?;
    Ok(visitor_keys::table.find(day).select(visitor_keys::key).get_result(conn)?)
}

/// Deletes the keys of days that are over, then some of their visitors; says how many.
///
/// # Errors
/// The database's failure.
pub fn forget_past_days(db: &Db, clock: &Clock) -> Result<usize> {
    let today = clock.now().plus_seconds(-GRACE_S).day();
    db.write_blocking(move |conn| {
        diesel::delete(visitor_keys::table.filter(visitor_keys::day.lt(today))).execute(conn)?;
        let sql = "DELETE FROM link_visitors WHERE (account_id, link_id, day, visitor_hash) IN \
            (SELECT account_id, link_id, day, visitor_hash FROM link_visitors WHERE day < $1 ORDER BY day LIMIT $2)";
        let delete = diesel::sql_query(sql)
            .bind::<diesel::sql_types::Timestamp, _>(today)
            .bind::<diesel::sql_types::BigInt, _>(CHUNK);
        Ok(delete.execute(conn)?)
    })
}
