//! Operations on the caller's own account, and sign-up.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, get, patch, post};

use super::models::{Account, ChangePassword, SignUp, UpdateAccount};
use super::service::{self, NewAccount};
use super::sessions;
use crate::auth::principal::{self, AccountRead, AccountWrite, Owner, Visitor};
use crate::auth::{Credential, passwords};
use crate::error::{Code, Error, Result};
use crate::http::address::client_key;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Command, IfMatch, Reply, conditional, etag};
use crate::id::UserId;
use crate::idempotency::{Key, Outcome};
use crate::referrals::attribution::{self, Trail};
use crate::state::App;
use crate::sub_accounts;

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/accounts").service(create)).service(
        scope("/v3/account")
            .service(change_password)
            .service(get)
            .service(update)
            .configure(sub_accounts::account_routes),
    );
}

/// Sign up.
///
/// Makes an account with its owner, who can sign in at once. A partner starts as an agency. A standard account with the
/// code of a referral link becomes a client of the link's manager, which has no access to it until the client grants it. Limit:
/// 20 sign-ups per hour from one network address.
#[utoipa::path(tag = "Account", operation_id = "createAccount", request_body = SignUp,
    responses((status = 201, description = "The new account", body = Account)),
    extensions(("x-refusals" = json!(["emailTaken"]))),
    security(()))]
#[post("")]
async fn create(visitor: Visitor, app: App, request: HttpRequest, body: Body<SignUp>) -> Result<HttpResponse> {
    app.limits.sign_up.check(client_key(&app, &request))?;
    let Body { input, request_id } = body;
    let about = [&input.email, &input.first_name, &input.last_name].into_iter().chain(&input.company_name);
    let password_hash = passwords::hash_new(input.password.clone(), about.cloned().collect()).await?;
    let new = NewAccount {
        kind: input.kind.into(),
        email: input.email,
        first_name: input.first_name,
        last_name: input.last_name,
        company_name: input.company_name,
        password_hash: Some(password_hash),
    };
    let trail = Trail { code: input.referral_code, click_id: input.click_id };
    let effect = move |conn: &mut _, context: &_, new: &NewAccount| {
        let row = service::create(conn, context, new.clone())?;
        let row = attribution::attribute(conn, context, row, &trail)?;
        Reply::created("/v3/account".to_owned(), &Account::from(row))
    };
    app.write(visitor, Body { input: new, request_id }, effect).await?.into_response(false)
}

/// Get the account.
///
/// The account that the credential belongs to.
#[utoipa::path(tag = "Account", operation_id = "getAccount",
    responses((status = 200, description = "The account", body = Account)),
    extensions(("x-accounts" = json!("any")), ("x-conditional" = json!("read"))),
    security(("apiKey" = ["account:read"])))]
#[get("")]
async fn get(who: principal::Account<AccountRead>, app: App, request: HttpRequest) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let row = app.db.read(move |conn| service::find(conn, account_id)).await?;
    conditional(&request, &Account::from(row))
}

/// Change the account.
///
/// JSON Merge Patch: what is absent stays as it is. With `If-Match`, only if nobody changed it meanwhile.
#[utoipa::path(tag = "Account", operation_id = "updateAccount", request_body = UpdateAccount,
    responses((status = 200, description = "The account", body = Account)),
    extensions(("x-accounts" = json!("any")), ("x-conditional" = json!("change"))),
    security(("apiKey" = ["account:write"])))]
#[patch("")]
async fn update(
    who: principal::Account<AccountWrite>,
    app: App,
    condition: IfMatch,
    body: Body<UpdateAccount>,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, change: &_| {
        service::update(conn, context, account_id, change, |old| condition.check(&Account::from(old.clone())))
    };
    let account = Account::from(app.write(who.principal(), body, effect).await?);
    Ok(HttpResponse::Ok().insert_header((ETAG, etag(&account)?)).json(account))
}

/// Change one's password.
///
/// Ends all sessions of the user, this one too. Limit: 10 tries at the present password per 5 minutes, here and where a payout
/// method is set.
#[utoipa::path(tag = "Account", operation_id = "changePassword", request_body = ChangePassword,
    responses((status = 204, description = "Changed; sign in again")),
    extensions(("x-accounts" = json!("any"))),
    security(("session" = ["owner"])))]
#[post("/password")]
async fn change_password(
    who: principal::Account<Owner>,
    app: App,
    mut command: Command<ChangePassword>,
) -> Result<HttpResponse> {
    let Credential::Login { user_id, .. } = who.principal().credential else {
        return Err(Error::refused(Code::OwnerRequired, "this operation needs a login"));
    };
    let account_id = who.account_id()?;
    if let Some(answer) = repeated(&app, &who, user_id, command.key.as_ref()).await? {
        return Ok(answer);
    }
    // Who stole a session must not try passwords faster than at the sign-in.
    app.limits.present_password.check(user_id.to_string())?;
    let read = move |conn: &mut _| {
        Ok((sessions::candidate_by_id(conn, user_id)?, service::known_of_user(conn, account_id, user_id)?))
    };
    let (present, about) = app.db.read(read).await?;
    let input = &command.input;
    let is_right = passwords::verify(input.current_password.clone(), present.password_hash.clone()).await?;
    let new_hash = passwords::hash_new(input.password.clone(), about).await?;
    command.key = match command.key.take() {
        Some(key) => Some(key.hardened().await?),
        None => None,
    };
    // Judged inside, after the look at the idempotency key: a twin finds its answer, though the password is no longer right.
    let effect = move |conn: &mut _, context: &_, _: &_| {
        if !is_right {
            return Err(sessions::wrong_current_password("/currentPassword"));
        }
        sessions::change_password(conn, context, &present, &new_hash)?;
        Ok(Reply::no_content())
    };
    let answer = app.execute(who.principal(), command, effect).await?;
    app.authenticator.forget();
    Ok(answer)
}

/// The answer to a change of the password that was made already: it is no try at a password that the limit on tries, once
/// reached, could hide. How often is limited all the same, for it takes as much work, and says whether what is sent is what
/// was sent then.
async fn repeated(
    app: &App,
    who: &principal::Account<Owner>,
    user_id: UserId,
    key: Option<&Key>,
) -> Result<Option<HttpResponse>> {
    let Some(key) = key else { return Ok(None) };
    let Some(first) = app.first_answer(who.principal(), key).await? else { return Ok(None) };
    app.limits.repeated_password.check(user_id.to_string())?;
    let Outcome { reply, replayed } = first.again_for(key.clone().hardened().await?.fingerprint())?;
    reply.into_response(replayed).map(Some)
}
