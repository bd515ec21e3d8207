//! Commissions whose review time is over become ready to payout. Safe with several servers: each row changes once, under
//! its partner's account lock.

use diesel::prelude::*;

use super::models::{CommissionRow, CommissionStatus};
use crate::accounts;
use crate::clock::Timestamp;
use crate::db::schema::commissions;
use crate::db::{Conn, Db};
use crate::error::Result;
use crate::events::{self, EventType, NewEvent};
use crate::id::AccountId;
use crate::ledger::{EntryKind, Journal, LedgerAccount, Posting};

/// How many rows one transaction makes ready at most.
const ROWS_PER_TRANSACTION: i64 = 1_000;

/// Makes a batch of commissions ready whose review is over at `now`; answers how many, 0 when nothing is left.
///
/// # Errors
/// The database's own failure.
pub fn mature_due(db: &Db, now: Timestamp) -> Result<usize> {
    let mut matured = 0;
    for account_id in db.read_blocking(|conn| due_accounts(conn, now))? {
        matured += db.write_blocking(move |conn| mature(conn, now, account_id))?;
    }
    Ok(matured)
}

/// The partners that have commissions whose review is over at `now`, a batch of them.
///
/// # Errors
/// The database's own failure.
fn due_accounts(conn: &mut Conn, now: Timestamp) -> Result<Vec<AccountId>> {
    // A literal, not a bound value: the partial index serves no other.
    let in_review = diesel::dsl::sql::<diesel::sql_types::Bool>("status = 'inReview'");
    let due: Vec<AccountId> = commissions::table
        .filter(in_review)
        .filter(commissions::review_until.le(now))
        .order(commissions::review_until)
        .limit(ROWS_PER_TRANSACTION)
        .select(commissions::account_id)
        .load(conn)?;
    let mut accounts = due;
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

/// Makes the commissions of `account_id` ready whose review is over at `now`; answers how many. Called again until it
/// answers zero; a payout request calls it for its own rows first.
///
/// # Errors
/// The database's own failure.
pub fn mature(conn: &mut Conn, now: Timestamp, account_id: AccountId) -> Result<usize> {
    accounts::lock(conn, &[account_id])?;
    let due: Vec<CommissionRow> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::status.eq(CommissionStatus::InReview))
        .filter(commissions::review_until.le(now))
        .order(commissions::id)
        .limit(ROWS_PER_TRANSACTION)
        .select(CommissionRow::as_select())
        .load(conn)?;
    if due.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = due.iter().map(|row| row.id).collect();
    diesel::update(commissions::table)
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::id.eq_any(&ids))
        .set((
            commissions::status.eq(CommissionStatus::ReadyToPayout),
            commissions::ready_at.eq(commissions::review_until),
        ))
        .execute(conn)?;
    let mut journal = Journal::open(conn, &[account_id])?;
    for row in &due {
        journal.post(now, &ready_posting(row))?;
    }
    journal.write(conn)?;
    let new_event =
        |row: &CommissionRow| NewEvent { account_id, event_type: EventType::CommissionReady, resource: row.id.into() };
    events::record_many(conn, now, &due.iter().map(new_event).collect::<Vec<_>>())?;
    Ok(due.len())
}

/// The posting that takes what is left of a commission out of review.
#[must_use]
pub const fn ready_posting(row: &CommissionRow) -> Posting {
    Posting {
        account_id: row.account_id,
        currency: row.currency,
        kind: EntryKind::CommissionReady,
        from: LedgerAccount::InReview,
        to: LedgerAccount::Ready,
        amount_minor: row.net_minor(),
        line_id: row.id,
        payout_id: None,
        earned_at: None,
    }
}
