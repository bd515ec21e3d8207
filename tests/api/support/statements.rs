//! The SQL that the server executes in the tests: each new statement is explained and read at the end of its test.
//!
//! Every connection of this process to a test's database tells its statements to a [`Heard`]; only connections that a test
//! opens behind the server's back ([`behind_the_back`]) do not. So the whole suite is the list of statements.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

use super::Engine;
use super::plans;

/// Statements of one database, without their values.
pub type Heard = Arc<Mutex<BTreeSet<String>>>;

static LISTENING: Once = Once::new();
static HEARD: Mutex<BTreeMap<String, Heard>> = Mutex::new(BTreeMap::new());
static JUDGED: [Mutex<Option<HashSet<String>>>; 2] = [Mutex::new(None), Mutex::new(None)];

/// What no statement may use: it would not work on a distributed PostgreSQL, would hide work from the reader, or would take
/// time and ids from the database.
const FORBIDDEN: [&str; 21] = [
    "NEXTVAL",
    "CURRVAL",
    "SETVAL",
    "LASTVAL",
    "SERIAL",
    "BIGSERIAL",
    "IDENTITY",
    "AUTOINCREMENT",
    "ROWID",
    "TRIGGER",
    "FUNCTION",
    "PROCEDURE",
    "LISTEN",
    "UNLISTEN",
    "NOTIFY",
    "TEMP",
    "TEMPORARY",
    "CURRENT_TIMESTAMP",
    "NOW",
    "RANDOM",
    "UUID",
];

/// Begins to listen to a database.
pub fn listen(url: &str) -> Heard {
    LISTENING.call_once(|| {
        set_default_instrumentation(|| Some(Box::new(Listener(None)))).expect("nobody holds the lock");
    });
    locked(&HEARD).entry(place(url)).or_default().clone()
}

/// Ends what [`listen`] began.
pub fn forget(url: &str) {
    locked(&HEARD).remove(&place(url));
}

/// The same database under a name that nobody listens to.
pub fn behind_the_back(url: &str) -> String {
    match url.rsplit_once('/') {
        Some((directory, file)) if url.starts_with("sqlite:") => format!("{directory}/./{file}"),
        _ => format!("{url}&{UNHEARD}"),
    }
}

/// Reads and explains what was executed and not judged before in this process.
///
/// # Panics
/// With every statement that uses what none may use or that reads a growing table whole.
pub fn judge(heard: &Heard, engine: Engine, url: &str) {
    let mut judged = locked(&JUDGED[usize::from(engine == Engine::Postgres)]);
    let known = judged.get_or_insert_default();
    let new: Vec<String> = locked(heard).iter().filter(|sql| !known.contains(*sql)).cloned().collect();
    known.extend(new.iter().cloned());
    drop(judged);
    let mut findings: Vec<String> =
        new.iter().filter_map(|sql| breach(sql).map(|word| format!("{word}: {sql}"))).collect();
    let explained: Vec<&str> = new.iter().map(String::as_str).filter(|sql| has_plan(sql)).collect();
    if !explained.is_empty() {
        findings.extend(plans::full_scans(engine, &behind_the_back(url), &explained));
    }
    assert!(findings.is_empty(), "on {engine:?}:\n{}", findings.join("\n\n"));
}

/// What a statement or a migration uses that it must not.
pub fn breach(sql: &str) -> Option<String> {
    // SQLite's word for a table that is its own primary index.
    let text = sql.to_uppercase().replace("WITHOUT ROWID", "");
    if ["SELECT *", ".* FROM", "CREATE SEQUENCE", "PG_ADVISORY", "PG_TRY_ADVISORY"]
        .iter()
        .any(|part| text.contains(part))
    {
        return Some("all columns, a sequence, or an advisory lock".to_owned());
    }
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.find(|word| FORBIDDEN.contains(word)).map(str::to_owned)
}

fn has_plan(sql: &str) -> bool {
    let word = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&word.as_str())
}

/// A database's name, whatever else its URL says; nothing for one that nobody listens to.
fn place(url: &str) -> String {
    if url.contains(UNHEARD) || url.contains("/./") {
        return String::new();
    }
    url.trim_start_matches("sqlite://").split('?').next().unwrap_or_default().to_owned()
}

const UNHEARD: &str = "application_name=test";

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection's.
struct Listener(Option<Heard>);

impl Instrumentation for Listener {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match (event, &self.0) {
            (InstrumentationEvent::StartEstablishConnection { url, .. }, _) => {
                self.0 = locked(&HEARD).get(&place(url)).cloned();
            }
            (InstrumentationEvent::StartQuery { query, .. }, Some(heard)) => {
                let text = query.to_string();
                let sql = text.split(" -- binds: ").next().unwrap_or_default();
                if !locked(heard).contains(sql) {
                    locked(heard).insert(sql.to_owned());
                }
            }
            _ => {}
        }
    }
}
