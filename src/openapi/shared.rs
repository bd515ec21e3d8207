//! The parts of the document that operations share: security schemes, problems, headers and parameters.

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ComponentsBuilder, Header, Ref, RefOr, Required};

use super::problems;
use crate::error::{ProblemBody, Violation};

/// An API key in Stape's own header.
pub(super) const API_KEY: &str = "apiKey";
/// An API key or access token.
pub(super) const BEARER: &str = "bearer";
/// An access token of a person's login.
pub(super) const SESSION: &str = "session";

/// Headers of answers: component, name on the wire, type, description, example.
const HEADERS: &[(&str, &str, Type, &str, &str)] = &[
    (
        "XRequestId",
        "X-Request-Id",
        Type::String,
        "The request's id: your own, or one that was made.",
        "01KB0H6Q4N7ZJ8R5T3V9WXY2AC",
    ),
    (
        "RateLimitPolicy",
        "RateLimit-Policy",
        Type::String,
        "The limit of the credential, `default`: so many requests (`q`) in so many seconds (`w`). With 429, the limit that \
         refused, by its own name.",
        "\"default\";q=6000;w=60",
    ),
    (
        "RateLimit",
        "RateLimit",
        Type::String,
        "What is left of that limit (`r`), and the seconds until it is whole again (`t`); with 429, until the next try may \
         come.",
        "\"default\";r=5999;t=1",
    ),
    (
        "ETag",
        "ETag",
        Type::String,
        "Names this version of the resource, for `If-None-Match` and `If-Match`.",
        "\"o5Hk3Jt2vDkGm0yQ9r1cXb7eLwN8sTzAqUuVfYxPiRM\"",
    ),
    (
        "Location",
        "Location",
        Type::String,
        "Path of the new resource.",
        "/v3/sub-accounts/acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC",
    ),
    (
        "IdempotentReplayed",
        "Idempotent-Replayed",
        Type::String,
        "`true` when an earlier request with the same key got this answer first.",
        "true",
    ),
    (
        "Link",
        "Link",
        Type::String,
        "Address of the next page, if there is one.",
        "</v3/commissions?cursor=AAAA>; rel=\"next\"",
    ),
    (
        "ContentDisposition",
        "Content-Disposition",
        Type::String,
        "The name of the file, where the answer is one.",
        "attachment; filename=\"commissions.csv\"",
    ),
    ("RetryAfter", "Retry-After", Type::Integer, "Seconds to wait before the next try.", "1"),
    ("WwwAuthenticate", "WWW-Authenticate", Type::String, "How to authenticate.", "Bearer realm=\"stape\""),
];

/// Parameters: component, name on the wire, place, description, schema.
pub(super) fn parameters() -> Vec<(&'static str, Parameter)> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let parameter = |name: &str, place, required, description: &str, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(required)
            .description(Some(description))
            .schema(Some(schema.build()))
            .build()
    };
    let key = || {
        text().min_length(Some(1)).max_length(Some(255)).pattern(Some("^[ -~]+$")).examples([json!("b7c9-payout-1")])
    };
    let tag = || text().examples([json!("\"o5Hk3Jt2vDkGm0yQ9r1cXb7eLwN8sTzAqUuVfYxPiRM\"")]);
    let limit =
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(100)).default(Some(json!(25)));
    let cursor =
        text().min_length(Some(1)).pattern(Some("^[A-Za-z0-9_-]+$")).examples([json!("AAAAAZy1mWvfmHmDIJxkZw")]);
    let (query, header) = (|| ParameterIn::Query, || ParameterIn::Header);
    let once = "Your own name for this request: repeated with the same one, it happens once.";
    vec![
        ("IdempotencyKey", parameter("Idempotency-Key", header(), Required::False, once, key())),
        ("RequiredIdempotencyKey", parameter("Idempotency-Key", header(), Required::True, once, key())),
        ("Limit", parameter("limit", query(), Required::False, "Rows of a page.", limit)),
        ("Cursor", parameter("cursor", query(), Required::False, "`nextCursor` of the page before.", cursor)),
        (
            "IfNoneMatch",
            parameter(
                "If-None-Match",
                header(),
                Required::False,
                "The `ETag` that you have: 304 if it still holds.",
                tag(),
            ),
        ),
        (
            "IfMatch",
            parameter(
                "If-Match",
                header(),
                Required::False,
                "The `ETag` that you read: 412 if it does not hold any more.",
                tag(),
            ),
        ),
        (
            "RequiredIfMatch",
            parameter(
                "If-Match",
                header(),
                Required::True,
                "The `ETag` that you read: 412 if it does not hold any more.",
                tag(),
            ),
        ),
    ]
}

/// All shared parts.
pub(super) fn components(builder: ComponentsBuilder) -> ComponentsBuilder {
    let builder = security_schemes(builder)
        .schema(ProblemBody::name(), <ProblemBody as utoipa::PartialSchema>::schema())
        .schema(Violation::name(), <Violation as utoipa::PartialSchema>::schema());
    let builder = problems::responses().fold(builder, |builder, (name, response)| builder.response(name, response));
    let builder = HEADERS.iter().fold(builder, |builder, (component, _, of_type, description, example)| {
        builder.header(*component, header(of_type.clone(), description, example))
    });
    parameters().into_iter().fold(builder, |builder, (name, parameter)| builder.parameter(name, parameter))
}

/// A header by its component: its name on the wire and the reference.
pub(super) fn header_ref(component: &str) -> Option<(String, RefOr<Header>)> {
    let (_, name, ..) = HEADERS.iter().find(|(known, ..)| *known == component)?;
    Some(((*name).to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{component}")))))
}

/// The scheme of a requirement and its scopes; none where nothing is required.
pub(super) fn scheme_of(requirement: &SecurityRequirement) -> Option<(String, Vec<String>)> {
    // utoipa shows the content of a requirement only in its serialised form.
    let Ok(Value::Object(schemes)) = serde_json::to_value(requirement) else { return None };
    let (scheme, scopes) = schemes.into_iter().next()?;
    Some((scheme, serde_json::from_value(scopes).unwrap_or_default()))
}

fn security_schemes(builder: ComponentsBuilder) -> ComponentsBuilder {
    let described = "An API key, as Stape's own clients send it.";
    let bearer = |format: &str, description: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format);
        SecurityScheme::Http(scheme.description(Some(description)).build())
    };
    builder
        .security_scheme(
            API_KEY,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-AUTH-TOKEN", described))),
        )
        .security_scheme(BEARER, bearer("API key or JWT", "An API key, or the access token of a login."))
        .security_scheme(SESSION, bearer("JWT", "The access token of a login, from `POST /v3/sessions`; no API key."))
}

fn header(of_type: Type, description: &str, example: &str) -> Header {
    let example = if matches!(of_type, Type::Integer) { json!(1) } else { json!(example) };
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(of_type).build()))
        .description(Some(description))
        .example(Some(example))
        .build()
}
