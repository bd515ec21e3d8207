//! The lines of a payout: what it took, also after it came to nothing and its rows went on to another.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::models::PayoutRow;
use crate::commissions::{CommissionRow, ContainerReference, LineId, LineKind, SubAccountReference};
use crate::db::Conn;
use crate::db::schema::{commissions, payout_lines};
use crate::error::Result;
use crate::http::Page;
use crate::id::{AccountId, PayoutId};
use crate::ledger::{EntryKind, LedgerAccount, Posting};
use crate::money::{Currency, Money};

/// A line as stored.
#[derive(Debug, Clone, Copy, Queryable, Selectable, Insertable)]
#[diesel(table_name = payout_lines, treat_none_as_default_value = false)]
pub struct LineRow {
    /// The partner.
    pub account_id: AccountId,
    /// The payout.
    pub payout_id: PayoutId,
    /// The commission or adjustment.
    pub line_id: LineId,
    /// What the payout took of it, signed.
    pub amount_minor: i64,
}

impl LineRow {
    /// The posting that moves the line's amount.
    #[must_use]
    pub const fn posting(
        &self,
        currency: Currency,
        kind: EntryKind,
        from: LedgerAccount,
        to: LedgerAccount,
    ) -> Posting {
        Posting {
            account_id: self.account_id,
            currency,
            kind,
            from,
            to,
            amount_minor: self.amount_minor,
            line_id: self.line_id,
            payout_id: Some(self.payout_id),
            earned_at: None,
        }
    }
}

/// What a payout takes of one commission or adjustment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutLine {
    /// Id of the commission or adjustment.
    pub id: LineId,
    /// What it is.
    pub kind: LineKind,
    /// The commission itself, or the one that is adjusted; null for an adjustment that is about none.
    #[schema(required = true)]
    pub commission_id: Option<LineId>,
    /// The client that paid; null for an adjustment that is about none.
    #[schema(required = true)]
    pub sub_account: Option<SubAccountReference>,
    /// The container that was paid for; null for an adjustment that is about none.
    #[schema(required = true)]
    pub container: Option<ContainerReference>,
    /// What the payout takes, signed.
    pub amount: Money,
}

/// A page of a payout's lines, newest first.
///
/// # Errors
/// 400 for a bad cursor; the database's own failure.
pub fn list(conn: &mut Conn, payout: &PayoutRow, page: &Page) -> Result<Vec<PayoutLine>> {
    let mut query =
        payout_lines::table
            .inner_join(commissions::table.on(
                commissions::account_id.eq(payout_lines::account_id).and(commissions::id.eq(payout_lines::line_id)),
            ))
            .filter(payout_lines::account_id.eq(payout.account_id))
            .filter(payout_lines::payout_id.eq(payout.id))
            .order(payout_lines::line_id.desc())
            .limit(page.fetch())
            .select((payout_lines::amount_minor, CommissionRow::as_select()))
            .into_boxed();
    if let Some(after) = page.after_key::<LineId>()? {
        query = query.filter(payout_lines::line_id.lt(after));
    }
    let rows: Vec<(i64, CommissionRow)> = query.load(conn)?;
    let line = |(amount_minor, mut row): (i64, CommissionRow)| PayoutLine {
        id: row.id,
        kind: row.kind,
        commission_id: match row.kind {
            LineKind::Commission => Some(row.id),
            LineKind::Adjustment => row.adjusts,
        },
        sub_account: SubAccountReference::of(&mut row),
        container: ContainerReference::of(&mut row),
        amount: row.money(amount_minor),
    };
    Ok(rows.into_iter().map(line).collect())
}
