//! What the platform reports: requests counted per period, limits, states and errors.

use serde_json::{Value, json};

use crate::support::{Account, START, TestApp, both_engines, places, subscription};

both_engines!(
    a_bad_report_is_refused_by_itself,
    a_batch_has_at_most_1000_reports,
    a_bigger_plan_clears_the_limit,
    a_container_reaches_its_limit_once_a_period,
    a_deleted_container_is_reported_in_vain,
    an_error_keeps_its_time_while_its_code_stays,
    an_old_state_changes_nothing,
    reports_are_the_operators,
    usage_follows_its_periods,
);

const JANUARY: (&str, &str) = ("2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z");
const FEBRUARY: (&str, &str) = ("2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z");

fn report(container: &str, (start, end): (&str, &str), requests: i64) -> Value {
    json!({
        "containerId": container, "periodStart": start, "periodEnd": end, "requests": requests, "reportedAt": START,
    })
}

async fn post(app: &TestApp, path: &str, field: &str, elements: &[Value]) -> Vec<Value> {
    let path = format!("/v3/operator/{path}");
    let answer = app.operator().await.post(&path, &json!({field: elements})).await.expect(200);
    let results = answer["results"].as_array().expect("results").clone();
    assert_eq!(results.len(), elements.len());
    for (index, result) in results.iter().enumerate() {
        assert_eq!((&result["index"], &result["id"]), (&json!(index), &Value::Null));
        assert_eq!(result["commissionId"], Value::Null);
    }
    results
}

async fn report_usage(app: &TestApp, reports: &[Value]) {
    for result in post(app, "usage-reports", "reports", reports).await {
        assert_eq!(result["outcome"], "applied", "{result:#}");
    }
}

async fn report_states(app: &TestApp, states: &[Value]) {
    for result in post(app, "container-states", "states", states).await {
        assert_eq!(result["outcome"], "applied", "{result:#}");
    }
}

/// A manager, its client and a container on `free`: 10,000 requests.
async fn free_container(app: &TestApp) -> (Account, String, String) {
    let agency = app.agency().await;
    let (client, container) = app.client_with_container(&agency).await;
    (agency, client, container)
}

async fn usage(manager: &Account, container: &str) -> Value {
    manager.login.get(&format!("/v3/containers/{container}")).await.expect(200)["usage"].clone()
}

async fn updates(manager: &Account) -> usize {
    let events = manager.login.list("/v3/events").await;
    events.iter().filter(|event| event["type"] == "container.updated").count()
}

async fn usage_follows_its_periods(app: &TestApp) {
    let (agency, _, container) = free_container(app).await;
    report_usage(app, &[report(&container, JANUARY, 250)]).await;
    let first = usage(&agency, &container).await;
    let expected = json!({
        "requests": 250, "limit": 10_000, "percent": 2, "limitExceeded": false, "limitExceededAt": null,
        "periodStart": JANUARY.0, "periodEnd": JANUARY.1,
    });
    assert_eq!(first, expected);
    report_usage(app, &[report(&container, JANUARY, 250), report(&container, JANUARY, 100)]).await;
    assert_eq!(usage(&agency, &container).await, first);
    app.move_clock("2026-02-02T00:00:00.000Z").await;
    report_usage(app, &[report(&container, FEBRUARY, 7), report(&container, JANUARY, 9_999)]).await;
    let second = usage(&agency, &container).await;
    assert_eq!((&second["requests"], &second["periodStart"]), (&json!(7), &json!(FEBRUARY.0)));
    assert_eq!(updates(&agency).await, 0);
}

async fn a_container_reaches_its_limit_once_a_period(app: &TestApp) {
    let (agency, client, container) = free_container(app).await;
    report_usage(app, &[report(&container, JANUARY, 9_999)]).await;
    assert_eq!(usage(&agency, &container).await["limitExceeded"], false);
    report_usage(app, &[report(&container, JANUARY, 10_000)]).await;
    let exceeded = usage(&agency, &container).await;
    assert_eq!(
        (&exceeded["limitExceeded"], &exceeded["limitExceededAt"], &exceeded["percent"]),
        (&json!(true), &json!(START), &json!(100))
    );
    app.move_clock("2026-02-02T00:00:00.000Z").await;
    let mut later = report(&container, JANUARY, 20_000);
    later["reportedAt"] = json!("2026-02-02T00:00:00.000Z");
    report_usage(app, &[later]).await;
    assert_eq!(usage(&agency, &container).await["limitExceededAt"], START);
    assert_eq!(updates(&agency).await, 1);
    let sub_account = agency.login.get(&format!("/v3/sub-accounts/{client}")).await.expect(200);
    assert_eq!(sub_account["limitExceeded"], true);
    assert_eq!(agency.login.list("/v3/containers?limitExceeded=true").await.len(), 1);
    report_usage(app, &[report(&container, FEBRUARY, 1)]).await;
    let cleared = usage(&agency, &container).await;
    assert_eq!((&cleared["limitExceeded"], &cleared["limitExceededAt"]), (&json!(false), &Value::Null));
}

async fn a_bigger_plan_clears_the_limit(app: &TestApp) {
    let (agency, _, container) = free_container(app).await;
    report_usage(app, &[report(&container, JANUARY, 12_000)]).await;
    app.apply(&[subscription(&container)]).await;
    let cleared = usage(&agency, &container).await;
    assert_eq!((&cleared["limitExceeded"], &cleared["requests"]), (&json!(false), &json!(12_000)));
    app.apply(&[subscription(&container).with("plan", "free")]).await;
    assert_eq!(usage(&agency, &container).await["limitExceeded"], true);
    app.apply(&[subscription(&container).with("plan", "custom")]).await;
    let unlimited = usage(&agency, &container).await;
    assert_eq!((&unlimited["limit"], &unlimited["percent"]), (&Value::Null, &Value::Null));
    assert_eq!(unlimited["limitExceeded"], false);
}

async fn a_bad_report_is_refused_by_itself(app: &TestApp) {
    let (agency, _, container) = free_container(app).await;
    let good = report(&container, JANUARY, 5);
    let with = |field: &str, value: Value| {
        let mut report = good.clone();
        report[field] = value;
        report
    };
    let cases = [
        (with("requests", json!(-1)), "validationFailed", "/reports/0/requests"),
        (with("requests", json!(9_007_199_254_740_993_i64)), "validationFailed", "/reports/0/requests"),
        (with("requests", json!(1.5)), "validationFailed", "/reports/0/requests"),
        (with("requests", json!("1")), "validationFailed", "/reports/0/requests"),
        (with("periodEnd", json!(JANUARY.0)), "validationFailed", "/reports/0/periodEnd"),
        (with("extra", json!(1)), "validationFailed", "/reports/0/extra"),
        (report(&container, FEBRUARY, 1), "occurredInFuture", "/reports/0/periodStart"),
        (with("reportedAt", json!("2026-01-01T00:05:00.001Z")), "occurredInFuture", "/reports/0/reportedAt"),
        (with("containerId", json!("ctr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")), "containerUnknown", "/reports/0/containerId"),
        (with("containerId", json!("nonsense")), "containerUnknown", "/reports/0/containerId"),
    ];
    for (bad, code, place) in cases {
        let results = post(app, "usage-reports", "reports", &[bad.clone(), good.clone()]).await;
        let problem = &results[0]["problem"];
        assert_eq!((&results[0]["outcome"], &problem["code"]), (&json!("rejected"), &json!(code)), "{bad:#}");
        assert_eq!(places(problem), [place], "{bad:#}");
        assert_eq!(results[0]["retryable"], code == "containerUnknown");
        assert_eq!(results[1]["outcome"], "applied");
    }
    let greatest = with("requests", json!(9_007_199_254_740_992_i64));
    report_usage(app, &[greatest, with("reportedAt", json!("2026-01-01T00:05:00.000Z"))]).await;
    assert_eq!(usage(&agency, &container).await["requests"], 9_007_199_254_740_992_i64);
}

async fn a_batch_has_at_most_1000_reports(app: &TestApp) {
    let operator = app.operator().await;
    let many = vec![json!({}); 1_001];
    for (path, field) in [("usage-reports", "reports"), ("container-states", "states")] {
        let path = format!("/v3/operator/{path}");
        let problem = operator.post(&path, &json!({field: many})).await.problem("validationFailed");
        assert_eq!(places(&problem), [format!("/{field}")]);
        assert_eq!(operator.post(&path, &json!({field: []})).await.expect(200)["results"], json!([]));
        operator.post(&path, &json!({})).await.problem("validationFailed");
        let with_key = operator.request(reqwest::Method::POST, &path).header("idempotency-key", "one");
        with_key.json(&json!({field: []})).send().await.problem("idempotencyKeyNotAllowed");
    }
}

fn state(container: &str, at: &str, status: &str, errors: &Value) -> Value {
    json!({"containerId": container, "status": status, "errors": errors, "at": at})
}

async fn an_error_keeps_its_time_while_its_code_stays(app: &TestApp) {
    let (agency, client, container) = free_container(app).await;
    app.move_clock("2026-01-03T00:00:00.000Z").await;
    let (first, second) = ("2026-01-01T10:00:00.000Z", "2026-01-02T10:00:00.000Z");
    let path = format!("/v3/containers/{container}");
    let dns = json!([{"code": "dns", "message": "not found"}]);
    report_states(app, &[state(&container, first, "error", &dns)]).await;
    let shown = agency.login.get(&path).await.expect(200);
    assert_eq!(
        (&shown["status"], &shown["errors"]),
        (
            &json!("error"),
            &json!([
                {"code": "dns", "message": "not found", "since": first},
            ])
        )
    );
    assert_eq!(agency.login.get(&format!("/v3/sub-accounts/{client}")).await.expect(200)["withErrors"], true);
    assert_eq!(agency.login.list("/v3/containers?withErrors=true&status=error").await.len(), 1);
    let both = json!([{"code": "dns", "message": "still"}, {"code": "tls", "message": "expired"}]);
    report_states(app, &[state(&container, second, "error", &both)]).await;
    assert_eq!(
        agency.login.get(&path).await.expect(200)["errors"],
        json!([
            {"code": "dns", "message": "still", "since": first},
            {"code": "tls", "message": "expired", "since": second},
        ])
    );
    let again = state(&container, second, "error", &both);
    report_states(app, &[again.clone(), again]).await;
    assert_eq!(updates(&agency).await, 2);
    report_states(app, &[state(&container, "2026-01-02T11:00:00.000Z", "running", &json!([]))]).await;
    let shown = agency.login.get(&path).await.expect(200);
    assert_eq!((&shown["status"], &shown["errors"]), (&json!("running"), &json!([])));
}

async fn an_old_state_changes_nothing(app: &TestApp) {
    let (agency, _, container) = free_container(app).await;
    let path = format!("/v3/containers/{container}");
    report_states(
        app,
        &[
            state(&container, START, "running", &json!([])),
            state(&container, "2025-12-31T23:59:59.999Z", "stopped", &json!([])),
        ],
    )
    .await;
    assert_eq!(agency.login.get(&path).await.expect(200)["status"], "running");
    let many: Vec<_> = (0..51).map(|number| json!({"code": format!("e{number}"), "message": "m"})).collect();
    let cases = [
        (state(&container, START, "lost", &json!([])), "/states/0/status"),
        (state(&container, START, "error", &json!(many)), "/states/0/errors"),
        (state(&container, START, "error", &json!([{"code": "", "message": "m"}])), "/states/0/errors/0/code"),
        (
            state(&container, START, "error", &json!([{"code": "a\nb\t\u{202e}", "message": "m"}])),
            "/states/0/errors/0/code",
        ),
        (
            state(&container, START, "error", &json!([{"code": "c", "message": "m".repeat(501)}])),
            "/states/0/errors/0/message",
        ),
        (state(&container, "2026-01-01T00:06:00.000Z", "error", &json!([])), "/states/0/at"),
        (state("nonsense", START, "error", &json!([])), "/states/0/containerId"),
    ];
    for (bad, place) in cases {
        let results = post(app, "container-states", "states", &[bad]).await;
        assert_eq!(results[0]["outcome"], "rejected", "{place}");
        assert_eq!(places(&results[0]["problem"]), [place]);
    }
}

async fn a_deleted_container_is_reported_in_vain(app: &TestApp) {
    let client = app.standard().await;
    let body = json!({"name": "shop", "product": "sgtmContainer"});
    let container = client.login.post("/v3/containers", &body).await.expect(201);
    let id = container["id"].as_str().expect("an id");
    client.login.delete(&format!("/v3/containers/{id}")).await.expect(204);
    report_usage(app, &[report(id, JANUARY, 20_000)]).await;
    report_states(app, &[state(id, START, "error", &json!([]))]).await;
    assert_eq!(updates(&client).await, 0);
}

async fn reports_are_the_operators(app: &TestApp) {
    let agency = app.agency().await;
    let scopes = stape_api::auth::Scopes::of(&[stape_api::auth::Scope::OperatorPayouts]);
    let other = app.caller(&app.operator_key(scopes).await);
    for (path, field) in [("usage-reports", "reports"), ("container-states", "states")] {
        let (path, body) = (format!("/v3/operator/{path}"), json!({field: []}));
        agency.login.post(&path, &body).await.problem("wrongAccountKind");
        other.post(&path, &body).await.problem("insufficientScope");
    }
}
