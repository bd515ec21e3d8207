//! Identifiers: a prefix that names the kind, then 26 characters of Crockford base32 over a UUIDv7 (RFC 9562).
//!
//! Ids strictly increase within a server, any number per millisecond, also while the clock stands still and after a
//! restart: a 50-bit counter (RFC 9562 §6.2, method 1) stands behind the 48-bit time. It starts at the machine's
//! microseconds and goes up by one with each id, so a later start is ahead of every id of an earlier one. The last 24 bits
//! are random. The database keeps the 26 characters alone: they sort by time whatever the prefix. Where the order of ids made
//! by several servers counts, the one whose turn it is surpasses the last id that is stored.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use crate::clock::Timestamp;
use crate::crypto::random_bytes;
use crate::short_text::{ShortText, joined};

/// 2026-01-01T00:00:00Z in microseconds, where the counter of a process begins.
const COUNTER_EPOCH_MICROS: i64 = 1_767_225_600_000_000;

/// Random bytes that are asked for at once: for 64 ids.
const RANDOM_BYTES: usize = 192;

struct Last {
    unix_ms: u64,
    counter: u64,
    /// Random bytes for the ids to come.
    random: Vec<u8>,
}

impl Last {
    /// 24 random bits.
    fn random_bits(&mut self) -> u128 {
        if self.random.is_empty() {
            self.random = random_bytes::<RANDOM_BYTES>().to_vec();
        }
        let rest = self.random.len().saturating_sub(3);
        self.random.drain(rest..).fold(0, |bits, byte| bits << 8 | u128::from(byte))
    }

    /// The counter, which begins at the machine's microseconds.
    fn begun(&self) -> u64 {
        if self.counter > 0 {
            return self.counter;
        }
        let elapsed = Timestamp::machine().unix_micros().saturating_sub(COUNTER_EPOCH_MICROS);
        u64::try_from(elapsed).unwrap_or(0)
    }
}

static LAST: Mutex<Last> = Mutex::new(Last { unix_ms: 0, counter: 0, random: Vec::new() });

fn unix_ms(time: Timestamp) -> u64 {
    u64::try_from(time.unix_micros() / 1000).unwrap_or(0)
}

/// The next UUIDv7 value not before `now`.
fn next(now: Timestamp) -> u128 {
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    last.unix_ms = last.unix_ms.max(unix_ms(now));
    last.counter = last.begun() + 1;
    let (unix_ms, counter, random) = (u128::from(last.unix_ms), u128::from(last.counter), last.random_bits());
    drop(last);
    let (counter_high, counter_low) = ((counter >> 38) & 0xfff, counter & 0x3f_ffff_ffff);
    ((unix_ms & 0xffff_ffff_ffff) << 80)
        | (0x7 << 76)
        | (counter_high << 64)
        | (0b10 << 62)
        | (counter_low << 24)
        | random
}

/// Lets every later id be greater than those of a time `floor`, which an earlier process had reached.
pub fn never_before(floor: Timestamp) {
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    last.unix_ms = last.unix_ms.max(unix_ms(floor));
}

/// The time that the id generator has reached: what [`never_before`] wants after a restart.
#[must_use]
pub fn reached() -> Timestamp {
    let last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Timestamp::from_unix_micros(i64::try_from(last.unix_ms).unwrap_or(i64::MAX / 1000) * 1000)
}

/// Lets every later id of this server be greater than one that another server may have made.
fn surpass(value: u128) {
    let unix_ms = u64::try_from(value >> 80).unwrap_or(u64::MAX);
    let counter = u64::try_from((((value >> 64) & 0xfff) << 38) | ((value >> 24) & 0x3f_ffff_ffff)).unwrap_or(u64::MAX);
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if unix_ms >= last.unix_ms {
        last.unix_ms = unix_ms;
        last.counter = last.begun().max(counter);
    }
}

/// Why a text is no id of the kind asked for.
#[derive(Debug, thiserror::Error)]
#[error("is not an id of the form {0}_ and 26 characters")]
pub struct MalformedId(&'static str);

/// The 26 characters of an id. Answers and rows are full of ids, so they are kept as they are written.
type Digits = [u8; ulid::ULID_LEN];

fn parse(text: &str, prefix: &'static str) -> Result<Digits, MalformedId> {
    let malformed = || MalformedId(prefix);
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(malformed)?;
    checked(digits).ok_or_else(malformed)
}

/// The characters, only in the spelling that [`encode`] gives: Crockford's alphabet, of at most 128 bits.
fn checked(digits: &str) -> Option<Digits> {
    let digits = Digits::try_from(digits.as_bytes()).ok()?;
    let fits = digits.first().is_some_and(|first| *first <= b'7');
    (fits & digits.into_iter().fold(true, |all, byte| all & is_digit(byte))).then_some(digits)
}

#[allow(
    clippy::needless_bitwise_bool,
    reason = "without a way out in the middle, many characters are compared at once"
)]
const fn is_digit(byte: u8) -> bool {
    let is_letter = (byte.wrapping_sub(b'A') < 26) & (byte != b'I') & (byte != b'L') & (byte != b'O') & (byte != b'U');
    (byte.wrapping_sub(b'0') < 10) | is_letter
}

fn encode(value: u128) -> Digits {
    let mut digits = Digits::default();
    ulid::Ulid(value).array_to_str(&mut digits);
    digits
}

/// The value behind the characters.
fn decode(digits: &Digits) -> u128 {
    ulid::Ulid::from_string(text(digits)).map_or(0, |ulid| ulid.0)
}

fn text(digits: &Digits) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// What an event or an audit row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The kind of thing, camelCase: `container`, `commission`, …
    pub kind: &'static str,
    /// Its id as the API shows it.
    pub id: String,
}

macro_rules! id_types {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal, $resource:literal;)+) => {$(
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
        )]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub struct $name(Digits);

        impl $name {
            /// The prefix before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, greater than every id that this server made before.
            #[must_use]
            pub fn new(now: Timestamp) -> Self {
                Self(encode(next(now)))
            }

            /// No id that was made at `time` or later is less: one may be ahead of its time, and never is behind. What is read in
            /// the order of ids needs not be read beyond it.
            #[must_use]
            pub fn earliest(time: Timestamp) -> Self {
                Self(encode(u128::from(unix_ms(time)) << 80))
            }

            /// Lets every later id of this server be greater than this one, which another server may have made.
            pub fn surpass(self) {
                surpass(decode(&self.0));
            }

            /// Id and beginning of the next row of a history: after the ids and not before the beginnings of its `last` rows,
            /// which a server may have written whose clock is ahead. The caller holds the lock under which rows are added.
            #[must_use]
            pub fn following(now: Timestamp, last: impl IntoIterator<Item = (Self, Timestamp)>) -> (Self, Timestamp) {
                let beginning = last.into_iter().fold(now, |latest, (id, beginning)| {
                    id.surpass();
                    latest.max(beginning)
                });
                (Self::new(beginning), beginning)
            }

            /// The 26 characters behind the prefix, as the database keeps them.
            #[must_use]
            pub fn digits(&self) -> &str {
                text(&self.0)
            }

            fn shown(&self) -> ShortText {
                joined([concat!($prefix, "_"), self.digits()])
            }

            /// The id whose 26 characters these are.
            #[must_use]
            pub fn from_digits(digits: &str) -> Option<Self> {
                checked(digits).map(Self)
            }
        }

        impl From<$name> for Resource {
            fn from(id: $name) -> Self {
                Self { kind: $resource, id: id.to_string() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.shown())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                parse(text, $prefix).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.shown())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(concat!("Id of the kind `", $resource, "`: opaque, and in the order of making.")))
                    .pattern(Some(concat!("^", $prefix, "_[0-7][0-9A-HJKMNP-TV-Z]{25}$")))
                    .examples([concat!($prefix, "_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        $crate::db::text_column!($name, digits, from_digits);
    )+};
}

id_types! {
    /// An account: the tenant.
    AccountId = "acc", "account";
    /// A person's login.
    UserId = "usr", "user";
    /// A signed-in session.
    SessionId = "ses", "session";
    /// An API key of an account.
    ApiKeyId = "key", "apiKey";
    /// An operator's API key.
    OperatorKeyId = "opk", "operatorKey";
    /// A container.
    ContainerId = "ctr", "container";
    /// A row of a container's ownership history; never shown.
    OwnershipId = "own", "ownership";
    /// A link between a manager and a client; never shown.
    SubAccountLinkId = "sub", "subAccountLink";
    /// A payment.
    PaymentId = "pmt", "payment";
    /// A commission.
    CommissionId = "com", "commission";
    /// An adjustment, a row among the commissions.
    AdjustmentId = "adj", "commission";
    /// A payout.
    PayoutId = "pay", "payout";
    /// Payouts that were given to a bank together.
    PayoutBatchId = "bat", "payoutBatch";
    /// A ledger entry.
    EntryId = "ent", "ledgerEntry";
    /// The entries that were posted together; never shown.
    PostingId = "pst", "posting";
    /// A partner application.
    ApplicationId = "app", "partnerApplication";
    /// A row of a level or rate override history; never shown.
    TermId = "trm", "term";
    /// A request to the operator.
    OperatorRequestId = "orq", "operatorRequest";
    /// An audit row.
    AuditId = "aud", "auditEntry";
    /// A referral link.
    ReferralLinkId = "lnk", "referralLink";
    /// A click on a referral link.
    ClickId = "clk", "click";
    /// A request to a client, for access or for a link.
    AccessRequestId = "arq", "accessRequest";
    /// A letter that waits for delivery; never shown.
    MailId = "mai", "mail";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_written_and_in_no_other_spelling(value in any::<u128>(), text in "[0-8][0-9A-Za]{25}") {
            let digits = encode(value);
            prop_assert_eq!(decode(&digits), value);
            prop_assert_eq!(checked(super::text(&digits)), Some(digits));
            let is_own = ulid::Ulid::from_string(&text).is_ok_and(|ulid| ulid.to_string() == text);
            prop_assert_eq!(checked(&text).is_some(), is_own);
        }

        #[test]
        fn ids_sort_as_their_values(one in any::<u128>(), other in any::<u128>()) {
            prop_assert_eq!(encode(one).cmp(&encode(other)), one.cmp(&other));
        }
    }
}
