//! Money, currencies and rates: exact, in minor units, rounded half to even (domain: every `round`).
//!
//! Nothing here uses binary floating point. Money of two currencies never mixes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::short_text::{ShortText, joined, push_number};

/// No single amount may exceed this many minor units, so that the sums of 900,000 of the greatest stay exact in 64 bits.
pub const MAX_AMOUNT_MINOR: i64 = 10_000_000_000_000;

/// An ISO 4217 currency that has minor units or none (JPY), but a defined number of them.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub struct Currency {
    letters: [u8; 3],
    digits: u8,
}

impl Currency {
    /// US dollar, the program currency of the first program version.
    pub const USD: Self = Self { letters: *b"USD", digits: 2 };

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters).unwrap_or("???")
    }

    /// Digits after the decimal point (ISO 4217): 2 for USD, 0 for JPY, 3 for KWD.
    #[must_use]
    pub const fn digits(self) -> u8 {
        self.digits
    }
}

/// Every currency with a number of digits, by its code.
static KNOWN: LazyLock<BTreeMap<[u8; 3], u8>> = LazyLock::new(|| {
    let letters = || b'A'..=b'Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    let digits = |code: [u8; 3]| iso_currency::Currency::from_code(std::str::from_utf8(&code).ok()?)?.exponent();
    codes.filter_map(|code| Some((code, u8::try_from(digits(code)?).ok()?))).collect()
});

/// Every known code, as a pattern: the document names them all.
static CODES: LazyLock<String> = LazyLock::new(|| {
    let codes: Vec<&str> = KNOWN.keys().filter_map(|code| std::str::from_utf8(code).ok()).collect();
    format!("^({})$", codes.join("|"))
});

impl FromStr for Currency {
    type Err = String;

    fn from_str(code: &str) -> Result<Self, String> {
        let known = <[u8; 3]>::try_from(code.as_bytes()).ok().and_then(|letters| KNOWN.get_key_value(&letters));
        let known = known.map(|(&letters, &digits)| Self { letters, digits });
        known.ok_or_else(|| "is not an ISO 4217 currency code".to_owned())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(CODES.as_str()))
            .description(Some("ISO 4217 code of a currency."))
            .examples(["USD"])
            .into()
    }
}

impl ToSchema for Currency {}

crate::db::text_column!(Currency);

/// An exact amount of one currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Amount in the currency's minor units (cents for USD); may be negative.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// The amount in major units, with exactly the currency's digits.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.minor), u32::from(self.currency.digits()))
    }

    /// [`Money::decimal`] as it is written everywhere.
    #[must_use]
    pub fn amount(self) -> ShortText {
        let digits = self.currency.digits();
        let unit = 10_u64.pow(u32::from(digits));
        let minor = self.minor.unsigned_abs();
        let mut text = joined([if self.minor < 0 { "-" } else { "" }]);
        push_number(&mut text, minor / unit, 0);
        if digits > 0 {
            text.push('.');
            push_number(&mut text, minor % unit, usize::from(digits));
        }
        text
    }

    /// Reads a decimal text in major units.
    ///
    /// # Errors
    /// A sentence about the text: not a decimal number, too many digits for the currency, or too large.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, String> {
        let digits = amount.strip_prefix('-').unwrap_or(amount);
        let (whole, fraction) =
            digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || fraction.is_some_and(|fraction| !is_number(fraction)) {
            return Err("must be a decimal number in a string, such as \"17.00\"".to_owned());
        }
        let fraction = fraction.unwrap_or("");
        if fraction.len() > usize::from(currency.digits()) {
            return Err(format!("has more than the {} digits of {currency}", currency.digits()));
        }
        let too_large = || format!("is more than {}", Self::new(MAX_AMOUNT_MINOR, currency).amount());
        let padded = format!("{whole}{fraction:0<width$}", width = usize::from(currency.digits()));
        let minor: i64 = padded.parse().map_err(|_| too_large())?;
        if minor > MAX_AMOUNT_MINOR {
            return Err(too_large());
        }
        Ok(Self::new(if amount.starts_with('-') { -minor } else { minor }, currency))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("Money", 2)?;
        body.serialize_field("amount", self.amount().as_str())?;
        body.serialize_field("currency", self.currency.as_str())?;
        body.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = MoneyBody::deserialize(deserializer)?;
        Self::parse(&body.amount, body.currency).map_err(|reason| D::Error::custom(format!("amount {reason}")))
    }
}

/// An exact amount of money.
#[derive(Deserialize, ToSchema)]
#[schema(as = Money)]
#[serde(deny_unknown_fields)]
struct MoneyBody {
    /// Decimal number in major units with exactly the currency's digits (17.00 for USD, 1700 for JPY), never a JSON number. A request may
    /// leave out zeros at its end.
    #[schema(pattern = r"^-?[0-9]{1,16}(\.[0-9]{1,4})?$", example = "17.00")]
    amount: String,
    /// ISO 4217 code.
    currency: Currency,
}

impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        MoneyBody::schema()
    }
}

impl ToSchema for Money {
    fn name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        schemas.push(("Currency".to_owned(), <Currency as utoipa::PartialSchema>::schema()));
    }
}

/// A rate in basis points (3000 = 30 %), 0 to 10,000; a decimal percent string on the wire (`"32.5"`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rate(i32);

impl Rate {
    /// So many hundredths of a percent.
    #[must_use]
    pub const fn from_bps(bps: i32) -> Self {
        Self(bps)
    }

    /// Hundredths of a percent, as the database keeps it.
    #[must_use]
    pub const fn bps(self) -> i32 {
        self.0
    }

    /// `base × rate`, exact: what the explanation calls unrounded.
    #[must_use]
    pub fn of(self, base: Money) -> Decimal {
        base.decimal() * Decimal::new(i64::from(self.0), 4)
    }

    /// Percent, without zeros at the end.
    fn percent(self) -> ShortText {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        let mut text = ShortText::new();
        push_number(&mut text, whole, 0);
        if hundredths != 0 {
            text.push('.');
            let (decimals, width) = if hundredths % 10 == 0 { (hundredths / 10, 1) } else { (hundredths, 2) };
            push_number(&mut text, decimals, width);
        }
        text
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.percent())
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(percent: &str) -> Result<Self, String> {
        let wrong = || "must be a percentage from 0 to 100 with at most 2 decimals, such as \"32.5\"".to_owned();
        let is_number =
            |digits: &str, most| (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = percent.split_once('.').map_or((percent, None), |(whole, rest)| (whole, Some(rest)));
        let is_plain = is_number(whole, 3) && fraction.is_none_or(|digits| is_number(digits, 2));
        let value = is_plain.then(|| Decimal::from_str_exact(percent).ok()).flatten().ok_or_else(wrong)?;
        let bps = value.checked_mul(Decimal::ONE_HUNDRED).ok_or_else(wrong)?;
        if !bps.is_integer() || bps > Decimal::from(10_000) {
            return Err(wrong());
        }
        i32::try_from(bps).map(Self).map_err(|_| wrong())
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.percent())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl utoipa::PartialSchema for Rate {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(r"^(100(\.00?)?|0?[0-9]{1,2}(\.[0-9]{1,2})?)$"))
            .description(Some("Decimal percent"))
            .examples(["32.5"])
            .into()
    }
}

impl ToSchema for Rate {}

/// `value` in major units, rounded half to even to the currency's minor unit.
///
/// # Errors
/// An amount that does not fit, which the limits on single amounts exclude.
pub fn round(value: Decimal, currency: Currency) -> Result<Money> {
    let rounded = value.round_dp_with_strategy(u32::from(currency.digits()), RoundingStrategy::MidpointNearestEven);
    let minor = rounded * Decimal::from(10_u64.pow(u32::from(currency.digits())));
    let minor = i64::try_from(minor).map_err(|error| Error::internal(format!("{value} {currency}: {error}")))?;
    Ok(Money::new(minor, currency))
}

/// round(`whole` × `part` / `total`) in minor units, half to even: how refunds reverse pro rata.
///
/// # Errors
/// A `total` of zero, which callers exclude.
pub fn pro_rata(whole: Money, part_minor: i64, total_minor: i64) -> Result<Money> {
    let product = i128::from(whole.minor) * i128::from(part_minor);
    let total = i128::from(total_minor);
    let (quotient, remainder) = product
        .checked_div_euclid(total)
        .zip(product.checked_rem_euclid(total))
        .ok_or_else(|| Error::internal("pro rata of nothing"))?;
    let twice = remainder * 2;
    let up = twice > total || (twice == total && quotient % 2 != 0);
    let minor = i64::try_from(quotient + i128::from(up)).map_err(Error::internal)?;
    Ok(Money::new(minor, whole.currency))
}

#[cfg(test)]
mod tests;
