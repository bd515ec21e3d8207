//! The codes of referral links: how they are spelled, and the directory that makes each belong to one link for ever. Never
//! gives a code back, also after its link is disabled.

use diesel::prelude::*;

use crate::crypto;
use crate::db::schema::referral_codes;
use crate::db::{Conn, with_conn};
use crate::error::{Error, Result};
use crate::id::{AccountId, ReferralLinkId};

/// Characters of a code.
const MIN_LENGTH: usize = 4;
const MAX_LENGTH: usize = 32;

const RANDOM_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const RANDOM_LENGTH: usize = 10;
/// With 36^10 codes a second attempt is improbable, and a third one a fault.
const RANDOM_ATTEMPTS: usize = 3;

/// A code as it is stored, in lower case; none where the text cannot be one.
#[must_use]
pub fn normalize(text: &str) -> Option<String> {
    let is_well_formed = (MIN_LENGTH..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_well_formed.then(|| text.to_ascii_lowercase())
}

/// Gives a code to a link; false where it is another link's.
///
/// # Errors
/// The database's failure.
pub fn take(conn: &mut Conn, code: &str, account_id: AccountId, link_id: ReferralLinkId) -> Result<bool> {
    let entry =
        (referral_codes::code.eq(code), referral_codes::account_id.eq(account_id), referral_codes::link_id.eq(link_id));
    let insert = diesel::insert_into(referral_codes::table).values(entry).on_conflict_do_nothing();
    Ok(with_conn!(conn, c => insert.execute(c))? == 1)
}

/// Gives a link a code by chance.
///
/// # Errors
/// The database's failure.
pub fn take_random(conn: &mut Conn, account_id: AccountId, link_id: ReferralLinkId) -> Result<String> {
    for _ in 0..RANDOM_ATTEMPTS {
        let code = crypto::random_text::<RANDOM_LENGTH>(RANDOM_ALPHABET);
        if take(conn, &code, account_id, link_id)? {
            return Ok(code);
        }
    }
    Err(Error::internal("no free referral code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_4_to_32_letters_digits_and_hyphens_in_lower_case() {
        assert_eq!(normalize("Ann-2026").as_deref(), Some("ann-2026"));
        for right in ["abcd", "0000", "----", &"x".repeat(32)] {
            assert_eq!(normalize(right).as_deref(), Some(right));
        }
        for wrong in ["", "abc", "ab_c", "ab c", "äbcd", "ab/cd", "abcd\n", &"x".repeat(33)] {
            assert_eq!(normalize(wrong), None, "{wrong:?}");
        }
    }
}
