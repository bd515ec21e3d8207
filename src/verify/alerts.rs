//! Which clients want attention, and how many a manager has, follow from containers.

use diesel::prelude::*;

use super::Differences;
use crate::accounts::{AccountKind, AccountRow};
use crate::containers::alerts::{self, AlertRow, Alerts};
use crate::db::Conn;
use crate::db::schema::client_alerts;
use crate::error::Result;

pub fn check(conn: &mut Conn, account: &AccountRow, differences: &mut Differences) -> Result<()> {
    if account.kind == AccountKind::Standard {
        let stored: Option<AlertRow> =
            client_alerts::table.find(account.id).select(AlertRow::as_select()).get_result(conn).optional()?;
        let right = alerts::present(conn, account.id)?;
        differences.compare(|| format!("{}: alerts", account.id), &stored, &right);
        return Ok(());
    }
    let rows: Vec<(bool, bool)> = client_alerts::table
        .filter(client_alerts::account_id.eq(account.id))
        .select((client_alerts::limit_exceeded, client_alerts::with_errors))
        .load(conn)?;
    let right = rows.iter().fold(Alerts::default(), |sums, (over, failing)| Alerts {
        limit_exceeded: sums.limit_exceeded + i64::from(*over),
        with_errors: sums.with_errors + i64::from(*failing),
    });
    differences.compare(|| format!("{}: clients with alerts", account.id), &alerts::of(conn, account.id)?, &right);
    Ok(())
}
