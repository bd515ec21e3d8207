//! Logging in as a client: what such a login may do, whom it names, and what ends it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Account, Client, TestApp, both_engines};

both_engines!(
    a_blocked_account_ends_it,
    a_key_logs_in_too_and_ends_it_with_itself,
    a_login_acts_as_the_client,
    a_login_does_nothing_that_needs_an_owner,
    a_manager_without_access_cannot_log_in,
    a_revocation_ends_it_at_once,
    a_sign_out_of_the_manager_ends_it,
    detaching_ends_it,
    no_idempotency_key_is_taken,
    the_audit_log_names_both,
);

async fn log_in(app: &TestApp, manager: &Client, client_id: &str) -> Client {
    let answer = manager.post_nothing(&format!("/v3/sub-accounts/{client_id}/login")).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let login = answer.expect(201);
    let fields: Vec<&str> = login.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["accessToken", "expiresAt"]);
    app.caller(login["accessToken"].as_str().expect("a token"))
}

async fn with_client(app: &TestApp) -> (Account, Account, Client) {
    let agency = app.agency().await;
    let client = app.invited_client_of(&agency).await;
    let login = log_in(app, &agency.login, &client.id).await;
    (agency, client, login)
}

async fn a_login_acts_as_the_client(app: &TestApp) {
    let (_, client, login) = with_client(app).await;
    assert_eq!(login.get("/v3/account").await.expect(200)["id"], client.id.as_str());
    let container = json!({"name": "shop", "product": "sgtmContainer"});
    let made = login.post("/v3/containers", &container).await.expect(201);
    assert_eq!(made["accountId"], client.id.as_str());
    let path = format!("/v3/containers/{}", made["id"].as_str().expect("an id"));
    login.patch(&path, &json!({"name": "shop two"})).await.expect(200);
    assert_eq!(login.list("/v3/containers").await.len(), 1);
}

async fn a_login_does_nothing_that_needs_an_owner(app: &TestApp) {
    let (_, client, login) = with_client(app).await;
    let container = json!({"name": "shop", "product": "sgtmContainer"});
    let made = client.login.post("/v3/containers", &container).await.expect(201);
    let path = format!("/v3/containers/{}", made["id"].as_str().expect("an id"));
    assert_eq!(login.delete(&path).await.status, 403);
    let transfer = json!({"email": "other@example.com"});
    assert_eq!(login.post(&format!("{path}/transfer"), &transfer).await.status, 403);
    for (method, path) in [
        (Method::GET, "/v3/access-requests"),
        (Method::GET, "/v3/api-keys"),
        (Method::GET, "/v3/audit-log"),
        (Method::DELETE, "/v3/manager"),
        (Method::DELETE, "/v3/manager/access"),
        (Method::DELETE, "/v3/sessions/current"),
    ] {
        let answer = login.request(method, path).send().await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    login.post("/v3/account/agency", &json!({"email": "x@example.com"})).await.problem("ownerRequired");
    login.patch("/v3/account", &json!({"firstName": "Eve"})).await.problem("insufficientScope");
    for path in ["/v3/events", "/v3/payments"] {
        login.get(path).await.problem("insufficientScope");
    }
    let refresh = json!({"refreshToken": login.credential()});
    app.visitor().post("/v3/sessions/refresh", &refresh).await.problem("invalidCredentials");
    login.post_nothing(&format!("/v3/sub-accounts/{}/login", client.id)).await.problem("wrongAccountKind");
}

async fn a_manager_without_access_cannot_log_in(app: &TestApp) {
    let (agency, client, stranger) = (app.agency().await, app.standard().await, app.agency().await);
    app.link(&client.id, &agency.id).await;
    let path = format!("/v3/sub-accounts/{}/login", client.id);
    agency.login.post_nothing(&path).await.problem("accessNotGranted");
    stranger.login.post_nothing(&path).await.problem("notFound");
    let key = app.api_key(&agency, &["subAccounts:read", "subAccounts:write"]).await;
    key.post_nothing(&path).await.problem("insufficientScope");
}

async fn no_idempotency_key_is_taken(app: &TestApp) {
    let (agency, client, _) = with_client(app).await;
    let path = format!("/v3/sub-accounts/{}/login", client.id);
    let request = agency.login.request(Method::POST, &path).header("idempotency-key", "one");
    request.send().await.problem("idempotencyKeyNotAllowed");
}

async fn the_audit_log_names_both(app: &TestApp) {
    let (agency, client, login) = with_client(app).await;
    login.post("/v3/containers", &json!({"name": "shop", "product": "sgtmContainer"})).await.expect(201);
    let owner = agency.login.list("/v3/members").await[0]["id"].clone();
    let log = client.login.list("/v3/audit-log").await;
    let created = log.iter().find(|row| row["action"] == "container.created").expect("a row");
    assert_eq!((&created["actorId"], &created["actingAccountId"]), (&owner, &json!(agency.id)));
    assert_eq!((&created["accountId"], &created["actorType"]), (&json!(client.id), &json!("user")));
    for account in [&agency, &client] {
        let log = account.login.list("/v3/audit-log").await;
        let row = log.iter().find(|row| row["action"] == "subAccount.loggedIn").expect("a row");
        assert_eq!((&row["actorId"], &row["details"]["managerId"]), (&owner, &json!(agency.id)));
    }
}

async fn a_revocation_ends_it_at_once(app: &TestApp) {
    let (agency, client, login) = with_client(app).await;
    login.get("/v3/account").await.expect(200);
    client.login.delete("/v3/manager/access").await.expect(204);
    login.get("/v3/account").await.problem("invalidCredentials");
    let path = format!("/v3/sub-accounts/{}/login", client.id);
    agency.login.post_nothing(&path).await.problem("accessNotGranted");
}

async fn detaching_ends_it(app: &TestApp) {
    let (agency, client, login) = with_client(app).await;
    login.get("/v3/account").await.expect(200);
    agency.login.post_nothing(&format!("/v3/sub-accounts/{}/detach", client.id)).await.expect(204);
    login.get("/v3/account").await.problem("invalidCredentials");
}

async fn a_sign_out_of_the_manager_ends_it(app: &TestApp) {
    let (agency, _, login) = with_client(app).await;
    login.get("/v3/account").await.expect(200);
    agency.login.delete("/v3/sessions/current").await.expect(204);
    login.get("/v3/account").await.problem("invalidCredentials");
}

async fn a_key_logs_in_too_and_ends_it_with_itself(app: &TestApp) {
    let (agency, client, _) = with_client(app).await;
    let key = app.api_key(&agency, &["subAccounts:login"]).await;
    let login = log_in(app, &key, &client.id).await;
    login.get("/v3/account").await.expect(200);
    let keys = agency.login.list("/v3/api-keys").await;
    let path = format!("/v3/api-keys/{}", keys[0]["id"].as_str().expect("an id"));
    agency.login.delete(&path).await.expect(204);
    login.get("/v3/account").await.problem("invalidCredentials");
}

async fn a_blocked_account_ends_it(app: &TestApp) {
    let (agency, client, login) = with_client(app).await;
    login.get("/v3/account").await.expect(200);
    let path = |account: &Account, word: &str| format!("/v3/operator/accounts/{}/{word}", account.id);
    let reason = json!({"reason": "test"});
    app.operator().await.post(&path(&client, "block"), &reason).await.expect(200);
    login.get("/v3/account").await.problem("accountBlocked");
    let again = format!("/v3/sub-accounts/{}/login", client.id);
    agency.login.post_nothing(&again).await.problem("accountBlocked");
    app.operator().await.post_nothing(&path(&client, "unblock")).await.expect(200);
    login.get("/v3/account").await.expect(200);
    app.operator().await.post(&path(&agency, "block"), &reason).await.expect(200);
    login.get("/v3/account").await.problem("accountBlocked");
    assert_eq!(client.login.get("/v3/manager").await.expect(200)["access"], Value::from("granted"));
}
