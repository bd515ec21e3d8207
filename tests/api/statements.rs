//! Monthly statements: they add up, they chain, and a month that is over never changes.

use serde_json::{Value, json};

use crate::support::{Account, TestApp, both_engines, id, payment, refund, subscription, usd};

both_engines!(
    a_client_has_the_name_that_it_had_last_in_the_month,
    a_month_that_has_not_begun_has_no_statement,
    a_statement_is_its_managers,
    an_empty_month_is_all_zeros,
    statements_add_up_and_chain,
    the_table_says_the_same,
);

async fn statement(account: &Account, month: &str) -> Value {
    account.login.get(&format!("/v3/statements/{month}?currency=USD")).await.expect(200)
}

fn figures(statement: &Value) -> [&str; 6] {
    ["openingBalance", "earned", "reversed", "adjusted", "paidOut", "closingBalance"]
        .map(|name| statement[name]["amount"].as_str().expect("an amount"))
}

/// January: 150.00 earned. February: a refund of a fifth, a bonus. March: all of it paid out, then another refund.
async fn three_months(app: &TestApp) -> (Account, String) {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    let (client, container) = app.client_with_container(&partner).await;
    let paid = payment(&container).with("amount", usd("500.00")).with("tax", usd("0.00"));
    app.apply(std::slice::from_ref(&paid)).await;
    app.move_clock("2026-02-10T00:00:00Z").await;
    app.apply(&[refund(&paid, &usd("100.00"))]).await;
    app.bonus(&partner, "5.00").await;
    app.move_clock("2026-03-01T00:00:00Z").await;
    let partner = Account { login: app.sign_in(&partner.email, crate::support::PASSWORD).await, ..partner };
    let payout = app.payout(&partner).await;
    for step in ["approve", "start", "confirm"] {
        app.step(&payout, step).await;
    }
    app.apply(&[refund(&paid, &usd("50.00"))]).await;
    (partner, client)
}

async fn statements_add_up_and_chain(app: &TestApp) {
    let (partner, client) = three_months(app).await;
    let [january, february, march] = [
        statement(&partner, "2026-01").await,
        statement(&partner, "2026-02").await,
        statement(&partner, "2026-03").await,
    ];
    assert_eq!(figures(&january), ["0.00", "150.00", "0.00", "0.00", "0.00", "150.00"]);
    assert_eq!(figures(&february), ["150.00", "0.00", "30.00", "5.00", "0.00", "125.00"]);
    assert_eq!(figures(&march), ["125.00", "0.00", "0.00", "-15.00", "125.00", "-15.00"]);
    let row = &january["bySubAccount"][0];
    assert_eq!((&row["subAccount"]["id"], &row["total"]), (&json!(client), &usd("150.00")));
    let row = &january["byPlan"][0];
    let shown = (&row["product"], &row["plan"], &row["earned"]);
    assert_eq!(shown, (&json!("sgtmContainer"), &json!("pro"), &usd("150.00")));
    let totals: Vec<_> = february["bySubAccount"].as_array().expect("rows").iter().map(|row| &row["total"]).collect();
    assert_eq!(totals, [&usd("5.00"), &usd("-30.00")]);
    assert_eq!(february["bySubAccount"][0]["subAccount"], Value::Null);
    assert_eq!(february["byPlan"][0]["plan"], Value::Null);
    let balances = partner.login.get("/v3/ledger/balances?asOf=2026-02-28T23:59:59Z").await.expect(200);
    assert_eq!(balances["data"][0]["ready"], february["closingBalance"]);
    app.move_clock("2026-04-02T00:00:00Z").await;
    let partner = Account { login: app.sign_in(&partner.email, crate::support::PASSWORD).await, ..partner };
    assert_eq!(statement(&partner, "2026-03").await, march);
    assert_eq!(figures(&statement(&partner, "2026-04").await)[0], "-15.00");
}

async fn the_table_says_the_same(app: &TestApp) {
    let (partner, client) = three_months(app).await;
    let answer = partner.login.get("/v3/statements/2026-02?currency=USD&format=csv").await;
    assert!(answer.header("content-type").starts_with("text/csv"));
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"statement-2026-02-USD.csv\"");
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let amounts: Vec<(&str, &str)> = rows.iter().map(|row| (&row[0], &row[6])).collect();
    let figures = [("openingBalance", "150.00"), ("earned", "0.00"), ("reversed", "30.00"), ("adjusted", "5.00")];
    assert_eq!(amounts[..4], figures);
    assert_eq!(amounts[4..6], [("paidOut", "0.00"), ("closingBalance", "125.00")]);
    assert_eq!((&rows[7][0], &rows[7][1], &rows[7][6]), ("subAccount", client.as_str(), "-30.00"));
    assert_eq!((&rows[9][0], &rows[9][5], &rows[9][6]), ("plan", "pro", "-30.00"));
}

async fn a_client_has_the_name_that_it_had_last_in_the_month(app: &TestApp) {
    let partner = app.partner().await;
    let client = app.standard().await;
    app.link(&client.id, &partner.id).await;
    let body = json!({"name": "shop", "product": "sgtmContainer"});
    let container = id(&client.login.post("/v3/containers", &body).await.expect(201));
    app.apply(&[subscription(&container)]).await;
    for name in ["Zoe", "Ada", "Mia"] {
        client.login.patch("/v3/account", &json!({"firstName": name, "lastName": "Client"})).await.expect(200);
        app.apply(&[payment(&container)]).await;
    }
    let rows = statement(&partner, "2026-01").await["bySubAccount"].clone();
    assert_eq!((&rows[0]["subAccount"]["name"], &rows[0]["total"]), (&json!("Mia Client"), &usd("18.00")));
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
}

async fn an_empty_month_is_all_zeros(app: &TestApp) {
    let agency = app.agency().await;
    let empty = statement(&agency, "2025-06").await;
    assert_eq!(figures(&empty), ["0.00"; 6]);
    assert_eq!((&empty["bySubAccount"], &empty["byPlan"]), (&json!([]), &json!([])));
}

async fn a_month_that_has_not_begun_has_no_statement(app: &TestApp) {
    let agency = app.agency().await;
    for month in ["2026-02", "2026-13", "2026-1", "january"] {
        agency.login.get(&format!("/v3/statements/{month}?currency=USD")).await.problem("notFound");
    }
    for query in ["", "?currency=usd", "?currency=USD&format=pdf"] {
        agency.login.get(&format!("/v3/statements/2026-01{query}")).await.problem("invalidParameter");
    }
}

async fn a_statement_is_its_managers(app: &TestApp) {
    let (partner, client) = (app.partner().await, app.standard().await);
    app.bonus(&partner, "5.00").await;
    client.login.get("/v3/statements/2026-01?currency=USD").await.problem("wrongAccountKind");
    let other = app.partner().await;
    assert_eq!(figures(&statement(&other, "2026-01").await), ["0.00"; 6]);
    let key = app.api_key(&partner, &["commissions:read"]).await;
    key.get("/v3/statements/2026-01?currency=USD").await.problem("insufficientScope");
    assert!(id(&app.bonus(&partner, "1.00").await).starts_with("adj_"));
}
