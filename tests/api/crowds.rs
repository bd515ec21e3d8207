//! Many who want the same at the same moment: one gets it, once, however often it is tried.
//!
//! `STAPE_CROWD_ROUNDS=200 STAPE_CROWD_KEYS=100 cargo test --test api crowds::` is the full size; by default a few.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::{TestApp, both_engines, id, new_key, usd};

both_engines!(
    of_64_payout_requests_at_once_on_one_balance_exactly_one_succeeds_each_time,
    one_hundred_identical_requests_at_once_have_one_effect_per_key,
);

/// Requests at once on one balance.
const PAYOUT_REQUESTS: usize = 64;

/// Requests at once with one key.
const TWINS: usize = 100;

fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

async fn of_64_payout_requests_at_once_on_one_balance_exactly_one_succeeds_each_time(app: &TestApp) {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    app.bonus(&partner, "150.00").await;
    let key = app.api_key(&partner, &["payouts:read", "payouts:write"]).await;
    let rounds = size("STAPE_CROWD_ROUNDS", 3);
    for round in 1..=rounds {
        let body = json!({"currency": "USD"});
        let answers = join_all((0..PAYOUT_REQUESTS).map(|_| key.post_once("/v3/payouts", &body))).await;
        let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!(created.len(), 1, "round {round}");
        // On a busy machine some find every connection taken.
        for answer in refused.into_iter().filter(|answer| answer.status != 503) {
            answer.problem("belowMinimum");
        }
        let balances = key.get("/v3/ledger/balances").await.expect(200);
        assert_eq!(
            (&balances["data"][0]["ready"], &balances["data"][0]["inPayout"]),
            (&usd("0.00"), &usd("150.00")),
            "round {round}"
        );
        for payout in created {
            app.step(&payout.expect(201), "reject").await;
        }
    }
    assert_eq!(key.list("/v3/payouts").await.len(), rounds);
}

async fn one_hundred_identical_requests_at_once_have_one_effect_per_key(app: &TestApp) {
    let partner = app.partner().await;
    let path = "/v3/operator/adjustments";
    let operator = app.operator().await;
    let keys = size("STAPE_CROWD_KEYS", 3);
    let body = json!({"accountId": partner.id, "amount": usd("1.00"), "reason": "bonus", "note": "a test"});
    let mut made = BTreeSet::new();
    for _ in 0..keys {
        let key = new_key();
        let send = || operator.request(Method::POST, path).header("idempotency-key", &key).json(&body).send();
        let answers = join_all((0..TWINS).map(|_| send())).await;
        let first: Vec<_> = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).collect();
        let effects = first.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(effects, 1, "one does it, and all others get its answer or come again");
        for answer in answers {
            // A twin may find the first one still at work, or every connection taken, and comes again.
            let answer = if [409, 503].contains(&answer.status) { send().await } else { answer };
            made.insert(id(&answer.expect(201)));
        }
    }
    assert_eq!(made.len(), keys);
    assert_eq!(partner.login.list("/v3/commissions?kind=adjustment").await.len(), keys);
}
