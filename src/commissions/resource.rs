//! Commissions and adjustments as the API shows them. No rules.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::models::{CommissionRow, CommissionStatus, LineId, LineKind, NoCommissionReason};
use crate::billing::RefundReason;
use crate::clock::Timestamp;
use crate::containers::{BillingPeriod, Product};
use crate::http::export::{Cell, ExportRow};
use crate::id::{AccountId, ContainerId, PaymentId, PayoutId};
use crate::money::{Money, Rate};
use crate::payouts::adjustments::AdjustmentReason;
use crate::text_enum::list;

/// What a payment earned, or an adjustment of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commission {
    /// Its id.
    pub id: LineId,
    /// What it is.
    pub kind: LineKind,
    /// Where it stands.
    pub status: CommissionStatus,
    /// Why nothing was earned, or why it was adjusted; null for a commission that was earned.
    #[schema(required = true, schema_with = reason_schema)]
    pub reason: Option<String>,
    /// The client that paid; null for an adjustment that is about none.
    #[schema(required = true)]
    pub sub_account: Option<SubAccountReference>,
    /// The container that was paid for, as it was then; null for an adjustment that is about none.
    #[schema(required = true)]
    pub container: Option<ContainerReference>,
    /// The payment; null for an adjustment that is about none.
    #[schema(required = true)]
    pub payment: Option<PaymentReference>,
    /// What was paid without tax; null for an adjustment.
    #[schema(required = true)]
    pub base: Option<Money>,
    /// The rate in percent; null where there was none.
    #[schema(required = true)]
    pub rate_percent: Option<Rate>,
    /// What was earned; signed for an adjustment.
    pub amount: Money,
    /// How much of it refunds took back from this row.
    pub reversed: Money,
    /// What is left: amount less reversed.
    pub net: Money,
    /// The partner's level when the client paid; null where there was none.
    #[schema(required = true, minimum = 1, example = 1)]
    pub level: Option<i32>,
    /// The program version when the client paid; null for an adjustment.
    #[schema(required = true, minimum = 1, example = 1)]
    pub program_version: Option<i32>,
    /// End of the review; null where nothing was earned and for an adjustment.
    #[schema(required = true)]
    pub review_until: Option<Timestamp>,
    /// Since when it is ready to payout; null before.
    #[schema(required = true)]
    pub ready_at: Option<Timestamp>,
    /// The payout that took it.
    #[schema(required = true)]
    pub payout_id: Option<PayoutId>,
    /// The commission that this adjusts.
    #[schema(required = true)]
    pub adjusts: Option<LineId>,
    /// When it arose.
    pub created_at: Timestamp,
}

/// The client that something is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubAccountReference {
    /// Its account id.
    pub id: AccountId,
    /// E-mail address of its first owner.
    #[schema(example = "shop@example.com")]
    pub email: String,
    /// Name of its first owner.
    #[schema(example = "Ada Byron")]
    pub name: String,
}

/// The container that something is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerReference {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    #[schema(example = "Shop, server side")]
    pub name: String,
    /// Its product.
    pub product: Product,
    /// Its plan.
    #[schema(example = "pro")]
    pub plan: String,
}

/// The payment that something is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentReference {
    /// Its id.
    pub id: PaymentId,
    /// The billing system's id of it.
    #[schema(example = "pay-1001")]
    pub external_id: String,
    /// What was paid, tax included.
    pub amount: Money,
    /// When it was paid.
    pub occurred_at: Timestamp,
    /// The billing period that was paid.
    pub billing_period: BillingPeriod,
}

/// A reason with every word that it can be.
pub(super) fn reason_schema() -> Schema {
    let description = format!(
        "Why nothing was earned, or why it was adjusted; null for a commission that was earned.\n\n\
         Why nothing was earned, the first that fits:\n\n{}\n\n\
         Why a commission that a payout had taken was adjusted:\n\n{}\n\n\
         Why the operator made an adjustment:\n\n{}",
        list(NoCommissionReason::MEANINGS),
        list(RefundReason::MEANINGS),
        list(AdjustmentReason::MEANINGS),
    );
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some(description))
        .examples([json!(null)])
        .into()
}

impl SubAccountReference {
    /// The client of a row, where it has one; takes the texts out of the row.
    #[must_use]
    pub fn of(row: &mut CommissionRow) -> Option<Self> {
        Some(Self { id: row.client_id?, email: row.client_email.take()?, name: row.client_name.take()? })
    }
}

impl ContainerReference {
    /// The container of a row, where it has one; takes the texts out of the row.
    #[must_use]
    pub fn of(row: &mut CommissionRow) -> Option<Self> {
        let (name, plan) = (row.container_name.take()?, row.plan.take()?);
        Some(Self { id: row.container_id?, name, product: row.product?, plan })
    }
}

impl PaymentReference {
    /// The payment of a row, where it has one; takes the texts out of the row.
    #[must_use]
    pub fn of(row: &mut CommissionRow) -> Option<Self> {
        Some(Self {
            id: row.payment_id?,
            external_id: row.payment_external_id.take()?,
            amount: row.money(row.payment_amount_minor?),
            occurred_at: row.payment_occurred_at?,
            billing_period: row.billing_period?,
        })
    }
}

impl From<CommissionRow> for Commission {
    fn from(mut row: CommissionRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            status: row.status,
            reason: row.reason.take(),
            sub_account: SubAccountReference::of(&mut row),
            container: ContainerReference::of(&mut row),
            payment: PaymentReference::of(&mut row),
            base: row.base_minor.map(|minor| row.money(minor)),
            rate_percent: row.rate_bps.map(Rate::from_bps),
            amount: row.money(row.amount_minor),
            reversed: row.money(row.reversed_minor),
            net: row.money(row.net_minor()),
            level: row.level,
            program_version: row.program_version,
            review_until: row.review_until,
            ready_at: row.ready_at,
            payout_id: row.payout_id,
            adjusts: row.adjusts,
            created_at: row.created_at,
        }
    }
}

impl ExportRow for Commission {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "kind",
        "status",
        "reason",
        "subAccountId",
        "subAccountEmail",
        "subAccountName",
        "containerId",
        "containerName",
        "product",
        "plan",
        "paymentId",
        "paymentExternalId",
        "paymentAmount",
        "paymentOccurredAt",
        "billingPeriod",
        "base",
        "ratePercent",
        "amount",
        "reversed",
        "net",
        "currency",
        "level",
        "programVersion",
        "reviewUntil",
        "readyAt",
        "payoutId",
        "adjusts",
        "createdAt",
    ];

    fn cells(&self) -> Vec<Cell> {
        let (client, container, payment) = (self.sub_account.as_ref(), self.container.as_ref(), self.payment.as_ref());
        vec![
            Cell::plain(self.id),
            Cell::plain(self.kind),
            Cell::plain(self.status),
            Cell::text(self.reason.as_deref()),
            Cell::maybe(client.map(|client| client.id)),
            Cell::text(client.map(|client| client.email.as_str())),
            Cell::text(client.map(|client| client.name.as_str())),
            Cell::maybe(container.map(|container| container.id)),
            Cell::text(container.map(|container| container.name.as_str())),
            Cell::maybe(container.map(|container| container.product)),
            Cell::text(container.map(|container| container.plan.as_str())),
            Cell::maybe(payment.map(|payment| payment.id)),
            Cell::text(payment.map(|payment| payment.external_id.as_str())),
            Cell::maybe(payment.map(|payment| payment.amount.amount())),
            Cell::maybe(payment.map(|payment| payment.occurred_at)),
            Cell::maybe(payment.map(|payment| payment.billing_period)),
            Cell::maybe(self.base.map(Money::amount)),
            Cell::maybe(self.rate_percent),
            Cell::plain(self.amount.amount()),
            Cell::plain(self.reversed.amount()),
            Cell::plain(self.net.amount()),
            Cell::plain(self.amount.currency),
            Cell::maybe(self.level),
            Cell::maybe(self.program_version),
            Cell::maybe(self.review_until),
            Cell::maybe(self.ready_at),
            Cell::maybe(self.payout_id),
            Cell::maybe(self.adjusts),
            Cell::plain(self.created_at),
        ]
    }
}
