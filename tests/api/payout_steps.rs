//! Payouts on their way: every step and its end, refunds in every state, who is told.

use serde_json::{Value, json};

use crate::payouts::{balances, partner_with, request, statuses};
use crate::support::{TestApp, both_engines, feed, id, payment, refund, usd};

both_engines!(
    a_blocked_partner_gets_no_payout_and_none_goes_on,
    a_canceled_payout_gives_everything_back,
    a_paid_payout_never_changes,
    a_payout_keeps_its_method_as_it_was,
    a_refund_while_a_payout_is_open_is_an_adjustment_whatever_becomes_of_the_payout,
    events_audit_rows_and_mails_tell_of_each_step,
    the_steps_are_taken_in_order_only,
);

async fn the_steps_are_taken_in_order_only(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    let path = format!("/v3/operator/payouts/{}", id(&payout));
    let operator = app.operator().await;
    let refused = async |steps: &[&str], status: &str| {
        for step in steps {
            let body = match *step {
                "reject" | "fail" => json!({"reason": "a test"}),
                "confirm" => json!({"reference": "TRANSFER-1"}),
                _ => json!({}),
            };
            let problem = operator.post(&format!("{path}/{step}"), &body).await.problem("invalidTransition");
            let detail = problem["detail"].as_str().expect("a detail").to_owned();
            assert!(detail.starts_with(&format!("the payout is {status};")), "{detail}");
        }
    };
    refused(&["start", "confirm", "fail"], "requested").await;
    assert_eq!(app.step(&payout, "approve").await["approvedAt"], "2026-01-01T00:00:00.000Z");
    refused(&["approve", "confirm", "fail"], "approved").await;
    let cancel = format!("/v3/payouts/{}/cancel", id(&payout));
    partner.login.post_once(&cancel, &json!({})).await.problem("invalidTransition");
    app.move_clock("2026-01-02T00:00:00Z").await;
    let started = app.step(&payout, "start").await;
    assert_eq!((&started["status"], &started["startedAt"]), (&json!("processing"), &json!("2026-01-02T00:00:00.000Z")));
    refused(&["approve", "reject", "start"], "processing").await;
    let paid = app.step(&payout, "confirm").await;
    assert_eq!((&paid["status"], &paid["reference"]), (&json!("paid"), &json!("TRANSFER-1")));
    assert_eq!((&paid["paidAt"], &paid["closedAt"]), (&json!("2026-01-02T00:00:00.000Z"), &paid["paidAt"].clone()));
    assert_eq!(balances(&partner).await, json!(["0.00", "0.00", "150.00", "0.00"]));
    refused(&["approve", "reject", "start", "confirm", "fail"], "paid").await;
    operator.post(&format!("{path}/confirm"), &json!({})).await.problem("validationFailed");
    operator.post(&format!("{path}/reject"), &json!({"reason": " "})).await.problem("validationFailed");
    operator.post("/v3/operator/payouts/pay_0/approve", &json!({})).await.problem("notFound");
}

async fn a_paid_payout_never_changes(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    let path = format!("/v3/payouts/{}", id(&payout));
    let paid = partner.login.get(&path).await.expect(200);
    partner.login.post_once(&format!("{path}/cancel"), &json!({})).await.problem("invalidTransition");
    app.bonus(&partner, "150.00").await;
    app.payout(&partner).await;
    assert_eq!(partner.login.get(&path).await.expect(200), paid);
    let rows = partner.login.list(&format!("/v3/commissions?payoutId={}", id(&payout))).await;
    assert!(rows.len() == 1 && rows[0]["status"] == "paid", "{rows:#?}");
}

async fn a_canceled_payout_gives_everything_back(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    let path = format!("/v3/payouts/{}", id(&payout));
    let canceled = partner.login.post_once(&format!("{path}/cancel"), &json!({})).await.expect(200);
    assert_eq!((&canceled["status"], &canceled["amount"]), (&json!("canceled"), &usd("150.00")));
    assert_eq!(balances(&partner).await, json!(["150.00", "0.00", "0.00", "0.00"]));
    let row = &partner.login.list("/v3/commissions?status=readyToPayout").await[0];
    assert_eq!(row["payoutId"], Value::Null);
    assert_eq!(partner.login.list(&format!("{path}/lines")).await.len(), 1);
    let again = app.payout(&partner).await;
    assert_eq!(app.step(&again, "reject").await["reason"], "a test");
    let third = app.payout(&partner).await;
    for step in ["approve", "start", "fail"] {
        app.step(&third, step).await;
    }
    assert_eq!(balances(&partner).await, json!(["150.00", "0.00", "0.00", "0.00"]));
    assert_eq!(statuses(&partner).await, ["failed", "rejected", "canceled"]);
}

/// The worked example: 6.00, refund 8.00 of 24.00 while in a payout, then the payout's end, then refund 16.00.
async fn a_refund_while_a_payout_is_open_is_an_adjustment_whatever_becomes_of_the_payout(app: &TestApp) {
    let (mut month, mut now) = (1, crate::support::START.to_owned());
    for (steps, ready, paid) in [
        (&["reject"][..], "196.00", "0.00"),
        (&["approve", "reject"][..], "196.00", "0.00"),
        (&["approve", "start", "fail"][..], "196.00", "0.00"),
        (&["approve", "start", "confirm"][..], "-6.00", "202.00"),
    ] {
        let partner = app.partner().await;
        app.payout_method(&partner, "USD").await;
        let (_, container) = app.client_with_container(&partner).await;
        let settled = payment(&container).at(&now);
        let commission = app.apply(std::slice::from_ref(&settled)).await[0]["commissionId"].clone();
        let path = format!("/v3/commissions/{}", commission.as_str().expect("a commission"));
        month += 1;
        now = format!("2026-{month:02}-01T00:00:00.000Z");
        app.move_clock(&now).await;
        app.bonus(&partner, "196.00").await;
        let payout = app.payout(&partner).await;
        assert_eq!(payout["amount"], usd("202.00"));
        app.apply(&[refund(&settled, &usd("8.00"))]).await;
        for step in steps {
            app.step(&payout, step).await;
        }
        app.apply(&[refund(&settled, &usd("16.00"))]).await;
        let row = partner.login.get(&path).await.expect(200);
        let ledger = partner.login.get("/v3/ledger/balances").await.expect(200);
        assert_eq!((&ledger["data"][0]["ready"], &ledger["data"][0]["paid"]), (&usd(ready), &usd(paid)), "{steps:?}");
        let adjustments = partner.login.list("/v3/commissions?kind=adjustment").await;
        let about: Vec<_> = adjustments.iter().filter(|row| row["adjusts"] == commission).collect();
        if steps.contains(&"confirm") {
            assert_eq!(row["net"], usd("6.00"));
            assert_eq!(about.len(), 2);
        } else {
            assert_eq!((&row["net"], &row["status"]), (&usd("2.00"), &json!("readyToPayout")));
            assert_eq!((about.len(), &about[0]["net"]), (1, &usd("-2.00")));
        }
    }
}

async fn a_blocked_partner_gets_no_payout_and_none_goes_on(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    app.bonus(&partner, "150.00").await;
    let operator = app.operator().await;
    let blocked = format!("/v3/operator/accounts/{}", partner.id);
    operator.post(&format!("{blocked}/block"), &json!({"reason": "a test"})).await.expect(200);
    let conflict = |answer: crate::support::Answer| {
        assert_eq!(answer.status, 409);
        assert_eq!(answer.body()["code"], "accountBlocked");
    };
    let body = json!({"accountId": partner.id, "currency": "USD"});
    conflict(operator.post_once("/v3/operator/payouts", &body).await);
    let path = format!("/v3/operator/payouts/{}", id(&payout));
    conflict(operator.post(&format!("{path}/approve"), &json!({})).await);
    assert_eq!(request(&partner).await.status, 403);
    operator.post_nothing(&format!("{blocked}/unblock")).await.expect(200);
    app.step(&payout, "approve").await;
    operator.post(&format!("{blocked}/block"), &json!({"reason": "a test"})).await.expect(200);
    conflict(operator.post(&format!("{path}/start"), &json!({})).await);
    app.step(&payout, "reject").await;
}

async fn a_payout_keeps_its_method_as_it_was(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    partner.login.delete("/v3/payout-methods/USD").await.expect(204);
    let kept = partner.login.get(&format!("/v3/payouts/{}", id(&payout))).await.expect(200);
    assert_eq!(kept["method"], payout["method"]);
    app.step(&payout, "approve").await;
    let batch = json!({"format": "wiseCsv", "currency": "USD"});
    app.operator().await.post_once("/v3/operator/payout-batches", &batch).await.expect(201);
}

async fn events_audit_rows_and_mails_tell_of_each_step(app: &TestApp) {
    let partner = partner_with(app, "150.00").await;
    let payout = app.payout(&partner).await;
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    let about = |(_, resource): &(String, String)| *resource == id(&payout);
    let told: Vec<String> = feed(&partner.login).await.into_iter().filter(about).map(|(kind, _)| kind).collect();
    assert_eq!(told, ["payout.requested", "payout.approved", "payout.started", "payout.paid"]);
    let audit = partner.login.list("/v3/audit-log").await;
    let rows: Vec<_> = audit.iter().filter(|row| row["resourceId"] == payout["id"]).collect();
    let acts: Vec<_> = rows.iter().map(|row| (&row["action"], &row["actorType"])).collect();
    assert_eq!(acts.len(), 4);
    assert_eq!(acts[3], (&json!("payout.requested"), &json!("user")));
    assert_eq!(acts[0], (&json!("payout.paid"), &json!("operator")));
    for subject in ["is requested", "is approved", "is paid"] {
        let mail = app.mail_to(&partner.email, subject).await;
        assert!(mail.subject.starts_with("Payout 2026-0001 of 150.00 USD"), "{}", mail.subject);
    }
    assert!(app.mail_to(&partner.email, "is paid").await.text.contains("TRANSFER-1"));
    let explained = partner.login.list("/v3/commissions").await;
    let adjustment = explained.iter().find(|row| row["kind"] == "adjustment").expect("the bonus");
    let path = format!("/v3/commissions/{}/explanation", id(adjustment));
    let explanation = partner.login.get(&path).await.expect(200);
    let kinds: Vec<_> = explanation["postings"].as_array().expect("postings").iter().map(|row| &row["kind"]).collect();
    let each = ["operatorAdjustment", "payoutRequested", "payoutPaid"];
    assert_eq!(kinds, each.iter().flat_map(|kind| [kind, kind]).collect::<Vec<_>>());
}
