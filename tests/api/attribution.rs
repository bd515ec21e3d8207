//! Whose client a sign-up becomes by the code that it brings, and what comes of it.

use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use stape_api::db::schema::referrals;

use crate::support::{Account, PASSWORD, TestApp, both_engines, feed, id, new_email, payment, usd};

both_engines!(
    a_click_counts_for_one_sign_up_with_its_own_code,
    a_click_counts_within_the_attribution_window,
    a_client_that_pays_itself_counts_once,
    a_self_referral_is_refused_silently_and_recorded,
    a_sign_up_with_a_code_becomes_the_managers_client,
    an_agency_that_signs_up_has_no_manager,
    nothing_about_a_code_fails_a_sign_up,
    of_two_sign_ups_at_once_one_uses_the_click,
    payments_that_are_not_the_clients_own_do_not_count,
);

fn person(email: &str, code: &Value) -> Value {
    json!({
        "kind": "standard", "email": email, "password": PASSWORD, "firstName": "Robin", "lastName": "Doe",
        "referralCode": code,
    })
}

async fn sign_up(app: &TestApp, person: &Value) -> Value {
    app.visitor().post("/v3/accounts", person).await.expect(201)
}

/// The click ids that sign-ups used, oldest sign-up first.
fn used_clicks(app: &TestApp) -> Vec<Option<String>> {
    let read = |conn: &mut _| {
        let rows: Vec<Option<String>> =
            referrals::table.order(referrals::client_id).select(referrals::click_id).load(conn)?;
        Ok(rows.into_iter().map(|id| id.map(|id| format!("clk_{id}"))).collect())
    };
    app.database.connect().read_blocking(read).expect("the referrals can be read")
}

async fn counted(manager: &Account, link: &Value) -> (Value, Value) {
    let link = manager.login.get(&format!("/v3/referral-links/{}", id(link))).await.expect(200);
    (link["signUps"].clone(), link["payingClients"].clone())
}

async fn a_sign_up_with_a_code_becomes_the_managers_client(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let code = json!(link["code"].as_str().expect("a code").to_uppercase());
    let email = new_email();
    let account = sign_up(app, &person(&email, &code)).await;
    assert_eq!(account["managerId"], agency.id.as_str());
    let sub_accounts = agency.login.list("/v3/sub-accounts").await;
    let [client] = sub_accounts.as_slice() else { panic!("{sub_accounts:?}") };
    assert_eq!((&client["id"], &client["email"]), (&account["id"], &json!(email)));
    assert_eq!(
        (&client["origin"], &client["access"], &client["billing"]),
        (&json!("referral"), &json!("none"), &json!("individual"))
    );
    assert_eq!(client["linkedAt"], "2026-01-01T00:00:00.000Z");
    assert_eq!(counted(&agency, &link).await, (json!(1), json!(0)));
    let login = app.sign_in(&email, PASSWORD).await;
    let linked = ("subAccount.linked".to_owned(), id(&account));
    assert!(feed(&agency.login).await.contains(&linked) && feed(&login).await.contains(&linked));
    app.mail_to(&email, &agency.email).await;
    // Nobody has access that was not given.
    let body = json!({"name": "a", "product": "sgtmContainer", "accountId": account["id"]});
    agency.login.post("/v3/containers", &body).await.problem("accessNotGranted");
    // Without a code there is no manager.
    assert_eq!(app.standard().await.login.get("/v3/account").await.expect(200)["managerId"], Value::Null);
}

async fn nothing_about_a_code_fails_a_sign_up(app: &TestApp) {
    let (agency, blocked) = (app.agency().await, app.agency().await);
    let disabled = json!({"name": "a", "code": "ended-2"});
    let disabled = agency.login.post("/v3/referral-links", &disabled).await.expect(201);
    let path = format!("/v3/referral-links/{}", id(&disabled));
    agency.login.patch(&path, &json!({"enabled": false})).await.expect(200);
    let blocked_code = app.default_link(&blocked).await["code"].clone();
    let path = format!("/v3/operator/accounts/{}/block", blocked.id);
    app.operator().await.post(&path, &json!({"reason": "fraud"})).await.expect(200);
    let codes = [
        Value::Null,
        json!(""),
        json!("x"),
        json!("unheard-of"),
        json!("ended-2"),
        blocked_code,
        json!("x".repeat(5000)),
        json!("'; DROP TABLE accounts; --"),
        json!("ünïcödé"),
        json!("a b\r\nc"),
    ];
    for code in codes {
        let mut person = person(&new_email(), &code);
        person["clickId"] = json!("y".repeat(3000));
        assert_eq!(sign_up(app, &person).await["managerId"], Value::Null, "{code}");
    }
    assert!(used_clicks(app).is_empty() && agency.login.list("/v3/sub-accounts").await.is_empty());
}

async fn an_agency_that_signs_up_has_no_manager(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let mut other = person(&new_email(), &link["code"]);
    other["kind"] = json!("agency");
    assert_eq!(sign_up(app, &other).await["managerId"], Value::Null);
    assert_eq!(counted(&agency, &link).await, (json!(0), json!(0)));
}

async fn a_click_counts_for_one_sign_up_with_its_own_code(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let other = agency.login.post("/v3/referral-links", &json!({"name": "a"})).await.expect(201);
    let foreign = app.default_link(&app.agency().await).await;
    let own = app.click(&link).await;
    let clicks = [
        json!(app.click(&other).await),
        json!(app.click(&foreign).await),
        json!("clk_01KB0H6Q4N7ZJ8R5T3V9WXY2AC"),
        json!("nonsense"),
        Value::Null,
        json!(own.to_lowercase()),
        json!(own),
        json!(own),
    ];
    for click in &clicks {
        let mut person = person(&new_email(), &link["code"]);
        person["clickId"] = click.clone();
        assert_eq!(sign_up(app, &person).await["managerId"], agency.id.as_str());
    }
    assert_eq!(used_clicks(app), [None, None, None, None, None, None, Some(own), None]);
    assert_eq!(counted(&agency, &link).await, (json!(8), json!(0)));
}

async fn a_click_counts_within_the_attribution_window(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let clicks = [app.click(&link).await, app.click(&link).await];
    for (now, click) in ["2026-04-01T00:00:00.000Z", "2026-04-01T00:00:00.001Z"].iter().zip(&clicks) {
        app.move_clock(now).await;
        let mut person = person(&new_email(), &link["code"]);
        person["clickId"] = json!(click);
        assert_eq!(sign_up(app, &person).await["managerId"], agency.id.as_str());
    }
    assert_eq!(used_clicks(app), [Some(clicks[0].clone()), None]);
}

async fn of_two_sign_ups_at_once_one_uses_the_click(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let click = app.click(&link).await;
    let people: Vec<Value> = (0..4)
        .map(|_| {
            let mut person = person(&new_email(), &link["code"]);
            person["clickId"] = json!(click);
            person
        })
        .collect();
    let accounts = futures_util::future::join_all(people.iter().map(|person| sign_up(app, person))).await;
    assert!(accounts.iter().all(|account| account["managerId"] == agency.id.as_str()));
    let used: Vec<String> = used_clicks(app).into_iter().flatten().collect();
    assert_eq!((used, counted(&agency, &link).await), (vec![click], (json!(4), json!(0))));
}

async fn a_self_referral_is_refused_silently_and_recorded(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let member = json!({"email": "Max+work@agency.example", "firstName": "Max", "lastName": "M", "role": "member"});
    agency.login.post("/v3/members", &member).await.expect(201);
    let (name, domain) = agency.email.split_once('@').expect("an address");
    let own = [
        format!("{}+shop@{}", name.to_uppercase(), domain.to_uppercase()),
        format!("{name}+a+b@{domain}"),
        "max@agency.example".to_owned(),
        "MAX+other@agency.example".to_owned(),
    ];
    let mut refused = Vec::new();
    for email in &own {
        let account = sign_up(app, &person(email, &link["code"])).await;
        assert_eq!(account["managerId"], Value::Null, "{email}");
        refused.push(account["id"].clone());
    }
    let log = app.operator().await.list("/v3/operator/audit-log").await;
    let recorded: Vec<&Value> = log.iter().filter(|row| row["action"] == "referral.selfReferralRefused").collect();
    let resources: Vec<&Value> = recorded.iter().rev().map(|row| &row["resourceId"]).collect();
    assert_eq!(resources, refused.iter().collect::<Vec<_>>());
    for row in recorded {
        assert_eq!((&row["details"]["managerId"], &row["accountId"]), (&json!(agency.id), &Value::Null));
    }
    let own_log = agency.login.list("/v3/audit-log").await;
    assert!(own_log.iter().all(|row| row["action"] != "referral.selfReferralRefused"));
    let similar = format!("{name}x@{domain}");
    assert_eq!(sign_up(app, &person(&similar, &link["code"])).await["managerId"], agency.id.as_str());
    assert_eq!(counted(&agency, &link).await, (json!(1), json!(0)));
}

async fn a_client_that_pays_itself_counts_once(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let (client, other) = (app.sign_up_with(&link).await, app.sign_up_with(&link).await);
    let containers = [app.own_container(&client).await, app.own_container(&client).await];
    app.move_clock("2026-01-05T00:00:00.000Z").await;
    let first = payment(&containers[0]).at("2026-01-04T12:00:00.000Z");
    let earlier = payment(&containers[1]).at("2026-01-02T12:00:00.000Z");
    app.apply(&[first, earlier, payment(&containers[0]).at("2026-01-05T00:00:00.000Z")]).await;
    app.apply(&[payment(&containers[1])]).await;
    assert_eq!(counted(&agency, &link).await, (json!(2), json!(1)));
    let path = format!("/v3/referral-links/{}/stats?from=2026-01-01&to=2026-01-05", id(&link));
    let report = agency.login.get(&path).await.expect(200);
    let paying: Vec<&Value> =
        report["data"].as_array().expect("days").iter().map(|day| &day["payingClients"]).collect();
    // By the earliest payment, in whatever order they arrive.
    assert_eq!(paying, [&json!(1), &json!(0), &json!(0), &json!(0), &json!(0)]);
    app.apply(&[payment(&containers[0]).at("1970-01-01T12:00:00.000Z")]).await;
    let days = |from, to| format!("/v3/referral-links/{}/stats?from={from}&to={to}", id(&link));
    let since = agency.login.get(&days("2026-01-01", "2026-01-05")).await.expect(200);
    let before = agency.login.get(&days("1970-01-01", "1970-01-02")).await.expect(200);
    assert_eq!((&since["totals"]["payingClients"], &before["data"][0]["payingClients"]), (&json!(0), &json!(1)));
    assert_eq!(counted(&agency, &link).await, (json!(2), json!(1)));
    let container = app.own_container(&other).await;
    app.apply(&[payment(&container)]).await;
    assert_eq!(counted(&agency, &link).await, (json!(2), json!(2)));
}

async fn payments_that_are_not_the_clients_own_do_not_count(app: &TestApp) {
    let agency = app.agency().await;
    let link = app.default_link(&agency).await;
    let client = app.sign_up_with(&link).await;
    let container = app.own_container(&client).await;
    let created = app.client_with_container(&agency).await.1;
    app.apply(&[
        payment(&container).with("payer", "manager"),
        payment(&container).with("amount", usd("0.00")).with("tax", usd("0.00")),
        payment(&created),
    ])
    .await;
    let rejected = app.post_events(&[payment(&container).with("plan", "unheardOf")]).await;
    assert_eq!(rejected[0]["outcome"], "rejected");
    assert_eq!(counted(&agency, &link).await, (json!(1), json!(0)));
    // Also after the client has left its manager, the link has brought a paying client.
    client.login.request(Method::DELETE, "/v3/manager").send().await.expect(204);
    app.apply(&[payment(&container)]).await;
    assert_eq!(counted(&agency, &link).await, (json!(1), json!(1)));
}
