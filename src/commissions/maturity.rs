//! Commissions whose review time is over become ready to payout. Safe with several servers: each row changes once, under
//! its partner's account lock.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::models::{CommissionRow, CommissionStatus, LineId};
use crate::accounts;
use crate::clock::{Clock, Timestamp};
use crate::context::Context;
use crate::db::schema::commissions;
use crate::db::{Conn, Db, Patience};
use crate::error::{Error, Result};
use crate::events::{self, EventType, NewEvent};
use crate::id::AccountId;
use crate::ledger::{EntryKind, Journal, LedgerAccount, Posting};

/// How many rows one transaction makes ready at most.
const ROWS_PER_TRANSACTION: i64 = 1_000;

/// Beyond so many accounts that failed nothing is looked for: it is not the accounts that are at fault then.
const FAILED_ACCOUNTS_MAX: usize = 1_000;

/// Makes a batch of commissions ready whose review is over; answers how many, 0 when nothing is left. An account where that fails
/// keeps no other one waiting, however much of it is due.
///
/// # Errors
/// A database that is away; the last account's failure, where no other one had anything that was due.
pub fn mature_due(db: &Db, clock: &Clock) -> Result<usize> {
    let mut batch = Batch::default();
    // What failed is due still, and would be all that a second look sees.
    while batch.go_on(db, clock)? {}
    match batch.failure {
        Some(error) if batch.matured == 0 => Err(error),
        _ => Ok(batch.matured),
    }
}

/// What was done of what is due.
#[derive(Default)]
struct Batch {
    matured: usize,
    failed: Vec<AccountId>,
    failure: Option<Error>,
    patience: Patience,
}

impl Batch {
    /// Makes the oldest of what is due ready but for the accounts that failed; whether to look beyond those of this time.
    fn go_on(&mut self, db: &Db, clock: &Clock) -> Result<bool> {
        let (now, failed_before) = (clock.now(), self.failed.len());
        let mut due: BTreeMap<AccountId, Vec<LineId>> = BTreeMap::new();
        for (account_id, id) in db.read_blocking(|conn| due_beside(conn, now, &self.failed))? {
            due.entry(account_id).or_default().push(id);
        }
        for (account_id, ids) in due {
            let server = Context::of_server(clock);
            let done = db.write_blocking(move |conn| {
                let (context, _) = accounts::lock(conn, &server, &[account_id])?;
                make_ready(conn, context.now, account_id, &ids)
            });
            match done {
                Ok(ready) => self.matured += ready,
                Err(error) => {
                    log::error!("commissions of {account_id} do not become ready: {error}");
                    self.failed.push(account_id);
                    self.failure = Some(self.patience.bear(error)?);
                }
            }
        }
        let has_failed = self.failed.len() > failed_before;
        Ok(has_failed && self.failed.len() <= FAILED_ACCOUNTS_MAX)
    }
}

/// The oldest of what is due at `now`, but for what these accounts have.
fn due_beside(conn: &mut Conn, now: Timestamp, failed: &[AccountId]) -> Result<Vec<(AccountId, LineId)>> {
    let due = due_at(now).limit(ROWS_PER_TRANSACTION);
    if failed.is_empty() {
        return Ok(due.load(conn)?);
    }
    Ok(due.filter(commissions::account_id.ne_all(failed)).load(conn)?)
}

/// Makes the commissions of `account_id` ready whose review is over at `now`; answers how many. Called again until it
/// answers zero; a payout request calls it for its own rows first. The account is locked.
///
/// # Errors
/// The database's own failure.
pub fn mature(conn: &mut Conn, now: Timestamp, account_id: AccountId) -> Result<usize> {
    // No index of the account's may be taken: it would read all that is in review, and of what is due, anybody's, there is as
    // much as came since the worker last looked.
    let owner = commissions::account_id.concat("");
    let due: Vec<(AccountId, LineId)> =
        due_at(now).filter(owner.eq(account_id)).limit(ROWS_PER_TRANSACTION).load(conn)?;
    let ids: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
    make_ready(conn, now, account_id, &ids)
}

/// What is due at `now`, the oldest first, by the index of what is due.
#[diesel::dsl::auto_type(no_type_alias)]
fn due_at(now: Timestamp) -> _ {
    // A literal, not a bound value: the partial index serves no other.
    let in_review: SqlLiteral<Bool> = sql("status = 'inReview'");
    commissions::table
        .filter(in_review)
        .filter(commissions::review_until.le(now))
        .order(commissions::review_until)
        .select((commissions::account_id, commissions::id))
}

/// Makes those of `ids` ready that are still in review; answers how many. The account is locked.
fn make_ready(conn: &mut Conn, now: Timestamp, account_id: AccountId, ids: &[LineId]) -> Result<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    let due: Vec<CommissionRow> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::id.eq_any(ids))
        .filter(commissions::status.eq(CommissionStatus::InReview))
        .order(commissions::id)
        .select(CommissionRow::as_select())
        .load(conn)?;
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
