//! What a manager does with its sub-accounts and sees of them.

use std::collections::HashMap;

use diesel::prelude::*;

use super::links;
use super::models::{Access, CreateSubAccount, LinkRow, Origin, SubAccount};
use crate::accounts::service::NewAccount;
use crate::accounts::{AccountKind, AccountRow};
use crate::clock::Timestamp;
use crate::containers::{ContainerRow, slots};
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{accounts, containers, sub_account_links};
use crate::error::{OrNotFound, Result};
use crate::http::Page;
use crate::id::{AccountId, SubAccountLinkId};
use crate::money::Money;
use crate::partners::Terms;
use crate::program::{self, ProgramConfig};

/// Creates a standard account for a client and links it, access granted.
///
/// # Errors
/// 409 `emailTaken`.
pub fn create(
    conn: &mut Conn,
    context: &Context,
    manager_id: AccountId,
    input: &CreateSubAccount,
) -> Result<SubAccount> {
    let new = NewAccount {
        kind: AccountKind::Standard,
        email: input.email.clone(),
        first_name: input.first_name.clone(),
        last_name: input.last_name.clone(),
        company_name: None,
        password_hash: None,
    };
    let client = crate::accounts::service::create(conn, context, new)?;
    let link = links::link(conn, context, client.id, manager_id, Origin::Created, Access::Granted)?;
    view(conn, context.now, link, client)
}

/// One of the manager's sub-accounts.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find(conn: &mut Conn, now: Timestamp, manager_id: AccountId, client_id: AccountId) -> Result<SubAccount> {
    let link = links::managed_by(conn, manager_id, client_id)?;
    let client = accounts::table.find(client_id).select(AccountRow::as_select()).get_result(conn).or_not_found()?;
    view(conn, now, link, client)
}

/// A page of the manager's sub-accounts, the newest link first, each with its link's id for the cursor.
///
/// # Errors
/// The database's own failure.
pub fn list(
    conn: &mut Conn,
    now: Timestamp,
    manager_id: AccountId,
    page: &Page,
) -> Result<Vec<(SubAccountLinkId, SubAccount)>> {
    let mut query = sub_account_links::table
        .inner_join(accounts::table.on(accounts::id.eq(sub_account_links::client_id)))
        .filter(sub_account_links::account_id.eq(manager_id))
        .filter(sub_account_links::detached_at.is_null())
        .order(sub_account_links::id.desc())
        .limit(page.fetch())
        .select((LinkRow::as_select(), AccountRow::as_select()))
        .into_boxed();
    if let Some(after) = page.after_key::<SubAccountLinkId>()? {
        query = query.filter(sub_account_links::id.lt(after));
    }
    let rows: Vec<(LinkRow, AccountRow)> = query.load(conn)?;
    let ids: Vec<SubAccountLinkId> = rows.iter().map(|(link, _)| link.id).collect();
    Ok(ids.into_iter().zip(views(conn, now, manager_id, rows)?).collect())
}

fn view(conn: &mut Conn, now: Timestamp, link: LinkRow, client: AccountRow) -> Result<SubAccount> {
    let manager_id = link.account_id;
    views(conn, now, manager_id, vec![(link, client)])?.pop().ok_or_else(crate::error::Error::not_found)
}

/// The rows with their containers' figures: one query for all containers of the page.
fn views(
    conn: &mut Conn,
    now: Timestamp,
    manager_id: AccountId,
    rows: Vec<(LinkRow, AccountRow)>,
) -> Result<Vec<SubAccount>> {
    let clients: Vec<AccountId> = rows.iter().map(|(_, client)| client.id).collect();
    let program = program::service::current(conn)?;
    let terms = Terms::load(conn, &[manager_id])?.remove(&manager_id).unwrap_or_default();
    let of_clients: Vec<ContainerRow> = containers::table
        .filter(containers::account_id.eq_any(&clients))
        .filter(containers::deleted_at.is_null())
        .select(ContainerRow::as_select())
        .load(conn)?;
    let mut by_client: HashMap<AccountId, Vec<ContainerRow>> = HashMap::new();
    for container in of_clients {
        by_client.entry(container.account_id).or_default().push(container);
    }
    rows.into_iter()
        .map(|(link, client)| {
            let own = by_client.remove(&client.id).unwrap_or_default();
            shown(link, client, &own, now, &terms, &program.config)
        })
        .collect()
}

fn shown(
    link: LinkRow,
    client: AccountRow,
    own: &[ContainerRow],
    now: Timestamp,
    terms: &Terms,
    program: &ProgramConfig,
) -> Result<SubAccount> {
    let mut monthly: std::collections::BTreeMap<_, i64> = std::collections::BTreeMap::new();
    let mut paid_container_count = 0;
    for container in own {
        let Some(paid) = slots::paid_terms(container, link.billing) else { continue };
        paid_container_count += 1;
        let rate = terms.present_rate(now, program, container.product);
        *monthly.entry(paid.currency).or_default() += paid.monthly(rate)?.minor;
    }
    Ok(SubAccount {
        id: client.id,
        email: client.email,
        first_name: client.first_name,
        last_name: client.last_name,
        origin: link.origin,
        access: link.access,
        billing: link.billing,
        note: link.note,
        linked_at: link.linked_at,
        container_count: i64::try_from(own.len()).unwrap_or(i64::MAX),
        paid_container_count,
        limit_exceeded: own.iter().any(|container| container.limit_exceeded_at.is_some()),
        with_errors: own.iter().any(|container| container.errors != "[]"),
        monthly_commission: monthly.into_iter().map(|(currency, minor)| Money::new(minor, currency)).collect(),
        pending_request: None,
        created_at: client.created_at,
    })
}
