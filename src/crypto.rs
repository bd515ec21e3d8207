//! Random values, digests and comparisons in constant time; the only place that asks the operating system for randomness.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// `N` random bytes from the operating system.
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe could be done without it.
#[must_use]
#[expect(clippy::panic, reason = "a process without randomness must not go on making secrets")]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the operating system gave no randomness: {error}");
    }
    bytes
}

/// 32 random bits.
#[must_use]
pub fn random_u32() -> u32 {
    u32::from_le_bytes(random_bytes())
}

/// The SHA-256 digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// `N` random characters of `alphabet` (at most 256 ASCII characters), each as likely as any other.
#[must_use]
pub fn random_text<const N: usize>(alphabet: &[u8]) -> String {
    let count = alphabet.len().max(1);
    // Bytes above the greatest multiple of the alphabet's size would make its first characters likelier.
    let fair = 256 - 256 % count;
    let mut text = String::with_capacity(N);
    while text.len() < N {
        let bytes: [u8; 32] = random_bytes();
        let fitting = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        text.extend(
            fitting.filter_map(|byte| alphabet.get(byte % count)).map(|byte| char::from(*byte)).take(N - text.len()),
        );
    }
    text
}

/// The HMAC-SHA-256 of `message` under `key`.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).map(|mac| mac.chain_update(message).finalize().into_bytes().into()).unwrap_or_default()
}

/// Whether `tag` is [`hmac_sha256`] of `message` under `key`, compared in constant time.
#[must_use]
pub fn verify_hmac_sha256(key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    keyed(key).is_some_and(|mac| mac.chain_update(message).verify_slice(tag).is_ok())
}

/// HMAC takes a key of any length, so there always is one.
fn keyed(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(key).ok()
}
