//! The one error type of the crate, and its form on the wire (RFC 9457). Only this module knows which status a refusal has.
//!
//! Services return [`Error`]; a refusal is a [`Problem`], anything else is a fault of ours and shows the caller nothing but
//! its request id. The outermost middleware renders a problem, for it alone knows the path and the request id.

mod codes;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

pub use codes::Code;

/// What every fallible function of the crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is told: what was wrong, where, what to do.
    #[error("{}: {}", .0.code.name(), .0.detail)]
    Problem(Box<Problem>),
    /// The database refused or failed; the caller learns 500, or 503 when it may help to try again.
    #[error("database: {}", one_line(.0))]
    Database(#[from] diesel::result::Error),
    /// No connection, a full queue, or a database that is too busy: 503 with `Retry-After`.
    #[error("unavailable: {}", one_line(.0))]
    Unavailable(String),
    /// A fault of ours: 500.
    #[error("internal: {}", one_line(.0))]
    Internal(String),
}

/// What a database says in several lines, in one.
fn one_line(message: &impl ToString) -> String {
    message.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A refusal, before it is rendered for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of refusal.
    pub code: Code,
    /// What was wrong in this occurrence, for a person.
    pub detail: String,
    /// Each rule that was broken.
    pub violations: Vec<Violation>,
    /// Whether it is a conflict (409) with the state of something else, where the code's own status blames the caller.
    pub is_conflict: bool,
    /// For `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// For `Allow`, with 405.
    pub allow: Option<String>,
    /// For `RateLimit-Policy` and `RateLimit`, with 429.
    pub limit: Option<ReachedLimit>,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReachedLimit {
    /// Its name, one for each limit.
    pub policy: &'static str,
    /// It lets so many through
    pub requests: u32,
    /// in so many seconds.
    pub seconds: u32,
}

/// Why a request failed that its caller learns nothing of but the [`Problem`]; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(pub String);

/// Broken rules that a problem tells at most: an answer does not grow with the request.
pub(crate) const MAX_ERRORS: usize = 100;

/// The most that is repeated of a request, in characters.
const MAX_ECHO_CHARS: usize = 300;

/// What is repeated of a text that was sent.
pub(crate) fn shorten(text: String) -> String {
    match text.char_indices().nth(MAX_ECHO_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// One broken rule: where, which, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"pointer": "/email", "code": "email", "detail": "is not an e-mail address"}))]
pub struct Violation {
    /// JSON Pointer (RFC 6901) to the field of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/email")]
    pub pointer: Option<String>,
    /// Name of the query parameter or header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "limit")]
    pub parameter: Option<String>,
    /// Which rule, camelCase.
    #[schema(example = "email")]
    pub code: String,
    /// What was wrong, for a person.
    #[schema(example = "is not an e-mail address")]
    pub detail: String,
}

/// The JSON Pointer (RFC 6901) of what is called `name` in the value at `pointer`.
#[must_use]
pub fn pointer_to(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl Violation {
    /// A broken rule of the field at `pointer`.
    pub fn at(pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, code: code.into(), detail: detail.into() }
    }

    /// A broken rule of the query parameter or header `name`, of which so much is repeated as of any text.
    pub fn parameter(name: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(shorten(name.into())), code: code.into(), detail: detail.into() }
    }
}

/// The detail of a body that breaks these rules.
fn told(violations: &[Violation]) -> String {
    match violations {
        [one] => {
            let place = one.pointer.as_deref().filter(|pointer| !pointer.is_empty());
            format!("{} {}", place.unwrap_or("the body"), one.detail)
        }
        many => format!("{} rules are broken; see errors", many.len()),
    }
}

impl Problem {
    /// A refusal with its explanation.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            violations: Vec::new(),
            is_conflict: false,
            retry_after_s: None,
            allow: None,
            limit: None,
        }
    }

    /// The same refusal, pointing at `violation` too.
    #[must_use]
    pub fn with(mut self, violation: Violation) -> Self {
        self.violations.push(violation);
        self
    }

    /// The same refusal as a conflict: it is not the caller that the code is about.
    #[must_use]
    pub fn as_conflict(mut self) -> Self {
        self.is_conflict = true;
        self
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        if self.is_conflict { 409 } else { self.code.status() }
    }

    /// The same refusal, telling when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The same refusal, telling which limit was reached.
    #[must_use]
    pub fn by_limit(mut self, limit: ReachedLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// A body that breaks rules: 422.
    #[must_use]
    pub fn validation(violations: Vec<Violation>) -> Self {
        let detail = told(&violations);
        Self { violations, ..Self::new(Code::ValidationFailed, detail) }
    }

    /// The same refusal of an element that stands at `prefix` in the body: its pointers start there, also in the detail.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        for violation in &mut self.violations {
            violation.pointer = violation.pointer.take().map(|pointer| format!("{prefix}{pointer}"));
        }
        if self.code == Code::ValidationFailed {
            self.detail = told(&self.violations);
        }
        self
    }

    /// The body on the wire, for a request to `instance`.
    #[must_use]
    pub fn body(&self, instance: &str, request_id: &str) -> ProblemBody {
        ProblemBody {
            problem_type: format!("/docs/errors/{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.status(),
            detail: self.detail.clone(),
            instance: beginning(instance).to_owned(),
            code: self.code.name().to_owned(),
            request_id: request_id.to_owned(),
            errors: self.violations.iter().take(MAX_ERRORS).cloned().collect(),
        }
    }
}

/// At most [`MAX_ECHO_CHARS`] of a path, which ends in no part of an escaped byte.
fn beginning(path: &str) -> &str {
    let Some((end, _)) = path.char_indices().nth(MAX_ECHO_CHARS) else { return path };
    let cut = path.get(..end).unwrap_or_default();
    let escape = cut.rfind('%').filter(|at| cut.len() - at < "%00".len());
    cut.get(..escape.unwrap_or(end)).unwrap_or_default()
}

/// Every refusal and failure of this API: RFC 9457 problem details, `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// A page about this kind of problem, relative to the server.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/docs/errors/validationFailed")]
    pub problem_type: String,
    /// Short summary, the same for every occurrence of the code.
    #[schema(example = "The body breaks a rule")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 422)]
    pub status: u16,
    /// What was wrong this time, and what to do.
    #[schema(example = "/email is not an e-mail address")]
    pub detail: String,
    /// The path of the request; of a longer one its first 300 characters.
    #[schema(format = "uri-reference", example = "/v3/accounts")]
    pub instance: String,
    /// Machine-readable code.
    #[schema(example = "validationFailed")]
    pub code: String,
    /// The request's id, also in `X-Request-Id`; tell it to the support.
    #[schema(example = "01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub request_id: String,
    /// Each rule that was broken, with where it was; the first hundred.
    #[schema(max_items = 100)]
    pub errors: Vec<Violation>,
}

impl Error {
    /// A refusal with its explanation.
    pub fn refused(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// A body that breaks one rule at `pointer`: 422.
    pub fn invalid(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Problem::validation(vec![Violation::at(pointer, code, detail)]).into()
    }

    /// 404: missing, or another tenant's.
    #[must_use]
    pub fn not_found() -> Self {
        Self::refused(Code::NotFound, "there is no such resource")
    }

    /// A fault of ours.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }

    /// Why, without the kind of error: for a person at the command line.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Unavailable(reason) => one_line(reason),
            other => other.to_string(),
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Problem(problem) => (**problem).clone(),
            Self::Unavailable(_) => {
                Problem::new(Code::ServiceUnavailable, "the service cannot answer now; try again").retry_after(1)
            }
            Self::Database(_) | Self::Internal(_) => {
                Problem::new(Code::InternalError, "the server failed; nothing was changed by this request")
            }
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

/// `None` where a row of the caller's was looked for is 404.
pub trait OrNotFound<T> {
    /// The row, or [`Error::not_found`].
    ///
    /// # Errors
    /// 404 where there is no row; the database's own failure.
    fn or_not_found(self) -> Result<T>;
}

impl<T> OrNotFound<T> for diesel::QueryResult<T> {
    fn or_not_found(self) -> Result<T> {
        self.map_err(|error| match error {
            diesel::result::Error::NotFound => Error::not_found(),
            other => other.into(),
        })
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// An answer without a body that carries the [`Problem`] for the outermost middleware to render, and the [`Cause`] of a
    /// failure for it to log: it alone knows which request that was.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        response.extensions_mut().insert(self.problem());
        if matches!(self, Self::Database(_) | Self::Internal(_) | Self::Unavailable(_)) {
            response.extensions_mut().insert(Cause(self.to_string()));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_path_ends_in_no_part_of_an_escape() {
        for start in ["/", "/a", "/ab"] {
            let path = format!("{start}{}", "%22".repeat(200));
            let cut = beginning(&path);
            assert!(path.starts_with(cut) && (298..=300).contains(&cut.len()) && cut.ends_with("%22"), "{cut}");
        }
        assert_eq!(beginning("/v3/%"), "/v3/%");
    }

    #[test]
    fn what_a_database_says_is_one_line() {
        let message = "connection failed: Connection refused\n\tIs the server running?\n";
        let error = Error::Unavailable(format!("DATABASE_URL: {message}"));
        let line = "DATABASE_URL: connection failed: Connection refused Is the server running?";
        assert_eq!((error.reason(), error.to_string()), (line.to_owned(), format!("unavailable: {line}")));
        let failure = diesel::result::Error::QueryBuilderError(message.into());
        assert!(!Error::from(failure).to_string().contains('\n'));
    }
}
