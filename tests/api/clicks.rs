//! Following a referral link: where it leads, what is counted, and that an answered click is kept.

use std::rc::Rc;

use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use stape_api::clock::Clock;
use stape_api::db::Db;
use stape_api::db::schema::{clicks, link_statistics, link_visitors, visitor_keys};
use stape_api::referrals::clicks::{forget_old, forget_past_days};

use crate::support::{Account, Answer, TestApp, both_engines, id};

both_engines!(
    a_blocked_managers_link_is_not_found,
    a_click_redirects_to_the_target_and_is_counted,
    a_target_that_is_no_longer_allowed_gives_way_to_the_default_one,
    an_answered_click_is_in_the_database,
    behind_a_trusted_proxy_each_address_is_a_visitor_and_nobody_else_can_forge_one,
    clicks_are_recorded_until_the_server_stops,
    codes_that_lead_nowhere_are_not_found,
    head_requests_and_bots_are_redirected_and_not_counted,
    no_address_is_kept_and_the_key_of_a_day_goes_with_it,
    nothing_in_a_request_redirects_elsewhere,
    old_clicks_go_and_their_counts_stay,
    sixty_four_clicks_at_once_are_counted_exactly,
    the_source_of_the_request_wins,
    two_servers_count_the_same_visitor_once,
    visitors_are_unique_within_a_day,
);

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";

async fn link(manager: &Account, body: &Value) -> Value {
    manager.login.post("/v3/referral-links", body).await.expect(201)
}

async fn follow(app: &TestApp, path: &str, user_agent: &str) -> Answer {
    app.visitor().request(Method::GET, path).header("user-agent", user_agent).send().await
}

/// Where an answer leads, as a URL.
fn target(answer: &Answer) -> url::Url {
    assert_eq!(answer.status, 302, "{}", answer.text);
    answer.header("location").parse().expect("an address")
}

fn parameters(target: &url::Url) -> Vec<(String, String)> {
    target.query_pairs().filter(|(name, _)| name != "click").map(|(name, value)| (name.into(), value.into())).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn counts(manager: &Account, link: &Value) -> (i64, i64) {
    let link = manager.login.get(&format!("/v3/referral-links/{}", id(link))).await.expect(200);
    (link["clicks"].as_i64().expect("a count"), link["uniqueVisitors"].as_i64().expect("a count"))
}

fn stored_clicks(db: &Db) -> i64 {
    db.read_blocking(|conn| Ok(clicks::table.count().get_result(conn)?)).expect("the clicks can be counted")
}

async fn a_click_redirects_to_the_target_and_is_counted(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    let code = default["code"].as_str().expect("a code");
    let answer = follow(app, &format!("/r/{code}"), BROWSER).await;
    let address = target(&answer);
    assert_eq!((address.host_str(), address.path()), (Some("stape.io"), "/"));
    assert_eq!(parameters(&address), pairs(&[("pt", code)]));
    let click = address.query_pairs().find(|(name, _)| name == "click").expect("a click id").1.into_owned();
    assert!(click.starts_with("clk_") && click.len() == 30, "{click}");
    assert_eq!((answer.header("cache-control"), answer.text.as_str()), ("no-store", ""));
    assert_eq!(counts(&agency, &default).await, (1, 1));
    let own = json!({"name": "a", "code": "spring-26", "source": "news letter",
        "targetUrl": "https://app.stape.io/a?x=1&pt=old&click=old&rs=old#top"});
    let own = link(&agency, &own).await;
    let answer = follow(app, "/r/SPRING-26?utm_source=ignored&x=2", BROWSER).await;
    let address = target(&answer);
    assert_eq!((address.host_str(), address.path(), address.fragment()), (Some("app.stape.io"), "/a", Some("top")));
    assert_eq!(parameters(&address), pairs(&[("x", "1"), ("pt", "spring-26"), ("rs", "news letter")]));
    assert_eq!((counts(&agency, &own).await, counts(&agency, &default).await), ((1, 1), (1, 1)));
}

async fn the_source_of_the_request_wins(app: &TestApp) {
    let agency = app.agency().await;
    link(&agency, &json!({"name": "a", "code": "src-1", "source": "own"})).await;
    let long = "x".repeat(101);
    for (query, source) in [
        ("", "own"),
        ("?rs=", "own"),
        ("?rs=mail", "mail"),
        ("?rs=mail&rs=other", "mail"),
        ("?rs=%C3%A4%20%26b", "ä &b"),
        ("?rs=%0d%0aLocation:%20https://evil.example/", "own"),
        ("?rs=%00", "own"),
        (&format!("?rs={long}"), "own"),
        ("?rs=%ff", "\u{fffd}"),
    ] {
        let address = target(&follow(app, &format!("/r/src-1{query}"), BROWSER).await);
        assert_eq!(parameters(&address), pairs(&[("pt", "src-1"), ("rs", source)]), "{query}");
    }
    let kept: Vec<Option<String>> = app
        .database
        .connect()
        .read_blocking(|conn| Ok(clicks::table.order(clicks::id).select(clicks::source).load(conn)?))
        .expect("the sources can be read");
    assert_eq!((kept.len(), kept[2].as_deref(), kept[4].as_deref()), (9, Some("mail"), Some("ä &b")));
}

async fn nothing_in_a_request_redirects_elsewhere(app: &TestApp) {
    let agency = app.agency().await;
    link(&agency, &json!({"name": "a", "code": "safe-1"})).await;
    for query in [
        "url=https://evil.example/",
        "targetUrl=//evil.example",
        "next=//evil.example",
        "pt=evil",
        "click=evil",
        "rs=//evil.example",
        "rs=%0d%0aLocation:%20//evil.example",
        "rs=x%26pt=evil",
        "rs=%23evil",
        "redirect=%5C%5Cevil",
        "%0d%0aSet-Cookie:%20a=b",
        "rs=%E2%80%AEevil",
        "&&&===",
        "rs=a;pt=b",
        "rs[]=x",
    ] {
        let answer = app.visitor().request(Method::GET, &format!("/r/safe-1?{query}"));
        let answer = answer.header("host", "evil.example").header("x-forwarded-host", "evil.example").send().await;
        let address = target(&answer);
        assert_eq!((address.scheme(), address.host_str(), address.path()), ("https", Some("stape.io"), "/"), "{query}");
        assert_eq!(address.query_pairs().filter(|(name, _)| name == "pt").count(), 1, "{query}");
        assert_eq!(address.query_pairs().find(|(name, _)| name == "pt").expect("pt").1, "safe-1");
        assert!(address.fragment().is_none() && answer.headers.get("set-cookie").is_none(), "{query}");
    }
}

async fn codes_that_lead_nowhere_are_not_found(app: &TestApp) {
    let agency = app.agency().await;
    let disabled = link(&agency, &json!({"name": "a", "code": "ended-1"})).await;
    app.click(&disabled).await;
    let path = format!("/v3/referral-links/{}", id(&disabled));
    agency.login.patch(&path, &json!({"enabled": false})).await.expect(200);
    let long = "x".repeat(4000);
    for code in [
        "ended-1",
        "ENDED-1",
        "unheard-of",
        "abc",
        "a",
        &"x".repeat(33),
        &long,
        "a_b_c",
        "ab%20cd",
        "%00%00%00%00",
        "..%2f..%2fetc",
        "%ff%fe%fd%fc",
        "ended-1%0d%0a",
        "%E2%80%AEabcd",
        "..;",
        "'--",
        "ended-1/",
        "ended-1/x",
    ] {
        app.visitor().get(&format!("/r/{code}")).await.problem("notFound");
        assert_eq!(app.visitor().head(&format!("/r/{code}")).await.status, 404, "{code}");
    }
    app.visitor().get("/r/").await.problem("notFound");
    app.visitor().post("/r/ended-1", &json!({})).await.problem("methodNotAllowed");
    assert_eq!(counts(&agency, &disabled).await, (1, 1));
    agency.login.patch(&path, &json!({"enabled": true})).await.expect(200);
    app.click(&disabled).await;
    // A code that was looked for in vain works as soon as it is somebody's.
    let late = link(&agency, &json!({"name": "b", "code": "unheard-of"})).await;
    app.click(&late).await;
    assert_eq!((counts(&agency, &disabled).await, counts(&agency, &late).await), ((2, 1), (1, 1)));
}

async fn a_blocked_managers_link_is_not_found(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    app.click(&default).await;
    let path = format!("/r/{}", default["code"].as_str().expect("a code"));
    let account = format!("/v3/operator/accounts/{}", agency.id);
    app.operator().await.post(&format!("{account}/block"), &json!({"reason": "fraud"})).await.expect(200);
    app.visitor().get(&path).await.problem("notFound");
    app.operator().await.post_nothing(&format!("{account}/unblock")).await.expect(200);
    assert_eq!(app.visitor().get(&path).await.status, 302);
}

async fn head_requests_and_bots_are_redirected_and_not_counted(app: &TestApp) {
    let agency = app.agency().await;
    let own = link(&agency, &json!({"name": "a", "code": "bots-1", "source": "s"})).await;
    let head = app.visitor().request(Method::HEAD, "/r/bots-1").header("user-agent", BROWSER).send().await;
    let mut answers = vec![head];
    for bot in [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "facebookexternalhit/1.1",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "WhatsApp/2.23.20.0",
    ] {
        answers.push(follow(app, "/r/bots-1", bot).await);
    }
    for answer in answers {
        let address = target(&answer);
        assert_eq!(address.query(), Some("pt=bots-1&rs=s"));
    }
    assert_eq!((counts(&agency, &own).await, stored_clicks(&app.database.connect())), ((0, 0), 0));
}

async fn visitors_are_unique_within_a_day(app: &TestApp) {
    let agency = app.agency().await;
    let (one, two) = (app.default_link(&agency).await, link(&agency, &json!({"name": "a", "code": "two-2"})).await);
    let path = |link: &Value| format!("/r/{}", link["code"].as_str().expect("a code"));
    for user_agent in [BROWSER, BROWSER, "Another/1.0", BROWSER] {
        follow(app, &path(&one), user_agent).await;
    }
    follow(app, &path(&two), BROWSER).await;
    assert_eq!((counts(&agency, &one).await, counts(&agency, &two).await), ((4, 2), (1, 1)));
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    follow(app, &path(&one), BROWSER).await;
    assert_eq!(counts(&agency, &one).await, (5, 3));
}

async fn behind_a_trusted_proxy_each_address_is_a_visitor_and_nobody_else_can_forge_one(app: &TestApp) {
    let agency = app.agency().await;
    let (one, two) = (app.default_link(&agency).await, link(&agency, &json!({"name": "a", "code": "two-2"})).await);
    let follow_from = async |server: &TestApp, link: &Value, named: &str| {
        let path = format!("/r/{}", link["code"].as_str().expect("a code"));
        let request = server.visitor().request(Method::GET, &path).header("user-agent", BROWSER);
        target(&request.header("x-forwarded-for", named).send().await);
    };
    for named in ["192.0.2.1", "192.0.2.2", "203.0.113.9, 192.0.2.3", "2001:db8::1"] {
        follow_from(app, &one, named).await;
    }
    assert_eq!(counts(&agency, &one).await, (4, 1), "nobody is believed who is no trusted proxy");
    let trusting = TestApp::start_with(&app.database, |settings| {
        settings.trusted_proxies = "127.0.0.1, 10.0.0.0/8".parse().expect("proxies");
    })
    .await;
    for named in ["192.0.2.1", "192.0.2.2", "192.0.2.1, 10.0.0.1", "192.0.2.2"] {
        follow_from(&trusting, &two, named).await;
    }
    assert_eq!(counts(&agency, &two).await, (4, 2), "each address that the proxy names is a visitor");
    // What a visitor puts before the proxy's own word makes nobody else of it.
    for named in ["198.51.100.7, 192.0.2.1", "10.9.9.9, 192.0.2.1", "198.51.100.8, 192.0.2.2, 10.0.0.1"] {
        follow_from(&trusting, &two, named).await;
    }
    assert_eq!(counts(&agency, &two).await, (7, 2));
    trusting.stop().await;
}

async fn sixty_four_clicks_at_once_are_counted_exactly(app: &TestApp) {
    let agency = app.agency().await;
    let links = [app.default_link(&agency).await, link(&agency, &json!({"name": "a", "code": "busy-1"})).await];
    for _round in 0..4 {
        let clicks = (0..64).map(|number| {
            let path = format!("/r/{}", links[number % 2]["code"].as_str().expect("a code"));
            async move { follow(app, &path, &format!("Visitor/{}", number / 4)).await.status }
        });
        let statuses = futures_util::future::join_all(clicks).await;
        assert!(statuses.iter().all(|status| *status == 302), "{statuses:?}");
    }
    for link in &links {
        assert_eq!(counts(&agency, link).await, (128, 16));
    }
    assert_eq!(stored_clicks(&app.database.connect()), 256);
}

async fn an_answered_click_is_in_the_database(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    let db = app.database.connect();
    for number in 1..=5 {
        let click = app.click(&default).await;
        let stored: Vec<String> = db
            .read_blocking(|conn| Ok(clicks::table.order(clicks::id.desc()).select(clicks::id).load(conn)?))
            .expect("the clicks can be read");
        assert_eq!((stored.len(), format!("clk_{}", stored[0])), (number, click));
    }
}

async fn clicks_are_recorded_until_the_server_stops(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    let second = TestApp::start(&app.database).await;
    let path = format!("/r/{}", default["code"].as_str().expect("a code"));
    let visitor = second.visitor();
    let clicks = async {
        let mut answered = 0;
        for _ in 0..50 {
            answered += i64::from(visitor.request(Method::GET, &path).try_send().await == Some(302));
        }
        answered
    };
    let stop = async {
        tokio::task::yield_now().await;
        second.stop().await;
    };
    let (answered, ()) = futures_util::future::join(clicks, stop).await;
    assert_eq!(stored_clicks(&app.database.connect()), answered);
}

async fn two_servers_count_the_same_visitor_once(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    let second = TestApp::start(&app.database).await;
    let path = format!("/r/{}", default["code"].as_str().expect("a code"));
    let clicks = (0..40).map(|number| {
        let (server, path) = (if number % 2 == 0 { app } else { &second }, &path);
        async move { follow(server, path, &format!("Visitor/{}", number / 10)).await.status }
    });
    let statuses = futures_util::future::join_all(clicks).await;
    assert!(statuses.iter().all(|status| *status == 302), "{statuses:?}");
    assert_eq!(counts(&agency, &default).await, (40, 4));
    second.stop().await;
}

async fn a_target_that_is_no_longer_allowed_gives_way_to_the_default_one(app: &TestApp) {
    let agency = app.agency().await;
    let operator = app.operator().await;
    let path = "/v3/operator/program";
    let program = operator.get(path).await;
    let (tag, mut body) = (program.header("etag").to_owned(), program.expect(200));
    body["allowedReferralHosts"] = json!(["stape.io", "partner.example"]);
    let answer = operator.request(Method::PUT, path).header("if-match", &tag).json(&body).send().await;
    let tag = answer.header("etag").to_owned();
    answer.expect(200);
    let target_url = "https://www.partner.example/offer";
    link(&agency, &json!({"name": "a", "code": "offer-1", "targetUrl": target_url})).await;
    assert_eq!(target(&follow(app, "/r/offer-1", BROWSER).await).host_str(), Some("www.partner.example"));
    body["allowedReferralHosts"] = json!(["stape.io"]);
    operator.request(Method::PUT, path).header("if-match", &tag).json(&body).send().await.expect(200);
    assert_eq!(target(&follow(app, "/r/offer-1", BROWSER).await).host_str(), Some("stape.io"));
}

async fn no_address_is_kept_and_the_key_of_a_day_goes_with_it(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    app.click(&default).await;
    let db = Rc::new(app.database.connect());
    let keys = || {
        let read = |conn: &mut _| Ok(visitor_keys::table.select(visitor_keys::key).load::<Vec<u8>>(conn)?);
        db.read_blocking(read).expect("the keys can be read")
    };
    let visitors =
        || db.read_blocking(|conn| Ok(link_visitors::table.count().get_result::<i64>(conn)?)).expect("visitors");
    let forget = |now: &str| {
        let clock = Clock::standing_at(now.parse().expect("a time"));
        while forget_past_days(&db, &clock).expect("past days can be forgotten") > 0 {}
    };
    let hashes: Vec<Vec<u8>> = db
        .read_blocking(|conn| Ok(clicks::table.select(clicks::visitor_hash).load(conn)?))
        .expect("the hashes can be read");
    assert_eq!((keys()[0].len(), hashes[0].len(), visitors()), (32, 32, 1));
    forget("2026-01-01T23:59:00Z");
    assert_eq!((keys().len(), visitors()), (1, 1));
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    app.click(&default).await;
    // A click of the last moments of a day may still be on its way.
    forget("2026-01-02T00:05:00Z");
    assert_eq!(keys().len(), 2);
    forget("2026-01-02T00:15:00Z");
    assert_eq!((keys().len(), visitors()), (1, 1));
    assert_eq!(counts(&agency, &default).await, (2, 2));
}

async fn old_clicks_go_and_their_counts_stay(app: &TestApp) {
    let agency = app.agency().await;
    let default = app.default_link(&agency).await;
    app.click(&default).await;
    app.move_clock("2027-02-01T00:00:00.000Z").await;
    app.click(&default).await;
    let db = app.database.connect();
    let forget = |now: &str| {
        let clock = Clock::standing_at(now.parse().expect("a time"));
        while forget_old(&db, &clock).expect("old clicks can be forgotten") > 0 {}
    };
    forget("2027-02-05T00:00:00Z");
    assert_eq!(stored_clicks(&db), 2);
    forget("2027-02-05T00:00:01Z");
    assert_eq!(stored_clicks(&db), 1);
    app.move_clock("2027-02-06T00:00:00.000Z").await;
    assert_eq!(counts(&agency, &default).await, (2, 2));
    let rows: i64 = db.read_blocking(|conn| Ok(link_statistics::table.count().get_result(conn)?)).expect("statistics");
    assert_eq!(rows, 3);
}
