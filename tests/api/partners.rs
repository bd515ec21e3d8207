//! The partner program: its configuration, the threshold, applications, and levels that rise by themselves.

use serde_json::{Value, json};

use crate::support::{Account, Event, TestApp, both_engines, payment, subscription, usd};

both_engines!(
    a_decided_application_stays_decided,
    a_level_counts_from_the_time_its_cause_was_applied,
    a_level_never_falls_by_itself,
    a_rejected_applicant_may_apply_again,
    an_agency_below_the_threshold_is_not_eligible,
    an_agency_with_six_paid_containers_joins,
    an_agency_with_enough_referral_value_joins,
    an_application_is_decided_by_the_operator_alone,
    approval_grants_the_highest_level_that_is_met,
    containers_that_the_client_does_not_pay_do_not_count,
    one_application_is_open_at_a_time,
    only_managers_owners_apply,
    the_program_is_public,
);

async fn the_program_is_public(app: &TestApp) {
    let answer = app.visitor().get("/v3/program").await;
    let tag = answer.header("etag").to_owned();
    let program = answer.expect(200);
    assert_eq!((&program["version"], &program["currency"]), (&json!(1), &json!("USD")));
    let currencies: Vec<_> = program["currencies"].as_array().expect("currencies").iter().collect();
    for code in ["USD", "EUR", "GBP"] {
        let minimum = json!({"currency": code, "minimumPayout": {"amount": "100.00", "currency": code}});
        assert!(currencies.contains(&&minimum), "{currencies:#?}");
    }
    assert_eq!(program["reviewDays"], json!({"monthly": 14, "yearly": 60}));
    assert_eq!((&program["attributionWindowDays"], &program["attachWindowDays"]), (&json!(90), &json!(7)));
    assert_eq!(program["autoApprove"], false);
    assert_eq!(program["allowedReferralHosts"], json!(["stape.io"]));
    let levels = json!([
        {"level": 1, "name": "Partner", "minPaidContainers": 6, "minReferralValue": usd("50.00"), "rates": {"default": "30"}},
        {"level": 2, "name": "Advanced", "minPaidContainers": 25, "minReferralValue": usd("250.00"), "rates": {"default": "35"}},
        {"level": 3, "name": "Elite", "minPaidContainers": 75, "minReferralValue": usd("1000.00"), "rates": {"default": "40"}},
    ]);
    assert_eq!(program["levels"], levels);
    let plans = program["plans"].as_array().expect("plans");
    let business = plans.iter().find(|plan| plan["product"] == "sgtmContainer" && plan["plan"] == "business");
    let business = business.expect("the business plan");
    assert_eq!(business["price"], json!({"monthly": usd("100.00"), "yearly": usd("1000.00")}));
    assert_eq!(business["requestLimit"], 5_000_000);
    let again = app.visitor().request(reqwest::Method::GET, "/v3/program").header("if-none-match", &tag).send().await;
    assert_eq!(again.status, 304);
}

/// One active subscription at a price for each of so many containers of a new client.
async fn subscriptions(app: &TestApp, manager: &Account, count: usize, price: &str) -> Vec<Event> {
    let client = app.client_of(manager).await;
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(subscription(&app.container(manager, &client).await).with("price", usd(price)));
    }
    events
}

async fn apply_for(agency: &Account) -> Value {
    agency.login.post_nothing("/v3/partner-applications").await.expect(201)
}

async fn decide(app: &TestApp, application: &Value, decision: &str, body: &Value) -> crate::support::Answer {
    let id = application["id"].as_str().expect("an id");
    app.operator().await.post(&format!("/v3/operator/partner-applications/{id}/{decision}"), body).await
}

async fn level(account: &Account) -> Value {
    account.login.get("/v3/account").await.expect(200)["level"].clone()
}

async fn an_agency_below_the_threshold_is_not_eligible(app: &TestApp) {
    let agency = app.agency().await;
    app.apply(&subscriptions(app, &agency, 5, "20.00").await).await;
    let problem = agency.login.post_nothing("/v3/partner-applications").await.problem("notEligible");
    let detail = problem["detail"].as_str().expect("a detail");
    for figure in ["5", "30.00", "1", "20.00"] {
        assert!(detail.contains(figure), "{figure} in {detail}");
    }
    let own = agency.login.get("/v3/partner-applications").await.expect(200);
    assert_eq!(own["eligibility"], json!({"paidContainers": 5, "referralValue": usd("30.00"), "eligible": false}));
    assert_eq!(own["data"], json!([]));
}

async fn an_agency_with_six_paid_containers_joins(app: &TestApp) {
    let agency = app.agency().await;
    app.apply(&subscriptions(app, &agency, 6, "20.00").await).await;
    let application = apply_for(&agency).await;
    assert_eq!((&application["status"], &application["decidedAt"]), (&json!("pending"), &Value::Null));
    let eligibility = json!({"paidContainers": 6, "referralValue": usd("36.00"), "eligible": true});
    assert_eq!(application["eligibility"], eligibility);
    let approved = decide(app, &application, "approve", &json!({})).await.expect(200);
    assert_eq!((&approved["status"], &approved["accountId"]), (&json!("approved"), &json!(agency.id)));
    let account = agency.login.get("/v3/account").await.expect(200);
    assert_eq!((&account["kind"], &account["level"]), (&json!("partner"), &json!(1)));
    agency.login.post_nothing("/v3/partner-applications").await.problem("alreadyPartner");
}

async fn an_agency_with_enough_referral_value_joins(app: &TestApp) {
    let agency = app.agency().await;
    app.apply(&subscriptions(app, &agency, 1, "166.64").await).await;
    agency.login.post_nothing("/v3/partner-applications").await.problem("notEligible");
    app.apply(&subscriptions(app, &agency, 1, "0.02").await).await;
    // 49.99 + 0.01: each container's monthly commission is rounded by itself.
    let application = apply_for(&agency).await;
    assert_eq!(application["eligibility"]["referralValue"], usd("50.00"));
}

async fn containers_that_the_client_does_not_pay_do_not_count(app: &TestApp) {
    let agency = app.agency().await;
    let mut events = subscriptions(app, &agency, 6, "20.00").await;
    events[0] = events[0].clone().with("status", "canceled");
    events[1] = events[1].clone().with("price", usd("0.00"));
    events[2] = events[2].clone().with("status", "pastDue");
    app.apply(&events).await;
    let own = agency.login.get("/v3/partner-applications").await.expect(200);
    assert_eq!(own["eligibility"]["paidContainers"], 4);
    assert_eq!(own["eligibility"]["referralValue"], usd("24.00"));
}

async fn one_application_is_open_at_a_time(app: &TestApp) {
    let agency = app.agency().await;
    app.reach_threshold(&agency).await;
    apply_for(&agency).await;
    agency.login.post_nothing("/v3/partner-applications").await.problem("applicationPending");
    let other = app.agency().await;
    app.reach_threshold(&other).await;
    let apply = || other.login.post_nothing("/v3/partner-applications");
    let answers = futures_util::future::join_all((0..8).map(|_| apply())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
}

async fn a_rejected_applicant_may_apply_again(app: &TestApp) {
    let agency = app.agency().await;
    app.reach_threshold(&agency).await;
    let first = apply_for(&agency).await;
    decide(app, &first, "reject", &json!({"reason": " "})).await.problem("validationFailed");
    let rejected = decide(app, &first, "reject", &json!({"reason": "incomplete"})).await.expect(200);
    assert_eq!((&rejected["status"], &rejected["reason"]), (&json!("rejected"), &json!("incomplete")));
    let second = apply_for(&agency).await;
    decide(app, &second, "approve", &json!({})).await.expect(200);
    let own = agency.login.get("/v3/partner-applications").await.expect(200);
    let statuses: Vec<_> = own["data"].as_array().expect("data").iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["approved", "rejected"]);
    let page = agency.login.get("/v3/partner-applications?limit=1").await;
    let link = page.header("link").to_owned();
    let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("a link");
    assert_eq!(page.expect(200)["hasMore"], true);
    let next = agency.login.get(path).await.expect(200);
    assert_eq!((&next["data"][0]["status"], &next["eligibility"]), (&json!("rejected"), &own["eligibility"]));
}

async fn a_decided_application_stays_decided(app: &TestApp) {
    let agency = app.agency().await;
    app.reach_threshold(&agency).await;
    let application = apply_for(&agency).await;
    decide(app, &application, "approve", &json!({})).await.expect(200);
    decide(app, &application, "approve", &json!({})).await.problem("applicationDecided");
    decide(app, &application, "reject", &json!({"reason": "late"})).await.problem("applicationDecided");
}

async fn an_application_is_decided_by_the_operator_alone(app: &TestApp) {
    let agency = app.agency().await;
    app.reach_threshold(&agency).await;
    let application = apply_for(&agency).await;
    let path = format!("/v3/operator/partner-applications/{}/approve", application["id"].as_str().expect("an id"));
    agency.login.post_nothing(&path).await.problem("wrongAccountKind");
    let rows = app.operator().await.list("/v3/operator/partner-applications?status=pending").await;
    assert_eq!(rows, [application]);
    let unknown = "/v3/operator/partner-applications/arq_01KB0H6Q4N7ZJ8R5T3V9WXY2AC/approve";
    app.operator().await.post_nothing(unknown).await.problem("notFound");
}

async fn only_managers_owners_apply(app: &TestApp) {
    let (client, agency) = (app.standard().await, app.agency().await);
    client.login.post_nothing("/v3/partner-applications").await.problem("wrongAccountKind");
    let key = app.api_key(&agency, &["account:read", "account:write"]).await;
    key.post_nothing("/v3/partner-applications").await.problem("ownerRequired");
    key.get("/v3/partner-applications").await.expect(200);
}

async fn approval_grants_the_highest_level_that_is_met(app: &TestApp) {
    let agency = app.agency().await;
    app.apply(&subscriptions(app, &agency, 1, "1000.00").await).await;
    app.become_partner(&agency).await;
    assert_eq!(level(&agency).await, 2);
}

async fn a_level_counts_from_the_time_its_cause_was_applied(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-01-10T00:00:00Z").await;
    // The event that lifts the level, and after it payments before, at and after the moment of its application.
    let mut events = subscriptions(app, &partner, 1, "800.00").await;
    events[0] = events[0].clone().at("2026-01-05T00:00:00Z");
    events.push(payment(&container).at("2026-01-09T23:59:59.999Z"));
    events.push(payment(&container).at("2026-01-10T00:00:00Z"));
    let results = app.apply(&events).await;
    assert_eq!(level(&partner).await, 2);
    for (result, rate) in results[1..].iter().zip(["30", "35"]) {
        let path = format!("/v3/commissions/{}", result["commissionId"].as_str().expect("a commission"));
        assert_eq!(partner.login.get(&path).await.expect(200)["ratePercent"], rate);
    }
}

async fn a_level_never_falls_by_itself(app: &TestApp) {
    let agency = app.agency().await;
    let events = subscriptions(app, &agency, 1, "1000.00").await;
    app.apply(&events).await;
    app.become_partner(&agency).await;
    app.move_clock("2026-01-02T00:00:00Z").await;
    let canceled = events[0].clone().renamed("canceled").with("status", "canceled").at("2026-01-02T00:00:00Z");
    app.apply(&[canceled]).await;
    assert_eq!(level(&agency).await, 2);
}
