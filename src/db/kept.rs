//! Statements that a connection keeps prepared although diesel plans them anew each time, and plans that PostgreSQL keeps for a
//! transaction. Owns no feature's SQL.

use diesel::backend::Backend;
use diesel::connection::{LoadConnection, SimpleConnection};
use diesel::expression::QueryMetadata;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Integer;

use super::Conn;

/// A statement that is kept prepared: under its type where diesel knows that the type has one text, which need not be written
/// then, else under its text. Diesel does not know whether the text of an update or upsert is always the same; where it is, each
/// connection plans it once.
///
/// Only for statements of few texts: each one stays in the memory of every connection.
#[derive(Debug, Clone, Copy)]
pub struct Kept<S>(S);

/// What keeps a statement prepared, as a method of all statements.
pub trait KeepPrepared: Sized {
    /// The same statement, kept prepared.
    fn kept(self) -> Kept<Self> {
        Kept(self)
    }
}

impl<S> KeepPrepared for S {}

/// Has PostgreSQL plan no statement anew for the rest of the transaction. It would do so whenever there are fewer keys than the ten
/// that it reckons with, and take longer to plan than to look them up.
///
/// Only for transactions whose statements have the same best plan whatever their values are: look-ups by key.
///
/// # Errors
/// The database's own failure.
pub fn keep_plans(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Postgres(conn) => conn.batch_execute("SET LOCAL plan_cache_mode = force_generic_plan"),
        // SQLite plans each statement once.
        Conn::Sqlite(_) => Ok(()),
    }
}

/// Keys for `eq_any` of a statement that is [kept](KeepPrepared): as many as the next power of two, the last one again and again. SQLite
/// has a place for each key in the text, and so there are few texts.
pub(crate) fn few_sizes<'a, K: 'a>(keys: impl IntoIterator<Item = &'a K>) -> Vec<&'a K> {
    let mut keys: Vec<&K> = keys.into_iter().collect();
    if let Some(last) = keys.last().copied() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}

impl<S, DB> QueryFragment<DB> for Kept<S>
where
    DB: Backend,
    S: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<S: QueryId> QueryId for Kept<S> {
    type QueryId = S::QueryId;

    const HAS_STATIC_QUERY_ID: bool = S::HAS_STATIC_QUERY_ID;
}

impl<S: Query> Query for Kept<S> {
    type SqlType = S::SqlType;
}

impl<S, C> RunQueryDsl<C> for Kept<S> {}

impl<S> Kept<S> {
    /// Runs a statement that answers no rows.
    ///
    /// [`RunQueryDsl::execute`] hands diesel a reference, and that does not pass on that its statement may be kept; a statement
    /// whose rows are loaded is handed over itself.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn execute<C>(self, conn: &mut C) -> QueryResult<()>
    where
        C: LoadConnection,
        C::Backend: QueryMetadata<Integer>,
        Self: QueryFragment<C::Backend>,
        S: QueryId,
    {
        conn.load(WithoutRows(self))?.try_for_each(|row| row.map(drop))
    }
}

/// A kept statement as one whose rows are loaded, of which there are none.
struct WithoutRows<S>(Kept<S>);

impl<S, DB> QueryFragment<DB> for WithoutRows<S>
where
    DB: Backend,
    Kept<S>: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, backend: &DB) -> QueryResult<bool> {
        self.0.is_safe_to_cache_prepared(backend)
    }
}

impl<S: QueryId> QueryId for WithoutRows<S> {
    type QueryId = S::QueryId;

    const HAS_STATIC_QUERY_ID: bool = S::HAS_STATIC_QUERY_ID;
}

impl<S> Query for WithoutRows<S> {
    type SqlType = Integer;
}
