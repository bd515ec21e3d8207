//! Tells who stands behind a credential. Principals are kept for half a second, so what is stored is at most that old;
//! refusals are not kept. A key's last use is noted beside the request, at most once a minute.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use diesel::prelude::*;
use moka::sync::Cache;

use super::lookup::{self, Found};
use super::principal::{Credential, Principal};
use super::token::{Claims, Subject, TokenKeys, TokenType};
use crate::api_keys::secret;
use crate::clock::{Clock, Timestamp};
use crate::crypto;
use crate::db::schema::{api_keys, operator_keys};
use crate::db::{Conn, Db};
use crate::error::{Code, Error, Problem, Result};
use crate::id::{AccountId, ApiKeyId, OperatorKeyId};

const KEPT_FOR: Duration = Duration::from_millis(500);
const KEPT_AT_MOST: u64 = 50_000;
const USE_NOTED_EVERY: Duration = Duration::from_mins(1);
const USES_KEPT_AT_MOST: u64 = 100_000;

/// From credentials to principals.
#[derive(Debug)]
pub struct Authenticator {
    db: Db,
    clock: Clock,
    tokens: TokenKeys,
    /// By the SHA-256 of the credential, so that no credential lies in memory longer than its request.
    known: Cache<[u8; 32], Known>,
    /// Goes up with each [`Authenticator::forget`]: what was read before it must not be kept after it.
    generation: RwLock<u64>,
    noted_uses: Cache<KeyUse, ()>,
}

/// How a token is taken apart.
type Verify = fn(&TokenKeys, &str) -> Option<Claims>;

#[derive(Debug, Clone)]
struct Known {
    principal: Arc<Principal>,
    key_expires_at: Option<Timestamp>,
    token_expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum KeyUse {
    Account(AccountId, ApiKeyId),
    Operator(OperatorKeyId),
}

impl Authenticator {
    /// Looks credentials up in `db`; `clock` decides about the end of keys, `tokens` about tokens.
    #[must_use]
    pub fn new(db: Db, clock: Clock, tokens: TokenKeys) -> Self {
        Self {
            db,
            clock,
            tokens,
            known: Cache::builder().max_capacity(KEPT_AT_MOST).time_to_live(KEPT_FOR).build(),
            generation: RwLock::new(0),
            noted_uses: Cache::builder().max_capacity(USES_KEPT_AT_MOST).time_to_live(USE_NOTED_EVERY).build(),
        }
    }

    /// The secrets of tokens.
    #[must_use]
    pub const fn tokens(&self) -> &TokenKeys {
        &self.tokens
    }

    /// Forgets all principals, so that a change to a credential or an account takes effect at once on this server.
    pub fn forget(&self) {
        let mut generation = self.generation.write().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.known.invalidate_all();
    }

    /// The principal of an API key or an access token.
    ///
    /// # Errors
    /// 401 `invalidCredentials`, 403 `accountBlocked`; the database's failure.
    pub async fn authenticate(&self, credential: &str) -> Result<Arc<Principal>> {
        let known = self.known(credential, TokenKeys::verify).await?;
        if known.token_expires_at.is_some_and(|end| end <= Timestamp::machine()) {
            return Err(invalid());
        }
        Ok(known.principal)
    }

    /// The principal of a credential that was good when its request began, for an answer that takes long. An access token that
    /// ended meanwhile, as all of them do soon, still stands for its session.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`].
    pub async fn readmit(&self, credential: &str) -> Result<Arc<Principal>> {
        Ok(self.known(credential, TokenKeys::verify_ended).await?.principal)
    }

    async fn known(&self, credential: &str, verify: Verify) -> Result<Known> {
        let digest = crypto::sha256(credential.as_bytes());
        let known = match self.known.get(&digest) {
            Some(known) => known,
            None => self.look_up(digest, credential, verify).await?,
        };
        if known.key_expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(invalid());
        }
        Ok(known)
    }

    async fn look_up(&self, digest: [u8; 32], credential: &str, verify: Verify) -> Result<Known> {
        let generation = *self.generation.read().unwrap_or_else(PoisonError::into_inner);
        let known = if credential.starts_with(secret::PREFIX) {
            self.known_key(credential).await?
        } else {
            self.known_token(verify(&self.tokens, credential).ok_or_else(invalid)?).await?
        };
        self.keep(digest, &known, generation);
        self.note_use(&known.principal);
        Ok(known)
    }

    /// Keeps what was read in `generation`, unless it is over: whoever begins the next one waits until this is kept.
    fn keep(&self, digest: [u8; 32], known: &Known, generation: u64) {
        let present = self.generation.read().unwrap_or_else(PoisonError::into_inner);
        if *present == generation {
            self.known.insert(digest, known.clone());
        }
    }

    async fn known_key(&self, key: &str) -> Result<Known> {
        if !secret::is_well_formed(key) {
            return Err(invalid());
        }
        let hash = secret::hash(key);
        let found = self.db.read(move |conn| lookup::by_key(conn, hash)).await?;
        let found = found.ok_or_else(invalid)?;
        // An ended key is told nothing about its account.
        if found.key_expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(invalid());
        }
        admit(found, None)
    }

    async fn known_token(&self, claims: Claims) -> Result<Known> {
        let expires_at = Timestamp::from_unix_micros(claims.exp.saturating_mul(1_000_000));
        let domain_now = self.clock.now();
        let found = self.db.read(move |conn| find_token(conn, domain_now, &claims)).await?;
        admit(found.ok_or_else(invalid)?, Some(expires_at))
    }

    /// Writes down that a key was used, after the answer or beside it; a failure is only logged.
    fn note_use(&self, principal: &Principal) {
        let key_use = match (&principal.credential, principal.account_id) {
            (Credential::ApiKey(id), Some(account_id)) => KeyUse::Account(account_id, *id),
            (Credential::Operator(id), _) => KeyUse::Operator(*id),
            _ => return,
        };
        if !self.noted_uses.entry(key_use).or_insert(()).is_fresh() {
            return;
        }
        let (db, now) = (self.db.clone(), self.clock.now());
        tokio::spawn(async move {
            if let Err(error) = db.write(move |conn| write_use(conn, key_use, now)).await {
                log::warn!("the use of a key was not noted: {error}");
            }
        });
    }
}

fn find_token(conn: &mut Conn, domain_now: Timestamp, claims: &Claims) -> Result<Option<Found>> {
    let now = Timestamp::machine();
    match (claims.typ, claims.sub, claims.sid, &claims.act) {
        (TokenType::Access, Subject::User(user_id), Some(session_id), None) => {
            lookup::by_session(conn, now, user_id, session_id)
        }
        (TokenType::Impersonation, Subject::Account(client_id), session_id, Some(actor)) => {
            lookup::by_impersonation(conn, (now, domain_now), client_id, actor, session_id)
        }
        _ => Ok(None),
    }
}

fn admit(found: Found, token_expires_at: Option<Timestamp>) -> Result<Known> {
    if found.is_blocked {
        return Err(blocked());
    }
    Ok(Known { principal: Arc::new(found.principal), key_expires_at: found.key_expires_at, token_expires_at })
}

fn write_use(conn: &mut Conn, key_use: KeyUse, now: Timestamp) -> Result<()> {
    match key_use {
        KeyUse::Account(account_id, id) => {
            diesel::update(api_keys::table.find((account_id, id))).set(api_keys::last_used_at.eq(now)).execute(conn)?
        }
        KeyUse::Operator(id) => {
            diesel::update(operator_keys::table.find(id)).set(operator_keys::last_used_at.eq(now)).execute(conn)?
        }
    };
    Ok(())
}

/// 401: no such key or token, or none any more.
#[must_use]
pub fn invalid() -> Error {
    Problem::new(Code::InvalidCredentials, "the key or token is malformed, unknown, expired or revoked").into()
}

/// 403: the account is blocked.
#[must_use]
pub fn blocked() -> Error {
    Problem::new(Code::AccountBlocked, "the account is blocked; ask the support of the platform").into()
}
