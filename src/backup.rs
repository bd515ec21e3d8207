//! A copy of a SQLite database, taken while it is served: what a snapshot of it holds, in a new file that only its owner
//! can read. Changes no byte of the database, and writes over no file. PostgreSQL has its own tools for that.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::config::SettingError;
use crate::db::{Conn, DatabaseUrl, Db, Options};
use crate::error::{Error, Result};
use crate::panics;
use crate::progress::Progress;
use crate::server::StartError;

/// Between two looks at how much has been written.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Copies the database to `target`, durably; gives the copy's size in bytes.
///
/// # Errors
/// A PostgreSQL database, with the command that makes the copy there; a target that exists or cannot be written.
pub fn write(url: &DatabaseUrl, target: &Path) -> Result<u64, StartError> {
    let DatabaseUrl::Sqlite(source) = url else {
        let command = format!("pg_dump --format=custom --file={} \"$DATABASE_URL\"", target.display());
        let reason = format!("{url} is copied by PostgreSQL's own tool: {command}");
        return Err(SettingError::new("DATABASE_URL", reason).into());
    };
    let name = target.to_str().ok_or_else(|| refused(target, &"the path must be UTF-8"))?;
    // SQLite writes into the empty file, so that from the first byte on nobody else can read it.
    let copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)
        .map_err(|error| refused(target, &error))?;
    let written = copy_into(url, source, name).and_then(|()| make_durable(&copy, target).map_err(StartError::from));
    if written.is_err() {
        // What is left is no backup.
        std::fs::remove_file(target).ok();
    }
    written
}

/// The file beside the database without which what is encrypted in the copy cannot be read, unless the environment's key is in
/// force; none where there is no such file.
#[must_use]
pub fn secrets_file(url: &DatabaseUrl) -> Option<PathBuf> {
    url.file().map(crate::config::secrets_file).filter(|path| path.exists())
}

fn refused(target: &Path, reason: &impl std::fmt::Display) -> SettingError {
    SettingError::new("FILE", format!("{}: {reason}", target.display()))
}

/// `VACUUM INTO` reads one snapshot, however long it takes, and holds up nobody who writes.
fn copy_into(url: &DatabaseUrl, source: &Path, name: &str) -> Result<(), StartError> {
    let db = Db::inspect(url, Options::command())?;
    let length = std::fs::metadata(source).map_or(0, |file| file.len());
    let mut progress = Progress::start("bytes", Some(length));
    let copied = std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            db.read_blocking(|conn| {
                // It would keep the copy from being written, too; the database is open for reading alone.
                diesel::sql_query("PRAGMA query_only = false").execute(conn)?;
                vacuum_into(conn, name)
            })
        });
        while !copying.is_finished() {
            progress.reach(std::fs::metadata(name).map_or(0, |file| file.len()));
            std::thread::sleep(LOOK_EVERY);
        }
        copying.join().unwrap_or_else(|panic| Err(panics::caught(panic.as_ref())))
    });
    Ok(copied?)
}

fn vacuum_into(conn: &mut Conn, name: &str) -> Result<()> {
    diesel::sql_query("VACUUM INTO $1").bind::<Text, _>(name).execute(conn)?;
    Ok(())
}

/// The bytes, and that there is such a file.
fn make_durable(copy: &File, target: &Path) -> Result<u64> {
    copy.sync_all().map_err(Error::internal)?;
    let directory = target.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(Error::internal)?;
    Ok(copy.metadata().map_err(Error::internal)?.len())
}
