//! Secrets that were used: none is in the log of the server, at its most talkative, or in the database.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::{Value, json};
use stape_api::db::Conn;

use crate::support::{Client, Database, ENCRYPTION_KEY, Engine, JWT_SECRET, Mail, Process, id, on, operator_key};

const PASSWORD: &str = "tr0mbone-Lagoon-77";
const NEW_PASSWORD: &str = "clar1net-Harbour-88";
const WRONG_PASSWORD: &str = "harmonica-Valley-99";
const IBAN: &str = "DE89370400440532013000";
const EMAIL: &str = "ann@agency.example";
const CLIENT_EMAIL: &str = "sam@client.example";

/// How long a mail may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

mod nothing_secret_is_logged_or_stored {
    use crate::support::Engine;

    #[test]
    fn sqlite() {
        super::on_engine(Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        super::on_engine(Engine::Postgres);
    }
}

fn on_engine(engine: Engine) {
    let Some(database) = Database::create(engine).map(Rc::new) else { return };
    let log = database.directory.path().join("log");
    let operator = operator_key(&database);
    let mut command = on(&database, &["serve"]);
    command.env("RUST_LOG", "debug").stderr(File::create(&log).expect("a file"));
    let server = Process::start_logging(command);
    let mut secrets = actix_web::rt::System::new().block_on(use_secrets(
        &server,
        &operator,
        &database.directory.path().join("outbox"),
    ));
    assert_eq!(server.terminate(), Some(0));
    secrets.extend([operator, JWT_SECRET.to_owned(), ENCRYPTION_KEY.to_owned()]);
    let logged = std::fs::read(&log).expect("the log");
    assert!(contains(&logged, "/v3/payout-methods"), "the log tells what was asked");
    let stored = stored(&database);
    assert!(contains(&stored, EMAIL), "the database was read");
    for secret in &secrets {
        assert!(!contains(&logged, secret), "logged: {secret}");
        assert!(!contains(&stored, secret), "stored: {secret}");
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Everything that the database holds: SQLite's files as they are, PostgreSQL's rows as text.
fn stored(database: &Database) -> Vec<u8> {
    if database.postgres().is_none() {
        let files = ["test.db", "test.db-wal"].map(|name| std::fs::read(database.directory.path().join(name)));
        return files.into_iter().filter_map(Result::ok).flatten().collect();
    }
    let all = |conn: &mut Conn| {
        let tables: Vec<Line> =
            diesel::sql_query("SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public'")
                .load(conn)?;
        let mut bytes = Vec::new();
        for table in tables {
            let rows = diesel::sql_query(format!("SELECT r::text AS line FROM \"{}\" AS r", table.line));
            for row in rows.load::<Line>(conn)? {
                bytes.extend(row.line.into_bytes());
            }
        }
        Ok(bytes)
    };
    database.connect().read_blocking(all).expect("the rows")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Uses every kind of secret, rightly and wrongly; gives them all.
async fn use_secrets(server: &Process, operator: &str, outbox: &Path) -> Vec<String> {
    let visitor = server.visitor();
    let person =
        json!({"kind": "agency", "email": EMAIL, "password": PASSWORD, "firstName": "Ann", "lastName": "Archer"});
    visitor.post("/v3/accounts", &person).await.expect(201);
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    let session = visitor.post("/v3/sessions", &credentials).await.expect(201);
    let refreshed =
        visitor.post("/v3/sessions/refresh", &json!({"refreshToken": session["refreshToken"]})).await.expect(200);
    let owner = server.client(&text(&refreshed["accessToken"]));
    let key = owner.post("/v3/api-keys", &json!({"name": "k", "scopes": ["account:read"]})).await.expect(201);
    server.client(&text(&key["key"])).get("/v3/account").await.expect(200);
    server.client(operator).get("/v3/operator/accounts").await.expect(200);
    let details = json!({"holder": "Ann Archer", "iban": IBAN});
    let method = json!({"type": "sepa", "details": details, "password": PASSWORD});
    owner.put("/v3/payout-methods/EUR", &method).await.expect(200);
    misuse(&visitor, &owner).await;
    let mut secrets = mailed_secrets(&visitor, &owner, outbox).await;
    let change = json!({"currentPassword": PASSWORD, "password": NEW_PASSWORD});
    owner.post("/v3/account/password", &change).await.expect(204);
    secrets.extend([PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, IBAN].map(str::to_owned));
    secrets.extend([&session, &refreshed].map(|tokens| text(&tokens["accessToken"])));
    secrets.extend([&session, &refreshed].map(|tokens| text(&tokens["refreshToken"])));
    secrets.push(text(&key["key"]));
    secrets
}

/// An invitation, a password reset, a session on behalf of a client: tokens that travel by mail, and what they open.
async fn mailed_secrets(visitor: &Client, owner: &Client, outbox: &Path) -> Vec<String> {
    let person = json!({"email": CLIENT_EMAIL, "firstName": "Sam", "lastName": "Client", "sendInvite": true});
    let client = owner.post("/v3/sub-accounts", &person).await.expect(201);
    let invitation = mailed_token(outbox, CLIENT_EMAIL, "invites you").await;
    let confirm = json!({"token": invitation, "password": NEW_PASSWORD});
    visitor.post("/v3/password-resets/confirm", &confirm).await.expect(204);
    visitor.post("/v3/password-resets/confirm", &confirm).await.problem("invalidToken");
    let acting = owner.post_nothing(&format!("/v3/sub-accounts/{}/login", id(&client))).await.expect(201);
    visitor.with(&text(&acting["accessToken"])).get("/v3/account").await.expect(200);
    visitor.post("/v3/password-resets", &json!({"email": EMAIL})).await.expect(202);
    let reset = mailed_token(outbox, EMAIL, "password").await;
    vec![invitation, reset, text(&acting["accessToken"])]
}

/// The token of the mail to this address whose subject has these words.
async fn mailed_token(outbox: &Path, email: &str, words: &str) -> String {
    let begun = Instant::now();
    loop {
        let files = std::fs::read_dir(outbox).into_iter().flatten().flatten().map(|entry| entry.path());
        let mails = files.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
        let mut mails = mails.filter_map(|path| Some(Mail::read(&std::fs::read(path).ok()?)));
        if let Some(mail) = mails.find(|mail| mail.to == email && mail.subject.to_lowercase().contains(words)) {
            return mail.token();
        }
        assert!(begun.elapsed() < PATIENCE, "no mail {words:?} to {email}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Requests that fail with a secret in them: what is wrong is told and logged without it.
async fn misuse(visitor: &Client, owner: &Client) {
    let wrong = json!({"email": EMAIL, "password": WRONG_PASSWORD});
    visitor.post("/v3/sessions", &wrong).await.problem("invalidCredentials");
    let details = json!({"holder": "Ann Archer", "iban": IBAN});
    let method = json!({"type": "sepa", "details": details, "password": WRONG_PASSWORD});
    assert!(owner.put("/v3/payout-methods/EUR", &method).await.status >= 400);
    for body in [
        json!({"email": EMAIL, "password": [WRONG_PASSWORD]}),
        json!({"email": EMAIL, "password": {"x": WRONG_PASSWORD}}),
        json!({"email": EMAIL, "password": "x", WRONG_PASSWORD: 1}),
        json!({"email": {"x": WRONG_PASSWORD}, "password": "x"}),
        json!(WRONG_PASSWORD),
    ] {
        assert!(visitor.post("/v3/sessions", &body).await.status >= 400);
    }
    visitor.post("/v3/sessions/refresh", &json!({"refreshToken": WRONG_PASSWORD})).await.problem("invalidCredentials");
    let confirm = json!({"token": WRONG_PASSWORD, "password": NEW_PASSWORD});
    visitor.post("/v3/password-resets/confirm", &confirm).await.problem("invalidToken");
    visitor.with(WRONG_PASSWORD).get("/v3/account").await.problem("invalidCredentials");
    let request = visitor.request(reqwest::Method::POST, "/v3/sessions").header("content-type", "application/json");
    request.bytes(format!("{{\"password\": \"{WRONG_PASSWORD}\"")).send().await.problem("invalidJson");
}
