//! The API's document: committed as it is served, complete, and true about credentials and scopes.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use stape_api::accounts::AccountKind;
use stape_api::auth::{Scope, Scopes};
use stape_api::error::Code;
use stape_api::openapi;

use crate::support::{Account, Answer, Client, TestApp, both_engines};

both_engines!(
    all_problem_codes_are_on_one_page,
    an_operation_names_the_scope_that_a_credential_lacks,
    an_operation_that_is_not_public_wants_a_credential,
    every_problem_code_has_a_page,
    swagger_ui_needs_no_other_server,
    the_committed_document_is_the_one_that_is_served,
);

/// Set to write the document instead of comparing it.
const UPDATE: &str = "UPDATE_OPENAPI";

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

async fn document(app: &TestApp) -> Value {
    app.visitor().get("/openapi.json").await.expect(200)
}

async fn the_committed_document_is_the_one_that_is_served(app: &TestApp) {
    let made = openapi::json(&openapi::document()).expect("JSON");
    let made = serde_json::to_string_pretty(&made).expect("JSON") + "\n";
    let path = root().join("openapi/stape-api.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::create_dir_all(root().join("openapi")).expect("the folder can be made");
        // The server has it from its next build on.
        return std::fs::write(&path, &made).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "openapi/stape-api.json is stale: run `{UPDATE}=1 cargo test openapi`");
    assert!(document(app).await == serde_json::from_str::<Value>(&made).expect("JSON"), "another document is served");
}

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    definition: Value,
}

impl Operation {
    /// What a credential needs: a scope, `owner`, or nothing named. None for a public operation.
    fn right(&self) -> Option<String> {
        let requirements = self.definition["security"].as_array().expect("security is stated");
        let first = requirements.iter().find_map(|requirement| requirement.as_object()?.iter().next())?;
        let scopes = first.1.as_array().expect("scopes");
        Some(scopes.first().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Calls it with ids that do not exist and an empty body.
    async fn call(&self, client: &Client) -> Answer {
        let mut path = self.path.clone();
        while let Some((begin, end)) = path.find('{').zip(path.find('}')) {
            path.replace_range(begin..=end, "x");
        }
        let request = client.request(self.method.clone(), &path);
        if self.method == Method::GET { request.send().await } else { request.json(&json!({})).send().await }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

async fn operations(app: &TestApp) -> Vec<Operation> {
    let document = document(app).await;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
            let definition = item[*method].clone();
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            found.push(Operation { method, path: path.clone(), definition });
        }
    }
    assert!(found.len() > 30, "{} operations", found.len());
    found
}

async fn an_operation_that_is_not_public_wants_a_credential(app: &TestApp) {
    let mut public = Vec::new();
    for operation in operations(app).await {
        if operation.right().is_none() {
            public.push(operation.name());
            continue;
        }
        let answer = operation.call(&app.visitor()).await;
        assert_eq!(answer.status, 401, "{}: {}", operation.name(), answer.text);
        assert!(!answer.header("www-authenticate").is_empty(), "{}", operation.name());
        answer.problem("authenticationRequired");
    }
    public.retain(|name| name.contains("/v3/"));
    public.sort();
    // What is reachable without a credential is a decision: whoever adds to this list has made it.
    let decided = [
        "GET /v3/program",
        "POST /v3/accounts",
        "POST /v3/password-resets",
        "POST /v3/password-resets/confirm",
        "POST /v3/sessions",
        "POST /v3/sessions/refresh",
    ];
    assert_eq!(public, decided);
}

async fn an_operation_names_the_scope_that_a_credential_lacks(app: &TestApp) {
    let (partner, client) = (app.partner().await, app.standard().await);
    for operation in operations(app).await {
        let Some(right) = operation.right() else { continue };
        let answer = match right.parse::<Scope>() {
            Ok(scope) if Scopes::of_operator().contains(scope) => {
                let others: Vec<Scope> =
                    Scopes::of_operator().list().into_iter().filter(|other| *other != scope).collect();
                operation.call(&app.caller(&app.operator_key(Scopes::of(&others)).await)).await
            }
            Ok(scope) => {
                let answer = operation.call(&key_without(app, &partner, AccountKind::Partner, scope).await).await;
                // A client's own operation: the kind of account is looked at before the scope.
                if code(&answer) == "wrongAccountKind" {
                    operation.call(&key_without(app, &client, AccountKind::Standard, scope).await).await
                } else {
                    answer
                }
            }
            Err(_) if right == "owner" => {
                let key = key_without(app, &partner, AccountKind::Partner, Scope::AccountRead).await;
                let answer = operation.call(&key).await;
                assert!(["ownerRequired", "wrongAccountKind"].contains(&code(&answer).as_str()), "{}", answer.text);
                continue;
            }
            // Any credential of the kind will do.
            Err(_) => continue,
        };
        let detail = answer.problem("insufficientScope")["detail"].to_string();
        assert!(detail.contains(&right), "{}: {detail}", operation.name());
    }
}

/// A key with every scope of the account's kind but one. Only the newest one is kept: an account has few.
async fn key_without(app: &TestApp, account: &Account, kind: AccountKind, scope: Scope) -> Client {
    for key in account.login.list("/v3/api-keys").await {
        let id = key["id"].as_str().expect("an id");
        account.login.delete(&format!("/v3/api-keys/{id}")).await.expect(204);
    }
    let all = Scopes::of_owner(kind).list();
    let others: Vec<&str> = all.into_iter().filter(|other| *other != scope).map(Scope::as_str).collect();
    app.api_key(account, &others).await
}

fn code(answer: &Answer) -> String {
    answer.body()["code"].as_str().unwrap_or_default().to_owned()
}

async fn every_problem_code_has_a_page(app: &TestApp) {
    for code in Code::ALL {
        let answer = app.visitor().get(&format!("/docs/errors/{}", code.name())).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").starts_with("text/html"));
        assert!(answer.text.contains(code.name()));
    }
    app.visitor().get("/docs/errors/unheardOf").await.problem("notFound");
}

async fn all_problem_codes_are_on_one_page(app: &TestApp) {
    let visitor = app.visitor();
    let (index, one) = (visitor.get("/docs/errors").await, visitor.get("/docs/errors/notFound").await);
    assert_eq!(index.status, 200);
    for name in ["content-type", "content-security-policy", "cache-control"] {
        assert_eq!(index.header(name), one.header(name), "{name}");
    }
    for code in Code::ALL {
        assert!(index.text.contains(&format!("href=\"/docs/errors/{}\"", code.name())), "{code:?}");
    }
    assert!(one.text.contains("href=\"/docs/errors\""));
    let head = visitor.head("/docs/errors").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("content-security-policy"), index.header("content-security-policy"));
}

async fn swagger_ui_needs_no_other_server(app: &TestApp) {
    let page = app.visitor().get("/docs").await;
    assert_eq!(page.status, 200);
    let mut files = 0;
    let is_file = |part: &&str| Path::new(part).extension().is_some_and(|kind| kind == "js" || kind == "css");
    for part in page.text.split(['"', '\'']).filter(is_file) {
        assert!(!part.contains("//"), "{part}");
        let path = if part.starts_with('/') { part.to_owned() } else { format!("/docs/{part}") };
        assert_eq!(app.visitor().get(&path).await.status, 200, "{path}");
        files += 1;
    }
    assert!(files >= 3, "{}", page.text);
}

fn sources(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the sources are there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

#[test]
fn every_problem_code_is_unique_and_used() {
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    let sources = sources(&root().join("src"));
    for code in Code::ALL {
        assert!((400..600).contains(&code.status()), "{code:?}");
        let usage = format!("Code::{code:?}");
        let is_used = |(_, text): &(String, String)| {
            text.match_indices(&usage).any(|(at, _)| !text[at + usage.len()..].starts_with(char::is_alphanumeric))
        };
        assert!(sources.iter().any(is_used), "{code:?} is used nowhere");
    }
}

#[test]
fn every_registered_route_is_in_the_document() {
    let committed = std::fs::read_to_string(root().join("openapi/stape-api.json")).expect("the document");
    let document: Value = serde_json::from_str(&committed).expect("JSON");
    let mut documented = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for method in METHODS {
            if let Some(id) = item[method]["operationId"].as_str() {
                assert!(documented.insert(id.to_owned()), "{id} is there twice");
                assert!(id.starts_with(char::is_lowercase) && id.chars().all(char::is_alphanumeric), "{id}");
            }
        }
    }
    let mut routes = 0;
    for (path, text) in sources(&root().join("src")) {
        let lines: Vec<&str> = text.lines().collect();
        let text = text.as_str();
        routes +=
            lines.iter().filter(|line| METHODS.iter().any(|method| line.starts_with(&format!("#[{method}(")))).count();
        for id in text.split("operation_id = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(documented.contains(id), "{path}: {id} is not registered");
        }
    }
    // Swagger UI's files are no operation of the API.
    assert_eq!(routes, documented.len() + 1);
}
