//! What happens around every request: its id, HEAD as GET, problems, security headers, measurements, one line in the log.
//!
//! Nothing here holds a clone of the request while it is routed, which actix forbids. The log line names account and
//! credential by their ids and holds no header, query or body.

use std::cell::RefCell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;

use super::payload::SharedPayload;
use super::problem::render;
use super::request::{CameAsHead, RequestId};
use crate::auth::principal::Authentication;
use crate::clock::Timestamp;
use crate::error::{Cause, Error};
use crate::panics;
use crate::state::AppState;

/// The header with the request's id.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost middleware.
///
/// # Errors
/// Only the finished answer to a request that panicked, for which actix has no other way.
pub async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let visit = Visit::start(&mut request);
    let app = request.app_data::<web::Data<AppState>>().map(|app| app.clone().into_inner());
    let _in_flight = app.as_ref().map(|app| app.metrics.enter());
    let body = SharedPayload::of(&mut request);
    let result = next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    if let Some(body) = body.filter(|_| !is_too_slow(&result)) {
        body.drain().await;
    }
    match result {
        Ok(response) => {
            let (request, response) = response.into_parts();
            let response = visit.finish(Some(&request), app.as_deref(), response);
            Ok(ServiceResponse::new(request, response))
        }
        Err(error) => Err(Finished::from(visit.finish(None, app.as_deref(), error.error_response())).into()),
    }
}

/// Refuses the wrong method of a path without parameters, and guards what is behind it as [`survive`] does.
///
/// # Errors
/// What the inner service returns, and a panic.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<AppState>>();
    if let Some(problem) = app.and_then(|app| app.contract.misused_literal(request.path(), request.method())) {
        return Ok(request.error_response(Error::from(problem)));
    }
    survive(request, next).await
}

/// Makes a panic an error, which is answered as 500.
///
/// # Errors
/// What the inner service returns, and a panic.
pub async fn survive(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    // What a panicking handler held is dropped with it; the shared state locks or swaps whole values.
    let call = AssertUnwindSafe(async move { next.call(request).await });
    let result = call.catch_unwind().await.unwrap_or_else(|panic| Err(panics::caught(panic.as_ref()).into()));
    result.map(ServiceResponse::map_into_boxed_body)
}

/// Answers what reached no operation: 405 with `Allow`, or 404.
///
/// # Errors
/// Always that.
pub async fn no_operation(request: HttpRequest, app: web::Data<AppState>) -> Result<HttpResponse, Error> {
    Err(app.contract.refusal(request.path()).into())
}

/// Whether nobody shall wait any longer for the rest of the body.
fn is_too_slow(result: &Result<ServiceResponse<BoxBody>, actix_web::Error>) -> bool {
    result.as_ref().is_ok_and(|response| response.status() == StatusCode::REQUEST_TIMEOUT)
}

/// What is known of a request before it is routed.
struct Visit {
    request_id: String,
    method: Method,
    path: String,
    came_as_head: bool,
    started: Instant,
}

impl Visit {
    fn start(request: &mut ServiceRequest) -> Self {
        let request_id = request_id(request.headers());
        request.extensions_mut().insert(RequestId(request_id.clone()));
        let came_as_head = request.method() == Method::HEAD;
        if came_as_head {
            request.head_mut().method = Method::GET;
            request.extensions_mut().insert(CameAsHead);
        }
        let (method, path) = (request.method().clone(), request.path().to_owned());
        Self { request_id, method, path, came_as_head, started: Instant::now() }
    }

    /// Completes the answer, measures it and writes it down. `request` is missing after a panic.
    fn finish(
        &self,
        request: Option<&HttpRequest>,
        app: Option<&AppState>,
        response: HttpResponse<BoxBody>,
    ) -> HttpResponse<BoxBody> {
        self.log_cause(&response);
        let mut response = render(response, &self.path, &self.request_id);
        let pattern = request.and_then(HttpRequest::match_pattern);
        let is_public = app
            .is_none_or(|app| pattern.as_deref().is_none_or(|pattern| app.contract.is_public(pattern, &self.method)));
        self.add_headers(response.headers_mut(), is_public);
        let route = pattern.as_deref().unwrap_or("unmatched");
        let elapsed = self.started.elapsed();
        if let Some(app) = app {
            app.metrics.observe(&self.method, route, response.status(), elapsed);
        }
        self.log(request, route, response.status(), elapsed);
        if response.body().size() != BodySize::Stream {
            return response;
        }
        if self.came_as_head {
            // Nobody would read the stream, so nothing shall be made for it, nor is its length known.
            return response.set_body(BoxBody::new(actix_web::body::None::new()));
        }
        if request.is_none_or(|request| request.version() < Version::HTTP_11) {
            // Such a client knows no chunks: the end of the connection is the end of the body (RFC 9112, 6.1).
            response.head_mut().no_chunking(true);
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap, is_public: bool) {
        if let Ok(value) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID_HEADER, value);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if !(is_public && headers.contains_key(header::CACHE_CONTROL)) {
            // A public resource with a tag may be kept, but is asked for again.
            let may_be_kept = is_public && headers.contains_key(header::ETAG);
            let caching = if may_be_kept { "no-cache" } else { "no-store" };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        }
    }

    fn log_cause(&self, response: &HttpResponse<BoxBody>) {
        if let Some(Cause(cause)) = response.extensions().get() {
            log::error!(requestId = self.request_id.as_str(); "{cause}");
        }
    }

    fn log(&self, request: Option<&HttpRequest>, route: &str, status: StatusCode, elapsed: Duration) {
        if !log::log_enabled!(target: "stape_api::request", log::Level::Info) {
            return;
        }
        let (account, credential) = request.map(caller).unwrap_or_default();
        let method = if self.came_as_head { "HEAD" } else { self.method.as_str() };
        log::info!(
            target: "stape_api::request",
            method, route, status = status.as_u16(), durationMs = elapsed.as_secs_f64() * 1000.0,
            requestId = self.request_id.as_str(), account = account.as_str(), credential = credential.as_str();
            "{method} {route} {}", status.as_u16()
        );
    }
}

/// Ids of the caller's account and credential, empty where there are none.
fn caller(request: &HttpRequest) -> (String, String) {
    match request.extensions().get::<Authentication>() {
        Some(Authentication::Caller(who)) => {
            (who.account_id.map(|id| id.to_string()).unwrap_or_default(), who.actor().id)
        }
        _ => Default::default(),
    }
}

/// The client's id if it is well-formed, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_well_formed = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let sent = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok()).filter(is_well_formed);
    sent.map_or_else(new_request_id, ToOwned::to_owned)
}

/// A ULID: 48 bits of the machine's time, then chance.
fn new_request_id() -> String {
    let unix_ms = u64::try_from(Timestamp::machine().unix_micros() / 1000).unwrap_or_default();
    let random = u128::from_le_bytes(crate::crypto::random_bytes()) >> 48;
    ulid::Ulid((u128::from(unix_ms) << 80) | random).to_string()
}

/// An answer that travels as an error, for there is no request left to answer to.
struct Finished(RefCell<Option<HttpResponse>>);

impl From<HttpResponse> for Finished {
    fn from(response: HttpResponse) -> Self {
        Self(RefCell::new(Some(response)))
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Finished")
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the answer to a request that failed")
    }
}

impl ResponseError for Finished {
    fn error_response(&self) -> HttpResponse {
        self.0.take().unwrap_or_else(|| HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID_HEADER, HeaderValue::from_str(sent).unwrap());
        request_id(&headers)
    }

    #[actix_web::test]
    async fn a_panic_is_a_problem_with_the_requests_id() {
        use actix_web::middleware::from_fn;

        async fn panics() -> HttpResponse {
            panic!("a secret")
        }
        let app = actix_web::App::new().route("/panics", web::get().to(panics));
        let app = actix_web::test::init_service(app.wrap(from_fn(guard)).wrap(from_fn(edge))).await;
        let request = actix_web::test::TestRequest::with_uri("/panics").insert_header((REQUEST_ID_HEADER, "mine"));
        let response =
            actix_web::test::try_call_service(&app, request.to_request()).await.unwrap_err().error_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers().get(REQUEST_ID_HEADER).unwrap(), "mine");
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["code"], &body["instance"]), (&"internalError".into(), &"/panics".into()));
        assert!(!body.to_string().contains("secret"));
    }

    #[test]
    fn a_well_formed_request_id_is_kept_and_another_is_replaced() {
        assert_eq!(id_for("a.B_c-1"), "a.B_c-1");
        for odd in ["", "a b", "a/b", &"x".repeat(129)] {
            assert_eq!(id_for(odd).len(), 26, "{odd}");
        }
        assert_ne!(new_request_id(), new_request_id());
    }
}
