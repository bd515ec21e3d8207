//! Rows of API keys and how the API shows them. No rules.

use diesel::prelude::*;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::accounts::models::validate_name;
use crate::auth::{Scope, Scopes};
use crate::clock::Timestamp;
use crate::db::schema::api_keys;
use crate::http::{list_type, trimmed};
use crate::id::{AccountId, ApiKeyId};

/// A key as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys)]
pub struct ApiKeyRow {
    /// Whose key.
    pub account_id: AccountId,
    /// Its id.
    pub id: ApiKeyId,
    /// What its maker calls it.
    pub name: String,
    /// The last 4 characters.
    pub hint: String,
    /// What it may do: words with spaces between.
    pub scopes: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An API key, without the key itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What its maker calls it.
    #[schema(example = "Reporting")]
    pub name: String,
    /// The last 4 characters of the key.
    #[schema(min_length = 4, max_length = 4, example = "x7Qa")]
    pub hint: String,
    /// What it may do.
    #[schema(example = json!(["account:read", "commissions:read"]))]
    pub scopes: Vec<Scope>,
    /// When it ends by itself; null if never.
    #[schema(required = true)]
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute; null until then.
    #[schema(required = true)]
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            hint: row.hint,
            scopes: Scopes::from_text(&row.scopes).list(),
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        }
    }
}

/// A new API key: the only answer that shows the key itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewApiKey {
    /// What is shown of the key later, too.
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The key. It is not kept and cannot be shown again.
    #[schema(example = "stp_0123456789ABCDEFGHIJKLMNOPQRSTUV000000")]
    pub key: String,
}

list_type!(ApiKeyList, ApiKey, "One page of API keys, newest first.");

/// An API key that is to be.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApiKey {
    /// By which people tell keys apart.
    #[serde(deserialize_with = "trimmed")]
    #[validate(custom(function = "validate_name"))]
    #[schema(min_length = 1, max_length = 100, example = "Reporting")]
    pub name: String,
    /// What it may do: at least one scope, none that its maker lacks.
    #[serde(deserialize_with = "scopes")]
    #[validate(length(min = 1, max = 20))]
    #[schema(min_items = 1, max_items = 20, example = json!(["account:read", "commissions:read"]))]
    pub scopes: Vec<Scope>,
    /// When it ends by itself, in the future; never if it is left out or null.
    pub expires_at: Option<Timestamp>,
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Scope>, D::Error> {
    Ok(Vec::<Named>::deserialize(deserializer)?.into_iter().map(|Named(scope)| scope).collect())
}

/// A scope by its word. What is none is answered with those that an account's keys can have.
struct Named(Scope);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        word.parse().map(Self).map_err(|_: String| {
            let words: Vec<_> = Scopes::of_accounts().list().iter().map(|scope| scope.as_str()).collect();
            D::Error::custom(format!("unknown variant `{word}`, expected one of {}", words.join(", ")))
        })
    }
}
