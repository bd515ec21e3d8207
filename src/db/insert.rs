//! Inserting rows, many with one statement. Owns no tables.

/// Inserts `rows` into a table, at most `$at_once` with one statement: engines bound how many values that may have.
///
/// One row and two, which is what most requests bring, are statements of their own: a connection keeps these prepared, while
/// one for any number of rows is planned anew each time.
macro_rules! insert_rows {
    ($conn:expr, $table:expr, $rows:expr, $at_once:expr) => {{
        for chunk in $rows.chunks($at_once) {
            if let Ok(one) = <&[_; 1]>::try_from(chunk) {
                $crate::db::with_conn!($conn, c => ::diesel::insert_into($table).values(one).execute(c))?;
            } else if let Ok(two) = <&[_; 2]>::try_from(chunk) {
                $crate::db::with_conn!($conn, c => ::diesel::insert_into($table).values(two).execute(c))?;
            } else {
                $crate::db::with_conn!($conn, c => ::diesel::insert_into($table).values(chunk).execute(c))?;
            }
        }
    }};
}
pub(crate) use insert_rows;
