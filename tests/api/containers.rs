//! Containers: made by their client or its manager, and seen by both alone.

use serde_json::{Value, json};

use crate::support::{START, TestApp, both_engines, places, subscription};

both_engines!(
    a_client_creates_a_container_on_the_free_plan,
    a_client_sees_no_commission_on_its_container,
    a_manager_creates_a_container_for_a_client_with_access,
    a_manager_names_the_client,
    a_strangers_container_is_not_found,
    containers_are_filtered,
    containers_come_page_by_page,
    every_broken_rule_is_named_at_once,
);

async fn a_client_creates_a_container_on_the_free_plan(app: &TestApp) {
    let client = app.standard().await;
    let answer = client.login.post("/v3/containers", &json!({"name": " shop ", "product": "sgtmContainer"})).await;
    let location = answer.header("location").to_owned();
    let container = answer.expect(201);
    let expected = [
        ("accountId", json!(client.id)),
        ("name", json!("shop")),
        ("product", json!("sgtmContainer")),
        ("plan", json!("free")),
        ("billingPeriod", json!("monthly")),
        ("errors", json!([])),
        ("pendingRequest", Value::Null),
        ("commission", Value::Null),
        ("createdAt", json!(START)),
        ("updatedAt", json!(START)),
    ];
    for (field, value) in expected {
        assert_eq!(container.get(field), Some(&value), "{field}: {container:#}");
    }
    assert_eq!(container["subscription"]["status"], "none");
    let usage = &container["usage"];
    assert_eq!(
        (&usage["requests"], &usage["limit"], &usage["limitExceeded"]),
        (&json!(0), &json!(10_000), &json!(false))
    );
    assert_eq!(client.login.get(&location).await.expect(200), container);
    let own = json!({"name": "two", "product": "signalsGateway", "accountId": client.id});
    client.login.post("/v3/containers", &own).await.expect(201);
    assert_eq!(client.login.list("/v3/containers").await.len(), 2);
}

async fn a_client_sees_no_commission_on_its_container(app: &TestApp) {
    let (partner, client) = (app.partner().await, app.standard().await);
    app.link(&client.id, &partner.id).await;
    let body = json!({"name": "own", "product": "sgtmContainer"});
    let id = client.login.post("/v3/containers", &body).await.expect(201)["id"].as_str().expect("an id").to_owned();
    app.apply(&[subscription(&id)]).await;
    let path = format!("/v3/containers/{id}");
    assert_eq!(client.login.get(&path).await.expect(200)["commission"], Value::Null);
    assert_eq!(partner.login.get(&path).await.expect(200)["commission"]["ratePercent"], "30");
}

async fn a_manager_creates_a_container_for_a_client_with_access(app: &TestApp) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    let container = agency.login.get(&format!("/v3/containers/{container}")).await.expect(200);
    assert_eq!(container["accountId"], client.as_str());
    assert_eq!(agency.login.list("/v3/containers").await, [container]);
}

async fn a_manager_names_the_client(app: &TestApp) {
    let (agency, stranger, client) = (app.agency().await, app.agency().await, app.standard().await);
    let foreign = app.client_of(&stranger).await;
    for account_id in [Value::Null, json!(agency.id), json!(foreign), json!("nonsense")] {
        let body = json!({"name": "shop", "product": "sgtmContainer", "accountId": account_id});
        let problem = agency.login.post("/v3/containers", &body).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/accountId"], "{account_id}");
    }
    let body = json!({"name": "shop", "product": "sgtmContainer", "accountId": foreign});
    let problem = client.login.post("/v3/containers", &body).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/accountId"]);
}

async fn every_broken_rule_is_named_at_once(app: &TestApp) {
    let client = app.standard().await;
    let body = json!({"name": " ", "product": "sgtmContainer", "zone": ""});
    let problem = client.login.post("/v3/containers", &body).await.problem("validationFailed");
    assert!(places(&problem).contains(&"/name"), "{problem:#}");
    let body = json!({"name": "shop", "product": "imaginary"});
    let problem = client.login.post("/v3/containers", &body).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/product"]);
}

async fn a_strangers_container_is_not_found(app: &TestApp) {
    let (agency, stranger, client) = (app.agency().await, app.agency().await, app.standard().await);
    let (_, container) = app.client_with_container(&agency).await;
    let path = format!("/v3/containers/{container}");
    for login in [&stranger.login, &client.login] {
        login.get(&path).await.problem("notFound");
        assert!(login.list("/v3/containers").await.is_empty());
    }
    agency.login.get("/v3/containers/ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC").await.problem("notFound");
}

async fn containers_are_filtered(app: &TestApp) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    let (_, _) = app.client_with_container(&agency).await;
    app.apply(&[subscription(&container)]).await;
    let cases = [
        (String::new(), 2),
        (format!("?subAccountId={client}"), 1),
        ("?subAccountId=nonsense".to_owned(), 0),
        ("?plan=pro".to_owned(), 1),
        ("?plan=pro,free".to_owned(), 2),
        ("?product=sgtmContainer".to_owned(), 2),
        ("?product=signalsGateway".to_owned(), 0),
        ("?status=error".to_owned(), 0),
        ("?limitExceeded=false".to_owned(), 2),
        ("?limitExceeded=true".to_owned(), 0),
        ("?withErrors=true".to_owned(), 0),
    ];
    for (query, count) in cases {
        assert_eq!(agency.login.list(&format!("/v3/containers{query}")).await.len(), count, "{query}");
    }
    agency.login.get("/v3/containers?limitExceeded=maybe").await.problem("invalidParameter");
}

async fn containers_come_page_by_page(app: &TestApp) {
    let client = app.standard().await;
    for number in 0..5 {
        let body = json!({"name": format!("shop {number}"), "product": "sgtmContainer"});
        client.login.post("/v3/containers", &body).await.expect(201);
    }
    let mut names = Vec::new();
    let mut path = "/v3/containers?limit=2".to_owned();
    loop {
        let answer = client.login.get(&path).await;
        let link = answer.header("link").to_owned();
        let page = answer.expect(200);
        let rows = page["data"].as_array().expect("data");
        names.extend(rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()));
        assert_eq!(page["hasMore"], !page["nextCursor"].is_null());
        let Some(cursor) = page["nextCursor"].as_str() else {
            assert_eq!(link, "");
            break;
        };
        assert!(link.contains("rel=\"next\"") && link.contains("limit=2"), "{link}");
        assert_eq!(rows.len(), 2);
        path = format!("/v3/containers?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["shop 4", "shop 3", "shop 2", "shop 1", "shop 0"]);
}
