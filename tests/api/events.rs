//! The feed of events: complete, in order, without gaps, the account's own.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, START, TestApp, both_engines, payment, refund, usd};

both_engines!(
    changes_at_the_same_time_leave_no_gap,
    each_account_has_its_own_feed,
    every_change_is_in_the_feed,
    the_feed_goes_on_after_a_sequence,
);

/// The whole feed, page by page, which must be numbered from 1 without gaps.
async fn feed(login: &Client) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    loop {
        let after = events.len();
        let page = login.get(&format!("/v3/events?after={after}&limit=100")).await.expect(200);
        let rows = page["data"].as_array().expect("data");
        events.extend(rows.iter().cloned());
        if page["hasMore"] == false {
            break;
        }
    }
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["sequence"], index + 1, "{events:#?}");
    }
    events
}

async fn every_change_is_in_the_feed(app: &TestApp) {
    let partner = app.partner().await;
    let (client, container) = app.client_with_container(&partner).await;
    let key = app.api_key(&partner, &["events:read"]).await;
    let paid = payment(&container);
    let commission = app.apply(&[paid.clone(), refund(&paid, &usd("8.00"))]).await[0]["commissionId"].clone();
    app.move_clock("2026-01-15T00:00:00Z").await;
    let events = feed(&key).await;
    let fields: Vec<&str> = events[0].as_object().expect("an event").keys().map(String::as_str).collect();
    assert_eq!(fields.len(), 5, "{fields:?}");
    for field in ["sequence", "type", "resourceType", "resourceId", "occurredAt"] {
        assert!(fields.contains(&field), "{fields:?}");
    }
    assert_eq!(events[0]["occurredAt"], START);
    for id in [json!(client), json!(container), commission.clone()] {
        assert!(events.iter().any(|event| event["resourceId"] == id), "{id}: {events:#?}");
    }
    let of_commission = events.iter().filter(|event| event["resourceId"] == commission).count();
    assert!(of_commission >= 3, "made, reversed in part, ready: {events:#?}");
    assert!(events.iter().any(|event| event["resourceType"] == "apiKey"), "{events:#?}");
}

async fn each_account_has_its_own_feed(app: &TestApp) {
    let (agency, client, stranger) = (app.agency().await, app.standard().await, app.agency().await);
    let before = feed(&stranger.login).await;
    app.link(&client.id, &agency.id).await;
    let linked = |events: &[Value]| events.iter().filter(|event| event["resourceId"] == client.id.as_str()).count();
    assert!(linked(&feed(&agency.login).await) >= 1);
    assert!(linked(&feed(&client.login).await) >= 1);
    assert_eq!(feed(&stranger.login).await, before);
}

async fn the_feed_goes_on_after_a_sequence(app: &TestApp) {
    let agency = app.agency().await;
    app.client_with_container(&agency).await;
    let all = feed(&agency.login).await;
    let page = agency.login.get("/v3/events?after=1&limit=1").await.expect(200);
    assert_eq!(page["data"], json!([all[1]]));
    assert_eq!(page["hasMore"], all.len() > 2);
    let page = agency.login.get("/v3/events?after=1000000").await.expect(200);
    assert_eq!((&page["data"], &page["hasMore"]), (&json!([]), &json!(false)));
    for bad in ["after=-1", "after=x", "after="] {
        agency.login.get(&format!("/v3/events?{bad}")).await.problem("invalidParameter");
    }
}

async fn changes_at_the_same_time_leave_no_gap(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    let before = feed(&agency.login).await.len();
    join_all((0..20).map(|_| app.container(&agency, &client))).await;
    let events = feed(&agency.login).await;
    let mut resources: Vec<_> = events[before..].iter().map(|event| event["resourceId"].to_string()).collect();
    resources.sort();
    resources.dedup();
    assert_eq!(resources.len(), 20);
}
