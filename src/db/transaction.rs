//! Units of work on one connection: each commits whole or leaves nothing, also when it panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::{SimpleConnection, TransactionManager};

use super::Conn;
use super::connection::begin;
use super::failure::is_retryable;
use crate::error::{Error, Result};
use crate::panics;

type Manager = <Conn as Connection>::TransactionManager;

/// How often a transaction runs at most when others keep it from being serialised.
const MAX_ATTEMPTS: u32 = 6;

/// Runs `work` on one snapshot of the database, which cannot be written to.
pub(super) fn snapshot<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    begin(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN DEFERRED")?;
    finish(conn, work)
}

/// Runs `work` in one transaction, again after a serialisation failure or deadlock.
pub(super) fn write<T>(conn: &mut Conn, work: impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        begin(conn, "BEGIN", "BEGIN IMMEDIATE")?;
        match finish(conn, &work) {
            Err(error) if attempt < MAX_ATTEMPTS && is_retryable(&error) => {
                log::info!("attempt {attempt} of a transaction: {error}");
                std::thread::sleep(backoff(attempt));
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// Has the running transaction wait for each further lock for `timeout` at most; on SQLite it has the only one already.
///
/// # Errors
/// The database's failure.
pub fn limit_lock_waits(conn: &mut Conn, timeout: Duration) -> Result<()> {
    if let Conn::Postgres(postgres) = conn {
        postgres.batch_execute(&format!("SET LOCAL lock_timeout = {}", timeout.as_millis()))?;
    }
    Ok(())
}

/// Runs `work` in a savepoint of the running transaction. The outer error is the transaction's: it cannot go on.
pub(super) fn savepoint<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<Result<T>> {
    Manager::begin_transaction(conn)?;
    conclude_at(conn, 1, work)
}

/// Runs `work` in the running transaction and ends that. The outer error says that it could not be ended.
pub(super) fn conclude<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<Result<T>> {
    conclude_at(conn, 0, work)
}

fn conclude_at<T>(conn: &mut Conn, depth: u32, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<Result<T>> {
    let result = guarded(conn, work);
    if result.is_ok() {
        Manager::commit_transaction(conn)?;
    } else {
        roll_back(conn, depth)?;
    }
    Ok(result)
}

/// Rolls back every level above `depth` (0: the whole transaction).
fn roll_back(conn: &mut Conn, depth: u32) -> diesel::QueryResult<()> {
    while Manager::transaction_manager_status_mut(conn).transaction_depth()?.is_some_and(|open| open.get() > depth) {
        Manager::rollback_transaction(conn)?;
    }
    Ok(())
}

fn finish<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    match guarded(conn, work) {
        Ok(value) => Manager::commit_transaction(conn).map(|()| value).map_err(Error::from),
        Err(error) => {
            // A connection that cannot roll back counts as broken, and the pool closes it.
            if let Err(failure) = roll_back(conn, 0) {
                log::warn!("rollback: {}", Error::from(failure));
            }
            Err(error)
        }
    }
}

/// Runs `work`; a panic is a fault of ours, told to this caller alone.
pub(super) fn guarded<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or_else(|panic| Err(panics::caught(panic.as_ref())))
}

/// 4–8 ms, doubled at each attempt: those who collided do not meet again.
fn backoff(attempt: u32) -> Duration {
    let jitter = u64::from(crate::crypto::random_u32() % 4_000);
    Duration::from_micros((4_000 + jitter) << attempt.min(6))
}
