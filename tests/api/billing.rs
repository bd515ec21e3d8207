//! Billing events: what a batch answers, what it changes, and that nothing is ever applied twice.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Account, Client, Event, TestApp, both_engines, payment, places, refund, subscription, usd};

both_engines!(
    a_batch_posted_by_eight_clients_at_once_is_applied_once,
    a_batch_with_one_bad_event_applies_the_rest,
    a_conflicting_event_changes_nothing,
    a_payment_of_an_unmanaged_client_makes_no_row,
    a_payment_older_than_its_container_belongs_to_the_first_owner,
    a_repeated_batch_changes_nothing,
    a_subscription_shows_on_the_container,
    an_empty_batch_is_fine,
    an_event_repeated_within_a_batch_is_applied_once,
    an_older_subscription_change_changes_nothing,
    the_client_and_its_manager_see_the_payment_and_nobody_else_does,
    the_order_of_events_does_not_matter,
    what_the_manager_pays_makes_a_row_without_commission,
);

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

async fn a_conflicting_event_changes_nothing(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let event = payment(&container);
    app.apply(std::slice::from_ref(&event)).await;
    let result = app.post_events(&[event.with("amount", usd("48.00"))]).await.remove(0);
    assert_eq!((&result["outcome"], &result["problem"]["code"]), (&json!("conflict"), &json!("eventConflict")));
    assert_eq!(commissions(&partner).await[0]["amount"], usd("6.00"));
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

async fn an_older_subscription_change_changes_nothing(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let older = subscription(&container).with("plan", "business").with("price", usd("100.00"));
    app.apply(&[subscription(&container), older.at("2025-12-31T23:59:59Z")]).await;
    let container = partner.login.get(&format!("/v3/containers/{container}")).await.expect(200);
    assert_eq!((&container["plan"], &container["subscription"]["price"]), (&json!("pro"), &usd("20.00")));
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
