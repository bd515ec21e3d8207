//! The operator's adjustments of what a partner earned: signed, ready at once (domain section 5).
//!
//! They are no part of what a refund still has to take back. Only `payoutReturned` has a limit of its own: once for each
//! paid payout, and its amount. What sign the others have is left to the operator: a bonus can be taken back, a fraud found
//! to be none.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::models::{PayoutRow, PayoutStatus};
use crate::accounts::{self, AccountKind};
use crate::audit;
use crate::commissions::{self, Commission, CommissionRow, LineId, LineKind};
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{commissions as commissions_table, payouts};
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::http::trimmed;
use crate::id::{AccountId, AdjustmentId, PayoutId};
use crate::ledger::{EntryKind, Journal, LedgerAccount, Posting};
use crate::money::Money;
use crate::program;

crate::text_enum! {
    /// Why the operator adjusts what was earned.
    pub enum AdjustmentReason {
        /// Something was booked wrongly.
        Correction = "correction",
        /// The program gives more than was earned.
        Bonus = "bonus",
        /// It was earned by fraud.
        Fraud = "fraud",
        /// A refund or chargeback was taken back.
        RefundReversed = "refundReversed",
        /// The program gives up a debt.
        WriteOff = "writeOff",
        /// The bank sent a payout's money back.
        PayoutReturned = "payoutReturned",
    }
}

/// An adjustment that is to be.
#[derive(Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"accountId": "acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "reason": "correction", "note": "double booking of May",
    "amount": {"amount": "-6.00", "currency": "USD"}, "commissionId": "com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"}))]
pub struct CreateAdjustment {
    /// The partner.
    pub account_id: AccountId,
    /// By how much: below zero takes away. Not zero, in a currency of the program, and in that of the commission where one is
    /// named.
    #[validate(custom(function = "not_zero"))]
    pub amount: Money,
    /// Why.
    pub reason: AdjustmentReason,
    /// What the partner's books shall know; it is shown in the audit log.
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000, pattern = r"\S", example = "double booking of May")]
    pub note: String,
    /// One of the partner's commissions that it is about.
    #[serde(default)]
    #[schema(example = json!(null))]
    pub commission_id: Option<LineId>,
    /// The paid payout whose money came back: with `payoutReturned`, and with no other reason.
    #[serde(default)]
    #[schema(example = json!(null))]
    pub payout_id: Option<PayoutId>,
}

fn not_zero(amount: &Money) -> Result<(), ValidationError> {
    if amount.minor == 0 {
        return Err(ValidationError::new("zero").with_message("must not be zero".into()));
    }
    Ok(())
}

/// Makes an adjustment.
///
/// # Errors
/// 422 for an account that is no partner's, a currency that neither the program lists nor the partner ever had, or that is not
/// the commission's, a commission or payout that is not the partner's, a payout that is not paid or has another amount; 409
/// `payoutReturnedAlready`.
pub fn create(conn: &mut Conn, context: &Context, input: &CreateAdjustment) -> Result<Commission> {
    payout_goes_with_its_reason(input)?;
    let account_id = input.account_id;
    let (context, accounts) = &accounts::lock(conn, context, &[account_id])?;
    if accounts.first().is_none_or(|account| account.kind != AccountKind::Partner) {
        return Err(Error::invalid("/accountId", "unknown", "is not the id of a partner"));
    }
    if program::currencies::terms_for(conn, account_id, input.amount.currency)?.is_none() {
        let detail = format!("the program does not list {}, and the partner never had any", input.amount.currency);
        let violation = Violation::at("/amount/currency", "currencyNotSupported", "is not a currency of the program");
        return Err(Problem::new(Code::CurrencyNotSupported, detail).with(violation).into());
    }
    let adjusted = input.commission_id.map(|id| adjusted_row(conn, account_id, id)).transpose()?;
    refuse_other_currency(input.amount, adjusted.as_ref())?;
    let id = AdjustmentId::new(context.now);
    if let Some(payout_id) = input.payout_id {
        book_return(conn, account_id, payout_id, input.amount, id)?;
    }
    let row = CommissionRow {
        note: Some(input.note.clone()),
        ..CommissionRow::adjustment(context.now, id, account_id, input.amount, input.reason.as_str(), adjusted.as_ref())
    };
    diesel::insert_into(commissions_table::table).values(row.clone()).execute(conn)?;
    let mut journal = Journal::open(conn, &[account_id])?;
    journal.post(context.now, &posting(&row, input.payout_id))?;
    journal.write(conn)?;
    let details = json!({
        "amount": input.amount,
        "reason": input.reason,
        "note": input.note,
        "commissionId": input.commission_id,
        "payoutId": input.payout_id,
    });
    audit::record(conn, context, Some(account_id), "adjustment.created", row.id, Some(details))?;
    events::record(conn, context, account_id, EventType::CommissionAdjusted, row.id)?;
    Ok(Commission::from(row))
}

fn payout_goes_with_its_reason(input: &CreateAdjustment) -> Result<()> {
    let is_return = input.reason == AdjustmentReason::PayoutReturned;
    match input.payout_id {
        None if is_return => Err(Error::invalid("/payoutId", "required", "is required with the reason payoutReturned")),
        Some(_) if !is_return => {
            Err(Error::invalid("/payoutId", "notAllowed", "goes only with the reason payoutReturned"))
        }
        _ => Ok(()),
    }
}

fn refuse_other_currency(amount: Money, adjusted: Option<&CommissionRow>) -> Result<()> {
    let Some(row) = adjusted.filter(|row| row.currency != amount.currency) else { return Ok(()) };
    let detail = format!("the adjustment is in {}, the commission in {}", amount.currency, row.currency);
    let violation = Violation::at("/amount/currency", "currencyMismatch", format!("must be {}", row.currency));
    Err(Problem::new(Code::CurrencyMismatch, detail).with(violation).into())
}

/// The commission that an adjustment is about.
fn adjusted_row(conn: &mut Conn, account_id: AccountId, id: LineId) -> Result<CommissionRow> {
    let unknown = || Error::invalid("/commissionId", "unknown", "is not the id of one of the partner's commissions");
    let row = commissions::service::find_row(conn, account_id, id).map_err(|error| match error {
        Error::Problem(problem) if problem.code == Code::NotFound => unknown(),
        other => other,
    })?;
    if row.kind == LineKind::Commission { Ok(row) } else { Err(unknown()) }
}

/// Notes that the bank sent a payout's money back.
fn book_return(
    conn: &mut Conn,
    account_id: AccountId,
    payout_id: PayoutId,
    amount: Money,
    adjustment_id: AdjustmentId,
) -> Result<()> {
    let unknown = || Error::invalid("/payoutId", "unknown", "is not the id of one of the partner's paid payouts");
    let payout = payouts::table
        .find((account_id, payout_id))
        .select(PayoutRow::as_select())
        .get_result(conn)
        .optional()?
        .filter(|payout| payout.status == PayoutStatus::Paid)
        .ok_or_else(unknown)?;
    if let Some(earlier) = payout.returned_by {
        let detail = format!("the return of payout {} was booked as {earlier}", payout.number);
        return Err(Error::refused(Code::PayoutReturnedAlready, detail));
    }
    if amount != payout.money() {
        return Err(Error::invalid("/amount", "payoutAmount", format!("must be {}, what was paid", payout.money())));
    }
    diesel::update(payouts::table.find((account_id, payout_id)))
        .set(payouts::returned_by.eq(adjustment_id))
        .execute(conn)?;
    Ok(())
}

const fn posting(row: &CommissionRow, payout_id: Option<PayoutId>) -> Posting {
    Posting {
        account_id: row.account_id,
        currency: row.currency,
        kind: EntryKind::OperatorAdjustment,
        from: LedgerAccount::Program,
        to: LedgerAccount::Ready,
        amount_minor: row.amount_minor,
        line_id: row.id,
        payout_id,
        earned_at: None,
    }
}
