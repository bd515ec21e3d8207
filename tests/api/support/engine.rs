//! A database of its own for each test, on the engine that the test names, and the frame in which a test runs.

use std::rc::Rc;

use stape_api::db::{Conn, Db, Options};
use stape_api::server::migrated;
use stape_api::{stored, verify};
use tempfile::TempDir;

use super::TestApp;
use super::postgres::PostgresDatabase;
use super::statements::{self, Heard};

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
    /// What the server executes on it.
    heard: Heard,
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
                Some(Self { heard: statements::listen(&url), url, directory, postgres: None })
            }
            Engine::Postgres => {
                let postgres = PostgresDatabase::create()?;
                let url = postgres.url.clone();
                Some(Self { heard: statements::listen(&url), url, directory, postgres: Some(postgres) })
            }
        }
    }

    /// Connects past the server.
    pub fn connect(&self) -> Db {
        let url = statements::behind_the_back(&self.url);
        Db::connect(&url.parse().expect("a database URL"), Options::command()).expect("the database answers")
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

    fn judge_statements(&self) {
        let engine = if self.postgres.is_some() { Engine::Postgres } else { Engine::Sqlite };
        statements::judge(&self.heard, engine, &self.url);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        statements::forget(&self.url);
    }
}

/// Runs a test against a server of its own, then verifies the database and judges the statements that were executed.
pub fn run(engine: Engine, test: impl AsyncFnOnce(&TestApp)) {
    let Some(database) = Database::create(engine).map(Rc::new) else { return };
    actix_web::rt::System::new().block_on(async {
        let app = TestApp::start(&database).await;
        test(&app).await;
        app.stop().await;
    });
    database.verify();
    database.judge_statements();
}
