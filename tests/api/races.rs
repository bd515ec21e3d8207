//! Different wishes about one thing at the same moment: one comes true, the others are refused, and the books agree.

use std::collections::BTreeMap;

use futures_util::future::{LocalBoxFuture, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Account, Answer, PASSWORD, TestApp, both_engines, id, new_email, new_key, payment, refund, usd};

both_engines!(
    a_client_is_linked_to_one_manager_and_detached_once,
    a_container_is_transferred_or_deleted_and_paid_all_the_same,
    a_payout_that_came_back_is_returned_once,
    a_payout_is_approved_canceled_or_rejected,
    a_payout_is_paid_or_failed,
    a_refund_counts_once_beside_a_payout_request,
    a_request_to_the_operator_is_done_or_declined,
    the_last_of_two_owners_stays,
);

/// How often each race is run.
const ROUNDS: usize = 4;

type Wish<'a> = LocalBoxFuture<'a, Answer>;

/// Sends all at once; how many got each status. Nothing fails.
async fn at_once(wishes: Vec<Wish<'_>>) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for answer in join_all(wishes).await {
        assert!(answer.status < 500, "{}", answer.text);
        *statuses.entry(answer.status).or_default() += 1;
    }
    statuses
}

async fn payable(app: &TestApp) -> Account {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    app.bonus(&partner, "150.00").await;
    partner
}

async fn step(app: &TestApp, payout: &Value, step: &str, body: Value) -> Answer {
    app.operator().await.post(&format!("/v3/operator/payouts/{}/{step}", id(payout)), &body).await
}

async fn status(partner: &Account, payout: &Value) -> String {
    let payout = partner.login.get(&format!("/v3/payouts/{}", id(payout))).await.expect(200);
    payout["status"].as_str().expect("a status").to_owned()
}

async fn balance(partner: &Account) -> [Value; 3] {
    let balances = partner.login.get("/v3/ledger/balances").await.expect(200);
    ["ready", "inPayout", "paid"].map(|name| balances["data"][0][name]["amount"].clone())
}

async fn a_payout_is_approved_canceled_or_rejected(app: &TestApp) {
    let partner = payable(app).await;
    for _ in 0..ROUNDS {
        let payout = app.payout(&partner).await;
        let cancel = format!("/v3/payouts/{}/cancel", id(&payout));
        let no_fields = json!({});
        let wishes: Vec<Wish> = vec![
            Box::pin(partner.login.post_once(&cancel, &no_fields)),
            Box::pin(step(app, &payout, "approve", json!({}))),
            Box::pin(step(app, &payout, "reject", json!({"reason": "a test"}))),
            Box::pin(step(app, &payout, "start", json!({}))),
        ];
        let statuses = at_once(wishes).await;
        let now = status(&partner, &payout).await;
        // An approved one may still be rejected or started.
        let done = statuses.get(&200).copied().unwrap_or_default();
        assert!((1..=2).contains(&done) && statuses.get(&409) == Some(&(4 - done)), "{now}: {statuses:?}");
        match now.as_str() {
            "approved" => drop(app.step(&payout, "reject").await),
            "processing" => drop(app.step(&payout, "fail").await),
            "canceled" | "rejected" => {}
            other => panic!("{other}"),
        }
        assert_eq!(balance(&partner).await, ["150.00", "0.00", "0.00"]);
    }
}

async fn a_payout_is_paid_or_failed(app: &TestApp) {
    let partner = payable(app).await;
    let mut paid = 0;
    for _ in 0..ROUNDS {
        let payout = app.payout(&partner).await;
        app.step(&payout, "approve").await;
        app.step(&payout, "start").await;
        let wishes: Vec<Wish> = (0..8)
            .map(|number| -> Wish {
                match number % 2 {
                    0 => Box::pin(step(app, &payout, "confirm", json!({"reference": "TRANSFER-1"}))),
                    _ => Box::pin(step(app, &payout, "fail", json!({"reason": "a test"}))),
                }
            })
            .collect();
        assert_eq!(at_once(wishes).await, BTreeMap::from([(200, 1), (409, 7)]));
        if status(&partner, &payout).await == "paid" {
            paid += 1;
            app.bonus(&partner, "150.00").await;
        }
        assert_eq!(balance(&partner).await, [json!("150.00"), json!("0.00"), json!(format!("{}.00", paid * 150))]);
    }
}

async fn a_payout_that_came_back_is_returned_once(app: &TestApp) {
    let partner = payable(app).await;
    let payout = app.payout(&partner).await;
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    let operator = app.operator().await;
    let body = json!({"accountId": partner.id, "amount": usd("150.00"), "reason": "payoutReturned", "note": "a test",
        "payoutId": id(&payout)});
    let wishes = (0..8).map(|_| -> Wish { Box::pin(operator.post_once("/v3/operator/adjustments", &body)) });
    assert_eq!(at_once(wishes.collect()).await, BTreeMap::from([(201, 1), (409, 7)]));
    assert_eq!(balance(&partner).await, ["150.00", "0.00", "150.00"]);
}

async fn a_refund_counts_once_beside_a_payout_request(app: &TestApp) {
    let partner = payable(app).await;
    let (_, container) = app.client_with_container(&partner).await;
    for _ in 0..ROUNDS {
        let paid = payment(&container);
        app.apply(std::slice::from_ref(&paid)).await;
        let operator = app.operator().await;
        // Any two of these are more than was paid.
        let refunds: Vec<Value> =
            ["24.00", "16.00", "13.00"].map(|amount| json!({"events": [refund(&paid, &usd(amount)).0]})).into();
        let wanted = json!({"currency": "USD"});
        let requests = (0..3).map(|_| partner.login.post_once("/v3/payouts", &wanted));
        let events = refunds.iter().map(|batch| operator.post("/v3/operator/billing-events", batch));
        let (requests, events) =
            futures_util::future::join(join_all(requests.collect::<Vec<_>>()), join_all(events)).await;
        let outcomes: Vec<Value> =
            events.into_iter().map(|answer| answer.expect(200)["results"][0]["outcome"].clone()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "applied").count(), 1, "{outcomes:?}");
        for answer in requests {
            if answer.status == 201 {
                let cancel = format!("/v3/payouts/{}/cancel", id(&answer.body()));
                partner.login.post_once(&cancel, &json!({})).await.expect(200);
            } else {
                answer.problem("belowMinimum");
            }
        }
    }
    assert_eq!(balance(&partner).await, ["150.00", "0.00", "0.00"]);
}

async fn the_last_of_two_owners_stays(app: &TestApp) {
    for round in 0..ROUNDS {
        let agency = app.agency().await;
        let email = new_email();
        let person = json!({"email": email, "firstName": "A", "lastName": "B", "role": "owner"});
        let second = id(&agency.login.post("/v3/members", &person).await.expect(201));
        let token = app.mail_to(&email, "invites you").await.token();
        let confirm = json!({"token": token, "password": PASSWORD});
        app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
        let other = app.sign_in(&email, PASSWORD).await;
        let members = agency.login.list("/v3/members").await;
        let first = members.iter().map(id).find(|member| *member != second).expect("the first owner");
        let member = json!({"role": "member"});
        let (first, second) = (format!("/v3/members/{first}"), format!("/v3/members/{second}"));
        let wishes: Vec<Wish> = match round % 2 {
            0 => vec![Box::pin(agency.login.delete(&second)), Box::pin(other.delete(&first))],
            _ => vec![Box::pin(agency.login.patch(&second, &member)), Box::pin(other.patch(&first, &member))],
        };
        let statuses = at_once(wishes).await;
        let done = statuses.get(&204).or(statuses.get(&200));
        assert_eq!(done, Some(&1), "{statuses:?}");
    }
}

async fn a_client_is_linked_to_one_manager_and_detached_once(app: &TestApp) {
    let (one, other, client) = (app.agency().await, app.agency().await, app.standard().await);
    let operator = app.operator().await;
    for _ in 0..ROUNDS {
        let link = format!("/v3/operator/accounts/{}/link", client.id);
        let bodies = [&one, &other, &one, &other].map(|manager| json!({"managerId": manager.id}));
        let wishes = bodies.iter().map(|body| -> Wish { Box::pin(operator.post(&link, body)) });
        assert_eq!(at_once(wishes.collect()).await, BTreeMap::from([(200, 1), (409, 3)]));
        let detach = format!("/v3/operator/accounts/{}/detach", client.id);
        let by_manager = format!("/v3/sub-accounts/{}/detach", client.id);
        let wishes: Vec<Wish> = vec![
            Box::pin(client.login.delete("/v3/manager")),
            Box::pin(operator.post_nothing(&detach)),
            Box::pin(one.login.post_nothing(&by_manager)),
            Box::pin(other.login.post_nothing(&by_manager)),
        ];
        let statuses = at_once(wishes).await;
        let done: usize = statuses.iter().filter(|(status, _)| **status < 300).map(|(_, count)| count).sum();
        assert_eq!(done, 1, "{statuses:?}");
    }
}

async fn a_container_is_transferred_or_deleted_and_paid_all_the_same(app: &TestApp) {
    let (giver, taker) = (app.standard().await, app.standard().await);
    for _ in 0..ROUNDS {
        let container = app.own_container(&giver).await;
        let path = format!("/v3/containers/{container}");
        let transfer = format!("{path}/transfer");
        let (to, batch) = (json!({"email": taker.email}), json!({"events": [payment(&container).0]}));
        let wishes: Vec<Wish> = vec![
            Box::pin(giver.login.post(&transfer, &to)),
            Box::pin(giver.login.delete(&path)),
            Box::pin(
                giver.login.request(Method::POST, &transfer).header("idempotency-key", &new_key()).json(&to).send(),
            ),
        ];
        let (statuses, paid) = futures_util::future::join(
            at_once(wishes),
            app.operator().await.post("/v3/operator/billing-events", &batch),
        )
        .await;
        assert_eq!(paid.expect(200)["results"][0]["outcome"], "applied");
        let done: usize = statuses.iter().filter(|(status, _)| **status < 300).map(|(_, count)| count).sum();
        assert_eq!(done, 1, "{statuses:?}");
        giver.login.get(&path).await.problem("notFound");
    }
}

async fn a_request_to_the_operator_is_done_or_declined(app: &TestApp) {
    let client = app.standard().await;
    let operator = app.operator().await;
    for _ in 0..ROUNDS {
        let container = app.own_container(&client).await;
        let path = format!("/v3/containers/{container}");
        let (change, cancel) = (format!("{path}/change-plan"), format!("{path}/cancel"));
        let plans = ["pro", "business"].map(|plan| json!({"plan": plan, "billingPeriod": "monthly"}));
        let mut wishes: Vec<Wish> =
            plans.iter().map(|plan| -> Wish { Box::pin(client.login.post(&change, plan)) }).collect();
        wishes.push(Box::pin(client.login.post_nothing(&cancel)));
        let statuses = at_once(wishes).await;
        assert_eq!(statuses.get(&202), Some(&1), "{statuses:?}");
        let pending = client.login.get(&path).await.expect(200)["pendingRequest"].clone();
        let decline = format!("/v3/operator/requests/{}/decline", id(&pending));
        let reason = json!({"reason": "a test"});
        let event = crate::support::subscription(&container).with("requestId", pending["id"].clone());
        let batch = json!({"events": [event.0]});
        let refusals = (0..3).map(|_| operator.post(&decline, &reason));
        let (declined, applied) = futures_util::future::join(
            join_all(refusals.collect::<Vec<_>>()),
            operator.post("/v3/operator/billing-events", &batch),
        )
        .await;
        let outcome = applied.expect(200)["results"][0]["outcome"].clone();
        let declined = declined.iter().filter(|answer| answer.status == 200).count();
        assert!(declined <= 1 && (declined == 1 || outcome == "applied"), "{declined} {outcome}");
        assert_eq!(client.login.get(&path).await.expect(200)["pendingRequest"], Value::Null);
    }
}
