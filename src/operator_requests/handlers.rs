//! The operator's operations on requests.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::models::{OperatorRequest, OperatorRequestStatus};
use super::service;
use crate::auth::principal::{Operator, OperatorBilling};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Command, Filter, Listing, OneOf, Reply, list_type};
use crate::id::OperatorRequestId;
use crate::state::App;

list_type!(OperatorRequestList, OperatorRequest, "A page of operator requests, newest first.");

/// Registers the operator's operations.
pub fn operator_routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/operator/requests").service(list_operator_requests).service(decline_operator_request));
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OperatorRequestQuery {
    /// Only requests with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<OperatorRequestStatus>>, style = Form, explode = false)]
    status: Option<OneOf<OperatorRequestStatus>>,
}

/// Operator requests.
///
/// What clients and their managers want the billing system to carry out. The open ones (`status=open`) are to be done: by
/// a `subscription.changed` that names the request, or by declining it.
#[utoipa::path(
    tag = "Operator: billing",
    operation_id = "listOperatorRequests",
    params(OperatorRequestQuery),
    responses((status = 200, description = "A page of requests", body = OperatorRequestList)),
    security(("apiKey" = ["operator:billing"]))
)]
#[get("")]
async fn list_operator_requests(
    _who: Operator<OperatorBilling>,
    app: App,
    query: Filter<OperatorRequestQuery>,
) -> Result<Listing> {
    let Filter { filter, page } = query;
    let statuses = filter.status.map(|list| list.0).unwrap_or_default();
    app.db.read(move |conn| page.listing(service::list(conn, &statuses, &page)?, |request| request.id)).await
}

/// Why a request is declined.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeclineOperatorRequest {
    /// For the client and its manager, 1 to 1000 characters.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(length(min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000, pattern = r"\S", example = "An invoice is still unpaid")]
    reason: String,
}

/// Decline an operator request.
///
/// Nothing is changed but the request: it is closed, the client and its manager are told, and another one may be filed. A
/// transfer that is declined stays a transfer: the new owner has the container, without a subscription.
#[utoipa::path(
    tag = "Operator: billing",
    operation_id = "declineOperatorRequest",
    params(("requestId" = OperatorRequestId, Path, description = "Id of an open request")),
    request_body = DeclineOperatorRequest,
    responses((status = 200, description = "The declined request", body = OperatorRequest)),
    extensions(("x-refusals" = json!(["requestClosed"]))),
    security(("apiKey" = ["operator:billing"]))
)]
#[post("/{requestId}/decline")]
async fn decline_operator_request(
    who: Operator<OperatorBilling>,
    app: App,
    id: web::Path<OperatorRequestId>,
    command: Command<DeclineOperatorRequest>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, input| {
        Reply::ok(&service::decline(conn, context, *id, &input.reason)?)
    })
    .await
}
