//! A JSON value as a deserialiser that takes what the document says, and nothing else: an object where a type has named
//! fields (serde itself would take an array of the fields' values as well), or any fields (serde would take null), a word
//! where an enum is wanted (serde would take `{"word": null}`), and any whole number where one is wanted, also when it is
//! written `14.0` or `1e3` (JSON Schema calls both integers, serde neither). Pure.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};
use serde_json::{Number, Value};

/// The value to be read.
pub(super) struct Strict(pub(super) Value);

/// Whole numbers of every width: a visitor says itself what it can hold.
macro_rules! deserialize_whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            Self(whole(self.0)).deserialize_any(visitor)
        }
    )*};
}

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
        match self.0 {
            Value::Object(_) => Err(Error::invalid_type(Unexpected::Map, &"variant identifier")),
            word => word.deserialize_enum(name, variants, visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Null => Err(Error::invalid_type(Unexpected::Unit, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    deserialize_whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

/// A number without a fraction as an integer, however it was written; anything else as it is.
fn whole(value: Value) -> Value {
    let written_as_fraction =
        value.as_f64().filter(|number| !value.is_i64() && !value.is_u64() && number.fract() == 0.0);
    // Rust writes a whole number out in all its digits; one that no integer holds stays what it was.
    let integer = written_as_fraction.and_then(|number| format!("{number:.0}").parse::<i64>().ok());
    integer.map_or(value, |integer| Value::Number(Number::from(integer)))
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
    fn a_whole_number_may_be_written_with_a_point_or_an_exponent() {
        let number = |text: &str| {
            read(serde_json::from_str(&format!(r#"{{"inner": {{"text": "a", "number": {text}}}}}"#)).unwrap())
                .map(|outer| outer.inner.unwrap().number)
        };
        for (text, expected) in [("14.0", 14), ("-14.0", -14), ("1e3", 1000), ("-0.0", 0), ("2147483647.0", i32::MAX)] {
            assert_eq!(number(text).unwrap(), expected, "{text}");
        }
        for text in ["14.5", "1e-3", "2147483648.0", "1e300", "\"14\""] {
            let error = number(text).unwrap_err().to_string();
            assert!(error.contains("expected i32"), "{text}: {error}");
        }
    }

    #[test]
    fn an_object_is_no_word_and_null_no_object() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        enum Word {
            One,
        }
        assert!(matches!(Word::deserialize(Strict(json!("one"))).unwrap(), Word::One));
        let error = Word::deserialize(Strict(json!({"one": null}))).unwrap_err().to_string();
        assert_eq!(error, "invalid type: map, expected variant identifier");
        let objects = |value| Vec::<serde_json::Map<String, Value>>::deserialize(Strict(value));
        assert_eq!(objects(json!([{}])).unwrap().len(), 1);
        assert!(objects(json!([null])).unwrap_err().to_string().ends_with("expected a map"));
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
