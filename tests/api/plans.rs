//! The SQL of the product: every list with every filter, explained on both engines; what migrations may not use; and what
//! the deletion of a row looks for in other tables.
//!
//! The end of every test explains what that test executed first (see `support/statements.rs`); this one asks all that can
//! be asked, so that no filter is left out.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::Value;
use stape_api::db::Conn;

use crate::support::{Client, Database, Engine, TestApp, both_engines, breach, id};

both_engines!(every_list_with_every_filter_has_an_index);

async fn every_list_with_every_filter_has_an_index(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let commission = app.commission(&partner, &container).await;
    app.payout_method(&partner, "USD").await;
    app.bonus(&partner, "200.00").await;
    let payout = app.payout(&partner).await;
    let link = app.default_link(&partner).await;
    let client = app.sign_up_with(&link).await;
    let callers = [&partner.login, app.operator().await, &client.login];
    let ids = [
        ("commissionId", id(&commission)),
        ("containerId", container),
        ("paymentId", text(&commission["payment"]["id"])),
        ("payoutId", id(&payout)),
        ("linkId", id(&link)),
        ("accountId", client.id.clone()),
        ("subAccountId", client.id.clone()),
        ("batchId", "bat_00000000000000000000000000".to_owned()),
        ("month", "2026-01".to_owned()),
        ("code", text(&link["code"])),
        ("after", "1".to_owned()),
        ("timeZone", "Europe/Kyiv".to_owned()),
        ("q", "sam".to_owned()),
    ];
    let document = app.visitor().get("/openapi.json").await.expect(200);
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(operation) = item.get("get").filter(|_| path.starts_with("/v3/")) else { continue };
        let parameters = resolved(&document, &operation["parameters"]);
        let mut path = path.clone();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
            let name = text(&parameter["name"]);
            path = path.replace(&format!("{{{name}}}"), &value(&document, parameter, &ids));
        }
        let filters: Vec<String> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query" && parameter["name"] != "cursor")
            .map(|parameter| format!("{}={}", text(&parameter["name"]), value(&document, parameter, &ids)))
            .collect();
        let wanted: Vec<&str> = parameters
            .iter()
            .zip(&filters)
            .filter(|(parameter, _)| parameter["required"] == true)
            .map(|(_, filter)| filter.as_str())
            .collect();
        let Some(caller) = caller_of(&callers, &format!("{path}?{}", wanted.join("&"))).await else { continue };
        asked += 1;
        for filter in filters.iter().map(String::as_str).chain([""]) {
            ask(caller, &format!("{path}?limit=1&{filter}"), &format!("{path}?{filter}")).await;
        }
    }
    assert!(asked >= 35, "only {asked} operations could be asked");
}

/// Asks for a page of one row and for the page behind it; an operation that is no list is asked for all that it has.
async fn ask(caller: &Client, page: &str, whole: &str) {
    let first = caller.get(page).await;
    if first.status != 200 {
        let answer = caller.get(whole.trim_end_matches('?')).await;
        assert!(answer.status < 500, "{whole}: {}", answer.text);
        return;
    }
    if !first.header("content-type").contains("json") {
        return;
    }
    if let Some(cursor) = first.body()["nextCursor"].as_str() {
        caller.get(&format!("{}&cursor={cursor}", page.trim_end_matches('&'))).await.expect(200);
    }
}

/// Who may ask this.
async fn caller_of<'a>(callers: &[&'a Client], path: &str) -> Option<&'a Client> {
    for caller in callers {
        if caller.get(path.trim_end_matches('?')).await.status == 200 {
            return Some(caller);
        }
    }
    None
}

fn resolved(document: &Value, parameters: &Value) -> Vec<Value> {
    let parameters = parameters.as_array().into_iter().flatten();
    parameters.map(|parameter| referred(document, parameter).clone()).collect()
}

fn referred<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(value)
}

/// Something that the parameter takes.
fn value(document: &Value, parameter: &Value, ids: &[(&str, String)]) -> String {
    if let Some((_, id)) = ids.iter().find(|(name, _)| parameter["name"] == *name) {
        return id.clone();
    }
    let schema = referred(document, &parameter["schema"]);
    let schema = if schema["type"] == "array" { referred(document, &schema["items"]) } else { schema };
    let variants = [&schema["enum"][0], &parameter["example"], &schema["example"], &schema["examples"][0]];
    match variants.into_iter().find(|value| !value.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None if schema["type"] == "boolean" => "true".to_owned(),
        None => "USD".to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[test]
fn migrations_use_nothing_that_a_distributed_database_lacks() {
    for engine in ["postgres", "sqlite"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
        for migration in std::fs::read_dir(folder).expect("the migrations are there").flatten() {
            let path = migration.path().join("up.sql");
            let text = std::fs::read_to_string(&path).expect("a migration can be read");
            let sql: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
            assert_eq!(breach(&sql.join("\n")), None, "{}", path.display());
        }
    }
}

#[derive(QueryableByName)]
struct Reference {
    #[diesel(sql_type = Text)]
    place: String,
}

/// A deletion that goes on to other tables looks there for the deleted row's id.
#[test]
fn what_goes_with_a_deleted_row_is_found_by_an_index() {
    let sql = "SELECT m.name || '.' || f.\"from\" AS place \
        FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
        WHERE m.type = 'table' AND f.on_delete = 'CASCADE' AND NOT EXISTS ( \
            SELECT 1 FROM pragma_index_list(m.name) i, pragma_index_info(i.name) c \
            WHERE i.partial = 0 AND c.seqno = 0 AND c.name = f.\"from\")";
    let database = Database::create(Engine::Sqlite).expect("SQLite is always there");
    let load = |conn: &mut Conn| Ok(diesel::sql_query(sql).load::<Reference>(conn)?);
    let missing = database.connect().read_blocking(load).expect("the catalogue can be read");
    let missing: Vec<String> = missing.into_iter().map(|row| row.place).collect();
    assert!(missing.is_empty(), "without an index: {missing:?}");
}
