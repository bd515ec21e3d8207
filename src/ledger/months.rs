//! What happened to a partner's money in each UTC month: counters that change with the ledger entries that they sum up.
//! `verify` recomputes them.
//!
//! By the time of posting, `posted − reversed + adjusted − paid` over all months is what is in review, ready and in payouts.
//! That is what statements chain by, and a month that is over never changes. `earned` alone goes by the time of the payment.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::journal::{EntryKind, Posting};
use crate::clock::Timestamp;
use crate::db::schema::ledger_months;
use crate::db::{Conn, upsert_rows};
use crate::error::Result;
use crate::id::AccountId;
use crate::money::Currency;

/// Sums of one account, currency and month, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = ledger_months)]
pub struct MonthRow {
    /// The partner.
    pub account_id: AccountId,
    /// The currency.
    pub currency: Currency,
    /// The month's first moment.
    pub month: Timestamp,
    /// Commissions by the time of their payment.
    pub earned_minor: i64,
    /// Commissions by the time of their posting.
    pub posted_minor: i64,
    /// What refunds took from commissions.
    pub reversed_minor: i64,
    /// Adjustments, signed.
    pub adjusted_minor: i64,
    /// What was paid out.
    pub paid_minor: i64,
}

impl MonthRow {
    /// A month in which nothing happened.
    #[must_use]
    pub const fn empty(account_id: AccountId, currency: Currency, month: Timestamp) -> Self {
        Self {
            account_id,
            currency,
            month,
            earned_minor: 0,
            posted_minor: 0,
            reversed_minor: 0,
            adjusted_minor: 0,
            paid_minor: 0,
        }
    }

    /// By how much the month changed what is in review, ready and in payouts.
    #[must_use]
    pub const fn change_minor(&self) -> i64 {
        self.posted_minor - self.reversed_minor + self.adjusted_minor - self.paid_minor
    }

    /// Earned by payment time, less what was reversed and with what was adjusted in the month (domain section 5).
    #[must_use]
    pub const fn earnings_minor(&self) -> i64 {
        self.earned_minor - self.reversed_minor + self.adjusted_minor
    }

    /// Adds what a posting at `now` does.
    pub const fn count(&mut self, posting: &Posting) {
        let amount_minor = posting.amount_minor;
        match posting.kind {
            EntryKind::CommissionEarned => self.posted_minor += amount_minor,
            EntryKind::CommissionReversed => self.reversed_minor += amount_minor,
            EntryKind::RefundAdjustment | EntryKind::OperatorAdjustment => self.adjusted_minor += amount_minor,
            EntryKind::PayoutPaid => self.paid_minor += amount_minor,
            EntryKind::CommissionReady | EntryKind::PayoutRequested | EntryKind::PayoutReleased => {}
        }
    }
}

/// Adds `months`, each another one, to what is stored.
///
/// # Errors
/// The database's own failure.
pub fn add(conn: &mut Conn, months: &[MonthRow]) -> Result<()> {
    use ledger_months::{adjusted_minor, earned_minor, paid_minor, posted_minor, reversed_minor};
    upsert_rows!(conn, months, rows => diesel::insert_into(ledger_months::table)
    .values(rows)
    .on_conflict((ledger_months::account_id, ledger_months::currency, ledger_months::month))
    .do_update()
    .set((
        earned_minor.eq(earned_minor + excluded(earned_minor)),
        posted_minor.eq(posted_minor + excluded(posted_minor)),
        reversed_minor.eq(reversed_minor + excluded(reversed_minor)),
        adjusted_minor.eq(adjusted_minor + excluded(adjusted_minor)),
        paid_minor.eq(paid_minor + excluded(paid_minor)),
    )));
    Ok(())
}

/// The months of one currency from the first until `until`, oldest first; those without any movement are left out.
///
/// # Errors
/// The database's own failure.
pub fn until(conn: &mut Conn, account_id: AccountId, currency: Currency, until: Timestamp) -> Result<Vec<MonthRow>> {
    Ok(ledger_months::table
        .filter(ledger_months::account_id.eq(account_id))
        .filter(ledger_months::currency.eq(currency))
        .filter(ledger_months::month.lt(until))
        .order(ledger_months::month)
        .select(MonthRow::as_select())
        .load(conn)?)
}

/// The months of all currencies since `from`.
///
/// # Errors
/// The database's own failure.
pub fn since(conn: &mut Conn, account_id: AccountId, from: Timestamp) -> Result<Vec<MonthRow>> {
    Ok(ledger_months::table
        .filter(ledger_months::account_id.eq(account_id))
        .filter(ledger_months::month.ge(from))
        .select(MonthRow::as_select())
        .load(conn)?)
}
