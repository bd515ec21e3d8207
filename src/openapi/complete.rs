//! What follows for each operation from the conventions of the API, so that no feature repeats it.
//!
//! A feature can say more with extensions: `x-idempotency` (`required`, `refused`), `x-conditional` (`read`: answers an
//! `ETag`; `change`: takes `If-Match`; `changeRequired`: cannot do without it), and its own refusals ([`problems`]).

use utoipa::openapi::path::{Operation, Parameter, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Components, Content, OpenApi, PathItem, Ref, RefOr, Required, ResponseBuilder};

use super::shared::{BEARER, header_ref, parameters, scheme_of};
use super::{is_public, problems};
use crate::http::MAX_VALUES;

const IDEMPOTENCY: &str = "x-idempotency";
const CONDITIONAL: &str = "x-conditional";
/// What [`super::readable`] lists as kinds of accounts.
pub(super) const ACCOUNTS: &str = "x-accounts";

/// What is answered as a file, under a name of its own.
const FILES: [&str; 2] = ["text/csv", "application/x-ndjson"];

/// Completes every operation of `document`.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    problems::describe_problem(components);
    let components = components.clone();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations_mut(item) {
            let facts = Facts::of(path, method, operation, &components);
            add_parameters(&facts, operation, &components);
            problems::add(&facts, operation);
            add_unchanged(&facts, operation);
            add_headers(&facts, operation);
            free_of_fields(operation);
            add_bearer(operation);
        }
    }
}

/// The operations of a path with their methods in capitals.
fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("DELETE", &mut item.delete),
        ("GET", &mut item.get),
        ("PATCH", &mut item.patch),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What decides about an operation's conventions.
pub(super) struct Facts<'a> {
    pub(super) path: &'a str,
    pub(super) method: &'a str,
    pub(super) is_public: bool,
    pub(super) is_list: bool,
    pub(super) key: IdempotencyKey,
    pub(super) conditional: Conditional,
    pub(super) is_for_partners: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IdempotencyKey {
    None,
    Optional,
    Required,
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditional {
    No,
    Read,
    Change,
    ChangeRequired,
}

impl<'a> Facts<'a> {
    fn of(path: &'a str, method: &'a str, operation: &mut Operation, components: &Components) -> Self {
        let is_public = is_public(operation);
        let key = match extension(operation, IDEMPOTENCY).as_deref() {
            Some("required") => IdempotencyKey::Required,
            Some("refused") => IdempotencyKey::Refused,
            None if method == "POST" && !is_public => IdempotencyKey::Optional,
            _ => IdempotencyKey::None,
        };
        let conditional = match extension(operation, CONDITIONAL).as_deref() {
            Some("read") => Conditional::Read,
            Some("change") => Conditional::Change,
            Some("changeRequired") => Conditional::ChangeRequired,
            _ => Conditional::No,
        };
        let is_list = method == "GET" && is_list(operation, components);
        let is_for_partners = extension(operation, ACCOUNTS).as_deref() == Some("partner");
        Self { path, method, is_public, is_list, key, conditional, is_for_partners }
    }
}

fn extension(operation: &Operation, name: &str) -> Option<String> {
    operation.extensions.as_ref()?.get(name)?.as_str().map(ToOwned::to_owned)
}

/// Whether the successful answer is a page: it has a `nextCursor`.
fn is_list(operation: &Operation, components: &Components) -> bool {
    let Some(RefOr::T(response)) = operation.responses.responses.get("200") else { return false };
    let Some(RefOr::T(content)) = response.content.get("application/json") else { return false };
    match content.schema.as_ref().and_then(|schema| resolve(schema, components)) {
        Some(Schema::Object(object)) => object.properties.contains_key("nextCursor"),
        _ => false,
    }
}

fn resolve<'a>(schema: &'a RefOr<Schema>, components: &'a Components) -> Option<&'a Schema> {
    match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => {
            let name = reference.ref_location.strip_prefix("#/components/schemas/")?;
            resolve(components.schemas.get(name)?, components)
        }
    }
}

fn add_parameters(facts: &Facts, operation: &mut Operation, components: &Components) {
    let mut wanted = Vec::new();
    if facts.is_list {
        wanted.extend(["Limit", "Cursor"]);
    }
    match facts.key {
        IdempotencyKey::Optional => wanted.push("IdempotencyKey"),
        IdempotencyKey::Required => wanted.push("RequiredIdempotencyKey"),
        IdempotencyKey::None | IdempotencyKey::Refused => {}
    }
    match facts.conditional {
        Conditional::Read => wanted.push("IfNoneMatch"),
        Conditional::Change => wanted.push("IfMatch"),
        Conditional::ChangeRequired => wanted.push("RequiredIfMatch"),
        Conditional::No => {}
    }
    let present = operation.parameters.get_or_insert_default();
    for parameter in present.iter_mut() {
        if let RefOr::T(parameter) = parameter {
            expand_one_of(parameter);
            separate_by_commas(parameter, components);
        }
    }
    for (component, parameter) in parameters() {
        let is_there = |one: &RefOr<Parameter>| matches!(one, RefOr::T(one) if one.name == parameter.name);
        if wanted.contains(&component) && !present.iter().any(is_there) {
            present.push(RefOr::Ref(Ref::new(format!("#/components/parameters/{component}"))));
        }
    }
    if present.is_empty() {
        operation.parameters = None;
    }
}

/// utoipa refers to `OneOf<T>` by a name that no component has.
fn expand_one_of(parameter: &mut Parameter) {
    let Some(RefOr::Ref(reference)) = &parameter.schema else { return };
    if let Some(item) = reference.ref_location.strip_prefix("#/components/schemas/OneOf_") {
        let values =
            ArrayBuilder::new().items(Ref::from_schema_name(item)).min_items(Some(1)).max_items(Some(MAX_VALUES));
        parameter.schema = Some(values.into());
    }
}

/// Several values of one query parameter are separated by commas; there is at least one.
fn separate_by_commas(parameter: &mut Parameter, components: &Components) {
    let is_array = match parameter.schema.as_ref().and_then(|schema| resolve(schema, components)) {
        Some(Schema::Array(_)) => true,
        Some(Schema::Object(object)) => object.schema_type == SchemaType::Type(Type::Array),
        _ => false,
    };
    if is_array && matches!(parameter.parameter_in, ParameterIn::Query) {
        parameter.style = Some(ParameterStyle::Form);
        parameter.explode = Some(false);
        if let Some(RefOr::T(Schema::Array(values))) = &mut parameter.schema {
            (values.min_items, values.max_items) = (Some(1), Some(MAX_VALUES));
        }
    }
}

fn add_unchanged(facts: &Facts, operation: &mut Operation) {
    if facts.conditional == Conditional::Read {
        let unchanged = ResponseBuilder::new().description("You have this version already").build();
        operation.responses.responses.entry("304".to_owned()).or_insert_with(|| unchanged.into());
    }
}

fn add_headers(facts: &Facts, operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let is_success = status.starts_with('2');
        let is_file = FILES.iter().any(|content_type| response.content.contains_key(*content_type));
        let mut add = |condition: bool, component: &str| {
            if condition && let Some((name, header)) = header_ref(component) {
                response.headers.entry(name).or_insert(header);
            }
        };
        add(true, "XRequestId");
        add(true, "RateLimit");
        add(true, "RateLimitPolicy");
        add(is_success && is_file, "ContentDisposition");
        add(status == "201", "Location");
        add(is_success && facts.is_list, "Link");
        add(
            is_success && matches!(facts.key, IdempotencyKey::Optional | IdempotencyKey::Required),
            "IdempotentReplayed",
        );
        add(facts.conditional != Conditional::No && matches!(status.as_str(), "200" | "304"), "ETag");
    }
}

/// A body without fields may be left out.
fn free_of_fields(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let is_no_fields = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => schema.ref_location.ends_with("/NoFields"),
        _ => false,
    };
    if body.content.values().all(is_no_fields) {
        body.required = Some(Required::False);
    }
}

/// Whoever may come with an API key may come with it, or with a token, as a bearer; a login's token is one of those.
fn add_bearer(operation: &mut Operation) {
    let Some(security) = &mut operation.security else { return };
    let by_bearer: Vec<_> = security.iter().filter_map(scheme_of).filter(|(scheme, _)| scheme != BEARER).collect();
    security.extend(by_bearer.into_iter().map(|(_, scopes)| SecurityRequirement::new(BEARER, scopes)));
}
