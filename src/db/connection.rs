//! Opens connections: by the URL's scheme, with the settings that every connection has. Never through
//! `MultiConnection::establish`, which opens a SQLite file named like the URL when PostgreSQL is away.

use std::fmt::Write;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::result::{ConnectionError, Error as DieselError};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

use super::failure::{is_file_beside_missing, is_file_locked};
use super::{Conn, DatabaseUrl};

/// How long anything waits for another connection's lock, and for a connection to be opened.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection waits between two tries to turn on the log of a SQLite file.
const LOG_PAUSE: Duration = Duration::from_millis(5);

/// Pages of SQLite that a connection keeps, in KiB. The writer's hold all that most COMMITs change; of a larger one some pages go to the
/// log ahead of it.
const READER_CACHE_KIB: u32 = 2_000;
const WRITER_CACHE_KIB: u32 = 16_000;

/// Pages in SQLite's log when the writer takes them over into the file: about 130 MB. Many of them are the same pages again, which
/// are copied once then; a longer log brings little more.
const CHECKPOINT_PAGES: u32 = 32_000;

/// The first version of PostgreSQL that this server is made for.
const OLDEST_POSTGRES: i32 = 15;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("{0}")]
    Connect(#[from] ConnectionError),
    #[error("{0}")]
    Prepare(#[from] DieselError),
    #[error("the database file has gone")]
    Gone,
    #[error("PostgreSQL runs with {0} = off: what it acknowledges would not be durable; turn it on")]
    NotDurable(&'static str),
    #[error("PostgreSQL runs version {0}; version {OLDEST_POSTGRES} or later is needed")]
    TooOld(i32),
    #[error(
        "PostgreSQL says what fails in the language of lc_messages = {locale}, and this server reads English: have a \
         superuser run ALTER DATABASE {database} SET lc_messages = 'C' ({refusal})"
    )]
    ForeignMessages { locale: String, database: String, refusal: DieselError },
}

/// What a connection may do with SQLite's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Write, which only the writer's may.
    Write,
    /// Read, while there is a writer.
    Read,
    /// Read what stays as it is to the byte: perhaps a copy, perhaps where nobody can write, perhaps what is being served.
    Inspect,
}

/// Opens connections of one kind; what the pool asks for new ones.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) url: DatabaseUrl,
    /// Milliseconds that a statement may run on PostgreSQL; 0 for ever.
    pub(super) statement_timeout_ms: u32,
    /// What a SQLite connection may do.
    pub(super) access: Access,
    /// Whether a SQLite file that is not there is made. Not by a server that runs: what it served has gone, and an empty
    /// database is no answer.
    pub(super) creates: bool,
}

impl Opener {
    /// For connections that make a SQLite file which is not there.
    pub(super) fn new(url: &DatabaseUrl, statement_timeout_ms: u32, access: Access) -> Self {
        Self { url: url.clone(), statement_timeout_ms, access, creates: true }
    }

    pub(super) fn open(&self) -> Result<Conn, OpenError> {
        match &self.url {
            DatabaseUrl::Postgres(url) => open_postgres(url, self.statement_timeout_ms).map(Conn::Postgres),
            DatabaseUrl::Sqlite(_) if !self.creates && self.file().is_none() => Err(OpenError::Gone),
            DatabaseUrl::Sqlite(path) if self.access == Access::Inspect => Ok(Conn::Sqlite(inspect_sqlite(path)?)),
            DatabaseUrl::Sqlite(path) => {
                if self.creates {
                    create_for_the_owner(path);
                }
                let read_only = self.access == Access::Read;
                // The file may go at any moment; SQLite itself must make no other one in its place.
                let address = if self.creates { path.to_string_lossy().into_owned() } else { address(path, "mode=rw") };
                Ok(Conn::Sqlite(open_sqlite(&address, read_only)?))
            }
        }
    }

    /// Whether the database is where it was: on SQLite its file, which one may move away under an open connection.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.url, DatabaseUrl::Postgres(_)) || self.file().is_some()
    }

    /// Device and number of SQLite's file, whatever its name; none where there is none.
    pub(super) fn file(&self) -> Option<(u64, u64)> {
        let metadata = std::fs::metadata(self.url.file()?).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

impl r2d2::ManageConnection for Opener {
    type Connection = Conn;
    type Error = OpenError;

    fn connect(&self) -> Result<Conn, OpenError> {
        self.open()
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<(), OpenError> {
        conn.batch_execute("SELECT 1").map_err(OpenError::from)
    }

    /// After a lost connection, and with a transaction that a panic left open.
    fn has_broken(&self, conn: &mut Conn) -> bool {
        std::thread::panicking() || <Conn as Connection>::TransactionManager::is_broken_transaction_manager(conn)
    }
}

/// Begins a transaction with the statement of the engine at hand.
pub(super) fn begin(conn: &mut Conn, postgres: &str, sqlite: &str) -> diesel::QueryResult<()> {
    match conn {
        Conn::Postgres(conn) => AnsiTransactionManager::begin_transaction_sql(conn, postgres),
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, sqlite),
    }
}

fn open_sqlite(path: &str, read_only: bool) -> Result<SqliteConnection, OpenError> {
    let mut conn = SqliteConnection::establish(path)?;
    turn_on_log(&mut conn)?;
    let cache_kib = if read_only { READER_CACHE_KIB } else { WRITER_CACHE_KIB };
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = {};
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -{cache_kib};
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA query_only = {read_only};",
        LOCK_TIMEOUT.as_millis()
    ))?;
    Ok(conn)
}

/// Makes a file that is not there yet, empty as a new database, for its owner alone; SQLite gives what it puts beside the file
/// the same mode. Whatever is in the way, SQLite tells.
fn create_for_the_owner(path: &Path) {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).ok();
}

/// Opens a file for reading without taking part in its log's upkeep.
fn inspect_sqlite(path: &Path) -> Result<SqliteConnection, OpenError> {
    // SQLite keeps the log beside the file itself, not beside a link to it.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let log_bytes = log_bytes(path);
    if log_bytes.is_none() {
        // Whoever serves a file has its log open. Reading through one would leave files beside it, which may be in their owner's way.
        return inspect_at(&address(path, "mode=ro&immutable=1"));
    }
    match inspect_at(&address(path, "mode=ro")) {
        // SQLite reads through a log only where it can put files beside the database. Where it cannot, and nothing waits in a log,
        // nobody else writes to the file either.
        Err(OpenError::Prepare(error)) if is_file_beside_missing(&error) && log_bytes == Some(0) => {
            inspect_at(&address(path, "mode=ro&immutable=1"))
        }
        other => other,
    }
}

fn inspect_at(address: &str) -> Result<SqliteConnection, OpenError> {
    let mut conn = SqliteConnection::establish(address)?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", LOCK_TIMEOUT.as_millis()))?;
    // The first look at the file, for SQLite opens it only then.
    conn.batch_execute("SELECT count(*) FROM sqlite_schema")?;
    conn.batch_execute(&format!("PRAGMA cache_size = -{READER_CACHE_KIB}; PRAGMA query_only = true;"))?;
    Ok(conn)
}

/// The path as a URI that only SQLite reads, in which nothing of it has a meaning.
fn address(path: &Path, parameters: &str) -> String {
    let mut address = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
            address.push(char::from(*byte));
        } else {
            write!(address, "%{byte:02X}").ok();
        }
    }
    format!("{address}?{parameters}")
}

/// How much beside the file belongs to what is in it; none where there is no log at all. What cannot be looked at counts as more
/// than nothing.
fn log_bytes(path: &Path) -> Option<u64> {
    let beside = ["-wal", "-journal"].iter().filter_map(|suffix| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        match std::fs::metadata(PathBuf::from(beside)) {
            Ok(file) => Some(file.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => Some(u64::MAX),
        }
    });
    beside.max()
}

/// Has the file written through a log ahead of it. Of several connections that turn it on for a new file at the same moment
/// SQLite answers all but one "locked" at once, whatever its `busy_timeout`.
fn turn_on_log(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    let started = Instant::now();
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL") {
            Err(error) if is_file_locked(&error) && started.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOG_PAUSE),
            settled => return settled,
        }
    }
}

/// What a PostgreSQL server says of itself.
#[derive(QueryableByName)]
struct PostgresServer {
    /// Its version: 150018 is 15.18.
    #[diesel(sql_type = diesel::sql_types::Integer)]
    version_num: i32,
    #[diesel(sql_type = diesel::sql_types::Text)]
    fsync: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    synchronous_commit: String,
    /// The locale whose language its messages have.
    #[diesel(sql_type = diesel::sql_types::Text)]
    lc_messages: String,
    /// The database's name as SQL has it.
    #[diesel(sql_type = diesel::sql_types::Text)]
    database: String,
}

impl PostgresServer {
    /// Whether it has what the statements need and keeps what it acknowledges.
    fn check(&self) -> Result<(), OpenError> {
        let version = self.version_num / 10_000;
        if version < OLDEST_POSTGRES {
            return Err(OpenError::TooOld(version));
        }
        if self.fsync == "off" {
            return Err(OpenError::NotDurable("fsync"));
        }
        if self.synchronous_commit == "off" {
            return Err(OpenError::NotDurable("synchronous_commit"));
        }
        Ok(())
    }

    /// Whether its messages are those that failures are told by. An empty locale is that of the server's environment.
    fn speaks_english(&self) -> bool {
        let locale = self.lc_messages.to_ascii_lowercase();
        locale == "c" || locale == "posix" || locale.starts_with("c.") || locale.starts_with("en")
    }

    /// Has it speak English on a connection, which a superuser alone may ask for.
    fn teach_english(self, conn: &mut PgConnection) -> Result<(), OpenError> {
        if self.speaks_english() {
            return Ok(());
        }
        let Self { lc_messages: locale, database, .. } = self;
        conn.batch_execute("SET lc_messages = 'C'").map_err(|refusal| OpenError::ForeignMessages {
            locale,
            database,
            refusal,
        })
    }
}

fn open_postgres(url: &str, statement_timeout_ms: u32) -> Result<PgConnection, OpenError> {
    let mut conn = PgConnection::establish(&with_network_timeouts(url))?;
    conn.batch_execute(&format!(
        "SET lock_timeout = {};
         SET statement_timeout = {statement_timeout_ms};
         SET idle_in_transaction_session_timeout = 30000;
         SET default_transaction_isolation = 'read committed';
         SET TIME ZONE 'UTC';",
        LOCK_TIMEOUT.as_millis()
    ))?;
    let server: PostgresServer = sql_query(
        "SELECT current_setting('server_version_num')::integer AS version_num, current_setting('fsync') AS fsync, \
         current_setting('synchronous_commit') AS synchronous_commit, current_setting('lc_messages') AS lc_messages, \
         quote_ident(current_database()) AS database",
    )
    .get_result(&mut conn)?;
    server.check()?;
    server.teach_english(&mut conn)?;
    Ok(conn)
}

/// The URL with libpq's timeouts, where it does not set them itself: a host that does not answer is noticed in seconds.
fn with_network_timeouts(url: &str) -> String {
    let defaults = [("connect_timeout", 3), ("tcp_user_timeout", 3_000), ("keepalives_idle", 10)];
    let missing = defaults.iter().filter(|(name, _)| !url.contains(&format!("{name}=")));
    missing.fold(url.to_owned(), |url, (name, value)| {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}{name}={value}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_open_a_new_file_at_once_all_succeed() {
        const CONNECTIONS: usize = 8;
        let directory = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = directory.path().join(format!("{round}.db"));
            let start = std::sync::Barrier::new(CONNECTIONS);
            std::thread::scope(|scope| {
                for _ in 0..CONNECTIONS {
                    scope.spawn(|| {
                        start.wait();
                        open_sqlite(&path.to_string_lossy(), false).unwrap();
                    });
                }
            });
        }
    }

    fn postgres(lc_messages: &str) -> PostgresServer {
        PostgresServer {
            version_num: 150_000,
            fsync: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            lc_messages: lc_messages.to_owned(),
            database: "stape".to_owned(),
        }
    }

    #[test]
    fn a_postgres_that_says_what_fails_in_another_language_is_known_by_its_locale() {
        for english in ["C", "POSIX", "C.UTF-8", "C.utf8", "en_US.UTF-8", "en_GB", "English_United States.1252"] {
            assert!(postgres(english).speaks_english(), "{english}");
        }
        for foreign in ["de_DE.UTF-8", "ca_ES", "German_Germany.1252", "Czech_Czechia.1250", ""] {
            assert!(!postgres(foreign).speaks_english(), "{foreign}");
        }
    }

    #[test]
    fn a_postgres_that_is_too_old_or_loses_commits_is_refused() {
        let refusal = |version_num, fsync: &str, synchronous_commit: &str| {
            let (fsync, synchronous_commit) = (fsync.to_owned(), synchronous_commit.to_owned());
            let server = PostgresServer { version_num, fsync, synchronous_commit, ..postgres("C") };
            server.check().err().map(|error| error.to_string())
        };
        let too_old = "PostgreSQL runs version 14; version 15 or later is needed";
        assert_eq!(refusal(140_099, "on", "on").as_deref(), Some(too_old));
        assert_eq!(refusal(150_000, "on", "on"), None);
        assert_eq!(refusal(180_001, "on", "remote_apply"), None);
        assert!(refusal(150_000, "off", "on").is_some_and(|text| text.contains("fsync = off")));
        assert!(refusal(150_000, "on", "off").is_some_and(|text| text.contains("synchronous_commit = off")));
    }

    #[test]
    fn nothing_in_a_path_has_a_meaning_in_its_address() {
        let address = |path: &str| address(Path::new(path), "mode=ro");
        assert_eq!(address("stape.db"), "file:stape.db?mode=ro");
        assert_eq!(address("/a b?c#d%20/é.db"), "file:///a%20b%3Fc%23d%2520/%C3%A9.db?mode=ro");
    }

    #[test]
    fn timeouts_are_added_unless_the_url_sets_them() {
        assert_eq!(
            with_network_timeouts("postgres:///stape?connect_timeout=9"),
            "postgres:///stape?connect_timeout=9&tcp_user_timeout=3000&keepalives_idle=10"
        );
        assert!(with_network_timeouts("postgres://db/stape").starts_with("postgres://db/stape?connect_timeout=3&"));
    }
}
