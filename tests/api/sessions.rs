//! Sessions: signing in, refreshing, signing out, and all that ends them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, TestApp, both_engines, places};

both_engines!(
    a_new_password_ends_all_sessions,
    a_refresh_token_is_good_once_and_a_reused_one_ends_the_session,
    a_reused_refresh_token_ends_the_session_of_a_blocked_account_too,
    a_refresh_token_that_is_none_is_refused_whatever_its_length,
    a_refresh_token_used_by_two_at_once_wins_at_most_once,
    a_session_is_opened_with_email_and_password,
    a_signed_out_session_is_over,
    an_access_token_cannot_refresh_and_a_refresh_token_cannot_read,
    an_unknown_email_and_a_wrong_password_answer_the_same,
    tokens_are_answered_without_an_idempotency_key_alone,
    the_new_password_is_none_that_is_guessed_from_its_user,
);

async fn open(app: &TestApp, email: &str) -> Value {
    let credentials = json!({"email": email, "password": PASSWORD});
    app.visitor().post("/v3/sessions", &credentials).await.expect(201)
}

fn with_token(app: &TestApp, session: &Value) -> Client {
    app.caller(session["accessToken"].as_str().expect("an access token"))
}

fn refresh_body(session: &Value) -> Value {
    json!({"refreshToken": session["refreshToken"]})
}

async fn a_session_is_opened_with_email_and_password(app: &TestApp) {
    let agency = app.agency().await;
    let answer = app.visitor().post("/v3/sessions", &json!({"email": agency.email, "password": PASSWORD})).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let session = answer.expect(201);
    let fields: Vec<&str> = session.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["accessToken", "expiresAt", "refreshToken"]);
    with_token(app, &session).get("/v3/account").await.expect(200);
}

async fn an_unknown_email_and_a_wrong_password_answer_the_same(app: &TestApp) {
    let agency = app.agency().await;
    let mut answers = Vec::new();
    for email in [agency.email.as_str(), "nobody@example.com"] {
        let credentials = json!({"email": email, "password": "not the password"});
        let answer = app.visitor().post("/v3/sessions", &credentials).await;
        let mut problem = answer.clone().problem("invalidCredentials");
        problem["requestId"] = Value::Null;
        answers.push((problem, answer.header("www-authenticate").to_owned()));
    }
    assert_eq!(answers[0], answers[1]);
}

async fn a_refresh_token_that_is_none_is_refused_whatever_its_length(app: &TestApp) {
    for token in [String::new(), "x".to_owned(), "x".repeat(10_000)] {
        let answer = app.visitor().post("/v3/sessions/refresh", &json!({"refreshToken": token})).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
}

async fn a_refresh_token_is_good_once_and_a_reused_one_ends_the_session(app: &TestApp) {
    let agency = app.agency().await;
    let first = open(app, &agency.email).await;
    let second = app.visitor().post("/v3/sessions/refresh", &refresh_body(&first)).await.expect(200);
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    with_token(app, &second).get("/v3/account").await.expect(200);
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&first)).await.problem("invalidCredentials");
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&second)).await.problem("invalidCredentials");
    with_token(app, &second).get("/v3/account").await.problem("invalidCredentials");
    // The login from before is another session and goes on.
    agency.login.get("/v3/account").await.expect(200);
}

async fn a_reused_refresh_token_ends_the_session_of_a_blocked_account_too(app: &TestApp) {
    let agency = app.agency().await;
    let (first, other) = (open(app, &agency.email).await, open(app, &agency.email).await);
    let second = app.visitor().post("/v3/sessions/refresh", &refresh_body(&first)).await.expect(200);
    let path = format!("/v3/operator/accounts/{}", agency.id);
    app.operator().await.post(&format!("{path}/block"), &json!({"reason": "a test"})).await.expect(200);
    // The present tokens are refused for the block alone, and stay as they are.
    for session in [&second, &other] {
        app.visitor().post("/v3/sessions/refresh", &refresh_body(session)).await.problem("accountBlocked");
    }
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&first)).await.problem("invalidCredentials");
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&second)).await.problem("invalidCredentials");
    app.operator().await.post_nothing(&format!("{path}/unblock")).await.expect(200);
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&second)).await.problem("invalidCredentials");
    let session = app.visitor().post("/v3/sessions/refresh", &refresh_body(&other)).await.expect(200);
    let log = with_token(app, &session).list("/v3/audit-log").await;
    let reused = log.iter().filter(|row| row["action"] == "session.refreshTokenReused").count();
    assert_eq!(reused, 1, "{log:#?}");
}

async fn a_refresh_token_used_by_two_at_once_wins_at_most_once(app: &TestApp) {
    let agency = app.agency().await;
    let session = open(app, &agency.email).await;
    let visitor = app.visitor();
    let body = refresh_body(&session);
    let answers = futures_util::future::join_all((0..8).map(|_| visitor.post("/v3/sessions/refresh", &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 7);
}

async fn a_signed_out_session_is_over(app: &TestApp) {
    let agency = app.agency().await;
    let session = open(app, &agency.email).await;
    let login = with_token(app, &session);
    login.delete("/v3/sessions/current").await.expect(204);
    login.get("/v3/account").await.problem("invalidCredentials");
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&session)).await.problem("invalidCredentials");
    let key = app.api_key(&agency, &["account:read"]).await;
    let refused = key.delete("/v3/sessions/current").await;
    assert_eq!(refused.status, 403, "a key has no session: {}", refused.text);
}

async fn an_access_token_cannot_refresh_and_a_refresh_token_cannot_read(app: &TestApp) {
    let agency = app.agency().await;
    let session = open(app, &agency.email).await;
    let swapped = json!({"refreshToken": session["accessToken"]});
    app.visitor().post("/v3/sessions/refresh", &swapped).await.problem("invalidCredentials");
    for token in ["", "nonsense", "ses_01KB0H6Q4N7ZJ8R5T3V9WXY2AC.AAAA.AAAA"] {
        let answer = app.visitor().post("/v3/sessions/refresh", &json!({"refreshToken": token})).await;
        assert!([401, 422].contains(&answer.status), "{token}: {}", answer.text);
    }
    let refresh_token = session["refreshToken"].as_str().expect("a refresh token");
    app.caller(refresh_token).get("/v3/account").await.problem("invalidCredentials");
}

async fn a_new_password_ends_all_sessions(app: &TestApp) {
    let agency = app.agency().await;
    let other = open(app, &agency.email).await;
    let wrong = json!({"currentPassword": "not the password", "password": "Oboe.marsh-4811"});
    let problem = agency.login.post("/v3/account/password", &wrong).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/currentPassword"]);
    let change = json!({"currentPassword": PASSWORD, "password": "Oboe.marsh-4811"});
    agency.login.post("/v3/account/password", &change).await.expect(204);
    agency.login.get("/v3/account").await.problem("invalidCredentials");
    with_token(app, &other).get("/v3/account").await.problem("invalidCredentials");
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&other)).await.problem("invalidCredentials");
    let old = json!({"email": agency.email, "password": PASSWORD});
    app.visitor().post("/v3/sessions", &old).await.problem("invalidCredentials");
    app.sign_in(&agency.email, "Oboe.marsh-4811").await;
}

async fn the_new_password_is_none_that_is_guessed_from_its_user(app: &TestApp) {
    let email = "wilhelmina.dorfman@example.com";
    let person = json!({
        "kind": "agency", "email": email, "password": PASSWORD, "firstName": "Bartholomew", "lastName": "Quillfeather",
        "companyName": "Zephyrworks Glockenspiel",
    });
    app.visitor().post("/v3/accounts", &person).await.expect(201);
    let login = app.sign_in(email, PASSWORD).await;
    for guessed in [email, "wilhelmina.dorfman1", "BartholomewQuillfeather", "zephyrworks glockenspiel"] {
        let change = json!({"currentPassword": PASSWORD, "password": guessed});
        let problem = login.post("/v3/account/password", &change).await.problem("validationFailed");
        assert_eq!(problem["errors"][0]["code"], "commonPassword", "{guessed}: {problem:#}");
        assert_eq!(places(&problem), ["/password"]);
    }
    let change = json!({"currentPassword": PASSWORD, "password": "Oboe.marsh-4811"});
    login.post("/v3/account/password", &change).await.expect(204);
}

async fn tokens_are_answered_without_an_idempotency_key_alone(app: &TestApp) {
    let agency = app.agency().await;
    let session = open(app, &agency.email).await;
    let credentials = json!({"email": agency.email, "password": PASSWORD});
    for (path, body) in [("/v3/sessions", &credentials), ("/v3/sessions/refresh", &refresh_body(&session))] {
        let request = app.visitor().request(Method::POST, path).header("idempotency-key", "one").json(body);
        request.send().await.problem("idempotencyKeyNotAllowed");
    }
    app.visitor().post("/v3/sessions/refresh", &refresh_body(&session)).await.expect(200);
}
