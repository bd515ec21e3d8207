//! Lists of sub-accounts: filters, search, export; the manager's note and who pays.

use serde_json::{Value, json};

use crate::support::{Account, START, TestApp, both_engines, feed, places, subscription};

both_engines!(
    a_client_is_found_by_any_part_of_its_names,
    a_cursor_belongs_to_its_filters,
    a_note_is_the_managers_own,
    a_payer_is_changed_by_the_operator_while_something_is_paid,
    a_switch_of_the_payer_is_done_when_it_is_asked_for_again_and_nothing_is_paid_any_more,
    a_payer_is_changed_with_access_alone,
    a_renamed_thing_is_found_by_its_new_name,
    an_export_has_every_page_and_the_same_filters,
    an_export_is_no_formula,
    clients_are_filtered_by_how_they_came_and_what_they_allow,
    clients_are_filtered_by_their_containers,
    filters_that_are_not_good_are_named,
    odd_letters_stand_for_themselves,
);

async fn named(app: &TestApp, manager: &Account, first: &str, last: &str) -> String {
    let email = crate::support::new_email();
    let person = json!({"email": email, "firstName": first, "lastName": last});
    let client = manager.login.post("/v3/sub-accounts", &person).await.expect(201);
    app.all_mails_sent().await;
    client["id"].as_str().expect("an id").to_owned()
}

async fn found(manager: &Account, query: &[(&str, &str)]) -> Vec<String> {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let rows = manager.login.list(&format!("/v3/sub-accounts?{query}")).await;
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

async fn container(manager: &Account, client_id: &str, name: &str) -> String {
    let body = json!({"name": name, "product": "sgtmContainer", "accountId": client_id});
    manager.login.post("/v3/containers", &body).await.expect(201)["id"].as_str().expect("an id").to_owned()
}

async fn a_client_is_found_by_any_part_of_its_names(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    let one = named(app, &agency, "Zoë", "ÄRGER").await;
    let two = named(app, &agency, "Łukasz", "Nowak").await;
    container(&agency, &two, "Straße Zürich").await;
    let foreign = named(app, &other, "Zoë", "Ärger").await;
    container(&other, &foreign, "Straße").await;
    for (words, expected) in [
        ("zoë ärg", vec![&one]),
        ("ÄRGER", vec![&one]),
        ("łUKASZ", vec![&two]),
        (" zÜRICH ", vec![&two]),
        ("straße", vec![&two]),
        ("@EXAMPLE.com", vec![&two, &one]),
        ("", vec![&two, &one]),
        ("nothing like it", vec![]),
    ] {
        assert_eq!(found(&agency, &[("q", words)]).await.iter().collect::<Vec<_>>(), expected, "{words}");
    }
}

async fn odd_letters_stand_for_themselves(app: &TestApp) {
    let agency = app.agency().await;
    let percent = named(app, &agency, "100%", "Sure").await;
    let score = named(app, &agency, "under_score", "=1+1").await;
    let slash = named(app, &agency, r"back\slash", "O'Brien \"x\"").await;
    for (words, expected) in [
        ("%", &percent),
        ("0% s", &percent),
        ("_", &score),
        ("r_s", &score),
        ("=1+", &score),
        (r"\", &slash),
        ("o'b", &slash),
        ("\"", &slash),
    ] {
        assert_eq!(found(&agency, &[("q", words)]).await, std::slice::from_ref(expected), "{words}");
    }
    assert!(found(&agency, &[("q", "1__%")]).await.is_empty());
}

async fn a_renamed_thing_is_found_by_its_new_name(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.invited_client_of(&agency).await;
    let id = container(&agency, &client.id, "Old Shop").await;
    client.login.patch("/v3/account", &json!({"lastName": "Müller"})).await.expect(200);
    agency.login.patch(&format!("/v3/containers/{id}"), &json!({"name": "New Shop"})).await.expect(200);
    for (words, count) in [("MÜLLER", 1), ("client", 0), ("new shop", 1), ("old", 0)] {
        assert_eq!(found(&agency, &[("q", words)]).await.len(), count, "{words}");
    }
    client.login.delete(&format!("/v3/containers/{id}")).await.expect(204);
    assert!(found(&agency, &[("q", "new shop")]).await.is_empty());
}

async fn clients_are_filtered_by_how_they_came_and_what_they_allow(app: &TestApp) {
    let (agency, linked) = (app.agency().await, app.standard().await);
    let created = named(app, &agency, "A", "B").await;
    app.link(&linked.id, &agency.id).await;
    for (query, expected) in [
        ([("origin", "created")].as_slice(), vec![&created]),
        (&[("origin", "operator")], vec![&linked.id]),
        (&[("origin", "operator,created")], vec![&linked.id, &created]),
        (&[("access", "granted")], vec![&created]),
        (&[("access", "none"), ("origin", "created")], vec![]),
        (&[("access", "none,requested"), ("q", "robin")], vec![&linked.id]),
    ] {
        assert_eq!(found(&agency, query).await.iter().collect::<Vec<_>>(), expected, "{query:?}");
    }
}

async fn clients_are_filtered_by_their_containers(app: &TestApp) {
    let agency = app.agency().await;
    let (none, fine, over, broken) = (
        named(app, &agency, "A", "None").await,
        named(app, &agency, "B", "Fine").await,
        named(app, &agency, "C", "Over").await,
        named(app, &agency, "D", "Broken").await,
    );
    let paid = container(&agency, &fine, "one").await;
    app.apply(&[subscription(&paid)]).await;
    let busy = container(&agency, &over, "two").await;
    let ill = container(&agency, &broken, "three").await;
    let report = json!({"reports": [{
        "containerId": busy, "periodStart": START, "periodEnd": "2026-02-01T00:00:00.000Z", "requests": 10_000,
        "reportedAt": START,
    }]});
    app.operator().await.post("/v3/operator/usage-reports", &report).await.expect(200);
    let state = json!({"states": [{
        "containerId": ill, "status": "error", "errors": [{"code": "dns", "message": "wrong"}], "at": START,
    }]});
    app.operator().await.post("/v3/operator/container-states", &state).await.expect(200);
    for (query, expected) in [
        ([("limitExceeded", "true")].as_slice(), vec![&over]),
        (&[("limitExceeded", "false")], vec![&broken, &fine, &none]),
        (&[("withErrors", "true")], vec![&broken]),
        (&[("withErrors", "false")], vec![&over, &fine, &none]),
        (&[("withErrors", "true"), ("limitExceeded", "true")], vec![]),
        (&[("plan", "pro")], vec![&fine]),
        (&[("plan", "free")], vec![&broken, &over]),
        (&[("plan", "free,pro"), ("withErrors", "false")], vec![&over, &fine]),
        (&[("plan", "nonsense")], vec![]),
    ] {
        assert_eq!(found(&agency, query).await.iter().collect::<Vec<_>>(), expected, "{query:?}");
    }
}

async fn filters_that_are_not_good_are_named(app: &TestApp) {
    let agency = app.agency().await;
    let long = "x".repeat(255);
    for (name, value) in [("access", "maybe"), ("origin", ""), ("limitExceeded", "yes"), ("q", &long)] {
        for path in ["/v3/sub-accounts", "/v3/sub-accounts/export"] {
            let problem = agency.login.get(&format!("{path}?{name}={value}")).await.problem("invalidParameter");
            assert_eq!(places(&problem), [name]);
        }
    }
    agency.login.get("/v3/sub-accounts?color=red").await.problem("unknownParameter");
    agency.login.get("/v3/sub-accounts/export?limit=5").await.problem("unknownParameter");
    agency.login.get("/v3/sub-accounts/export?format=xml").await.problem("invalidParameter");
}

async fn a_cursor_belongs_to_its_filters(app: &TestApp) {
    let agency = app.agency().await;
    for _ in 0..3 {
        named(app, &agency, "A", "B").await;
    }
    let page = agency.login.get("/v3/sub-accounts?limit=1&origin=created").await.expect(200);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    agency.login.get(&format!("/v3/sub-accounts?limit=2&origin=created&cursor={cursor}")).await.expect(200);
    agency.login.get(&format!("/v3/sub-accounts?origin=operator&cursor={cursor}")).await.problem("invalidCursor");
}

async fn an_export_has_every_page_and_the_same_filters(app: &TestApp) {
    let (agency, linked) = (app.agency().await, app.standard().await);
    for number in 0..3 {
        named(app, &agency, "Sam", &format!("Number {number}")).await;
    }
    app.link(&linked.id, &agency.id).await;
    let all = agency.login.list("/v3/sub-accounts").await;
    let lines = agency.login.get("/v3/sub-accounts/export?format=ndjson").await;
    assert_eq!((lines.status, lines.header("content-type")), (200, "application/x-ndjson"));
    let rows: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows, all);
    let file = agency.login.get("/v3/sub-accounts/export?origin=created&q=number").await;
    assert!(file.header("content-type").starts_with("text/csv"), "{}", file.header("content-type"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"sub-accounts.csv\"");
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    assert_eq!(header[..4], ["id", "email", "firstName", "lastName"]);
    let last_names: Vec<String> = reader.records().map(|record| record.expect("a record")[3].to_owned()).collect();
    assert_eq!(last_names, ["Number 2", "Number 1", "Number 0"]);
    let head = agency.login.head("/v3/sub-accounts/export").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let empty = app.agency().await.login.get("/v3/sub-accounts/export").await;
    assert_eq!(empty.text.lines().count(), 1);
    let key = app.api_key(&agency, &["commissions:read"]).await;
    key.get("/v3/sub-accounts/export").await.problem("insufficientScope");
}

async fn an_export_is_no_formula(app: &TestApp) {
    let agency = app.agency().await;
    let id = named(app, &agency, "=HYPERLINK(\"x\")", "a, \"b\"").await;
    let note = json!({"note": "@SUM(1)\nsecond line"});
    agency.login.patch(&format!("/v3/sub-accounts/{id}"), &note).await.expect(200);
    let file = agency.login.get("/v3/sub-accounts/export").await;
    assert!(file.text.contains("\r\n"), "{}", file.text);
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let record = reader.records().next().expect("a row").expect("a record");
    assert_eq!((&record[2], &record[3], &record[7]), ("'=HYPERLINK(\"x\")", "a, \"b\"", "'@SUM(1)\nsecond line"));
}

async fn a_note_is_the_managers_own(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let before = client.login.list("/v3/events").await.len();
    let path = format!("/v3/sub-accounts/{}", client.id);
    let changed = agency.login.patch(&path, &json!({"note": " Zahlt spät "})).await.expect(200);
    assert_eq!((&changed["note"], &changed["access"]), (&json!("Zahlt spät"), &json!("none")));
    assert_eq!(agency.login.patch(&path, &json!({})).await.expect(200), changed);
    assert_eq!(agency.login.patch(&path, &json!({"note": null})).await.expect(200)["note"], Value::Null);
    for note in ["x".repeat(2001), String::new()] {
        let problem = agency.login.patch(&path, &json!({"note": note})).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/note"]);
    }
    agency.login.patch(&path, &json!({"note": "ä".repeat(2000)})).await.expect(200);
    assert_eq!(client.login.list("/v3/events").await.len(), before);
    let log = client.login.list("/v3/audit-log").await;
    assert!(!log.iter().any(|row| row["action"] == "subAccount.noteChanged"), "{log:#?}");
}

async fn a_payer_is_changed_with_access_alone(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    app.link(&client.id, &agency.id).await;
    let path = format!("/v3/sub-accounts/{}", client.id);
    agency.login.patch(&path, &json!({"billing": "individual"})).await.expect(200);
    agency.login.patch(&path, &json!({"billing": "consolidated"})).await.problem("accessNotGranted");
    let own = named(app, &agency, "A", "B").await;
    container(&agency, &own, "free").await;
    let path = format!("/v3/sub-accounts/{own}");
    let changed = agency.login.patch(&path, &json!({"billing": "consolidated"})).await.expect(200);
    assert_eq!((&changed["billing"], &changed["pendingRequest"]), (&json!("consolidated"), &Value::Null));
    let problem = agency.login.patch(&path, &json!({"billing": "nobody"})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/billing"]);
    let problem = agency.login.patch(&path, &json!({"billing": null})).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/billing"]);
}

async fn a_switch_of_the_payer_is_done_when_it_is_asked_for_again_and_nothing_is_paid_any_more(app: &TestApp) {
    let agency = app.agency().await;
    let client = named(app, &agency, "A", "B").await;
    let id = container(&agency, &client, "paid").await;
    app.apply(&[subscription(&id)]).await;
    let path = format!("/v3/sub-accounts/{client}");
    let wish = json!({"billing": "consolidated"});
    agency.login.patch(&path, &wish).await.expect(200);
    app.apply(&[subscription(&id).with("status", "canceled").at("2026-01-01T00:00:01.000Z")]).await;
    agency.login.patch(&path, &json!({"billing": "individual"})).await.problem("requestPending");
    let switched = agency.login.patch(&path, &wish).await.expect(200);
    assert_eq!((&switched["billing"], &switched["pendingRequest"]), (&json!("consolidated"), &Value::Null));
    assert_eq!(app.operator().await.list("/v3/operator/requests?status=done").await.len(), 1);
    let told = feed(&agency.login).await;
    assert!(told.iter().any(|(kind, _)| kind == "operatorRequest.done"), "{told:?}");
}

async fn a_payer_is_changed_by_the_operator_while_something_is_paid(app: &TestApp) {
    let agency = app.agency().await;
    let client = named(app, &agency, "A", "B").await;
    let id = container(&agency, &client, "paid").await;
    app.apply(&[subscription(&id)]).await;
    let path = format!("/v3/sub-accounts/{client}");
    let changed = agency.login.patch(&path, &json!({"billing": "consolidated"})).await.expect(200);
    assert_eq!((&changed["billing"], &changed["paidContainerCount"]), (&json!("individual"), &json!(1)));
    let request = &changed["pendingRequest"];
    assert_eq!((&request["type"], &request["status"]), (&json!("billingSwitch"), &json!("open")));
    for billing in ["consolidated", "individual"] {
        agency.login.patch(&path, &json!({"billing": billing})).await.problem("requestPending");
    }
    let named = subscription(&id).with("requestId", request["id"].clone()).at("2026-01-01T00:00:01.000Z");
    app.apply(&[named]).await;
    let switched = agency.login.get(&path).await.expect(200);
    assert_eq!((&switched["billing"], &switched["pendingRequest"]), (&json!("consolidated"), &Value::Null));
    assert_eq!((&switched["paidContainerCount"], &switched["monthlyCommission"]), (&json!(0), &json!([])));
}
