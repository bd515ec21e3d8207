//! Operations on passwords without a login: asking for a new one by mail, and setting it, also after an invitation.

use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::service::email_key;
use super::{password_tokens, service};
use crate::auth::passwords;
use crate::auth::principal::Visitor;
use crate::error::Result;
use crate::http::Body;
use crate::http::address::client_key;
use crate::http::routes::{ServiceConfig, scope};
use crate::mail::{self, Letter, Recipient};
use crate::state::App;

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/password-resets").service(confirm).service(create));
}

/// Who forgot the password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestPasswordReset {
    /// The user's e-mail address, in any case.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "super::models::validate_email"))]
    #[schema(format = "email", max_length = 254, example = "ann@agency.example")]
    pub email: String,
}

/// The token of a mail, and a new password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfirmPasswordReset {
    /// The `token` parameter of the link in the mail.
    #[validate(length(min = 1, max = 512))]
    #[schema(min_length = 1, max_length = 512, example = "mB8Zr3x9y7pD2vQ5tW1sK4nL6hJ0gF8cRuEoTiAaXbY")]
    pub token: String,
    /// The new password. Not one that is easily guessed.
    #[validate(length(min = 12, max = 128))]
    #[schema(format = "password", min_length = 12, max_length = 128, example = "Oboe.marsh-4811")]
    pub password: String,
}

/// Ask for a new password.
///
/// Mails a link whose token is good once, within an hour. An address that nobody has gets the same answer, in the same time,
/// and no mail. At most 5 mails per hour go to one e-mail address: whoever asks for more of them gets the same answer, and the
/// newest mail is the one that is good. Limit: 10 per hour from one network address.
#[utoipa::path(tag = "Sessions", operation_id = "createPasswordReset", request_body = RequestPasswordReset,
    responses((status = 202, description = "If the address is a user's, a mail is under way")), security(()))]
#[post("")]
async fn create(
    visitor: Visitor,
    app: App,
    request: HttpRequest,
    body: Body<RequestPasswordReset>,
) -> Result<HttpResponse> {
    app.limits.password_reset_by_peer.check(client_key(&app, &request))?;
    let letter = app.limits.password_reset_letters.permit(email_key(&body.input.email));
    // Whether it is anybody's address is asked when the letter is delivered: here every address is the same work.
    let effect = move |conn: &mut _, context: &_, input: &RequestPasswordReset| {
        // Whoever asks learns nothing of it: it may be that others have asked.
        if letter.spend().is_err() {
            return Ok(());
        }
        mail::enqueue(conn, context, Recipient::Email(input.email.clone()), &Letter::PasswordReset)
    };
    app.write(visitor, body, effect).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Set a new password.
///
/// With the token of a password reset or of an invitation. Ends all sessions of the user.
#[utoipa::path(tag = "Sessions", operation_id = "confirmPasswordReset", request_body = ConfirmPasswordReset,
    responses((status = 204, description = "The password is set; sign in with it")),
    extensions(("x-refusals" = json!(["invalidToken"]))),
    security(()))]
#[post("/confirm")]
async fn confirm(visitor: Visitor, app: App, body: Body<ConfirmPasswordReset>) -> Result<HttpResponse> {
    let (now, token) = (app.clock.now(), body.input.token.clone());
    let read = move |conn: &mut _| {
        let user = password_tokens::holder(conn, now, &token)?;
        let about = service::known_of_user(conn, user.account_id, user.id)?;
        Ok((user, about))
    };
    let (user, about) = app.db.read(read).await?;
    let new_hash = passwords::hash_new(body.input.password.clone(), about).await?;
    let effect = move |conn: &mut _, context: &_, input: &ConfirmPasswordReset| {
        password_tokens::redeem(conn, context, &user, &input.token, &new_hash)
    };
    app.write(visitor, body, effect).await?;
    app.authenticator.forget();
    Ok(HttpResponse::NoContent().finish())
}
