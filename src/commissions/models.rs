//! Commissions and adjustments as rows, and the words they use.

use std::fmt;
use std::str::FromStr;

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::containers::{BillingPeriod, Product};
use crate::db::schema::commissions;
use crate::id::{AccountId, AdjustmentId, CommissionId, ContainerId, MalformedId, PaymentId, PayoutId, Resource};
use crate::money::{Currency, Money};
use crate::partners::RateSource;
use crate::short_text::{ShortText, joined};

crate::text_enum! {
    /// What a row among the commissions is.
    pub enum LineKind {
        /// It arose at a payment.
        Commission = "commission",
        /// It corrects what was earned, up or down.
        Adjustment = "adjustment",
    }
}

crate::text_enum! {
    /// Where a commission stands.
    pub enum CommissionStatus {
        /// The client may still get a full refund.
        InReview = "inReview",
        /// The next payout takes it.
        ReadyToPayout = "readyToPayout",
        /// An open payout took it.
        InPayout = "inPayout",
        /// Paid out.
        Paid = "paid",
        /// Refunds took all of it back.
        Reversed = "reversed",
        /// The payment earned nothing; `reason` says why.
        NoCommission = "noCommission",
    }
}

impl CommissionStatus {
    /// Whether refunds are still taken from the row itself.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::InReview | Self::ReadyToPayout)
    }
}

crate::text_enum! {
    /// Why a payment earned nothing; the first that fits, in this order.
    pub enum NoCommissionReason {
        /// The manager paid for the container itself.
        PaidByManager = "paidByManager",
        /// The manager was no partner at the time of the payment.
        NotPartnerThen = "notPartnerThen",
        /// Nothing is left of the amount without tax.
        ZeroBase = "zeroBase",
        /// The rate was zero.
        ZeroRate = "zeroRate",
        /// The commission is less than half a minor unit.
        RoundedToZero = "roundedToZero",
    }
}

/// The id of a commission (`com_`) or of an adjustment (`adj_`): rows of one list, in one order of time.
///
/// The database keeps the 26 characters and a letter behind them that tells which of the two it is.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub enum LineId {
    /// A commission.
    Commission(CommissionId),
    /// An adjustment.
    Adjustment(AdjustmentId),
}

impl LineId {
    /// What the row is.
    #[must_use]
    pub const fn kind(self) -> LineKind {
        match self {
            Self::Commission(_) => LineKind::Commission,
            Self::Adjustment(_) => LineKind::Adjustment,
        }
    }

    /// The text that the database keeps and cursors carry.
    #[must_use]
    pub fn key(self) -> ShortText {
        match self {
            Self::Commission(id) => joined([id.digits(), "c"]),
            Self::Adjustment(id) => joined([id.digits(), "a"]),
        }
    }

    /// The id behind [`LineId::key`].
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        match key.split_at_checked(26)? {
            (digits, "c") => CommissionId::from_digits(digits).map(Self::Commission),
            (digits, "a") => AdjustmentId::from_digits(digits).map(Self::Adjustment),
            _ => None,
        }
    }
}

crate::db::text_column!(LineId, key, from_key);

impl fmt::Display for LineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commission(id) => id.fmt(formatter),
            Self::Adjustment(id) => id.fmt(formatter),
        }
    }
}

impl fmt::Debug for LineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for LineId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        if text.starts_with(AdjustmentId::PREFIX) {
            text.parse().map(Self::Adjustment)
        } else {
            text.parse().map(Self::Commission)
        }
    }
}

impl serde::Serialize for LineId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Commission(id) => id.serialize(serializer),
            Self::Adjustment(id) => id.serialize(serializer),
        }
    }
}

impl<'de> serde::Deserialize<'de> for LineId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for LineId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^(com|adj)_[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
            .description(Some("Id of a commission or an adjustment: opaque, and in the order of making."))
            .examples(["com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"])
            .into()
    }
}

impl utoipa::ToSchema for LineId {}

impl From<LineId> for Resource {
    fn from(id: LineId) -> Self {
        match id {
            LineId::Commission(id) => id.into(),
            LineId::Adjustment(id) => id.into(),
        }
    }
}

/// A commission or an adjustment as stored. What an adjustment has no value for is none.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = commissions, treat_none_as_default_value = false)]
pub struct CommissionRow {
    /// The partner, or the agency that earned nothing.
    pub account_id: AccountId,
    /// Its id.
    pub id: LineId,
    /// What it is.
    pub kind: LineKind,
    /// Where it stands.
    pub status: CommissionStatus,
    /// Why nothing was earned, or why it was adjusted.
    pub reason: Option<String>,
    /// The client that paid.
    pub client_id: Option<AccountId>,
    /// Its e-mail address when the row arose.
    pub client_email: Option<String>,
    /// Its name when the row arose.
    pub client_name: Option<String>,
    /// The container that was paid for.
    pub container_id: Option<ContainerId>,
    /// Its name when the row arose.
    pub container_name: Option<String>,
    /// Its product.
    pub product: Option<Product>,
    /// The plan that was paid.
    pub plan: Option<String>,
    /// The billing period that was paid.
    pub billing_period: Option<BillingPeriod>,
    /// The payment.
    pub payment_id: Option<PaymentId>,
    /// The billing system's id of the payment.
    pub payment_external_id: Option<String>,
    /// What was paid, tax included.
    pub payment_amount_minor: Option<i64>,
    /// When it was paid.
    pub payment_occurred_at: Option<Timestamp>,
    /// The currency.
    pub currency: Currency,
    /// Amount without tax.
    pub base_minor: Option<i64>,
    /// The rate in basis points.
    pub rate_bps: Option<i32>,
    /// The rule that gave the rate.
    pub rate_source: Option<RateSource>,
    /// The partner's level at the time of the payment.
    pub level: Option<i32>,
    /// The program version at the time of the payment.
    pub program_version: Option<i32>,
    /// Days of review.
    pub review_days: Option<i32>,
    /// What was earned; signed for an adjustment.
    pub amount_minor: i64,
    /// How much of it refunds took back from the row itself.
    pub reversed_minor: i64,
    /// Sum of the adjustments that refunds made for this commission, zero or negative.
    pub refund_adjusted_minor: i64,
    /// End of the review.
    pub review_until: Option<Timestamp>,
    /// Since when it is ready to payout.
    pub ready_at: Option<Timestamp>,
    /// The payout that took it.
    pub payout_id: Option<PayoutId>,
    /// The commission that this adjusts.
    pub adjusts: Option<LineId>,
    /// The operator's note.
    pub note: Option<String>,
    /// When it arose here.
    pub created_at: Timestamp,
}

impl CommissionRow {
    /// An adjustment of what `account_id` earned, ready at once; about `adjusted`, or about no commission.
    #[must_use]
    pub fn adjustment(
        now: Timestamp,
        id: AdjustmentId,
        account_id: AccountId,
        amount: Money,
        reason: &str,
        adjusted: Option<&Self>,
    ) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            client_id: adjusted.and_then(|row| row.client_id),
            client_email: adjusted.and_then(|row| row.client_email.clone()),
            client_name: adjusted.and_then(|row| row.client_name.clone()),
            container_id: adjusted.and_then(|row| row.container_id),
            container_name: adjusted.and_then(|row| row.container_name.clone()),
            product: adjusted.and_then(|row| row.product),
            plan: adjusted.and_then(|row| row.plan.clone()),
            billing_period: adjusted.and_then(|row| row.billing_period),
            payment_id: adjusted.and_then(|row| row.payment_id),
            payment_external_id: adjusted.and_then(|row| row.payment_external_id.clone()),
            payment_amount_minor: adjusted.and_then(|row| row.payment_amount_minor),
            payment_occurred_at: adjusted.and_then(|row| row.payment_occurred_at),
            ready_at: Some(now),
            adjusts: adjusted.map(|row| row.id),
            ..Self::bare(now, account_id, LineId::Adjustment(id), CommissionStatus::ReadyToPayout, amount)
        }
    }

    /// A row of an amount, about nothing yet.
    #[must_use]
    pub const fn bare(
        now: Timestamp,
        account_id: AccountId,
        id: LineId,
        status: CommissionStatus,
        amount: Money,
    ) -> Self {
        Self {
            account_id,
            id,
            kind: id.kind(),
            status,
            reason: None,
            client_id: None,
            client_email: None,
            client_name: None,
            container_id: None,
            container_name: None,
            product: None,
            plan: None,
            billing_period: None,
            payment_id: None,
            payment_external_id: None,
            payment_amount_minor: None,
            payment_occurred_at: None,
            currency: amount.currency,
            base_minor: None,
            rate_bps: None,
            rate_source: None,
            level: None,
            program_version: None,
            review_days: None,
            amount_minor: amount.minor,
            reversed_minor: 0,
            refund_adjusted_minor: 0,
            review_until: None,
            ready_at: None,
            payout_id: None,
            adjusts: None,
            note: None,
            created_at: now,
        }
    }

    /// What is left of it, in minor units.
    #[must_use]
    pub const fn net_minor(&self) -> i64 {
        self.amount_minor - self.reversed_minor
    }

    /// An amount in the row's currency.
    #[must_use]
    pub const fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }
}
