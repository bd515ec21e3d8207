//! Which problems each operation can answer, by their codes, in the descriptions of its answers.
//!
//! What follows from the conventions of the API is added here. A feature names its operation's own refusals in
//! `x-refusals`, those of another code's status that it answers as conflicts (409) in `x-conflicts`, and those of a
//! batch's elements in `x-elements`. The status of a code is that of [`Code`]'s table.

use std::collections::BTreeSet;

use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Components, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::complete::{Conditional, Facts, IdempotencyKey};
use super::shared::{header_ref, scheme_of};
use crate::error::{Code, Problem, Violation};

const REFUSALS: &str = "x-refusals";
const CONFLICTS: &str = "x-conflicts";
const ELEMENTS: &str = "x-elements";

/// The answers that operations share, by the name of the component; the first code is the example's.
const SHARED: &[(&str, &[Code])] = &[
    (
        "BadRequest",
        &[
            Code::InvalidParameter,
            Code::UnknownParameter,
            Code::InvalidCursor,
            Code::InvalidJson,
            Code::InvalidRequest,
            Code::IdempotencyKeyRequired,
            Code::InvalidIdempotencyKey,
            Code::IdempotencyKeyNotAllowed,
        ],
    ),
    ("Unauthorized", &[Code::AuthenticationRequired, Code::InvalidCredentials, Code::ConflictingCredentials]),
    (
        "Forbidden",
        &[
            Code::InsufficientScope,
            Code::OwnerRequired,
            Code::LoginRequired,
            Code::WrongAccountKind,
            Code::NotPartner,
            Code::AccountBlocked,
        ],
    ),
    ("NotFound", &[Code::NotFound]),
    ("RequestTimeout", &[Code::RequestTimeout]),
    ("Conflict", &[Code::IdempotencyInFlight]),
    ("PreconditionFailed", &[Code::PreconditionFailed]),
    ("PayloadTooLarge", &[Code::PayloadTooLarge]),
    ("UnsupportedMediaType", &[Code::UnsupportedMediaType]),
    ("UnprocessableContent", &[Code::ValidationFailed, Code::IdempotencyKeyReused]),
    ("PreconditionRequired", &[Code::PreconditionRequired]),
    ("TooManyRequests", &[Code::RateLimited]),
    ("InternalServerError", &[Code::InternalError]),
    ("ServiceUnavailable", &[Code::ServiceUnavailable]),
];

/// The components of the answers that operations share.
pub(super) fn responses() -> impl Iterator<Item = (&'static str, Response)> {
    SHARED.iter().filter_map(|(name, codes)| Some((*name, response(*codes.first()?, &list(codes)))))
}

/// Lists every code where a problem's is described.
pub(super) fn describe_problem(components: &mut Components) {
    let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem") else { return };
    if let Some(RefOr::T(Schema::Object(code))) = problem.properties.get_mut("code") {
        let before = code.description.take().unwrap_or_default();
        code.description = Some(format!("{before}\n\n{}", list(Code::ALL)));
    }
}

/// Says with which codes `operation` refuses.
pub(super) fn add(facts: &Facts, operation: &mut Operation) {
    let (own, conflicts) = (codes(operation, REFUSALS), codes(operation, CONFLICTS));
    let common = common(facts, operation);
    let mut statuses: BTreeSet<u16> = own.iter().chain(&common).map(|code| code.status()).collect();
    // Whatever changes something may one day be refused for its state.
    statuses.extend((facts.method != "GET" || !conflicts.is_empty()).then_some(409));
    for status in statuses {
        let of_status =
            |codes: &[Code]| -> Vec<Code> { codes.iter().copied().filter(|code| code.status() == status).collect() };
        let mut own = of_status(&own);
        own.extend(conflicts.iter().filter(|_| status == 409));
        add_status(status, &own, &of_status(&common), operation);
    }
    describe_elements(operation);
}

fn add_status(status: u16, own: &[Code], common: &[Code], operation: &mut Operation) {
    let all = [own, common].concat();
    let responses = &mut operation.responses.responses;
    let described = responses.get(&status.to_string()).and_then(|response| match response {
        RefOr::T(response) => Some(response.description.clone()),
        RefOr::Ref(_) => None,
    });
    let stated = match (described, all.as_slice(), own.first()) {
        (Some(meaning), [code], _) => Some(response(*code, &format!("`{}`: {meaning}", code.name())).into()),
        (Some(meaning), [first, ..], _) => Some(response(*first, &format!("{meaning}\n\n{}", list(&all))).into()),
        (_, _, Some(first)) => Some(response(*first, &list(&all)).into()),
        _ => shared(status, common),
    };
    responses.extend(stated.map(|response| (status.to_string(), response)));
}

/// The shared answer, described by those of its codes that can occur.
fn shared(status: u16, codes: &[Code]) -> Option<RefOr<Response>> {
    let (name, all) = SHARED.iter().find(|(_, codes)| codes.iter().any(|code| code.status() == status))?;
    let mut reference = Ref::new(format!("#/components/responses/{name}"));
    if codes.is_empty() {
        "No refusal of this operation has this status yet".clone_into(&mut reference.description);
    } else if codes.len() < all.len() {
        reference.description = list(codes);
    }
    Some(reference.into())
}

/// The codes with which every operation of this kind can refuse.
fn common(facts: &Facts, operation: &Operation) -> Vec<Code> {
    let has_body = facts.method != "GET";
    let has_key = matches!(facts.key, IdempotencyKey::Optional | IdempotencyKey::Required);
    let is_change = matches!(facts.conditional, Conditional::Change | Conditional::ChangeRequired);
    let in_query = |one: &RefOr<Parameter>| matches!(one, RefOr::T(one) if one.parameter_in == ParameterIn::Query);
    let has_query = facts.is_list || operation.parameters.iter().flatten().any(in_query);
    let rules: [(bool, &[Code]); 14] = [
        (facts.path.starts_with("/v3/") || !facts.is_public, &[Code::UnknownParameter]),
        (has_query && facts.path.starts_with("/v3/"), &[Code::InvalidParameter]),
        (facts.is_list, &[Code::InvalidCursor]),
        // A deletion reads a body too, of which it takes no field.
        (has_body, &[Code::InvalidJson, Code::InvalidRequest]),
        (facts.key == IdempotencyKey::Required, &[Code::IdempotencyKeyRequired]),
        (has_key, &[Code::InvalidIdempotencyKey, Code::IdempotencyInFlight]),
        (facts.key == IdempotencyKey::Refused, &[Code::IdempotencyKeyNotAllowed]),
        (!facts.is_public, &[Code::AuthenticationRequired, Code::InvalidCredentials, Code::ConflictingCredentials]),
        (facts.path.contains('{'), &[Code::NotFound]),
        (has_body, &[Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType, Code::ValidationFailed]),
        (has_key, &[Code::IdempotencyKeyReused]),
        (is_change, &[Code::PreconditionFailed]),
        (facts.conditional == Conditional::ChangeRequired, &[Code::PreconditionRequired]),
        (true, &[Code::RateLimited, Code::InternalError, Code::ServiceUnavailable]),
    ];
    let kept = rules.into_iter().filter(|(holds, _)| *holds).flat_map(|(_, codes)| codes.iter().copied());
    kept.chain(forbidden(facts, operation)).collect()
}

/// The codes for a credential that may not do this: they follow from who may call.
fn forbidden(facts: &Facts, operation: &Operation) -> Vec<Code> {
    let requirement = operation.security.iter().flatten().find_map(|one: &SecurityRequirement| scheme_of(one));
    let Some((scheme, scopes)) = requirement else { return Vec::new() };
    let right = match (scheme.as_str(), scopes.first().map(String::as_str)) {
        (_, Some("owner")) => Some(Code::OwnerRequired),
        (_, Some(_)) => Some(Code::InsufficientScope),
        ("session", None) => Some(Code::LoginRequired),
        (_, None) => None,
    };
    let partner = facts.is_for_partners.then_some(Code::NotPartner);
    // Who is blocked is told so before anything else, also at an operator's operation.
    right.into_iter().chain([Code::WrongAccountKind]).chain(partner).chain([Code::AccountBlocked]).collect()
}

/// Says why an element of a batch can be rejected, where it is said what becomes of each.
fn describe_elements(operation: &mut Operation) {
    let codes = codes(operation, ELEMENTS);
    let answer = operation.responses.responses.get_mut("200").filter(|_| !codes.is_empty());
    if let Some(RefOr::T(answer)) = answer {
        let before = std::mem::take(&mut answer.description);
        answer.description = format!("{before}. The `problem` of one that did not take effect:\n\n{}", list(&codes));
    }
}

/// The codes that an extension names. A test holds every name against the table.
fn codes(operation: &Operation, extension: &str) -> Vec<Code> {
    let named = operation.extensions.as_ref().and_then(|extensions| extensions.get(extension)?.as_array());
    named.into_iter().flatten().filter_map(|name| Code::named(name.as_str()?)).collect()
}

/// Codes with their meanings: a list, if there are several.
fn list(codes: &[Code]) -> String {
    let line = |code: &Code| format!("`{}`: {}", code.name(), code.title());
    match codes {
        [one] => line(one),
        several => several.iter().map(|code| format!("- {}", line(code))).collect::<Vec<_>>().join("\n"),
    }
}

/// An answer with a problem, of which `code` is an example.
fn response(code: Code, description: &str) -> Response {
    let example = example_of(code).body("/v3/sub-accounts", "01KB0H6Q4N7ZJ8R5T3V9WXY2AC");
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(serde_json::to_value(example).ok())
        .build();
    let mut headers = vec!["XRequestId", "RateLimit", "RateLimitPolicy"];
    match code.status() {
        401 => headers.push("WwwAuthenticate"),
        409 | 429 | 503 => headers.push("RetryAfter"),
        _ => {}
    }
    let mut response =
        ResponseBuilder::new().description(description).content("application/problem+json", content).build();
    response.headers.extend(headers.into_iter().filter_map(header_ref));
    response
}

fn example_of(code: Code) -> Problem {
    match code {
        Code::ValidationFailed => {
            Problem::validation(vec![Violation::at("/email", "email", "is not an e-mail address")])
        }
        Code::InvalidParameter => Problem::new(code, "limit must be a whole number from 1 to 100")
            .with(Violation::parameter("limit", "range", "must be a whole number from 1 to 100")),
        Code::InsufficientScope => Problem::new(code, "the credential lacks the scope subAccounts:write"),
        _ => Problem::new(code, code.title()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::openapi::{document, json as serialised};

    fn operations(document: &Value) -> impl Iterator<Item = &Value> {
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    }

    #[test]
    fn every_refusal_that_an_operation_names_is_a_code_beyond_the_common_ones() {
        let document = serialised(&document()).unwrap();
        let mut count = 0;
        for operation in operations(&document) {
            for extension in [REFUSALS, CONFLICTS] {
                let names: Vec<&str> =
                    operation[extension].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let unique: BTreeSet<&str> = names.iter().copied().collect();
                assert_eq!(unique.len(), names.len(), "{}", operation["operationId"]);
                for name in names {
                    let code = Code::named(name).unwrap_or_else(|| panic!("there is no code {name}"));
                    let status = if extension == CONFLICTS { 409 } else { code.status() };
                    let said = operation["responses"][status.to_string()]["description"].as_str().unwrap_or_default();
                    assert_eq!(said.matches(&format!("`{name}`")).count(), 1, "{}: {said}", operation["operationId"]);
                    count += 1;
                }
            }
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn every_code_is_in_the_document_with_its_meaning() {
        let document = serialised(&document()).unwrap();
        let said = document["components"]["schemas"]["Problem"]["properties"]["code"]["description"].as_str().unwrap();
        for code in Code::ALL {
            assert!(said.contains(&format!("- `{}`: {}", code.name(), code.title())), "{}", code.name());
        }
    }

    #[test]
    fn own_refusals_stand_before_the_common_ones_of_their_status() {
        let document = serialised(&document()).unwrap();
        let cancel = &document["paths"]["/v3/payouts/{payoutId}/cancel"]["post"]["responses"];
        let expected = "- `invalidTransition`: The payout does not take this step now\n\
             - `idempotencyInFlight`: A request with this key is still running";
        assert_eq!(cancel["409"]["description"], expected);
        let content = &cancel["409"]["content"]["application/problem+json"];
        assert_eq!(content["example"]["code"], "invalidTransition");
        let not_found = json!({"$ref": "#/components/responses/NotFound"});
        assert_eq!(cancel["404"], not_found);
    }
}
