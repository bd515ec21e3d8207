//! Pages of lists: `limit`, and a cursor that is bound to the path, the filters and the caller.
//!
//! A cursor is no secret and grants nothing; it is opaque so that it can change, and bound so that a mistake is told.

use std::fmt::Display;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use url::form_urlencoded;

use super::contract::unknown_parameters;
use super::query::{Pairs, pairs, refused};
use crate::auth::principal::Authentication;
use crate::crypto::sha256;
use crate::error::{Code, Error, Result, Violation};

/// Rows of a page when the client does not say.
const DEFAULT_LIMIT: i64 = 25;
/// Most rows of a page.
const MAX_LIMIT: i64 = 100;
/// What most rows take as JSON at most, so that a page grows into its place once.
const ROW_BYTES: usize = 1024;
/// Bytes of the digest in a cursor.
const SEAL_BYTES: usize = 12;

/// `limit` and `cursor` of a list. By itself the extractor of a list without filters.
#[derive(Debug, Clone)]
pub struct Page {
    /// How many rows at most; a service asks for [`Page::fetch`].
    pub limit: i64,
    /// Key of the last row of the page before, as the list gave it to [`Page::rows`].
    pub after: Option<String>,
    binding: Binding,
}

/// What a cursor belongs to.
#[derive(Debug, Clone)]
struct Binding {
    path: String,
    /// All parameters but `cursor` and `limit`, sorted.
    filters: Pairs,
    account: String,
    limit_as_sent: Option<String>,
}

impl Page {
    /// The page that a request asks for, if its parameters fit: else they are violations. And all other parameters.
    pub(super) fn take_from(request: &HttpRequest, violations: &mut Vec<Violation>) -> (Option<Self>, Pairs) {
        let mut filters = pairs(request.query_string(), violations);
        let mut take =
            |name: &str| filters.iter().position(|(other, _)| other == name).map(|index| filters.swap_remove(index).1);
        let (limit_as_sent, cursor) = (take("limit"), take("cursor"));
        filters.sort_unstable();
        let mut fitting = |result: Result<_, Violation>| result.map_err(|violation| violations.push(violation)).ok();
        let limit = fitting(limit_as_sent.as_deref().map_or(Ok(DEFAULT_LIMIT), parse_limit));
        let account = caller_of(request);
        let binding = Binding { path: request.path().to_owned(), filters: filters.clone(), account, limit_as_sent };
        let after = match cursor.map(|cursor| binding.open(&cursor)).transpose() {
            Ok(after) => after,
            Err(violation) => {
                violations.push(violation);
                return (None, filters);
            }
        };
        (limit.map(|limit| Self { limit, after, binding }), filters)
    }

    /// How many rows to fetch: one more than are shown tells whether there is another page.
    #[must_use]
    pub const fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// [`Page::after`] as the key that it was.
    ///
    /// # Errors
    /// 400 `invalidCursor`.
    pub fn after_key<K: FromStr>(&self) -> Result<Option<K>> {
        self.after.as_deref().map(|key| key.parse().map_err(|_| refused(vec![foreign_cursor()]))).transpose()
    }

    /// What tells this page from all others: the SHA-256 of the caller, the list, its filters, the limit and the cursor.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let limit = self.binding.limit_as_sent.as_deref().unwrap_or_default();
        match &self.after {
            Some(after) => self.binding.digest(&[limit, after]),
            None => self.binding.digest(&[limit]),
        }
    }

    /// At most [`Page::limit`] of `rows`, with the cursor behind the last of them, whose key is `key(row)`.
    #[must_use]
    pub fn rows<T, K: Display>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Rows<T> {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > shown;
        rows.truncate(shown);
        let last = rows.last().filter(|_| has_more);
        let next_cursor = last.map(|row| self.binding.seal(&key(row).to_string()));
        let next_link = next_cursor.as_deref().map(|cursor| self.binding.link(cursor));
        Rows { data: rows, has_more, next_cursor, next_link }
    }

    /// [`Page::rows`] as they are answered.
    ///
    /// # Errors
    /// Rows that cannot be serialised.
    pub fn listing<T: Serialize, K: Display>(&self, rows: Vec<T>, key: impl Fn(&T) -> K) -> Result<Listing> {
        self.rows(rows, key).listing()
    }
}

impl FromRequest for Page {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let mut violations = unknown_parameters(request);
        let (page, _) = Self::take_from(request, &mut violations);
        ready(page.filter(|_| violations.is_empty()).ok_or_else(|| refused(violations)))
    }
}

impl Binding {
    fn seal(&self, key: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([self.sealing(key).as_slice(), key.as_bytes()].concat())
    }

    fn open(&self, cursor: &str) -> Result<String, Violation> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| foreign_cursor())?;
        let (digest, key) = bytes.split_at_checked(SEAL_BYTES).ok_or_else(foreign_cursor)?;
        let key = std::str::from_utf8(key).map_err(|_| foreign_cursor())?;
        if digest == self.sealing(key) { Ok(key.to_owned()) } else { Err(foreign_cursor()) }
    }

    fn sealing(&self, key: &str) -> [u8; SEAL_BYTES] {
        let mut short = [0; SEAL_BYTES];
        short.iter_mut().zip(self.digest(&[key])).for_each(|(short, byte)| *short = byte);
        short
    }

    /// Every part goes in with its length, so that no two lists have the same bytes.
    fn digest(&self, places: &[&str]) -> [u8; 32] {
        let filters = self.filters.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let mut bytes = Vec::new();
        for part in [self.path.as_str(), &self.account].into_iter().chain(places.iter().copied()).chain(filters) {
            bytes.extend_from_slice(&part.len().to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        sha256(&bytes)
    }

    /// The next page's path and query.
    fn link(&self, cursor: &str) -> String {
        let limit = self.limit_as_sent.iter().map(|limit| ("limit", limit.as_str()));
        let filters = self.filters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(filters.chain(limit).chain([("cursor", cursor)]))
            .finish();
        format!("{}?{query}", self.path)
    }
}

fn parse_limit(text: &str) -> Result<i64, Violation> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Violation::parameter("limit", "range", "must be a whole number from 1 to 100"))
}

fn foreign_cursor() -> Violation {
    let detail = "is not a cursor of this list with these filters";
    Violation::parameter("cursor", Code::InvalidCursor.name(), detail)
}

/// Whose list it is; operators share theirs.
fn caller_of(request: &HttpRequest) -> String {
    match request.extensions().get::<Authentication>() {
        Some(Authentication::Caller(who)) => who.account_id.map(|id| id.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The rows of one page.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
    /// For `cursor`, to get them.
    pub next_cursor: Option<String>,
    #[serde(skip)]
    next_link: Option<String>,
}

impl<T> Rows<T> {
    /// The same page with each row in another form.
    #[must_use]
    pub fn map<U>(self, form: impl FnMut(T) -> U) -> Rows<U> {
        let Self { data, has_more, next_cursor, next_link } = self;
        Rows { data: data.into_iter().map(form).collect(), has_more, next_cursor, next_link }
    }
}

impl<T: Serialize> Rows<T> {
    /// The page as it is answered.
    ///
    /// # Errors
    /// Rows that cannot be serialised.
    pub fn listing(self) -> Result<Listing> {
        self.listing_as(|rows| rows)
    }

    /// [`Rows::listing`] in another form, which has the rows and more.
    ///
    /// # Errors
    /// What cannot be serialised.
    pub fn listing_as<B: Serialize>(self, form: impl FnOnce(Self) -> B) -> Result<Listing> {
        let mut body = Vec::with_capacity(ROW_BYTES * (self.data.len() + 1));
        let next_link = self.next_link.clone();
        serde_json::to_writer(&mut body, &form(self)).map_err(Error::internal)?;
        Ok(Listing { body: body.into(), next_link })
    }
}

/// One page of a list as it is answered. It is written where its rows are read, on the database's thread: their texts lie in that
/// core's caches, and what one thread allocated another one frees at a price.
#[derive(Debug, Clone)]
pub struct Listing {
    body: Bytes,
    next_link: Option<String>,
}

impl Listing {
    /// How long the body is.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The same in no more memory than it needs, to be kept: a body was given more than it would take.
    #[must_use]
    pub fn compact(&self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), next_link: self.next_link.clone() }
    }
}

impl Responder for Listing {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(link) = &self.next_link {
            response.insert_header((header::LINK, format!("<{link}>; rel=\"next\"")));
        }
        response.content_type(header::ContentType::json()).body(self.body)
    }
}

/// Names the list type of a resource for the OpenAPI document: `list_type!(CommissionList, Commission, "One page …")`.
#[macro_export]
macro_rules! list_type {
    ($name:ident, $row:ty, $description:literal) => {
        #[doc = $description]
        #[derive(Debug, serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// The rows of this page.
            #[schema(max_items = 100)]
            pub data: Vec<$row>,
            /// Whether there are more rows behind this page.
            #[schema(example = false)]
            pub has_more: bool,
            /// Send it as `cursor` to get the next page; null on the last page.
            #[schema(required = true, example = json!(null))]
            pub next_cursor: Option<String>,
        }
    };
}
pub use list_type;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn page(uri: &str) -> Result<Page> {
        Page::extract(&TestRequest::with_uri(uri).to_http_request()).into_inner()
    }

    fn cursor_of(uri: &str) -> String {
        page(uri).unwrap().rows((1..=101).collect(), |row: &i64| *row).next_cursor.unwrap()
    }

    #[test]
    fn a_cursor_leads_on_with_the_same_filters_in_any_order_and_another_limit() {
        let cursor = cursor_of("/v3/things?a=1&b=2&limit=2");
        let next = page(&format!("/v3/things?b=2&a=1&limit=7&cursor={cursor}")).unwrap();
        assert_eq!((next.after.as_deref(), next.limit), (Some("2"), 7));
        assert_eq!(next.after_key::<i64>().unwrap(), Some(2));
        assert!(next.after_key::<crate::id::AccountId>().is_err());
    }

    #[test]
    fn a_foreign_or_tampered_cursor_is_refused() {
        let cursor = cursor_of("/v3/things?a=1");
        let mut tampered = BASE64_URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        *tampered.last_mut().unwrap() ^= 1;
        let tampered = BASE64_URL_SAFE_NO_PAD.encode(tampered);
        for uri in [
            format!("/v3/things?a=2&cursor={cursor}"),
            format!("/v3/things?cursor={cursor}"),
            format!("/v3/others?a=1&cursor={cursor}"),
            format!("/v3/things?a=1&cursor={tampered}"),
            "/v3/things?a=1&cursor=".to_owned(),
            "/v3/things?a=1&cursor=%F0%9F%92%A9".to_owned(),
        ] {
            assert_eq!(page(&uri).unwrap_err().problem().code, Code::InvalidCursor, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn any_other_text_is_no_cursor(
            text in "[\\PC]{0,60}",
            place in any::<prop::sample::Index>(),
            character in "[0-9A-Za-z_-]",
        ) {
            let is_refused = |cursor: &str| {
                let encoded: String = form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
                let refused = page(&format!("/v3/things?a=1&cursor={encoded}"));
                refused.is_err_and(|error| error.problem().code == Code::InvalidCursor)
            };
            prop_assert!(is_refused(&text));
            let cursor = cursor_of("/v3/things?a=1");
            let mut changed = cursor.clone();
            let place = place.index(cursor.len());
            changed.replace_range(place..=place, &character);
            prop_assert_eq!(is_refused(&changed), changed != cursor);
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = page("/v3/things?limit=3").unwrap();
        let last = page.rows(vec![1, 2, 3], |row| *row);
        assert_eq!((last.has_more, last.next_cursor, last.next_link), (false, None, None));
        let more = page.rows(vec![1, 2, 3, 4], |row| *row);
        assert_eq!((more.data.len(), more.has_more), (3, true));
        assert!(more.next_link.unwrap().starts_with("/v3/things?limit=3&cursor="));
    }

    #[test]
    fn a_limit_is_1_to_100() {
        for limit in ["0", "101", "-1", "x", "", "1.5"] {
            assert_eq!(page(&format!("/?limit={limit}")).unwrap_err().problem().code, Code::InvalidParameter);
        }
        assert_eq!((page("/").unwrap().limit, page("/?limit=100").unwrap().limit), (25, 100));
    }
}
