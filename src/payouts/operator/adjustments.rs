//! Adjustments: what the operator adds to or takes from what a partner earned.

use actix_web::{HttpResponse, post};

use crate::auth::principal::{Operator, OperatorPayouts};
use crate::commissions::Commission;
use crate::error::Result;
use crate::http::{Command, Reply, Required};
use crate::payouts::adjustments::{self, CreateAdjustment};
use crate::state::App;

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
    ])), ("x-refusals" = json!(["payoutReturnedAlready", "currencyNotSupported", "currencyMismatch"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("")]
pub(super) async fn create_adjustment(
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
