//! Schedules: the next date of each currency, from the schedule and the payout methods.

use std::collections::BTreeMap;

use super::Differences;
use crate::db::Conn;
use crate::error::Result;
use crate::id::AccountId;
use crate::payout_schedules::{ScheduledRow, dates};

pub fn check(conn: &mut Conn, account_id: AccountId, differences: &mut Differences) -> Result<()> {
    let stored: BTreeMap<_, ScheduledRow> =
        dates::list(conn, account_id)?.into_iter().map(|row| (row.currency, row)).collect();
    let rhythm = dates::schedule(conn, account_id)?.and_then(|schedule| schedule.rhythm());
    let methods = if rhythm.is_some() { dates::methods(conn, account_id)? } else { Vec::new() };
    let wanted: Vec<_> = methods.iter().map(|method| method.currency).collect();
    let present: Vec<_> = stored.keys().copied().collect();
    differences.compare(|| format!("{account_id}: currencies with a next payout date"), &present, &wanted);
    for (method, row) in methods.iter().filter_map(|method| Some((method, stored.get(&method.currency)?))) {
        let what = |of: &str| format!("{account_id}: {of} of the next payout in {}", row.currency);
        let is_date = rhythm.is_some_and(|rhythm| rhythm.has(row.scheduled_for));
        differences.compare(|| what("whether the schedule has the date"), &is_date, &true);
        differences.compare(|| what("due time"), &row.due_at, &dates::row_of(method, row.scheduled_for).due_at);
    }
    Ok(())
}
