//! The network address of a client: the connection's, or where a trusted proxy holds it, the one that the proxy names.
//!
//! Owns who is believed and what is a limit's key. An address that anybody may invent is never taken: of the hops that a
//! request names, the last one counts that no trusted proxy is.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};

use crate::config::TrustedProxies;
use crate::state::AppState;

/// The client of a request as the key of a limit: an IPv6 network of 64 bits counts as one, for a client has them all.
#[must_use]
pub fn client_key(app: &AppState, request: &HttpRequest) -> String {
    client(&app.trusted_proxies, request.peer_addr(), request.headers()).map(key).unwrap_or_default()
}

fn client(trusted: &TrustedProxies, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let mut nearest = peer?.ip().to_canonical();
    if !trusted.contains(nearest) {
        return Some(nearest);
    }
    let named = hops(headers);
    for hop in named.iter().rev() {
        // Behind what cannot be read nothing is known: the proxy that wrote it stands for its client.
        let Some(address) = address_of(hop) else { break };
        nearest = address;
        if !trusted.contains(nearest) {
            break;
        }
    }
    Some(nearest)
}

/// The hops that the proxies name, the client's first. `Forwarded` counts where there is no `X-Forwarded-For`.
fn hops(headers: &HeaderMap) -> Vec<String> {
    let listed = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).map(|value| value.to_str().unwrap_or_default());
        values.flat_map(|value| value.split(',')).map(|hop| hop.trim().to_owned()).collect()
    };
    if headers.contains_key(X_FORWARDED_FOR) {
        return listed(&X_FORWARDED_FOR);
    }
    let for_whom = |element: String| {
        let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut named = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
        named.next().map(|(_, value)| value.trim_matches('"').to_owned()).unwrap_or_default()
    };
    listed(&FORWARDED).into_iter().map(for_whom).collect()
}

/// An address with or without a port, an IPv6 one in brackets or bare.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

fn key(address: IpAddr) -> String {
    match address {
        IpAddr::V6(ip) => ip.segments().iter().take(4).fold(String::new(), |mut network, segment| {
            // Writing to a String cannot fail.
            write!(network, "{segment:x}:").ok();
            network
        }),
        IpAddr::V4(ip) => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn seen(trusted: &str, peer: &str, sent: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        key(client(&trusted.parse().unwrap(), Some(peer.parse().unwrap()), &headers).unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let key = |peer: &str| seen("", peer, &[]);
        assert_eq!(key("[2001:db8:1:2:3::4]:1"), key("[2001:db8:1:2:ffff::]:2"));
        assert_ne!(key("[2001:db8:1:2::1]:1"), key("[2001:db8:1:3::1]:1"));
        assert_eq!(key("[::ffff:10.0.0.1]:1"), key("10.0.0.1:2"));
    }

    #[test]
    fn nobody_but_a_trusted_proxy_names_a_client() {
        let named = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(seen("", "198.51.100.1:1", &named), "198.51.100.1");
        assert_eq!(seen("10.0.0.0/8,203.0.113.7", "198.51.100.1:1", &named), "198.51.100.1");
        assert_eq!(seen("10.0.0.0/8,203.0.113.7", "203.0.113.7:1", &named), "192.0.2.1");
        assert_eq!(seen("10.0.0.0/8", "[::ffff:10.1.2.3]:1", &named), "192.0.2.1");
    }

    #[test]
    fn the_last_hop_counts_that_no_trusted_proxy_is() {
        let through = |named: &str| seen("10.0.0.0/8", "10.0.0.1:1", &[("x-forwarded-for", named)]);
        assert_eq!(through("203.0.113.9, 192.0.2.1, 10.0.0.2"), "192.0.2.1");
        assert_eq!(through("203.0.113.9,192.0.2.1"), "192.0.2.1");
        assert_eq!(through("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(through("192.0.2.1:4711"), "192.0.2.1");
        assert_eq!(through("2001:db8:1:2::1"), "2001:db8:1:2:");
        let lines = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "192.0.2.1, 10.0.0.2")];
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1:1", &lines), "192.0.2.1");
    }

    #[test]
    fn what_cannot_be_read_leaves_the_proxy_that_wrote_it() {
        for named in ["", "unknown", "192.0.2.1, unknown", "192.0.2.1, ", "192.0.2.1, _hidden", "a b"] {
            assert_eq!(seen("10.0.0.0/8", "10.0.0.1:1", &[("x-forwarded-for", named)]), "10.0.0.1", "{named}");
        }
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1:1", &[("x-forwarded-for", "unknown, 10.0.0.2")]), "10.0.0.2");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1:1", &[]), "10.0.0.1");
    }

    #[test]
    fn forwarded_is_read_where_there_is_no_older_header() {
        let through = |named: &str| seen("10.0.0.0/8", "10.0.0.1:1", &[("forwarded", named)]);
        assert_eq!(through("for=203.0.113.9, For=\"192.0.2.1:80\";proto=https;by=10.0.0.1, for=10.0.0.2"), "192.0.2.1");
        assert_eq!(through("proto=https;for=\"[2001:db8:1:2::1]:4711\""), "2001:db8:1:2:");
        assert_eq!(through("for=\"[2001:db8:1:2::1]\""), "2001:db8:1:2:");
        assert_eq!(through("proto=https"), "10.0.0.1");
        let both = [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1:1", &both), "192.0.2.1");
    }
}
