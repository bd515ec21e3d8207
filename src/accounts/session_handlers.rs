//! Operations on sessions: sign in, refresh, sign out.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, delete, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::service::email_key;
use super::sessions::{self, Refreshed, Tokens};
use crate::auth::authenticator::invalid;
use crate::auth::principal::{Account, SignedIn, Visitor};
use crate::auth::{Credential, passwords};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::address::client_key;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Command, NoFields, Refused, trimmed};
use crate::state::App;

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/sessions").service(refresh).service(end).service(create));
}

/// Who signs in.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// The user's e-mail address, in any case.
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 254))]
    #[schema(min_length = 1, max_length = 254, example = "ann@agency.example")]
    pub email: String,
    /// The user's password.
    #[validate(length(min = 1, max = 128))]
    #[schema(format = "password", min_length = 1, max_length = 128, example = "tr0mbone-Lagoon-77")]
    pub password: String,
}

/// The session to go on with.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefreshSession {
    /// The refresh token of the last answer; it is good once.
    #[schema(example = "ses_01KB0H6Q4N7ZJ8R5T3V9WXY2AC.c2VjcmV0.dGFn")]
    pub refresh_token: String,
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// For `Authorization: Bearer`, good for 15 minutes.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMDFLQjBINlE0TjdaSjhSNVQzVjlXWFkyQUMifQ.c2lnbmF0dXJl")]
    pub access_token: String,
    /// When the access token stops being good.
    pub expires_at: Timestamp,
    /// Exchange it for new tokens at `POST /v3/sessions/refresh`. It is good once, within 30 days.
    #[schema(example = "ses_01KB0H6Q4N7ZJ8R5T3V9WXY2AC.c2VjcmV0.dGFn")]
    pub refresh_token: String,
}

impl From<Tokens> for Session {
    fn from(tokens: Tokens) -> Self {
        let Tokens { access_token, expires_at, refresh_token } = tokens;
        Self { access_token, expires_at, refresh_token }
    }
}

/// Sign in.
///
/// An unknown e-mail address and a wrong password get the same answer. Limits: from one network address 10 sign-ins per 5 minutes
/// for one e-mail address, and 60 for all; 300 per hour for one e-mail address from everywhere.
#[utoipa::path(tag = "Sessions", operation_id = "createSession", request_body = SignIn,
    responses((status = 201, description = "The tokens of a new session", body = Session),
        (status = 401, description = "The e-mail address or the password is wrong"),
        (status = 403, description = "The account is blocked")),
    extensions(("x-idempotency" = json!("refused")),
        ("x-refusals" = json!(["invalidCredentials", "accountBlocked"]))), security(()))]
#[post("")]
async fn create(
    visitor: Visitor,
    app: App,
    request: HttpRequest,
    command: Command<SignIn, Refused>,
) -> Result<HttpResponse> {
    let body = Body::from(command);
    app.limits.sign_in(&client_key(&app, &request), &email_key(&body.input.email))?;
    let email = body.input.email.clone();
    let candidate = app.db.read(move |conn| sessions::candidate(conn, &email)).await?;
    let hash = candidate.as_ref().and_then(|candidate| candidate.password_hash.clone());
    let is_right = passwords::verify(body.input.password.clone(), hash).await?;
    let verified = candidate.filter(|_| is_right).ok_or_else(sessions::wrong_password)?;
    let state = app.clone();
    let effect = move |conn: &mut _, context: &_, _: &_| {
        sessions::sign_in(conn, context, state.authenticator.tokens(), &verified)
    };
    let session = Session::from(app.write(visitor, body, effect).await?);
    let location = (LOCATION, "/v3/sessions/current");
    Ok(HttpResponse::Created().insert_header(location).insert_header((CACHE_CONTROL, "no-store")).json(session))
}

/// Refresh a session.
///
/// Exchanges the refresh token for new tokens. A refresh token that was used before ends the session, for somebody else may
/// hold a copy.
#[utoipa::path(tag = "Sessions", operation_id = "refreshSession", request_body = RefreshSession,
    responses((status = 200, description = "New tokens of the session", body = Session),
        (status = 401, description = "The refresh token is unknown, used or expired, or its session has ended"),
        (status = 403, description = "The account is blocked")),
    extensions(("x-idempotency" = json!("refused")),
        ("x-refusals" = json!(["invalidCredentials", "accountBlocked"]))), security(()))]
#[post("/refresh")]
async fn refresh(visitor: Visitor, app: App, command: Command<RefreshSession, Refused>) -> Result<HttpResponse> {
    let body = Body::from(command);
    let token = app.authenticator.tokens().read_refresh(&body.input.refresh_token).ok_or_else(invalid)?;
    let state = app.clone();
    let effect =
        move |conn: &mut _, context: &_, _: &_| sessions::refresh(conn, context, state.authenticator.tokens(), token);
    match app.write(visitor, body, effect).await? {
        Refreshed::Renewed(tokens) => {
            Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Session::from(tokens)))
        }
        Refreshed::Reused => {
            app.authenticator.forget();
            Err(invalid())
        }
    }
}

/// Sign out.
///
/// Ends the session of the access token.
#[utoipa::path(tag = "Sessions", operation_id = "deleteCurrentSession",
    responses((status = 204, description = "The session has ended")),
    extensions(("x-accounts" = json!("any"))),
    security(("session" = [])))]
#[delete("/current")]
async fn end(who: Account<SignedIn>, app: App, body: Body<NoFields>) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let Credential::Login { session_id, .. } = who.principal().credential else { return Err(invalid()) };
    let effect = move |conn: &mut _, context: &_, _: &_| sessions::sign_out(conn, context, account_id, session_id);
    app.write(who.principal(), body, effect).await?;
    app.authenticator.forget();
    Ok(HttpResponse::NoContent().finish())
}
