//! Billing events as the operator's billing system sends them, with ordinary values where a test names none.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::START;

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// An event that can still be changed.
#[derive(Debug, Clone)]
pub struct Event(pub Value);

/// A monthly pro payment of 24.00 USD by the client, 4.00 of it tax.
pub fn payment(container_id: &str) -> Event {
    let number = next();
    Event::new("payment.succeeded", number)
        .with("paymentId", format!("pay-{number}"))
        .with("containerId", container_id)
        .with("plan", "pro")
        .with("billingPeriod", "monthly")
        .with("amount", usd("24.00"))
        .with("tax", usd("4.00"))
        .with("payer", "client")
        .with("periodStart", "2026-01-01T00:00:00.000Z")
        .with("periodEnd", "2026-02-01T00:00:00.000Z")
        .with("reason", "renewal")
}

/// A refund of some of a payment.
pub fn refund(payment: &Event, amount: &Value) -> Event {
    let number = next();
    Event::new("payment.refunded", number)
        .with("refundId", format!("ref-{number}"))
        .with("paymentId", payment.0["data"]["paymentId"].clone())
        .with("amount", amount.clone())
        .with("reason", "refund")
}

/// An active monthly pro subscription at 20.00 USD.
pub fn subscription(container_id: &str) -> Event {
    Event::new("subscription.changed", next())
        .with("containerId", container_id)
        .with("plan", "pro")
        .with("billingPeriod", "monthly")
        .with("price", usd("20.00"))
        .with("status", "active")
        .with("currentPeriodStart", "2026-01-01T00:00:00.000Z")
        .with("currentPeriodEnd", "2026-02-01T00:00:00.000Z")
        .with("cancelAtPeriodEnd", false)
        .with("nextPaymentAt", "2026-02-01T00:00:00.000Z")
}

/// So many dollars.
pub fn usd(amount: &str) -> Value {
    money(amount, "USD")
}

/// So much of a currency.
pub fn money(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

impl Event {
    fn new(event_type: &str, number: u32) -> Self {
        Self(json!({"id": format!("evt-{number}"), "type": event_type, "occurredAt": START, "data": {}}))
    }

    /// The same with a field of `data` set.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["data"][field] = value.into();
        self
    }

    /// The same without a field of `data`.
    pub fn without(mut self, field: &str) -> Self {
        self.0["data"].as_object_mut().expect("data is an object").remove(field);
        self
    }

    /// The same at another time.
    pub fn at(mut self, occurred_at: &str) -> Self {
        self.0["occurredAt"] = occurred_at.into();
        self
    }

    /// The same under another event id.
    pub fn renamed(mut self, id: &str) -> Self {
        self.0["id"] = id.into();
        self
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().expect("an event has an id")
    }
}

fn next() -> u32 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}
