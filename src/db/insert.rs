//! Inserting rows, many with one statement. Owns no tables.

/// Inserts `rows` into a table.
///
/// On SQLite each row is a statement, which stays prepared and calls nobody over a network. PostgreSQL gets one row and two, which
/// is what most requests bring, by statements that stay prepared, and more of them by COPY, which plans nothing.
macro_rules! insert_rows {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let rows = &$rows[..];
        match $conn {
            $crate::db::Conn::Postgres(conn) => {
                if let Ok(one) = <&[_; 1]>::try_from(rows) {
                    ::diesel::insert_into($table).values(one).execute(conn)?;
                } else if let Ok(two) = <&[_; 2]>::try_from(rows) {
                    ::diesel::insert_into($table).values(two).execute(conn)?;
                } else if !rows.is_empty() {
                    ::diesel::ExecuteCopyFromDsl::execute(::diesel::copy_from($table).from_insertable(rows), conn)?;
                }
            }
            $crate::db::Conn::Sqlite(conn) => {
                for row in rows {
                    ::diesel::insert_into($table).values(row).execute(conn)?;
                }
            }
        }
    }};
}
pub(crate) use insert_rows;
