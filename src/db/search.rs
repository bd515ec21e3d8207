//! Searching for a part of a text, whatever the case of its letters, in columns that hold lower-cased text. Owns no tables.

/// What a search column holds of a row's `parts`: each in a line of its own.
#[must_use]
pub fn search_text(parts: &[&str]) -> String {
    parts.join("\n").to_lowercase()
}

/// A LIKE pattern, with `\` as its escape, for search columns that have `part` somewhere: `%`, `_` and `\` are letters.
#[must_use]
pub fn containing(part: &str) -> String {
    let escaped = part.to_lowercase().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_every_character_as_it_is() {
        assert_eq!(containing(r"50%_\Ärger"), r"%50\%\_\\ärger%");
        assert_eq!(search_text(&["Ann@Agency.example", "ANN Łódź", ""]), "ann@agency.example\nann łódź\n");
    }
}
