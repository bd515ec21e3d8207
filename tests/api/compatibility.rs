//! The contract keeps its promises: whatever `openapi/released.json` says stays, until `info.version` begins a new major.
//!
//! `released.json` is the document of the last release. A release copies `stape-api.json` over it; nothing else changes it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What the server demanded already when the released document did not say so.
const UNSAID: [&str; 1] = ["PUT /v3/operator/program takes application/json.levels[].rates.default always"];

/// Deeper than any body of the API.
const MAX_DEPTH: usize = 24;

fn document(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).expect("the document is committed")).expect("JSON")
}

/// What a document lets clients rely on, and what it demands of them, a line each.
#[derive(Default)]
struct Surface {
    offers: BTreeSet<String>,
    demands: BTreeSet<String>,
}

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    In,
    Out,
    /// In, as one of several shapes: what it demands, another may not.
    Alternative,
}

impl Surface {
    fn of(document: &Value) -> Self {
        let mut surface = Self::default();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
                surface.operation(document, &format!("{} {path}", method.to_uppercase()), &item[*method]);
            }
        }
        surface
    }

    fn operation(&mut self, document: &Value, name: &str, operation: &Value) {
        self.offers.insert(name.to_owned());
        self.offers.insert(format!("{name} is called {}", operation["operationId"]));
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolve(document, parameter);
            let at = format!("{name} takes {} {}", parameter["in"], parameter["name"]);
            if parameter["required"] == true {
                self.demands.insert(at.clone());
            }
            self.schema(document, &at, &parameter["schema"], Way::In, MAX_DEPTH);
        }
        self.contents(document, &format!("{name} takes"), &operation["requestBody"], Way::In);
        for (status, answer) in operation["responses"].as_object().expect("responses") {
            let answer = resolve(document, answer);
            let at = format!("{name} answers {status}");
            self.offers.insert(at.clone());
            for header in answer["headers"].as_object().into_iter().flatten() {
                self.offers.insert(format!("{at} with {}", header.0));
            }
            if status.starts_with('2') {
                self.contents(document, &at, answer, Way::Out);
            }
        }
        for right in operation["security"].as_array().into_iter().flatten() {
            self.offers.insert(format!("{name} is open to {right}"));
        }
        for kind in operation["x-accounts"].as_array().into_iter().flatten() {
            self.offers.insert(format!("{name} is open to {kind}"));
        }
    }

    fn contents(&mut self, document: &Value, at: &str, body: &Value, way: Way) {
        for (kind, content) in body["content"].as_object().into_iter().flatten() {
            self.schema(document, &format!("{at} {kind}"), &content["schema"], way, MAX_DEPTH);
        }
    }

    fn schema(&mut self, document: &Value, at: &str, schema: &Value, way: Way, depth: usize) {
        assert!(depth > 0, "{at} does not end");
        let schema = resolve(document, schema);
        self.offers.insert(at.to_owned());
        let values = schema["enum"].as_array().into_iter().flatten();
        for value in values.chain(schema.get("const")) {
            self.offers.insert(format!("{at} = {value}"));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.schema(document, &format!("{at}.{name}"), property, way, depth - 1);
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // What is always there in an answer is an offer; what must be there in a request is a demand.
            let line = format!("{at}.{name} always");
            match way {
                Way::In => self.demands.insert(line),
                Way::Out => self.offers.insert(line),
                Way::Alternative => false,
            };
        }
        let alternatives = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
        for part in alternatives {
            let way = if way == Way::Out { way } else { Way::Alternative };
            self.schema(document, at, part, way, depth - 1);
        }
        for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[key].is_object() {
                self.schema(document, &format!("{at}{suffix}"), &schema[key], way, depth - 1);
            }
        }
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    let found = document.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere");
    resolve(document, found)
}

/// What would break clients of `before`, a line each.
fn broken_promises(before: &Value, after: &Value) -> Vec<String> {
    if major(after) > major(before) {
        return Vec::new();
    }
    let (old, new) = (Surface::of(before), Surface::of(after));
    let gone = old.offers.difference(&new.offers).map(|line| format!("gone: {line}"));
    let demanded = new.demands.difference(&old.demands).filter(|line| !UNSAID.contains(&line.as_str()));
    let demanded = demanded.map(|line| format!("demanded: {line}"));
    // A new operation may demand what it likes.
    let is_old = |line: &String| {
        let operation: Vec<&str> = line.split(' ').skip(1).take(2).collect();
        old.offers.contains(&operation.join(" "))
    };
    gone.chain(demanded.filter(is_old)).collect()
}

fn major(document: &Value) -> u32 {
    let version = document["info"]["version"].as_str().expect("a version");
    version.split('.').next().and_then(|part| part.parse().ok()).expect("a semantic version")
}

#[test]
fn nothing_of_the_released_contract_is_taken_away() {
    let broken = broken_promises(&document("released.json"), &document("stape-api.json"));
    assert!(broken.is_empty(), "within a major version nothing is taken away:\n{}", broken.join("\n"));
}

#[test]
fn what_would_break_a_client_is_found() {
    let before = document("released.json");
    let broken_by = |change: &dyn Fn(&mut Value)| {
        let mut after = before.clone();
        change(&mut after);
        broken_promises(&before, &after)
    };
    let remove = |at: &str, name: &str| {
        let found = broken_by(&|document| {
            let taken = document.pointer_mut(at).expect(at).as_object_mut().expect("an object").remove(name);
            assert!(taken.is_some(), "{at} has no {name}");
        });
        assert!(!found.is_empty(), "{name} can be taken from {at}");
    };
    assert_eq!(broken_by(&|_| ()), Vec::<String>::new());
    remove("/paths", "/v3/account");
    remove("/paths/~1v3~1account", "patch");
    remove("/components/schemas/Commission/properties", "reviewUntil");
    remove("/components/schemas/CreateSubAccount/properties", "sendInvite");
    remove("/paths/~1v3~1sub-accounts/post/responses", "201");
    let narrowed = broken_by(&|document| {
        document["components"]["schemas"]["CommissionStatus"]["enum"].as_array_mut().expect("values").pop();
    });
    assert!(!narrowed.is_empty());
    let demanding = broken_by(&|document| {
        let fields = document["components"]["schemas"]["CreateSubAccount"]["required"].as_array_mut().expect("fields");
        fields.push(json!("sendInvite"));
    });
    assert_eq!(demanding, ["demanded: POST /v3/sub-accounts takes application/json.sendInvite always"]);
    let next_major = broken_by(&|document| {
        document["info"]["version"] = format!("{}.0.0", major(document) + 1).into();
        document["paths"] = json!({});
    });
    assert_eq!(next_major, Vec::<String>::new());
}
