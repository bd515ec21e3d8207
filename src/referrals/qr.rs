//! The QR code of a link's address as SVG, which says of itself what it is.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

use crate::error::{Error, Result};
use crate::html::escape;

/// Pixels of one module; the picture scales without loss.
const MODULE_PIXELS: u32 = 8;

/// The QR code of `url` as an SVG image with a title.
///
/// # Errors
/// An address that is too long for a QR code, which no public URL is.
pub fn svg(url: &str) -> Result<String> {
    // Level M still reads with 15 % of the picture covered or worn off.
    let code = QrCode::with_error_correction_level(url, EcLevel::M).map_err(Error::internal)?;
    let drawn = code
        .render::<svg::Color>()
        .module_dimensions(MODULE_PIXELS, MODULE_PIXELS)
        .dark_color(svg::Color("#0b1f33"))
        .light_color(svg::Color("#ffffff"))
        .build();
    let (head, body) = drawn.split_once("<rect").ok_or_else(|| Error::internal("a QR code without a ground"))?;
    let head = head.replacen("<svg ", "<svg role=\"img\" aria-labelledby=\"title\" ", 1);
    Ok(format!("{head}<title id=\"title\">QR code of {}</title><rect{body}", escape(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_what_it_is() {
        let drawn = svg("https://api.example/r/abcd?a=1&b=2").unwrap();
        assert!(drawn.contains("<svg role=\"img\" aria-labelledby=\"title\" xmlns="), "{drawn}");
        assert!(drawn.contains("<title id=\"title\">QR code of https://api.example/r/abcd?a=1&amp;b=2</title>"));
        assert!(drawn.contains("<path") && drawn.ends_with("</svg>"));
    }
}
