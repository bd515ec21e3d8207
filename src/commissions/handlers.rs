//! The operations on commissions.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::by_container::{self, ContainerEarnings};
use super::calendar::{self, Calendar, Interval, Moment, Zone};
use super::explanation::{self, Explanation};
use super::models::{CommissionStatus, LineId, LineKind};
use super::resource::Commission;
use super::service::{self, CommissionFilter};
use super::summary::{self, CommissionSummary};
use super::time_series::{self, MaturingCommissions, TimeSeries};
use crate::auth::principal::{CommissionsRead, Manager};
use crate::clock::Timestamp;
use crate::containers::Product;
use crate::db::Conn;
use crate::error::Result;
use crate::http::export::{self, ExportQuery};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Filter, Listing, OneOf, Query, invalid_parameter, list_type};
use crate::money::Currency;
use crate::program;
use crate::state::App;

list_type!(CommissionList, Commission, "A page of commissions and adjustments, newest first.");
list_type!(ContainerEarningsList, ContainerEarnings, "A page of what containers bring, the newest container first.");

/// The export, shown in the document.
const CSV_EXAMPLE: &str = "id,kind,status,reason,subAccountId,subAccountEmail,subAccountName,containerId,containerName,product,\
plan,paymentId,paymentExternalId,paymentAmount,paymentOccurredAt,billingPeriod,base,ratePercent,amount,reversed,net,currency,level,\
programVersion,reviewUntil,readyAt,payoutId,adjusts,createdAt\r\n\
com_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,commission,readyToPayout,,acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,shop@example.com,Ada Lovelace,\
ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,\"Shop, server side\",sgtmContainer,pro,pmt_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,pay-1001,24.00,\
2026-01-31T12:00:00.000Z,monthly,20.00,30,6.00,0.00,6.00,USD,1,1,2026-02-14T12:00:00.000Z,2026-02-14T12:00:00.000Z,,,\
2026-01-31T12:00:04.000Z\r\n";

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    // The first that fits is taken: fixed paths stand before the ids.
    config.service(
        scope("/v3/commissions")
            .service(list_commissions)
            .service(get_commission_summary)
            .service(list_commissions_by_container)
            .service(export_commissions)
            .service(get_commission_time_series)
            .service(list_maturing_commissions)
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
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
    sub_account_id: Option<OneOf<String>>,
    /// Only rows of one of these containers, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
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
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
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
/// What the payments of sub-accounts earned, payments that earned nothing, and adjustments. In the order in which the rows arose
/// (`createdAt`), the last one first: a payment that is reported late stands before younger ones.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "listCommissions",
    params(CommissionQuery),
    responses((status = 200, description = "A page of commissions", body = CommissionList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("")]
async fn list_commissions(who: Manager<CommissionsRead>, app: App, query: Filter<CommissionQuery>) -> Result<Listing> {
    let manager_id = who.account_id()?;
    let Filter { filter, page } = query;
    let (filter, after, limit) = (CommissionFilter::from(filter), page.after_key()?, page.fetch());
    app.commission_pages
        .listing(&app.db, manager_id, page.digest(), move |conn| {
            page.listing(service::list(conn, manager_id, &filter, after, limit)?, |commission| commission.id)
        })
        .await
}

/// Export commissions.
///
/// The list with the same filters, as a file that is streamed. In CSV, text that a spreadsheet would take for a formula
/// gets a leading `'`.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "exportCommissions",
    params(CommissionQuery, ExportQuery),
    responses((status = 200, description = "The file", content(
        (String = "text/csv", example = json!(CSV_EXAMPLE)),
        (String = "application/x-ndjson"),
    ))),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/export")]
async fn export_commissions(
    who: Manager<CommissionsRead>,
    app: App,
    filter: Query<CommissionQuery>,
    form: Query<ExportQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let readmit = async move || Manager::<CommissionsRead>::readmit(&request).await;
    let (manager_id, db, filter) = (who.account_id()?, app.db.clone(), CommissionFilter::from(filter.0));
    export::export(&form.0, "commissions", readmit, move |after, limit| {
        let (db, filter) = (db.clone(), filter.clone());
        async move {
            let rows = db.read(move |conn| service::list(conn, manager_id, &filter, after, limit)).await?;
            Ok(rows.into_iter().map(|row| (row.id, row)).collect())
        }
    })
    .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct TimeSeriesQuery {
    /// How long a point is; a day when left out.
    #[param(inline)]
    interval: Option<Interval>,
    /// The time zone of days, weeks and months, by its name in the IANA database; UTC when left out.
    #[param(inline, example = "Europe/Berlin")]
    time_zone: Option<Zone>,
    /// From this time or day on; when left out, the last 30 days, 12 weeks or 12 months until `to`, the present one included.
    #[param(inline, example = "2026-01-01")]
    from: Option<Moment>,
    /// Until this time or the beginning of this day, itself not included; when left out, until now, itself included. At most five years after `from`.
    #[param(inline, example = "2026-02-01")]
    to: Option<Moment>,
    /// The currency; the program currency when left out.
    currency: Option<Currency>,
}

/// Longest time series, in days.
const MAX_SERIES_DAYS: i64 = 5 * 366;

impl TimeSeriesQuery {
    /// What is asked for at `now`.
    ///
    /// # Errors
    /// 400 for a range that ends before it begins, that is too long, or that touches intervals outside of the years 1970 to 9999.
    fn calendar(&self, now: Timestamp) -> Result<Calendar> {
        let (interval, zone) = (self.interval.unwrap_or(Interval::Day), self.time_zone.unwrap_or(Zone::UTC));
        let until = self.to.map_or(now, |to| to.in_zone(zone));
        // The moment that is now is part of it.
        let to = if self.to.is_some() { until } else { now.plus_micros(1) };
        let from = self.from.map_or_else(|| calendar::usual_start(interval, zone, to), |from| from.in_zone(zone));
        if from > to {
            return Err(invalid_parameter("from", "range", "must not be after `to`"));
        }
        if from.plus_days(MAX_SERIES_DAYS) < until {
            return Err(invalid_parameter("from", "range", "must be at most five years before `to`"));
        }
        let spans = calendar::spans(interval, zone, from, to);
        let is_in_range = |time: Timestamp| (1970..=9999).contains(&time.year());
        if !spans.iter().all(|span| is_in_range(span.starts_at) && is_in_range(span.ends_at)) {
            let parameter = if self.from.is_some() { "from" } else { "to" };
            let detail = "must be such that all intervals lie within the years 1970 to 9999";
            return Err(invalid_parameter(parameter, "range", detail));
        }
        Ok(Calendar { interval, zone, spans })
    }
}

/// Earnings over time.
///
/// By day, week (from Monday on) or month in a time zone: commissions by the time of their payment, less what was reversed and
/// with what was adjusted, by their own time. The series has every interval that the range touches, whole.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "getCommissionTimeSeries",
    params(TimeSeriesQuery),
    responses((status = 200, description = "The series", body = TimeSeries)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/time-series")]
async fn get_commission_time_series(
    who: Manager<CommissionsRead>,
    app: App,
    query: Query<TimeSeriesQuery>,
) -> Result<web::Json<TimeSeries>> {
    let (manager_id, currency) = (who.account_id()?, query.0.currency);
    let calendar = query.0.calendar(app.clock.now())?;
    let read = move |conn: &mut _| {
        let currency = match currency {
            Some(currency) => currency,
            None => program::service::current(conn)?.config.currency,
        };
        time_series::earnings(conn, manager_id, currency, &calendar)
    };
    app.db.snapshot(read).await.map(web::Json)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct MaturingQuery {
    /// Only commissions in this currency.
    currency: Option<Currency>,
    /// The time zone of the days, by its name in the IANA database; UTC when left out.
    #[param(inline, example = "Europe/Berlin")]
    time_zone: Option<Zone>,
}

/// Commissions in review by the day on which they get ready.
///
/// What refunds leave of them will be ready to payout then. Soonest first, all days.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "listMaturingCommissions",
    params(MaturingQuery),
    responses((status = 200, description = "The days", body = MaturingCommissions)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/maturing")]
async fn list_maturing_commissions(
    who: Manager<CommissionsRead>,
    app: App,
    query: Query<MaturingQuery>,
) -> Result<web::Json<MaturingCommissions>> {
    let (manager_id, MaturingQuery { currency, time_zone }) = (who.account_id()?, query.0);
    let zone = time_zone.unwrap_or(Zone::UTC);
    app.db.read(move |conn| time_series::maturing(conn, manager_id, currency, zone)).await.map(web::Json)
}

/// Summary of commissions.
///
/// Per currency what is in review, ready, in payouts, paid and owed, and what the paid containers bring in a month; and how
/// many containers of each plan the sub-accounts have.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "getCommissionSummary",
    responses((status = 200, description = "The summary", body = CommissionSummary)),
    extensions(("x-accounts" = json!("manager"))),
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
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
    sub_account_id: Option<OneOf<String>>,
}

/// Commissions by container.
///
/// The containers of all sub-accounts, their plan, and what each brings. The monthly amounts add up to the summary's monthly
/// value. The container that was made last comes first, whenever it was paid.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "listCommissionsByContainer",
    params(EarningsQuery),
    responses((status = 200, description = "A page of containers", body = ContainerEarningsList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/by-container")]
async fn list_commissions_by_container(
    who: Manager<CommissionsRead>,
    app: App,
    query: Filter<EarningsQuery>,
) -> Result<Listing> {
    let manager_id = who.account_id()?;
    let Filter { filter, page } = query;
    let clients = filter.sub_account_id.map(OneOf::ids);
    let list = move |conn: &mut Conn| {
        let rows = by_container::list(conn, manager_id, clients.as_ref(), &page)?;
        page.listing(rows, |row| row.container.id)
    };
    app.db.snapshot(list).await
}

/// A commission.
///
/// Or an adjustment: its id is taken as well.
#[utoipa::path(
    tag = "Commissions",
    operation_id = "getCommission",
    params(("commissionId" = LineId, Path, description = "Id of the commission or adjustment")),
    responses((status = 200, description = "The commission", body = Commission)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/{commissionId}")]
async fn get_commission(
    who: Manager<CommissionsRead>,
    app: App,
    id: web::Path<LineId>,
) -> Result<web::Json<Commission>> {
    let manager_id = who.account_id()?;
    app.db.look_up(move |conn| service::find(conn, manager_id, *id)).await.map(web::Json)
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
    extensions(("x-accounts" = json!("manager"))),
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
