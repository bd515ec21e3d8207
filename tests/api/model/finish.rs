//! The end of a run: nobody is blocked any more, every row is compared once more, and the books are closed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compare;
use super::figures::{CURRENCIES, after, end_of_month, money, month, parse, time};
use super::operations::Play;
use super::world::{Manager, MonthSums, World};
use crate::support::START;

/// Compares everything, the ledger's entries, the feeds and every monthly statement.
pub async fn books_close(play: &mut Play<'_>) {
    for index in 0..play.world.managers.len() {
        let path = format!("/v3/operator/accounts/{}/unblock", play.world.managers[index].account.id);
        play.app.operator().await.post(&path, &json!({})).await.expect(200);
        play.world.managers[index].blocked = false;
    }
    play.world.touched_rows.extend(play.hidden_rows.iter().copied());
    compare::touched(play).await;
    compare::everything(play).await;
    for manager in &play.world.managers {
        entries_balance(manager).await;
        feed_has_no_gaps(manager).await;
        statements_chain(&play.world, manager).await;
    }
}

/// The entries of each posting sum to zero, and all of them to the balances.
async fn entries_balance(manager: &Manager) {
    let entries = manager.key.list("/v3/ledger/entries").await;
    assert_eq!(entries.len(), manager.postings * 2);
    let mut postings: BTreeMap<String, i64> = BTreeMap::new();
    let mut pots: BTreeMap<(String, String), i64> = BTreeMap::new();
    for entry in &entries {
        let (minor, currency) = minor(&entry["amount"]);
        let posting = ["kind", "commissionId", "payoutId", "createdAt"].map(|name| entry[name].to_string());
        *postings.entry(format!("{posting:?} {currency}")).or_default() += minor;
        let pot = entry["account"].as_str().expect("an account").to_owned();
        *pots.entry((currency, pot)).or_default() += minor;
    }
    for (posting, sum) in postings {
        assert_eq!(sum, 0, "{posting}");
    }
    for (currency, (code, _)) in CURRENCIES.iter().enumerate() {
        for (pot, name) in ["program", "inReview", "ready", "inPayout", "paid"].iter().enumerate() {
            let sum = pots.get(&((*code).to_owned(), (*name).to_owned())).copied().unwrap_or_default();
            assert_eq!(sum, manager.balances[currency][pot], "{code} {name}");
        }
    }
}

async fn feed_has_no_gaps(manager: &Manager) {
    let feed = manager.key.list("/v3/events").await;
    for (expected, event) in (1..).zip(&feed) {
        assert_eq!(event["sequence"], expected);
    }
}

/// Every statement says what the model has summed up, and opens with what the one before closed with.
async fn statements_chain(world: &World, manager: &Manager) {
    for currency in 0..CURRENCIES.len() {
        let mut opening = 0;
        let mut current = month(parse(START));
        while current <= month(world.now) {
            let sums = manager.months.get(&(currency, current)).copied().unwrap_or_default();
            opening = statement_agrees(manager, currency, current, opening, sums).await;
            current = after(current);
        }
        let open: i64 = manager.balances[currency][1..4].iter().sum();
        assert_eq!(opening, open, "what the last statement closes with");
    }
}

async fn statement_agrees(
    manager: &Manager,
    currency: usize,
    (year, month): (i32, u32),
    opening: i64,
    sums: MonthSums,
) -> i64 {
    let code = CURRENCIES[currency].0;
    let path = format!("/v3/statements/{year}-{month:02}?currency={code}");
    let statement = manager.key.get(&path).await.expect(200);
    let [earned, reversed, adjusted, paid_out] = sums;
    let closing = opening + earned - reversed + adjusted - paid_out;
    let figures = [
        ("openingBalance", opening),
        ("earned", earned),
        ("reversed", reversed),
        ("adjusted", adjusted),
        ("paidOut", paid_out),
        ("closingBalance", closing),
    ];
    for (name, value) in figures {
        assert_eq!(statement[name], money(value, currency), "{name} of {statement:#}");
    }
    for group in ["bySubAccount", "byPlan"] {
        let rows = statement[group].as_array().expect("rows");
        let total: i64 = rows.iter().map(|row| minor(&row["total"]).0).sum();
        assert_eq!(total, earned - reversed + adjusted, "{group} of {statement:#}");
    }
    let path = format!("/v3/ledger/balances?asOf={}", time(end_of_month((year, month)) - 1));
    let past = manager.key.get(&path).await.expect(200);
    let row = past["data"].as_array().expect("rows").iter().find(|row| row["currency"] == code);
    let open: i64 =
        ["inReview", "ready", "inPayout"].iter().map(|name| row.map_or(0, |row| minor(&row[*name]).0)).sum();
    assert_eq!(open, closing, "{past:#}");
    closing
}

/// An amount in minor units, and its currency.
fn minor(money: &Value) -> (i64, String) {
    let digits = money["amount"].as_str().expect("an amount").replace('.', "");
    (digits.parse().expect("a number"), money["currency"].as_str().expect("a currency").to_owned())
}
