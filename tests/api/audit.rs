//! The audit log: who did what, in which request; an owner sees its account's, the operator all.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, both_engines};

both_engines!(
    an_entry_names_actor_action_resource_and_request,
    an_owner_sees_its_own_account_alone,
    nothing_refused_is_in_the_log,
    the_log_holds_no_secrets,
    the_log_is_read_by_time,
);

async fn an_entry_names_actor_action_resource_and_request(app: &TestApp) {
    let agency = app.agency().await;
    let request = agency.login.request(Method::POST, "/v3/api-keys").header("x-request-id", "the-request");
    let key = request.json(&json!({"name": "n", "scopes": ["account:read"]})).send().await.expect(201);
    let log = agency.login.list("/v3/audit-log").await;
    let entry = log.iter().find(|entry| entry["requestId"] == "the-request").expect("the entry");
    assert_eq!((&entry["action"], &entry["resourceType"]), (&json!("apiKey.created"), &json!("apiKey")));
    assert_eq!((&entry["resourceId"], &entry["accountId"]), (&key["id"], &json!(agency.id)));
    assert_eq!((&entry["actorType"], &entry["actingAccountId"]), (&json!("user"), &Value::Null));
    assert!(entry["actorId"].as_str().is_some_and(|id| id.starts_with("usr_")));
}

async fn an_owner_sees_its_own_account_alone(app: &TestApp) {
    let (agency, stranger, client) = (app.agency().await, app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    for account in [&agency, &stranger, &client] {
        let log = account.login.list("/v3/audit-log").await;
        assert!(log.iter().all(|entry| entry["accountId"] == account.id.as_str()), "{log:#?}");
    }
    let key = app.api_key(&agency, &["account:read", "events:read"]).await;
    key.get("/v3/audit-log").await.problem("ownerRequired");
    let all = app.operator().await.list("/v3/operator/audit-log").await;
    let of_agency = app.operator().await.list(&format!("/v3/operator/audit-log?accountId={}", agency.id)).await;
    assert!(all.len() > of_agency.len());
    assert_eq!(of_agency, agency.login.list("/v3/audit-log").await);
    let of_two = format!("/v3/operator/audit-log?accountId={},nonsense,{}", agency.id, client.id);
    let of_client = client.login.list("/v3/audit-log").await;
    assert_eq!(app.operator().await.list(&of_two).await.len(), of_agency.len() + of_client.len());
}

async fn the_log_is_read_by_time(app: &TestApp) {
    let agency = app.agency().await;
    app.move_clock("2026-01-02T00:00:00Z").await;
    let login = app.sign_in(&agency.email, PASSWORD).await;
    login.post("/v3/api-keys", &json!({"name": "late", "scopes": ["account:read"]})).await.expect(201);
    let log = login.list("/v3/audit-log").await;
    for (moment, count) in
        [("2026-01-01T00:00:00Z", log.len()), ("2026-01-02T00:00:00Z", 2), ("2099-01-01T00:00:00Z", 0)]
    {
        let part = async |parameter: &str| login.list(&format!("/v3/audit-log?{parameter}={moment}")).await;
        let (late, early) = (part("createdAfter").await, part("createdBefore").await);
        assert_eq!(late.len(), count, "{moment}");
        assert_eq!([late, early].concat(), log, "{moment}");
    }
}

async fn nothing_refused_is_in_the_log(app: &TestApp) {
    let agency = app.agency().await;
    let before = agency.login.list("/v3/audit-log").await;
    agency.login.post_nothing("/v3/partner-applications").await.problem("notEligible");
    agency.login.post("/v3/api-keys", &json!({"name": ""})).await.problem("validationFailed");
    assert_eq!(agency.login.list("/v3/audit-log").await, before);
}

async fn the_log_holds_no_secrets(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    let log = Value::from(app.operator().await.list("/v3/operator/audit-log").await).to_string();
    for secret in [crate::support::PASSWORD, key.credential(), agency.login.credential()] {
        assert!(!log.contains(secret));
    }
}
