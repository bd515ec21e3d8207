//! Bodies, parameters and texts that are made to break something: the parser, a header, a file.

use std::fmt::Write;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, TestApp, both_engines, payment, places, usd};

both_engines!(
    absurd_json_is_refused_at_once,
    absurd_numbers_and_depths_reject_their_event_alone,
    an_element_that_cannot_be_read_rejects_itself_alone,
    many_parameters_and_long_paths_are_refused_at_once,
    names_cannot_break_out_of_a_header_or_a_line,
);

/// How long a refusal may take, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn raw(client: &Client, path: &str, body: String) -> crate::support::Answer {
    let begun = Instant::now();
    let request = client.request(Method::POST, path).header("content-type", "application/json");
    let answer = request.bytes(body).send().await;
    assert!(begun.elapsed() < AT_ONCE, "{path}: {:?}", begun.elapsed());
    answer
}

async fn absurd_json_is_refused_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let mut wide = "{".to_owned();
    for number in 0..60_000 {
        write!(wide, "\"f{number}\":1,").expect("text");
    }
    wide.push_str("\"name\":\"x\"}");
    let deep = |inner: &str| format!("{{\"name\":{}{inner}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (body, status) in [
        (wide, 422),
        (deep("1"), 400),
        (r#"{"name":"a","name":"b","product":"sgtmContainer"}"#.to_owned(), 422),
        (r#"{"name":1e999,"product":"sgtmContainer"}"#.to_owned(), 422),
        (format!("{{\"name\":{},\"product\":\"x\"}}", "9".repeat(10_000)), 422),
        (r#"{"name":"\ud800","product":"sgtmContainer"}"#.to_owned(), 400),
        (r#"{"name":"a\u0000b","product":"sgtmContainer"}"#.to_owned(), 422),
        ("\u{feff}{}".to_owned(), 400),
        (format!("{}{{}}", " ".repeat(500_000)), 422),
        ("{\"__proto__\":{\"admin\":true},\"name\":\"x\",\"product\":\"sgtmContainer\"}".to_owned(), 422),
    ] {
        let start: String = body.chars().take(60).collect();
        let answer = raw(&agency.login, "/v3/containers", body).await;
        assert_eq!(answer.status, status, "{start}: {}", answer.text);
        assert!(answer.text.len() < 64 << 10, "{start}: a problem of {} bytes", answer.text.len());
    }
    agency.login.get("/v3/account").await.expect(200);
}

async fn absurd_numbers_and_depths_reject_their_event_alone(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let good = payment(&container);
    let mut nested = json!(1);
    for _ in 0..50 {
        nested = json!({"a": [nested]});
    }
    let with = |field: &str, value: Value| payment(&container).with(field, value);
    let bad = [
        with("amount", json!({"amount": "99999999999999999999999999.00", "currency": "USD"})),
        with("amount", json!({"amount": "1e3", "currency": "USD"})),
        with("amount", json!({"amount": "+1.00", "currency": "USD"})),
        with("amount", json!({"amount": "1.00", "currency": "XXX"})),
        with("amount", json!({"amount": "١.00", "currency": "USD"})),
        with("amount", json!({"amount": "-0.01", "currency": "USD"})),
        with("amount", json!({"amount": 24.0, "currency": "USD"})),
        with("amount", nested.clone()),
        with("more", nested),
        with("paymentId", json!("x".repeat(256))),
        with("periodEnd", json!("2026-02-30T00:00:00Z")),
        with("periodEnd", json!("9999999999-01-01T00:00:00Z")),
    ];
    let count = bad.len();
    let events: Vec<_> = bad.into_iter().chain([good]).collect();
    let results = app.post_events(&events).await;
    for (event, result) in events.iter().zip(&results).take(count) {
        assert_eq!(result["outcome"], "rejected", "{}: {result:#}", event.0);
    }
    assert_eq!(results[count]["outcome"], "applied", "{:#}", results[count]);
    let earned = partner.login.list("/v3/commissions").await;
    assert_eq!((earned.len(), &earned[0]["amount"]), (1, &usd("6.00")));
}

/// JSON by its grammar, and yet nothing that a value holds: it is wrong where it stands, and nowhere else.
async fn an_element_that_cannot_be_read_rejects_itself_alone(app: &TestApp) {
    let partner = app.partner().await;
    let (_, container) = app.client_with_container(&partner).await;
    let operator = app.operator().await;
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let unreadable = [deep.as_str(), "1e999", "-1E+4000", r#""\ud800""#];
    for (path, list, good) in [
        ("/v3/operator/billing-events", "events", payment(&container).0.to_string()),
        (
            "/v3/operator/usage-reports",
            "reports",
            json!({
            "containerId": container, "periodStart": "2026-01-01T00:00:00Z", "periodEnd": "2026-02-01T00:00:00Z",
            "requests": 7, "reportedAt": "2026-01-01T00:00:00Z"})
            .to_string(),
        ),
        (
            "/v3/operator/container-states",
            "states",
            json!({
            "containerId": container, "status": "running", "errors": [], "at": "2026-01-01T00:00:00Z"})
            .to_string(),
        ),
    ] {
        let bad = unreadable.iter().enumerate().flat_map(|(number, value)| {
            // In a field of its own, in place of the element's id, and deep inside.
            [
                good.replacen('{', &format!("{{\"more\":{value},"), 1),
                format!("{{\"id\":{value},\"containerId\":{value},\"data\":{value}}}"),
                format!("{{\"id\":\"bad-{number}\",\"type\":\"payment.succeeded\",\"data\":{{\"amount\":{{\"amount\":{value}}}}}}}"),
            ]
        });
        let elements: Vec<String> = bad.chain([good.clone()]).collect();
        let body = format!("{{\"{list}\": [{}]}}", elements.join(" , "));
        let answer = raw(operator, path, body).await.expect(200);
        let results = answer["results"].as_array().expect("results");
        let (last, others) = results.split_last().expect("results");
        assert_eq!((results.len(), &last["outcome"]), (elements.len(), &json!("applied")), "{path}: {last:#}");
        assert!(others.iter().all(|result| result["outcome"] == "rejected"), "{path}: {others:#?}");
        if list == "events" {
            assert_eq!(others[2]["id"], "bad-0", "{:#}", others[2]);
        }
        for no_json in [format!("{{\"{list}\": [{{\"a\": 1e999}}, {{]}}"), format!("{{\"{list}\": [{deep}]")] {
            let answer = raw(operator, path, no_json).await;
            assert!([400, 422].contains(&answer.status), "{}", answer.text);
        }
        for no_batch in
            [deep.clone(), format!("{{\"{list}\": {deep}}}"), format!("{{\"{list}\": [{{}}], \"more\": 1e999}}")]
        {
            raw(operator, path, no_batch).await.problem("validationFailed");
        }
    }
}

async fn many_parameters_and_long_paths_are_refused_at_once(app: &TestApp) {
    let agency = app.agency().await;
    let many = (0..3_000).fold(String::new(), |mut query, number| {
        write!(query, "p{number}=1&").expect("text");
        query
    });
    let same = "status=inReview&".repeat(2_000);
    let values = (0..101).map(|number| format!("v{number}")).collect::<Vec<_>>().join(",");
    for (path, statuses) in [
        (format!("/v3/commissions?{many}"), &[400][..]),
        (format!("/v3/commissions?{same}"), &[400]),
        (format!("/v3/commissions?subAccountId={values}"), &[400]),
        (format!("/v3/commissions?subAccountId={}", "x".repeat(20_000)), &[200, 400]),
        (format!("/v3/commissions/{}", "x".repeat(20_000)), &[404]),
        (format!("/{}", "a/".repeat(5_000)), &[404]),
        (format!("/r/{}", "x".repeat(5_000)), &[404]),
        ("/v3/commissions?limit=%FF%FE".to_owned(), &[400]),
        ("/v3/commissions?%00=1".to_owned(), &[400]),
        ("/v3/commissions/%00".to_owned(), &[404]),
        ("/v3/commissions/..%2f..%2fetc%2fpasswd".to_owned(), &[404]),
    ] {
        let begun = Instant::now();
        let answer = agency.login.get(&path).await;
        let start: String = path.chars().take(60).collect();
        assert!(statuses.contains(&answer.status), "{start}: {}", answer.status);
        assert!(begun.elapsed() < AT_ONCE, "{start}: {:?}", begun.elapsed());
        assert!(answer.text.len() < 64 << 10, "{start}: a problem of {} bytes", answer.text.len());
    }
}

/// Names go into mails, files and logs: none brings a line of its own.
async fn names_cannot_break_out_of_a_header_or_a_line(app: &TestApp) {
    let agency = app.agency().await;
    for name in ["Ann\r\nBcc: victim@example.com", "Ann\nX: y", "Ann\u{0}", "Ann\u{1b}[2J", "Ann\u{7f}"] {
        let client =
            json!({"email": crate::support::new_email(), "firstName": name, "lastName": "x", "sendInvite": true});
        let problem = agency.login.post("/v3/sub-accounts", &client).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/firstName"], "{name:?}");
        let mut person = client.clone();
        person["kind"] = json!("agency");
        person["password"] = json!(crate::support::PASSWORD);
        person.as_object_mut().expect("an object").remove("sendInvite");
        let problem = app.visitor().post("/v3/accounts", &person).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/firstName"], "{name:?}");
        let company = agency.login.patch("/v3/account", &json!({"companyName": name})).await;
        assert_eq!(places(&company.problem("validationFailed")), ["/companyName"], "{name:?}");
    }
    for email in ["a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "<a@example.com>", "a b@c.com"]
    {
        let client = json!({"email": email, "firstName": "A", "lastName": "B"});
        let problem = agency.login.post("/v3/sub-accounts", &client).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/email"], "{email:?}");
        let reset = app.visitor().post("/v3/password-resets", &json!({"email": email})).await;
        assert!([202, 422].contains(&reset.status), "{email:?}: {}", reset.text);
    }
    app.all_mails_sent().await;
    assert_eq!(app.mails_to("victim@example.com").len() + app.mails_to("b@example.com").len(), 0);
}
