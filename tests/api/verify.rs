//! What `verify` finds: each contradiction between rows that it reads, and nothing where all is well.

use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::{QueryDsl, RunQueryDsl};
use serde_json::json;
use stape_api::db::schema::commissions;
use stape_api::db::{Conn, DatabaseUrl, Db, Options};
use stape_api::error::{Error, Result};
use stape_api::verify;

use crate::support::{Account, Engine, TestApp, both_engines, id, payment, refund, run, usd};

both_engines!(
    a_commission_that_contradicts_its_payment_is_named,
    a_ledger_that_contradicts_its_rows_is_named,
    a_payout_that_contradicts_itself_is_named,
    a_time_that_contradicts_a_status_is_named,
);

/// Where the test clock stands in the end.
const NOW: &str = "2026-01-16T00:00:00.000Z";

/// A partner with rows in every place: a commission in review, an adjustment that is ready, an open payout with the return of
/// a paid one and a refund in it, and one that was canceled.
async fn books(app: &TestApp) -> Account {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.payout_method(&partner, "USD").await;
    let paid_for = payment(&container);
    app.apply(std::slice::from_ref(&paid_for)).await;
    app.bonus(&partner, "150.00").await;
    app.move_clock(NOW).await;
    let canceled = app.payout(&partner).await;
    partner.login.post_once(&format!("/v3/payouts/{}/cancel", id(&canceled)), &json!({})).await.expect(200);
    let paid = app.payout(&partner).await;
    for step in ["approve", "start", "confirm"] {
        app.step(&paid, step).await;
    }
    let returned = json!({
        "accountId": partner.id, "amount": paid["amount"], "reason": "payoutReturned", "note": "a test", "payoutId": paid["id"],
    });
    app.operator().await.post_once("/v3/operator/adjustments", &returned).await.expect(201);
    app.apply(&[refund(&paid_for, &usd("24.00")), payment(&container).at(NOW)]).await;
    app.payout(&partner).await;
    app.bonus(&partner, "1.00").await;
    partner
}

/// What `verify` finds after some statements, which are undone then.
fn found_after(app: &TestApp, damage: &str) -> Vec<String> {
    let (tell, told) = mpsc::channel();
    let damage = damage.to_owned();
    let look = move |conn: &mut Conn| -> Result<()> {
        let damaged = conn.batch_execute(&damage).map_err(Error::from);
        let found = damaged.and_then(|()| verify::run(conn, NOW.parse().expect("a time"), |_| {}));
        tell.send(found).map_err(Error::internal)?;
        Err(Error::not_found())
    };
    app.database.connect().write_blocking(look).expect_err("it is undone");
    told.recv().expect("an answer").expect("verify can run")
}

/// Each damage makes `verify` say what belongs to it; without any it says nothing.
async fn assert_named(app: &TestApp, damages: &[(&str, &str)]) {
    books(app).await;
    assert_eq!(found_after(app, "SELECT 1"), Vec::<String>::new());
    for (damage, expected) in damages {
        let found = found_after(app, damage);
        assert!(found.iter().any(|line| line.contains(expected)), "{damage}: {expected}\n{found:#?}");
    }
}

async fn a_commission_that_contradicts_its_payment_is_named(app: &TestApp) {
    assert_named(
        app,
        &[
            ("UPDATE commissions SET client_id = account_id WHERE status = 'inReview'", ": client: stored"),
            ("UPDATE commissions SET plan = 'business' WHERE status = 'inReview'", ": plan: stored"),
            ("UPDATE commissions SET plan = 'business' WHERE reason = 'refund'", ": plan: stored"),
            ("UPDATE commissions SET product = 'stapeGateway' WHERE status = 'inReview'", ": product: stored"),
            ("UPDATE commissions SET billing_period = 'yearly' WHERE status = 'inReview'", ": billing period: stored"),
            ("UPDATE commissions SET container_id = NULL WHERE status = 'inReview'", ": container: stored"),
            ("UPDATE commissions SET payment_external_id = 'x' WHERE status = 'inReview'", ": payment's name: stored"),
            ("UPDATE commissions SET payment_amount_minor = 1 WHERE status = 'inReview'", "payment's amount and time"),
            ("UPDATE commissions SET payment_occurred_at = '2026-01-02 00:00:00'", "payment's amount and time"),
            ("UPDATE payments SET manager_id = account_id", ": manager then: stored"),
        ],
    )
    .await;
}

async fn a_ledger_that_contradicts_its_rows_is_named(app: &TestApp) {
    assert_named(
        app,
        &[
            ("UPDATE commissions SET currency = 'EUR' WHERE status = 'inReview'", "entries in USD of a row in EUR"),
            (
                "UPDATE ledger_balances SET program_minor = program_minor + ready_minor - 123456, ready_minor = 123456",
                ": balance ready: stored 1234.56 USD, computed ",
            ),
            ("UPDATE ledger_months SET paid_minor = 123456", ": stored 1234.56 USD, computed "),
            ("UPDATE ledger_entries SET balance_minor = 123456", ": stored 1234.56 USD, computed "),
            ("UPDATE ledger_entries SET amount_minor = 123456", " USD, not to zero"),
            ("UPDATE payouts SET amount_minor = 123456", ": amount: stored 1234.56 USD, computed "),
            ("UPDATE manager_values SET monthly_minor = 123456", ": monthly value: stored 1234.56 USD, computed "),
            ("UPDATE payments SET refunded_minor = 1234", ": refunded: stored 12.34 USD, computed "),
            (
                "UPDATE ledger_entries SET kind = 'commissionReady' WHERE kind = 'payoutPaid'",
                "commissionReady does not move money between inPayout and paid",
            ),
            (
                "UPDATE ledger_entries SET kind = 'commissionReversed' WHERE kind = 'commissionEarned' \
                 AND ledger_account = 'program'",
                ": what it is about: stored",
            ),
            ("UPDATE ledger_entries SET payout_id = NULL WHERE kind = 'payoutRequested'", "payoutRequested with the payout None"),
            ("UPDATE ledger_entries SET payout_id = id WHERE kind = 'commissionReady'", "commissionReady with the payout Some"),
            (
                "UPDATE ledger_entries SET commission_id = '01KB0H6Q4N7ZJ8R5T3V9WXY2ACc' WHERE kind = 'commissionEarned'",
                "about com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC, which is no commission or adjustment",
            ),
            ("UPDATE ledger_entries SET commission_id = NULL", "about nothing, which is no commission or adjustment"),
            ("UPDATE commissions SET reason = 'bonus' WHERE reason = 'refund'", "an entry refundAdjustment of a row"),
            ("UPDATE commissions SET reason = 'refund' WHERE reason = 'bonus'", "an entry operatorAdjustment of a row"),
            ("UPDATE commissions SET reason = 'whim' WHERE reason = 'bonus'", "with the reason \"whim\""),
        ],
    )
    .await;
}

async fn a_payout_that_contradicts_itself_is_named(app: &TestApp) {
    assert_named(
        app,
        &[
            ("UPDATE payouts SET currency = 'EUR' WHERE status = 'requested'", ": currency of its line adj_"),
            ("UPDATE payouts SET returned_by = NULL", ": adjustments by which it came back: stored []"),
            (
                "UPDATE payouts SET returned_by = (SELECT p.returned_by FROM payouts p WHERE p.returned_by IS NOT NULL)",
                "came back, and is requested",
            ),
            (
                "UPDATE ledger_entries SET payout_id = NULL WHERE kind = 'operatorAdjustment'",
                ": the return of no payout",
            ),
            ("UPDATE commissions SET reason = 'payoutReturned' WHERE reason = 'bonus'", ": the return of no payout"),
            (
                "UPDATE commissions SET amount_minor = amount_minor - 1 WHERE reason = 'payoutReturned'",
                ": amount of a returned payout",
            ),
            (
                "INSERT INTO payout_lines (account_id, payout_id, line_id, amount_minor) \
                 SELECT account_id, '01KB0H6Q4N7ZJ8R5T3V9WXY2AC', id, 1 FROM commissions WHERE status = 'inReview'",
                "of pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC, which is no payout",
            ),
        ],
    )
    .await;
}

async fn a_time_that_contradicts_a_status_is_named(app: &TestApp) {
    assert_named(
        app,
        &[
            ("UPDATE payouts SET reference = NULL WHERE status = 'paid'", "whether it has reference as paid"),
            ("UPDATE payouts SET started_at = NULL WHERE status = 'paid'", "whether it has startedAt as paid"),
            ("UPDATE payouts SET paid_at = NULL WHERE status = 'paid'", "whether it has paidAt as paid"),
            ("UPDATE payouts SET closed_at = NULL WHERE status = 'canceled'", "whether it has closedAt as canceled"),
            ("UPDATE payouts SET reason = 'x' WHERE status = 'canceled'", "whether it has reason as canceled"),
            ("UPDATE payouts SET approved_at = requested_at", "whether it has approvedAt as requested"),
            ("UPDATE payouts SET batch_id = id WHERE status = 'requested'", "in a batch, and never started"),
            ("UPDATE commissions SET review_days = NULL WHERE status = 'inReview'", "whether it is reviewed"),
            ("UPDATE commissions SET ready_at = NULL WHERE status = 'paid'", "since when it is ready, as paid"),
            ("UPDATE commissions SET ready_at = '2026-03-01 00:00:00'", "since when it is ready, as inReview"),
            ("UPDATE commissions SET ready_at = '2026-03-01 00:00:00'", "since when it is ready, as readyToPayout"),
        ],
    )
    .await;
}

#[test]
fn a_link_to_a_file_is_read_with_the_log_of_the_file() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let partner = books(app).await;
        let directory = app.database.directory.path();
        let link = directory.join("link.db");
        std::os::unix::fs::symlink(directory.join("test.db"), &link).expect("a link");
        let look = |conn: &mut Conn| Ok(commissions::table.count().get_result::<i64>(conn)?);
        let counted = || {
            let url = DatabaseUrl::Sqlite(link.clone());
            Db::inspect(&url, Options::command()).expect("the file can be read").read_blocking(look).expect("a count")
        };
        let before = counted();
        // The server's log is not in the file yet.
        app.bonus(&partner, "1.00").await;
        assert_eq!(counted(), before + 1);
    });
}
