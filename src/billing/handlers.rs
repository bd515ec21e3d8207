//! The operations on billing events and payments.

use actix_web::{HttpRequest, get, post, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ingest::BillingEvents;
use super::payments::{self, Payment, PaymentFilter};
use crate::auth::principal::{Account, CommissionsRead, Operator, OperatorBilling};
use crate::batch::BatchResults;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Batch, Filter, Listing, list_type};
use crate::id::PaymentId;
use crate::state::App;

list_type!(PaymentList, Payment, "A page of payments, the one that arrived last first.");

/// Registers the accounts' operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/payments").service(list_payments).service(get_payment));
}

/// Registers the operator's operations.
pub fn operator_routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/operator/billing-events").service(post_billing_events));
}

/// Post billing events.
///
/// Up to 1000 events, applied in array order in one transaction; what is answered as `applied` is durable. Each element has
/// an outcome of its own: a bad one is `rejected` with a problem, leaves no trace, and the rest is applied. The same event
/// again is a `duplicate`; the same id with other content is a `conflict`; neither changes anything. Where `retryable` is
/// true, send the event again later.
#[utoipa::path(
    tag = "Operator: billing",
    operation_id = "postBillingEvents",
    request_body = BillingEvents,
    responses((status = 200, description = "What became of each event", body = BatchResults)),
    security(("apiKey" = ["operator:billing"])),
    extensions(("x-idempotency" = json!("refused")),
        ("x-elements" = json!(["validationFailed", "occurredInFuture", "containerUnknown", "planUnknown",
            "currencyNotSupported", "paymentExists", "paymentUnknown", "refundExists", "refundExceedsPayment",
            "currencyMismatch", "eventConflict"])))
)]
#[post("")]
async fn post_billing_events(
    who: Operator<OperatorBilling>,
    app: App,
    request: HttpRequest,
    batch: Batch<BillingEvents>,
) -> Result<web::Json<BatchResults>> {
    let instance = request.path().to_owned();
    drop(request);
    let context = Context::new(&app.clock, who.principal().actor(), batch.request_id);
    app.billing.ingest(context, &instance, batch.input).await.map(web::Json)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct PaymentQuery {
    /// Only payments made at this time or later.
    occurred_after: Option<Timestamp>,
    /// Only payments made before this time.
    occurred_before: Option<Timestamp>,
}

/// Payments.
///
/// A client sees what was paid for its containers; an agency or partner what its clients paid while it managed them. In the
/// order in which the billing system reported them, the last one first: one that it reports late stands before younger ones, so
/// `occurredAt` may be out of order.
#[utoipa::path(
    tag = "Payments",
    operation_id = "listPayments",
    params(PaymentQuery),
    responses((status = 200, description = "A page of payments", body = PaymentList)),
    extensions(("x-accounts" = json!("any"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("")]
async fn list_payments(who: Account<CommissionsRead>, app: App, query: Filter<PaymentQuery>) -> Result<Listing> {
    let (caller_id, by_manager) = (who.account_id()?, who.principal().is_manager());
    let Filter { filter, page } = query;
    let PaymentQuery { occurred_after, occurred_before } = filter;
    let filter = PaymentFilter { caller_id, by_manager, occurred_after, occurred_before };
    app.db.read(move |conn| page.listing(payments::list(conn, &filter, &page)?, |payment| payment.id)).await
}

/// A payment.
///
/// As the billing system reported it, with what was refunded since.
#[utoipa::path(
    tag = "Payments",
    operation_id = "getPayment",
    params(("paymentId" = PaymentId, Path, description = "Id of the payment")),
    responses((status = 200, description = "The payment", body = Payment)),
    extensions(("x-accounts" = json!("any"))),
    security(("apiKey" = ["commissions:read"]))
)]
#[get("/{paymentId}")]
async fn get_payment(who: Account<CommissionsRead>, app: App, id: web::Path<PaymentId>) -> Result<web::Json<Payment>> {
    let (caller_id, by_manager) = (who.account_id()?, who.principal().is_manager());
    app.db.read(move |conn| payments::find(conn, caller_id, by_manager, *id)).await.map(web::Json)
}
