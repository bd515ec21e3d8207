//! Migrations, embedded in the binary. Both folders have the same names and make the same tables.

use std::time::Duration;

use diesel::migration::MigrationSource;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Access, Opener};
use super::{Conn, DatabaseUrl, unreachable};
use crate::error::{Error, Result};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How often a start tries while another server migrates the same database, and how long it waits in between.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// A row of diesel's own record of what was applied.
#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

/// Applies what is missing and says how many migrations that were. Several servers may do so at once.
///
/// # Errors
/// No connection, or a migration that cannot be applied.
pub fn run_pending(url: &DatabaseUrl) -> Result<usize> {
    let opener = Opener::new(url, 0, Access::Write);
    let mut conn = opener.open().map_err(|error| unreachable(url, &error))?;
    let mut attempt = 1;
    loop {
        match apply(&mut conn) {
            Ok(applied) => return Ok(applied),
            // Another server has made the same tables meanwhile, or is about to.
            Err(error) if attempt < ATTEMPTS && !is_current(&mut conn)? => {
                log::warn!("migration, attempt {attempt}: {error}");
                attempt += 1;
                std::thread::sleep(PAUSE);
            }
            Err(error) => return if is_current(&mut conn)? { Ok(0) } else { Err(error) },
        }
    }
}

/// Whether every migration that this binary knows was applied.
///
/// # Errors
/// The database's own failure.
pub fn is_current(conn: &mut Conn) -> Result<bool> {
    let applied = applied(conn)?;
    Ok(known(conn)?.iter().all(|version| applied.iter().any(|row| row.version == *version)))
}

/// Whether it has tables, be they those of an earlier version.
///
/// # Errors
/// The database's own failure.
pub fn has_tables(conn: &mut Conn) -> Result<bool> {
    Ok(!applied(conn)?.is_empty())
}

fn applied(conn: &mut Conn) -> Result<Vec<Applied>> {
    match sql_query("SELECT version FROM __diesel_schema_migrations").load(conn) {
        Err(diesel::result::Error::DatabaseError(_, information)) if is_missing_table(information.message()) => {
            Ok(Vec::new())
        }
        other => Ok(other?),
    }
}

fn apply(conn: &mut Conn) -> Result<usize> {
    match conn {
        Conn::Postgres(conn) => conn.run_pending_migrations(POSTGRES).map(|applied| applied.len()),
        Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(|applied| applied.len()),
    }
    .map_err(|error| Error::internal(format!("migration: {error}")))
}

fn known(conn: &Conn) -> Result<Vec<String>> {
    fn versions<B: diesel::backend::Backend>(
        source: &impl MigrationSource<B>,
    ) -> diesel::migration::Result<Vec<String>> {
        Ok(source.migrations()?.iter().map(|migration| migration.name().version().to_string()).collect())
    }
    match conn {
        Conn::Postgres(_) => versions::<diesel::pg::Pg>(&POSTGRES),
        Conn::Sqlite(_) => versions::<diesel::sqlite::Sqlite>(&SQLITE),
    }
    .map_err(Error::internal)
}

fn is_missing_table(message: &str) -> bool {
    message.contains("no such table") || message.contains("does not exist")
}
