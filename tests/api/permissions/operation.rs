//! The operations as the document describes them, and how a test calls them.

use reqwest::Method;
use serde_json::Value;
use stape_api::auth::Scope;

use crate::support::{Answer, Client, new_key};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What a caller must have besides the right kind of account.
#[derive(Debug, PartialEq)]
pub(super) enum Right {
    Nothing,
    AnyKey,
    Login,
    Owner,
    Scope(Scope),
}

pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) definition: Value,
}

impl Operation {
    pub(super) fn all(document: &Value) -> Vec<Self> {
        let items = document["paths"].as_object().expect("paths").iter();
        let operations = items.flat_map(|(path, item)| {
            METHODS.iter().filter(|method| item.get(**method).is_some()).map(|method| Self {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                definition: item[*method].clone(),
            })
        });
        operations.collect()
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn right(&self) -> Right {
        let first = self.definition["security"][0].as_object().expect("security is stated");
        let Some((scheme, scopes)) = first.iter().next() else { return Right::Nothing };
        match (scheme.as_str(), scopes[0].as_str()) {
            (_, Some("owner")) => Right::Owner,
            (_, Some(scope)) => Right::Scope(scope.parse().expect("a known scope")),
            ("session", None) => Right::Login,
            (_, None) => Right::AnyKey,
        }
    }

    /// The kinds of callers that it takes.
    pub(super) fn kinds(&self) -> Vec<&str> {
        let stated = self.definition["x-accounts"].as_array();
        stated.map_or(vec!["operator"], |kinds| kinds.iter().filter_map(Value::as_str).collect())
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.definition["parameters"].as_array().into_iter().flatten()
    }

    pub(super) fn has_ids(&self) -> bool {
        self.path.split(['{', '}']).skip(1).step_by(2).any(|name| name.ends_with("Id"))
    }

    /// The path with values for its parameters, and the query that it cannot do without.
    pub(super) fn address(&self, document: &Value, value: impl Fn(&str) -> String) -> String {
        let parts = self.path.split(['{', '}']).enumerate();
        let path: String =
            parts.map(|(index, part)| if index % 2 == 1 { value(part) } else { part.to_owned() }).collect();
        let required = self.parameters().filter(|one| one["in"] == "query" && one["required"] == true);
        let query: Vec<String> = required
            .map(|one| {
                let schema = resolve(document, &one["schema"]);
                format!("{}={}", one["name"].as_str().expect("a name"), schema["examples"][0].as_str().expect("a text"))
            })
            .collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Sends it; a change with this body and, where it needs one, an idempotency key.
    pub(super) async fn send(&self, client: &Client, address: &str, body: &Value) -> Answer {
        let request = client.request(self.method.clone(), address);
        if self.method == Method::GET {
            return request.send().await;
        }
        let needs_key = self.parameters().any(|one| one["$ref"] == "#/components/parameters/RequiredIdempotencyKey");
        let request = if needs_key { request.header("idempotency-key", &new_key()) } else { request };
        request.json(body).send().await
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    schema["$ref"].as_str().map_or(schema, |at| document.pointer(at.trim_start_matches('#')).expect("a component"))
}
