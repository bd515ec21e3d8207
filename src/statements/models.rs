//! Statements as the API shows them, and their months. No rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::commissions::SubAccountReference;
use crate::containers::Product;
use crate::money::{Currency, Money};

/// A UTC calendar month, as `2026-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Timestamp);

impl Month {
    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.0
    }

    /// The first moment after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.0.plus_months(1)
    }
}

/// Why a text is no month.
#[derive(Debug, thiserror::Error)]
#[error("is not a month such as 2026-01")]
pub struct MalformedMonth;

impl FromStr for Month {
    type Err = MalformedMonth;

    fn from_str(text: &str) -> Result<Self, MalformedMonth> {
        let is_written_out = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let first = format!("{text}-01T00:00:00Z").parse().map_err(|_| MalformedMonth)?;
        if is_written_out { Ok(Self(first)) } else { Err(MalformedMonth) }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.naive().format("%Y-%m"))
    }
}

impl Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Month {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[0-9]{4}-(0[1-9]|1[0-2])$"))
            .description(Some("A month of the UTC calendar."))
            .examples(["2026-01"])
            .into()
    }
}

impl ToSchema for Month {}

/// What happened to a manager's money in a month, in one currency.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// The UTC month.
    pub month: Month,
    /// The currency.
    pub currency: Currency,
    /// In review, ready and in payouts together, when the month began; signed.
    pub opening_balance: Money,
    /// Commissions that were posted in the month.
    pub earned: Money,
    /// What refunds took back from commissions; subtracted.
    pub reversed: Money,
    /// Adjustments, signed.
    pub adjusted: Money,
    /// What was paid out; subtracted.
    pub paid_out: Money,
    /// Opening balance + earned − reversed + adjusted − paid out: the next month's opening balance.
    pub closing_balance: Money,
    /// The month by client.
    pub by_sub_account: Vec<SubAccountTotal>,
    /// The month by plan.
    pub by_plan: Vec<PlanTotal>,
}

/// A month's movements that concern one client.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubAccountTotal {
    /// The client; null for adjustments that are about none.
    #[schema(required = true)]
    pub sub_account: Option<SubAccountReference>,
    /// Commissions that were posted.
    pub earned: Money,
    /// What refunds took back; subtracted.
    pub reversed: Money,
    /// Adjustments, signed.
    pub adjusted: Money,
    /// Earned − reversed + adjusted.
    pub total: Money,
}

/// A month's movements that concern one plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanTotal {
    /// The product; null for adjustments that are about none.
    #[schema(required = true)]
    pub product: Option<Product>,
    /// The plan; null for adjustments that are about none.
    #[schema(required = true, example = "pro")]
    pub plan: Option<String>,
    /// Commissions that were posted.
    pub earned: Money,
    /// What refunds took back; subtracted.
    pub reversed: Money,
    /// Adjustments, signed.
    pub adjusted: Money,
    /// Earned − reversed + adjusted.
    pub total: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_written_with_four_and_two_digits() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!((month.to_string(), month.end().to_string()), ("2026-12".into(), "2027-01-01T00:00:00.000Z".into()));
        for text in ["2026-13", "2026-00", "2026-1", "26-01", "2026-01-01", "+026-01", "2026/01", "", "1969-12"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
