//! The values that settings have, parsed and checked.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use ipnet::IpNet;
use url::{ParseError, Url};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// How many requests one credential may make in a window, as a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// No limits at all, also not on sign-in, sign-up, resets, creating and attaching.
    Off,
    /// So many requests in so many seconds.
    Limited {
        /// The bucket's size.
        requests: NonZeroU32,
        /// Seconds in which an empty bucket fills.
        window_s: NonZeroU32,
    },
}

impl Default for RateLimit {
    /// 6000 requests in 60 seconds.
    fn default() -> Self {
        let (requests, window_s) = (NonZeroU32::MIN.saturating_add(5_999), NonZeroU32::MIN.saturating_add(59));
        Self::Limited { requests, window_s }
    }
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.split_once('/')
            .and_then(|(requests, window)| {
                Some(Self::Limited { requests: requests.parse().ok()?, window_s: window.parse().ok()? })
            })
            .ok_or_else(|| "must be <requests>/<seconds>, such as 6000/60, or off".to_owned())
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::Limited { requests, window_s } => write!(formatter, "{requests}/{window_s}"),
        }
    }
}

/// Under which address clients reach the server: scheme, host, perhaps a path, no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address, to which paths are appended.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = web_address(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must have neither a query nor a fragment".to_owned());
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

/// An origin as browsers send it: `https://app.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Scheme, host and port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = web_address(text.trim())?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must be an origin: scheme, host and port alone".to_owned());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

/// Proxies that are believed when they name their clients: addresses and networks, comma-separated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether the proxy at this address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| {
            let network = part.parse().or_else(|_| part.parse().map(|address: IpAddr| IpNet::from(address)));
            network.map_err(|_| format!("{part} is neither an address nor a network, such as 10.0.0.7 or 10.0.0.0/8"))
        };
        let listed = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        listed.map(parse).collect::<Result<_, _>>().map(Self)
    }
}

fn web_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => "must be a URL, such as https://app.example.com".to_owned(),
        other => format!("must be a URL: {other}"),
    })?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err("must be an http or https URL without credentials".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_requests_per_seconds_or_off() {
        assert_eq!("off".parse(), Ok(RateLimit::Off));
        assert_eq!("6000/60".parse(), Ok(RateLimit::default()));
        for wrong in ["", "0/60", "60", "1/0", "-1/60", "1/2/3", "Off"] {
            assert!(wrong.parse::<RateLimit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_url_loses_its_last_slash() {
        assert_eq!("https://api.example.com/".parse::<PublicUrl>().unwrap().as_str(), "https://api.example.com");
        assert_eq!("https://example.com/api/".parse::<PublicUrl>().unwrap().as_str(), "https://example.com/api");
        for wrong in ["example.com", "ftp://example.com", "https://u:p@example.com", "https://example.com/?a=b"] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_an_address_or_a_network() {
        let trusted: TrustedProxies = "10.0.0.0/8, 192.0.2.7,, 2001:db8::/32".parse().unwrap();
        let contains = |text: &str| trusted.contains(text.parse().unwrap());
        assert!(["10.255.0.1", "192.0.2.7", "2001:db8:1::1"].iter().all(|address| contains(address)));
        assert!(!["11.0.0.1", "192.0.2.8", "2001:db9::1"].iter().any(|address| contains(address)));
        assert_eq!("".parse(), Ok(TrustedProxies::default()));
        for wrong in ["proxy.example.com", "10.0.0.0/33", "10.0.0", "*", "10.0.0.1:80"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!("https://App.example.com:443/".parse::<Origin>().unwrap().as_str(), "https://app.example.com");
        assert_eq!("http://localhost:3000".parse::<Origin>().unwrap().as_str(), "http://localhost:3000");
        assert!("https://example.com/app".parse::<Origin>().is_err());
        assert!("*".parse::<Origin>().is_err());
    }
}
