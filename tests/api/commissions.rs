//! Commissions: the worked examples of the domain, played against the server with the test clock.

use serde_json::{Value, json};

use crate::support::{Account, TestApp, both_engines, payment, refund, subscription, usd};

both_engines!(
    a_commission_gets_ready_when_its_review_ends_and_not_before,
    a_commission_keeps_the_names_that_it_arose_with,
    a_foreign_commission_is_not_found,
    a_late_payment_is_ready_at_once,
    a_monthly_payment_earns_the_rate_of_its_base,
    a_payment_before_the_link_earns_nothing,
    a_payment_during_the_link_earns_also_after_the_detach,
    a_payment_that_earns_nothing_says_why,
    a_refund_of_a_ready_commission_takes_from_the_row,
    a_standard_account_has_no_commissions,
    a_yearly_payment_is_reviewed_for_sixty_days,
    cents_are_rounded_half_to_even,
    commissions_are_filtered,
    each_commission_is_explained,
    refunds_reverse_pro_rata_until_nothing_is_left,
    ledger_entries_are_filtered,
    the_ledger_balances_to_zero,
    the_summary_adds_up,
    what_each_container_brings_adds_up_to_the_monthly_value,
);

async fn find(partner: &Account, id: &Value) -> Value {
    partner.login.get(&format!("/v3/commissions/{}", id.as_str().expect("an id"))).await.expect(200)
}

/// A partner and a container of another client than those by which it became one.
async fn partner_with_container(app: &TestApp) -> (Account, String) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    (partner, container)
}

async fn a_monthly_payment_earns_the_rate_of_its_base(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let commission = app.commission(&partner, &container).await;
    let expected = [
        ("kind", json!("commission")),
        ("status", json!("inReview")),
        ("reason", Value::Null),
        ("base", usd("20.00")),
        ("ratePercent", json!("30")),
        ("amount", usd("6.00")),
        ("reversed", usd("0.00")),
        ("net", usd("6.00")),
        ("level", json!(1)),
        ("programVersion", json!(1)),
        ("reviewUntil", json!("2026-01-15T00:00:00.000Z")),
        ("readyAt", Value::Null),
        ("payoutId", Value::Null),
        ("adjusts", Value::Null),
    ];
    for (field, value) in expected {
        assert_eq!(commission.get(field), Some(&value), "{field}: {commission:#}");
    }
    assert_eq!(commission["payment"]["amount"], usd("24.00"));
    assert_eq!(commission["payment"]["billingPeriod"], "monthly");
    assert_eq!((&commission["container"]["id"], &commission["container"]["plan"]), (&json!(container), &json!("pro")));
}

async fn a_yearly_payment_is_reviewed_for_sixty_days(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let yearly = |event: crate::support::Event| event.with("plan", "business").with("billingPeriod", "yearly");
    let paid = yearly(payment(&container)).with("amount", usd("1000.00")).with("tax", usd("0.00"));
    let subscribed = yearly(subscription(&container)).with("price", usd("1000.00"));
    let results = app.apply(&[paid, subscribed]).await;
    let commission = find(&partner, &results[0]["commissionId"]).await;
    assert_eq!(commission["amount"], usd("300.00"));
    assert_eq!(commission["reviewUntil"], "2026-03-02T00:00:00.000Z");
    let container = partner.login.get(&format!("/v3/containers/{container}")).await.expect(200);
    assert_eq!(container["commission"]["monthly"], usd("25.00"));
}

async fn cents_are_rounded_half_to_even(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    for (amount, unrounded, rounded) in [("0.05", "0.015", "0.02"), ("0.15", "0.045", "0.04")] {
        let paid = payment(&container).with("amount", usd(amount)).with("tax", usd("0.00"));
        let id = app.apply(&[paid]).await[0]["commissionId"].as_str().expect("a commission").to_owned();
        let explanation = partner.login.get(&format!("/v3/commissions/{id}/explanation")).await.expect(200);
        assert_eq!((&explanation["unrounded"], &explanation["amount"]), (&json!(unrounded), &usd(rounded)));
        assert_eq!(explanation["rounding"], "halfEven");
    }
}

async fn refunds_reverse_pro_rata_until_nothing_is_left(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let paid = payment(&container);
    let id = app.apply(std::slice::from_ref(&paid)).await[0]["commissionId"].clone();
    app.apply(&[refund(&paid, &usd("8.00"))]).await;
    let commission = find(&partner, &id).await;
    assert_eq!((&commission["reversed"], &commission["net"]), (&usd("2.00"), &usd("4.00")));
    assert_eq!(commission["status"], "inReview");
    app.apply(&[refund(&paid, &usd("16.00"))]).await;
    let commission = find(&partner, &id).await;
    assert_eq!((&commission["reversed"], &commission["net"]), (&usd("6.00"), &usd("0.00")));
    assert_eq!(commission["status"], "reversed");
    app.move_clock("2026-02-01T00:00:00Z").await;
    assert_eq!(find(&partner, &id).await["status"], "reversed");
}

async fn a_refund_of_a_ready_commission_takes_from_the_row(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let paid = payment(&container);
    let id = app.apply(std::slice::from_ref(&paid)).await[0]["commissionId"].clone();
    app.move_clock("2026-01-20T00:00:00Z").await;
    app.apply(&[refund(&paid, &usd("8.00")).at("2026-01-19T00:00:00Z")]).await;
    let commission = find(&partner, &id).await;
    assert_eq!((&commission["status"], &commission["net"]), (&json!("readyToPayout"), &usd("4.00")));
    let balances = partner.login.get("/v3/ledger/balances").await.expect(200);
    assert_eq!((&balances["data"][0]["ready"], &balances["data"][0]["inReview"]), (&usd("4.00"), &usd("0.00")));
}

async fn a_commission_gets_ready_when_its_review_ends_and_not_before(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let id = app.commission(&partner, &container).await["id"].clone();
    app.move_clock("2026-01-14T23:59:59.999Z").await;
    assert_eq!(find(&partner, &id).await["status"], "inReview");
    app.move_clock("2026-01-15T00:00:00Z").await;
    let commission = find(&partner, &id).await;
    assert_eq!(commission["status"], "readyToPayout");
    assert_eq!(commission["readyAt"], "2026-01-15T00:00:00.000Z");
}

async fn a_late_payment_is_ready_at_once(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    app.move_clock("2026-03-01T00:00:00Z").await;
    let id = app.apply(&[payment(&container).at("2026-01-10T00:00:00Z")]).await[0]["commissionId"].clone();
    let commission = find(&partner, &id).await;
    assert_eq!(commission["status"], "readyToPayout");
    assert_eq!(commission["readyAt"], "2026-01-24T00:00:00.000Z");
    let entries = partner.login.list("/v3/ledger/entries").await;
    let accounts: Vec<_> = entries.iter().map(|entry| entry["account"].as_str().expect("an account")).collect();
    assert_eq!(accounts.iter().filter(|account| **account == "inReview").count(), 2, "through in review: {accounts:?}");
}

async fn a_payment_before_the_link_earns_nothing(app: &TestApp) {
    let (partner, client) = (app.partner().await, app.standard().await);
    let container = client.login.post("/v3/containers", &json!({"name": "own", "product": "sgtmContainer"})).await;
    let container = container.expect(201)["id"].as_str().expect("an id").to_owned();
    app.move_clock("2026-01-10T00:00:00Z").await;
    app.link(&client.id, &partner.id).await;
    let result = app.apply(&[payment(&container).at("2026-01-09T23:59:59.999Z")]).await.remove(0);
    assert_eq!(result["commissionId"], Value::Null);
    assert!(partner.login.list("/v3/commissions").await.is_empty());
}

async fn a_payment_during_the_link_earns_also_after_the_detach(app: &TestApp) {
    let partner = app.partner().await;
    let (client, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-01-10T00:00:00Z").await;
    partner.login.post_nothing(&format!("/v3/sub-accounts/{client}/detach")).await.expect(204);
    let during = payment(&container).at("2026-01-09T23:59:59.999Z");
    let after = payment(&container).at("2026-01-10T00:00:00Z");
    let results = app.apply(&[during, after]).await;
    assert_eq!(find(&partner, &results[0]["commissionId"]).await["amount"], usd("6.00"));
    assert_eq!(results[1]["commissionId"], Value::Null);
}

async fn a_payment_that_earns_nothing_says_why(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let cases = [
        (
            payment(&container).with("payer", "manager").with("amount", usd("0.00")).with("tax", usd("0.00")),
            "paidByManager",
        ),
        (payment(&container).with("tax", usd("24.00")), "zeroBase"),
        (payment(&container).with("amount", usd("0.01")).with("tax", usd("0.00")), "roundedToZero"),
    ];
    for (event, reason) in cases {
        let id = app.apply(&[event]).await[0]["commissionId"].clone();
        let row = find(&partner, &id).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("noCommission"), &json!(reason)));
        let path = format!("/v3/commissions/{}/explanation", id.as_str().expect("an id"));
        let explanation = partner.login.get(&path).await.expect(200);
        assert_eq!((&explanation["reason"], &explanation["postings"]), (&json!(reason), &json!([])));
    }
    let agency = app.agency().await;
    let (_, container) = app.client_with_container(&agency).await;
    let id = app.apply(&[payment(&container)]).await[0]["commissionId"].clone();
    assert_eq!(find(&agency, &id).await["reason"], "notPartnerThen");
}

async fn a_commission_keeps_the_names_that_it_arose_with(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let commission = app.commission(&partner, &container).await;
    assert_eq!(commission["container"]["name"], "shop.example.com");
    assert_eq!(commission["container"]["product"], "sgtmContainer");
    assert_eq!(commission["subAccount"]["name"], "Sam Client");
    assert!(commission["subAccount"]["email"].is_string());
}

async fn a_foreign_commission_is_not_found(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let id = app.commission(&partner, &container).await["id"].as_str().expect("an id").to_owned();
    let stranger = app.agency().await;
    for path in [format!("/v3/commissions/{id}"), format!("/v3/commissions/{id}/explanation")] {
        stranger.login.get(&path).await.problem("notFound");
        partner.login.get(&path).await.expect(200);
    }
    partner.login.get("/v3/commissions/com_nonsense").await.problem("notFound");
}

async fn a_standard_account_has_no_commissions(app: &TestApp) {
    let client = app.standard().await;
    for path in ["/v3/commissions", "/v3/commissions/summary", "/v3/commissions/by-container"] {
        client.login.get(path).await.problem("wrongAccountKind");
    }
}

async fn commissions_are_filtered(app: &TestApp) {
    let partner = app.partner().await;
    let (client, container) = app.client_with_container(&partner).await;
    let (_, other) = app.client_with_container(&partner).await;
    let first = payment(&container);
    let second = payment(&other).with("plan", "business").at("2026-01-02T00:00:00Z");
    app.move_clock("2026-01-03T00:00:00Z").await;
    app.apply(&[first.clone(), second, refund(&first, &usd("24.00"))]).await;
    let cases = [
        (String::new(), 2),
        ("?status=reversed".to_owned(), 1),
        ("?status=reversed,inReview".to_owned(), 2),
        ("?status=paid".to_owned(), 0),
        (format!("?subAccountId={client}"), 1),
        (format!("?containerId={other}"), 1),
        ("?containerId=nonsense".to_owned(), 0),
        ("?plan=business".to_owned(), 1),
        ("?product=sgtmContainer".to_owned(), 2),
        ("?product=signalsGateway".to_owned(), 0),
        ("?currency=USD".to_owned(), 2),
        ("?currency=EUR".to_owned(), 0),
        ("?kind=adjustment".to_owned(), 0),
        (format!("?containerId={container},nonsense,{other}"), 2),
        ("?payoutId=nonsense".to_owned(), 0),
        ("?occurredAfter=2026-01-02T00:00:00Z".to_owned(), 1),
        ("?occurredBefore=2026-01-02T00:00:00Z".to_owned(), 1),
        ("?createdAfter=2026-01-03T00:00:00Z".to_owned(), 2),
        ("?createdBefore=2026-01-03T00:00:00Z".to_owned(), 0),
    ];
    for (query, count) in cases {
        let rows = partner.login.list(&format!("/v3/commissions{query}")).await;
        assert_eq!(rows.len(), count, "{query}: {rows:#?}");
    }
    partner.login.get("/v3/commissions?status=sideways").await.problem("invalidParameter");
    partner.login.get("/v3/commissions?colour=red").await.problem("unknownParameter");
}

async fn each_commission_is_explained(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let paid = payment(&container);
    let id = app.apply(&[paid.clone(), refund(&paid, &usd("8.00"))]).await[0]["commissionId"].clone();
    let path = format!("/v3/commissions/{}/explanation", id.as_str().expect("an id"));
    let explanation = partner.login.get(&path).await.expect(200);
    assert_eq!(explanation["commissionId"], id);
    let rule = json!({"source": "levelDefault", "level": 1, "programVersion": 1, "ratePercent": "30"});
    assert_eq!(explanation["rule"], rule);
    assert_eq!((&explanation["base"], &explanation["amount"]), (&usd("20.00"), &usd("6.00")));
    let review = json!({"billingPeriod": "monthly", "days": 14, "until": "2026-01-15T00:00:00.000Z"});
    assert_eq!(explanation["review"], review);
    let postings = explanation["postings"].as_array().expect("postings");
    let in_review: Vec<_> = postings.iter().filter(|posting| posting["account"] == "inReview").collect();
    let amounts: Vec<_> = in_review.iter().map(|posting| &posting["amount"]).collect();
    assert_eq!(amounts, [&usd("6.00"), &usd("-2.00")], "{postings:#?}");
}

async fn ledger_entries_are_filtered(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let paid = payment(&container);
    let results = app.apply(&[paid.clone(), payment(&container), refund(&paid, &usd("24.00"))]).await;
    let id = results[0]["commissionId"].as_str().expect("an id").to_owned();
    let cases = [
        (String::new(), 6),
        ("?account=inReview".to_owned(), 3),
        ("?account=ready,paid".to_owned(), 0),
        ("?kind=commissionReversed".to_owned(), 2),
        ("?currency=USD,EUR".to_owned(), 6),
        ("?currency=EUR".to_owned(), 0),
        (format!("?commissionId={id}"), 4),
        (format!("?commissionId={id}&account=program&kind=commissionEarned"), 1),
        ("?commissionId=nonsense".to_owned(), 0),
        ("?createdBefore=2026-01-01T00:00:00Z".to_owned(), 0),
    ];
    for (query, count) in cases {
        let entries = partner.login.list(&format!("/v3/ledger/entries{query}")).await;
        assert_eq!(entries.len(), count, "{query}: {entries:#?}");
    }
    partner.login.get("/v3/ledger/entries?account=pocket").await.problem("invalidParameter");
    partner.login.get("/v3/ledger/balances?asOf=yesterday").await.problem("invalidParameter");
}

async fn the_ledger_balances_to_zero(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let paid = payment(&container);
    app.apply(&[paid.clone(), payment(&container), refund(&paid, &usd("8.00"))]).await;
    app.move_clock("2026-01-15T00:00:00Z").await;
    let entries = partner.login.list("/v3/ledger/entries").await;
    let cents = |entry: &Value| -> i64 {
        entry["amount"]["amount"].as_str().expect("an amount").replace('.', "").parse().expect("a number")
    };
    assert_eq!(entries.iter().map(cents).sum::<i64>(), 0);
    let balance = |account: &str| entries.iter().filter(|entry| entry["account"] == account).map(cents).sum::<i64>();
    assert_eq!((balance("program"), balance("inReview"), balance("ready")), (-1000, 0, 1000));
    let now = partner.login.get("/v3/ledger/balances").await.expect(200);
    assert_eq!(now["data"][0]["ready"], usd("10.00"));
    let then = partner.login.get("/v3/ledger/balances?asOf=2026-01-14T00:00:00Z").await.expect(200);
    assert_eq!(then["data"][0]["inReview"], usd("10.00"), "{then:#}");
    assert_eq!(then["asOf"], "2026-01-14T00:00:00.000Z");
}

async fn the_summary_adds_up(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    let paid = payment(&container);
    app.apply(&[paid.clone(), payment(&container), refund(&paid, &usd("24.00"))]).await;
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    let expected = json!([{
        "currency": "USD",
        "monthlyValue": usd("36.00"),
        "inReview": usd("6.00"),
        "readyToPayout": usd("0.00"),
        "inPayout": usd("0.00"),
        "paid": usd("0.00"),
        "debt": usd("0.00"),
    }]);
    assert_eq!(summary["balances"], expected);
    let plans = json!([
        {"product": "sgtmContainer", "plan": "free", "count": 1},
        {"product": "sgtmContainer", "plan": "pro", "count": 6},
    ]);
    assert_eq!(summary["containersByPlan"], plans);
}

async fn what_each_container_brings_adds_up_to_the_monthly_value(app: &TestApp) {
    let (partner, container) = partner_with_container(app).await;
    app.apply(&[payment(&container)]).await;
    let rows = partner.login.list("/v3/commissions/by-container").await;
    assert_eq!(rows.len(), 7);
    let cents = |row: &Value| -> i64 {
        row["monthly"]["amount"].as_str().expect("an amount").replace('.', "").parse().expect("a number")
    };
    assert_eq!(rows.iter().map(cents).sum::<i64>(), 3600);
    let free = rows.iter().find(|row| row["container"]["id"] == container.as_str()).expect("the container");
    assert_eq!((&free["monthly"], &free["lastPaymentAt"]), (&usd("0.00"), &json!("2026-01-01T00:00:00.000Z")));
    let paid = rows.iter().find(|row| row["container"]["plan"] == "pro").expect("a paid container");
    assert_eq!(
        (&paid["price"], &paid["perPayment"], &paid["ratePercent"]),
        (&usd("20.00"), &usd("6.00"), &json!("30"))
    );
}
