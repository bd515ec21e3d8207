//! What each type of method needs to pay, and how much of it may be shown. Never `Debug`, so that no log line holds it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::Validate;

use super::bank::{self, PlainName};
use crate::error::Problem;
use crate::http::json;

/// What stands for the characters that are not shown.
const HIDDEN: &str = "••••";

crate::text_enum! {
    /// By which way a manager is paid.
    pub enum MethodType {
        /// An international bank transfer.
        Swift = "swift",
        /// A transfer within the United States: USD alone.
        Ach = "ach",
        /// A transfer within the Single Euro Payments Area: EUR alone.
        Sepa = "sepa",
        /// A PayPal account, in the currencies that PayPal knows.
        Paypal = "paypal",
        /// A Wise account.
        Wise = "wise",
    }
}

crate::text_enum! {
    /// Kinds of bank accounts in the United States.
    pub enum AccountType {
        /// A checking account.
        Checking = "checking",
        /// A savings account.
        Savings = "savings",
    }
}

/// An international bank transfer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwiftDetails {
    /// Whom the account belongs to.
    #[validate(custom(function = "PlainName::validate"))]
    pub holder: PlainName,
    /// The bank's BIC (ISO 9362), of 8 or 11 characters.
    #[serde(deserialize_with = "bank::compact")]
    #[validate(custom(function = "bank::validate_bic"))]
    #[schema(min_length = 8, example = "DEUTDEFF")]
    pub bic: String,
    /// An IBAN, or where there are none the account's number: 4 to 34 letters and digits.
    #[serde(deserialize_with = "bank::compact_number")]
    #[validate(custom(function = "bank::validate_account_number"))]
    #[schema(min_length = 4, example = "DE89 3704 0044 0532 0130 00")]
    pub account_number: String,
    /// The bank's name.
    #[validate(custom(function = "PlainName::validate"))]
    pub bank_name: PlainName,
    /// The bank's country: ISO 3166-1 alpha-2.
    #[serde(deserialize_with = "bank::compact")]
    #[validate(custom(function = "bank::validate_country"))]
    #[schema(min_length = 2, example = "DE")]
    pub country: String,
}

/// A transfer within the United States.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AchDetails {
    /// Whom the account belongs to.
    #[validate(custom(function = "PlainName::validate"))]
    pub holder: PlainName,
    /// The bank's ABA routing number: nine digits, the last of which checks the others.
    #[serde(deserialize_with = "bank::compact_number")]
    #[validate(custom(function = "bank::validate_routing_number"))]
    #[schema(min_length = 9, example = "021000021")]
    pub routing_number: String,
    /// The account's number: 4 to 17 digits.
    #[serde(deserialize_with = "bank::compact_number")]
    #[validate(custom(function = "bank::validate_ach_account"))]
    #[schema(min_length = 4, example = "000123456789")]
    pub account_number: String,
    /// What kind of account it is.
    pub account_type: AccountType,
}

/// A transfer within the Single Euro Payments Area.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SepaDetails {
    /// Whom the account belongs to.
    #[validate(custom(function = "PlainName::validate"))]
    pub holder: PlainName,
    /// The account's IBAN, of a country of the area; spaces and small letters do no harm.
    #[serde(deserialize_with = "bank::compact")]
    #[validate(custom(function = "bank::validate_sepa_iban"))]
    #[schema(min_length = 15, example = "DE89 3704 0044 0532 0130 00")]
    pub iban: String,
}

/// A PayPal account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaypalDetails {
    /// The account's e-mail address.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "bank::validate_email"))]
    #[schema(format = "email", max_length = 254, pattern = r"^\s*[^\s=+@-]", example = "payouts@agency.example")]
    pub email: String,
}

/// A Wise account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WiseDetails {
    /// The account's e-mail address.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "bank::validate_email"))]
    #[schema(format = "email", max_length = 254, pattern = r"^\s*[^\s=+@-]", example = "payouts@agency.example")]
    pub email: String,
    /// Whom the account belongs to.
    #[validate(custom(function = "PlainName::validate"))]
    pub holder: PlainName,
}

/// What a method needs to pay; its JSON, encrypted, is what the database keeps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum MethodDetails {
    /// Of an international bank transfer.
    Swift(SwiftDetails),
    /// Of a transfer within the United States.
    Ach(AchDetails),
    /// Of a transfer within the Single Euro Payments Area.
    Sepa(SepaDetails),
    /// Of a PayPal account.
    Paypal(PaypalDetails),
    /// Of a Wise account.
    Wise(WiseDetails),
}

impl MethodDetails {
    /// The details of a method of this type, from the `details` of a body.
    ///
    /// # Errors
    /// 422 with the fault of the shape, or every broken rule.
    pub(super) fn parse(method_type: MethodType, details: Value) -> Result<Self, Problem> {
        fn read<T: DeserializeOwned + Validate>(details: Value) -> Result<T, Problem> {
            json::from_value(details).map_err(|problem| problem.within("/details"))
        }
        match method_type {
            MethodType::Swift => read(details).map(Self::Swift),
            MethodType::Ach => read(details).map(Self::Ach),
            MethodType::Sepa => read(details).map(Self::Sepa),
            MethodType::Paypal => read(details).map(Self::Paypal),
            MethodType::Wise => read(details).map(Self::Wise),
        }
    }

    /// The type that they are of.
    #[must_use]
    pub const fn method_type(&self) -> MethodType {
        match self {
            Self::Swift(_) => MethodType::Swift,
            Self::Ach(_) => MethodType::Ach,
            Self::Sepa(_) => MethodType::Sepa,
            Self::Paypal(_) => MethodType::Paypal,
            Self::Wise(_) => MethodType::Wise,
        }
    }

    /// What may be shown: enough to recognise the account, too little to use it.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Swift(SwiftDetails { account_number, .. }) | Self::Ach(AchDetails { account_number, .. }) => {
                format!("{HIDDEN} {}", end_of(account_number))
            }
            Self::Sepa(SepaDetails { iban, .. }) => {
                format!("{}•• {HIDDEN} {}", iban.get(..2).unwrap_or_default(), end_of(iban))
            }
            Self::Paypal(PaypalDetails { email }) | Self::Wise(WiseDetails { email, .. }) => masked_email(email),
        }
    }
}

/// The last four characters, or half of what is shorter than eight.
fn end_of(number: &str) -> &str {
    let shown = 4.min(number.len() / 2);
    number.get(number.len() - shown..).unwrap_or_default()
}

/// `jane@example.com` as `j•••@example.com`; of a single letter nothing stays.
fn masked_email(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let first = if local.len() > 1 { local.get(..1).unwrap_or_default() } else { "" };
    format!("{first}•••@{domain}")
}

impl fmt::Debug for MethodDetails {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MethodDetails({}, …)", self.method_type())
    }
}

/// In the document: one of the five, without the tag, which stands beside them.
impl PartialSchema for MethodDetails {
    fn schema() -> RefOr<Schema> {
        let named = |name| Ref::from_schema_name(name);
        OneOfBuilder::new()
            .item(named(SwiftDetails::name()))
            .item(named(AchDetails::name()))
            .item(named(SepaDetails::name()))
            .item(named(PaypalDetails::name()))
            .item(named(WiseDetails::name()))
            .description(Some("What the method's type needs."))
            .into()
    }
}

impl ToSchema for MethodDetails {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((T::name().into_owned(), T::schema()));
            T::schemas(schemas);
        }
        add::<PlainName>(schemas);
        add::<SwiftDetails>(schemas);
        add::<AchDetails>(schemas);
        add::<SepaDetails>(schemas);
        add::<PaypalDetails>(schemas);
        add::<WiseDetails>(schemas);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn label(method_type: MethodType, details: Value) -> String {
        MethodDetails::parse(method_type, details).unwrap().label()
    }

    #[test]
    fn labels_show_too_little_to_be_used() {
        let sepa = json!({"holder": "Ann", "iban": "de89 3704 0044 0532 0130 00"});
        assert_eq!(label(MethodType::Sepa, sepa), "DE•• •••• 3000");
        assert_eq!(label(MethodType::Paypal, json!({"email": "jane@example.com"})), "j•••@example.com");
        assert_eq!(label(MethodType::Wise, json!({"email": "j@example.com", "holder": "J"})), "•••@example.com");
        let ach = |number| json!({"holder": "A", "routingNumber": "0210-0002-1", "accountNumber": number, "accountType": "savings"});
        assert_eq!(label(MethodType::Ach, ach("000123456789")), "•••• 6789");
        assert_eq!(label(MethodType::Ach, ach("1234")), "•••• 34");
    }

    #[test]
    fn every_broken_rule_is_named_with_its_place() {
        let details = json!({"holder": " ", "bic": "X", "accountNumber": "1", "bankName": "B", "country": "QQ"});
        let problem = MethodDetails::parse(MethodType::Swift, details).unwrap_err();
        let places: Vec<_> = problem.violations.iter().map(|violation| violation.pointer.clone().unwrap()).collect();
        assert_eq!(places, ["/details/accountNumber", "/details/bic", "/details/country", "/details/holder"]);
    }

    #[test]
    fn details_are_kept_with_their_type_and_never_debugged() {
        let details = MethodDetails::parse(MethodType::Paypal, json!({"email": " jane@example.com "})).unwrap();
        let kept = serde_json::to_string(&details).unwrap();
        assert_eq!(kept, r#"{"type":"paypal","email":"jane@example.com"}"#);
        assert_eq!(serde_json::from_str::<MethodDetails>(&kept).unwrap(), details);
        assert_eq!(format!("{details:?}"), "MethodDetails(paypal, …)");
    }
}
