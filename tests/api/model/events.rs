//! Random billing events in batches, told to the server and to the model.

use serde_json::{Value, json};

use super::figures::{DAY, MINUTE, money, time};
use super::operations::Play;
use super::rules::NewPayment;
use super::world::{PRODUCTS, World};
use crate::support::{Event, payment, refund, subscription};

/// How many events a batch has at most.
const MOST_IN_A_BATCH: usize = 8;

/// How many applied events are kept to be sent again.
const KEPT_EVENTS: usize = 40;

/// What the server must answer to an event.
struct Expected {
    outcome: &'static str,
    code: Option<&'static str>,
    /// The row that a payment made.
    row: Option<usize>,
}

impl Expected {
    fn of(result: Result<Option<usize>, &'static str>) -> Self {
        match result {
            Ok(row) => Self { outcome: "applied", code: None, row },
            Err(code) => Self { outcome: "rejected", code: Some(code), row: None },
        }
    }

    const fn plain(outcome: &'static str, code: Option<&'static str>) -> Self {
        Self { outcome, code, row: None }
    }
}

/// Sends a batch of random events.
pub async fn send(play: &mut Play<'_>) {
    let mut batch = Vec::new();
    for _ in 0..=play.chance.below(MOST_IN_A_BATCH) {
        let (event, expected) = next(play);
        play.tell(&format!("{} {} -> {} {:?}", event.0["type"], event.0, expected.outcome, expected.code));
        batch.push((event, expected));
    }
    let events: Vec<Event> = batch.iter().map(|(event, _)| event.clone()).collect();
    let results = play.app.post_events(&events).await;
    for ((event, expected), result) in batch.into_iter().zip(&results) {
        assert_eq!(result["outcome"], expected.outcome, "{result:#}");
        let code = &result["problem"]["code"];
        assert_eq!(*code, expected.code.map_or(Value::Null, |code| json!(code)), "{result:#}");
        let is_retryable = matches!(expected.code, Some("containerUnknown" | "paymentUnknown"));
        assert_eq!(result["retryable"], is_retryable, "{result:#}");
        if expected.outcome != "applied" {
            continue;
        }
        assert_eq!(result["commissionId"].is_string(), expected.row.is_some(), "{result:#}");
        if let Some(row) = expected.row {
            result["commissionId"].as_str().expect("an id").clone_into(&mut play.world.rows[row].id);
        }
        if play.applied_events.len() == KEPT_EVENTS {
            play.applied_events.pop_front();
        }
        play.applied_events.push_back(event);
    }
}

fn next(play: &mut Play<'_>) -> (Event, Expected) {
    match play.chance.weighted(&[50, 24, 16, 3, 2, 1, 1, 1, 1]) {
        1 if !play.world.payments.is_empty() => refund_event(play),
        2 => subscription_event(play),
        3 if !play.applied_events.is_empty() => (again(play), Expected::plain("duplicate", None)),
        4 if !play.applied_events.is_empty() => {
            (again(play).at("2025-11-11T11:11:11.111Z"), Expected::plain("conflict", Some("eventConflict")))
        }
        5 => (payment("ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"), Expected::of(Err("containerUnknown"))),
        6 => {
            let unknown = payment("any").with("paymentId", "never told");
            (refund(&unknown, &money(1, 0)), Expected::of(Err("paymentUnknown")))
        }
        7 => payment_event(play, play.world.now + 5 * MINUTE + 1, false),
        8 => payment_event(play, play.world.now, true),
        _ => {
            let at = occurred_at(play);
            payment_event(play, at, false)
        }
    }
}

fn again(play: &mut Play<'_>) -> Event {
    let index = play.chance.below(play.applied_events.len());
    play.applied_events[index].clone()
}

/// Mostly now; sometimes long ago or a little ahead.
fn occurred_at(play: &mut Play<'_>) -> i64 {
    let now = play.world.now;
    match play.chance.weighted(&[14, 4, 1, 1]) {
        0 => now,
        1 => now - play.chance.within(0, 100 * DAY),
        2 => now - play.chance.within(0, 5 * MINUTE),
        _ => now + play.chance.within(0, 5 * MINUTE),
    }
}

/// Mostly some hundreds of whatever it is; sometimes next to nothing.
pub fn amount(play: &mut Play<'_>) -> i64 {
    let most = *play.chance.of(&[5, 100, 2_000, 20_000, 100_000, 100_000]);
    play.chance.within(0, most)
}

fn payment_event(play: &mut Play<'_>, at: i64, under_a_known_id: bool) -> (Event, Expected) {
    let container = play.chance.below(play.world.containers.len());
    let amount = amount(play);
    let tax = match play.chance.below(10) {
        0..5 => 0,
        5 => amount,
        _ => play.chance.within(0, amount),
    };
    let known = play.world.payments.last().filter(|_| under_a_known_id);
    let new = NewPayment {
        external_id: known.map_or_else(|| format!("pay-{}", play.done), |payment| payment.external_id.clone()),
        container,
        yearly: play.chance.one_in(3),
        amount,
        tax,
        currency: *play.chance.of(&[0, 0, 0, 1, 2, 3, 4]),
        by_client: !play.chance.one_in(12),
        at,
    };
    let plan_name = *play.chance.of(PRODUCTS[play.world.containers[container].product].1);
    let event = payment(&play.world.containers[container].id)
        .at(&time(at))
        .with("paymentId", new.external_id.as_str())
        .with("plan", plan_name)
        .with("billingPeriod", if new.yearly { "yearly" } else { "monthly" })
        .with("amount", money(new.amount, new.currency))
        .with("tax", money(new.tax, new.currency))
        .with("payer", if new.by_client { "client" } else { "manager" });
    let expected = Expected::of(play.world.pay(&new));
    (event, expected)
}

fn refund_event(play: &mut Play<'_>) -> (Event, Expected) {
    let count = play.world.payments.len();
    let recent = if play.chance.one_in(5) { count } else { count.min(60) };
    let index = count - 1 - play.chance.below(recent);
    let paid = &play.world.payments[index];
    let (left, total, currency) = (paid.amount - paid.refunded, paid.amount, paid.currency);
    let amount = match play.chance.weighted(&[5, 3, 10, 2]) {
        0 => left,
        1 => 1,
        2 => play.chance.within(1, total.max(1)),
        _ => left + play.chance.within(1, 1_000),
    };
    let amount = amount.max(1);
    let reason = *play.chance.of(&["refund", "chargeback"]);
    let of = payment("any").with("paymentId", paid_id(&play.world, index));
    let event = refund(&of, &money(amount, currency)).at(&time(play.world.now)).with("reason", reason);
    let made = play.world.refund(index, amount, reason);
    let expected = Expected::of(made.map(|_| None));
    (event, expected)
}

fn paid_id(world: &World, payment: usize) -> &str {
    &world.payments[payment].external_id
}

fn subscription_event(play: &mut Play<'_>) -> (Event, Expected) {
    let at = occurred_at(play);
    let container = play.chance.below(play.world.containers.len());
    let price = amount(play);
    let currency = *play.chance.of(&[0, 0, 0, 1, 3, 4]);
    let yearly = play.chance.one_in(3);
    let status = *play.chance.of(&["active", "active", "active", "pastDue", "canceled"]);
    let row = &play.world.containers[container];
    let plan_name = *play.chance.of(PRODUCTS[row.product].1);
    let mut event = subscription(&row.id)
        .at(&time(at))
        .with("plan", plan_name)
        .with("billingPeriod", if yearly { "yearly" } else { "monthly" })
        .with("price", money(price, currency))
        .with("status", status);
    if let Some(request) = &row.pending_transfer {
        event = event.with("requestId", request.as_str());
    }
    let live = status != "canceled";
    play.world.subscribe(container, at, (price, currency, yearly, live));
    (event, Expected::plain("applied", None))
}

impl World {
    /// A subscription changes, unless something newer is known.
    pub fn subscribe(&mut self, container: usize, at: i64, subscription: (i64, usize, bool, bool)) {
        let row = &mut self.containers[container];
        if row.changed_at.is_some_and(|last| at < last) {
            return;
        }
        row.changed_at = Some(at);
        row.subscription = subscription;
        row.pending_transfer = None;
        if let Some(manager) = self.manager(self.owner(container)) {
            self.rise(manager);
            self.touched_managers.insert(manager);
        }
    }
}
