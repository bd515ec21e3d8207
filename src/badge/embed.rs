//! How a partner puts its badge on a web site: addresses, HTML and Markdown. Every text in them is escaped.

use serde::Serialize;
use utoipa::ToSchema;

use super::Standing;
use super::svg::{HEIGHT, Theme, WIDTH, label};
use crate::html::escape;
use crate::referrals::ReferralLinkRow;

/// The partner's badge.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Badge {
    /// The partner's level, from 1.
    #[schema(minimum = 1, example = 2)]
    level: i32,
    /// The level's name, which the badge shows.
    #[schema(example = "Advanced")]
    level_name: String,
    /// Addresses of the image.
    urls: BadgeUrls,
    /// Where the embedded badge leads: the default referral link.
    #[schema(format = "uri", example = "https://api.stape.io/r/k3v9x0m2ab")]
    link_url: String,
    /// HTML that shows the badge in the visitor's colour scheme and leads to the referral link.
    #[schema(
        example = "<a href=\"https://api.stape.io/r/k3v9x0m2ab\" target=\"_blank\" rel=\"noopener\"><picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"https://api.stape.io/badge/k3v9x0m2ab.svg?theme=dark\"><img src=\"https://api.stape.io/badge/k3v9x0m2ab.svg?theme=light\" alt=\"Stape Advanced Partner\" width=\"248\" height=\"72\"></picture></a>"
    )]
    html: String,
    /// Markdown that shows the light badge and leads to the referral link.
    #[schema(
        example = "[![Stape Advanced Partner](https://api.stape.io/badge/k3v9x0m2ab.svg?theme=light)](https://api.stape.io/r/k3v9x0m2ab)"
    )]
    markdown: String,
}

/// Addresses of the badge's image.
#[derive(Debug, Serialize, ToSchema)]
pub struct BadgeUrls {
    /// For light pages.
    #[schema(format = "uri", example = "https://api.stape.io/badge/k3v9x0m2ab.svg?theme=light")]
    light: String,
    /// For dark pages.
    #[schema(format = "uri", example = "https://api.stape.io/badge/k3v9x0m2ab.svg?theme=dark")]
    dark: String,
}

impl Badge {
    /// The badge of a partner whose default link is `link`, on a server at `public_url`.
    #[must_use]
    pub fn new(public_url: &str, link: &ReferralLinkRow, standing: Standing) -> Self {
        let address = |theme: Theme| format!("{public_url}/badge/{}.svg?theme={theme}", link.code);
        let (light, dark, link_url) = (address(Theme::Light), address(Theme::Dark), link.url(public_url));
        let name = label(&standing);
        let html = format!(
            "<a href=\"{}\" target=\"_blank\" rel=\"noopener\"><picture>\
             <source media=\"(prefers-color-scheme: dark)\" srcset=\"{}\">\
             <img src=\"{}\" alt=\"{}\" width=\"{WIDTH}\" height=\"{HEIGHT}\"></picture></a>",
            escape(&link_url),
            escape(&dark),
            escape(&light),
            escape(&name)
        );
        let markdown = format!("[![{}]({light})]({link_url})", escape_markdown(&name));
        Self {
            level: standing.level,
            level_name: standing.level_name,
            urls: BadgeUrls { light, dark },
            link_url,
            html,
            markdown,
        }
    }
}

/// Text as Markdown shows it, whatever punctuation is in it; Markdown may hold HTML.
fn escape_markdown(text: &str) -> String {
    let escaped = escape(text);
    let letters = escaped.chars().flat_map(|letter| {
        let backslash = r"\`*_[]()!#|~".contains(letter).then_some('\\');
        backslash.into_iter().chain([letter])
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape_markdown("A](x) <b> & _c_"), r"A\]\(x\) &lt;b&gt; &amp; \_c\_");
    }
}
