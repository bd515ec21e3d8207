//! A connection to either engine. Owns no settings and no transactions.
#![allow(missing_docs, reason = "the derive documents nothing of what it makes")]

use diesel::{MultiConnection, PgConnection, SqliteConnection};

/// A connection to either engine.
#[derive(MultiConnection)]
pub enum Conn {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Runs one expression on the connection that there really is, for what [`Conn`] itself does not offer
/// (`on_conflict`, batch inserts, row locks).
#[macro_export]
macro_rules! with_conn {
    ($conn:expr, $inner:ident => $expression:expr) => {
        match $conn {
            $crate::db::Conn::Postgres($inner) => $expression,
            $crate::db::Conn::Sqlite($inner) => $expression,
        }
    };
}
pub use with_conn;
