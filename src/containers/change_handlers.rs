//! The operations that change containers.

use actix_web::{HttpResponse, delete, patch, post, web};

use super::changes::{self, Asker, ChangePlan, UpdateContainer, Wish};
use super::models::Container;
use super::transfer::{self, TransferContainer};
use crate::auth::principal::{Account, ContainersWrite, NotOnBehalf, Principal, Standard};
use crate::db::Conn;
use crate::error::Result;
use crate::http::routes::ServiceConfig;
use crate::http::{Body, Command, NoFields, Reply};
use crate::id::{AccountId, ContainerId};
use crate::state::{App, AppState};

/// Registers the operations, within `/v3/containers`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(update_container)
        .service(delete_container)
        .service(change_container_plan)
        .service(cancel_container)
        .service(reactivate_container)
        .service(transfer_container);
}

/// Rename a container.
///
/// JSON Merge Patch. By its client, or by its manager with access.
#[utoipa::path(
    tag = "Containers",
    operation_id = "updateContainer",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    request_body = UpdateContainer,
    responses((status = 200, description = "The container", body = Container)),
    extensions(("x-accounts" = json!("any")), ("x-refusals" = json!(["accessNotGranted"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[patch("/{containerId}")]
async fn update_container(
    who: Account<ContainersWrite>,
    app: App,
    id: web::Path<ContainerId>,
    body: Body<UpdateContainer>,
) -> Result<web::Json<Container>> {
    let asker = asker(who.account_id()?, who.principal());
    let effect = move |conn: &mut _, context: &_, change: &_| changes::rename(conn, context, asker, *id, change);
    app.write(who.principal(), body, effect).await.map(web::Json)
}

/// Delete a container.
///
/// By its client alone, never by a manager or on behalf of the client. Refused while a subscription is active or past due. An open
/// operator request is declined with it, but for a transfer's, which goes on. Payments and commissions keep its name.
#[utoipa::path(
    tag = "Containers",
    operation_id = "deleteContainer",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    responses((status = 204, description = "It is gone")),
    extensions(("x-accounts" = json!("standard")), ("x-on-behalf" = json!("refused")),
        ("x-refusals" = json!(["subscriptionActive"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[delete("/{containerId}")]
async fn delete_container(
    who: Standard<NotOnBehalf<ContainersWrite>>,
    app: App,
    id: web::Path<ContainerId>,
    body: Body<NoFields>,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, _: &_| changes::delete(conn, context, account_id, *id);
    app.write(who.principal(), body, effect).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ask for another plan or billing period.
///
/// The operator's billing system carries it out; until then the container shows the request as `pendingRequest`, and another one
/// is 409 `requestPending`. Plans are those that `GET /v3/program` lists for the container's product.
#[utoipa::path(
    tag = "Containers",
    operation_id = "changeContainerPlan",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    request_body = ChangePlan,
    responses((status = 202, description = "The container with the open request", body = Container)),
    extensions(("x-accounts" = json!("any")),
        ("x-refusals" = json!(["accessNotGranted", "requestPending", "planUnchanged", "planUnknown"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[post("/{containerId}/change-plan")]
async fn change_container_plan(
    who: Account<ContainersWrite>,
    app: App,
    id: web::Path<ContainerId>,
    command: Command<ChangePlan>,
) -> Result<HttpResponse> {
    let asker = asker(who.account_id()?, who.principal());
    ask(&app, who.principal(), (asker, *id), command, |wanted| Wish::Plan(wanted.clone())).await
}

/// Ask for the end of a subscription.
///
/// The operator's billing system carries it out; until then the container shows the request as `pendingRequest`.
#[utoipa::path(
    tag = "Containers",
    operation_id = "cancelContainer",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    request_body = NoFields,
    responses((status = 202, description = "The container with the open request", body = Container)),
    extensions(("x-accounts" = json!("any")),
        ("x-refusals" = json!(["accessNotGranted", "requestPending", "nothingToCancel"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[post("/{containerId}/cancel")]
async fn cancel_container(
    who: Account<ContainersWrite>,
    app: App,
    id: web::Path<ContainerId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let asker = asker(who.account_id()?, who.principal());
    ask(&app, who.principal(), (asker, *id), command, |_| Wish::Cancel).await
}

/// Ask that a subscription goes on.
///
/// One that ended, or that ends with its period. The operator's billing system carries it out; until then the container
/// shows the request as `pendingRequest`.
#[utoipa::path(
    tag = "Containers",
    operation_id = "reactivateContainer",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    request_body = NoFields,
    responses((status = 202, description = "The container with the open request", body = Container)),
    extensions(("x-accounts" = json!("any")),
        ("x-refusals" = json!(["accessNotGranted", "requestPending", "nothingToReactivate"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[post("/{containerId}/reactivate")]
async fn reactivate_container(
    who: Account<ContainersWrite>,
    app: App,
    id: web::Path<ContainerId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let asker = asker(who.account_id()?, who.principal());
    ask(&app, who.principal(), (asker, *id), command, |_| Wish::Reactivate).await
}

/// Transfer a container to another client.
///
/// By its client alone, never by a manager or on behalf of the client. The container belongs to the other account at once, and its
/// subscription here is `canceled` until the billing system reports the new owner's, which answers the request that is
/// opened. An address that is unknown, a manager's, of a blocked account or one's own gets one and the same refusal.
#[utoipa::path(
    tag = "Containers",
    operation_id = "transferContainer",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    request_body = TransferContainer,
    responses((status = 202, description = "The container, with its new owner and the open request", body = Container)),
    extensions(("x-accounts" = json!("standard")), ("x-on-behalf" = json!("refused")),
        ("x-refusals" = json!(["requestPending", "transferRefused"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[post("/{containerId}/transfer")]
async fn transfer_container(
    who: Standard<NotOnBehalf<ContainersWrite>>,
    app: App,
    id: web::Path<ContainerId>,
    command: Command<TransferContainer>,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, to| {
        Reply::accepted(&transfer::transfer(conn, context, account_id, *id, to)?)
    })
    .await
}

/// Asks the operator for what `wish` makes of the body.
async fn ask<T: Send + Sync + 'static>(
    app: &AppState,
    who: &Principal,
    (asker, id): (Asker, ContainerId),
    command: Command<T>,
    wish: fn(&T) -> Wish,
) -> Result<HttpResponse> {
    let may = move |conn: &mut Conn, _: &T| changes::refuse_without_access(conn, asker, id);
    app.execute_while(who, command, may, move |conn, context, input| {
        Reply::accepted(&changes::ask(conn, context, asker, id, &wish(input))?)
    })
    .await
}

fn asker(account_id: AccountId, principal: &Principal) -> Asker {
    Asker { account_id, by_manager: principal.is_manager() }
}
