//! Log lines: for people, or one JSON object each. What is logged says `RUST_LOG`; secrets are never passed here.

use std::io::Write;

use env_logger::fmt::Formatter;
use env_logger::{DEFAULT_FILTER_ENV, Env};
use log::Record;
use log::kv::{Error, Key, Source, Value, VisitSource};
use serde_json::{Map, json};

use crate::clock::Timestamp;
use crate::config::{LogFormat, SettingError};
use crate::panics;

/// What is logged where `RUST_LOG` says nothing. The pool has nothing to say that is not told by whoever needs a connection, and
/// connections nothing but what strangers make them say: a head that is no HTTP is answered 400, and no error of ours.
const DEFAULT_FILTER: &str = "info,actix_server=warn,actix_http::h1::dispatcher=off,r2d2=off";

/// Starts logging to standard error, panics among the rest. A second call changes nothing.
///
/// # Errors
/// A `RUST_LOG` that says nothing anybody understands, of which the logger would leave out a part.
pub fn start(format: LogFormat) -> Result<(), SettingError> {
    let filter = std::env::var(DEFAULT_FILTER_ENV).unwrap_or_default();
    env_filter::Builder::new().try_parse(&filter).map_err(|error| SettingError::new(DEFAULT_FILTER_ENV, error))?;
    let mut builder = env_logger::Builder::from_env(Env::default().default_filter_or(DEFAULT_FILTER));
    match format {
        LogFormat::Text => builder.format_key_values(write_request_id),
        LogFormat::Json => builder.format(write_json),
    };
    if builder.try_init().is_ok() {
        panics::log_all();
    }
    Ok(())
}

/// What a line for people ends with: which request it is about. What else there is beside the message says nothing to them.
fn write_request_id(out: &mut Formatter, pairs: &dyn Source) -> std::io::Result<()> {
    match pairs.get(Key::from_str("requestId")) {
        Some(id) => write!(out, " requestId={id}"),
        None => Ok(()),
    }
}

/// One line: time, level, target, message, and the record's key-value pairs beside them.
fn write_json(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut line = Map::new();
    line.insert("at".to_owned(), json!(Timestamp::machine()));
    line.insert("level".to_owned(), json!(record.level().as_str()));
    line.insert("target".to_owned(), json!(record.target()));
    line.insert("message".to_owned(), json!(record.args().to_string()));
    record.key_values().visit(&mut Fields(&mut line)).map_err(std::io::Error::other)?;
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}

struct Fields<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = if let Some(number) = value.to_i64() {
            json!(number)
        } else if let Some(number) = value.to_f64() {
            json!(number)
        } else if let Some(flag) = value.to_bool() {
            json!(flag)
        } else {
            json!(value.to_string())
        };
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}
