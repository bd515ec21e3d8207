//! The operations as the committed API document lists them: what a table over all of them is made of.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Client, TestApp, id, new_key};

/// An id of each kind that belongs to nobody, by the path parameter that takes it.
const NOBODYS: [(&str, &str); 9] = [
    ("containerId", "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("accountId", "acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("payoutId", "pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("linkId", "lnk_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("userId", "usr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("applicationId", "app_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("keyId", "key_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("batchId", "bat_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
    ("currency", "USD"),
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../openapi/stape-api.json")).expect("the committed document")
});

/// An operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    /// With the parameters in braces.
    pub path: String,
    pub details: Value,
}

/// All operations.
pub fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, details) in item.as_object().expect("operations") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                operations.push(Operation { method, path: path.clone(), details: details.clone() });
            }
        }
    }
    operations
}

/// Holds a refusal against the document: its operation names the code at the answer with that status. `line` is method and
/// path. What reached no operation, the document does not describe.
pub fn assert_named(line: &str, status: u16, code: &str) {
    let (method, path) = line.split_once(' ').expect("method and path");
    let path = path.split('?').next().unwrap_or_default();
    let operation = operation_at(path).and_then(|item| item.get(method.to_lowercase()));
    let Some(operation) = operation.filter(|_| status != 405) else { return };
    let answer = &operation["responses"][status.to_string()];
    let shared = answer["$ref"].as_str().and_then(|at| DOCUMENT.pointer(at.trim_start_matches('#')));
    let own = answer["description"].as_str();
    let description = own.or_else(|| shared?["description"].as_str()).unwrap_or_default();
    assert!(
        description.contains(&format!("`{code}`: ")),
        "{line}: the document does not name {code} at {status}; name it in x-refusals: {description:?}"
    );
}

/// The operations of a path; one without parameters wins over those with.
fn operation_at(path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths.get(path).or_else(|| paths.iter().find(|(pattern, _)| fits(pattern, path)).map(|(_, item)| item))
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let fits = |(wanted, found): (&&str, &&str)| match wanted.split_once('{').zip(wanted.split_once('}')) {
        Some(((before, _), (_, after))) => {
            found.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(|value| !value.is_empty())
        }
        None => wanted == found,
    };
    pattern.len() == path.len() && pattern.iter().zip(&path).all(fits)
}

/// The committed document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

impl Operation {
    /// The example of its JSON body, where it takes one.
    pub fn example(&self) -> Option<Value> {
        self.details["requestBody"]["content"]["application/json"].get("example").cloned()
    }

    /// The schema of its JSON body, references followed.
    pub fn schema(&self) -> Value {
        let schema = &self.details["requestBody"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        name.map_or_else(|| schema.clone(), |name| DOCUMENT["components"]["schemas"][name].clone())
    }

    /// The names of its path parameters.
    pub fn parameters(&self) -> Vec<&str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    /// Whether anybody may call it.
    pub fn is_public(&self) -> bool {
        self.details["security"].as_array().is_none_or(|ways| ways.iter().any(|way| *way == json!({})))
    }

    /// Its path with these values of parameters; nobody's ids for the others.
    pub fn path_with(&self, values: &[(&str, &str)]) -> String {
        let mut path = self.path.clone();
        // Access requests and operator requests share a parameter's name.
        let request = if path.contains("access-requests") { "arq_" } else { "orq_" };
        let request = format!("{request}01KB0H6Q4N7ZJ8R5T3V9WXY2AC");
        for (name, value) in values.iter().chain(&NOBODYS).chain(&[("requestId", request.as_str())]) {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        path
    }

    /// Calls it with every header that it may want.
    pub async fn call(&self, client: &Client, path: &str, body: Option<&Value>) -> Answer {
        self.call_if(client, path, "\"another\"", body).await
    }

    /// [`Operation::call`] where only the version with this tag may be changed.
    async fn call_if(&self, client: &Client, path: &str, tag: &str, body: Option<&Value>) -> Answer {
        let mut request = client.request(self.method.clone(), path);
        if self.details["x-idempotency"] == "required" {
            request = request.header("idempotency-key", &new_key());
        }
        if self.details["x-conditional"] == "changeRequired" {
            request = request.header("if-match", tag);
        }
        match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        }
    }

    /// Method and path.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Whoever may call something, and what changes are looked at only with: a link of theirs, the tag of the program.
pub struct Callers {
    clients: Vec<Client>,
    link: String,
    program_tag: String,
}

impl Callers {
    /// A visitor, a partner, a client and an operator.
    pub async fn of(app: &TestApp) -> Self {
        let partner = app.partner().await;
        let link = id(&app.default_link(&partner).await);
        let program_tag = app.visitor().get("/v3/program").await.header("etag").to_owned();
        let clients = vec![app.visitor(), partner.login, app.standard().await.login, app.operator().await.clone()];
        Self { clients, link, program_tag }
    }

    /// The places of what a body, or the only element of a batch, breaks, and the rules' codes, told by the first caller
    /// whose body is looked at.
    pub async fn broken(&self, operation: &Operation, body: &Value) -> Vec<(String, String)> {
        for client in &self.clients {
            let path = operation.path_with(&[("linkId", &self.link)]);
            let answer = operation.call_if(client, &path, &self.program_tag, Some(body)).await;
            let problem = match answer.status {
                200 => answer.body()["results"][0]["problem"].clone(),
                422 => answer.problem("validationFailed"),
                _ => {
                    assert!(answer.status >= 400, "{}: {}", operation.name(), answer.text);
                    continue;
                }
            };
            assert_eq!(problem["code"], "validationFailed", "{} {body}: {problem:#}", operation.name());
            let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
            let errors = problem["errors"].as_array().expect("errors").iter();
            return errors.map(|error| (text(error, "pointer"), text(error, "code"))).collect();
        }
        panic!("{}: nobody may call it", operation.name())
    }
}
