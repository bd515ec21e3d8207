//! What a failure of the database means, for both engines. Diesel exposes no SQLSTATE, so what it has no kind for is told by
//! the engine's message.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

use crate::error::Error;

/// Messages of conditions that pass: worth a retry by the client, so 503 and not 500.
const PASSING: &[&str] = &[
    // PostgreSQL: 40P01, 55P03, 57014, 57P01, 57P02, 57P03, 53100, 53200, 53300, 25P03
    "deadlock detected",
    LOCK_TIMEOUT,
    "canceling statement due to",
    "terminating connection",
    "the database system is",
    "No space left on device",
    "out of memory",
    "too many clients",
    "could not serialize access",
    // The client's side of PostgreSQL, where diesel has no kind for it: within COPY, and when a crash ends the connection
    "server closed the connection unexpectedly",
    "no connection to the server",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed unexpectedly",
    "SSL SYSCALL error",
    // SQLite: BUSY, LOCKED, FULL, IOERR, CANTOPEN
    FILE_LOCKED,
    "database table is locked",
    "database or disk is full",
    "disk I/O error",
    FILE_UNOPENABLE,
];

const LOCK_TIMEOUT: &str = "canceling statement due to lock timeout";
const FILE_LOCKED: &str = "database is locked";
const FILE_UNOPENABLE: &str = "unable to open database file";
const FILE_READ_ONLY: &str = "attempt to write a readonly database";

/// Whether a statement waited for a row lock longer than it may (PostgreSQL 55P03).
#[must_use]
pub fn is_lock_timeout(error: &DieselError) -> bool {
    information(error).is_some_and(|(_, information)| information.message().contains(LOCK_TIMEOUT))
}

/// Whether another connection holds a lock on the whole SQLite file (`SQLITE_BUSY`).
pub(super) fn is_file_locked(error: &DieselError) -> bool {
    information(error).is_some_and(|(_, information)| information.message().contains(FILE_LOCKED))
}

/// Whether SQLite could not make a file that it needs beside the database (`SQLITE_CANTOPEN`, `SQLITE_READONLY`).
pub(super) fn is_file_beside_missing(error: &DieselError) -> bool {
    information(error).is_some_and(|(_, information)| {
        [FILE_UNOPENABLE, FILE_READ_ONLY].iter().any(|words| information.message().contains(words))
    })
}

/// Whether `error` says that the value of `columns` exists already.
///
/// `columns` are spelled as SQLite's message spells them: `user_emails.email_key`, or with several columns
/// `api_keys.account_id, api_keys.id`, all of one table, in the order of the index.
#[must_use]
pub fn is_unique_violation(error: &DieselError, columns: &str) -> bool {
    let Some((DatabaseErrorKind::UniqueViolation, information)) = information(error) else { return false };
    if information.message() == format!("UNIQUE constraint failed: {columns}") {
        return true;
    }
    let Some((table, _)) = columns.split_once('.') else { return false };
    let names: Vec<_> = columns.split(", ").map(|column| column.rsplit('.').next().unwrap_or(column)).collect();
    let key = format!("({})=", names.join(", "));
    information.table_name() == Some(table) && information.details().is_some_and(|details| details.contains(&key))
}

/// Whether the same transaction may succeed when it runs again at once (PostgreSQL 40001, 40P01, and [`overtaken`]).
pub(super) fn is_retryable(error: &Error) -> bool {
    let Error::Database(error) = error else { return false };
    information(error).is_some_and(|(kind, information)| {
        matches!(kind, DatabaseErrorKind::SerializationFailure) || information.message().contains("deadlock detected")
    })
}

/// What a transaction fails with that finds in its midst what it had to know at its beginning: it runs again, without the locks
/// that it took.
#[must_use]
pub fn overtaken(reason: &str) -> Error {
    DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, Box::new(reason.to_owned())).into()
}

/// A failure as callers shall see it: conditions that pass become [`Error::Unavailable`].
pub(super) fn settle(error: Error) -> Error {
    match error {
        Error::Database(failure) if passes(&failure) => Error::Unavailable(format!("database: {failure}")),
        other => other,
    }
}

/// What work bears that is done account by account: one that is locked for long keeps nobody else waiting, but where the database is
/// away all would wait for it in turn.
#[derive(Debug, Default)]
pub struct Patience {
    times_unavailable: usize,
}

impl Patience {
    /// How often the database may be unavailable within one piece of work.
    const TIMES: usize = 3;

    /// Gives the failure of one account back where the work goes on with the others.
    ///
    /// # Errors
    /// The failure itself where it does not.
    pub fn bear(&mut self, failure: Error) -> Result<Error, Error> {
        self.times_unavailable += usize::from(matches!(failure, Error::Unavailable(_)));
        if self.times_unavailable < Self::TIMES { Ok(failure) } else { Err(failure) }
    }
}

fn passes(error: &DieselError) -> bool {
    if matches!(error, DieselError::BrokenTransactionManager) {
        return true;
    }
    information(error).is_some_and(|(kind, information)| {
        matches!(
            kind,
            DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction
        ) || PASSING.iter().any(|words| information.message().contains(words))
    })
}

/// What the engine said; of a failed rollback the failure that made it necessary.
fn information(error: &DieselError) -> Option<(&DatabaseErrorKind, &dyn DatabaseErrorInformation)> {
    match error {
        DieselError::DatabaseError(kind, information) => Some((kind, information.as_ref())),
        DieselError::RollbackErrorOnCommit { commit_error, .. } => self::information(commit_error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_behind_what_fails_by_itself_and_ends_where_the_database_is_away() {
        let mut patience = Patience::default();
        assert!((0..100).all(|_| patience.bear(Error::internal("unreadable")).is_ok()));
        let away = || Error::Unavailable("no connection".to_owned());
        let borne: Vec<bool> = (0..3).map(|_| patience.bear(away()).is_ok()).collect();
        assert_eq!(borne, [true, true, false]);
    }
}
