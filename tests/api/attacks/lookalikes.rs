//! Texts that look like others, or that some way of folding makes the same: no way in, and no second name for anything.

use serde_json::json;

use crate::support::{PASSWORD, TestApp, both_engines, places};

both_engines!(
    a_lookalike_of_a_referral_code_is_another_code_or_none,
    a_lookalike_of_an_email_is_no_way_in,
    the_case_of_an_email_makes_no_second_account,
);

const EMAIL: &str = "mike.kissa@example.com";

/// The address in other letters: Kelvin sign, long s, dotted and dotless i, full width, Cyrillic, zero width, soft hyphen,
/// combining marks, another dot.
const LOOKALIKES: [&str; 12] = [
    "mi\u{212a}e.\u{212a}issa@example.com",
    "mike.ki\u{17f}\u{17f}a@example.com",
    "m\u{130}ke.kissa@example.com",
    "m\u{131}ke.kissa@example.com",
    "mike.ki\u{df}a@example.com",
    "ｍike.kissa@example.com",
    "m\u{456}ke.kissa@example.com",
    "mike\u{200b}.kissa@example.com",
    "mike\u{ad}.kissa@example.com",
    "mi\u{307}ke.kissa@example.com",
    "mike.kissa@example\u{3002}com",
    "mike.kissa@ex\u{430}mple.com",
];

async fn sign_up(app: &TestApp, email: &str) -> crate::support::Answer {
    let person = json!({"kind": "agency", "email": email, "password": PASSWORD, "firstName": "A", "lastName": "B"});
    app.visitor().post("/v3/accounts", &person).await
}

async fn a_lookalike_of_an_email_is_no_way_in(app: &TestApp) {
    sign_up(app, EMAIL).await.expect(201);
    let manager = app.agency().await;
    app.all_mails_sent().await;
    let mails = app.mails_to(EMAIL).len();
    for email in LOOKALIKES {
        let refused = sign_up(app, email).await.problem("validationFailed");
        assert_eq!(places(&refused), ["/email"], "{email}");
        let credentials = json!({"email": email, "password": PASSWORD});
        let answer = app.visitor().post("/v3/sessions", &credentials).await;
        assert!([401, 422].contains(&answer.status), "{email}: {}", answer.text);
        let reset = app.visitor().post("/v3/password-resets", &json!({"email": email})).await;
        assert!([202, 422].contains(&reset.status), "{email}: {}", reset.text);
        let client = json!({"email": email, "firstName": "A", "lastName": "B"});
        manager.login.post("/v3/sub-accounts", &client).await.problem("validationFailed");
    }
    app.all_mails_sent().await;
    assert_eq!(app.mails_to(EMAIL).len(), mails);
}

async fn the_case_of_an_email_makes_no_second_account(app: &TestApp) {
    sign_up(app, EMAIL).await.expect(201);
    for email in ["MIKE.KISSA@EXAMPLE.COM", "Mike.Kissa@example.com"] {
        sign_up(app, email).await.problem("emailTaken");
    }
    app.sign_in("MIKE.kissa@EXAMPLE.com", PASSWORD).await;
}

async fn a_lookalike_of_a_referral_code_is_another_code_or_none(app: &TestApp) {
    let agency = app.agency().await;
    let link = json!({"name": "spring", "code": "kiss-2026"});
    agency.login.post("/v3/referral-links", &link).await.expect(201);
    for code in
        ["\u{212a}iss-2026", "ki\u{17f}s-2026", "k\u{131}ss-2026", "ki\u{df}-2026", "ｋiss-2026", "kiss\u{2010}2026"]
    {
        let link = json!({"name": "spring", "code": code});
        let problem = agency.login.post("/v3/referral-links", &link).await.problem("validationFailed");
        assert_eq!(places(&problem), ["/code"], "{code}");
        let encoded: String = url::form_urlencoded::byte_serialize(code.as_bytes()).collect();
        app.visitor().get(&format!("/r/{encoded}")).await.problem("notFound");
        // A sign-up never fails by its code, and belongs to nobody by a wrong one.
        let person = json!({"kind": "standard", "email": crate::support::new_email(), "password": PASSWORD,
            "firstName": "A", "lastName": "B", "referralCode": code});
        let account = app.visitor().post("/v3/accounts", &person).await.expect(201);
        assert!(account["managerId"].is_null(), "{code}: {account:#}");
    }
    for code in ["KISS-2026", "Kiss-2026"] {
        let link = json!({"name": "spring", "code": code});
        agency.login.post("/v3/referral-links", &link).await.problem("referralCodeTaken");
        assert_eq!(app.visitor().get(&format!("/r/{code}")).await.status, 302);
    }
}
