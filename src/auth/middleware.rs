//! Finds the caller of a request and leaves it, or why there is none, for the extractor that authorises. It refuses
//! nothing itself: public operations under `/v3` take no notice of credentials.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};

use super::authenticator::{self, Authenticator};
use super::principal::{Authentication, Principal};
use crate::api_keys::secret;
use crate::error::{Code, Error, Problem, Result};
use crate::state::AppState;

const API_KEY_HEADER: &str = "x-auth-token";

/// The middleware, for `actix_web::middleware::from_fn`.
///
/// # Errors
/// Only what the inner service returns.
pub async fn middleware<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if is_guarded(request.path()) {
        let authentication = authentication(request.request()).await;
        request.extensions_mut().insert(authentication);
    }
    next.call(request).await
}

fn is_guarded(path: &str) -> bool {
    path.starts_with("/v3/") || path == "/metrics"
}

/// Who stands behind the credential of a request.
async fn authentication(request: &HttpRequest) -> Authentication {
    authentication_by(request, async |authenticator, credential| authenticator.authenticate(credential).await).await
}

/// Who stands by now behind the credential of a request that was admitted.
pub(super) async fn readmission(request: &HttpRequest) -> Authentication {
    authentication_by(request, async |authenticator, credential| authenticator.readmit(credential).await).await
}

async fn authentication_by(
    request: &HttpRequest,
    authenticate: impl AsyncFnOnce(&Authenticator, &str) -> Result<Arc<Principal>>,
) -> Authentication {
    let Some(app) = request.app_data::<web::Data<AppState>>() else {
        return refused(&Error::internal("the application has no state"));
    };
    let credential = match credential(request.headers()) {
        Ok(credential) => credential,
        Err(problem) => return Authentication::Refused(problem),
    };
    match authenticate(&app.authenticator, &credential).await {
        Ok(principal) => Authentication::Caller(principal),
        Err(error) => refused(&error),
    }
}

fn refused(error: &Error) -> Authentication {
    if !matches!(error, Error::Problem(_)) {
        log::error!("authentication: {error}");
    }
    Authentication::Refused(error.problem())
}

/// The one credential that the headers carry.
fn credential(headers: &HeaderMap) -> Result<String, Problem> {
    let keys = headers.get_all(API_KEY_HEADER).map(|value| value.to_str().ok().and_then(api_key));
    let bearers = headers.get_all(AUTHORIZATION).map(|value| value.to_str().ok().and_then(bearer));
    let mut sent: Vec<Option<&str>> = keys.chain(bearers).collect();
    sent.dedup();
    match sent.as_slice() {
        [] => Err(Problem::new(
            Code::AuthenticationRequired,
            "send an API key in X-AUTH-TOKEN, or an API key or access token in Authorization: Bearer",
        )),
        [Some(credential)] => Ok((*credential).to_owned()),
        several if several.iter().all(Option::is_some) => {
            Err(Problem::new(Code::ConflictingCredentials, "two different credentials were sent; send one"))
        }
        _ => Err(authenticator::invalid().problem()),
    }
}

/// `X-AUTH-TOKEN` takes API keys alone.
fn api_key(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|key| key.starts_with(secret::PREFIX))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn outcome(sent: &[(&'static str, &'static str)]) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        credential(&headers).map_err(|problem| problem.code)
    }

    #[test]
    fn a_key_goes_in_either_header_and_a_token_in_authorization_alone() {
        assert_eq!(outcome(&[("x-auth-token", "stp_1")]), Ok("stp_1".to_owned()));
        assert_eq!(outcome(&[("authorization", "Bearer stp_1")]), Ok("stp_1".to_owned()));
        assert_eq!(outcome(&[("authorization", "bearer  a.b.c ")]), Ok("a.b.c".to_owned()));
        assert_eq!(outcome(&[("x-auth-token", "a.b.c")]), Err(Code::InvalidCredentials));
    }

    #[test]
    fn the_same_credential_twice_is_one_and_two_different_ones_conflict() {
        assert_eq!(outcome(&[("x-auth-token", "stp_1"), ("authorization", "Bearer stp_1")]), Ok("stp_1".to_owned()));
        let conflict = Err(Code::ConflictingCredentials);
        assert_eq!(outcome(&[("x-auth-token", "stp_1"), ("authorization", "Bearer stp_2")]), conflict);
        assert_eq!(outcome(&[("x-auth-token", "stp_1"), ("x-auth-token", "stp_2")]), conflict);
        assert_eq!(outcome(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), conflict);
    }

    #[test]
    fn none_is_required_and_an_odd_one_is_invalid() {
        assert_eq!(outcome(&[]), Err(Code::AuthenticationRequired));
        for odd in ["", "Bearer", "Bearer ", "Basic dXNlcg==", "Bearer a b", "stp_1", "Bearer \u{e9}"] {
            assert_eq!(outcome(&[("authorization", odd)]), Err(Code::InvalidCredentials), "{odd:?}");
        }
        assert_eq!(outcome(&[("x-auth-token", "")]), Err(Code::InvalidCredentials));
        assert_eq!(outcome(&[("x-auth-token", "stp_1"), ("authorization", "Basic x")]), Err(Code::InvalidCredentials));
    }
}
