//! Work has the time at which it gets its locks: what waited over the end of a month belongs to the next one, and what decides
//! who earns how much does not hold for payments that were applied meanwhile.

use std::sync::{Mutex, mpsc};

use reqwest::Method;
use serde_json::{Value, json};

use super::{account_lock, hold, is_waited_for, on_postgres};
use crate::support::{Answer, Client, TestApp, payment, usd};

/// Sends `request` while somebody holds a lock, who lets go after `meanwhile`, which begins when the request waits for that lock.
async fn held_up<T, M>(
    app: &TestApp,
    lock: String,
    request: impl Future<Output = T>,
    meanwhile: impl Future<Output = M>,
) -> (T, M) {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let watcher = app.database.connect();
    let thread = hold(app, lock, move |_| {
        released.lock().expect("not poisoned").recv().expect("the test lets go");
        Ok(())
    });
    let over = async {
        while !watcher.read_blocking(is_waited_for).expect("the database answers") {
            tokio::task::yield_now().await;
        }
        let done = meanwhile.await;
        release.send(()).expect("somebody holds it");
        done
    };
    let both = tokio::join!(request, over);
    thread.join().expect("no panic").expect("the lock is let go");
    both
}

/// Sends `request` on the last moment of January while somebody holds the lock of an account, over the end of the month; gives
/// January's statement as it was read in February before the lock was let go.
async fn over_the_end_of_january<T>(
    app: &TestApp,
    partner: &Client,
    account_id: &str,
    request: impl Future<Output = T>,
) -> Value {
    app.move_clock("2026-01-31T23:59:59.999Z").await;
    let over = async {
        app.move_clock("2026-02-01T00:00:00Z").await;
        statement(partner, "2026-01").await
    };
    held_up(app, account_lock(account_id), request, over).await.1
}

async fn statement(partner: &Client, month: &str) -> Value {
    partner.get(&format!("/v3/statements/{month}?currency=USD")).await.expect(200)
}

#[test]
fn a_payment_that_waits_over_the_end_of_a_month_changes_no_statement_of_it() {
    on_postgres(async |app| {
        let partner = app.partner().await;
        let (client, container) = app.client_with_container(&partner).await;
        let key = app.api_key(&partner, &["payouts:read"]).await;
        let paid = [payment(&container).at("2026-01-31T23:59:59Z")];
        let january = over_the_end_of_january(app, &key, &client, app.apply(&paid)).await;
        assert_eq!(statement(&key, "2026-01").await, january);
        let february = statement(&key, "2026-02").await;
        assert_eq!((&february["openingBalance"], &february["earned"]), (&january["closingBalance"], &usd("6.00")));
    });
}

#[test]
fn an_adjustment_that_waits_over_the_end_of_a_month_changes_no_statement_of_it() {
    on_postgres(async |app| {
        let partner = app.partner().await;
        let key = app.api_key(&partner, &["payouts:read"]).await;
        let january = over_the_end_of_january(app, &key, &partner.id, app.bonus(&partner, "5.00")).await;
        assert_eq!(statement(&key, "2026-01").await, january);
        let february = statement(&key, "2026-02").await;
        assert_eq!((&february["openingBalance"], &february["adjusted"]), (&january["closingBalance"], &usd("5.00")));
    });
}

#[test]
fn a_schedule_that_waits_over_one_of_its_dates_begins_with_the_next_one() {
    on_postgres(async |app| {
        let partner = app.partner().await;
        app.payout_method(&partner, "USD").await;
        let key = app.api_key(&partner, &["payouts:read"]).await;
        let first_of_month = json!({"type": "monthly", "dayOfMonth": 1});
        over_the_end_of_january(app, &key, &partner.id, partner.login.put("/v3/payout-schedule", &first_of_month))
            .await;
        let schedule = partner.login.get("/v3/payout-schedule").await.expect(200);
        assert_eq!(schedule["nextDates"][0]["scheduledFor"], "2026-03-01T00:00:00.000Z");
    });
}

/// A moment before the one at which a change gets its locks.
const MEANWHILE: &str = "2026-03-01T12:00:00Z";

/// Pays for a container at [`MEANWHILE`]; the commission that came of it, or null.
async fn paid_meanwhile(app: &TestApp, container: &str) -> Value {
    app.move_clock("2026-03-01T12:00:01Z").await;
    app.apply(&[payment(container).at(MEANWHILE)]).await[0]["commissionId"].clone()
}

/// Lets `change` wait for a lock while a payment is made; the commissions of it and of one of the same moment that is applied
/// afterwards.
async fn paid_before_and_after(
    app: &TestApp,
    lock: String,
    container: &str,
    change: impl Future<Output = Answer>,
) -> [Value; 2] {
    app.move_clock("2026-03-01T00:00:00Z").await;
    let (changed, before) = held_up(app, lock, change, paid_meanwhile(app, container)).await;
    assert!(changed.status < 300, "{}", changed.text);
    app.move_clock("2026-03-02T00:00:00Z").await;
    let after = app.apply(&[payment(container).at(MEANWHILE)]).await[0]["commissionId"].clone();
    [before, after]
}

#[test]
fn a_link_that_waits_for_its_locks_begins_when_it_has_them() {
    on_postgres(async |app| {
        let partner = app.partner().await;
        let client = app.standard().await;
        let container = app.own_container(&client).await;
        let path = format!("/v3/operator/accounts/{}/link", client.id);
        let manager = json!({"managerId": partner.id});
        let lock = "SELECT 1 FROM program_versions FOR UPDATE".to_owned();
        let link = app.operator().await.post(&path, &manager);
        assert_eq!(paid_before_and_after(app, lock, &container, link).await, [Value::Null, Value::Null]);
    });
}

#[test]
fn a_transfer_that_waits_for_its_locks_happens_when_it_has_them() {
    on_postgres(async |app| {
        let taker = app.standard().await;
        let partner = app.partner().await;
        let giver = app.invited_client_of(&partner).await;
        let container = app.own_container(&giver).await;
        let path = format!("/v3/containers/{container}/transfer");
        let to = json!({"email": taker.email});
        let transfer = giver.login.post(&path, &to);
        let commissions = paid_before_and_after(app, account_lock(&taker.id), &container, transfer).await;
        assert!(commissions.iter().all(Value::is_string), "{commissions:?}");
    });
}

#[test]
fn a_program_that_waits_for_a_manager_is_in_force_when_it_has_all() {
    on_postgres(async |app| {
        // Managers are locked in the order of their ids: the partner's turn is later.
        let other = app.agency().await;
        let partner = app.partner().await;
        let (_, container) = app.client_with_container(&partner).await;
        let mut program = app.operator().await.get("/v3/operator/program").await.expect(200);
        program["levels"][0]["rates"]["default"] = json!("10");
        let change =
            app.operator().await.request(Method::PUT, "/v3/operator/program").header("if-match", "*").json(&program);
        let commissions = paid_before_and_after(app, account_lock(&other.id), &container, change.send()).await;
        for commission in commissions {
            let path = format!("/v3/commissions/{}", commission.as_str().expect("a commission"));
            assert_eq!(partner.login.get(&path).await.expect(200)["programVersion"], 1);
        }
    });
}

#[test]
fn an_account_that_waits_to_be_blocked_is_blocked_when_its_turn_comes() {
    on_postgres(async |app| {
        let client = app.standard().await;
        let path = format!("/v3/operator/accounts/{}", client.id);
        let reason = json!({"reason": "a test"});
        let (begun, ended) = ("2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z");
        app.move_clock(begun).await;
        let operator = app.operator().await;
        let block_path = format!("{path}/block");
        let block = operator.post(&block_path, &reason);
        held_up(app, account_lock(&client.id), block, app.move_clock(ended)).await.0.expect(200);
        operator.post_nothing(&format!("{path}/unblock")).await.expect(200);
        let events = client.login.list("/v3/events").await;
        let blocked = events.iter().find(|event| event["type"] == "account.blocked").expect("the event");
        assert_eq!(blocked["occurredAt"], ended);
    });
}

#[test]
fn a_pause_between_access_requests_begins_when_the_revocation_has_its_locks() {
    on_postgres(async |app| {
        let agency = app.agency().await;
        let client = app.invited_client_of(&agency).await;
        let revoke = client.login.delete("/v3/manager/access");
        app.move_clock("2026-03-01T00:00:00Z").await;
        let meanwhile = app.move_clock("2026-03-01T01:00:00Z");
        held_up(app, account_lock(&agency.id), revoke, meanwhile).await.0.expect(204);
        let path = format!("/v3/sub-accounts/{}/access-requests", client.id);
        app.move_clock("2026-03-02T00:59:59Z").await;
        agency.login.post_nothing(&path).await.problem("accessRequestTooSoon");
        app.move_clock("2026-03-02T01:00:00Z").await;
        agency.login.post_nothing(&path).await.expect(201);
    });
}
