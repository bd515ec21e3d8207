//! The program's configuration: read by all, changed by the operator as a whole, kept in versions.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, START, TestApp, both_engines, payment, places, subscription, usd};

both_engines!(
    a_change_makes_a_new_version,
    a_partner_whose_level_was_dropped_is_shown_what_it_earns,
    a_change_names_what_it_changes,
    a_new_version_values_every_managers_containers_anew,
    a_payment_is_rated_by_the_version_of_its_time,
    an_unchanged_program_makes_no_new_version,
    every_contradiction_is_told_at_once,
    names_are_trimmed,
    of_two_changes_at_once_one_wins,
    only_the_operators_program_scope_changes_it,
    what_a_plan_leaves_open_is_said_by_null,
    what_is_in_use_stays,
);

const PATH: &str = "/v3/operator/program";

/// The program as it is, and its entity tag.
async fn program(app: &TestApp) -> (Value, String) {
    let answer = app.operator().await.get(PATH).await;
    let tag = answer.header("etag").to_owned();
    (answer.expect(200), tag)
}

async fn put(client: &Client, tag: &str, body: &Value) -> Answer {
    client.request(Method::PUT, PATH).header("if-match", tag).json(body).send().await
}

/// Changes the program.
async fn change(app: &TestApp, change: impl FnOnce(&mut Value)) -> Value {
    let (mut body, tag) = program(app).await;
    change(&mut body);
    put(app.operator().await, &tag, &body).await.expect(200)
}

async fn refused(app: &TestApp, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let (mut body, tag) = program(app).await;
    change(&mut body);
    let problem = put(app.operator().await, &tag, &body).await.problem("validationFailed");
    places(&problem).into_iter().map(str::to_owned).collect()
}

async fn a_change_makes_a_new_version(app: &TestApp) {
    let operator = app.operator().await;
    let (mut body, tag) = program(app).await;
    assert_eq!(app.visitor().get("/v3/program").await.header("etag"), tag);
    assert_eq!(operator.request(Method::GET, PATH).header("if-none-match", &tag).send().await.status, 304);
    app.move_clock("2026-03-01T00:00:00.000Z").await;
    body["reviewDays"]["monthly"] = json!(21);
    for field in ["version", "author", "createdAt"] {
        body.as_object_mut().expect("an object").remove(field);
    }
    let answer = put(operator, &tag, &body).await;
    let new_tag = answer.header("etag").to_owned();
    let changed = answer.expect(200);
    assert_eq!((&changed["version"], &changed["createdAt"]), (&json!(2), &json!("2026-03-01T00:00:00.000Z")));
    assert!(changed["author"].as_str().is_some_and(|author| author.starts_with("opk_")), "{changed:#}");
    assert_eq!(program(app).await, (changed.clone(), new_tag));
    assert_eq!(app.visitor().get("/v3/program").await.expect(200), changed);
    let versions = operator.list("/v3/operator/program/versions").await;
    let numbers: Vec<_> = versions.iter().map(|version| &version["version"]).collect();
    assert_eq!((numbers, &versions[1]["createdAt"]), (vec![&json!(2), &json!(1)], &json!(START)));
    assert_eq!((&versions[0], &versions[1]["reviewDays"]["monthly"]), (&changed, &json!(14)));
    let page = operator.get("/v3/operator/program/versions?limit=1").await.expect(200);
    assert_eq!((page["data"].as_array().map(Vec::len), &page["hasMore"]), (Some(1), &json!(true)));
}

async fn a_partner_whose_level_was_dropped_is_shown_what_it_earns(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let decision = json!({"level": 3, "reason": "a test"});
    app.operator().await.patch(&format!("/v3/operator/partners/{}", partner.id), &decision).await.expect(200);
    change(app, |program| program["levels"].as_array_mut().expect("levels").truncate(2)).await;
    let line = app.commission(&partner, &container).await;
    let level = partner.login.get("/v3/dashboard").await.expect(200)["level"].clone();
    assert_eq!((&level["level"], &level["ratePercent"]), (&json!(3), &json!("35")));
    assert_eq!(line["ratePercent"], level["ratePercent"]);
}

async fn a_change_names_what_it_changes(app: &TestApp) {
    let operator = app.operator().await;
    let (body, tag) = program(app).await;
    operator.request(Method::PUT, PATH).json(&body).send().await.problem("preconditionRequired");
    put(operator, "\"other\"", &body).await.problem("preconditionFailed");
    change(app, |program| program["autoApprove"] = json!(true)).await;
    put(operator, &tag, &body).await.problem("preconditionFailed");
}

async fn an_unchanged_program_makes_no_new_version(app: &TestApp) {
    let same = change(app, |_| ()).await;
    assert_eq!((same["version"].clone(), program(app).await.0), (json!(1), same));
}

async fn of_two_changes_at_once_one_wins(app: &TestApp) {
    let operator = app.operator().await;
    for round in 0..5 {
        let (mut one, tag) = program(app).await;
        let mut two = one.clone();
        one["reviewDays"]["monthly"] = json!(20 + round);
        two["reviewDays"]["yearly"] = json!(70 + round);
        let (first, second) = futures_util::future::join(put(operator, &tag, &one), put(operator, &tag, &two)).await;
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
    }
    assert_eq!(program(app).await.0["version"], 6);
}

async fn every_contradiction_is_told_at_once(app: &TestApp) {
    let found = refused(app, |program| {
        program["currency"] = json!("CHF");
        program["levels"][1]["minPaidContainers"] = json!(6);
        program["levels"][2]["rates"] = json!({"signalsGateway": "25", "fax": "1"});
        program["defaultReferralTarget"] = json!("http://stape.io/");
        program["plans"][1]["requestLimit"] = json!(0);
    })
    .await;
    for place in [
        "/currency",
        "/levels/0/minReferralValue/currency",
        "/levels/1/minPaidContainers",
        "/levels/2/rates/default",
        "/levels/2/rates/fax",
        "/defaultReferralTarget",
        "/plans/1/requestLimit",
        "/plans/1/price/monthly/currency",
    ] {
        assert!(found.iter().any(|found| found == place), "{place}: {found:?}");
    }
    for (place, change) in [
        (
            "/levels/0/rates/default",
            json!({"levels": [{"level": 1, "name": "a", "minPaidContainers": 1,
            "minReferralValue": usd("1.00"), "rates": {"default": "100.01"}}]}),
        ),
        ("/unknown", json!({"unknown": 1})),
        ("/autoApprove", json!({"autoApprove": "yes"})),
    ] {
        let found = refused(app, |program| {
            for (name, value) in change.as_object().expect("an object") {
                program[name] = value.clone();
            }
        })
        .await;
        assert_eq!(found, [place]);
    }
    let (_, tag) = program(app).await;
    put(app.operator().await, &tag, &json!([])).await.problem("validationFailed");
    put(app.operator().await, &tag, &json!({})).await.problem("validationFailed");
    assert_eq!(program(app).await.0["version"], 1);
}

async fn what_a_plan_leaves_open_is_said_by_null(app: &TestApp) {
    for field in ["requestLimit", "price"] {
        let found = refused(app, |program| {
            program["plans"][1].as_object_mut().expect("a plan").remove(field);
        });
        assert_eq!(found.await, [format!("/plans/1/{field}")]);
    }
    let open = change(app, |program| {
        program["plans"][1]["requestLimit"] = Value::Null;
        program["plans"][1]["price"] = Value::Null;
    });
    assert_eq!(open.await["plans"][1]["requestLimit"], Value::Null);
}

async fn names_are_trimmed(app: &TestApp) {
    let changed = change(app, |program| {
        program["levels"][0]["name"] = json!(" Bronze\t");
        program["plans"][0]["label"] = json!("\u{a0}Gratis ");
    })
    .await;
    assert_eq!((&changed["levels"][0]["name"], &changed["plans"][0]["label"]), (&json!("Bronze"), &json!("Gratis")));
    let found = refused(app, |program| {
        program["levels"][0]["name"] = json!("  ");
        program["plans"][0]["label"] = json!("Gra\u{202e}sit");
    });
    assert_eq!(found.await, ["/levels/0/name", "/plans/0/label"]);
}

async fn what_is_in_use_stays(app: &TestApp) {
    let agency = app.agency().await;
    let (_, container) = app.client_with_container(&agency).await;
    let euro = json!({"amount": "20.00", "currency": "EUR"});
    app.apply(&[subscription(&container).with("price", euro)]).await;
    let without = |plan: &'static str| {
        move |program: &mut Value| {
            let plans = program["plans"].as_array_mut().expect("plans");
            plans.retain(|row| row["product"] != "sgtmContainer" || row["plan"] != plan);
        }
    };
    assert_eq!(refused(app, without("pro")).await, ["/plans"]);
    let without_currency = |code: &'static str| {
        move |program: &mut Value| {
            program["currencies"].as_array_mut().expect("currencies").retain(|row| row["currency"] != code);
        }
    };
    assert_eq!(refused(app, without_currency("EUR")).await, ["/currencies"]);
    change(app, without("business")).await;
    change(app, without_currency("GBP")).await;
    app.apply(&[subscription(&container)]).await;
    change(app, without_currency("EUR")).await;
}

async fn a_new_version_values_every_managers_containers_anew(app: &TestApp) {
    let (partner, agency) = (app.partner().await, app.agency().await);
    app.reach_threshold(&agency).await;
    change(app, |program| {
        for level in program["levels"].as_array_mut().expect("levels") {
            level["rates"] = json!({"default": "50"});
        }
    })
    .await;
    for manager in [&partner, &agency] {
        let eligibility = manager.login.get("/v3/partner-applications").await.expect(200)["eligibility"].clone();
        assert_eq!(eligibility["referralValue"], usd("60.00"));
        let summary = manager.login.get("/v3/commissions/summary").await.expect(200);
        assert_eq!(summary["balances"][0]["monthlyValue"], usd("60.00"), "{summary:#}");
    }
}

async fn a_payment_is_rated_by_the_version_of_its_time(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-02-01T00:00:00.000Z").await;
    change(app, |program| program["levels"][0]["rates"] = json!({"default": "30", "sgtmContainer": "10"})).await;
    let times = ["2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z"];
    app.apply(&times.map(|time| payment(&container).at(time))).await;
    let rows = partner.login.list("/v3/commissions").await;
    let rated: Vec<_> = rows.iter().map(|row| (&row["ratePercent"], &row["programVersion"])).collect();
    assert_eq!(rated, [(&json!("10"), &json!(2)), (&json!("30"), &json!(1))]);
}

async fn only_the_operators_program_scope_changes_it(app: &TestApp) {
    let partner = app.partner().await;
    let scopes = stape_api::auth::Scopes::of(&[stape_api::auth::Scope::OperatorBilling]);
    let other = app.caller(&app.operator_key(scopes).await);
    let (body, tag) = program(app).await;
    put(&partner.login, &tag, &body).await.problem("wrongAccountKind");
    put(&other, &tag, &body).await.problem("insufficientScope");
    other.get("/v3/operator/program/versions").await.problem("insufficientScope");
}
