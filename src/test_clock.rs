//! The test clock's one operation: an operator moves it forward, and everything that falls due by then is done.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::auth::principal::{AnyScope, Operator};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Command, Reply};
use crate::state::App;
use crate::{stored, worker};

/// Where the test clock shall stand.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTestClock {
    /// The new time, not before the clock's present one.
    #[schema(example = "2026-01-15T00:00:00.000Z")]
    now: Timestamp,
}

/// Where the test clock stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestClock {
    /// The clock's time.
    #[schema(example = "2026-01-15T00:00:00.000Z")]
    pub now: Timestamp,
}

/// The routes of this feature.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/operator/test-clock").service(set));
}

/// Move the test clock.
///
/// Only on a server that was started with a test clock. It moves forward only. The answer comes when all work that fell
/// due until the new time is done.
#[utoipa::path(tag = "Service", operation_id = "setTestClock", request_body = SetTestClock,
    responses((status = 200, description = "The clock stands at the new time", body = TestClock)),
    extensions(("x-refusals" = json!(["testClockMissing", "testClockRewound"]))),
    security(("apiKey" = [])))]
#[post("")]
async fn set(who: Operator<AnyScope>, app: App, command: Command<SetTestClock>) -> Result<HttpResponse> {
    let response = app
        .execute(who.principal(), command, |conn, _, input| {
            // The domain's time counts milliseconds.
            let now = input.now.millisecond();
            stored::advance_clock(conn, now)?;
            Reply::ok(&TestClock { now })
        })
        .await?;
    web::block(move || worker::catch_up(&app.db, &app.clock)).await.map_err(Error::internal)??;
    Ok(response)
}
