//! Two servers on one database whose clocks differ: what is decided later holds, whichever of them was asked.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Account, START, TestApp, both_engines, id, payment, subscription, usd};

both_engines!(
    a_client_has_one_manager_at_any_time,
    a_container_is_paid_for_by_its_last_owner,
    a_level_is_reached_once,
    a_program_counts_from_its_turn,
    the_last_decision_about_a_partner_holds,
);

/// Where the clock of the first server stands.
const AHEAD: &str = "2026-01-01T00:04:00.000Z";

/// A second server, whose clock stays where it is while the first one's goes ahead.
async fn behind(app: &TestApp) -> TestApp {
    let behind = app.beside().await;
    app.move_clock(AHEAD).await;
    behind
}

async fn decide(app: &TestApp, partner: &Account, decision: &Value) -> Value {
    let path = format!("/v3/operator/partners/{}", partner.id);
    app.operator().await.patch(&path, decision).await.expect(200)
}

async fn the_last_decision_about_a_partner_holds(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let behind = behind(app).await;
    decide(app, &partner, &json!({"level": 3, "rateOverrides": {"default": "50"}, "reason": "a trial"})).await;
    let back = json!({"level": 2, "rateOverrides": {"default": null}, "reason": "the trial is over"});
    let shown = decide(&behind, &partner, &back).await;
    assert_eq!((&shown["level"], &shown["rateOverrides"]), (&json!(2), &json!({})));
    for server in [app, &behind] {
        let login = server.caller(partner.login.credential());
        let summary = login.get("/v3/commissions/summary").await.expect(200);
        assert_eq!(summary["balances"][0]["monthlyValue"], usd("42.00"));
        assert_eq!(login.get("/v3/dashboard").await.expect(200)["level"]["level"], 2);
    }
    let results = app.apply(&[payment(&container).at(AHEAD)]).await;
    let line = id_of(&results[0]["commissionId"]);
    let line = partner.login.get(&format!("/v3/commissions/{line}")).await.expect(200);
    assert_eq!((&line["level"], &line["ratePercent"]), (&json!(2), &json!("35")));
    behind.stop().await;
}

async fn a_level_is_reached_once(app: &TestApp) {
    let partner = app.partner().await;
    let client = app.client_of(&partner).await;
    let behind = behind(app).await;
    for number in 0..10 {
        let server = if number < 8 { app } else { &behind };
        let container = app.container(&partner, &client).await;
        server.apply(&[subscription(&container).with("price", usd("100.00"))]).await;
    }
    let events = partner.login.list("/v3/events").await;
    let risen = events.iter().filter(|event| event["type"] == "level.changed").count();
    assert_eq!((risen, partner.login.get("/v3/account").await.expect(200)["level"].clone()), (2, json!(2)));
    // Six at 20.00 and ten at 100.00, at 35 %.
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    assert_eq!(summary["balances"][0]["monthlyValue"], usd("392.00"));
    behind.stop().await;
}

async fn a_container_is_paid_for_by_its_last_owner(app: &TestApp) {
    let owners = [app.standard().await, app.standard().await, app.standard().await];
    let container = app.own_container(&owners[0]).await;
    let path = format!("/v3/containers/{container}");
    let behind = behind(app).await;
    for (server, giver, taker) in [(app, &owners[0], &owners[1]), (&behind, &owners[1], &owners[2])] {
        let login = server.caller(giver.login.credential());
        let moved = login.post(&format!("{path}/transfer"), &json!({"email": taker.email})).await.expect(202);
        let decline = format!("/v3/operator/requests/{}/decline", id(&moved["pendingRequest"]));
        server.operator().await.post(&decline, &json!({"reason": "a test"})).await.expect(200);
    }
    app.apply(&[payment(&container).at(AHEAD), payment(&container).at(START)]).await;
    let mut paid = Vec::new();
    for owner in &owners {
        paid.push(owner.login.list("/v3/payments").await.len());
    }
    assert_eq!(paid, [1, 0, 1]);
    behind.stop().await;
}

async fn a_client_has_one_manager_at_any_time(app: &TestApp) {
    let (before, after) = (app.partner().await, app.partner().await);
    let client = app.standard().await;
    app.link(&client.id, &before.id).await;
    let container = app.own_container(&client).await;
    let behind = behind(app).await;
    let detach = format!("/v3/operator/accounts/{}/detach", client.id);
    app.operator().await.post_nothing(&detach).await.expect(200);
    behind.link(&client.id, &after.id).await;
    app.apply(&[payment(&container).at("2026-01-01T00:03:59.999Z"), payment(&container).at(AHEAD)]).await;
    for partner in [&before, &after] {
        assert_eq!(partner.login.list("/v3/commissions").await.len(), 1);
    }
    behind.operator().await.post_nothing(&detach).await.expect(200);
    app.apply(&[payment(&container).at(AHEAD)]).await;
    assert_eq!(after.login.list("/v3/commissions").await.len(), 1);
    behind.stop().await;
}

async fn a_program_counts_from_its_turn(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let behind = behind(app).await;
    for (server, review_days) in [(app, 10), (&behind, 20)] {
        let operator = server.operator().await;
        let program = operator.get("/v3/operator/program").await;
        let (tag, mut body) = (program.header("etag").to_owned(), program.expect(200));
        body["reviewDays"]["monthly"] = json!(review_days);
        let put = operator.request(Method::PUT, "/v3/operator/program").header("if-match", &tag);
        put.json(&body).send().await.expect(200);
    }
    let paid = [START, "2026-01-01T00:03:59.999Z", AHEAD].map(|time| payment(&container).at(time));
    let mut versions = Vec::new();
    for result in app.apply(&paid).await {
        let line = format!("/v3/commissions/{}", id_of(&result["commissionId"]));
        versions.push(partner.login.get(&line).await.expect(200)["programVersion"].clone());
    }
    assert_eq!(versions, [1, 1, 3]);
    behind.stop().await;
}

fn id_of(value: &Value) -> &str {
    value.as_str().expect("an id")
}
