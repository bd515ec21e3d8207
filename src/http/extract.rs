//! Bodies as types: what [`Command`] and [`Body`] hold is JSON of the right shape that keeps every rule.
//!
//! They never authorise: the principal is the operation's first parameter, and it answers before a body is looked at.

use std::any::TypeId;
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use validator::{Validate, ValidationErrors};

use super::request::RequestId;
use super::{elements, json};
use crate::error::{Code, Error, Problem, Result};
use crate::idempotency::Key;

/// Largest body of an ordinary operation, in bytes.
const BODY_LIMIT_BYTES: usize = 1 << 20;
/// Largest body of an operator's batch, in bytes.
const BATCH_LIMIT_BYTES: usize = 4 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How an operation treats `Idempotency-Key`, and how large its body may be.
pub trait CommandRule: 'static {
    /// Whether the header must, may, or must not be there.
    const KEY: KeyRule;
    /// Largest body in bytes.
    const LIMIT_BYTES: usize = BODY_LIMIT_BYTES;
    /// Whether the rules of the fields are left to the operation, which reports them for each element.
    const ELEMENTS_BY_THEMSELVES: bool = false;
    /// Whether no body at all stands for `{}`.
    const MAY_BE_EMPTY: bool = false;
}

/// Whether an operation takes an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// As the client likes.
    Optional,
    /// Without it the operation is refused.
    Required,
    /// With it the operation is refused.
    Refused,
}

/// Takes an idempotency key if there is one: the rule for authenticated POSTs.
#[derive(Debug)]
pub struct Optional;

/// Wants an idempotency key. Document it with `extensions(("x-idempotency" = json!("required")))`.
#[derive(Debug)]
pub struct Required;

/// Refuses an idempotency key, for its answer holds a secret. Document it with
/// `extensions(("x-idempotency" = json!("refused")))`.
#[derive(Debug)]
pub struct Refused;

/// An operator's batch: refuses an idempotency key, for its elements have ids of their own, and may be larger.
#[derive(Debug)]
pub struct OfElements;

/// Takes an idempotency key, and an empty body: none of its fields is required. Document it with
/// `extensions(("x-body" = json!("optional")))`.
#[derive(Debug)]
pub struct OrNothing;

impl CommandRule for Optional {
    const KEY: KeyRule = KeyRule::Optional;
}

impl CommandRule for OrNothing {
    const KEY: KeyRule = KeyRule::Optional;
    const MAY_BE_EMPTY: bool = true;
}

impl CommandRule for Required {
    const KEY: KeyRule = KeyRule::Required;
}

impl CommandRule for Refused {
    const KEY: KeyRule = KeyRule::Refused;
}

impl CommandRule for OfElements {
    const KEY: KeyRule = KeyRule::Refused;
    const LIMIT_BYTES: usize = BATCH_LIMIT_BYTES;
    const ELEMENTS_BY_THEMSELVES: bool = true;
}

/// The body of an authenticated POST with its idempotency key, ready for [`crate::state::AppState::execute`].
#[derive(Debug)]
pub struct Command<T, R: CommandRule = Optional> {
    /// The body.
    pub input: T,
    /// The client's key, where it sent one.
    pub key: Option<Key>,
    /// The request's id.
    pub request_id: String,
    rule: PhantomData<fn() -> R>,
}

/// An operator's batch (billing events, usage reports, container states). Its elements are looked at one by one by the
/// operation, with [`json::from_value`].
pub type Batch<T> = Command<T, OfElements>;

/// The body of a PATCH, PUT, DELETE or public POST, which know no idempotency keys.
#[derive(Debug)]
pub struct Body<T> {
    /// The body.
    pub input: T,
    /// The request's id.
    pub request_id: String,
}

/// For a public POST whose answer holds a secret: it refuses the header, and [`crate::state::AppState::write`] runs it.
impl<T> From<Command<T, Refused>> for Body<T> {
    fn from(command: Command<T, Refused>) -> Self {
        let Command { input, request_id, .. } = command;
        Self { input, request_id }
    }
}

/// The body of an operation without fields: nothing, or `{}`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

impl Validate for NoFields {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

impl<T: DeserializeOwned + Validate + 'static, R: CommandRule> FromRequest for Command<T, R> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let key = Key::of(request, R::KEY);
        let request_id = RequestId::of(request);
        let path = request.path().to_owned();
        let headers = BodyHeaders::of(request);
        let payload = payload.take();
        Box::pin(async move {
            let key = key?;
            let bytes =
                collect_whole(headers, payload, R::LIMIT_BYTES, R::MAY_BE_EMPTY || has_no_fields::<T>()).await?;
            let value = parse::<R>(&bytes)?;
            let key = key.map(|key| key.sealed(&path, &value)).transpose()?;
            let input = if R::ELEMENTS_BY_THEMSELVES { json::of_shape(value)? } else { json::from_value(value)? };
            Ok(Self { input, key, request_id, rule: PhantomData })
        })
    }
}

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Body<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request_id = RequestId::of(request);
        let headers = BodyHeaders::of(request);
        let payload = payload.take();
        Box::pin(async move {
            let bytes = collect_whole(headers, payload, BODY_LIMIT_BYTES, has_no_fields::<T>()).await?;
            let value = json::parse(&bytes)?;
            Ok(Self { input: json::from_value(value)?, request_id })
        })
    }
}

fn has_no_fields<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<NoFields>()
}

/// What the headers say of the body.
struct BodyHeaders {
    content_length: Option<usize>,
    is_json: bool,
}

impl BodyHeaders {
    fn of(request: &HttpRequest) -> Self {
        let headers = request.headers();
        // A header that comes twice says nothing: neither of the two is known to be meant.
        let text = |name| {
            let mut values = headers.get_all(name);
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_plain = !headers.contains_key(header::CONTENT_ENCODING)
            || text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding.eq_ignore_ascii_case("identity"));
        Self {
            content_length: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            // A patch is a JSON Merge Patch, and may say so (RFC 7396, section 4).
            is_json: is_plain
                && (essence.eq_ignore_ascii_case("application/json")
                    || request.method() == Method::PATCH
                        && essence.eq_ignore_ascii_case("application/merge-patch+json")),
        }
    }
}

/// A body as JSON; where its elements stand by themselves, one that cannot be read leaves the others as they are.
fn parse<R: CommandRule>(bytes: &[u8]) -> Result<Value, Problem> {
    json::parse(bytes).or_else(|problem| {
        let salvaged = if R::ELEMENTS_BY_THEMSELVES { elements::salvage(bytes) } else { None };
        salvaged.ok_or(problem)
    })
}

/// A body that says it is JSON. What is left of a body that is refused, the middleware reads and drops.
async fn collect_whole(
    headers: BodyHeaders,
    payload: Payload,
    limit: usize,
    may_be_empty: bool,
) -> Result<web::BytesMut> {
    if headers.content_length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let bytes = tokio::time::timeout(BODY_TIMEOUT, collect(payload, limit))
        .await
        .map_err(|_| Error::refused(Code::RequestTimeout, "the body did not arrive within 30 seconds"))??;
    if bytes.is_empty() {
        if may_be_empty {
            return Ok(web::BytesMut::from("{}"));
        }
        return Err(Error::refused(Code::InvalidJson, "the body is empty; send a JSON object"));
    }
    if !headers.is_json {
        return Err(Error::refused(
            Code::UnsupportedMediaType,
            "send the body as application/json, without a content encoding",
        ));
    }
    Ok(bytes)
}

async fn collect(mut payload: Payload, limit: usize) -> Result<web::BytesMut> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(Code::InvalidRequest, "the body broke off before its end"))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Error {
    Error::refused(Code::PayloadTooLarge, format!("the body is larger than {} MiB", limit >> 20))
}
