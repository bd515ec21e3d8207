//! Containers: made by their client or its manager, and seen by both alone.

use serde_json::{Value, json};

use crate::support::{Account, START, TestApp, both_engines, payment, places, subscription};

both_engines!(
    a_client_deletes_a_container_when_its_subscription_has_ended,
    a_client_transfers_a_container,
    a_container_is_renamed,
    a_manager_neither_deletes_nor_transfers,
    a_product_that_is_not_offered_cannot_be_created,
    a_transfer_between_clients_of_one_manager_keeps_its_counters,
    a_transfer_forgets_how_far_ahead_the_old_owners_subscription_was,
    a_transfer_tells_nothing_of_the_address,
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
    let (other, _) = app.client_with_container(&agency).await;
    app.apply(&[subscription(&container)]).await;
    let cases = [
        (String::new(), 2),
        (format!("?subAccountId={client}"), 1),
        (format!("?subAccountId={client},{other}"), 2),
        (format!("?subAccountId={client},nonsense,{client}"), 1),
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
    for list in ["containers", "sub-accounts", "commissions"] {
        for empty in ["", "%20", "pro,", ",pro"] {
            agency.login.get(&format!("/v3/{list}?plan={empty}")).await.problem("invalidParameter");
        }
    }
    agency.login.get("/v3/containers?subAccountId=").await.problem("invalidParameter");
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

async fn own_container(client: &Account) -> String {
    let body = json!({"name": "shop", "product": "sgtmContainer"});
    let container = client.login.post("/v3/containers", &body).await.expect(201);
    container["id"].as_str().expect("an id").to_owned()
}

/// Paid containers, and containers by plan, of a manager.
async fn counters(manager: &Account) -> (Value, Value) {
    let eligibility = manager.login.get("/v3/partner-applications").await.expect(200)["eligibility"].clone();
    let summary = manager.login.get("/v3/commissions/summary").await.expect(200);
    (eligibility["paidContainers"].clone(), summary["containersByPlan"].clone())
}

async fn event_types(account: &Account) -> Vec<String> {
    let events = account.login.list("/v3/events").await;
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

async fn a_container_is_renamed(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let path = format!("/v3/containers/{}", own_container(&client).await);
    let renamed = client.login.patch(&path, &json!({"name": " Shop 2 "})).await.expect(200);
    assert_eq!(renamed["name"], "Shop 2");
    assert_eq!(client.login.patch(&path, &json!({})).await.expect(200), renamed);
    for (body, place) in [
        (json!({"name": null}), "/name"),
        (json!({"name": " "}), "/name"),
        (json!({"name": "a".repeat(101)}), "/name"),
        (json!({"plan": "pro"}), "/plan"),
    ] {
        let problem = client.login.patch(&path, &body).await.problem("validationFailed");
        assert_eq!(places(&problem), [place], "{body}");
    }
    agency.login.patch(&path, &json!({"name": "mine"})).await.problem("notFound");
    assert_eq!(client.login.get(&path).await.expect(200)["name"], "Shop 2");
    let changes = event_types(&client).await.iter().filter(|event| *event == "container.updated").count();
    assert_eq!(changes, 1);
}

async fn a_client_deletes_a_container_when_its_subscription_has_ended(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let container = own_container(&client).await;
    let path = format!("/v3/containers/{container}");
    for status in ["active", "pastDue"] {
        app.apply(&[subscription(&container).with("status", status)]).await;
        client.login.delete(&path).await.problem("subscriptionActive");
    }
    app.apply(&[subscription(&container).with("status", "canceled"), payment(&container)]).await;
    client.login.post_nothing(&format!("{path}/reactivate")).await.expect(202);
    client.login.delete(&path).await.expect(204);
    for login in [&client.login, &agency.login] {
        login.get(&path).await.problem("notFound");
        assert!(login.list("/v3/containers").await.is_empty());
    }
    client.login.delete(&path).await.problem("notFound");
    assert_eq!(counters(&agency).await, (json!(0), json!([])));
    assert!(event_types(&agency).await.contains(&"container.deleted".to_owned()));
    app.apply(&[payment(&container), subscription(&container)]).await;
    assert_eq!(counters(&agency).await, (json!(0), json!([])));
}

async fn a_manager_neither_deletes_nor_transfers(app: &TestApp) {
    let agency = app.agency().await;
    let (_, container) = app.client_with_container(&agency).await;
    let path = format!("/v3/containers/{container}");
    agency.login.delete(&path).await.problem("wrongAccountKind");
    let to = json!({"email": app.standard().await.email});
    agency.login.post(&format!("{path}/transfer"), &to).await.problem("wrongAccountKind");
    agency.login.patch(&path, &json!({"name": "renamed"})).await.expect(200);
}

async fn a_client_transfers_a_container(app: &TestApp) {
    let (giving, taking) = (app.partner().await, app.partner().await);
    let (giver, taker, stranger) = (app.standard().await, app.standard().await, app.standard().await);
    app.link(&giver.id, &giving.id).await;
    app.link(&taker.id, &taking.id).await;
    let container = own_container(&giver).await;
    let path = format!("/v3/containers/{container}");
    app.apply(&[subscription(&container), payment(&container)]).await;
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    let transfer = format!("{path}/transfer");
    stranger.login.post(&transfer, &json!({"email": taker.email})).await.problem("notFound");
    let moved = giver.login.post(&transfer, &json!({"email": taker.email.to_uppercase()})).await.expect(202);
    assert_eq!((&moved["accountId"], &moved["subscription"]["status"]), (&json!(taker.id), &json!("canceled")));
    let request = moved["pendingRequest"].clone();
    assert_eq!(
        (&request["type"], &request["details"]["newOwnerId"], &request["accountId"]),
        (&json!("transfer"), &json!(taker.id), &json!(giver.id))
    );
    giver.login.get(&path).await.problem("notFound");
    giving.login.get(&path).await.problem("notFound");
    assert_eq!(taker.login.get(&path).await.expect(200)["pendingRequest"], request);
    assert_eq!(counters(&giving).await.0, 6);
    assert_eq!(counters(&taking).await.0, 6);
    // What the billing system still had to say of the old owner's subscription does not bring it back.
    app.apply(&[subscription(&container).at("2026-01-01T12:00:00.000Z")]).await;
    assert_eq!(taker.login.get(&path).await.expect(200)["subscription"]["status"], "canceled");
    let (before, after) = ("2026-01-01T23:59:59.999Z", "2026-01-02T00:00:00.000Z");
    app.apply(&[payment(&container).at(before), payment(&container).at(after)]).await;
    let id = request["id"].as_str().expect("an id");
    app.apply(&[subscription(&container).at(after).with("requestId", id)]).await;
    let shown = taking.login.get(&path).await.expect(200);
    assert_eq!((&shown["pendingRequest"], &shown["commission"]["monthly"]["amount"]), (&Value::Null, &json!("6.00")));
    assert_eq!(giving.login.list("/v3/commissions").await.len(), 2);
    assert_eq!(taking.login.list("/v3/commissions").await.len(), 1);
    assert_eq!(counters(&taking).await.0, 7);
    for account in [&giver, &taker, &giving, &taking] {
        let types = event_types(account).await;
        assert!(types.contains(&"container.transferred".to_owned()), "{types:?}");
    }
}

async fn a_transfer_between_clients_of_one_manager_keeps_its_counters(app: &TestApp) {
    let agency = app.agency().await;
    let (giver, taker) = (app.standard().await, app.standard().await);
    for client in [&giver, &taker] {
        app.link(&client.id, &agency.id).await;
    }
    let container = own_container(&giver).await;
    app.apply(&[subscription(&container)]).await;
    let path = format!("/v3/containers/{container}");
    giver.login.post(&format!("{path}/transfer"), &json!({"email": taker.email})).await.expect(202);
    let (paid, by_plan) = counters(&agency).await;
    assert_eq!((paid, &by_plan[0]["count"]), (json!(0), &json!(1)));
    assert_eq!(agency.login.get(&path).await.expect(200)["accountId"], taker.id.as_str());
}

async fn a_transfer_forgets_how_far_ahead_the_old_owners_subscription_was(app: &TestApp) {
    let (giver, taker) = (app.standard().await, app.standard().await);
    let container = own_container(&giver).await;
    let path = format!("/v3/containers/{container}");
    app.apply(&[subscription(&container).at("2026-01-01T00:05:00.000Z")]).await;
    let moved = giver.login.post(&format!("{path}/transfer"), &json!({"email": taker.email})).await.expect(202);
    app.move_clock("2026-01-01T00:02:00.000Z").await;
    let new = subscription(&container).at("2026-01-01T00:02:00.000Z").with("plan", "business");
    app.apply(&[new.with("requestId", moved["pendingRequest"]["id"].clone())]).await;
    let shown = taker.login.get(&path).await.expect(200);
    assert_eq!((&shown["subscription"]["status"], &shown["plan"]), (&json!("active"), &json!("business")));
    assert_eq!(shown["pendingRequest"], Value::Null);
}

async fn a_transfer_tells_nothing_of_the_address(app: &TestApp) {
    let (client, blocked, agency) = (app.standard().await, app.standard().await, app.agency().await);
    let block = format!("/v3/operator/accounts/{}/block", blocked.id);
    app.operator().await.post(&block, &json!({"reason": "fraud"})).await.expect(200);
    let path = format!("/v3/containers/{}/transfer", own_container(&client).await);
    let mut refusals = Vec::new();
    for email in ["nobody@example.com", &blocked.email, &agency.email, &client.email] {
        let mut problem = client.login.post(&path, &json!({"email": email})).await.problem("transferRefused");
        problem["requestId"] = Value::Null;
        refusals.push(problem);
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    let problem = client.login.post(&path, &json!({"email": "nonsense"})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/email"]);
}

async fn a_product_that_is_not_offered_cannot_be_created(app: &TestApp) {
    let operator = app.operator().await;
    let path = "/v3/operator/program";
    let answer = operator.get(path).await;
    let tag = answer.header("etag").to_owned();
    let mut program = answer.expect(200);
    let plans = program["plans"].as_array_mut().expect("plans");
    plans.retain(|plan| plan["product"] != "tiktokGateway");
    operator.request(reqwest::Method::PUT, path).header("if-match", &tag).json(&program).send().await.expect(200);
    let client = app.standard().await;
    let body = json!({"name": "shop", "product": "tiktokGateway"});
    let problem = client.login.post("/v3/containers", &body).await.problem("planUnknown");
    assert_eq!(places(&problem), ["/product"]);
}
