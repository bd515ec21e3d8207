//! Which managed clients want attention, and how many a manager has: counters, so that nobody counts containers to know.
//!
//! Whoever changes what a client's alerts follow from (containers over their limit or with errors, its manager) calls
//! [`refresh`] afterwards, in the same transaction and under the same locks. `verify` recomputes both tables.

use std::collections::BTreeSet;

use diesel::dsl::{exists, select, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::upsert::excluded;
use serde::Serialize;
use utoipa::ToSchema;

use super::ContainerRow;
use crate::db::schema::{accounts, client_alerts, containers, manager_alerts};
use crate::db::{Conn, with_conn};
use crate::error::Result;
use crate::id::AccountId;

/// How many sub-accounts want attention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Queryable, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// Sub-accounts with a container that has exceeded its limit.
    #[schema(minimum = 0, example = 2)]
    pub limit_exceeded: i64,
    /// Sub-accounts with a container that has errors.
    #[schema(minimum = 0, example = 1)]
    pub with_errors: i64,
}

/// A managed client that wants attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = client_alerts)]
pub struct AlertRow {
    /// The client.
    pub client_id: AccountId,
    /// Its manager.
    pub account_id: AccountId,
    /// Whether a container has exceeded its limit.
    pub limit_exceeded: bool,
    /// Whether a container has errors.
    pub with_errors: bool,
}

/// Whether two states of a container differ in what alerts follow from.
#[must_use]
pub fn differ(before: &ContainerRow, after: &ContainerRow) -> bool {
    let flags = |row: &ContainerRow| (row.limit_exceeded_at.is_some(), row.errors != "[]");
    flags(before) != flags(after)
}

/// The counts of a manager.
///
/// # Errors
/// The database's own failure.
pub fn of(conn: &mut Conn, manager_id: AccountId) -> Result<Alerts> {
    let row = manager_alerts::table
        .find(manager_id)
        .select((manager_alerts::limit_exceeded, manager_alerts::with_errors))
        .get_result(conn)
        .optional()?;
    Ok(row.unwrap_or_default())
}

/// Brings the alerts of clients in line with their containers and their manager.
///
/// # Errors
/// The database's own failure.
pub fn refresh(conn: &mut Conn, clients: &BTreeSet<AccountId>) -> Result<()> {
    for client_id in clients {
        let before: Option<AlertRow> =
            client_alerts::table.find(client_id).select(AlertRow::as_select()).get_result(conn).optional()?;
        let after = present(conn, *client_id)?;
        if before != after {
            change(conn, before, after)?;
        }
    }
    Ok(())
}

/// What the client's alerts are now; none where there is nothing to tell, or nobody to tell it to.
///
/// # Errors
/// The database's own failure.
pub fn present(conn: &mut Conn, client_id: AccountId) -> Result<Option<AlertRow>> {
    let manager: Option<Option<AccountId>> =
        accounts::table.find(client_id).select(accounts::manager_id).get_result(conn).optional()?;
    let Some(account_id) = manager.flatten() else { return Ok(None) };
    let of_client =
        containers::table.filter(containers::manager_id.eq(account_id)).filter(containers::account_id.eq(client_id));
    // The engines know the conditions of the partial indexes only in these very words.
    let limit_exceeded: bool =
        select(exists(of_client.filter(sql::<Bool>("limit_exceeded_at IS NOT NULL")))).get_result(conn)?;
    let with_errors: bool = select(exists(of_client.filter(sql::<Bool>("errors <> '[]'")))).get_result(conn)?;
    let row = AlertRow { client_id, account_id, limit_exceeded, with_errors };
    Ok((limit_exceeded || with_errors).then_some(row))
}

fn change(conn: &mut Conn, before: Option<AlertRow>, after: Option<AlertRow>) -> Result<()> {
    for (row, sign) in before.iter().map(|row| (row, -1)).chain(after.iter().map(|row| (row, 1))) {
        count(conn, row, sign)?;
    }
    match (before, after) {
        (_, Some(row)) => with_conn!(conn, c => diesel::insert_into(client_alerts::table)
            .values(row)
            .on_conflict(client_alerts::client_id)
            .do_update()
            .set(row)
            .execute(c))?,
        (Some(row), None) => diesel::delete(client_alerts::table.find(row.client_id)).execute(conn)?,
        (None, None) => 0,
    };
    Ok(())
}

/// Adds a client's row to the counts of its manager, or takes it out (`sign` −1).
fn count(conn: &mut Conn, row: &AlertRow, sign: i64) -> Result<()> {
    use manager_alerts::{account_id, limit_exceeded, with_errors};
    let (over, failing) = (sign * i64::from(row.limit_exceeded), sign * i64::from(row.with_errors));
    if sign < 0 {
        diesel::update(manager_alerts::table.find(row.account_id))
            .set((limit_exceeded.eq(limit_exceeded + over), with_errors.eq(with_errors + failing)))
            .execute(conn)?;
        return Ok(());
    }
    let counts = (account_id.eq(row.account_id), limit_exceeded.eq(over), with_errors.eq(failing));
    with_conn!(conn, c => diesel::insert_into(manager_alerts::table)
        .values(counts)
        .on_conflict(account_id)
        .do_update()
        .set((
            limit_exceeded.eq(limit_exceeded + excluded(limit_exceeded)),
            with_errors.eq(with_errors + excluded(with_errors)),
        ))
        .execute(c))?;
    Ok(())
}
