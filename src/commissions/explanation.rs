//! Why a commission is what it is: rule, base, rounding, review, and every posting since (domain section 5). Reads only.

use diesel::prelude::*;
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use super::models::{CommissionRow, CommissionStatus, LineId, NoCommissionReason};
use super::resource::reason_schema;
use super::{accrual, service};
use crate::clock::Timestamp;
use crate::containers::BillingPeriod;
use crate::db::Conn;
use crate::db::schema::ledger_entries;
use crate::error::Result;
use crate::id::AccountId;
use crate::ledger::{EntryKind, EntryRow, LedgerAccount};
use crate::money::{Money, Rate};
use crate::partners::RateSource;

crate::text_enum! {
    /// How amounts are rounded to the currency's minor unit.
    pub enum Rounding {
        /// To the nearest; a half to the even neighbour.
        HalfEven = "halfEven",
    }
}

/// Why a commission is what it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The commission or adjustment.
    pub commission_id: LineId,
    /// Where it stands.
    pub status: CommissionStatus,
    /// Why nothing was earned, or why it was adjusted; null for a commission that was earned.
    #[schema(required = true, schema_with = reason_schema)]
    pub reason: Option<String>,
    /// The rule that gave the rate; null where no rate was applied.
    #[schema(required = true)]
    pub rule: Option<RateRule>,
    /// What was paid without tax; null for an adjustment.
    #[schema(required = true)]
    pub base: Option<Money>,
    /// Base × rate before rounding; null where no rate was applied.
    #[schema(required = true, pattern = r"^[0-9]+(\.[0-9]+)?$", example = "0.015")]
    pub unrounded: Option<String>,
    /// How commissions are rounded; an adjustment is not.
    pub rounding: Rounding,
    /// What was earned, before refunds; signed for an adjustment.
    pub amount: Money,
    /// How long it is reviewed; null where it is not.
    #[schema(required = true)]
    pub review: Option<Review>,
    /// Every movement of its money, oldest first.
    pub postings: Vec<ExplainedPosting>,
}

/// Which rule gave which rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateRule {
    /// The rule.
    pub source: RateSource,
    /// The partner's level when the client paid.
    #[schema(minimum = 1, example = 1)]
    pub level: i32,
    /// The program version when the client paid.
    #[schema(minimum = 1, example = 1)]
    pub program_version: i32,
    /// The rate in percent.
    pub rate_percent: Rate,
}

/// How long a commission is reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// The billing period that was paid, which decides the days.
    pub billing_period: BillingPeriod,
    /// Days of 24 hours after the payment.
    #[schema(minimum = 0, example = 14)]
    pub days: i32,
    /// Their end.
    pub until: Timestamp,
}

/// One side of a movement of money.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPosting {
    /// The ledger account that it changed.
    pub account: LedgerAccount,
    /// By how much, signed.
    pub amount: Money,
    /// Why.
    pub kind: EntryKind,
    /// When.
    pub at: Timestamp,
}

/// Explains one of the manager's commissions or adjustments.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn explain(conn: &mut Conn, manager_id: AccountId, id: LineId) -> Result<Explanation> {
    let row = service::find_row(conn, manager_id, id)?;
    let entries: Vec<EntryRow> = ledger_entries::table
        .filter(ledger_entries::account_id.eq(manager_id))
        .filter(ledger_entries::commission_id.eq(id))
        .order(ledger_entries::id)
        .select(EntryRow::as_select())
        .load(conn)?;
    Ok(explained(row, &entries))
}

fn explained(row: CommissionRow, entries: &[EntryRow]) -> Explanation {
    let rule = rule_of(&row);
    let base = row.base_minor.map(|minor| row.money(minor));
    let unrounded = base.zip(rule).map(|(base, rule)| accrual::unrounded(base, rule.rate_percent));
    Explanation {
        commission_id: row.id,
        status: row.status,
        rule,
        base,
        unrounded: unrounded.as_ref().map(Decimal::to_string),
        rounding: Rounding::HalfEven,
        amount: row.money(row.amount_minor),
        review: review_of(&row),
        postings: entries.iter().map(ExplainedPosting::from).collect(),
        reason: row.reason,
    }
}

/// The stored rule. A payment by the manager earns nothing before any rate is looked at.
fn rule_of(row: &CommissionRow) -> Option<RateRule> {
    if row.reason.as_deref() == Some(NoCommissionReason::PaidByManager.as_str()) {
        return None;
    }
    Some(RateRule {
        source: row.rate_source?,
        level: row.level?,
        program_version: row.program_version?,
        rate_percent: row.rate_bps.map(Rate::from_bps)?,
    })
}

fn review_of(row: &CommissionRow) -> Option<Review> {
    Some(Review { billing_period: row.billing_period?, days: row.review_days?, until: row.review_until? })
}

impl From<&EntryRow> for ExplainedPosting {
    fn from(entry: &EntryRow) -> Self {
        Self { account: entry.ledger_account, amount: entry.money(), kind: entry.kind, at: entry.created_at }
    }
}
