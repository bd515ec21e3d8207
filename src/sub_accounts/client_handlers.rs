//! The client's side: its manager, what that manager may do, and what managers ask for. And the client that makes itself an
//! agency.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::models::{Access, Billing, Origin};
use super::requests::{self, AccessRequest, ManagerContact, RequestStatus};
use super::{access, links, service};
use crate::accounts::models::Account;
use crate::auth::principal::{AccountRead, Owner, Standard};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Command, Filter, Listing, NoFields, OneOf, OrNothing, Reply, list_type, trimmed};
use crate::id::{AccessRequestId, AccountId};
use crate::state::App;

list_type!(AccessRequestList, AccessRequest, "A page of requests to the client, newest first.");

/// Registers the client's operations, but for those within `/v3/account`.
pub fn client_routes(config: &mut ServiceConfig) {
    config
        .service(
            scope("/v3/access-requests")
                .service(list_access_requests)
                .service(approve_access_request)
                .service(decline_access_request),
        )
        .service(scope("/v3/manager").service(get_manager).service(leave_manager).service(revoke_access));
}

/// Registers the operation within `/v3/account`.
pub fn account_routes(config: &mut ServiceConfig) {
    config.service(create_agency);
}

/// The agency or partner that manages the account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manager {
    /// Who it is.
    #[serde(flatten)]
    pub contact: ManagerContact,
    /// How the account came to it.
    pub origin: Origin,
    /// Whether it may change the account's containers and act for it.
    pub access: Access,
    /// Who pays for the containers.
    pub billing: Billing,
    /// Since when it manages the account.
    pub linked_at: Timestamp,
}

/// The owner of a new agency.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateAgency {
    /// E-mail address of the agency's owner; no user may have it yet. It gets an invitation.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "crate::accounts::models::validate_email"))]
    #[schema(format = "email", max_length = 254, example = "agency@example.com")]
    pub email: String,
}

/// Why a request is declined, if the client tells.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeclineAccessRequest {
    /// 1 to 1000 characters, for the audit log; of a request for access, for the manager's, too.
    #[serde(default, deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000, pattern = r"\S", example = "We work with another agency now")]
    reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AccessRequestQuery {
    /// Only requests with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<RequestStatus>>, style = Form, explode = false)]
    status: Option<OneOf<RequestStatus>>,
}

/// List access requests.
///
/// What agencies and partners ask for: access to the account, or to manage it.
#[utoipa::path(
    tag = "Manager",
    operation_id = "listAccessRequests",
    params(AccessRequestQuery),
    responses((status = 200, description = "A page of requests", body = AccessRequestList)),
    extensions(("x-accounts" = json!("standard"))),
    security(("session" = ["owner"]))
)]
#[get("")]
async fn list_access_requests(who: Standard<Owner>, app: App, query: Filter<AccessRequestQuery>) -> Result<Listing> {
    let Filter { filter, page } = query;
    let client_id = who.account_id()?;
    let statuses = filter.status.map(|list| list.0).unwrap_or_default();
    app.db
        .read(move |conn| page.listing(requests::list(conn, client_id, &statuses, &page)?, |request| request.id))
        .await
}

/// Approve an access request.
///
/// The manager may change the account's containers and act for it from now on; of a request to manage the account: it
/// becomes the account's manager, without access.
#[utoipa::path(
    tag = "Manager",
    operation_id = "approveAccessRequest",
    params(("requestId" = AccessRequestId, Path, description = "Id of a pending request")),
    request_body = NoFields,
    responses((status = 200, description = "The request", body = AccessRequest)),
    extensions(("x-accounts" = json!("standard")), ("x-refusals" = json!(["accessRequestClosed", "alreadyManaged"]))),
    security(("session" = ["owner"]))
)]
#[post("/{requestId}/approve")]
async fn approve_access_request(
    who: Standard<Owner>,
    app: App,
    id: web::Path<AccessRequestId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let client_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, _| {
        Reply::ok(&access::approve(conn, context, client_id, *id)?)
    })
    .await
}

/// Decline an access request.
///
/// The manager can ask again after 24 hours.
#[utoipa::path(
    tag = "Manager",
    operation_id = "declineAccessRequest",
    params(("requestId" = AccessRequestId, Path, description = "Id of a pending request")),
    request_body = DeclineAccessRequest,
    responses((status = 200, description = "The request", body = AccessRequest)),
    extensions(("x-body" = json!("optional")), ("x-accounts" = json!("standard")),
        ("x-refusals" = json!(["accessRequestClosed"]))),
    security(("session" = ["owner"]))
)]
#[post("/{requestId}/decline")]
async fn decline_access_request(
    who: Standard<Owner>,
    app: App,
    id: web::Path<AccessRequestId>,
    command: Command<DeclineAccessRequest, OrNothing>,
) -> Result<HttpResponse> {
    let client_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, input| {
        Reply::ok(&access::decline(conn, context, client_id, *id, input.reason.as_deref())?)
    })
    .await
}

/// Get the manager.
///
/// The agency or partner that manages the account, and what it may do; 404 without one.
#[utoipa::path(
    tag = "Manager",
    operation_id = "getManager",
    responses((status = 200, description = "The manager", body = Manager),
        (status = 404, description = "Nobody manages the account")),
    extensions(("x-accounts" = json!("standard")), ("x-refusals" = json!(["notFound"]))),
    security(("apiKey" = ["account:read"]))
)]
#[get("")]
async fn get_manager(who: Standard<AccountRead>, app: App) -> Result<web::Json<Manager>> {
    let client_id = who.account_id()?;
    app.db.snapshot(move |conn| find_manager(conn, client_id)).await.map(web::Json)
}

/// Part from the manager.
///
/// It sees nothing of the account any more, and earns nothing from later payments.
#[utoipa::path(
    tag = "Manager",
    operation_id = "deleteManager",
    responses((status = 204, description = "The account is on its own"),
        (status = 404, description = "Nobody manages the account")),
    extensions(("x-accounts" = json!("standard")), ("x-refusals" = json!(["notFound", "notManaged"]))),
    security(("session" = ["owner"]))
)]
#[delete("")]
async fn leave_manager(who: Standard<Owner>, app: App, body: Body<NoFields>) -> Result<HttpResponse> {
    let client_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, _: &_| {
        links::current(conn, client_id)?.ok_or_else(Error::not_found)?;
        links::detach(conn, context, client_id)
    };
    app.write(who.principal(), body, effect).await?;
    app.authenticator.forget();
    Ok(HttpResponse::NoContent().finish())
}

/// Take access back.
///
/// Ends at once what the manager does as the account. It still sees the account and its containers, and can ask for access
/// again after 24 hours.
#[utoipa::path(
    tag = "Manager",
    operation_id = "revokeAccess",
    responses((status = 204, description = "The manager has no access any more"),
        (status = 404, description = "Nobody manages the account, or its manager has no access")),
    extensions(("x-accounts" = json!("standard")), ("x-refusals" = json!(["notFound"]))),
    security(("session" = ["owner"]))
)]
#[delete("/access")]
async fn revoke_access(who: Standard<Owner>, app: App, body: Body<NoFields>) -> Result<HttpResponse> {
    let client_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, _: &_| access::revoke(conn, context, client_id);
    app.write(who.principal(), body, effect).await?;
    app.authenticator.forget();
    Ok(HttpResponse::NoContent().finish())
}

/// Become an agency.
///
/// Makes a new agency account, whose owner gets an invitation by mail. This account stays a client and, if it has no
/// manager, becomes the agency's sub-account at once, with access granted.
#[utoipa::path(
    tag = "Account",
    operation_id = "createAgency",
    request_body = CreateAgency,
    responses((status = 201, description = "The new agency account", body = Account,
        headers(("Location" = String, description = "`/v3/manager`, where the agency manages this account now; absent where \
            another manager does, for then the agency is at no path for this account.")))),
    extensions(("x-accounts" = json!("standard")), ("x-refusals" = json!(["emailTaken"]))),
    security(("session" = ["owner"]))
)]
#[post("/agency")]
async fn create_agency(who: Standard<Owner>, app: App, command: Command<CreateAgency>) -> Result<HttpResponse> {
    let client_id = who.account_id()?;
    let permit = app.limits.clients.permit(client_id);
    app.execute(who.principal(), command, move |conn, context, input| {
        let converted = permit.spend_for(service::convert(conn, context, client_id, &input.email))?;
        let agency = Account::from(converted.agency);
        if converted.is_manager {
            Reply::created("/v3/manager".to_owned(), &agency)
        } else {
            Reply::created_elsewhere(&agency)
        }
    })
    .await
}

fn find_manager(conn: &mut Conn, client_id: AccountId) -> Result<Manager> {
    let link = links::current(conn, client_id)?.ok_or_else(Error::not_found)?;
    let contact = crate::accounts::service::find(conn, link.account_id)?.into();
    let (origin, access, billing, linked_at) = (link.origin, link.access, link.billing, link.linked_at);
    Ok(Manager { contact, origin, access, billing, linked_at })
}
