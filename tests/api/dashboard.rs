//! The dashboard, earnings over time, what is maturing, and exports of commissions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Account, PASSWORD, TestApp, both_engines, id, payment, refund, subscription, usd};

both_engines!(
    a_member_a_key_and_an_agency_see_the_dashboard_and_a_client_does_not,
    alerts_follow_containers_links_and_transfers,
    commissions_are_exported_with_the_lists_filters,
    an_export_is_read_by_clients_of_every_version,
    a_currency_without_a_balance_shows_what_was_earned_and_taken_back,
    earnings_go_by_payment_time_and_corrections_by_their_own,
    maturing_commissions_are_told_by_day,
    the_dashboard_adds_up,
    the_series_keeps_to_its_time_zone_over_a_change_of_clocks,
    the_usual_series_ends_with_the_interval_that_has_just_begun,
    what_the_series_cannot_be_asked_is_refused,
);

async fn dashboard(account: &Account) -> Value {
    account.login.get("/v3/dashboard").await.expect(200)
}

async fn series(account: &Account, query: &str) -> Vec<Value> {
    let series = account.login.get(&format!("/v3/commissions/time-series?{query}")).await.expect(200);
    series["data"].as_array().expect("points").clone()
}

async fn signed_in_again(app: &TestApp, account: Account) -> Account {
    Account { login: app.sign_in(&account.email, PASSWORD).await, ..account }
}

async fn the_dashboard_adds_up(app: &TestApp) {
    let partner = app.partner().await;
    app.payout_method(&partner, "USD").await;
    let (client, container) = app.client_with_container(&partner).await;
    let january = payment(&container).with("amount", usd("500.00")).with("tax", usd("0.00"));
    app.apply(&[january.clone(), subscription(&container)]).await;
    app.move_clock("2026-02-10T00:00:00Z").await;
    app.apply(&[payment(&container).at("2026-02-09T00:00:00Z"), refund(&january, &usd("100.00"))]).await;
    app.bonus(&partner, "5.00").await;
    let partner = signed_in_again(app, partner).await;
    let payout = app.payout(&partner).await;
    let shown = dashboard(&partner).await;
    let level = &shown["level"];
    assert_eq!((&level["level"], &level["name"], &level["ratePercent"]), (&json!(1), &json!("Partner"), &json!("30")));
    let next = &level["next"];
    assert_eq!((&next["level"], &next["missingPaidContainers"]), (&json!(2), &json!(18)));
    assert_eq!(next["missingReferralValue"], usd("208.00"));
    assert_eq!((&level["paidContainers"], &level["referralValue"]), (&json!(7), &usd("42.00")));
    assert_eq!((&next["minPaidContainers"], &next["minReferralValue"]), (&json!(25), &usd("250.00")));
    assert_eq!(shown["eligibility"], Value::Null);
    let balances = &shown["balances"][0];
    for (field, amount) in [
        ("monthlyValue", "42.00"),
        ("inReview", "6.00"),
        ("readyToPayout", "0.00"),
        ("inPayout", "125.00"),
        ("paid", "0.00"),
        ("debt", "0.00"),
        ("earnedThisMonth", "-19.00"),
        ("earnedLastMonth", "150.00"),
    ] {
        assert_eq!(balances[field], usd(amount), "{field}");
    }
    let link = partner.login.get("/v3/referral-links").await.expect(200)["data"][0].clone();
    assert_eq!(shown["referralLink"], link);
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    assert_eq!(shown["containersByPlan"], summary["containersByPlan"]);
    assert_eq!(shown["alerts"], json!({"limitExceeded": 0, "withErrors": 0}));
    assert_eq!(shown["recentSubAccounts"][0]["id"], json!(client));
    assert_eq!(shown["recentPayouts"], json!([payout]));
}

async fn a_member_a_key_and_an_agency_see_the_dashboard_and_a_client_does_not(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let shown = dashboard(&agency).await;
    assert_eq!((&shown["level"], &shown["recentPayouts"]), (&Value::Null, &json!([])));
    let eligibility = json!({"paidContainers": 0, "referralValue": usd("0.00"), "eligible": false});
    assert_eq!(shown["eligibility"], eligibility);
    assert_eq!(shown["balances"][0]["earnedThisMonth"], usd("0.00"));
    app.api_key(&agency, &["commissions:read"]).await.get("/v3/dashboard").await.expect(200);
    app.api_key(&agency, &["payouts:read"]).await.get("/v3/dashboard").await.problem("insufficientScope");
    client.login.get("/v3/dashboard").await.problem("wrongAccountKind");
    app.visitor().get("/v3/dashboard").await.problem("authenticationRequired");
    for _ in 0..7 {
        app.client_of(&agency).await;
    }
    assert_eq!(dashboard(&agency).await["recentSubAccounts"].as_array().map(Vec::len), Some(5));
}

async fn alerts_follow_containers_links_and_transfers(app: &TestApp) {
    let (partner, other) = (app.agency().await, app.agency().await);
    let (client, container) = app.client_with_container(&partner).await;
    let second = app.container(&partner, &client).await;
    let operator = app.operator().await;
    let used = |container: &str, requests: i64, month: i64| {
        json!({"reports": [{
            "containerId": container, "requests": requests, "reportedAt": "2026-01-01T00:00:00Z",
            "periodStart": format!("2025-{month:02}-01T00:00:00Z"), "periodEnd": format!("2025-{month:02}-28T00:00:00Z"),
        }]})
    };
    let alerts = async |account: &Account| {
        let alerts = dashboard(account).await["alerts"].clone();
        (alerts["limitExceeded"].as_i64(), alerts["withErrors"].as_i64())
    };
    operator.post("/v3/operator/usage-reports", &used(&container, 10_000, 10)).await.expect(200);
    operator.post("/v3/operator/usage-reports", &used(&second, 10_000, 10)).await.expect(200);
    let failing = json!({"states": [{
        "containerId": container, "status": "error", "at": "2026-01-01T00:00:00Z",
        "errors": [{"code": "dns", "message": "The domain does not point here"}],
    }]});
    operator.post("/v3/operator/container-states", &failing).await.expect(200);
    assert_eq!(alerts(&partner).await, (Some(1), Some(1)));
    let listed = partner.login.list("/v3/sub-accounts?limitExceeded=true&withErrors=true").await;
    assert_eq!(listed.iter().map(id).collect::<Vec<_>>(), std::slice::from_ref(&client));
    operator.post("/v3/operator/usage-reports", &used(&container, 1, 11)).await.expect(200);
    assert_eq!(alerts(&partner).await, (Some(1), Some(1)));
    partner.login.post_nothing(&format!("/v3/sub-accounts/{client}/detach")).await.expect(204);
    assert_eq!(alerts(&partner).await, (Some(0), Some(0)));
    app.link(&client, &other.id).await;
    assert_eq!(alerts(&other).await, (Some(1), Some(1)));
    app.apply(&[subscription(&second)]).await;
    assert_eq!(alerts(&other).await, (Some(0), Some(1)));
    let healthy = json!({"states": [{
        "containerId": container, "status": "running", "at": "2026-01-01T00:00:00Z", "errors": [],
    }]});
    operator.post("/v3/operator/container-states", &healthy).await.expect(200);
    assert_eq!(alerts(&other).await, (Some(0), Some(0)));
    assert_eq!(other.login.list("/v3/sub-accounts?limitExceeded=false&withErrors=false").await.len(), 1);
}

async fn earnings_go_by_payment_time_and_corrections_by_their_own(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-03-10T12:00:00Z").await;
    let paid = payment(&container).at("2026-01-20T00:00:00Z");
    app.apply(&[paid.clone(), payment(&container).at("2026-02-28T23:59:59Z")]).await;
    app.apply(&[refund(&paid, &usd("8.00"))]).await;
    app.bonus(&partner, "5.00").await;
    let partner = signed_in_again(app, partner).await;
    let months = series(&partner, "interval=month&from=2026-01-01&to=2026-04-01").await;
    let figures: Vec<_> = months
        .iter()
        .map(|point| {
            ["date", "commissions", "reversed", "adjusted", "earned"]
                .map(|name| point[name].as_str().or(point[name]["amount"].as_str()).expect("a text").to_owned())
        })
        .collect();
    assert_eq!(figures[0], ["2026-01-01", "6.00", "0.00", "0.00", "6.00"]);
    assert_eq!(figures[1], ["2026-02-01", "6.00", "0.00", "0.00", "6.00"]);
    assert_eq!(figures[2], ["2026-03-01", "0.00", "2.00", "5.00", "3.00"]);
    assert_eq!(figures.len(), 3);
    let shown = dashboard(&partner).await;
    assert_eq!(shown["balances"][0]["earnedThisMonth"], usd("3.00"));
    assert_eq!(shown["balances"][0]["earnedLastMonth"], usd("6.00"));
    let euros = series(&partner, "interval=month&from=2026-01-01&to=2026-02-01&currency=EUR").await;
    assert_eq!(euros[0]["earned"], json!({"amount": "0.00", "currency": "EUR"}));
    let days = series(&partner, "").await;
    assert_eq!((days.len(), &days[29]["date"]), (30, &json!("2026-03-10")));
    let other = app.partner().await;
    let sum: Vec<_> = series(&other, "interval=month&from=2026-01-01&to=2026-04-01").await;
    assert!(sum.iter().all(|point| point["earned"] == usd("0.00")));
}

async fn a_currency_without_a_balance_shows_what_was_earned_and_taken_back(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let euros = |amount: &str| json!({"amount": amount, "currency": "EUR"});
    let paid = payment(&container).with("amount", euros("24.00")).with("tax", euros("4.00"));
    app.apply(std::slice::from_ref(&paid)).await;
    app.move_clock("2026-02-01T00:00:00Z").await;
    app.apply(&[refund(&paid, &euros("24.00"))]).await;
    let partner = signed_in_again(app, partner).await;
    let row = dashboard(&partner).await["balances"][1].clone();
    assert_eq!((&row["readyToPayout"], &row["debt"]), (&euros("0.00"), &euros("0.00")));
    assert_eq!((&row["earnedLastMonth"], &row["earnedThisMonth"]), (&euros("6.00"), &euros("-6.00")));
    let summary = partner.login.get("/v3/commissions/summary").await.expect(200);
    assert_eq!(summary["balances"].as_array().map(Vec::len), Some(1));
}

async fn the_series_keeps_to_its_time_zone_over_a_change_of_clocks(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-04-01T00:00:00Z").await;
    // In Berlin: the last second of the 28th, the first and the last of the 29th, which has 23 hours, and the first of the 30th.
    let times = ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"];
    app.apply(&times.map(|time| payment(&container).at(time))).await;
    let partner = signed_in_again(app, partner).await;
    let days = series(&partner, "timeZone=Europe/Berlin&from=2026-03-28&to=2026-03-31").await;
    let shown: Vec<_> = days.iter().map(|point| (&point["date"], &point["earned"]["amount"])).collect();
    let expected = [("2026-03-28", "6.00"), ("2026-03-29", "12.00"), ("2026-03-30", "6.00")];
    assert_eq!(
        shown,
        expected.map(|(date, amount)| (json!(date), json!(amount))).iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
    );
    assert_eq!(
        (&days[1]["startsAt"], &days[1]["endsAt"]),
        (&json!("2026-03-28T23:00:00.000Z"), &json!("2026-03-29T22:00:00.000Z"))
    );
    let weeks = series(&partner, "interval=week&timeZone=Europe/Berlin&from=2026-03-29&to=2026-03-31").await;
    let shown: Vec<_> = weeks.iter().map(|point| point["date"].as_str().expect("a day")).collect();
    assert_eq!(shown, ["2026-03-23", "2026-03-30"]);
    assert_eq!(weeks[0]["earned"], usd("18.00"));
    let kathmandu = series(&partner, "timeZone=Asia/Kathmandu&from=2026-03-29&to=2026-03-30").await;
    assert_eq!(kathmandu[0]["startsAt"], "2026-03-28T18:15:00.000Z");
}

async fn the_usual_series_ends_with_the_interval_that_has_just_begun(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    app.move_clock("2026-03-01T00:00:00Z").await;
    app.apply(&[payment(&container).at("2026-03-01T00:00:00Z")]).await;
    let partner = signed_in_again(app, partner).await;
    for (interval, count, date) in [("day", 30, "2026-03-01"), ("week", 12, "2026-02-23"), ("month", 12, "2026-03-01")]
    {
        let points = series(&partner, &format!("interval={interval}")).await;
        let last = points.last().expect("a point");
        assert_eq!((points.len(), &last["date"], &last["earned"]), (count, &json!(date), &usd("6.00")), "{interval}");
    }
    assert_eq!(dashboard(&partner).await["balances"][0]["earnedThisMonth"], usd("6.00"));
    assert_eq!(series(&partner, "from=2021-02-25").await.len(), 1831);
}

async fn what_the_series_cannot_be_asked_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    for query in [
        "timeZone=Mars/Olympus",
        "timeZone=",
        "interval=hour",
        "from=2020-01-01&to=2026-01-01",
        "from=2026-01-02&to=2026-01-01",
        "from=yesterday",
        "currency=usd",
        "from=1970-01-01&to=1970-01-05&timeZone=Europe/Berlin",
        "to=1970-01-05",
        "interval=month&from=9999-12-01&to=9999-12-31",
    ] {
        let answer = agency.login.get(&format!("/v3/commissions/time-series?{query}")).await;
        answer.problem("invalidParameter");
    }
    agency.login.get("/v3/commissions/time-series?zone=UTC").await.problem("unknownParameter");
    agency.login.get("/v3/commissions/maturing?timeZone=x").await.problem("invalidParameter");
    assert_eq!(series(&agency, "from=2021-01-01&to=2026-01-01").await.len(), 1826);
}

async fn maturing_commissions_are_told_by_day(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let yearly = payment(&container).with("billingPeriod", "yearly").with("plan", "business");
    let refunded = payment(&container).at("2025-12-31T23:00:00Z");
    app.apply(&[payment(&container), payment(&container), yearly]).await;
    app.apply(&[refunded]).await;
    let maturing = partner.login.get("/v3/commissions/maturing").await.expect(200);
    let days = maturing["data"].as_array().expect("days");
    let shown: Vec<_> = days.iter().map(|day| (day["date"].as_str(), &day["amount"], &day["commissions"])).collect();
    assert_eq!(shown[0], (Some("2026-01-15"), &usd("12.00"), &json!(2)));
    assert_eq!(shown[1], (Some("2026-03-02"), &usd("6.00"), &json!(1)));
    assert_eq!(shown.len(), 2);
    let west = partner.login.get("/v3/commissions/maturing?timeZone=America/New_York").await.expect(200);
    assert_eq!(west["data"][0]["date"], "2026-01-14");
    let euros = partner.login.get("/v3/commissions/maturing?currency=EUR").await.expect(200);
    assert_eq!(euros["data"], json!([]));
}

async fn commissions_are_exported_with_the_lists_filters(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let commission = app.commission(&partner, &container).await;
    app.bonus(&partner, "5.00").await;
    let csv = partner.login.get("/v3/commissions/export").await;
    assert!(csv.header("content-disposition").contains("commissions.csv"));
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let columns = reader.headers().expect("column names").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let cell = |row: &csv::StringRecord, name: &str| {
        row[columns.iter().position(|column| column == name).expect("a column")].to_owned()
    };
    assert_eq!(rows.len(), 2);
    assert_eq!((cell(&rows[0], "kind"), cell(&rows[0], "net")), ("adjustment".into(), "5.00".into()));
    assert_eq!((cell(&rows[1], "id"), cell(&rows[1], "amount")), (id(&commission), "6.00".into()));
    assert_eq!((cell(&rows[1], "ratePercent"), cell(&rows[1], "currency")), ("30".into(), "USD".into()));
    let lines = partner.login.get("/v3/commissions/export?format=ndjson&kind=commission").await;
    let row: Value = serde_json::from_str(lines.text.trim_end()).expect("one JSON object");
    assert_eq!(row, commission);
    let other = app.partner().await;
    assert_eq!(other.login.get("/v3/commissions/export").await.text.lines().count(), 1);
    partner.login.get("/v3/commissions/export?format=xls").await.problem("invalidParameter");
}

/// An answer as it comes over the wire, up to the end of the connection.
async fn over_the_wire(app: &TestApp, request: String) -> String {
    let address = app.address.trim_start_matches("http://").to_owned();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the connection ends");
        answer
    };
    actix_web::rt::task::spawn_blocking(exchange).await.expect("an answer")
}

async fn an_export_is_read_by_clients_of_every_version(app: &TestApp) {
    let partner = app.partner().await;
    app.bonus(&partner, "5.00").await;
    let whole = partner.login.get("/v3/commissions/export").await.text;
    let send = |method: &str, version: &str| {
        let token = partner.login.credential();
        let head = format!("{method} /v3/commissions/export {version}\r\nHost: x\r\nConnection: close\r\n");
        over_the_wire(app, format!("{head}Authorization: Bearer {token}\r\n\r\n"))
    };
    let old = send("GET", "HTTP/1.0").await;
    let (head, body) = old.split_once("\r\n\r\n").expect("a head");
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!(body, whole);
    assert!(send("GET", "HTTP/1.1").await.to_ascii_lowercase().contains("transfer-encoding: chunked"));
    let head = send("HEAD", "HTTP/1.1").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && !head.contains("content-length"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}
