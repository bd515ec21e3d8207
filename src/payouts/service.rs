//! How partners and the operator find payouts, and what a request would take. Reads only.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::models::{PayoutMethodReference, PayoutRow, PayoutStatus};
use super::request::Position;
use crate::accounts;
use crate::clock::Timestamp;
use crate::commissions::CommissionStatus;
use crate::db::schema::{commissions, payouts};
use crate::db::{Conn, narrow};
use crate::error::{OrNotFound, Result};
use crate::http::Page;
use crate::id::{AccountId, PayoutBatchId, PayoutId};
use crate::ledger;
use crate::money::{Currency, Money};

/// What a list of payouts is narrowed to: rows with one of the values, where there are any.
#[derive(Debug, Default, Clone)]
pub struct PayoutFilter {
    /// Partners; for the operator.
    pub accounts: Option<Vec<AccountId>>,
    /// Where they stand.
    pub statuses: Option<Vec<PayoutStatus>>,
    /// Currencies.
    pub currencies: Option<Vec<Currency>>,
    /// Batches that they were sent in.
    pub batches: Option<Vec<PayoutBatchId>>,
    /// Made at this time or later.
    pub created_after: Option<Timestamp>,
    /// Made before this time.
    pub created_before: Option<Timestamp>,
}

/// Up to `limit` payouts before `after`, newest first: of one partner, or of all for the operator.
///
/// # Errors
/// The database's own failure.
pub fn list(
    conn: &mut Conn,
    partner: Option<AccountId>,
    filter: &PayoutFilter,
    after: Option<PayoutId>,
    limit: i64,
) -> Result<Vec<PayoutRow>> {
    let mut query = payouts::table.order(payouts::id.desc()).limit(limit).select(PayoutRow::as_select()).into_boxed();
    if let Some(account_id) = partner {
        query = query.filter(payouts::account_id.eq(account_id));
    }
    if let Some(after) = after {
        query = query.filter(payouts::id.lt(after));
    }
    narrow!(query, payouts::account_id, &filter.accounts);
    narrow!(query, payouts::status, &filter.statuses);
    narrow!(query, payouts::currency, &filter.currencies);
    narrow!(query, payouts::batch_id, &filter.batches);
    if let Some(time) = filter.created_after {
        query = query.filter(payouts::created_at.ge(time));
    }
    if let Some(time) = filter.created_before {
        query = query.filter(payouts::created_at.lt(time));
    }
    Ok(query.load(conn)?)
}

/// One of the partner's payouts.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find(conn: &mut Conn, account_id: AccountId, id: PayoutId) -> Result<PayoutRow> {
    payouts::table.find((account_id, id)).select(PayoutRow::as_select()).get_result(conn).or_not_found()
}

/// Whose payout it is: for the operator.
///
/// # Errors
/// 404 for a missing one.
pub fn owner_of(conn: &mut Conn, id: PayoutId) -> Result<AccountId> {
    payouts::table.filter(payouts::id.eq(id)).select(payouts::account_id).get_result(conn).or_not_found()
}

/// The lines of one of the partner's payouts.
///
/// # Errors
/// 404 for a missing payout and for somebody else's; 400 for a bad cursor.
pub fn lines(
    conn: &mut Conn,
    account_id: AccountId,
    id: PayoutId,
    page: &Page,
) -> Result<Vec<super::lines::PayoutLine>> {
    let payout = find(conn, account_id, id)?;
    super::lines::list(conn, &payout, page)
}

/// What a request would take, or why it would be refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutPreview {
    /// The currency.
    pub currency: Currency,
    /// What is ready now, with what a request would first make ready; negative is debt.
    pub amount: Money,
    /// How many commissions and adjustments that is.
    #[schema(minimum = 0, example = 42)]
    pub line_count: i64,
    /// A payout must be more than this.
    pub minimum: Money,
    /// Where the money would go; null without a method for the currency.
    #[schema(required = true)]
    pub method: Option<PayoutMethodReference>,
    /// Whether a request would be accepted.
    pub allowed: bool,
    /// Why it would be refused; null where it would not.
    #[schema(required = true)]
    pub refusal: Option<PayoutRefusal>,
}

/// Why a request would be refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutRefusal {
    /// The code of the problem that a request would be answered: `notPartner`, `accountBlocked`, `belowMinimum` or
    /// `payoutMethodMissing`.
    #[schema(example = "belowMinimum")]
    pub code: String,
    /// What is missing.
    #[schema(example = "17.00 USD are ready; a payout must be more than 100.00 USD")]
    pub detail: String,
}

/// What a request would take now; none in a currency that the program does not list.
///
/// # Errors
/// The database's own failure.
pub fn preview(
    conn: &mut Conn,
    now: Timestamp,
    account_id: AccountId,
    currency: Currency,
) -> Result<Option<PayoutPreview>> {
    let account = accounts::service::find(conn, account_id)?;
    let balances = ledger::balances::present(conn, account_id)?;
    let posted = balances.iter().find(|row| row.currency == currency).map_or(0, |row| row.ready_minor);
    let (due_minor, due_count) = due(conn, now, account_id, currency)?;
    let ready_count: i64 = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::status.eq(CommissionStatus::ReadyToPayout))
        .filter(commissions::currency.eq(currency))
        .count()
        .get_result(conn)?;
    let position = Position::of(conn, account_id, currency, posted + due_minor)?;
    let Some(position) = position else { return Ok(None) };
    let refusal = position.refusal(&account);
    Ok(Some(PayoutPreview {
        currency,
        amount: position.ready,
        line_count: ready_count + due_count,
        minimum: position.minimum,
        allowed: refusal.is_none(),
        refusal: refusal.map(|problem| PayoutRefusal { code: problem.code.name().to_owned(), detail: problem.detail }),
        method: position
            .method
            .map(|method| PayoutMethodReference { method_type: method.method_type, label: method.label }),
    }))
}

/// What is still in review though its time is over: a request makes it ready first.
fn due(conn: &mut Conn, now: Timestamp, account_id: AccountId, currency: Currency) -> Result<(i64, i64)> {
    let rows: Vec<(i64, i64)> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::status.eq(CommissionStatus::InReview))
        .filter(commissions::review_until.le(now))
        .filter(commissions::currency.eq(currency))
        .select((commissions::amount_minor, commissions::reversed_minor))
        .load(conn)?;
    let sum = rows.iter().map(|(amount, reversed)| amount - reversed).sum();
    Ok((sum, i64::try_from(rows.len()).unwrap_or(i64::MAX)))
}
