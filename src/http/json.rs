//! JSON into types: text that is no JSON, a wrong shape and a broken rule each become their own problem, with pointers.
//!
//! Pure; never touches a request. Details name fields and rules, never a type of ours.

use std::fmt::Display;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::strict::Strict;
use super::unique::{self, Unique};
use crate::error::{Code, Problem, Violation, pointer_to, shorten};

/// Reads one JSON document.
///
/// # Errors
/// 400 `invalidJson`: malformed, not UTF-8, or nested deeper than 127 levels. A number that no type of the API holds and a member
/// that an object names twice are well-formed, hence 422, and told if they come before what is not.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    unique::from_slice(bytes).map_err(|error| {
        if unique::is_duplicate(&error) && is_well_formed(bytes) {
            let detail = "must be there only once in its object";
            return Problem::validation(vec![Violation::at(shorten(second_of_its_name(bytes)), "duplicate", detail)]);
        }
        let message = error.to_string();
        if message.starts_with("number out of range") && is_well_formed(bytes) {
            return Problem::validation(vec![Violation::at("", "type", "holds a number that is out of range")]);
        }
        Problem::new(Code::InvalidJson, shorten(format!("the body is not well-formed JSON: {message}")))
    })
}

/// Where the first member is that its object has already.
fn second_of_its_name(bytes: &[u8]) -> String {
    let whole: Result<Unique, _> = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    whole.err().map(|error| pointer_behind(error.path())).unwrap_or_default()
}

/// Whether bytes are one JSON document, however large its numbers are.
fn is_well_formed(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// A valid `T`: of the right shape, without U+0000 (which no database keeps), keeping every rule.
///
/// # Errors
/// 422 `validationFailed`: the first such character or fault of the shape, or every broken rule.
pub fn from_value<T: DeserializeOwned + Validate>(value: Value) -> Result<T, Problem> {
    if let Some(pointer) = first_null_character(&value) {
        let detail = "must not contain the character U+0000";
        return Err(Problem::validation(vec![Violation::at(shorten(pointer), "nullCharacter", detail)]));
    }
    let input: T = of_shape(value)?;
    input.validate().map_err(|errors| Problem::validation(rule_violations(&errors)))?;
    Ok(input)
}

/// A `T` of the right shape, whose rules are not looked at.
///
/// # Errors
/// 422 `validationFailed` with the first fault.
pub fn of_shape<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Strict(value))
        .map_err(|error| Problem::validation(vec![shape_violation(error.path(), error.inner())]))
}

/// What a deserialiser's error says about the field at `path`.
pub(super) fn shape_violation(path: &Path, error: &impl Display) -> Violation {
    let (field, code, detail) = explain(&error.to_string());
    let mut pointer = pointer_behind(path);
    if let Some(field) = field {
        let token = pointer_to("", &field);
        if code != "unknownField" || !pointer.ends_with(&token) {
            pointer.push_str(&token);
        }
    }
    Violation::at(shorten(pointer), code, detail)
}

/// Field that the message names, the rule's code, and the sentence for the caller, which repeats nothing that was sent.
fn explain(message: &str) -> (Option<String>, &'static str, String) {
    let quoted = |rest: &str| rest.rsplit_once('`').map_or(rest, |(name, _)| name).to_owned();
    if let Some(rest) = message.strip_prefix("missing field `") {
        return (Some(quoted(rest)), "required", "is required".to_owned());
    }
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let name = rest.split_once("`, ").map_or_else(|| quoted(rest), |(name, _)| name.to_owned());
        return (Some(name), "unknownField", "is not a field of this body".to_owned());
    }
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    if message.starts_with("unknown variant `") {
        let words = expected.unwrap_or("a known value").replace('`', "");
        return (None, "unknownValue", format!("must be {words}"));
    }
    match expected {
        Some(expected) if message.starts_with("invalid ") => {
            (None, "type", format!("must be {}", plain_name(expected)))
        }
        _ => (None, "malformed", plain_sentence(message)),
    }
}

/// What serde calls `expected`, as a user of JSON would.
fn plain_name(expected: &str) -> String {
    let name = match expected {
        "a map" => "an object",
        "a sequence" => "an array",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative, in the documented range",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number in the documented range",
        "f32" | "f64" => "a number",
        "a borrowed string" | "string" | "str" => "a string",
        "variant identifier" | "string or map" => "one of the documented values",
        "unit" => "null",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.contains("struct ") || expected.contains("enum ") || expected.contains("::") => {
            "of the documented type"
        }
        _ => expected,
    };
    name.to_owned()
}

/// What the standard library says about a text that is no number, as a user of an API would.
fn plain_sentence(message: &str) -> String {
    match message {
        "provided string was not `true` or `false`" => "must be true or false".to_owned(),
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number".to_owned()
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            "is a number out of range".to_owned()
        }
        _ => message.to_owned(),
    }
}

/// The JSON Pointer behind a path.
fn pointer_behind(path: &Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => pointer_to(&pointer, key),
        Segment::Enum { variant } => pointer_to(&pointer, variant),
        Segment::Unknown => pointer,
    })
}

/// Where the first text with U+0000 is. Only the first, and pointers are written on the way back from it alone: an answer and
/// its cost do not grow with the number of such texts times the length of the names above them.
fn first_null_character(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            let mut inside = items.iter().enumerate();
            inside.find_map(|(index, item)| first_null_character(item).map(|rest| format!("/{index}{rest}")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let rest = if name.contains('\0') { Some(String::new()) } else { first_null_character(field) };
            rest.map(|rest| pointer_to("", name) + &rest)
        }),
        _ => None,
    }
}

/// Every broken rule, in the order of the pointers.
#[must_use]
pub fn rule_violations(errors: &ValidationErrors) -> Vec<Violation> {
    let mut violations = Vec::new();
    collect_rules(errors, "", &mut violations);
    violations.sort_by(|one, other| (&one.pointer, &one.code).cmp(&(&other.pointer, &other.code)));
    violations
}

fn collect_rules(errors: &ValidationErrors, pointer: &str, violations: &mut Vec<Violation>) {
    for (field, kind) in errors.errors() {
        // validator names rules over the whole struct `__all__`.
        let pointer = if field == "__all__" { pointer.to_owned() } else { pointer_to(pointer, &camel_case(field)) };
        match kind {
            ValidationErrorsKind::Field(rules) => {
                violations.extend(rules.iter().map(|rule| rule_violation(&pointer, rule)));
            }
            ValidationErrorsKind::Struct(nested) => collect_rules(nested, &pointer, violations),
            ValidationErrorsKind::List(items) => {
                for (index, nested) in items {
                    collect_rules(nested, &format!("{pointer}/{index}"), violations);
                }
            }
        }
    }
}

/// A rule that the field at `pointer` breaks.
#[must_use]
pub fn rule_violation(pointer: &str, rule: &ValidationError) -> Violation {
    let detail = rule.message.as_ref().map_or_else(|| rule_detail(rule), ToString::to_string);
    Violation::at(pointer, camel_case(&rule.code), detail)
}

/// A sentence for the rules that come with the validator; the crate's own rules bring their message.
fn rule_detail(rule: &ValidationError) -> String {
    let unit = match (rule.code.as_ref(), rule.params.get("value")) {
        ("length", Some(Value::Array(_))) => " items",
        ("length", _) => " characters",
        _ => "",
    };
    let bound = |name| rule.params.get(name).map(|value| value.to_string().trim_end_matches(".0").to_owned());
    let verb = if rule.code == "length" { "have" } else { "be" };
    if let Some(equal) = bound("equal") {
        return format!("must {verb} exactly {equal}{unit}");
    }
    match (rule.code.as_ref(), bound("min"), bound("max")) {
        ("email", ..) => "is not an e-mail address".to_owned(),
        ("url", ..) => "is not a URL".to_owned(),
        ("required", ..) => "is required".to_owned(),
        (_, Some(min), Some(max)) => format!("must {verb} {min} to {max}{unit}"),
        (_, Some(min), None) => format!("must {verb} at least {min}{unit}"),
        (_, None, Some(max)) => format!("must {verb} at most {max}{unit}"),
        _ => "is not valid".to_owned(),
    }
}

/// `first_name` as the API spells it: `firstName`.
fn camel_case(name: &str) -> String {
    let mut words = name.trim_start_matches("r#").split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |joined, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|letter| letter.to_ascii_uppercase());
        joined + &head.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Outer {
        #[validate(length(min = 1, max = 5))]
        first_name: String,
        #[validate(nested)]
        #[serde(default)]
        inner_items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Inner {
        #[validate(range(min = 1))]
        amount_minor: i64,
    }

    fn refused(value: Value) -> Vec<(String, String)> {
        let violations = from_value::<Outer>(value).unwrap_err().violations;
        violations.into_iter().map(|violation| (violation.pointer.unwrap(), violation.code)).collect()
    }

    fn one(pointer: &str, code: &str) -> Vec<(String, String)> {
        vec![(pointer.to_owned(), code.to_owned())]
    }

    #[test]
    fn a_missing_field_is_pointed_at_where_it_should_be() {
        assert_eq!(refused(json!({})), one("/firstName", "required"));
        assert_eq!(
            refused(json!({"firstName": "a", "innerItems": [{}]})),
            one("/innerItems/0/amountMinor", "required")
        );
    }

    #[test]
    fn an_unknown_field_is_pointed_at_once_and_escaped() {
        assert_eq!(refused(json!({"firstName": "a", "x/y~z": 1})), one("/x~1y~0z", "unknownField"));
        let nested = json!({"firstName": "a", "innerItems": [{"amountMinor": 1, "other": 2}]});
        assert_eq!(refused(nested), one("/innerItems/0/other", "unknownField"));
    }

    #[test]
    fn a_wrong_type_is_named_without_a_type_of_ours() {
        let problem = from_value::<Outer>(json!([1])).unwrap_err();
        assert!(!problem.detail.contains("Outer"), "{}", problem.detail);
        assert_eq!(refused(json!({"firstName": 5})), one("/firstName", "type"));
        assert_eq!(
            refused(json!({"firstName": "a", "innerItems": [{"amountMinor": "1"}]})),
            one("/innerItems/0/amountMinor", "type")
        );
    }

    #[test]
    fn all_broken_rules_are_reported_at_once() {
        let broken = json!({"firstName": "", "innerItems": [{"amountMinor": 1}, {"amountMinor": 0}]});
        assert_eq!(refused(broken), [one("/firstName", "length"), one("/innerItems/1/amountMinor", "range")].concat());
    }

    #[test]
    fn a_null_character_is_refused_wherever_it_is() {
        assert_eq!(refused(json!({"firstName": "a\0"})), one("/firstName", "nullCharacter"));
        assert_eq!(refused(json!({"x/": [1, {"b\0": 1}, "\0"]})), one("/x~1/1/b\0", "nullCharacter"));
    }

    #[test]
    fn an_answer_does_not_grow_with_names_and_texts() {
        let name = "n".repeat(10_000);
        let texts = json!({name.clone(): vec!["\0"; 1_000]});
        for body in [texts, json!({"firstName": "a", name: 1})] {
            let problem = from_value::<Outer>(body).unwrap_err();
            assert_eq!(problem.violations.len(), 1);
            assert!(problem.detail.len() < 1_000, "{}", problem.detail.len());
        }
    }

    #[test]
    fn text_that_is_no_json_is_400_however_deep() {
        for bytes in
            [&b"{"[..], b"", b"{\"a\": \"\xff\"}", b"[1e999", b"[1e999, \"\xff\"]", "[".repeat(100_000).as_bytes()]
        {
            assert_eq!(parse(bytes).unwrap_err().code, Code::InvalidJson);
        }
        assert_eq!(parse(b"1e999").unwrap_err().code, Code::ValidationFailed);
        assert_eq!(parse(b"{\"a\": 1, \"a\": 2").unwrap_err().code, Code::InvalidJson);
    }

    #[test]
    fn a_member_that_is_named_twice_is_pointed_at() {
        let problem = parse(br#"{"a": 1, "b": [{"c": 1}, {"c/d": 1, "c/d": 2, "c/d": 3}]}"#).unwrap_err();
        let [violation] = problem.violations.as_slice() else { panic!("{:?}", problem.violations) };
        assert_eq!((violation.pointer.as_deref(), violation.code.as_str()), (Some("/b/1/c~1d"), "duplicate"));
    }
}
