//! Encryption at rest: AES-256-GCM with the key of the configuration, and the key before it for what was sealed earlier.
//!
//! A sealed text is a version byte, the first 8 bytes of the key's SHA-256 (so that its key can be told without trying), a
//! random nonce and what AES-GCM made, tag included. It is bound to its place, such as an account and a currency: moved to
//! another one it does not open. Knows no tables. Never shows a key or what it sealed.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};

use crate::config::{EncryptionKey, Secrets};
use crate::crypto::{random_bytes, sha256};
use crate::error::{Error, Result};

/// The only form that there is so far.
const VERSION: u8 = 1;
/// Bytes of a key's digest that tell it from others.
const FINGERPRINT_BYTES: usize = 8;
/// Bytes of the nonce; random ones are safe for four billion texts under one key.
const NONCE_BYTES: usize = 12;
/// Bytes of what a sealed text begins with.
pub const MARK_BYTES: usize = 1 + FINGERPRINT_BYTES;

/// What a text that was sealed under a certain key begins with: the form's version and the key's fingerprint.
pub type Mark = [u8; MARK_BYTES];

/// Seals under the present key, opens under it and the one before. Clones share the keys.
#[derive(Clone)]
pub struct Vault {
    present: Arc<SealingKey>,
    previous: Option<Arc<SealingKey>>,
}

struct SealingKey {
    mark: Mark,
    cipher: Aes256Gcm,
}

impl SealingKey {
    fn new(key: &EncryptionKey) -> Self {
        let mut mark = [VERSION; MARK_BYTES];
        for (place, byte) in mark.iter_mut().skip(1).zip(sha256(key.reveal())) {
            *place = byte;
        }
        Self { mark, cipher: Aes256Gcm::new(key.reveal().into()) }
    }
}

impl Vault {
    /// A vault that seals under `present` and also opens what `previous` sealed.
    #[must_use]
    pub fn new(present: &EncryptionKey, previous: Option<&EncryptionKey>) -> Self {
        let key = |key| Arc::new(SealingKey::new(key));
        Self { present: key(present), previous: previous.map(key) }
    }

    /// The vault of a configuration.
    #[must_use]
    pub fn of(secrets: &Secrets) -> Self {
        Self::new(&secrets.encryption_key, secrets.encryption_key_previous.as_ref())
    }

    /// What texts begin with that are sealed now.
    #[must_use]
    pub fn present_mark(&self) -> Mark {
        self.present.mark
    }

    /// What texts begin with that can be opened, in rising order.
    #[must_use]
    pub fn known_marks(&self) -> Vec<Mark> {
        let mut marks: Vec<Mark> = self.keys().map(|key| key.mark).collect();
        marks.sort_unstable();
        marks
    }

    /// Seals `text` for `place`. The same text never looks the same twice.
    ///
    /// # Errors
    /// A text of many gigabytes.
    pub fn seal(&self, place: &str, text: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let sealed = self.present.cipher.encrypt(&Nonce::from(nonce), payload).map_err(Error::internal)?;
        Ok([self.present.mark.as_slice(), &nonce, &sealed].concat())
    }

    /// The text that was sealed for `place`.
    ///
    /// # Errors
    /// A text that was sealed under a key that is not known, or for another place, or that was changed since.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (mark, rest) = sealed.split_first_chunk::<MARK_BYTES>().ok_or_else(|| unopenable("is no sealed text"))?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| unopenable("is cut off"))?;
        let key = self.keys().find(|key| key.mark == *mark).ok_or_else(|| {
            unopenable(
                "was encrypted with a key that is neither STAPE_ENCRYPTION_KEY nor STAPE_ENCRYPTION_KEY_PREVIOUS",
            )
        })?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let opened = key.cipher.decrypt(&Nonce::from(*nonce), payload);
        opened.map_err(|_| unopenable("was changed, or belongs to another row"))
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.present).chain(&self.previous).map(AsRef::as_ref)
    }
}

fn unopenable(reason: &str) -> Error {
    Error::internal(format!("the encrypted text {reason}"))
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let vault = Vault::new(&EncryptionKey::random(), None);
        let sealed = vault.seal("here", b"DE89370400440532013000").unwrap();
        assert_eq!(vault.open("here", &sealed).unwrap(), b"DE89370400440532013000");
        assert!(vault.open("there", &sealed).is_err());
        assert_ne!(vault.seal("here", b"DE89370400440532013000").unwrap(), sealed);
    }

    #[test]
    fn every_byte_counts() {
        let vault = Vault::new(&EncryptionKey::random(), None);
        let sealed = vault.seal("here", b"text").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(vault.open("here", &changed).is_err(), "byte {index}");
            assert!(vault.open("here", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn the_key_before_opens_but_does_not_seal() {
        let (old, new) = (EncryptionKey::random(), EncryptionKey::random());
        let sealed = Vault::new(&old, None).seal("here", b"text").unwrap();
        assert!(Vault::new(&new, None).open("here", &sealed).is_err());
        let rotated = Vault::new(&new, Some(&old));
        assert_eq!(rotated.open("here", &sealed).unwrap(), b"text");
        let again = rotated.seal("here", b"text").unwrap();
        assert!(again.starts_with(&rotated.present_mark()) && !sealed.starts_with(&rotated.present_mark()));
        assert_eq!(Vault::new(&new, None).open("here", &again).unwrap(), b"text");
    }

    #[test]
    fn errors_and_debug_output_show_neither_key_nor_text() {
        let key = EncryptionKey::random();
        let vault = Vault::new(&key, None);
        assert_eq!(format!("{vault:?}"), "Vault(…)");
        let error = vault.open("there", &vault.seal("here", b"secret").unwrap()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
