//! The limit on requests, told in every answer (IETF draft on `RateLimit` header fields), but where another one refused.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};

use super::address::client_key;
use crate::auth::principal::Authentication;
use crate::error::{Problem, ReachedLimit};
use crate::rate_limit::{Allowance, too_many};
use crate::state::AppState;

/// The header that tells the limit.
pub const POLICY_HEADER: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The header that tells what is left of it.
pub const LIMIT_HEADER: HeaderName = HeaderName::from_static("ratelimit");

/// Takes one request from the caller's bucket. Behind the authentication, for the bucket is the credential's, or the
/// network address's where there is none. Health and metrics are never refused.
///
/// # Errors
/// What the inner service returns.
pub async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(allowance) = take(&request) else { return Ok(next.call(request).await?.map_into_boxed_body()) };
    let mut response = match allowance.retry_in_s {
        Some(wait) => request.error_response(too_many(allowance.policy, allowance.rate, wait)),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let told = refusing_limit(&response).filter(|_| allowance.retry_in_s.is_none()).unwrap_or_else(|| of(&allowance));
    tell(&told, response.headers_mut());
    Ok(response)
}

/// What the headers tell.
struct Told {
    limit: ReachedLimit,
    remaining: u32,
    /// Until it is whole again, or until the refused one may come.
    seconds: u64,
}

fn of(allowance: &Allowance) -> Told {
    let Allowance { policy, rate, remaining, full_in_s, retry_in_s } = *allowance;
    let limit = ReachedLimit { policy, requests: rate.requests.get(), seconds: rate.seconds.get() };
    Told { limit, remaining, seconds: retry_in_s.unwrap_or(full_in_s) }
}

/// The limit by which the operation itself refused: who was told of the caller's bucket, which is far from empty, would come
/// again at once.
fn refusing_limit(response: &ServiceResponse<BoxBody>) -> Option<Told> {
    let extensions = response.response().extensions();
    let problem = extensions.get::<Problem>()?;
    Some(Told { limit: problem.limit?, remaining: 0, seconds: problem.retry_after_s? })
}

fn take(request: &ServiceRequest) -> Option<Allowance> {
    let is_watching = request.path() == "/metrics" || request.path().starts_with("/health/");
    let app = request.app_data::<web::Data<AppState>>().filter(|_| !is_watching)?;
    app.limits.requests.take(key(app, request))
}

fn key(app: &AppState, request: &ServiceRequest) -> String {
    if let Some(Authentication::Caller(who)) = request.extensions().get::<Authentication>() {
        return format!("{} {}", who.account_id.map(|id| id.to_string()).unwrap_or_default(), who.actor().id);
    }
    client_key(app, request.request())
}

fn tell(told: &Told, headers: &mut HeaderMap) {
    let ReachedLimit { policy, requests, seconds } = told.limit;
    let left = format!("\"{policy}\";r={};t={}", told.remaining, told.seconds);
    let policy = format!("\"{policy}\";q={requests};w={seconds}");
    for (name, value) in [(POLICY_HEADER, policy), (LIMIT_HEADER, left)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
