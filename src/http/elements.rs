//! A batch as JSON, where one element that cannot be read (nested too deep, a number out of range, half a surrogate, a member
//! that is named twice) must not take the others with it. Only for bodies that are JSON by their grammar and yet cannot be read as a whole. Pure.

use std::collections::BTreeMap;
use std::str;

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Map, Value};

use super::unique;

/// Levels that are taken apart: the batch, its list, an element, its data, an amount.
const LEVELS: u32 = 5;

/// The batch with an empty object, which no field of an element takes, in place of whatever cannot be read: so that the
/// element is refused where it is wrong. None where the text is no JSON at all, and where it names a list twice.
pub(super) fn salvage(bytes: &[u8]) -> Option<Value> {
    let text = str::from_utf8(bytes).ok()?;
    let (value, rest) = split_value(text)?;
    let names_twice = value.starts_with('{') && parts(value, split_field).and_then(members).is_none();
    (rest.is_empty() && !names_twice).then(|| readable(value, LEVELS))
}

/// The members of an object, if it names each once.
fn members(fields: Vec<(String, &str)>) -> Option<BTreeMap<String, &str>> {
    let count = fields.len();
    Some(fields.into_iter().collect::<BTreeMap<_, _>>()).filter(|members| members.len() == count)
}

fn readable(text: &str, levels: u32) -> Value {
    if let Ok(value) = unique::from_slice(text.as_bytes()) {
        return value;
    }
    let nothing = || Value::Object(Map::new());
    match text.chars().next().filter(|_| levels > 0) {
        Some('[') => match parts(text, split_value) {
            Some(items) => items.into_iter().map(|item| readable(item, levels - 1)).collect(),
            None => nothing(),
        },
        Some('{') => parts(text, split_field).and_then(members).map_or_else(nothing, |members| {
            members.into_iter().map(|(name, value)| (name, readable(value, levels - 1))).collect()
        }),
        _ => nothing(),
    }
}

/// What stands between the brackets of a list or an object, separated by commas.
fn parts<'a, T>(text: &'a str, split: impl Fn(&'a str) -> Option<(T, &'a str)>) -> Option<Vec<T>> {
    let mut rest = text.get(1..)?.trim_start();
    let mut found = Vec::new();
    while !matches!(rest, "]" | "}") {
        let (part, after) = split(rest)?;
        found.push(part);
        rest = after.strip_prefix(',').map_or(after, str::trim_start);
    }
    Some(found)
}

fn split_field(text: &str) -> Option<((String, &str), &str)> {
    let (name, rest) = split_value(text)?;
    let (value, rest) = split_value(rest.strip_prefix(':')?)?;
    // A name that cannot be read stays as it is written, in quotes: nothing has a field like that.
    Some(((serde_json::from_str(name).unwrap_or_else(|_| name.to_owned()), value), rest))
}

/// The first JSON value of a text, however deep, and what follows it, both without white space around.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (value, rest) = text.split_at_checked(values.byte_offset())?;
    Some((value.trim(), rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// JSON of the words and signs that it is made of, well-formed or not.
    fn almost_json() -> impl Strategy<Value = String> {
        let parts = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\"a\"",
            "\"\\ud800\"",
            "1",
            "1e999",
            "-0.5",
            "null",
            "true",
            "\"",
            "\\",
            "é",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_can_be_read_is_read_as_always(text in almost_json()) {
            if let Ok(value) = unique::from_slice(text.as_bytes()) {
                prop_assert_eq!(salvage(text.as_bytes()), Some(value));
            } else if let Some(value) = salvage(text.as_bytes()) {
                // What was left out were numbers, halves of surrogates and members named twice alone: the text is JSON by its grammar.
                let twice = serde_json::from_str::<Value>(&text).is_ok();
                prop_assert!(twice || text.contains("1e999") || text.contains("ud800"), "{}: {}", text, value);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_empty_object_and_all_else_stays() {
        let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
        let text = format!(
            r#" {{"events": [{{"id" :"a, ]}}\"", "data":{{"x": {deep} , "y":2}}}} , {{"id":"b","n":1e999,"s":"\ud800"}},{{}}, {deep}, 7 ,[]] }} "#
        );
        let salvaged = salvage(text.as_bytes()).unwrap();
        let events = salvaged["events"].as_array().unwrap();
        assert_eq!(events[0], json!({"id": "a, ]}\"", "data": {"x": [{}], "y": 2}}));
        assert_eq!(events[1..3], [json!({"id": "b", "n": {}, "s": {}}), json!({})]);
        assert!(events[3].is_array());
        assert_eq!(events[4..], [json!(7), json!([])]);
    }

    #[test]
    fn an_element_that_names_a_member_twice_is_an_empty_object() {
        let salvaged =
            salvage(br#"{"events": [{"id": "a", "id": "b"}, {"id": "c", "data": {"x": 1, "x": 2}}]}"#).unwrap();
        assert_eq!(salvaged, json!({"events": [{}, {"id": "c", "data": {}}]}));
    }

    #[test]
    fn what_is_no_json_is_not_salvaged() {
        for text in [
            &b"{\"events\": [{\"n\": 1e999}], \"events\": []}"[..],
            b"{\"events\": [{\"n\": 1e999}, {]}",
            b"{\"events\": [{\"n\": 1e999}]} x",
            b"{\"events\": [{\"n\": 1e999,}]}",
            b"{\"events\": [1e999 {}]}",
            b"{\"a\": \"\xff\", \"b\": 1e999}",
            b"1e",
            b"",
        ] {
            assert_eq!(salvage(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_large_batch_is_salvaged_in_time_that_grows_with_its_length() {
        let deep = format!("{{\"id\": {}{}}}", "[".repeat(2_000), "]".repeat(2_000));
        let text = format!("{{\"events\": [{}]}}", vec![deep; 900].join(","));
        assert_eq!(salvage(text.as_bytes()).unwrap()["events"].as_array().unwrap().len(), 900);
    }
}
