//! API keys: made by an owner, shown once, limited in number and scope, revoked at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, both_engines, places};

both_engines!(
    a_key_cannot_make_keys,
    a_key_expires,
    a_key_is_shown_once,
    a_key_never_has_more_scopes_than_its_maker,
    a_revoked_key_is_refused_at_once,
    another_accounts_key_is_not_found,
    at_most_ten_keys_are_active_also_when_twenty_are_made_at_once,
);

/// The answer to the request once the credential's cache is over; it must be within a second.
async fn within_a_second(client: &Client, status: u16) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(1);
    loop {
        let answer = client.get("/v3/account").await;
        if answer.status == status {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{} after a second", answer.status);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn a_key_is_shown_once(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"name": " report ", "scopes": ["commissions:read", "account:read"]});
    let answer = agency.login.post("/v3/api-keys", &body).await;
    assert!(answer.header("location").starts_with("/v3/api-keys/key_"));
    let mut key = answer.expect(201);
    let secret = key.as_object_mut().expect("an object").remove("key").expect("the key itself");
    let secret = secret.as_str().expect("text");
    assert!(secret.starts_with("stp_") && secret.len() == 42, "{secret}");
    assert_eq!(key["name"], "report");
    assert_eq!(key["hint"], &secret[38..]);
    assert_eq!((&key["expiresAt"], &key["lastUsedAt"]), (&Value::Null, &Value::Null));
    let mut scopes: Vec<_> = key["scopes"].as_array().expect("scopes").iter().map(Value::to_string).collect();
    scopes.sort();
    assert_eq!(scopes, [r#""account:read""#, r#""commissions:read""#]);
    assert_eq!(agency.login.list("/v3/api-keys").await, [key]);
    app.caller(secret).get("/v3/account").await.expect(200);
}

async fn a_key_never_has_more_scopes_than_its_maker(app: &TestApp) {
    let client = app.standard().await;
    for scope in ["payouts:read", "operator:billing", "no:scope"] {
        let body = json!({"name": "n", "scopes": ["account:read", scope]});
        let problem = client.login.post("/v3/api-keys", &body).await.problem("validationFailed");
        assert!(places(&problem)[0].starts_with("/scopes"), "{problem:#}");
    }
    let unknown = json!({"name": "n", "scopes": ["account:read", "commission:read"]});
    let problem = client.login.post("/v3/api-keys", &unknown).await.problem("validationFailed");
    let error = &problem["errors"][0];
    assert_eq!((&error["pointer"], &error["code"]), (&json!("/scopes/1"), &json!("unknownValue")));
    let detail = error["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("must be one of account:read, ") && detail.ends_with(", events:read"), "{detail}");
    let key = app.api_key(&client, &["account:read"]).await;
    key.patch("/v3/account", &json!({})).await.problem("insufficientScope");
}

async fn a_key_cannot_make_keys(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read", "account:write"]).await;
    key.post("/v3/api-keys", &json!({"name": "n", "scopes": ["account:read"]})).await.problem("ownerRequired");
    key.get("/v3/api-keys").await.problem("ownerRequired");
}

async fn a_revoked_key_is_refused_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    key.get("/v3/account").await.expect(200);
    let id = agency.login.list("/v3/api-keys").await[0]["id"].as_str().expect("an id").to_owned();
    agency.login.delete(&format!("/v3/api-keys/{id}")).await.expect(204);
    within_a_second(&key, 401).await;
    key.get("/v3/account").await.problem("invalidCredentials");
    agency.login.delete(&format!("/v3/api-keys/{id}")).await.problem("notFound");
}

async fn another_accounts_key_is_not_found(app: &TestApp) {
    let (agency, stranger) = (app.agency().await, app.agency().await);
    let key = app.api_key(&agency, &["account:read"]).await;
    let id = agency.login.list("/v3/api-keys").await[0]["id"].as_str().expect("an id").to_owned();
    stranger.login.delete(&format!("/v3/api-keys/{id}")).await.problem("notFound");
    assert!(stranger.login.list("/v3/api-keys").await.is_empty());
    key.get("/v3/account").await.expect(200);
}

async fn at_most_ten_keys_are_active_also_when_twenty_are_made_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"name": "n", "scopes": ["account:read"]});
    let answers = join_all((0..20).map(|_| agency.login.post("/v3/api-keys", &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem("apiKeyLimitReached");
    }
    let id = agency.login.list("/v3/api-keys").await[0]["id"].as_str().expect("an id").to_owned();
    agency.login.delete(&format!("/v3/api-keys/{id}")).await.expect(204);
    agency.login.post("/v3/api-keys", &body).await.expect(201);
}

async fn a_key_expires(app: &TestApp) {
    let agency = app.agency().await;
    let body = |time: &str| json!({"name": "n", "scopes": ["account:read"], "expiresAt": time});
    let problem = agency.login.post("/v3/api-keys", &body("2025-12-31T00:00:00Z")).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/expiresAt"]);
    let key = agency.login.post("/v3/api-keys", &body("2026-01-02T00:00:00Z")).await.expect(201);
    let key = app.caller(key["key"].as_str().expect("the key"));
    key.get("/v3/account").await.expect(200);
    app.move_clock("2026-01-02T00:00:00Z").await;
    within_a_second(&key, 401).await;
}
