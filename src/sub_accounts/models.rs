//! Links between managers and clients as rows, and sub-accounts as the API shows them.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::clock::Timestamp;
use crate::db::schema::sub_account_links;
use crate::http::Patch;
use crate::id::{AccountId, SubAccountLinkId};
use crate::money::Money;
use crate::operator_requests::OperatorRequest;

crate::text_enum! {
    /// How a client came to its manager.
    pub enum Origin {
        /// The manager created it.
        Created = "created",
        /// The manager attached an existing account.
        Attached = "attached",
        /// It signed up with a referral code.
        Referral = "referral",
        /// It made the agency itself.
        Converted = "converted",
        /// The operator linked it.
        Operator = "operator",
    }
}

crate::text_enum! {
    /// Whether the manager may change the client's account and log in as it.
    pub enum Access {
        /// Never asked for.
        None = "none",
        /// Asked for.
        Requested = "requested",
        /// Granted.
        Granted = "granted",
        /// Declined, or taken back.
        Declined = "declined",
    }
}

crate::text_enum! {
    /// Who pays for the client's containers.
    pub enum Billing {
        /// The client, each container by itself.
        Individual = "individual",
        /// The manager, with one invoice: nothing is earned.
        Consolidated = "consolidated",
    }
}

/// A link as stored: the client was managed in `[linked_at, detached_at)`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sub_account_links)]
pub struct LinkRow {
    /// The manager.
    pub account_id: AccountId,
    /// Its id.
    pub id: SubAccountLinkId,
    /// The client.
    pub client_id: AccountId,
    /// How it came about.
    pub origin: Origin,
    /// What the manager may do.
    pub access: Access,
    /// Since when.
    pub access_changed_at: Timestamp,
    /// Who pays.
    pub billing: Billing,
    /// The manager's note.
    pub note: Option<String>,
    /// From then on,
    pub linked_at: Timestamp,
    /// until then, exclusive.
    pub detached_at: Option<Timestamp>,
}

impl LinkRow {
    /// Whether the client was managed under this link at `time`: half-open.
    #[must_use]
    pub fn holds_at(&self, time: Timestamp) -> bool {
        self.linked_at <= time && self.detached_at.is_none_or(|end| time < end)
    }
}

/// A client as its manager sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubAccount {
    /// The client's account id.
    pub id: AccountId,
    /// E-mail address of its owner.
    #[schema(example = "shop@example.com")]
    pub email: String,
    /// First name of its owner.
    #[schema(example = "Ada")]
    pub first_name: String,
    /// Last name of its owner.
    #[schema(example = "Lovelace")]
    pub last_name: String,
    /// How it came to the manager.
    pub origin: Origin,
    /// Whether the manager may change it and log in as it.
    pub access: Access,
    /// Who pays for its containers.
    pub billing: Billing,
    /// The manager's own note.
    #[schema(required = true, example = "Big shop, call before changes")]
    pub note: Option<String>,
    /// Since when it is managed.
    pub linked_at: Timestamp,
    /// How many containers it has.
    #[schema(minimum = 0, example = 3)]
    pub container_count: i64,
    /// How many of them count as paid containers.
    #[schema(minimum = 0, example = 2)]
    pub paid_container_count: i64,
    /// Whether a container of it reached its plan's limit.
    pub limit_exceeded: bool,
    /// Whether a container of it has errors.
    pub with_errors: bool,
    /// What it brings in a month, one amount per currency.
    pub monthly_commission: Vec<Money>,
    /// The operator request that is open for it, if any.
    #[schema(required = true)]
    pub pending_request: Option<OperatorRequest>,
    /// When it signed up or was created.
    pub created_at: Timestamp,
}

/// A new client, managed from the start with access granted.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateSubAccount {
    /// E-mail address of its owner; no user may have it yet.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "crate::accounts::models::validate_email"))]
    #[schema(max_length = 254, format = "email", example = "shop@example.com")]
    pub email: String,
    /// First name, 1 to 100 characters after trimming.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "crate::accounts::models::validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Ada")]
    pub first_name: String,
    /// Last name, 1 to 100 characters after trimming.
    #[serde(deserialize_with = "crate::http::trimmed")]
    #[validate(custom(function = "crate::accounts::models::validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Lovelace")]
    pub last_name: String,
    /// Whether to mail the client a link to set its password. When left out it is false: the client is told by mail all the
    /// same, without a link.
    #[serde(default)]
    pub send_invite: bool,
}

/// A change to a sub-account: JSON Merge Patch.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateSubAccount {
    /// Who shall pay for the client's containers; needs access.
    #[serde(default, deserialize_with = "crate::http::present")]
    #[schema(nullable = false)]
    pub billing: Option<Billing>,
    /// The manager's own note, which the client does not see; null clears it.
    #[serde(default, deserialize_with = "crate::http::trimmed")]
    #[validate(length(min = 1, max = 2000))]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000, pattern = r"\S", example = "Big shop, call before changes")]
    pub note: Patch<String>,
}

/// Which manager a client gets.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkToManager {
    /// An agency or a partner.
    pub manager_id: AccountId,
}
