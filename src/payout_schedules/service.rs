//! Reads and sets an account's schedule.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::upsert::excluded;
use serde_json::{Value, json};

use super::calendar::ScheduleType;
use super::dates;
use super::models::{PayoutSchedule, ScheduleRow, SetPayoutSchedule};
use crate::accounts;
use crate::audit;
use crate::context::Context;
use crate::db::schema::payout_schedules;
use crate::db::{Conn, with_conn};
use crate::error::{Error, Problem, Result, Violation};
use crate::events::{self, EventType};
use crate::id::{AccountId, Resource};
use crate::money::{Currency, Money};
use crate::program::{self, CurrencyTerms};

/// The days that every month has.
const DAYS: std::ops::RangeInclusive<i32> = 1..=28;

/// The account's schedule; manual when it was never set.
///
/// # Errors
/// The database's failure.
pub fn read(conn: &mut Conn, account_id: AccountId) -> Result<PayoutSchedule> {
    let row = dates::schedule(conn, account_id)?;
    let minimums = row.as_ref().map(ScheduleRow::minimums).transpose()?.unwrap_or_default();
    Ok(PayoutSchedule {
        schedule_type: row.as_ref().map_or(ScheduleType::Manual, |row| row.schedule_type),
        day_of_month: row.and_then(|row| row.day_of_month),
        minimums: minimums.into_iter().map(|(currency, minor)| Money::new(minor, currency)).collect(),
        next_dates: dates::list(conn, account_id)?.into_iter().map(Into::into).collect(),
    })
}

/// Sets the account's schedule.
///
/// # Errors
/// 404 for an unknown account; 422 with every broken rule; the database's failure.
pub fn set(
    conn: &mut Conn,
    context: &Context,
    account_id: AccountId,
    input: &SetPayoutSchedule,
) -> Result<PayoutSchedule> {
    let (context, _) = &accounts::service::lock_one(conn, context, account_id)?;
    let violations = broken_rules(conn, account_id, input)?;
    if !violations.is_empty() {
        return Err(Problem::validation(violations).into());
    }
    let old = dates::schedule(conn, account_id)?;
    let minimums: BTreeMap<Currency, i64> =
        input.minimums.iter().map(|minimum| (minimum.currency, minimum.minor)).collect();
    let row = ScheduleRow {
        account_id,
        schedule_type: input.schedule_type,
        day_of_month: input.day_of_month,
        minimums: serde_json::to_string(&minimums).map_err(Error::internal)?,
        changed_at: context.now,
    };
    write(conn, &row)?;
    dates::refresh(conn, context.now, account_id)?;
    let named = || Resource { kind: "payoutSchedule", id: account_id.to_string() };
    events::record(conn, context, account_id, EventType::PayoutScheduleChanged, named())?;
    let details = json!({ "before": old.as_ref().map(shown).transpose()?, "after": shown(&row)? });
    audit::record(conn, context, Some(account_id), "payoutSchedule.changed", named(), Some(details))?;
    read(conn, account_id)
}

fn write(conn: &mut Conn, row: &ScheduleRow) -> Result<()> {
    use payout_schedules::{account_id, changed_at, day_of_month, minimums, schedule_type};
    with_conn!(conn, c => diesel::insert_into(payout_schedules::table)
        .values(row)
        .on_conflict(account_id)
        .do_update()
        .set((
            schedule_type.eq(excluded(schedule_type)),
            day_of_month.eq(excluded(day_of_month)),
            minimums.eq(excluded(minimums)),
            changed_at.eq(excluded(changed_at)),
        ))
        .execute(c))?;
    Ok(())
}

fn shown(row: &ScheduleRow) -> Result<Value> {
    let minimums: Vec<Money> =
        row.minimums()?.into_iter().map(|(currency, minor)| Money::new(minor, currency)).collect();
    Ok(json!({ "type": row.schedule_type, "dayOfMonth": row.day_of_month, "minimums": minimums }))
}

fn broken_rules(conn: &mut Conn, account_id: AccountId, input: &SetPayoutSchedule) -> Result<Vec<Violation>> {
    let day = match (input.schedule_type, input.day_of_month) {
        (ScheduleType::Manual, None) => None,
        (ScheduleType::Manual, Some(_)) => Some(("notAllowed", "must be null: a manual schedule has no dates")),
        (_, None) => Some(("required", "is required: the day of the month, 1 to 28")),
        (_, Some(day)) => (!DAYS.contains(&day)).then_some(("range", "must be 1 to 28")),
    };
    let day = day.map(|(code, detail)| Violation::at("/dayOfMonth", code, detail));
    let mut violations: Vec<Violation> = day.into_iter().collect();
    for (index, minimum) in input.minimums.iter().enumerate() {
        let terms = program::currencies::terms_for(conn, account_id, minimum.currency)?;
        let earlier = input.minimums.iter().take(index).map(|other| other.currency);
        let broken = broken_minimum(terms.as_ref(), *minimum, earlier);
        let violation = |(field, code, detail)| Violation::at(format!("/minimums/{index}/{field}"), code, detail);
        violations.extend(broken.map(violation));
    }
    Ok(violations)
}

/// Field, code and detail of the rule that an own minimum breaks in a currency of these terms.
fn broken_minimum(
    terms: Option<&CurrencyTerms>,
    minimum: Money,
    mut earlier: impl Iterator<Item = Currency>,
) -> Option<(&'static str, &'static str, String)> {
    if earlier.any(|currency| currency == minimum.currency) {
        return Some(("currency", "duplicate", "has a minimum already".to_owned()));
    }
    let Some(terms) = terms else {
        return Some(("currency", "currencyNotSupported", "is no currency of the program".to_owned()));
    };
    let least = terms.minimum_payout;
    let is_below = minimum.minor < least.minor;
    is_below.then(|| ("amount", "belowMinimum", format!("must be at least the program's minimum, {least}")))
}
