//! Operations on the team.

use actix_web::{HttpResponse, delete, get, patch, post, web};

use super::team::{self, AddMember, Member, UpdateMember};
use crate::auth::principal::{Manager, Owner};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Command, Listing, NoFields, Page, Reply, list_type};
use crate::id::UserId;
use crate::state::App;

list_type!(MemberList, Member, "One page of the team, newest first.");

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/members").service(list).service(create).service(update).service(remove));
}

/// List the team.
///
/// Everybody with a login to the account, owners and members.
#[utoipa::path(tag = "Members", operation_id = "listMembers",
    responses((status = 200, description = "One page of the team", body = MemberList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("session" = ["owner"])))]
#[get("")]
async fn list(who: Manager<Owner>, app: App, page: Page) -> Result<Listing> {
    let account_id = who.account_id()?;
    app.db
        .read(move |conn| page.rows(team::list(conn, account_id, &page)?, |row| row.id).map(Member::from).listing())
        .await
}

/// Add a member.
///
/// The new member gets a mail with a link to set its password, good for 7 days.
#[utoipa::path(tag = "Members", operation_id = "createMember", request_body = AddMember,
    responses((status = 201, description = "The new member", body = Member)),
    extensions(("x-accounts" = json!("manager")), ("x-refusals" = json!(["emailTaken", "memberLimitReached"]))),
    security(("session" = ["owner"])))]
#[post("")]
async fn create(who: Manager<Owner>, app: App, command: Command<AddMember>) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let permit = app.limits.invitations.permit(account_id);
    app.execute(who.principal(), command, move |conn, context, input| {
        let member = Member::from(permit.spend_for(team::add(conn, context, account_id, input))?);
        Reply::created(format!("/v3/members/{}", member.id), &member)
    })
    .await
}

/// Change a member.
///
/// JSON Merge Patch: what is absent stays as it is. An account keeps at least one owner who can sign in.
#[utoipa::path(tag = "Members", operation_id = "updateMember", request_body = UpdateMember,
    params(("userId" = UserId, Path, description = "The member")),
    responses((status = 200, description = "The member", body = Member)),
    extensions(("x-accounts" = json!("manager")), ("x-refusals" = json!(["lastOwner"]))),
    security(("session" = ["owner"])))]
#[patch("/{userId}")]
async fn update(
    who: Manager<Owner>,
    app: App,
    id: web::Path<UserId>,
    body: Body<UpdateMember>,
) -> Result<web::Json<Member>> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, change: &_| team::update(conn, context, account_id, *id, change);
    let member = Member::from(app.write(who.principal(), body, effect).await?);
    app.authenticator.forget();
    Ok(web::Json(member))
}

/// Remove a member.
///
/// Its sessions end at once. An account keeps at least one owner who can sign in.
#[utoipa::path(tag = "Members", operation_id = "deleteMember",
    params(("userId" = UserId, Path, description = "The member")),
    responses((status = 204, description = "The member is gone")),
    extensions(("x-accounts" = json!("manager")), ("x-refusals" = json!(["lastOwner"]))),
    security(("session" = ["owner"])))]
#[delete("/{userId}")]
async fn remove(who: Manager<Owner>, app: App, id: web::Path<UserId>, body: Body<NoFields>) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, _: &_| team::remove(conn, context, account_id, *id);
    app.write(who.principal(), body, effect).await?;
    app.authenticator.forget();
    Ok(HttpResponse::NoContent().finish())
}
