//! Payout schedules: what can be set, the next dates, and what a due date does.

use serde_json::{Value, json};
use stape_api::clock::Clock;
use stape_api::db::Conn;
use stape_api::{payout_schedules, verify};

use crate::support::{Account, PASSWORD, TestApp, both_engines, feed, payment, places, usd};

both_engines!(
    a_balance_at_the_minimum_waits_for_the_next_date,
    a_blocked_partner_and_an_agency_wait_for_the_next_date,
    a_change_of_the_method_holds_its_date_for_72_hours,
    a_date_is_taken_once_by_many_servers,
    a_due_date_requests_the_payout,
    a_held_date_is_taken_when_the_hold_ends,
    a_new_schedule_has_new_dates,
    a_quarterly_schedule_skips_the_months_between,
    a_schedule_is_manual_until_it_is_set,
    after_an_outage_only_the_latest_date_counts,
    every_broken_rule_of_a_schedule_is_named,
    one_account_that_fails_does_not_stop_the_others,
    schedules_are_an_owners_affair,
    the_dates_of_each_currency_follow_its_method,
    verify_finds_a_wrong_date,
);

const PATH: &str = "/v3/payout-schedule";

fn monthly(day: i32) -> Value {
    json!({"type": "monthly", "dayOfMonth": day})
}

async fn next_dates(account: &Account) -> Value {
    account.login.get("/v3/payout-schedule").await.expect(200)["nextDates"].clone()
}

async fn a_schedule_is_manual_until_it_is_set(app: &TestApp) {
    let agency = app.agency().await;
    let manual = json!({"type": "manual", "dayOfMonth": null, "minimums": [], "nextDates": []});
    assert_eq!(agency.login.get("/v3/payout-schedule").await.expect(200), manual);
    let body = json!({
        "type": "quarterly", "dayOfMonth": 28,
        "minimums": [{"amount": "500.00", "currency": "USD"}, {"amount": "100.00", "currency": "EUR"}],
    });
    let set = agency.login.put(PATH, &body).await.expect(200);
    let expected = json!({
        "type": "quarterly", "dayOfMonth": 28, "nextDates": [],
        "minimums": [{"amount": "100.00", "currency": "EUR"}, {"amount": "500.00", "currency": "USD"}],
    });
    assert_eq!(set, expected);
    assert_eq!(agency.login.get("/v3/payout-schedule").await.expect(200), expected);
    assert_eq!(agency.login.put(PATH, &json!({"type": "manual"})).await.expect(200), manual);
    let all = feed(&agency.login).await;
    let changes = all.iter().filter(|(kind, id)| kind == "payoutSchedule.changed" && *id == agency.id);
    assert_eq!(changes.count(), 2);
    let log = agency.login.list("/v3/audit-log").await;
    assert_eq!(log[0]["action"], "payoutSchedule.changed");
    assert_eq!(
        (&log[0]["details"]["before"]["type"], &log[0]["details"]["after"]["type"]),
        (&json!("quarterly"), &json!("manual"))
    );
}

async fn every_broken_rule_of_a_schedule_is_named(app: &TestApp) {
    let agency = app.agency().await;
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let refused: [(Value, &[&str]); 9] = [
        (json!({"type": "manual", "dayOfMonth": 1}), &["/dayOfMonth"]),
        (json!({"type": "monthly"}), &["/dayOfMonth"]),
        (json!({"type": "quarterly", "dayOfMonth": null}), &["/dayOfMonth"]),
        (json!({"type": "monthly", "dayOfMonth": 0}), &["/dayOfMonth"]),
        (
            json!({"type": "monthly", "dayOfMonth": 29, "minimums": [usd("99.99"), usd("100.00"), {"amount": "1000", "currency": "JPY"}]}),
            &["/dayOfMonth", "/minimums/0/amount", "/minimums/1/currency", "/minimums/2/currency"],
        ),
        (json!({"type": "monthly", "dayOfMonth": 1, "minimums": [usd("-500.00")]}), &["/minimums/0/amount"]),
        (json!({"type": "weekly", "dayOfMonth": 1}), &["/type"]),
        (json!({"type": "monthly", "dayOfMonth": 1, "currency": "USD"}), &["/currency"]),
        (json!({"dayOfMonth": 1}), &["/type"]),
    ];
    for (body, expected) in refused {
        let problem = agency.login.put(PATH, &body).await.problem("validationFailed");
        assert_eq!(places(&problem), expected, "{body}");
    }
    assert_eq!(agency.login.get("/v3/payout-schedule").await.expect(200)["type"], "manual");
}

async fn schedules_are_an_owners_affair(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let key = app.api_key(&agency, &["payouts:read", "payouts:write"]).await;
    let member = json!({"email": "max@example.com", "firstName": "M", "lastName": "M", "role": "member"});
    agency.login.post("/v3/members", &member).await.expect(201);
    let token = app.mail_to("max@example.com", "invites you to its team").await.token();
    let confirm = json!({"token": token, "password": "Viola+lantern-7"});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    let member = app.sign_in("max@example.com", "Viola+lantern-7").await;
    for (caller, code) in [
        (&member, "ownerRequired"),
        (&key, "ownerRequired"),
        (&client.login, "wrongAccountKind"),
        (app.operator().await, "wrongAccountKind"),
        (&app.visitor(), "authenticationRequired"),
    ] {
        caller.get("/v3/payout-schedule").await.problem(code);
        caller.put(PATH, &monthly(1)).await.problem(code);
    }
    app.agency().await.login.put(PATH, &monthly(5)).await.expect(200);
    assert_eq!(agency.login.get("/v3/payout-schedule").await.expect(200)["type"], "manual");
}

async fn the_dates_of_each_currency_follow_its_method(app: &TestApp) {
    let agency = app.agency().await;
    agency.login.put(PATH, &monthly(15)).await.expect(200);
    assert_eq!(next_dates(&agency).await, json!([]));
    app.payout_method(&agency, "USD").await;
    app.payout_method(&agency, "EUR").await;
    let date = |currency: &str| json!({"currency": currency, "scheduledFor": "2026-01-15T00:00:00.000Z", "dueAt": "2026-01-15T00:00:00.000Z"});
    assert_eq!(next_dates(&agency).await, json!([date("EUR"), date("USD")]));
    agency.login.delete("/v3/payout-methods/USD").await.expect(204);
    assert_eq!(next_dates(&agency).await, json!([date("EUR")]));
    agency.login.put(PATH, &json!({"type": "manual"})).await.expect(200);
    assert_eq!(next_dates(&agency).await, json!([]));
}

async fn a_new_schedule_has_new_dates(app: &TestApp) {
    let agency = app.agency().await;
    app.payout_method(&agency, "EUR").await;
    app.move_clock("2026-01-10T00:00:00.000Z").await;
    for (body, expected) in [
        (monthly(10), "2026-02-10T00:00:00.000Z"),
        (monthly(11), "2026-01-11T00:00:00.000Z"),
        (json!({"type": "quarterly", "dayOfMonth": 10}), "2026-04-10T00:00:00.000Z"),
        (json!({"type": "quarterly", "dayOfMonth": 28}), "2026-01-28T00:00:00.000Z"),
    ] {
        agency.login.put(PATH, &body).await.expect(200);
        assert_eq!(next_dates(&agency).await[0]["scheduledFor"], expected, "{body}");
    }
}

async fn a_change_of_the_method_holds_its_date_for_72_hours(app: &TestApp) {
    let agency = app.agency().await;
    app.payout_method(&agency, "EUR").await;
    agency.login.put(PATH, &monthly(15)).await.expect(200);
    app.move_clock("2026-01-14T00:00:00.000Z").await;
    app.payout_method(&agency, "EUR").await;
    let held = json!([{
        "currency": "EUR", "scheduledFor": "2026-01-15T00:00:00.000Z", "dueAt": "2026-01-17T00:00:00.000Z",
    }]);
    assert_eq!(next_dates(&agency).await, held);
    // The date has come and goes on waiting, also when the method changes once more.
    app.move_clock("2026-01-16T00:00:00.000Z").await;
    assert_eq!(next_dates(&agency).await, held);
    app.payout_method(&agency, "EUR").await;
    assert_eq!(next_dates(&agency).await[0]["scheduledFor"], "2026-01-15T00:00:00.000Z");
    assert_eq!(next_dates(&agency).await[0]["dueAt"], "2026-01-19T00:00:00.000Z");
    // Another schedule without that date drops it.
    agency.login.put(PATH, &monthly(20)).await.expect(200);
    assert_eq!(next_dates(&agency).await[0]["scheduledFor"], "2026-01-20T00:00:00.000Z");
}

/// A partner with a method for dollars, a monthly schedule on the 15th, and so much of them ready.
async fn scheduled(app: &TestApp, amount: &str) -> Account {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    partner.login.put(PATH, &monthly(15)).await.expect(200);
    app.bonus(&partner, amount).await;
    partner
}

/// Amounts of all payouts, oldest first.
async fn amounts(partner: &Account) -> Vec<String> {
    let payouts = partner.login.list("/v3/payouts").await;
    let amount = |payout: &Value| payout["amount"]["amount"].as_str().expect("an amount").to_owned();
    payouts.iter().rev().map(amount).collect()
}

async fn a_due_date_requests_the_payout(app: &TestApp) {
    let partner = scheduled(app, "10.00").await;
    let (_, container) = app.client_with_container(&partner).await;
    // Ready at the beginning of the 15th: what falls due with the date is part of it.
    app.apply(&[payment(&container).with("amount", usd("500.00")).with("tax", usd("0.00"))]).await;
    app.move_clock("2026-01-14T23:59:59.999Z").await;
    assert!(amounts(&partner).await.is_empty());
    app.move_clock("2026-01-15T00:00:00.000Z").await;
    let payouts = partner.login.list("/v3/payouts").await;
    assert_eq!(payouts.len(), 1);
    let at = json!("2026-01-15T00:00:00.000Z");
    assert_eq!((&payouts[0]["amount"], &payouts[0]["requestedAt"]), (&usd("160.00"), &at));
    assert_eq!((&payouts[0]["requestedBy"], &payouts[0]["status"]), (&json!("schedule"), &json!("requested")));
    assert_eq!(next_dates(&partner).await[0]["scheduledFor"], "2026-02-15T00:00:00.000Z");
    let log = partner.login.list("/v3/audit-log").await;
    let row = log.iter().find(|row| row["action"] == "payout.requested").expect("an audit row");
    assert_eq!(row["actorType"], "system");
    assert!(feed(&partner.login).await.iter().any(|(kind, _)| kind == "payout.requested"));
}

async fn a_balance_at_the_minimum_waits_for_the_next_date(app: &TestApp) {
    let partner = scheduled(app, "100.00").await;
    app.move_clock("2026-01-15T00:00:00.000Z").await;
    app.bonus(&partner, "0.01").await;
    app.move_clock("2026-02-14T00:00:00.000Z").await;
    assert!(amounts(&partner).await.is_empty());
    app.move_clock("2026-02-15T00:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["100.01"]);
    let own = json!({"type": "monthly", "dayOfMonth": 15, "minimums": [usd("500.00")]});
    partner.login.put(PATH, &own).await.expect(200);
    app.bonus(&partner, "500.00").await;
    app.move_clock("2026-03-15T00:00:00.000Z").await;
    assert_eq!(amounts(&partner).await.len(), 1);
    app.bonus(&partner, "0.01").await;
    app.move_clock("2026-04-15T00:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["100.01", "500.01"]);
}

async fn after_an_outage_only_the_latest_date_counts(app: &TestApp) {
    let partner = scheduled(app, "150.00").await;
    app.move_clock("2026-06-20T12:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["150.00"]);
    assert_eq!(next_dates(&partner).await[0]["scheduledFor"], "2026-07-15T00:00:00.000Z");
    app.bonus(&partner, "200.00").await;
    app.move_clock("2026-07-14T23:59:59.000Z").await;
    assert_eq!(amounts(&partner).await.len(), 1);
    app.move_clock("2026-07-15T00:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["150.00", "200.00"]);
}

async fn a_quarterly_schedule_skips_the_months_between(app: &TestApp) {
    let partner = scheduled(app, "150.00").await;
    app.move_clock("2026-01-14T00:00:00.000Z").await;
    let quarterly = json!({"type": "quarterly", "dayOfMonth": 10});
    let set = partner.login.put(PATH, &quarterly).await.expect(200);
    assert_eq!(set["nextDates"][0]["scheduledFor"], "2026-04-10T00:00:00.000Z");
    for month in ["02", "03"] {
        app.move_clock(&format!("2026-{month}-28T00:00:00.000Z")).await;
    }
    assert!(amounts(&partner).await.is_empty());
    app.move_clock("2026-04-10T00:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["150.00"]);
    assert_eq!(next_dates(&partner).await[0]["scheduledFor"], "2026-07-10T00:00:00.000Z");
}

async fn a_held_date_is_taken_when_the_hold_ends(app: &TestApp) {
    let partner = scheduled(app, "150.00").await;
    app.move_clock("2026-01-14T12:00:00.000Z").await;
    app.payout_method(&partner, "USD").await;
    app.move_clock("2026-01-17T11:59:59.000Z").await;
    assert!(amounts(&partner).await.is_empty());
    app.move_clock("2026-01-17T12:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["150.00"]);
    let next = json!({
        "currency": "USD", "scheduledFor": "2026-02-15T00:00:00.000Z", "dueAt": "2026-02-15T00:00:00.000Z",
    });
    assert_eq!(next_dates(&partner).await, json!([next]));
}

async fn a_blocked_partner_and_an_agency_wait_for_the_next_date(app: &TestApp) {
    let partner = scheduled(app, "150.00").await;
    let agency = app.agency().await;
    app.payout_method(&agency, "USD").await;
    agency.login.put(PATH, &monthly(15)).await.expect(200);
    let operator = app.operator().await;
    let account = format!("/v3/operator/accounts/{}", partner.id);
    operator.post(&format!("{account}/block"), &json!({"reason": "a test"})).await.expect(200);
    app.move_clock("2026-01-15T00:00:00.000Z").await;
    operator.post_nothing(&format!("{account}/unblock")).await.expect(200);
    app.move_clock("2026-02-14T00:00:00.000Z").await;
    let partner = Account { login: app.sign_in(&partner.email, PASSWORD).await, ..partner };
    assert!(amounts(&partner).await.is_empty());
    app.move_clock("2026-02-15T00:00:00.000Z").await;
    assert_eq!(amounts(&partner).await, ["150.00"]);
    assert!(amounts(&agency).await.is_empty());
    assert_eq!(next_dates(&agency).await[0]["scheduledFor"], "2026-03-15T00:00:00.000Z");
}

async fn a_date_is_taken_once_by_many_servers(app: &TestApp) {
    let mut partners = Vec::new();
    for _ in 0..3 {
        partners.push(scheduled(app, "150.00").await);
    }
    let clock = Clock::standing_at("2026-01-15T00:00:00Z".parse().expect("a time"));
    let servers = (0..4).map(|_| {
        let (db, clock) = (app.database.connect(), clock.clone());
        std::thread::spawn(move || payout_schedules::request_due(&db, &clock).expect("the duty is done"))
    });
    let taken: Vec<usize> =
        servers.collect::<Vec<_>>().into_iter().map(|server| server.join().expect("no panic")).collect();
    assert_eq!(taken.iter().sum::<usize>(), partners.len(), "{taken:?}");
    app.move_clock("2026-01-15T00:00:00.000Z").await;
    for partner in &partners {
        assert_eq!(amounts(partner).await, ["150.00"]);
    }
}

async fn one_account_that_fails_does_not_stop_the_others(app: &TestApp) {
    let (broken, other) = (scheduled(app, "150.00").await, scheduled(app, "150.00").await);
    let set = |minimums: &str| {
        format!("UPDATE payout_schedules SET minimums = '{minimums}' WHERE account_id = '{}'", &broken.id[4..])
    };
    write(app, set("not JSON"));
    app.move_clock("2026-01-15T00:00:00.000Z").await;
    assert_eq!(amounts(&other).await, ["150.00"]);
    assert!(amounts(&broken).await.is_empty());
    write(app, set("{}"));
    app.move_clock("2026-01-15T00:00:01.000Z").await;
    assert_eq!(amounts(&broken).await, ["150.00"]);
}

fn write(app: &TestApp, sql: String) {
    let run = move |conn: &mut Conn| Ok(diesel::connection::SimpleConnection::batch_execute(conn, &sql)?);
    app.database.connect().write_blocking(run).expect("a row behind the product's back");
}

async fn verify_finds_a_wrong_date(app: &TestApp) {
    let partner = scheduled(app, "1.00").await;
    let found = || {
        let all = |conn: &mut Conn| verify::run(conn, "2026-01-01T00:00:00Z".parse().expect("a time"), |_| {});
        app.database.connect().snapshot_blocking(all).expect("verify can run").join("; ")
    };
    let set = |time: &str| {
        write(app, format!("UPDATE scheduled_payouts SET scheduled_for = '{time}', due_at = '{time}'"));
    };
    assert_eq!(found(), "");
    set("2026-01-16 00:00:00");
    assert!(found().contains(&format!("{}: whether the schedule has the date of the next payout in USD", partner.id)));
    set("2026-01-15 00:00:00");
    assert_eq!(found(), "");
    write(app, "UPDATE scheduled_payouts SET due_at = '2026-01-14 00:00:00'".to_owned());
    assert!(found().contains("due time of the next payout in USD"));
    write(app, "DELETE FROM scheduled_payouts".to_owned());
    assert!(found().contains("currencies with a next payout date: stored [], computed [USD]"), "{}", found());
    partner.login.put(PATH, &monthly(15)).await.expect(200);
    assert_eq!(found(), "");
}
