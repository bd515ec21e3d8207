//! The PostgreSQL that the tests run on: the one that `TEST_DATABASE_URL` names, or a private cluster of this process.
//!
//! A private cluster lives in a temporary directory and belongs to a small shell process, which stops and removes it when
//! its standard input closes: when this process ends, however it ends.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use stape_api::db::Options;
use stape_api::server::migrated;
use tempfile::TempDir;

/// Makes a cluster, runs it, waits for the end of its input, and leaves nothing behind. Nothing is analysed by itself: how a
/// statement would be executed must not depend on when somebody looked at its tables.
const WATCHER: &str = r#"
trap 'rm -rf "$1"' EXIT
"$2/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$1/log" 2>&1 || exit 1
"$2/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c max_connections=400 -c max_wal_size=256MB -c autovacuum=off >>"$1/log" 2>&1 &
read -r _
kill -QUIT $!
wait
"#;

/// How long a new cluster may take until it answers.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Free memory that /dev/shm must have to hold a cluster, in KiB.
const SHARED_MEMORY_KIB: u64 = 2 << 20;

/// A migrated database that nobody uses: PostgreSQL copies it faster than it migrates an empty one.
const TEMPLATE: &str = "stape_template";

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(1);

/// A server that databases can be made on.
struct Server {
    /// Connected to no test's database.
    admin: Mutex<PgConnection>,
    url: url::Url,
    has_template: bool,
    /// Keeps the cluster alive; its input closes with this process.
    _watcher: Option<Child>,
}

/// One test's database, dropped at its end.
pub struct PostgresDatabase {
    name: String,
    /// Where it is.
    pub url: String,
}

impl PostgresDatabase {
    /// A new, migrated database, or `None` where there is no PostgreSQL to test on.
    pub fn create() -> Option<Self> {
        let server = server()?;
        let name = format!("stape_test_{}_{}", std::process::id(), NEXT_DATABASE.fetch_add(1, Ordering::Relaxed));
        let template = if server.has_template { TEMPLATE } else { "template0" };
        server.execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        let database = Self { url: server.url_of(&name), name };
        if !server.has_template {
            migrate(&database.url);
        }
        Some(database)
    }

    /// Ends every connection to the database and keeps new ones out, or lets them in again.
    pub fn allow_connections(&self, allowed: bool) {
        if let Some(server) = server() {
            server.allow_connections(&self.name, allowed);
        }
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        if let Some(server) = server() {
            server.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

impl Server {
    fn execute(&self, sql: &str) {
        let mut admin = self.admin.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        admin.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn allow_connections(&self, name: &str, allowed: bool) {
        self.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"));
        if !allowed {
            self.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
        }
    }

    fn url_of(&self, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(database);
        url.to_string()
    }
}

fn server() -> Option<&'static Server> {
    SERVER.get_or_init(start).as_ref()
}

fn start() -> Option<Server> {
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        let admin = PgConnection::establish(&url).expect("TEST_DATABASE_URL names a server that answers");
        let url = url::Url::parse(&url).expect("TEST_DATABASE_URL is a URL");
        return Some(Server { admin: Mutex::new(admin), url, has_template: false, _watcher: None });
    }
    let Some(programs) = programs() else {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "PostgreSQL's server programs are not installed, and with CI=true its tests must run");
        // Past the capture of the test harness: one line for the whole run.
        let line = "note: PostgreSQL was NOT covered: no TEST_DATABASE_URL, and its server programs are not installed";
        writeln!(std::io::stderr(), "{line}").ok();
        return None;
    };
    Some(private_cluster(&programs))
}

fn private_cluster(programs: &Path) -> Server {
    let directory = directory();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(WATCHER).arg("sh").arg(directory.path()).arg(programs);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    // A group of its own: an interrupt from the keyboard ends the tests first, and then the watcher by its input.
    command.process_group(0);
    if let Some((user_id, group_id)) = unprivileged_user() {
        std::os::unix::fs::chown(directory.path(), Some(user_id), Some(group_id)).expect("the directory can be given");
        command.uid(user_id).gid(group_id);
    }
    let mut watcher = command.spawn().expect("a shell starts");
    let path = directory.keep();
    let url = format!("postgres:///postgres?host={}&user=postgres", path.display());
    let admin = connect(&url, &mut watcher, &path);
    let url = url::Url::parse(&url).expect("a URL");
    let server = Server { admin: Mutex::new(admin), url, has_template: true, _watcher: Some(watcher) };
    server.execute(&format!("CREATE DATABASE {TEMPLATE}"));
    migrate(&server.url_of(TEMPLATE));
    // A template is copied only while nobody is connected to it.
    server.allow_connections(TEMPLATE, false);
    server
}

fn connect(url: &str, watcher: &mut Child, path: &Path) -> PgConnection {
    let begun = Instant::now();
    loop {
        match PgConnection::establish(url) {
            Ok(connection) => return connection,
            Err(error) => {
                let ended = watcher.try_wait().expect("the watcher can be asked");
                let log = || std::fs::read_to_string(path.join("log")).unwrap_or_default();
                assert!(ended.is_none() && begun.elapsed() < START_TIMEOUT, "no cluster: {error}\n{}", log());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn migrate(url: &str) {
    let url = url.parse().expect("a database URL");
    drop(migrated(&url, Options::command()).expect("the migrations can be applied"));
}

/// A directory for the cluster: in memory where there is room, for every test makes a database.
fn directory() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("stape-test-");
    let in_memory = free_kib("/dev/shm").is_some_and(|free| free >= SHARED_MEMORY_KIB);
    let parent = if in_memory { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    builder.tempdir_in(parent).expect("a temporary directory")
}

fn free_kib(directory: &str) -> Option<u64> {
    let output = Command::new("df").args(["-Pk", directory]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// Where `initdb` and `postgres` are: the newest version found.
pub fn programs() -> Option<PathBuf> {
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    installed.sort();
    let installed = installed.into_iter().rev().map(|(_, path)| path);
    let usual = ["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin"].map(PathBuf::from);
    let is_complete = |path: &PathBuf| path.join("initdb").is_file() && path.join("postgres").is_file();
    configured.into_iter().chain(installed).chain(usual).find(is_complete)
}

/// Who runs the cluster when this process is root's, whom PostgreSQL refuses.
fn unprivileged_user() -> Option<(u32, u32)> {
    let own_id = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?);
    if own_id != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let ids = |name: &str| {
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect())
            .find(|fields: &Vec<&str>| fields.first() == Some(&name))?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}
