//! Sub-accounts as their manager sees them: one, a page, a whole list as a file. A page costs the same however many there
//! are: one walk along the index of present links, one query for the containers of the rows that are shown.

use std::collections::{BTreeMap, HashMap};

use diesel::dsl::exists;
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::IntoParams;

use super::links;
use super::models::{Access, LinkRow, Origin, SubAccount};
use crate::accounts::AccountRow;
use crate::containers::{ContainerRow, slots};
use crate::db::schema::{accounts, client_alerts, containers, sub_account_links};
use crate::db::{Conn, containing, narrow};
use crate::error::{Error, OrNotFound, Result};
use crate::http::export::{Cell, ExportRow};
use crate::http::{OneOf, SearchWords};
use crate::id::{AccountId, SubAccountLinkId};
use crate::money::Money;
use crate::operator_requests;
use crate::partners::Terms;
use crate::program::{self, ProgramConfig};

/// Which sub-accounts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct SubAccountFilter {
    /// Part of the e-mail address, the name or the company of the client, or of a container's name; upper and lower case
    /// are the same. Empty, it narrows nothing.
    #[param(value_type = Option<String>, max_length = 254, example = "shop")]
    pub q: Option<SearchWords>,
    /// Only clients with a container that reached its plan's limit, or only those without.
    pub limit_exceeded: Option<bool>,
    /// Only clients with a container that has errors, or only those without.
    pub with_errors: Option<bool>,
    /// Only clients that gave one of these kinds of access, separated by commas.
    #[param(value_type = Option<Vec<Access>>, style = Form, explode = false)]
    pub access: Option<OneOf<Access>>,
    /// Only clients that came in one of these ways, separated by commas.
    #[param(value_type = Option<Vec<Origin>>, style = Form, explode = false)]
    pub origin: Option<OneOf<Origin>>,
    /// Only clients with a container on one of these plans, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false, example = json!(["pro"]))]
    pub plan: Option<OneOf<String>>,
}

/// One of the manager's sub-accounts.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find(conn: &mut Conn, manager_id: AccountId, client_id: AccountId) -> Result<SubAccount> {
    let link = links::managed_by(conn, manager_id, client_id)?;
    let client = accounts::table.find(client_id).select(AccountRow::as_select()).get_result(conn).or_not_found()?;
    view(conn, link, client)
}

/// Up to `limit` of the manager's sub-accounts, the newest link first, each with its link's id for the cursor.
///
/// # Errors
/// The database's own failure.
pub fn list(
    conn: &mut Conn,
    manager_id: AccountId,
    filter: &SubAccountFilter,
    after: Option<SubAccountLinkId>,
    limit: i64,
) -> Result<Vec<(SubAccountLinkId, SubAccount)>> {
    let mut query = sub_account_links::table
        .inner_join(accounts::table.on(accounts::id.eq(sub_account_links::client_id)))
        .filter(sub_account_links::account_id.eq(manager_id))
        .filter(sub_account_links::detached_at.is_null())
        .order(sub_account_links::id.desc())
        .limit(limit)
        .select((LinkRow::as_select(), AccountRow::as_select()))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(sub_account_links::id.lt(after));
    }
    narrow!(query, sub_account_links::access, filter.access.as_ref().map(|list| &list.0));
    narrow!(query, sub_account_links::origin, filter.origin.as_ref().map(|list| &list.0));
    let of_manager = || containers::table.filter(containers::manager_id.eq(manager_id)).select(containers::account_id);
    let alerts =
        || client_alerts::table.filter(client_alerts::account_id.eq(manager_id)).select(client_alerts::client_id);
    let over_limit = || alerts().filter(client_alerts::limit_exceeded.eq(true));
    let in_error = || alerts().filter(client_alerts::with_errors.eq(true));
    query = match filter.limit_exceeded {
        Some(true) => query.filter(sub_account_links::client_id.eq_any(over_limit())),
        Some(false) => query.filter(sub_account_links::client_id.ne_all(over_limit())),
        None => query,
    };
    query = match filter.with_errors {
        Some(true) => query.filter(sub_account_links::client_id.eq_any(in_error())),
        Some(false) => query.filter(sub_account_links::client_id.ne_all(in_error())),
        None => query,
    };
    if let Some(OneOf(plans)) = &filter.plan {
        let on_plan = containers::table
            .filter(containers::account_id.eq(sub_account_links::client_id))
            .filter(containers::deleted_at.is_null())
            .filter(containers::plan.eq_any(plans.clone()));
        query = query.filter(exists(on_plan));
    }
    if let Some(words) = filter.q.as_ref().and_then(SearchWords::some) {
        let pattern = containing(words);
        let named = of_manager().filter(containers::search_text.like(pattern.clone()).escape('\\'));
        let by_client = accounts::search_text.like(pattern).escape('\\');
        query = query.filter(by_client.or(sub_account_links::client_id.eq_any(named)));
    }
    let rows: Vec<(LinkRow, AccountRow)> = query.load(conn)?;
    let ids: Vec<SubAccountLinkId> = rows.iter().map(|(link, _)| link.id).collect();
    Ok(ids.into_iter().zip(views(conn, manager_id, rows)?).collect())
}

impl ExportRow for SubAccount {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "email",
        "firstName",
        "lastName",
        "origin",
        "access",
        "billing",
        "note",
        "linkedAt",
        "containerCount",
        "paidContainerCount",
        "limitExceeded",
        "withErrors",
        "monthlyCommission",
        "pendingRequest",
        "createdAt",
    ];

    fn cells(&self) -> Vec<Cell> {
        let monthly = self.monthly_commission.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        vec![
            Cell::plain(self.id),
            Cell::text(Some(&self.email)),
            Cell::text(Some(&self.first_name)),
            Cell::text(Some(&self.last_name)),
            Cell::plain(self.origin),
            Cell::plain(self.access),
            Cell::plain(self.billing),
            Cell::text(self.note.as_deref()),
            Cell::plain(self.linked_at),
            Cell::plain(self.container_count),
            Cell::plain(self.paid_container_count),
            Cell::plain(self.limit_exceeded),
            Cell::plain(self.with_errors),
            Cell::plain(monthly),
            Cell::plain(self.pending_request.as_ref().map(|request| request.id.to_string()).unwrap_or_default()),
            Cell::plain(self.created_at),
        ]
    }
}

/// The row with its containers' figures.
///
/// # Errors
/// The database's own failure.
pub fn view(conn: &mut Conn, link: LinkRow, client: AccountRow) -> Result<SubAccount> {
    let manager_id = link.account_id;
    views(conn, manager_id, vec![(link, client)])?.pop().ok_or_else(Error::not_found)
}

/// The rows with their containers' figures: one query for all containers of the page.
fn views(conn: &mut Conn, manager_id: AccountId, rows: Vec<(LinkRow, AccountRow)>) -> Result<Vec<SubAccount>> {
    let clients: Vec<AccountId> = rows.iter().map(|(_, client)| client.id).collect();
    let program = program::service::current(conn)?;
    let terms = Terms::of(conn, manager_id)?;
    let of_clients: Vec<ContainerRow> = containers::table
        .filter(containers::account_id.eq_any(&clients))
        .filter(containers::deleted_at.is_null())
        .select(ContainerRow::as_select())
        .load(conn)?;
    let mut by_client: HashMap<AccountId, Vec<ContainerRow>> = HashMap::new();
    for container in of_clients {
        by_client.entry(container.account_id).or_default().push(container);
    }
    let mut pending = operator_requests::service::pending_of_clients(conn, &clients)?;
    rows.into_iter()
        .map(|(link, client)| {
            let own = by_client.remove(&client.id).unwrap_or_default();
            let pending_request = pending.remove(&client.id);
            let sub_account = shown(link, client, &own, &terms, &program.config)?;
            Ok(SubAccount { pending_request, ..sub_account })
        })
        .collect()
}

fn shown(
    link: LinkRow,
    client: AccountRow,
    own: &[ContainerRow],
    terms: &Terms,
    program: &ProgramConfig,
) -> Result<SubAccount> {
    let mut monthly: BTreeMap<_, i64> = BTreeMap::new();
    let mut paid_container_count = 0;
    for container in own {
        let Some(paid) = slots::paid_terms(container, link.billing) else { continue };
        paid_container_count += 1;
        let rate = terms.present_rate(program, container.product);
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
