//! What the document demands of bodies, however deep: the server refuses them without it, at that very place.

use serde_json::{Value, json};

use crate::support::{
    Callers, Engine, Operation, TestApp, document, operations, payment, refund, run, subscription, usd,
};

/// A member that a body has, or must have.
struct Member {
    pointer: String,
    schema: Value,
    is_required: bool,
    /// Whether it is one of several shapes that its object may have: without it, it has none of them.
    is_of_a_shape: bool,
}

/// The members of a body that the document describes, in the shape that the body has.
struct Members {
    document: &'static Value,
    found: Vec<Member>,
}

impl Members {
    fn of(operation: &Operation, body: &Value) -> Vec<Member> {
        let mut members = Self { document: document(), found: Vec::new() };
        let schema = operation.details["requestBody"]["content"]["application/json"]["schema"].clone();
        members.look(&schema, body, "", false);
        members.found
    }

    fn look(&mut self, schema: &Value, value: &Value, pointer: &str, is_of_a_shape: bool) {
        let schema = self.resolve(schema).clone();
        let fitting = shapes(&schema).find(|shape| self.fits(shape, value)).cloned();
        if let Some(shape) = fitting {
            self.look(&shape, value, pointer, true);
        }
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for (name, property) in &properties {
            let (is_required, pointer) = (required(&schema).any(|one| one == name), format!("{pointer}/{name}"));
            if let Some(value) = value.get(name) {
                self.look(property, value, &pointer, false);
            }
            self.found.push(Member { pointer, schema: self.resolve(property).clone(), is_required, is_of_a_shape });
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.look(&schema["items"], item, &format!("{pointer}/{index}"), false);
        }
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let schema = self.resolve(schema);
        let has_shape = shapes(schema).next().is_none() || shapes(schema).any(|shape| self.fits(shape, value));
        let has_value = schema["enum"].as_array().is_none_or(|values| values.contains(value))
            && schema.get("const").is_none_or(|only| only == value)
            && (schema["type"] != "null" || value.is_null());
        let has_all = required(schema).all(|name| value.get(name).is_some());
        let properties = schema["properties"].as_object();
        let knows = |(name, value): (&String, &Value)| match properties.and_then(|known| known.get(name)) {
            Some(property) => self.fits(property, value),
            None => schema["additionalProperties"] != false,
        };
        has_shape && has_value && has_all && value.as_object().into_iter().flatten().all(knows)
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        self.resolve(self.document.pointer(reference.trim_start_matches('#')).expect("a component"))
    }
}

fn shapes(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The document's example of a body, and what has other shapes.
fn bodies(operation: &Operation) -> Vec<Value> {
    let mut bodies: Vec<Value> = operation.example().into_iter().collect();
    match operation.details["operationId"].as_str() {
        Some("postBillingEvents") => {
            let container = "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC";
            let events = [refund(&payment(container), &usd("8.00")), subscription(container)];
            bodies.extend(events.map(|event| json!({"events": [event.0]})));
        }
        Some("setPayoutMethod") => {
            let swift = json!({"holder": "Ann", "bic": "DEUTDEFF", "accountNumber": "DE89370400440532013000",
                "bankName": "A bank", "country": "DE"});
            let ach = json!({"holder": "Ann", "routingNumber": "021000021", "accountNumber": "000123456789",
                "accountType": "checking"});
            let wise = json!({"email": "ann@agency.example", "holder": "Ann"});
            let paypal = json!({"email": "ann@agency.example"});
            let methods = [("swift", swift), ("ach", ach), ("wise", wise), ("paypal", paypal)];
            let method = |(way, details)| json!({"type": way, "details": details, "password": "a password of hers"});
            bodies.extend(methods.map(method));
        }
        _ => {}
    }
    bodies
}

fn parts(pointer: &str) -> (&str, &str) {
    pointer.rsplit_once('/').expect("a member has a parent")
}

#[test]
fn a_body_without_a_member_that_the_document_requires_is_refused_there() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let callers = Callers::of(app).await;
        let mut tried = 0;
        for operation in operations() {
            for body in bodies(&operation) {
                for member in Members::of(&operation, &body).into_iter().filter(|member| member.is_required) {
                    let (parent, name) = parts(&member.pointer);
                    let mut without = body.clone();
                    let object = without.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
                    assert!(object.remove(name).is_some(), "{}: {body} lacks {}", operation.name(), member.pointer);
                    let errors = callers.broken(&operation, &without).await;
                    let is_told = |(place, code): &(String, String)| {
                        *place == member.pointer && (code == "required" || member.is_of_a_shape)
                            || member.is_of_a_shape && place == parent
                    };
                    assert!(errors.iter().any(is_told), "{} {}: {errors:?}", operation.name(), member.pointer);
                    tried += 1;
                }
            }
        }
        assert!(tried > 150, "{tried} members");
    });
}

/// What the document describes as a name, by the pattern that forbids what turns the order of letters.
#[test]
fn what_the_document_calls_a_name_is_one_line_in_its_order() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let callers = Callers::of(app).await;
        let mut tried = 0;
        for operation in operations() {
            for body in bodies(&operation) {
                for member in Members::of(&operation, &body) {
                    if !member.schema["pattern"].as_str().is_some_and(|pattern| pattern.contains(r"\u202e")) {
                        continue;
                    }
                    let (parent, name) = parts(&member.pointer);
                    for wrong in ["Ann\u{202e}hcirE", "Ann\nErich", " "] {
                        let mut wronged = body.clone();
                        wronged.pointer_mut(parent).expect("an object")[name] = json!(wrong);
                        let errors = callers.broken(&operation, &wronged).await;
                        let is_told = errors.iter().any(|(place, _)| *place == member.pointer);
                        assert!(is_told, "{} {} {wrong:?}: {errors:?}", operation.name(), member.pointer);
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried > 20, "{tried} names");
    });
}
