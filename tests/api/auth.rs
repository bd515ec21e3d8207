//! Credentials: which are taken, and that nothing forged, foreign or half right is.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use stape_api::auth::{Scope, Scopes};

use crate::support::{TestApp, both_engines};

both_engines!(
    a_forged_token_is_refused,
    a_key_is_taken_in_either_header,
    a_key_with_a_bad_checksum_is_refused_without_the_database,
    a_missing_scope_is_named,
    a_token_of_the_previous_secret_stays_good,
    a_token_of_another_user_cannot_be_made_from_ones_own,
    no_or_a_bad_credential_is_401,
    the_wrong_kind_of_account_is_403,
    two_different_credentials_are_refused,
);

async fn no_or_a_bad_credential_is_401(app: &TestApp) {
    let answer = app.visitor().get("/v3/account").await;
    assert!(!answer.header("www-authenticate").is_empty());
    answer.problem("authenticationRequired");
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    let changed = with_another_end(key.credential());
    let unknown = stape_api_key("abcdefghijklmnopqrstuvwxyzABCDEF");
    for credential in ["nonsense", "stp_", "a.b.c", &changed, &unknown, "ünïcode"] {
        for (name, value) in
            [("x-auth-token", credential.to_owned()), ("authorization", format!("Bearer {credential}"))]
        {
            let answer = app.visitor().request(Method::GET, "/v3/account").header(name, &value).send().await;
            assert!(!answer.header("www-authenticate").is_empty(), "{name}: {value}");
            answer.problem("invalidCredentials");
        }
    }
    for scheme in ["Basic YTpi", "Bearer", "Bearer "] {
        let answer = app.visitor().request(Method::GET, "/v3/account").header("authorization", scheme).send().await;
        assert_eq!(answer.status, 401, "{scheme}");
    }
}

/// The key with another last character.
fn with_another_end(key: &str) -> String {
    format!("{}{}", &key[..41], if key.ends_with('0') { "1" } else { "0" })
}

/// A well-formed key around 32 characters of a secret.
fn stape_api_key(secret: &str) -> String {
    let mut checksum = crc32fast::hash(secret.as_bytes());
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        *place = digits[(checksum % 62) as usize];
        checksum /= 62;
    }
    format!("stp_{secret}{}", String::from_utf8_lossy(&text))
}

async fn a_key_is_taken_in_either_header(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    let key = key.credential();
    for (name, value) in [
        ("x-auth-token", key.to_owned()),
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {key}")),
    ] {
        app.visitor().request(Method::GET, "/v3/account").header(name, &value).send().await.expect(200);
    }
}

async fn two_different_credentials_are_refused(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    let both = |token: &str, key: &str| {
        let request = app.visitor().request(Method::GET, "/v3/account");
        request.header("authorization", &format!("Bearer {token}")).header("x-auth-token", key).send()
    };
    both(agency.login.credential(), key.credential()).await.problem("conflictingCredentials");
    both("nonsense", key.credential()).await.problem("conflictingCredentials");
    both(key.credential(), key.credential()).await.expect(200);
}

async fn a_key_with_a_bad_checksum_is_refused_without_the_database(app: &TestApp) {
    let Some(postgres) = app.database.postgres() else { return };
    let known = stape_api_key("abcdefghijklmnopqrstuvwxyzABCDEF");
    let malformed = with_another_end(&known);
    postgres.allow_connections(false);
    app.caller(&malformed).get("/v3/account").await.problem("invalidCredentials");
    let answer = app.caller(&known).get("/v3/account").await;
    assert!(!answer.header("retry-after").is_empty());
    answer.problem("serviceUnavailable");
    postgres.allow_connections(true);
}

async fn a_missing_scope_is_named(app: &TestApp) {
    let agency = app.agency().await;
    let key = app.api_key(&agency, &["account:read"]).await;
    let problem = key.get("/v3/commissions").await.problem("insufficientScope");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("commissions:read")), "{problem:#}");
    let operator = app.caller(&app.operator_key(Scopes::of(&[Scope::OperatorPayouts])).await);
    let answer = operator.post("/v3/operator/billing-events", &json!({"events": []})).await;
    assert!(
        answer.problem("insufficientScope")["detail"].as_str().is_some_and(|text| text.contains("operator:billing"))
    );
}

async fn the_wrong_kind_of_account_is_403(app: &TestApp) {
    let (client, agency) = (app.standard().await, app.agency().await);
    client.login.get("/v3/sub-accounts").await.problem("wrongAccountKind");
    agency.login.get("/v3/operator/accounts").await.problem("wrongAccountKind");
    app.operator().await.get("/v3/account").await.problem("wrongAccountKind");
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

fn signed(header: &Header, claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

/// The header of a real token.
fn header_of(token: &str) -> Header {
    jsonwebtoken::decode_header(token).expect("a header")
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

async fn a_forged_token_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    let token = agency.login.credential();
    let (header, claims, secret) = (header_of(token), claims_of(token), app.settings.secrets.jwt.reveal());
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(&header, &claims, secret)
    };
    // The forger's tools work: with the right secret and claims they make a good token.
    app.caller(&signed(&header, &claims, secret)).get("/v3/account").await.expect(200);
    let mut forged = vec![
        signed(&header, &claims, "another secret of at least 32 bytes, as wanted"),
        signed(&header, &claims, ""),
        signed(&Header { alg: Algorithm::HS512, ..header.clone() }, &claims, secret),
        with("aud", json!("another")),
        with("iss", json!("another")),
        with("exp", json!(unix_now() - 600)),
        with("sub", json!("usr_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")),
        with("sub", json!(1)),
    ];
    for name in ["exp", "aud", "iss", "sub", "iat", "jti"] {
        let mut claims = claims.clone();
        claims.as_object_mut().expect("claims").remove(name);
        forged.push(signed(&header, &claims, secret));
    }
    let parts: Vec<&str> = token.split('.').collect();
    for algorithm in ["none", "None", "NONE"] {
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
        forged.push(format!("{header}.{}.", parts[1]));
        forged.push(format!("{header}.{}.{}", parts[1], parts[2]));
    }
    forged.push(format!("{}.{}.", parts[0], parts[1]));
    forged.push(format!("{}.{}.{}", parts[0], parts[1], &parts[2][..10]));
    for token in forged {
        app.caller(&token).get("/v3/account").await.problem("invalidCredentials");
    }
}

async fn a_token_of_another_user_cannot_be_made_from_ones_own(app: &TestApp) {
    let (agency, other) = (app.agency().await, app.agency().await);
    let parts: Vec<&str> = agency.login.credential().split('.').collect();
    let of_other: Vec<&str> = other.login.credential().split('.').collect();
    let mixed = format!("{}.{}.{}", parts[0], of_other[1], parts[2]);
    app.caller(&mixed).get("/v3/account").await.problem("invalidCredentials");
}

async fn a_token_of_the_previous_secret_stays_good(app: &TestApp) {
    let agency = app.agency().await;
    let token = agency.login.credential();
    let old = app.settings.secrets.clone();
    let rotated = TestApp::start_with(&app.database, |settings| {
        settings.secrets.jwt_previous = Some(old.jwt);
    })
    .await;
    rotated.caller(token).get("/v3/account").await.expect(200);
    rotated.stop().await;
    let forgotten = TestApp::start(&app.database).await;
    forgotten.caller(token).get("/v3/account").await.problem("invalidCredentials");
    forgotten.stop().await;
}
