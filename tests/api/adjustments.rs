//! The operator's adjustments: every reason, their limits, and that refunds do not count them.

use serde_json::{Value, json};

use crate::support::{Account, TestApp, both_engines, feed, id, new_key, payment, places, refund, usd};

both_engines!(
    a_broken_rule_is_named_and_changes_nothing,
    a_returned_payout_is_booked_once_and_with_its_amount,
    an_adjustment_about_a_commission_names_it_and_is_no_part_of_refunds,
    every_reason_is_taken_up_and_down,
    only_the_operator_adjusts,
    the_same_adjustment_is_made_once,
    what_was_paid_in_a_currency_that_has_left_the_program_can_come_back,
);

const PATH: &str = "/v3/operator/adjustments";

fn adjustment(partner: &Account, amount: &str, reason: &str) -> Value {
    json!({"accountId": partner.id, "amount": usd(amount), "reason": reason, "note": "a test"})
}

async fn ready(partner: &Account) -> Value {
    let balances = partner.login.get("/v3/ledger/balances").await.expect(200);
    balances["data"][0]["ready"]["amount"].clone()
}

async fn every_reason_is_taken_up_and_down(app: &TestApp) {
    let partner = app.partner().await;
    for reason in ["correction", "bonus", "fraud", "refundReversed", "writeOff"] {
        let up = app.adjust(&partner, usd("5.00"), reason).await;
        app.adjust(&partner, usd("-5.01"), reason).await;
        let fields = (&up["kind"], &up["status"], &up["reason"], &up["amount"], &up["net"]);
        assert_eq!(fields, (&json!("adjustment"), &json!("readyToPayout"), &json!(reason), &usd("5.00"), &usd("5.00")));
        assert_eq!((&up["readyAt"], &up["subAccount"]), (&up["createdAt"], &Value::Null));
        assert_eq!(partner.login.get(&format!("/v3/commissions/{}", id(&up))).await.expect(200), up);
    }
    assert_eq!(ready(&partner).await, "-0.05");
    let told = feed(&partner.login).await;
    assert_eq!(told.iter().filter(|(kind, _)| kind == "commission.adjusted").count(), 10);
    let audit = partner.login.list("/v3/audit-log").await;
    let row = audit.iter().find(|row| row["action"] == "adjustment.created").expect("an audit row");
    assert_eq!((&row["actorType"], &row["details"]["note"]), (&json!("operator"), &json!("a test")));
}

async fn an_adjustment_about_a_commission_names_it_and_is_no_part_of_refunds(app: &TestApp) {
    let partner = app.partner().await;
    let (client, container) = app.client_with_container(&partner).await;
    let paid = payment(&container);
    let commission = app.apply(std::slice::from_ref(&paid)).await[0]["commissionId"].clone();
    let mut about = adjustment(&partner, "-6.00", "fraud");
    about["commissionId"] = commission.clone();
    about["amount"]["currency"] = json!("EUR");
    let problem = app.operator().await.post_once(PATH, &about).await.problem("currencyMismatch");
    assert_eq!(places(&problem), ["/amount/currency"]);
    about["amount"]["currency"] = json!("USD");
    let row = app.operator().await.post_once(PATH, &about).await.expect(201);
    assert_eq!((&row["adjusts"], &row["subAccount"]["id"]), (&commission, &json!(client)));
    app.apply(&[refund(&paid, &usd("24.00"))]).await;
    let path = format!("/v3/commissions/{}", commission.as_str().expect("an id"));
    assert_eq!(partner.login.get(&path).await.expect(200)["status"], "reversed");
    assert_eq!(ready(&partner).await, "-6.00");
}

async fn a_returned_payout_is_booked_once_and_with_its_amount(app: &TestApp) {
    let (partner, other) = (app.partner().await, app.partner().await);
    app.payout_method(&partner, "USD").await;
    app.bonus(&partner, "150.00").await;
    let payout = app.payout(&partner).await;
    let operator = app.operator().await;
    let returned = |partner: &Account, amount: &str| {
        let mut body = adjustment(partner, amount, "payoutReturned");
        body["payoutId"] = payout["id"].clone();
        body
    };
    let unpaid = operator.post_once(PATH, &returned(&partner, "150.00")).await.problem("validationFailed");
    assert_eq!(places(&unpaid), ["/payoutId"]);
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    for amount in ["149.99", "150.01", "-150.00"] {
        let wrong = operator.post_once(PATH, &returned(&partner, amount)).await.problem("validationFailed");
        assert_eq!(places(&wrong), ["/amount"]);
    }
    let foreign = operator.post_once(PATH, &returned(&other, "150.00")).await.problem("validationFailed");
    assert_eq!(places(&foreign), ["/payoutId"]);
    operator.post_once(PATH, &returned(&partner, "150.00")).await.expect(201);
    operator.post_once(PATH, &returned(&partner, "150.00")).await.problem("payoutReturnedAlready");
    let balances = partner.login.get("/v3/ledger/balances").await.expect(200);
    assert_eq!((&balances["data"][0]["ready"], &balances["data"][0]["paid"]), (&usd("150.00"), &usd("150.00")));
    let kept = partner.login.get(&format!("/v3/payouts/{}", id(&payout))).await.expect(200);
    assert_eq!(kept["status"], "paid");
    assert_eq!(app.payout(&partner).await["amount"], usd("150.00"));
}

async fn a_broken_rule_is_named_and_changes_nothing(app: &TestApp) {
    let (partner, agency, operator) = (app.partner().await, app.agency().await, app.operator().await);
    let good = adjustment(&partner, "1.00", "bonus");
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (body, place) in [
        (with("amount", usd("0.00")), "/amount"),
        (with("amount", usd("0.001")), "/amount"),
        (with("amount", json!(1)), "/amount"),
        (with("reason", json!("gift")), "/reason"),
        (with("note", json!("  ")), "/note"),
        (with("note", json!("x".repeat(1001))), "/note"),
        (with("accountId", json!("acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")), "/accountId"),
        (with("accountId", json!(agency.id)), "/accountId"),
        (with("accountId", json!("nobody")), "/accountId"),
        (with("commissionId", json!("com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")), "/commissionId"),
        (with("payoutId", json!("pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")), "/payoutId"),
        (with("reason", json!("payoutReturned")), "/payoutId"),
        (with("status", json!("paid")), "/status"),
        (
            json!({"accountId": partner.id, "amount": usd("1.00"), "reason": {"bonus": null}, "note": "a test"}),
            "/reason",
        ),
    ] {
        let problem = operator.post_once(PATH, &body).await.problem("validationFailed");
        assert!(places(&problem)[0].starts_with(place), "{place}: {problem:#}");
    }
    let unlisted = with("amount", json!({"amount": "1", "currency": "JPY"}));
    operator.post_once(PATH, &unlisted).await.problem("currencyNotSupported");
    operator.post(PATH, &good).await.problem("idempotencyKeyRequired");
    assert_eq!(partner.login.list("/v3/commissions?kind=adjustment").await.len(), 0);
}

async fn what_was_paid_in_a_currency_that_has_left_the_program_can_come_back(app: &TestApp) {
    let (partner, other, operator) = (app.partner().await, app.partner().await, app.operator().await);
    let pounds = |account: &Account, reason: &str| {
        let mut body = adjustment(account, "200.00", reason);
        body["amount"]["currency"] = json!("GBP");
        body
    };
    app.payout_method(&partner, "GBP").await;
    operator.post_once(PATH, &pounds(&partner, "bonus")).await.expect(201);
    let request = json!({"currency": "GBP"});
    let payout = partner.login.post_once("/v3/payouts", &request).await.expect(201);
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    let program = operator.get("/v3/operator/program").await;
    let tag = program.header("etag").to_owned();
    let mut body = program.expect(200);
    body["currencies"].as_array_mut().expect("currencies").retain(|terms| terms["currency"] != "GBP");
    let put = operator.request(reqwest::Method::PUT, "/v3/operator/program").header("if-match", &tag);
    put.json(&body).send().await.expect(200);
    let mut returned = pounds(&partner, "payoutReturned");
    returned["payoutId"] = payout["id"].clone();
    operator.post_once(PATH, &returned).await.expect(201);
    let preview = partner.login.get("/v3/payouts/preview?currency=GBP").await.expect(200);
    assert_eq!((&preview["allowed"], &preview["amount"]["amount"]), (&json!(true), &json!("200.00")));
    app.payout_method(&partner, "GBP").await;
    assert_eq!(partner.login.post_once("/v3/payouts", &request).await.expect(201)["amount"], returned["amount"]);
    other.login.post_once("/v3/payouts", &request).await.problem("currencyNotSupported");
    let minimums = json!([{"amount": "150.00", "currency": "GBP"}]);
    let schedule = json!({"type": "monthly", "dayOfMonth": 1, "minimums": minimums});
    let set =
        |account: &Account| account.login.request(reqwest::Method::PUT, "/v3/payout-schedule").json(&schedule).send();
    set(&partner).await.expect(200);
    assert_eq!(places(&set(&other).await.problem("validationFailed")), ["/minimums/0/currency"]);
    operator.post_once(PATH, &pounds(&other, "bonus")).await.problem("currencyNotSupported");
}

async fn the_same_adjustment_is_made_once(app: &TestApp) {
    let (partner, operator, key) = (app.partner().await, app.operator().await, new_key());
    let send = async |body: &Value| {
        operator.request(reqwest::Method::POST, PATH).header("idempotency-key", &key).json(body).send().await
    };
    let first = send(&adjustment(&partner, "7.00", "bonus")).await.expect(201);
    assert_eq!(send(&adjustment(&partner, "7.00", "bonus")).await.expect(201), first);
    send(&adjustment(&partner, "8.00", "bonus")).await.problem("idempotencyKeyReused");
    assert_eq!(ready(&partner).await, "7.00");
}

async fn only_the_operator_adjusts(app: &TestApp) {
    let partner = app.partner().await;
    partner.login.post_once(PATH, &adjustment(&partner, "1.00", "bonus")).await.problem("wrongAccountKind");
    let scopes = stape_api::auth::Scopes::of(&["operator:billing".parse().expect("a scope")]);
    let weak = app.caller(&app.operator_key(scopes).await);
    weak.post_once(PATH, &adjustment(&partner, "1.00", "bonus")).await.problem("insufficientScope");
}
