//! UTC days in SQL, which each engine spells its own way. Owns no tables.

use super::Conn;

/// SQL for the UTC day of the TIMESTAMP column `column`, as text: `2026-01-31`. The name is never a client's.
#[must_use]
pub fn utc_day(conn: &Conn, column: &'static str) -> String {
    match conn {
        Conn::Postgres(_) => format!("to_char({column}, 'YYYY-MM-DD')"),
        Conn::Sqlite(_) => format!("substr({column}, 1, 10)"),
    }
}
