//! Containers: owned by whom their history says, over their limit as their count says, waiting for requests of their own.

use std::collections::{HashMap, HashSet};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::Differences;
use crate::containers::{ContainerRow, OwnershipRow};
use crate::db::schema::{container_owners, containers, operator_requests};
use crate::db::{Conn, search_text};
use crate::error::Result;
use crate::id::{AccountId, ContainerId};
use crate::operator_requests::{OperatorRequestRow, OperatorRequestType};
use crate::program;
use crate::program::service::ProgramHistory;
use crate::sub_accounts::links;

/// Containers that are in memory at once.
const CONTAINERS_PER_PAGE: i64 = 1_000;

pub fn check(conn: &mut Conn, differences: &mut Differences) -> Result<()> {
    let programs = program::service::history(conn, None)?;
    let mut last: Option<ContainerId> = None;
    loop {
        let page = next_containers(conn, last)?;
        let Some(container) = page.last() else { break };
        last = Some(container.id);
        let ids: Vec<ContainerId> = page.iter().map(|container| container.id).collect();
        let owners = owners_of(conn, &ids)?;
        let requests = open_requests_of(conn, &ids)?;
        for container in &page {
            let owner = owners.get(&container.id).copied();
            differences.compare(|| format!("{}: owner", container.id), &Some(container.account_id), &owner);
            let searchable = search_text(&[&container.name]);
            differences.compare(|| format!("{}: search text", container.id), &container.search_text, &searchable);
            let kept = container.manager_id.filter(|_| container.deleted_at.is_some());
            differences.compare(|| format!("{}: manager of a deleted container", container.id), &kept, &None);
            check_limit(container, &programs, differences);
            if let Some(request) = requests.get(&container.id) {
                check_request(container, request, differences)?;
            }
        }
    }
    check_clients_requests(conn, differences)
}

/// A container is over its limit when its count has reached it; the limit may have been another in an older version.
fn check_limit(container: &ContainerRow, programs: &ProgramHistory, differences: &mut Differences) {
    let plans = programs.versions().iter().map(|program| program.config.plan(container.product, &container.plan));
    let limits: HashSet<Option<i64>> = plans.map(|plan| plan.and_then(|plan| plan.request_limit)).collect();
    let is_exceeded = container.limit_exceeded_at.is_some();
    let fits = |limit: &Option<i64>| limit.is_some_and(|limit| container.usage_requests >= limit) == is_exceeded;
    if !limits.iter().any(fits) {
        let (id, requests) = (container.id, container.usage_requests);
        differences.note(|| format!("{id}: limitExceeded is {is_exceeded} at {requests} requests"));
    }
}

fn check_request(container: &ContainerRow, request: &OperatorRequestRow, differences: &mut Differences) -> Result<()> {
    let whose = match request.request_type {
        OperatorRequestType::Transfer => request.details()?.new_owner_id,
        _ => Some(request.account_id),
    };
    differences.compare(|| format!("{}: owner of the container", request.id), &whose, &Some(container.account_id));
    // The subscription of who gave a container away is still to be ended, whatever the new owner does with it.
    if container.deleted_at.is_some() && request.request_type != OperatorRequestType::Transfer {
        differences.note(|| format!("{}: open for the deleted {}", request.id, container.id));
    }
    Ok(())
}

/// What is open about a client itself is about its link.
fn check_clients_requests(conn: &mut Conn, differences: &mut Differences) -> Result<()> {
    let rows: Vec<OperatorRequestRow> = operator_requests::table
        .filter(operator_requests::container_id.is_null())
        .filter(sql::<Bool>("status = 'open'"))
        .select(OperatorRequestRow::as_select())
        .load(conn)?;
    for row in rows {
        if links::current(conn, row.account_id)?.is_none() {
            differences.note(|| format!("{}: open for {}, who has no manager", row.id, row.account_id));
        }
    }
    Ok(())
}

fn next_containers(conn: &mut Conn, after: Option<ContainerId>) -> Result<Vec<ContainerRow>> {
    let mut query = containers::table
        .order(containers::id)
        .limit(CONTAINERS_PER_PAGE)
        .select(ContainerRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(containers::id.gt(after));
    }
    Ok(query.load(conn)?)
}

/// The last owner of each container.
fn owners_of(conn: &mut Conn, ids: &[ContainerId]) -> Result<HashMap<ContainerId, AccountId>> {
    let rows: Vec<OwnershipRow> = container_owners::table
        .filter(container_owners::container_id.eq_any(ids))
        .order((container_owners::container_id, container_owners::id))
        .select(OwnershipRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.container_id, row.account_id)).collect())
}

fn open_requests_of(conn: &mut Conn, ids: &[ContainerId]) -> Result<HashMap<ContainerId, OperatorRequestRow>> {
    let rows: Vec<OperatorRequestRow> = operator_requests::table
        .filter(operator_requests::container_id.eq_any(ids))
        .filter(sql::<Bool>("status = 'open'"))
        .select(OperatorRequestRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|row| Some((row.container_id?, row))).collect())
}
