//! Rate limits: told in every answer, per credential, and on what could be guessed or flooded.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Client, PASSWORD, TestApp, both_engines};

both_engines!(
    a_credential_has_a_bucket_of_its_own,
    a_repeated_change_of_the_password_gets_the_first_answer_above_the_limit,
    a_repeated_invitation_gets_the_first_answer_above_the_limit,
    a_stranger_locks_nobody_out,
    behind_a_trusted_proxy_each_visitor_has_a_bucket_of_its_own,
    health_is_never_refused,
    sign_in_is_limited_per_network_and_email_address,
    invitations_of_members_are_limited_to_a_hundred_an_hour,
    sub_accounts_are_limited_to_twenty_an_hour,
    without_limits_nothing_is_told,
);

async fn limited(app: &TestApp, limit: &str) -> TestApp {
    TestApp::start_with(&app.database, |settings| {
        settings.rate_limit = limit.parse().expect("a limit");
        settings.secrets = app.settings.secrets.clone();
    })
    .await
}

/// The limit that refused is the one that is told, with the time from which it lets the next one through.
fn assert_limit_is_told(answer: &Answer, name: &str, rate: &str) {
    let wait = answer.header("retry-after");
    assert!(!wait.is_empty(), "{:?}", answer.headers);
    assert_eq!(answer.header("ratelimit-policy"), format!(r#""{name}";{rate}"#));
    assert_eq!(answer.header("ratelimit"), format!(r#""{name}";r=0;t={wait}"#));
}

async fn a_credential_has_a_bucket_of_its_own(app: &TestApp) {
    let agency = app.agency().await;
    let (one, other) = (app.api_key(&agency, &["account:read"]).await, app.api_key(&agency, &["account:read"]).await);
    let server = limited(app, "5/3600").await;
    let (one, other) = (server.caller(one.credential()), server.caller(other.credential()));
    for left in (0..5).rev() {
        let answer = one.get("/v3/account").await;
        assert_eq!(answer.header("ratelimit-policy"), r#""default";q=5;w=3600"#);
        assert!(answer.header("ratelimit").starts_with(&format!(r#""default";r={left};t="#)), "{:?}", answer.headers);
        answer.expect(200);
    }
    let answer = one.get("/v3/account").await;
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=720).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit"), format!(r#""default";r=0;t={wait}"#));
    answer.problem("rateLimited");
    other.get("/v3/account").await.expect(200);
    server.stop().await;
}

async fn behind_a_trusted_proxy_each_visitor_has_a_bucket_of_its_own(app: &TestApp) {
    let ask = async |server: &TestApp, named: &str| {
        server.visitor().request(Method::GET, "/v3/program").header("x-forwarded-for", named).send().await
    };
    let server = limited(app, "2/3600").await;
    for named in ["192.0.2.1", "192.0.2.2"] {
        ask(&server, named).await.expect(200);
    }
    // Nobody is believed, so the third visitor is the first one again.
    ask(&server, "192.0.2.3").await.problem("rateLimited");
    server.stop().await;
    let server = TestApp::start_with(&app.database, |settings| {
        settings.rate_limit = "2/3600".parse().expect("a limit");
        settings.trusted_proxies = "127.0.0.1, 10.0.0.0/8".parse().expect("proxies");
    })
    .await;
    for named in ["192.0.2.1", "192.0.2.2", "192.0.2.1, 10.0.0.1", "192.0.2.7, 192.0.2.2"] {
        ask(&server, named).await.expect(200);
    }
    for named in ["192.0.2.1", "192.0.2.9, 192.0.2.1", "10.9.9.9, 192.0.2.2, 10.0.0.1"] {
        ask(&server, named).await.problem("rateLimited");
    }
    ask(&server, "192.0.2.1, 192.0.2.3").await.expect(200);
    server.stop().await;
}

async fn health_is_never_refused(app: &TestApp) {
    let server = limited(app, "1/3600").await;
    let visitor = server.visitor();
    visitor.get("/v3/program").await.expect(200);
    visitor.get("/v3/program").await.problem("rateLimited");
    for _ in 0..3 {
        visitor.get("/health/live").await.expect(200);
    }
    server.stop().await;
}

async fn a_stranger_locks_nobody_out(app: &TestApp) {
    let agency = app.agency().await;
    let server = TestApp::start_with(&app.database, |settings| {
        settings.rate_limit = "6000/60".parse().expect("a limit");
        settings.trusted_proxies = "127.0.0.1".parse().expect("a proxy");
        settings.secrets = app.settings.secrets.clone();
    })
    .await;
    let sign_in = async |from: &str, password: &str| {
        let credentials = json!({"email": agency.email, "password": password});
        let request = server.visitor().request(Method::POST, "/v3/sessions").header("x-forwarded-for", from);
        request.json(&credentials).send().await
    };
    for _ in 0..10 {
        sign_in("192.0.2.1", "not the password").await.problem("invalidCredentials");
    }
    sign_in("192.0.2.1", PASSWORD).await.problem("rateLimited");
    sign_in("192.0.2.2", PASSWORD).await.expect(201);
    server.stop().await;
}

async fn sign_in_is_limited_per_network_and_email_address(app: &TestApp) {
    let agency = app.agency().await;
    let server = limited(app, "6000/60").await;
    let mut refused = None;
    for attempt in 0..30 {
        let credentials = json!({"email": agency.email, "password": "not the password"});
        let answer = server.visitor().post("/v3/sessions", &credentials).await;
        if answer.status == 429 {
            refused = Some((attempt, answer));
            break;
        }
        answer.problem("invalidCredentials");
    }
    let (attempt, answer) = refused.expect("a limit within 30 attempts");
    assert!(attempt >= 5, "{attempt}");
    assert_limit_is_told(&answer, "signInEmail", "q=10;w=300");
    answer.problem("rateLimited");
    let credentials = json!({"email": "other@example.com", "password": "not the password"});
    server.visitor().post("/v3/sessions", &credentials).await.problem("invalidCredentials");
    server.stop().await;
}

async fn sub_accounts_are_limited_to_twenty_an_hour(app: &TestApp) {
    let agency = app.agency().await;
    let server = limited(app, "6000/60").await;
    let login = server.caller(agency.login.credential());
    let person = |number: usize| json!({"email": format!("s{number}@example.com"), "firstName": "S", "lastName": "C"});
    for number in 0..19 {
        login.post("/v3/sub-accounts", &person(number)).await.expect(201);
    }
    // To try whether an address is somebody's counts as much, and tells no more when the limit is reached.
    login.post("/v3/sub-accounts", &person(0)).await.problem("emailTaken");
    for number in [0, 20] {
        let answer = login.post("/v3/sub-accounts", &person(number)).await;
        assert_limit_is_told(&answer, "subAccounts", "q=20;w=3600");
        answer.problem("rateLimited");
    }
    server.stop().await;
}

async fn a_repeated_invitation_gets_the_first_answer_above_the_limit(app: &TestApp) {
    let agency = app.agency().await;
    let (client, other) = (app.client_of(&agency).await, app.client_of(&agency).await);
    let server = limited(app, "6000/60").await;
    let login = server.caller(agency.login.credential());
    let invite = async |client: &str, key: &str| {
        let path = format!("/v3/sub-accounts/{client}/invitations");
        login.request(Method::POST, &path).header("idempotency-key", key).send().await
    };
    for number in 0..10 {
        invite(&client, &format!("key {number}")).await.expect(202);
    }
    let answer = invite(&client, "key 10").await;
    assert_limit_is_told(&answer, "clientInvitations", "q=10;w=3600");
    answer.problem("rateLimited");
    let again = invite(&client, "key 9").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"));
    invite(&other, "key 11").await.expect(202);
    server.stop().await;
}

async fn a_repeated_change_of_the_password_gets_the_first_answer_above_the_limit(app: &TestApp) {
    const NEW_PASSWORD: &str = "Oboe.marsh-4811";
    let agency = app.agency().await;
    let server = limited(app, "6000/60").await;
    let change = async |login: &Client, key: &str, present: &str| {
        let body = json!({"currentPassword": present, "password": NEW_PASSWORD});
        login.request(Method::POST, "/v3/account/password").header("idempotency-key", key).json(&body).send().await
    };
    change(&server.caller(agency.login.credential()), "one", PASSWORD).await.expect(204);
    let login = server.sign_in(&agency.email, NEW_PASSWORD).await;
    let mut refused = None;
    for attempt in 0..30 {
        let answer = change(&login, &format!("try {attempt}"), "not the password").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.problem("validationFailed");
    }
    let refused = refused.expect("a limit within 30 attempts");
    assert_limit_is_told(&refused, "presentPassword", "q=10;w=300");
    refused.problem("rateLimited");
    let again = change(&login, "one", PASSWORD).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (204, "true"));
    // To try what was sent with a key tells as much as to try a password.
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(change(&login, "one", "not the password").await.status);
    }
    assert_eq!((statuses.first(), statuses.last()), (Some(&422), Some(&429)), "{statuses:?}");
    login.get("/v3/account").await.expect(200);
    server.stop().await;
}

async fn invitations_of_members_are_limited_to_a_hundred_an_hour(app: &TestApp) {
    let agency = app.agency().await;
    let server = limited(app, "6000/60").await;
    let login = server.caller(agency.login.credential());
    let person = |email: &str| json!({"email": email, "firstName": "S", "lastName": "C", "role": "member"});
    login.post("/v3/members", &person("s@example.com")).await.expect(201);
    for _ in 0..99 {
        login.post("/v3/members", &person("s@example.com")).await.problem("emailTaken");
    }
    for email in ["s@example.com", "t@example.com"] {
        login.post("/v3/members", &person(email)).await.problem("rateLimited");
    }
    server.stop().await;
}

async fn without_limits_nothing_is_told(app: &TestApp) {
    let answer = app.visitor().get("/v3/program").await;
    assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), ("", ""));
}
