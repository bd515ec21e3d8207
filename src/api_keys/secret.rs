//! The text of an API key: `stp_`, 32 random characters, 6 characters of their CRC32. Accounts' and operators' keys look
//! alike. The text is shown once and kept nowhere; the database holds its SHA-256. The checksum lets a mistyped or
//! invented key be refused without touching the database, and lets scanners recognise leaked ones.

use crate::crypto;

/// What every key starts with.
pub const PREFIX: &str = "stp_";
const RANDOM_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key that was just made.
pub struct Secret {
    text: String,
}

impl Secret {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let random = crypto::random_text::<RANDOM_LENGTH>(BASE62);
        Self { text: format!("{PREFIX}{random}{}", checksum(&random)) }
    }

    /// The whole text, to be shown once.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// What the database keeps.
    #[must_use]
    pub fn hash(&self) -> Vec<u8> {
        hash(&self.text).to_vec()
    }

    /// The last 4 characters, by which a person tells keys apart.
    #[must_use]
    pub fn hint(&self) -> String {
        self.text.get(self.text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The SHA-256 by which the database knows a key.
#[must_use]
pub fn hash(key: &str) -> [u8; 32] {
    crypto::sha256(key.as_bytes())
}

/// Whether `key` has the form of a key and its checksum fits.
#[must_use]
pub fn is_well_formed(key: &str) -> bool {
    let Some(rest) = key.strip_prefix(PREFIX) else { return false };
    if rest.len() != RANDOM_LENGTH + CHECKSUM_LENGTH || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    rest.split_at_checked(RANDOM_LENGTH).is_some_and(|(random, sum)| checksum(random) == sum)
}

/// CRC32 of `random` in base62, most significant digit first, padded with `0`.
fn checksum(random: &str) -> String {
    let mut rest = u64::from(crc32fast::hash(random.as_bytes()));
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(rest % 62).ok().and_then(|index| BASE62.get(index).copied()).unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_well_formed_and_unlike_the_next() {
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_ne!(one.hash(), other.hash());
        let (hint, text) = (one.hint(), one.into_text());
        assert_eq!(text.len(), 42);
        assert!(is_well_formed(&text), "{text}");
        assert!(text.ends_with(&hint));
        assert_eq!(hint.len(), 4);
    }

    #[test]
    fn the_checksum_is_the_padded_crc32_of_the_random_part() {
        assert_eq!(checksum("123456789"), "3jZRME"); // CRC-32 check value cbf43926
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn any_changed_character_is_noticed() {
        let text = Secret::generate().into_text();
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'x' { b'y' } else { b'x' };
            assert!(!is_well_formed(&String::from_utf8(bytes).unwrap()), "position {index} of {text}");
        }
    }

    #[test]
    fn texts_of_another_form_are_refused() {
        let text = Secret::generate().into_text();
        let last_missing = &text[..text.len() - 1];
        for wrong in
            ["", "stp_", last_missing, &format!("{text}0"), &text.replace("stp_", "stx_"), "stp_ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ"]
        {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
