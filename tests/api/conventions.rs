//! What holds for every operation: problems, parameters, cursors, headers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, both_engines, payment, places};

both_engines!(
    a_bad_parameter_is_named,
    a_body_of_another_type_is_refused,
    a_body_that_is_too_large_is_refused,
    a_cursor_belongs_to_its_filters,
    a_member_that_is_named_twice_is_refused,
    a_patch_may_say_that_it_is_a_merge_patch,
    a_request_id_is_echoed_if_it_is_well_formed,
    a_wrong_method_names_the_right_ones,
    a_wrong_shape_is_named_by_a_pointer,
    an_operation_without_fields_takes_no_body_and_an_empty_object,
    an_operators_batch_may_be_larger,
    an_unknown_parameter_is_refused,
    an_unknown_path_is_not_found,
    answers_behind_credentials_are_not_stored,
    authentication_comes_before_the_body,
    head_answers_as_get_without_the_body,
    malformed_ids_are_not_found,
    text_that_is_no_json_is_refused,
    the_limit_of_a_page_is_kept,
    web_pages_may_not_call_unless_their_origin_is_configured,
);

async fn an_unknown_path_is_not_found(app: &TestApp) {
    let agency = app.agency().await;
    for path in ["/", "/v3", "/v3/", "/v3/imaginary", "/v3/account/", "/V3/account", "/v3//account", "/v3/account/%00"]
    {
        for client in [&app.visitor(), &agency.login] {
            client.get(path).await.problem("notFound");
            client.post(path, &json!({})).await.problem("notFound");
        }
    }
}

async fn a_wrong_method_names_the_right_ones(app: &TestApp) {
    let visitor = app.visitor();
    let cases = [
        (Method::DELETE, "/v3/account", vec!["GET", "HEAD", "PATCH"]),
        (Method::GET, "/v3/accounts", vec!["POST"]),
        (Method::POST, "/v3/program", vec!["GET", "HEAD"]),
        (Method::PUT, "/v3/sub-accounts/acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC", vec!["GET", "HEAD"]),
        (Method::OPTIONS, "/v3/program", vec!["GET", "HEAD"]),
        (Method::TRACE, "/v3/sessions", vec!["POST"]),
    ];
    for (method, path, allowed) in cases {
        let answer = visitor.request(method.clone(), path).send().await;
        let allow = answer.header("allow").to_owned();
        for method in allowed {
            assert!(allow.split(", ").any(|name| name == method), "{path}: {method} in {allow}");
        }
        assert!(!allow.contains(method.as_str()), "{path}: {allow}");
        answer.problem("methodNotAllowed");
    }
}

async fn a_body_that_is_too_large_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"name": "x".repeat(1 << 20)});
    let answer = agency.login.post("/v3/containers", &body).await;
    assert_eq!(answer.status, 413);
    answer.problem("payloadTooLarge");
    // The connection goes on: the rest of the body was read and dropped.
    agency.login.get("/v3/account").await.expect(200);
    let exact = format!("{{\"name\":\"{}\"}}", "x".repeat((1 << 20) - 11));
    assert_eq!(exact.len(), 1 << 20);
    let request = agency.login.request(Method::POST, "/v3/containers").header("content-type", "application/json");
    request.bytes(exact).send().await.problem("validationFailed");
}

async fn an_operators_batch_may_be_larger(app: &TestApp) {
    let operator = app.operator().await;
    let batch = |bytes: usize| json!({"events": [{"id": "x".repeat(bytes)}]});
    let body = operator.post("/v3/operator/billing-events", &batch(3 << 20)).await.expect(200);
    assert_eq!(body["results"][0]["outcome"], "rejected");
    operator.post("/v3/operator/billing-events", &batch(4 << 20)).await.problem("payloadTooLarge");
}

async fn a_member_that_is_named_twice_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    let body = r#"{"firstName": "Ann", "firstName": "Eve"}"#;
    let request = agency.login.request(Method::PATCH, "/v3/account").header("content-type", "application/json");
    let problem = request.bytes(body).send().await.problem("validationFailed");
    assert_eq!((places(&problem), &problem["errors"][0]["code"]), (vec!["/firstName"], &json!("duplicate")));
    let (client, container) = app.client_with_container(&agency).await;
    let good = payment(&container).0.to_string();
    let twice = payment(&container).0.to_string().replacen("\"plan\"", "\"plan\":\"free\",\"plan\"", 1);
    let operator = app.operator().await;
    let post = async |events: String| {
        let request = operator.request(Method::POST, "/v3/operator/billing-events");
        request.header("content-type", "application/json").bytes(events).send().await
    };
    let results = post(format!("{{\"events\": [{twice}, {good}]}}")).await.expect(200)["results"].clone();
    assert_eq!((&results[0]["outcome"], &results[1]["outcome"]), (&json!("rejected"), &json!("applied")), "{client}");
    let problem = post(format!("{{\"events\": [{good}], \"events\": []}}")).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/events"]);
}

async fn a_body_of_another_type_is_refused(app: &TestApp) {
    let body = r#"{"email": "a@example.com", "password": "x"}"#;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application"] {
        let request = app.visitor().request(Method::POST, "/v3/sessions").header("content-type", content_type);
        request.bytes(body).send().await.problem("unsupportedMediaType");
    }
    app.visitor().request(Method::POST, "/v3/sessions").bytes(body).send().await.problem("unsupportedMediaType");
    // Of two types, or two codings, nobody knows which is meant.
    let json = ("content-type", "application/json");
    let codings = vec![json, ("content-encoding", "identity"), ("content-encoding", "gzip")];
    for headers in [vec![json, ("content-type", "text/plain")], codings] {
        let request = app.visitor().request(Method::POST, "/v3/sessions").bytes(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.problem("unsupportedMediaType");
    }
    let request = app.visitor().request(Method::POST, "/v3/sessions");
    let request = request.header("content-type", "Application/JSON; charset=utf-8");
    request.bytes(body).send().await.problem("invalidCredentials");
}

async fn a_patch_may_say_that_it_is_a_merge_patch(app: &TestApp) {
    let agency = app.agency().await;
    let patch = |method: Method, path: &str| {
        let request = agency.login.request(method, path).header("content-type", "application/merge-patch+json");
        request.bytes(r#"{"companyName": "Merged"}"#).send()
    };
    assert_eq!(patch(Method::PATCH, "/v3/account").await.expect(200)["companyName"], "Merged");
    patch(Method::POST, "/v3/sub-accounts").await.problem("unsupportedMediaType");
}

async fn text_that_is_no_json_is_refused(app: &TestApp) {
    let cases: [&[u8]; 7] = [b"{", b"nonsense", b"{\"a\": 1,}", b"{} {}", b"\xff\xfe", b"{\"a\": NaN}", b"[1"];
    for body in cases {
        let request = app.visitor().request(Method::POST, "/v3/sessions").header("content-type", "application/json");
        let answer = request.bytes(body).send().await;
        assert_eq!(answer.status, 400);
        answer.problem("invalidJson");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let request = app.visitor().request(Method::POST, "/v3/sessions").header("content-type", "application/json");
    assert_eq!(request.bytes(deep).send().await.status, 400);
}

async fn a_wrong_shape_is_named_by_a_pointer(app: &TestApp) {
    let cases = [
        (json!({"email": 1, "password": "x"}), "/email"),
        (json!({"email": null, "password": "x"}), "/email"),
        (json!({"email": "a@example.com", "password": ["x"]}), "/password"),
        (json!({"email": "a@example.com", "password": "x", "more": 1}), "/more"),
        (json!({"email": "a@example.com"}), "/password"),
    ];
    for (body, pointer) in cases {
        let answer = app.visitor().post("/v3/sessions", &body).await;
        assert_eq!(answer.status, 422);
        let problem = answer.problem("validationFailed");
        assert_eq!(places(&problem), [pointer], "{problem:#}");
    }
    for body in [json!([]), json!("text"), json!(1), Value::Null] {
        app.visitor().post("/v3/sessions", &body).await.problem("validationFailed");
    }
}

async fn an_unknown_parameter_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    for path in ["/v3/account?x=1", "/v3/sub-accounts?Limit=1", "/v3/containers?page=2", "/v3/program?x"] {
        let problem = agency.login.get(path).await.problem("unknownParameter");
        assert_eq!(problem["status"], 400);
        assert_eq!(places(&problem).len(), 1, "{problem:#}");
    }
    agency.login.post("/v3/sub-accounts?x=1", &json!({})).await.problem("unknownParameter");
    let problem =
        agency.login.get("/v3/sub-accounts?x=1&limit=0&y=2&access=some&x=3").await.problem("unknownParameter");
    let named = json!(
        problem["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|error| { json!([error["parameter"], error["code"]]) })
            .collect::<Vec<_>>()
    );
    let [unknown, range] = ["unknownParameter", "range"];
    let expected = json!([["x", unknown], ["y", unknown], ["limit", range], ["access", "malformed"]]);
    assert_eq!(named, expected, "{problem:#}");
    for path in ["/health/live?x=1", "/health/ready?x", "/openapi.json?version=2"] {
        app.visitor().get(path).await.problem("unknownParameter");
    }
    app.visitor().get("/docs?x=1").await.expect(200);
}

async fn a_bad_parameter_is_named(app: &TestApp) {
    let agency = app.agency().await;
    let cases = [
        ("/v3/containers?limit=0", "limit"),
        ("/v3/containers?limit=101", "limit"),
        ("/v3/containers?limit=ten", "limit"),
        ("/v3/containers?limit=", "limit"),
        ("/v3/containers?limit=1&limit=2", "limit"),
        ("/v3/containers?status=sideways", "status"),
        ("/v3/payments?occurredAfter=yesterday", "occurredAfter"),
        ("/v3/commissions?status=inReview,sideways", "status"),
        ("/v3/sub-accounts?q=%FF", "q"),
        ("/v3/sub-accounts?q=a%C3&limit=2", "q"),
        ("/v3/commissions?subAccountId=%FF", "subAccountId"),
        ("/v3/commissions/export?containerId=%FF", "containerId"),
    ];
    for (path, parameter) in cases {
        let problem = agency.login.get(path).await.problem("invalidParameter");
        assert_eq!(places(&problem), [parameter], "{path}: {problem:#}");
    }
    agency.login.get("/v3/sub-accounts?q=%EF%BF%BD+%C3%A4").await.expect(200);
    let long = "%22".repeat(10_000);
    for path in [format!("/v3/containers?{long}=1&{long}=2"), format!("/v3/containers?status={long}&limit={long}")] {
        let text = agency.login.get(&path).await.text;
        assert!(text.len() < 4_000 && text.contains("\"errors\":[{"), "{text}");
    }
    assert!(app.visitor().get(&format!("/{long}")).await.text.len() < 1_000);
    let all = "/v3/commissions?limit=0&status=bogus&cursor=x&createdAfter=y&kind=commission&kind=adjustment";
    let problem = agency.login.get(all).await.problem("invalidParameter");
    let mut named = places(&problem);
    named.sort_unstable();
    assert_eq!(named, ["createdAfter", "cursor", "kind", "limit", "status"], "{problem:#}");
}

async fn the_limit_of_a_page_is_kept(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    for _ in 0..3 {
        app.container(&agency, &client).await;
    }
    for (limit, rows) in [("1", 1), ("2", 2), ("3", 3), ("100", 3)] {
        let page = agency.login.get(&format!("/v3/containers?limit={limit}")).await.expect(200);
        assert_eq!(page["data"].as_array().expect("data").len(), rows);
        assert_eq!(page["hasMore"], rows < 3);
    }
}

async fn a_cursor_belongs_to_its_filters(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.client_of(&agency).await;
    for _ in 0..3 {
        app.container(&agency, &client).await;
    }
    let page = agency.login.get("/v3/containers?limit=1&plan=free").await.expect(200);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    agency.login.get(&format!("/v3/containers?limit=2&plan=free&cursor={cursor}")).await.expect(200);
    let changed = format!("{}{}", if cursor.starts_with('x') { "y" } else { "x" }, &cursor[1..]);
    for query in [
        format!("limit=1&cursor={cursor}"),
        format!("limit=1&plan=pro&cursor={cursor}"),
        format!("limit=1&plan=free&cursor={changed}"),
        "limit=1&plan=free&cursor=nonsense".to_owned(),
        "limit=1&plan=free&cursor=".to_owned(),
    ] {
        let problem = agency.login.get(&format!("/v3/containers?{query}")).await.problem("invalidCursor");
        assert_eq!(problem["status"], 400, "{query}");
    }
    agency.login.get(&format!("/v3/sub-accounts?limit=1&cursor={cursor}")).await.problem("invalidCursor");
}

async fn head_answers_as_get_without_the_body(app: &TestApp) {
    let agency = app.agency().await;
    for path in ["/v3/account", "/v3/program", "/v3/containers", "/openapi.json", "/docs", "/v3/imaginary"] {
        let (get, head) = (agency.login.get(path).await, agency.login.head(path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
    }
    let agency_head = agency.login.head("/v3/account").await;
    let length: usize = agency_head.header("content-length").parse().unwrap_or_default();
    assert_eq!(length, agency.login.get("/v3/account").await.text.len());
}

async fn a_request_id_is_echoed_if_it_is_well_formed(app: &TestApp) {
    let sent = |id: &str| app.visitor().request(Method::GET, "/v3/imaginary").header("x-request-id", id).send();
    let answer = sent("my-id_1.2").await;
    assert_eq!(answer.header("x-request-id"), "my-id_1.2");
    assert_eq!(answer.problem("notFound")["requestId"], "my-id_1.2");
    for odd in ["", "a b", "<script>", &"x".repeat(300)] {
        assert_ne!(sent(odd).await.header("x-request-id"), odd);
    }
    let (one, two) = (app.visitor().get("/health/live").await, app.visitor().get("/health/live").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

async fn answers_behind_credentials_are_not_stored(app: &TestApp) {
    let agency = app.agency().await;
    for path in ["/v3/account", "/v3/containers", "/v3/imaginary", "/v3/commissions/summary"] {
        let answer = agency.login.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
    let docs = app.visitor().get("/docs").await;
    assert!(docs.header("content-security-policy").contains("default-src 'none'"));
}

async fn an_operation_without_fields_takes_no_body_and_an_empty_object(app: &TestApp) {
    let agency = app.agency().await;
    for attempt in 0..3 {
        let client = app.client_of(&agency).await;
        let request = agency.login.request(Method::POST, &format!("/v3/sub-accounts/{client}/detach"));
        match attempt {
            0 => request.send().await.expect(204),
            1 => request.json(&json!({})).send().await.expect(204),
            _ => request.header("content-type", "text/plain").send().await.expect(204),
        };
    }
    let client = app.client_of(&agency).await;
    let path = format!("/v3/sub-accounts/{client}/detach");
    agency.login.post(&path, &json!({"x": 1})).await.problem("validationFailed");
    let request = agency.login.request(Method::POST, &path).header("content-type", "text/plain");
    request.bytes("x").send().await.problem("unsupportedMediaType");
}

async fn authentication_comes_before_the_body(app: &TestApp) {
    let request = || app.visitor().request(Method::POST, "/v3/sub-accounts");
    request().header("content-type", "application/json").bytes("{").send().await.problem("authenticationRequired");
    request().header("content-type", "text/plain").bytes("x").send().await.problem("authenticationRequired");
    app.visitor().get("/v3/containers?limit=0&x=1").await.problem("authenticationRequired");
    let client = app.standard().await;
    client.login.post("/v3/sub-accounts", &json!({"x": 1})).await.problem("wrongAccountKind");
}

async fn malformed_ids_are_not_found(app: &TestApp) {
    let partner = app.partner().await;
    let ids = [
        "x",
        "acc_",
        "acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC",
        "01KB0H6Q4N7ZJ8R5T3V9WXY2AC",
        "com_!",
        "%20",
        "%F0%9F%98%80",
        "a%2Fb",
    ];
    for path in ["/v3/sub-accounts", "/v3/containers", "/v3/payments", "/v3/commissions"] {
        for id in ids {
            partner.login.get(&format!("{path}/{id}")).await.problem("notFound");
        }
    }
}

async fn web_pages_may_not_call_unless_their_origin_is_configured(app: &TestApp) {
    let asked = |app: &TestApp| {
        let request = app.visitor().request(Method::GET, "/v3/program").header("origin", "https://app.example.com");
        request.send()
    };
    assert_eq!(asked(app).await.header("access-control-allow-origin"), "");
    let server = TestApp::start_with(&app.database, |settings| {
        settings.cors_origins = vec!["https://app.example.com".parse().expect("an origin")];
    })
    .await;
    assert_eq!(asked(&server).await.header("access-control-allow-origin"), "https://app.example.com");
    let foreign = server.visitor().request(Method::GET, "/v3/program").header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.header("access-control-allow-origin"), "");
    server.stop().await;
}
