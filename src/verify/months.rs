//! The monthly sums of an account follow from its ledger entries, and what was earned by payment time from its commissions.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::Differences;
use crate::clock::Timestamp;
use crate::commissions::{CommissionStatus, LineId, LineKind};
use crate::db::Conn;
use crate::db::schema::{commissions, ledger_months};
use crate::error::Result;
use crate::id::AccountId;
use crate::ledger::months::MonthRow;
use crate::ledger::{EntryKind, EntryRow, LedgerAccount};
use crate::money::{Currency, Money};

/// Commissions that are in memory at once.
const ROWS_PER_PAGE: i64 = 5_000;

/// Sums of an account's months, built up from its entries.
#[derive(Debug)]
pub struct Months {
    account_id: AccountId,
    sums: BTreeMap<(Currency, Timestamp), MonthRow>,
}

impl Months {
    pub fn of(account_id: AccountId) -> Self {
        Self { account_id, sums: BTreeMap::new() }
    }

    fn row(&mut self, currency: Currency, time: Timestamp) -> &mut MonthRow {
        let (account_id, month) = (self.account_id, time.month());
        self.sums.entry((currency, month)).or_insert_with(|| MonthRow::empty(account_id, currency, month))
    }

    /// Counts one side of a posting: what left the program, and what was paid.
    pub fn count(&mut self, entry: &EntryRow) {
        let row = self.row(entry.currency, entry.created_at);
        match (entry.ledger_account, entry.kind) {
            (LedgerAccount::Program, EntryKind::CommissionEarned) => row.posted_minor -= entry.amount_minor,
            (LedgerAccount::Program, EntryKind::CommissionReversed) => row.reversed_minor += entry.amount_minor,
            (LedgerAccount::Program, _) => row.adjusted_minor -= entry.amount_minor,
            (LedgerAccount::Paid, _) => row.paid_minor += entry.amount_minor,
            _ => {}
        }
    }

    /// Compares with what is stored, after all entries were counted.
    pub fn check(mut self, conn: &mut Conn, differences: &mut Differences) -> Result<()> {
        self.count_earned(conn)?;
        let account_id = self.account_id;
        let stored: Vec<MonthRow> = ledger_months::table
            .filter(ledger_months::account_id.eq(account_id))
            .select(MonthRow::as_select())
            .load(conn)?;
        for row in stored {
            let key = (row.currency, row.month);
            let right = self.sums.remove(&key).unwrap_or_else(|| MonthRow::empty(account_id, row.currency, row.month));
            for ((name, stored), (_, right)) in sums(&row).into_iter().zip(sums(&right)) {
                differences.compare(|| format!("{account_id}: {name} in the month {}", row.month), &stored, &right);
            }
        }
        for (key, right) in self.sums {
            if right != MonthRow::empty(account_id, key.0, key.1) {
                differences.note(|| format!("{account_id}: no sums of {} {}", key.1, key.0));
            }
        }
        Ok(())
    }

    /// Counts what was earned, by the time of the payment.
    fn count_earned(&mut self, conn: &mut Conn) -> Result<()> {
        let mut last: Option<LineId> = None;
        loop {
            let page = next_earned(conn, self.account_id, last)?;
            let Some((id, ..)) = page.last() else { return Ok(()) };
            last = Some(*id);
            for (_, currency, paid_at, amount_minor) in page {
                if let Some(paid_at) = paid_at {
                    self.row(currency, paid_at).earned_minor += amount_minor;
                }
            }
        }
    }
}

/// The sums of a month by their names.
fn sums(row: &MonthRow) -> [(&'static str, Money); 5] {
    let MonthRow { currency, earned_minor, posted_minor, reversed_minor, adjusted_minor, paid_minor, .. } = *row;
    [
        ("earned", earned_minor),
        ("posted", posted_minor),
        ("reversed", reversed_minor),
        ("adjusted", adjusted_minor),
        ("paid", paid_minor),
    ]
    .map(|(name, minor)| (name, Money::new(minor, currency)))
}

type Earned = (LineId, Currency, Option<Timestamp>, i64);

fn next_earned(conn: &mut Conn, account_id: AccountId, after: Option<LineId>) -> Result<Vec<Earned>> {
    let mut query = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::kind.eq(LineKind::Commission))
        .filter(commissions::status.ne(CommissionStatus::NoCommission))
        .order(commissions::id)
        .limit(ROWS_PER_PAGE)
        .select((commissions::id, commissions::currency, commissions::payment_occurred_at, commissions::amount_minor))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(commissions::id.gt(after));
    }
    Ok(query.load(conn)?)
}
