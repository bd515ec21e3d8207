//! Payments, refunds and applied events as rows, and the words they use.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::commissions::LineId;
use crate::containers::BillingPeriod;
use crate::db::schema::{billing_events, payments, refunds};
use crate::id::{AccountId, ContainerId, PaymentId};
use crate::money::{Currency, Money};

crate::text_enum! {
    /// What the billing system reports.
    pub enum BillingEventType {
        /// A payment went through.
        PaymentSucceeded = "payment.succeeded",
        /// All or part of a payment went back.
        PaymentRefunded = "payment.refunded",
        /// A container's subscription changed.
        SubscriptionChanged = "subscription.changed",
    }
}

crate::text_enum! {
    /// Who paid.
    pub enum Payer {
        /// The client that owns the container.
        Client = "client",
        /// The client's manager, with one invoice: nothing is earned.
        Manager = "manager",
    }
}

crate::text_enum! {
    /// Why a payment was made.
    pub enum PaymentReason {
        /// The first of a subscription.
        First = "first",
        /// A further period.
        Renewal = "renewal",
        /// The client changed the plan.
        PlanChange = "planChange",
        /// The platform raised the plan after an overrun.
        AutoUpgrade = "autoUpgrade",
    }
}

crate::text_enum! {
    /// Why money went back.
    pub enum RefundReason {
        /// The platform gave it back.
        Refund = "refund",
        /// The client's bank took it back.
        Chargeback = "chargeback",
    }
}

/// A payment as stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = payments, treat_none_as_default_value = false)]
pub struct PaymentRow {
    /// Its id.
    pub id: PaymentId,
    /// The billing system's id, unique for ever.
    pub external_id: String,
    /// The container's owner at the time of the payment.
    pub account_id: AccountId,
    /// The owner's manager at that time.
    pub manager_id: Option<AccountId>,
    /// The container.
    pub container_id: ContainerId,
    /// The plan that was paid.
    pub plan: String,
    /// The billing period that was paid.
    pub billing_period: BillingPeriod,
    /// The currency.
    pub currency: Currency,
    /// What was paid, tax included.
    pub amount_minor: i64,
    /// The tax in it.
    pub tax_minor: i64,
    /// What went back so far.
    pub refunded_minor: i64,
    /// Who paid.
    pub payer: Payer,
    /// Why.
    pub reason: PaymentReason,
    /// When it was paid.
    pub occurred_at: Timestamp,
    /// Start of the paid period.
    pub period_start: Timestamp,
    /// End of the paid period.
    pub period_end: Timestamp,
    /// The commission row that it made.
    pub commission_id: Option<LineId>,
    /// When it was applied here.
    pub created_at: Timestamp,
}

impl PaymentRow {
    /// An amount in the payment's currency.
    #[must_use]
    pub const fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }
}

/// A refund as stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = refunds, treat_none_as_default_value = false)]
pub struct RefundRow {
    /// The billing system's id, unique for ever.
    pub external_id: String,
    /// The payment.
    pub payment_id: PaymentId,
    /// What went back, in the payment's currency.
    pub amount_minor: i64,
    /// Why.
    pub reason: RefundReason,
    /// When.
    pub occurred_at: Timestamp,
    /// When it was applied here.
    pub created_at: Timestamp,
}

/// An applied billing event as stored, for ever.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = billing_events, treat_none_as_default_value = false)]
pub struct BillingEventRow {
    /// The billing system's id.
    pub id: String,
    /// What it was.
    pub event_type: BillingEventType,
    /// SHA-256 of its canonical JSON (RFC 8785).
    pub fingerprint: Vec<u8>,
    /// The commission row that it made.
    pub commission_id: Option<LineId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was applied here.
    pub received_at: Timestamp,
}
