//! Fields of bodies that need more than their type says: absent or null in a merge patch, text that is trimmed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::{ValidateEmail, ValidateLength, ValidateRange};

/// A nullable field of a JSON Merge Patch (RFC 7396): absent leaves it, null clears it.
///
/// The field needs `#[serde(default)]`, and `#[schema(value_type = Option<…>)]` where bounds are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not in the patch.
    #[default]
    Absent,
    /// To be cleared.
    Null,
    /// To be set.
    Value(T),
}

impl<T> Patch<T> {
    /// The field after the patch.
    pub fn apply(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Absent => present,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// What is to be set, if anything is.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

/// As validator wants it of every field with a rule of its own.
impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<T: ToSchema> PartialSchema for Patch<T> {
    fn schema() -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(Type::Null);
        OneOfBuilder::new().item(null).item(T::schema()).into()
    }
}

impl<T: ToSchema> ToSchema for Patch<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

impl<T: ValidateLength<u64>> ValidateLength<u64> for Patch<T> {
    fn length(&self) -> Option<u64> {
        self.value().and_then(T::length)
    }
}

impl<T: ValidateEmail> ValidateEmail for Patch<T> {
    fn as_email_string(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.value().and_then(T::as_email_string)
    }
}

impl<N, T: ValidateRange<N>> ValidateRange<N> for Patch<T> {
    fn greater_than(&self, max: N) -> Option<bool> {
        self.value().and_then(|value| value.greater_than(max))
    }

    fn less_than(&self, min: N) -> Option<bool> {
        self.value().and_then(|value| value.less_than(min))
    }
}

/// For `deserialize_with` on an `Option` field that may be absent (`#[serde(default)]`) but not null.
///
/// # Errors
/// A value that is no `T`; null.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// For `deserialize_with` on text whose surrounding white space does not count: `String`, `Option<String>` (null or
/// absent is none), `Patch<String>`.
///
/// # Errors
/// A value that is no text.
pub fn trimmed<'de, D: Deserializer<'de>, T: Deserialize<'de> + Trim>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(deserializer).map(Trim::trim)
}

/// [`trimmed`] and [`present`] in one: trimmed text that may be absent but not null.
///
/// # Errors
/// A value that is no text; null.
pub fn trimmed_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    trimmed(deserializer).map(Some)
}

/// Text, or something that may hold text, without the white space around it.
pub trait Trim {
    /// The same, trimmed.
    #[must_use]
    fn trim(self) -> Self;
}

impl Trim for String {
    fn trim(self) -> Self {
        str::trim(&self).to_owned()
    }
}

impl<T: Trim> Trim for Option<T> {
    fn trim(self) -> Self {
        self.map(Trim::trim)
    }
}

impl<T: Trim> Trim for Patch<T> {
    fn trim(self) -> Self {
        match self {
            Self::Value(value) => Self::Value(value.trim()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Change {
        #[serde(default, deserialize_with = "trimmed")]
        note: Patch<String>,
        #[serde(default, deserialize_with = "trimmed_present")]
        name: Option<String>,
    }

    fn change(json: &str) -> Result<Change, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn absent_null_and_value_are_told_apart() {
        let old = || Some("old".to_owned());
        assert_eq!(change("{}").unwrap().note.apply(old()), old());
        assert_eq!(change(r#"{"note": null}"#).unwrap().note.apply(old()), None);
        assert_eq!(change(r#"{"note": " new "}"#).unwrap().note.apply(old()).as_deref(), Some("new"));
    }

    #[test]
    fn what_cannot_be_cleared_refuses_null() {
        assert!(change(r#"{"name": null}"#).is_err());
        assert_eq!(change(r#"{"name": " a "}"#).unwrap().name.as_deref(), Some("a"));
        assert_eq!(change("{}").unwrap().name, None);
    }
}
