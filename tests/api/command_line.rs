//! The binary as an operator runs it: its commands, their exit codes, and what stops it from starting.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Database, Engine, PASSWORD, payment};

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
    a_killed_server_loses_nothing_that_it_acknowledged,
    a_database_without_a_test_clock_is_never_served_with_one,
    a_revoked_operator_key_is_refused,
    a_test_clock_goes_on_after_a_restart_and_is_never_left,
    an_operator_key_is_printed_alone,
    migrating_again_changes_nothing,
    sigterm_ends_a_server_cleanly,
    verify_names_a_difference_and_exits_with_one,
);

fn with(engine: Engine, test: impl AsyncFnOnce(Rc<Database>)) {
    let Some(database) = Database::create(engine) else { return };
    actix_web::rt::System::new().block_on(test(Rc::new(database)));
}

/// The binary in an environment of its own.
fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stape-api"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn on(database: &Database, arguments: &[&str]) -> Command {
    let mut command = binary(arguments);
    command
        .env("DATABASE_URL", &database.url)
        .env("STAPE_BIND", "127.0.0.1:0")
        .env("STAPE_JWT_SECRET", "a secret of the tests, long enough to be taken")
        .env("STAPE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .env("STAPE_MAIL_DIR", database.directory.path().join("outbox"))
        .current_dir(database.directory.path());
    command
}

fn run(mut command: Command) -> Output {
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server process; killed when it is dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
            .expect("the server says where it listens");
        Self { child, address }
    }

    fn client(&self, credential: &str) -> Client {
        Client::new(self.address.clone()).with(credential)
    }

    /// Sends SIGTERM and gives the exit code.
    fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Signs up and in, and gives the access token.
async fn sign_up(server: &Process, kind: &str) -> String {
    let person = json!({
        "kind": kind, "email": "ann@example.com", "password": PASSWORD, "firstName": "Ann", "lastName": "Archer",
    });
    let visitor = Client::new(server.address.clone());
    visitor.post("/v3/accounts", &person).await.expect(201);
    let credentials = json!({"email": "ann@example.com", "password": PASSWORD});
    let session = visitor.post("/v3/sessions", &credentials).await.expect(201);
    session["accessToken"].as_str().expect("an access token").to_owned()
}

fn operator_key(database: &Database) -> String {
    let output = run(on(database, &["operator-key", "create", "--name", "test"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
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
    for wrong in
        [&["operator-key", "create"][..], &["operator-key", "create", "--name", "n", "--scopes", "account:read"]]
    {
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
    let login = sign_up(&server, "standard").await;
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

async fn migrating_again_changes_nothing(database: Rc<Database>) {
    for _ in 0..2 {
        let output = run(on(&database, &["migrate"]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("up to date"), "{}", text(&output.stdout));
    }
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
    database.connect().write_blocking(write).expect("a row behind the product's back");
    let output = run(on(&database, &["verify"]));
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

#[test]
fn errors_of_configuration_name_the_setting() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cases = [
        ("DATABASE_URL", "mysql://db"),
        ("STAPE_BIND", "nowhere"),
        ("STAPE_PUBLIC_URL", "nowhere"),
        ("STAPE_JWT_SECRET", "short"),
        ("STAPE_ENCRYPTION_KEY", "c2hvcnQ="),
        ("STAPE_RATE_LIMIT", "fast"),
        ("STAPE_WORKERS", "0"),
        ("STAPE_LOG_FORMAT", "xml"),
        ("STAPE_CORS_ORIGINS", "everywhere"),
        ("STAPE_TEST_CLOCK", "yesterday"),
        ("STAPE_METRICS_BIND", "nowhere"),
    ];
    for (setting, value) in cases {
        let mut command = binary(&["serve"]);
        command.current_dir(directory.path()).env("STAPE_BIND", "127.0.0.1:0").env(setting, value);
        let output = run(command);
        assert!(!output.status.success(), "{setting}");
        let flag = setting.trim_start_matches("STAPE_").to_lowercase().replace('_', "-");
        let error = text(&output.stderr);
        assert!(error.contains(setting) || error.contains(&flag), "{setting}: {error}");
    }
}

#[test]
fn postgres_wants_its_secrets_from_the_environment() {
    let output = run({
        let mut command = binary(&["serve"]);
        command.env("DATABASE_URL", "postgres:///nowhere?host=/nonexistent");
        command
    });
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("is required with PostgreSQL"), "{}", text(&output.stderr));
}

#[test]
fn verify_that_cannot_run_exits_with_two() {
    let output = run({
        let mut command = binary(&["verify"]);
        command.env("DATABASE_URL", "postgres:///nowhere?host=/nonexistent");
        command
    });
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn a_plain_start_serves_an_empty_database_and_says_how_to_make_the_first_key() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = binary(&[]);
    command.current_dir(directory.path()).env("STAPE_BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary runs");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut said = String::new();
    while !said.contains("listening on http://127.0.0.1:") {
        assert!(output.read_line(&mut said).expect("a line") > 0, "{said}");
    }
    assert!(said.contains("operator-key create"), "{said}");
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    output.read_to_string(&mut said).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let secrets = directory.path().join("stape.db.secrets");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(secrets).expect("a file of secrets"));
    assert_eq!(mode & 0o777, 0o600);
}
