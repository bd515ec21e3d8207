//! The server under test: the product's own, in this process, on a free port, with a clock that stands still.

use std::rc::Rc;

use serde_json::{Value, json};
use stape_api::api_keys::operator_keys;
use stape_api::auth::Scopes;
use stape_api::config::{RateLimit, Secrets, Settings};
use stape_api::context::Context;
use stape_api::server;
use tokio::sync::OnceCell;

use super::{Client, Database, Engine, Event};

/// Where the test clock stands at first.
pub const START: &str = "2026-01-01T00:00:00.000Z";

/// A running server and what the tests need to know of it.
pub struct TestApp {
    pub database: Rc<Database>,
    pub settings: Settings,
    pub address: String,
    server: server::Server,
    operator: OnceCell<Client>,
}

impl TestApp {
    /// Starts a server on a database.
    pub async fn start(database: &Rc<Database>) -> Self {
        Self::start_with(database, |_| {}).await
    }

    /// Starts a server with other settings than the usual ones.
    pub async fn start_with(database: &Rc<Database>, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(database.url.parse().expect("a database URL"), Secrets::random());
        "127.0.0.1:0".clone_into(&mut settings.bind);
        settings.mail.dir = database.directory.path().join("outbox");
        settings.rate_limit = RateLimit::Off;
        settings.workers = std::num::NonZeroUsize::new(2);
        settings.test_clock = Some(START.parse().expect("a time"));
        settings.migrate = false;
        change(&mut settings);
        let server = server::start(settings.clone()).await.expect("the server starts");
        let address = format!("http://{}", server.address());
        Self { database: database.clone(), settings, address, server, operator: OnceCell::new() }
    }

    /// Another server with a new database of the same engine, for what must not meet this one.
    pub async fn another(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let engine = if self.database.postgres().is_some() { Engine::Postgres } else { Engine::Sqlite };
        let database = Rc::new(Database::create(engine).expect("the engine is there"));
        Self::start_with(&database, change).await
    }

    /// Another server on this one's database, with the same secrets and a clock of its own.
    pub async fn beside(&self) -> Self {
        let secrets = self.settings.secrets.clone();
        Self::start_with(&self.database, |settings| settings.secrets = secrets).await
    }

    /// Ends the server as SIGTERM does.
    pub async fn stop(self) {
        self.server.stop().await.expect("it ends in time");
    }

    /// Somebody without a credential.
    pub fn visitor(&self) -> Client {
        Client::new(self.address.clone())
    }

    /// A caller with this API key or access token.
    pub fn caller(&self, credential: &str) -> Client {
        self.visitor().with(credential)
    }

    /// The operator with all scopes.
    pub async fn operator(&self) -> &Client {
        let with_all_scopes = async { self.caller(&self.operator_key(Scopes::of_operator()).await) };
        self.operator.get_or_init(|| with_all_scopes).await
    }

    /// A new operator key, made as the command line makes it.
    pub async fn operator_key(&self, scopes: Scopes) -> String {
        let context = Context::system(START.parse().expect("a time"));
        let key = move |conn: &mut _| operator_keys::create(conn, &context, "test", scopes);
        self.server.state().db.write(key).await.expect("an operator key")
    }

    /// Sets the test clock; whatever fell due is done then.
    pub async fn move_clock(&self, now: &str) {
        self.operator().await.post("/v3/operator/test-clock", &json!({"now": now})).await.expect(200);
    }

    /// Sends a batch of billing events and gives the result of each.
    pub async fn post_events(&self, events: &[Event]) -> Vec<Value> {
        let events: Vec<&Value> = events.iter().map(|event| &event.0).collect();
        let body = self.operator().await.post("/v3/operator/billing-events", &json!({"events": events})).await;
        let results = body.expect(200)["results"].as_array().expect("results").clone();
        assert_eq!(results.len(), events.len());
        for (index, (result, event)) in results.iter().zip(&events).enumerate() {
            assert_eq!((&result["index"], &result["id"]), (&json!(index), &event["id"]));
        }
        results
    }

    /// Sends billing events that must all be applied.
    pub async fn apply(&self, events: &[Event]) -> Vec<Value> {
        let results = self.post_events(events).await;
        for result in &results {
            assert_eq!(result["outcome"], "applied", "{result:#}");
        }
        results
    }
}
