//! Payments as the API shows them: to the client that paid, and to who managed it then.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::models::{Payer, PaymentReason, PaymentRow};
use crate::clock::Timestamp;
use crate::commissions::LineId;
use crate::containers::BillingPeriod;
use crate::db::Conn;
use crate::db::schema::payments;
use crate::error::{Error, OrNotFound, Result};
use crate::http::Page;
use crate::id::{AccountId, ContainerId, PaymentId};
use crate::money::Money;

/// What was paid for a container.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The billing system's id of it.
    #[schema(example = "pay-1001")]
    pub external_id: String,
    /// The client that owned the container when it was paid.
    pub account_id: AccountId,
    /// The container.
    pub container_id: ContainerId,
    /// The plan that was paid.
    #[schema(example = "pro")]
    pub plan: String,
    /// The billing period that was paid.
    pub billing_period: BillingPeriod,
    /// What was paid, tax included.
    pub amount: Money,
    /// The tax in it.
    pub tax: Money,
    /// What went back so far.
    pub refunded: Money,
    /// Who paid.
    pub payer: Payer,
    /// Why it was paid.
    pub reason: PaymentReason,
    /// When it was paid.
    pub occurred_at: Timestamp,
    /// Start of the paid period.
    pub period_start: Timestamp,
    /// End of the paid period.
    pub period_end: Timestamp,
    /// The commission row that it made; null for the client and where there is none.
    #[schema(required = true)]
    pub commission_id: Option<LineId>,
}

/// Whose payments are listed, and which of them.
#[derive(Debug)]
pub struct PaymentFilter {
    /// Who asks.
    pub caller_id: AccountId,
    /// Whether it asks as a manager.
    pub by_manager: bool,
    /// Made at this time or later.
    pub occurred_after: Option<Timestamp>,
    /// Made before this time.
    pub occurred_before: Option<Timestamp>,
}

/// A page of payments, the one that arrived last first.
///
/// # Errors
/// The database's own failure.
pub fn list(conn: &mut Conn, filter: &PaymentFilter, page: &Page) -> Result<Vec<Payment>> {
    let mut query =
        payments::table.order(payments::id.desc()).limit(page.fetch()).select(PaymentRow::as_select()).into_boxed();
    query = if filter.by_manager {
        query.filter(payments::manager_id.eq(filter.caller_id))
    } else {
        query.filter(payments::account_id.eq(filter.caller_id))
    };
    if let Some(after) = page.after_key::<PaymentId>()? {
        query = query.filter(payments::id.lt(after));
    }
    if let Some(time) = filter.occurred_after {
        query = query.filter(payments::occurred_at.ge(time));
    }
    if let Some(time) = filter.occurred_before {
        query = query.filter(payments::occurred_at.lt(time));
    }
    let rows: Vec<PaymentRow> = query.load(conn)?;
    Ok(rows.into_iter().map(|row| shown(row, filter.by_manager)).collect())
}

/// A payment that the caller may see.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find(conn: &mut Conn, caller_id: AccountId, by_manager: bool, id: PaymentId) -> Result<Payment> {
    let row: PaymentRow = payments::table.find(id).select(PaymentRow::as_select()).get_result(conn).or_not_found()?;
    let seen = if by_manager { row.manager_id == Some(caller_id) } else { row.account_id == caller_id };
    if !seen {
        return Err(Error::not_found());
    }
    Ok(shown(row, by_manager))
}

fn shown(row: PaymentRow, by_manager: bool) -> Payment {
    Payment {
        amount: row.money(row.amount_minor),
        tax: row.money(row.tax_minor),
        refunded: row.money(row.refunded_minor),
        id: row.id,
        external_id: row.external_id,
        account_id: row.account_id,
        container_id: row.container_id,
        plan: row.plan,
        billing_period: row.billing_period,
        payer: row.payer,
        reason: row.reason,
        occurred_at: row.occurred_at,
        period_start: row.period_start,
        period_end: row.period_end,
        commission_id: row.commission_id.filter(|_| by_manager),
    }
}
