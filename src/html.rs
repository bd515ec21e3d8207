//! Text in HTML.

/// Text as HTML shows it, inside an element or an attribute in double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_html_would_read_is_escaped() {
        assert_eq!(escape(r#"<b a="x">&amp;"#), "&lt;b a=&quot;x&quot;&gt;&amp;amp;");
    }
}
