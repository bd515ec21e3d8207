//! Entity tags: an answer that the client has already is 304, and a change to a resource that has changed is 412.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::crypto::sha256;
use crate::error::{Code, Error, Result};

/// 200 with `body` and its `ETag`, or 304 when `If-None-Match` names it.
///
/// # Errors
/// A body that cannot be serialised.
pub fn conditional(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse> {
    let json = serde_json::to_vec(body).map_err(Error::internal)?;
    Ok(conditional_bytes(request, "application/json", json))
}

/// [`conditional`] for an answer that is no JSON, such as a badge.
#[must_use]
pub fn conditional_bytes(request: &HttpRequest, content_type: &str, body: Vec<u8>) -> HttpResponse {
    let tag = tag_of_bytes(&body);
    answer(request, tag, content_type, body)
}

/// [`conditional`] with an entity tag that does not follow from the body alone.
///
/// # Errors
/// A body that cannot be serialised.
pub fn conditional_tagged(request: &HttpRequest, tag: String, body: &impl Serialize) -> Result<HttpResponse> {
    let json = serde_json::to_vec(body).map_err(Error::internal)?;
    Ok(answer(request, tag, "application/json", json))
}

fn answer(request: &HttpRequest, tag: String, content_type: &str, body: Vec<u8>) -> HttpResponse {
    if Condition::of(request.headers(), &header::IF_NONE_MATCH).is_some_and(|condition| condition.names_weakly(&tag)) {
        return HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish();
    }
    HttpResponse::Ok().insert_header((header::ETAG, tag)).content_type(content_type).body(body)
}

/// The entity tag of a resource.
///
/// # Errors
/// A resource that cannot be serialised.
pub fn etag(resource: &impl Serialize) -> Result<String> {
    serde_json::to_vec(resource).map(|json| tag_of_bytes(&json)).map_err(Error::internal)
}

/// The entity tag of a resource that has counters besides what its owner sets: the tag of `settings`, and that of `whole`.
/// A read compares both, so that what a client keeps is never stale; [`IfMatch::check_first_half`] compares the first alone,
/// so that counting is no conflict.
///
/// # Errors
/// A resource that cannot be serialised.
pub fn etag_in_two(settings: &impl Serialize, whole: &impl Serialize) -> Result<String> {
    Ok(format!("{}.{}", etag(settings)?.trim_end_matches('"'), etag(whole)?.trim_start_matches('"')))
}

fn tag_of_bytes(bytes: &[u8]) -> String {
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(sha256(bytes)))
}

/// The request's `If-Match`, to be checked in the transaction of the change, against the resource as it was.
#[derive(Debug, Clone)]
pub struct IfMatch(Option<Condition>);

impl IfMatch {
    /// Refuses a change to a resource that is not the one the client saw. Without the header any will do.
    ///
    /// # Errors
    /// 412 `preconditionFailed`.
    pub fn check(&self, resource: &impl Serialize) -> Result<()> {
        match &self.0 {
            Some(condition) if !condition.names(&etag(resource)?) => Err(changed()),
            _ => Ok(()),
        }
    }

    /// [`IfMatch::check`] for a tag of [`etag_in_two`]: whether the settings are still those that the client saw.
    ///
    /// # Errors
    /// 412 `preconditionFailed`.
    pub fn check_first_half(&self, settings: &impl Serialize) -> Result<()> {
        let present = etag(settings)?;
        let names = |tag: &String| {
            tag == "*" || tag.split_once('.').is_some_and(|(half, _)| half == present.trim_end_matches('"'))
        };
        match &self.0 {
            Some(Condition(tags)) if !tags.iter().any(names) => Err(changed()),
            _ => Ok(()),
        }
    }

    /// For an operation that cannot do without the header, before [`IfMatch::check`].
    ///
    /// # Errors
    /// 428 `preconditionRequired`.
    pub fn required(&self) -> Result<()> {
        if self.0.is_none() {
            return Err(Error::refused(Code::PreconditionRequired, "send If-Match with the resource's ETag"));
        }
        Ok(())
    }
}

fn changed() -> Error {
    Error::refused(Code::PreconditionFailed, "the resource is not the one that If-Match names")
}

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Ok(Self(Condition::of(request.headers(), &header::IF_MATCH))))
    }
}

/// A list of entity tags, or `*` (RFC 9110 section 13.1).
#[derive(Debug, Clone)]
struct Condition(Vec<String>);

impl Condition {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut values = headers.get_all(name).peekable();
        values.peek()?;
        let tags = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
        // The tags made here hold no comma, so a list may be split at each.
        Some(Self(tags.map(|tag| tag.trim().to_owned()).collect()))
    }

    /// Strong comparison, for `If-Match`.
    fn names(&self, wanted: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag == wanted)
    }

    /// Weak comparison, for `If-None-Match`.
    fn names_weakly(&self, wanted: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == wanted)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    fn status(if_none_match: &str) -> StatusCode {
        let request = TestRequest::default().insert_header((header::IF_NONE_MATCH, if_none_match)).to_http_request();
        conditional(&request, &[1, 2]).unwrap().status()
    }

    fn code(if_match: Option<&str>, resource: &impl Serialize) -> Option<Code> {
        let request = if_match
            .into_iter()
            .fold(TestRequest::default(), |request, value| request.insert_header((header::IF_MATCH, value)));
        let condition = IfMatch(Condition::of(request.to_http_request().headers(), &header::IF_MATCH));
        condition.required().and_then(|()| condition.check(resource)).err().map(|error| error.problem().code)
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let tag = etag(&[1, 2]).unwrap();
        for value in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            assert_eq!(status(&value), StatusCode::NOT_MODIFIED, "{value}");
        }
        assert_eq!(status("\"other\""), StatusCode::OK);
    }

    #[test]
    fn counting_is_news_for_a_read_and_no_conflict_for_a_change() {
        let (before, after) = (etag_in_two(&["a"], &["a", "1"]).unwrap(), etag_in_two(&["a"], &["a", "2"]).unwrap());
        assert_ne!(before, after);
        let condition = |tag: &str| IfMatch(Some(Condition(vec![tag.to_owned()])));
        for tag in [before.as_str(), after.as_str(), "*"] {
            assert!(condition(tag).check_first_half(&["a"]).is_ok(), "{tag}");
        }
        for tag in [before.as_str(), "\"a\"", "W/\"a.b\""] {
            assert!(condition(tag).check_first_half(&["b"]).is_err(), "{tag}");
        }
        assert!(IfMatch(None).check_first_half(&["b"]).is_ok());
    }

    #[test]
    fn a_change_wants_the_tag_of_the_present_resource() {
        let tag = etag(&[1]).unwrap();
        assert_eq!(code(Some(&tag), &[1]), None);
        assert_eq!(code(Some("*"), &[1]), None);
        assert_eq!(code(Some(&tag), &[2]), Some(Code::PreconditionFailed));
        assert_eq!(code(Some(&format!("W/{tag}")), &[1]), Some(Code::PreconditionFailed));
        assert_eq!(code(None, &[1]), Some(Code::PreconditionRequired));
    }
}
