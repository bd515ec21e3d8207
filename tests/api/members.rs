//! The team of an account: owners and members, and what a member cannot do.

use serde_json::{Value, json};

use crate::support::{Account, Client, START, TestApp, both_engines, places};

const PASSWORD: &str = "Viola+lantern-7";

both_engines!(
    a_member_is_invited_and_signs_in,
    a_member_cannot_do_what_needs_an_owner,
    a_removed_member_is_out_at_once,
    a_role_takes_effect_at_once,
    a_team_has_a_limit,
    an_account_always_keeps_an_owner,
    an_owner_who_has_not_accepted_the_invitation_is_none_yet,
    an_email_address_is_one_users,
    another_accounts_member_is_not_found,
    every_broken_rule_is_named,
    of_two_owners_who_remove_each_other_one_stays,
    the_account_shows_its_first_owner,
    the_same_member_is_added_once,
    the_team_is_a_managers_owners_affair,
);

fn person(email: &str, role: &str) -> Value {
    json!({"email": email, "firstName": "Max", "lastName": "Moreau", "role": role})
}

/// Adds somebody to the team, who accepts the invitation.
async fn join(app: &TestApp, agency: &Account, email: &str, role: &str) -> (String, Client) {
    let member = agency.login.post("/v3/members", &person(email, role)).await.expect(201);
    let token = app.mail_to(email, "invites you to its team").await.token();
    let confirm = json!({"token": token, "password": PASSWORD});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    (member["id"].as_str().expect("an id").to_owned(), app.sign_in(email, PASSWORD).await)
}

async fn a_member_is_invited_and_signs_in(app: &TestApp) {
    let agency = app.agency().await;
    let answer = agency.login.post("/v3/members", &person("max@example.com", "member")).await;
    let location = answer.header("location").to_owned();
    let member = answer.expect(201);
    let expected = json!({
        "id": member["id"], "email": "max@example.com", "firstName": "Max", "lastName": "Moreau", "role": "member",
        "invitationPending": true, "createdAt": START,
    });
    assert_eq!(member, expected);
    assert_eq!(location, format!("/v3/members/{}", member["id"].as_str().expect("an id")));
    let mail = app.mail_to("max@example.com", "invites you to its team").await;
    assert!(mail.link().contains("/invitation?token="), "{}", mail.link());
    let sign_in = json!({"email": "max@example.com", "password": PASSWORD});
    app.visitor().post("/v3/sessions", &sign_in).await.problem("invalidCredentials");
    app.move_clock("2026-01-07T23:59:59.000Z").await;
    let confirm = json!({"token": mail.token(), "password": PASSWORD});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    let login = app.sign_in("Max@Example.com", PASSWORD).await;
    assert_eq!(login.get("/v3/account").await.expect(200)["id"], agency.id.as_str());
    let team = agency.login.list("/v3/members").await;
    assert_eq!(team.len(), 2);
    assert_eq!((&team[0]["email"], &team[0]["invitationPending"]), (&json!("max@example.com"), &json!(false)));
    assert_eq!((&team[1]["email"], &team[1]["role"]), (&json!(agency.email), &json!("owner")));
}

async fn a_member_cannot_do_what_needs_an_owner(app: &TestApp) {
    let agency = app.agency().await;
    let (_, member) = join(app, &agency, "max@example.com", "member").await;
    for path in ["/v3/members", "/v3/api-keys", "/v3/audit-log"] {
        member.get(path).await.problem("ownerRequired");
    }
    member.post("/v3/members", &person("eve@example.com", "owner")).await.problem("ownerRequired");
    member.patch("/v3/account", &json!({"companyName": "Mine"})).await.problem("insufficientScope");
    member
        .post("/v3/sub-accounts", &json!({"email": "c@example.com", "firstName": "A", "lastName": "B"}))
        .await
        .expect(201);
}

async fn the_team_is_a_managers_owners_affair(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    client.login.get("/v3/members").await.problem("wrongAccountKind");
    app.operator().await.get("/v3/members").await.problem("wrongAccountKind");
    let key = app.api_key(&agency, &["account:read", "account:write"]).await;
    key.get("/v3/members").await.problem("ownerRequired");
}

async fn an_email_address_is_one_users(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    agency.login.post("/v3/members", &person(&other.email.to_uppercase(), "member")).await.problem("emailTaken");
    let member = agency.login.post("/v3/members", &person("max@example.com", "member")).await.expect(201);
    other.login.post("/v3/members", &person("MAX@example.com", "member")).await.problem("emailTaken");
    let path = format!("/v3/members/{}", member["id"].as_str().expect("an id"));
    agency.login.delete(&path).await.expect(204);
    agency.login.delete(&path).await.problem("notFound");
    other.login.post("/v3/members", &person("MAX@example.com", "member")).await.expect(201);
}

async fn every_broken_rule_is_named(app: &TestApp) {
    let agency = app.agency().await;
    let bad = json!({"email": "nobody", "firstName": " ", "lastName": "a\nb", "role": "owner"});
    let problem = agency.login.post("/v3/members", &bad).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/email", "/firstName", "/lastName"]);
    let hidden = json!({"email": "a@example.com", "firstName": "A\u{85}B", "lastName": "A\u{2066}B", "role": "owner"});
    let problem = agency.login.post("/v3/members", &hidden).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/firstName", "/lastName"]);
    let unknown = json!({"email": "a@example.com", "firstName": "A", "lastName": "B", "role": "boss"});
    let problem = agency.login.post("/v3/members", &unknown).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/role"]);
}

async fn the_same_member_is_added_once(app: &TestApp) {
    let agency = app.agency().await;
    let mut ids = Vec::new();
    for replayed in ["", "true"] {
        let request = agency.login.request(reqwest::Method::POST, "/v3/members").header("idempotency-key", "one");
        let answer = request.json(&person("max@example.com", "member")).send().await;
        assert_eq!(answer.header("idempotent-replayed"), replayed);
        ids.push(answer.expect(201)["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    app.all_mails_sent().await;
    assert_eq!(app.mails_to("max@example.com").len(), 1);
}

async fn another_accounts_member_is_not_found(app: &TestApp) {
    let (agency, stranger) = (app.agency().await, app.agency().await);
    let member = agency.login.post("/v3/members", &person("max@example.com", "member")).await.expect(201);
    for id in [member["id"].as_str().expect("an id"), "usr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "nonsense"] {
        let path = format!("/v3/members/{id}");
        stranger.login.patch(&path, &json!({"role": "owner"})).await.problem("notFound");
        stranger.login.delete(&path).await.problem("notFound");
    }
    assert_eq!(agency.login.list("/v3/members").await.len(), 2);
}

async fn a_role_takes_effect_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let (id, member) = join(app, &agency, "max@example.com", "member").await;
    let path = format!("/v3/members/{id}");
    member.get("/v3/members").await.problem("ownerRequired");
    let changed = agency.login.patch(&path, &json!({"role": "owner", "lastName": " Meyer "})).await.expect(200);
    assert_eq!((&changed["role"], &changed["lastName"]), (&json!("owner"), &json!("Meyer")));
    member.get("/v3/members").await.expect(200);
    agency.login.patch(&path, &json!({"role": "member"})).await.expect(200);
    member.get("/v3/members").await.problem("ownerRequired");
    let problem = agency.login.patch(&path, &json!({"role": null})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/role"]);
}

async fn a_removed_member_is_out_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let (id, member) = join(app, &agency, "max@example.com", "member").await;
    member.get("/v3/account").await.expect(200);
    agency.login.delete(&format!("/v3/members/{id}")).await.expect(204);
    member.get("/v3/account").await.problem("invalidCredentials");
    let sign_in = json!({"email": "max@example.com", "password": PASSWORD});
    app.visitor().post("/v3/sessions", &sign_in).await.problem("invalidCredentials");
    let log = agency.login.list("/v3/audit-log").await;
    assert!(log.iter().any(|row| row["action"] == "member.deleted" && row["resourceId"] == id.as_str()), "{log:#?}");
}

async fn an_account_always_keeps_an_owner(app: &TestApp) {
    let agency = app.agency().await;
    let own = agency.login.list("/v3/members").await[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v3/members/{own}");
    agency.login.delete(&path).await.problem("lastOwner");
    agency.login.patch(&path, &json!({"role": "member"})).await.problem("lastOwner");
    agency.login.post("/v3/members", &person("max@example.com", "member")).await.expect(201);
    agency.login.delete(&path).await.problem("lastOwner");
    agency.login.patch(&path, &json!({"firstName": "Roberta"})).await.expect(200);
}

async fn an_owner_who_has_not_accepted_the_invitation_is_none_yet(app: &TestApp) {
    let agency = app.agency().await;
    let own = agency.login.list("/v3/members").await[0]["id"].as_str().expect("an id").to_owned();
    let own = format!("/v3/members/{own}");
    let mut invited = Vec::new();
    for email in ["max@example.com", "eve@example.com"] {
        let member = agency.login.post("/v3/members", &person(email, "owner")).await.expect(201);
        invited.push(format!("/v3/members/{}", member["id"].as_str().expect("an id")));
    }
    agency.login.delete(&own).await.problem("lastOwner");
    agency.login.patch(&own, &json!({"role": "member"})).await.problem("lastOwner");
    agency.login.patch(&invited[0], &json!({"role": "member"})).await.expect(200);
    agency.login.delete(&invited[1]).await.expect(204);
    let (_, other) = join(app, &agency, "kim@example.com", "owner").await;
    other.delete(&own).await.expect(204);
    other.get("/v3/members").await.expect(200);
}

async fn of_two_owners_who_remove_each_other_one_stays(app: &TestApp) {
    let agency = app.agency().await;
    let own = agency.login.list("/v3/members").await[0]["id"].as_str().expect("an id").to_owned();
    let (second, other) = join(app, &agency, "max@example.com", "owner").await;
    let (one, two) = (format!("/v3/members/{second}"), format!("/v3/members/{own}"));
    let answers = futures_util::future::join(agency.login.delete(&one), other.delete(&two)).await;
    let removed = [answers.0.status, answers.1.status].iter().filter(|status| **status == 204).count();
    assert_eq!(removed, 1, "{answers:?}");
}

async fn the_account_shows_its_first_owner(app: &TestApp) {
    let agency = app.agency().await;
    let own = agency.login.list("/v3/members").await[0]["id"].as_str().expect("an id").to_owned();
    agency.login.patch(&format!("/v3/members/{own}"), &json!({"firstName": "Roberta"})).await.expect(200);
    assert_eq!(agency.login.get("/v3/account").await.expect(200)["firstName"], "Roberta");
    let (_, other) = join(app, &agency, "max@example.com", "owner").await;
    assert_eq!(other.get("/v3/account").await.expect(200)["email"], agency.email.as_str());
    other.delete(&format!("/v3/members/{own}")).await.expect(204);
    let account = other.get("/v3/account").await.expect(200);
    assert_eq!((&account["email"], &account["firstName"]), (&json!("max@example.com"), &json!("Max")));
    let client = json!({"email": "c@example.com", "firstName": "A", "lastName": "B", "sendInvite": false});
    other.post("/v3/sub-accounts", &client).await.expect(201);
}

async fn a_team_has_a_limit(app: &TestApp) {
    let agency = app.agency().await;
    for number in 1..100 {
        agency.login.post("/v3/members", &person(&format!("m{number}@example.com"), "member")).await.expect(201);
    }
    agency.login.post("/v3/members", &person("m100@example.com", "member")).await.problem("memberLimitReached");
    assert_eq!(agency.login.list("/v3/members").await.len(), 100);
}
