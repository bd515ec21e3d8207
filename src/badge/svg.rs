//! The picture: a company's mark, the level, and what it means. Drawn from constants and one escaped text; no script, no font
//! and no image from elsewhere. A reader that shows no pictures finds its title and description.

use super::Standing;
use crate::html::escape;

/// Pixels.
pub const WIDTH: u32 = 248;
/// Pixels.
pub const HEIGHT: u32 = 72;

/// Pixels that the upper line takes, whatever font draws it.
const KICKER_WIDTH: u32 = 158;

/// Pixels that the level's name may take.
const NAME_WIDTH: u32 = 130;
const NAME_SIZE: u32 = 22;

/// Most letters of a level's name that are drawn; the title has all of it.
const MAX_NAME_CHARS: usize = 24;

crate::text_enum! {
    /// What a badge stands on.
    pub enum Theme {
        /// A light page.
        Light = "light",
        /// A dark page.
        Dark = "dark",
    }
}

struct Colours {
    ground: [&'static str; 2],
    border: &'static str,
    text: &'static str,
    quiet: &'static str,
    accent: &'static str,
    empty: &'static str,
}

const LIGHT: Colours = Colours {
    ground: ["#ffffff", "#f6f8fb"],
    border: "#d5dce6",
    text: "#10203a",
    quiet: "#5a6880",
    accent: "#c2410c",
    empty: "#d9e0ea",
};

const DARK: Colours = Colours {
    ground: ["#16233a", "#0d1627"],
    border: "#33435f",
    text: "#f8fafc",
    quiet: "#a9b6cb",
    accent: "#fb923c",
    empty: "#3a4963",
};

/// What the badge says, for those who cannot see it.
#[must_use]
pub fn label(standing: &Standing) -> String {
    match standing.level_name.as_str() {
        "Partner" => "Stape Partner".to_owned(),
        name => format!("Stape {name} Partner"),
    }
}

/// The badge of a partner.
#[must_use]
pub fn draw(standing: &Standing, theme: Theme) -> String {
    let colours = match theme {
        Theme::Light => LIGHT,
        Theme::Dark => DARK,
    };
    let Colours { ground: [above, below], border, text, quiet, .. } = colours;
    let (label, name) = (escape(&label(standing)), escape(&shortened(&standing.level_name)));
    let description =
        escape(&format!("Level {} of the Stape partner program: {}", standing.level, standing.level_name));
    let (mark, steps, size) = (mark(), steps(standing.level, &colours), name_size(&standing.level_name));
    let (right, bottom) = (WIDTH - 1, HEIGHT - 1);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title description">
<title id="title">{label}</title>
<desc id="description">{description}</desc>
<defs>
<linearGradient id="ground" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="{above}"/><stop offset="1" stop-color="{below}"/></linearGradient>
<linearGradient id="mark" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="#ff8a3d"/><stop offset="1" stop-color="#e0480f"/></linearGradient>
</defs>
<rect x="0.5" y="0.5" width="{right}" height="{bottom}" rx="11.5" fill="url(#ground)" stroke="{border}"/>
{mark}
<g font-family="-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif">
<text x="73" y="27" font-size="10" font-weight="600" textLength="{KICKER_WIDTH}" lengthAdjust="spacingAndGlyphs" fill="{quiet}">STAPE PARTNER PROGRAM</text>
<text x="72" y="52" font-size="{size}" font-weight="700" fill="{text}">{name}</text>
</g>
{steps}
</svg>
"##
    )
}

/// A rounded square with three bars that rise: requests that arrive.
fn mark() -> &'static str {
    r##"<rect x="12" y="12" width="48" height="48" rx="12" fill="url(#mark)"/>
<g fill="none" stroke="#ffffff" stroke-width="4.5" stroke-linecap="round">
<path d="M24 45.5h24"/>
<path d="M24 36h16" opacity="0.85"/>
<path d="M24 26.5h8" opacity="0.7"/>
<path d="M42.5 30.5l5.5-5.5m0 0v6.5m0-6.5h-6.5" stroke-width="3.5" stroke-linejoin="round"/>
</g>"##
}

/// One step per level up to three, the reached ones filled.
fn steps(level: i32, colours: &Colours) -> String {
    let step = |(index, x): (i32, u32)| {
        let (height, fill) = (6 + 5 * index, if index < level { colours.accent } else { colours.empty });
        format!(r#"<rect x="{x}" y="{}" width="6" height="{height}" rx="2" fill="{fill}"/>"#, 52 - height)
    };
    (0..).zip([209_u32, 217, 225]).map(step).collect()
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default().trim_end()),
        None => name.to_owned(),
    }
}

/// Letters are at most about 0.7 of their size wide: long names are drawn smaller.
fn name_size(name: &str) -> u32 {
    let letters = u32::try_from(name.chars().count().min(MAX_NAME_CHARS + 1)).unwrap_or(1).max(1);
    (NAME_WIDTH * 10 / (letters * 7)).clamp(7, NAME_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(level: i32, name: &str) -> Standing {
        Standing { level, level_name: name.to_owned() }
    }

    #[test]
    fn a_level_is_named_once() {
        assert_eq!(label(&standing(1, "Partner")), "Stape Partner");
        assert_eq!(label(&standing(3, "Elite")), "Stape Elite Partner");
    }

    #[test]
    fn the_picture_loads_nothing_and_runs_nothing() {
        for theme in Theme::ALL {
            let drawn = draw(&standing(2, "<script>alert(1)</script> & \"friends\""), *theme);
            for word in ["<script", "href", "url(http", "<image", "<style", "onload"] {
                assert!(!drawn.contains(word), "{word} in {drawn}");
            }
            assert!(drawn.contains("role=\"img\"") && drawn.contains("<title id=") && drawn.contains("<desc id="));
        }
    }

    #[test]
    fn long_names_fit() {
        assert_eq!(shortened("Elite"), "Elite");
        assert_eq!(shortened(&"x".repeat(30)), format!("{}…", "x".repeat(24)));
        assert_eq!((name_size("Elite"), name_size(&"x".repeat(100))), (22, 7));
    }
}
