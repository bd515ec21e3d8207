//! Secrets: from the environment, or on SQLite from a file beside the database that the first start makes.

use std::convert::Infallible;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::SettingError;
use crate::crypto::random_bytes;
use crate::db::DatabaseUrl;

const JWT_SECRET: &str = "STAPE_JWT_SECRET";
const JWT_SECRET_PREVIOUS: &str = "STAPE_JWT_SECRET_PREVIOUS";
const ENCRYPTION_KEY: &str = "STAPE_ENCRYPTION_KEY";
const ENCRYPTION_KEY_PREVIOUS: &str = "STAPE_ENCRYPTION_KEY_PREVIOUS";

/// Shorter secrets could be guessed.
const JWT_SECRET_MIN_BYTES: usize = 32;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The key that payout methods are encrypted with; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey([u8; 32]);

impl EncryptionKey {
    /// A new one, unlike any other.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// The 32 bytes themselves.
    #[must_use]
    pub fn reveal(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EncryptionKey(…)")
    }
}

/// What signs tokens and encrypts payout methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Signs and checks tokens.
    pub jwt: Secret,
    /// Checks tokens that were signed before the secret was changed.
    pub jwt_previous: Option<Secret>,
    /// Encrypts payout methods at rest.
    pub encryption_key: EncryptionKey,
    /// Opens what was encrypted before the key was changed.
    pub encryption_key_previous: Option<EncryptionKey>,
}

impl Secrets {
    /// New ones, unlike any others.
    #[must_use]
    pub fn random() -> Self {
        Self {
            jwt: Secret(STANDARD.encode(random_bytes::<48>())),
            jwt_previous: None,
            encryption_key: EncryptionKey::random(),
            encryption_key_previous: None,
        }
    }

    /// Takes what is given, and on SQLite the rest from the file beside the database, which is made when it is missing.
    ///
    /// # Errors
    /// A secret that is missing, too short or malformed, with the file that it should be in; a file that cannot be made or read.
    pub fn resolve(given: Given, database_url: &DatabaseUrl) -> Result<Self, SettingError> {
        given.check()?;
        let file =
            database_url.file().map(secrets_file).filter(|_| given.jwt.is_none() || given.encryption_key.is_none());
        // Where each comes from, for whoever has to correct it.
        let place = |given: &Option<Secret>| file.as_deref().filter(|_| given.is_none());
        let (jwt_file, key_file) = (place(&given.jwt), place(&given.encryption_key));
        let (jwt_previous_file, key_previous_file) =
            (place(&given.jwt_previous), place(&given.encryption_key_previous));
        let given = match &file {
            Some(file) => given.or(read_or_make(file)?),
            None => given,
        };
        Ok(Self {
            jwt: required(given.jwt, JWT_SECRET, jwt_file)
                .and_then(|secret| checked(secret, JWT_SECRET).map_err(in_file(jwt_file)))?,
            jwt_previous: (given.jwt_previous)
                .map(|secret| checked(secret, JWT_SECRET_PREVIOUS))
                .transpose()
                .map_err(in_file(jwt_previous_file))?,
            encryption_key: required(given.encryption_key, ENCRYPTION_KEY, key_file)
                .and_then(|key| decoded(&key, ENCRYPTION_KEY).map_err(in_file(key_file)))?,
            encryption_key_previous: (given.encryption_key_previous)
                .map(|key| decoded(&key, ENCRYPTION_KEY_PREVIOUS))
                .transpose()
                .map_err(in_file(key_previous_file))?,
        })
    }
}

/// A secret that nobody gave: with PostgreSQL it has to come from the environment, with SQLite it has a line in a file.
fn required(secret: Option<Secret>, setting: &'static str, file: Option<&Path>) -> Result<Secret, SettingError> {
    secret.ok_or_else(|| match file {
        Some(file) => SettingError::new(setting, format!("is not set, and {} has no line {setting}=…", file.display())),
        None => SettingError::new(setting, "is required with PostgreSQL"),
    })
}

/// Names the file that a secret is from which cannot be used.
fn in_file(file: Option<&Path>) -> impl Fn(SettingError) -> SettingError {
    let suffix = file.map(|file| format!(" (in {})", file.display())).unwrap_or_default();
    move |error| SettingError::new(error.setting, format!("{}{suffix}", error.reason))
}

/// What the environment gives.
#[derive(Debug, Default)]
pub struct Given {
    pub(super) jwt: Option<Secret>,
    pub(super) jwt_previous: Option<Secret>,
    pub(super) encryption_key: Option<Secret>,
    pub(super) encryption_key_previous: Option<Secret>,
}

impl Given {
    /// What can be told of them before a file is made for the others.
    fn check(&self) -> Result<(), SettingError> {
        for (secret, setting) in [(&self.jwt, JWT_SECRET), (&self.jwt_previous, JWT_SECRET_PREVIOUS)] {
            secret.iter().try_for_each(|secret| checked(secret.clone(), setting).map(drop))?;
        }
        let keys = [(&self.encryption_key, ENCRYPTION_KEY), (&self.encryption_key_previous, ENCRYPTION_KEY_PREVIOUS)];
        for (key, setting) in keys {
            key.iter().try_for_each(|key| decoded(key, setting).map(drop))?;
        }
        Ok(())
    }

    fn or(self, file: Self) -> Self {
        Self {
            jwt: self.jwt.or(file.jwt),
            jwt_previous: self.jwt_previous.or(file.jwt_previous),
            encryption_key: self.encryption_key.or(file.encryption_key),
            encryption_key_previous: self.encryption_key_previous.or(file.encryption_key_previous),
        }
    }
}

fn checked(secret: Secret, setting: &'static str) -> Result<Secret, SettingError> {
    if secret.0.len() < JWT_SECRET_MIN_BYTES {
        let reason = format!("has {} bytes; at least {JWT_SECRET_MIN_BYTES} are needed", secret.0.len());
        return Err(SettingError::new(setting, reason));
    }
    Ok(secret)
}

fn decoded(secret: &Secret, setting: &'static str) -> Result<EncryptionKey, SettingError> {
    let bytes = STANDARD.decode(secret.0.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(EncryptionKey).ok_or_else(|| SettingError::new(setting, "must be 32 bytes in standard base64"))
}

/// Where the secrets of a SQLite database are: `stape.db` → `stape.db.secrets`.
#[must_use]
pub fn secrets_file(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".secrets");
    path.into()
}

/// Reads the file, after making it where it is missing. Of several first starts at once, one file wins for all.
fn read_or_make(path: &Path) -> Result<Given, SettingError> {
    let failed = |error: std::io::Error| {
        SettingError::new(JWT_SECRET, format!("is not set, and the secrets file {}: {error}", path.display()))
    };
    let content = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if !folder_of(path).is_dir() {
                let reason = format!("there is no folder {} for the database", folder_of(path).display());
                return Err(SettingError::new("DATABASE_URL", reason));
            }
            make(path).map_err(failed)?;
            std::fs::read_to_string(path).map_err(failed)?
        }
        other => other.map_err(failed)?,
    };
    let value = |setting: &str| {
        content.lines().find_map(|line| Some(Secret(line.strip_prefix(setting)?.strip_prefix('=')?.to_owned())))
    };
    Ok(Given {
        jwt: value(JWT_SECRET),
        jwt_previous: value(JWT_SECRET_PREVIOUS),
        encryption_key: value(ENCRYPTION_KEY),
        encryption_key_previous: value(ENCRYPTION_KEY_PREVIOUS),
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a complete file under another name (mode 0600) and then gives it its own, unless somebody was faster.
fn make(path: &Path) -> std::io::Result<()> {
    let secrets = Secrets::random();
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    writeln!(file, "{JWT_SECRET}={}", secrets.jwt.0)?;
    writeln!(file, "{ENCRYPTION_KEY}={}", STANDARD.encode(secrets.encryption_key.0))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sqlite(directory: &tempfile::TempDir) -> DatabaseUrl {
        DatabaseUrl::Sqlite(directory.path().join("stape.db"))
    }

    fn postgres() -> DatabaseUrl {
        "postgres://db/stape".parse().unwrap()
    }

    #[test]
    fn the_first_start_on_sqlite_makes_a_file_that_only_its_owner_can_read() {
        let directory = tempfile::tempdir().unwrap();
        let first = Secrets::resolve(Given::default(), &sqlite(&directory)).unwrap();
        let file = directory.path().join("stape.db.secrets");
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Secrets::resolve(Given::default(), &sqlite(&directory)).unwrap(), first);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_may_name_the_key_before_the_present_one() {
        let directory = tempfile::tempdir().unwrap();
        let first = Secrets::resolve(Given::default(), &sqlite(&directory)).unwrap();
        let file = directory.path().join("stape.db.secrets");
        let kept = std::fs::read_to_string(&file).unwrap().replace(ENCRYPTION_KEY, ENCRYPTION_KEY_PREVIOUS);
        let new = STANDARD.encode([7; 32]);
        std::fs::write(&file, format!("{kept}{ENCRYPTION_KEY}={new}\n")).unwrap();
        let second = Secrets::resolve(Given::default(), &sqlite(&directory)).unwrap();
        assert_eq!(second.encryption_key, EncryptionKey([7; 32]));
        assert_eq!(second.encryption_key_previous, Some(first.encryption_key));
    }

    #[test]
    fn several_first_starts_at_once_agree() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Secrets::resolve(Given::default(), &sqlite(&directory)))).collect();
            let all: Vec<_> = starts.into_iter().map(|start| start.join().unwrap().unwrap()).collect();
            assert!(all.iter().all(|secrets| *secrets == all[0]));
        });
    }

    #[test]
    fn postgres_wants_every_secret_from_the_environment() {
        let error = Secrets::resolve(Given::default(), &postgres()).unwrap_err();
        assert_eq!(error.setting, JWT_SECRET);
        let jwt = Some(Secret("x".repeat(32)));
        let error = Secrets::resolve(Given { jwt, ..Given::default() }, &postgres()).unwrap_err();
        assert_eq!(error.setting, ENCRYPTION_KEY);
    }

    #[test]
    fn a_weak_secret_is_refused_without_being_shown() {
        let key = Some(Secret(STANDARD.encode([7; 32])));
        let short = Given { jwt: Some(Secret("hunter2".into())), encryption_key: key, ..Given::default() };
        let error = Secrets::resolve(short, &postgres()).unwrap_err().to_string();
        assert!(error.starts_with(JWT_SECRET) && !error.contains("hunter2"), "{error}");
        let bad = Given {
            jwt: Some(Secret("x".repeat(32))),
            encryption_key: Some(Secret("AAAA".into())),
            ..Given::default()
        };
        assert_eq!(Secrets::resolve(bad, &postgres()).unwrap_err().setting, ENCRYPTION_KEY);
        let bad = Given {
            jwt: Some(Secret("x".repeat(32))),
            encryption_key: Some(Secret(STANDARD.encode([7; 32]))),
            encryption_key_previous: Some(Secret("AAAA".into())),
            ..Given::default()
        };
        assert_eq!(Secrets::resolve(bad, &postgres()).unwrap_err().setting, ENCRYPTION_KEY_PREVIOUS);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let secrets = Secrets::random();
        assert!(!format!("{secrets:?}").contains(secrets.jwt.reveal()));
        assert_eq!(format!("{:?}", secrets.encryption_key), "EncryptionKey(…)");
    }
}
