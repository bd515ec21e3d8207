//! The operations on the ledger.

use actix_web::{get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::balances::{self, LedgerBalances};
use super::entries::{self, EntryFilter, LedgerEntry};
use super::journal::{EntryKind, LedgerAccount};
use crate::auth::principal::{Manager, PayoutsRead};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Filter, Listing, OneOf, Query, list_type};
use crate::money::Currency;
use crate::state::App;

list_type!(LedgerEntryList, LedgerEntry, "A page of ledger entries, newest first.");

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/ledger").service(list_ledger_entries).service(get_ledger_balances));
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct EntryQuery {
    /// Only entries of one of these ledger accounts, separated by commas.
    #[param(value_type = Option<Vec<LedgerAccount>>, style = Form, explode = false)]
    account: Option<OneOf<LedgerAccount>>,
    /// Only entries of one of these kinds, separated by commas.
    #[param(value_type = Option<Vec<EntryKind>>, style = Form, explode = false)]
    kind: Option<OneOf<EntryKind>>,
    /// Only entries in one of these currencies, separated by commas.
    #[param(value_type = Option<Vec<Currency>>, style = Form, explode = false, example = json!(["USD"]))]
    currency: Option<OneOf<Currency>>,
    /// Only entries about one of these commissions or adjustments, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
    commission_id: Option<OneOf<String>>,
    /// Only entries posted at this time or later.
    created_after: Option<Timestamp>,
    /// Only entries posted before this time.
    created_before: Option<Timestamp>,
}

impl From<EntryQuery> for EntryFilter {
    fn from(query: EntryQuery) -> Self {
        Self {
            ledger_accounts: query.account.map(|list| list.0),
            kinds: query.kind.map(|list| list.0),
            currencies: query.currency.map(|list| list.0),
            lines: query.commission_id.map(OneOf::ids),
            created_after: query.created_after,
            created_before: query.created_before,
        }
    }
}

/// Ledger entries.
///
/// Double entry, append-only: the entries of each posting sum to zero.
#[utoipa::path(
    tag = "Ledger",
    operation_id = "listLedgerEntries",
    params(EntryQuery),
    responses((status = 200, description = "A page of entries", body = LedgerEntryList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/entries")]
async fn list_ledger_entries(who: Manager<PayoutsRead>, app: App, query: Filter<EntryQuery>) -> Result<Listing> {
    let account_id = who.account_id()?;
    let Filter { filter, page } = query;
    let filter = EntryFilter::from(filter);
    app.db.read(move |conn| page.listing(entries::list(conn, account_id, &filter, &page)?, |entry| entry.id)).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct BalancesQuery {
    /// Balances at this time; now when left out or in the future.
    as_of: Option<Timestamp>,
}

/// Ledger balances.
///
/// Signed, per currency; now, or as they were at a time.
#[utoipa::path(
    tag = "Ledger",
    operation_id = "getLedgerBalances",
    params(BalancesQuery),
    responses((status = 200, description = "The balances", body = LedgerBalances)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/balances")]
async fn get_ledger_balances(
    who: Manager<PayoutsRead>,
    app: App,
    query: Query<BalancesQuery>,
) -> Result<web::Json<LedgerBalances>> {
    let (account_id, now, as_of) = (who.account_id()?, app.clock.now(), query.0.as_of);
    app.db.snapshot(move |conn| balances::at(conn, now, account_id, as_of)).await.map(web::Json)
}
