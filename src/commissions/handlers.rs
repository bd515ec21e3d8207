//! The operations on commissions.

use actix_web::{get, web};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::by_container::{self, ContainerEarnings};
use super::explanation::{self, Explanation};
use super::models::{CommissionStatus, LineId, LineKind};
use super::resource::Commission;
use super::service::{self, CommissionFilter};
use super::summary::{self, CommissionSummary};
use crate::app::App;
use crate::auth::principal::{CommissionsRead, Manager};
use crate::clock::Timestamp;
use crate::containers::Product;
use crate::error::Result;
use crate::http::{Filter, Listing, OneOf, list_type};
use crate::money::Currency;

list_type!(CommissionList, Commission, "A page of commissions and adjustments, newest first.");
list_type!(ContainerEarningsList, ContainerEarnings, "A page of what containers bring, the newest container first.");

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    // The first that fits is taken: fixed paths stand before the ids.
    config.service(
        utoipa_actix_web::scope("/v3/commissions")
            .service(list_commissions)
            .service(get_commission_summary)
            .service(list_commissions_by_container)
            .service(get_commission)
            .service(explain_commission),
    );
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct CommissionQuery {
    /// Only rows with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<CommissionStatus>>, style = Form, explode = false)]
    status: Option<OneOf<CommissionStatus>>,
    /// Only rows of one of these sub-accounts, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    sub_account_id: Option<OneOf<String>>,
    /// Only rows of one of these containers, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    container_id: Option<OneOf<String>>,
    /// Only rows with one of these plans, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false, example = json!(["pro"]))]
    plan: Option<OneOf<String>>,
    /// Only rows of one of these products, separated by commas.
    #[param(value_type = Option<Vec<Product>>, style = Form, explode = false)]
    product: Option<OneOf<Product>>,
    /// Only rows in one of these currencies, separated by commas.
    #[param(value_type = Option<Vec<Currency>>, style = Form, explode = false, example = json!(["USD"]))]
    currency: Option<OneOf<Currency>>,
    /// Only commissions, or only adjustments.
    #[param(value_type = Option<Vec<LineKind>>, style = Form, explode = false)]
    kind: Option<OneOf<LineKind>>,
    /// Only rows that one of these payouts took, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    payout_id: Option<OneOf<String>>,
    /// Only rows that arose at this time or later.
    created_after: Option<Timestamp>,
    /// Only rows that arose before this time.
    created_before: Option<Timestamp>,
    /// Only rows whose payment was made at this time or later.
    occurred_after: Option<Timestamp>,
    /// Only rows whose payment was made before this time.
    occurred_before: Option<Timestamp>,
}

impl From<CommissionQuery> for CommissionFilter {
    fn from(query: CommissionQuery) -> Self {
        Self {
            statuses: query.status.map(|list| list.0),
            kinds: query.kind.map(|list| list.0),
            clients: query.sub_account_id.map(OneOf::ids),
            containers: query.container_id.map(OneOf::ids),
            products: query.product.map(|list| list.0),
            plans: query.plan.map(|list| list.0),
            currencies: query.currency.map(|list| list.0),
            payouts: query.payout_id.map(OneOf::ids),
            created_after: query.created_after,
            created_before: query.created_before,
            occurred_after: query.occurred_after,
            occurred_before: query.occurred_before,
        }
    }
}

/// Commissions.
///
/// What the payments of sub-accounts earned, payments that earned nothing, and adjustments.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "listCommissions",
    params(CommissionQuery),
    responses((status = 200, description = "A page of commissions", body = CommissionList)),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("")]
async fn list_commissions(
    who: Manager<CommissionsRead>,
    app: App,
    query: Filter<CommissionQuery>,
) -> Result<Listing<Commission>> {
    let manager_id = who.account_id()?;
    let Filter { filter, page } = query;
    let (filter, wanted) = (CommissionFilter::from(filter), page.clone());
    let rows = app.db.read(move |conn| service::list(conn, manager_id, &filter, &wanted)).await?;
    Ok(page.listing(rows, |commission| commission.id))
}

/// Summary of commissions.
///
/// Per currency what is in review, ready, in payouts, paid and owed, and what the paid containers bring in a month; and how
/// many containers of each plan the sub-accounts have.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "getCommissionSummary",
    responses((status = 200, description = "The summary", body = CommissionSummary)),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/summary")]
async fn get_commission_summary(who: Manager<CommissionsRead>, app: App) -> Result<web::Json<CommissionSummary>> {
    let manager_id = who.account_id()?;
    app.db.snapshot(move |conn| summary::summary(conn, manager_id)).await.map(web::Json)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct EarningsQuery {
    /// Only containers of one of these sub-accounts, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false)]
    sub_account_id: Option<OneOf<String>>,
}

/// Commissions by container.
///
/// The containers of all sub-accounts, their plan, and what each brings. The monthly amounts add up to the summary's monthly
/// value.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "listCommissionsByContainer",
    params(EarningsQuery),
    responses((status = 200, description = "A page of containers", body = ContainerEarningsList)),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/by-container")]
async fn list_commissions_by_container(
    who: Manager<CommissionsRead>,
    app: App,
    query: Filter<EarningsQuery>,
) -> Result<Listing<ContainerEarnings>> {
    let (manager_id, now) = (who.account_id()?, app.clock.now());
    let Filter { filter, page } = query;
    let (clients, wanted) = (filter.sub_account_id.map(OneOf::ids), page.clone());
    let rows =
        app.db.snapshot(move |conn| by_container::list(conn, now, manager_id, clients.as_ref(), &wanted)).await?;
    Ok(page.listing(rows, |row| row.container.id))
}

/// A commission.
///
/// Or an adjustment: its id is taken as well.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "getCommission",
    params(("commissionId" = LineId, Path, description = "Id of the commission or adjustment")),
    responses((status = 200, description = "The commission", body = Commission)),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/{commissionId}")]
async fn get_commission(
    who: Manager<CommissionsRead>,
    app: App,
    id: web::Path<LineId>,
) -> Result<web::Json<Commission>> {
    let manager_id = who.account_id()?;
    app.db.read(move |conn| service::find(conn, manager_id, *id)).await.map(web::Json)
}

/// Explain a commission.
///
/// Which rule gave which rate in which program version, base, unrounded value, rounding, review, and every posting since;
/// for a payment that earned nothing, why.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "explainCommission",
    params(("commissionId" = LineId, Path, description = "Id of the commission or adjustment")),
    responses((status = 200, description = "The explanation", body = Explanation)),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/{commissionId}/explanation")]
async fn explain_commission(
    who: Manager<CommissionsRead>,
    app: App,
    id: web::Path<LineId>,
) -> Result<web::Json<Explanation>> {
    let manager_id = who.account_id()?;
    app.db.snapshot(move |conn| explanation::explain(conn, manager_id, *id)).await.map(web::Json)
}
