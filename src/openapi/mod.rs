//! The OpenAPI document: what the features register, completed by what holds for all of them.
//!
//! A feature states summary, parameters, body, successful answers and security of an operation. Everything that follows
//! from the conventions of this API is added here, once: problems, headers, pages, idempotency keys.

mod complete;
mod examples;
mod introduction;
mod problems;
mod readable;
mod samples;
mod shared;
mod texts;

use utoipa::openapi::path::Operation;
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, ServerBuilder,
};

use crate::app::features;
use crate::error::{Error, Result};
use crate::http::routes::describe;

/// The document as it is committed and served. A test holds it against [`document`], which a server that runs does without:
/// to make it takes more memory than to serve.
pub const COMMITTED: &str = include_str!("../../openapi/stape-api.json");

/// The document of the whole API, made from the code.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = base();
    describe(&mut document, features);
    complete::complete(&mut document);
    document
}

/// `document` with its values in the order of their names: the same each time.
///
/// # Errors
/// A document that cannot be serialised.
pub fn json(document: &OpenApi) -> Result<serde_json::Value> {
    let mut document = serde_json::to_value(document).map_err(Error::internal)?;
    readable::complete(&mut document)?;
    Ok(document)
}

/// Whether an operation needs no credential.
#[must_use]
fn is_public(operation: &Operation) -> bool {
    operation.security.iter().flatten().all(|requirement| shared::scheme_of(requirement).is_none())
}

fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Stape API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(introduction::TEXT))
        .contact(Some(
            ContactBuilder::new().name(Some("The Stape partner program")).url(Some("https://stape.io")).build(),
        ))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
        .build();
    let server = ServerBuilder::new().url("/").description(Some("The server that this document comes from")).build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([server]))
        .tags(Some(introduction::tags()))
        .components(Some(shared::components(ComponentsBuilder::new()).build()))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn strings_at<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get(key).and_then(Value::as_str));
                fields.values().for_each(|field| strings_at(field, key, found));
            }
            Value::Array(items) => items.iter().for_each(|item| strings_at(item, key, found)),
            _ => {}
        }
    }

    fn operations(document: &Value) -> Vec<&Value> {
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()).collect()
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = json(&document()).unwrap();
        let mut references = Vec::new();
        strings_at(&document, "$ref", &mut references);
        let missing: BTreeSet<_> =
            references.into_iter().filter(|at| document.pointer(at.trim_start_matches('#')).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_operation_has_a_declared_tag_a_summary_and_its_problems() {
        let document = json(&document()).unwrap();
        let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
        for operation in operations(&document) {
            let id = &operation["operationId"];
            let used = operation["tags"].as_array().unwrap();
            assert!(used.len() == 1 && used.iter().all(|tag| tags.contains(&tag)), "{id}: {used:?}");
            assert!(operation["summary"].is_string() && operation["description"].is_string(), "{id}");
            for status in ["429", "500", "503"] {
                assert!(operation["responses"][status].is_object(), "{id}: {status}");
            }
            assert!(operation["security"].is_array(), "{id} does not say who may call it");
        }
    }

    #[test]
    fn no_text_refers_to_papers_that_its_readers_do_not_have() {
        let document = json(&document()).unwrap().to_string();
        assert!(!document.contains("domain section") && !document.contains("our default"));
    }

    #[test]
    fn a_reason_has_every_word_with_its_meaning() {
        let document = json(&document()).unwrap();
        for schema in ["Commission", "Explanation"] {
            let reason = &document["components"]["schemas"][schema]["properties"]["reason"];
            assert_eq!(reason["type"], serde_json::json!(["string", "null"]));
            let said = reason["description"].as_str().unwrap();
            for word in ["paidByManager", "roundedToZero", "chargeback", "correction", "payoutReturned"] {
                assert!(said.contains(&format!("- `{word}`: ")), "{schema}: {word}");
            }
        }
    }

    #[test]
    fn what_accounts_call_names_their_kinds() {
        let document = json(&document()).unwrap();
        for operation in operations(&document) {
            let requirement = operation["security"][0].as_object().unwrap();
            let is_for_accounts = requirement.iter().any(|(scheme, scopes)| {
                scheme == "session" || scopes[0].as_str().is_some_and(|scope| !scope.starts_with("operator:"))
            });
            let named = operation["x-accounts"].as_array().map_or(0, Vec::len);
            assert_eq!(named > 0, is_for_accounts, "{}: state x-accounts", operation["operationId"]);
        }
    }

    #[test]
    fn whatever_credential_may_come_may_come_as_a_bearer() {
        let document = json(&document()).unwrap();
        for operation in operations(&document) {
            let schemes = operation["security"].as_array().unwrap();
            let scopes = |scheme: &str| schemes.iter().find_map(|one| one.get(scheme));
            assert_eq!(scopes("apiKey").or(scopes("session")), scopes("bearer"), "{}", operation["operationId"]);
        }
    }
}
