//! The operations on referral links.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};

use super::models::{CreateReferralLink, ReferralLink, UpdateReferralLink};
use super::report::{self, LinkStatistics, StatisticsQuery};
use super::{clicks, qr, service};
use crate::auth::principal::{Manager, ReferralLinksRead, ReferralLinksWrite};
use crate::error::Result;
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{
    Body, Command, IfMatch, Listing, Page, Query, Reply, conditional_bytes, conditional_tagged, etag_in_two, list_type,
};
use crate::id::ReferralLinkId;
use crate::state::App;

list_type!(ReferralLinkList, ReferralLink, "A page of referral links, newest first.");

/// Registers the operations on links, and the links' own addresses.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            scope("/v3/referral-links")
                .service(list_referral_links)
                .service(create_referral_link)
                .service(get_referral_link)
                .service(update_referral_link)
                .service(get_referral_link_stats)
                .service(get_referral_link_qr_code),
        )
        .configure(clicks::routes);
}

/// Referral links.
///
/// The default link, which every agency and partner has from the start, and those made since, with what came of each.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "listReferralLinks",
    responses((status = 200, description = "A page of referral links", body = ReferralLinkList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["referralLinks:read"]))
)]
#[get("")]
async fn list_referral_links(who: Manager<ReferralLinksRead>, app: App, page: Page) -> Result<Listing> {
    let (account_id, url) = (who.account_id()?, app.public_url.clone());
    let (after, limit) = (page.after_key()?, page.fetch());
    app.db.read(move |conn| page.listing(service::list(conn, account_id, &url, after, limit)?, |link| link.id)).await
}

/// Create a referral link.
///
/// An account has at most 100 links. A code is never used again, also after its link was disabled.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "createReferralLink",
    request_body = CreateReferralLink,
    responses((status = 201, description = "The new referral link", body = ReferralLink)),
    extensions(("x-accounts" = json!("manager")),
        ("x-refusals" = json!(["referralLinkLimitReached", "referralCodeTaken"]))),
    security(("apiKey" = ["referralLinks:write"]))
)]
#[post("")]
async fn create_referral_link(
    who: Manager<ReferralLinksWrite>,
    app: App,
    command: Command<CreateReferralLink>,
) -> Result<HttpResponse> {
    let (account_id, url) = (who.account_id()?, app.public_url.clone());
    let effect = move |conn: &mut _, context: &_, input: &_| {
        let row = service::create(conn, context, account_id, input)?;
        let link = service::view(conn, row, &url)?;
        Reply::created(format!("/v3/referral-links/{}", link.id), &link)
    };
    let answer = app.execute(who.principal(), command, effect).await?;
    app.clicks.forget();
    Ok(answer)
}

/// A referral link.
///
/// Its `ETag` has two halves: the settings, and everything with the counters. `If-None-Match` looks at both, so that a 304
/// never hides a click; `If-Match` of a change looks at the settings alone, so that a click is no conflict.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "getReferralLink",
    params(("linkId" = ReferralLinkId, Path, description = "Id of the referral link")),
    responses((status = 200, description = "The referral link", body = ReferralLink)),
    extensions(("x-accounts" = json!("manager")), ("x-conditional" = json!("read"))),
    security(("apiKey" = ["referralLinks:read"]))
)]
#[get("/{linkId}")]
async fn get_referral_link(
    who: Manager<ReferralLinksRead>,
    app: App,
    id: web::Path<ReferralLinkId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (account_id, url) = (who.account_id()?, app.public_url.clone());
    let read = move |conn: &mut _| {
        let row = service::find(conn, account_id, *id)?;
        let link = service::view(conn, row.clone(), &url)?;
        Ok((etag_in_two(&row.settings(), &link)?, link))
    };
    let (tag, link) = app.db.read(read).await?;
    conditional_tagged(&request, tag, &link)
}

/// Change a referral link.
///
/// JSON Merge Patch: what is absent stays as it is. With `If-Match`, only if nobody changed its settings meanwhile; clicks
/// do not count as a change. The default link cannot be disabled.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "updateReferralLink",
    params(("linkId" = ReferralLinkId, Path, description = "Id of the referral link")),
    request_body = UpdateReferralLink,
    responses((status = 200, description = "The referral link", body = ReferralLink)),
    extensions(("x-accounts" = json!("manager")), ("x-conditional" = json!("change")),
        ("x-refusals" = json!(["defaultReferralLink"]))),
    security(("apiKey" = ["referralLinks:write"]))
)]
#[patch("/{linkId}")]
async fn update_referral_link(
    who: Manager<ReferralLinksWrite>,
    app: App,
    id: web::Path<ReferralLinkId>,
    condition: IfMatch,
    body: Body<UpdateReferralLink>,
) -> Result<HttpResponse> {
    let (account_id, url) = (who.account_id()?, app.public_url.clone());
    let effect = move |conn: &mut _, context: &_, change: &_| {
        let check = |old: &super::ReferralLinkRow| condition.check_first_half(&old.settings());
        let row = service::update(conn, context, account_id, *id, change, check)?;
        let link = service::view(conn, row.clone(), &url)?;
        Ok((etag_in_two(&row.settings(), &link)?, link))
    };
    let (tag, link) = app.write(who.principal(), body, effect).await?;
    app.clicks.forget();
    Ok(HttpResponse::Ok().insert_header((ETAG, tag)).json(link))
}

/// Statistics of a referral link.
///
/// Every day of the range, also those on which nothing happened, and their sum. Visitors are unique within a UTC day.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "getReferralLinkStats",
    params(("linkId" = ReferralLinkId, Path, description = "Id of the referral link"), StatisticsQuery),
    responses((status = 200, description = "What came of the link, day by day", body = LinkStatistics)),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["referralLinks:read"]))
)]
#[get("/{linkId}/stats")]
async fn get_referral_link_stats(
    who: Manager<ReferralLinksRead>,
    app: App,
    id: web::Path<ReferralLinkId>,
    query: Query<StatisticsQuery>,
) -> Result<web::Json<LinkStatistics>> {
    let (account_id, range) = (who.account_id()?, query.0.range(app.clock.now())?);
    let read = move |conn: &mut _| {
        let link = service::find(conn, account_id, *id)?;
        report::read(conn, &link, range)
    };
    app.db.snapshot(read).await.map(web::Json)
}

/// QR code of a referral link.
///
/// The link's address as an SVG image.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "getReferralLinkQrCode",
    params(("linkId" = ReferralLinkId, Path, description = "Id of the referral link")),
    responses((status = 200, description = "The image", body = String, content_type = "image/svg+xml",
        example = json!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 33 33\">…</svg>"))),
    extensions(("x-accounts" = json!("manager")), ("x-conditional" = json!("read"))),
    security(("apiKey" = ["referralLinks:read"]))
)]
#[get("/{linkId}/qr.svg")]
async fn get_referral_link_qr_code(
    who: Manager<ReferralLinksRead>,
    app: App,
    id: web::Path<ReferralLinkId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let link = app.db.read(move |conn| service::find(conn, account_id, *id)).await?;
    let image = qr::svg(&link.url(&app.public_url))?;
    Ok(conditional_bytes(&request, "image/svg+xml", image.into_bytes()))
}
