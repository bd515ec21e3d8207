//! The operations on partner applications.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::applications::{self, ApplicationStatus, Eligibility, PartnerApplication};
use crate::auth::principal::{AccountRead, Manager, Operator, OperatorAccounts, Owner};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Command, Filter, Listing, NoFields, OneOf, Page, Reply, Rows, list_type};
use crate::id::ApplicationId;
use crate::program;
use crate::state::App;

list_type!(PartnerApplicationList, PartnerApplication, "A page of partner applications, newest first.");

/// Registers the managers' operations.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(scope("/v3/partner-applications").service(list_own_applications).service(create_partner_application));
}

/// Registers the operator's operations.
pub fn operator_routes(config: &mut ServiceConfig) {
    config.service(
        scope("/v3/operator/partner-applications")
            .service(list_applications)
            .service(approve_application)
            .service(reject_application),
    );
}

/// An account's applications, with its figures now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnApplications {
    /// The account's figures now.
    eligibility: Eligibility,
    /// A page of its applications, newest first.
    #[schema(max_items = 100)]
    data: Vec<PartnerApplication>,
    /// Whether there are more rows behind this page.
    #[schema(example = false)]
    has_more: bool,
    /// Send it as `cursor` to get the next page; null on the last page.
    #[schema(required = true, example = json!(null))]
    next_cursor: Option<String>,
}

/// Your partner applications.
///
/// With the figures that decide: those of level 1, paid containers or referral value, open the program.
#[utoipa::path(
    tag = "Partner program",
    operation_id = "listPartnerApplications",
    responses((status = 200, description = "Figures, and a page of applications", body = OwnApplications)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["account:read"]))
)]
#[get("")]
async fn list_own_applications(who: Manager<AccountRead>, app: App, page: Page) -> Result<Listing> {
    let account_id = who.account_id()?;
    app.db
        .snapshot(move |conn| {
            let program = program::service::current(conn)?;
            let eligibility = applications::eligibility(conn, account_id, &program)?;
            let applications = applications::list(conn, Some(account_id), &[], &page)?;
            let with_figures = |rows: Rows<PartnerApplication>| {
                let Rows { data, has_more, next_cursor, .. } = rows;
                OwnApplications { eligibility, data, has_more, next_cursor }
            };
            page.rows(applications, |application| application.id).listing_as(with_figures)
        })
        .await
}

/// Apply to the partner program.
///
/// Open to an agency whose figures reach level 1. One application at a time; after a rejection a new one may be filed.
#[utoipa::path(
    tag = "Partner program",
    operation_id = "createPartnerApplication",
    request_body = NoFields,
    responses((status = 201, description = "The application", body = PartnerApplication)),
    extensions(("x-accounts" = json!("manager")),
        ("x-refusals" = json!(["alreadyPartner", "applicationPending", "notEligible"]))),
    security(("session" = ["owner"]))
)]
#[post("")]
async fn create_partner_application(who: Manager<Owner>, app: App, command: Command<NoFields>) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let response = app
        .execute(who.principal(), command, move |conn, context, _| {
            let application = applications::file(conn, context, account_id)?;
            Reply::created("/v3/partner-applications".to_owned(), &application)
        })
        .await?;
    app.authenticator.forget();
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApplicationQuery {
    /// Only applications with one of these statuses, separated by commas.
    #[param(value_type = Option<Vec<ApplicationStatus>>, style = Form, explode = false)]
    status: Option<OneOf<ApplicationStatus>>,
}

/// Partner applications.
///
/// Of all accounts, the newest first.
#[utoipa::path(
    tag = "Operator: accounts",
    operation_id = "listAllPartnerApplications",
    params(ApplicationQuery),
    responses((status = 200, description = "A page of applications", body = PartnerApplicationList)),
    security(("apiKey" = ["operator:accounts"]))
)]
#[get("")]
async fn list_applications(
    _who: Operator<OperatorAccounts>,
    app: App,
    query: Filter<ApplicationQuery>,
) -> Result<Listing> {
    let Filter { filter, page } = query;
    let statuses = filter.status.map(|list| list.0).unwrap_or_default();
    app.db
        .read(move |conn| page.listing(applications::list(conn, None, &statuses, &page)?, |application| application.id))
        .await
}

/// Approve a partner application.
///
/// The agency is a partner from now on, at the highest level whose row its figures reach.
#[utoipa::path(
    tag = "Operator: accounts",
    operation_id = "approvePartnerApplication",
    params(("applicationId" = ApplicationId, Path, description = "Id of the application")),
    request_body = NoFields,
    responses((status = 200, description = "The approved application", body = PartnerApplication)),
    extensions(("x-refusals" = json!(["applicationDecided"]))),
    security(("apiKey" = ["operator:accounts"]))
)]
#[post("/{applicationId}/approve")]
async fn approve_application(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<ApplicationId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let response = app
        .execute(who.principal(), command, move |conn, context, _| {
            Reply::ok(&applications::approve(conn, context, *id)?)
        })
        .await?;
    app.authenticator.forget();
    Ok(response)
}

/// Why something is turned down.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RejectApplication {
    /// For the applicant, 1 to 1000 characters.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(length(min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000, example = "Please complete the company's data first")]
    reason: String,
}

/// Reject a partner application.
///
/// The applicant reads the reason, and may apply again.
#[utoipa::path(
    tag = "Operator: accounts",
    operation_id = "rejectPartnerApplication",
    params(("applicationId" = ApplicationId, Path, description = "Id of the application")),
    request_body = RejectApplication,
    responses((status = 200, description = "The rejected application", body = PartnerApplication)),
    extensions(("x-refusals" = json!(["applicationDecided"]))),
    security(("apiKey" = ["operator:accounts"]))
)]
#[post("/{applicationId}/reject")]
async fn reject_application(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<ApplicationId>,
    command: Command<RejectApplication>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, input| {
        Reply::ok(&applications::reject(conn, context, *id, &input.reason)?)
    })
    .await
}
