//! Other tenants' things: in paths, queries, bodies and cursors.

use serde_json::{Value, json};

use crate::support::{Account, Client, PASSWORD, TestApp, both_engines, id, operations, places, usd};

both_engines!(
    a_cursor_of_another_account_shows_nothing_of_it,
    a_field_that_is_not_offered_is_refused_by_every_operation,
    an_id_of_another_tenant_in_a_query_finds_nothing,
    an_id_of_another_tenant_in_a_body_is_unknown,
    no_operation_reaches_anothers_resource_by_its_id,
);

/// A partner with one of everything: itself, and the ids of its things by the path parameter that takes them.
async fn victim(app: &TestApp) -> (Account, Vec<(&'static str, String)>) {
    let partner = app.partner().await;
    let client = app.invited_client_of(&partner).await;
    let container = app.container(&partner, &client.id).await;
    let commission = app.commission(&partner, &container).await;
    let payment = client.login.list("/v3/payments").await[0].clone();
    app.payout_method(&partner, "USD").await;
    app.bonus(&partner, "150.00").await;
    let payout = app.payout(&partner).await;
    let link = app.default_link(&partner).await;
    let key = partner.login.post("/v3/api-keys", &json!({"name": "own", "scopes": ["account:read"]})).await.expect(201);
    let member = json!({"email": crate::support::new_email(), "firstName": "A", "lastName": "B", "role": "member"});
    let member = partner.login.post("/v3/members", &member).await.expect(201);
    let asking = app.agency().await;
    let asked = app.invited_client_of(&asking).await;
    asked.login.delete("/v3/manager/access").await.expect(204);
    let ids = vec![
        ("accountId", client.id),
        ("containerId", container),
        ("commissionId", id(&commission)),
        ("paymentId", id(&payment)),
        ("payoutId", id(&payout)),
        ("linkId", id(&link)),
        ("keyId", id(&key)),
        ("userId", id(&member)),
    ];
    (partner, ids)
}

/// All that the victim can see of its own.
async fn belongings(partner: &Account) -> Vec<Value> {
    let mut all = vec![partner.login.get("/v3/account").await.expect(200)];
    for path in [
        "/v3/sub-accounts",
        "/v3/containers",
        "/v3/payments",
        "/v3/commissions",
        "/v3/payouts",
        "/v3/payout-methods",
        "/v3/referral-links",
        "/v3/members",
        "/v3/events",
    ] {
        all.extend(partner.login.list(path).await);
    }
    all
}

async fn no_operation_reaches_anothers_resource_by_its_id(app: &TestApp) {
    let (partner, ids) = victim(app).await;
    let ids: Vec<(&str, &str)> = ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
    let rival = app.partner().await;
    let rivals_client = app.invited_client_of(&rival).await;
    let acting = rival.login.post_nothing(&format!("/v3/sub-accounts/{}/login", rivals_client.id)).await.expect(201);
    let attackers = [
        rival.login.clone(),
        app.api_key(&rival, &["subAccounts:write", "containers:write", "payouts:write", "commissions:read"]).await,
        rivals_client.login.clone(),
        app.caller(acting["accessToken"].as_str().expect("a token")),
    ];
    let before = belongings(&partner).await;
    let mut tried = 0;
    for operation in operations() {
        let is_about_a_thing = operation.parameters().iter().any(|name| ids.iter().any(|(known, _)| known == name));
        if operation.is_public() || !is_about_a_thing {
            continue;
        }
        let path = operation.path_with(&ids);
        for attacker in &attackers {
            let answer = operation.call(attacker, &path, operation.example().as_ref()).await;
            let name = operation.name();
            assert!([403, 404].contains(&answer.status), "{name}: {} {}", answer.status, answer.text);
            assert!(ids.iter().all(|(_, id)| !answer.text.replace(&path, "").contains(id)), "{name}: {}", answer.text);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried} attempts");
    assert_eq!(belongings(&partner).await, before);
}

async fn an_id_of_another_tenant_in_a_query_finds_nothing(app: &TestApp) {
    let (_, ids) = victim(app).await;
    let rival = app.partner().await;
    let of = |name: &str| ids.iter().find(|(known, _)| *known == name).map_or("", |(_, id)| id.as_str());
    for query in [
        format!("/v3/containers?subAccountId={}", of("accountId")),
        format!("/v3/commissions?subAccountId={}", of("accountId")),
        format!("/v3/commissions?containerId={}", of("containerId")),
        format!("/v3/commissions?payoutId={}", of("payoutId")),
        format!("/v3/ledger/entries?commissionId={}", of("commissionId")),
    ] {
        let page = rival.login.get(&query).await.expect(200);
        assert_eq!(page["data"], json!([]), "{query}");
    }
}

async fn an_id_of_another_tenant_in_a_body_is_unknown(app: &TestApp) {
    let (partner, ids) = victim(app).await;
    let rival = app.partner().await;
    let of = |name: &str| ids.iter().find(|(known, _)| *known == name).map_or("", |(_, id)| id.as_str());
    for account in [of("accountId"), &partner.id] {
        let container = json!({"name": "shop", "product": "sgtmContainer", "accountId": account});
        let problem = rival.login.post("/v3/containers", &container).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/accountId"]);
    }
    let operator = app.operator().await;
    for (field, value) in [("commissionId", of("commissionId")), ("payoutId", of("payoutId"))] {
        let reason = if field == "payoutId" { "payoutReturned" } else { "correction" };
        let mut body = json!({"accountId": rival.id, "amount": usd("150.00"), "reason": reason, "note": "a test"});
        body[field] = json!(value);
        let problem = operator.post_once("/v3/operator/adjustments", &body).await.problem("validationFailed");
        assert_eq!(places(&problem), [format!("/{field}").as_str()]);
    }
    let victims = partner.login.get(&format!("/v3/sub-accounts/{}", of("accountId"))).await.expect(200);
    for named in [json!({"containerName": "shop.example.com"}), json!({"hasNoContainers": false, "containerName": "x"})]
    {
        let mut attach = named;
        attach["email"] = victims["email"].clone();
        let answer = rival.login.post("/v3/sub-accounts/attach", &attach).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
}

async fn a_cursor_of_another_account_shows_nothing_of_it(app: &TestApp) {
    let (partner, rival) = (app.partner().await, app.partner().await);
    for path in ["/v3/containers", "/v3/sub-accounts", "/v3/events", "/v3/audit-log", "/v3/commissions/by-container"] {
        let page = partner.login.get(&format!("{path}?limit=1")).await.expect(200);
        let Some(cursor) = page["nextCursor"].as_str() else { continue };
        rival.login.get(&format!("{path}?limit=1&cursor={cursor}")).await.problem("invalidCursor");
    }
}

/// Mass assignment: what a client may not set cannot be slipped in beside what it may.
async fn a_field_that_is_not_offered_is_refused_by_every_operation(app: &TestApp) {
    let (partner, client) = (app.partner().await, app.standard().await);
    let callers: [Client; 4] = [app.visitor(), partner.login, client.login, app.operator().await.clone()];
    let mut tried = 0;
    // The program is sent back whole with what the server adds to it; its own tests show what it refuses.
    for operation in operations().into_iter().filter(|operation| operation.path != "/v3/operator/program") {
        let Some(example) = operation.example().filter(Value::is_object) else { continue };
        let schema = operation.schema();
        for field in ["isAdmin", "id", "accountId", "managerId", "kind", "blocked", "level", "net", "paidAt"] {
            if schema["properties"].get(field).is_some() {
                continue;
            }
            let mut body = example.clone();
            body[field] = json!("x");
            let mut is_refused = false;
            for caller in &callers {
                let answer = operation.call(caller, &operation.path_with(&[]), Some(&body)).await;
                let name = operation.name();
                assert!(answer.status >= 400, "{name} takes {field}: {}", answer.text);
                if answer.status == 422 {
                    let problem = answer.problem("validationFailed");
                    assert_eq!(places(&problem), [format!("/{field}").as_str()], "{name}: {problem:#}");
                    is_refused = true;
                }
            }
            assert!(is_refused, "{} {field}: nobody could try", operation.name());
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried} attempts");
    // The password is still the old one, and so is everything else: the examples themselves were never carried out.
    app.sign_in(&partner.email, PASSWORD).await;
}
