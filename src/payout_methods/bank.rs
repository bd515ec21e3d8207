//! The identifiers that banks use, and how to tell a mistyped one: IBAN, BIC, ABA routing numbers, account numbers,
//! countries. Pure. What is wrong is said without repeating the value.

use iban::{Iban, IbanLike, ParseBaseIbanError, ParseIbanError};
use serde::{Deserialize, Deserializer, Serialize};
use validator::ValidationError;

use crate::accounts;

/// Countries of the Single Euro Payments Area, by the first two letters of an IBAN.
const SEPA_COUNTRIES: [&str; 43] = [
    "AD", "AL", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GI", "GR", "HR", "HU",
    "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MC", "MD", "ME", "MK", "MT", "NL", "NO", "PL", "PT", "RO", "RS", "SE",
    "SI", "SK", "SM", "VA", "XK",
];

/// What each digit of a routing number counts, over and over.
const ROUTING_WEIGHTS: [u32; 3] = [3, 7, 1];

/// For `deserialize_with` on identifiers that people write in groups: without white space, in capital letters.
///
/// # Errors
/// A value that is no text.
pub(super) fn compact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.chars().filter(|letter| !letter.is_whitespace()).map(|letter| letter.to_ascii_uppercase()).collect())
}

/// For `deserialize_with` on account and routing numbers: as [`compact`], and without hyphens.
///
/// # Errors
/// A value that is no text.
pub(super) fn compact_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    compact(deserializer).map(|text| text.replace('-', ""))
}

/// The name of a person, a company or a bank. Banks' files take it as it is, and spreadsheets open them. Never `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlainName(pub String);

impl PlainName {
    /// What [`PlainName::validate`] lets through, as the document says it; white space around it does no harm.
    const PATTERN: &str = r"^[^\S\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*[^\s\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069=+@-][^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$";

    /// For `#[validate(custom)]`.
    ///
    /// # Errors
    /// The broken rule: those of every name, or `formula`.
    pub(super) fn validate(&self) -> Result<(), ValidationError> {
        accounts::validate_name(&self.0)?;
        refuse_formula(&self.0)
    }
}

impl<'de> Deserialize<'de> for PlainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::http::trimmed(deserializer).map(Self)
    }
}

impl utoipa::PartialSchema for PlainName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .min_length(Some(1))
            .max_length(Some(100))
            .pattern(Some(Self::PATTERN))
            .description(Some("A name in one line that no spreadsheet takes for a formula."))
            .examples(["Archer Analytics GmbH"])
            .into()
    }
}

impl utoipa::ToSchema for PlainName {}

/// An e-mail address that money is sent to: as it is in a bank's file, too.
///
/// # Errors
/// The broken rule: `email` or `formula`.
pub(super) fn validate_email(email: &str) -> Result<(), ValidationError> {
    accounts::validate_email(email)?;
    refuse_formula(email)
}

fn refuse_formula(text: &str) -> Result<(), ValidationError> {
    if text.starts_with(['=', '+', '-', '@']) {
        return Err(ValidationError::new("formula").with_message("must not start with =, +, - or @".into()));
    }
    Ok(())
}

/// An IBAN of a country of the Single Euro Payments Area.
///
/// # Errors
/// The broken rule: `iban`, `ibanChecksum` or `sepaCountry`.
pub(super) fn validate_sepa_iban(iban: &str) -> Result<(), ValidationError> {
    validate_iban(iban)?;
    if iban.get(..2).is_some_and(|country| SEPA_COUNTRIES.contains(&country)) {
        return Ok(());
    }
    Err(broken("sepaCountry", "is of a country outside the Single Euro Payments Area; use swift or wise"))
}

/// ISO 13616: a known country, its length and structure, and the check digits (mod 97).
fn validate_iban(iban: &str) -> Result<(), ValidationError> {
    match iban.parse::<Iban>() {
        // The parser also takes the form in groups of four, which `compact` has joined.
        Ok(parsed) if parsed.electronic_str() == iban => Ok(()),
        Err(ParseIbanError::InvalidBaseIban { source: ParseBaseIbanError::InvalidChecksum }) => {
            Err(broken("ibanChecksum", "has check digits that do not fit: it is mistyped"))
        }
        Err(ParseIbanError::UnknownCountry(_)) => Err(broken("iban", "is of a country that has no IBANs")),
        Err(ParseIbanError::InvalidBban(_)) => Err(broken("iban", "has not the form of its country's IBANs")),
        _ => Err(broken("iban", "is no IBAN, such as DE89 3704 0044 0532 0130 00")),
    }
}

/// ISO 9362: four letters, a country, two characters for the place, and perhaps three for the branch.
///
/// # Errors
/// The broken rule `bic`.
pub(super) fn validate_bic(bic: &str) -> Result<(), ValidationError> {
    let has_form = matches!(bic.len(), 8 | 11)
        && bic.bytes().take(6).all(|byte| byte.is_ascii_uppercase())
        && bic.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if has_form && bic.get(4..6).is_some_and(is_country) {
        return Ok(());
    }
    Err(broken("bic", "is no BIC of 8 or 11 characters, such as DEUTDEFF"))
}

/// ABA: nine digits of a district that there is, whose weighted sum ends in 0.
///
/// # Errors
/// The broken rule: `routingNumber` or `routingNumberChecksum`.
pub(super) fn validate_routing_number(number: &str) -> Result<(), ValidationError> {
    let district: Option<u8> = number.get(..2).and_then(|digits| digits.parse().ok());
    let has_form = number.len() == 9
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(district, Some(1..=12 | 21..=32 | 61..=72 | 80));
    if !has_form {
        return Err(broken("routingNumber", "is no ABA routing number of nine digits, such as 021000021"));
    }
    let digits = number.chars().filter_map(|digit| digit.to_digit(10));
    let sum: u32 = digits.zip(ROUTING_WEIGHTS.iter().cycle()).map(|(digit, weight)| digit * weight).sum();
    if !sum.is_multiple_of(10) {
        return Err(broken("routingNumberChecksum", "has a check digit that does not fit: it is mistyped"));
    }
    Ok(())
}

/// The number of an account in the United States.
///
/// # Errors
/// The broken rule `accountNumber`.
pub(super) fn validate_ach_account(number: &str) -> Result<(), ValidationError> {
    if (4..=17).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(broken("accountNumber", "must have 4 to 17 digits"))
}

/// The number of an account anywhere: an IBAN, or what its country uses instead.
///
/// # Errors
/// The broken rule: `accountNumber`, or `ibanChecksum` of what looks like an IBAN of a country that has them.
pub(super) fn validate_account_number(number: &str) -> Result<(), ValidationError> {
    if !(4..=34).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(broken("accountNumber", "must have 4 to 34 letters and digits"));
    }
    match validate_iban(number) {
        Err(error) if error.code == "ibanChecksum" => Err(error),
        _ => Ok(()),
    }
}

/// ISO 3166-1 alpha-2, and XK for Kosovo, which payment systems use.
///
/// # Errors
/// The broken rule `country`.
pub(super) fn validate_country(country: &str) -> Result<(), ValidationError> {
    if is_country(country) {
        return Ok(());
    }
    Err(broken("country", "is no ISO 3166 country code of two letters, such as DE"))
}

fn is_country(code: &str) -> bool {
    code == "XK" || (code.len() == 2 && rust_iso3166::from_alpha2(code).is_some())
}

fn broken(code: &'static str, message: &'static str) -> ValidationError {
    ValidationError::new(code).with_message(message.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(result: Result<(), ValidationError>) -> String {
        result.map_or_else(|error| error.code.into_owned(), |()| "fine".to_owned())
    }

    #[test]
    fn ibans_are_checked_by_country_length_and_check_digits() {
        for iban in ["DE89370400440532013000", "GB29NWBK60161331926819", "NL91ABNA0417164300", "XK051212012345678906"] {
            assert_eq!(code(validate_sepa_iban(iban)), "fine", "{iban}");
        }
        assert_eq!(code(validate_sepa_iban("DE88370400440532013000")), "ibanChecksum");
        for iban in ["", "DE", "DE8937040044053201300", "ZZ89370400440532013000", "DE89 3704 0044 0532 0130 00", "ÄÖ12"]
        {
            assert_ne!(code(validate_sepa_iban(iban)), "fine", "{iban}");
        }
        assert_eq!(code(validate_sepa_iban("SA0380000000608010167519")), "sepaCountry");
    }

    #[test]
    fn bics_have_eight_or_eleven_characters_and_a_country() {
        for bic in ["DEUTDEFF", "DEUTDEFF500", "NEDSZAJJXXX"] {
            assert_eq!(code(validate_bic(bic)), "fine", "{bic}");
        }
        for bic in ["", "DEUTDEF", "DEUTDEFF5", "DEUTDEFF5000", "DEUTQQFF", "DEU1DEFF", "deutdeff", "DEUTDÉFF"] {
            assert_eq!(code(validate_bic(bic)), "bic", "{bic}");
        }
    }

    #[test]
    fn routing_numbers_have_a_district_and_a_check_digit() {
        for number in ["021000021", "011401533", "091000019"] {
            assert_eq!(code(validate_routing_number(number)), "fine", "{number}");
        }
        assert_eq!(code(validate_routing_number("021000022")), "routingNumberChecksum");
        for number in ["", "000000000", "02100002", "0210000210", "02100002A", "500000005"] {
            assert_eq!(code(validate_routing_number(number)), "routingNumber", "{number}");
        }
    }

    #[test]
    fn account_numbers_have_a_shape() {
        assert_eq!(code(validate_account_number("12345678")), "fine");
        assert_eq!(code(validate_account_number("DE89370400440532013000")), "fine");
        assert_eq!(code(validate_account_number("DE88370400440532013000")), "ibanChecksum");
        for number in ["", "123", "1234/5678", &"1".repeat(35)] {
            assert_eq!(code(validate_account_number(number)), "accountNumber", "{number}");
        }
        assert_eq!(code(validate_ach_account("000123456789")), "fine");
        for number in ["", "123", "12345678A", &"1".repeat(18)] {
            assert_eq!(code(validate_ach_account(number)), "accountNumber", "{number}");
        }
    }

    #[test]
    fn countries_are_those_of_iso_3166() {
        for country in ["DE", "US", "XK"] {
            assert_eq!(code(validate_country(country)), "fine", "{country}");
        }
        for country in ["", "D", "QQ", "de", "DEU", "ÄÖ"] {
            assert_eq!(code(validate_country(country)), "country", "{country}");
        }
    }

    /// The check digits of a German IBAN, by the definition: 98 − (BBAN, country as numbers, 00) mod 97.
    fn german(bban: &str) -> String {
        let rest =
            format!("{bban}131400").chars().fold(0, |rest, digit| (rest * 10 + digit.to_digit(10).unwrap()) % 97);
        format!("DE{:02}{bban}", 98 - rest)
    }

    proptest! {
        #[test]
        fn one_wrong_digit_of_an_iban_is_always_found(bban in "[0-9]{18}", place in 2_usize..22, by in 1_u32..10) {
            let right = german(&bban);
            prop_assert_eq!(code(validate_sepa_iban(&right)), "fine");
            let old = right.as_bytes()[place] - b'0';
            let digit = char::from_digit((u32::from(old) + by) % 10, 10).unwrap();
            let wrong = format!("{}{digit}{}", &right[..place], &right[place + 1..]);
            prop_assert_ne!(code(validate_sepa_iban(&wrong)), "fine");
        }

        #[test]
        fn one_wrong_digit_of_a_routing_number_is_always_found(place in 2_usize..9, by in 1_u32..10) {
            let right = "021000021";
            let old = u32::from(right.as_bytes()[place] - b'0');
            let digit = char::from_digit((old + by) % 10, 10).unwrap();
            let wrong = format!("{}{digit}{}", &right[..place], &right[place + 1..]);
            prop_assert_eq!(code(validate_routing_number(&wrong)), "routingNumberChecksum");
        }

        #[test]
        fn no_text_makes_the_checks_fail_otherwise(text in ".{0,40}") {
            for check in [validate_sepa_iban, validate_bic, validate_routing_number, validate_ach_account,
                validate_account_number, validate_country] {
                let _ = check(&text);
            }
        }
    }
}
