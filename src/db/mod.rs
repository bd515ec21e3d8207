//! The database: connections, transactions, and the difference between the engines. Nothing outside knows the pool.
//!
//! `read` is one connection without a transaction, `look_up` one row by its key, `snapshot` several reads that agree, `write` one
//! transaction. Each has a twin `…_blocking` for threads that may wait. On PostgreSQL all use the pool; on SQLite all writes use
//! one connection.

mod columns;
mod conn;
mod connection;
mod day;
mod failure;
mod insert;
mod kept;
pub mod migrate;
mod narrow;
pub mod schema;
mod search;
mod transaction;
mod url;
mod writer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use columns::{column, moment_to_store, stored_moment, text_column, timestamp_column};
pub use conn::{Conn, MultiBackend, with_conn};
use connection::{Access, Opener};
pub use day::utc_day;
pub use failure::{Patience, is_lock_timeout, is_unique_violation, overtaken};
pub(crate) use insert::{FEW_ROWS, in_few_sizes, insert_rows, upsert_rows};
pub(crate) use kept::few_sizes;
pub use kept::{KeepPrepared, keep_plans};
pub(crate) use narrow::narrow;
pub use search::{containing, search_text};
pub use transaction::limit_lock_waits;
pub use url::{DatabaseUrl, MalformedDatabaseUrl};
use writer::Writer;

use crate::aside::Aside;
use crate::error::{Error, Result};

/// How long a request waits for a connection.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request waits for its read or its write, when the database neither answers nor fails.
const READ_DEADLINE: Duration = Duration::from_secs(12);
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// How a [`Db`] uses its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Connections at most (on SQLite: for reading).
    pub pool_size: u32,
    /// Milliseconds that one statement may run on PostgreSQL; 0 for ever.
    pub statement_timeout_ms: u32,
}

impl Options {
    /// For a server: two connections per core, statements of at most ten seconds.
    #[must_use]
    pub fn server() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { pool_size: u32::try_from(cores).unwrap_or(1).saturating_mul(2), statement_timeout_ms: 10_000 }
    }

    /// For a command, which may take its time over a large database.
    #[must_use]
    pub const fn command() -> Self {
        Self { pool_size: 2, statement_timeout_ms: 0 }
    }
}

/// Connections of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Open.
    pub connections: u32,
    /// Open and unused.
    pub idle: u32,
    /// At most.
    pub max: u32,
    /// How much work waits for one.
    pub waiting: usize,
    /// How many writes wait for SQLite's writer.
    pub writes_waiting: usize,
}

/// The database, however many connections it has. Clones share them.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    pool: r2d2::Pool<Opener>,
    /// SQLite's; PostgreSQL writes through the pool.
    writer: Option<Writer>,
    /// As many threads as connections, so that none of them waits for a connection that another one has.
    aside: Aside<()>,
    opener: Opener,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Db").field("pool", &self.inner.pool.state()).finish_non_exhaustive()
    }
}

impl Db {
    /// Connects, once, to see that it can be done; the pool opens further connections when they are needed.
    ///
    /// # Errors
    /// No connection, or a PostgreSQL that does not keep what it acknowledges (`fsync` or `synchronous_commit` off).
    pub fn connect(url: &DatabaseUrl, options: Options) -> Result<Self> {
        let opener = Opener::new(url, options.statement_timeout_ms, Access::Write);
        let writer = match url {
            DatabaseUrl::Sqlite(_) => Some(Writer::start(opener.clone())),
            DatabaseUrl::Postgres(_) => None,
        };
        let writer = writer.transpose().map_err(|error| unreachable(url, &error))?;
        Self::reading(Opener { access: Access::Read, creates: false, ..opener }, writer, options)
    }

    /// Connects to read alone: a SQLite file stays as it is to the byte, and may be a copy where nobody can write. What is
    /// being served is read as it was committed.
    ///
    /// # Errors
    /// As [`Db::connect`]; a SQLite file that is not there.
    pub fn inspect(url: &DatabaseUrl, options: Options) -> Result<Self> {
        let opener = Opener::new(url, options.statement_timeout_ms, Access::Inspect);
        Self::reading(Opener { creates: false, ..opener }, None, options)
    }

    fn reading(reader: Opener, writer: Option<Writer>, options: Options) -> Result<Self> {
        drop(reader.open().map_err(|error| unreachable(&reader.url, &error))?);
        let pool = r2d2::Pool::builder()
            .max_size(options.pool_size)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(CHECKOUT_TIMEOUT)
            .build_unchecked(reader.clone());
        let aside = Aside::start("database", options.pool_size, CHECKOUT_TIMEOUT)?;
        Ok(Self { inner: Arc::new(Inner { pool, writer, aside, opener: reader }) })
    }

    /// Runs one statement, or several that need not agree, on a connection without a transaction.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Unavailable`] when the database cannot be reached.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let db = self.clone();
        within(READ_DEADLINE, self.inner.aside.run(move |()| db.read_blocking(work))).await
    }

    /// [`Db::read`] of a row by its key. On SQLite, whose readers wait for nobody, that takes less than to hand the work to
    /// another thread, so it is done where it is asked for, as long as a connection is free.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn look_up<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        match self.inner.writer.as_ref().and_then(|_| self.inner.pool.try_get()) {
            Some(mut conn) => transaction::guarded(&mut conn, work).map_err(failure::settle),
            None => self.read(work).await,
        }
    }

    /// Several reads that must agree: one snapshot.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let db = self.clone();
        within(READ_DEADLINE, self.inner.aside.run(move |()| db.snapshot_blocking(work))).await
    }

    /// One transaction; `work` may run again after a serialisation failure.
    ///
    /// # Errors
    /// What `work` returns, then nothing was changed; [`Error::Unavailable`] when the database cannot be reached, is too
    /// busy, or did not say whether it committed.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + Sync + 'static,
    {
        let Some(writer) = &self.inner.writer else {
            let db = self.clone();
            return within(WRITE_DEADLINE, self.inner.aside.run(move |()| db.write_on_pool(work))).await;
        };
        let (sender, receiver) = tokio::sync::oneshot::channel();
        writer.submit(work, move |result| {
            // A caller that has gone away needs no answer.
            sender.send(result).ok();
        })?;
        within(WRITE_DEADLINE, async { receiver.await.map_err(Error::internal)? }).await.map_err(failure::settle)
    }

    /// [`Db::read`] for a thread that may wait.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub fn read_blocking<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
        transaction::guarded(&mut *self.checkout()?, work).map_err(failure::settle)
    }

    /// [`Db::snapshot`] for a thread that may wait.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub fn snapshot_blocking<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
        transaction::snapshot(&mut *self.checkout()?, work).map_err(failure::settle)
    }

    /// [`Db::write`] for a thread that may wait.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + Sync + 'static,
    {
        let Some(writer) = &self.inner.writer else { return self.write_on_pool(work) };
        writer.run(work).map_err(failure::settle)
    }

    /// How many transactions that change something make sense at once: one on SQLite, else half of the pool.
    #[must_use]
    pub fn parallel_writes(&self) -> usize {
        let connections = usize::try_from(self.inner.pool.max_size()).unwrap_or(1);
        if self.inner.writer.is_some() { 1 } else { (connections / 2).max(1) }
    }

    /// Makes sure that SQLite's file is where it was: one may move it away under open connections, which go on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it has gone.
    pub fn ensure_in_place(&self) -> Result<()> {
        if self.inner.opener.is_in_place() {
            return Ok(());
        }
        Err(Error::Unavailable("the database file has gone".to_owned()))
    }

    /// How the pool stands now.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        let state = self.inner.pool.state();
        PoolState {
            connections: state.connections,
            idle: state.idle_connections,
            max: self.inner.pool.max_size(),
            waiting: self.inner.aside.waiting(),
            writes_waiting: self.inner.writer.as_ref().map_or(0, Writer::waiting),
        }
    }

    fn write_on_pool<T>(&self, work: impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
        transaction::write(&mut *self.checkout()?, work).map_err(failure::settle)
    }

    fn checkout(&self) -> Result<r2d2::PooledConnection<Opener>> {
        self.inner.pool.get().map_err(|error| Error::Unavailable(format!("no connection: {error}")))
    }
}

/// A start that fails at the database names the setting.
fn unreachable(url: &DatabaseUrl, error: &impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("DATABASE_URL: {url}: {error}"))
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::Unavailable(format!("the database did not answer within {} s", deadline.as_secs()));
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::new_database;
