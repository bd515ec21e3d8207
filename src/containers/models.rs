//! Containers as rows and as the API shows them, and the words they use.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::clock::Timestamp;
use crate::db::schema::{container_owners, containers};
use crate::id::{AccountId, ContainerId, OwnershipId};
use crate::money::{Currency, Money, Rate};
use crate::operator_requests::OperatorRequest;

crate::text_enum! {
    /// What Stape hosts.
    pub enum Product {
        /// A server-side tag manager container.
        SgtmContainer = "sgtmContainer",
        /// Signals Gateway.
        SignalsGateway = "signalsGateway",
        /// Stape Gateway.
        StapeGateway = "stapeGateway",
        /// Meta Conversions API Gateway.
        MetaCapiGateway = "metaCapiGateway",
        /// TikTok Gateway.
        TiktokGateway = "tiktokGateway",
        /// Snapchat Gateway.
        SnapchatGateway = "snapchatGateway",
    }
}

crate::text_enum! {
    /// How often a subscription is paid.
    pub enum BillingPeriod {
        /// Every month.
        Monthly = "monthly",
        /// Every year.
        Yearly = "yearly",
    }
}

impl BillingPeriod {
    /// Months between two payments.
    #[must_use]
    pub const fn months(self) -> i64 {
        match self {
            Self::Monthly => 1,
            Self::Yearly => 12,
        }
    }
}

crate::text_enum! {
    /// Whether a container is running, as the platform reports it.
    pub enum ContainerStatus {
        /// Being set up.
        Creating = "creating",
        /// Working.
        Running = "running",
        /// Not working.
        Error = "error",
        /// Held for a while.
        Paused = "paused",
        /// Switched off.
        Stopped = "stopped",
    }
}

crate::text_enum! {
    /// Where a subscription stands.
    pub enum SubscriptionStatus {
        /// Paid.
        Active = "active",
        /// A payment is late.
        PastDue = "pastDue",
        /// Ended.
        Canceled = "canceled",
        /// There never was one.
        None = "none",
    }
}

impl SubscriptionStatus {
    /// Whether the subscription makes its container a paid one, price permitting.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::PastDue)
    }
}

/// A container's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable, AsChangeset)]
#[diesel(table_name = containers, treat_none_as_null = true)]
pub struct ContainerRow {
    /// Its id.
    pub id: ContainerId,
    /// Its present owner.
    pub account_id: AccountId,
    /// The present manager of its owner; none for a deleted container.
    pub manager_id: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// Its product.
    pub product: Product,
    /// Where it is hosted.
    pub zone: String,
    /// Whether it is running.
    pub status: ContainerStatus,
    /// A JSON array of [`ContainerError`].
    pub errors: String,
    /// When the platform last told status and errors.
    pub status_at: Option<Timestamp>,
    /// Its plan.
    pub plan: String,
    /// How often it is paid.
    pub billing_period: BillingPeriod,
    /// Where its subscription stands.
    pub subscription_status: SubscriptionStatus,
    /// Price per billing period without tax, in minor units.
    pub price_minor: i64,
    /// Currency of the price.
    pub currency: Currency,
    /// Start of the paid period.
    pub current_period_start: Option<Timestamp>,
    /// End of the paid period.
    pub current_period_end: Option<Timestamp>,
    /// Whether the subscription ends with the period.
    pub cancel_at_period_end: bool,
    /// When the next payment is due.
    pub next_payment_at: Option<Timestamp>,
    /// `occurredAt` of the last applied `subscription.changed`.
    pub subscription_changed_at: Option<Timestamp>,
    /// Time of the newest payment.
    pub last_payment_at: Option<Timestamp>,
    /// Requests in the usage period.
    pub usage_requests: i64,
    /// Start of the usage period.
    pub usage_period_start: Option<Timestamp>,
    /// End of the usage period.
    pub usage_period_end: Option<Timestamp>,
    /// When the plan's limit was reached in the usage period.
    pub limit_exceeded_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// What searches look into.
    pub search_text: String,
}

impl ContainerRow {
    /// Price per billing period, without tax.
    #[must_use]
    pub const fn price(&self) -> Money {
        Money::new(self.price_minor, self.currency)
    }
}

/// Who owned a container from when on.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = container_owners)]
pub struct OwnershipRow {
    /// The container.
    pub container_id: ContainerId,
    /// Orders owners of the same moment.
    pub id: OwnershipId,
    /// The owner.
    pub account_id: AccountId,
    /// From then on.
    pub owned_from: Timestamp,
}

/// A container.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// The account that owns and pays it.
    pub account_id: AccountId,
    /// Its name.
    #[schema(example = "Shop, server side")]
    pub name: String,
    /// Its product.
    pub product: Product,
    /// Where it is hosted.
    #[schema(example = "eu-west")]
    pub zone: String,
    /// Whether it is running, as the platform reports it.
    pub status: ContainerStatus,
    /// Its plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// How often it is paid.
    pub billing_period: BillingPeriod,
    /// What is paid for it.
    pub subscription: Subscription,
    /// How much of the plan is used.
    pub usage: Usage,
    /// What the platform reports to be wrong.
    pub errors: Vec<ContainerError>,
    /// The operator request that is open for it, if any.
    #[schema(required = true)]
    pub pending_request: Option<OperatorRequest>,
    /// What it brings its manager; null for the client.
    #[schema(required = true)]
    pub commission: Option<ContainerCommission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What is paid for a container.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// Price per billing period, without tax.
    pub price: Money,
    /// Start of the paid period.
    #[schema(required = true)]
    pub current_period_start: Option<Timestamp>,
    /// End of the paid period.
    #[schema(required = true)]
    pub current_period_end: Option<Timestamp>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When the next payment is due.
    #[schema(required = true)]
    pub next_payment_at: Option<Timestamp>,
}

/// How much of the plan's requests is used.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Requests in the usage period.
    #[schema(minimum = 0, example = 412_000)]
    pub requests: i64,
    /// The plan's requests a month; null is without limit.
    #[schema(required = true, minimum = 0, example = 500_000)]
    pub limit: Option<i64>,
    /// Requests in whole percent of the limit, rounded down; null without a limit.
    #[schema(required = true, minimum = 0, example = 82)]
    pub percent: Option<i64>,
    /// Whether the limit was reached in the usage period.
    pub limit_exceeded: bool,
    /// When it was reached.
    #[schema(required = true)]
    pub limit_exceeded_at: Option<Timestamp>,
    /// Start of the usage period; null before the first report.
    #[schema(required = true)]
    pub period_start: Option<Timestamp>,
    /// End of the usage period.
    #[schema(required = true)]
    pub period_end: Option<Timestamp>,
}

/// Something wrong with a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerError {
    /// The platform's code.
    #[schema(example = "dnsNotVerified")]
    pub code: String,
    /// What is wrong, for a person.
    #[schema(example = "The custom domain does not point to the container")]
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a container brings its manager.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerCommission {
    /// The manager's present rate for it, in percent.
    pub rate_percent: Rate,
    /// What it brings in a month at that rate; 0.00 unless it is a paid container.
    pub monthly: Money,
}

/// A new container. It starts on the plan `free`.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateContainer {
    /// Its name, 1 to 100 characters after trimming.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "crate::accounts::models::validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Shop, server side")]
    pub name: String,
    /// Its product.
    pub product: Product,
    /// Where it shall be hosted; the platform's default when left out.
    #[serde(default, deserialize_with = "crate::http::trimmed")]
    #[validate(length(min = 1, max = 50))]
    #[schema(min_length = 1, max_length = 50, example = "eu-west")]
    pub zone: Option<String>,
    /// The sub-account that shall own it: needed from a manager; a client may leave it out or name itself.
    pub account_id: Option<AccountId>,
}
