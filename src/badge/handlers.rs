//! The operations on badges.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, web};
use url::form_urlencoded;

use super::embed::Badge;
use super::svg::{self, Theme};
use super::{behind_code, standing};
use crate::accounts;
use crate::auth::principal::{AccountRead, Partner};
use crate::error::{Error, Result};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{conditional, conditional_bytes};
use crate::referrals;
use crate::state::App;

/// Web sites need not ask again for an hour.
const CACHING: &str = "public, max-age=3600";

/// A picture that is opened by itself may style itself and do nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/badge").service(get_badge)).service(get_badge_image);
}

/// The badge.
///
/// Addresses of the partner's badge, and HTML and Markdown to embed it with a link that counts.
#[utoipa::path(
    tag = "Badge",
    operation_id = "getBadge",
    responses((status = 200, description = "The badge", body = Badge)),
    extensions(("x-accounts" = json!("partner")), ("x-conditional" = json!("read"))),
    security(("apiKey" = ["account:read"]))
)]
#[get("")]
async fn get_badge(who: Partner<AccountRead>, app: App, request: HttpRequest) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let read = move |conn: &mut _| {
        let link = referrals::service::default_link(conn, account_id)?;
        let partner = accounts::service::find(conn, account_id)?;
        Ok((link, standing(conn, &partner)?))
    };
    let (link, standing) = app.db.read(read).await?;
    conditional(&request, &Badge::new(&app.public_url, &link, standing))
}

/// A badge as an image.
///
/// An SVG that shows the partner's level, for the code of any of its enabled links. There is none for an agency, for a
/// blocked partner, and for an unknown or disabled code. Other query parameters, and other themes, are ignored.
#[utoipa::path(
    tag = "Badge",
    operation_id = "getBadgeImage",
    params(
        ("code" = String, Path, description = "The code of one of the partner's links, in any case", min_length = 4,
            max_length = 32, pattern = "^[A-Za-z0-9-]{4,32}$", example = "k3v9x0m2ab"),
        ("theme" = Option<String>, Query, description = "What it stands on: `light` or `dark`; light without it",
            example = "dark"),
    ),
    responses((status = 200, description = "The image", body = String, content_type = "image/svg+xml",
        example = json!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"248\" height=\"72\">…</svg>"))),
    extensions(("x-conditional" = json!("read"))),
    security(())
)]
#[get("/badge/{code}.svg")]
async fn get_badge_image(app: App, code: web::Path<String>, request: HttpRequest) -> Result<HttpResponse> {
    let standing = app.db.read(move |conn| behind_code(conn, &code)).await?.ok_or_else(Error::not_found)?;
    let image = svg::draw(&standing, theme_of(request.query_string()));
    let mut response = conditional_bytes(&request, "image/svg+xml", image.into_bytes());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHING));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

fn theme_of(query: &str) -> Theme {
    let wanted = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "theme");
    wanted.and_then(|(_, theme)| theme.parse().ok()).unwrap_or(Theme::Light)
}
