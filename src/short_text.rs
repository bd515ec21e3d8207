//! Short texts of a known form: ids, moments, amounts. Answers are full of them, so they are made without an allocation and
//! without the machinery of formats.

use arrayvec::ArrayString;
use chrono::{Datelike, NaiveDateTime, Timelike};

/// A text of up to 40 bytes, which is more than any id, moment or amount has.
pub type ShortText = ArrayString<40>;

/// The text of these parts. Nothing is left out silently: what does not fit is a mistake of ours, which tests find.
pub(crate) fn joined<const N: usize>(parts: [&str; N]) -> ShortText {
    let mut text = ShortText::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Appends `number` in decimal, with zeros in front of it up to `width`.
pub(crate) fn push_number(text: &mut ShortText, number: impl itoa::Integer, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    for _ in digits.len()..width {
        text.push('0');
    }
    text.push_str(digits);
}

/// Date and time to the second with `between` these two, in the digits of ISO 8601; none where the year has not four digits.
pub(crate) fn date_and_time(moment: NaiveDateTime, between: &str) -> Option<ShortText> {
    let year = Some(moment.year()).filter(|year| (0..=9999).contains(year))?;
    let mut text = ShortText::new();
    push_number(&mut text, year, 4);
    let (month, day, hour) = (moment.month(), moment.day(), moment.hour());
    let parts = [("-", month), ("-", day), (between, hour), (":", moment.minute()), (":", moment.second())];
    for (mark, number) in parts {
        text.push_str(mark);
        push_number(&mut text, number, 2);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_zeros_in_front_up_to_its_width() {
        for (number, width, shown) in [(7, 3, "007"), (1234, 3, "1234"), (0, 0, "0"), (0, 2, "00")] {
            let mut text = joined(["a", "_"]);
            push_number(&mut text, number, width);
            assert_eq!(text.as_str().strip_prefix("a_"), Some(shown));
        }
    }
}
