//! Passwords: which are allowed, and their Argon2id hashes. Hashing takes tens of milliseconds and 19 MiB, so it happens on
//! threads of its own, two at a time, and never in a transaction. A password is never logged or kept.

use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use zxcvbn::matching::patterns::MatchPattern;

use crate::crypto;
use crate::error::{Error, Result};

/// Passwords that an attacker would find among so many guesses are refused.
const MIN_GUESSES: u64 = 1_000_000;
/// The estimate takes time that grows faster than its input (30 ms for so much of the worst, 150 ms for twice as much), and
/// a password that starts with so much that is easily guessed is refused.
const ESTIMATED_CHARS: usize = 24;
/// Hashes that are computed at once: a bound on memory as much as on time.
static SLOTS: Semaphore = Semaphore::const_new(2);
/// How long a request waits for its turn.
const SLOT_TIMEOUT: Duration = Duration::from_secs(10);
/// The hash of nothing that anybody knows, with the parameters of all others: for sign-ins without a user.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCBwZXJzb24$4ioNqP0MM5DhlJKyFCYjVPNEhpzJ7+i6smDdYKs0nFU";

/// What is wrong with a common password.
const COMMON: &str = "is among the passwords that are guessed first; use a longer or less usual one";
/// What is wrong with a regular one, however long it is.
const REGULAR: &str = "repeats the same characters, or follows the alphabet or the keyboard; use characters or words that do not follow from each other";

/// The Argon2id hash in PHC form, with a random salt, of a new password for somebody of whom `about` is known (e-mail
/// address, names, company).
///
/// # Errors
/// 422 `commonPassword` at `/password`; [`Error::Unavailable`] when too many wait.
pub async fn hash_new(password: String, about: Vec<String>) -> Result<String> {
    aside(move || {
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        if let Some(fault) = fault(&password, &about) {
            return Err(Error::invalid("/password", "commonPassword", fault));
        }
        hash(&password)
    })
    .await
}

/// Whether `password` has this hash; takes as long, and says no, where there is none.
///
/// # Errors
/// [`Error::Unavailable`] when too many wait; a hash that is none.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    aside(move || {
        let parsed = PasswordHash::new(hash.as_deref().unwrap_or(NOBODY)).map_err(Error::internal)?;
        let fits = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
        Ok(fits && hash.is_some())
    })
    .await
}

/// A digest of `secret` that costs as much to guess as a password: for what must be recognised without being kept.
///
/// # Errors
/// [`Error::Unavailable`] when too many wait.
pub async fn stretch(secret: [u8; 32], salt: Vec<u8>) -> Result<[u8; 32]> {
    aside(move || {
        let mut digest = [0; 32];
        Argon2::default().hash_password_into(&secret, &crypto::sha256(&salt), &mut digest).map_err(Error::internal)?;
        Ok(digest)
    })
    .await
}

/// What makes a password easy to guess, if it is.
fn fault(password: &str, about: &[&str]) -> Option<&'static str> {
    let start = |text: &str| text.chars().take(ESTIMATED_CHARS).collect::<String>();
    let known: Vec<String> =
        about.iter().flat_map(|text| [*text, text.split('@').next().unwrap_or(text)]).map(start).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let estimate = zxcvbn::zxcvbn(&start(password), &known);
    let has = |is: fn(&MatchPattern) -> bool| estimate.sequence().iter().any(|part| is(&part.pattern));
    let is_regular =
        has(|part| matches!(part, MatchPattern::Repeat(_) | MatchPattern::Sequence(_) | MatchPattern::Spatial(_)));
    let has_words = has(|part| matches!(part, MatchPattern::Dictionary(_)));
    let fault = if is_regular && !has_words { REGULAR } else { COMMON };
    (estimate.guesses() < MIN_GUESSES).then_some(fault)
}

fn hash(password: &str) -> Result<String> {
    let salt: [u8; 16] = crypto::random_bytes();
    let hash: PasswordHash =
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(Error::internal)?;
    Ok(hash.to_string())
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let slot = tokio::time::timeout(SLOT_TIMEOUT, SLOTS.acquire())
        .await
        .map_err(|_| Error::Unavailable("too many passwords wait to be hashed".to_owned()))?
        .map_err(Error::internal)?;
    let result = tokio::task::spawn_blocking(move || {
        // The slot goes with the work: a request that is given up does not free it before the work ends.
        let _slot = slot;
        work()
    });
    result.await.map_err(Error::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_alone() {
        let password = "correct horse battery staple".to_owned();
        let hashed = hash_new(password.clone(), Vec::new()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(hash(&password).unwrap(), hashed);
        assert!(verify(password.clone(), Some(hashed.clone())).await.unwrap());
        assert!(!verify(format!("{password} "), Some(hashed)).await.unwrap());
        assert!(!verify(password, None).await.unwrap());
    }

    #[test]
    fn the_hash_of_nobody_takes_as_long_as_any_other() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let somebody = Argon2::default().hash_password_with_salt(b"password", b"sixteen bytes...").unwrap();
        let somebody: PasswordHash = somebody;
        assert_eq!((nobody.algorithm, nobody.version), (somebody.algorithm, somebody.version));
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
    }

    #[test]
    fn common_passwords_are_refused() {
        for common in ["password1234", "123456789012", "qwertyuiop12", "Password123!"] {
            assert_eq!(fault(common, &[]), Some(COMMON), "{common}");
        }
        for regular in ["x7x7x7x7x7x7", "aaaaaaaaaaaaaaaa", "abcabcabcabc", "zyxwvutsrqpon", &"é1".repeat(64)] {
            assert_eq!(fault(regular, &[]), Some(REGULAR), "{regular}");
        }
        for fine in ["correct horse battery staple", "tr0mbone-Lagoon-77", "Vaf4!kd92-xx1"] {
            assert_eq!(fault(fine, &[]), None, "{fine}");
        }
        for known in ["wilhelmina.dorfman", "wilhelmina.dorfman@example.com", "wilhelmina.dorfman1"] {
            assert_eq!(fault(known, &[]), None, "{known}");
            assert_eq!(fault(known, &["wilhelmina.dorfman@example.com"]), Some(COMMON), "{known}");
        }
    }

    #[test]
    fn the_estimate_is_quick_whatever_it_is_given() {
        let started = std::time::Instant::now();
        for letters in ["a", "4@8({[<36%9#!1|0$5+7", "password", "qwertz123"] {
            fault(&letters.repeat(128), &[]);
        }
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}
