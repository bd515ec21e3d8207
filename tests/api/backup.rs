//! Copies of a database: taken while it is served, whole, private, and good to serve from.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use diesel::prelude::*;
use stape_api::db::schema::accounts;
use stape_api::db::{Db, Options};

use crate::support::{
    Database, Engine, Process, TestApp, binary, both_engines, on, payment, postgres_programs, run_command, text,
};

both_engines!(a_dump_of_a_served_database_can_be_restored_and_served);

/// `verify` on a database.
fn verified(database: &Database, url: &str) -> String {
    let mut verify = on(database, &["verify"]);
    verify.env("DATABASE_URL", url);
    let output = run_command(verify);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

async fn a_dump_of_a_served_database_can_be_restored_and_served(app: &TestApp) {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    let (_, container) = app.client_with_container(&partner).await;
    app.commission(&partner, &container).await;
    let Some(copy) = copied_under_load(app, &container).await else { return };
    let url = copy.url();
    assert!(verified(&app.database, &url).contains("no differences"));
    let server = TestApp::start_with(&app.database, |settings| {
        settings.database_url = url.parse().expect("a database URL");
        settings.secrets = app.settings.secrets.clone();
    })
    .await;
    let caller = server.caller(partner.login.credential());
    let (methods, there) = (caller.list("/v3/payout-methods").await, partner.login.list("/v3/payout-methods").await);
    assert_eq!(methods, there);
    let copied = caller.list("/v3/commissions").await;
    let all = partner.login.list("/v3/commissions").await;
    assert!(!copied.is_empty() && copied.len() <= all.len(), "{} of {}", copied.len(), all.len());
    // What is in the copy is what was there: the oldest rows of the original.
    assert_eq!(copied, all[all.len() - copied.len()..]);
    server.stop().await;
}

/// Where a copy can be served from.
enum Copy {
    File(String),
    Restored(Database),
}

impl Copy {
    fn url(&self) -> String {
        match self {
            Self::File(name) => format!("sqlite://{name}"),
            Self::Restored(database) => database.url.clone(),
        }
    }
}

/// Copies the database while payments come in. None where PostgreSQL's programs are missing.
async fn copied_under_load(app: &TestApp, container: &str) -> Option<Copy> {
    let file = app.database.directory.path().join("copy");
    let name = file.to_str().expect("a path").to_owned();
    let mut command = on(&app.database, &["backup", &name]);
    if app.database.postgres().is_some() {
        command = Command::new(postgres_programs()?.join("pg_dump"));
        command.args(["--format=custom", "--file", &name, &app.database.url]);
    }
    let copying = std::thread::spawn(move || command.output().expect("the copy is made"));
    loop {
        app.apply(&[payment(container)]).await;
        if copying.is_finished() {
            break;
        }
    }
    let output = copying.join().expect("no panic");
    assert!(output.status.success(), "{}", text(&output.stderr));
    if app.database.postgres().is_none() {
        return Some(Copy::File(name));
    }
    let restored = Database::create(Engine::Postgres)?;
    let mut restore = Command::new(postgres_programs()?.join("pg_restore"));
    restore.args(["--clean", "--if-exists", "--no-owner", "--dbname", &restored.url, &name]);
    let output = restore.output().expect("pg_restore runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(Copy::Restored(restored))
}

#[test]
fn a_copy_is_private_and_nothing_is_written_over() {
    let database = Database::create(Engine::Sqlite).expect("SQLite is always there");
    let copy = database.directory.path().join("copy.db");
    let name = copy.to_str().expect("a path");
    let output = run_command(on(&database, &["backup", name]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("STAPE_ENCRYPTION_KEY"), "{}", text(&output.stdout));
    let mode = std::fs::metadata(&copy).expect("the copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&copy).expect("the copy");
    let again = run_command(on(&database, &["backup", name]));
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(&copy).expect("the copy"), before);
    let nowhere = run_command(on(&database, &["backup", "/nowhere/at/all.db"]));
    assert_eq!(nowhere.status.code(), Some(1));
    let missing = database.directory.path().join("missing.db");
    let mut of_nothing = on(&database, &["backup", "other.db"]);
    of_nothing.env("DATABASE_URL", format!("sqlite://{}", missing.display()));
    assert_eq!(run_command(of_nothing).status.code(), Some(1));
    assert!(!missing.exists() && !database.directory.path().join("other.db").exists());
}

#[test]
fn the_file_of_secrets_beside_the_database_is_named() {
    let database = Database::create(Engine::Sqlite).expect("SQLite is always there");
    let secrets = database.directory.path().join("test.db.secrets");
    std::fs::write(&secrets, "").expect("a file");
    let mut command = on(&database, &["backup", "copy.db"]);
    command.env_remove("STAPE_ENCRYPTION_KEY");
    let output = run_command(command);
    assert!(text(&output.stdout).contains("test.db.secrets"), "{}", text(&output.stdout));
    assert!(Path::new(database.directory.path()).join("copy.db").exists());
    // The environment's key is in force, whatever lies beside the database.
    let output = run_command(on(&database, &["backup", "another.db"]));
    let said = text(&output.stdout);
    assert!(said.contains("STAPE_ENCRYPTION_KEY") && !said.contains("test.db.secrets"), "{said}");
}

#[test]
fn a_copy_is_as_it_was_after_it_was_verified() {
    let database = Database::create(Engine::Sqlite).expect("SQLite is always there");
    let directory = tempfile::tempdir().expect("a temporary directory");
    // What a URL has a meaning for is only a part of the name.
    let copy = directory.path().join("a copy?mode=rwc#1%20.db");
    let name = copy.to_str().expect("a path");
    assert!(run_command(on(&database, &["backup", name])).status.success());
    let before = std::fs::read(&copy).expect("the copy");
    verified(&database, &format!("sqlite://{name}"));
    assert_eq!(std::fs::read(&copy).expect("the copy"), before);
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1);
}

/// What a killed server leaves: a database whose last commits are in the log beside it.
async fn killed(database: &Database) {
    let mut server = Process::start(on(database, &["serve"]));
    server.sign_up("agency").await;
    server.child.kill().expect("it can be killed");
    server.child.wait().expect("it ends");
}

/// Name and bytes of each file that is the database's.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("a file"));
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    // The index of the log is rebuilt by whoever reads first.
    let mut files: Vec<_> = named
        .filter(|(name, _)| name.starts_with("test.db") && !name.ends_with("-shm"))
        .map(|(name, path)| (name, std::fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

fn accounts_of(copy: &Path) -> i64 {
    let url = format!("sqlite://{}", copy.display()).parse().expect("a database URL");
    let db = Db::inspect(&url, Options::command()).expect("the copy can be read");
    db.read_blocking(|conn| Ok(accounts::table.count().get_result(conn)?)).expect("a count")
}

#[actix_web::test]
async fn a_copy_of_what_a_killed_server_left_has_all_of_it_and_changes_no_byte() {
    let database = Database::create(Engine::Sqlite).expect("SQLite is always there");
    killed(&database).await;
    let directory = database.directory.path();
    let before = files(directory);
    assert!(before.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()));
    let output = run_command(on(&database, &["backup", "copy.db"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(files(directory) == before, "the database was written to");
    assert_eq!(accounts_of(&directory.join("copy.db")), 1);
}

#[actix_web::test]
async fn a_copy_where_nobody_can_write_can_be_copied() {
    let database = Database::create(Engine::Sqlite).expect("SQLite is always there");
    killed(&database).await;
    assert!(run_command(on(&database, &["backup", "copy.db"])).status.success());
    let archive = database.directory.path().join("archive");
    std::fs::create_dir(&archive).expect("a directory");
    let archived = archive.join("copy.db");
    std::fs::rename(database.directory.path().join("copy.db"), &archived).expect("it can be moved");
    let permit = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    permit(&archived, 0o444);
    permit(&archive, 0o555);
    let mut again = on(&database, &["backup", "again.db"]);
    again.env("DATABASE_URL", format!("sqlite://{}", archived.display()));
    let output = run_command(again);
    let beside = std::fs::read_dir(&archive).expect("a directory").count();
    permit(&archive, 0o755);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // For root, whom no mode keeps from writing: there is nothing beside it that was not there.
    assert_eq!(beside, 1);
    assert_eq!(accounts_of(&database.directory.path().join("again.db")), 1);
}

#[test]
fn postgres_is_left_to_its_own_tool() {
    let mut command = binary(&["backup", "copy.dump"]);
    command.env("DATABASE_URL", "postgres://ann:hunter2@db.example.com/stape");
    let output = run_command(command);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("pg_dump --format=custom") && !said.contains("hunter2"), "{said}");
}
