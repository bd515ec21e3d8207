//! Payouts of all partners as the operator lists, reads and requests them.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::auth::principal::{Operator, OperatorPayouts};
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::http::{Command, Filter, Listing, OneOf, Reply, Required, list_type};
use crate::id::{AccountId, PayoutId};
use crate::money::Currency;
use crate::payouts::models::{Payout, PayoutStatus, RequestedBy};
use crate::payouts::request;
use crate::payouts::service::{self, PayoutFilter};
use crate::state::App;

list_type!(OperatorPayoutList, Payout, "A page of payouts of all partners, newest first.");

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
pub(super) async fn list_all_payouts(
    _who: Operator<OperatorPayouts>,
    app: App,
    query: Filter<OperatorPayoutQuery>,
) -> Result<Listing> {
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
    app.db
        .read(move |conn| {
            page.rows(service::list(conn, None, &filter, after, limit)?, |row| row.id).map(Payout::from).listing()
        })
        .await
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
    extensions(("x-idempotency" = json!("required")),
        ("x-refusals" = json!(["notPartner", "belowMinimum", "payoutMethodMissing", "currencyNotSupported"])),
        ("x-conflicts" = json!(["accountBlocked"]))),
    security(("apiKey" = ["operator:payouts"]))
)]
#[post("")]
pub(super) async fn request_payout_for_partner(
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
pub(super) async fn get_payout_as_operator(
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
