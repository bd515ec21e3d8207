//! What a request finds before it has the locks may be over when it gets them: it goes by what holds then. And while it waits, it
//! keeps nobody waiting in a circle, nor for long. On PostgreSQL alone, as SQLite's writes follow each other.

mod times;

use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use reqwest::Method;
use serde_json::json;
use stape_api::db::Conn;

use crate::support::{Account, Answer, Engine, TestApp, feed, id, new_email, places, run, subscription};

/// How long a request may take to come to the lock.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(diesel::QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn is_waited_for(conn: &mut Conn) -> stape_api::error::Result<bool> {
    let statement = "SELECT count(*) AS count FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    Ok(diesel::sql_query(statement).get_result::<Waiting>(conn)?.count > 0)
}

/// Waits until somebody waits for what `conn` has locked.
fn until_waited_for(conn: &mut Conn) -> stape_api::error::Result<()> {
    let statement = "SELECT count(*) AS count FROM pg_locks \
        WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
    let begun = Instant::now();
    while diesel::sql_query(statement).get_result::<Waiting>(conn)?.count == 0 {
        assert!(begun.elapsed() < PATIENCE, "nobody waits");
        std::thread::yield_now();
    }
    Ok(())
}

/// What takes the lock of an account.
fn account_lock(id: &str) -> String {
    format!("SELECT 1 FROM accounts WHERE id = '{}' FOR UPDATE", stored(id))
}

/// Takes a lock, and does `meanwhile` before it lets go.
fn hold(
    app: &TestApp,
    lock: String,
    meanwhile: impl Fn(&mut Conn) -> stape_api::error::Result<()> + Send + Sync + 'static,
) -> JoinHandle<stape_api::error::Result<()>> {
    let (holding, held) = mpsc::channel();
    let holding = Mutex::new(holding);
    let holder = app.database.connect();
    let thread = std::thread::spawn(move || {
        holder.write_blocking(move |conn| {
            conn.batch_execute(&lock)?;
            holding.lock().expect("not poisoned").send(()).expect("the test listens");
            meanwhile(conn)
        })
    });
    held.recv().expect("the lock is held");
    thread
}

/// Sends `request` while somebody holds a lock, who makes `change` as soon as the request waits for that lock.
async fn overtaken(app: &TestApp, lock: String, request: impl Future<Output = Answer>, change: String) -> Answer {
    let watcher = app.database.connect();
    let thread = hold(app, lock, move |conn| {
        let begun = Instant::now();
        while !watcher.read_blocking(is_waited_for)? {
            assert!(begun.elapsed() < PATIENCE, "nobody waits");
            std::thread::yield_now();
        }
        Ok(conn.batch_execute(&change)?)
    });
    let answer = request.await;
    thread.join().expect("no panic").expect("the change is made");
    answer
}

/// An id as the database has it.
fn stored(id: &str) -> &str {
    id.split_once('_').expect("an id").1
}

/// Gives a manager's only client, with free containers at most, another manager.
fn relink(client_id: &str, manager: &Account) -> String {
    let (client, manager) = (stored(client_id), stored(&manager.id));
    format!(
        "UPDATE sub_account_links SET detached_at = linked_at WHERE client_id = '{client}';
         INSERT INTO sub_account_links SELECT '{manager}', '7' || substr(id, 2), client_id, origin, 'none', access_changed_at,
             billing, NULL, linked_at, NULL FROM sub_account_links WHERE client_id = '{client}';
         UPDATE container_counts SET account_id = '{manager}'
             WHERE account_id = (SELECT manager_id FROM accounts WHERE id = '{client}');
         UPDATE containers SET manager_id = '{manager}' WHERE account_id = '{client}';
         UPDATE accounts SET manager_id = '{manager}' WHERE id = '{client}'"
    )
}

fn on_postgres(test: impl AsyncFnOnce(&TestApp)) {
    run(Engine::Postgres, test);
}

#[test]
fn a_manager_does_not_detach_a_client_that_another_one_got_meanwhile() {
    on_postgres(async |app| {
        let (before, after) = (app.agency().await, app.agency().await);
        let client = app.client_of(&before).await;
        let path = format!("/v3/sub-accounts/{client}/detach");
        let nothing = json!({});
        let detach = before.login.post(&path, &nothing);
        overtaken(app, account_lock(&client), detach, relink(&client, &after)).await.problem("notFound");
        after.login.get(&format!("/v3/sub-accounts/{client}")).await.expect(200);
    });
}

#[test]
fn a_manager_does_not_invite_a_client_that_it_lost_meanwhile() {
    on_postgres(async |app| {
        let (before, after) = (app.agency().await, app.agency().await);
        let client = app.client_of(&before).await;
        let path = format!("/v3/sub-accounts/{client}/invitations");
        let invite = before.login.post_nothing(&path);
        overtaken(app, account_lock(&client), invite, relink(&client, &after)).await.problem("notFound");
    });
}

#[test]
fn a_manager_makes_no_container_for_a_client_that_it_lost_meanwhile() {
    on_postgres(async |app| {
        let (before, after) = (app.agency().await, app.agency().await);
        let client = app.client_of(&before).await;
        let wish = json!({"accountId": client, "product": "sgtmContainer", "name": "Shop"});
        let create = before.login.post("/v3/containers", &wish);
        let problem =
            overtaken(app, account_lock(&client), create, relink(&client, &after)).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/accountId"]);
        assert!(after.login.list("/v3/containers").await.is_empty());
    });
}

#[test]
fn a_manager_makes_no_container_for_a_client_that_took_its_access_back_meanwhile() {
    on_postgres(async |app| {
        let manager = app.agency().await;
        let client = app.client_of(&manager).await;
        let wish = json!({"accountId": client, "product": "sgtmContainer", "name": "Shop"});
        let create = manager.login.post("/v3/containers", &wish);
        let revoke =
            format!("UPDATE sub_account_links SET access = 'declined' WHERE client_id = '{}'", stored(&client));
        overtaken(app, account_lock(&client), create, revoke).await.problem("accessNotGranted");
        assert!(manager.login.list("/v3/containers").await.is_empty());
    });
}

#[test]
fn a_transfer_is_told_to_nobody_who_lost_the_client_meanwhile() {
    on_postgres(async |app| {
        let (before, after) = (app.agency().await, app.agency().await);
        let giver = app.invited_client_of(&before).await;
        let taker = app.standard().await;
        let container = app.own_container(&giver).await;
        let path = format!("/v3/containers/{container}/transfer");
        let taker = json!({"email": taker.email});
        let transfer = giver.login.post(&path, &taker);
        let told = feed(&before.login).await.len();
        overtaken(app, account_lock(&giver.id), transfer, relink(&giver.id, &after)).await.expect(202);
        assert_eq!(feed(&before.login).await.len(), told);
    });
}

#[test]
fn a_manager_renames_a_container_that_another_client_of_its_own_got_meanwhile() {
    on_postgres(async |app| {
        let manager = app.agency().await;
        let (giver, taker) = (app.client_of(&manager).await, app.client_of(&manager).await);
        let container = app.container(&manager, &giver).await;
        let path = format!("/v3/containers/{container}");
        let name = json!({"name": "Renamed"});
        let rename = manager.login.patch(&path, &name);
        let (id, to) = (stored(&container), stored(&taker));
        let change = format!(
            "UPDATE containers SET account_id = '{to}' WHERE id = '{id}';
             INSERT INTO container_owners SELECT container_id, '7' || substr(id, 2), '{to}', owned_from
                 FROM container_owners WHERE container_id = '{id}'"
        );
        let renamed = overtaken(app, account_lock(&giver), rename, change).await.expect(200);
        assert_eq!((&renamed["name"], &renamed["accountId"]), (&json!("Renamed"), &json!(taker)));
    });
}

#[derive(diesel::QueryableByName)]
struct Monthly {
    #[diesel(sql_type = BigInt)]
    monthly_minor: i64,
}

#[test]
fn an_agency_that_is_made_while_the_program_changes_is_valued_by_the_new_one() {
    on_postgres(async |app| {
        let client = app.standard().await;
        let container = app.own_container(&client).await;
        app.apply(&[subscription(&container)]).await;
        let wish = json!({"email": new_email()});
        let convert = client.login.post("/v3/account/agency", &wish);
        let lock = "SELECT 1 FROM program_versions FOR UPDATE".to_owned();
        let change = "INSERT INTO program_versions \
            SELECT version + 1, replace(config, '\"30\"', '\"10\"'), author, created_at FROM program_versions";
        let agency = overtaken(app, lock, convert, change.to_owned()).await.expect(201);
        let statement =
            format!("SELECT monthly_minor FROM manager_values WHERE account_id = '{}'", stored(&id(&agency)));
        let read = move |conn: &mut Conn| Ok(diesel::sql_query(&statement).get_result::<Monthly>(conn)?);
        let value = app.database.connect().read_blocking(read).expect("the agency has a value");
        assert_eq!(value.monthly_minor, 200);
    });
}

#[test]
fn nobody_waits_for_an_account_with_the_lock_of_a_later_one() {
    on_postgres(async |app| {
        let (before, after) = (app.agency().await, app.agency().await);
        let client = app.client_of(&before).await;
        // Rows may refer to the new manager meanwhile.
        let lock = account_lock(&after.id).replace("FOR UPDATE", "FOR NO KEY UPDATE");
        let take_client = format!("{} NOWAIT", account_lock(&client));
        let holder = hold(app, lock, move |conn| {
            until_waited_for(conn)?;
            Ok(conn.batch_execute(&take_client)?)
        });
        let path = format!("/v3/sub-accounts/{client}/detach");
        let nothing = json!({});
        let detach = before.login.post(&path, &nothing);
        overtaken(app, account_lock(&client), detach, relink(&client, &after)).await.problem("notFound");
        holder.join().expect("no panic").expect("the client can be locked");
    });
}

#[test]
fn a_password_that_is_set_waits_for_a_letter_without_the_token() {
    on_postgres(async |app| {
        let user = app.standard().await;
        app.visitor().post("/v3/password-resets", &json!({"email": user.email})).await.expect(202);
        let token = app.mail_to(&user.email, "password").await.token();
        let letter = "INSERT INTO mails SELECT '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', user_id, NULL, '{\"kind\":\"passwordReset\"}', \
            0, '2100-01-01', created_at FROM password_tokens";
        let write = |conn: &mut Conn| Ok(conn.batch_execute(letter)?);
        app.database.connect().write_blocking(write).expect("a newer letter");
        let courier = hold(app, "SELECT 1 FROM mails WHERE id LIKE '7ZZ%' FOR UPDATE".to_owned(), |conn| {
            until_waited_for(conn)?;
            Ok(conn.batch_execute("SELECT 1 FROM password_tokens FOR UPDATE NOWAIT")?)
        });
        let confirm = json!({"token": token, "password": "Oboe.marsh-4811"});
        app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
        courier.join().expect("no panic").expect("the token can be locked");
        assert_eq!(app.waiting_mails(), 0);
    });
}

#[test]
fn a_change_of_the_program_that_waits_for_managers_fails_no_sign_up() {
    on_postgres(async |app| {
        let held = [app.agency().await, app.agency().await];
        let link = app.default_link(&app.agency().await).await;
        let operator = app.operator().await;
        let before = operator.get("/v3/operator/program").await;
        let change = operator.request(Method::PUT, "/v3/operator/program").header("if-match", before.header("etag"));
        let mut program = before.body();
        program["autoApprove"] = json!(true);
        // Waiting for each as long as others wait for a lock, the change would outlast their patience.
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let first = hold(app, account_lock(&held[0].id), |conn| {
            until_waited_for(conn)?;
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        });
        let second = hold(app, account_lock(&held[1].id), move |_| {
            released.lock().expect("not poisoned").recv().ok();
            Ok(())
        });
        let watcher = app.database.connect();
        let sign_up = async {
            while !watcher.read_blocking(is_waited_for).expect("the database answers") {
                tokio::task::yield_now().await;
            }
            app.sign_up_with(&link).await
        };
        let (answer, _) = tokio::join!(change.json(&program).send(), sign_up);
        answer.problem("serviceUnavailable");
        drop(release);
        for holder in [first, second] {
            holder.join().expect("no panic").expect("the manager is let go");
        }
    });
}
