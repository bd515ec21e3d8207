//! Managers' operations that attach clients, invite them, ask for access and log in as them.

use actix_web::{HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::attach::{self, AttachSubAccount};
use super::models::SubAccount;
use super::requests::AccessRequest;
use super::{access, links, service};
use crate::auth::Credential;
use crate::auth::principal::{Manager, SubAccountsLogin, SubAccountsWrite};
use crate::auth::token::AccessToken;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::Result;
use crate::http::{Command, NoFields, Refused, Reply};
use crate::id::AccountId;
use crate::state::App;

/// A token by which a manager acts as its client.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientLogin {
    /// For `Authorization: Bearer`. It has the scopes `account:read`, `containers:read` and `containers:write`, cannot be
    /// refreshed, and ends at once when the client takes access back.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY2NfMDFLQjBINlE0TjdaSjhSNVQzVjlXWFkyQUMifQ.c2lnbmF0dXJl")]
    pub access_token: String,
    /// When it stops being good.
    pub expires_at: Timestamp,
}

impl From<AccessToken> for ClientLogin {
    fn from(token: AccessToken) -> Self {
        Self { access_token: token.token, expires_at: token.expires_at }
    }
}

/// Attach an existing account.
///
/// With the exact name of one of its containers an account that signed up within the program's attach window, and has no
/// manager, is linked at once, without access. Whatever else is the case, the answer is one and the same refusal. With
/// `hasNoContainers` the answer is always 202: if an account fits, its owner is asked by mail, and the link is made when
/// it approves. At most 20 sub-accounts an hour are created or tried to be attached.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "attachSubAccount",
    request_body = AttachSubAccount,
    responses(
        (status = 201, description = "The new sub-account", body = SubAccount),
        (status = 202, description = "If an account fits, it is asked"),
    ),
    extensions(("x-body-any-of" = json!([
        {"required": ["containerName"],
            "properties": {"containerName": {"type": "string", "minLength": 1, "maxLength": 100}, "hasNoContainers": {"type": "boolean", "not": {"const": true}}}},
        {"required": ["hasNoContainers"],
            "properties": {"containerName": {"type": "null"}, "hasNoContainers": {"type": "boolean", "not": {"const": false}}}}
    ])), ("x-accounts" = json!("manager")), ("x-refusals" = json!(["attachRefused"]))),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[post("/attach")]
pub(super) async fn attach_sub_account(
    who: Manager<SubAccountsWrite>,
    app: App,
    command: Command<AttachSubAccount>,
) -> Result<HttpResponse> {
    let manager_id = who.account_id()?;
    let permit = app.limits.clients.permit(manager_id);
    app.execute(who.principal(), command, move |conn, context, input| {
        permit.spend()?;
        let Some(container_name) = &input.container_name else {
            attach::ask(conn, context, manager_id, &input.email)?;
            return Ok(Reply::accepted_silently());
        };
        let sub_account = attach::attach(conn, context, manager_id, &input.email, container_name)?;
        Reply::created(format!("/v3/sub-accounts/{}", sub_account.id), &sub_account)
    })
    .await
}

/// Invite a sub-account.
///
/// Mails the client a link to set its password, good once, within 7 days. A later one replaces it. At most 10 an hour go to
/// one client.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "inviteSubAccount",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    request_body = NoFields,
    responses((status = 202, description = "The mail is under way")),
    extensions(("x-accounts" = json!("manager")), ("x-refusals" = json!(["invitationNotNeeded"]))),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[post("/{accountId}/invitations")]
pub(super) async fn invite_sub_account(
    who: Manager<SubAccountsWrite>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let (manager_id, id) = (who.account_id()?, *id);
    let permit = app.limits.client_invitations.permit((manager_id, id));
    let may = move |conn: &mut Conn, _: &NoFields| links::managed_by(conn, manager_id, id).map(|_| ());
    app.execute_while(who.principal(), command, may, move |conn, context, _| {
        permit.spend_for(service::invite(conn, context, manager_id, id))?;
        Ok(Reply::accepted_silently())
    })
    .await
}

/// Request access.
///
/// The client is asked by mail, and approves or declines. After it declined, or took access back, it can be asked again
/// after 24 hours.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "requestAccess",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    request_body = NoFields,
    responses((status = 201, description = "The request", body = AccessRequest)),
    extensions(("x-accounts" = json!("manager")),
        ("x-refusals" = json!(["accessAlreadyGranted", "accessAlreadyRequested", "accessRequestTooSoon"]))),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[post("/{accountId}/access-requests")]
pub(super) async fn request_access(
    who: Manager<SubAccountsWrite>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let (manager_id, id) = (who.account_id()?, *id);
    let may = move |conn: &mut Conn, _: &NoFields| links::managed_by(conn, manager_id, id).map(|_| ());
    app.execute_while(who.principal(), command, may, move |conn, context, _| {
        let request = access::request(conn, context, manager_id, id)?;
        Reply::created(format!("/v3/sub-accounts/{id}"), &request)
    })
    .await
}

/// Log in as a sub-account.
///
/// With access granted (else 403 `accessNotGranted`): a token that acts as the client for 15 minutes. It may read the account, and
/// read, make and change containers, but not transfer or delete them. The audit log names both.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "logInAsSubAccount",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    request_body = NoFields,
    responses((status = 201, description = "The token", body = ClientLogin)),
    extensions(("x-accounts" = json!("manager")), ("x-idempotency" = json!("refused")),
        ("x-refusals" = json!(["accessNotGranted"]))),
    security(("apiKey" = ["subAccounts:login"]))
)]
#[post("/{accountId}/login")]
pub(super) async fn log_in_as_sub_account(
    who: Manager<SubAccountsLogin>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields, Refused>,
) -> Result<HttpResponse> {
    let manager_id = who.account_id()?;
    let session_id = match who.principal().credential {
        Credential::Login { session_id, .. } => Some(session_id),
        _ => None,
    };
    let state = app.clone();
    app.execute(who.principal(), command, move |conn, context, _| {
        let tokens = state.authenticator.tokens();
        let token = access::log_in(conn, context, tokens, (manager_id, session_id), *id)?;
        Reply::created(format!("/v3/sub-accounts/{}", *id), &ClientLogin::from(token))
    })
    .await
}
