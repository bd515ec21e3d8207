//! The steps of a payout that the operator takes: approve, reject, start, confirm, fail.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use crate::auth::principal::{Operator, OperatorPayouts};
use crate::error::Result;
use crate::http::{Command, NoFields, Reply, trimmed};
use crate::id::PayoutId;
use crate::payouts::models::Payout;
use crate::payouts::steps::{self, Step};
use crate::state::App;

/// Approve a payout.
///
/// While it is requested; not of a blocked partner.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "approvePayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = NoFields,
    responses((status = 200, description = "The approved payout", body = Payout)),
    extensions(("x-refusals" = json!(["invalidTransition"])), ("x-conflicts" = json!(["accountBlocked"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/approve")]
pub(super) async fn approve_payout(
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
    extensions(("x-refusals" = json!(["invalidTransition"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/reject")]
pub(super) async fn reject_payout(
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
/// blocked partner. The API shows the details of a payout method in the files of batches alone: for a transfer by hand the
/// operator has to know them from elsewhere.
#[utoipa::path(
    tag = "Operator: payouts",
    operation_id = "startPayout",
    params(("payoutId" = PayoutId, Path, description = "The payout")),
    request_body = NoFields,
    responses((status = 200, description = "The payout in processing", body = Payout)),
    extensions(("x-refusals" = json!(["invalidTransition"])), ("x-conflicts" = json!(["accountBlocked"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/start")]
pub(super) async fn start_payout(
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
    extensions(("x-refusals" = json!(["invalidTransition"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/confirm")]
pub(super) async fn confirm_payout(
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
    extensions(("x-refusals" = json!(["invalidTransition"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("/{payoutId}/fail")]
pub(super) async fn fail_payout(
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
