//! A database of its own for each test, on the engine that the test names, and the frame in which a test runs.

use std::rc::Rc;

use stape_api::db::{Conn, Db, Options};
use stape_api::server::migrated;
use stape_api::{stored, verify};
use tempfile::TempDir;

use super::TestApp;
use super::postgres::PostgresDatabase;

/// One of the two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A migrated database of one test; it is gone when it is dropped.
pub struct Database {
    /// Where it is, as `DATABASE_URL` says it.
    pub url: String,
    /// Mails go here, and on SQLite the database itself.
    pub directory: TempDir,
    postgres: Option<PostgresDatabase>,
}

impl Database {
    /// A new one, or `None` where the engine is not there.
    pub fn create(engine: Engine) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite://{}", directory.path().join("test.db").display());
                let parsed = url.parse().expect("a database URL");
                drop(migrated(&parsed, Options::command()).expect("the migrations can be applied"));
                Some(Self { url, directory, postgres: None })
            }
            Engine::Postgres => {
                let postgres = PostgresDatabase::create()?;
                Some(Self { url: postgres.url.clone(), directory, postgres: Some(postgres) })
            }
        }
    }

    /// Connects past the server.
    pub fn connect(&self) -> Db {
        Db::connect(&self.url.parse().expect("a database URL"), Options::command()).expect("the database answers")
    }

    /// PostgreSQL's side of it.
    pub fn postgres(&self) -> Option<&PostgresDatabase> {
        self.postgres.as_ref()
    }

    fn verify(&self) {
        let all = |conn: &mut Conn| {
            let now = stored::clock(conn)?.now();
            verify::run(conn, now, |_| {})
        };
        let differences = self.connect().snapshot_blocking(all).expect("verify can run");
        assert!(differences.is_empty(), "verify: {differences:#?}");
    }
}

/// Runs a test against a server of its own, then verifies the database.
pub fn run(engine: Engine, test: impl AsyncFnOnce(&TestApp)) {
    let Some(database) = Database::create(engine).map(Rc::new) else { return };
    actix_web::rt::System::new().block_on(async {
        let app = TestApp::start(&database).await;
        test(&app).await;
        app.stop().await;
    });
    database.verify();
}
