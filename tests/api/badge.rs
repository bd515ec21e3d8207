//! The partner's badge: the picture, how it may be kept, and what embeds it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Account, Answer, TestApp, both_engines, id};

both_engines!(
    a_badge_may_be_kept_and_is_not_sent_again,
    a_badge_shows_the_present_level,
    a_partner_gets_what_it_needs_to_embed_its_badge,
    a_badge_is_drawn_light_or_dark,
    a_levels_name_cannot_leave_the_picture,
    only_partners_have_a_badge,
    there_is_no_badge_of_a_link_that_does_not_work,
);

async fn image(app: &TestApp, manager: &Account, query: &str) -> Answer {
    let code = app.default_link(manager).await["code"].as_str().expect("a code").to_owned();
    app.visitor().get(&format!("/badge/{code}.svg{query}")).await
}

/// The path of an address of this server.
fn path(app: &TestApp, url: &Value) -> String {
    url.as_str().expect("an address").strip_prefix(app.address.as_str()).expect("this server").to_owned()
}

async fn a_partner_gets_what_it_needs_to_embed_its_badge(app: &TestApp) {
    let partner = app.partner().await;
    let link = app.default_link(&partner).await;
    let answer = partner.login.get("/v3/badge").await;
    let tag = answer.header("etag").to_owned();
    let badge = answer.expect(200);
    assert_eq!((&badge["level"], &badge["levelName"]), (&json!(1), &json!("Partner")));
    assert_eq!(badge["linkUrl"], link["url"]);
    for theme in ["light", "dark"] {
        let answer = app.visitor().get(&path(app, &badge["urls"][theme])).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/svg+xml"));
    }
    for (field, form) in [("html", "alt=\"Stape Partner\""), ("markdown", "[![Stape Partner](")] {
        let text = badge[field].as_str().expect("a text");
        assert!(text.contains(form), "{text}");
        for url in [&badge["urls"]["light"], &link["url"]] {
            assert!(text.contains(url.as_str().expect("an address")), "{text}");
        }
    }
    assert_eq!(partner.login.request(Method::GET, "/v3/badge").header("if-none-match", &tag).send().await.status, 304);
}

async fn a_badge_is_drawn_light_or_dark(app: &TestApp) {
    let partner = app.partner().await;
    let light = image(app, &partner, "").await;
    assert_eq!((light.status, light.header("content-type")), (200, "image/svg+xml"));
    for part in ["role=\"img\"", "<title id=\"title\">Stape Partner</title>", "<desc id=\"description\">Level 1 of"] {
        assert!(light.text.contains(part), "{part}: {}", light.text);
    }
    assert!(light.header("content-security-policy").contains("default-src 'none'"));
    for same in ["?theme=light", "?theme=pink", "?theme=", "?x=1&theme=LIGHT", "?%00"] {
        assert_eq!(image(app, &partner, same).await.text, light.text, "{same}");
    }
    let dark = image(app, &partner, "?theme=dark&x=1").await;
    assert!(dark.status == 200 && dark.text != light.text);
}

async fn a_badge_may_be_kept_and_is_not_sent_again(app: &TestApp) {
    let partner = app.partner().await;
    let answer = image(app, &partner, "").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    let code = app.default_link(&partner).await["code"].as_str().expect("a code").to_uppercase();
    let path = format!("/badge/{code}.svg");
    let again = app.visitor().request(Method::GET, &path).header("if-none-match", &tag).send().await;
    assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
    assert_eq!(again.header("cache-control"), "public, max-age=3600");
    let head = app.visitor().head(&path).await;
    assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", tag.as_str()));
    let dark =
        app.visitor().request(Method::GET, &format!("{path}?theme=dark")).header("if-none-match", &tag).send().await;
    assert_eq!(dark.status, 200);
}

async fn only_partners_have_a_badge(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    image(app, &agency, "").await.problem("notFound");
    agency.login.get("/v3/badge").await.problem("notPartner");
    client.login.get("/v3/badge").await.problem("wrongAccountKind");
    app.visitor().get("/v3/badge").await.problem("authenticationRequired");
    app.reach_threshold(&agency).await;
    app.become_partner(&agency).await;
    assert_eq!(image(app, &agency, "").await.status, 200);
    let key = app.api_key(&agency, &["referralLinks:read"]).await;
    key.get("/v3/badge").await.problem("insufficientScope");
}

async fn there_is_no_badge_of_a_link_that_does_not_work(app: &TestApp) {
    let partner = app.partner().await;
    for code in ["unheard-of", "x", "%00%00%00%00", "a%2fb%2fc", &"x".repeat(2000)] {
        app.visitor().get(&format!("/badge/{code}.svg")).await.problem("notFound");
    }
    for path in ["/badge/abcd", "/badge/abcd.png", "/badge/.svg"] {
        app.visitor().get(path).await.problem("notFound");
    }
    let link = partner.login.post("/v3/referral-links", &json!({"name": "a", "code": "badge-1"})).await.expect(201);
    assert_eq!(app.visitor().get("/badge/badge-1.svg").await.status, 200);
    let disable = json!({"enabled": false});
    partner.login.patch(&format!("/v3/referral-links/{}", id(&link)), &disable).await.expect(200);
    app.visitor().get("/badge/badge-1.svg").await.problem("notFound");
    let path = format!("/badge/{}.svg", app.default_link(&partner).await["code"].as_str().expect("a code"));
    let block = format!("/v3/operator/accounts/{}/block", partner.id);
    app.operator().await.post(&block, &json!({"reason": "fraud"})).await.expect(200);
    app.visitor().get(&path).await.problem("notFound");
}

async fn a_badge_shows_the_present_level(app: &TestApp) {
    let partner = app.partner().await;
    let before = image(app, &partner, "").await;
    let body = json!({"level": 3, "reason": "agreed"});
    app.operator().await.patch(&format!("/v3/operator/partners/{}", partner.id), &body).await.expect(200);
    let after = image(app, &partner, "").await;
    assert!(after.text.contains("Stape Elite Partner") && after.text.contains(">Elite</text>"), "{}", after.text);
    assert_ne!(after.header("etag"), before.header("etag"));
    let badge = partner.login.get("/v3/badge").await.expect(200);
    assert_eq!((&badge["level"], &badge["levelName"]), (&json!(3), &json!("Elite")));
    assert!(badge["html"].to_string().contains("Stape Elite Partner"));
}

async fn a_levels_name_cannot_leave_the_picture(app: &TestApp) {
    let partner = app.partner().await;
    let operator = app.operator().await;
    let program = operator.get("/v3/operator/program").await;
    let (tag, mut body) = (program.header("etag").to_owned(), program.expect(200));
    body["levels"][0]["name"] = json!("<b onload=\"x\">](y) & 'z'");
    let request = operator.request(Method::PUT, "/v3/operator/program").header("if-match", &tag);
    request.json(&body).send().await.expect(200);
    let drawn = image(app, &partner, "").await.text;
    assert!(!drawn.contains("<b ") && drawn.contains("&lt;b onload=&quot;x&quot;&gt;"), "{drawn}");
    let badge = partner.login.get("/v3/badge").await.expect(200);
    for field in ["html", "markdown"] {
        assert!(!badge[field].as_str().expect("a text").contains("<b "), "{badge:#}");
    }
    assert!(!badge["markdown"].as_str().expect("a text").contains("](y)"), "{badge:#}");
}
