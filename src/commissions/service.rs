//! How a manager finds its commissions. Reads only.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;

use super::models::{CommissionRow, CommissionStatus, LineId, LineKind};
use super::resource::Commission;
use crate::clock::Timestamp;
use crate::containers::Product;
use crate::db::schema::commissions;
use crate::db::{Conn, narrow, with_conn};
use crate::error::{OrNotFound, Result};
use crate::id::{AccountId, AdjustmentId, ContainerId, PayoutId};
use crate::money::Currency;

/// What a list of commissions is narrowed to: rows with one of the values, where there are any.
#[derive(Debug, Default, Clone)]
pub struct CommissionFilter {
    /// Where they stand.
    pub statuses: Option<Vec<CommissionStatus>>,
    /// What they are.
    pub kinds: Option<Vec<LineKind>>,
    /// Clients that paid.
    pub clients: Option<Vec<AccountId>>,
    /// Containers that were paid for.
    pub containers: Option<Vec<ContainerId>>,
    /// Products that were paid for.
    pub products: Option<Vec<Product>>,
    /// Plans that were paid.
    pub plans: Option<Vec<String>>,
    /// Currencies.
    pub currencies: Option<Vec<Currency>>,
    /// Payouts that took them.
    pub payouts: Option<Vec<PayoutId>>,
    /// Arose at this time or later.
    pub created_after: Option<Timestamp>,
    /// Arose before this time.
    pub created_before: Option<Timestamp>,
    /// Paid at this time or later.
    pub occurred_after: Option<Timestamp>,
    /// Paid before this time.
    pub occurred_before: Option<Timestamp>,
}

/// Up to `limit` of the manager's commissions and adjustments before `after`, newest first.
///
/// # Errors
/// The database's own failure.
pub fn list(
    conn: &mut Conn,
    manager_id: AccountId,
    filter: &CommissionFilter,
    after: Option<LineId>,
    limit: i64,
) -> Result<Vec<Commission>> {
    with_conn!(conn, c => {
        let mut query = commissions::table
            .filter(commissions::account_id.eq(manager_id))
            .order(commissions::id.desc())
            .limit(limit)
            .select(CommissionRow::as_select())
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(commissions::id.lt(after));
        }
        narrow!(query, commissions::status, &filter.statuses);
        narrow!(query, commissions::kind, &filter.kinds);
        narrow!(query, commissions::client_id, &filter.clients);
        narrow!(query, commissions::container_id, &filter.containers);
        narrow!(query, commissions::product, &filter.products);
        narrow!(query, commissions::plan, &filter.plans);
        narrow!(query, commissions::currency, &filter.currencies);
        narrow!(query, commissions::payout_id, &filter.payouts);
        if let Some(time) = filter.created_after {
            let earliest = LineId::Adjustment(AdjustmentId::earliest(time));
            query = query.filter(commissions::created_at.ge(time)).filter(commissions::id.ge(earliest));
        }
        if let Some(time) = filter.created_before {
            query = query.filter(commissions::created_at.lt(time));
        }
        if let Some(time) = filter.occurred_after {
            query = query.filter(commissions::payment_occurred_at.ge(time));
        }
        if let Some(time) = filter.occurred_before {
            query = query.filter(commissions::payment_occurred_at.lt(time));
        }
        let rows = query.load_iter::<CommissionRow, DefaultLoadingMode>(c)?;
        rows.map(|row| Ok(Commission::from(row?))).collect()
    })
}

/// One of the manager's commissions or adjustments.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find(conn: &mut Conn, manager_id: AccountId, id: LineId) -> Result<Commission> {
    find_row(conn, manager_id, id).map(Commission::from)
}

/// [`find`] as stored.
///
/// # Errors
/// 404 for a missing one and for somebody else's.
pub fn find_row(conn: &mut Conn, manager_id: AccountId, id: LineId) -> Result<CommissionRow> {
    with_conn!(conn, c => commissions::table
        .find((manager_id, id))
        .select(CommissionRow::as_select())
        .get_result(c))
    .or_not_found()
}
