//! How each engine would execute a statement, and whether that reads a table whole that grows.
//!
//! PostgreSQL plans for values that it does not know and with every way around an index made dear, for the tables of a test
//! are so small that it would rather read them whole.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::{PgConnection, SqliteConnection, sql_query};
use serde_json::Value;

use super::Engine;

/// Tables that stay small: the operator's keys, the program's history, one row per day or per fact.
const SMALL: [&str; 6] =
    ["__diesel_schema_migrations", "operator_keys", "payout_batches", "program_versions", "settings", "visitor_keys"];

/// Statements that may read a growing table whole: a table, a part of the statement, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    // An operator's searches go from the newest row back, until the page is full.
    ("accounts", "ORDER BY accounts.id DESC LIMIT", "by a part of the name, or by time"),
    ("audit_log", "ORDER BY audit_log.id DESC LIMIT", "by time, over all accounts"),
    ("operator_requests", "ORDER BY operator_requests.id DESC LIMIT", "several statuses at once"),
    ("partner_applications", "ORDER BY partner_applications.id DESC LIMIT", "several statuses at once"),
    ("payouts", "ORDER BY payouts.id DESC LIMIT", "by time or currency, over all accounts"),
    // A new version of the program looks once whether what it leaves out is in use.
    ("containers", "SELECT EXISTS (", "a plan or a currency"),
    ("ledger_balances", "SELECT EXISTS (", "a currency"),
    // A metric, now and then, of a table that is empty but while mails do not leave.
    ("mails", "SELECT COUNT(*)", "all that wait"),
];

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    plan: String,
}

/// Explains a statement and names its full scans.
type Explain = Box<dyn FnMut(&str) -> Vec<String>>;

/// The full scans among statements, each with its statement.
pub fn full_scans(engine: Engine, url: &str, statements: &[&str]) -> Vec<String> {
    let mut explain: Explain = match engine {
        Engine::Sqlite => {
            let path = url.trim_start_matches("sqlite://");
            let mut conn = SqliteConnection::establish(path).expect("the database can be opened");
            // The server's last connection locks the file for a moment when it is closed.
            conn.batch_execute("PRAGMA busy_timeout = 3000").expect("a setting of the connection");
            Box::new(move |sql| sqlite_scans(&mut conn, sql))
        }
        Engine::Postgres => {
            let mut conn = PgConnection::establish(url).expect("the database answers");
            let settings = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;";
            conn.batch_execute(settings).expect("settings of the planner");
            Box::new(move |sql| postgres_scans(&mut conn, sql))
        }
    };
    let mut found = Vec::new();
    for sql in statements {
        let plain = sql.replace(['`', '"'], "");
        let is_allowed = |scan: &String| {
            let table = scan.split_whitespace().next().unwrap_or_default();
            SMALL.contains(&table) || ALLOWED.iter().any(|(name, part, _)| *name == table && plain.contains(part))
        };
        let scans = explain(sql).into_iter().filter(|scan| !is_allowed(scan));
        found.extend(scans.map(|scan| format!("{scan}\n    {sql}")));
    }
    found
}

/// Tables that a statement reads whole on SQLite, each with the step of the plan.
fn sqlite_scans(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let steps: Vec<Step> =
        sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let upper = sql.to_uppercase();
    // What an empty list of values becomes; SQLite looks at it before it looks at any row.
    if upper.contains("(1=0)") {
        return Vec::new();
    }
    let sorts = steps.iter().any(|step| step.detail.contains("TEMP B-TREE"));
    // The first rows of an index, in its order and without a condition, are a page.
    let is_page = upper.contains("LIMIT") && !upper.contains("WHERE") && !sorts;
    let scans = steps.iter().filter_map(|step| step.detail.strip_prefix("SCAN "));
    // What the statement itself has made, and not a table.
    let is_made = |scan: &&str| {
        let name = scan.split_whitespace().next().unwrap_or_default();
        let makes = |step: &Step| [format!("CO-ROUTINE {name}"), format!("MATERIALIZE {name}")].contains(&step.detail);
        scan.starts_with('(')
            || scan.starts_with("CONSTANT ROW")
            || scan.ends_with("VALUES CLAUSE")
            || steps.iter().any(makes)
    };
    let of_tables = scans.filter(|scan| !is_made(scan));
    of_tables.filter(|_| !is_page).map(str::to_owned).collect()
}

/// Tables that a statement reads whole on PostgreSQL, each with the kind of scan.
///
/// To read all of a partial index without rows looks cheaper than to look something up in another one: what remains when
/// that index is taken away, for as long as this takes, is the answer.
fn postgres_scans(conn: &mut PgConnection, sql: &str) -> Vec<String> {
    conn.test_transaction(|conn| {
        conn.batch_execute(&format!("PREPARE explained AS {sql}")).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let execute = format!("EXPLAIN (FORMAT JSON) EXECUTE explained{}", values(sql));
        let mut best: Option<Vec<String>> = None;
        loop {
            let plan: Plan = sql_query(&execute).get_result(conn).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let plan: Value = serde_json::from_str(&plan.plan).expect("JSON");
            let mut scans = Scans::default();
            scans.walk(&plan[0]["Plan"], false, "");
            if best.as_ref().is_none_or(|best| scans.found.len() < best.len()) {
                best = Some(scans.found);
            }
            // The index of a constraint stays.
            let dropped =
                scans.index.filter(|_| best.as_ref().is_some_and(|best| !best.is_empty())).is_some_and(|index| {
                    conn.transaction(|conn| conn.batch_execute(&format!("DROP INDEX {index}"))).is_ok()
                });
            if !dropped {
                conn.batch_execute("DEALLOCATE explained")?;
                return Ok::<_, diesel::result::Error>(best.unwrap_or_default());
            }
        }
    })
}

/// As many nulls as the statement has parameters: the greatest number of a `$1`, `$2` …
fn values(sql: &str) -> String {
    let numbers = sql.split('$').skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    });
    let nulls = vec!["NULL"; numbers.max().unwrap_or(0)];
    if nulls.is_empty() { String::new() } else { format!("({})", nulls.join(", ")) }
}

/// Scans without a condition.
#[derive(Default)]
struct Scans {
    found: Vec<String>,
    /// The index that the last of them reads.
    index: Option<String>,
}

impl Scans {
    /// `is_page` says whether only the first rows of this step are wanted.
    fn walk(&mut self, step: &Value, is_page: bool, relation: &str) {
        let kind = step["Node Type"].as_str().unwrap_or_default();
        let relation = step["Relation Name"].as_str().unwrap_or(relation);
        let has_condition = step["Index Cond"].is_string();
        let filter = step["Filter"].as_str();
        let is_full = match kind {
            "Seq Scan" => true,
            "Index Scan" | "Index Only Scan" => !has_condition && (!is_page || filter.is_some()),
            "Bitmap Index Scan" => !has_condition,
            _ => false,
        };
        if is_full {
            self.found.push(format!("{relation} ({kind}) {}", filter.unwrap_or_default()));
            self.index = step["Index Name"].as_str().map(str::to_owned);
        }
        let is_page = match kind {
            "Limit" => true,
            "Sort" | "Aggregate" | "Hash" => false,
            _ => is_page,
        };
        for inner in step["Plans"].as_array().into_iter().flatten() {
            self.walk(inner, is_page, relation);
        }
    }
}
