//! What each container of a manager's sub-accounts brings. The rows add up to the monthly value of the summary. Reads only.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::resource::{ContainerReference, SubAccountReference};
use crate::accounts::AccountRow;
use crate::clock::Timestamp;
use crate::containers::service::Worth;
use crate::containers::{BillingPeriod, ContainerRow};
use crate::db::schema::{accounts, containers};
use crate::db::{Conn, narrow};
use crate::error::Result;
use crate::http::Page;
use crate::id::{AccountId, ContainerId};
use crate::money::{Money, Rate};
use crate::program::{self, ProgramConfig};

/// What a container brings its manager.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerEarnings {
    /// The client that owns it.
    pub sub_account: SubAccountReference,
    /// The container.
    pub container: ContainerReference,
    /// How often it is paid.
    pub billing_period: BillingPeriod,
    /// Price per billing period, without tax.
    pub price: Money,
    /// The manager's present rate for it, in percent.
    pub rate_percent: Rate,
    /// What a payment of the price earns; 0.00 unless it is a paid container.
    pub per_payment: Money,
    /// What it brings in a month; 0.00 unless it is a paid container.
    pub monthly: Money,
    /// When it was last paid for.
    #[schema(required = true)]
    pub last_payment_at: Option<Timestamp>,
}

/// A page of what the containers of the manager's sub-accounts bring, the newest container first; of `clients` alone, where
/// they are given.
///
/// # Errors
/// 400 for a bad cursor; the database's own failure.
pub fn list(
    conn: &mut Conn,
    manager_id: AccountId,
    clients: Option<&Vec<AccountId>>,
    page: &Page,
) -> Result<Vec<ContainerEarnings>> {
    let mut query = containers::table
        .inner_join(accounts::table.on(accounts::id.eq(containers::account_id)))
        .filter(containers::manager_id.eq(manager_id))
        .filter(containers::deleted_at.is_null())
        .order(containers::id.desc())
        .limit(page.fetch())
        .select((ContainerRow::as_select(), AccountRow::as_select()))
        .into_boxed();
    if let Some(after) = page.after_key::<ContainerId>()? {
        query = query.filter(containers::id.lt(after));
    }
    narrow!(query, containers::account_id, clients);
    let rows: Vec<(ContainerRow, AccountRow)> = query.load(conn)?;
    let (containers, owners): (Vec<ContainerRow>, Vec<AccountRow>) = rows.into_iter().unzip();
    let worth = Worth::load(conn, manager_id, &containers)?;
    let program = program::service::current(conn)?;
    let rows = containers.into_iter().zip(owners);
    rows.map(|(container, owner)| earnings(container, owner, &worth, &program.config)).collect()
}

fn earnings(
    container: ContainerRow,
    owner: AccountRow,
    worth: &Worth,
    program: &ProgramConfig,
) -> Result<ContainerEarnings> {
    let (rate_percent, paid) = worth.terms_of(&container, program);
    let nothing = Money::new(0, container.currency);
    Ok(ContainerEarnings {
        billing_period: container.billing_period,
        price: container.price(),
        rate_percent,
        per_payment: paid.map_or(Ok(nothing), |paid| paid.per_payment(rate_percent))?,
        monthly: paid.map_or(Ok(nothing), |paid| paid.monthly(rate_percent))?,
        last_payment_at: container.last_payment_at,
        sub_account: SubAccountReference { id: owner.id, name: owner.display_name(), email: owner.email },
        container: ContainerReference {
            id: container.id,
            name: container.name,
            product: container.product,
            plan: container.plan,
        },
    })
}
