//! What the OpenAPI document says of paths, methods and query parameters, as tables for requests that break it.
//!
//! Read once from the text that is served, so that the two cannot differ. HEAD counts wherever GET does.

use std::collections::{BTreeMap, HashMap, HashSet};

use actix_web::http::Method;
use actix_web::{HttpRequest, web};
use serde::Deserialize;
use url::form_urlencoded;

use super::query::refused;
use crate::error::{Code, Error, MAX_ERRORS, Problem, Result, Violation};
use crate::state::AppState;

/// What of an OpenAPI document is read here.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, PathItem>,
    #[serde(default)]
    components: Components,
}

#[derive(Default, Deserialize)]
struct Components {
    #[serde(default)]
    parameters: HashMap<String, Parameter>,
}

#[derive(Deserialize)]
struct PathItem {
    delete: Option<Operation>,
    get: Option<Operation>,
    patch: Option<Operation>,
    post: Option<Operation>,
    put: Option<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(default)]
    security: Vec<HashMap<String, Vec<String>>>,
}

/// A parameter, or where it stands.
#[derive(Deserialize)]
struct Parameter {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    name: Option<String>,
    #[serde(rename = "in")]
    location: Option<String>,
}

/// Every path of the document with its operations.
#[derive(Debug)]
pub struct Contract {
    /// Paths without parameters, and where they stand in `paths`: they win over those with.
    literal: HashMap<String, usize>,
    /// By the path as the document and actix's patterns spell it.
    spelled: HashMap<String, usize>,
    paths: Vec<PathRules>,
}

#[derive(Debug)]
struct PathRules {
    segments: Vec<Segment>,
    /// For `Allow`.
    allow: String,
    operations: BTreeMap<&'static str, Rules>,
}

#[derive(Debug)]
struct Rules {
    query_names: Vec<String>,
    is_public: bool,
}

/// What stands between two slashes: text, or a parameter between fixed text.
#[derive(Debug)]
enum Segment {
    Literal(String),
    Parameter { before: String, after: String },
}

impl Contract {
    /// The tables of an OpenAPI document.
    ///
    /// # Errors
    /// A text that is none.
    pub fn of(document: &str) -> Result<Self> {
        let document: Document = serde_json::from_str(document).map_err(Error::internal)?;
        let mut contract = Self { literal: HashMap::new(), spelled: HashMap::new(), paths: Vec::new() };
        for (path, item) in &document.paths {
            let index = contract.paths.len();
            if !path.contains('{') {
                contract.literal.insert(path.clone(), index);
            }
            contract.spelled.insert(path.clone(), index);
            contract.paths.push(PathRules::of(path, item, &document.components));
        }
        Ok(contract)
    }

    /// Why a request that reached no operation has none: 405 with `Allow`, or 404.
    #[must_use]
    pub fn refusal(&self, path: &str) -> Problem {
        let literal = self.literal.get(path).and_then(|index| self.paths.get(*index));
        match literal.or_else(|| self.paths.iter().find(|rules| rules.matches(path))) {
            Some(rules) => rules.method_refusal(),
            None => Problem::new(Code::NotFound, "there is no such path"),
        }
    }

    /// The refusal of a method that a path without parameters lacks, before a path with parameters could catch it:
    /// `/v3/sub-accounts/attach` is no sub-account.
    #[must_use]
    pub fn misused_literal(&self, path: &str, method: &Method) -> Option<Problem> {
        let rules = self.paths.get(*self.literal.get(path)?)?;
        (!rules.operations.contains_key(method.as_str())).then(|| rules.method_refusal())
    }

    /// Whether anybody may call the operation behind a route's pattern. What the document does not know is.
    #[must_use]
    pub fn is_public(&self, pattern: &str, method: &Method) -> bool {
        self.rules(pattern, method).is_none_or(|rules| rules.is_public)
    }

    fn rules(&self, pattern: &str, method: &Method) -> Option<&Rules> {
        self.paths.get(*self.spelled.get(pattern)?)?.operations.get(method.as_str())
    }
}

impl PathRules {
    fn of(path: &str, item: &PathItem, components: &Components) -> Self {
        let PathItem { delete, get, patch, post, put } = item;
        let operations = [("DELETE", delete), ("GET", get), ("PATCH", patch), ("POST", post), ("PUT", put)];
        let rules = |operation: &Option<Operation>| operation.as_ref().map(|one| Rules::of(one, components));
        let operations: BTreeMap<_, _> =
            operations.into_iter().filter_map(|(method, operation)| Some((method, rules(operation)?))).collect();
        let mut allow: Vec<&str> = operations.keys().copied().collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        Self { segments: path.split('/').map(Segment::of).collect(), allow: allow.join(", "), operations }
    }

    fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        self.segments.iter().all(|segment| parts.next().is_some_and(|part| segment.matches(part)))
            && parts.next().is_none()
    }

    fn method_refusal(&self) -> Problem {
        let mut problem = Problem::new(Code::MethodNotAllowed, format!("the path takes {}", self.allow));
        problem.allow = Some(self.allow.clone());
        problem
    }
}

impl Rules {
    fn of(operation: &Operation, components: &Components) -> Self {
        let parameters = operation.parameters.iter().filter_map(|one| one.resolved(components));
        let in_query = parameters.filter(|parameter| parameter.location.as_deref() == Some("query"));
        Self {
            query_names: in_query.filter_map(|parameter| parameter.name.clone()).collect(),
            is_public: operation.security.iter().all(HashMap::is_empty),
        }
    }
}

impl Segment {
    fn of(text: &str) -> Self {
        match text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
            Some((before, after)) => Self::Parameter { before: before.to_owned(), after: after.to_owned() },
            None => Self::Literal(text.to_owned()),
        }
    }

    fn matches(&self, part: &str) -> bool {
        match self {
            Self::Literal(text) => text == part,
            Self::Parameter { before, after } => part
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(|value| !value.is_empty()),
        }
    }
}

impl Parameter {
    fn resolved<'a>(&'a self, components: &'a Components) -> Option<&'a Self> {
        let Some(reference) = &self.reference else { return Some(self) };
        components.parameters.get(reference.strip_prefix("#/components/parameters/")?)
    }
}

/// Refuses all query parameters of an operation that takes none. Those of others are read, and refused with all that is wrong
/// with them.
///
/// # Errors
/// 400 `unknownParameter` naming each.
pub fn refuse_any_parameter(request: &HttpRequest) -> Result<()> {
    match query_names(request) {
        Some([]) => {
            let unknown = unknown_parameters(request);
            if unknown.is_empty() { Ok(()) } else { Err(refused(unknown)) }
        }
        _ => Ok(()),
    }
}

/// The query parameters that the document does not know for the matched operation.
pub(super) fn unknown_parameters(request: &HttpRequest) -> Vec<Violation> {
    let Some(known) = query_names(request) else { return Vec::new() };
    let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let detail = format!("is not a parameter of this operation, which takes {takes}");
    let sent = form_urlencoded::parse(request.query_string().as_bytes()).map(|(name, _)| name);
    let mut told = HashSet::new();
    let unknown = sent.filter(|name| !known.iter().any(|known| known == name) && told.insert(name.clone()));
    unknown
        .take(MAX_ERRORS)
        .map(|name| Violation::parameter(name, Code::UnknownParameter.name(), detail.clone()))
        .collect()
}

/// The names that the document has; none where there is nothing to be known or the document does not know the operation.
fn query_names(request: &HttpRequest) -> Option<&[String]> {
    let app = request.app_data::<web::Data<AppState>>().filter(|_| !request.query_string().is_empty())?;
    Some(&app.contract.rules(&request.match_pattern()?, request.method())?.query_names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contract() -> Contract {
        let open = json!({"security": [{}]});
        let document = json!({
            "openapi": "3.1.0",
            "paths": {
                "/v3/things/{thingId}": {
                    "get": {"parameters": [{"$ref": "#/components/parameters/Limit"}, {"name": "thingId", "in": "path"}],
                        "security": [{"apiKey": ["things:read"]}]},
                    "patch": open,
                },
                "/v3/things/attach": {"post": open},
                "/badge/{code}.svg": {"get": {}},
            },
            "components": {"parameters": {"Limit": {"name": "limit", "in": "query"}}},
        });
        Contract::of(&document.to_string()).unwrap()
    }

    #[test]
    fn parameters_of_the_query_and_public_operations_are_known() {
        let contract = contract();
        assert_eq!(contract.rules("/v3/things/{thingId}", &Method::GET).unwrap().query_names, ["limit"]);
        let public =
            [("/v3/things/{thingId}", Method::PATCH), ("/badge/{code}.svg", Method::GET), ("/else", Method::GET)];
        assert!(public.iter().all(|(path, method)| contract.is_public(path, method)));
        assert!(!contract.is_public("/v3/things/{thingId}", &Method::GET));
    }

    fn allow(path: &str) -> Option<String> {
        contract().refusal(path).allow
    }

    #[test]
    fn a_known_path_names_its_methods_and_head_with_get() {
        assert_eq!(allow("/v3/things/x").as_deref(), Some("GET, PATCH, HEAD"));
        assert_eq!(allow("/v3/things/attach").as_deref(), Some("POST"));
        assert_eq!(allow("/badge/x.svg").as_deref(), Some("GET, HEAD"));
    }

    #[test]
    fn an_unknown_path_is_404() {
        for path in ["/v3/things", "/v3/things/", "/v3/things/x/y", "/badge/x", "/badge/.svg", "/", ""] {
            assert_eq!(contract().refusal(path).code, Code::NotFound, "{path}");
        }
    }

    #[test]
    fn a_path_without_parameters_is_not_taken_for_one_with() {
        assert!(contract().misused_literal("/v3/things/attach", &Method::PATCH).is_some());
        assert!(contract().misused_literal("/v3/things/attach", &Method::POST).is_none());
        assert!(contract().misused_literal("/v3/things/x", &Method::POST).is_none());
    }
}
