//! Payout batches: the approved payouts of a currency leave together, in a file that a bank takes.
//!
//! A batch takes those whose method its format can carry: Wise takes bank accounts and its own users, PayPal its own. The
//! others stay approved for a batch of the other format, as do those of a blocked partner. What a batch holds never changes,
//! so its file never does.

use std::collections::BTreeSet;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidationErrors};

use super::bank_file;
use super::models::{PayoutRow, PayoutStatus};
use super::steps::{self, Step};
use crate::accounts;
use crate::audit;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{payout_batches, payouts};
use crate::error::{Code, Error, OrNotFound, Result};
use crate::id::{AccountId, PayoutBatchId};
use crate::money::{Currency, Money};
use crate::payout_methods::MethodType;
use crate::vault::Vault;

crate::text_enum! {
    /// The form of a batch's file.
    pub enum BatchFormat {
        /// Wise's batch payments: a line of column names, then a transfer in each line.
        WiseCsv = "wiseCsv",
        /// PayPal's Payouts: a transfer in each line.
        PaypalCsv = "paypalCsv",
    }
}

impl BatchFormat {
    /// The methods that it can carry.
    const fn method_types(self) -> &'static [MethodType] {
        match self {
            Self::WiseCsv => &[MethodType::Swift, MethodType::Ach, MethodType::Sepa, MethodType::Wise],
            Self::PaypalCsv => &[MethodType::Paypal],
        }
    }
}

/// A batch that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreatePayoutBatch {
    /// The form of its file, which decides which payouts it takes.
    pub format: BatchFormat,
    /// The currency of its payouts.
    pub currency: Currency,
}

impl Validate for CreatePayoutBatch {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

/// A batch as stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = payout_batches)]
pub struct BatchRow {
    /// Its id.
    pub id: PayoutBatchId,
    /// The form of its file.
    pub format: BatchFormat,
    /// The currency.
    pub currency: Currency,
    /// The sum of its payouts.
    pub amount_minor: i64,
    /// How many payouts.
    pub payout_count: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Payouts that leave together.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutBatch {
    /// Its id.
    pub id: PayoutBatchId,
    /// The form of its file.
    pub format: BatchFormat,
    /// The currency.
    pub currency: Currency,
    /// The sum of its payouts.
    pub amount: Money,
    /// How many payouts: `GET /v3/operator/payouts?batchId=` lists them.
    #[schema(minimum = 1, example = 12)]
    pub payout_count: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<BatchRow> for PayoutBatch {
    fn from(row: BatchRow) -> Self {
        Self {
            id: row.id,
            format: row.format,
            currency: row.currency,
            amount: Money::new(row.amount_minor, row.currency),
            payout_count: row.payout_count,
            created_at: row.created_at,
        }
    }
}

/// Moves the approved payouts of a currency, as many as the format can carry, to `processing`.
///
/// # Errors
/// 409 `batchEmpty`; 503 where payouts are approved faster than they can be locked; a method that cannot be decrypted.
pub fn create(conn: &mut Conn, context: &Context, vault: &Vault, input: &CreatePayoutBatch) -> Result<BatchRow> {
    let (context, partners) = &accounts::lock_concerned(conn, context, |conn| {
        let rows = approved(conn, input)?;
        Ok(rows.iter().map(|row| row.account_id).collect::<BTreeSet<AccountId>>())
    })?;
    let is_blocked = |row: &PayoutRow| partners.get(&row.account_id).is_none_or(|account| account.blocked_at.is_some());
    let rows: Vec<PayoutRow> = approved(conn, input)?.into_iter().filter(|row| !is_blocked(row)).collect();
    if rows.is_empty() {
        let detail = format!("no approved payout in {} can go into a {} file", input.currency, input.format);
        return Err(Error::refused(Code::BatchEmpty, detail));
    }
    let batch = BatchRow {
        id: PayoutBatchId::new(context.now),
        format: input.format,
        currency: input.currency,
        amount_minor: rows.iter().map(|row| row.amount_minor).sum(),
        payout_count: i64::try_from(rows.len()).map_err(Error::internal)?,
        created_at: context.now,
    };
    // What cannot be written must not leave.
    bank_file::write(vault, batch.format, &rows)?;
    diesel::insert_into(payout_batches::table).values(batch.clone()).execute(conn)?;
    for row in rows {
        let sent = PayoutRow { batch_id: Some(batch.id), ..row };
        steps::change(conn, context, &sent, Step::Start)?;
    }
    let details = json!({
        "format": batch.format,
        "amount": Money::new(batch.amount_minor, batch.currency),
        "payouts": batch.payout_count,
    });
    audit::record(conn, context, None, "payoutBatch.created", batch.id, Some(details))?;
    Ok(batch)
}

/// A batch.
///
/// # Errors
/// 404 for a missing one.
pub fn find(conn: &mut Conn, id: PayoutBatchId) -> Result<BatchRow> {
    payout_batches::table.find(id).select(BatchRow::as_select()).get_result(conn).or_not_found()
}

/// The batch's file: the same bytes whenever it is asked for.
///
/// # Errors
/// 404 for a missing batch; a method that cannot be decrypted.
pub fn file(conn: &mut Conn, vault: &Vault, id: PayoutBatchId) -> Result<(BatchFormat, Vec<u8>)> {
    let batch = find(conn, id)?;
    let in_batch = payouts::batch_id.eq(id).and(payouts::batch_id.is_not_null());
    let rows: Vec<PayoutRow> =
        payouts::table.filter(in_batch).order(payouts::id).select(PayoutRow::as_select()).load(conn)?;
    let sum: i64 = rows.iter().map(|row| row.amount_minor).sum();
    if sum != batch.amount_minor || i64::try_from(rows.len()).ok() != Some(batch.payout_count) {
        return Err(Error::internal(format!("{id}: its payouts are not the ones that it was made of")));
    }
    Ok((batch.format, bank_file::write(vault, batch.format, &rows)?))
}

/// The approved payouts that a batch could take, oldest first.
fn approved(conn: &mut Conn, input: &CreatePayoutBatch) -> Result<Vec<PayoutRow>> {
    Ok(payouts::table
        .filter(payouts::status.eq(PayoutStatus::Approved))
        .filter(payouts::currency.eq(input.currency))
        .filter(payouts::method_type.eq_any(input.format.method_types()))
        .order(payouts::id)
        .select(PayoutRow::as_select())
        .load(conn)?)
}
