//! Problems as answers: the body that only the request's path and id complete, and the headers that go with it.

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::error::{Code, Problem};

/// The content type of every refusal and failure.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Gives an answer of 400 and above the form of a problem, whoever made it; others stay as they are.
pub(super) fn render<B: MessageBody + 'static>(
    response: HttpResponse<B>,
    path: &str,
    request_id: &str,
) -> HttpResponse<BoxBody> {
    let carried = response.extensions().get::<Problem>().cloned();
    let Some(problem) = carried.or_else(|| foreign_problem(&response)) else { return response.map_into_boxed_body() };
    let body = problem.body(path, request_id);
    let json = serde_json::to_vec(&body).unwrap_or_else(|error| {
        log::error!("a problem that cannot be serialised: {error}");
        Vec::new()
    });
    let mut rendered = response.map_body(|head, _body| {
        head.status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        BoxBody::new(json)
    });
    describe(&problem, rendered.headers_mut());
    rendered
}

/// What stands behind an answer that is no problem though its status says so.
fn foreign_problem<B>(response: &HttpResponse<B>) -> Option<Problem> {
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    // The statuses that actix and its extractors answer by themselves.
    let code = match status.as_u16() {
        401 => Code::AuthenticationRequired,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        413 => Code::PayloadTooLarge,
        415 => Code::UnsupportedMediaType,
        429 => Code::RateLimited,
        503 => Code::ServiceUnavailable,
        400..=499 => Code::InvalidRequest,
        _ => Code::InternalError,
    };
    Some(Problem::new(code, code.title()))
}

fn describe(problem: &Problem, headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = problem.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    match problem.code {
        Code::AuthenticationRequired => challenge(headers, r#"Bearer realm="stape""#),
        code if code.status() == 401 => challenge(headers, r#"Bearer realm="stape", error="invalid_token""#),
        _ => {}
    }
}

fn challenge(headers: &mut HeaderMap, challenge: &'static str) {
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::body::to_bytes;

    use super::*;
    use crate::error::Error;

    async fn rendered(response: HttpResponse) -> (HttpResponse<()>, serde_json::Value) {
        let response = render(response, "/v3/x", "abc");
        let (response, body) = response.into_parts();
        (response, serde_json::from_slice(&to_bytes(body).await.unwrap()).unwrap())
    }

    #[actix_web::test]
    async fn a_refusal_becomes_a_problem_with_path_and_request_id() {
        let error = Error::from(Problem::new(Code::RateLimited, "wait").retry_after(7));
        let (response, body) = rendered(error.error_response()).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers().get("retry-after").unwrap(), "7");
        assert_eq!(response.headers().get("content-type").unwrap(), PROBLEM_JSON);
        assert_eq!(body["instance"], "/v3/x");
        assert_eq!(body["requestId"], "abc");
        assert_eq!(body["code"], "rateLimited");
        assert_eq!(body["type"], "/docs/errors/rateLimited");
    }

    #[actix_web::test]
    async fn a_frameworks_own_error_becomes_a_problem_without_its_words() {
        let (response, body) = rendered(HttpResponse::BadGateway().body("actix said so")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["code"], "internalError");
        assert!(!body.to_string().contains("actix"));
    }

    #[actix_web::test]
    async fn who_has_no_credential_is_told_how_to_send_one() {
        let error = Error::refused(Code::InvalidCredentials, "no");
        let (response, _) = rendered(error.error_response()).await;
        assert!(response.headers().get("www-authenticate").unwrap().to_str().unwrap().starts_with("Bearer "));
    }
}
