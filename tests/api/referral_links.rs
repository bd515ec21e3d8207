//! Referral links: what a manager makes and changes, what came of a link, its QR code.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Account, TestApp, both_engines, feed, id, payment, places, refund, usd};

both_engines!(
    a_bad_range_of_days_is_refused,
    a_code_belongs_to_one_link_for_ever,
    a_link_is_changed_by_merge_patch,
    a_link_is_made_with_a_code_of_its_own_or_by_chance,
    a_manager_has_a_default_link_from_the_start,
    a_qr_code_is_an_image_with_a_title,
    a_repeated_creation_happens_once,
    a_stale_change_is_refused_and_a_click_is_no_change,
    a_target_is_on_an_allowed_host,
    an_account_has_at_most_100_links,
    another_managers_link_is_not_found,
    every_broken_rule_of_a_link_is_named_at_once,
    of_two_links_at_once_one_gets_the_code,
    only_managers_with_the_scope_have_links,
    statistics_show_every_day_and_their_sum,
    the_default_link_cannot_be_disabled,
    what_sign_ups_bring_is_shown_by_day,
);

const PATH: &str = "/v3/referral-links";

async fn create(app: &TestApp, manager: &Account, body: &Value) -> Value {
    let answer = manager.login.post(PATH, body).await;
    let location = answer.header("location").to_owned();
    let link = answer.expect(201);
    assert_eq!(location, path_of(&link));
    assert_eq!(link["url"], format!("{}/r/{}", app.address, link["code"].as_str().expect("a code")));
    link
}

fn path_of(link: &Value) -> String {
    format!("{PATH}/{}", id(link))
}

async fn a_manager_has_a_default_link_from_the_start(app: &TestApp) {
    let agency = app.agency().await;
    let links = agency.login.list(PATH).await;
    let [link] = links.as_slice() else { panic!("{links:?}") };
    let code = link["code"].as_str().expect("a code");
    let expected = json!({
        "id": id(link), "code": code, "name": "Default", "source": null, "targetUrl": null,
        "url": format!("{}/r/{code}", app.address), "isDefault": true, "enabled": true, "clicks": 0, "uniqueVisitors": 0,
        "signUps": 0, "payingClients": 0, "createdAt": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!((link, &agency.login.get(&path_of(link)).await.expect(200)), (&expected, &expected));
    assert!(id(link).starts_with("lnk_") && (4..=32).contains(&code.len()), "{link:#}");
}

async fn a_link_is_made_with_a_code_of_its_own_or_by_chance(app: &TestApp) {
    let agency = app.agency().await;
    let target = "https://app.stape.io/pricing?plan=pro#top";
    let wanted = json!({"name": " Newsletter ", "source": "news", "targetUrl": target, "code": "Ann-2026"});
    let link = create(app, &agency, &wanted).await;
    assert_eq!((&link["code"], &link["name"]), (&json!("ann-2026"), &json!("Newsletter")));
    assert_eq!((&link["source"], &link["targetUrl"]), (&json!("news"), &json!(target)));
    assert_eq!((&link["isDefault"], &link["enabled"]), (&json!(false), &json!(true)));
    let other = create(app, &agency, &json!({"name": "x", "source": null, "targetUrl": null, "code": null})).await;
    assert_ne!(other["code"], link["code"]);
    let listed = agency.login.list(PATH).await;
    assert_eq!((listed.len(), &listed[0], &listed[1]), (3, &other, &link));
    let page = agency.login.get(&format!("{PATH}?limit=2")).await.expect(200);
    assert_eq!((page["data"][1].clone(), &page["hasMore"]), (link.clone(), &json!(true)));
    let events = feed(&agency.login).await;
    assert!(events.contains(&("referralLink.created".to_owned(), id(&link))), "{events:?}");
    let log = agency.login.list("/v3/audit-log").await;
    let entry = log.iter().find(|entry| entry["resourceId"] == link["id"]).expect("an entry");
    assert_eq!((&entry["action"], &entry["details"]["code"]), (&json!("referralLink.created"), &json!("ann-2026")));
}

async fn a_code_belongs_to_one_link_for_ever(app: &TestApp) {
    let (one, two) = (app.agency().await, app.agency().await);
    let link = create(app, &one, &json!({"name": "a", "code": "taken-1"})).await;
    for manager in [&one, &two] {
        let problem = manager.login.post(PATH, &json!({"name": "b", "code": "TAKEN-1"})).await;
        assert_eq!(places(&problem.problem("referralCodeTaken")), ["/code"]);
    }
    one.login.patch(&path_of(&link), &json!({"enabled": false})).await.expect(200);
    two.login.post(PATH, &json!({"name": "b", "code": "taken-1"})).await.problem("referralCodeTaken");
    let default = app.default_link(&one).await;
    two.login.post(PATH, &json!({"name": "b", "code": default["code"]})).await.problem("referralCodeTaken");
}

async fn of_two_links_at_once_one_gets_the_code(app: &TestApp) {
    let (one, two) = (app.agency().await, app.agency().await);
    for round in 0..5 {
        let body = json!({"name": "race", "code": format!("race-{round}")});
        let (first, second) =
            futures_util::future::join(one.login.post(PATH, &body), two.login.post(PATH, &body)).await;
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
}

async fn every_broken_rule_of_a_link_is_named_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let wrong = json!({"name": " ", "source": "a\nb", "code": "a_b"});
    let problem = agency.login.post(PATH, &wrong).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/code", "/name", "/source"]);
    for code in ["", "abc", &"x".repeat(33), "ab cd", "äbcd", "ab/cd", "abcd\n"] {
        let problem = agency.login.post(PATH, &json!({"name": "a", "code": code})).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/code"], "{code:?}");
    }
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": "x".repeat(101)}), "/name"),
        (json!({"name": "a", "source": "x".repeat(101)}), "/source"),
        (json!({"name": "a", "source": ""}), "/source"),
        (json!({"name": "a", "url": "x"}), "/url"),
        (json!({"name": "a", "code": 1234}), "/code"),
    ] {
        let problem = agency.login.post(PATH, &body).await.problem("validationFailed");
        assert_eq!(places(&problem), [pointer]);
    }
    let link = path_of(&app.default_link(&agency).await);
    for (body, pointer) in [
        (json!({"name": null}), "/name"),
        (json!({"enabled": null}), "/enabled"),
        (json!({"enabled": "yes"}), "/enabled"),
        (json!({"code": "another"}), "/code"),
        (json!({"source": "\u{7f}"}), "/source"),
    ] {
        let problem = agency.login.patch(&link, &body).await.problem("validationFailed");
        assert_eq!(places(&problem), [pointer]);
    }
    assert_eq!(agency.login.list(PATH).await.len(), 1);
}

async fn a_target_is_on_an_allowed_host(app: &TestApp) {
    let agency = app.agency().await;
    let link = path_of(&app.default_link(&agency).await);
    let long = format!("https://stape.io/{}", "x".repeat(2000));
    for target in [
        "",
        "x",
        "/pricing",
        "//stape.io/",
        "http://stape.io/",
        "ftp://stape.io/",
        "javascript:alert(1)",
        "https://evil.example/",
        "https://evilstape.io/",
        "https://stape.io.evil.example/",
        "https://stape.io@evil.example/",
        "https://ann@stape.io/",
        "https://ann:pass@stape.io/",
        "https://st\nape.io/",
        " https://stape.io/",
        "https://127.0.0.1/",
        "https://evil.example\\@stape.io/",
        "https:\\\\evil.example/stape.io",
        // Of all these the standard's parser says that the host is stape.io; others say otherwise.
        "https://stape.io\\@evil.example/",
        "https://stape.io\\.evil.example/",
        "https://stape.io/\\evil.example",
        "https:\\\\stape.io/",
        "https:/stape.io/",
        "https:stape.io/",
        "https:///stape.io/",
        "https://ſtape.io/",
        "https://stape。io/",
        "https://st%61pe.io/",
        "https://stape.io./",
        &long,
    ] {
        let body = json!({"name": "a", "targetUrl": target});
        assert_eq!(
            places(&agency.login.post(PATH, &body).await.problem("validationFailed")),
            ["/targetUrl"],
            "{target:?}"
        );
        let problem = agency.login.patch(&link, &json!({"targetUrl": target})).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/targetUrl"]);
    }
    for target in ["https://stape.io", "https://blog.stape.io/a?b=c#d", "HTTPS://STAPE.io:443/@a"] {
        let changed = agency.login.patch(&link, &json!({"targetUrl": target})).await.expect(200);
        assert_eq!(changed["targetUrl"], target);
    }
}

async fn a_link_is_changed_by_merge_patch(app: &TestApp) {
    let agency = app.agency().await;
    let link = create(app, &agency, &json!({"name": "a", "source": "s", "targetUrl": "https://stape.io/a"})).await;
    let path = path_of(&link);
    let events = feed(&agency.login).await.len();
    assert_eq!(agency.login.patch(&path, &json!({})).await.expect(200), link);
    assert_eq!(agency.login.patch(&path, &json!({"name": "a", "enabled": true})).await.expect(200), link);
    assert_eq!(feed(&agency.login).await.len(), events);
    let changed =
        agency.login.patch(&path, &json!({"name": " b ", "source": null, "enabled": false})).await.expect(200);
    let mut expected = link.clone();
    expected["name"] = json!("b");
    expected["source"] = Value::Null;
    expected["enabled"] = json!(false);
    assert_eq!((&changed, agency.login.get(&path).await.expect(200)), (&expected, expected.clone()));
    assert_eq!(feed(&agency.login).await.last(), Some(&("referralLink.updated".to_owned(), id(&link))));
    let again = agency.login.patch(&path, &json!({"enabled": true, "targetUrl": null})).await.expect(200);
    assert_eq!((&again["enabled"], &again["targetUrl"]), (&json!(true), &Value::Null));
}

async fn the_default_link_cannot_be_disabled(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    agency.login.patch(&path_of(&link), &json!({"enabled": false})).await.problem("defaultReferralLink");
    let changed = agency.login.patch(&path_of(&link), &json!({"enabled": true, "name": "Main"})).await.expect(200);
    assert_eq!(changed["name"], "Main");
}

async fn another_managers_link_is_not_found(app: &TestApp) {
    let (one, two) = (app.agency().await, app.agency().await);
    let link = path_of(&app.default_link(&one).await);
    let missing = format!("{PATH}/lnk_01KB0H6Q4N7ZJ8R5T3V9WXY2AC");
    for path in [link, missing, format!("{PATH}/x"), format!("{PATH}/{}", one.id)] {
        two.login.get(&path).await.problem("notFound");
        two.login.patch(&path, &json!({"name": "mine"})).await.problem("notFound");
        two.login.get(&format!("{path}/stats")).await.problem("notFound");
        two.login.get(&format!("{path}/qr.svg")).await.problem("notFound");
    }
}

async fn only_managers_with_the_scope_have_links(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let link = path_of(&app.default_link(&agency).await);
    client.login.get(PATH).await.problem("wrongAccountKind");
    client.login.post(PATH, &json!({"name": "a"})).await.problem("wrongAccountKind");
    app.operator().await.get(PATH).await.problem("wrongAccountKind");
    let reader = app.api_key(&agency, &["referralLinks:read"]).await;
    for path in [PATH.to_owned(), link.clone(), format!("{link}/stats"), format!("{link}/qr.svg")] {
        reader.get(&path).await.expect(200);
        app.visitor().get(&path).await.problem("authenticationRequired");
    }
    reader.post(PATH, &json!({"name": "a"})).await.problem("insufficientScope");
    reader.patch(&link, &json!({"name": "a"})).await.problem("insufficientScope");
}

async fn a_stale_change_is_refused_and_a_click_is_no_change(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let path = path_of(&link);
    let get = |tag: String| agency.login.request(Method::GET, &path).header("if-none-match", &tag).send();
    let rename = |tag: String, name: &'static str| {
        agency.login.request(Method::PATCH, &path).header("if-match", &tag).json(&json!({"name": name})).send()
    };
    let tag = agency.login.get(&path).await.header("etag").to_owned();
    assert_eq!(get(tag.clone()).await.status, 304);
    app.click(&link).await;
    let seen = get(tag.clone()).await;
    let counted = seen.header("etag").to_owned();
    assert_eq!((seen.expect(200)["clicks"].clone(), counted == tag), (json!(1), false));
    let answer = rename(tag.clone(), "one").await;
    let changed = answer.header("etag").to_owned();
    answer.expect(200);
    assert_eq!(get(changed.clone()).await.status, 304);
    for stale in [tag, counted, "\"x\"".to_owned(), format!("W/{changed}")] {
        rename(stale, "two").await.problem("preconditionFailed");
    }
    rename("*".to_owned(), "two").await.expect(200);
    assert_eq!(agency.login.get(&path).await.expect(200)["name"], "two");
}

async fn a_repeated_creation_happens_once(app: &TestApp) {
    let agency = app.agency().await;
    let send = |name: &str| {
        let request = agency.login.request(Method::POST, PATH).header("idempotency-key", "link-1");
        request.json(&json!({"name": name})).send()
    };
    let first = send("a").await.expect(201);
    let again = send("a").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!((again.expect(201), agency.login.list(PATH).await.len()), (first, 2));
    send("b").await.problem("idempotencyKeyReused");
}

async fn an_account_has_at_most_100_links(app: &TestApp) {
    let agency = app.agency().await;
    for number in 1..100 {
        agency.login.post(PATH, &json!({"name": format!("{number}")})).await.expect(201);
    }
    let problem = agency.login.post(PATH, &json!({"name": "one too many"})).await.problem("referralLinkLimitReached");
    assert!(problem["detail"].to_string().contains("100"), "{problem:#}");
    assert_eq!(agency.login.list(PATH).await.len(), 100);
}

async fn a_qr_code_is_an_image_with_a_title(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let path = format!("{}/qr.svg", path_of(&link));
    let answer = agency.login.get(&path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/svg+xml"));
    assert!(answer.text.contains(&format!("QR code of {}", link["url"].as_str().expect("a url"))), "{}", answer.text);
    assert!(answer.text.contains("<svg role=\"img\"") && answer.text.contains("<path"), "{}", answer.text);
    let tag = answer.header("etag").to_owned();
    assert_eq!(agency.login.request(Method::GET, &path).header("if-none-match", &tag).send().await.status, 304);
}

async fn statistics_show_every_day_and_their_sum(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let stats = format!("{}/stats", path_of(&link));
    app.click(&link).await;
    app.move_clock("2026-01-03T23:59:59.999Z").await;
    app.click(&link).await;
    app.click(&link).await;
    app.move_clock("2026-01-04T00:00:00.000Z").await;
    app.click(&link).await;
    let report = agency.login.get(&format!("{stats}?from=2026-01-01&to=2026-01-04")).await.expect(200);
    let day = |date: &str, clicks: i32, visitors: i32| {
        json!({
            "date": date, "clicks": clicks, "uniqueVisitors": visitors, "signUps": 0, "payingClients": 0, "earned": [],
        })
    };
    let expected = json!({
        "from": "2026-01-01", "to": "2026-01-04",
        "data": [day("2026-01-01", 1, 1), day("2026-01-02", 0, 0), day("2026-01-03", 2, 1), day("2026-01-04", 1, 1)],
        "totals": {"clicks": 4, "uniqueVisitors": 3, "signUps": 0, "payingClients": 0, "earned": []},
    });
    assert_eq!(report, expected);
    // The sums over all days are kept beside the days.
    let first = agency.login.get(&format!("{stats}?from=1970-01-01&to=1970-01-01")).await.expect(200);
    assert_eq!((&first["data"], &first["totals"]["clicks"]), (&json!([day("1970-01-01", 0, 0)]), &json!(0)));
    let by_default = agency.login.get(&stats).await.expect(200);
    assert_eq!((&by_default["from"], &by_default["to"]), (&json!("2025-12-06"), &json!("2026-01-04")));
    assert_eq!(by_default["data"].as_array().map(Vec::len), Some(30));
    assert_eq!(by_default["totals"], expected["totals"]);
    let shown = agency.login.get(&path_of(&link)).await.expect(200);
    assert_eq!((&shown["clicks"], &shown["uniqueVisitors"]), (&json!(4), &json!(3)));
}

async fn a_bad_range_of_days_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    let stats = format!("{}/stats", path_of(&app.default_link(&agency).await));
    for (query, parameter) in [
        ("from=2026-01-02&to=2026-01-01", "from"),
        ("from=2025-01-01&to=2026-01-02", "to"),
        ("from=2020-01-01", "from"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("to=2026-1-1", "to"),
        ("from=2026-01-01T00:00:00Z", "from"),
        ("from=", "from"),
        ("from=99999-01-01", "from"),
    ] {
        let problem = agency.login.get(&format!("{stats}?{query}")).await.problem("invalidParameter");
        assert_eq!(places(&problem), [parameter], "{query}: {problem:#}");
    }
    agency.login.get(&format!("{stats}?day=2026-01-01")).await.problem("unknownParameter");
    agency.login.get(&format!("{stats}?from=2025-01-01&to=2026-01-01")).await.expect(200);
}

async fn what_sign_ups_bring_is_shown_by_day(app: &TestApp) {
    let partner = app.partner().await;
    let link = app.default_link(&partner).await;
    let client = app.sign_up_with(&link).await;
    let (_, other) = app.client_with_container(&partner).await;
    let container = app.own_container(&client).await;
    let paid = payment(&container).at("2026-01-01T00:00:00.000Z");
    app.apply(&[paid.clone(), payment(&other)]).await;
    app.move_clock("2026-01-02T12:00:00.000Z").await;
    app.apply(&[payment(&container).at("2026-01-02T00:00:00.000Z"), refund(&paid, &usd("8.00"))]).await;
    let stats = format!("{}/stats?from=2026-01-01&to=2026-01-02", path_of(&link));
    let report = partner.login.get(&stats).await.expect(200);
    let earned: Vec<_> = report["data"].as_array().expect("days").iter().map(|day| &day["earned"]).collect();
    assert_eq!(earned, [&json!([usd("6.00")]), &json!([usd("4.00")])], "{report:#}");
    assert_eq!(report["totals"]["earned"], json!([usd("10.00")]));
    assert_eq!((&report["data"][0]["signUps"], &report["data"][0]["payingClients"]), (&json!(1), &json!(1)));
    assert_eq!((&report["totals"]["signUps"], &report["totals"]["payingClients"]), (&json!(1), &json!(1)));
}
