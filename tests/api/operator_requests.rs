//! Operator requests: from the wish to the `subscription.changed` that carries it out, or the decline.

use serde_json::{Value, json};
use stape_api::context::Context;
use stape_api::operator_requests::{OperatorRequestType, RequestDetails, service};
use stape_api::sub_accounts::Billing;

use crate::support::{Account, START, TestApp, both_engines, payment, places, subscription, usd};

both_engines!(
    a_billing_switch_that_an_event_for_a_deleted_container_carries_out_raises_the_level,
    a_change_whose_request_was_declined_meanwhile_is_applied,
    a_container_that_was_transferred_names_the_switch_of_its_former_owner,
    a_billing_switch_takes_all_containers_of_a_client_out_of_the_paid_ones_and_back,
    a_client_asks_for_another_plan_and_the_billing_system_carries_it_out,
    a_declined_request_is_closed_with_its_reason,
    a_manager_asks_only_with_access,
    a_request_is_carried_out_though_nothing_else_changes,
    a_request_of_another_container_is_refused,
    a_second_request_waits_for_the_first,
    a_stale_event_closes_no_request,
    a_wish_without_sense_is_refused,
    a_wish_comes_once_however_often_it_is_sent,
    deleting_a_container_declines_what_is_open_about_it,
    deleting_a_container_that_was_transferred_leaves_the_transfer_open,
    detaching_a_client_declines_its_billing_switch,
    only_the_operators_billing_sees_requests,
    requests_come_page_by_page_by_status,
);

/// A client on its own with an active pro container.
async fn subscriber(app: &TestApp) -> (Account, String) {
    let client = app.standard().await;
    let container = own_container(app, &client).await;
    app.apply(&[subscription(&container)]).await;
    (client, container)
}

async fn own_container(_app: &TestApp, client: &Account) -> String {
    let body = json!({"name": "shop", "product": "sgtmContainer"});
    let container = client.login.post("/v3/containers", &body).await.expect(201);
    container["id"].as_str().expect("an id").to_owned()
}

async fn change_plan(client: &Account, container: &str, plan: &str) -> String {
    let body = json!({"plan": plan, "billingPeriod": "monthly"});
    let path = format!("/v3/containers/{container}/change-plan");
    let container = client.login.post(&path, &body).await.expect(202);
    container["pendingRequest"]["id"].as_str().expect("a pending request").to_owned()
}

/// What the service for sub-accounts does when a manager wants to pay for a client, or the client again.
async fn ask_for_billing(app: &TestApp, client_id: &str, billing: Billing) -> String {
    let client_id = client_id.parse().expect("an account id");
    let open = move |conn: &mut _| {
        let context = Context::system(START.parse().expect("a time"));
        let details = RequestDetails { billing: Some(billing), ..RequestDetails::default() };
        service::open(conn, &context, client_id, None, OperatorRequestType::BillingSwitch, &details)
    };
    app.database.connect().write(open).await.expect("a request").id.to_string()
}

async fn request(app: &TestApp, id: &str) -> Value {
    let all = app.operator().await.list("/v3/operator/requests").await;
    all.into_iter().find(|request| request["id"] == id).expect("the request")
}

async fn event_types(account: &Account) -> Vec<String> {
    let events = account.login.list("/v3/events").await;
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

async fn a_client_asks_for_another_plan_and_the_billing_system_carries_it_out(app: &TestApp) {
    let (client, container) = subscriber(app).await;
    let path = format!("/v3/containers/{container}");
    let wish = json!({"plan": "business", "billingPeriod": "yearly"});
    let shown = client.login.post(&format!("{path}/change-plan"), &wish).await.expect(202);
    let pending = &shown["pendingRequest"];
    let expected = json!({
        "id": pending["id"], "type": "planChange", "accountId": client.id, "containerId": container, "status": "open",
        "details": {"plan": "business", "billingPeriod": "yearly", "newOwnerId": null, "billing": null},
        "reason": null, "createdAt": START, "closedAt": null,
    });
    assert_eq!(pending, &expected);
    assert_eq!((&shown["plan"], &shown["billingPeriod"]), (&json!("pro"), &json!("monthly")));
    assert_eq!(client.login.get(&path).await.expect(200), shown);
    assert_eq!(app.operator().await.list("/v3/operator/requests?status=open").await, [expected]);
    let id = pending["id"].as_str().expect("an id");
    let event = subscription(&container).with("plan", "business").with("billingPeriod", "yearly").with("requestId", id);
    app.apply(&[event]).await;
    let changed = client.login.get(&path).await.expect(200);
    assert_eq!((&changed["plan"], &changed["pendingRequest"]), (&json!("business"), &Value::Null));
    let done = request(app, id).await;
    assert_eq!((&done["status"], &done["closedAt"]), (&json!("done"), &json!(START)));
    let types = event_types(&client).await;
    for expected in ["operatorRequest.created", "operatorRequest.done"] {
        assert!(types.iter().any(|event| event == expected), "{types:?}");
    }
}

async fn a_request_is_carried_out_though_nothing_else_changes(app: &TestApp) {
    let (client, container) = subscriber(app).await;
    let id = change_plan(&client, &container, "business").await;
    let twice = [
        subscription(&container).with("requestId", id.as_str()),
        subscription(&container).with("requestId", id.as_str()),
    ];
    app.apply(&twice).await;
    assert_eq!(request(app, &id).await["status"], "done");
    change_plan(&client, &container, "business").await;
}

async fn a_second_request_waits_for_the_first(app: &TestApp) {
    let (client, container) = subscriber(app).await;
    let id = change_plan(&client, &container, "business").await;
    let path = format!("/v3/containers/{container}");
    let problem = client.login.post_nothing(&format!("{path}/cancel")).await.problem("requestPending");
    assert!(problem["detail"].as_str().expect("a detail").contains(&id), "{problem:#}");
    let other = json!({"plan": "enterprise", "billingPeriod": "monthly"});
    client.login.post(&format!("{path}/change-plan"), &other).await.problem("requestPending");
    client.login.post(&format!("{path}/transfer"), &json!({"email": "a@b.example"})).await.problem("requestPending");
}

async fn a_wish_without_sense_is_refused(app: &TestApp) {
    let client = app.standard().await;
    let container = own_container(app, &client).await;
    let path = format!("/v3/containers/{container}");
    let wish = |plan: &str| json!({"plan": plan, "billingPeriod": "monthly"});
    let change = format!("{path}/change-plan");
    for unknown in ["gold", "ultimate"] {
        let problem = client.login.post(&change, &wish(unknown)).await.problem("planUnknown");
        assert_eq!(places(&problem), ["/plan"], "{unknown}");
    }
    let problem = client.login.post(&change, &json!({"plan": "pro", "billingPeriod": "daily"})).await;
    assert_eq!(places(&problem.problem("validationFailed")), ["/billingPeriod"]);
    client.login.post(&change, &wish("free")).await.problem("planUnchanged");
    client.login.post_nothing(&format!("{path}/cancel")).await.problem("nothingToCancel");
    client.login.post_nothing(&format!("{path}/reactivate")).await.problem("nothingToReactivate");
    app.apply(&[subscription(&container)]).await;
    client.login.post_nothing(&format!("{path}/reactivate")).await.problem("nothingToReactivate");
    app.apply(&[subscription(&container).with("cancelAtPeriodEnd", true)]).await;
    client.login.post_nothing(&format!("{path}/cancel")).await.problem("nothingToCancel");
    let shown = client.login.post_nothing(&format!("{path}/reactivate")).await.expect(202);
    let id = shown["pendingRequest"]["id"].as_str().expect("an id");
    app.apply(&[subscription(&container).with("requestId", id)]).await;
    let shown = client.login.post_nothing(&format!("{path}/cancel")).await.expect(202);
    assert_eq!(shown["pendingRequest"]["type"], "cancel");
}

async fn a_wish_comes_once_however_often_it_is_sent(app: &TestApp) {
    let (client, container) = subscriber(app).await;
    let path = format!("/v3/containers/{container}/cancel");
    let send = || client.login.request(reqwest::Method::POST, &path).header("idempotency-key", "one").send();
    let (first, second) = (send().await, send().await);
    assert_eq!((second.status, second.header("idempotent-replayed")), (202, "true"));
    assert_eq!(first.expect(202), second.expect(202));
    assert_eq!(app.operator().await.list("/v3/operator/requests").await.len(), 1);
}

async fn a_manager_asks_only_with_access(app: &TestApp) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    app.apply(&[subscription(&container)]).await;
    let path = format!("/v3/containers/{container}/cancel");
    let shown = agency.login.post_nothing(&path).await.expect(202);
    assert_eq!((&shown["pendingRequest"]["accountId"], shown["commission"].is_null()), (&json!(client), false));
    let (other_client, other) = subscriber(app).await;
    app.link(&other_client.id, &agency.id).await;
    let path = format!("/v3/containers/{other}");
    for operation in ["cancel", "reactivate"] {
        agency.login.post_nothing(&format!("{path}/{operation}")).await.problem("accessNotGranted");
    }
    let wish = json!({"plan": "business", "billingPeriod": "monthly"});
    agency.login.post(&format!("{path}/change-plan"), &wish).await.problem("accessNotGranted");
    agency.login.patch(&path, &json!({"name": "new"})).await.problem("accessNotGranted");
    let stranger = app.agency().await;
    stranger.login.post_nothing(&format!("{path}/cancel")).await.problem("notFound");
}

async fn a_request_of_another_container_is_refused(app: &TestApp) {
    let ((client, container), (_, other)) = (subscriber(app).await, subscriber(app).await);
    let id = change_plan(&client, &container, "business").await;
    let foreign = subscription(&other).with("requestId", id.as_str());
    let unknown = subscription(&container).with("requestId", "orq_01KB0H6Q4N7ZJ8R5T3V9WXY2AC");
    let malformed = subscription(&container).with("requestId", "nonsense");
    for result in app.post_events(&[foreign, unknown, malformed]).await {
        assert_eq!((&result["outcome"], &result["retryable"]), (&json!("rejected"), &json!(false)));
        assert!(places(&result["problem"])[0].ends_with("/data/requestId"), "{result:#}");
    }
    assert_eq!(request(app, &id).await["status"], "open");
}

async fn a_change_whose_request_was_declined_meanwhile_is_applied(app: &TestApp) {
    let (client, container) = subscriber(app).await;
    let id = change_plan(&client, &container, "business").await;
    let path = format!("/v3/operator/requests/{id}/decline");
    app.operator().await.post(&path, &json!({"reason": "no"})).await.expect(200);
    let named = || subscription(&container).with("plan", "business").with("requestId", id.as_str());
    app.apply(&[named().at("2025-12-31T23:59:59.000Z")]).await;
    let plan = async || client.login.get(&format!("/v3/containers/{container}")).await.expect(200)["plan"].clone();
    assert_eq!(plan().await, "pro");
    app.apply(&[named()]).await;
    assert_eq!((plan().await, request(app, &id).await["status"].clone()), (json!("business"), json!("declined")));
}

async fn a_container_that_was_transferred_names_the_switch_of_its_former_owner(app: &TestApp) {
    let partner = app.partner().await;
    let giver = app.invited_client_of(&partner).await;
    let (kept, container) = (app.own_container(&giver).await, app.own_container(&giver).await);
    let path = format!("/v3/sub-accounts/{}", giver.id);
    partner.login.patch(&path, &json!({"billing": "consolidated"})).await.expect(200);
    app.apply(&[subscription(&kept).with("price", usd("900.00")), subscription(&container)]).await;
    let shown = partner.login.patch(&path, &json!({"billing": "individual"})).await.expect(200);
    let to = json!({"email": app.standard().await.email});
    giver.login.post(&format!("/v3/containers/{container}/transfer"), &to).await.expect(202);
    let request_id = shown["pendingRequest"]["id"].clone();
    app.apply(&[subscription(&container).with("requestId", request_id)]).await;
    let switched = partner.login.get(&path).await.expect(200);
    assert_eq!((&switched["billing"], &switched["pendingRequest"]), (&json!("individual"), &Value::Null));
    assert_eq!(partner.login.get("/v3/account").await.expect(200)["level"], 2);
}

async fn a_stale_event_closes_no_request(app: &TestApp) {
    let (client, container) = subscriber(app).await;
    let id = change_plan(&client, &container, "business").await;
    let old = subscription(&container).with("plan", "business").with("requestId", id.as_str());
    app.apply(&[old.at("2025-12-31T23:59:59.000Z")]).await;
    assert_eq!(request(app, &id).await["status"], "open");
    assert_eq!(client.login.get(&format!("/v3/containers/{container}")).await.expect(200)["plan"], "pro");
}

async fn a_declined_request_is_closed_with_its_reason(app: &TestApp) {
    let agency = app.agency().await;
    let (_, container) = app.client_with_container(&agency).await;
    let path = format!("/v3/containers/{container}");
    let wish = json!({"plan": "business", "billingPeriod": "monthly"});
    let shown = agency.login.post(&format!("{path}/change-plan"), &wish).await.expect(202);
    let id = shown["pendingRequest"]["id"].as_str().expect("an id");
    let decline = format!("/v3/operator/requests/{id}/decline");
    let operator = app.operator().await;
    let problem = operator.post(&decline, &json!({"reason": " "})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/reason"]);
    let declined = operator.post(&decline, &json!({"reason": " unpaid invoice "})).await.expect(200);
    assert_eq!((&declined["status"], &declined["reason"]), (&json!("declined"), &json!("unpaid invoice")));
    assert_eq!(declined["closedAt"], START);
    operator.post(&decline, &json!({"reason": "again"})).await.problem("requestClosed");
    operator.post("/v3/operator/requests/nonsense/decline", &json!({"reason": "x"})).await.problem("notFound");
    let container = agency.login.get(&path).await.expect(200);
    assert_eq!((&container["pendingRequest"], &container["plan"]), (&Value::Null, &json!("free")));
    assert!(event_types(&agency).await.contains(&"operatorRequest.declined".to_owned()));
    agency.login.post(&format!("{path}/change-plan"), &wish).await.expect(202);
}

async fn requests_come_page_by_page_by_status(app: &TestApp) {
    let client = app.standard().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let container = own_container(app, &client).await;
        ids.push(change_plan(&client, &container, "pro").await);
    }
    let operator = app.operator().await;
    operator.post(&format!("/v3/operator/requests/{}/decline", ids[1]), &json!({"reason": "no"})).await.expect(200);
    let page = operator.get("/v3/operator/requests?limit=2").await.expect(200);
    let shown: Vec<_> = page["data"].as_array().expect("data").iter().map(|row| row["id"].clone()).collect();
    assert_eq!((shown, &page["hasMore"]), (vec![json!(ids[2]), json!(ids[1])], &json!(true)));
    for (status, count) in [("open", 2), ("declined", 1), ("done", 0), ("done,declined", 1)] {
        let rows = operator.list(&format!("/v3/operator/requests?status={status}")).await;
        assert_eq!(rows.len(), count, "{status}");
    }
    operator.get("/v3/operator/requests?status=lost").await.problem("invalidParameter");
}

async fn only_the_operators_billing_sees_requests(app: &TestApp) {
    let client = app.standard().await;
    client.login.get("/v3/operator/requests").await.problem("wrongAccountKind");
    let scopes = stape_api::auth::Scopes::of(&[stape_api::auth::Scope::OperatorAccounts]);
    let key = app.operator_key(scopes).await;
    app.caller(&key).get("/v3/operator/requests").await.problem("insufficientScope");
}

async fn a_billing_switch_takes_all_containers_of_a_client_out_of_the_paid_ones_and_back(app: &TestApp) {
    let partner = app.agency().await;
    let containers = app.reach_threshold(&partner).await;
    app.become_partner(&partner).await;
    let client = partner.login.list("/v3/sub-accounts").await[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v3/sub-accounts/{client}");
    let id = ask_for_billing(app, &client, Billing::Consolidated).await;
    let pending = partner.login.get(&path).await.expect(200)["pendingRequest"].clone();
    assert_eq!((&pending["id"], &pending["containerId"]), (&json!(id), &Value::Null));
    app.apply(&[subscription(&containers[0]).with("requestId", id.as_str())]).await;
    let shown = partner.login.get(&path).await.expect(200);
    assert_eq!(
        (&shown["billing"], &shown["paidContainerCount"], &shown["pendingRequest"]),
        (&json!("consolidated"), &json!(0), &Value::Null)
    );
    let figures = partner.login.get("/v3/partner-applications").await.expect(200)["eligibility"].clone();
    assert_eq!((&figures["paidContainers"], &figures["referralValue"]["amount"]), (&json!(0), &json!("0.00")));
    app.apply(&[subscription(&containers[1]).with("requestId", id.as_str())]).await;
    let stranger = subscriber(app).await.1;
    let foreign = app.post_events(&[subscription(&stranger).with("requestId", id.as_str())]).await;
    assert_eq!(foreign[0]["outcome"], "rejected");
    let back = ask_for_billing(app, &client, Billing::Individual).await;
    let both = [subscription(&containers[2]).with("requestId", back.as_str()), payment(&containers[2])];
    app.apply(&both).await;
    let shown = partner.login.get(&path).await.expect(200);
    assert_eq!((&shown["billing"], &shown["paidContainerCount"]), (&json!("individual"), &json!(6)));
    assert_eq!(shown["monthlyCommission"], json!([{"amount": "36.00", "currency": "USD"}]));
    assert!(event_types(&partner).await.contains(&"subAccount.updated".to_owned()));
}

async fn a_billing_switch_that_an_event_for_a_deleted_container_carries_out_raises_the_level(app: &TestApp) {
    let partner = app.partner().await;
    let client = app.invited_client_of(&partner).await;
    let path = format!("/v3/sub-accounts/{}", client.id);
    partner.login.patch(&path, &json!({"billing": "consolidated"})).await.expect(200);
    let (dear, deleted) = (app.own_container(&client).await, app.own_container(&client).await);
    app.apply(&[subscription(&dear).with("price", usd("900.00"))]).await;
    client.login.delete(&format!("/v3/containers/{deleted}")).await.expect(204);
    let level = async || partner.login.get("/v3/account").await.expect(200)["level"].clone();
    assert_eq!(level().await, 1);
    let pending = partner.login.patch(&path, &json!({"billing": "individual"})).await.expect(200);
    let request = pending["pendingRequest"]["id"].clone();
    app.apply(&[subscription(&deleted).with("status", "canceled").with("requestId", request)]).await;
    assert_eq!(level().await, 2);
}

async fn detaching_a_client_declines_its_billing_switch(app: &TestApp) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    let id = ask_for_billing(app, &client, Billing::Consolidated).await;
    agency.login.post_nothing(&format!("/v3/sub-accounts/{client}/detach")).await.expect(204);
    assert_eq!(request(app, &id).await["status"], "declined");
    app.apply(&[subscription(&container).with("requestId", id.as_str())]).await;
    assert_eq!(request(app, &id).await["status"], "declined");
}

async fn deleting_a_container_declines_what_is_open_about_it(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.invited_client_of(&agency).await;
    let container = app.own_container(&client).await;
    let id = change_plan(&client, &container, "business").await;
    client.login.delete(&format!("/v3/containers/{container}")).await.expect(204);
    let declined = request(app, &id).await;
    assert_eq!(
        (&declined["status"], &declined["reason"], &declined["closedAt"]),
        (&json!("declined"), &json!("the container was deleted"), &json!(START))
    );
    for account in [&client, &agency] {
        let types = event_types(account).await;
        assert!(types.contains(&"operatorRequest.declined".to_owned()), "{types:?}");
    }
    let late = subscription(&container).with("status", "canceled").with("requestId", id.as_str());
    app.apply(&[late]).await;
    assert_eq!(request(app, &id).await, declined);
}

async fn deleting_a_container_that_was_transferred_leaves_the_transfer_open(app: &TestApp) {
    let (giver, container) = subscriber(app).await;
    let taker = app.standard().await;
    let path = format!("/v3/containers/{container}");
    let moved = giver.login.post(&format!("{path}/transfer"), &json!({"email": taker.email})).await.expect(202);
    let id = moved["pendingRequest"]["id"].as_str().expect("an id");
    taker.login.delete(&path).await.expect(204);
    assert_eq!(request(app, id).await["status"], "open");
    app.apply(&[subscription(&container).with("status", "canceled").with("requestId", id)]).await;
    assert_eq!(request(app, id).await["status"], "done");
}
