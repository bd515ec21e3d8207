//! Health and metrics: what a load balancer and a monitoring system ask.

use std::time::{Duration, Instant};

use crate::support::{TestApp, both_engines};

both_engines!(
    a_database_that_cannot_be_reached_is_a_problem_and_no_hang,
    a_server_lives_and_is_ready,
    metrics_are_for_operators,
    metrics_have_a_port_of_their_own_when_it_is_configured,
    metrics_tell_of_the_worker_and_the_ledgers,
);

async fn a_server_lives_and_is_ready(app: &TestApp) {
    for path in ["/health/live", "/health/ready"] {
        let answer = app.visitor().get(path).await;
        assert_eq!(answer.clone().expect(200)["status"], "ok");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(app.visitor().head(path).await.status, 200);
    }
}

async fn a_database_that_cannot_be_reached_is_a_problem_and_no_hang(app: &TestApp) {
    let Some(postgres) = app.database.postgres() else { return };
    let agency = app.agency().await;
    postgres.allow_connections(false);
    for path in ["/health/ready", "/v3/sub-accounts"] {
        let begun = Instant::now();
        let answer = agency.login.get(path).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{path} took {:?}", begun.elapsed());
        assert!(!answer.header("retry-after").is_empty());
        answer.problem("serviceUnavailable");
    }
    app.visitor().get("/health/live").await.expect(200);
    postgres.allow_connections(true);
    let begun = Instant::now();
    while app.visitor().get("/health/ready").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the server does not come back");
    }
}

async fn metrics_are_for_operators(app: &TestApp) {
    let agency = app.agency().await;
    app.visitor().get("/metrics").await.problem("authenticationRequired");
    agency.login.get("/metrics").await.problem("wrongAccountKind");
    let answer = app.operator().await.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.text.contains("route=\"/v3/accounts\""), "{}", answer.text);
    assert!(!answer.text.contains(&agency.id), "no ids in metrics");
}

async fn metrics_tell_of_the_worker_and_the_ledgers(app: &TestApp) {
    app.agency().await;
    let wanted = [
        "stape_worker_last_success_timestamp_seconds{duty=\"commissions out of review\"} ",
        "stape_worker_last_success_timestamp_seconds{duty=\"ledger check\"} ",
        "stape_worker_failures_total{duty=\"scheduled payouts\"} 0",
        "stape_ledger_differences 0",
        "stape_db_pool_max_connections ",
        "stape_queue_waiting{queue=\"SQLite writes\"} 0",
        "stape_queue_waiting{queue=\"billing events\"} 0",
        "stape_queue_waiting{queue=\"passwords\"} 0",
    ];
    let begun = Instant::now();
    loop {
        // The worker begins its first round beside the server's first requests.
        let metrics = app.operator().await.get("/metrics").await.text;
        let missing: Vec<_> = wanted.iter().filter(|line| !metrics.contains(**line)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{missing:?} in {metrics}");
    }
}

async fn metrics_have_a_port_of_their_own_when_it_is_configured(app: &TestApp) {
    // A free port: the listener that found it is closed again.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = TestApp::start_with(&app.database, |settings| settings.metrics_bind = Some(free.to_string())).await;
    let metrics = reqwest::get(format!("http://{free}/metrics")).await.expect("an answer");
    assert_eq!(metrics.status(), 200);
    for path in ["/health/live", "/v3/account", "/nothing"] {
        let answer = reqwest::get(format!("http://{free}{path}")).await.expect("an answer");
        assert_eq!(answer.status(), 404, "{path}");
    }
    let post = reqwest::Client::new().post(format!("http://{free}/health/live")).send().await.expect("an answer");
    assert_eq!(post.status(), 404);
    server.visitor().get("/metrics").await.problem("authenticationRequired");
    server.stop().await;
}
