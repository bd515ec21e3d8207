//! The double-entry journal: the only way money moves. Append-only; entries are never updated or deleted.
//!
//! A posting takes an amount from one ledger account of a partner to another, so its entries sum to zero. A journal is
//! opened on the balances that a unit of work will touch, whose partners' account locks the caller holds, collects
//! postings in memory, and writes entries and balances together.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::months::{self, MonthRow};
use crate::clock::Timestamp;
use crate::commissions::LineId;
use crate::db::schema::{ledger_balances, ledger_entries};
use crate::db::{Conn, KeepPrepared, few_sizes, insert_rows, upsert_rows, with_conn};
use crate::error::{Error, Result};
use crate::id::{AccountId, EntryId, PayoutId, PostingId};
use crate::money::{Currency, Money};

crate::text_enum! {
    /// Where a partner's money is.
    pub enum LedgerAccount {
        /// Owed by the program: the other side of everything that a partner earned.
        Program = "program",
        /// Earned, may still be refunded.
        InReview = "inReview",
        /// Can be paid out; below zero it is the partner's debt.
        Ready = "ready",
        /// Taken by an open payout.
        InPayout = "inPayout",
        /// Paid out.
        Paid = "paid",
    }
}

crate::text_enum! {
    /// Why money moved.
    pub enum EntryKind {
        /// A payment earned a commission.
        CommissionEarned = "commissionEarned",
        /// The review time of a commission is over.
        CommissionReady = "commissionReady",
        /// A refund took back all or part of a commission.
        CommissionReversed = "commissionReversed",
        /// A refund of a commission that is in a payout or paid.
        RefundAdjustment = "refundAdjustment",
        /// The operator adjusted what was earned.
        OperatorAdjustment = "operatorAdjustment",
        /// A payout took it.
        PayoutRequested = "payoutRequested",
        /// The payout that had taken it was canceled, rejected or failed.
        PayoutReleased = "payoutReleased",
        /// It was paid out.
        PayoutPaid = "payoutPaid",
    }
}

/// The balances of a partner in one currency, in minor units, signed. Together they are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = ledger_balances, treat_none_as_default_value = false)]
pub struct Balances {
    /// The partner.
    pub account_id: AccountId,
    /// The currency.
    pub currency: Currency,
    /// The program's side.
    pub program_minor: i64,
    /// In review.
    pub in_review_minor: i64,
    /// Ready to payout; negative is debt.
    pub ready_minor: i64,
    /// In open payouts.
    pub in_payout_minor: i64,
    /// Paid.
    pub paid_minor: i64,
    /// The newest entry: ids of entries are in the order of postings, whichever server posts.
    pub last_entry_id: Option<EntryId>,
}

impl Balances {
    /// No money anywhere.
    #[must_use]
    pub const fn zero(account_id: AccountId, currency: Currency) -> Self {
        Self {
            account_id,
            currency,
            program_minor: 0,
            in_review_minor: 0,
            ready_minor: 0,
            in_payout_minor: 0,
            paid_minor: 0,
            last_entry_id: None,
        }
    }

    /// Whether there is no money anywhere.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self { last_entry_id: self.last_entry_id, ..Self::zero(self.account_id, self.currency) }
    }

    /// The balance of one ledger account.
    pub const fn of(&mut self, account: LedgerAccount) -> &mut i64 {
        match account {
            LedgerAccount::Program => &mut self.program_minor,
            LedgerAccount::InReview => &mut self.in_review_minor,
            LedgerAccount::Ready => &mut self.ready_minor,
            LedgerAccount::InPayout => &mut self.in_payout_minor,
            LedgerAccount::Paid => &mut self.paid_minor,
        }
    }
}

/// One side of a posting, as stored.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = ledger_entries, treat_none_as_default_value = false)]
pub struct EntryRow {
    /// The partner.
    pub account_id: AccountId,
    /// Its id.
    pub id: EntryId,
    /// The posting that it is a side of.
    pub posting_id: PostingId,
    /// Which balance it changed.
    pub ledger_account: LedgerAccount,
    /// Why.
    pub kind: EntryKind,
    /// The currency.
    pub currency: Currency,
    /// By how much, signed.
    pub amount_minor: i64,
    /// The balance after it.
    pub balance_minor: i64,
    /// The commission or adjustment.
    pub commission_id: Option<LineId>,
    /// The payout.
    pub payout_id: Option<PayoutId>,
    /// When.
    pub created_at: Timestamp,
}

impl EntryRow {
    /// By how much it changed the balance, signed.
    #[must_use]
    pub const fn money(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }
}

/// A movement of money within one partner and currency.
#[derive(Debug, Clone, Copy)]
pub struct Posting {
    /// The partner.
    pub account_id: AccountId,
    /// The currency.
    pub currency: Currency,
    /// Why.
    pub kind: EntryKind,
    /// From this ledger account,
    pub from: LedgerAccount,
    /// to this one,
    pub to: LedgerAccount,
    /// so much; negative moves the other way.
    pub amount_minor: i64,
    /// The commission or adjustment that it is about.
    pub line_id: LineId,
    /// The payout that it is about.
    pub payout_id: Option<PayoutId>,
    /// For what was earned: when it was paid for.
    pub earned_at: Option<Timestamp>,
}

/// Postings of one unit of work over the balances that it holds.
#[derive(Debug, Default)]
pub struct Journal {
    balances: BTreeMap<(AccountId, Currency), Balances>,
    months: BTreeMap<(AccountId, Currency, Timestamp), MonthRow>,
    entries: Vec<EntryRow>,
}

impl Journal {
    /// Opens a journal on all balances of `accounts`, whose locks the caller holds.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn open(conn: &mut Conn, accounts: &[AccountId]) -> Result<Self> {
        let rows: Vec<Balances> = with_conn!(conn, c => ledger_balances::table
            .filter(ledger_balances::account_id.eq_any(few_sizes(accounts)))
            .kept()
            .load(c))?;
        rows.iter().filter_map(|row| row.last_entry_id).for_each(EntryId::surpass);
        let balances = rows.into_iter().map(|row| ((row.account_id, row.currency), row)).collect();
        Ok(Self { balances, ..Self::default() })
    }

    /// Adds a posting; one of nothing is left out.
    ///
    /// # Errors
    /// A balance that does not fit in 64 bits.
    pub fn post(&mut self, now: Timestamp, posting: &Posting) -> Result<()> {
        if posting.amount_minor == 0 {
            return Ok(());
        }
        let Posting { account_id, currency, .. } = *posting;
        let balances =
            self.balances.entry((account_id, currency)).or_insert_with(|| Balances::zero(account_id, currency));
        let month = |time: Timestamp| (account_id, currency, time.month());
        let empty = |(account_id, currency, month)| MonthRow::empty(account_id, currency, month);
        self.months.entry(month(now)).or_insert_with_key(|key| empty(*key)).count(posting);
        if let Some(earned_at) = posting.earned_at {
            let row = self.months.entry(month(earned_at)).or_insert_with_key(|key| empty(*key));
            row.earned_minor += posting.amount_minor;
        }
        let posting_id = PostingId::new(now);
        for (ledger_account, amount_minor) in
            [(posting.from, -posting.amount_minor), (posting.to, posting.amount_minor)]
        {
            let balance = balances.of(ledger_account);
            *balance = balance.checked_add(amount_minor).ok_or_else(|| Error::internal("a balance beyond 64 bits"))?;
            let (id, balance_minor) = (EntryId::new(now), *balance);
            balances.last_entry_id = Some(id);
            self.entries.push(EntryRow {
                account_id,
                id,
                posting_id,
                ledger_account,
                kind: posting.kind,
                currency,
                amount_minor,
                balance_minor,
                commission_id: Some(posting.line_id),
                payout_id: posting.payout_id,
                created_at: now,
            });
        }
        Ok(())
    }

    /// Writes the entries, and the balances and months that they changed.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn write(self, conn: &mut Conn) -> Result<()> {
        insert_rows!(conn, ledger_entries::table, self.entries);
        let mut touched: Vec<_> = self.entries.iter().map(|entry| (entry.account_id, entry.currency)).collect();
        touched.sort_unstable();
        touched.dedup();
        let balances: Vec<Balances> = touched.iter().filter_map(|key| self.balances.get(key)).copied().collect();
        store(conn, &balances)?;
        let is_change = |row: &&MonthRow| **row != MonthRow::empty(row.account_id, row.currency, row.month);
        months::add(conn, &self.months.values().filter(is_change).copied().collect::<Vec<_>>())?;
        Ok(())
    }
}

fn store(conn: &mut Conn, balances: &[Balances]) -> Result<()> {
    use ledger_balances::{in_payout_minor, in_review_minor, last_entry_id, paid_minor, program_minor, ready_minor};
    upsert_rows!(conn, balances, rows => diesel::insert_into(ledger_balances::table)
    .values(rows)
    .on_conflict((ledger_balances::account_id, ledger_balances::currency))
    .do_update()
    .set((
        program_minor.eq(excluded(program_minor)),
        in_review_minor.eq(excluded(in_review_minor)),
        ready_minor.eq(excluded(ready_minor)),
        in_payout_minor.eq(excluded(in_payout_minor)),
        paid_minor.eq(excluded(paid_minor)),
        last_entry_id.eq(excluded(last_entry_id)),
    )));
    Ok(())
}
