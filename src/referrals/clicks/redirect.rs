//! The address of a link: 302 to its target.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue, LOCATION, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, get, web};
use url::form_urlencoded;

use super::bots::is_bot;
use super::collector::Click;
use crate::error::{Error, Result};
use crate::http::address::client_key;
use crate::http::came_as_head;
use crate::http::routes::ServiceConfig;
use crate::id::ClickId;
use crate::state::App;

/// Longest source that a request may bring, in characters: as long as a link's own.
const MAX_SOURCE_CHARS: usize = 100;

/// So much of a user agent tells visitors apart.
const MAX_USER_AGENT_BYTES: usize = 512;

/// Registers the operation.
pub fn routes(config: &mut ServiceConfig) {
    config.service(follow_referral_link);
}

/// Follow a referral link.
///
/// Redirects to the link's target with `pt` (the code), `rs` (the source, if there is one) and `click` (the click's id, for
/// `clickId` of a sign-up), in place of such parameters of the target. The click is recorded durably before the answer; known
/// bots and HEAD requests are redirected without `click` and not counted. Nothing in the request changes where it leads to.
/// Other query parameters are ignored, and so is a source that is longer than 100 characters or not one line.
#[utoipa::path(
    tag = "Referral links",
    operation_id = "followReferralLink",
    params(
        ("code" = String, Path, description = "The link's code, in any case", min_length = 4, max_length = 32,
            pattern = "^[A-Za-z0-9-]{4,32}$", example = "k3v9x0m2ab"),
        ("rs" = Option<String>, Query, description = "A source instead of the link's own", example = "newsletter"),
    ),
    responses(
        (status = 200, description = "No answer of this API: what the target itself answers to a client that follows the redirect"),
        (status = 302, description = "The target", headers(("Location" = String, description = "Where the link leads"))),
        (status = 404, description = "There is no such link, or it does not work any more"),
    ),
    security(())
)]
#[get("/r/{code}")]
async fn follow_referral_link(app: App, code: web::Path<String>, request: HttpRequest) -> Result<HttpResponse> {
    let destination = app.clicks.destination(&code).await?.ok_or_else(Error::not_found)?;
    let link = destination.link();
    let source = source_of(request.query_string()).or_else(|| link.source.clone());
    let user_agent = user_agent(&request);
    let mut click_id = None;
    if !came_as_head(&request) && !is_bot(&user_agent) {
        let created_at = app.clock.now();
        let click = Click {
            account_id: link.account_id,
            link_id: link.link_id,
            id: ClickId::new(created_at),
            source: source.clone(),
            peer: client_key(&app, &request),
            user_agent,
            created_at,
        };
        click_id = Some(click.id);
        app.clicks.record(click).await?;
    }
    let address = destination.address(source.as_deref(), click_id);
    Ok(HttpResponse::Found().insert_header((LOCATION, address)).insert_header((CACHE_CONTROL, "no-store")).finish())
}

/// The source that a request brings, if it can be one.
fn source_of(query: &str) -> Option<String> {
    let (_, source) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "rs")?;
    let trimmed = source.trim();
    let fits = (1..=MAX_SOURCE_CHARS).contains(&trimmed.chars().count()) && !source.chars().any(char::is_control);
    fits.then(|| trimmed.to_owned())
}

fn user_agent(request: &HttpRequest) -> String {
    let sent = request.headers().get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let start = sent.get(..MAX_USER_AGENT_BYTES).unwrap_or(sent);
    String::from_utf8_lossy(start).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_line_of_1_to_100_characters() {
        assert_eq!(source_of("a=1&rs=news+letter&rs=other").as_deref(), Some("news letter"));
        assert_eq!(source_of("rs=%C3%A4").as_deref(), Some("ä"));
        let long = format!("rs={}", "x".repeat(101));
        for none in ["", "rs", "rs=", "rs=+", "rs=a%0D%0ALocation:x", "rs=%00", "RS=a", &long] {
            assert_eq!(source_of(none), None, "{none}");
        }
    }
}
