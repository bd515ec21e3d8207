//! Accounts: signing up, reading and changing one's own, and what the operator sees of them.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, both_engines, places};

both_engines!(
    an_email_address_is_taken_once_also_by_eight_at_once,
    a_blocked_account_is_refused_at_once_everywhere,
    a_member_of_no_account_sees_nothing_of_others,
    a_standard_account_signs_up,
    a_stale_change_of_the_account_is_refused,
    an_account_is_changed_by_merge_patch,
    an_account_that_has_not_changed_is_not_sent_again,
    an_agency_signs_up,
    an_email_address_belongs_to_one_user_whatever_its_case,
    an_unknown_referral_code_never_fails_a_sign_up,
    every_broken_rule_of_a_sign_up_is_named_at_once,
    nobody_signs_up_as_a_partner,
    the_operator_finds_accounts,
    weak_passwords_are_refused,
);

fn sign_up(kind: &str, email: &str) -> Value {
    json!({"kind": kind, "email": email, "password": PASSWORD, "firstName": "Ann", "lastName": "Archer"})
}

async fn a_standard_account_signs_up(app: &TestApp) {
    let answer = app.visitor().post("/v3/accounts", &sign_up("standard", "ann@example.com")).await;
    assert!(!answer.header("location").is_empty());
    let account = answer.expect(201);
    let id = account["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("acc_") && id.len() == 30, "{id}");
    let expected = json!({
        "id": id, "kind": "standard", "email": "ann@example.com", "firstName": "Ann", "lastName": "Archer",
        "companyName": null, "blocked": false, "level": null, "managerId": null,
        "createdAt": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(account, expected);
    let login = app.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(login.get("/v3/account").await.expect(200), expected);
}

async fn an_agency_signs_up(app: &TestApp) {
    let mut agency = sign_up("agency", "ann@example.com");
    agency["companyName"] = json!("  Archer Analytics ");
    let account = app.visitor().post("/v3/accounts", &agency).await.expect(201);
    assert_eq!((&account["kind"], &account["companyName"]), (&json!("agency"), &json!("Archer Analytics")));
}

async fn nobody_signs_up_as_a_partner(app: &TestApp) {
    let problem = app.visitor().post("/v3/accounts", &sign_up("partner", "ann@example.com")).await;
    assert_eq!(places(&problem.problem("validationFailed")), ["/kind"]);
}

async fn an_email_address_belongs_to_one_user_whatever_its_case(app: &TestApp) {
    let made = app.visitor().post("/v3/accounts", &sign_up("standard", " Ann@Example.com ")).await.expect(201);
    assert_eq!(made["email"], "Ann@Example.com");
    let again = app.visitor().post("/v3/accounts", &sign_up("agency", "aNN@example.COM")).await;
    again.problem("emailTaken");
    app.sign_in("ANN@example.com", PASSWORD).await;
    app.sign_in(" ann@example.com", PASSWORD).await;
}

async fn an_email_address_is_taken_once_also_by_eight_at_once(app: &TestApp) {
    let visitor = app.visitor();
    let body = sign_up("agency", "ann@example.com");
    let answers = futures_util::future::join_all((0..8).map(|_| visitor.post("/v3/accounts", &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem("emailTaken");
    }
}

async fn every_broken_rule_of_a_sign_up_is_named_at_once(app: &TestApp) {
    let bad = json!({
        "kind": "standard", "email": "nobody", "password": "short", "firstName": "  ", "lastName": "x".repeat(101),
    });
    let problem = app.visitor().post("/v3/accounts", &bad).await.problem("validationFailed");
    let mut found = places(&problem);
    found.dedup();
    assert_eq!(found, ["/email", "/firstName", "/lastName", "/password"]);
}

async fn weak_passwords_are_refused(app: &TestApp) {
    for password in ["elevenchars", "password1234", "123456789012", &"x".repeat(129)] {
        let mut account = sign_up("standard", "ann@example.com");
        account["password"] = json!(password);
        let problem = app.visitor().post("/v3/accounts", &account).await.problem("validationFailed");
        assert_eq!(places(&problem)[0], "/password", "{password}");
    }
}

async fn an_unknown_referral_code_never_fails_a_sign_up(app: &TestApp) {
    let mut account = sign_up("standard", "ann@example.com");
    account["referralCode"] = json!("unheard-of");
    account["clickId"] = json!("nonsense");
    let account = app.visitor().post("/v3/accounts", &account).await.expect(201);
    assert_eq!(account["managerId"], Value::Null);
}

async fn an_account_is_changed_by_merge_patch(app: &TestApp) {
    let agency = app.agency().await;
    let change = json!({"companyName": "Archer Analytics", "firstName": " Bo "});
    let changed = agency.login.patch("/v3/account", &change).await.expect(200);
    assert_eq!((&changed["companyName"], &changed["firstName"]), (&json!("Archer Analytics"), &json!("Bo")));
    assert_eq!(changed["lastName"], "Doe");
    let cleared = agency.login.patch("/v3/account", &json!({"companyName": null})).await.expect(200);
    assert_eq!((&cleared["companyName"], &cleared["firstName"]), (&Value::Null, &json!("Bo")));
    assert_eq!(agency.login.patch("/v3/account", &json!({})).await.expect(200), cleared);
    for bad in [json!({"firstName": null}), json!({"firstName": ""}), json!({"email": "new@example.com"}), json!([])] {
        agency.login.patch("/v3/account", &bad).await.problem("validationFailed");
    }
    assert_eq!(agency.login.get("/v3/account").await.expect(200), cleared);
}

async fn an_account_that_has_not_changed_is_not_sent_again(app: &TestApp) {
    let agency = app.agency().await;
    let tag = agency.login.get("/v3/account").await.header("etag").to_owned();
    let again = || agency.login.request(reqwest::Method::GET, "/v3/account").header("if-none-match", &tag).send();
    let answer = again().await;
    assert_eq!((answer.status, answer.text.as_str()), (304, ""));
    agency.login.patch("/v3/account", &json!({"companyName": "New"})).await.expect(200);
    assert_eq!(again().await.status, 200);
}

async fn a_stale_change_of_the_account_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    let tag = agency.login.get("/v3/account").await.header("etag").to_owned();
    let change = |company: &str| {
        let request = agency.login.request(reqwest::Method::PATCH, "/v3/account").header("if-match", &tag);
        request.json(&json!({"companyName": company})).send()
    };
    change("First").await.expect(200);
    change("Second").await.problem("preconditionFailed");
    assert_eq!(agency.login.get("/v3/account").await.expect(200)["companyName"], "First");
}

async fn a_member_of_no_account_sees_nothing_of_others(app: &TestApp) {
    let (one, other) = (app.agency().await, app.agency().await);
    assert_eq!(one.login.get("/v3/account").await.expect(200)["id"], one.id.as_str());
    assert_eq!(other.login.get("/v3/account").await.expect(200)["id"], other.id.as_str());
    one.login.get(&format!("/v3/operator/accounts/{}", other.id)).await.problem("wrongAccountKind");
}

async fn the_operator_finds_accounts(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let operator = app.operator().await;
    let path = format!("/v3/operator/accounts/{}", agency.id);
    assert_eq!(operator.get(&path).await.expect(200)["email"], agency.email.as_str());
    let rows = operator.list("/v3/operator/accounts?kind=standard").await;
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), [client.id.as_str()]);
    let rows = operator.list(&format!("/v3/operator/accounts?q={}", agency.email.to_uppercase())).await;
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), [agency.id.as_str()]);
    assert!(operator.list("/v3/operator/accounts?q=%25").await.is_empty(), "a wildcard stands for itself");
    operator.get("/v3/operator/accounts/acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC").await.problem("notFound");
}

async fn a_blocked_account_is_refused_at_once_everywhere(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    let path = format!("/v3/operator/accounts/{}", agency.id);
    let operator = app.operator().await;
    operator.post(&format!("{path}/block"), &json!({})).await.problem("validationFailed");
    let blocked = operator.post(&format!("{path}/block"), &json!({"reason": "chargebacks"})).await.expect(200);
    assert_eq!(blocked["blocked"], true);
    key.get("/v3/account").await.problem("accountBlocked");
    agency.login.get("/v3/account").await.problem("accountBlocked");
    let credentials = json!({"email": agency.email, "password": PASSWORD});
    app.visitor().post("/v3/sessions", &credentials).await.problem("accountBlocked");
    operator.post_nothing(&format!("{path}/unblock")).await.expect(200);
    key.get("/v3/account").await.expect(200);
}
