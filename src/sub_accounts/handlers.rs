//! The operations on sub-accounts, and the operator's links.

use actix_web::{HttpResponse, get, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::models::{Access, CreateSubAccount, LinkToManager, Origin, SubAccount};
use super::{links, service};
use crate::accounts::models::Account;
use crate::app::App;
use crate::auth::principal::{Manager, Operator, OperatorAccounts, SubAccountsRead, SubAccountsWrite};
use crate::error::Result;
use crate::http::{Command, Listing, NoFields, Page, Reply, list_type};
use crate::id::AccountId;

list_type!(SubAccountList, SubAccount, "A page of sub-accounts, the newest link first.");

/// Registers the managers' operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        utoipa_actix_web::scope("/v3/sub-accounts")
            .service(list_sub_accounts)
            .service(create_sub_account)
            .service(get_sub_account)
            .service(detach_sub_account),
    );
}

/// Registers the operator's operations, within `/v3/operator/accounts`.
pub fn operator_routes(config: &mut ServiceConfig) {
    config.service(link_account).service(detach_account);
}

/// Sub-accounts.
///
/// The clients that the agency or partner manages now, with their containers' counts and what they bring in a month.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "listSubAccounts",
    responses((status = 200, description = "A page of sub-accounts", body = SubAccountList)),
    security(("apiKey" = ["subAccounts:read"]))
)]
#[get("")]
async fn list_sub_accounts(who: Manager<SubAccountsRead>, app: App, page: Page) -> Result<Listing<SubAccount>> {
    let (manager_id, now, wanted) = (who.account_id()?, app.clock.now(), page.clone());
    let rows = app.db.snapshot(move |conn| service::list(conn, now, manager_id, &wanted)).await?;
    Ok(page.listing(rows, |(link_id, _)| *link_id).map(|(_, sub_account)| sub_account))
}

/// Create a sub-account.
///
/// A standard account for a client, managed from the start with access granted. At most 20 an hour are created or attached.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "createSubAccount",
    request_body = CreateSubAccount,
    responses((status = 201, description = "The new sub-account", body = SubAccount)),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[post("")]
async fn create_sub_account(
    who: Manager<SubAccountsWrite>,
    app: App,
    command: Command<CreateSubAccount>,
) -> Result<HttpResponse> {
    let manager_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, input| {
        let sub_account = service::create(conn, context, manager_id, input)?;
        Reply::created(format!("/v3/sub-accounts/{}", sub_account.id), &sub_account)
    })
    .await
}

/// A sub-account.
///
/// A client that the agency or partner manages now.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "getSubAccount",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    responses((status = 200, description = "The sub-account", body = SubAccount)),
    security(("apiKey" = ["subAccounts:read"]))
)]
#[get("/{accountId}")]
async fn get_sub_account(
    who: Manager<SubAccountsRead>,
    app: App,
    id: web::Path<AccountId>,
) -> Result<web::Json<SubAccount>> {
    let (manager_id, now) = (who.account_id()?, app.clock.now());
    app.db.snapshot(move |conn| service::find(conn, now, manager_id, *id)).await.map(web::Json)
}

/// Detach a sub-account.
///
/// Commissions already made stay; payments made later earn nothing. The note is cleared.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "detachSubAccount",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    responses((status = 204, description = "The client is on its own")),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[post("/{accountId}/detach")]
async fn detach_sub_account(
    who: Manager<SubAccountsWrite>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let manager_id = who.account_id()?;
    app.execute(who.principal(), command, move |conn, context, _| {
        links::managed_by(conn, manager_id, *id)?;
        links::detach(conn, context, *id)?;
        Ok(Reply::no_content())
    })
    .await
}

/// Link an account to a manager.
///
/// The account becomes a sub-account of the agency or partner `managerId`, without access.
#[utoipa::path(
    tag = "Operator: accounts",
    operation_id = "linkAccount",
    params(("accountId" = AccountId, Path, description = "Id of a standard account")),
    request_body = LinkToManager,
    responses((status = 200, description = "The linked account", body = Account)),
    security(("apiKey" = ["operator:accounts"]))
)]
#[post("/{accountId}/link")]
async fn link_account(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<LinkToManager>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, input| {
        links::link(conn, context, *id, input.manager_id, Origin::Operator, Access::None)?;
        Reply::ok(&Account::from(crate::accounts::service::find(conn, *id)?))
    })
    .await
}

/// Detach an account from its manager.
///
/// Commissions already made stay with the manager; payments made later earn nothing for it.
#[utoipa::path(
    tag = "Operator: accounts",
    operation_id = "detachAccount",
    params(("accountId" = AccountId, Path, description = "Id of a managed account")),
    responses((status = 200, description = "The account, on its own", body = Account)),
    security(("apiKey" = ["operator:accounts"]))
)]
#[post("/{accountId}/detach")]
async fn detach_account(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    app.execute(who.principal(), command, move |conn, context, _| {
        crate::accounts::service::find(conn, *id)?;
        links::detach(conn, context, *id)?;
        Reply::ok(&Account::from(crate::accounts::service::find(conn, *id)?))
    })
    .await
}
