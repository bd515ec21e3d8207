//! The operator's operations on partners.

use actix_web::{patch, web};

use super::standing::{self, Partner, UpdatePartner};
use crate::auth::principal::{Operator, OperatorAccounts};
use crate::error::Result;
use crate::http::Body;
use crate::http::routes::{ServiceConfig, scope};
use crate::id::AccountId;
use crate::state::App;

/// Registers the operation.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/operator/partners").service(update_partner));
}

/// Decide about a partner's level and rates.
///
/// In force at once for payments from now on; commissions made before stay as they are. A level below the one that the
/// figures earn is pinned; without a pin a level rises by itself. Precedence of rates: the override for the product, the
/// override `default`, the level's rate for the product, the level's `default`.
#[utoipa::path(
    tag = "Operator: accounts",
    operation_id = "updatePartner",
    params(("accountId" = AccountId, Path, description = "Account id of the partner")),
    request_body = UpdatePartner,
    responses((status = 200, description = "The partner", body = Partner)),
    extensions(("x-refusals" = json!(["notPartner"]))),
    security(("apiKey" = ["operator:accounts"]))
)]
#[patch("/{accountId}")]
async fn update_partner(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<AccountId>,
    body: Body<UpdatePartner>,
) -> Result<web::Json<Partner>> {
    let effect = move |conn: &mut _, context: &_, input: &_| standing::decide(conn, context, *id, input);
    app.write(who.principal(), body, effect).await.map(web::Json)
}
