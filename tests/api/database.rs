//! Transactions: what the database layer promises to the services, on both engines.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use stape_api::billing::ingest::apply_batches;
use stape_api::clock::Clock;
use stape_api::db::schema::settings;
use stape_api::db::{Conn, Db, KeepPrepared, Options, is_lock_timeout, is_unique_violation, migrate, with_conn};
use stape_api::error::{Error, Result};

use crate::support::{Database, Engine};

/// Makes two tests of each function, which takes a new database.
macro_rules! both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::with(crate::support::Engine::Sqlite, super::$name);
            }

            #[test]
            fn postgres() {
                super::with(crate::support::Engine::Postgres, super::$name);
            }
        }
    )+};
}

both_engines!(
    a_kept_statement_is_planned_once_on_a_connection,
    a_panic_undoes_its_transaction_whole,
    a_snapshot_sees_one_state_and_cannot_write,
    a_unique_violation_is_told_by_its_columns,
    increments_at_once_are_all_counted,
    two_who_lock_in_opposite_order_both_succeed,
);

fn with(engine: Engine, test: impl FnOnce(&Db)) {
    let Some(database) = Database::create(engine) else { return };
    let options = Options { pool_size: 8, ..Options::server() };
    test(&Db::connect(&database.url.parse().expect("a database URL"), options).expect("the database answers"));
}

fn insert(conn: &mut Conn, name: &str) -> Result<()> {
    diesel::insert_into(settings::table).values((settings::name.eq(name), settings::value.eq("0"))).execute(conn)?;
    Ok(())
}

fn value(conn: &mut Conn, name: &str) -> Result<i32> {
    let row = settings::table.filter(settings::name.eq(name)).select(settings::value);
    Ok(row.get_result::<String>(conn)?.parse().expect("a number"))
}

fn set(conn: &mut Conn, name: &str, value: i32) -> Result<()> {
    let row = settings::table.filter(settings::name.eq(name));
    diesel::update(row).set(settings::value.eq(value.to_string())).execute(conn)?;
    Ok(())
}

fn a_kept_statement_is_planned_once_on_a_connection(db: &Db) {
    let planned = Arc::new(AtomicU32::new(0));
    let count = planned.clone();
    db.write_blocking(move |conn| {
        let count = count.clone();
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::CacheQuery { sql, .. } if sql.starts_with("UPDATE")) {
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        insert(conn, "kept")?;
        for value in 1..4 {
            let update = diesel::update(settings::table.filter(settings::name.eq("kept")))
                .set(settings::value.eq(value.to_string()))
                .kept();
            with_conn!(conn, c => update.execute(c))?;
        }
        let last = settings::value.eq("4");
        diesel::update(settings::table.filter(settings::name.eq("kept"))).set(last).kept().execute(conn)?;
        assert_eq!(value(conn, "kept")?, 4);
        Ok(())
    })
    .expect("updates");
    assert_eq!(planned.load(Ordering::Acquire), 1);
}

fn a_panic_undoes_its_transaction_whole(db: &Db) {
    let panicked: Result<()> = db.write_blocking(|conn| {
        insert(conn, "outer")?;
        conn.transaction(|conn| {
            insert(conn, "inner")?;
            panic!("on purpose")
        })
    });
    assert!(matches!(panicked, Err(Error::Internal(_))), "{panicked:?}");
    db.write_blocking(|conn| insert(conn, "inner").and_then(|()| insert(conn, "outer"))).expect("no trace is left");
}

fn a_snapshot_sees_one_state_and_cannot_write(db: &Db) {
    db.write_blocking(|conn| insert(conn, "seen")).expect("a row");
    let both = db.snapshot_blocking(|conn| {
        let before = value(conn, "seen")?;
        db.write_blocking(|conn| set(conn, "seen", 1))?;
        Ok((before, value(conn, "seen")?))
    });
    assert_eq!(both.expect("two reads"), (0, 0));
    assert!(db.snapshot_blocking(|conn| insert(conn, "stray")).is_err());
}

fn a_unique_violation_is_told_by_its_columns(db: &Db) {
    db.write_blocking(|conn| insert(conn, "twice")).expect("a row");
    let Err(Error::Database(error)) = db.write_blocking(|conn| insert(conn, "twice")) else { panic!("two rows") };
    assert!(is_unique_violation(&error, "settings.name"), "{error:?}");
    assert!(!is_unique_violation(&error, "settings.value"), "{error:?}");
}

fn increments_at_once_are_all_counted(db: &Db) {
    db.write_blocking(|conn| insert(conn, "counter")).expect("a row");
    let increment = |conn: &mut Conn| {
        if let Conn::Postgres(conn) = conn {
            settings::table.find("counter").for_update().select(settings::name).execute(conn)?;
        }
        let present = value(conn, "counter")?;
        set(conn, "counter", present + 1)
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| db.write_blocking(increment).expect("an increment")));
        }
    });
    assert_eq!(db.read_blocking(|conn| value(conn, "counter")).expect("a number"), 200);
}

fn two_who_lock_in_opposite_order_both_succeed(db: &Db) {
    db.write_blocking(|conn| insert(conn, "left").and_then(|()| insert(conn, "right"))).expect("two rows");
    let (barrier, attempts) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    std::thread::scope(|scope| {
        for (first, second) in [("left", "right"), ("right", "left")] {
            let (barrier, attempts) = (barrier.clone(), attempts.clone());
            scope.spawn(move || {
                let met = AtomicBool::new(false);
                let work = move |conn: &mut Conn| {
                    attempts.fetch_add(1, Ordering::SeqCst);
                    set(conn, first, 1)?;
                    // On SQLite all writes follow each other: there is nobody to meet.
                    if matches!(conn, Conn::Postgres(_)) && !met.swap(true, Ordering::SeqCst) {
                        barrier.wait();
                    }
                    set(conn, second, 1)
                };
                db.write_blocking(work).expect("the deadlock is resolved by running again");
            });
        }
    });
    assert!(attempts.load(Ordering::SeqCst) <= 3);
}

#[test]
fn billing_events_keep_the_plans_of_their_transaction_and_of_no_other() {
    let Some(database) = Database::create(Engine::Postgres) else { return };
    let options = Options { pool_size: 1, ..Options::server() };
    let db = Db::connect(&database.url.parse().expect("a database URL"), options).expect("the database answers");
    let mode = |conn: &mut Conn| -> Result<String> {
        Ok(diesel::select(sql::<Text>("current_setting('plan_cache_mode')")).get_result(conn)?)
    };
    let during = db.write_blocking(move |conn| {
        apply_batches(conn, &Clock::Machine, &[])?;
        mode(conn)
    });
    assert_eq!(during.expect("a transaction"), "force_generic_plan");
    assert_eq!(db.read_blocking(mode).expect("the one connection"), "auto");
}

/// The second insert of a key waits for the first one; idempotency answers 409 when that takes too long.
#[test]
fn a_lock_that_is_held_too_long_is_told_from_other_failures() {
    with(Engine::Postgres, |db| {
        std::thread::scope(|scope| {
            let (inserted, wait) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let (inserted, released) = (std::sync::Mutex::new(inserted), std::sync::Mutex::new(released));
            let holder = scope.spawn(move || {
                db.write_blocking(move |conn| {
                    insert(conn, "held")?;
                    inserted.lock().expect("not poisoned").send(()).expect("the test listens");
                    released.lock().expect("not poisoned").recv().ok();
                    Ok(())
                })
            });
            wait.recv().expect("the holder has inserted");
            let (begun, timed_out) = (Instant::now(), Arc::new(AtomicBool::new(false)));
            let seen = timed_out.clone();
            let refused = db.write_blocking(move |conn| {
                let result = insert(conn, "held");
                let told = matches!(&result, Err(Error::Database(error)) if is_lock_timeout(error));
                seen.store(told, Ordering::SeqCst);
                result
            });
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
            assert!(timed_out.load(Ordering::SeqCst));
            assert!((2..6).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
            drop(release);
            holder.join().expect("no panic").expect("the holder commits");
        });
    });
}

#[test]
fn a_database_that_is_away_is_unavailable_within_seconds() {
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing".parse().expect("a database URL");
    let begun = Instant::now();
    assert!(matches!(Db::connect(&nowhere, Options::server()), Err(Error::Unavailable(_))));
    assert!(matches!(migrate::run_pending(&nowhere), Err(Error::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
