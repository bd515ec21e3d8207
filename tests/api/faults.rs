//! A database that makes trouble: transactions that cannot be serialised, rows that somebody holds, statements that take too
//! long. Every request is answered in time by a problem, nothing is half done, and the same requests succeed afterwards.
//! Databases that go away, full disks and clocks that step are in `tests/crash`.

use std::rc::Rc;
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use stape_api::db::Conn;

use crate::support::{Account, Answer, Database, Engine, TestApp, both_engines, new_email, payment, run, usd};

both_engines!(
    a_database_that_somebody_holds_makes_nobody_wait_for_ever_and_nothing_is_half_done,
    batches_that_wait_together_for_a_held_database_learn_it_at_once,
);

/// More requests at once than a server has connections.
const CROWD: usize = 24;

/// The server's own deadline for a write, and what a busy machine adds.
const IN_TIME: Duration = Duration::from_secs(45);

/// Every twentieth change of the ledger fails as PostgreSQL fails when it cannot serialise, and so does every twentieth
/// COMMIT of what the audit log tells of. A sequence is never rolled back, so that the same work succeeds the next time.
const TROUBLE: [&str; 4] = [
    "CREATE SEQUENCE trouble",
    "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('trouble') % 20 = 0 THEN RAISE 'could not serialize access' USING ERRCODE = '40001'; END IF; \
         RETURN NULL; END $$",
    "CREATE TRIGGER trouble AFTER INSERT ON ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION trouble()",
    "CREATE CONSTRAINT TRIGGER trouble AFTER INSERT ON audit_log DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION trouble()",
];

/// A statement that takes longer than any may.
const SLOW: [&str; 2] = [
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$",
    "CREATE TRIGGER slow AFTER INSERT ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION slow()",
];

fn execute(app: &TestApp, statements: &'static [&'static str]) {
    for statement in statements {
        let make = |conn: &mut Conn| Ok(diesel::sql_query(*statement).execute(conn)?);
        app.database.connect().write_blocking(make).expect(statement);
    }
}

/// Keeps the database from everybody who wants to write, until it is released.
struct Holder {
    release: mpsc::Sender<()>,
    thread: JoinHandle<stape_api::error::Result<()>>,
}

impl Holder {
    /// On SQLite any transaction keeps all others from writing; on PostgreSQL it takes a lock.
    fn take(database: &Rc<Database>) -> Self {
        let (holding, held) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (holding, released) = (Mutex::new(holding), Mutex::new(released));
        let database = database.connect();
        let thread = std::thread::spawn(move || {
            database.write_blocking(move |conn| {
                if matches!(conn, Conn::Postgres(_)) {
                    diesel::sql_query("LOCK TABLE sub_account_links IN ACCESS EXCLUSIVE MODE").execute(conn)?;
                }
                holding.lock().expect("not poisoned").send(()).expect("the test listens");
                released.lock().expect("not poisoned").recv().ok();
                Ok(())
            })
        });
        held.recv().expect("the database is held");
        Self { release, thread }
    }

    fn release(self) {
        drop(self.release);
        self.thread.join().expect("no panic").expect("the lock is given back");
    }
}

fn refused_in_time(answer: Answer, begun: Instant) {
    assert!(!answer.header("retry-after").is_empty());
    answer.problem("serviceUnavailable");
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
}

async fn create(partner: &Account, email: &str) -> Answer {
    let person = json!({"email": email, "firstName": "Sam", "lastName": "Client"});
    let request = partner.login.request(Method::POST, "/v3/sub-accounts").header("idempotency-key", email);
    request.json(&person).send().await
}

async fn a_database_that_somebody_holds_makes_nobody_wait_for_ever_and_nothing_is_half_done(app: &TestApp) {
    let partner = app.agency().await;
    let emails: Vec<String> = (0..CROWD).map(|_| new_email()).collect();
    let holder = Holder::take(&app.database);
    let begun = Instant::now();
    for answer in join_all(emails.iter().map(|email| create(&partner, email))).await {
        refused_in_time(answer, begun);
    }
    if app.database.postgres().is_some() {
        for answer in join_all((0..CROWD).map(|_| partner.login.get("/v3/sub-accounts"))).await {
            refused_in_time(answer, begun);
        }
    } else {
        // Who reads waits for nobody who writes.
        assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), 0);
        app.visitor().get("/health/ready").await.expect(200);
    }
    app.visitor().get("/health/live").await.expect(200);
    holder.release();
    app.visitor().get("/health/ready").await.expect(200);
    assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), 0);
    for answer in join_all(emails.iter().map(|email| create(&partner, email))).await {
        assert_eq!(answer.header("idempotent-replayed"), "");
        answer.expect(201);
    }
    assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), CROWD);
}

/// Each waiting for the lock in turn, they would be told too late.
async fn batches_that_wait_together_for_a_held_database_learn_it_at_once(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let batches: Vec<Value> = (0..CROWD).map(|_| json!({"events": [payment(&container).0]})).collect();
    let operator = app.operator().await;
    let post_all = || join_all(batches.iter().map(|batch| operator.post("/v3/operator/billing-events", batch)));
    let holder = Holder::take(&app.database);
    let begun = Instant::now();
    for answer in post_all().await {
        refused_in_time(answer, begun);
    }
    holder.release();
    for answer in post_all().await {
        assert_eq!(answer.expect(200)["results"][0]["outcome"], "applied");
    }
    assert_eq!(partner.login.list("/v3/commissions").await.len(), CROWD);
}

#[test]
fn a_database_file_that_has_gone_takes_nothing_along_and_is_served_again_when_it_is_back() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let partner = app.agency().await;
        let (kept, missed) = (new_email(), new_email());
        create(&partner, &kept).await.expect(201);
        let (here, away) = ("test.db", "elsewhere.db");
        let moved = |from: &str, to: &str| {
            let directory = app.database.directory.path();
            std::fs::rename(directory.join(from), directory.join(to)).expect("the file can be moved");
        };
        moved(here, away);
        refused_in_time(create(&partner, &missed).await, Instant::now());
        app.visitor().get("/health/ready").await.problem("serviceUnavailable");
        app.visitor().get("/health/live").await.expect(200);
        assert!(!app.database.directory.path().join(here).exists(), "an empty database is made in its place");
        moved(away, here);
        app.visitor().get("/health/ready").await.expect(200);
        create(&partner, &missed).await.expect(201);
        assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), 2);
    });
}

#[test]
fn transactions_that_cannot_be_serialised_run_again_until_they_are_done_once() {
    run(Engine::Postgres, async |app: &TestApp| {
        let partner = app.partner().await;
        app.payout_method(&partner, "USD").await;
        execute(app, &TROUBLE);
        let clients = join_all((0..CROWD).map(|_| app.client_of(&partner))).await;
        assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), CROWD + 1);
        let containers = join_all(clients.iter().map(|client| app.container(&partner, client))).await;
        join_all(containers.iter().map(|container| async move { app.apply(&[payment(container)]).await })).await;
        assert_eq!(partner.login.list("/v3/commissions").await.len(), CROWD);
        join_all((0..CROWD).map(|_| app.bonus(&partner, "10.00"))).await;
        let payout = app.payout(&partner).await;
        assert_eq!((&payout["amount"], &payout["lineCount"]), (&usd("240.00"), &json!(CROWD)));
        for step in ["approve", "start", "confirm"] {
            app.step(&payout, step).await;
        }
        assert_eq!(partner.login.list("/v3/payouts").await.len(), 1);
    });
}

#[test]
fn a_statement_that_takes_too_long_is_given_up_and_leaves_nothing() {
    run(Engine::Postgres, async |app: &TestApp| {
        let partner = app.agency().await;
        execute(app, &SLOW);
        let email = new_email();
        let begun = Instant::now();
        refused_in_time(create(&partner, &email).await, begun);
        assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), 0);
        execute(app, &["DROP TRIGGER slow ON audit_log"]);
        create(&partner, &email).await.expect(201);
        assert_eq!(partner.login.list("/v3/sub-accounts").await.len(), 1);
    });
}

/// Nothing of the first partner's becomes ready any more: where a row stands, what a bug or a broken disk would do.
const STUCK: &str = "CREATE TRIGGER stuck BEFORE UPDATE ON commissions \
    WHEN OLD.account_id = (SELECT min(account_id) FROM commissions) BEGIN SELECT RAISE(ABORT, 'stuck'); END";

#[test]
fn an_account_whose_commissions_cannot_become_ready_keeps_no_other_one_waiting() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let (stuck, other) = (app.partner().await, app.partner().await);
        for partner in [&stuck, &other] {
            let (_, container) = app.client_with_container(partner).await;
            app.commission(partner, &container).await;
        }
        execute(app, &[STUCK]);
        let due = json!({"now": "2026-01-15T00:00:00Z"});
        app.operator().await.post("/v3/operator/test-clock", &due).await.problem("internalError");
        let status = async |partner: &Account| {
            let login = app.sign_in(&partner.email, crate::support::PASSWORD).await;
            login.list("/v3/commissions").await[0]["status"].clone()
        };
        assert_eq!((status(&stuck).await, status(&other).await), (json!("inReview"), json!("readyToPayout")));
        execute(app, &["DROP TRIGGER stuck"]);
        app.move_clock("2026-01-15T00:00:01Z").await;
        assert_eq!(status(&stuck).await, "readyToPayout");
    });
}

#[test]
fn more_stuck_commissions_than_one_look_takes_keep_nobody_waiting() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let (stuck, other) = (app.partner().await, app.partner().await);
        let (_, container) = app.client_with_container(&stuck).await;
        for _ in 0..2 {
            let batch: Vec<_> = (0..600).map(|_| payment(&container).at("2026-01-01T00:00:00Z")).collect();
            app.apply(&batch).await;
        }
        let (_, container) = app.client_with_container(&other).await;
        app.move_clock("2026-01-01T00:01:00Z").await;
        app.apply(&[payment(&container).at("2026-01-01T00:01:00Z")]).await;
        execute(app, &[STUCK]);
        let due = json!({"now": "2026-01-31T00:00:00Z"});
        app.operator().await.post("/v3/operator/test-clock", &due).await.problem("internalError");
        let login = app.sign_in(&other.email, crate::support::PASSWORD).await;
        assert_eq!(login.list("/v3/commissions").await[0]["status"], "readyToPayout");
        execute(app, &["DROP TRIGGER stuck"]);
        app.move_clock("2026-01-31T00:00:01Z").await;
    });
}

#[test]
fn an_account_that_cannot_be_checked_keeps_the_check_from_no_other_one() {
    run(Engine::Sqlite, async |app: &TestApp| {
        for _ in 0..2 {
            let partner = app.partner().await;
            let (_, container) = app.client_with_container(&partner).await;
            app.commission(&partner, &container).await;
        }
        execute(
            app,
            &[
                "UPDATE ledger_entries SET kind = kind || '?' WHERE account_id = (SELECT min(account_id) FROM ledger_entries)",
                "UPDATE ledger_balances SET paid_minor = 1, program_minor = program_minor - 1 WHERE account_id = (SELECT max(account_id) FROM ledger_entries)",
            ],
        );
        let begun = Instant::now();
        let metrics = async || app.operator().await.get("/metrics").await.text;
        while !metrics().await.contains("stape_ledger_differences 2\n") {
            assert!(begun.elapsed() < IN_TIME, "{}", metrics().await);
        }
        assert!(!metrics().await.contains("stape_worker_failures_total{duty=\"ledger check\"} 0"));
        execute(
            app,
            &[
                "UPDATE ledger_entries SET kind = rtrim(kind, '?')",
                "UPDATE ledger_balances SET program_minor = program_minor + paid_minor, paid_minor = 0",
            ],
        );
    });
}
