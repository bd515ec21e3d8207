//! Billing events: what a batch answers, what is refused, and that nothing is ever applied twice.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Account, Client, Event, START, TestApp, both_engines, money, payment, places, refund, subscription, usd,
};

both_engines!(
    refunds_at_once_never_exceed_their_payment,
    a_batch_with_one_bad_event_applies_the_rest,
    a_batch_posted_by_eight_clients_at_once_is_applied_once,
    a_body_that_is_no_batch_fails_whole,
    a_closed_period_must_not_end_before_it_starts,
    a_conflicting_event_changes_nothing,
    a_currency_outside_the_program_is_refused,
    a_partners_key_cannot_post_events,
    a_payment_of_an_unmanaged_client_makes_no_row,
    a_payment_older_than_its_container_belongs_to_the_first_owner,
    a_rejected_event_leaves_no_trace_and_its_id_may_be_sent_again,
    a_repeated_batch_changes_nothing,
    a_second_event_with_the_same_payment_id_is_refused,
    a_second_event_with_the_same_refund_id_is_refused,
    a_subscription_shows_on_the_container,
    an_element_of_the_wrong_shape_is_rejected_by_itself,
    an_empty_batch_is_fine,
    an_event_repeated_within_a_batch_is_applied_once,
    an_event_more_than_five_minutes_ahead_is_refused,
    an_idempotency_key_is_refused_on_a_batch,
    an_older_subscription_change_changes_nothing,
    every_broken_rule_of_an_event_is_named_at_once,
    refunds_never_exceed_their_payment,
    the_client_and_its_manager_see_the_payment_and_nobody_else_does,
    the_order_of_events_does_not_matter,
    unknown_containers_and_payments_may_be_sent_again,
    what_the_manager_pays_makes_a_row_without_commission,
);

/// The one result of an event that must be rejected with this code.
async fn rejection(app: &TestApp, event: Event, code: &str) -> Value {
    let result = app.post_events(&[event]).await.remove(0);
    assert_eq!(result["outcome"], "rejected", "{result:#}");
    assert_eq!(result["problem"]["code"], code, "{result:#}");
    assert!(result["problem"]["requestId"].is_string(), "{result:#}");
    result
}

async fn commissions(partner: &Account) -> Vec<Value> {
    partner.login.list("/v3/commissions").await
}

async fn a_batch_with_one_bad_event_applies_the_rest(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let bad = payment(&container).with("tax", usd("25.00"));
    let results = app.post_events(&[payment(&container), bad, payment(&container)]).await;
    let outcomes: Vec<_> = results.iter().map(|result| &result["outcome"]).collect();
    assert_eq!(outcomes, ["applied", "rejected", "applied"]);
    assert_eq!(places(&results[1]["problem"]), ["/events/1/data/tax"]);
    assert_eq!(results[1]["commissionId"], Value::Null);
    assert_eq!(results[1]["retryable"], false);
    assert_eq!(results[0]["problem"], Value::Null);
    assert_eq!(commissions(&partner).await.len(), 2);
}

async fn a_batch_posted_by_eight_clients_at_once_is_applied_once(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let mut events: Vec<Event> = (0..20).map(|_| payment(&container)).collect();
    events.push(refund(&events[0], &usd("24.00")));
    events.push(subscription(&container));
    let batches = join_all((0..8).map(|_| app.post_events(&events))).await;
    for (index, event) in events.iter().enumerate() {
        let of_event: Vec<&Value> = batches.iter().map(|batch| &batch[index]).collect();
        let count = |outcome: &str| of_event.iter().filter(|result| result["outcome"] == outcome).count();
        assert_eq!((count("applied"), count("duplicate")), (1, 7), "{}: {of_event:#?}", event.id());
        assert!(of_event.iter().all(|result| result["commissionId"] == of_event[0]["commissionId"]));
    }
    assert_eq!(commissions(&partner).await.len(), 20);
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    assert_eq!(summary["balances"][0]["inReview"], usd("114.00"), "{summary:#}");
}

async fn a_body_that_is_no_batch_fails_whole(app: &TestApp) {
    let operator = app.operator().await;
    let path = "/v3/operator/billing-events";
    for body in [json!({}), json!({"events": {}}), json!({"events": [1]}), json!({"events": [], "more": 1})] {
        operator.post(path, &body).await.problem("validationFailed");
    }
    let too_many: Vec<Value> = (0..1001).map(|_| json!({})).collect();
    let problem = operator.post(path, &json!({"events": too_many})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/events"]);
}

async fn a_closed_period_must_not_end_before_it_starts(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let result = rejection(app, payment(&container).with("periodEnd", START), "validationFailed").await;
    assert_eq!(places(&result["problem"]), ["/events/0/data/periodEnd"]);
    let result = rejection(app, subscription(&container).with("currentPeriodEnd", START), "validationFailed").await;
    assert_eq!(places(&result["problem"]), ["/events/0/data/currentPeriodEnd"]);
}

async fn a_conflicting_event_changes_nothing(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let event = payment(&container);
    app.apply(std::slice::from_ref(&event)).await;
    let result = app.post_events(&[event.with("amount", usd("48.00"))]).await.remove(0);
    assert_eq!((&result["outcome"], &result["problem"]["code"]), (&json!("conflict"), &json!("eventConflict")));
    assert_eq!(commissions(&partner).await[0]["amount"], usd("6.00"));
}

async fn a_currency_outside_the_program_is_refused(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let yen = payment(&container).with("amount", money("2000", "JPY")).with("tax", money("0", "JPY"));
    let result = rejection(app, yen, "currencyNotSupported").await;
    assert_eq!(result["retryable"], false);
    rejection(app, subscription(&container).with("price", money("2000", "JPY")), "currencyNotSupported").await;
}

async fn a_partners_key_cannot_post_events(app: &TestApp) {
    let partner = app.partner().await;
    let answer = partner.login.post("/v3/operator/billing-events", &json!({"events": []})).await;
    answer.problem("wrongAccountKind");
}

async fn a_payment_of_an_unmanaged_client_makes_no_row(app: &TestApp) {
    let client = app.standard().await;
    let container = json!({"name": "own", "product": "sgtmContainer"});
    let container = client.login.post("/v3/containers", &container).await.expect(201);
    let result = app.apply(&[payment(container["id"].as_str().expect("an id"))]).await.remove(0);
    assert_eq!(result["commissionId"], Value::Null);
    let payments = client.login.list("/v3/payments").await;
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0]["commissionId"], Value::Null);
}

async fn a_payment_older_than_its_container_belongs_to_the_first_owner(app: &TestApp) {
    let client = app.standard().await;
    let container = client.login.post("/v3/containers", &json!({"name": "own", "product": "sgtmContainer"})).await;
    let container = container.expect(201);
    app.apply(&[payment(container["id"].as_str().expect("an id")).at("2020-01-01T00:00:00Z")]).await;
    assert_eq!(client.login.list("/v3/payments").await.len(), 1);
}

async fn a_rejected_event_leaves_no_trace_and_its_id_may_be_sent_again(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let good = payment(&container);
    rejection(app, good.clone().with("plan", "unheard-of"), "planUnknown").await;
    assert_eq!(commissions(&partner).await.len(), 0);
    assert_eq!(partner.login.list("/v3/payments").await.len(), 0);
    app.apply(&[good]).await;
}

async fn a_repeated_batch_changes_nothing(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let first = payment(&container);
    let batch = [first.clone(), refund(&first, &usd("8.00")), subscription(&container)];
    let applied = app.apply(&batch).await;
    let before = (commissions(&partner).await, partner.login.list("/v3/ledger/entries").await);
    let repeated = app.post_events(&batch).await;
    for (result, first) in repeated.iter().zip(&applied) {
        assert_eq!(result["outcome"], "duplicate");
        assert_eq!(result["commissionId"], first["commissionId"]);
        assert_eq!(result["problem"], Value::Null);
    }
    assert_eq!((commissions(&partner).await, partner.login.list("/v3/ledger/entries").await), before);
}

async fn a_second_event_with_the_same_payment_id_is_refused(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let event = payment(&container);
    app.apply(std::slice::from_ref(&event)).await;
    let result = rejection(app, event.renamed("another"), "paymentExists").await;
    assert_eq!(result["retryable"], false);
}

async fn a_second_event_with_the_same_refund_id_is_refused(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let paid = payment(&container);
    let back = refund(&paid, &usd("1.00"));
    app.apply(&[paid, back.clone()]).await;
    rejection(app, back.renamed("another-refund"), "refundExists").await;
}

async fn a_subscription_shows_on_the_container(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.apply(&[subscription(&container).with("status", "pastDue").with("cancelAtPeriodEnd", true)]).await;
    let container = partner.login.get(&format!("/v3/containers/{container}")).await.expect(200);
    assert_eq!(container["plan"], "pro");
    assert_eq!(container["billingPeriod"], "monthly");
    let expected = json!({
        "status": "pastDue",
        "price": usd("20.00"),
        "currentPeriodStart": "2026-01-01T00:00:00.000Z",
        "currentPeriodEnd": "2026-02-01T00:00:00.000Z",
        "cancelAtPeriodEnd": true,
        "nextPaymentAt": "2026-02-01T00:00:00.000Z",
    });
    assert_eq!(container["subscription"], expected);
    assert_eq!(container["usage"]["limit"], 500_000);
    assert_eq!(container["commission"], json!({"ratePercent": "30", "monthly": usd("6.00")}));
}

async fn an_element_of_the_wrong_shape_is_rejected_by_itself(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let mut unknown_field = payment(&container);
    unknown_field.0["surprise"] = json!(1);
    let mut unknown_type = payment(&container);
    unknown_type.0["type"] = json!("payment.imagined");
    let number = payment(&container).with("amount", json!({"amount": 24.0, "currency": "USD"}));
    let digits = payment(&container).with("amount", usd("24.001"));
    let missing = payment(&container).without("payer");
    let time = payment(&container).at("yesterday");
    for event in [unknown_field, unknown_type, number, digits, missing, time] {
        let result = rejection(app, event, "validationFailed").await;
        assert!(places(&result["problem"])[0].starts_with("/events/0/"), "{result:#}");
    }
    let nameless = json!({"events": [{}]});
    let body = app.operator().await.post("/v3/operator/billing-events", &nameless).await.expect(200);
    assert_eq!((&body["results"][0]["id"], &body["results"][0]["outcome"]), (&Value::Null, &json!("rejected")));
}

async fn an_empty_batch_is_fine(app: &TestApp) {
    assert!(app.post_events(&[]).await.is_empty());
}

async fn an_event_repeated_within_a_batch_is_applied_once(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let event = payment(&container);
    let results = app.post_events(&[event.clone(), event.clone(), event.with("amount", usd("1.00"))]).await;
    let outcomes: Vec<_> = results.iter().map(|result| &result["outcome"]).collect();
    assert_eq!(outcomes, ["applied", "duplicate", "conflict"]);
}

async fn an_event_more_than_five_minutes_ahead_is_refused(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.apply(&[payment(&container).at("2026-01-01T00:05:00Z")]).await;
    rejection(app, payment(&container).at("2026-01-01T00:05:00.001Z"), "occurredInFuture").await;
}

async fn an_idempotency_key_is_refused_on_a_batch(app: &TestApp) {
    let request = app.operator().await.request(reqwest::Method::POST, "/v3/operator/billing-events");
    let request = request.header("idempotency-key", "one").json(&json!({"events": []}));
    request.send().await.problem("idempotencyKeyNotAllowed");
}

async fn an_older_subscription_change_changes_nothing(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let older = subscription(&container).with("plan", "business").with("price", usd("100.00"));
    app.apply(&[subscription(&container), older.at("2025-12-31T23:59:59Z")]).await;
    let container = partner.login.get(&format!("/v3/containers/{container}")).await.expect(200);
    assert_eq!((&container["plan"], &container["subscription"]["price"]), (&json!("pro"), &usd("20.00")));
}

async fn every_broken_rule_of_an_event_is_named_at_once(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let bad = payment(&container).with("amount", usd("-1.00")).with("paymentId", "").with("periodEnd", START);
    let result = rejection(app, bad, "validationFailed").await;
    let found = places(&result["problem"]);
    for pointer in ["/events/0/data/amount", "/events/0/data/paymentId", "/events/0/data/periodEnd"] {
        assert!(found.contains(&pointer), "{found:?}");
    }
}

async fn refunds_never_exceed_their_payment(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let paid = payment(&container);
    app.apply(&[paid.clone(), refund(&paid, &usd("20.00"))]).await;
    rejection(app, refund(&paid, &usd("4.01")), "refundExceedsPayment").await;
    rejection(app, refund(&paid, &money("1.00", "EUR")), "currencyMismatch").await;
    rejection(app, refund(&paid, &usd("0.00")), "validationFailed").await;
    app.apply(&[refund(&paid, &usd("4.00"))]).await;
    assert_eq!(partner.login.list("/v3/payments").await[0]["refunded"], usd("24.00"));
}

async fn refunds_at_once_never_exceed_their_payment(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let paid = payment(&container);
    app.apply(std::slice::from_ref(&paid)).await;
    let refunds: Vec<[Event; 1]> = (0..8).map(|_| [refund(&paid, &usd("8.00"))]).collect();
    let results = join_all(refunds.iter().map(|refund| app.post_events(refund))).await;
    let applied = results.iter().filter(|results| results[0]["outcome"] == "applied").count();
    assert_eq!(applied, 3, "{results:#?}");
    let row = commissions(&partner).await.remove(0);
    assert_eq!((&row["status"], &row["reversed"]), (&json!("reversed"), &usd("6.00")));
}

async fn the_client_and_its_manager_see_the_payment_and_nobody_else_does(app: &TestApp) {
    let (partner, client, stranger) = (app.partner().await, app.standard().await, app.agency().await);
    app.link(&client.id, &partner.id).await;
    let container = client.login.post("/v3/containers", &json!({"name": "own", "product": "sgtmContainer"})).await;
    let container = container.expect(201)["id"].as_str().expect("an id").to_owned();
    let event = payment(&container);
    let result = app.apply(std::slice::from_ref(&event)).await.remove(0);
    let mut of_client = client.login.list("/v3/payments").await;
    let seen = partner.login.list("/v3/payments").await;
    assert_eq!((of_client.len(), seen.len()), (1, 1));
    assert_eq!(of_client[0]["commissionId"], Value::Null, "what the manager earns is not the client's to see");
    of_client[0]["commissionId"] = seen[0]["commissionId"].clone();
    assert_eq!(of_client, seen);
    assert_eq!(seen[0]["externalId"], event.0["data"]["paymentId"]);
    assert_eq!(seen[0]["commissionId"], result["commissionId"]);
    assert_eq!(seen[0]["accountId"], client.id.as_str());
    assert_eq!((&seen[0]["amount"], &seen[0]["tax"]), (&usd("24.00"), &usd("4.00")));
    let path = format!("/v3/payments/{}", seen[0]["id"].as_str().expect("an id"));
    assert_eq!(partner.login.get(&path).await.expect(200), seen[0]);
    stranger.login.get(&path).await.problem("notFound");
    assert!(stranger.login.list("/v3/payments").await.is_empty());
}

/// What a history made of a partner's commissions, without what differs between two histories by its nature.
async fn outcome_of(login: &Client) -> Vec<Value> {
    let rows = login.list("/v3/commissions").await;
    let shown = |row: &Value| {
        json!([
            row["payment"]["occurredAt"],
            row["kind"],
            row["status"],
            row["reason"],
            row["base"],
            row["amount"],
            row["reversed"],
            row["net"],
            row["reviewUntil"],
            row["readyAt"],
            row["level"]
        ])
    };
    let mut rows: Vec<Value> = rows.iter().map(shown).collect();
    rows.sort_by_key(Value::to_string);
    rows
}

fn history(container: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for day in 1..=12 {
        let time = format!("2026-01-{day:02}T08:00:00Z");
        let cents = day * 7 + 3;
        let paid = payment(container).at(&time).with("amount", usd(&format!("24.{cents:02}")));
        if day % 3 == 0 {
            events.push(refund(&paid, &usd("9.99")).at("2026-01-20T00:00:00Z"));
            events.push(refund(&paid, &usd("0.07")).at("2026-01-21T00:00:00Z"));
        }
        events.push(paid);
        events.push(subscription(container).at(&time).with("price", usd(&format!("{day}.00"))));
    }
    events
}

/// Sends events one by one, the retryable ones again, until each is applied.
async fn send_until_applied(app: &TestApp, mut events: Vec<Event>) {
    while !events.is_empty() {
        let mut again = Vec::new();
        for event in &events {
            let result = app.post_events(std::slice::from_ref(event)).await.remove(0);
            if result["outcome"] != "applied" {
                assert_eq!(result["retryable"], true, "{result:#}");
                again.push(event.clone());
            }
        }
        assert!(again.len() < events.len(), "no progress");
        events = again;
    }
}

async fn the_order_of_events_does_not_matter(app: &TestApp) {
    let mut outcomes = Vec::new();
    let mut histories = Vec::new();
    for order in 0..3 {
        let partner = app.partner().await;
        let (_, container) = app.client_with_container(&partner).await;
        let mut events = history(&container);
        match order {
            0 => {}
            1 => events.reverse(),
            // 7 has no factor in common with the number of events: a fixed shuffle.
            _ => events = (0..events.len()).map(|index| events[index * 7 % events.len()].clone()).collect(),
        }
        histories.push((partner, container, events));
    }
    app.move_clock("2026-01-22T00:00:00Z").await;
    for (partner, container, events) in histories {
        assert!(events.len() % 7 != 0);
        send_until_applied(app, events).await;
        let container = partner.login.get(&format!("/v3/containers/{container}")).await.expect(200);
        let balances = partner.login.get("/v3/ledger/balances").await.expect(200);
        let subscription = container["subscription"].clone();
        outcomes.push((outcome_of(&partner.login).await, subscription, balances["data"].clone()));
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0], outcomes[2]);
    assert_eq!(outcomes[0].0.len(), 12);
}

async fn unknown_containers_and_payments_may_be_sent_again(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    for unknown in ["ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "nonsense"] {
        let result = rejection(app, payment(unknown), "containerUnknown").await;
        assert_eq!(result["retryable"], true);
        assert_eq!(rejection(app, subscription(unknown), "containerUnknown").await["retryable"], true);
    }
    let paid = payment(&container);
    let back = refund(&paid, &usd("8.00"));
    assert_eq!(rejection(app, back.clone(), "paymentUnknown").await["retryable"], true);
    app.apply(&[paid, back]).await;
}

async fn what_the_manager_pays_makes_a_row_without_commission(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let result = app.apply(&[payment(&container).with("payer", "manager")]).await.remove(0);
    let id = result["commissionId"].as_str().expect("a row");
    let row = partner.login.get(&format!("/v3/commissions/{id}")).await.expect(200);
    assert_eq!((&row["status"], &row["reason"]), (&json!("noCommission"), &json!("paidByManager")));
    assert_eq!(row["amount"], usd("0.00"));
    assert!(partner.login.list("/v3/ledger/entries").await.is_empty());
}
