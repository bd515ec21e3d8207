//! Inserting rows, many with one statement. Owns no tables.

/// Most rows of a statement that names each value: PostgreSQL takes 65,535 of these.
const ROWS_MAX: usize = 256;

/// Up to so many rows, COPY takes longer than statements that are prepared already.
pub(crate) const FEW_ROWS: usize = 16;

/// The rows in slices of 1, 2, 4, … 256, the largest first: statements that differ only by the number of their rows have few
/// texts then, so that they can be kept prepared.
pub(crate) fn in_few_sizes<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = 1_usize << rows.len().min(ROWS_MAX).checked_ilog2()?;
        let (slice, rest) = rows.split_at(size);
        rows = rest;
        Some(slice)
    })
}

/// Inserts `rows` into a table.
///
/// On SQLite each row is a statement, which stays prepared and calls nobody over a network. PostgreSQL gets a few rows, which is
/// what requests bring, by statements that stay prepared, and more of them by COPY, which names no values.
macro_rules! insert_rows {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let rows = &$rows[..];
        match $conn {
            $crate::db::Conn::Postgres(conn) => {
                if let Ok(one) = <&[_; 1]>::try_from(rows) {
                    ::diesel::insert_into($table).values(one).execute(conn)?;
                } else if rows.len() > $crate::db::FEW_ROWS {
                    ::diesel::ExecuteCopyFromDsl::execute(::diesel::copy_from($table).from_insertable(rows), conn)?;
                } else {
                    for few in $crate::db::in_few_sizes(rows) {
                        $crate::db::KeepPrepared::kept(::diesel::insert_into($table).values(few)).execute(conn)?;
                    }
                }
            }
            $crate::db::Conn::Sqlite(conn) => {
                for row in rows {
                    $crate::db::KeepPrepared::kept(::diesel::insert_into($table).values(row)).execute(conn)?;
                }
            }
        }
    }};
}
pub(crate) use insert_rows;

/// Inserts `rows`, or changes those that are there already: `upsert_rows!(conn, rows, values => insert_into(…)…on_conflict(…)…)`,
/// where `values` are rows of the slice. No key may occur twice in it.
macro_rules! upsert_rows {
    ($conn:expr, $rows:expr, $values:ident => $statement:expr) => {{
        let rows = &$rows[..];
        match $conn {
            $crate::db::Conn::Postgres(conn) => {
                for $values in $crate::db::in_few_sizes(rows) {
                    $crate::db::KeepPrepared::kept($statement).execute(conn)?;
                }
            }
            $crate::db::Conn::Sqlite(conn) => {
                for $values in rows {
                    $crate::db::KeepPrepared::kept($statement).execute(conn)?;
                }
            }
        }
    }};
}
pub(crate) use upsert_rows;

#[cfg(test)]
mod tests {
    use super::in_few_sizes;

    #[test]
    fn slices_have_few_sizes_and_leave_nothing_out() {
        let rows: Vec<usize> = (0..815).collect();
        let slices: Vec<&[usize]> = in_few_sizes(&rows).collect();
        assert_eq!(slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(), [256, 256, 256, 32, 8, 4, 2, 1]);
        assert_eq!(slices.concat(), rows);
        assert_eq!(in_few_sizes::<usize>(&[]).count(), 0);
    }
}
