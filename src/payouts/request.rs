//! Requesting a payout: whether it may be, what it takes, and taking it.

use diesel::prelude::*;
use diesel::upsert::excluded;
use serde_json::json;

use super::lines::LineRow;
use super::models::{PayoutRow, PayoutStatus, RequestedBy};
use super::steps;
use crate::accounts::{self, AccountKind, AccountRow};
use crate::audit;
use crate::clock::Timestamp;
use crate::commissions::{CommissionStatus, LineId, maturity};
use crate::context::Context;
use crate::db::schema::{commissions, payout_lines, payout_numbers, payouts};
use crate::db::{Conn, insert_rows, with_conn};
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::id::{AccountId, PayoutId};
use crate::ledger::{self, EntryKind, Journal, LedgerAccount};
use crate::money::{Currency, Money};
use crate::payout_methods::{self, PayoutMethodRow};
use crate::program;

/// What a request of one currency would find.
#[derive(Debug, Clone)]
pub struct Position {
    /// The ready balance; negative is debt.
    pub ready: Money,
    /// A payout must be more than this.
    pub minimum: Money,
    /// Where the money would go.
    pub method: Option<PayoutMethodRow>,
}

impl Position {
    /// What there is besides the ready balance; none in a currency that the program does not list, and in which the account
    /// never had a balance.
    ///
    /// # Errors
    /// The database's own failure.
    pub fn of(conn: &mut Conn, account_id: AccountId, currency: Currency, ready_minor: i64) -> Result<Option<Self>> {
        let Some(terms) = program::currencies::terms_for(conn, account_id, currency)? else { return Ok(None) };
        let method = payout_methods::find(conn, account_id, currency)?;
        Ok(Some(Self { ready: Money::new(ready_minor, currency), minimum: terms.minimum_payout, method }))
    }

    /// Why a request would be refused, if it would: the first rule that it breaks.
    #[must_use]
    pub fn refusal(&self, account: &AccountRow) -> Option<Problem> {
        if account.kind != AccountKind::Partner {
            return Some(Problem::new(Code::NotPartner, "only a partner's commissions are paid out"));
        }
        if account.blocked_at.is_some() {
            return Some(steps::blocked(account.id));
        }
        if self.ready.minor <= self.minimum.minor {
            let detail = format!("{} are ready; a payout must be more than {}", self.ready, self.minimum);
            return Some(Problem::new(Code::BelowMinimum, detail));
        }
        if self.method.is_none() {
            let detail = format!("the account has no payout method for {}", self.ready.currency);
            return Some(Problem::new(Code::PayoutMethodMissing, detail));
        }
        None
    }
}

/// Requests a payout of the whole ready balance of a currency.
///
/// # Errors
/// 404 for an unknown account; 403 `notPartner`; 409 `accountBlocked`, `belowMinimum`, `payoutMethodMissing`; 422
/// `currencyNotSupported`.
pub fn request(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    currency: Currency,
    requested_by: RequestedBy,
) -> Result<PayoutRow> {
    let (context, account) = &accounts::service::lock_one(conn, context, account_id)?;
    let position = present(conn, context.now, account_id, currency)?;
    let position =
        position.ok_or_else(|| {
            Problem::new(Code::CurrencyNotSupported, format!("the program does not list {currency}"))
                .with(Violation::at("/currency", "currencyNotSupported", "is not a currency of the program"))
        })?;
    match (position.refusal(account), &position.method) {
        (Some(problem), _) => Err(problem.into()),
        (None, Some(method)) => take(conn, context, method, position.ready, requested_by),
        (None, None) => Err(Error::internal("a payout without a method")),
    }
}

/// Requests a payout for a schedule, if the ready balance is more than `minimum_minor` and a request would be accepted;
/// whether it was. Leaves everything as it is otherwise, but for commissions that have become ready.
///
/// # Errors
/// 404 for an unknown account; the database's own failure.
pub fn request_scheduled(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    currency: Currency,
    minimum_minor: i64,
) -> Result<bool> {
    let (context, account) = &accounts::service::lock_one(conn, context, account_id)?;
    let position = present(conn, context.now, account_id, currency)?;
    let Some(position) = position else { return Ok(false) };
    if position.ready.minor <= minimum_minor || position.refusal(account).is_some() {
        return Ok(false);
    }
    let Some(method) = &position.method else { return Ok(false) };
    take(conn, context, method, position.ready, RequestedBy::Schedule)?;
    Ok(true)
}

/// What a locked account has ready, after all that is due has become ready.
fn present(conn: &mut Conn, now: Timestamp, account_id: AccountId, currency: Currency) -> Result<Option<Position>> {
    while maturity::mature(conn, now, account_id)? > 0 {}
    let balances = ledger::balances::present(conn, account_id)?;
    let ready_minor = balances.iter().find(|row| row.currency == currency).map_or(0, |row| row.ready_minor);
    Position::of(conn, account_id, currency, ready_minor)
}

/// Takes every ready row of the method's currency into a new payout.
fn take(
    conn: &mut Conn,
    context: &Context,
    method: &PayoutMethodRow,
    ready: Money,
    requested_by: RequestedBy,
) -> Result<PayoutRow> {
    let (account_id, currency, now) = (method.account_id, ready.currency, context.now);
    let id = PayoutId::new(now);
    let lines = ready_lines(conn, account_id, currency, id)?;
    let sum: i64 = lines.iter().map(|line| line.amount_minor).sum();
    if sum != ready.minor {
        return Err(Error::internal(format!("{account_id}: ready rows sum to {sum}, the balance is {}", ready.minor)));
    }
    let payout = PayoutRow {
        account_id,
        id,
        number: next_number(conn, account_id, now)?,
        status: PayoutStatus::Requested,
        currency,
        amount_minor: sum,
        line_count: i64::try_from(lines.len()).map_err(Error::internal)?,
        method_type: method.method_type,
        method_label: method.label.clone(),
        method_details: method.details.clone(),
        requested_by,
        requested_at: now,
        approved_at: None,
        started_at: None,
        paid_at: None,
        closed_at: None,
        reference: None,
        reason: None,
        batch_id: None,
        returned_by: None,
        created_at: now,
    };
    diesel::insert_into(payouts::table).values(payout.clone()).execute(conn)?;
    insert_rows!(conn, payout_lines::table, lines);
    claim_rows(conn, &payout)?;
    let mut journal = Journal::open(conn, &[account_id])?;
    for line in &lines {
        let (from, to) = (LedgerAccount::Ready, LedgerAccount::InPayout);
        journal.post(now, &line.posting(currency, EntryKind::PayoutRequested, from, to))?;
    }
    journal.write(conn)?;
    let details = json!({ "amount": payout.money(), "method": payout.method_label, "requestedBy": requested_by });
    audit::record(conn, context, Some(account_id), "payout.requested", id, Some(details))?;
    events::record(conn, context, account_id, EventType::PayoutRequested, id)?;
    steps::tell_owners(conn, context, &payout)?;
    Ok(payout)
}

/// The rows that are ready, as lines of the payout `payout_id`.
fn ready_lines(
    conn: &mut Conn,
    account_id: AccountId,
    currency: Currency,
    payout_id: PayoutId,
) -> Result<Vec<LineRow>> {
    let rows: Vec<(LineId, i64, i64)> = commissions::table
        .filter(commissions::account_id.eq(account_id))
        .filter(commissions::status.eq(CommissionStatus::ReadyToPayout))
        .filter(commissions::currency.eq(currency))
        .order(commissions::id)
        .select((commissions::id, commissions::amount_minor, commissions::reversed_minor))
        .load(conn)?;
    let line = |(line_id, amount_minor, reversed_minor)| LineRow {
        account_id,
        payout_id,
        line_id,
        amount_minor: amount_minor - reversed_minor,
    };
    Ok(rows.into_iter().map(line).collect())
}

/// Marks the ready rows as the payout's.
fn claim_rows(conn: &mut Conn, payout: &PayoutRow) -> Result<()> {
    let claimed = diesel::update(commissions::table)
        .filter(commissions::account_id.eq(payout.account_id))
        .filter(commissions::status.eq(CommissionStatus::ReadyToPayout))
        .filter(commissions::currency.eq(payout.currency))
        .set((commissions::status.eq(CommissionStatus::InPayout), commissions::payout_id.eq(payout.id)))
        .execute(conn)?;
    if i64::try_from(claimed).ok() == Some(payout.line_count) {
        Ok(())
    } else {
        Err(Error::internal(format!("{}: claimed {claimed} rows, not {}", payout.id, payout.line_count)))
    }
}

/// The next number of the partner's payouts in the UTC year. The account's lock keeps the numbers without gaps: a request
/// that is undone gives its number back.
fn next_number(conn: &mut Conn, account_id: AccountId, now: Timestamp) -> Result<String> {
    use chrono::Datelike;
    let year = now.naive().year();
    let row = (
        payout_numbers::account_id.eq(account_id),
        payout_numbers::year.eq(year),
        payout_numbers::last_number.eq(1_i64),
    );
    with_conn!(conn, c => diesel::insert_into(payout_numbers::table)
        .values(row)
        .on_conflict((payout_numbers::account_id, payout_numbers::year))
        .do_update()
        .set(payout_numbers::last_number.eq(payout_numbers::last_number + excluded(payout_numbers::last_number)))
        .execute(c))?;
    let number: i64 =
        payout_numbers::table.find((account_id, year)).select(payout_numbers::last_number).get_result(conn)?;
    Ok(format!("{year}-{number:04}"))
}
