//! What is refused of billing events: the place, the code, and whether the event may be sent again.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Event, START, TestApp, both_engines, money, payment, places, refund, subscription, usd};

both_engines!(
    a_body_that_is_no_batch_fails_whole,
    a_closed_period_must_not_end_before_it_starts,
    a_currency_outside_the_program_is_refused,
    a_partners_key_cannot_post_events,
    a_rejected_event_leaves_no_trace_and_its_id_may_be_sent_again,
    a_second_event_with_the_same_payment_id_is_refused,
    a_second_event_with_the_same_refund_id_is_refused,
    an_element_of_the_wrong_shape_is_rejected_by_itself,
    an_event_more_than_five_minutes_ahead_is_refused,
    an_idempotency_key_is_refused_on_a_batch,
    every_broken_rule_of_an_event_is_named_at_once,
    refunds_at_once_never_exceed_their_payment,
    refunds_never_exceed_their_payment,
    unknown_containers_and_payments_may_be_sent_again,
);

/// The one result of an event that must be rejected with this code.
async fn rejection(app: &TestApp, event: Event, code: &str) -> Value {
    let result = app.post_events(&[event]).await.remove(0);
    assert_eq!(result["outcome"], "rejected", "{result:#}");
    assert_eq!(result["problem"]["code"], code, "{result:#}");
    assert!(result["problem"]["requestId"].is_string(), "{result:#}");
    result
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

async fn a_currency_outside_the_program_is_refused(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let yen = payment(&container).with("amount", money("2000", "JPY")).with("tax", money("0", "JPY"));
    let result = rejection(app, yen, "currencyNotSupported").await;
    assert_eq!(result["retryable"], false);
    assert_eq!(result["problem"]["errors"][0]["code"], "currencyNotSupported");
    rejection(app, subscription(&container).with("price", money("2000", "JPY")), "currencyNotSupported").await;
}

async fn a_partners_key_cannot_post_events(app: &TestApp) {
    let partner = app.partner().await;
    let answer = partner.login.post("/v3/operator/billing-events", &json!({"events": []})).await;
    answer.problem("wrongAccountKind");
}

async fn a_rejected_event_leaves_no_trace_and_its_id_may_be_sent_again(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let good = payment(&container);
    rejection(app, good.clone().with("plan", "unheard-of"), "planUnknown").await;
    assert_eq!(partner.login.list("/v3/commissions").await.len(), 0);
    assert_eq!(partner.login.list("/v3/payments").await.len(), 0);
    app.apply(&[good]).await;
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
        let place = places(&result["problem"])[0];
        assert!(place.starts_with("/events/0/"), "{result:#}");
        // Person and program are told the same place.
        assert!(result["problem"]["detail"].as_str().is_some_and(|detail| detail.starts_with(place)), "{result:#}");
    }
    let nameless = json!({"events": [{}]});
    let body = app.operator().await.post("/v3/operator/billing-events", &nameless).await.expect(200);
    assert_eq!((&body["results"][0]["id"], &body["results"][0]["outcome"]), (&Value::Null, &json!("rejected")));
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
    let row = partner.login.list("/v3/commissions").await.remove(0);
    assert_eq!((&row["status"], &row["reversed"]), (&json!("reversed"), &usd("6.00")));
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
