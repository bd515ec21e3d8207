//! Which database: the value of `DATABASE_URL`, parsed. Never shows a password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A database by the scheme of its URL.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite://` and a file path, relative or absolute, taken literally.
    Sqlite(PathBuf),
    /// `postgres://` or `postgresql://`, handed to libpq as it is.
    Postgres(String),
}

impl DatabaseUrl {
    /// The database file, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

/// Why a text is no database URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MalformedDatabaseUrl {
    /// Neither of the two engines.
    #[error("must be sqlite://<file path>, or postgres://<user>@<host>/<database>")]
    Scheme,
    /// Each connection would have a database of its own.
    #[error("must name a file: a SQLite database in memory cannot be shared by several connections")]
    InMemory,
}

impl FromStr for DatabaseUrl {
    type Err = MalformedDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, MalformedDatabaseUrl> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" | ":memory:" => Err(MalformedDatabaseUrl::InMemory),
                _ => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(MalformedDatabaseUrl::Scheme)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite://{}", path.display()),
            Self::Postgres(url) => formatter.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The URL without what may hold a secret: the password before the last `@`, and the parameters.
fn without_password(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = url.split_once("://") else { return "postgres://…".to_owned() };
    match rest.rsplit_once('@') {
        Some((credentials, place)) => {
            let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
            format!("{scheme}://{user}@{place}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_sqlite_scheme_is_a_path() {
        for path in ["stape.db", "./data/stape.db", "/var/lib/stape.db", "a b?mode=ro.db"] {
            let url: DatabaseUrl = format!("sqlite://{path}").parse().unwrap();
            assert_eq!(url, DatabaseUrl::Sqlite(PathBuf::from(path)));
        }
    }

    #[test]
    fn both_spellings_of_postgres_are_understood_and_nothing_else_is() {
        for url in ["postgres://stape@db/stape", "postgresql:///stape?host=/run/postgresql"] {
            assert_eq!(url.parse(), Ok(DatabaseUrl::Postgres(url.to_owned())));
        }
        for url in ["", "stape.db", "mysql://db", "sqlite:stape.db", "POSTGRES://db"] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(MalformedDatabaseUrl::Scheme), "{url}");
        }
        assert_eq!("sqlite://:memory:".parse::<DatabaseUrl>(), Err(MalformedDatabaseUrl::InMemory));
    }

    #[test]
    fn a_password_is_never_shown() {
        let url: DatabaseUrl = "postgres://stape:s3:cr@t@db:5432/stape?password=s3cret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "postgres://stape@db:5432/stape postgres://stape@db:5432/stape");
    }
}
