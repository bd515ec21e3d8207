//! Query strings as types: every parameter at most once, and a bad value is named.

use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::json::shape_violation;
use super::page::Page;
use crate::error::{Code, Error, Problem, Result, Violation};

/// Most values that one parameter may list.
pub const MAX_VALUES: usize = 100;

/// Longest text that a search takes.
const MAX_SEARCH_CHARS: usize = 254;

/// Names and decoded values in the order of the query string.
pub(super) type Pairs = Vec<(String, String)>;

/// The query parameters of an operation that is no list.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// A list's filters and its page.
#[derive(Debug)]
pub struct Filter<T> {
    /// The filters.
    pub filter: T,
    /// The page.
    pub page: Page,
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(pairs(request.query_string()).and_then(|pairs| typed(&pairs)).map(Self))
    }
}

impl<T: DeserializeOwned> FromRequest for Filter<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Page::take_from(request).and_then(|(page, filters)| Ok(Self { filter: typed(&filters)?, page })))
    }
}

/// The parameters of a query string.
///
/// # Errors
/// 400 `invalidParameter`: one that comes twice, or that holds U+0000.
pub(super) fn pairs(query: &str) -> Result<Pairs> {
    let pairs: Pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if pairs.iter().skip(index + 1).any(|(other, _)| other == name) {
            return Err(invalid_parameter(
                name,
                "duplicate",
                "must be there only once; separate several values with commas",
            ));
        }
        if value.contains('\0') {
            return Err(invalid_parameter(name, "nullCharacter", "must not contain the character U+0000"));
        }
    }
    Ok(pairs)
}

/// Parameters as a type.
///
/// # Errors
/// 400 `invalidParameter` naming the first that does not fit.
pub(super) fn typed<T: DeserializeOwned>(pairs: &Pairs) -> Result<T> {
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let violation = shape_violation(error.path(), error.inner());
        let name = violation.pointer.unwrap_or_default();
        invalid_parameter(name.trim_start_matches('/'), &violation.code, &violation.detail)
    })
}

/// 400 `invalidParameter` naming `name`.
#[must_use]
pub fn invalid_parameter(name: &str, code: &str, detail: &str) -> Error {
    Problem::new(Code::InvalidParameter, format!("{name} {detail}"))
        .with(Violation::parameter(name, code, detail))
        .into()
}

/// What a search looks for, trimmed: at most 254 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchWords(String);

impl SearchWords {
    /// The words, if there are any.
    #[must_use]
    pub fn some(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|words| !words.is_empty())
    }
}

impl<'de> Deserialize<'de> for SearchWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().count() > MAX_SEARCH_CHARS {
            return Err(serde::de::Error::custom(format!("must have at most {MAX_SEARCH_CHARS} characters")));
        }
        Ok(Self(text.trim().to_owned()))
    }
}

/// Several values in one parameter, separated by commas, any of which may fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOf<T>(pub Vec<T>);

impl OneOf<String> {
    /// The ids among the words. A malformed one is left out: as a filter it finds nothing.
    #[must_use]
    pub fn ids<K: FromStr>(self) -> Vec<K> {
        self.0.iter().filter_map(|word| word.parse().ok()).collect()
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CommaSeparated(PhantomData))
    }
}

struct CommaSeparated<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for CommaSeparated<T> {
    type Value = OneOf<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("values separated by commas")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOf<T>, E> {
        if text.split(',').count() > MAX_VALUES {
            return Err(E::custom(format!("must list at most {MAX_VALUES} values")));
        }
        text.split(',').map(|word| word.trim().parse().map_err(E::custom)).collect::<Result<_, E>>().map(OneOf)
    }
}

impl<T: ToSchema> PartialSchema for OneOf<T> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).min_items(Some(1)).max_items(Some(MAX_VALUES)).into()
    }
}

impl<T: ToSchema> ToSchema for OneOf<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Filters {
        at_least: Option<u32>,
        kind: Option<OneOf<crate::accounts::AccountKind>>,
        needed: bool,
    }

    fn refused(query: &str) -> (String, String) {
        let error = pairs(query).and_then(|pairs| typed::<Filters>(&pairs)).unwrap_err();
        let violation = error.problem().violations.remove(0);
        assert_eq!(error.problem().code, Code::InvalidParameter);
        (violation.parameter.unwrap(), violation.code)
    }

    fn named(name: &str, code: &str) -> (String, String) {
        (name.to_owned(), code.to_owned())
    }

    #[test]
    fn several_values_stand_in_one_parameter() {
        let filters: Filters = typed(&pairs("needed=true&kind=agency,partner&atLeast=3").unwrap()).unwrap();
        assert_eq!(filters.kind.unwrap().0.len(), 2);
        assert_eq!((filters.at_least, filters.needed), (Some(3), true));
    }

    #[test]
    fn a_invalid_parameter_is_named() {
        assert_eq!(refused("needed=true&atLeast=x"), named("atLeast", "malformed"));
        assert_eq!(refused("needed=true&kind=agency,other"), named("kind", "malformed"));
        assert_eq!(refused("needed=true&kind="), named("kind", "malformed"));
        assert_eq!(refused("needed=maybe"), named("needed", "malformed"));
        assert_eq!(refused(""), named("needed", "required"));
    }

    #[test]
    fn a_parameter_comes_once() {
        assert_eq!(refused("needed=true&needed=true"), named("needed", "duplicate"));
    }
}
