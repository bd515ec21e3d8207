//! JSON in which no object names a member twice. RFC 8259 (section 4) leaves open which of the two counts; of two amounts neither is to be
//! guessed. Pure.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How the failure begins that such a member is.
const MESSAGE: &str = "duplicate member";

/// A value whose objects name each member once.
pub(super) struct Unique(pub(super) Value);

/// Reads one JSON document.
///
/// # Errors
/// What serde says; for a member that is named twice, [`is_duplicate`] tells so.
pub(super) fn from_slice(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes).map(|Unique(value)| value)
}

/// Whether a member is all that is wrong.
pub(super) fn is_duplicate(error: &serde_json::Error) -> bool {
    error.to_string().starts_with(MESSAGE)
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                // The value is asked for by its name, so that whoever follows the path knows it.
                return members.next_value_seed(Refused);
            }
            let Unique(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// The value of a member that was there already.
struct Refused;

impl<'de> DeserializeSeed<'de> for Refused {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, _deserializer: D) -> Result<Value, D::Error> {
        Err(D::Error::custom(MESSAGE))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_refused_that_an_object_has_already_and_all_else_is_read_as_always() {
        let text = r#"{"a": [1, -2, 0.5, 18446744073709551615, null, true, "x\n"], "b": {"a": {}}, "": []}"#;
        let value = json!({"a": [1, -2, 0.5, u64::MAX, null, true, "x\n"], "b": {"a": {}}, "": []});
        assert_eq!(from_slice(text.as_bytes()).unwrap(), value);
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"x":{},"\u0078":[]}}]"#] {
            assert!(is_duplicate(&from_slice(text.as_bytes()).unwrap_err()), "{text}");
        }
        assert!(!is_duplicate(&from_slice(b"{\"a\":1,\"a\"}").unwrap_err()));
    }
}
