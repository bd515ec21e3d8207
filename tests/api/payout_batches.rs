//! Payout batches: what they take, their files, and that a file never changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Account, PASSWORD, TestApp, both_engines, id, usd};

both_engines!(
    a_batch_takes_what_its_format_carries_and_leaves_the_rest,
    a_batch_with_nothing_to_take_is_refused,
    a_file_is_the_same_whenever_it_is_asked_for,
    of_two_batches_at_once_each_payout_is_in_one,
    only_the_operator_sees_batches,
    the_files_have_the_forms_of_their_banks,
);

const PATH: &str = "/v3/operator/payout-batches";

/// A partner with this method and an approved payout of the amount.
async fn approved(app: &TestApp, method: &str, details: Value, amount: Value) -> (Account, Value) {
    let partner = app.partner().await;
    let currency = amount["currency"].as_str().expect("a currency").to_owned();
    let method = json!({"type": method, "details": details, "password": PASSWORD});
    partner.login.put(&format!("/v3/payout-methods/{currency}"), &method).await.expect(200);
    app.adjust(&partner, amount, "bonus").await;
    let payout = partner.login.post_once("/v3/payouts", &json!({"currency": currency})).await.expect(201);
    app.step(&payout, "approve").await;
    (partner, payout)
}

fn paypal() -> Value {
    json!({"email": "paypal@example.com"})
}

async fn create(app: &TestApp, format: &str, currency: &str) -> crate::support::Answer {
    app.operator().await.post_once(PATH, &json!({"format": format, "currency": currency})).await
}

async fn file(app: &TestApp, batch: &Value) -> String {
    let answer = app.operator().await.get(&format!("{PATH}/{}/file", id(batch))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/csv; charset=utf-8"));
    answer.text
}

/// The rows of a file by the payout's id, with the column names of its first line.
fn rows(file: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let rows = reader.deserialize().map(|row| row.expect("a row"));
    rows.map(|row: BTreeMap<String, String>| (row["paymentReference"].clone(), row)).collect()
}

async fn the_files_have_the_forms_of_their_banks(app: &TestApp) {
    let sepa = json!({"holder": "Müller, \"Ann\" & Söhne", "iban": "DE89 3704 0044 0532 0130 00"});
    let (_, by_sepa) = approved(app, "sepa", sepa, json!({"amount": "1234.50", "currency": "EUR"})).await;
    let wise = json!({"email": "wise@example.com", "holder": "Robin Doe"});
    let (_, by_wise) = approved(app, "wise", wise, json!({"amount": "100.01", "currency": "EUR"})).await;
    let batch = create(app, "wiseCsv", "EUR").await.expect(201);
    assert_eq!((&batch["payoutCount"], &batch["amount"]["amount"]), (&json!(2), &json!("1334.51")));
    let rows = rows(&file(app, &batch).await);
    let row = &rows[&id(&by_sepa)];
    let cells = ["name", "IBAN", "amount", "targetCurrency", "amountCurrency"].map(|column| row[column].as_str());
    assert_eq!(cells, ["Müller, \"Ann\" & Söhne", "DE89370400440532013000", "1234.50", "EUR", "target"]);
    let row = &rows[&id(&by_wise)];
    assert_eq!((row["recipientEmail"].as_str(), row["amount"].as_str()), ("wise@example.com", "100.01"));

    let (_, payout) = approved(app, "paypal", paypal(), usd("200.00")).await;
    let batch = create(app, "paypalCsv", "USD").await.expect(201);
    let file = file(app, &batch).await;
    assert_eq!(file, format!("paypal@example.com,200.00,USD,{},Partner payout 2026-0001,PayPal\r\n", id(&payout)));

    let ach =
        json!({"holder": "A", "routingNumber": "021000021", "accountNumber": "123456789", "accountType": "checking"});
    let (_, by_ach) = approved(app, "ach", ach, usd("300.00")).await;
    let swift = json!({
        "holder": "B", "bic": "DEUTDEFF", "accountNumber": "DE89370400440532013000", "bankName": "Bank", "country": "DE",
    });
    let (_, by_swift) = approved(app, "swift", swift, usd("400.00")).await;
    let rows = self::rows(&self::file(app, &create(app, "wiseCsv", "USD").await.expect(201)).await);
    let row = &rows[&id(&by_ach)];
    let cells = ["abartn", "accountNumber", "accountType", "amount"].map(|column| row[column].as_str());
    assert_eq!(cells, ["021000021", "123456789", "CHECKING", "300.00"]);
    let row = &rows[&id(&by_swift)];
    assert_eq!((row["BIC"].as_str(), row["bankName"].as_str()), ("DEUTDEFF", "Bank"));
}

async fn a_batch_takes_what_its_format_carries_and_leaves_the_rest(app: &TestApp) {
    let wise = json!({"email": "wise@example.com", "holder": "Robin Doe"});
    let (_, first) = approved(app, "wise", wise.clone(), usd("150.00")).await;
    let (_, by_paypal) = approved(app, "paypal", paypal(), usd("150.00")).await;
    let (blocked, stays) = approved(app, "wise", wise.clone(), usd("150.00")).await;
    let (_, euros) = approved(app, "wise", wise, json!({"amount": "150.00", "currency": "EUR"})).await;
    let operator = app.operator().await;
    let block = format!("/v3/operator/accounts/{}/block", blocked.id);
    operator.post(&block, &json!({"reason": "a test"})).await.expect(200);
    let answer = create(app, "wiseCsv", "USD").await;
    let location = answer.header("location").to_owned();
    let batch = answer.expect(201);
    assert_eq!(operator.get(&location).await.expect(200), batch);
    assert_eq!(batch["payoutCount"], 1);
    let taken = operator.list(&format!("/v3/operator/payouts?batchId={}", id(&batch))).await;
    assert_eq!((taken.len(), id(&taken[0])), (1, id(&first)));
    assert_eq!((&taken[0]["status"], &taken[0]["batchId"]), (&json!("processing"), &batch["id"]));
    assert_eq!(taken[0]["startedAt"], "2026-01-01T00:00:00.000Z");
    for payout in [by_paypal, stays, euros] {
        let path = format!("/v3/operator/payouts/{}", id(&payout));
        assert_eq!(operator.get(&path).await.expect(200)["status"], "approved");
    }
}

async fn a_file_is_the_same_whenever_it_is_asked_for(app: &TestApp) {
    let (partner, payout) = approved(app, "paypal", paypal(), usd("150.00")).await;
    let batch = create(app, "paypalCsv", "USD").await.expect(201);
    let before = file(app, &batch).await;
    let changed = json!({"type": "paypal", "details": {"email": "other@example.com"}, "password": PASSWORD});
    partner.login.put("/v3/payout-methods/USD", &changed).await.expect(200);
    app.step(&payout, "fail").await;
    approved(app, "paypal", paypal(), usd("160.00")).await;
    create(app, "paypalCsv", "USD").await.expect(201);
    assert_eq!(file(app, &batch).await, before);
}

async fn a_batch_with_nothing_to_take_is_refused(app: &TestApp) {
    create(app, "wiseCsv", "USD").await.problem("batchEmpty");
    approved(app, "paypal", paypal(), usd("150.00")).await;
    create(app, "wiseCsv", "USD").await.problem("batchEmpty");
    create(app, "paypalCsv", "EUR").await.problem("batchEmpty");
    create(app, "sepaXml", "USD").await.problem("validationFailed");
    let operator = app.operator().await;
    let body = json!({"format": "paypalCsv", "currency": "USD"});
    operator.post(PATH, &body).await.problem("idempotencyKeyRequired");
    operator.get(&format!("{PATH}/bat_0/file")).await.problem("notFound");
    create(app, "paypalCsv", "USD").await.expect(201);
}

async fn of_two_batches_at_once_each_payout_is_in_one(app: &TestApp) {
    for _ in 0..3 {
        approved(app, "paypal", paypal(), usd("150.00")).await;
    }
    let answers = futures_util::future::join_all((0..8).map(|_| create(app, "paypalCsv", "USD"))).await;
    let created: Vec<_> = answers.into_iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(created.len(), 1);
    assert_eq!(created[0].body()["payoutCount"], 3);
}

async fn only_the_operator_sees_batches(app: &TestApp) {
    let (partner, _) = approved(app, "paypal", paypal(), usd("150.00")).await;
    let batch = create(app, "paypalCsv", "USD").await.expect(201);
    for path in [format!("{PATH}/{}", id(&batch)), format!("{PATH}/{}/file", id(&batch))] {
        partner.login.get(&path).await.problem("wrongAccountKind");
        app.visitor().get(&path).await.problem("authenticationRequired");
    }
}
