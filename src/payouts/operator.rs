//! The operator's operations on payouts, batches and adjustments.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

use super::adjustments::{self, CreateAdjustment};
use super::batches::{self, CreatePayoutBatch, PayoutBatch};
use super::models::{Payout, PayoutStatus, RequestedBy};
use super::request;
use super::service::{self, PayoutFilter};
use super::steps::{self, Step};
use crate::auth::principal::{Operator, OperatorPayouts};
use crate::clock::Timestamp;
use crate::commissions::Commission;
use crate::error::{Code, Error, Result};
use crate::http::{Command, Filter, Listing, NoFields, OneOf, Reply, Required, list_type, trimmed};
use crate::id::{AccountId, PayoutBatchId, PayoutId};
use crate::money::Currency;
use crate::state::App;

list_type!(OperatorPayoutList, Payout, "A page of payouts of all partners, newest first.");

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            utoipa_actix_web::scope("/v3/operator/payouts")
                .service(list_all_payouts)
                .service(request_payout_for_partner)
                .service(get_payout_as_operator)
                .service(approve_payout)
                .service(reject_payout)
                .service(start_payout)
                .service(confirm_payout)
                .service(fail_payout),
        )
        .service(
            utoipa_actix_web::scope("/v3/operator/payout-batches")
                .service(create_payout_batch)
                .service(get_payout_batch)
                .service(get_payout_batch_file),
        )
        .service(utoipa_actix_web::scope("/v3/operator/adjustments").service(create_adjustment));
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct OperatorPayoutQuery {
    /// Only payouts of one of these partners, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
    account_id: Option<OneOf<String>>,
    /// Only payouts with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<PayoutStatus>>, style = Form, explode = false)]
    status: Option<OneOf<PayoutStatus>>,
    /// Only payouts in one of these currencies, separated by commas.
    #[param(value_type = Option<Vec<Currency>>, style = Form, explode = false, example = json!(["USD"]))]
    currency: Option<OneOf<Currency>>,
    /// Only payouts that were sent in one of these batches, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false,
        example = json!(["bat_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"]))]
    batch_id: Option<OneOf<String>>,
    /// Only payouts made at this time or later.
    created_after: Option<Timestamp>,
    /// Only payouts made before this time.
    created_before: Option<Timestamp>,
}

/// Payouts of all partners.
///
/// Those that wait for approval are `status=requested`.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "listAllPayouts",
    params(OperatorPayoutQuery),
    responses((status = 200, description = "A page of payouts", body = OperatorPayoutList)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[get("")]
async fn list_all_payouts(
    _who: Operator<OperatorPayouts>,
    app: App,
    query: Filter<OperatorPayoutQuery>,
) -> Result<Listing<Payout>> {
    let Filter { filter, page } = query;
    let filter = PayoutFilter {
        accounts: filter.account_id.map(OneOf::ids),
        statuses: filter.status.map(|list| list.0),
        currencies: filter.currency.map(|list| list.0),
        batches: filter.batch_id.map(OneOf::ids),
        created_after: filter.created_after,
        created_before: filter.created_before,
    };
    let (after, limit) = (page.after_key()?, page.fetch());
    let rows = app.db.read(move |conn| service::list(conn, None, &filter, after, limit)).await?;
    Ok(page.listing(rows, |row| row.id).map(Payout::from))
}

/// For whom a payout is to be requested.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestPayoutForPartner {
    /// The partner.
    account_id: AccountId,
    /// The currency whose whole ready balance is to be paid out.
    currency: Currency,
}

/// Request a payout for a partner.
///
/// By the rules of the partner's own request.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "requestPayoutForPartner",
    request_body = RequestPayoutForPartner,
    responses((status = 201, description = "The requested payout", body = Payout)),
    extensions(("x-idempotency" = json!("required"))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("")]
async fn request_payout_for_partner(
    who: Operator<OperatorPayouts>,
    app: App,
    command: Command<RequestPayoutForPartner, Required>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, input| {
        let row = request::request(conn, context, input.account_id, input.currency, RequestedBy::Operator)
            .map_err(unknown_account)?;
        Reply::created(format!("/v3/operator/payouts/{}", row.id), &Payout::from(row))
    })
    .await
}

/// In a body an unknown id is a broken rule.
fn unknown_account(error: Error) -> Error {
    match error {
        Error::Problem(problem) if problem.code == Code::NotFound => {
            Error::invalid("/accountId", "unknown", "is not the id of an account")
        }
        other => other,
    }
}

/// Get any payout.
///
/// Of whichever partner.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "getPayoutAsOperator",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    responses((status = 200, description = "The payout", body = Payout)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[get("/{payoutId}")]
async fn get_payout_as_operator(
    _who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutId>,
) -> Result<web::Json<Payout>> {
    let find = move |conn: &mut _| {
        let account_id = service::owner_of(conn, *id)?;
        service::find(conn, account_id, *id)
    };
    Ok(web::Json(app.db.snapshot(find).await?.into()))
}

/// Approve a payout.
///
/// While it is requested; not of a blocked partner.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "approvePayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = NoFields,
    responses((status = 200, description = "The approved payout", body = Payout)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/approve")]
async fn approve_payout(
    who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    step(&who, &app, *id, command, |_| Step::Approve).await
}

/// Why a payout is rejected, or why it failed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PayoutReason {
    /// The partner reads it.
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S", example = "the bank does not know the account")]
    reason: String,
}

/// Reject a payout.
///
/// While it is requested or approved. Its commissions and adjustments are ready again.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "rejectPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = PayoutReason,
    responses((status = 200, description = "The rejected payout", body = Payout)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/reject")]
async fn reject_payout(
    who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutId>,
    command: Command<PayoutReason>,
) -> Result<HttpResponse> {
    step(&who, &app, *id, command, |input| Step::Reject(&input.reason)).await
}

/// Send a payout.
///
/// While it is approved, for a transfer that is made by hand; `POST /v3/operator/payout-batches` sends many at once. Not of a
/// blocked partner.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "startPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = NoFields,
    responses((status = 200, description = "The payout in processing", body = Payout)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/start")]
async fn start_payout(
    who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    step(&who, &app, *id, command, |_| Step::Start).await
}

/// How a transfer can be found.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfirmPayout {
    /// The bank's reference of the transfer.
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S", example = "TRANSFER-4711")]
    reference: String,
}

/// Confirm a payout.
///
/// While it is in processing: the money arrived. It never changes again; money that the bank sends back is an adjustment with
/// the reason `payoutReturned`.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "confirmPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = ConfirmPayout,
    responses((status = 200, description = "The paid payout", body = Payout)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/confirm")]
async fn confirm_payout(
    who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutId>,
    command: Command<ConfirmPayout>,
) -> Result<HttpResponse> {
    step(&who, &app, *id, command, |input| Step::Confirm(&input.reference)).await
}

/// Fail a payout.
///
/// While it is in processing. The operator asserts that no money left; while that is unknown, the payout stays in processing.
/// Its commissions and adjustments are ready again.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "failPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = PayoutReason,
    responses((status = 200, description = "The failed payout", body = Payout)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/fail")]
async fn fail_payout(
    who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutId>,
    command: Command<PayoutReason>,
) -> Result<HttpResponse> {
    step(&who, &app, *id, command, |input| Step::Fail(&input.reason)).await
}

/// Takes the step that the body asks for.
async fn step<T: Send + Sync + 'static>(
    who: &Operator<OperatorPayouts>,
    app: &App,
    id: PayoutId,
    command: Command<T>,
    step_of: fn(&T) -> Step<'_>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, input| {
        Reply::ok(&Payout::from(steps::take(conn, context, None, id, step_of(input))?))
    })
    .await
}

/// Send approved payouts as a batch.
///
/// Moves the approved payouts of the currency to processing, all at once: with `paypalCsv` those to `PayPal`, with `wiseCsv`
/// all others. Payouts of blocked partners stay approved. `GET …/file` gives the file for the bank.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "createPayoutBatch",
    request_body = CreatePayoutBatch,
    responses((status = 201, description = "The batch", body = PayoutBatch)),
    extensions(("x-idempotency" = json!("required"))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("")]
async fn create_payout_batch(
    who: Operator<OperatorPayouts>,
    app: App,
    command: Command<CreatePayoutBatch, Required>,
) -> Result<HttpResponse> {
    let vault = app.vault.clone();
    app.execute(who.principal(), command, move |conn, context, input| {
        let row = batches::create(conn, context, &vault, input)?;
        Reply::created(format!("/v3/operator/payout-batches/{}", row.id), &PayoutBatch::from(row))
    })
    .await
}

/// A payout batch.
///
/// Its payouts are `GET /v3/operator/payouts?batchId=`.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "getPayoutBatch",
    params(("batchId" = PayoutBatchId, Path, description = "The batch")),
    responses((status = 200, description = "The batch", body = PayoutBatch)),
    security(("apiKey" = ["operator:payouts"]))
)]
#[get("/{batchId}")]
async fn get_payout_batch(
    _who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutBatchId>,
) -> Result<web::Json<PayoutBatch>> {
    let row = app.db.read(move |conn| batches::find(conn, *id)).await?;
    Ok(web::Json(row.into()))
}

/// The file of a payout batch.
///
/// As the bank takes it; the same bytes every time. The reference in each line is the payout's id. Wise's file has a line of
/// column names, `PayPal`'s has none (recipient, amount, currency, payout id, note, wallet).
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "getPayoutBatchFile",
    params(("batchId" = PayoutBatchId, Path, description = "The batch")),
    responses((status = 200, description = "The file", body = String, content_type = "text/csv",
        example = json!("payouts@agency.example,250.00,USD,pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,Partner payout 2026-0001,PayPal\r\n"))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[get("/{batchId}/file")]
async fn get_payout_batch_file(
    _who: Operator<OperatorPayouts>,
    app: App,
    id: web::Path<PayoutBatchId>,
) -> Result<HttpResponse> {
    let (vault, id) = (app.vault.clone(), *id);
    let (format, bytes) = app.db.snapshot(move |conn| batches::file(conn, &vault, id)).await?;
    let disposition = format!("attachment; filename=\"{id}-{format}.csv\"");
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .body(bytes))
}

/// Adjust what a partner earned.
///
/// Ready at once, and paid out or set off with the next payout. `payoutReturned` books the money of a paid payout that the bank
/// sent back: once, and its amount.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "createAdjustment",
    request_body = CreateAdjustment,
    responses((status = 201, description = "The adjustment, a row among the partner's commissions", body = Commission)),
    extensions(("x-idempotency" = json!("required")), ("x-body-any-of" = json!([
        {"properties": {"reason": {"enum": ["correction", "bonus", "fraud", "refundReversed", "writeOff"]},
            "payoutId": {"type": "null"}}},
        {"required": ["payoutId"],
            "properties": {"reason": {"const": "payoutReturned"}, "payoutId": {"$ref": "#/components/schemas/PayoutId"}}}
    ]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("")]
async fn create_adjustment(
    who: Operator<OperatorPayouts>,
    app: App,
    command: Command<CreateAdjustment, Required>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, input| {
        let adjustment = adjustments::create(conn, context, input)?;
        Reply::created(format!("/v3/commissions/{}", adjustment.id), &adjustment)
    })
    .await
}
