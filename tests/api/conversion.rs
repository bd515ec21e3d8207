//! A client that makes itself an agency.

use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, both_engines, feed, places, subscription, usd};

both_engines!(
    a_client_becomes_an_agencys_first_sub_account,
    a_client_with_a_manager_keeps_it,
    a_conversion_happens_once_per_key,
    an_address_that_is_taken_converts_nothing,
    only_a_clients_owner_converts,
    the_clients_containers_count_at_once,
);

async fn a_client_becomes_an_agencys_first_sub_account(app: &TestApp) {
    let client = app.standard().await;
    client.login.patch("/v3/account", &json!({"companyName": "Doe Shops"})).await.expect(200);
    let answer = client.login.post("/v3/account/agency", &json!({"email": "owner@example.com"})).await;
    assert_eq!(answer.header("location"), "/v3/manager");
    let agency = answer.expect(201);
    assert_eq!((&agency["kind"], &agency["email"]), (&json!("agency"), &json!("owner@example.com")));
    assert_eq!((&agency["companyName"], &agency["managerId"]), (&json!("Doe Shops"), &Value::Null));
    let manager = client.login.get("/v3/manager").await.expect(200);
    assert_eq!((&manager["id"], &manager["origin"]), (&agency["id"], &json!("converted")));
    assert_eq!(manager["access"], "granted");
    let token = app.mail_to("owner@example.com", "Your agency account").await.token();
    let confirm = json!({"token": token, "password": PASSWORD});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    let owner = app.sign_in("owner@example.com", PASSWORD).await;
    let clients = owner.list("/v3/sub-accounts").await;
    assert_eq!((clients.len(), &clients[0]["id"]), (1, &json!(client.id)));
    assert_eq!(owner.list("/v3/members").await.len(), 1);
    let linked = ("subAccount.linked".to_owned(), client.id.clone());
    assert!(feed(&owner).await.contains(&linked) && feed(&client.login).await.contains(&linked));
    let account = client.login.get("/v3/account").await.expect(200);
    assert_eq!((&account["kind"], &account["managerId"]), (&json!("standard"), &agency["id"]));
}

async fn a_client_with_a_manager_keeps_it(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let answer = client.login.post("/v3/account/agency", &json!({"email": "owner@example.com"})).await;
    // The client has no way to look at an agency that does not manage it.
    assert_eq!(answer.header("location"), "");
    let own = answer.expect(201);
    assert_ne!(own["id"], agency.id.as_str());
    assert_eq!(client.login.get("/v3/manager").await.expect(200)["id"], agency.id.as_str());
}

async fn an_address_that_is_taken_converts_nothing(app: &TestApp) {
    let client = app.standard().await;
    let own = json!({"email": client.email.to_uppercase()});
    let problem = client.login.post("/v3/account/agency", &own).await.problem("emailTaken");
    assert_eq!(places(&problem), ["/email"]);
    let problem = client.login.post("/v3/account/agency", &json!({"email": "x"})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/email"]);
    client.login.get("/v3/manager").await.problem("notFound");
}

async fn only_a_clients_owner_converts(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let body = json!({"email": "owner@example.com"});
    agency.login.post("/v3/account/agency", &body).await.problem("wrongAccountKind");
    let key = app.api_key(&client, &["account:read", "account:write"]).await;
    key.post("/v3/account/agency", &body).await.problem("ownerRequired");
    app.visitor().post("/v3/account/agency", &body).await.problem("authenticationRequired");
}

async fn a_conversion_happens_once_per_key(app: &TestApp) {
    let client = app.standard().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = client.login.request(reqwest::Method::POST, "/v3/account/agency");
        let request = request.header("idempotency-key", "one").json(&json!({"email": "owner@example.com"}));
        ids.push(request.send().await.expect(201)["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
}

async fn the_clients_containers_count_at_once(app: &TestApp) {
    let client = app.standard().await;
    let container = json!({"name": "shop", "product": "sgtmContainer"});
    let container = client.login.post("/v3/containers", &container).await.expect(201);
    app.apply(&[subscription(container["id"].as_str().expect("an id"))]).await;
    client.login.post("/v3/account/agency", &json!({"email": "owner@example.com"})).await.expect(201);
    let token = app.mail_to("owner@example.com", "Your agency account").await.token();
    let confirm = json!({"token": token, "password": PASSWORD});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    let owner = app.sign_in("owner@example.com", PASSWORD).await;
    let row = &owner.list("/v3/sub-accounts").await[0];
    assert_eq!((&row["paidContainerCount"], &row["monthlyCommission"]), (&json!(1), &json!([usd("6.00")])));
}
