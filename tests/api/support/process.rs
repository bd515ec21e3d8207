//! The binary as an operator runs it, in an environment of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::{Client, Database, PASSWORD};

/// The key that encrypts payout methods where a test names no other.
pub const ENCRYPTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The secret that signs access tokens of the binary.
pub const JWT_SECRET: &str = "a secret of the tests, long enough to be taken";

/// The binary without any setting.
pub fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stape-api"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// The binary on a database.
pub fn on(database: &Database, arguments: &[&str]) -> Command {
    let mut command = binary(arguments);
    command
        .env("DATABASE_URL", &database.url)
        .env("STAPE_BIND", "127.0.0.1:0")
        .env("STAPE_JWT_SECRET", JWT_SECRET)
        .env("STAPE_ENCRYPTION_KEY", ENCRYPTION_KEY)
        .env("STAPE_MAIL_DIR", database.directory.path().join("outbox"))
        .current_dir(database.directory.path());
    command
}

/// The binary on `stape.db` of a directory, without a secret in the environment.
pub fn beside(directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = binary(arguments);
    command.current_dir(directory.path()).env("STAPE_BIND", "127.0.0.1:0");
    command
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Output {
    command.output().expect("the binary runs")
}

/// What a command said.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A new operator key with all scopes.
pub fn operator_key(database: &Database) -> String {
    let output = run(on(database, &["operator-key", "create", "--name", "test"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

/// A server process; killed when it is dropped.
pub struct Process {
    pub child: Child,
    pub address: String,
}

impl Process {
    /// Starts a server that logs nowhere.
    pub fn start(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::start_logging(command)
    }

    /// Starts a server whose standard error is wherever the command says.
    pub fn start_logging(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
            .expect("the server says where it listens");
        Self { child, address }
    }

    /// Signs Ann up and in, and gives the access token.
    pub async fn sign_up(&self, kind: &str) -> String {
        let person = json!({
            "kind": kind, "email": "ann@example.com", "password": PASSWORD, "firstName": "Ann", "lastName": "Archer",
        });
        self.visitor().post("/v3/accounts", &person).await.expect(201);
        let credentials = json!({"email": "ann@example.com", "password": PASSWORD});
        let session = self.visitor().post("/v3/sessions", &credentials).await.expect(201);
        session["accessToken"].as_str().expect("an access token").to_owned()
    }

    pub fn visitor(&self) -> Client {
        Client::new(self.address.clone())
    }

    pub fn client(&self, credential: &str) -> Client {
        self.visitor().with(credential)
    }

    /// Sends SIGTERM.
    pub fn signal(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    }

    /// Sends SIGTERM and gives the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal();
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
