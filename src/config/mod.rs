//! Settings: typed, checked, from flags and environment. Owns every default; nothing else reads the environment (but the
//! logger its filter). Secrets never show in `Debug`.

mod arguments;
mod secrets;
mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use arguments::Arguments;
pub use secrets::{EncryptionKey, Secret, Secrets, secrets_file};
pub use values::{LogFormat, Origin, PublicUrl, RateLimit, TrustedProxies};

use crate::clock::Timestamp;
use crate::db::DatabaseUrl;

/// Where the server listens when nothing else is said.
pub const DEFAULT_BIND: &str = "127.0.0.1:8080";

/// The database of every command but `demo`.
pub const DEFAULT_DATABASE: &str = "sqlite://stape.db";

/// The database of `demo`.
pub const DEMO_DATABASE: &str = "sqlite://stape-demo.db";

/// The folder of mails when there is no SMTP server.
pub const DEFAULT_MAIL_DIR: &str = "outbox";

/// The sender of mails that only go to a folder.
const DEFAULT_MAIL_FROM: &str = "Stape <no-reply@localhost>";

/// Everything that a server is told from outside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub database_url: DatabaseUrl,
    /// Address and port; port 0 takes a free one.
    pub bind: String,
    /// Under which address clients reach the server; none: the one it listens on.
    pub public_url: Option<PublicUrl>,
    /// What signs tokens and encrypts payout methods.
    pub secrets: Secrets,
    /// How mails leave.
    pub mail: MailSettings,
    /// Which web pages may call the API from a browser; empty: none.
    pub cors_origins: Vec<Origin>,
    /// How many requests one credential may make.
    pub rate_limit: RateLimit,
    /// Which proxies are believed when they name their clients; empty: none.
    pub trusted_proxies: TrustedProxies,
    /// A port of its own for `/metrics`, without authentication.
    pub metrics_bind: Option<String>,
    /// Threads that serve requests; none: one per core.
    pub workers: Option<NonZeroUsize>,
    /// Where the test clock of a new database stands; none: the machine's clock.
    pub test_clock: Option<Timestamp>,
    /// Whether a start migrates the database.
    pub migrate: bool,
}

/// How mails leave.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The SMTP server; none: mails are written to `dir`.
    pub smtp_url: Option<Secret>,
    /// The sender.
    pub from: String,
    /// The folder of `.eml` files.
    pub dir: PathBuf,
}

impl Settings {
    /// The defaults, for this database.
    #[must_use]
    pub fn new(database_url: DatabaseUrl, secrets: Secrets) -> Self {
        Self {
            database_url,
            bind: DEFAULT_BIND.to_owned(),
            public_url: None,
            secrets,
            mail: MailSettings {
                smtp_url: None,
                from: DEFAULT_MAIL_FROM.to_owned(),
                dir: PathBuf::from(DEFAULT_MAIL_DIR),
            },
            cors_origins: Vec::new(),
            rate_limit: RateLimit::default(),
            trusted_proxies: TrustedProxies::default(),
            metrics_bind: None,
            workers: None,
            test_clock: None,
            migrate: true,
        }
    }
}

/// A setting that cannot be used; it stops the start.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct SettingError {
    /// The setting's name in the environment.
    pub setting: &'static str,
    /// What is wrong with it; never its value where that may be secret.
    pub reason: String,
}

impl SettingError {
    /// `setting` cannot be used because of `reason`.
    pub fn new(setting: &'static str, reason: impl std::fmt::Display) -> Self {
        Self { setting, reason: reason.to_string() }
    }
}
