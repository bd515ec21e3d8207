//! Limits on everything that grows, at their edges. Those of keys, members, links and billing batches are in their features'
//! files; here are the table over all bodies, and what the server forgets.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use stape_api::clock::Timestamp;
use stape_api::db::Conn;
use stape_api::db::schema::{idempotency_keys, sessions};

use crate::support::{Callers, Engine, Operation, TestApp, both_engines, operations, run};

both_engines!(
    ended_sessions_are_forgotten_after_eight_days,
    idempotency_keys_are_kept_for_seven_days_and_then_forgotten
);

/// How long the worker may take until it has looked.
const PATIENCE: Duration = Duration::from_secs(20);

/// The properties of an operation's body with such a bound, and the bound.
fn bounded(operation: &Operation, bound: &str) -> Vec<(String, usize)> {
    let schema = operation.schema();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let limit = |schema: &Value| schema[bound].as_u64().and_then(|limit| usize::try_from(limit).ok());
    properties.into_iter().filter_map(|(name, schema)| Some((name, limit(&schema)?))).collect()
}

#[test]
fn a_text_has_at_most_as_many_characters_as_the_document_says() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let callers = Callers::of(app).await;
        let mut tried = 0;
        for operation in operations() {
            for (name, limit) in bounded(&operation, "maxLength") {
                let mut body = operation.example().expect("an example");
                body[&name] = json!("x".repeat(limit + 1));
                let pointer = format!("/{name}");
                let errors = callers.broken(&operation, &body).await;
                assert!(errors.iter().any(|(place, _)| *place == pointer), "{} {name}: {errors:?}", operation.name());
                // At the limit something else may be wrong with it, and its length is not.
                body[&name] = json!("ü".repeat(limit));
                body["more"] = json!(1);
                let errors = callers.broken(&operation, &body).await;
                let is_too_long = |(place, code): &(String, String)| *place == pointer && code == "length";
                assert!(!errors.iter().any(is_too_long), "{} {name}: {errors:?}", operation.name());
                tried += 1;
            }
        }
        assert!(tried > 40, "{tried} texts");
    });
}

#[test]
fn a_list_has_at_most_as_many_items_as_the_document_says() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let callers = Callers::of(app).await;
        let mut tried = 0;
        for operation in operations() {
            for (name, limit) in bounded(&operation, "maxItems") {
                let mut body = operation.example().expect("an example");
                let item = body[&name].get(0).cloned().unwrap_or_else(|| json!({}));
                body[&name] = json!(vec![item; limit + 1]);
                let errors = callers.broken(&operation, &body).await;
                let is_about_it = |(place, _): &(String, String)| place.starts_with(&format!("/{name}"));
                assert!(errors.iter().any(is_about_it), "{} {name}: {errors:?}", operation.name());
                tried += 1;
            }
        }
        assert!(tried >= 4, "{tried} lists");
    });
}

/// What the worker of another server on the same database leaves of `count` rows.
async fn forgotten(app: &TestApp, left: i64, count: impl Fn(&mut Conn) -> stape_api::error::Result<i64> + Copy) {
    let worker = TestApp::start(&app.database).await;
    let begun = Instant::now();
    while app.database.connect().read_blocking(count).expect("a count") > left {
        assert!(begun.elapsed() < PATIENCE, "nothing is forgotten");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await;
    assert_eq!(app.database.connect().read_blocking(count).expect("a count"), left);
}

async fn idempotency_keys_are_kept_for_seven_days_and_then_forgotten(app: &TestApp) {
    let agency = app.agency().await;
    let send = async |key: &str| {
        let person = json!({"email": format!("{key}@example.com"), "firstName": "A", "lastName": "B"});
        let request = agency.login.request(Method::POST, "/v3/sub-accounts").header("idempotency-key", key);
        request.json(&person).send().await
    };
    for (key, days) in [("young", -7), ("old", -9)] {
        send(key).await.expect(201);
        let made = Timestamp::machine().plus_days(days);
        let age = move |conn: &mut Conn| {
            let row = idempotency_keys::table.filter(idempotency_keys::key.eq(key));
            Ok(diesel::update(row).set(idempotency_keys::created_at.eq(made)).execute(conn)?)
        };
        assert_eq!(app.database.connect().write_blocking(age).expect("an update"), 1);
    }
    forgotten(app, 1, |conn| Ok(idempotency_keys::table.count().get_result(conn)?)).await;
    let replayed = send("young").await;
    assert_eq!((replayed.status, replayed.header("idempotent-replayed")), (201, "true"));
    // The effect itself stays, so the forgotten key is no way to do it twice unnoticed.
    send("old").await.problem("emailTaken");
}

async fn ended_sessions_are_forgotten_after_eight_days(app: &TestApp) {
    let agency = app.agency().await;
    let other = app.sign_in(&agency.email, crate::support::PASSWORD).await;
    other.delete("/v3/sessions/current").await.expect(204);
    let ended = Timestamp::machine().plus_days(-9);
    let age = move |conn: &mut Conn| {
        let row = sessions::table.filter(sessions::ended_at.is_not_null());
        Ok(diesel::update(row).set(sessions::ended_at.eq(ended)).execute(conn)?)
    };
    assert_eq!(app.database.connect().write_blocking(age).expect("an update"), 1);
    forgotten(app, 1, |conn| Ok(sessions::table.count().get_result(conn)?)).await;
    agency.login.get("/v3/account").await.expect(200);
}
