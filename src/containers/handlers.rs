//! The operations on containers.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::models::{Container, ContainerStatus, CreateContainer, Product};
use super::service::{self, ContainerFilter};
use crate::auth::principal::{Account, ContainersRead, ContainersWrite};
use crate::db::Conn;
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Command, Filter, Listing, OneOf, Reply, list_type};
use crate::id::{AccountId, ContainerId};
use crate::state::App;

list_type!(ContainerList, Container, "A page of containers, newest first.");

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        scope("/v3/containers")
            .service(list_containers)
            .service(create_container)
            .service(get_container)
            .configure(super::change_handlers::routes),
    );
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct ContainerQuery {
    /// Only containers of these sub-accounts, separated by commas.
    #[param(value_type = Option<Vec<AccountId>>, style = Form, explode = false)]
    sub_account_id: Option<OneOf<String>>,
    /// Only containers with one of these plans, separated by commas.
    #[param(value_type = Option<Vec<String>>, style = Form, explode = false, example = json!(["pro"]))]
    plan: Option<OneOf<String>>,
    /// Only containers of one of these products, separated by commas.
    #[param(value_type = Option<Vec<Product>>, style = Form, explode = false)]
    product: Option<OneOf<Product>>,
    /// Only containers with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<ContainerStatus>>, style = Form, explode = false)]
    status: Option<OneOf<ContainerStatus>>,
    /// Only containers that reached their plan's limit (true), or did not (false).
    limit_exceeded: Option<bool>,
    /// Only containers with errors (true), or without (false).
    with_errors: Option<bool>,
}

/// Containers.
///
/// A client sees its own; an agency or partner those of all its sub-accounts, with what each brings in a month.
#[utoipa::path(
    tag = "Containers",
    operation_id = "listContainers",
    params(ContainerQuery),
    responses((status = 200, description = "A page of containers", body = ContainerList)),
    extensions(("x-accounts" = json!("any"))),
    security(("apiKey" = ["containers:read"]))
)]
#[get("")]
async fn list_containers(who: Account<ContainersRead>, app: App, query: Filter<ContainerQuery>) -> Result<Listing> {
    let (caller_id, by_manager) = (who.account_id()?, who.principal().is_manager());
    let Filter { filter, page } = query;
    let filter = ContainerFilter {
        clients: filter.sub_account_id.map(OneOf::ids),
        plans: filter.plan.map(|list| list.0),
        products: filter.product.map(|list| list.0),
        statuses: filter.status.map(|list| list.0),
        limit_exceeded: filter.limit_exceeded,
        with_errors: filter.with_errors,
    };
    app.db
        .snapshot(move |conn| {
            page.listing(service::list(conn, caller_id, by_manager, &filter, &page)?, |container| container.id)
        })
        .await
}

/// Create a container.
///
/// It starts on the plan `free`. A client creates its own; an agency or partner names a sub-account in `accountId` that has
/// granted access.
#[utoipa::path(
    tag = "Containers",
    operation_id = "createContainer",
    request_body = CreateContainer,
    responses((status = 201, description = "The new container", body = Container)),
    extensions(("x-accounts" = json!("any")), ("x-refusals" = json!(["accessNotGranted", "planUnknown"]))),
    security(("apiKey" = ["containers:write"]))
)]
#[post("")]
async fn create_container(
    who: Account<ContainersWrite>,
    app: App,
    command: Command<CreateContainer>,
) -> Result<HttpResponse> {
    let (caller_id, by_manager) = (who.account_id()?, who.principal().is_manager());
    let may = move |conn: &mut Conn, input: &_| service::admitted(conn, caller_id, by_manager, input).map(|_| ());
    app.execute_while(who.principal(), command, may, move |conn, context, input| {
        let container = service::create(conn, context, caller_id, by_manager, input)?;
        Reply::created(format!("/v3/containers/{}", container.id), &container)
    })
    .await
}

/// A container.
///
/// With its plan, subscription, usage and errors.
#[utoipa::path(
    tag = "Containers",
    operation_id = "getContainer",
    params(("containerId" = ContainerId, Path, description = "Id of the container")),
    responses((status = 200, description = "The container", body = Container)),
    extensions(("x-accounts" = json!("any"))),
    security(("apiKey" = ["containers:read"]))
)]
#[get("/{containerId}")]
async fn get_container(
    who: Account<ContainersRead>,
    app: App,
    id: web::Path<ContainerId>,
) -> Result<web::Json<Container>> {
    let (caller_id, by_manager) = (who.account_id()?, who.principal().is_manager());
    app.db.snapshot(move |conn| service::find(conn, caller_id, by_manager, *id)).await.map(web::Json)
}
