//! Sets, removes, finds and reveals methods. Details leave this file encrypted or to who pays, never otherwise.

use diesel::prelude::*;
use diesel::upsert::excluded;
use serde_json::json;

use super::models::{PayoutMethodRow, SetPayoutMethod, named};
use super::{MethodDetails, MethodType};
use crate::accounts::{self, sessions};
use crate::audit;
use crate::context::Context;
use crate::db::schema::payout_methods;
use crate::db::{Conn, with_conn};
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::http::Page;
use crate::id::AccountId;
use crate::mail::{self, Letter, Recipient};
use crate::money::Currency;
use crate::payout_schedules::dates;
use crate::vault::Vault;

/// Longest password that anybody has.
const MAX_PASSWORD_CHARS: usize = 128;

/// The method of a currency, if there is one.
///
/// # Errors
/// The database's failure.
pub fn find(conn: &mut Conn, account_id: AccountId, currency: Currency) -> Result<Option<PayoutMethodRow>> {
    let row = payout_methods::table.find((account_id, currency)).select(PayoutMethodRow::as_select());
    Ok(row.get_result(conn).optional()?)
}

/// What the bank needs, from the encrypted details of a method or of a payout of this account and currency.
///
/// # Errors
/// Details that were encrypted with a key that is not known, or for another account or currency.
pub fn reveal(vault: &Vault, account_id: AccountId, currency: Currency, sealed: &[u8]) -> Result<MethodDetails> {
    let opened = vault.open(&place(account_id, currency), sealed)?;
    // The parser's error would repeat what it read.
    serde_json::from_slice(&opened).map_err(|_| Error::internal("a payout method has details of an unknown form"))
}

/// What the encrypted details of an account's currency are bound to.
pub(super) fn place(account_id: AccountId, currency: Currency) -> String {
    format!("payoutMethod/{account_id}/{currency}")
}

/// A page of the account's methods, the currency that got one last first.
///
/// # Errors
/// The database's failure.
pub fn list(conn: &mut Conn, account_id: AccountId, page: &Page) -> Result<Vec<PayoutMethodRow>> {
    let mut query = payout_methods::table
        .filter(payout_methods::account_id.eq(account_id))
        .order((payout_methods::created_at.desc(), payout_methods::currency))
        .limit(page.fetch())
        .select(PayoutMethodRow::as_select())
        .into_boxed();
    if let Some(after) = page.after_key::<Currency>()? {
        let last = find(conn, account_id, after)?.ok_or_else(|| {
            Error::refused(Code::InvalidCursor, "the method that the page before ended with was removed; start again")
        })?;
        let older = payout_methods::created_at.lt(last.created_at);
        let beside = payout_methods::created_at.eq(last.created_at).and(payout_methods::currency.gt(after));
        query = query.filter(older.or(beside));
    }
    Ok(query.load(conn)?)
}

/// The details of a body that keeps every rule for `currency`.
///
/// # Errors
/// 422 `validationFailed` with every broken rule.
pub fn checked(currency: Currency, input: &SetPayoutMethod) -> Result<MethodDetails> {
    let mut violations = Vec::new();
    if !input.method_type.carries(currency) {
        violations.push(wrong_currency(input.method_type, currency));
    }
    if input.password.chars().count() > MAX_PASSWORD_CHARS {
        violations.push(Violation::at("/password", "length", "must have at most 128 characters"));
    }
    match MethodDetails::parse(input.method_type, input.details.clone()) {
        Ok(details) if violations.is_empty() => Ok(details),
        Ok(_) => Err(Problem::validation(violations).into()),
        Err(problem) => {
            violations.extend(problem.violations);
            Err(Problem::validation(violations).into())
        }
    }
}

fn wrong_currency(method_type: MethodType, currency: Currency) -> Violation {
    let carried = match method_type {
        MethodType::Ach => "pays in USD alone",
        MethodType::Sepa => "pays in EUR alone",
        _ => "does not pay in this currency",
    };
    Violation::at(
        "/type",
        "currencyMismatch",
        format!("cannot be {method_type} for {currency}: {method_type} {carried}"),
    )
}

/// Sets the method of a currency. `verified` is the user as its password was found right.
///
/// # Errors
/// 422 `wrongPassword` when the password was changed meanwhile; the database's failure.
pub fn set(
    conn: &mut Conn,
    context: &Context,
    vault: &Vault,
    verified: &sessions::Candidate,
    (currency, details): (Currency, &MethodDetails),
) -> Result<PayoutMethodRow> {
    let account_id = verified.account_id;
    let (context, _) = &accounts::lock(conn, context, &[account_id])?;
    if !sessions::holds(conn, verified)? {
        return Err(sessions::wrong_current_password("/password"));
    }
    let text = serde_json::to_vec(details).map_err(Error::internal)?;
    let old = find(conn, account_id, currency)?;
    let row = PayoutMethodRow {
        account_id,
        currency,
        method_type: details.method_type(),
        label: details.label(),
        details: vault.seal(&place(account_id, currency), &text)?,
        created_at: old.as_ref().map_or(context.now, |old| old.created_at),
        changed_at: context.now,
    };
    write(conn, &row)?;
    dates::refresh(conn, context.now, account_id)?;
    events::record(conn, context, account_id, EventType::PayoutMethodChanged, named(currency))?;
    let shown = |row: &PayoutMethodRow| json!({ "type": row.method_type, "label": row.label });
    let told = json!({ "before": old.as_ref().map(shown), "after": shown(&row) });
    audit::record(conn, context, Some(account_id), "payoutMethod.changed", named(currency), Some(told))?;
    let letter = Letter::PayoutMethodChanged {
        currency: currency.to_string(),
        method: described(&row),
        held_until: row.held_until().to_string(),
    };
    tell_owners(conn, context, account_id, &letter)?;
    Ok(row)
}

fn write(conn: &mut Conn, row: &PayoutMethodRow) -> Result<()> {
    use payout_methods::{account_id, changed_at, currency, details, label, method_type};
    with_conn!(conn, c => diesel::insert_into(payout_methods::table)
        .values(row)
        .on_conflict((account_id, currency))
        .do_update()
        .set((
            method_type.eq(excluded(method_type)),
            label.eq(excluded(label)),
            details.eq(excluded(details)),
            changed_at.eq(excluded(changed_at)),
        ))
        .execute(c))?;
    Ok(())
}

/// Removes the method of a currency. Payouts that were requested keep theirs.
///
/// # Errors
/// 404 where there is none; the database's failure.
pub fn remove(conn: &mut Conn, context: &Context, account_id: AccountId, currency: Currency) -> Result<()> {
    let (context, _) = &accounts::lock(conn, context, &[account_id])?;
    let row = find(conn, account_id, currency)?.ok_or_else(Error::not_found)?;
    diesel::delete(payout_methods::table.find((account_id, currency))).execute(conn)?;
    dates::refresh(conn, context.now, account_id)?;
    events::record(conn, context, account_id, EventType::PayoutMethodRemoved, named(currency))?;
    let told = json!({ "type": row.method_type, "label": row.label });
    audit::record(conn, context, Some(account_id), "payoutMethod.removed", named(currency), Some(told))?;
    let letter = Letter::PayoutMethodRemoved { currency: currency.to_string(), method: described(&row) };
    tell_owners(conn, context, account_id, &letter)
}

/// `sepa DE•• •••• 3000`.
fn described(row: &PayoutMethodRow) -> String {
    format!("{} {}", row.method_type, row.label)
}

fn tell_owners(conn: &mut Conn, context: &Context, account_id: AccountId, letter: &Letter) -> Result<()> {
    let owners = accounts::service::owners(conn, account_id)?;
    owners.into_iter().try_for_each(|owner| mail::enqueue(conn, context, Recipient::User(owner), letter))
}
