//! Tests of the writer and of transactions, on SQLite files.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::schema::settings;
use super::{Conn, DatabaseUrl, Db, Options, is_unique_violation, migrate};
use crate::error::{Code, Error, Result};

struct TestDb {
    db: Db,
    url: DatabaseUrl,
    _directory: tempfile::TempDir,
}

/// A new database in a file, with all tables, as long as the directory is held.
pub(crate) fn new_database() -> (tempfile::TempDir, Db) {
    let (directory, url) = new_file();
    migrate::run_pending(&url).unwrap();
    (directory, Db::connect(&url, Options::command()).unwrap())
}

fn new_file() -> (tempfile::TempDir, DatabaseUrl) {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(directory.path().join("test.db"));
    (directory, url)
}

fn database() -> TestDb {
    let (directory, url) = new_file();
    migrate::run_pending(&url).unwrap();
    TestDb { db: Db::connect(&url, Options::server()).unwrap(), url, _directory: directory }
}

fn insert(conn: &mut Conn, name: &str) -> Result<()> {
    diesel::insert_into(settings::table).values((settings::name.eq(name), settings::value.eq("x"))).execute(conn)?;
    Ok(())
}

fn names(db: &Db) -> Vec<String> {
    db.read_blocking(|conn| Ok(settings::table.select(settings::name).order(settings::name).load(conn)?)).unwrap()
}

#[test]
fn a_panic_undoes_its_own_write_alone_and_the_writer_lives_on() {
    let test = database();
    test.db.write_blocking(|conn| insert(conn, "before")).unwrap();
    let panicked: Result<()> = test.db.write_blocking(|conn| {
        insert(conn, "lost")?;
        conn.transaction(|conn| {
            insert(conn, "lost too")?;
            panic!("on purpose")
        })
    });
    assert!(matches!(panicked, Err(Error::Internal(message)) if message.contains("on purpose")));
    test.db.write_blocking(|conn| insert(conn, "after")).unwrap();
    assert_eq!(names(&test.db), ["after", "before"]);
}

#[test]
fn a_refusal_leaves_no_trace() {
    let test = database();
    let refused: Result<()> = test.db.write_blocking(|conn| {
        insert(conn, "lost")?;
        Err(Error::refused(Code::NotFound, "no"))
    });
    assert!(matches!(refused, Err(Error::Problem(_))));
    assert!(names(&test.db).is_empty());
}

#[test]
fn many_threads_write_at_once_and_each_is_answered_after_its_commit() {
    let test = database();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let db = &test.db;
            scope.spawn(move || {
                for round in 0..20 {
                    let name = format!("{thread:02}-{round:02}");
                    let wanted = name.clone();
                    let refuse = round % 4 == 3;
                    let result = db.write_blocking(move |conn| {
                        insert(conn, &name)?;
                        if refuse { Err(Error::not_found()) } else { Ok(()) }
                    });
                    assert_eq!(result.is_err(), refuse);
                    assert_eq!(names(db).contains(&wanted), !refuse);
                }
            });
        }
    });
    assert_eq!(names(&test.db).len(), 16 * 15);
}

#[tokio::test]
async fn only_who_must_not_wait_leaves_its_write_to_another_thread() {
    let test = database();
    let is_here = || {
        let here = std::thread::current().id();
        move |_: &mut Conn| Ok(std::thread::current().id() == here)
    };
    assert!(test.db.write_blocking(is_here()).unwrap());
    assert!(!test.db.write(is_here()).await.unwrap());
}

#[test]
fn queued_writes_are_finished_when_the_database_is_dropped() {
    let TestDb { db, url, _directory } = database();
    let slow = db.clone();
    let writer = std::thread::spawn(move || {
        slow.write_blocking(|conn| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            insert(conn, "slow")
        })
    });
    drop(db);
    writer.join().unwrap().unwrap();
    assert_eq!(names(&Db::connect(&url, Options::command()).unwrap()), ["slow"]);
}

#[test]
fn a_failed_batch_is_told_to_its_callers_and_the_next_one_succeeds() {
    let test = database();
    let failed = test.db.write_blocking(|conn| {
        // Ends the batch's transaction under the writer's feet, as a full disk does.
        diesel::connection::SimpleConnection::batch_execute(conn, "ROLLBACK")?;
        Ok(())
    });
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    test.db.write_blocking(|conn| insert(conn, "next")).unwrap();
    assert_eq!(names(&test.db), ["next"]);
}

#[test]
fn another_process_that_keeps_the_lock_makes_the_database_unavailable_for_a_while() {
    let test = database();
    let file = test.url.file().unwrap().to_string_lossy().into_owned();
    let mut other = SqliteConnection::establish(&file).unwrap();
    diesel::connection::SimpleConnection::batch_execute(&mut other, "BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    let refused = test.db.write_blocking(|conn| insert(conn, "late"));
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
    drop(other);
    test.db.write_blocking(|conn| insert(conn, "in time")).unwrap();
}

#[test]
fn reads_cannot_write() {
    let test = database();
    assert!(test.db.read_blocking(|conn| insert(conn, "stray")).is_err());
    assert!(test.db.snapshot_blocking(|conn| insert(conn, "stray")).is_err());
}

#[test]
fn a_unique_violation_names_its_columns() {
    let test = database();
    test.db.write_blocking(|conn| insert(conn, "twice")).unwrap();
    let Err(Error::Database(error)) = test.db.write_blocking(|conn| insert(conn, "twice")) else { panic!() };
    assert!(matches!(&error, DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)));
    assert!(is_unique_violation(&error, "settings.name"));
    assert!(!is_unique_violation(&error, "settings.value"));
}

#[test]
fn migrations_are_current_after_they_ran_and_running_them_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(directory.path().join("test.db"));
    let db = Db::connect(&url, Options::command()).unwrap();
    assert!(!db.read_blocking(migrate::is_current).unwrap());
    assert!(migrate::run_pending(&url).unwrap() > 0);
    assert!(db.read_blocking(migrate::is_current).unwrap());
    assert_eq!(migrate::run_pending(&url).unwrap(), 0);
}

#[test]
fn two_servers_may_migrate_the_same_database_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(directory.path().join("test.db"));
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| migrate::run_pending(&url))).collect();
        for run in runs {
            run.join().unwrap().unwrap();
        }
    });
}
