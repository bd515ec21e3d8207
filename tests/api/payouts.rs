//! Payouts: what a request takes, who may, what is shown of them.

use futures_util::future::join_all;
use serde_json::{Value, json};
use stape_api::auth::Scopes;

use crate::support::{Account, TestApp, both_engines, id, new_key, payment, usd};

both_engines!(
    a_foreign_payout_is_not_found,
    a_member_and_a_key_without_the_scope_request_nothing,
    a_payout_takes_the_whole_ready_balance_and_its_lines_are_its_amount,
    a_request_first_makes_ready_what_is_due,
    a_request_is_refused_with_both_figures_and_changes_nothing,
    an_agency_requests_nothing_and_sees_an_empty_list,
    debts_are_netted_and_currencies_never_mix,
    numbers_have_no_gaps_and_begin_anew_each_year,
    of_many_requests_at_once_one_succeeds,
    payouts_are_exported,
    payouts_are_filtered,
    the_operator_requests_by_the_same_rules,
    the_preview_says_what_a_request_would_do,
    the_same_request_is_answered_once,
);

/// A partner with a method for dollars and so much of them ready.
pub async fn partner_with(app: &TestApp, amount: &str) -> Account {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    app.bonus(&partner, amount).await;
    partner
}

pub async fn balances(partner: &Account) -> Value {
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    let row = &summary["balances"][0];
    json!([row["readyToPayout"]["amount"], row["inPayout"]["amount"], row["paid"]["amount"], row["debt"]["amount"]])
}

pub async fn statuses(partner: &Account) -> Vec<Value> {
    partner.login.list("/v3/payouts").await.into_iter().map(|payout| payout["status"].clone()).collect()
}

pub async fn request(partner: &Account) -> crate::support::Answer {
    partner.login.post_once("/v3/payouts", &json!({"currency": "USD"})).await
}

async fn a_payout_takes_the_whole_ready_balance_and_its_lines_are_its_amount(app: &TestApp) {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    let (client, container) = app.client_with_container(&partner).await;
    let paid = payment(&container).with("amount", usd("500.00")).with("tax", usd("0.00"));
    let commission = app.apply(&[paid]).await[0]["commissionId"].clone();
    app.move_clock("2026-01-15T00:00:00Z").await;
    app.bonus(&partner, "10.00").await;
    app.adjust(&partner, usd("-30.00"), "fraud").await;
    let answer = request(&partner).await;
    let location = answer.header("location").to_owned();
    let payout = answer.expect(201);
    assert_eq!(location, format!("/v3/payouts/{}", id(&payout)));
    assert_eq!(partner.login.get(&location).await.expect(200), payout);
    let expected = [
        ("accountId", json!(partner.id)),
        ("number", json!("2026-0001")),
        ("status", json!("requested")),
        ("amount", usd("130.00")),
        ("lineCount", json!(3)),
        ("requestedBy", json!("partner")),
        ("requestedAt", json!("2026-01-15T00:00:00.000Z")),
        ("approvedAt", Value::Null),
        ("reference", Value::Null),
        ("batchId", Value::Null),
    ];
    for (field, value) in expected {
        assert_eq!(payout[field], value, "{field}");
    }
    let method = partner.login.get("/v3/payout-methods").await.expect(200)["data"][0].clone();
    assert_eq!((&payout["method"]["type"], &payout["method"]["label"]), (&json!("wise"), &method["label"]));
    let lines = partner.login.list(&format!("{location}/lines")).await;
    let mut page = partner.login.get(&format!("{location}/lines?limit=1")).await.expect(200);
    for (place, line) in lines.iter().enumerate() {
        assert_eq!((&page["data"], &page["hasMore"]), (&json!([line]), &json!(place + 1 < lines.len())));
        if let Some(cursor) = page["nextCursor"].as_str() {
            page = partner.login.get(&format!("{location}/lines?limit=1&cursor={cursor}")).await.expect(200);
        }
    }
    let amounts: Vec<_> = lines.iter().map(|line| &line["amount"]["amount"]).collect();
    assert_eq!(amounts, ["-30.00", "10.00", "150.00"]);
    assert_eq!((&lines[2]["commissionId"], &lines[2]["subAccount"]["id"]), (&commission, &json!(client)));
    assert_eq!((&lines[0]["kind"], &lines[0]["commissionId"]), (&json!("adjustment"), &Value::Null));
    assert_eq!(balances(&partner).await, json!(["0.00", "130.00", "0.00", "0.00"]));
    let taken = partner.login.list(&format!("/v3/commissions?payoutId={}", id(&payout))).await;
    assert!(taken.len() == 3 && taken.iter().all(|row| row["status"] == "inPayout"), "{taken:#?}");
}

async fn a_request_is_refused_with_both_figures_and_changes_nothing(app: &TestApp) {
    let partner = app.partner().await;
    app.bonus(&partner, "100.00").await;
    let problem = request(&partner).await.problem("belowMinimum");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.matches("100.00 USD").count() == 2), "{problem:#}");
    app.bonus(&partner, "0.01").await;
    request(&partner).await.problem("payoutMethodMissing");
    app.payout_method(&partner, "EUR").await;
    request(&partner).await.problem("payoutMethodMissing");
    partner.login.post("/v3/payouts", &json!({"currency": "USD"})).await.problem("idempotencyKeyRequired");
    let unlisted = partner.login.post_once("/v3/payouts", &json!({"currency": "JPY"})).await;
    unlisted.problem("currencyNotSupported");
    partner.login.post_once("/v3/payouts", &json!({"currency": "usd"})).await.problem("validationFailed");
    partner
        .login
        .post_once("/v3/payouts", &json!({"currency": "USD", "amount": "1"}))
        .await
        .problem("validationFailed");
    assert_eq!(statuses(&partner).await, Vec::<Value>::new());
    assert_eq!(balances(&partner).await, json!(["100.01", "0.00", "0.00", "0.00"]));
    app.payout_method(&partner, "USD").await;
    assert_eq!(request(&partner).await.expect(201)["number"], "2026-0001");
}

async fn a_request_first_makes_ready_what_is_due(app: &TestApp) {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-01-20T00:00:00Z").await;
    let due = payment(&container).at("2026-01-06T00:00:00Z").with("amount", usd("500.00")).with("tax", usd("0.00"));
    let later = payment(&container).at("2026-01-06T00:00:01Z").with("amount", usd("500.00")).with("tax", usd("0.00"));
    app.apply(&[due, later]).await;
    assert_eq!(app.payout(&partner).await["amount"], usd("150.00"));
}

async fn the_preview_says_what_a_request_would_do(app: &TestApp) {
    let (partner, agency) = (app.partner().await, app.agency().await);
    let preview = partner.login.get("/v3/payouts/preview?currency=USD").await.expect(200);
    assert_eq!((&preview["allowed"], &preview["refusal"]["code"]), (&json!(false), &json!("belowMinimum")));
    assert_eq!((&preview["minimum"], &preview["method"]), (&usd("100.00"), &Value::Null));
    app.bonus(&partner, "150.00").await;
    let preview = partner.login.get("/v3/payouts/preview?currency=USD").await.expect(200);
    assert_eq!(preview["refusal"]["code"], "payoutMethodMissing");
    app.payout_method(&partner, "USD").await;
    let preview = partner.login.get("/v3/payouts/preview?currency=USD").await.expect(200);
    let shown = (&preview["allowed"], &preview["refusal"], &preview["amount"], &preview["lineCount"]);
    assert_eq!(shown, (&json!(true), &Value::Null, &usd("150.00"), &json!(1)));
    assert_eq!(preview["method"]["type"], "wise");
    assert_eq!(app.payout(&partner).await["amount"], preview["amount"]);
    let preview = agency.login.get("/v3/payouts/preview?currency=USD").await.expect(200);
    assert_eq!(preview["refusal"]["code"], "notPartner");
    for bad in ["", "?currency=", "?currency=JPY", "?currency=usd"] {
        partner.login.get(&format!("/v3/payouts/preview{bad}")).await.problem("invalidParameter");
    }
}

async fn debts_are_netted_and_currencies_never_mix(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    app.payout_method(&partner, "EUR").await;
    let payout = app.payout(&partner).await;
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    app.adjust(&partner, usd("-40.00"), "fraud").await;
    assert_eq!(balances(&partner).await, json!(["0.00", "0.00", "150.00", "40.00"]));
    app.adjust(&partner, json!({"amount": "300.00", "currency": "EUR"}), "bonus").await;
    app.bonus(&partner, "140.00").await;
    request(&partner).await.problem("belowMinimum");
    app.bonus(&partner, "0.01").await;
    assert_eq!(app.payout(&partner).await["amount"], usd("100.01"));
    let euros = partner.login.post_once("/v3/payouts", &json!({"currency": "EUR"})).await.expect(201);
    assert_eq!((&euros["amount"]["amount"], &euros["number"]), (&json!("300.00"), &json!("2026-0003")));
}

async fn numbers_have_no_gaps_and_begin_anew_each_year(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let first = app.payout(&partner).await;
    app.step(&first, "reject").await;
    assert_eq!(app.payout(&partner).await["number"], "2026-0002");
    request(&partner).await.problem("belowMinimum");
    app.bonus(&partner, "150.00").await;
    assert_eq!(app.payout(&partner).await["number"], "2026-0003");
    app.move_clock("2027-01-01T00:00:00Z").await;
    app.bonus(&partner, "150.00").await;
    let partner = Account { login: app.sign_in(&partner.email, crate::support::PASSWORD).await, ..partner };
    assert_eq!(app.payout(&partner).await["number"], "2027-0001");
}

async fn of_many_requests_at_once_one_succeeds(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let answers = join_all((0..64).map(|_| request(&partner))).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 1);
    for answer in refused {
        answer.problem("belowMinimum");
    }
    assert_eq!(balances(&partner).await, json!(["0.00", "150.00", "0.00", "0.00"]));
}

async fn the_same_request_is_answered_once(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let key = new_key();
    let send = async || {
        let request = partner.login.request(reqwest::Method::POST, "/v3/payouts").header("idempotency-key", &key);
        request.json(&json!({"currency": "USD"})).send().await
    };
    let first = send().await.expect(201);
    app.bonus(&partner, "150.00").await;
    let again = send().await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201), first);
    let request = partner.login.request(reqwest::Method::POST, "/v3/payouts").header("idempotency-key", &key);
    request.json(&json!({"currency": "EUR"})).send().await.problem("idempotencyKeyReused");
    assert_eq!(statuses(&partner).await.len(), 1);
}

async fn the_operator_requests_by_the_same_rules(app: &TestApp) {
    let partner = partner_with(app, "100.00").await;
    let (agency, operator) = (app.agency().await, app.operator().await);
    let body = |account: &str| json!({"accountId": account, "currency": "USD"});
    operator.post_once("/v3/operator/payouts", &body(&partner.id)).await.problem("belowMinimum");
    operator.post_once("/v3/operator/payouts", &body(&agency.id)).await.problem("notPartner");
    let unknown = operator.post_once("/v3/operator/payouts", &body("acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")).await;
    assert_eq!(unknown.problem("validationFailed")["errors"][0]["pointer"], "/accountId");
    app.bonus(&partner, "0.01").await;
    operator.post("/v3/operator/payouts", &body(&partner.id)).await.problem("idempotencyKeyRequired");
    let answer = operator.post_once("/v3/operator/payouts", &body(&partner.id)).await;
    let location = answer.header("location").to_owned();
    let payout = answer.expect(201);
    assert_eq!((&payout["requestedBy"], &payout["accountId"]), (&json!("operator"), &json!(partner.id)));
    assert_eq!(operator.get(&location).await.expect(200), payout);
    assert_eq!(partner.login.get(&format!("/v3/payouts/{}", id(&payout))).await.expect(200), payout);
    let weak = app.caller(&app.operator_key(Scopes::of(&["operator:billing".parse().expect("a scope")])).await);
    weak.get("/v3/operator/payouts").await.problem("insufficientScope");
    partner.login.get("/v3/operator/payouts").await.problem("wrongAccountKind");
}

async fn an_agency_requests_nothing_and_sees_an_empty_list(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    assert_eq!(statuses(&agency).await, Vec::<Value>::new());
    request(&agency).await.problem("notPartner");
    client.login.get("/v3/payouts").await.problem("wrongAccountKind");
    app.visitor().get("/v3/payouts").await.problem("authenticationRequired");
}

async fn a_member_and_a_key_without_the_scope_request_nothing(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let person = json!({"email": "max@example.com", "firstName": "M", "lastName": "X", "role": "member"});
    partner.login.post("/v3/members", &person).await.expect(201);
    let token = app.mail_to("max@example.com", "invites you").await.token();
    let password = crate::support::PASSWORD;
    let confirm = json!({"token": token, "password": password});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    let member = app.sign_in("max@example.com", password).await;
    assert_eq!(member.list("/v3/payouts").await.len(), 0);
    member.post_once("/v3/payouts", &json!({"currency": "USD"})).await.problem("insufficientScope");
    let reader = app.api_key(&partner, &["payouts:read"]).await;
    reader.post_once("/v3/payouts", &json!({"currency": "USD"})).await.problem("insufficientScope");
    let writer = app.api_key(&partner, &["payouts:write"]).await;
    writer.get("/v3/payouts").await.problem("insufficientScope");
    let payout = writer.post_once("/v3/payouts", &json!({"currency": "USD"})).await.expect(201);
    let cancel = format!("/v3/payouts/{}/cancel", id(&payout));
    member.post_once(&cancel, &json!({})).await.problem("insufficientScope");
    writer.post_once(&cancel, &json!({})).await.expect(200);
}

async fn a_foreign_payout_is_not_found(app: &TestApp) {
    let (partner, other) = (partner_with(app, "150.00").await, app.partner().await);
    let payout = app.payout(&partner).await;
    for path in [format!("/v3/payouts/{}", id(&payout)), format!("/v3/payouts/{}/lines", id(&payout))] {
        other.login.get(&path).await.problem("notFound");
        partner.login.get(&path).await.expect(200);
    }
    let cancel = format!("/v3/payouts/{}/cancel", id(&payout));
    other.login.post_once(&cancel, &json!({})).await.problem("notFound");
    assert_eq!(other.login.list(&format!("/v3/commissions?payoutId={}", id(&payout))).await.len(), 0);
    for malformed in ["pay_0", "x", "com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"] {
        partner.login.get(&format!("/v3/payouts/{malformed}")).await.problem("notFound");
    }
}

async fn payouts_are_filtered(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let first = app.payout(&partner).await;
    app.step(&first, "reject").await;
    app.move_clock("2026-01-02T00:00:00Z").await;
    let second = app.payout(&partner).await;
    let ids = async |query: &str| {
        let rows = partner.login.list(&format!("/v3/payouts?{query}")).await;
        rows.iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids("status=rejected").await, [id(&first)]);
    assert_eq!(ids("status=rejected,requested&currency=USD").await, [id(&second), id(&first)]);
    assert_eq!(ids("currency=EUR").await, Vec::<String>::new());
    assert_eq!(ids("createdAfter=2026-01-02T00:00:00Z").await, [id(&second)]);
    assert_eq!(ids("createdBefore=2026-01-02T00:00:00Z").await, [id(&first)]);
    partner.login.get("/v3/payouts?status=open").await.problem("invalidParameter");
    partner.login.get("/v3/payouts?accountId=x").await.problem("unknownParameter");
    let operator = app.operator().await;
    let all = operator.list(&format!("/v3/operator/payouts?accountId={}", partner.id)).await;
    assert_eq!(all.iter().map(id).collect::<Vec<_>>(), [id(&second), id(&first)]);
    assert_eq!(operator.list("/v3/operator/payouts?accountId=nobody").await.len(), 0);
    assert_eq!(operator.list("/v3/operator/payouts?status=requested").await.len(), 1);
}

async fn payouts_are_exported(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    app.operator()
        .await
        .post(&format!("/v3/operator/payouts/{}/reject", id(&payout)), &json!({"reason": "=1+1"}))
        .await
        .expect(200);
    let csv = partner.login.get("/v3/payouts/export").await;
    assert_eq!((csv.status, csv.header("content-type").starts_with("text/csv")), (200, true));
    let lines: Vec<&str> = csv.text.lines().collect();
    assert!(lines[0].starts_with("id,number,status,amount,currency,"), "{}", lines[0]);
    let start = format!("{},2026-0001,rejected,150.00,USD,1,wise,", id(&payout));
    assert!(lines.len() == 2 && lines[1].starts_with(&start) && lines[1].contains(",'=1+1,"), "{}", lines[1]);
    let ndjson = partner.login.get("/v3/payouts/export?format=ndjson&status=rejected").await;
    let row: Value = serde_json::from_str(ndjson.text.trim_end()).expect("a JSON object in a line");
    assert_eq!(row, partner.login.get(&format!("/v3/payouts/{}", id(&payout))).await.expect(200));
    assert_eq!(partner.login.get("/v3/payouts/export?status=paid").await.text.lines().count(), 1);
}
