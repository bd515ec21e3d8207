//! A JSON value as a deserialiser that takes an object, and nothing else, where a type has named fields. Serde itself would
//! take an array of the fields' values as well, which the document does not know. Pure.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value;

/// The value to be read.
pub(super) struct Strict(pub(super) Value);

impl<'de> Deserializer<'de> for Strict {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Strict))),
            Value::Object(fields) => {
                visitor.visit_map(MapDeserializer::new(fields.into_iter().map(|(name, value)| (name, Self(value)))))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            other => other.deserialize_struct(name, fields, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        text: String,
        #[serde(default)]
        number: i32,
    }

    fn read(value: Value) -> Result<Outer, serde_json::Error> {
        Outer::deserialize(Strict(value))
    }

    #[test]
    fn objects_are_read_as_serde_reads_them() {
        let value = json!({"inner": {"text": "a", "number": -1}, "list": [{"text": "b"}]});
        assert_eq!(read(value.clone()).unwrap(), serde_json::from_value(value).unwrap());
        assert_eq!(read(json!({"inner": null})).unwrap(), Outer { inner: None, list: Vec::new() });
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        for value in
            [json!([]), json!([{"text": "a"}]), json!({"inner": ["a", 1]}), json!({"inner": null, "list": [["a"]]})]
        {
            let error = read(value.clone()).unwrap_err().to_string();
            assert!(error.starts_with("invalid type: sequence, expected struct "), "{value}: {error}");
        }
    }
}
