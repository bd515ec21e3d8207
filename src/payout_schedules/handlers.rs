//! Operations on the schedule of payouts.

use actix_web::{get, put, web};

use super::models::{PayoutSchedule, SetPayoutSchedule};
use super::service;
use crate::auth::principal::{Manager, Owner};
use crate::error::Result;
use crate::http::Body;
use crate::http::routes::{ServiceConfig, scope};
use crate::state::App;

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/payout-schedule").service(read).service(set));
}

/// Read the payout schedule.
///
/// Manual as long as it was never set.
#[utoipa::path(tag = "Payouts", operation_id = "getPayoutSchedule",
    responses((status = 200, description = "The schedule", body = PayoutSchedule)),
    extensions(("x-accounts" = json!("manager"))),
    security(("session" = ["owner"])))]
#[get("")]
async fn read(who: Manager<Owner>, app: App) -> Result<web::Json<PayoutSchedule>> {
    let account_id = who.account_id()?;
    app.db.read(move |conn| service::read(conn, account_id)).await.map(web::Json)
}

/// Set the payout schedule.
///
/// On each date the whole ready balance of every currency that has a payout method is requested, if it is more than the
/// minimum; else it waits for the next date. A method that was changed less than 72 hours before a date lets it wait for so
/// long. After an outage only the latest date that was missed counts.
#[utoipa::path(tag = "Payouts", operation_id = "setPayoutSchedule", request_body = SetPayoutSchedule,
    responses((status = 200, description = "The schedule", body = PayoutSchedule)),
    extensions(("x-body-any-of" = json!([
        {"properties": {"type": {"const": "manual"}, "dayOfMonth": {"type": "null"}}},
        {"required": ["dayOfMonth"],
            "properties": {"type": {"enum": ["monthly", "quarterly"]}, "dayOfMonth": {"type": "integer", "minimum": 1, "maximum": 28}}}
    ])), ("x-accounts" = json!("manager"))),
    security(("session" = ["owner"])))]
#[put("")]
async fn set(who: Manager<Owner>, app: App, body: Body<SetPayoutSchedule>) -> Result<web::Json<PayoutSchedule>> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, input: &_| service::set(conn, context, account_id, input);
    app.write(who.principal(), body, effect).await.map(web::Json)
}
