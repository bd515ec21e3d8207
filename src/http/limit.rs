//! The limit on requests, told in every answer (IETF draft on `RateLimit` header fields).

use std::fmt::Write;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};

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
    app.limits.requests.take(key(request))
}

fn key(request: &ServiceRequest) -> String {
    if let Some(Authentication::Caller(who)) = request.extensions().get::<Authentication>() {
        return format!("{} {}", who.account_id.map(|id| id.to_string()).unwrap_or_default(), who.actor().id);
    }
    peer(request.peer_addr())
}

/// A network address as the key of a limit: an IPv6 network of 64 bits counts as one, for a client has them all.
#[must_use]
pub fn peer(address: Option<std::net::SocketAddr>) -> String {
    match address.map(|address| address.ip().to_canonical()) {
        Some(std::net::IpAddr::V6(ip)) => {
            ip.segments().iter().take(4).fold(String::new(), |mut network, segment| {
                // Writing to a String cannot fail.
                write!(network, "{segment:x}:").ok();
                network
            })
        }
        Some(ip) => ip.to_string(),
        None => String::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client() {
        let key = |text: &str| peer(text.parse().ok());
        assert_eq!(key("[2001:db8:1:2:3::4]:1"), key("[2001:db8:1:2:ffff::]:2"));
        assert_ne!(key("[2001:db8:1:2::1]:1"), key("[2001:db8:1:3::1]:1"));
        assert_eq!(key("[::ffff:10.0.0.1]:1"), key("10.0.0.1:2"));
    }
}
