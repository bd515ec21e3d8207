//! Tokens: what is accepted, and everything that is refused.

use serde_json::{Value, json};

use super::*;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const OTHER: &[u8] = b"another secret of at least 32 bytes..";

fn keys() -> TokenKeys {
    TokenKeys::new(SECRET, None)
}

fn good_claims() -> Value {
    let now = Timestamp::machine();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": UserId::new(now), "sid": SessionId::new(now),
        "iat": now.unix_seconds(), "exp": now.unix_seconds() + 60, "jti": "1", "typ": "access",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn is_accepted(claims: &Value) -> bool {
    keys().verify(&signed(claims, Algorithm::HS256, SECRET)).is_some()
}

#[test]
fn an_issued_token_is_accepted_and_names_user_and_session() {
    let now = Timestamp::machine();
    let (user_id, session_id) = (UserId::new(now), SessionId::new(now));
    let issued = keys().issue_access(now, user_id, session_id).unwrap();
    let claims = keys().verify(&issued.token).unwrap();
    assert_eq!((claims.sub, claims.sid, claims.typ), (Subject::User(user_id), Some(session_id), TokenType::Access));
    assert_eq!(claims.exp - claims.iat, 900);
    assert_eq!(issued.expires_at.unix_seconds(), claims.exp);
}

#[test]
fn an_impersonation_token_names_both() {
    let now = Timestamp::machine();
    let (client, manager) = (AccountId::new(now), AccountId::new(now));
    let act = ActorClaim { sub: UserId::new(now).to_string(), acc: manager };
    let issued =
        keys().issue(now, TokenType::Impersonation, Subject::Account(client), None, Some(act.clone())).unwrap();
    let claims = keys().verify(&issued.token).unwrap();
    assert_eq!((claims.sub, claims.act), (Subject::Account(client), Some(act)));
}

#[test]
fn the_previous_secret_is_accepted_and_any_other_is_not() {
    let now = Timestamp::machine();
    let old = TokenKeys::new(OTHER, None).issue_access(now, UserId::new(now), SessionId::new(now)).unwrap();
    assert!(TokenKeys::new(SECRET, Some(OTHER)).verify(&old.token).is_some());
    assert!(keys().verify(&old.token).is_none());
}

#[test]
fn a_token_that_ended_is_refused_but_where_its_request_began_before() {
    let start = Timestamp::machine().plus_seconds(-3600);
    let ended = keys().issue_access(start, UserId::new(start), SessionId::new(start)).unwrap().token;
    assert!(keys().verify(&ended).is_none());
    assert!(keys().verify_ended(&ended).is_some());
    assert!(keys().verify_ended(&signed(&good_claims(), Algorithm::HS256, OTHER)).is_none());
}

#[test]
fn another_algorithm_is_refused() {
    assert!(is_accepted(&good_claims()));
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert!(keys().verify(&signed(&good_claims(), algorithm, SECRET)).is_none(), "{algorithm:?}");
    }
    for header in [json!({"alg": "none"}), json!({"alg": "none", "typ": "JWT"}), json!({"alg": "NONE"})] {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!("{}.{}.", part(&header), part(&good_claims()));
        assert!(keys().verify(&unsigned).is_none(), "{header}");
    }
}

#[test]
fn wrong_claims_are_refused() {
    let past = Timestamp::machine().unix_seconds() - 1;
    let wrong = [
        with("iss", json!("https://example.org")),
        with("aud", json!("another service")),
        with("exp", json!(past)),
        with("exp", json!(past + 20 * 60)),
        with("exp", json!(i64::MAX)),
        with("iat", json!(past + 10 * 60)),
        with("iat", json!(i64::MIN)),
        with("nbf", json!(past)),
        with("typ", json!("refresh")),
        with("typ", json!("impersonation")),
        with("sub", json!("acc_00000000000000000000000000")),
        with("sub", json!("somebody")),
        with("sid", json!("somewhere")),
        with("act", json!({"sub": "usr_1", "acc": AccountId::new(Timestamp::machine())})),
        with("admin", json!(true)),
    ];
    for claims in wrong {
        assert!(!is_accepted(&claims), "{claims}");
    }
}

#[test]
fn missing_claims_are_refused() {
    for name in ["iss", "aud", "sub", "exp", "iat", "jti", "typ", "sid"] {
        assert!(!is_accepted(&without(name)), "{name}");
    }
}

#[test]
fn a_changed_payload_is_refused() {
    let now = Timestamp::machine();
    let issued = keys().issue_access(now, UserId::new(now), SessionId::new(now)).unwrap();
    let mut parts: Vec<&str> = issued.token.split('.').collect();
    let forged = URL_SAFE_NO_PAD.encode(good_claims().to_string());
    parts[1] = &forged;
    assert!(keys().verify(&parts.join(".")).is_none());
    assert!(keys().verify("").is_none() && keys().verify("a.b.c").is_none());
}

#[test]
fn a_refresh_token_is_read_back_and_an_invented_one_is_not() {
    let session_id = SessionId::new(Timestamp::machine());
    let (token, parts) = keys().issue_refresh(session_id);
    assert_eq!(keys().read_refresh(&token), Some(parts));
    assert_eq!(TokenKeys::new(OTHER, Some(SECRET)).read_refresh(&token), Some(parts));
    assert_eq!(TokenKeys::new(OTHER, None).read_refresh(&token), None);
    assert_ne!(keys().issue_refresh(session_id).1.hash, parts.hash);
    let body = token.rsplit_once('.').unwrap().0;
    let invented = [
        String::new(),
        "nonsense".to_owned(),
        body.to_owned(),
        format!("{body}."),
        format!("{token}A"),
        token.replace("ses_", "usr_"),
    ];
    for wrong in invented {
        assert_eq!(keys().read_refresh(&wrong), None, "{wrong}");
    }
}
