//! Flags and environment variables as clap takes them, and their way into [`Settings`].

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::secrets::Given;
use super::{
    DEFAULT_BIND, DEFAULT_DATABASE, DEFAULT_MAIL_DIR, DEMO_DATABASE, LogFormat, MailSettings, Origin, PublicUrl,
    RateLimit, Secret, Secrets, SettingError, Settings, TrustedProxies, secrets_file,
};
use crate::clock::Timestamp;
use crate::db::DatabaseUrl;

/// Every setting; each may stand before or after the command.
///
/// What may hold a secret is taken as it is and checked by [`Arguments::settings`], for clap would print a bad value.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct Arguments {
    // As `help`, for in a doc comment these URLs would be links.
    #[arg(
        help = "The database: sqlite://<file path>, or postgres://… [default: sqlite://stape.db; for demo sqlite://stape-demo.db]"
    )]
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<Secret>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, global = true, env = "STAPE_BIND", value_name = "STAPE_BIND", default_value = DEFAULT_BIND)]
    bind: String,

    /// The address under which clients reach the server, for links, badges and e-mails [default: from --bind]
    #[arg(long, global = true, env = "STAPE_PUBLIC_URL", value_name = "STAPE_PUBLIC_URL")]
    public_url: Option<PublicUrl>,

    /// Signs access tokens: any text of at least 32 bytes [SQLite: made at the first start, in a file beside the database]
    #[arg(long, global = true, env = "STAPE_JWT_SECRET", value_name = "STAPE_JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<Secret>,

    /// The secret before the present one: tokens that it signed stay valid
    #[arg(
        long,
        global = true,
        env = "STAPE_JWT_SECRET_PREVIOUS",
        value_name = "STAPE_JWT_SECRET_PREVIOUS",
        hide_env_values = true
    )]
    jwt_secret_previous: Option<Secret>,

    /// Encrypts payout methods: 32 bytes in standard base64 [SQLite: made at the first start]
    #[arg(
        long,
        global = true,
        env = "STAPE_ENCRYPTION_KEY",
        value_name = "STAPE_ENCRYPTION_KEY",
        hide_env_values = true
    )]
    encryption_key: Option<Secret>,

    /// The key before the present one: what it encrypted can be read until `reencrypt` has run
    #[arg(
        long,
        global = true,
        env = "STAPE_ENCRYPTION_KEY_PREVIOUS",
        value_name = "STAPE_ENCRYPTION_KEY_PREVIOUS",
        hide_env_values = true
    )]
    encryption_key_previous: Option<Secret>,

    /// The SMTP server that takes the mails: `smtp://…`, with STARTTLS `smtp://…?tls=required`, or `smtps://…`
    /// [default: none, mails are written to --mail-dir]
    #[arg(long, global = true, env = "STAPE_SMTP_URL", value_name = "STAPE_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<Secret>,

    /// The sender of mails; required with an SMTP server
    #[arg(long, global = true, env = "STAPE_MAIL_FROM", value_name = "STAPE_MAIL_FROM")]
    mail_from: Option<String>,

    /// The folder that mails are written to without an SMTP server
    #[arg(long, global = true, env = "STAPE_MAIL_DIR", value_name = "STAPE_MAIL_DIR", default_value = DEFAULT_MAIL_DIR)]
    mail_dir: PathBuf,

    /// Origins of web pages that may call the API, comma-separated [default: none]
    #[arg(long, global = true, env = "STAPE_CORS_ORIGINS", value_name = "STAPE_CORS_ORIGINS", default_value = "")]
    #[arg(hide_default_value = true)]
    cors_origins: String,

    /// Requests per credential, such as 6000/60 for so many in 60 seconds; off also ends the limits of sign-in, sign-up and attaching
    #[arg(
        long,
        global = true,
        env = "STAPE_RATE_LIMIT",
        value_name = "STAPE_RATE_LIMIT",
        default_value_t = RateLimit::default()
    )]
    rate_limit: RateLimit,

    /// Proxies, as addresses and networks, whose X-Forwarded-For or Forwarded names the client [default: none]
    #[arg(
        long,
        global = true,
        env = "STAPE_TRUSTED_PROXIES",
        value_name = "STAPE_TRUSTED_PROXIES",
        default_value = "",
        hide_default_value = true
    )]
    trusted_proxies: TrustedProxies,

    /// A port of its own for /metrics [default: none, /metrics is on the main port for any operator key]
    #[arg(long, global = true, env = "STAPE_METRICS_BIND", value_name = "STAPE_METRICS_BIND")]
    metrics_bind: Option<String>,

    /// Threads that serve requests, at most 512 [default: one per core]
    #[arg(long, global = true, env = "STAPE_WORKERS", value_name = "STAPE_WORKERS")]
    #[arg(value_parser = workers)]
    workers: Option<NonZeroUsize>,

    /// How log lines look; what is logged says RUST_LOG
    #[arg(
        long,
        global = true,
        env = "STAPE_LOG_FORMAT",
        value_name = "STAPE_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Text
    )]
    log_format: LogFormat,

    /// Gives a new database a clock that stands still at this time and moves only when it is told to
    #[arg(long, global = true, env = "STAPE_TEST_CLOCK", value_name = "STAPE_TEST_CLOCK")]
    test_clock: Option<Timestamp>,

    /// Serve without migrating the database first
    #[arg(long, global = true, env = "STAPE_NO_MIGRATE", value_parser = yes_or_no)]
    no_migrate: bool,
}

impl Arguments {
    /// How log lines look.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The database; without one being named, that of the command.
    ///
    /// # Errors
    /// A URL of neither engine.
    pub fn database_url(&self, demo: bool) -> Result<DatabaseUrl, SettingError> {
        let default = if demo { DEMO_DATABASE } else { DEFAULT_DATABASE };
        let url = self.database_url.as_ref().map_or(default, Secret::reveal);
        url.parse().map_err(|error| SettingError::new("DATABASE_URL", error))
    }

    /// Where the clock of a new database shall stand; none for the machine's.
    #[must_use]
    pub fn test_clock(&self) -> Option<Timestamp> {
        self.test_clock
    }

    /// Whether the key for payout methods comes from outside, whatever the file beside the database says.
    #[must_use]
    pub fn has_encryption_key(&self) -> bool {
        self.encryption_key.as_ref().is_some_and(is_set)
    }

    /// The file of secrets that [`Arguments::settings`] makes; none where it needs none, or has one.
    #[must_use]
    pub fn secrets_to_make(&self, url: &DatabaseUrl) -> Option<PathBuf> {
        let has_all = self.has_encryption_key() && self.jwt_secret.as_ref().is_some_and(is_set);
        url.file().filter(|_| !has_all).map(secrets_file).filter(|file| !file.exists())
    }

    /// Everything that a server needs.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn settings(self, demo: bool) -> Result<Settings, SettingError> {
        let database_url = self.database_url(demo)?;
        let given = Given {
            jwt: self.jwt_secret.filter(is_set),
            jwt_previous: self.jwt_secret_previous.filter(is_set),
            encryption_key: self.encryption_key.filter(is_set),
            encryption_key_previous: self.encryption_key_previous.filter(is_set),
        };
        let smtp_url = self.smtp_url.filter(is_set);
        if smtp_url.is_some() && self.mail_from.is_none() {
            return Err(SettingError::new("STAPE_MAIL_FROM", "is required with STAPE_SMTP_URL"));
        }
        let cors_origins = origins(&self.cors_origins)?;
        // Last, for it may make a file, which a refused start shall not leave behind.
        let secrets = Secrets::resolve(given, &database_url)?;
        let defaults = Settings::new(database_url, secrets);
        let from = self.mail_from.unwrap_or_else(|| defaults.mail.from.clone());
        Ok(Settings {
            bind: self.bind,
            public_url: self.public_url,
            mail: MailSettings { smtp_url, from, dir: self.mail_dir },
            cors_origins,
            rate_limit: self.rate_limit,
            trusted_proxies: self.trusted_proxies,
            metrics_bind: self.metrics_bind,
            workers: self.workers,
            test_clock: self.test_clock,
            migrate: !self.no_migrate,
            ..defaults
        })
    }
}

/// Of a flag's variable; an empty one is one that is not set.
fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "0" | "f" | "false" | "n" | "no" | "off" => Ok(false),
        "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
        _ => Err("must be true or false".to_owned()),
    }
}

/// More threads than any machine has a use for are a mistake, and each of them takes memory.
const WORKERS_MAX: usize = 512;

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let workers = text.parse().ok().filter(|workers: &NonZeroUsize| workers.get() <= WORKERS_MAX);
    workers.ok_or_else(|| format!("must be a number from 1 to {WORKERS_MAX}"))
}

/// An empty variable is one that is not set.
fn is_set(secret: &Secret) -> bool {
    !secret.reveal().is_empty()
}

fn origins(list: &str) -> Result<Vec<Origin>, SettingError> {
    let parse = |origin: &str| match origin {
        "*" => Err("`*` is not taken: name each origin, such as https://app.example.com".to_owned()),
        _ => origin.parse().map_err(|error| format!("{origin}: {error}")),
    };
    let listed = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    listed.map(parse).collect::<Result<_, String>>().map_err(|error| SettingError::new("STAPE_CORS_ORIGINS", error))
}

#[cfg(test)]
mod tests {
    use clap::builder::Resettable;
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// As clap parses them, but whatever the environment of the tests is.
    fn parse(flags: &[&str]) -> Arguments {
        let command = CommandLine::command().mut_args(|argument| argument.env(Resettable::Reset));
        let matches = command.get_matches_from(["stape-api"].iter().chain(flags));
        CommandLine::from_arg_matches(&matches).unwrap().arguments
    }

    fn settings(flags: &[&str]) -> Result<Settings, SettingError> {
        let key = "--encryption-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        parse(&[&["--jwt-secret=0123456789abcdef0123456789abcdef", key], flags].concat()).settings(false)
    }

    #[test]
    fn the_command_line_has_the_documented_defaults() {
        let parsed = settings(&[]).unwrap();
        let defaults = Settings::new(DEFAULT_DATABASE.parse().unwrap(), parsed.secrets.clone());
        assert_eq!(format!("{parsed:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn demo_has_a_database_of_its_own_unless_one_is_named() {
        assert_eq!(parse(&[]).database_url(true).unwrap().to_string(), DEMO_DATABASE);
        assert_eq!(parse(&["--database-url=sqlite://x.db"]).database_url(true).unwrap().to_string(), "sqlite://x.db");
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named_without_its_value() {
        let failing = |flags: &[&str]| settings(flags).unwrap_err().to_string();
        let error = failing(&["--database-url=mysql://root:hunter2@db"]);
        assert!(error.starts_with("DATABASE_URL: ") && !error.contains("hunter2"), "{error}");
        assert!(failing(&["--cors-origins=https://a.example,*"]).starts_with("STAPE_CORS_ORIGINS: `*` is not taken: "));
        let relative = "STAPE_CORS_ORIGINS: a.example: must be a URL, such as https://app.example.com";
        assert_eq!(failing(&["--cors-origins=a.example"]), relative);
        assert!(failing(&["--smtp-url=smtp://mail"]).starts_with("STAPE_MAIL_FROM: "));
    }

    #[test]
    fn the_variable_of_a_flag_says_yes_or_no_or_nothing() {
        assert!(["1", "true", "YES", "on"].iter().all(|text| yes_or_no(text) == Ok(true)));
        assert!(["0", "false", "No", "off", ""].iter().all(|text| yes_or_no(text) == Ok(false)));
        assert!(yes_or_no("maybe").is_err());
    }

    #[test]
    fn several_origins_are_separated_by_commas() {
        let origins = settings(&["--cors-origins=https://a.example, http://localhost:3000"]).unwrap().cors_origins;
        assert_eq!(
            origins.iter().map(Origin::as_str).collect::<Vec<_>>(),
            ["https://a.example", "http://localhost:3000"]
        );
        assert!(settings(&["--cors-origins="]).unwrap().cors_origins.is_empty());
    }
}
