//! The operator's operations that take reports.

use actix_web::{HttpRequest, post, web};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::Validate;

use super::states::ContainerState;
use super::take;
use super::usage::UsageReport;
use crate::auth::principal::{Operator, OperatorBilling};
use crate::batch::BatchResults;
use crate::context::Context;
use crate::error::Result;
use crate::http::Batch;
use crate::http::routes::{ServiceConfig, scope};
use crate::state::App;

/// Registers the operator's operations.
pub fn operator_routes(config: &mut ServiceConfig) {
    config
        .service(scope("/v3/operator/usage-reports").service(post_usage_reports))
        .service(scope("/v3/operator/container-states").service(post_container_states));
}

/// A batch of usage reports.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct UsageReports {
    /// 0 to 1000 reports, applied in this order.
    #[schema(value_type = Vec<UsageReport>, max_items = 1000)]
    reports: Vec<Map<String, Value>>,
}

/// A batch of container states.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct ContainerStates {
    /// 0 to 1000 states, applied in this order.
    #[schema(value_type = Vec<ContainerState>, max_items = 1000)]
    states: Vec<Map<String, Value>>,
}

/// Report usage.
///
/// Up to 1000 reports, applied in array order in one transaction, each with an outcome of its own. A report sets the count
/// of the usage period that `periodStart` names: a later period opens a new one, within a period the count never falls, and
/// a report for a past period changes nothing. At 100 % of the plan's requests the container's `limitExceeded` becomes
/// true; a new period or a bigger plan clears it. Reports have no ids: the same one again is `applied` and changes nothing.
#[utoipa::path(
    tag = "Operator: billing",
    operation_id = "postUsageReports",
    request_body = UsageReports,
    responses((status = 200, description = "What became of each report", body = BatchResults)),
    security(("apiKey" = ["operator:billing"])),
    extensions(("x-idempotency" = json!("refused")),
        ("x-elements" = json!(["validationFailed", "occurredInFuture", "containerUnknown"])))
)]
#[post("")]
async fn post_usage_reports(
    who: Operator<OperatorBilling>,
    app: App,
    request: HttpRequest,
    batch: Batch<UsageReports>,
) -> Result<web::Json<BatchResults>> {
    let instance = request.path().to_owned();
    drop(request);
    let context = Context::new(&app.clock, who.principal().actor(), batch.request_id);
    take::<UsageReport>(&app.db, context, &instance, batch.input.reports).await.map(web::Json)
}

/// Report the states of containers.
///
/// Up to 1000 states, applied in array order in one transaction, each with an outcome of its own. A state is the whole
/// truth at its time: status and all errors; an error keeps its `since` while its code stays. One older than the last
/// applied is `applied` and changes nothing, and so is the same one again: states have no ids.
#[utoipa::path(
    tag = "Operator: billing",
    operation_id = "postContainerStates",
    request_body = ContainerStates,
    responses((status = 200, description = "What became of each state", body = BatchResults)),
    security(("apiKey" = ["operator:billing"])),
    extensions(("x-idempotency" = json!("refused")),
        ("x-elements" = json!(["validationFailed", "occurredInFuture", "containerUnknown"])))
)]
#[post("")]
async fn post_container_states(
    who: Operator<OperatorBilling>,
    app: App,
    request: HttpRequest,
    batch: Batch<ContainerStates>,
) -> Result<web::Json<BatchResults>> {
    let instance = request.path().to_owned();
    drop(request);
    let context = Context::new(&app.clock, who.principal().actor(), batch.request_id);
    take::<ContainerState>(&app.db, context, &instance, batch.input.states).await.map(web::Json)
}
