//! The command line: which commands there are, what they print, and with which exit code they end. Knows no SQL.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command line is for")]

use std::borrow::Cow;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use validator::ValidationError;

use crate::accounts::validate_name;
use crate::api_keys::operator_keys;
use crate::auth::{Scope, Scopes};
use crate::clock::Timestamp;
use crate::config::{Arguments, LogFormat, SettingError, Settings};
use crate::context::Context;
use crate::db::{Conn, DatabaseUrl, Db, Options, migrate as migrations};
use crate::error::{Error, Result};
use crate::id::OperatorKeyId;
use crate::payout_methods::sealed;
use crate::progress::Progress;
use crate::server::{Server, StartError};
use crate::vault::Vault;
use crate::{backup, demo, openapi, program, server, stored, telemetry, verify};

/// A server ended before all of it had ended.
const FAILED: i32 = 1;

/// `verify` has found differences.
const DIFFERENCES: u8 = 1;

/// `verify` could not look for them.
const NOT_VERIFIED: u8 = 2;

/// The Stape API: the headless backend of a partner program for a hosting company.
#[derive(Debug, Parser)]
#[command(name = "stape-api", version)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default); migrates the database first
    Serve,
    /// Serve a database filled with a believable program, and print keys to try it with
    Demo,
    /// Bring the database's tables up to date
    Migrate,
    /// The operator's API keys
    #[command(subcommand)]
    OperatorKey(OperatorKeyCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Recompute balances, counters and statuses: exit code 0 when all agree, 1 on differences, 2 when it could not run
    Verify,
    /// Copy a SQLite database to a new file, also while it is served
    Backup {
        /// The copy: a file that does not exist yet
        file: PathBuf,
    },
    /// Encrypt payout methods anew with the present key, so that the one before it is no longer needed
    Reencrypt,
}

#[derive(Debug, Subcommand)]
enum OperatorKeyCommand {
    /// Make a key and print it, alone, on standard output; it is never shown again
    Create {
        /// What the key is for
        #[arg(long, value_parser = name)]
        name: String,
        /// What it may do, comma-separated [default: everything]
        #[arg(long, value_delimiter = ',', value_parser = operator_scope)]
        scopes: Vec<Scope>,
    },
    /// List the keys
    List,
    /// Make a key useless at once
    Revoke {
        /// The key's id: opk_…
        id: OperatorKeyId,
    },
}

impl CommandLine {
    /// Runs the command to its end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if let Err(error) = telemetry::start(self.log_format()) {
            eprintln!("error: {error}");
            return ExitCode::from(if matches!(self.command, Some(Command::Verify)) { NOT_VERIFIED } else { 1 });
        }
        match self.command {
            None | Some(Command::Serve) => serve(self.arguments, false),
            Some(Command::Demo) => serve(self.arguments, true),
            Some(Command::Migrate) => done(migrate(&self.arguments)),
            Some(Command::OperatorKey(command)) => done(operator_key(&self.arguments, command)),
            Some(Command::Openapi) => done(print_document()),
            Some(Command::Verify) => verify(&self.arguments),
            Some(Command::Backup { file }) => done(backup(&self.arguments, &file)),
            Some(Command::Reencrypt) => done(reencrypt(self.arguments)),
        }
    }

    fn log_format(&self) -> LogFormat {
        self.arguments.log_format()
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let told = |error: ValidationError| error.message.map_or_else(|| error.code.to_string(), Cow::into_owned);
    validate_name(name).map_err(told)?;
    Ok(name.to_owned())
}

fn operator_scope(word: &str) -> Result<Scope, String> {
    let all = Scopes::of_operator();
    word.parse().ok().filter(|scope| all.contains(*scope)).ok_or_else(|| {
        let words: Vec<_> = all.list().iter().map(|scope| scope.as_str()).collect();
        format!("must be of {}", words.join(", "))
    })
}

/// Says on standard error why a command failed.
fn done(result: Result<(), StartError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments, demo: bool) -> ExitCode {
    done(actix_web::rt::System::new().block_on(async {
        if demo {
            demo::ensure_own(&arguments.database_url(demo)?)?;
        }
        let settings = settings(arguments, demo)?;
        let server = if demo {
            server::start_after(settings, demo::filling().await?).await?
        } else {
            server::start(settings).await?
        };
        let mut signals = Signals::listen()?;
        if demo {
            say(demo::run(&server).await?);
        }
        say_how_to_begin(&server).await;
        say(format_args!("listening on http://{}", server.address()));
        signals.stop().await;
        log::info!("stopping");
        // Dropped where the second signal comes first, it would wait for what does not end.
        let mut stop = std::pin::pin!(server.stop());
        tokio::select! {
            stopped = &mut stop => stopped.unwrap_or_else(|unfinished| end_now(&unfinished)),
            () = signals.stop() => end_now(&"a second signal came"),
        }
        Ok(())
    }))
}

/// What a server is told, with an encryption key that is made for a new database alone: that of another one has been lost, and a
/// new one would only look like it.
fn settings(arguments: Arguments, demo: bool) -> Result<Settings, StartError> {
    let url = arguments.database_url(demo)?;
    if !arguments.has_encryption_key()
        && let Some(file) = arguments.secrets_to_make(&url)
        && is_in_use(&url)?
    {
        let reason = format!(
            "is not set, and {}, where the secrets of {url} were, is missing: put it back, or set this",
            file.display()
        );
        return Err(SettingError::new("STAPE_ENCRYPTION_KEY", reason).into());
    }
    Ok(arguments.settings(demo)?)
}

/// Whether anybody has an account in the database.
fn is_in_use(url: &DatabaseUrl) -> Result<bool, StartError> {
    if url.file().is_some_and(|file| !file.exists()) {
        return Ok(false);
    }
    let in_use = |conn: &mut Conn| Ok(migrations::has_tables(conn)? && stored::has_accounts(conn)?);
    Ok(Db::inspect(url, Options::command())?.read_blocking(in_use)?)
}

/// Prints a line; a server goes on when nobody reads what it says.
fn say(line: impl std::fmt::Display) {
    writeln!(std::io::stdout(), "{line}").ok();
}

/// Ends the process with what has not ended: its transactions are rolled back, and what was acknowledged is durable.
fn end_now(reason: &dyn std::fmt::Display) -> ! {
    log::error!("ended at once: {reason}");
    std::process::exit(FAILED)
}

/// What ends a server, and at the second time its process: SIGTERM, or Ctrl-C.
struct Signals {
    terminate: actix_web::rt::signal::unix::Signal,
    interrupt: actix_web::rt::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        use actix_web::rt::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::internal)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::internal)?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Without an operator's key nobody can run the program. A database that cannot be read says so elsewhere.
async fn say_how_to_begin(server: &Server) {
    if server.state().db.read(operator_keys::list).await.is_ok_and(|keys| keys.is_empty()) {
        say("There is no operator key yet. Make the first one, for this same database, with:");
        say("  stape-api operator-key create --name <what it is for>");
    }
}

fn migrate(arguments: &Arguments) -> Result<(), StartError> {
    let url = arguments.database_url(false)?;
    let (db, applied) = server::migrated(&url, Options::command())?;
    let now = now_to_write(&db, arguments)?;
    // For servers that wait for this migration and do not start anew after it.
    db.write_blocking(move |conn| program::service::ensure_first_version(conn, now))?;
    match applied {
        0 => println!("{url} is up to date"),
        applied => println!("{url}: applied {applied} migrations"),
    }
    Ok(())
}

fn operator_key(arguments: &Arguments, command: OperatorKeyCommand) -> Result<(), StartError> {
    let url = arguments.database_url(false)?;
    match command {
        OperatorKeyCommand::Create { name, scopes } => {
            let (db, _) = server::migrated(&url, Options::command())?;
            let context = Context::system(now_to_write(&db, arguments)?);
            let scopes = if scopes.is_empty() { Scopes::of_operator() } else { Scopes::of(&scopes) };
            println!("{}", db.write_blocking(move |conn| operator_keys::create(conn, &context, &name, scopes))?);
        }
        OperatorKeyCommand::List => {
            for key in existing(&url)?.read_blocking(operator_keys::list)? {
                let state = key.revoked_at.map_or("active".to_owned(), |at| format!("revoked {at}"));
                let used = key.last_used_at.map_or("never used".to_owned(), |at| format!("last used {at}"));
                println!("{}  …{}  {}  {state}, {used}  {}", key.id, key.hint, key.name, key.scopes);
            }
        }
        OperatorKeyCommand::Revoke { id } => {
            let db = existing(&url)?;
            let context = Context::system(now_to_write(&db, arguments)?);
            db.write_blocking(move |conn| operator_keys::revoke(conn, &context, id))?;
        }
    }
    Ok(())
}

/// A database that is there, with every migration.
fn existing(url: &DatabaseUrl) -> Result<Db, StartError> {
    must_exist(url)?;
    let db = Db::connect(url, Options::command())?;
    must_be_current(&db)?;
    Ok(db)
}

fn must_be_current(db: &Db) -> Result<(), StartError> {
    if !db.read_blocking(migrations::is_current)? {
        return Err(SettingError::new("DATABASE_URL", "the database lacks migrations; run `stape-api migrate`").into());
    }
    Ok(())
}

/// The time of what a command writes: that of the database's clock.
fn now_to_write(db: &Db, arguments: &Arguments) -> Result<Timestamp, StartError> {
    let wanted = arguments.test_clock();
    Ok(db.write_blocking(move |conn| stored::clock_of_command(conn, wanted))??.now())
}

fn print_document() -> Result<(), StartError> {
    let document = openapi::json(&openapi::document())?;
    let document = serde_json::to_string_pretty(&document).map_err(Error::internal)?;
    match writeln!(std::io::stdout(), "{document}") {
        // Whoever reads it through a pipe may stop early.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::internal(error).into()),
        _ => Ok(()),
    }
}

fn verify(arguments: &Arguments) -> ExitCode {
    let differences = arguments.database_url(false).map_err(StartError::from).and_then(|url| {
        must_exist(&url)?;
        let db = Db::inspect(&url, Options::command())?;
        must_be_current(&db)?;
        let mut progress = Progress::start("accounts verified", None);
        Ok(db.snapshot_blocking(|conn| {
            let now = stored::clock(conn)?.now();
            verify::run(conn, now, |done| progress.reach(done))
        })?)
    });
    match differences {
        Ok(differences) if differences.is_empty() => {
            println!("no differences");
            ExitCode::SUCCESS
        }
        Ok(differences) => {
            for difference in differences {
                println!("{difference}");
            }
            ExitCode::from(DIFFERENCES)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(NOT_VERIFIED)
        }
    }
}

/// A command that changes or reads what is there makes no database by itself.
fn must_exist(url: &DatabaseUrl) -> Result<(), SettingError> {
    if url.file().is_some_and(|file| !file.exists()) {
        return Err(SettingError::new("DATABASE_URL", format!("there is no {url}")));
    }
    Ok(())
}

fn backup(arguments: &Arguments, file: &Path) -> Result<(), StartError> {
    let url = arguments.database_url(false)?;
    must_exist(&url)?;
    let bytes = backup::write(&url, file)?;
    println!("{}: {bytes} bytes", file.display());
    match backup::secrets_file(&url).filter(|_| !arguments.has_encryption_key()) {
        Some(secrets) => {
            println!("Keep {} as well: payout methods can be read only with the key in it.", secrets.display());
        }
        None => println!("Keep STAPE_ENCRYPTION_KEY as well: payout methods can be read only with it."),
    }
    Ok(())
}

fn reencrypt(arguments: Arguments) -> Result<(), StartError> {
    must_exist(&arguments.database_url(false)?)?;
    let settings = settings(arguments, false)?;
    let db = existing(&settings.database_url)?;
    let mut progress = Progress::start("payout methods encrypted anew", None);
    let resealed = sealed::reseal(&db, &Vault::of(&settings.secrets), |done| progress.reach(done))?;
    drop(progress);
    println!("{} payout methods encrypted anew, those of payouts included", resealed.changed);
    if resealed.unopenable.is_empty() {
        return Ok(());
    }
    for row in &resealed.unopenable {
        eprintln!("{row}");
    }
    let reason = format!("{} payout methods cannot be opened; they are left as they are", resealed.unopenable.len());
    Err(SettingError::new("STAPE_ENCRYPTION_KEY_PREVIOUS", reason).into())
}
