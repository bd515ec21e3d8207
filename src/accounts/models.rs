//! Rows of accounts and users, and how the API shows them. No rules.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{AccountKind, Role};
use crate::clock::Timestamp;
use crate::db::schema::{accounts, users};
use crate::db::search_text;
use crate::http::{Patch, trimmed, trimmed_present};
use crate::id::{AccountId, UserId};

/// An account as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = accounts)]
pub struct AccountRow {
    /// Its id.
    pub id: AccountId,
    /// What it is.
    pub kind: AccountKind,
    /// E-mail address of its first owner.
    pub email: String,
    /// First name of its first owner.
    pub first_name: String,
    /// Last name of its first owner.
    pub last_name: String,
    /// Company.
    pub company_name: Option<String>,
    /// When the operator blocked it.
    pub blocked_at: Option<Timestamp>,
    /// Its present manager.
    pub manager_id: Option<AccountId>,
    /// A partner's level.
    pub level: Option<i32>,
    /// Whether the operator pinned the level.
    pub level_pinned: bool,
    /// Number of its last event.
    pub event_sequence: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// What searches look into.
    pub search_text: String,
}

/// A user as stored. Never `Debug`, so that no log line holds its hash.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = users)]
pub struct UserRow {
    /// Its id.
    pub id: UserId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// E-mail address as it was typed.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// What it may do.
    pub role: Role,
    /// Argon2id; none until the user sets a password.
    pub password_hash: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account: the tenant that everything belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it is.
    pub kind: AccountKind,
    /// E-mail address of its first owner.
    #[schema(format = "email", example = "ann@agency.example")]
    pub email: String,
    /// First name of its first owner.
    #[schema(example = "Ann")]
    pub first_name: String,
    /// Last name of its first owner.
    #[schema(example = "Archer")]
    pub last_name: String,
    /// Company, if it has one.
    #[schema(required = true, example = "Archer Analytics")]
    pub company_name: Option<String>,
    /// Whether the operator blocked it: then nobody can sign in, and its keys are refused.
    #[schema(example = false)]
    pub blocked: bool,
    /// Level in the partner program; null unless it is a partner.
    #[schema(required = true, example = 1)]
    pub level: Option<i32>,
    /// The agency or partner that manages it; null unless it is a client with a manager.
    #[schema(required = true)]
    pub manager_id: Option<AccountId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            company_name: row.company_name,
            blocked: row.blocked_at.is_some(),
            level: row.level,
            manager_id: row.manager_id,
            created_at: row.created_at,
        }
    }
}

crate::text_enum! {
    /// What an account can sign up as; partners start as agencies.
    pub enum SignUpKind {
        /// A client: owns containers and pays for them.
        Standard = "standard",
        /// Manages sub-accounts, and may join the partner program.
        Agency = "agency",
    }
}

impl From<SignUpKind> for AccountKind {
    fn from(kind: SignUpKind) -> Self {
        match kind {
            SignUpKind::Standard => Self::Standard,
            SignUpKind::Agency => Self::Agency,
        }
    }
}

/// A new account with its owner's login.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignUp {
    /// What the account will be.
    pub kind: SignUpKind,
    /// The owner's e-mail address; it signs in with it. Unique over all users, whatever the case of its letters.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_email"))]
    #[schema(format = "email", max_length = 254, example = "ann@agency.example")]
    pub email: String,
    /// Not one that is easily guessed.
    #[validate(length(min = 12, max = 128))]
    #[schema(format = "password", min_length = 12, max_length = 128, example = "tr0mbone-Lagoon-77")]
    pub password: String,
    /// The owner's first name.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Ann")]
    pub first_name: String,
    /// The owner's last name.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Archer")]
    pub last_name: String,
    /// Company.
    #[serde(default, deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Archer Analytics")]
    pub company_name: Option<String>,
    /// The code of the referral link that led here, in any case: the `pt` parameter of the link's target. A code that is
    /// unknown, disabled or cannot count never fails a sign-up.
    #[schema(example = "k3v9x0m2ab")]
    pub referral_code: Option<String>,
    /// The click that led here: the `click` parameter of the link's target. It counts once, for a sign-up with the code of
    /// its link, within the program's `attributionWindowDays`; any other is ignored.
    #[schema(example = "clk_01KB0H6Q4N7ZJ8R5T3V9WXY2AC")]
    pub click_id: Option<String>,
}

/// A change to the account: JSON Merge Patch.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateAccount {
    /// First name of the first owner.
    #[serde(default, deserialize_with = "trimmed_present")]
    #[validate(custom(function = "validate_name"))]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Ann")]
    pub first_name: Option<String>,
    /// Last name of the first owner.
    #[serde(default, deserialize_with = "trimmed_present")]
    #[validate(custom(function = "validate_name"))]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Archer")]
    pub last_name: Option<String>,
    /// Company; null clears it.
    #[serde(default, deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name_patch"))]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "Archer Analytics")]
    pub company_name: Patch<String>,
}

/// A change of one's own password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePassword {
    /// The password as it is.
    #[validate(length(max = 128))]
    #[schema(format = "password", max_length = 128, example = "tr0mbone-Lagoon-77")]
    pub current_password: String,
    /// The new one. Not one that is easily guessed.
    #[validate(length(min = 12, max = 128))]
    #[schema(format = "password", min_length = 12, max_length = 128, example = "Oboe.marsh-4811")]
    pub password: String,
}

/// For `#[validate(custom)]` on trimmed names of people, companies and things that go into e-mails: 1 to 100 characters
/// in one line, which shows them in their order, and of which there is something to see.
///
/// # Errors
/// The broken rule `length`, `controlCharacter` or `invisible`.
pub fn validate_name(name: &str) -> Result<(), ValidationError> {
    if !(1..=100).contains(&name.chars().count()) {
        return Err(ValidationError::new("length").with_message("must have 1 to 100 characters after trimming".into()));
    }
    if name.chars().any(is_control) {
        let message = "must be one line of text without control characters";
        return Err(ValidationError::new("controlCharacter").with_message(message.into()));
    }
    if name.chars().all(is_invisible) {
        return Err(ValidationError::new("invisible").with_message("must have a character that can be seen".into()));
    }
    Ok(())
}

/// White space, what Unicode has programs show nothing for (`Default_Ignorable_Code_Point`, which grows no more), the marks of
/// annotations and the empty pattern of Braille. Within a name some of them are needed: joiners, for one.
fn is_invisible(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(letter, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        || matches!(letter, '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(letter, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Controls of ASCII and Latin 1 (U+0085 among them, which ends a line), Unicode's line and paragraph separators, and what
/// turns the direction of writing: with that a name could show as another one in a letter or a bank's file.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn validate_name_patch(patch: &Patch<String>) -> Result<(), ValidationError> {
    patch.value().map_or(Ok(()), |name| validate_name(name))
}

/// For `#[validate(custom)]` on e-mail addresses: at most 254 characters, ASCII (an international domain in its ASCII
/// form), so that two spellings are never one mailbox, one that letters can be sent to, and not at the number of a machine,
/// which may be one of ours.
///
/// # Errors
/// The broken rule `email`.
pub fn validate_email(email: &str) -> Result<(), ValidationError> {
    let domain = email.rsplit('@').next().unwrap_or_default();
    let is_at_a_name =
        !domain.starts_with('[') && url::Host::parse(domain).is_ok_and(|host| matches!(host, url::Host::Domain(_)));
    let can_be_sent_to = validator::ValidateEmail::validate_email(&email) && email.parse::<lettre::Address>().is_ok();
    if email.len() <= 254 && email.is_ascii() && is_at_a_name && can_be_sent_to {
        return Ok(());
    }
    Err(ValidationError::new("email").with_message("is not an e-mail address of at most 254 characters".into()))
}

impl AccountRow {
    /// The name of its first owner, as lists and commissions show it.
    #[must_use]
    pub fn display_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// The same with what searches are to find it by now.
    #[must_use]
    pub fn searchable(mut self) -> Self {
        let company = self.company_name.as_deref().unwrap_or_default();
        self.search_text = search_text(&[&self.email, &self.display_name(), company]);
        self
    }

    /// How letters to others name it: company, or else its first owner, with the e-mail address.
    #[must_use]
    pub fn signature(&self) -> String {
        let name = self.company_name.clone().unwrap_or_else(|| self.display_name());
        format!("{name} ({})", self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line_of_1_to_100_characters() {
        assert!(validate_name("Ann").is_ok() && validate_name(&"ä".repeat(100)).is_ok());
        for wrong in ["", "a\nb", "\u{7f}", "a\u{85}b", "a\u{2028}b", "a\u{2029}b", &"a".repeat(101)] {
            assert!(validate_name(wrong).is_err(), "{wrong:?}");
        }
        for mark in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2069}".chars() {
            assert!(validate_name(&format!("Ann{mark}hcirE")).is_err(), "{mark:?}");
        }
        // Letters that are written from right to left, and joiners within them, are as good as any.
        assert!(validate_name("שרה לוי").is_ok() && validate_name("علی\u{200c}رضا").is_ok());
    }

    #[test]
    fn a_name_can_be_seen() {
        let invisible = "\u{ad}\u{115f}\u{1160}\u{180e}\u{200b}\u{200d}\u{2060}\u{2800}\u{3000}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{e0041}";
        for letter in invisible.chars() {
            assert!(validate_name(&letter.to_string()).is_err(), "{letter:?}");
            assert!(validate_name(&format!("A{letter}")).is_ok(), "{letter:?}");
        }
        assert!(validate_name(invisible).is_err());
        assert!(validate_name("☕\u{fe0f}").is_ok() && validate_name("-").is_ok() && validate_name("한").is_ok());
    }

    #[test]
    fn e_mail_addresses_are_plain_ones() {
        assert!(validate_email("Ann+tag@Agency.example").is_ok());
        let too_long = format!("ann@{}.example", "a".repeat(250));
        for wrong in [
            "",
            "ann",
            "ann@",
            "@agency.example",
            "ann @agency.example",
            "änn@agency.example",
            "ann@ägency.example",
            "ann@[127.0.0.1]",
            &too_long,
        ] {
            assert!(validate_email(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_email_address_can_be_sent_to_and_is_at_a_name() {
        for email in ["sam@example.com", "sam.o'hara+shop@mail.example.co.uk", "sam@xn--bcher-kva.example"] {
            assert!(validate_email(email).is_ok(), "{email}");
        }
        for email in [
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "a@127.0.0.1",
            "a@2130706433",
            "a@0x7f000001",
            "a@[::1]",
        ] {
            assert!(validate_email(email).is_err(), "{email}");
        }
    }
}
