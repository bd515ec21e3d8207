//! The operations on sub-accounts, and the operator's links.

use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};

use super::listing::{self, SubAccountFilter};
use super::models::{Access, CreateSubAccount, LinkToManager, Origin, SubAccount, UpdateSubAccount};
use super::{access, access_handlers, links, service};
use crate::accounts::models::Account;
use crate::auth::principal::{Manager, Operator, OperatorAccounts, SubAccountsRead, SubAccountsWrite};
use crate::error::Result;
use crate::http::export::{self, ExportQuery};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Command, Filter, Listing, NoFields, Query, Reply, list_type};
use crate::id::AccountId;
use crate::state::App;

list_type!(SubAccountList, SubAccount, "A page of sub-accounts, the newest link first.");

/// The export, shown in the document.
const CSV_EXAMPLE: &str = "\
id,email,firstName,lastName,origin,access,billing,note,linkedAt,containerCount,paidContainerCount,limitExceeded,withErrors,\
monthlyCommission,pendingRequest,createdAt\r\n\
acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,shop@example.com,Ada,Lovelace,created,granted,individual,,2026-01-31T12:00:00.000Z,3,2,false,\
false,12.00 USD,,2026-01-31T12:00:00.000Z\r\n";

/// Registers the managers' operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        scope("/v3/sub-accounts")
            // The first that fits is taken: fixed paths stand before the ids.
            .service(list_sub_accounts)
            .service(create_sub_account)
            .service(access_handlers::attach_sub_account)
            .service(export_sub_accounts)
            .service(get_sub_account)
            .service(update_sub_account)
            .service(detach_sub_account)
            .service(access_handlers::invite_sub_account)
            .service(access_handlers::request_access)
            .service(access_handlers::log_in_as_sub_account),
    );
}

/// Registers the operator's operations, within `/v3/operator/accounts`.
pub fn operator_routes(config: &mut ServiceConfig) {
    config.service(link_account).service(detach_account);
}

/// Sub-accounts.
///
/// The clients that the agency or partner manages now, with their containers' counts and what they bring in a month. The one that
/// was linked last (`linkedAt`) comes first, whenever it signed up.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "listSubAccounts",
    params(SubAccountFilter),
    responses((status = 200, description = "A page of sub-accounts", body = SubAccountList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["subAccounts:read"]))
)]
#[get("")]
async fn list_sub_accounts(
    who: Manager<SubAccountsRead>,
    app: App,
    query: Filter<SubAccountFilter>,
) -> Result<Listing> {
    let Filter { filter, page } = query;
    let (manager_id, after, limit) = (who.account_id()?, page.after_key()?, page.fetch());
    app.db
        .snapshot(move |conn| {
            page.rows(listing::list(conn, manager_id, &filter, after, limit)?, |(link_id, _)| *link_id)
                .map(|(_, sub_account)| sub_account)
                .listing()
        })
        .await
}

/// Export sub-accounts.
///
/// The list with the same filters, as a file that is streamed. In CSV, text that a spreadsheet would take for a formula
/// gets a leading `'`.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "exportSubAccounts",
    params(SubAccountFilter, ExportQuery),
    responses((status = 200, description = "The file", content(
        (String = "text/csv", example = json!(CSV_EXAMPLE)),
        (String = "application/x-ndjson"),
    ))),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["subAccounts:read"]))
)]
#[get("/export")]
async fn export_sub_accounts(
    who: Manager<SubAccountsRead>,
    app: App,
    filter: Query<SubAccountFilter>,
    form: Query<ExportQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let readmit = async move || Manager::<SubAccountsRead>::readmit(&request).await;
    let (manager_id, db) = (who.account_id()?, app.db.clone());
    export::export(&form.0, "sub-accounts", readmit, move |after, limit| {
        let (db, filter) = (db.clone(), filter.0.clone());
        async move { db.snapshot(move |conn| listing::list(conn, manager_id, &filter, after, limit)).await }
    })
    .await
}

/// Create a sub-account.
///
/// A standard account for a client, managed from the start with access granted. At most 20 an hour are created or attached. An
/// address that is a user's already is 409 `emailTaken`: attach that client instead.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "createSubAccount",
    request_body = CreateSubAccount,
    responses((status = 201, description = "The new sub-account", body = SubAccount)),
    extensions(("x-accounts" = json!("manager")), ("x-refusals" = json!(["emailTaken"]))),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[post("")]
async fn create_sub_account(
    who: Manager<SubAccountsWrite>,
    app: App,
    command: Command<CreateSubAccount>,
) -> Result<HttpResponse> {
    let manager_id = who.account_id()?;
    let permit = app.limits.clients.permit(manager_id);
    app.execute(who.principal(), command, move |conn, context, input| {
        // Above the limit the creation is undone with the transaction.
        let sub_account = permit.spend_for(service::create(conn, context, manager_id, input))?;
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
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["subAccounts:read"]))
)]
#[get("/{accountId}")]
async fn get_sub_account(
    who: Manager<SubAccountsRead>,
    app: App,
    id: web::Path<AccountId>,
) -> Result<web::Json<SubAccount>> {
    let manager_id = who.account_id()?;
    app.db.snapshot(move |conn| listing::find(conn, manager_id, *id)).await.map(web::Json)
}

/// Change a sub-account.
///
/// JSON Merge Patch: what is absent stays as it is. Who pays can be changed with access granted; unless no container has a
/// live subscription, the operator carries it out, and `pendingRequest` shows it until then.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "updateSubAccount",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    request_body = UpdateSubAccount,
    responses((status = 200, description = "The sub-account", body = SubAccount)),
    extensions(("x-accounts" = json!("manager")), ("x-refusals" = json!(["accessNotGranted", "requestPending"]))),
    security(("apiKey" = ["subAccounts:write"]))
)]
#[patch("/{accountId}")]
async fn update_sub_account(
    who: Manager<SubAccountsWrite>,
    app: App,
    id: web::Path<AccountId>,
    body: Body<UpdateSubAccount>,
) -> Result<web::Json<SubAccount>> {
    let manager_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, change: &_| service::update(conn, context, manager_id, *id, change);
    app.write(who.principal(), body, effect).await.map(web::Json)
}

/// Detach a sub-account.
///
/// Commissions already made stay; payments made later earn nothing. The note is cleared.
#[utoipa::path(
    tag = "Sub-accounts",
    operation_id = "detachSubAccount",
    params(("accountId" = AccountId, Path, description = "Account id of the client")),
    request_body = NoFields,
    responses((status = 204, description = "The client is on its own")),
    extensions(("x-accounts" = json!("manager"))),
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
    let effect = move |conn: &mut _, context: &_, _: &_| {
        let (context, _) = &access::lock_managed(conn, context, manager_id, *id)?;
        links::detach(conn, context, *id)?;
        Ok(Reply::no_content())
    };
    let answer = app.execute(who.principal(), command, effect).await?;
    app.authenticator.forget();
    Ok(answer)
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
    extensions(("x-refusals" = json!(["alreadyManaged"]))),
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
    request_body = NoFields,
    responses((status = 200, description = "The account, on its own", body = Account)),
    extensions(("x-refusals" = json!(["notManaged"]))),
    security(("apiKey" = ["operator:accounts"]))
)]
#[post("/{accountId}/detach")]
async fn detach_account(
    who: Operator<OperatorAccounts>,
    app: App,
    id: web::Path<AccountId>,
    command: Command<NoFields>,
) -> Result<HttpResponse> {
    let effect = move |conn: &mut _, context: &_, _: &_| {
        crate::accounts::service::find(conn, *id)?;
        links::detach(conn, context, *id)?;
        Reply::ok(&Account::from(crate::accounts::service::find(conn, *id)?))
    };
    let answer = app.execute(who.principal(), command, effect).await?;
    app.authenticator.forget();
    Ok(answer)
}
