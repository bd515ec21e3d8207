//! What the time of an answer could tell: it takes as long to say no to what is there as to what is not.
//!
//! The two are asked in turn, and the middle one of many times counts, so that a busy machine is busy for both.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, both_engines, id, new_email};

both_engines!(
    a_foreign_resource_takes_as_long_as_a_missing_one,
    a_refused_attach_takes_as_long_for_an_email_that_somebody_has,
    a_refused_sign_in_takes_as_long_for_an_email_that_somebody_has,
);

/// A password that is not hashed is told a hundred times faster, a missing query by a third: nothing between them is claimed.
const FACTOR: u32 = 4;

/// Below this a difference is the machine's.
const NOISE: Duration = Duration::from_millis(5);

/// Asks each in turn and compares their middle times.
async fn take_as_long<const N: usize>(rounds: usize, names: [&str; N], ask: impl AsyncFn(usize) -> Answer) {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (which, times) in times.iter_mut().enumerate() {
            let begun = Instant::now();
            let answer = ask(which).await;
            times.push(begun.elapsed());
            assert!((400..500).contains(&answer.status), "{}: {}", names[which], answer.text);
        }
    }
    let middle = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let (shortest, longest) = (middle.iter().min().expect("times"), middle.iter().max().expect("times"));
    assert!(*longest <= *shortest * FACTOR + NOISE, "{names:?}: {middle:?}");
}

async fn a_refused_sign_in_takes_as_long_for_an_email_that_somebody_has(app: &TestApp) {
    let agency = app.agency().await;
    // Made by its manager, and never given a password.
    let client = app.client_of(&agency).await;
    let without = agency.login.get(&format!("/v3/sub-accounts/{client}")).await.expect(200)["email"].clone();
    let emails = [json!(agency.email), without, json!(new_email())];
    let bodies: [Value; 3] = emails.map(|email| json!({"email": email, "password": "not the password at all"}));
    let visitor = app.visitor();
    let first = visitor.post("/v3/sessions", &bodies[0]).await;
    let names = ["a wrong password", "nobody's password", "an unknown e-mail"];
    take_as_long(7, names, async |which: usize| {
        let answer = visitor.post("/v3/sessions", &bodies[which]).await;
        assert_eq!((answer.status, &answer.body()["detail"]), (first.status, &first.body()["detail"]));
        answer
    })
    .await;
}

async fn a_refused_attach_takes_as_long_for_an_email_that_somebody_has(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    let managed = app.invited_client_of(&other).await;
    let free = app.standard().await;
    app.own_container(&free).await;
    let emails = [managed.email, free.email, other.email.clone(), new_email()];
    let bodies = emails.map(|email| json!({"email": email, "containerName": "not its name"}));
    let names = ["a managed client", "a client without this container", "a manager", "an unknown e-mail"];
    take_as_long(31, names, async |which: usize| agency.login.post("/v3/sub-accounts/attach", &bodies[which]).await)
        .await;
}

async fn a_foreign_resource_takes_as_long_as_a_missing_one(app: &TestApp) {
    let (partner, rival) = (app.partner().await, app.partner().await);
    let (client, container) = app.client_with_container(&partner).await;
    let commission = id(&app.commission(&partner, &container).await);
    for (path, foreign) in [("sub-accounts", client), ("containers", container), ("commissions", commission)] {
        let (kind, _) = foreign.split_once('_').expect("a kind");
        let missing = format!("{kind}_01KB0H6Q4N7ZJ8R5T3V9WXY2AC");
        let paths = [foreign, missing].map(|id| format!("/v3/{path}/{id}"));
        take_as_long(31, ["a foreign id", "a missing id"], async |which: usize| rival.login.get(&paths[which]).await)
            .await;
    }
}
