//! Whether the server lives, and whether it can do its work; for load balancers and orchestrators. Tells nothing of the
//! inside.

use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::principal::Visitor;
use crate::db::migrate;
use crate::error::{Error, Result};
use crate::http::routes::{ServiceConfig, scope};
use crate::state::App;

/// State of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; a server that is not answers a problem.
    #[schema(example = "ok")]
    status: &'static str,
}

/// `/health/live` and `/health/ready`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/health").service(live).service(ready));
}

/// Check that the server lives.
///
/// Answers as long as the process handles requests, whatever the state of the database.
#[utoipa::path(
    tag = "Service",
    operation_id = "getLiveness",
    responses((status = 200, description = "The server lives", body = Health)),
    extensions(("x-refusals" = json!(["unknownParameter"]))),
    security(())
)]
#[get("/live")]
async fn live(_: Visitor) -> web::Json<Health> {
    web::Json(Health { status: "ok" })
}

/// Check that the server can do its work.
///
/// Asks the database, and whether its tables are those that this version of the server needs.
#[utoipa::path(
    tag = "Service",
    operation_id = "getReadiness",
    responses((status = 200, description = "The server is ready", body = Health)),
    extensions(("x-refusals" = json!(["unknownParameter"]))),
    security(())
)]
#[get("/ready")]
async fn ready(_: Visitor, app: App) -> Result<web::Json<Health>> {
    app.db.ensure_in_place()?;
    if !app.db.read(migrate::is_current).await? {
        return Err(Error::Unavailable("the database lacks migrations".to_owned()));
    }
    Ok(web::Json(Health { status: "ok" }))
}
