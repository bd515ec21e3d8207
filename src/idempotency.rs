//! A write happens once per idempotency key: the key's row commits in the transaction of the effect, with its answer.
//!
//! Of two requests with one key, the second waits on the insert (PostgreSQL) or runs after the first (SQLite's one writer),
//! and then finds the answer. A refusal rolls the key back, so only successes are kept. No two-phase row, no sweeper of
//! half-done work.

use actix_web::HttpRequest;
use diesel::prelude::*;
use serde_json::Value;

use crate::auth::{Principal, passwords};
use crate::clock::Timestamp;
use crate::crypto::sha256;
use crate::db::schema::idempotency_keys;
use crate::db::{Conn, is_lock_timeout, with_conn};
use crate::error::{Code, Error, Problem, Result, Violation};
use crate::http::{KeyRule, Reply};

/// The header that carries a key.
const HEADER: &str = "Idempotency-Key";

/// A key as the client sent it, for one operation and one body.
#[derive(Debug, Clone)]
pub struct Key {
    value: String,
    /// Method and route.
    operation: String,
    /// SHA-256 over path and canonical body.
    fingerprint: [u8; 32],
}

impl Key {
    /// The key of a request, as far as `rule` lets there be one.
    ///
    /// # Errors
    /// 400: malformed, missing where it is required, or there where it is refused.
    pub fn of(request: &HttpRequest, rule: KeyRule) -> Result<Option<Self>> {
        let mut values = request.headers().get_all(HEADER);
        let Some(first) = values.next() else {
            return match rule {
                KeyRule::Required => Err(refused(Code::IdempotencyKeyRequired, "is required for this operation")),
                KeyRule::Optional | KeyRule::Refused => Ok(None),
            };
        };
        if rule == KeyRule::Refused {
            return Err(refused(Code::IdempotencyKeyNotAllowed, "is not taken by this operation"));
        }
        let is_printable =
            |text: &&str| (1..=255).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        let value = first.to_str().ok().filter(is_printable).filter(|_| values.next().is_none());
        let malformed =
            || refused(Code::InvalidIdempotencyKey, "must be 1 to 255 printable ASCII characters, sent once");
        let value = value.ok_or_else(malformed)?.to_owned();
        let operation = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
        Ok(Some(Self { value, operation, fingerprint: [0; 32] }))
    }

    /// The same key for the request to `path` with `body`.
    ///
    /// # Errors
    /// JSON that has no canonical form, which parsed JSON has.
    pub fn sealed(mut self, path: &str, body: &Value) -> Result<Self> {
        let canonical = serde_json_canonicalizer::to_vec(body).map_err(Error::internal)?;
        self.fingerprint = sha256(&[path.as_bytes(), b"\n", &canonical].concat());
        Ok(self)
    }

    /// What tells the request from another one with the key.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// The same key with a fingerprint that costs as much to guess from as a password's hash: for bodies that hold one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many passwords wait to be hashed.
    pub async fn hardened(mut self) -> Result<Self> {
        let salt = format!("{}\n{}", self.operation, self.value).into_bytes();
        self.fingerprint = passwords::stretch(self.fingerprint, salt).await?;
        Ok(self)
    }
}

fn refused(code: Code, detail: &str) -> Error {
    Problem::new(code, format!("{HEADER} {detail}")).with(Violation::parameter(HEADER, code.name(), detail)).into()
}

/// A row of the table of keys.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = idempotency_keys)]
pub struct Claim {
    account_id: String,
    credential: String,
    operation: String,
    key: String,
    fingerprint: Vec<u8>,
    status: i32,
    created_at: Timestamp,
}

impl Claim {
    /// What `who` claims with `key`. The scope of a key is account, credential and operation.
    #[must_use]
    pub fn new(who: &Principal, key: Key) -> Self {
        let actor = who.actor();
        let acting = actor.acting_account.map(|account| format!(" for {account}")).unwrap_or_default();
        Self {
            account_id: who.account_id.map(|id| id.to_string()).unwrap_or_default(),
            credential: format!("{} {}{acting}", actor.kind, actor.id),
            operation: key.operation,
            key: key.value,
            fingerprint: key.fingerprint.to_vec(),
            status: 0,
            created_at: Timestamp::machine(),
        }
    }
}

/// The answer to a claim, and whether it is that of an earlier request.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub reply: Reply,
    /// Whether an earlier request got it first.
    pub replayed: bool,
}

/// Runs `effect` if nobody claimed the same before, else gives the first answer again to who still `may` have it. Wants to be in
/// a transaction.
///
/// # Errors
/// What `effect` or `may` refuses; 409 `idempotencyInFlight`; 422 `idempotencyKeyReused`.
pub fn once(
    conn: &mut Conn,
    claim: &Claim,
    may: impl FnOnce(&mut Conn) -> Result<()>,
    effect: impl FnOnce(&mut Conn) -> Result<Reply>,
) -> Result<Outcome> {
    let insert = diesel::insert_into(idempotency_keys::table).values(claim).on_conflict_do_nothing();
    let inserted = with_conn!(conn, inner => insert.execute(inner)).map_err(in_flight)?;
    if inserted == 0 {
        may(conn)?;
        let first = first_answer(conn, claim)?.ok_or_else(|| Error::internal("a key without a row"))?;
        return first.again_for(claim.fingerprint.as_slice());
    }
    let reply = effect(conn)?;
    let row = idempotency_keys::table.find((&claim.account_id, &claim.credential, &claim.operation, &claim.key));
    let answer = (
        idempotency_keys::status.eq(i32::from(reply.status)),
        idempotency_keys::location.eq(&reply.location),
        idempotency_keys::body.eq(&reply.body),
    );
    diesel::update(row).set(answer).execute(conn)?;
    Ok(Outcome { reply, replayed: false })
}

/// What the first request with a key was answered.
#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
pub struct FirstAnswer {
    fingerprint: Vec<u8>,
    status: i32,
    location: Option<String>,
    body: Option<String>,
}

impl FirstAnswer {
    /// The answer to another request with this fingerprint.
    ///
    /// # Errors
    /// 422 `idempotencyKeyReused` where it is not the same request.
    pub fn again_for(self, fingerprint: &[u8]) -> Result<Outcome> {
        if self.fingerprint != fingerprint {
            return Err(refused(Code::IdempotencyKeyReused, "was used for another request of this operation"));
        }
        let status = u16::try_from(self.status).map_err(Error::internal)?;
        Ok(Outcome { reply: Reply { status, location: self.location, body: self.body }, replayed: true })
    }
}

/// What the key of a claim was answered already, whatever the request was; none where nothing was done with it. For operations
/// that have to know it before their effect.
///
/// # Errors
/// The database's failure.
pub fn first_answer(conn: &mut Conn, claim: &Claim) -> Result<Option<FirstAnswer>> {
    Ok(idempotency_keys::table
        .find((&claim.account_id, &claim.credential, &claim.operation, &claim.key))
        .select(FirstAnswer::as_select())
        .get_result(conn)
        .optional()?)
}

/// A twin that runs for longer than the lock timeout.
fn in_flight(error: diesel::result::Error) -> Error {
    if !is_lock_timeout(&error) {
        return error.into();
    }
    Problem::new(Code::IdempotencyInFlight, "a request with this key is still running").retry_after(1).into()
}
