//! Payouts as rows and as the API shows them. No rules.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::schema::payouts;
use crate::http::export::{Cell, ExportRow};
use crate::id::{AccountId, AdjustmentId, PayoutBatchId, PayoutId};
use crate::money::{Currency, Money};
use crate::payout_methods::MethodType;

crate::text_enum! {
    /// Where a payout stands.
    pub enum PayoutStatus {
        /// Waits for the operator.
        Requested = "requested",
        /// The operator will pay it.
        Approved = "approved",
        /// The money is on its way.
        Processing = "processing",
        /// Paid out; it never changes again.
        Paid = "paid",
        /// The partner withdrew it.
        Canceled = "canceled",
        /// The operator refused it.
        Rejected = "rejected",
        /// No money left.
        Failed = "failed",
    }
}

crate::text_enum! {
    /// Who wanted a payout; the audit log names the person or key.
    pub enum RequestedBy {
        /// The partner.
        Partner = "partner",
        /// The operator's support, for the partner.
        Operator = "operator",
        /// The partner's schedule.
        Schedule = "schedule",
    }
}

/// A payout as stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(
    table_name = payouts,
    primary_key(account_id, id),
    treat_none_as_null = true,
    treat_none_as_default_value = false
)]
pub struct PayoutRow {
    /// The partner.
    pub account_id: AccountId,
    /// Its id.
    pub id: PayoutId,
    /// Its number among the partner's payouts of the year.
    pub number: String,
    /// Where it stands.
    pub status: PayoutStatus,
    /// The currency.
    pub currency: Currency,
    /// The sum of its lines.
    pub amount_minor: i64,
    /// How many lines.
    pub line_count: i64,
    /// The method's type, as it was at the request.
    pub method_type: MethodType,
    /// What may be shown of the method.
    pub method_label: String,
    /// The method, encrypted.
    pub method_details: Vec<u8>,
    /// Who wanted it.
    pub requested_by: RequestedBy,
    /// When.
    pub requested_at: Timestamp,
    /// When the operator approved it.
    pub approved_at: Option<Timestamp>,
    /// When the money was sent.
    pub started_at: Option<Timestamp>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it came to its end, whichever.
    pub closed_at: Option<Timestamp>,
    /// The transfer's reference.
    pub reference: Option<String>,
    /// Why it was rejected or failed.
    pub reason: Option<String>,
    /// The batch that it was sent in.
    pub batch_id: Option<PayoutBatchId>,
    /// The adjustment that gave the money back to the partner's balance after the bank had returned it.
    pub returned_by: Option<AdjustmentId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl PayoutRow {
    /// What it pays.
    #[must_use]
    pub const fn money(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }
}

/// A payout: what leaves for a partner at once, in one currency.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// Its id.
    pub id: PayoutId,
    /// The partner.
    pub account_id: AccountId,
    /// Its number among the partner's payouts of the UTC year, over all currencies and without gaps.
    #[schema(pattern = "^[0-9]{4}-[0-9]{4,}$", example = "2026-0001")]
    pub number: String,
    /// Where it stands.
    pub status: PayoutStatus,
    /// The sum of its lines.
    pub amount: Money,
    /// How many lines.
    #[schema(minimum = 1, example = 42)]
    pub line_count: i64,
    /// Where the money goes, as it was at the request.
    pub method: PayoutMethodReference,
    /// Who wanted it.
    pub requested_by: RequestedBy,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When the operator approved it.
    #[schema(required = true)]
    pub approved_at: Option<Timestamp>,
    /// When the money was sent.
    #[schema(required = true)]
    pub started_at: Option<Timestamp>,
    /// When it was paid.
    #[schema(required = true)]
    pub paid_at: Option<Timestamp>,
    /// When it came to its end: paid, canceled, rejected or failed.
    #[schema(required = true)]
    pub closed_at: Option<Timestamp>,
    /// The transfer's reference; null until it is paid.
    #[schema(required = true, example = json!(null))]
    pub reference: Option<String>,
    /// Why it was rejected or failed.
    #[schema(required = true, example = json!(null))]
    pub reason: Option<String>,
    /// The batch that it was sent in.
    #[schema(required = true)]
    pub batch_id: Option<PayoutBatchId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where money goes, as far as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutMethodReference {
    /// What kind of method.
    #[serde(rename = "type")]
    pub method_type: MethodType,
    /// What may be shown of it.
    #[schema(example = "DE•• •••• 3000")]
    pub label: String,
}

impl From<PayoutRow> for Payout {
    fn from(row: PayoutRow) -> Self {
        Self {
            amount: row.money(),
            id: row.id,
            account_id: row.account_id,
            number: row.number,
            status: row.status,
            line_count: row.line_count,
            method: PayoutMethodReference { method_type: row.method_type, label: row.method_label },
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            approved_at: row.approved_at,
            started_at: row.started_at,
            paid_at: row.paid_at,
            closed_at: row.closed_at,
            reference: row.reference,
            reason: row.reason,
            batch_id: row.batch_id,
            created_at: row.created_at,
        }
    }
}

impl ExportRow for Payout {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "number",
        "status",
        "amount",
        "currency",
        "lineCount",
        "methodType",
        "methodLabel",
        "requestedBy",
        "requestedAt",
        "approvedAt",
        "startedAt",
        "paidAt",
        "closedAt",
        "reference",
        "reason",
        "batchId",
        "createdAt",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::plain(&self.number),
            Cell::plain(self.status),
            Cell::plain(self.amount.amount()),
            Cell::plain(self.amount.currency),
            Cell::plain(self.line_count),
            Cell::plain(self.method.method_type),
            Cell::text(Some(&self.method.label)),
            Cell::plain(self.requested_by),
            Cell::plain(self.requested_at),
            Cell::maybe(self.approved_at),
            Cell::maybe(self.started_at),
            Cell::maybe(self.paid_at),
            Cell::maybe(self.closed_at),
            Cell::text(self.reference.as_deref()),
            Cell::text(self.reason.as_deref()),
            Cell::maybe(self.batch_id),
            Cell::plain(self.created_at),
        ]
    }
}
