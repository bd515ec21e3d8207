//! Passwords: which are allowed, and their Argon2id hashes. Hashing takes tens of milliseconds and 19 MiB, so it happens on two
//! threads of its own, which use their memory again, and never in a transaction. A password is never logged or kept.

use std::sync::OnceLock;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zxcvbn::matching::patterns::MatchPattern;

use crate::aside::Aside;
use crate::crypto;
use crate::error::{Error, Result};

/// Passwords that an attacker would find among so many guesses are refused.
const MIN_GUESSES: u64 = 1_000_000;
/// The estimate takes time that grows faster than its input (30 ms for so much of the worst, 150 ms for twice as much), and
/// a password that starts with so much that is easily guessed is refused.
const ESTIMATED_CHARS: usize = 24;
/// Hashes that are computed at once: a bound on memory as much as on time.
const THREADS: u32 = 2;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Blocks for which a thread reserves addresses, of 1 KiB each. It touches those alone that a hash needs; but of what is larger
/// than 32 MiB glibc gives every byte back to the system at once, and of what is smaller it keeps much for later.
const RESERVED_BLOCKS: usize = 33 * 1_024;
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
    aside(move |memory| {
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        if let Some(fault) = fault(&password, &about) {
            return Err(Error::invalid("/password", "commonPassword", fault));
        }
        memory.hash(&password)
    })
    .await
}

/// Whether `password` has this hash; takes as long, and says no, where there is none.
///
/// # Errors
/// [`Error::Unavailable`] when too many wait; a hash that is none.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    aside(move |memory| {
        let parsed = PasswordHash::new(hash.as_deref().unwrap_or(NOBODY)).map_err(Error::internal)?;
        Ok(memory.fits(&password, &parsed)? && hash.is_some())
    })
    .await
}

/// A digest of `secret` that costs as much to guess as a password: for what must be recognised without being kept.
///
/// # Errors
/// [`Error::Unavailable`] when too many wait.
pub async fn stretch(secret: [u8; 32], salt: Vec<u8>) -> Result<[u8; 32]> {
    aside(move |memory| {
        let mut digest = [0; 32];
        memory.fill(&Argon2::default(), &secret, &crypto::sha256(&salt), &mut digest)?;
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

/// What a thread computes hashes in; empty until its first.
#[derive(Default)]
struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    fn hash(&mut self, password: &str) -> Result<String> {
        let (argon2, salt) = (Argon2::default(), crypto::random_bytes::<16>());
        let mut digest = [0; Params::DEFAULT_OUTPUT_LEN];
        self.fill(&argon2, password.as_bytes(), &salt, &mut digest)?;
        let hash = PasswordHash {
            algorithm: Algorithm::default().ident(),
            version: Some(Version::default().into()),
            params: ParamsString::try_from(argon2.params()).map_err(Error::internal)?,
            salt: Some(Salt::new(&salt).map_err(Error::internal)?),
            hash: Some(Output::new(&digest).map_err(Error::internal)?),
        };
        Ok(hash.to_string())
    }

    fn fits(&mut self, password: &str, hash: &PasswordHash) -> Result<bool> {
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Ok(false) };
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(Error::internal)?;
        let version = hash.version.map(Version::try_from).transpose().map_err(Error::internal)?.unwrap_or_default();
        let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).map_err(Error::internal)?);
        let mut digest = vec![0; expected.len()];
        self.fill(&argon2, password.as_bytes(), salt, &mut digest)?;
        // Outputs are compared in constant time.
        Ok(Output::new(&digest).map_err(Error::internal)? == *expected)
    }

    fn fill(&mut self, argon2: &Argon2<'_>, secret: &[u8], salt: &[u8], digest: &mut [u8]) -> Result<()> {
        let needed = argon2.params().block_count();
        if self.blocks.len() < needed {
            self.blocks.reserve_exact(needed.max(RESERVED_BLOCKS));
            self.blocks.resize(needed, Block::new());
        }
        argon2.hash_password_into_with_memory(secret, salt, digest, &mut self.blocks).map_err(Error::internal)
    }
}

/// The threads, from their first hash on.
static HASHING: OnceLock<Aside<Memory>> = OnceLock::new();

/// How many passwords wait to be hashed.
pub fn waiting() -> usize {
    HASHING.get().map_or(0, Aside::waiting)
}

async fn aside<T: Send + 'static>(work: impl FnOnce(&mut Memory) -> Result<T> + Send + 'static) -> Result<T> {
    let threads = if let Some(threads) = HASHING.get() {
        threads
    } else {
        // Of two that start them at once, one gives its own up.
        let started = Aside::start("passwords", THREADS, PATIENCE)?;
        HASHING.get_or_init(|| started)
    };
    threads.run(work).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_alone() {
        let password = "correct horse battery staple".to_owned();
        let hashed = hash_new(password.clone(), Vec::new()).await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(Memory::default().hash(&password).unwrap(), hashed);
        assert!(verify(password.clone(), Some(hashed.clone())).await.unwrap());
        assert!(!verify(format!("{password} "), Some(hashed)).await.unwrap());
        assert!(!verify(password, None).await.unwrap());
    }

    #[test]
    fn memory_that_was_used_before_changes_no_hash() {
        let mut memory = Memory::default();
        let hashes = ["one", "two"].map(|password| memory.hash(password).unwrap());
        let reserved = memory.blocks.as_ptr();
        for (password, hash) in ["one", "two"].iter().zip(&hashes) {
            let parsed = PasswordHash::new(hash).unwrap();
            assert!(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
            assert!(memory.fits(password, &parsed).unwrap() && !memory.fits("three", &parsed).unwrap());
        }
        // Hashes of other parameters are verified with theirs.
        let params = Params::new(64, 1, 2, Some(16)).unwrap();
        let other: PasswordHash = Argon2::from(params).hash_password_with_salt(b"one", b"sixteen bytes...").unwrap();
        assert!(memory.fits("one", &other).unwrap() && !memory.fits("two", &other).unwrap());
        assert_eq!(memory.blocks.as_ptr(), reserved);
    }

    #[tokio::test]
    async fn all_hashes_are_computed_in_the_memory_of_two_threads() {
        let works = (0..40).map(|_| {
            aside(|memory| {
                memory.fill(&Argon2::default(), b"password", b"sixteen bytes...", &mut [0; 32])?;
                Ok((std::thread::current().id(), memory.blocks.as_ptr().addr()))
            })
        });
        let used = futures_util::future::try_join_all(works).await.unwrap();
        let (threads, memories): (HashSet<_>, HashSet<_>) = used.into_iter().unzip();
        assert!(threads.len() <= 2 && memories.len() <= 2, "{threads:?} {memories:?}");
    }

    #[test]
    fn the_hash_of_nobody_takes_as_long_as_any_other() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let somebody = Memory::default().hash("password").unwrap();
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!((nobody.algorithm, nobody.version), (somebody.algorithm, somebody.version));
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
    }

    #[test]
    fn common_passwords_are_refused() {
        for common in ["password1234", "Password123!"] {
            assert_eq!(fault(common, &[]), Some(COMMON), "{common}");
        }
        for regular in ["x7x7x7x7x7x7", "aaaaaaaaaaaaaaaa", "abcabcabcabc", "zyxwvutsrqpon", &"é1".repeat(64)] {
            assert_eq!(fault(regular, &[]), Some(REGULAR), "{regular}");
        }
        for both in ["123456789012", "qwertyuiop12"] {
            assert!(fault(both, &[]).is_some(), "{both}");
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
