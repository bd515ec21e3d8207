//! The operator's operations on the program.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, get, put};

use super::update::{self, SentProgram};
use super::{Program, service};
use crate::auth::principal::{Operator, OperatorProgram};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, IfMatch, Listing, Page, conditional, etag, list_type};
use crate::state::App;

list_type!(ProgramVersionList, Program, "A page of the program's versions, newest first.");

/// Registers the operations.
pub fn operator_routes(config: &mut ServiceConfig) {
    config.service(
        scope("/v3/operator/program")
            .service(list_program_versions)
            .service(get_operator_program)
            .service(replace_program),
    );
}

/// The program, to be changed.
///
/// The version in force, with the `ETag` that a change has to name.
#[utoipa::path(
    tag = "Operator: program",
    operation_id = "getOperatorProgram",
    responses((status = 200, description = "The version in force", body = Program)),
    extensions(("x-conditional" = json!("read"))),
    security(("apiKey" = ["operator:program"]))
)]
#[get("")]
async fn get_operator_program(_who: Operator<OperatorProgram>, app: App, request: HttpRequest) -> Result<HttpResponse> {
    let program = app.db.read(service::current).await?;
    conditional(&request, &program)
}

/// Change the program.
///
/// The whole configuration, checked as a whole, becomes a new version, in force at once: for payments made from now on, and
/// for every manager's monthly and referral value. Commissions made before stay as they are. `version`, `author` and
/// `createdAt` may be sent back as they were read; they are ignored. An unchanged configuration makes no new version.
#[utoipa::path(
    tag = "Operator: program",
    operation_id = "replaceProgram",
    request_body = SentProgram,
    responses((status = 200, description = "The version in force", body = Program)),
    extensions(("x-conditional" = json!("changeRequired"))),
    security(("apiKey" = ["operator:program"]))
)]
#[put("")]
async fn replace_program(
    who: Operator<OperatorProgram>,
    app: App,
    condition: IfMatch,
    body: Body<SentProgram>,
) -> Result<HttpResponse> {
    let effect = move |conn: &mut _, context: &_, sent: &_| update::replace(conn, context, &condition, sent);
    let program = app.write(who.principal(), body, effect).await?;
    app.clicks.forget();
    Ok(HttpResponse::Ok().insert_header((ETAG, etag(&program)?)).json(program))
}

/// The program's versions.
///
/// Each with its author and the time from which on it was in force; version 1 is in force since ever.
#[utoipa::path(
    tag = "Operator: program",
    operation_id = "listProgramVersions",
    responses((status = 200, description = "A page of versions", body = ProgramVersionList)),
    security(("apiKey" = ["operator:program"]))
)]
#[get("/versions")]
async fn list_program_versions(_who: Operator<OperatorProgram>, app: App, page: Page) -> Result<Listing> {
    app.db.read(move |conn| page.listing(service::list(conn, &page)?, |program| program.version)).await
}
