//! How containers count for a manager: their slots in its portfolio, and what happens to them when their owner gets or
//! loses a manager.

use diesel::prelude::*;

use super::models::ContainerRow;
use crate::accounts::AccountRow;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::containers;
use crate::error::Result;
use crate::id::AccountId;
use crate::partners::portfolio::{PaidTerms, Portfolio, Slot};
use crate::program::ProgramConfig;
use crate::sub_accounts::{Billing, LinkRow};

/// A container's place in the counters of its owner's manager, where the client pays as `billing` says.
///
/// A paid container has a live subscription with a price above zero that the client pays itself (domain section 2).
#[must_use]
pub fn slot(container: &ContainerRow, billing: Billing) -> Slot {
    Slot { product: container.product, plan: container.plan.clone(), paid: paid_terms(container, billing) }
}

/// What makes it a paid container, if it is one.
#[must_use]
pub fn paid_terms(container: &ContainerRow, billing: Billing) -> Option<PaidTerms> {
    let paid = billing == Billing::Individual
        && container.deleted_at.is_none()
        && container.subscription_status.is_live()
        && container.price_minor > 0;
    let ContainerRow { currency, billing_period, price_minor, .. } = *container;
    paid.then_some(PaidTerms { currency, billing_period, price_minor })
}

/// Takes all containers of `client_id` into the portfolio of its new manager. The caller holds both account locks.
///
/// # Errors
/// The database's own failure.
pub fn join(
    conn: &mut Conn,
    client_id: AccountId,
    billing: Billing,
    manager_id: AccountId,
    portfolio: &mut Portfolio,
    program: &ProgramConfig,
) -> Result<()> {
    for container in set_manager(conn, client_id, Some(manager_id))? {
        portfolio.add(&slot(&container, billing), program)?;
    }
    Ok(())
}

/// Takes all containers of `client_id` out of the portfolio of the manager that it leaves.
///
/// # Errors
/// The database's own failure.
pub fn leave(
    conn: &mut Conn,
    client_id: AccountId,
    billing: Billing,
    portfolio: &mut Portfolio,
    program: &ProgramConfig,
) -> Result<()> {
    for container in set_manager(conn, client_id, None)? {
        portfolio.remove(&slot(&container, billing), program)?;
    }
    Ok(())
}

/// Counts a container for the manager of its owner ([`Portfolio::add`]), or no longer ([`Portfolio::remove`]). The caller
/// holds the locks of both accounts, whose rows it gives with their link.
///
/// # Errors
/// The database's own failure.
pub fn count(
    conn: &mut Conn,
    context: &Context,
    (locked, link): (&[AccountRow], &LinkRow),
    container: &ContainerRow,
    program: &ProgramConfig,
    change: fn(&mut Portfolio, &Slot, &ProgramConfig) -> Result<()>,
) -> Result<()> {
    let managers: Vec<AccountRow> = locked.iter().filter(|account| account.id == link.account_id).cloned().collect();
    for mut portfolio in Portfolio::load(conn, &managers)?.into_values() {
        change(&mut portfolio, &slot(container, link.billing), program)?;
        portfolio.write(conn, context, program)?;
    }
    Ok(())
}

fn set_manager(conn: &mut Conn, client_id: AccountId, manager_id: Option<AccountId>) -> Result<Vec<ContainerRow>> {
    let present =
        containers::table.filter(containers::account_id.eq(client_id)).filter(containers::deleted_at.is_null());
    diesel::update(present).set(containers::manager_id.eq(manager_id)).execute(conn)?;
    Ok(present.select(ContainerRow::as_select()).load(conn)?)
}
