//! Tokens that are well signed and wrong all the same: with the secret in hand a forger still gets nowhere.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{TestApp, both_engines};

both_engines!(
    a_refresh_token_a_key_and_a_mailed_token_are_no_access_tokens,
    a_token_from_the_future_or_of_a_long_life_is_refused,
    a_token_of_one_kind_is_not_taken_for_the_other,
    the_key_that_a_token_names_is_not_looked_at,
);

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

fn signed(app: &TestApp, claims: &Value) -> String {
    let secret = EncodingKey::from_secret(app.settings.secrets.jwt.reveal().as_bytes());
    jsonwebtoken::encode(&Header::default(), claims, &secret).expect("a token")
}

fn changed(claims: &Value, changes: &Value) -> Value {
    let mut forged = claims.clone();
    for (name, value) in changes.as_object().expect("changes") {
        if value.is_null() {
            forged.as_object_mut().expect("claims").remove(name);
        } else {
            forged[name] = value.clone();
        }
    }
    forged
}

async fn a_token_from_the_future_or_of_a_long_life_is_refused(app: &TestApp) {
    let agency = app.agency().await;
    let claims = claims_of(agency.login.credential());
    let issued = claims["iat"].as_i64().expect("a time");
    app.caller(&signed(app, &claims)).get("/v3/account").await.expect(200);
    for changes in [
        json!({"iat": issued + 600, "exp": issued + 1_200}),
        json!({"exp": issued + 3_600}),
        json!({"exp": i64::MAX}),
        json!({"iat": i64::MIN}),
        json!({"exp": 1e18}),
        json!({"nbf": issued + 600}),
        json!({"nbf": issued - 600}),
    ] {
        app.caller(&signed(app, &changed(&claims, &changes))).get("/v3/account").await.problem("invalidCredentials");
    }
}

async fn a_token_of_one_kind_is_not_taken_for_the_other(app: &TestApp) {
    let agency = app.agency().await;
    let client = app.invited_client_of(&agency).await;
    let path = format!("/v3/sub-accounts/{}/login", client.id);
    let acting = agency.login.post_nothing(&path).await.expect(201);
    let acting = claims_of(acting["accessToken"].as_str().expect("a token"));
    let own = claims_of(agency.login.credential());
    app.caller(&signed(app, &acting)).get("/v3/account").await.expect(200);
    for (claims, changes) in [
        // The manager's session as the client's, and the client's account as a session.
        (&own, json!({"typ": "impersonation"})),
        (&own, json!({"typ": "impersonation", "sub": client.id})),
        (&own, json!({"sub": client.id})),
        (&own, json!({"act": acting["act"]})),
        (&acting, json!({"typ": "access"})),
        (&acting, json!({"act": null})),
        (&acting, json!({"act": null, "typ": "access"})),
        (&acting, json!({"act": null, "typ": "access", "sub": own["sub"], "sid": null})),
        (&acting, json!({"sub": agency.id})),
        (&acting, json!({"sub": own["sub"]})),
        (&acting, json!({"act": {"sub": acting["act"]["sub"], "acc": client.id}})),
        (&own, json!({"scope": "operator:payouts"})),
        (&own, json!({"typ": "refresh"})),
        (&own, json!({"typ": null})),
    ] {
        let answer = app.caller(&signed(app, &changed(claims, &changes))).get("/v3/account").await;
        assert_eq!(answer.status, 401, "{changes}: {}", answer.text);
    }
}

async fn a_refresh_token_a_key_and_a_mailed_token_are_no_access_tokens(app: &TestApp) {
    let agency = app.agency().await;
    let credentials = json!({"email": agency.email, "password": crate::support::PASSWORD});
    let session = app.visitor().post("/v3/sessions", &credentials).await.expect(201);
    app.visitor().post("/v3/password-resets", &json!({"email": agency.email})).await.expect(202);
    let mailed = app.mail_to(&agency.email, "password").await.token();
    let refresh = session["refreshToken"].as_str().expect("a refresh token");
    for token in [refresh, &mailed] {
        let request = app.visitor().request(reqwest::Method::GET, "/v3/account");
        let bearer = request.header("authorization", &format!("Bearer {token}"));
        bearer.send().await.problem("invalidCredentials");
        let request = app.visitor().request(reqwest::Method::GET, "/v3/account");
        request.header("x-auth-token", token).send().await.problem("invalidCredentials");
    }
    let key = app.api_key(&agency, &["account:read"]).await;
    for token in [key.credential(), agency.login.credential(), &mailed] {
        let refresh = json!({"refreshToken": token});
        app.visitor().post("/v3/sessions/refresh", &refresh).await.problem("invalidCredentials");
        let confirm = json!({"token": refresh, "password": "another quiet harbour"});
        app.visitor().post("/v3/password-resets/confirm", &confirm).await.problem("validationFailed");
    }
    for token in [key.credential(), agency.login.credential(), refresh] {
        let confirm = json!({"token": token, "password": "another quiet harbour"});
        app.visitor().post("/v3/password-resets/confirm", &confirm).await.problem("invalidToken");
    }
}

/// A header may name another key, or a place to fetch one from: nothing of it is followed.
async fn the_key_that_a_token_names_is_not_looked_at(app: &TestApp) {
    let agency = app.agency().await;
    let claims = claims_of(agency.login.credential());
    let forged = Header {
        kid: Some("../../../../dev/null".to_owned()),
        jku: Some(format!("{}/keys", app.address)),
        x5u: Some(format!("{}/keys", app.address)),
        ..Header::default()
    };
    for secret in ["", "\0", "../../../../dev/null", "stape-api"] {
        let token = jsonwebtoken::encode(&forged, &claims, &EncodingKey::from_secret(secret.as_bytes()));
        let token = token.expect("a token");
        app.caller(&token).get("/v3/account").await.problem("invalidCredentials");
    }
}
