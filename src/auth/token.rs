//! Access tokens (JWT, HS256) and refresh tokens: their form, their making and the checks that need no database.
//!
//! All times here are the machine's. An access token names its session, or, for a manager that acts as its client, the
//! actor (RFC 8693 `act`); whether those still hold is asked of the database by [`super::Authenticator`].

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::crypto;
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId, UserId};

/// How long an access token is good for.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;
/// How far ahead of this server's clock another one's may be.
const MAX_AHEAD_SECONDS: i64 = 60;
const ISSUER: &str = "stape-api";
const AUDIENCE: &str = "stape-api/v3";
const NONCE_LENGTH: usize = 24;
/// Keeps the tags of refresh tokens apart from anything else that is ever signed with the secret.
const REFRESH_PURPOSE: &str = "refresh token\n";

crate::text_enum! {
    /// What an access token stands for.
    pub enum TokenType {
        /// A person's session.
        Access = "access",
        /// A manager that acts as its client.
        Impersonation = "impersonation",
    }
}

/// The claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who issued it: a constant, not the server's address.
    pub iss: String,
    /// For whom it is: a constant.
    pub aud: String,
    /// Whom it stands for: a user, or the client that is acted for.
    pub sub: Subject,
    /// End, in seconds since 1970.
    pub exp: i64,
    /// Start, in seconds since 1970.
    pub iat: i64,
    /// The token's own id.
    pub jti: String,
    /// What it stands for.
    pub typ: TokenType,
    /// The session that it lives and dies with; none where an API key asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// Who acts, where it is not the subject itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActorClaim>,
}

/// Whom a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Subject {
    /// A person.
    User(UserId),
    /// A client's account.
    Account(AccountId),
}

/// RFC 8693 `act`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorClaim {
    /// The manager's user or API key, as the audit log names it.
    pub sub: String,
    /// The manager's account.
    pub acc: AccountId,
}

/// A signed token and its end.
pub struct AccessToken {
    /// The JWT.
    pub token: String,
    /// When it stops being good.
    pub expires_at: Timestamp,
}

/// A refresh token, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session.
    pub session_id: SessionId,
    /// What the database keeps of the token.
    pub hash: [u8; 32],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RefreshToken({}, …)", self.session_id)
    }
}

/// The secrets that sign tokens: the current one, and the one before it, which is still accepted.
pub struct TokenKeys {
    encoding: EncodingKey,
    current: TokenKey,
    previous: Option<TokenKey>,
    validation: Validation,
}

/// What checks the tokens that one secret signed.
struct TokenKey {
    decoding: DecodingKey,
    secret: Vec<u8>,
}

impl TokenKey {
    fn new(secret: &[u8]) -> Self {
        Self { decoding: DecodingKey::from_secret(secret), secret: secret.to_vec() }
    }
}

impl TokenKeys {
    /// Signs with `current`, accepts both.
    #[must_use]
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.leeway = 0;
        Self {
            encoding: EncodingKey::from_secret(current),
            current: TokenKey::new(current),
            previous: previous.map(TokenKey::new),
            validation,
        }
    }

    /// Those whose tokens are accepted.
    fn accepted(&self) -> impl Iterator<Item = &TokenKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// An access token of a session.
    ///
    /// # Errors
    /// A claim that cannot be serialised.
    pub fn issue_access(&self, now: Timestamp, user_id: UserId, session_id: SessionId) -> Result<AccessToken> {
        self.issue(now, TokenType::Access, Subject::User(user_id), Some(session_id), None)
    }

    /// An access token by which `actor` acts as `client_id`; it lives and dies with the session or key of the actor, and
    /// with the access that the client granted.
    ///
    /// # Errors
    /// A claim that cannot be serialised.
    pub fn issue_impersonation(
        &self,
        now: Timestamp,
        client_id: AccountId,
        actor: ActorClaim,
        session_id: Option<SessionId>,
    ) -> Result<AccessToken> {
        self.issue(now, TokenType::Impersonation, Subject::Account(client_id), session_id, Some(actor))
    }

    /// The claims of `token`, when its signature, algorithm, issuer, audience, times and shape are right.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Claims> {
        self.claims(token, &self.validation)
    }

    /// [`TokenKeys::verify`] of a token that may have ended since it was verified.
    #[must_use]
    pub fn verify_ended(&self, token: &str) -> Option<Claims> {
        self.claims(token, &Validation { validate_exp: false, ..self.validation.clone() })
    }

    fn claims(&self, token: &str, validation: &Validation) -> Option<Claims> {
        let claims = self
            .accepted()
            .find_map(|key| jsonwebtoken::decode::<Claims>(token, &key.decoding, validation).ok())?
            .claims;
        let coherent = matches!(
            (claims.typ, claims.sub, claims.sid, &claims.act),
            (TokenType::Access, Subject::User(_), Some(_), None)
                | (TokenType::Impersonation, Subject::Account(_), _, Some(_))
        );
        // As made here, and not in the future: several servers' clocks differ a little.
        let latest = Timestamp::machine().unix_seconds() + MAX_AHEAD_SECONDS;
        let timely =
            claims.iat <= latest && (0..=ACCESS_TOKEN_SECONDS).contains(&claims.exp.saturating_sub(claims.iat));
        (coherent && timely).then_some(claims)
    }

    /// A new refresh token of a session. Its tag lets an invented one be refused without touching the database, so that
    /// nobody can end a session of which he knows only the id.
    #[must_use]
    pub fn issue_refresh(&self, session_id: SessionId) -> (String, RefreshToken) {
        let nonce: [u8; NONCE_LENGTH] = crypto::random_bytes();
        let body = format!("{session_id}.{}", URL_SAFE_NO_PAD.encode(nonce));
        let tag = crypto::hmac_sha256(&self.current.secret, &refresh_message(&body));
        let token = format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag));
        let hash = crypto::sha256(token.as_bytes());
        (token, RefreshToken { session_id, hash })
    }

    /// Takes a refresh token apart, when one of the secrets made it.
    #[must_use]
    pub fn read_refresh(&self, token: &str) -> Option<RefreshToken> {
        let (body, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        let message = refresh_message(body);
        let genuine = self.accepted().any(|key| crypto::verify_hmac_sha256(&key.secret, &message, &tag));
        let session_id = genuine.then(|| body.split_once('.')?.0.parse().ok()).flatten()?;
        Some(RefreshToken { session_id, hash: crypto::sha256(token.as_bytes()) })
    }

    fn issue(
        &self,
        now: Timestamp,
        typ: TokenType,
        sub: Subject,
        sid: Option<SessionId>,
        act: Option<ActorClaim>,
    ) -> Result<AccessToken> {
        let iat = now.unix_seconds();
        let exp = iat + ACCESS_TOKEN_SECONDS;
        let jti = URL_SAFE_NO_PAD.encode(crypto::random_bytes::<16>());
        let claims = Claims { iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), sub, exp, iat, jti, typ, sid, act };
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(Error::internal)?;
        Ok(AccessToken { token, expires_at: Timestamp::from_unix_micros(exp * 1_000_000) })
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenKeys(…)")
    }
}

fn refresh_message(body: &str) -> Vec<u8> {
    format!("{REFRESH_PURPOSE}{body}").into_bytes()
}

#[cfg(test)]
mod tests;
