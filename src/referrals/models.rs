//! Referral links as rows, as the API shows them, and as it takes them. No rules beyond the form of a field.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::codes;
use super::statistics::Counts;
use crate::accounts::models::validate_name;
use crate::clock::Timestamp;
use crate::db::schema::referral_links;
use crate::http::{Patch, present, trimmed, trimmed_present};
use crate::id::{AccountId, ReferralLinkId};

/// A referral link as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = referral_links)]
pub struct ReferralLinkRow {
    /// The manager.
    pub account_id: AccountId,
    /// Its id.
    pub id: ReferralLinkId,
    /// What stands in its address.
    pub code: String,
    /// What its manager calls it.
    pub name: String,
    /// Added to the target as `rs`.
    pub source: Option<String>,
    /// Where it leads; none for the program's default target.
    pub target_url: Option<String>,
    /// Whether it is the link that the manager had from the start.
    pub is_default: bool,
    /// Whether it works.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ReferralLinkRow {
    /// What its manager sets: what the first half of its `ETag` and `If-Match` are about.
    #[must_use]
    pub fn settings(&self) -> impl Serialize {
        (self.id, &self.name, &self.source, &self.target_url, self.enabled)
    }

    /// The address to give away.
    #[must_use]
    pub fn url(&self, public_url: &str) -> String {
        format!("{public_url}/r/{}", self.code)
    }

    /// The link as the API shows it.
    #[must_use]
    pub fn view(self, counts: Counts, public_url: &str) -> ReferralLink {
        ReferralLink {
            url: self.url(public_url),
            id: self.id,
            code: self.code,
            name: self.name,
            source: self.source,
            target_url: self.target_url,
            is_default: self.is_default,
            enabled: self.enabled,
            clicks: counts.clicks,
            unique_visitors: counts.unique_visitors,
            sign_ups: counts.sign_ups,
            paying_clients: counts.paying_clients,
            created_at: self.created_at,
        }
    }
}

/// A link that brings clients, with what came of it so far.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralLink {
    /// Its id.
    pub id: ReferralLinkId,
    /// What stands in its address; unique over all accounts, for ever.
    #[schema(pattern = "^[a-z0-9-]{4,32}$", example = "k3v9x0m2ab")]
    pub code: String,
    /// What you call it.
    #[schema(example = "Newsletter")]
    pub name: String,
    /// Added to the target as `rs`, to tell where visitors come from; null adds nothing.
    #[schema(required = true, example = "newsletter")]
    pub source: Option<String>,
    /// Where it leads; null is the program's default target.
    #[schema(required = true, format = "uri", example = "https://stape.io/pricing")]
    pub target_url: Option<String>,
    /// The address to give away.
    #[schema(format = "uri", example = "https://api.stape.io/r/k3v9x0m2ab")]
    pub url: String,
    /// Whether it is the link that you had from the start, which cannot be disabled.
    #[schema(example = false)]
    pub is_default: bool,
    /// Whether it works. The address of a disabled one is not found.
    #[schema(example = true)]
    pub enabled: bool,
    /// Clicks so far, without known bots and HEAD requests.
    #[schema(minimum = 0, example = 420)]
    pub clicks: i64,
    /// Unique visitors so far: the sum of those of each UTC day.
    #[schema(minimum = 0, example = 305)]
    pub unique_visitors: i64,
    /// Clients that signed up with its code.
    #[schema(minimum = 0, example = 12)]
    pub sign_ups: i64,
    /// How many of them have paid for something themselves.
    #[schema(minimum = 0, example = 7)]
    pub paying_clients: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new referral link.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateReferralLink {
    /// What you call it.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Newsletter")]
    pub name: String,
    /// Added to the target as `rs`.
    #[serde(default, deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "newsletter")]
    pub source: Option<String>,
    /// Where it leads: an https URL on one of the program's `allowedReferralHosts` or below it, without a user. Without it,
    /// the program's default target.
    #[schema(max_length = 2000, format = "uri", example = "https://stape.io/pricing")]
    pub target_url: Option<String>,
    /// 4 to 32 letters, digits and hyphens, kept in lower case. Without it, one is made by chance.
    #[validate(custom(function = "validate_code"))]
    #[schema(min_length = 4, max_length = 32, pattern = "^[A-Za-z0-9-]{4,32}$", example = "northlight-news")]
    pub code: Option<String>,
}

/// A change to a referral link: JSON Merge Patch.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateReferralLink {
    /// What you call it.
    #[serde(default, deserialize_with = "trimmed_present")]
    #[validate(custom(function = "validate_name"))]
    #[schema(nullable = false, min_length = 1, max_length = 100, example = "Newsletter")]
    pub name: Option<String>,
    /// Added to the target as `rs`; null adds nothing.
    #[serde(default, deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_source"))]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "newsletter")]
    pub source: Patch<String>,
    /// Where it leads, as at its creation; null is the program's default target.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2000, format = "uri", example = "https://stape.io/pricing")]
    pub target_url: Patch<String>,
    /// Whether it works. The default link cannot be disabled.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, example = false)]
    pub enabled: Option<bool>,
}

fn validate_source(source: &Patch<String>) -> Result<(), ValidationError> {
    source.value().map_or(Ok(()), |source| validate_name(source))
}

fn validate_code(code: &str) -> Result<(), ValidationError> {
    if codes::normalize(code).is_some() {
        return Ok(());
    }
    Err(ValidationError::new("malformed").with_message("must be 4 to 32 letters, digits and hyphens".into()))
}
