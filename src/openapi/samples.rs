//! An example of a schema, put together from the examples of its properties. Pure.

use serde_json::{Map, Value, json};

/// Deeper than any schema of the document: a schema that contained itself would end here.
const MAX_DEPTH: usize = 40;

/// Who sends the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The client: without what is only read.
    Client,
    /// The server.
    Server,
}

/// A value that `schema` describes; none for plain text, of which only its author knows an example.
pub(super) fn sample(schema: &Value, schemas: &Value, sender: Sender) -> Option<Value> {
    sample_within(schema, schemas, sender, MAX_DEPTH)
}

fn sample_within(schema: &Value, schemas: &Value, sender: Sender, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let given = ["/example", "/const", "/examples/0", "/enum/0"].iter().find_map(|at| schema.pointer(at));
    if let Some(given) = given {
        return Some(given.clone());
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()) {
        return sample_within(schemas.get(name)?, schemas, sender, depth);
    }
    if let Some(alternatives) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
        let something = alternatives.iter().find(|one| one.get("type") != Some(&json!("null")))?;
        return sample_within(something, schemas, sender, depth);
    }
    match type_of(schema)? {
        "object" => {
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let is_read_only = |property: &Value| property.get("readOnly") == Some(&json!(true));
            let fields = properties
                .filter(|(_, property)| sender == Sender::Server || !is_read_only(property))
                .filter_map(|(name, property)| Some((name.clone(), sample_within(property, schemas, sender, depth)?)));
            Some(Value::Object(fields.collect::<Map<_, _>>()))
        }
        "array" => Some(json!([sample_within(schema.get("items")?, schemas, sender, depth)?])),
        "boolean" => Some(json!(false)),
        "integer" => Some(schema.get("default").or_else(|| schema.get("minimum")).cloned().unwrap_or(json!(1))),
        _ => None,
    }
}

/// The type, leaving out null.
fn type_of(schema: &Value) -> Option<&str> {
    let stated = schema.get("type")?;
    let several = stated.as_array().into_iter().flatten().filter_map(Value::as_str);
    stated.as_str().or_else(|| several.into_iter().find(|name| *name != "null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_shows_the_examples_of_its_properties() {
        let schemas = json!({
            "Id": {"type": "string", "examples": ["acc_1"]},
            "Kind": {"enum": ["agency", "partner"]},
        });
        let schema = json!({"type": "object", "properties": {
            "id": {"$ref": "#/components/schemas/Id"},
            "kinds": {"type": "array", "items": {"$ref": "#/components/schemas/Kind"}},
            "manager": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Id"}]},
            "count": {"type": ["integer", "null"], "minimum": 0},
            "done": {"type": "boolean"},
        }});
        let expected = json!({"id": "acc_1", "kinds": ["agency"], "manager": "acc_1", "count": 0, "done": false});
        assert_eq!(sample(&schema, &schemas, Sender::Server), Some(expected));
    }

    #[test]
    fn a_client_does_not_send_what_is_only_read() {
        let schema = json!({"type": "object", "properties": {
            "name": {"example": "a"}, "version": {"example": 1, "readOnly": true},
        }});
        assert_eq!(sample(&schema, &json!({}), Sender::Client), Some(json!({"name": "a"})));
        assert_eq!(sample(&schema, &json!({}), Sender::Server), Some(json!({"name": "a", "version": 1})));
    }

    #[test]
    fn plain_text_and_a_schema_within_itself_have_none() {
        assert_eq!(sample(&json!({"type": "string"}), &json!({}), Sender::Server), None);
        let endless = json!({"Node": {"$ref": "#/components/schemas/Node"}});
        assert_eq!(sample(&json!({"$ref": "#/components/schemas/Node"}), &endless, Sender::Server), None);
    }
}
