//! Reads versions of the program, and makes the first one.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{self, Nullable};

use super::{Program, ProgramConfig};
use crate::clock::Timestamp;
use crate::db::schema::program_versions;
use crate::db::{Conn, KeepPrepared, limit_lock_waits, with_conn};
use crate::error::{Error, Result};
use crate::http::Page;

/// How long a change of the program waits for one lock; well below what others wait for it.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

#[derive(Queryable, QueryableByName, Insertable)]
#[diesel(table_name = program_versions)]
pub(super) struct VersionRow {
    pub version: i32,
    pub config: String,
    pub author: String,
    pub created_at: Timestamp,
}

/// Writes version 1 where there is none, as every start does.
///
/// # Errors
/// The database's own failure.
pub fn ensure_first_version(conn: &mut Conn, now: Timestamp) -> Result<()> {
    let config = serde_json::to_string(&ProgramConfig::first()).map_err(Error::internal)?;
    let row = VersionRow { version: 1, config, author: "system".to_owned(), created_at: now };
    with_conn!(conn, c => diesel::insert_into(program_versions::table).values(&row).on_conflict_do_nothing().execute(c))?;
    Ok(())
}

/// The version in force now.
///
/// # Errors
/// The database's own failure; a version that cannot be read.
pub fn current(conn: &mut Conn) -> Result<Program> {
    let version = newest_version(conn)?;
    let row: VersionRow = program_versions::table.find(version).get_result(conn)?;
    parse(row)
}

/// Keeps the version in force as it is until the transaction ends. Whoever gives a client to a manager does so before it takes
/// the manager's lock: a change values anew the managers that it finds, and one that is made meanwhile is none of these.
///
/// # Errors
/// The database's own failure, as that of a change that takes longer than one waits for a lock.
pub fn keep(conn: &mut Conn) -> Result<()> {
    lock_newest(conn, |version, conn| program_versions::table.find(version).for_share().execute(conn))
}

/// Takes the version in force for a change: nobody else changes it, and nobody [keeps](keep) it. The change gives up where one
/// lock is held for long, before those give up who wait for it to keep the version: sign-ups with a code among them.
///
/// # Errors
/// As [`keep`].
pub(super) fn take(conn: &mut Conn) -> Result<()> {
    limit_lock_waits(conn, LOCK_WAIT_MAX)?;
    lock_newest(conn, |version, conn| program_versions::table.find(version).for_update().execute(conn))
}

/// Locks the newest version's row; the one that was newest when the lock was asked for may have got a follower meanwhile.
fn lock_newest(conn: &mut Conn, lock: impl Fn(i32, &mut PgConnection) -> diesel::QueryResult<usize>) -> Result<()> {
    let mut version = newest_version(conn)?;
    loop {
        // SQLite's writes follow each other.
        let Conn::Postgres(postgres) = conn else { return Ok(()) };
        lock(version, postgres)?;
        let newest = newest_version(conn)?;
        if newest == version {
            return Ok(());
        }
        version = newest;
    }
}

fn newest_version(conn: &mut Conn) -> Result<i32> {
    let newest = diesel::dsl::max(program_versions::version);
    let version: Option<i32> = program_versions::table.select(newest).get_result(conn)?;
    Ok(version.unwrap_or(1))
}

/// A page of versions, newest first.
///
/// # Errors
/// The database's own failure; a version that cannot be read.
pub fn list(conn: &mut Conn, page: &Page) -> Result<Vec<Program>> {
    let mut query = program_versions::table.order(program_versions::version.desc()).limit(page.fetch()).into_boxed();
    if let Some(after) = page.after_key::<i32>()? {
        query = query.filter(program_versions::version.lt(after));
    }
    let rows: Vec<VersionRow> = query.load(conn)?;
    rows.into_iter().map(parse).collect()
}

/// The versions that were in force at `oldest` or later, to look up which was in force when; all of them without such a time.
///
/// # Errors
/// The database's own failure; a version that cannot be read.
pub fn history(conn: &mut Conn, oldest: Option<Timestamp>) -> Result<ProgramHistory> {
    let statement = "SELECT version, config, author, created_at FROM program_versions \
        WHERE version >= COALESCE((\
            SELECT version FROM program_versions WHERE created_at <= $1 ORDER BY version DESC LIMIT 1\
        ), 1) ORDER BY version";
    let rows: Vec<VersionRow> = with_conn!(conn, c => diesel::sql_query(statement)
        .bind::<Nullable<sql_types::Timestamp>, _>(oldest)
        .kept()
        .load(c))?;
    let versions = rows.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
    Ok(ProgramHistory { versions })
}

/// Versions of the program up to the newest, oldest first; empty only in a database that was never served.
#[derive(Debug)]
pub struct ProgramHistory {
    versions: Vec<Program>,
}

impl ProgramHistory {
    /// All of them, oldest first.
    #[must_use]
    pub fn versions(&self) -> &[Program] {
        &self.versions
    }

    /// The version in force at `time`; before the first one, that.
    ///
    /// # Errors
    /// A history without any version, of a database that was never served.
    pub fn at(&self, time: Timestamp) -> Result<&Program> {
        let in_force = self.versions.iter().rev().find(|program| program.created_at <= time);
        in_force.or(self.versions.first()).ok_or_else(|| Error::internal("an empty program history"))
    }

    /// The newest version.
    ///
    /// # Errors
    /// A history without any version, of a database that was never served.
    pub fn newest(&self) -> Result<&Program> {
        self.versions.last().ok_or_else(|| Error::internal("an empty program history"))
    }
}

pub(super) fn parse(row: VersionRow) -> Result<Program> {
    let config = serde_json::from_str(&row.config)
        .map_err(|error| Error::internal(format!("program version {}: {error}", row.version)))?;
    Ok(Program { config, version: row.version, author: row.author, created_at: row.created_at })
}
