//! What readers and programs need of the document beyond what utoipa writes: who may call, examples of every body and
//! parameter, one object where utoipa composes two. Works on the serialised form, which utoipa's types hide, and changes
//! nothing that the server checks.
//!
//! `x-body-any-of` of an operation in the code becomes `anyOf` of its body: rules between fields, which utoipa cannot derive.
//! `x-body` (`optional`) says that the body may be left out.
//! `x-elements` (the codes with which one can be refused) says that an element of the body's batch is answered by itself,
//! whatever it is.
//! `x-accounts` of an operation says in the code `any`, `manager`, `partner`, `standard` or nothing (operators, visitors); in
//! the document it lists the kinds of accounts.

use serde_json::{Map, Value, json};

use super::complete::ACCOUNTS;
use super::samples::{Sender, sample};
use super::{examples, texts};
use crate::error::Result;

const BODY: &str = "x-body";
const BODY_ANY_OF: &str = "x-body-any-of";
const ELEMENTS: &str = "x-elements";

/// Completes the serialised `document`.
///
/// # Errors
/// Examples that cannot be read.
pub(super) fn complete(document: &mut Value) -> Result<()> {
    merge_objects(document);
    describe_nullable(document);
    state_rules(document);
    loosen_batches(document);
    texts::limit(document);
    examples::of_schemas(document)?;
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    for (_, operation) in operations(document) {
        say_who(operation);
        say_whether_needed(operation);
        show_parameters(operation, &schemas);
        show_bodies(operation, &schemas);
    }
    if let Some(parameters) = document.pointer_mut("/components/parameters").and_then(Value::as_object_mut) {
        parameters.values_mut().for_each(|parameter| show_parameter(parameter, &schemas));
    }
    examples::of_answers(document)?;
    while drop_unused(document) {}
    Ok(())
}

/// The operations with their paths.
pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = (&str, &mut Map<String, Value>)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        operations.filter_map(move |operation| Some((path.as_str(), operation.as_object_mut()?)))
    })
}

/// One object instead of an `allOf` of objects: its parts forbid each other's fields where they take no unknown ones.
fn merge_objects(document: &mut Value) {
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else { return };
    let merged: Vec<_> =
        schemas.iter().filter_map(|(name, schema)| Some((name.clone(), merged(schema, schemas)?))).collect();
    schemas.extend(merged);
}

fn merged(schema: &Value, schemas: &Map<String, Value>) -> Option<Value> {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let mut is_closed = false;
    for part in schema.get("allOf")?.as_array()? {
        let named = part.get("$ref").and_then(Value::as_str).and_then(|at| schemas.get(at.rsplit('/').next()?));
        let part = named.unwrap_or(part);
        properties.extend(part.get("properties")?.as_object()?.clone());
        is_closed |= part.get("additionalProperties") == Some(&json!(false));
        required.extend(part.get("required").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    let mut object = json!({"type": "object", "properties": properties, "required": required});
    let fields = object.as_object_mut()?;
    fields.extend(schema.get("description").map(|description| ("description".to_owned(), description.clone())));
    fields.extend(is_closed.then(|| ("additionalProperties".to_owned(), json!(false))));
    Some(object)
}

/// Whole objects in `anyOf` for a body whose operation says `x-body-any-of`: programs that make clients from the document
/// know what to do with those, and not with rules beside an object.
fn state_rules(document: &mut Value) {
    let mut rules = Vec::new();
    for (_, operation) in operations(document) {
        let body = operation.get("requestBody").and_then(|body| body.pointer("/content/application~1json/schema/$ref"));
        let at = body.and_then(Value::as_str).map(|at| at.trim_start_matches('#').to_owned());
        rules.extend(at.zip(operation.remove(BODY_ANY_OF)));
    }
    for (at, alternatives) in rules {
        let Some(schema) = document.pointer_mut(&at).and_then(Value::as_object_mut) else { continue };
        let shapes: Vec<Value> =
            alternatives.as_array().into_iter().flatten().map(|rule| narrowed(schema.clone(), rule)).collect();
        schema.retain(|key, _| ["description", "example", "examples"].contains(&key.as_str()));
        schema.insert("anyOf".to_owned(), Value::Array(shapes));
    }
}

/// Any object is an element of a batch whose elements are answered one by one.
fn loosen_batches(document: &mut Value) {
    let mut batches = Vec::new();
    for (_, operation) in operations(document) {
        let body = operation.get("requestBody").and_then(|body| body.pointer("/content/application~1json/schema/$ref"));
        let at = body.and_then(Value::as_str).map(|at| at.trim_start_matches('#').to_owned());
        batches.extend(operation.remove(ELEMENTS).and(at));
    }
    for at in batches {
        let properties = document.pointer_mut(&at).and_then(|schema| schema.get_mut("properties")?.as_object_mut());
        for items in properties.into_iter().flat_map(Map::values_mut).filter_map(|list| list.get_mut("items")) {
            let other = json!({"type": "object", "title": "Other",
                "description": "Anything else: it is answered as `rejected`, with a problem that says why."});
            *items = json!({"anyOf": [items.take(), other]});
        }
    }
}

/// The object with the properties and demands of a rule.
fn narrowed(mut object: Map<String, Value>, rule: &Value) -> Value {
    for key in ["description", "example", "examples"] {
        object.remove(key);
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, wanted) in rule.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let before = properties.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            let mut wanted = wanted.as_object().cloned().unwrap_or_default();
            let is_null = wanted.get("type") == Some(&json!("null"));
            let kept = |key: &String| key == "description" || (key == "example" && !is_null);
            wanted.extend(before.into_iter().filter(|(key, _)| kept(key)));
            properties.insert(name.clone(), Value::Object(wanted));
        }
    }
    let more = rule.get("required").and_then(Value::as_array).into_iter().flatten().cloned();
    if let Some(required) = object.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        required.extend(more);
    }
    Value::Object(object)
}

/// A property that may be null says itself what it is, not only one of its alternatives.
fn describe_nullable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for property in
                fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
            {
                lift_description(property);
            }
            fields.values_mut().for_each(describe_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(describe_nullable),
        _ => {}
    }
}

fn lift_description(property: &mut Value) {
    let Some(property) = property.as_object_mut().filter(|property| !property.contains_key("description")) else {
        return;
    };
    let alternatives = property.get_mut("oneOf").and_then(Value::as_array_mut);
    let lifted = alternatives
        .into_iter()
        .flatten()
        .filter(|one| one.get("$ref").is_some())
        .find_map(|one| one.as_object_mut()?.remove("description"));
    if let Some(description) = lifted {
        property.insert("description".to_owned(), description);
    }
}

/// Ends the description with who may call, and lists the kinds of accounts.
fn say_who(operation: &mut Map<String, Value>) {
    let kinds: &[&str] = match operation.get(ACCOUNTS).and_then(Value::as_str) {
        Some("any") => &["standard", "agency", "partner"],
        Some("manager") => &["agency", "partner"],
        Some("partner") => &["partner"],
        Some("standard") => &["standard"],
        _ => &[],
    };
    let callers = match kinds {
        [] => "operators",
        ["partner"] => "partners",
        ["standard"] => "standard accounts",
        ["agency", "partner"] => "agencies and partners",
        _ => "accounts of every kind",
    };
    let Some(requirement) = operation.get("security").and_then(|security| security.get(0)) else { return };
    let Some((scheme, scopes)) = requirement.as_object().and_then(|schemes| schemes.iter().next()) else { return };
    let right = match (scheme.as_str(), scopes.get(0).and_then(Value::as_str)) {
        (_, Some("owner")) => "with the login of an owner".to_owned(),
        (_, Some(scope)) => format!("with the scope `{scope}`"),
        ("session", None) => "with the login of a person".to_owned(),
        (_, None) => "with any key".to_owned(),
    };
    if !kinds.is_empty() {
        operation.insert(ACCOUNTS.to_owned(), json!(kinds));
    }
    let description = operation.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}\n\n**Who:** {callers}, {right}.");
    operation.insert("description".to_owned(), Value::String(description));
}

fn say_whether_needed(operation: &mut Map<String, Value>) {
    let is_optional = operation.remove(BODY).is_some_and(|need| need == "optional");
    if let Some(body) = operation.get_mut("requestBody").filter(|_| is_optional).and_then(Value::as_object_mut) {
        body.insert("required".to_owned(), json!(false));
    }
}

fn show_parameters(operation: &mut Map<String, Value>, schemas: &Value) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        show_parameter(parameter, schemas);
    }
}

/// An example in the parameter's schema: Swagger UI sends those that stand beside it.
fn show_parameter(parameter: &mut Value, schemas: &Value) {
    let Some(parameter) = parameter.as_object_mut() else { return };
    let given = parameter.remove("example");
    let Some(schema) = parameter.get_mut("schema").and_then(Value::as_object_mut) else { return };
    if schema.contains_key("examples") || (given.is_none() && schema.contains_key("$ref")) {
        return;
    }
    let example = given.or_else(|| sample(&Value::Object(schema.clone()), schemas, Sender::Client));
    if let Some(example) = example {
        schema.insert("examples".to_owned(), json!([example]));
    }
}

fn show_bodies(operation: &mut Map<String, Value>, schemas: &Value) {
    if let Some(body) = operation.get_mut("requestBody") {
        show_body(body, schemas, Sender::Client);
    }
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    responses.into_iter().flat_map(Map::values_mut).for_each(|answer| show_body(answer, schemas, Sender::Server));
}

fn show_body(body: &mut Value, schemas: &Value, sender: Sender) {
    let contents = body.get_mut("content").and_then(Value::as_object_mut);
    for content in contents.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if content.contains_key("example") || content.contains_key("examples") {
            continue;
        }
        if let Some(example) = content.get("schema").and_then(|schema| sample(schema, schemas, sender)) {
            content.insert("example".to_owned(), example);
        }
    }
}

/// Drops the components that nothing refers to; whether there were any.
fn drop_unused(document: &mut Value) -> bool {
    let mut used = Vec::new();
    references(document, &mut used);
    let sections = document.get_mut("components").and_then(Value::as_object_mut);
    let mut dropped = false;
    for (section, components) in sections.into_iter().flatten().filter(|(section, _)| *section != "securitySchemes") {
        let Some(components) = components.as_object_mut() else { continue };
        let before = components.len();
        components.retain(|name, _| used.contains(&format!("#/components/{section}/{name}")));
        dropped |= components.len() < before;
    }
    dropped
}

/// Where `value` refers to.
pub(super) fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas(schemas: &Value) -> Value {
        json!({"components": {"schemas": schemas}})
    }

    #[test]
    fn an_all_of_objects_becomes_one() {
        let mut document = schemas(&json!({
            "Base": {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false},
            "More": {"description": "More.", "allOf": [
                {"$ref": "#/components/schemas/Base"}, {"type": "object", "properties": {"b": {}}, "required": ["b"]},
            ]},
        }));
        merge_objects(&mut document);
        let expected = json!({"type": "object", "description": "More.", "properties": {"a": {}, "b": {}}, "required": ["a", "b"],
                "additionalProperties": false});
        assert_eq!(document["components"]["schemas"]["More"], expected);
    }

    #[test]
    fn rules_of_a_body_become_whole_objects() {
        let mut document =
            schemas(&json!({"Sent": {"type": "object", "description": "What is sent.", "required": ["a"],
            "properties": {"a": {"description": "A.", "type": "string"}, "b": {"type": "string"}}}}));
        let schema = json!({"$ref": "#/components/schemas/Sent"});
        document["paths"] = json!({"/": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}},
            "x-body-any-of": [{"required": ["b"], "properties": {"a": {"const": "x"}}}]}}});
        state_rules(&mut document);
        let shape = json!({"type": "object", "required": ["a", "b"],
            "properties": {"a": {"description": "A.", "const": "x"}, "b": {"type": "string"}}});
        let expected = json!({"description": "What is sent.", "anyOf": [shape]});
        assert_eq!(document["components"]["schemas"]["Sent"], expected);
    }

    #[test]
    fn a_nullable_property_is_described_itself() {
        let mut document =
            json!({"properties": {"a": {"oneOf": [{"$ref": "#/x", "description": "What a is."}, {"type": "null"}]}}});
        describe_nullable(&mut document);
        assert_eq!(
            document["properties"]["a"],
            json!({"description": "What a is.", "oneOf": [{"$ref": "#/x"}, {"type": "null"}]})
        );
    }

    #[test]
    fn who_may_call_is_said() {
        let mut operation = json!({"description": "Does it.", "x-accounts": "manager",
            "security": [{"apiKey": ["containers:read"]}, {"bearer": ["containers:read"]}]});
        say_who(operation.as_object_mut().unwrap());
        assert_eq!(operation["x-accounts"], json!(["agency", "partner"]));
        assert_eq!(
            operation["description"],
            "Does it.\n\n**Who:** agencies and partners, with the scope `containers:read`."
        );
        let mut public = json!({"description": "Anybody.", "security": [{}]});
        say_who(public.as_object_mut().unwrap());
        assert_eq!(public["description"], "Anybody.");
    }

    #[test]
    fn a_body_that_may_be_left_out_is_not_required() {
        let mut operation = json!({"x-body": "optional", "requestBody": {"required": true}});
        say_whether_needed(operation.as_object_mut().unwrap());
        assert_eq!(operation, json!({"requestBody": {"required": false}}));
        let mut needed = json!({"requestBody": {"required": true}});
        say_whether_needed(needed.as_object_mut().unwrap());
        assert_eq!(needed, json!({"requestBody": {"required": true}}));
    }

    #[test]
    fn components_that_nothing_uses_are_dropped_with_what_only_they_use() {
        let mut document = schemas(&json!({
            "Used": {}, "Unused": {"$ref": "#/components/schemas/Below"}, "Below": {},
        }));
        document["paths"] = json!({"/": {"$ref": "#/components/schemas/Used"}});
        while drop_unused(&mut document) {}
        assert_eq!(document["components"]["schemas"], json!({"Used": {}}));
    }
}
