//! Whether server and model agree: on what was touched after each operation, on everything from time to time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::figures::{CURRENCIES, money, percent, time};
use super::operations::Play;
use super::world::{Payout, PayoutStatus, Pot, Row, Status, World};

/// How many of the touched rows are looked at.
const SAMPLE: usize = 3;

/// Compares balances of the managers that were touched, and some of their rows and payouts.
pub async fn touched(play: &mut Play<'_>) {
    name_adjustments(play).await;
    let world = &mut play.world;
    let managers = std::mem::take(&mut world.touched_managers);
    let rows = Vec::from_iter(std::mem::take(&mut world.touched_rows));
    let payouts = Vec::from_iter(std::mem::take(&mut world.touched_payouts));
    for manager in managers {
        balances_agree(&play.world, manager).await;
    }
    for _ in 0..SAMPLE.min(rows.len()) {
        row_agrees(&play.world, *play.chance.of(&rows)).await;
    }
    for _ in 0..SAMPLE.min(payouts.len()) {
        let index = *play.chance.of(&payouts);
        let payout = &play.world.payouts[index];
        let manager = &play.world.managers[payout.manager];
        if !manager.blocked {
            let shown = manager.key.get(&format!("/v3/payouts/{}", payout.id)).await.expect(200);
            payout_agrees(&shown, payout);
        }
    }
}

/// Compares every row and payout of every manager that can be looked at.
pub async fn everything(play: &mut Play<'_>) {
    name_adjustments(play).await;
    let world = &play.world;
    for (index, manager) in world.managers.iter().enumerate().filter(|(_, manager)| !manager.blocked) {
        balances_agree(world, index).await;
        books_agree_with_rows(world, index);
        let shown = by_id(manager.key.list("/v3/commissions").await);
        let rows: Vec<&Row> = world.rows.iter().filter(|row| row.manager == index).collect();
        assert_eq!(shown.len(), rows.len());
        for row in rows {
            assert_eq!(picture(&shown[&row.id], row), expectation(world, row), "{:#}", shown[&row.id]);
        }
        let shown = by_id(manager.key.list("/v3/payouts").await);
        let payouts: Vec<&Payout> = world.payouts.iter().filter(|payout| payout.manager == index).collect();
        assert_eq!(shown.len(), payouts.len());
        for payout in payouts {
            payout_agrees(&shown[&payout.id], payout);
        }
    }
}

fn by_id(rows: Vec<Value>) -> BTreeMap<String, Value> {
    rows.into_iter().map(|row| (row["id"].as_str().expect("an id").to_owned(), row)).collect()
}

/// Learns the ids of adjustments that refunds made: the newest ones of their manager, in the order in which they were made.
async fn name_adjustments(play: &mut Play<'_>) {
    // What a blocked manager hides is named when it can be seen again.
    let can_be_seen = |row: &usize| !play.world.managers[play.world.rows[*row].manager].blocked;
    let seen: Vec<usize> = play.hidden_rows.iter().copied().filter(can_be_seen).collect();
    play.hidden_rows.retain(|row| !seen.contains(row));
    play.world.touched_rows.extend(seen);
    let unnamed = play.world.touched_rows.iter().filter(|row| play.world.rows[**row].id.is_empty());
    let managers: BTreeSet<usize> = unnamed.map(|row| play.world.rows[*row].manager).collect();
    for manager in managers {
        if play.world.managers[manager].blocked {
            continue;
        }
        let its = |index: &usize| play.world.rows[*index].is_adjustment && play.world.rows[*index].manager == manager;
        let newest: Vec<usize> = (0..play.world.rows.len()).rev().filter(its).take(100).collect();
        let shown = play.world.managers[manager].key.get("/v3/commissions?kind=adjustment&limit=100").await.expect(200);
        for (index, shown) in newest.into_iter().zip(shown["data"].as_array().expect("rows")) {
            let row = &mut play.world.rows[index];
            let id = shown["id"].as_str().expect("an id");
            assert!(row.id.is_empty() || row.id == id, "{} is not {id}", row.id);
            id.clone_into(&mut row.id);
        }
    }
    let is_hidden = |row: &usize| play.world.rows[*row].id.is_empty();
    let hidden: Vec<usize> = play.world.touched_rows.iter().copied().filter(is_hidden).collect();
    play.hidden_rows.extend(hidden);
}

async fn balances_agree(world: &World, manager: usize) {
    let row = &world.managers[manager];
    if row.blocked {
        return;
    }
    let summary = row.key.get("/v3/commissions/summary").await.expect(200);
    assert_eq!(summary["balances"][0]["currency"], "USD");
    let values = world.monthly_values(manager);
    agree(&summary["balances"], |currency| {
        let ready = world.balance(manager, currency, Pot::Ready);
        vec![
            ("monthlyValue", values[currency]),
            ("inReview", world.balance(manager, currency, Pot::InReview)),
            ("readyToPayout", ready.max(0)),
            ("inPayout", world.balance(manager, currency, Pot::InPayout)),
            ("paid", world.balance(manager, currency, Pot::Paid)),
            ("debt", (-ready).max(0)),
        ]
    });
    let ledger = row.key.get("/v3/ledger/balances").await.expect(200);
    agree(&ledger["data"], |currency| {
        let pots =
            [("inReview", Pot::InReview), ("ready", Pot::Ready), ("inPayout", Pot::InPayout), ("paid", Pot::Paid)];
        pots.into_iter().map(|(name, pot)| (name, world.balance(manager, currency, pot))).collect()
    });
}

/// Compares rows by currency; a currency without a row has nothing.
fn agree(shown: &Value, expected: impl Fn(usize) -> Vec<(&'static str, i64)>) {
    let rows = shown.as_array().expect("rows");
    for (currency, (code, _)) in CURRENCIES.iter().enumerate() {
        let row = rows.iter().find(|row| row["currency"] == *code);
        for (name, minor) in expected(currency) {
            match row {
                Some(row) => assert_eq!(row[name], money(minor, currency), "{name} in {row:#}"),
                None => assert_eq!(minor, 0, "{name}: there is no row of {code} in {shown:#}"),
            }
        }
    }
}

/// The model's own balances are the sums of its rows.
fn books_agree_with_rows(world: &World, manager: usize) {
    let mut sums: BTreeMap<(usize, Pot), i64> = BTreeMap::new();
    for (index, row) in world.rows.iter().enumerate().filter(|(_, row)| row.manager == manager) {
        let pot = match row.status {
            Status::InReview => Pot::InReview,
            Status::Ready => Pot::Ready,
            Status::InPayout => Pot::InPayout,
            Status::Paid => Pot::Paid,
            Status::Reversed | Status::NoCommission => continue,
        };
        *sums.entry((row.currency, pot)).or_default() += world.net(index);
    }
    for currency in 0..CURRENCIES.len() {
        for pot in [Pot::InReview, Pot::Ready, Pot::InPayout, Pot::Paid] {
            let sum = sums.get(&(currency, pot)).copied().unwrap_or_default();
            assert_eq!(world.balance(manager, currency, pot), sum, "{currency} {pot:?} of manager {manager}");
        }
    }
}

async fn row_agrees(world: &World, index: usize) {
    let row = &world.rows[index];
    let manager = &world.managers[row.manager];
    if manager.blocked || row.id.is_empty() {
        return;
    }
    let shown = manager.key.get(&format!("/v3/commissions/{}", row.id)).await.expect(200);
    assert_eq!(picture(&shown, row), expectation(world, row), "{shown:#}");
}

/// What is compared of a row as the server shows it.
fn picture(shown: &Value, row: &Row) -> Value {
    let common =
        ["kind", "status", "reason", "amount", "reversed", "net", "payoutId", "adjusts", "readyAt", "reviewUntil"];
    let earned = ["base", "ratePercent", "level", "programVersion"];
    let names = common.iter().chain(earned.iter().filter(|_| !row.is_adjustment));
    let mut picture: BTreeMap<&str, Value> = names.map(|name| (*name, shown[*name].clone())).collect();
    picture.insert("client", shown["subAccount"]["id"].clone());
    json!(picture)
}

fn expectation(world: &World, row: &Row) -> Value {
    let status = match row.status {
        Status::InReview => "inReview",
        Status::Ready => "readyToPayout",
        Status::InPayout => "inPayout",
        Status::Paid => "paid",
        Status::Reversed => "reversed",
        Status::NoCommission => "noCommission",
    };
    let mut expected = json!({
        "kind": if row.is_adjustment { "adjustment" } else { "commission" },
        "status": status,
        "reason": row.reason,
        "amount": money(row.amount, row.currency),
        "reversed": money(row.reversed, row.currency),
        "net": money(row.amount - row.reversed, row.currency),
        "payoutId": row.payout.map(|payout| &world.payouts[payout].id),
        "adjusts": row.adjusts.map(|row| &world.rows[row].id),
        "readyAt": row.ready_at.map(time),
        "reviewUntil": row.review_until.map(time),
        "client": row.client.map(|client| &world.clients[client].account.id),
    });
    if !row.is_adjustment {
        expected["base"] = row.base.map_or(Value::Null, |base| money(base, row.currency));
        expected["ratePercent"] = json!(row.rate.map(percent));
        expected["level"] = json!(row.level);
        expected["programVersion"] = json!(row.version);
    }
    expected
}

fn payout_agrees(shown: &Value, payout: &Payout) {
    let status = match payout.status {
        PayoutStatus::Requested => "requested",
        PayoutStatus::Approved => "approved",
        PayoutStatus::Processing => "processing",
        PayoutStatus::Paid => "paid",
        PayoutStatus::Canceled => "canceled",
        PayoutStatus::Rejected => "rejected",
        PayoutStatus::Failed => "failed",
    };
    let expected = [
        ("number", json!(payout.number)),
        ("status", json!(status)),
        ("amount", money(payout.amount, payout.currency)),
        ("lineCount", json!(payout.lines.len())),
        ("requestedAt", json!(time(payout.requested_at))),
        ("closedAt", json!(payout.closed_at.map(time))),
    ];
    for (name, value) in expected {
        assert_eq!(shown[name], value, "{name} of {shown:#}");
    }
}
