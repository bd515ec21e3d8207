//! Payout methods: who may set them, what is refused, and who is told.

use reqwest::Method;
use serde_json::{Value, json};
use stape_api::config::RateLimit;

use crate::support::{Account, Answer, Client, PASSWORD, START, TestApp, both_engines, feed, places};

const IBAN: &str = "DE89 3704 0044 0532 0130 00";
pub const PLAIN_IBAN: &str = "DE89370400440532013000";
const MEMBER_PASSWORD: &str = "Viola+lantern-7";

both_engines!(
    a_changed_method_is_held_for_72_hours,
    a_currency_has_one_method,
    a_removed_method_is_gone,
    a_type_carries_its_currencies_alone,
    a_wrong_password_changes_nothing,
    all_owners_are_told_by_mail,
    an_agency_may_set_methods_too,
    another_account_sees_nothing,
    every_broken_rule_is_named,
    every_type_reads_back_masked,
    methods_are_an_owners_affair,
    of_two_at_once_one_method_stays,
    passwords_cannot_be_tried_without_limit,
    unknown_fields_are_refused,
);

pub fn sepa() -> Value {
    json!({"type": "sepa", "details": {"holder": "Archer Analytics GmbH", "iban": IBAN}, "password": PASSWORD})
}

fn method(method_type: &str, details: Value) -> Value {
    let mut method = json!({"type": method_type, "password": PASSWORD});
    method["details"] = details;
    method
}

pub fn ach() -> Value {
    let details = json!({
        "holder": "Archer LLC", "routingNumber": "021000021", "accountNumber": "000123456789", "accountType": "checking",
    });
    method("ach", details)
}

fn swift() -> Value {
    let details = json!({
        "holder": "Archer Ltd", "bic": "deutdeff", "accountNumber": "1234-5678-90", "bankName": "Deutsche Bank",
        "country": "DE",
    });
    method("swift", details)
}

pub async fn put(client: &Client, currency: &str, body: &Value) -> Answer {
    client.request(Method::PUT, &format!("/v3/payout-methods/{currency}")).json(body).send().await
}

async fn join(app: &TestApp, agency: &Account, email: &str, role: &str) -> Client {
    let member = json!({"email": email, "firstName": "Max", "lastName": "Moreau", "role": role});
    agency.login.post("/v3/members", &member).await.expect(201);
    let token = app.mail_to(email, "invites you to its team").await.token();
    let confirm = json!({"token": token, "password": MEMBER_PASSWORD});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    app.sign_in(email, MEMBER_PASSWORD).await
}

async fn an_agency_may_set_methods_too(app: &TestApp) {
    let agency = app.agency().await;
    assert!(agency.login.list("/v3/payout-methods").await.is_empty());
    let set = put(&agency.login, "EUR", &sepa()).await.expect(200);
    let expected = json!({
        "currency": "EUR", "type": "sepa", "label": "DE•• •••• 3000", "createdAt": START, "changedAt": START,
        "heldUntil": "2026-01-04T00:00:00.000Z",
    });
    assert_eq!(set, expected);
    assert_eq!(agency.login.list("/v3/payout-methods").await, [expected]);
}

async fn every_type_reads_back_masked(app: &TestApp) {
    let partner = app.agency().await;
    let wise = method("wise", json!({"email": "pay@archer.example", "holder": "Archer"}));
    let paypal = method("paypal", json!({"email": "j@archer.example"}));
    for (currency, body, label) in [
        ("USD", ach(), "•••• 6789"),
        ("USD", swift(), "•••• 7890"),
        ("GBP", wise, "p•••@archer.example"),
        ("EUR", paypal, "•••@archer.example"),
        ("EUR", sepa(), "DE•• •••• 3000"),
    ] {
        let set = put(&partner.login, currency, &body).await.expect(200);
        assert_eq!((&set["label"], &set["type"]), (&json!(label), &body["type"]));
    }
    let small = json!({"holder": "Archer", "iban": "de89 3704 0044 0532 0130 00"});
    put(&partner.login, "EUR", &method("sepa", small)).await.expect(200);
    assert_eq!(partner.login.list("/v3/payout-methods").await.len(), 3);
    let page = partner.login.get("/v3/payout-methods?limit=2").await.expect(200);
    let rest = format!("/v3/payout-methods?limit=2&cursor={}", page["nextCursor"].as_str().expect("a cursor"));
    let rest = partner.login.get(&rest).await.expect(200);
    let currencies = |page: &Value| -> Vec<Value> {
        page["data"].as_array().expect("rows").iter().map(|row| row["currency"].clone()).collect()
    };
    assert_eq!([currencies(&page), currencies(&rest)].concat(), ["EUR", "GBP", "USD"]);
}

async fn a_currency_has_one_method(app: &TestApp) {
    let partner = app.agency().await;
    put(&partner.login, "USD", &ach()).await.expect(200);
    app.move_clock("2026-01-02T00:00:00.000Z").await;
    let login = app.sign_in(&partner.email, PASSWORD).await;
    let set = put(&login, "USD", &swift()).await.expect(200);
    assert_eq!((&set["createdAt"], &set["changedAt"]), (&json!(START), &json!("2026-01-02T00:00:00.000Z")));
    let all = login.list("/v3/payout-methods").await;
    assert_eq!((all.len(), &all[0]["type"]), (1, &json!("swift")));
}

async fn a_changed_method_is_held_for_72_hours(app: &TestApp) {
    let partner = app.agency().await;
    put(&partner.login, "EUR", &sepa()).await.expect(200);
    app.move_clock("2026-01-03T23:59:59.999Z").await;
    assert_eq!(partner.login.list("/v3/payout-methods").await[0]["heldUntil"], "2026-01-04T00:00:00.000Z");
    app.move_clock("2026-01-04T00:00:00.000Z").await;
    assert_eq!(partner.login.list("/v3/payout-methods").await[0]["heldUntil"], Value::Null);
    let changed = put(&partner.login, "EUR", &sepa()).await.expect(200);
    assert_eq!(changed["heldUntil"], "2026-01-07T00:00:00.000Z");
}

async fn a_removed_method_is_gone(app: &TestApp) {
    let partner = app.agency().await;
    partner.login.delete("/v3/payout-methods/EUR").await.problem("notFound");
    put(&partner.login, "EUR", &sepa()).await.expect(200);
    for missing in ["USD", "eur", "XXX", "EURO"] {
        partner.login.delete(&format!("/v3/payout-methods/{missing}")).await.problem("notFound");
    }
    partner.login.delete("/v3/payout-methods/EUR").await.expect(204);
    partner.login.delete("/v3/payout-methods/EUR").await.problem("notFound");
    assert!(partner.login.list("/v3/payout-methods").await.is_empty());
    let all = feed(&partner.login).await;
    let last: Vec<_> = all.iter().rev().take(2).map(|(kind, id)| (kind.as_str(), id.as_str())).collect();
    assert_eq!(last, [("payoutMethod.removed", "EUR"), ("payoutMethod.changed", "EUR")]);
}

async fn every_broken_rule_is_named(app: &TestApp) {
    let partner = app.agency().await;
    let long = "a".repeat(101);
    let refused: [(&str, Value, &[&str]); 13] = [
        (
            "EUR",
            method("sepa", json!({"holder": " ", "iban": "DE88370400440532013000"})),
            &["/details/holder", "/details/iban"],
        ),
        (
            "EUR",
            method("sepa", json!({"holder": long, "iban": "SA0380000000608010167519"})),
            &["/details/holder", "/details/iban"],
        ),
        ("GBP", method("sepa", json!({"holder": "A", "iban": "DE00"})), &["/details/iban", "/type"]),
        (
            "USD",
            method(
                "ach",
                json!({"holder": "A", "routingNumber": "021000022", "accountNumber": "12x", "accountType": "savings"}),
            ),
            &["/details/accountNumber", "/details/routingNumber"],
        ),
        (
            "USD",
            method(
                "swift",
                json!({"holder": "A", "bic": "DEUTQQFF", "accountNumber": "1", "bankName": "", "country": "QQ"}),
            ),
            &["/details/accountNumber", "/details/bankName", "/details/bic", "/details/country"],
        ),
        ("USD", method("paypal", json!({"email": "nobody"})), &["/details/email"]),
        (
            "USD",
            method("wise", json!({"email": "é@example.com", "holder": "a\nb"})),
            &["/details/email", "/details/holder"],
        ),
        (
            "USD",
            method(
                "wise",
                json!({"email": "=cmd|'/C+calc'!A0@example.com", "holder": "=HYPERLINK(\"//evil.example\")"}),
            ),
            &["/details/email", "/details/holder"],
        ),
        (
            "EUR",
            method(
                "swift",
                json!({"holder": "+1", "bic": "DEUTDEFF", "accountNumber": "12345", "bankName": " @A", "country": "DE"}),
            ),
            &["/details/bankName", "/details/holder"],
        ),
        (
            "EUR",
            method(
                "swift",
                json!({"holder": "A\u{202e}B", "bic": "DEUTDEFF", "accountNumber": "12345", "bankName": "A\u{2028}B", "country": "DE"}),
            ),
            &["/details/bankName", "/details/holder"],
        ),
        ("USD", method("cash", json!({})), &["/type"]),
        ("USD", json!({"type": "paypal", "details": {"email": "a@example.com"}}), &["/password"]),
        (
            "USD",
            json!({"type": "paypal", "details": {"email": "x"}, "password": "p".repeat(129)}),
            &["/details/email", "/password"],
        ),
    ];
    for (currency, body, expected) in refused {
        let problem = put(&partner.login, currency, &body).await.problem("validationFailed");
        assert_eq!(places(&problem), expected, "{body}");
        assert!(!problem.to_string().contains("880400440532013000"), "{problem}");
    }
    put(&partner.login, "JPY", &swift()).await.problem("currencyNotSupported");
    for malformed in ["eur", "EURO", "E", "1"] {
        put(&partner.login, malformed, &sepa()).await.problem("notFound");
    }
    assert!(partner.login.list("/v3/payout-methods").await.is_empty());
    assert!(feed(&partner.login).await.iter().all(|(kind, _)| !kind.starts_with("payoutMethod")));
}

async fn unknown_fields_are_refused(app: &TestApp) {
    let partner = app.agency().await;
    let more = method("sepa", json!({"holder": "A", "iban": IBAN, "bic": "DEUTDEFF"}));
    let problem = put(&partner.login, "EUR", &more).await.problem("validationFailed");
    assert_eq!((places(&problem), &problem["errors"][0]["code"]), (vec!["/details/bic"], &json!("unknownField")));
    let tagged = method("sepa", json!({"holder": "A", "iban": IBAN, "type": "sepa"}));
    let problem = put(&partner.login, "EUR", &tagged).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/details/type"]);
    let mut outside = sepa();
    outside["label"] = json!("mine");
    let problem = put(&partner.login, "EUR", &outside).await.problem("validationFailed");
    assert_eq!(places(&problem), ["/label"]);
    for details in [json!(null), json!([]), json!("DE"), json!({"holder": 1, "iban": IBAN})] {
        let problem = put(&partner.login, "EUR", &method("sepa", details)).await.problem("validationFailed");
        assert!(places(&problem)[0].starts_with("/details"), "{problem}");
    }
    assert!(partner.login.list("/v3/payout-methods").await.is_empty());
}

async fn a_type_carries_its_currencies_alone(app: &TestApp) {
    let partner = app.agency().await;
    for (currency, body) in [("EUR", ach()), ("USD", sepa()), ("GBP", sepa())] {
        let problem = put(&partner.login, currency, &body).await.problem("validationFailed");
        assert_eq!((places(&problem), &problem["errors"][0]["code"]), (vec!["/type"], &json!("currencyMismatch")));
    }
    assert!(partner.login.list("/v3/payout-methods").await.is_empty());
}

async fn a_wrong_password_changes_nothing(app: &TestApp) {
    let partner = app.agency().await;
    put(&partner.login, "EUR", &sepa()).await.expect(200);
    let mut wrong = swift();
    for password in ["", "a quiet harbour at dusk"] {
        wrong["password"] = json!(password);
        let problem = put(&partner.login, "EUR", &wrong).await.problem("validationFailed");
        assert_eq!((places(&problem), &problem["errors"][0]["code"]), (vec!["/password"], &json!("wrongPassword")));
    }
    assert_eq!(partner.login.list("/v3/payout-methods").await[0]["type"], "sepa");
}

async fn passwords_cannot_be_tried_without_limit(app: &TestApp) {
    let limited = app.another(|settings| settings.rate_limit = RateLimit::default()).await;
    let partner = limited.agency().await;
    let mut wrong = sepa();
    wrong["password"] = json!("a quiet harbour at dusk");
    let mut answers = Vec::new();
    for _ in 0..11 {
        answers.push(put(&partner.login, "EUR", &wrong).await);
    }
    let last = answers.pop().expect("answers");
    assert!(!last.header("retry-after").is_empty());
    last.problem("rateLimited");
    assert!(answers.iter().all(|answer| answer.status == 422));
    limited.stop().await;
}

async fn methods_are_an_owners_affair(app: &TestApp) {
    let (agency, client) = (app.agency().await, app.standard().await);
    let member = join(app, &agency, "max@example.com", "member").await;
    let key = app.api_key(&agency, &["payouts:read", "payouts:write"]).await;
    let managed = app.invited_client_of(&agency).await;
    let login = agency.login.post_nothing(&format!("/v3/sub-accounts/{}/login", managed.id)).await.expect(201);
    let as_client = app.caller(login["accessToken"].as_str().expect("a token"));
    for (caller, code) in [
        (&member, "ownerRequired"),
        (&key, "ownerRequired"),
        (&as_client, "wrongAccountKind"),
        (&client.login, "wrongAccountKind"),
        (app.operator().await, "wrongAccountKind"),
        (&app.visitor(), "authenticationRequired"),
    ] {
        caller.get("/v3/payout-methods").await.problem(code);
        put(caller, "EUR", &sepa()).await.problem(code);
        caller.delete("/v3/payout-methods/EUR").await.problem(code);
    }
    assert!(agency.login.list("/v3/payout-methods").await.is_empty());
}

async fn another_account_sees_nothing(app: &TestApp) {
    let (one, other) = (app.agency().await, app.agency().await);
    put(&one.login, "EUR", &sepa()).await.expect(200);
    assert!(other.login.list("/v3/payout-methods").await.is_empty());
    other.login.delete("/v3/payout-methods/EUR").await.problem("notFound");
    assert_eq!(one.login.list("/v3/payout-methods").await.len(), 1);
}

async fn all_owners_are_told_by_mail(app: &TestApp) {
    let agency = app.agency().await;
    join(app, &agency, "second@example.com", "owner").await;
    join(app, &agency, "member@example.com", "member").await;
    put(&agency.login, "EUR", &sepa()).await.expect(200);
    for owner in [agency.email.as_str(), "second@example.com"] {
        let mail = app.mail_to(owner, "payout method for EUR has changed").await;
        assert!(mail.text.contains("sepa DE•• •••• 3000"), "{}", mail.text);
        assert!(mail.text.contains("2026-01-04T00:00:00.000Z"), "{}", mail.text);
    }
    agency.login.delete("/v3/payout-methods/EUR").await.expect(204);
    for owner in [agency.email.as_str(), "second@example.com"] {
        app.mail_to(owner, "payout method for EUR is removed").await;
    }
    app.all_mails_sent().await;
    assert!(app.mails_to("member@example.com").iter().all(|mail| !mail.subject.contains("payout method")));
}

async fn of_two_at_once_one_method_stays(app: &TestApp) {
    let agency = app.agency().await;
    let (swift, ach) = (swift(), ach());
    let twins = (0..6).map(|index| put(&agency.login, "USD", if index % 2 == 0 { &swift } else { &ach }));
    for answer in futures_util::future::join_all(twins).await {
        answer.expect(200);
    }
    assert_eq!(agency.login.list("/v3/payout-methods").await.len(), 1);
    let changes = feed(&agency.login).await.into_iter().filter(|(kind, _)| kind == "payoutMethod.changed");
    assert_eq!(changes.count(), 6);
    let removals = (0..4).map(|_| agency.login.delete("/v3/payout-methods/USD"));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(removals).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404, 404, 404]);
}
