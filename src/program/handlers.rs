//! `GET /v3/program`.

use actix_web::{HttpRequest, HttpResponse, get};

use super::{Program, service};
use crate::auth::principal::Visitor;
use crate::error::Result;
use crate::http::conditional;
use crate::http::routes::{ServiceConfig, scope};
use crate::state::App;

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/program").service(get_program));
}

/// The partner program.
///
/// Levels with their rates, plans with their prices, minimum payouts and review times: the version in force now.
#[utoipa::path(
    tag = "Program",
    operation_id = "getProgram",
    responses((status = 200, description = "The version in force", body = Program)),
    extensions(("x-conditional" = json!("read"))),
    security(())
)]
#[get("")]
async fn get_program(_visitor: Visitor, app: App, request: HttpRequest) -> Result<HttpResponse> {
    let program = app.db.read(service::current).await?;
    conditional(&request, &program)
}
