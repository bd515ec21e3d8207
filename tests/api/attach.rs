//! Attaching an existing account: by the name of a container, or by asking the client; and what an outsider cannot learn.

use serde_json::{Value, json};

use crate::support::{Account, Answer, TestApp, both_engines, feed, places};

both_engines!(
    a_client_attached_by_a_containers_name_is_linked_without_access,
    a_client_without_containers_is_asked,
    a_declined_link_is_not_asked_again_for_a_day,
    a_link_request_that_came_too_late_is_refused,
    a_person_is_asked_once,
    an_account_that_does_not_fit_is_not_asked,
    attaching_wants_one_proof,
    creates_and_attach_attempts_are_limited_together,
    only_the_clients_feed_tells_of_a_link_request_and_its_decline,
    everything_that_does_not_fit_is_refused_alike,
    of_two_who_attach_at_once_one_wins,
    the_window_ends_after_seven_days,
);

async fn attach(manager: &Account, email: &str, container_name: &str) -> Answer {
    manager.login.post("/v3/sub-accounts/attach", &json!({"email": email, "containerName": container_name})).await
}

async fn ask(manager: &Account, email: &str) -> Answer {
    manager.login.post("/v3/sub-accounts/attach", &json!({"email": email, "hasNoContainers": true})).await
}

async fn with_container(app: &TestApp, name: &str) -> Account {
    let client = app.standard().await;
    client.login.post("/v3/containers", &json!({"name": name, "product": "sgtmContainer"})).await.expect(201);
    client
}

async fn requests_of(client: &Account) -> Vec<Value> {
    client.login.list("/v3/access-requests").await
}

async fn a_client_attached_by_a_containers_name_is_linked_without_access(app: &TestApp) {
    let (agency, client) = (app.agency().await, with_container(app, "Shop, Łódź").await);
    let answer = attach(&agency, &client.email.to_uppercase(), " Shop, Łódź ").await;
    let location = answer.header("location").to_owned();
    let attached = answer.expect(201);
    assert_eq!((&attached["id"], &attached["origin"]), (&json!(client.id), &json!("attached")));
    assert_eq!((&attached["access"], &attached["containerCount"]), (&json!("none"), &json!(1)));
    assert_eq!(agency.login.get(&location).await.expect(200), attached);
    app.mail_to(&client.email, "manages your account now").await;
    for account in [&agency, &client] {
        let linked = ("subAccount.linked".to_owned(), client.id.clone());
        assert!(feed(&account.login).await.contains(&linked));
        let log = account.login.list("/v3/audit-log").await;
        assert!(log.iter().any(|row| row["action"] == "subAccount.linked"), "{log:#?}");
    }
}

async fn everything_that_does_not_fit_is_refused_alike(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    let managed = with_container(app, "shop").await;
    app.link(&managed.id, &other.id).await;
    let own = with_container(app, "shop").await;
    app.link(&own.id, &agency.id).await;
    let blocked = with_container(app, "shop").await;
    let path = format!("/v3/operator/accounts/{}/block", blocked.id);
    app.operator().await.post(&path, &json!({"reason": "test"})).await.expect(200);
    let named_otherwise = with_container(app, "Shop").await;
    let without = app.standard().await;
    let mut answers = Vec::new();
    let emails = [&managed, &own, &blocked, &named_otherwise, &without, &other, &agency].map(|one| one.email.as_str());
    for email in emails.into_iter().chain(["nobody@example.com"]) {
        let answer = attach(&agency, email, "shop").await;
        let mut problem = answer.problem("attachRefused");
        problem["requestId"] = Value::Null;
        answers.push(problem);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    app.all_mails_sent().await;
    assert!(app.mails_to(&without.email).is_empty());
}

async fn the_window_ends_after_seven_days(app: &TestApp) {
    let (agency, client, other) = (app.agency().await, with_container(app, "shop").await, app.standard().await);
    app.move_clock("2026-01-08T00:00:00.000Z").await;
    let agency = Account { login: app.sign_in(&agency.email, crate::support::PASSWORD).await, ..agency };
    attach(&agency, &client.email, "shop").await.problem("attachRefused");
    ask(&agency, &other.email).await.expect(202);
    app.all_mails_sent().await;
    assert!(app.mails_to(&other.email).is_empty());
    let fresh = with_container(app, "shop").await;
    app.move_clock("2026-01-14T23:59:59.999Z").await;
    attach(&agency, &fresh.email, "shop").await.expect(201);
}

async fn attaching_wants_one_proof(app: &TestApp) {
    let agency = app.agency().await;
    let both = json!({"email": "a@example.com", "containerName": "shop", "hasNoContainers": true});
    for body in [both, json!({"email": "a@example.com"}), json!({"email": "a@example.com", "hasNoContainers": false})] {
        let problem = agency.login.post("/v3/sub-accounts/attach", &body).await.problem("validationFailed");
        assert_eq!(places(&problem), [""]);
    }
    let bad = json!({"email": "nobody", "containerName": " "});
    let problem = agency.login.post("/v3/sub-accounts/attach", &bad).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/containerName", "/email"]);
    let no_name = attach(&agency, "nobody@example.com", "shop\u{202e}pohs").await.problem("validationFailed");
    assert_eq!(places(&no_name), ["/containerName"]);
    let client = app.standard().await;
    client.login.post("/v3/sub-accounts/attach", &bad).await.problem("wrongAccountKind");
    let key = app.api_key(&agency, &["subAccounts:read"]).await;
    key.post("/v3/sub-accounts/attach", &bad).await.problem("insufficientScope");
}

async fn of_two_who_attach_at_once_one_wins(app: &TestApp) {
    let (agency, other, client) = (app.agency().await, app.agency().await, with_container(app, "shop").await);
    let answers =
        futures_util::future::join(attach(&agency, &client.email, "shop"), attach(&other, &client.email, "shop")).await;
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "{answers:?}");
}

async fn a_client_without_containers_is_asked(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let answer = ask(&agency, &client.email).await;
    assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    let mail = app.mail_to(&client.email, "wants to manage your account").await;
    assert!(agency.login.list("/v3/sub-accounts").await.is_empty());
    let requests = requests_of(&client).await;
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((&request["kind"], &request["status"]), (&json!("link"), &json!("pending")));
    assert_eq!((&request["manager"]["id"], &request["decidedAt"]), (&json!(agency.id), &Value::Null));
    let id = request["id"].as_str().expect("an id");
    assert!(mail.text.contains(id), "{}", mail.text);
    let path = format!("/v3/access-requests/{id}/approve");
    app.agency().await.login.post_nothing(&path).await.problem("wrongAccountKind");
    app.standard().await.login.post_nothing(&path).await.problem("notFound");
    let key = app.api_key(&client, &["account:read", "account:write"]).await;
    key.post_nothing(&path).await.problem("ownerRequired");
    assert_eq!(client.login.post_nothing(&path).await.expect(200)["status"], "approved");
    client.login.post_nothing(&path).await.problem("accessRequestClosed");
    let attached = agency.login.get(&format!("/v3/sub-accounts/{}", client.id)).await.expect(200);
    assert_eq!((&attached["origin"], &attached["access"]), (&json!("attached"), &json!("none")));
    app.mail_to(&client.email, "manages your account now").await;
}

async fn an_account_that_does_not_fit_is_not_asked(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    let (managed, with_one) = (app.standard().await, with_container(app, "shop").await);
    app.link(&managed.id, &other.id).await;
    app.all_mails_sent().await;
    let before = app.mails_to(&managed.email).len();
    for email in [&managed.email, &with_one.email, &other.email, &agency.email, &"nobody@example.com".to_owned()] {
        let answer = ask(&agency, email).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    }
    app.all_mails_sent().await;
    assert_eq!(app.mails_to(&managed.email).len(), before);
    for email in [&with_one.email, &other.email, &agency.email] {
        assert!(app.mails_to(email).is_empty());
    }
    assert!(requests_of(&managed).await.is_empty() && requests_of(&with_one).await.is_empty());
}

async fn only_the_clients_feed_tells_of_a_link_request_and_its_decline(app: &TestApp) {
    let (agency, client, other) = (app.agency().await, app.standard().await, with_container(app, "shop").await);
    let (silent, unasked) = (feed(&agency.login).await, feed(&other.login).await);
    for email in [&client.email, &client.email, &other.email, &agency.email, &"nobody@example.com".to_owned()] {
        ask(&agency, email).await.expect(202);
    }
    let told = |event: &str| (event.to_owned(), client.id.clone());
    let count = async |event: &str| feed(&client.login).await.iter().filter(|one| **one == told(event)).count();
    assert_eq!(count("access.requested").await, 1);
    let id = requests_of(&client).await[0]["id"].as_str().expect("an id").to_owned();
    client.login.post_nothing(&format!("/v3/access-requests/{id}/decline")).await.expect(200);
    assert_eq!(count("access.declined").await, 1);
    // A number that was taken and given back is given to the next event.
    let numbers: Vec<Value> =
        client.login.list("/v3/events").await.iter().map(|event| event["sequence"].clone()).collect();
    assert_eq!(numbers, (1..=numbers.len()).map(|number| json!(number)).collect::<Vec<_>>());
    assert_eq!((feed(&agency.login).await, feed(&other.login).await), (silent, unasked));
    agency.login.patch("/v3/account", &json!({"firstName": "Eve"})).await.expect(200);
    let last = agency.login.list("/v3/events").await;
    assert_eq!(last.last().map(|event| &event["sequence"]), Some(&json!(last.len())));
}

async fn a_person_is_asked_once(app: &TestApp) {
    let (agency, other, client) = (app.agency().await, app.agency().await, app.standard().await);
    for _ in 0..3 {
        ask(&agency, &client.email).await.expect(202);
    }
    ask(&other, &client.email).await.expect(202);
    app.all_mails_sent().await;
    assert_eq!(app.mails_to(&client.email).len(), 2);
    assert_eq!(requests_of(&client).await.len(), 2);
    assert_eq!(client.login.list("/v3/access-requests?status=approved,declined").await.len(), 0);
}

async fn a_declined_link_is_not_asked_again_for_a_day(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    ask(&agency, &client.email).await.expect(202);
    let id = requests_of(&client).await[0]["id"].as_str().expect("an id").to_owned();
    client.login.post_nothing(&format!("/v3/access-requests/{id}/decline")).await.expect(200);
    app.move_clock("2026-01-01T23:59:59.000Z").await;
    ask(&agency, &client.email).await.expect(202);
    assert_eq!(requests_of(&client).await.len(), 1);
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    ask(&agency, &client.email).await.expect(202);
    assert_eq!(requests_of(&client).await.len(), 2);
}

async fn a_link_request_that_came_too_late_is_refused(app: &TestApp) {
    let (agency, other, client) = (app.agency().await, app.agency().await, app.standard().await);
    ask(&agency, &client.email).await.expect(202);
    ask(&other, &client.email).await.expect(202);
    for request in requests_of(&client).await.iter().rev().take(1) {
        let path = format!("/v3/access-requests/{}/approve", request["id"].as_str().expect("an id"));
        client.login.post_nothing(&path).await.expect(200);
    }
    let pending = client.login.list("/v3/access-requests?status=pending").await;
    let id = pending[0]["id"].as_str().expect("an id");
    client.login.post_nothing(&format!("/v3/access-requests/{id}/approve")).await.problem("alreadyManaged");
    client.login.post_nothing(&format!("/v3/access-requests/{id}/decline")).await.expect(200);
}

async fn creates_and_attach_attempts_are_limited_together(app: &TestApp) {
    let agency = app.agency().await;
    let limited = TestApp::start_with(&app.database, |settings| {
        settings.rate_limit = stape_api::config::RateLimit::default();
        settings.secrets = app.settings.secrets.clone();
    })
    .await;
    let login = limited.caller(agency.login.credential());
    let agency = Account { login, ..agency };
    for number in 0..10 {
        let person = json!({"email": format!("c{number}@example.com"), "firstName": "A", "lastName": "B"});
        let request = agency.login.request(reqwest::Method::POST, "/v3/sub-accounts").json(&person);
        request.header("idempotency-key", &format!("key {number}")).send().await.expect(201);
        attach(&agency, "nobody@example.com", "shop").await.problem("attachRefused");
    }
    let refused = attach(&agency, "nobody@example.com", "shop").await;
    assert!(!refused.header("retry-after").is_empty());
    refused.problem("rateLimited");
    ask(&agency, "nobody@example.com").await.problem("rateLimited");
    let person = json!({"email": "c10@example.com", "firstName": "A", "lastName": "B"});
    agency.login.post("/v3/sub-accounts", &person).await.problem("rateLimited");
    let replay = json!({"email": "c0@example.com", "firstName": "A", "lastName": "B"});
    let request = agency.login.request(reqwest::Method::POST, "/v3/sub-accounts").json(&replay);
    request.header("idempotency-key", "key 0").send().await.expect(201);
    limited.stop().await;
}
