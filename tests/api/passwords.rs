//! Passwords without a login: forgotten ones, and those of the invited.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, TestApp, both_engines, places};

const NEW_PASSWORD: &str = "Oboe.marsh-4811";

both_engines!(
    a_new_password_ends_the_token_of_an_older_mail,
    a_newer_mail_replaces_the_token_of_an_older_one,
    a_reset_ends_all_sessions,
    a_reset_is_good_for_an_hour,
    a_token_is_good_once_even_for_two_at_once,
    every_token_that_is_not_good_answers_the_same,
    nobody_learns_whether_an_address_is_a_users,
    resets_are_limited,
    resets_that_others_ask_for_refuse_nobody_and_send_five_mails,
    the_new_password_keeps_the_rules,
);

async fn ask(app: &TestApp, email: &str) -> Answer {
    app.visitor().post("/v3/password-resets", &json!({"email": email})).await
}

async fn token_for(app: &TestApp, email: &str) -> String {
    let before = app.mails_to(email).len();
    ask(app, &email.to_uppercase()).await.expect(202);
    app.all_mails_sent().await;
    let mails = app.mails_to(email);
    assert_eq!(mails.len(), before + 1);
    mails.last().expect("a mail").token()
}

async fn confirm(app: &TestApp, token: &str, password: &str) -> Answer {
    app.visitor().post("/v3/password-resets/confirm", &json!({"token": token, "password": password})).await
}

async fn a_reset_ends_all_sessions(app: &TestApp) {
    let agency = app.agency().await;
    let token = token_for(app, &agency.email).await;
    assert_eq!(confirm(app, &token, NEW_PASSWORD).await.expect(204), Value::Null);
    agency.login.get("/v3/account").await.problem("invalidCredentials");
    let old = json!({"email": agency.email, "password": PASSWORD});
    app.visitor().post("/v3/sessions", &old).await.problem("invalidCredentials");
    let login = app.sign_in(&agency.email, NEW_PASSWORD).await;
    let log = login.list("/v3/audit-log").await;
    assert!(log.iter().any(|row| row["action"] == "user.passwordReset"), "{log:#?}");
}

async fn nobody_learns_whether_an_address_is_a_users(app: &TestApp) {
    let agency = app.agency().await;
    let known = ask(app, &agency.email).await;
    let unknown = ask(app, "nobody@example.com").await;
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!((known.status, known.text.as_str()), (202, ""));
    app.all_mails_sent().await;
    assert_eq!((app.mails_to(&agency.email).len(), app.mails_to("nobody@example.com").len()), (1, 0));
    let problem = ask(app, "not an address").await.problem("validationFailed");
    assert_eq!(places(&problem), ["/email"]);
}

async fn every_token_that_is_not_good_answers_the_same(app: &TestApp) {
    let agency = app.agency().await;
    let used = token_for(app, &agency.email).await;
    confirm(app, &used, NEW_PASSWORD).await.expect(204);
    let mut answers = Vec::new();
    for token in [used.as_str(), "nonsense", "ä"] {
        let mut problem = confirm(app, token, NEW_PASSWORD).await.problem("invalidToken");
        problem["requestId"] = Value::Null;
        answers.push(problem);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

async fn a_reset_is_good_for_an_hour(app: &TestApp) {
    let agency = app.agency().await;
    let token = token_for(app, &agency.email).await;
    app.move_clock("2026-01-01T00:59:59.999Z").await;
    confirm(app, &token, "short").await.problem("validationFailed");
    app.move_clock("2026-01-01T01:00:00.000Z").await;
    confirm(app, &token, NEW_PASSWORD).await.problem("invalidToken");
}

async fn a_newer_mail_replaces_the_token_of_an_older_one(app: &TestApp) {
    let agency = app.agency().await;
    let older = token_for(app, &agency.email).await;
    let newer = token_for(app, &agency.email).await;
    confirm(app, &older, NEW_PASSWORD).await.problem("invalidToken");
    confirm(app, &newer, NEW_PASSWORD).await.expect(204);
}

async fn a_new_password_ends_the_token_of_an_older_mail(app: &TestApp) {
    let agency = app.agency().await;
    let token = token_for(app, &agency.email).await;
    let change = json!({"currentPassword": PASSWORD, "password": NEW_PASSWORD});
    agency.login.post("/v3/account/password", &change).await.expect(204);
    confirm(app, &token, "Viola+lantern-7").await.problem("invalidToken");
}

async fn a_token_is_good_once_even_for_two_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let token = token_for(app, &agency.email).await;
    let twins = (0..4).map(|_| confirm(app, &token, NEW_PASSWORD));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(twins).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422, 422, 422]);
}

async fn the_new_password_keeps_the_rules(app: &TestApp) {
    let agency = app.agency().await;
    let token = token_for(app, &agency.email).await;
    for password in ["short", "password1234", &"x7!kQ".repeat(26)] {
        let problem = confirm(app, &token, password).await.problem("validationFailed");
        assert_eq!(places(&problem)[0], "/password");
    }
    confirm(app, &token, NEW_PASSWORD).await.expect(204);
}

async fn resets_are_limited(app: &TestApp) {
    let limited =
        TestApp::start_with(&app.database, |settings| settings.rate_limit = stape_api::config::RateLimit::default())
            .await;
    let started = Instant::now();
    let mut answers = Vec::new();
    for _ in 0..11 {
        answers.push(ask(&limited, "nobody@example.com").await);
    }
    let last = answers.pop().expect("answers");
    assert!(answers.iter().all(|answer| answer.status == 202), "within {:?}", started.elapsed());
    assert!(!last.header("retry-after").is_empty());
    last.problem("rateLimited");
    limited.stop().await;
}

async fn resets_that_others_ask_for_refuse_nobody_and_send_five_mails(app: &TestApp) {
    let agency = app.agency().await;
    let limited = TestApp::start_with(&app.database, |settings| {
        settings.rate_limit = stape_api::config::RateLimit::default();
        settings.trusted_proxies = "127.0.0.1".parse().expect("a proxy");
        settings.secrets = app.settings.secrets.clone();
    })
    .await;
    for number in 0..12 {
        let request = limited.visitor().request(Method::POST, "/v3/password-resets");
        let request = request.header("x-forwarded-for", &format!("192.0.2.{number}"));
        let answer = request.json(&json!({"email": agency.email})).send().await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""), "{number}");
        app.all_mails_sent().await;
    }
    let mails = app.mails_to(&agency.email);
    assert_eq!(mails.len(), 5);
    confirm(&limited, &mails.last().expect("a mail").token(), NEW_PASSWORD).await.expect(204);
    limited.stop().await;
}
