//! The row of a method, and how the API shows it. No rules.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use validator::{Validate, ValidationErrors};

use super::{MethodDetails, MethodType};
use crate::clock::Timestamp;
use crate::db::schema::payout_methods;
use crate::id::{AccountId, Resource};
use crate::money::Currency;

/// How long automatic payouts of a currency wait after a change of its method.
pub const HOLD_S: i64 = 72 * 3_600;

/// A method as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = payout_methods)]
pub struct PayoutMethodRow {
    /// Whose.
    pub account_id: AccountId,
    /// Of which currency.
    pub currency: Currency,
    /// By which way.
    pub method_type: MethodType,
    /// What may be shown of it.
    pub label: String,
    /// [`MethodDetails`] as JSON, encrypted; [`super::reveal`] opens it.
    pub details: Vec<u8>,
    /// When the currency got a method.
    pub created_at: Timestamp,
    /// When it was set last.
    pub changed_at: Timestamp,
}

impl PayoutMethodRow {
    /// From when on automatic payouts may use it.
    #[must_use]
    pub fn held_until(&self) -> Timestamp {
        self.changed_at.plus_seconds(HOLD_S)
    }

    /// The method as the API shows it at `now`.
    #[must_use]
    pub fn resource(self, now: Timestamp) -> PayoutMethod {
        PayoutMethod {
            held_until: Some(self.held_until()).filter(|until| *until > now),
            currency: self.currency,
            method_type: self.method_type,
            label: self.label,
            created_at: self.created_at,
            changed_at: self.changed_at,
        }
    }
}

/// What an event or an audit row about the method of a currency names.
pub(super) fn named(currency: Currency) -> Resource {
    Resource { kind: "payoutMethod", id: currency.to_string() }
}

/// How the account is paid in a currency. What a bank needs is never shown again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayoutMethod {
    /// The currency.
    pub currency: Currency,
    /// By which way.
    #[serde(rename = "type")]
    pub method_type: MethodType,
    /// Enough to recognise the account.
    #[schema(example = "DE•• •••• 3000")]
    pub label: String,
    /// When the currency got a method.
    pub created_at: Timestamp,
    /// When it was set last.
    pub changed_at: Timestamp,
    /// Until when automatic payouts wait after the last change; null when they do not.
    #[schema(required = true)]
    pub held_until: Option<Timestamp>,
}

/// How the account shall be paid in a currency.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"type": "sepa", "password": "tr0mbone-Lagoon-77",
    "details": {"holder": "Archer Analytics GmbH", "iban": "DE89 3704 0044 0532 0130 00"}}))]
pub struct SetPayoutMethod {
    /// By which way.
    #[serde(rename = "type")]
    pub method_type: MethodType,
    /// What the type needs: the details named after it.
    #[schema(value_type = MethodDetails, example = json!({ "holder": "Archer Analytics GmbH", "iban": "DE89 3704 0044 0532 0130 00" }))]
    pub details: Value,
    /// The password of the login that is used.
    #[schema(format = "password", max_length = 128, example = "tr0mbone-Lagoon-77")]
    pub password: String,
}

/// Its rules depend on each other and on the currency: `service::checked` names all that are broken at once.
impl Validate for SetPayoutMethod {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}
