//! Operations on an account's API keys.

use actix_web::{HttpResponse, delete, get, post, web};

use super::models::{ApiKey, ApiKeyList, CreateApiKey, NewApiKey};
use super::service;
use crate::auth::principal::{Account, Owner};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Command, Listing, NoFields, Page, Refused, Reply};
use crate::id::ApiKeyId;
use crate::state::App;

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/api-keys").service(list).service(create).service(revoke));
}

/// List API keys.
///
/// The keys that were not revoked, newest first.
#[utoipa::path(tag = "API keys", operation_id = "listApiKeys",
    responses((status = 200, description = "One page of API keys", body = ApiKeyList)),
    extensions(("x-accounts" = json!("any"))),
    security(("session" = ["owner"])))]
#[get("")]
async fn list(who: Account<Owner>, app: App, page: Page) -> Result<Listing> {
    let (account_id, after, fetch) = (who.account_id()?, page.after_key()?, page.fetch());
    app.db
        .read(move |conn| {
            page.rows(service::list(conn, account_id, after, fetch)?, |row| row.id).map(ApiKey::from).listing()
        })
        .await
}

/// Make an API key.
///
/// The answer holds the key itself, which is shown this once. An account may have 10 active keys.
#[utoipa::path(tag = "API keys", operation_id = "createApiKey", request_body = CreateApiKey,
    responses((status = 201, description = "The new key", body = NewApiKey)),
    extensions(("x-accounts" = json!("any")), ("x-idempotency" = json!("refused")),
        ("x-refusals" = json!(["apiKeyLimitReached"]))),
    security(("session" = ["owner"])))]
#[post("")]
async fn create(who: Account<Owner>, app: App, command: Command<CreateApiKey, Refused>) -> Result<HttpResponse> {
    let (account_id, makers_scopes) = (who.account_id()?, who.principal().scopes);
    let effect = move |conn: &mut _, context: &_, input: &_| {
        let (row, key) = service::create(conn, context, account_id, makers_scopes, input)?;
        Reply::created(format!("/v3/api-keys/{}", row.id), &NewApiKey { api_key: row.into(), key })
    };
    app.execute(who.principal(), command, effect).await
}

/// Revoke an API key.
///
/// It is refused from then on, on every server within a second.
#[utoipa::path(tag = "API keys", operation_id = "revokeApiKey",
    params(("keyId" = ApiKeyId, Path, description = "The key")),
    responses((status = 204, description = "Revoked")),
    extensions(("x-accounts" = json!("any"))),
    security(("session" = ["owner"])))]
#[delete("/{keyId}")]
async fn revoke(who: Account<Owner>, app: App, id: web::Path<ApiKeyId>, body: Body<NoFields>) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, _: &_| service::revoke(conn, context, account_id, *id);
    app.write(who.principal(), body, effect).await?;
    app.authenticator.forget();
    Ok(HttpResponse::NoContent().finish())
}
