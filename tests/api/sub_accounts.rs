//! Sub-accounts: created by their manager, linked and detached by the operator, and whose they are.

use serde_json::{Value, json};

use crate::support::{START, TestApp, both_engines, feed, places, subscription, usd};

both_engines!(
    a_client_gets_one_manager_also_from_eight_at_once,
    a_client_has_one_manager_at_a_time,
    a_detached_client_can_be_linked_again,
    a_manager_creates_a_client_with_access,
    a_manager_detaches_a_client,
    a_manager_is_told_of_a_client_that_renames_itself,
    an_email_address_of_a_user_is_taken,
    another_managers_client_is_not_found,
    every_broken_rule_is_named_at_once,
    only_a_client_is_linked_and_only_to_a_manager,
    the_operator_detaches_a_client,
    the_operator_links_a_client_without_access,
    what_a_client_brings_is_shown,
);

async fn a_manager_is_told_of_a_client_that_renames_itself(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let rename = async |name: &str| {
        client.login.patch("/v3/account", &json!({"firstName": name})).await.expect(200);
        feed(&agency.login).await.into_iter().filter(|(event, _)| event == "subAccount.updated").collect::<Vec<_>>()
    };
    let told = ("subAccount.updated".to_owned(), client.id.clone());
    assert_eq!(rename("Zoe").await, std::slice::from_ref(&told));
    // Nothing has changed.
    assert_eq!(rename("Zoe").await, std::slice::from_ref(&told));
    assert_eq!(rename("Mia").await, [told.clone(), told.clone()]);
    let path = format!("/v3/operator/sub-accounts/{}/detach", client.id);
    app.operator().await.post_nothing(&path).await;
    agency.login.post_nothing(&format!("/v3/sub-accounts/{}/detach", client.id)).await;
    assert_eq!(rename("Eve").await, [told.clone(), told]);
}

async fn a_manager_creates_a_client_with_access(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"email": "sam@example.com", "firstName": " Sam ", "lastName": "Client"});
    let answer = agency.login.post("/v3/sub-accounts", &body).await;
    let location = answer.header("location").to_owned();
    let client = answer.expect(201);
    let expected = json!({
        "id": client["id"], "email": "sam@example.com", "firstName": "Sam", "lastName": "Client", "origin": "created",
        "access": "granted", "billing": "individual", "note": null, "linkedAt": START, "containerCount": 0,
        "paidContainerCount": 0, "limitExceeded": false, "withErrors": false, "monthlyCommission": [],
        "pendingRequest": null, "createdAt": START,
    });
    assert_eq!(client, expected);
    assert_eq!(agency.login.get(&location).await.expect(200), expected);
    assert_eq!(agency.login.list("/v3/sub-accounts").await, [expected]);
    let path = format!("/v3/operator/accounts/{}", client["id"].as_str().expect("an id"));
    assert_eq!(app.operator().await.get(&path).await.expect(200)["managerId"], agency.id.as_str());
}

async fn an_email_address_of_a_user_is_taken(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let body = json!({"email": client.email.to_uppercase(), "firstName": "Sam", "lastName": "Client"});
    let problem = agency.login.post("/v3/sub-accounts", &body).await.problem("emailTaken");
    assert_eq!(places(&problem), ["/email"]);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("/v3/sub-accounts/attach")), "{problem:#}");
    assert!(agency.login.list("/v3/sub-accounts").await.is_empty());
}

async fn every_broken_rule_is_named_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"email": "nobody", "firstName": "", "lastName": "x".repeat(101)});
    let problem = agency.login.post("/v3/sub-accounts", &body).await.problem("validationFailed");
    let mut found = places(&problem);
    found.dedup();
    assert_eq!(found, ["/email", "/firstName", "/lastName"]);
}

async fn what_a_client_brings_is_shown(app: &TestApp) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    app.container(&agency, &client).await;
    app.apply(&[subscription(&container)]).await;
    let client = agency.login.get(&format!("/v3/sub-accounts/{client}")).await.expect(200);
    assert_eq!((&client["containerCount"], &client["paidContainerCount"]), (&json!(2), &json!(1)));
    assert_eq!(client["monthlyCommission"], json!([usd("6.00")]), "an agency's at level 1 rates");
}

async fn another_managers_client_is_not_found(app: &TestApp) {
    let (agency, stranger) = (app.agency().await, app.agency().await);
    let client = app.client_of(&agency).await;
    stranger.login.get(&format!("/v3/sub-accounts/{client}")).await.problem("notFound");
    stranger.login.post_nothing(&format!("/v3/sub-accounts/{client}/detach")).await.problem("notFound");
    stranger.login.get("/v3/sub-accounts/nonsense").await.problem("notFound");
    agency.login.get(&format!("/v3/sub-accounts/{}", agency.id)).await.problem("notFound");
    assert!(stranger.login.list("/v3/sub-accounts").await.is_empty());
}

async fn a_manager_detaches_a_client(app: &TestApp) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    let path = format!("/v3/sub-accounts/{client}");
    agency.login.post(&format!("{path}/detach"), &json!({})).await.expect(204);
    agency.login.get(&path).await.problem("notFound");
    agency.login.get(&format!("/v3/containers/{container}")).await.problem("notFound");
    agency.login.post_nothing(&format!("{path}/detach")).await.problem("notFound");
    let account = app.operator().await.get(&format!("/v3/operator/accounts/{client}")).await.expect(200);
    assert_eq!(account["managerId"], Value::Null);
}

async fn the_operator_links_a_client_without_access(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let seen = agency.login.get(&format!("/v3/sub-accounts/{}", client.id)).await.expect(200);
    assert_eq!((&seen["origin"], &seen["access"]), (&json!("operator"), &json!("none")));
    let container = json!({"name": "shop", "product": "sgtmContainer", "accountId": client.id});
    agency.login.post("/v3/containers", &container).await.problem("accessNotGranted");
}

async fn a_client_has_one_manager_at_a_time(app: &TestApp) {
    let (agency, other, client) = (app.agency().await, app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let path = format!("/v3/operator/accounts/{}/link", client.id);
    let operator = app.operator().await;
    for manager in [&agency, &other] {
        operator.post(&path, &json!({"managerId": manager.id})).await.problem("alreadyManaged");
    }
}

async fn a_client_gets_one_manager_also_from_eight_at_once(app: &TestApp) {
    let (agency, other, client) = (app.agency().await, app.agency().await, app.standard().await);
    let path = format!("/v3/operator/accounts/{}/link", client.id);
    let bodies: Vec<_> = (0..8).map(|turn| json!({"managerId": ([&agency, &other][turn % 2].id)})).collect();
    let operator = app.operator().await;
    let answers = futures_util::future::join_all(bodies.iter().map(|body| operator.post(&path, body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem("alreadyManaged");
    }
    let seen = [agency.login.list("/v3/sub-accounts").await.len(), other.login.list("/v3/sub-accounts").await.len()];
    assert_eq!(seen.iter().sum::<usize>(), 1);
}

async fn only_a_client_is_linked_and_only_to_a_manager(app: &TestApp) {
    let (agency, other, client, second) =
        (app.agency().await, app.agency().await, app.standard().await, app.standard().await);
    let operator = app.operator().await;
    let link = |id: &str| format!("/v3/operator/accounts/{id}/link");
    operator.post(&link(&other.id), &json!({"managerId": agency.id})).await.problem("wrongAccountKind");
    for manager in [second.id.as_str(), client.id.as_str(), "acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", "nonsense"] {
        let problem = operator.post(&link(&client.id), &json!({"managerId": manager})).await;
        assert_eq!(places(&problem.problem("validationFailed")), ["/managerId"]);
    }
    let unknown = link("acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC");
    operator.post(&unknown, &json!({"managerId": agency.id})).await.problem("notFound");
}

async fn the_operator_detaches_a_client(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    let operator = app.operator().await;
    let path = format!("/v3/operator/accounts/{client}/detach");
    assert_eq!(operator.post_nothing(&path).await.expect(200)["managerId"], Value::Null);
    operator.post_nothing(&path).await.problem("notManaged");
    assert!(agency.login.list("/v3/sub-accounts").await.is_empty());
}

async fn a_detached_client_can_be_linked_again(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    let (client, container) = app.client_with_container(&agency).await;
    app.apply(&[subscription(&container)]).await;
    agency.login.post_nothing(&format!("/v3/sub-accounts/{client}/detach")).await.expect(204);
    app.link(&client, &other.id).await;
    let seen = other.login.get(&format!("/v3/sub-accounts/{client}")).await.expect(200);
    assert_eq!((&seen["access"], &seen["paidContainerCount"]), (&json!("none"), &json!(1)));
    other.login.get(&format!("/v3/containers/{container}")).await.expect(200);
}
