//! The partner's operations on payouts.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationErrors};

use super::lines::PayoutLine;
use super::models::{Payout, PayoutStatus, RequestedBy};
use super::request;
use super::service::{self, PayoutFilter, PayoutPreview};
use super::steps::{self, Step};
use crate::auth::principal::{Manager, Partner, PayoutsRead, PayoutsWrite};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::export::{self, ExportQuery};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{
    Command, Filter, Listing, NoFields, OneOf, Page, Query, Reply, Required, invalid_parameter, list_type,
};
use crate::id::PayoutId;
use crate::money::Currency;
use crate::state::App;

list_type!(PayoutList, Payout, "A page of payouts, newest first.");
list_type!(PayoutLineList, PayoutLine, "A page of a payout's lines, newest first.");

/// The export, shown in the document.
const CSV_EXAMPLE: &str = "\
id,number,status,amount,currency,lineCount,methodType,methodLabel,requestedBy,requestedAt,approvedAt,startedAt,paidAt,\
closedAt,reference,reason,batchId,createdAt\r\n\
pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,2026-0001,requested,250.00,USD,12,paypal,p…@agency.example,partner,\
2026-01-31T12:00:00.000Z,,,,,,,,2026-01-31T12:00:00.000Z\r\n";

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    // The first that fits is taken: fixed paths stand before the ids.
    config.service(
        scope("/v3/payouts")
            .service(list_payouts)
            .service(request_payout)
            .service(preview_payout)
            .service(export_payouts)
            .service(get_payout)
            .service(list_payout_lines)
            .service(cancel_payout),
    );
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct PayoutQuery {
    /// Only payouts with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<PayoutStatus>>, style = Form, explode = false)]
    status: Option<OneOf<PayoutStatus>>,
    /// Only payouts in one of these currencies, separated by commas.
    #[param(value_type = Option<Vec<Currency>>, style = Form, explode = false, example = json!(["USD"]))]
    currency: Option<OneOf<Currency>>,
    /// Only payouts made at this time or later.
    created_after: Option<Timestamp>,
    /// Only payouts made before this time.
    created_before: Option<Timestamp>,
}

impl From<PayoutQuery> for PayoutFilter {
    fn from(query: PayoutQuery) -> Self {
        Self {
            statuses: query.status.map(|list| list.0),
            currencies: query.currency.map(|list| list.0),
            created_after: query.created_after,
            created_before: query.created_before,
            ..Self::default()
        }
    }
}

/// Payouts.
///
/// What left for the partner, is on its way, or came to nothing.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "listPayouts",
    params(PayoutQuery),
    responses((status = 200, description = "A page of payouts", body = PayoutList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("")]
async fn list_payouts(who: Manager<PayoutsRead>, app: App, query: Filter<PayoutQuery>) -> Result<Listing> {
    let Filter { filter, page } = query;
    let (account_id, filter) = (who.account_id()?, PayoutFilter::from(filter));
    let (after, limit) = (page.after_key()?, page.fetch());
    app.db
        .read(move |conn| {
            page.rows(service::list(conn, Some(account_id), &filter, after, limit)?, |row| row.id)
                .map(Payout::from)
                .listing()
        })
        .await
}

/// Export payouts.
///
/// The list with the same filters, as a file that is streamed. In CSV, text that a spreadsheet would take for a formula
/// gets a leading `'`.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "exportPayouts",
    params(PayoutQuery, ExportQuery),
    responses((status = 200, description = "The file", content(
        (String = "text/csv", example = json!(CSV_EXAMPLE)),
        (String = "application/x-ndjson"),
    ))),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/export")]
async fn export_payouts(
    who: Manager<PayoutsRead>,
    app: App,
    filter: Query<PayoutQuery>,
    form: Query<ExportQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let readmit = async move || Manager::<PayoutsRead>::readmit(&request).await;
    let (account_id, db, filter) = (who.account_id()?, app.db.clone(), PayoutFilter::from(filter.0));
    export::export(&form.0, "payouts", readmit, move |after, limit| {
        let (db, filter) = (db.clone(), filter.clone());
        async move {
            let rows = db.read(move |conn| service::list(conn, Some(account_id), &filter, after, limit)).await?;
            Ok(rows.into_iter().map(|row| (row.id, Payout::from(row))).collect())
        }
    })
    .await
}

/// What is to be paid out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestPayout {
    /// The currency whose whole ready balance is to be paid out.
    currency: Currency,
}

impl Validate for RequestPayout {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

/// Request a payout.
///
/// Takes everything that is ready in the currency: commissions at what is left of them, and adjustments. It must be more than
/// the program's minimum (else 409 `belowMinimum`, with both figures), and there must be a payout method for the currency (else
/// 409 `payoutMethodMissing`). `GET /v3/payouts/preview` says both before. The payout is then `requested`, until the operator
/// approves, pays or rejects it: watch `GET /v3/payouts/{payoutId}` or the feed of events.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "requestPayout",
    request_body = RequestPayout,
    responses((status = 201, description = "The requested payout", body = Payout)),
    extensions(("x-accounts" = json!("partner")), ("x-idempotency" = json!("required")),
        ("x-refusals" = json!(["belowMinimum", "payoutMethodMissing", "currencyNotSupported"])),
        ("x-conflicts" = json!(["accountBlocked"]))),
    security(("apiKey" = ["payouts:write"]))
)]
#[post("")]
async fn request_payout(
    who: Partner<PayoutsWrite>,
    app: App,
    command: Command<RequestPayout, Required>,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, input| {
        let row = request::request(conn, context, account_id, input.currency, RequestedBy::Partner)?;
        Reply::created(format!("/v3/payouts/{}", row.id), &Payout::from(row))
    })
    .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct PreviewQuery {
    /// The currency.
    currency: Currency,
}

/// Preview a payout.
///
/// What a request would take now, or why it would be refused.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "previewPayout",
    params(PreviewQuery),
    responses((status = 200, description = "What a request would take", body = PayoutPreview)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/preview")]
async fn preview_payout(
    who: Manager<PayoutsRead>,
    app: App,
    query: Query<PreviewQuery>,
) -> Result<web::Json<PayoutPreview>> {
    let (account_id, now, currency) = (who.account_id()?, app.clock.now(), query.0.currency);
    let preview = app.db.snapshot(move |conn| service::preview(conn, now, account_id, currency)).await?;
    preview.map(web::Json).ok_or_else(|| unlisted(currency))
}

/// 400: a parameter names a currency that the program does not list.
fn unlisted(currency: Currency) -> Error {
    invalid_parameter("currency", "currencyNotSupported", &format!("is {currency}, which the program does not list"))
}

/// A payout.
///
/// With where it stands and when it took each step.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "getPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    responses((status = 200, description = "The payout", body = Payout)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/{payoutId}")]
async fn get_payout(who: Manager<PayoutsRead>, app: App, id: web::Path<PayoutId>) -> Result<web::Json<Payout>> {
    let account_id = who.account_id()?;
    let row = app.db.read(move |conn| service::find(conn, account_id, *id)).await?;
    Ok(web::Json(row.into()))
}

/// Lines of a payout.
///
/// What it takes of each commission and adjustment; together they are its amount. A payout that came to nothing keeps its
/// lines, while the commissions are ready again. The line whose commission or adjustment arose last comes first.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "listPayoutLines",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    responses((status = 200, description = "A page of lines", body = PayoutLineList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/{payoutId}/lines")]
async fn list_payout_lines(
    who: Manager<PayoutsRead>,
    app: App,
    id: web::Path<PayoutId>,
    page: Page,
) -> Result<Listing> {
    let account_id = who.account_id()?;
    app.db.snapshot(move |conn| page.listing(service::lines(conn, account_id, *id, &page)?, |line| line.id)).await
}

/// Cancel a payout.
///
/// While it is requested. Its commissions and adjustments are ready again.
#[utoipa::path(
    tag = "Payouts",
    operation_id = "cancelPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = NoFields,
    responses((status = 200, description = "The canceled payout", body = Payout)),
    extensions(("x-accounts" = json!("partner")), ("x-idempotency" = json!("required")),
        ("x-refusals" = json!(["invalidTransition"]))),
    security(("apiKey" = ["payouts:write"]))
)]
#[post("/{payoutId}/cancel")]
async fn cancel_payout(
    who: Partner<PayoutsWrite>,
    app: App,
    id: web::Path<PayoutId>,
    command: Command<NoFields, Required>,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, _| {
        Reply::ok(&Payout::from(steps::take(conn, context, Some(account_id), *id, Step::Cancel)?))
    })
    .await
}
