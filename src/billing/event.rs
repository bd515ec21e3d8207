//! Billing events as they arrive: parsed, validated, fingerprinted. Pure; knows nothing of what is stored.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::models::{BillingEventType, Payer, PaymentReason, RefundReason};
use crate::clock::Timestamp;
use crate::containers::{BillingPeriod, SubscriptionStatus};
use crate::crypto;
use crate::error::{Problem, Result, Violation};
use crate::http::json;
use crate::money::Money;

/// Longest id of the billing system, in characters.
const MAX_EXTERNAL_ID: usize = 255;

/// An event of the operator's billing system.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BillingEvent {
    /// The billing system's id of the event, unique for ever.
    #[schema(min_length = 1, max_length = 255, example = "evt-2026-000001")]
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: BillingEventType,
    /// When it happened, at most 5 minutes ahead of the server's time.
    pub occurred_at: Timestamp,
    /// The event's own fields, by its type.
    #[schema(value_type = BillingEventData)]
    pub data: Value,
}

/// The fields of an event, by its type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the three shapes of `data` in the API document; parsing goes by `type`")]
pub enum BillingEventData {
    /// Of `payment.succeeded`.
    #[schema(title = "PaymentSucceededData")]
    PaymentSucceeded(PaymentSucceeded),
    /// Of `payment.refunded`.
    #[schema(title = "PaymentRefundedData")]
    PaymentRefunded(PaymentRefunded),
    /// Of `subscription.changed`.
    #[schema(title = "SubscriptionChangedData")]
    SubscriptionChanged(SubscriptionChanged),
}

/// Fields of `payment.succeeded`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentSucceeded {
    /// The billing system's id of the payment, unique for ever.
    #[schema(min_length = 1, max_length = 255, example = "pay-1001")]
    pub payment_id: String,
    /// The container that was paid for.
    #[schema(example = "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub container_id: String,
    /// The plan that was paid.
    #[schema(example = "pro")]
    pub plan: String,
    /// The billing period that was paid.
    pub billing_period: BillingPeriod,
    /// What was really paid, tax included.
    pub amount: Money,
    /// The tax in it: from zero to the amount.
    pub tax: Money,
    /// Who paid.
    pub payer: Payer,
    /// Start of the paid period.
    pub period_start: Timestamp,
    /// End of the paid period, after its start.
    pub period_end: Timestamp,
    /// Why it was paid.
    pub reason: PaymentReason,
}

/// Fields of `payment.refunded`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentRefunded {
    /// The billing system's id of the refund, unique for ever.
    #[schema(min_length = 1, max_length = 255, example = "ref-1001")]
    pub refund_id: String,
    /// The billing system's id of the payment.
    #[schema(example = "pay-1001")]
    pub payment_id: String,
    /// What went back, above zero; all refunds together never exceed the payment.
    pub amount: Money,
    /// Why.
    pub reason: RefundReason,
}

/// Fields of `subscription.changed`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionChanged {
    /// The container.
    #[schema(example = "ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub container_id: String,
    /// Its plan from now on.
    #[schema(example = "pro")]
    pub plan: String,
    /// How often it is paid.
    pub billing_period: BillingPeriod,
    /// Price per billing period, without tax.
    pub price: Money,
    /// Where the subscription stands.
    pub status: SubscriptionStatus,
    /// Start of the paid period.
    pub current_period_start: Timestamp,
    /// End of the paid period, after its start.
    pub current_period_end: Timestamp,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When the next payment is due.
    #[serde(default)]
    pub next_payment_at: Option<Timestamp>,
    /// The operator request that it carries out. One that has ended meanwhile is left as it is, and the change is applied.
    #[serde(default)]
    #[schema(example = "orq_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub request_id: Option<String>,
}

/// An event's fields, parsed by its type.
#[derive(Debug)]
pub enum EventData {
    /// A payment went through.
    Payment(PaymentSucceeded),
    /// A payment went back.
    Refund(PaymentRefunded),
    /// A subscription changed.
    Subscription(SubscriptionChanged),
}

impl EventData {
    /// What it is.
    #[must_use]
    pub const fn event_type(&self) -> BillingEventType {
        match self {
            Self::Payment(_) => BillingEventType::PaymentSucceeded,
            Self::Refund(_) => BillingEventType::PaymentRefunded,
            Self::Subscription(_) => BillingEventType::SubscriptionChanged,
        }
    }
}

/// An element of a batch: its identity, and what it says or why it cannot be understood.
#[derive(Debug)]
pub struct Element {
    /// The event's id, where it has a usable one.
    pub id: Option<String>,
    /// SHA-256 of its canonical JSON (RFC 8785).
    pub fingerprint: [u8; 32],
    /// When it happened and what it says; or the problem, its pointers from the element's own root.
    pub content: Result<(Timestamp, EventData), Problem>,
}

impl Element {
    /// Whether it changes a container's subscription, and with it what its manager has.
    #[must_use]
    pub const fn changes_a_subscription(&self) -> bool {
        matches!(self.content, Ok((_, EventData::Subscription(_))))
    }

    /// Reads one element. What cannot be made canonical, such as a number beyond IEEE 754, is no event in any case; its
    /// own text tells it from others.
    #[must_use]
    pub fn read(value: Value) -> Self {
        let canonical = serde_json_canonicalizer::to_vec(&value).unwrap_or_else(|_| value.to_string().into_bytes());
        let id = value
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| is_external_id(id) && !id.contains('\0'))
            .map(str::to_owned);
        Self { id, fingerprint: crypto::sha256(&canonical), content: content(value) }
    }
}

fn content(value: Value) -> Result<(Timestamp, EventData), Problem> {
    let event: BillingEvent = json::from_value(value)?;
    let data = match event.event_type {
        BillingEventType::PaymentSucceeded => json::of_shape(event.data).map(EventData::Payment),
        BillingEventType::PaymentRefunded => json::of_shape(event.data).map(EventData::Refund),
        BillingEventType::SubscriptionChanged => json::of_shape(event.data).map(EventData::Subscription),
    };
    let data = data.map_err(|problem| problem.within("/data"))?;
    let mut violations = Vec::new();
    if !is_external_id(&event.id) {
        violations.push(external_id_violation("/id"));
    }
    violations.extend(match &data {
        EventData::Payment(payment) => payment_violations(payment),
        EventData::Refund(refund) => refund_violations(refund),
        EventData::Subscription(subscription) => subscription_violations(subscription),
    });
    if violations.is_empty() { Ok((event.occurred_at, data)) } else { Err(Problem::validation(violations)) }
}

fn payment_violations(payment: &PaymentSucceeded) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !is_external_id(&payment.payment_id) {
        violations.push(external_id_violation("/data/paymentId"));
    }
    if payment.amount.minor < 0 {
        violations.push(Violation::at("/data/amount", "range", "must not be negative"));
    }
    if payment.tax.currency != payment.amount.currency {
        violations.push(Violation::at("/data/tax/currency", "currencyMismatch", "must be the amount's currency"));
    } else if payment.tax.minor < 0 || payment.tax.minor > payment.amount.minor {
        violations.push(Violation::at("/data/tax", "range", "must be from zero to the amount"));
    }
    violations.extend(period_violation("/data/periodEnd", payment.period_start, payment.period_end));
    violations
}

fn refund_violations(refund: &PaymentRefunded) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !is_external_id(&refund.refund_id) {
        violations.push(external_id_violation("/data/refundId"));
    }
    if refund.amount.minor <= 0 {
        violations.push(Violation::at("/data/amount", "range", "must be above zero"));
    }
    violations
}

fn subscription_violations(subscription: &SubscriptionChanged) -> Vec<Violation> {
    let mut violations = Vec::new();
    if subscription.price.minor < 0 {
        violations.push(Violation::at("/data/price", "range", "must not be negative"));
    }
    let (start, end) = (subscription.current_period_start, subscription.current_period_end);
    violations.extend(period_violation("/data/currentPeriodEnd", start, end));
    violations
}

fn period_violation(pointer: &str, start: Timestamp, end: Timestamp) -> Option<Violation> {
    (start >= end).then(|| Violation::at(pointer, "range", "must be after the period's start"))
}

fn is_external_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= MAX_EXTERNAL_ID
}

fn external_id_violation(pointer: &str) -> Violation {
    Violation::at(pointer, "length", format!("must have 1 to {MAX_EXTERNAL_ID} characters"))
}
