//! The story that the document's examples tell: a client of a partner pays 24.00 for a container, of which 4.00 are tax, and
//! what follows from that. `examples.json` says only what differs from the examples of the properties: first for schemas, the
//! parts before what holds them, then for the answers of operations. `{"=": …}` replaces the whole value; `linesOf` names the schema whose example is a line of
//! an export.

use serde_json::{Map, Value, json};

use super::readable::operations;
use super::samples::{Sender, sample};
use crate::error::{Error, Result};

const STORY: &str = include_str!("examples.json");

/// Names of schemas, which begin with a capital, or ids of operations; with the change.
fn story() -> Result<Vec<(String, Value)>> {
    serde_json::from_str(STORY).map_err(Error::internal)
}

/// Gives each schema of the story its example.
///
/// # Errors
/// A story that cannot be read.
pub(super) fn of_schemas(document: &mut Value) -> Result<()> {
    for (name, change) in story()? {
        let Some(schemas) = document.pointer("/components/schemas") else { continue };
        let Some(schema) = schemas.get(&name) else { continue };
        let mut example = sample(schema, schemas, Sender::Server).unwrap_or_default();
        overlay(&mut example, change);
        let schema = document.pointer_mut(&format!("/components/schemas/{name}")).and_then(Value::as_object_mut);
        if let Some(schema) = schema {
            schema.insert("example".to_owned(), example);
        }
    }
    Ok(())
}

/// Changes the examples of the successful answers of the story's operations.
///
/// # Errors
/// A story that cannot be read.
pub(super) fn of_answers(document: &mut Value) -> Result<()> {
    let story = story()?;
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    for (_, operation) in operations(document) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let Some((_, change)) = story.iter().find(|(name, _)| name == id) else { continue };
        let line = change.get("linesOf").and_then(Value::as_str).and_then(|name| schemas.get(name)?.get("example"));
        for answer in successes(operation) {
            if let Some(line) = line {
                show_lines(answer, line);
            } else if let Some(example) = answer.pointer_mut("/content/application~1json/example") {
                overlay(example, change.clone());
            }
        }
    }
    Ok(())
}

/// An export of one row.
fn show_lines(answer: &mut Value, line: &Value) {
    let content = answer.pointer_mut("/content/application~1x-ndjson").and_then(Value::as_object_mut);
    if let Some(content) = content {
        content.insert("example".to_owned(), json!(format!("{line}\n")));
    }
}

fn successes(operation: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let answers = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
    answers.filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer)
}

fn overlay(example: &mut Value, change: Value) {
    match (example, change) {
        (example, Value::Object(mut whole)) if whole.contains_key("=") => {
            *example = whole.remove("=").unwrap_or_default();
        }
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                overlay(fields.entry(name).or_insert(Value::Null), change);
            }
        }
        (example, change) => *example = change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_is_about_what_the_document_has() {
        let mut document = crate::openapi::json(&crate::openapi::document()).unwrap();
        let ids: Vec<String> = operations(&mut document)
            .filter_map(|(_, one)| Some(one.get("operationId")?.as_str()?.to_owned()))
            .collect();
        for (name, change) in story().unwrap() {
            let schema = document["components"]["schemas"].get(&name);
            assert!(schema.is_some() || ids.contains(&name), "{name} is neither a schema nor an operation");
            if let (Some(Value::Object(properties)), Value::Object(changes)) =
                (schema.map(|one| &one["properties"]), &change)
            {
                let unknown = changes.keys().find(|key| *key != "=" && !properties.contains_key(*key));
                assert_eq!(unknown, None, "{name}");
            }
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let mut example = json!({"amount": {"amount": "17.00", "currency": "USD"}, "at": "now", "list": [1]});
        overlay(&mut example, json!({"amount": {"amount": "6.00"}, "at": null, "list": []}));
        assert_eq!(example, json!({"amount": {"amount": "6.00", "currency": "USD"}, "at": null, "list": []}));
        overlay(&mut example, json!({"=": {"other": 1}}));
        assert_eq!(example, json!({"other": 1}));
    }
}
