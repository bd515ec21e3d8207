//! Idempotency keys: the same request again has one effect and one answer.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Account, Answer, Client, TestApp, both_engines, subscription};

both_engines!(
    a_key_belongs_to_one_credential,
    a_key_belongs_to_one_operation,
    a_malformed_key_is_refused,
    an_invitation_of_a_client_that_left_is_not_answered_again,
    a_manager_that_lost_a_client_or_its_access_gets_no_first_answer_again,
    a_refusal_is_not_kept,
    a_repeated_request_gets_the_first_answer,
    a_twin_of_a_long_request_is_told_to_come_again,
    an_answer_with_a_secret_is_never_kept,
    another_request_with_the_key_is_refused,
    authorisation_comes_before_the_replay,
    twenty_at_once_have_one_effect,
    without_a_key_each_request_has_its_effect,
);

async fn send(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    client.request(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

fn person(email: &str) -> Value {
    json!({"email": email, "firstName": "Sam", "lastName": "Client"})
}

async fn count(manager: &Account) -> usize {
    manager.login.list("/v3/sub-accounts").await.len()
}

async fn a_repeated_request_gets_the_first_answer(app: &TestApp) {
    let agency = app.agency().await;
    let body = person("sam@example.com");
    let first = send(&agency.login, "/v3/sub-accounts", "key 1", &body).await;
    let again = send(&agency.login, "/v3/sub-accounts", "key 1", &body).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.text, again.text);
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
    assert_eq!(first.expect(201), again.expect(201));
    // The same JSON, written in another order, is the same request.
    let reordered = r#"{"lastName":"Client","firstName":"Sam","email":"sam@example.com"}"#;
    let request = agency.login.request(Method::POST, "/v3/sub-accounts").header("content-type", "application/json");
    let reordered = request.header("idempotency-key", "key 1").bytes(reordered).send().await;
    assert_eq!(reordered.header("idempotent-replayed"), "true");
    assert_eq!(count(&agency).await, 1);
}

async fn another_request_with_the_key_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    send(&agency.login, "/v3/sub-accounts", "k", &person("sam@example.com")).await.expect(201);
    let other = send(&agency.login, "/v3/sub-accounts", "k", &person("kim@example.com")).await;
    other.problem("idempotencyKeyReused");
    assert_eq!(count(&agency).await, 1);
}

async fn twenty_at_once_have_one_effect(app: &TestApp) {
    let agency = app.agency().await;
    let body = person("sam@example.com");
    let answers = join_all((0..20).map(|_| send(&agency.login, "/v3/sub-accounts", "k", &body))).await;
    let first_ones = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).count();
    assert_eq!(first_ones, 1);
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
    assert_eq!(count(&agency).await, 1);
}

async fn a_refusal_is_not_kept(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({});
    let apply = || send(&agency.login, "/v3/partner-applications", "k", &body);
    apply().await.problem("notEligible");
    app.reach_threshold(&agency).await;
    let application = apply().await;
    assert_eq!(application.header("idempotent-replayed"), "");
    let application = application.expect(201);
    assert_eq!(apply().await.expect(201), application);
}

async fn a_key_belongs_to_one_operation(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    send(&agency.login, "/v3/sub-accounts", "k", &person("sam@example.com")).await.expect(201);
    let container = json!({"name": "shop", "product": "sgtmContainer", "accountId": client});
    send(&agency.login, "/v3/containers", "k", &container).await.expect(201);
}

async fn a_key_belongs_to_one_credential(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    let key = app.api_key(&agency, &["containers:write"]).await;
    let container = json!({"name": "shop", "product": "sgtmContainer", "accountId": client});
    let by_login = send(&agency.login, "/v3/containers", "k", &container).await.expect(201);
    let by_key = send(&key, "/v3/containers", "k", &container).await.expect(201);
    assert_ne!(by_login["id"], by_key["id"]);
}

async fn authorisation_comes_before_the_replay(app: &TestApp) {
    let agency = app.agency().await;
    let body = person("sam@example.com");
    send(&agency.login, "/v3/sub-accounts", "k", &body).await.expect(201);
    agency.login.delete("/v3/sessions/current").await.expect(204);
    send(&agency.login, "/v3/sub-accounts", "k", &body).await.problem("invalidCredentials");
}

async fn a_manager_that_lost_a_client_or_its_access_gets_no_first_answer_again(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.invited_client_of(&agency).await;
    let container = app.own_container(&client).await;
    let plan = (format!("/v3/containers/{container}/change-plan"), json!({"plan": "pro", "billingPeriod": "monthly"}));
    let made = ("/v3/containers".to_owned(), json!({"name": "s", "product": "sgtmContainer", "accountId": client.id}));
    for ((path, body), status) in [(&plan, 202), (&made, 201)] {
        send(&agency.login, path, "k", body).await.expect(status);
        let again = send(&agency.login, path, "k", body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (status, "true"));
    }
    client.login.delete("/v3/manager/access").await.expect(204);
    for (path, body) in [&plan, &made] {
        send(&agency.login, path, "k", body).await.problem("accessNotGranted");
    }
    app.move_clock("2026-01-03T00:00:00Z").await;
    let asked = (format!("/v3/sub-accounts/{}/access-requests", client.id), json!({}));
    send(&agency.login, &asked.0, "k", &asked.1).await.expect(201);
    client.login.delete("/v3/manager").await.expect(204);
    for ((path, body), code) in [(&plan, "notFound"), (&asked, "notFound"), (&made, "validationFailed")] {
        send(&agency.login, path, "k", body).await.problem(code);
    }
}

async fn an_invitation_of_a_client_that_left_is_not_answered_again(app: &TestApp) {
    let agency = app.agency().await;
    let client = format!("/v3/sub-accounts/{}", app.client_of(&agency).await);
    let invitation = format!("{client}/invitations");
    for _ in 0..2 {
        send(&agency.login, &invitation, "k", &json!({})).await.expect(202);
    }
    agency.login.post_nothing(&format!("{client}/detach")).await.expect(204);
    send(&agency.login, &invitation, "k", &json!({})).await.problem("notFound");
}

async fn a_malformed_key_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    for key in ["", "\t", "naïve", &"x".repeat(256)] {
        let answer = send(&agency.login, "/v3/sub-accounts", key, &person("sam@example.com")).await;
        answer.problem("invalidIdempotencyKey");
    }
    send(&agency.login, "/v3/sub-accounts", &"x".repeat(255), &person("sam@example.com")).await.expect(201);
}

async fn an_answer_with_a_secret_is_never_kept(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"name": "n", "scopes": ["account:read"]});
    send(&agency.login, "/v3/api-keys", "k", &body).await.problem("idempotencyKeyNotAllowed");
    assert!(agency.login.list("/v3/api-keys").await.is_empty());
}

async fn without_a_key_each_request_has_its_effect(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    let first = app.container(&agency, &client).await;
    let second = app.container(&agency, &client).await;
    assert_ne!(first, second);
    app.apply(&[subscription(&first), subscription(&second)]).await;
}

async fn a_twin_of_a_long_request_is_told_to_come_again(app: &TestApp) {
    if app.database.postgres().is_none() {
        // SQLite's one writer makes twins follow each other.
        return;
    }
    let agency = app.agency().await;
    send(&agency.login, "/v3/sub-accounts", "short", &person("sam@example.com")).await.expect(201);
    let (claimed, is_claimed) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let db = app.database.connect();
    let long = std::thread::spawn(move || {
        let claim = "INSERT INTO idempotency_keys (account_id, credential, operation, key, fingerprint, status, created_at) \
             SELECT account_id, credential, operation, 'long', fingerprint, 0, created_at FROM idempotency_keys \
             WHERE key = 'short'";
        let ended = std::sync::Mutex::new(ended);
        db.write_blocking(move |conn| {
            diesel::connection::SimpleConnection::batch_execute(conn, claim)?;
            claimed.send(()).expect("the test waits");
            ended.lock().expect("one thread").recv().expect("the test goes on");
            Err::<(), _>(stape_api::error::Error::not_found())
        })
    });
    is_claimed.recv().expect("the row is claimed");
    let twin = send(&agency.login, "/v3/sub-accounts", "long", &person("kim@example.com")).await;
    assert_eq!(twin.header("retry-after"), "1");
    twin.problem("idempotencyInFlight");
    end.send(()).expect("the transaction waits");
    long.join().expect("no panic").expect_err("it is rolled back");
    send(&agency.login, "/v3/sub-accounts", "long", &person("kim@example.com")).await.expect(201);
}
