//! Access to a client's account: asked for, granted, declined, taken back; and the client's own view of its manager.

use serde_json::{Value, json};

use crate::support::{Account, Answer, START, TestApp, both_engines, feed, places};

both_engines!(
    a_client_parts_from_its_manager,
    a_client_sees_its_manager,
    a_decline_may_say_why,
    a_decline_pauses_requests_for_a_day,
    a_detach_withdraws_what_was_asked,
    a_request_is_answered_once,
    a_revocation_pauses_requests_for_a_day,
    access_is_granted_by_the_client,
    another_managers_client_cannot_be_asked,
    invitations_go_to_clients_without_a_password,
    linking_anew_is_no_way_round_the_pause,
    the_client_is_told_of_every_change_of_its_manager,
    without_a_manager_there_is_none_to_change,
);

async fn linked(app: &TestApp) -> (Account, Account) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    (agency, client)
}

async fn request(manager: &Account, client: &Account) -> Answer {
    manager.login.post_nothing(&format!("/v3/sub-accounts/{}/access-requests", client.id)).await
}

async fn answer(client: &Account, request: &Value, word: &str) -> Answer {
    let id = request["id"].as_str().expect("an id");
    client.login.post_nothing(&format!("/v3/access-requests/{id}/{word}")).await
}

async fn access_of(manager: &Account, client: &Account) -> Value {
    manager.login.get(&format!("/v3/sub-accounts/{}", client.id)).await.expect(200)["access"].clone()
}

async fn access_is_granted_by_the_client(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let container = json!({"name": "shop", "product": "sgtmContainer", "accountId": client.id});
    agency.login.post("/v3/containers", &container).await.problem("accessNotGranted");
    let filed = request(&agency, &client).await.expect(201);
    assert_eq!((&filed["kind"], &filed["status"]), (&json!("access"), &json!("pending")));
    assert_eq!(access_of(&agency, &client).await, "requested");
    let mail = app.mail_to(&client.email, "asks for access").await;
    assert!(mail.text.contains(filed["id"].as_str().expect("an id")), "{}", mail.text);
    assert_eq!(client.login.list("/v3/access-requests").await, std::slice::from_ref(&filed));
    agency.login.post("/v3/containers", &container).await.problem("accessNotGranted");
    let approved = answer(&client, &filed, "approve").await.expect(200);
    assert_eq!((&approved["status"], &approved["decidedAt"]), (&json!("approved"), &json!(START)));
    assert_eq!(access_of(&agency, &client).await, "granted");
    agency.login.post("/v3/containers", &container).await.expect(201);
    for account in [&agency, &client] {
        let events = feed(&account.login).await;
        for event in ["access.requested", "access.granted"] {
            assert!(events.contains(&(event.to_owned(), client.id.clone())), "{event}: {events:?}");
        }
    }
}

async fn a_request_is_answered_once(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let filed = request(&agency, &client).await.expect(201);
    request(&agency, &client).await.problem("accessAlreadyRequested");
    answer(&client, &filed, "approve").await.expect(200);
    for word in ["approve", "decline"] {
        answer(&client, &filed, word).await.problem("accessRequestClosed");
    }
    request(&agency, &client).await.problem("accessAlreadyGranted");
    assert_eq!(access_of(&agency, &client).await, "granted");
}

async fn a_decline_may_say_why(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let filed = request(&agency, &client).await.expect(201);
    let path = format!("/v3/access-requests/{}/decline", filed["id"].as_str().expect("an id"));
    for reason in [json!(" "), json!("x".repeat(1_001)), json!(1)] {
        let problem = client.login.post(&path, &json!({"reason": reason})).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/reason"]);
    }
    client.login.post(&path, &json!({"why": "x"})).await.problem("validationFailed");
    let declined = client.login.post(&path, &json!({"reason": " not now "})).await.expect(200);
    assert_eq!((&declined["status"], declined.get("reason")), (&json!("declined"), None));
    let details = async |account: &Account, action: &str| {
        let log = account.login.list("/v3/audit-log").await;
        log.into_iter().find(|row| row["action"] == action).map(|row| row["details"].clone())
    };
    for account in [&agency, &client] {
        assert_eq!(details(account, "access.declined").await, Some(json!({"reason": "not now"})));
    }
    let (other, asked) = (app.agency().await, app.standard().await);
    for (body, kept) in
        [(json!({"reason": "who are you?"}), json!({"reason": "who are you?"})), (json!({}), Value::Null)]
    {
        let attach = json!({"email": asked.email, "hasNoContainers": true});
        other.login.post("/v3/sub-accounts/attach", &attach).await.expect(202);
        let id = asked.login.list("/v3/access-requests?status=pending").await[0]["id"].clone();
        let path = format!("/v3/access-requests/{}/decline", id.as_str().expect("an id"));
        asked.login.post(&path, &body).await.expect(200);
        assert_eq!(details(&asked, "subAccount.linkDeclined").await, Some(kept));
        assert_eq!(details(&other, "subAccount.linkDeclined").await, None);
        app.move_clock("2026-01-02T00:00:00.000Z").await;
    }
}

async fn a_decline_pauses_requests_for_a_day(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let filed = request(&agency, &client).await.expect(201);
    answer(&client, &filed, "decline").await.expect(200);
    assert_eq!(access_of(&agency, &client).await, "declined");
    app.move_clock("2026-01-01T23:59:59.999Z").await;
    let problem = request(&agency, &client).await.problem("accessRequestTooSoon");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("2026-01-02T00:00:00.000Z")), "{problem:#}");
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    request(&agency, &client).await.expect(201);
    assert_eq!(client.login.list("/v3/access-requests").await.len(), 2);
}

async fn a_revocation_pauses_requests_for_a_day(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.invited_client_of(&agency).await;
    let container = json!({"name": "shop", "product": "sgtmContainer", "accountId": client.id});
    agency.login.post("/v3/containers", &container).await.expect(201);
    client.login.delete("/v3/manager/access").await.expect(204);
    client.login.delete("/v3/manager/access").await.problem("notFound");
    assert_eq!(access_of(&agency, &client).await, "declined");
    agency.login.post("/v3/containers", &container).await.problem("accessNotGranted");
    request(&agency, &client).await.problem("accessRequestTooSoon");
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    request(&agency, &client).await.expect(201);
    let events = feed(&agency.login).await;
    assert!(events.contains(&("access.revoked".to_owned(), client.id.clone())), "{events:?}");
}

async fn linking_anew_is_no_way_round_the_pause(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let filed = request(&agency, &client).await.expect(201);
    answer(&client, &filed, "decline").await.expect(200);
    agency.login.post_nothing(&format!("/v3/sub-accounts/{}/detach", client.id)).await.expect(204);
    app.link(&client.id, &agency.id).await;
    assert_eq!(access_of(&agency, &client).await, "none");
    request(&agency, &client).await.problem("accessRequestTooSoon");
}

async fn a_detach_withdraws_what_was_asked(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let filed = request(&agency, &client).await.expect(201);
    agency.login.post_nothing(&format!("/v3/sub-accounts/{}/detach", client.id)).await.expect(204);
    assert_eq!(client.login.list("/v3/access-requests").await[0]["status"], "withdrawn");
    answer(&client, &filed, "approve").await.problem("accessRequestClosed");
}

async fn another_managers_client_cannot_be_asked(app: &TestApp) {
    let (_, client) = linked(app).await;
    let stranger = app.agency().await;
    request(&stranger, &client).await.problem("notFound");
    let path = format!("/v3/sub-accounts/{}/invitations", client.id);
    stranger.login.post_nothing(&path).await.problem("notFound");
    let path = format!("/v3/sub-accounts/{}", client.id);
    stranger.login.patch(&path, &json!({"note": "mine"})).await.problem("notFound");
    client.login.post_nothing(&format!("{path}/access-requests")).await.problem("wrongAccountKind");
}

async fn a_client_sees_its_manager(app: &TestApp) {
    let (agency, client) = linked(app).await;
    agency.login.patch("/v3/account", &json!({"companyName": "Archer Analytics"})).await.expect(200);
    let expected = json!({
        "id": agency.id, "email": agency.email, "firstName": "Robin", "lastName": "Doe",
        "companyName": "Archer Analytics", "origin": "operator", "access": "none", "billing": "individual",
        "linkedAt": START,
    });
    assert_eq!(client.login.get("/v3/manager").await.expect(200), expected);
    agency.login.get("/v3/manager").await.problem("wrongAccountKind");
    let key = app.api_key(&client, &["account:read"]).await;
    key.get("/v3/manager").await.expect(200);
    key.delete("/v3/manager").await.problem("ownerRequired");
    key.delete("/v3/manager/access").await.problem("ownerRequired");
}

async fn without_a_manager_there_is_none_to_change(app: &TestApp) {
    let client = app.standard().await;
    client.login.get("/v3/manager").await.problem("notFound");
    client.login.delete("/v3/manager").await.problem("notFound");
    client.login.delete("/v3/manager/access").await.problem("notFound");
    assert!(client.login.list("/v3/access-requests").await.is_empty());
}

async fn a_client_parts_from_its_manager(app: &TestApp) {
    let (agency, client) = linked(app).await;
    let path = format!("/v3/sub-accounts/{}", client.id);
    agency.login.patch(&path, &json!({"note": "call first"})).await.expect(200);
    client.login.delete("/v3/manager").await.expect(204);
    client.login.get("/v3/manager").await.problem("notFound");
    agency.login.get(&path).await.problem("notFound");
    let detached = ("subAccount.detached".to_owned(), client.id.clone());
    assert!(feed(&agency.login).await.contains(&detached) && feed(&client.login).await.contains(&detached));
    app.link(&client.id, &agency.id).await;
    assert_eq!(agency.login.get(&path).await.expect(200)["note"], Value::Null);
}

async fn the_client_is_told_of_every_change_of_its_manager(app: &TestApp) {
    let agency = app.agency().await;
    let person = json!({"email": "told@example.com", "firstName": "Sam", "lastName": "Client"});
    let id = agency.login.post("/v3/sub-accounts", &person).await.expect(201)["id"].clone();
    app.mail_to("told@example.com", "made an account for you").await;
    let path = format!("/v3/sub-accounts/{}/detach", id.as_str().expect("an id"));
    agency.login.post_nothing(&path).await.expect(204);
    app.mail_to("told@example.com", "no longer manages").await;
    app.link(id.as_str().expect("an id"), &agency.id).await;
    app.mail_to("told@example.com", "manages your account now").await;
    assert_eq!(app.mails_to("told@example.com").len(), 3);
}

async fn invitations_go_to_clients_without_a_password(app: &TestApp) {
    let agency = app.agency().await;
    let person = json!({"email": "late@example.com", "firstName": "Sam", "lastName": "Client", "sendInvite": true});
    let client = agency.login.post("/v3/sub-accounts", &person).await.expect(201);
    let path = format!("/v3/sub-accounts/{}/invitations", client["id"].as_str().expect("an id"));
    let first = app.mail_to("late@example.com", "invites you").await.token();
    app.move_clock("2026-01-08T00:00:00.000Z").await;
    let confirm = |token: String| json!({"token": token, "password": "Viola+lantern-7"});
    app.visitor().post("/v3/password-resets/confirm", &confirm(first)).await.problem("invalidToken");
    let agency = Account { login: app.sign_in(&agency.email, crate::support::PASSWORD).await, ..agency };
    assert_eq!(agency.login.post_nothing(&path).await.expect(202), Value::Null);
    app.all_mails_sent().await;
    let second = app.mails_to("late@example.com").last().expect("a mail").token();
    app.visitor().post("/v3/password-resets/confirm", &confirm(second)).await.expect(204);
    app.sign_in("late@example.com", "Viola+lantern-7").await;
    agency.login.post_nothing(&path).await.problem("invitationNotNeeded");
}
