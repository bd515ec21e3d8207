//! Which characters the texts that clients send may hold, said in the document at one place, as the server checks it at one:
//! no U+0000 anywhere, which JSON could carry and PostgreSQL does not keep, and names in one line.

use serde_json::{Map, Value, json};

use super::readable::{operations, references};

/// Every text.
const TEXT: &str = r"^[^\x00]*$";

/// A name: one line with something to see in it, without controls and marks that turn the order of letters.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*[^\s\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069][^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$";

/// A text with something to see in it: in the code `\S`.
const VISIBLE: &str = r"^[^\x00]*[^\s\x00][^\x00]*$";

/// One of the values that a parameter lists, or several: none is empty.
const LISTED: &str = r"^[^\x00,]*[^\s\x00,][^\x00,]*(,[^\x00,]*[^\s\x00,][^\x00,]*)*$";

/// Gives every text of a request a pattern, unless it has one. What visitors follow (`/r/…`, `/badge/…`) takes any.
pub(super) fn limit(document: &mut Value) {
    let mut sent = Vec::new();
    for (path, operation) in operations(document) {
        if !path.starts_with("/v3/") {
            continue;
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let is_in_query = parameter.get("in").and_then(Value::as_str) == Some("query");
            let Some(schema) = parameter.get_mut("schema").filter(|_| is_in_query) else { continue };
            let listed = schema.get_mut("items").and_then(Value::as_object_mut).filter(|items| is_free_text(items));
            if let Some(listed) = listed {
                listed.insert("pattern".to_owned(), json!(LISTED));
            }
            limit_schema(schema);
        }
        operation.get("requestBody").into_iter().for_each(|body| references(body, &mut sent));
    }
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else { return };
    let mut done = 0;
    while let Some(name) = sent.get(done).and_then(|at| at.rsplit('/').next()).map(ToOwned::to_owned) {
        done += 1;
        let Some(schema) = schemas.get_mut(&name) else { continue };
        limit_schema(schema);
        let mut within = Vec::new();
        references(schema, &mut within);
        within.retain(|one| !sent.contains(one));
        sent.extend(within);
    }
}

fn limit_schema(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if is_free_text(fields) {
        let is_name = fields.get("minLength") == Some(&json!(1)) && fields.get("maxLength") == Some(&json!(100));
        let pattern = if fields.contains_key("pattern") {
            VISIBLE
        } else if is_name {
            NAME
        } else {
            TEXT
        };
        fields.insert("pattern".to_owned(), json!(pattern));
    }
    if fields.get("additionalProperties").is_some_and(Value::is_object) {
        let names = fields.entry("propertyNames").or_insert_with(|| json!({}));
        *names = json!({"type": "string", "pattern": TEXT});
    }
    for (key, part) in fields {
        match (key.as_str(), part) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(limit_schema),
            ("oneOf" | "anyOf", Value::Array(alternatives)) => alternatives.iter_mut().for_each(limit_schema),
            ("items" | "additionalProperties", part) => limit_schema(part),
            _ => {}
        }
    }
}

/// Whether nothing says yet what the text looks like.
fn is_free_text(fields: &Map<String, Value>) -> bool {
    let is_text = fields.get("type").is_some_and(|stated| {
        stated == "string" || stated.as_array().is_some_and(|several| several.contains(&json!("string")))
    });
    let is_described = fields.get("pattern").is_some_and(|pattern| pattern != r"\S")
        || ["enum", "const"].iter().any(|key| fields.contains_key(*key));
    is_text && !is_described && fields.get("format").is_none_or(|format| format == "password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_sent_say_what_they_may_hold() {
        let schemas = json!({
            "Sent": {"type": "object", "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 100},
                "more": {"type": "array", "items": {"$ref": "#/components/schemas/Below"}},
                "code": {"type": "string", "pattern": "^[a-z]+$"},
                "rates": {"type": "object", "additionalProperties": {"type": "boolean"}},
                "note": {"type": "string", "pattern": "\\S"},
            }},
            "Below": {"type": ["string", "null"]},
            "Answered": {"type": "string"},
        });
        let words = json!({"type": "array", "items": {"type": "string"}});
        let operation = json!({
            "parameters": [{"in": "query", "schema": words}, {"in": "query", "schema": {"type": "string"}}],
            "requestBody": {"$ref": "#/components/schemas/Sent"},
        });
        let mut document = json!({"paths": {"/v3/things": {"post": operation}}, "components": {"schemas": schemas}});
        limit(&mut document);
        let parameters = &document["paths"]["/v3/things"]["post"]["parameters"];
        assert_eq!(parameters[0]["schema"]["items"]["pattern"], LISTED);
        assert_eq!(parameters[1]["schema"]["pattern"], TEXT);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Sent"]["properties"]["name"]["pattern"], NAME);
        assert_eq!(schemas["Sent"]["properties"]["code"]["pattern"], "^[a-z]+$");
        assert_eq!(schemas["Sent"]["properties"]["note"]["pattern"], VISIBLE);
        assert_eq!(schemas["Sent"]["properties"]["rates"]["propertyNames"]["pattern"], TEXT);
        assert_eq!(schemas["Below"]["pattern"], TEXT);
        assert_eq!(schemas["Answered"], json!({"type": "string"}));
    }
}
