//! The steps of a payout: which may follow which, and what each does to its rows and the ledger.

use diesel::prelude::*;
use serde_json::json;

use super::lines::LineRow;
use super::models::{PayoutRow, PayoutStatus};
use super::service;
use crate::accounts;
use crate::audit;
use crate::commissions::CommissionStatus;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{commissions, payout_lines, payouts};
use crate::error::{Code, Error, Problem, Result};
use crate::events::{self, EventType};
use crate::id::{AccountId, PayoutId};
use crate::ledger::{EntryKind, Journal, LedgerAccount};
use crate::mail::{self, Letter, PayoutNews, Recipient};

/// A step of a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The partner withdraws it.
    Cancel,
    /// The operator will pay it.
    Approve,
    /// The operator refuses it, for this reason.
    Reject(&'a str),
    /// The money is on its way.
    Start,
    /// The money arrived, under this reference of the transfer.
    Confirm(&'a str),
    /// No money left, for this reason.
    Fail(&'a str),
}

impl Step<'_> {
    /// From where it may be taken.
    const fn from(self) -> &'static [PayoutStatus] {
        match self {
            Self::Cancel | Self::Approve => &[PayoutStatus::Requested],
            Self::Reject(_) => &[PayoutStatus::Requested, PayoutStatus::Approved],
            Self::Start => &[PayoutStatus::Approved],
            Self::Confirm(_) | Self::Fail(_) => &[PayoutStatus::Processing],
        }
    }

    /// Where it leads.
    const fn to(self) -> PayoutStatus {
        match self {
            Self::Cancel => PayoutStatus::Canceled,
            Self::Approve => PayoutStatus::Approved,
            Self::Reject(_) => PayoutStatus::Rejected,
            Self::Start => PayoutStatus::Processing,
            Self::Confirm(_) => PayoutStatus::Paid,
            Self::Fail(_) => PayoutStatus::Failed,
        }
    }

    /// Whether it brings money nearer to the partner, which a blocked one does not get.
    const fn is_forward(self) -> bool {
        matches!(self, Self::Approve | Self::Start)
    }

    const fn event(self) -> EventType {
        match self {
            Self::Cancel => EventType::PayoutCanceled,
            Self::Approve => EventType::PayoutApproved,
            Self::Reject(_) => EventType::PayoutRejected,
            Self::Start => EventType::PayoutStarted,
            Self::Confirm(_) => EventType::PayoutPaid,
            Self::Fail(_) => EventType::PayoutFailed,
        }
    }

    fn apply(self, row: &mut PayoutRow, context: &Context) {
        let now = Some(context.now);
        row.status = self.to();
        match self {
            Self::Cancel => row.closed_at = now,
            Self::Approve => row.approved_at = now,
            Self::Start => row.started_at = now,
            Self::Reject(reason) | Self::Fail(reason) => {
                row.closed_at = now;
                row.reason = Some(reason.to_owned());
            }
            Self::Confirm(reference) => {
                row.paid_at = now;
                row.closed_at = now;
                row.reference = Some(reference.to_owned());
            }
        }
    }

    /// What becomes of the payout's rows when it comes to its end.
    const fn end_of_rows(self) -> Option<(CommissionStatus, EntryKind, LedgerAccount)> {
        match self {
            Self::Approve | Self::Start => None,
            Self::Cancel | Self::Reject(_) | Self::Fail(_) => {
                Some((CommissionStatus::ReadyToPayout, EntryKind::PayoutReleased, LedgerAccount::Ready))
            }
            Self::Confirm(_) => Some((CommissionStatus::Paid, EntryKind::PayoutPaid, LedgerAccount::Paid)),
        }
    }
}

/// Takes a step of a payout: the partner's own one, or any for the operator (`partner` is none).
///
/// # Errors
/// 404 for a missing one and for somebody else's; 409 `invalidTransition` naming the present status; 409 `accountBlocked`.
pub fn take(
    conn: &mut Conn,
    context: &Context,
    partner: Option<AccountId>,
    id: PayoutId,
    step: Step<'_>,
) -> Result<PayoutRow> {
    let account_id = match partner {
        Some(account_id) => account_id,
        None => service::owner_of(conn, id)?,
    };
    let (context, account) = &accounts::service::lock_one(conn, context, account_id)?;
    let row = service::find(conn, account_id, id)?;
    if !step.from().contains(&row.status) {
        return Err(invalid_transition(&row, step));
    }
    if step.is_forward() && account.blocked_at.is_some() {
        return Err(blocked(account_id).into());
    }
    change(conn, context, &row, step)
}

/// Takes a step that was found to be allowed, of a payout whose account is locked.
///
/// # Errors
/// The database's own failure.
pub(super) fn change(conn: &mut Conn, context: &Context, old: &PayoutRow, step: Step<'_>) -> Result<PayoutRow> {
    let mut row = old.clone();
    step.apply(&mut row, context);
    let changed = diesel::update(payouts::table.find((row.account_id, row.id)))
        .filter(payouts::status.eq(old.status))
        .set(&row)
        .execute(conn)?;
    if changed != 1 {
        return Err(invalid_transition(&service::find(conn, row.account_id, row.id)?, step));
    }
    if let Some((status, kind, to)) = step.end_of_rows() {
        end_rows(conn, context, &row, status, kind, to)?;
    }
    let details = json!({
        "number": row.number,
        "amount": row.money(),
        "reason": row.reason,
        "reference": row.reference,
        "batchId": row.batch_id,
    });
    audit::record(conn, context, Some(row.account_id), step.event().as_str(), row.id, Some(details))?;
    events::record(conn, context, row.account_id, step.event(), row.id)?;
    tell_owners(conn, context, &row)?;
    Ok(row)
}

/// Lets the rows go on, or marks them as paid, and moves their money.
fn end_rows(
    conn: &mut Conn,
    context: &Context,
    payout: &PayoutRow,
    status: CommissionStatus,
    kind: EntryKind,
    to: LedgerAccount,
) -> Result<()> {
    let lines: Vec<LineRow> = payout_lines::table
        .filter(payout_lines::account_id.eq(payout.account_id))
        .filter(payout_lines::payout_id.eq(payout.id))
        .order(payout_lines::line_id)
        .select(LineRow::as_select())
        .load(conn)?;
    let sum: i64 = lines.iter().map(|line| line.amount_minor).sum();
    let payout_id = (status == CommissionStatus::Paid).then_some(payout.id);
    let moved = diesel::update(commissions::table)
        .filter(commissions::account_id.eq(payout.account_id))
        .filter(commissions::payout_id.eq(payout.id))
        .filter(commissions::status.eq(CommissionStatus::InPayout))
        .set((commissions::status.eq(status), commissions::payout_id.eq(payout_id)))
        .execute(conn)?;
    if sum != payout.amount_minor || moved != lines.len() {
        let found = format!("{moved} rows and lines of {sum}, not {} of {}", payout.line_count, payout.amount_minor);
        return Err(Error::internal(format!("{}: {found}", payout.id)));
    }
    let mut journal = Journal::open(conn, &[payout.account_id])?;
    for line in &lines {
        journal.post(context.now, &line.posting(payout.currency, kind, LedgerAccount::InPayout, to))?;
    }
    journal.write(conn)
}

/// Tells all owners by mail, where the status is news to them.
pub(super) fn tell_owners(conn: &mut Conn, context: &Context, payout: &PayoutRow) -> Result<()> {
    let news = match payout.status {
        PayoutStatus::Requested => PayoutNews::Requested,
        PayoutStatus::Approved => PayoutNews::Approved,
        PayoutStatus::Paid => PayoutNews::Paid,
        PayoutStatus::Rejected => PayoutNews::Rejected,
        PayoutStatus::Failed => PayoutNews::Failed,
        PayoutStatus::Processing | PayoutStatus::Canceled => return Ok(()),
    };
    let letter = Letter::Payout {
        news,
        number: payout.number.clone(),
        amount: payout.money().to_string(),
        method: payout.method_label.clone(),
        remark: payout.reference.clone().or_else(|| payout.reason.clone()),
    };
    for owner in accounts::service::owners(conn, payout.account_id)? {
        mail::enqueue(conn, context, Recipient::User(owner), &letter)?;
    }
    Ok(())
}

/// 409: somebody else acts on an account that is blocked.
pub(super) fn blocked(account_id: AccountId) -> Problem {
    Problem::new(Code::AccountBlocked, format!("{account_id} is blocked; its payouts stop")).as_conflict()
}

fn invalid_transition(row: &PayoutRow, step: Step<'_>) -> Error {
    let allowed: Vec<_> = step.from().iter().map(|status| status.as_str()).collect();
    let detail =
        format!("the payout is {}; it can become {} only from {}", row.status, step.to(), allowed.join(" or "));
    Error::refused(Code::InvalidTransition, detail)
}
