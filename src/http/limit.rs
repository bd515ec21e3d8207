//! The limit on requests, told in every answer (IETF draft on `RateLimit` header fields).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};

use super::address::client_key;
use crate::auth::principal::Authentication;
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
        Some(wait) => request.error_response(too_many(allowance.rate, wait)),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    tell(&allowance, response.headers_mut());
    Ok(response)
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

fn tell(allowance: &Allowance, headers: &mut HeaderMap) {
    let policy = format!("\"default\";q={};w={}", allowance.rate.requests, allowance.rate.seconds);
    let left = format!("\"default\";r={};t={}", allowance.remaining, allowance.full_in_s);
    for (name, value) in [(POLICY_HEADER, policy), (LIMIT_HEADER, left)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
