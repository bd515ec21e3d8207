//! What the operator decides about a partner: its level, the pin, rates of its own.

use serde_json::{Value, json};

use crate::support::{Account, Event, TestApp, both_engines, payment, places, subscription, usd};

both_engines!(
    a_currency_that_goes_with_the_event_that_raises_the_level_is_worth_nothing,
    a_decision_needs_a_partner_and_a_reason,
    a_level_below_the_earned_one_is_pinned,
    a_partner_without_a_pin_rises_at_once,
    a_rate_of_its_own_goes_before_the_levels,
    a_decision_counts_from_its_time,
    a_set_level_stays_until_a_higher_one_is_earned,
    what_the_program_does_not_have_is_refused,
);

async fn decide(app: &TestApp, partner: &Account, decision: &Value) -> Value {
    let mut body = json!({"reason": "agreed"});
    for (name, value) in decision.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.operator().await.patch(&format!("/v3/operator/partners/{}", partner.id), &body).await.expect(200)
}

/// A client with containers at 100.00 a month: so many bring 30.00 of referral value each.
async fn bring(app: &TestApp, partner: &Account, count: usize) {
    let client = app.client_of(partner).await;
    let mut events: Vec<Event> = Vec::new();
    for _ in 0..count {
        events.push(subscription(&app.container(partner, &client).await).with("price", usd("100.00")));
    }
    app.apply(&events).await;
}

async fn level_events(partner: &Account) -> usize {
    let events = partner.login.list("/v3/events").await;
    events.iter().filter(|event| event["type"] == "level.changed").count()
}

async fn monthly_value(partner: &Account) -> Value {
    partner.login.get("/v3/commissions/summary").await.expect(200)["balances"][0]["monthlyValue"].clone()
}

async fn a_set_level_stays_until_a_higher_one_is_earned(app: &TestApp) {
    let partner = app.partner().await;
    assert_eq!(monthly_value(&partner).await, usd("36.00"));
    let shown = decide(app, &partner, &json!({"level": 2})).await;
    assert_eq!(
        (&shown["id"], &shown["level"], &shown["pinned"], &shown["rateOverrides"], &shown["kind"]),
        (&json!(partner.id), &json!(2), &json!(false), &json!({}), &json!("partner"))
    );
    assert_eq!(monthly_value(&partner).await, usd("42.00"));
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 2);
    let events = level_events(&partner).await;
    decide(app, &partner, &json!({"level": 2, "pinned": false})).await;
    decide(app, &partner, &json!({})).await;
    assert_eq!(level_events(&partner).await, events);
    bring(app, &partner, 33).await;
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 3);
}

async fn a_level_below_the_earned_one_is_pinned(app: &TestApp) {
    let partner = app.partner().await;
    bring(app, &partner, 8).await;
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 2);
    let path = format!("/v3/operator/partners/{}", partner.id);
    let open = json!({"level": 1, "pinned": false, "reason": "x"});
    let problem = app.operator().await.patch(&path, &open).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/pinned"]);
    let shown = decide(app, &partner, &json!({"level": 1})).await;
    assert_eq!((&shown["level"], &shown["pinned"]), (&json!(1), &json!(true)));
    bring(app, &partner, 1).await;
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 1);
}

async fn a_partner_without_a_pin_rises_at_once(app: &TestApp) {
    let partner = app.partner().await;
    let pinned = decide(app, &partner, &json!({"pinned": true})).await;
    assert_eq!((&pinned["level"], &pinned["pinned"]), (&json!(1), &json!(true)));
    bring(app, &partner, 8).await;
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 1);
    let events = level_events(&partner).await;
    let shown = decide(app, &partner, &json!({"pinned": false})).await;
    assert_eq!((&shown["level"], &shown["pinned"]), (&json!(2), &json!(false)));
    assert_eq!(level_events(&partner).await, events + 1);
}

async fn a_rate_of_its_own_goes_before_the_levels(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let mut rates = Vec::new();
    for overrides in [
        json!({"default": "50"}),
        json!({"sgtmContainer": "12.5"}),
        json!({"sgtmContainer": null}),
        json!({"default": null, "signalsGateway": "1"}),
    ] {
        let shown = decide(app, &partner, &json!({"rateOverrides": overrides})).await;
        let line = app.commission(&partner, &container).await;
        rates.push((shown["rateOverrides"].clone(), line["ratePercent"].clone()));
    }
    assert_eq!(
        rates,
        [
            (json!({"default": "50"}), json!("50")),
            (json!({"default": "50", "sgtmContainer": "12.5"}), json!("12.5")),
            (json!({"default": "50"}), json!("50")),
            (json!({"signalsGateway": "1"}), json!("30")),
        ]
    );
    decide(app, &partner, &json!({"rateOverrides": {"default": "10"}})).await;
    assert_eq!(monthly_value(&partner).await, usd("12.00"));
    let eligibility = partner.login.get("/v3/partner-applications").await.expect(200)["eligibility"].clone();
    assert_eq!(eligibility["referralValue"], usd("36.00"));
}

async fn a_decision_counts_from_its_time(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-01-10T00:00:00.000Z").await;
    decide(app, &partner, &json!({"rateOverrides": {"default": "50"}})).await;
    let times = ["2026-01-09T23:59:59.999Z", "2026-01-10T00:00:00.000Z"];
    app.apply(&times.map(|time| payment(&container).at(time))).await;
    let rows = partner.login.list("/v3/commissions").await;
    let rates: Vec<_> = rows.iter().map(|row| &row["ratePercent"]).collect();
    assert_eq!(rates, [&json!("50"), &json!("30")]);
}

async fn what_the_program_does_not_have_is_refused(app: &TestApp) {
    let partner = app.partner().await;
    let path = format!("/v3/operator/partners/{}", partner.id);
    let operator = app.operator().await;
    for (body, expected) in [
        (json!({"level": 4}), vec!["/level"]),
        (json!({"level": 0, "rateOverrides": {"fax": "1"}}), vec!["/level", "/rateOverrides/fax"]),
        (json!({"rateOverrides": {"default": "100.5"}}), vec!["/rateOverrides/default"]),
        (json!({"rateOverrides": {"default": 10}}), vec!["/rateOverrides/default"]),
        (json!({"rateOverrides": null}), vec!["/rateOverrides"]),
        (json!({"level": null}), vec!["/level"]),
    ] {
        let mut body = body;
        body["reason"] = json!("try");
        let problem = operator.patch(&path, &body).await.problem("validationFailed");
        assert_eq!(places(&problem), expected, "{body}");
    }
}

async fn a_decision_needs_a_partner_and_a_reason(app: &TestApp) {
    let (partner, agency) = (app.partner().await, app.agency().await);
    let operator = app.operator().await;
    let body = json!({"level": 2, "reason": "agreed"});
    operator.patch(&format!("/v3/operator/partners/{}", agency.id), &body).await.problem("notPartner");
    for id in ["acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "nonsense"] {
        operator.patch(&format!("/v3/operator/partners/{id}"), &body).await.problem("notFound");
    }
    let path = format!("/v3/operator/partners/{}", partner.id);
    for reason in [json!({"level": 2}), json!({"level": 2, "reason": " "})] {
        let problem = operator.patch(&path, &reason).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/reason"]);
    }
    let scopes = stape_api::auth::Scopes::of(&[stape_api::auth::Scope::OperatorProgram]);
    app.caller(&app.operator_key(scopes).await).patch(&path, &body).await.problem("insufficientScope");
    partner.login.patch(&path, &body).await.problem("wrongAccountKind");
}

/// The last container in euros becomes one in dollars, whose value raises the level: both in one event.
async fn a_currency_that_goes_with_the_event_that_raises_the_level_is_worth_nothing(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let euros = crate::support::money("40.00", "EUR");
    app.apply(&[subscription(&container).with("price", euros)]).await;
    app.apply(&[subscription(&container).with("price", usd("2000.00"))]).await;
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 2);
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    let balances = summary["balances"].as_array().expect("balances");
    assert_eq!(balances.len(), 1, "{summary:#}");
    assert_eq!(balances[0]["monthlyValue"], usd("742.00"));
}
