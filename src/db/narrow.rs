//! Filters of lists that take several values. Owns no tables.

/// Narrows a boxed query to the rows whose `column` has one of the values, where there are any to narrow by: none of no
/// values has a row. A single value is compared by `=`, so that an index keeps its order behind it.
macro_rules! narrow {
    ($query:ident, $column:expr, $values:expr) => {
        if let Some(values) = $values {
            $query = match values.as_slice() {
                [only] => $query.filter($column.eq(only)),
                several => $query.filter($column.eq_any(several)),
            };
        }
    };
}
pub(crate) use narrow;
