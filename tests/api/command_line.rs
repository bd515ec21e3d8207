//! The binary as an operator runs it: its commands, their exit codes, and what stops it from starting.

use std::process::Command;
use std::rc::Rc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Client, Database, ENCRYPTION_KEY as OLD_KEY, Engine, PASSWORD, Process, on, operator_key, payment,
    run_command as run, text,
};

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
    a_killed_server_loses_no_click_that_it_answered,
    a_killed_server_loses_nothing_that_it_acknowledged,
    a_database_without_a_test_clock_is_never_served_with_one,
    a_key_that_is_made_first_is_made_by_the_test_clock,
    a_key_that_was_made_before_is_good_for_a_test_clock,
    a_revoked_operator_key_is_refused,
    a_test_clock_goes_on_after_a_restart_and_is_never_left,
    an_operator_key_is_printed_alone,
    migrating_again_changes_nothing,
    payout_methods_come_under_a_new_key_while_a_server_runs,
    what_no_key_opens_is_named_and_left,
    sigterm_ends_a_server_cleanly,
    verify_goes_on_behind_a_value_that_cannot_be_read,
    verify_names_a_difference_and_exits_with_one,
);

fn with(engine: Engine, test: impl AsyncFnOnce(Rc<Database>)) {
    let Some(database) = Database::create(engine) else { return };
    actix_web::rt::System::new().block_on(test(Rc::new(database)));
}

async fn an_operator_key_is_printed_alone(database: Rc<Database>) {
    let key = operator_key(&database);
    assert!(key.starts_with("stp_") && !key.contains(char::is_whitespace), "{key}");
    let scoped = on(&database, &["operator-key", "create", "--name", "n", "--scopes", "operator:payouts"]);
    let scoped = text(&run(scoped).stdout).trim_end().to_owned();
    let server = Process::start(on(&database, &["serve"]));
    let batch = json!({"events": []});
    server.client(&key).post("/v3/operator/billing-events", &batch).await.expect(200);
    server.client(&scoped).post("/v3/operator/billing-events", &batch).await.problem("insufficientScope");
    let listed = text(&run(on(&database, &["operator-key", "list"])).stdout);
    assert_eq!(listed.lines().count(), 2);
    assert!(!listed.contains(&key) && listed.contains(&key[38..]), "{listed}");
    for wrong in [
        &["operator-key", "create"][..],
        &["operator-key", "create", "--name", "n", "--scopes", "account:read"],
        &["operator-key", "create", "--name", "two\nlines"],
    ] {
        assert!(!run(on(&database, wrong)).status.success());
    }
}

async fn a_revoked_operator_key_is_refused(database: Rc<Database>) {
    let key = operator_key(&database);
    let server = Process::start(on(&database, &[]));
    server.client(&key).get("/v3/operator/accounts").await.expect(200);
    let listed = text(&run(on(&database, &["operator-key", "list"])).stdout);
    let id = listed.split_whitespace().next().expect("an id");
    assert!(run(on(&database, &["operator-key", "revoke", id])).status.success());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(1);
    while server.client(&key).get("/v3/operator/accounts").await.status != 401 {
        assert!(std::time::Instant::now() < deadline, "still taken after a second");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn sigterm_ends_a_server_cleanly(database: Rc<Database>) {
    let server = Process::start(on(&database, &["serve"]));
    server.client("none").get("/health/ready").await.expect(200);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(run(on(&database, &["verify"])).status.code(), Some(0));
}

/// Batches of one payment each, posted one after another until the server is gone; how many were acknowledged.
async fn post_until_killed(client: &Client, batches: &[Value]) -> usize {
    for (index, batch) in batches.iter().enumerate() {
        if !client.try_post("/v3/operator/billing-events", batch).await {
            return index;
        }
    }
    batches.len()
}

async fn a_killed_server_loses_nothing_that_it_acknowledged(database: Rc<Database>) {
    let key = operator_key(&database);
    let mut server = Process::start(on(&database, &["serve"]));
    let login = server.sign_up("standard").await;
    let container = json!({"name": "shop", "product": "sgtmContainer"});
    let container = server.client(&login).post("/v3/containers", &container).await.expect(201);
    let container = container["id"].as_str().expect("an id");
    let batches: Vec<Value> =
        (0..2000).map(|_| json!({"events": [payment(container).at("2026-01-01T00:00:00Z").0]})).collect();
    let lanes: Vec<&[Value]> = batches.chunks(500).collect();
    let client = server.client(&key);
    let posting = join_all(lanes.iter().map(|lane| post_until_killed(&client, lane)));
    let kill = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        server.child.kill().expect("it can be killed");
    };
    let (acknowledged, ()) = tokio::join!(posting, kill);
    server = Process::start(on(&database, &["serve"]));
    assert_eq!(run(on(&database, &["verify"])).status.code(), Some(0));
    let client = server.client(&key);
    for (lane, acknowledged) in lanes.iter().zip(&acknowledged) {
        for (index, batch) in lane.iter().take(acknowledged + 2).enumerate() {
            let body = client.post("/v3/operator/billing-events", batch).await.expect(200);
            let outcome = &body["results"][0]["outcome"];
            assert!(outcome == "duplicate" || (index >= *acknowledged && outcome == "applied"), "{index}: {outcome}");
        }
    }
    let sent: usize = lanes.iter().zip(&acknowledged).map(|(lane, count)| lane.len().min(count + 2)).sum();
    assert_eq!(server.client(&login).list("/v3/payments").await.len(), sent);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(run(on(&database, &["verify"])).status.code(), Some(0));
}

async fn a_killed_server_loses_no_click_that_it_answered(database: Rc<Database>) {
    let mut server = Process::start(on(&database, &["serve"]));
    let login = server.sign_up("agency").await;
    let links = server.client(&login).list("/v3/referral-links").await;
    let path = format!("/r/{}", links[0]["code"].as_str().expect("a code"));
    let visitor = Client::new(server.address.clone());
    // Below the limit of requests from one address.
    let following = join_all((0..50).map(|_| async {
        let mut answered = 0;
        while answered < 100 && visitor.request(reqwest::Method::GET, &path).try_send().await == Some(302) {
            answered += 1;
        }
        answered
    }));
    let kill = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        server.child.kill().expect("it can be killed");
    };
    let (answered, ()) = tokio::join!(following, kill);
    let answered: i64 = answered.iter().sum();
    server = Process::start(on(&database, &["serve"]));
    let link = server.client(&login).list("/v3/referral-links").await.remove(0);
    let counted = link["clicks"].as_i64().expect("a count");
    // A click may have been written whose answer did not come.
    assert!(answered > 0 && (answered..=answered + 50).contains(&counted), "{answered} answered, {counted} counted");
    assert_eq!(link["uniqueVisitors"], 1);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(run(on(&database, &["verify"])).status.code(), Some(0));
}

async fn migrating_again_changes_nothing(database: Rc<Database>) {
    for _ in 0..2 {
        let output = run(on(&database, &["migrate"]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("up to date"), "{}", text(&output.stdout));
    }
}

async fn verify_goes_on_behind_a_value_that_cannot_be_read(database: Rc<Database>) {
    let key = operator_key(&database);
    let server = Process::start(on(&database, &["serve"]));
    let sign_up = async |kind: &str, email: &str| {
        let person =
            json!({"kind": kind, "email": email, "password": PASSWORD, "firstName": "Ann", "lastName": "Archer"});
        let account = server.client(&key).post("/v3/accounts", &person).await.expect(201);
        account["id"].as_str().expect("an id").to_owned()
    };
    let (first, second) = (sign_up("agency", "ann@example.com").await, sign_up("agency", "bea@example.com").await);
    assert_eq!(server.terminate(), Some(0));
    write(
        &database,
        "INSERT INTO manager_values (account_id, currency, paid_containers, monthly_minor, referral_minor) \
         SELECT id, 'ZZZ', 7, 0, 0 FROM accounts WHERE email = 'ann@example.com'; \
         INSERT INTO manager_values (account_id, currency, paid_containers, monthly_minor, referral_minor) \
         SELECT id, 'USD', 7, 0, 0 FROM accounts WHERE email = 'bea@example.com'",
    );
    let output = run(on(&database, &["verify"]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let unreadable = said.lines().find(|line| line.contains("currency") && line.contains(&first));
    assert!(unreadable.is_some_and(|line| line.contains("portfolio")) && said.contains(&second), "{said}");
}

async fn verify_names_a_difference_and_exits_with_one(database: Rc<Database>) {
    assert_eq!(run(on(&database, &["verify"])).status.code(), Some(0));
    let stray = "INSERT INTO manager_values (account_id, currency, paid_containers, monthly_minor, referral_minor) \
        SELECT id, 'USD', 7, 0, 0 FROM accounts";
    let key = operator_key(&database);
    let server = Process::start(on(&database, &["serve"]));
    let person = json!({
        "kind": "agency", "email": "ann@example.com", "password": PASSWORD,
        "firstName": "Ann", "lastName": "Archer",
    });
    let id =
        server.client(&key).post("/v3/accounts", &person).await.expect(201)["id"].as_str().expect("an id").to_owned();
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(run(on(&database, &["verify"])).status.code(), Some(0));
    let write =
        move |conn: &mut stape_api::db::Conn| Ok(diesel::connection::SimpleConnection::batch_execute(conn, stray)?);
    // What is served is read as it is: on SQLite in the log beside the file.
    let server = Process::start(on(&database, &["serve"]));
    database.connect().write_blocking(write).expect("a row behind the product's back");
    let output = run(on(&database, &["verify"]));
    server.client(&key).get("/health/ready").await.expect(200);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(&id[4..]), "{}", text(&output.stdout));
}

async fn a_test_clock_goes_on_after_a_restart_and_is_never_left(database: Rc<Database>) {
    let with_clock = || on(&database, &["serve", "--test-clock", "2026-01-01T00:00:00Z"]);
    let server = Process::start(with_clock());
    let key = operator_key(&database);
    let move_to = |time: &str| json!({"now": time});
    let path = "/v3/operator/test-clock";
    server.client(&key).post(path, &move_to("2026-02-01T00:00:00Z")).await.expect(200);
    server.client(&key).post(path, &move_to("2026-01-31T23:59:59Z")).await.problem("testClockRewound");
    let between = server.client(&key).post(path, &move_to("2026-02-01T00:00:00.0009Z")).await.expect(200);
    assert_eq!(server.client(&key).post(path, &between).await.expect(200)["now"], "2026-02-01T00:00:00.000Z");
    assert_eq!(server.terminate(), Some(0));
    let server = Process::start(with_clock());
    server.client(&key).post(path, &move_to("2026-01-31T23:59:59Z")).await.problem("testClockRewound");
    let person = json!({
        "kind": "agency", "email": "ann@example.com", "password": PASSWORD,
        "firstName": "Ann", "lastName": "Archer",
    });
    let account = server.client(&key).post("/v3/accounts", &person).await.expect(201);
    assert_eq!(account["createdAt"], "2026-02-01T00:00:00.000Z");
    assert_eq!(server.terminate(), Some(0));
    let output = run(on(&database, &["serve"]));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("STAPE_TEST_CLOCK"), "{}", text(&output.stderr));
}

async fn a_database_without_a_test_clock_is_never_served_with_one(database: Rc<Database>) {
    let server = Process::start(on(&database, &["serve"]));
    let key = operator_key(&database);
    let body = json!({"now": "2027-01-01T00:00:00Z"});
    server.client(&key).post("/v3/operator/test-clock", &body).await.problem("testClockMissing");
    assert_eq!(server.terminate(), Some(0));
    let output = run(on(&database, &["serve", "--test-clock", "2026-01-01T00:00:00Z"]));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("STAPE_TEST_CLOCK"), "{}", text(&output.stderr));
}

async fn a_key_that_is_made_first_is_made_by_the_test_clock(database: Rc<Database>) {
    let with_clock = |arguments: &[&str]| {
        let mut command = on(&database, arguments);
        command.env("STAPE_TEST_CLOCK", "2026-01-01T00:00:00Z");
        command
    };
    let output = run(with_clock(&["operator-key", "create", "--name", "first"]));
    let key = text(&output.stdout).trim_end().to_owned();
    let server = Process::start(with_clock(&["serve"]));
    let (client, path) = (server.client(&key), "/v3/operator/test-clock");
    client.post(path, &json!({"now": "2026-01-02T00:00:00Z"})).await.expect(200);
    // Without being told again, a command finds the clock of the database.
    let later = operator_key(&database);
    let log = server.client(&later).list("/v3/operator/audit-log").await;
    let made = log.iter().filter(|entry| entry["action"] == "operatorKey.created");
    let made: Vec<_> = made.map(|entry| &entry["createdAt"]).collect();
    assert_eq!(made, ["2026-01-02T00:00:00.000Z", "2026-01-01T00:00:00.000Z"]);
}

async fn a_key_that_was_made_before_is_good_for_a_test_clock(database: Rc<Database>) {
    let key = operator_key(&database);
    let mut command = on(&database, &["serve"]);
    command.env("STAPE_TEST_CLOCK", "2026-01-01T00:00:00Z");
    let server = Process::start(command);
    let moved = server.client(&key).post("/v3/operator/test-clock", &json!({"now": "2026-01-02T00:00:00Z"})).await;
    assert_eq!(moved.expect(200)["now"], "2026-01-02T00:00:00.000Z");
}

const NEW_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const NEWEST_KEY: &str = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=";

/// The binary with these keys for encryption.
fn with_keys(database: &Database, arguments: &[&str], present: &str, previous: Option<&str>) -> Command {
    let mut command = on(database, arguments);
    command.env("STAPE_ENCRYPTION_KEY", present);
    if let Some(previous) = previous {
        command.env("STAPE_ENCRYPTION_KEY_PREVIOUS", previous);
    }
    command
}

/// Sets a payout method, and keeps a copy as a payout does; gives the login.
async fn set_method(database: &Database) -> String {
    let server = Process::start(on(database, &["serve"]));
    let login = server.sign_up("agency").await;
    let method = json!({
        "type": "sepa", "details": {"holder": "Archer", "iban": "DE89370400440532013000"}, "password": PASSWORD,
    });
    let request = server.client(&login).request(reqwest::Method::PUT, "/v3/payout-methods/EUR");
    request.json(&method).send().await.expect(200);
    assert_eq!(server.terminate(), Some(0));
    let copy = "INSERT INTO payouts (account_id, id, number, status, currency, amount_minor, line_count, method_type, \
        method_label, method_details, requested_by, requested_at, created_at) \
        SELECT account_id, account_id, '2026-0001', 'paid', currency, 1, 1, method_type, label, details, 'partner', \
        created_at, created_at FROM payout_methods";
    write(database, copy);
    login
}

fn write(database: &Database, sql: &'static str) {
    let write =
        move |conn: &mut stape_api::db::Conn| Ok(diesel::connection::SimpleConnection::batch_execute(conn, sql)?);
    database.connect().write_blocking(write).expect("a row behind the product's back");
}

async fn payout_methods_come_under_a_new_key_while_a_server_runs(database: Rc<Database>) {
    let login = set_method(&database).await;
    let alone = run(with_keys(&database, &["serve"], NEW_KEY, None));
    assert!(!alone.status.success());
    assert!(text(&alone.stderr).contains("STAPE_ENCRYPTION_KEY: "), "{}", text(&alone.stderr));
    let server = Process::start(with_keys(&database, &["serve"], NEW_KEY, Some(OLD_KEY)));
    for expected in ["2 payout methods", "0 payout methods"] {
        let output = run(with_keys(&database, &["reencrypt"], NEW_KEY, Some(OLD_KEY)));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(expected), "{}", text(&output.stdout));
    }
    assert_eq!(server.client(&login).list("/v3/payout-methods").await.len(), 1);
    assert_eq!(server.terminate(), Some(0));
    let server = Process::start(with_keys(&database, &["serve"], NEW_KEY, None));
    assert_eq!(server.client(&login).list("/v3/payout-methods").await[0]["label"], "DE•• •••• 3000");
    assert_eq!(server.terminate(), Some(0));
    // What is sealed anew really opens: it can be sealed anew once more.
    let again = run(with_keys(&database, &["reencrypt"], NEWEST_KEY, Some(NEW_KEY)));
    assert!(again.status.success() && text(&again.stdout).starts_with("2 payout methods"), "{}", text(&again.stderr));
}

async fn what_no_key_opens_is_named_and_left(database: Rc<Database>) {
    set_method(&database).await;
    let output = run(with_keys(&database, &["reencrypt"], NEW_KEY, None));
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("the payout method for EUR of acc_") && told.contains("payout pay_"), "{told}");
    assert!(told.contains("STAPE_ENCRYPTION_KEY_PREVIOUS"), "{told}");
    // A row that was moved to another currency does not open there.
    write(&database, "UPDATE payouts SET currency = 'USD'");
    let output = run(with_keys(&database, &["reencrypt"], NEW_KEY, Some(OLD_KEY)));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("1 payout methods"), "{}", text(&output.stdout));
    let told = text(&output.stderr);
    assert!(told.contains("payout pay_") && !told.contains("the payout method for"), "{told}");
    assert!(!told.contains("DE89") && !told.contains("Archer"), "{told}");
}
