//! An HTTP client of the API, as a partner's script would use it, that checks what every answer must have.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use stape_api::error::Code;

use super::document::assert_named;

static NEXT_KEY: AtomicU32 = AtomicU32::new(1);

/// An idempotency key that nobody has used.
pub fn new_key() -> String {
    format!("key-{}", NEXT_KEY.fetch_add(1, Ordering::Relaxed))
}

/// Nobody sends on a connection that the other side may be closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// A client with or without a credential.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    credential: Option<String>,
}

impl Client {
    /// A client without a credential of the server at `base`.
    pub fn new(base: String) -> Self {
        // Redirects are answers to look at, and no proxy stands between.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_idle_timeout(IDLE_TIMEOUT);
        Self { http: http.build().expect("an HTTP client"), base, credential: None }
    }

    /// The same with an API key or access token.
    pub fn with(&self, credential: &str) -> Self {
        Self { credential: Some(credential.to_owned()), ..self.clone() }
    }

    /// The API key or access token.
    pub fn credential(&self) -> &str {
        self.credential.as_deref().expect("a client with a credential")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    pub async fn head(&self, path: &str) -> Answer {
        self.request(Method::HEAD, path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path).json(body).send().await
    }

    /// A POST without body and content type.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.request(Method::POST, path).send().await
    }

    /// A POST under an idempotency key that nobody has used.
    pub async fn post_once(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path).header("idempotency-key", &new_key()).json(body).send().await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PUT, path).json(body).send().await
    }

    /// Whether a POST was answered with 200; false where the server has gone.
    pub async fn try_post(&self, path: &str, body: &Value) -> bool {
        self.request(Method::POST, path).json(body).try_send().await == Some(200)
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PATCH, path).json(body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// A request to be completed and sent.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let request = Request {
            line: format!("{method} {path}"),
            builder: self.http.request(method, format!("{}{path}", self.base)),
        };
        match &self.credential {
            // A JWT has dots, a key has none; either header takes a key.
            Some(token) if token.contains('.') => request.header("authorization", &format!("Bearer {token}")),
            Some(key) => request.header("x-auth-token", key),
            None => request,
        }
    }

    /// Every row of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}{separator}limit=100{cursor}")).await.expect(200);
            rows.extend(page["data"].as_array().expect("a list has data").iter().cloned());
            let Some(next) = page["nextCursor"].as_str() else { return rows };
            cursor = format!("&cursor={next}");
        }
    }
}

/// A request that is not sent yet.
#[derive(Debug)]
pub struct Request {
    line: String,
    builder: reqwest::RequestBuilder,
}

impl Request {
    pub fn header(self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        let value = HeaderValue::from_str(value).expect("a header value");
        Self { builder: self.builder.header(name, value), ..self }
    }

    pub fn json(self, body: &Value) -> Self {
        Self { builder: self.builder.json(body), ..self }
    }

    /// A body as it is; the content type is a header of its own.
    pub fn bytes(self, body: impl Into<Vec<u8>>) -> Self {
        Self { builder: self.builder.body(body.into()), ..self }
    }

    /// The status of an answer that came whole; none where the server has gone.
    pub async fn try_send(self) -> Option<u16> {
        let answer = self.builder.send().await.ok()?;
        let status = answer.status().as_u16();
        answer.bytes().await.ok().map(|_| status)
    }

    pub async fn send(self) -> Answer {
        let response = self.builder.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.line));
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.line));
        let answer = Answer { line: self.line, status, headers, text };
        answer.assert_form();
        answer
    }
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and path of the request, for messages.
    line: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The JSON body; null where there is none.
    pub fn body(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}: {}", self.line, self.text))
    }

    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a readable header"))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.line, self.text);
        if self.text.is_empty() || !self.header("content-type").contains("json") { Value::Null } else { self.body() }
    }

    /// The body of an answer that must be this problem, with the status that the table of codes gives it.
    #[track_caller]
    pub fn problem(self, code: &str) -> Value {
        let status = Code::ALL.iter().find(|known| known.name() == code).map(|known| known.status());
        assert!(self.status >= 400, "{}: {} instead of {code}: {}", self.line, self.status, self.text);
        let body = self.body();
        assert_eq!(body["code"], code, "{}: {body:#}", self.line);
        assert_eq!(Some(self.status), status, "{}: {body:#}", self.line);
        body
    }

    /// What holds for every answer, whatever was asked.
    fn assert_form(&self) {
        let request_id = self.header("x-request-id");
        assert!(!request_id.is_empty(), "{}: no X-Request-Id", self.line);
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{}", self.line);
        if self.status < 400 {
            self.assert_elements();
            return;
        }
        assert_eq!(self.header("content-type"), "application/problem+json", "{}: {}", self.line, self.text);
        if self.line.starts_with("HEAD ") {
            return;
        }
        let body = self.body();
        let path = self.line.split([' ', '?']).nth(1).unwrap_or_default();
        assert_eq!(body["requestId"], request_id, "{}", self.line);
        assert_eq!(body["status"], self.status, "{}", self.line);
        let instance = body["instance"].as_str().unwrap_or_default();
        let is_whole = if path.len() > 300 { (298..=300).contains(&instance.len()) } else { instance == path };
        assert!(is_whole && path.starts_with(instance), "{}: {instance}", self.line);
        let code = body["code"].as_str().unwrap_or_default();
        assert!(body["type"].as_str().is_some_and(|url| url.ends_with(&format!("/docs/errors/{code}"))), "{body:#}");
        assert_named(&self.line, self.status, code);
        for name in ["title", "detail"] {
            assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{}: no {name}", self.line);
        }
        assert!(body["errors"].is_array(), "{}: errors is always a list", self.line);
        for word in ["diesel", "actix", "sqlite", "postgres", "panicked", "src/"] {
            assert!(!self.text.to_lowercase().contains(word), "{}: {word} in {}", self.line, self.text);
        }
    }

    /// The document names why elements of a batch are rejected, too.
    fn assert_elements(&self) {
        if !self.text.starts_with("{\"results\":") {
            return;
        }
        for result in self.body()["results"].as_array().into_iter().flatten() {
            if let Some(code) = result["problem"]["code"].as_str() {
                assert_named(&self.line, self.status, code);
            }
        }
    }
}

/// Where the broken rules of a problem are: the pointers or parameters of its `errors`, sorted.
pub fn places(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("a problem has errors");
    let place = |error: &'_ Value| error["pointer"].as_str().is_some();
    let mut places: Vec<&str> = errors
        .iter()
        .map(|error| &error[if place(error) { "pointer" } else { "parameter" }])
        .map(|place| place.as_str().expect("an error says where"))
        .collect();
    places.sort_unstable();
    places
}
