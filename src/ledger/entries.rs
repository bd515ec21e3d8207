//! Ledger entries as the API shows them. Reads only.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::journal::{EntryKind, EntryRow, LedgerAccount};
use crate::clock::Timestamp;
use crate::commissions::LineId;
use crate::db::schema::ledger_entries;
use crate::db::{Conn, narrow};
use crate::error::Result;
use crate::http::Page;
use crate::id::{AccountId, EntryId, PayoutId};
use crate::money::{Currency, Money};

/// One side of a movement of money.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Its id.
    pub id: EntryId,
    /// The ledger account that it changed.
    pub account: LedgerAccount,
    /// By how much, signed.
    pub amount: Money,
    /// Why.
    pub kind: EntryKind,
    /// The commission or adjustment that it is about.
    #[schema(required = true)]
    pub commission_id: Option<LineId>,
    /// The payout that it is about.
    #[schema(required = true)]
    pub payout_id: Option<PayoutId>,
    /// When.
    pub created_at: Timestamp,
}

/// What a list of entries is narrowed to: rows with one of the values, where there are any.
#[derive(Debug, Default)]
pub struct EntryFilter {
    /// Ledger accounts.
    pub ledger_accounts: Option<Vec<LedgerAccount>>,
    /// Why money moved.
    pub kinds: Option<Vec<EntryKind>>,
    /// Currencies.
    pub currencies: Option<Vec<Currency>>,
    /// Commissions and adjustments.
    pub lines: Option<Vec<LineId>>,
    /// Posted at this time or later.
    pub created_after: Option<Timestamp>,
    /// Posted before this time.
    pub created_before: Option<Timestamp>,
}

/// A page of an account's entries, newest first.
///
/// # Errors
/// 400 for a bad cursor; the database's own failure.
pub fn list(conn: &mut Conn, account_id: AccountId, filter: &EntryFilter, page: &Page) -> Result<Vec<LedgerEntry>> {
    let mut query = ledger_entries::table
        .filter(ledger_entries::account_id.eq(account_id))
        .order(ledger_entries::id.desc())
        .limit(page.fetch())
        .select(EntryRow::as_select())
        .into_boxed();
    if let Some(after) = page.after_key::<EntryId>()? {
        query = query.filter(ledger_entries::id.lt(after));
    }
    narrow!(query, ledger_entries::ledger_account, &filter.ledger_accounts);
    narrow!(query, ledger_entries::kind, &filter.kinds);
    narrow!(query, ledger_entries::currency, &filter.currencies);
    narrow!(query, ledger_entries::commission_id, &filter.lines);
    if let Some(time) = filter.created_after {
        query = query.filter(ledger_entries::created_at.ge(time));
    }
    if let Some(time) = filter.created_before {
        query = query.filter(ledger_entries::created_at.lt(time));
    }
    let rows: Vec<EntryRow> = query.load(conn)?;
    Ok(rows.into_iter().map(LedgerEntry::from).collect())
}

impl From<EntryRow> for LedgerEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            id: row.id,
            account: row.ledger_account,
            amount: row.money(),
            kind: row.kind,
            commission_id: row.commission_id,
            payout_id: row.payout_id,
            created_at: row.created_at,
        }
    }
}
