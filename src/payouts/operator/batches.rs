//! Payouts that go to a bank together: batches and their files.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get, post, web};

use crate::auth::principal::{Operator, OperatorPayouts};
use crate::error::Result;
use crate::http::{Command, Reply, Required};
use crate::id::PayoutBatchId;
use crate::payouts::batches::{self, CreatePayoutBatch, PayoutBatch};
use crate::state::App;

/// Send approved payouts as a batch.
///
/// Moves the approved payouts of the currency to processing, all at once: with `paypalCsv` those to PayPal, with `wiseCsv`
/// all others. Payouts of blocked partners stay approved. `GET …/file` gives the file for the bank.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "createPayoutBatch",
    request_body = CreatePayoutBatch,
    responses((status = 201, description = "The batch", body = PayoutBatch)),
    extensions(("x-idempotency" = json!("required")), ("x-refusals" = json!(["batchEmpty"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("")]
pub(super) async fn create_payout_batch(
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
pub(super) async fn get_payout_batch(
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
/// column names, PayPal's has none (recipient, amount, currency, payout id, note, wallet).
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "getPayoutBatchFile",
    params(("batchId" = PayoutBatchId, Path, description = "The batch")),
    responses((status = 200, description = "The file", body = String, content_type = "text/csv",
        example = json!("payouts@agency.example,250.00,USD,pay_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,Partner payout 2026-0001,PayPal\r\n"))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[get("/{batchId}/file")]
pub(super) async fn get_payout_batch_file(
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
