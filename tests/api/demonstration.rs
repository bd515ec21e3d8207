//! The demonstration as a person starts it: what it fills, and what it leaves alone.

use diesel::prelude::*;
use stape_api::db::schema::accounts;
use stape_api::db::{Conn, Db, Options};
use tempfile::TempDir;

use crate::support::{Process, beside, run_command as run, text};

#[actix_web::test]
async fn a_demonstration_fills_no_database_that_is_in_use() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Process::start(beside(&directory, &["serve"]));
    let login = server.sign_up("agency").await;
    assert_eq!(server.terminate(), Some(0));
    let mut demo = beside(&directory, &["demo"]);
    demo.env("DATABASE_URL", "sqlite://stape.db");
    let output = run(demo);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("DATABASE_URL: sqlite://stape.db ") && told.contains("name another"), "{told}");
    let server = Process::start(beside(&directory, &["serve"]));
    assert_eq!(server.client(&login).list("/v3/sub-accounts").await.len(), 0);
}

#[test]
fn a_demonstration_keeps_what_it_has_filled_and_refuses_what_it_has_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Process::start(beside(&directory, &["demo"]));
    let filled = count_accounts(&directory);
    assert!(filled > 10, "{filled}");
    assert_eq!(server.terminate(), Some(0));
    let again = Process::start(beside(&directory, &["demo"]));
    assert_eq!(again.terminate(), Some(0));
    assert_eq!(count_accounts(&directory), filled);
    // As an earlier version left it: without the mark, and with the keys that a filled demonstration gives.
    execute("DELETE FROM settings WHERE name = 'demonstration'", &directory);
    assert_eq!(Process::start(beside(&directory, &["demo"])).terminate(), Some(0));
    execute("DELETE FROM settings WHERE name = 'demonstration'; DELETE FROM operator_keys", &directory);
    let output = run(beside(&directory, &["demo"]));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("sqlite://stape-demo.db") && told.contains("delete"), "{told}");
}

fn connect(directory: &TempDir) -> Db {
    let url = format!("sqlite://{}", directory.path().join("stape-demo.db").display()).parse().expect("a URL");
    Db::connect(&url, Options::command()).expect("a database")
}

fn count_accounts(directory: &TempDir) -> i64 {
    connect(directory).read_blocking(|conn| Ok(accounts::table.count().get_result(conn)?)).expect("a count")
}

fn execute(sql: &'static str, directory: &TempDir) {
    let write = move |conn: &mut Conn| Ok(diesel::connection::SimpleConnection::batch_execute(conn, sql)?);
    connect(directory).write_blocking(write).expect("a change behind the product's back");
}
