//! Query strings as types: every parameter at most once, and a bad value is named.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::contract::unknown_parameters;
use super::json::shape_violation;
use super::page::Page;
use crate::error::{Code, Error, Problem, Result, Violation, shorten};

/// Most values that one parameter may list.
pub const MAX_VALUES: usize = 100;

/// Most parameters that a refusal names in its sentence.
const MAX_NAMED: usize = 10;

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
        let mut violations = unknown_parameters(request);
        let filters = pairs(request.query_string(), &mut violations);
        let input = typed(&filters, &mut violations);
        ready(input.filter(|_| violations.is_empty()).map(Self).ok_or_else(|| refused(violations)))
    }
}

impl<T: DeserializeOwned> FromRequest for Filter<T> {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let mut violations = unknown_parameters(request);
        let (page, filters) = Page::take_from(request, &mut violations);
        let filter = typed(&filters, &mut violations);
        let whole = page.zip(filter).filter(|_| violations.is_empty());
        ready(whole.map(|(page, filter)| Self { filter, page }).ok_or_else(|| refused(violations)))
    }
}

/// The parameters of a query string, without those that are violations already, and those that become violations because they
/// come twice, are no UTF-8 or hold U+0000.
pub(super) fn pairs(query: &str, violations: &mut Vec<Violation>) -> Pairs {
    let sent: Pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    // The same ones before they were decoded, which put U+FFFD for what is no character.
    let encoded = query.split('&').filter(|pair| !pair.is_empty());
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (name, _) in &sent {
        *times.entry(name).or_default() += 1;
    }
    let mut told: HashSet<String> = violations.iter().filter_map(|violation| violation.parameter.clone()).collect();
    let mut pairs = Pairs::new();
    for ((name, value), encoded) in sent.iter().zip(encoded) {
        if told.contains(&shorten(name.clone())) {
            continue;
        }
        let refused = if times.get(name.as_str()).is_some_and(|times| *times > 1) {
            Some(("duplicate", "must be there only once; separate several values with commas"))
        } else if percent_decode_str(encoded).decode_utf8().is_err() {
            Some(("encoding", "must be UTF-8, percent-encoded"))
        } else if value.contains('\0') {
            Some(("nullCharacter", "must not contain the character U+0000"))
        } else {
            None
        };
        match refused {
            Some((code, detail)) => {
                told.insert(shorten(name.clone()));
                violations.push(Violation::parameter(name, code, detail));
            }
            None => pairs.push((name.clone(), value.clone())),
        }
    }
    pairs
}

/// Parameters as a type, if all fit: each that does not is a violation.
pub(super) fn typed<T: DeserializeOwned>(pairs: &Pairs, violations: &mut Vec<Violation>) -> Option<T> {
    let mut violation = match fitted(pairs) {
        Ok(input) => return Some(input),
        Err(violation) => violation,
    };
    // What does not fit is left out, and the rest looked at.
    let mut left = pairs.clone();
    loop {
        let present = left.len();
        left.retain(|(name, _)| violation.parameter.as_ref() != Some(name));
        let was_there = left.len() < present;
        if !violations.iter().any(|known| known.parameter == violation.parameter) {
            violations.push(violation);
        }
        match fitted::<T>(&left) {
            Err(next) if was_there => violation = next,
            _ => return None,
        }
    }
}

fn fitted<T: DeserializeOwned>(pairs: &Pairs) -> Result<T, Violation> {
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let violation = shape_violation(error.path(), error.inner());
        let name = violation.pointer.unwrap_or_default();
        Violation::parameter(name.trim_start_matches('/'), violation.code, violation.detail)
    })
}

/// 400 naming all parameters that do not fit: `unknownParameter` where one is unknown, `invalidCursor` where that is all, else
/// `invalidParameter`.
#[must_use]
pub(super) fn refused(violations: Vec<Violation>) -> Error {
    let name = |violation: &Violation| violation.parameter.clone().unwrap_or_default();
    let detail = match violations.as_slice() {
        [one] => format!("{} {}", name(one), one.detail),
        many => {
            let names: Vec<String> = many.iter().take(MAX_NAMED).map(name).collect();
            let more = if many.len() > names.len() { " and others" } else { "" };
            format!("{}{more} do not fit; see errors", names.join(", "))
        }
    };
    let is = |code: Code| move |violation: &Violation| violation.code == code.name();
    let code = if violations.iter().any(is(Code::UnknownParameter)) {
        Code::UnknownParameter
    } else if violations.iter().all(is(Code::InvalidCursor)) {
        Code::InvalidCursor
    } else {
        Code::InvalidParameter
    };
    Problem { violations, ..Problem::new(code, detail) }.into()
}

/// 400 `invalidParameter` naming `name`.
#[must_use]
pub fn invalid_parameter(name: &str, code: &str, detail: &str) -> Error {
    refused(vec![Violation::parameter(name, code, detail)])
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

/// Several values in one parameter, separated by commas, any of which may fit; none of them is empty.
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
        text.split(',').map(|word| value(word.trim())).collect::<Result<_, E>>().map(OneOf)
    }
}

fn value<T: FromStr<Err: fmt::Display>, E: serde::de::Error>(word: &str) -> Result<T, E> {
    let value = word.parse().map_err(E::custom)?;
    if word.is_empty() { Err(E::custom("must not hold an empty value")) } else { Ok(value) }
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
        word: Option<OneOf<String>>,
        needed: bool,
    }

    fn read(query: &str) -> Result<Filters, Vec<Violation>> {
        let mut violations = Vec::new();
        let filters = typed(&pairs(query, &mut violations), &mut violations);
        filters.filter(|_| violations.is_empty()).ok_or(violations)
    }

    fn refused(query: &str) -> Vec<(String, String)> {
        let violations = read(query).unwrap_err();
        assert_eq!(super::refused(violations.clone()).problem().code, Code::InvalidParameter);
        violations.into_iter().map(|violation| (violation.parameter.unwrap(), violation.code)).collect()
    }

    fn named(name: &str, code: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), code.to_owned())]
    }

    #[test]
    fn a_refusal_names_a_few_parameters_in_its_sentence_and_the_rest_in_its_errors() {
        let query: Vec<String> = (0..12).map(|number| format!("p{number}=%FF")).collect();
        let error = super::refused(read(&query.join("&")).unwrap_err());
        let problem = error.problem();
        assert!(
            problem.detail.starts_with("p0, p1, ") && problem.detail.contains("p9 and others do not fit"),
            "{}",
            problem.detail
        );
        assert!(problem.violations.len() >= 12, "{:?}", problem.violations);
    }

    #[test]
    fn several_values_stand_in_one_parameter() {
        let filters = read("needed=true&kind=agency,partner&word=one,+two&atLeast=3").unwrap();
        assert_eq!(filters.kind.unwrap().0.len(), 2);
        assert_eq!(filters.word.unwrap().0, ["one", "two"]);
        assert_eq!((filters.at_least, filters.needed), (Some(3), true));
    }

    #[test]
    fn a_invalid_parameter_is_named() {
        assert_eq!(refused("needed=true&atLeast=x"), named("atLeast", "malformed"));
        assert_eq!(refused("needed=true&kind=agency,other"), named("kind", "malformed"));
        for empty in ["kind=", "kind=agency,", "word=", "word=%20", "word=,", "word=one,,two"] {
            let name = empty.split_once('=').unwrap().0;
            assert_eq!(refused(&format!("needed=true&{empty}")), named(name, "malformed"), "{empty}");
        }
        assert_eq!(refused("needed=maybe"), named("needed", "malformed"));
        assert_eq!(refused(""), named("needed", "required"));
    }

    #[test]
    fn a_parameter_comes_once() {
        assert_eq!(refused("needed=true&needed=true&needed=false"), named("needed", "duplicate"));
    }

    #[test]
    fn a_parameter_that_is_no_utf_8_is_named_and_another_one_is_read() {
        for bytes in ["%FF", "a%C3", "%ED%A0%80", "+%80+"] {
            assert_eq!(refused(&format!("needed=true&&atLeast={bytes}")), named("atLeast", "encoding"));
        }
        assert_eq!(refused("needed=true&a%FF=1"), named("a\u{fffd}", "encoding"));
        assert!(read("needed=true&other=%EF%BF%BD+%C3%A4ä&&").is_ok());
    }

    #[test]
    fn all_parameters_that_do_not_fit_are_named() {
        let all = [named("needed", "duplicate"), named("kind", "malformed"), named("atLeast", "malformed")].concat();
        assert_eq!(refused("needed=true&kind=x&needed=true&atLeast=y"), all);
        assert_eq!(refused("kind=x"), [named("kind", "malformed"), named("needed", "required")].concat());
    }
}
