//! Which pages may open connections: browsers say where a page is from, and only they do.
//!
//! An origin is compared as a whole, byte for byte: scheme, host and port. There are no wildcards and no suffixes.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

use super::http::is_loopback;

/// What a handshake says of the page that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: it is no browser.
    None,
    /// A page that may connect.
    Allowed,
    /// A page that may not, or more than one.
    Refused,
}

/// The pages that may connect.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    allowed: Vec<String>,
    /// How the address of a page that the gateway serves itself begins.
    scheme: &'static str,
}

impl Origins {
    /// These origins, and that of the gateway's own page, which is served over `scheme`.
    #[must_use]
    pub fn new(allowed: &[String], public_url: &str, scheme: &'static str) -> Self {
        let own = public_url.parse::<Uri>().ok().and_then(|uri| origin_of(&uri));
        Self { allowed: allowed.iter().cloned().chain(own).collect(), scheme }
    }

    /// What the `Origin` of a handshake means. On loopback a page of the address that was asked for is the
    /// gateway's own, or one behind a development server; no other page can have such an address.
    #[must_use]
    pub fn judge(&self, headers: &HeaderMap) -> Origin {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return if headers.contains_key(ORIGIN) { Origin::Refused } else { Origin::None };
        };
        let Ok(origin) = origin.to_str() else { return Origin::Refused };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let page = origin.strip_prefix(self.scheme).and_then(|rest| rest.strip_prefix("://"));
        let own = host.is_some_and(|host| is_loopback(host) && page == Some(host));
        if own || self.allowed.iter().any(|allowed| allowed == origin) {
            Origin::Allowed
        } else {
            Origin::Refused
        }
    }
}

/// Whether a setting is an origin as browsers write it.
///
/// # Errors
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), String> {
    if text.contains('*') {
        return Err("there are no wildcards: name every origin".into());
    }
    let origin = text.parse::<Uri>().ok().and_then(|uri| origin_of(&uri));
    match origin {
        Some(origin) if origin == text => Ok(()),
        Some(origin) => Err(format!("a browser writes it as {origin}")),
        None => Err("write scheme, host and a port that is not the usual one: https://app.example".into()),
    }
}

/// Scheme, host and a port that is not the scheme's own, in lower case, as browsers send it.
fn origin_of(uri: &Uri) -> Option<String> {
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().to_ascii_lowercase();
    match authority.port_u16().filter(|port| *port != usual) {
        Some(port) => Some(format!("{scheme}://{host}:{port}")),
        None => Some(format!("{scheme}://{host}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(origins: &[&str], host: &str) -> Origin {
        let allowed = ["https://app.example".to_owned(), "http://dev.example:3000".to_owned()];
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for origin in origins {
            headers.append(ORIGIN, axum::http::HeaderValue::from_bytes(origin.as_bytes()).unwrap());
        }
        Origins::new(&allowed, "https://signals.example/page", "http").judge(&headers)
    }

    #[test]
    fn t_05_only_the_very_origin_is_allowed() {
        assert_eq!(judge(&[], "signals.example"), Origin::None);
        for origin in ["https://app.example", "http://dev.example:3000", "https://signals.example"] {
            assert_eq!(judge(&[origin], "signals.example"), Origin::Allowed, "{origin}");
        }
        for origin in [
            "null",
            "",
            "*",
            "https://evil-app.example",
            "https://app.example.evil.example",
            "https://app.example/",
            "https://app.example:443",
            "https://app.example:8443",
            "http://app.example",
            "https://APP.example",
            "https://app.example.",
            "https://user@app.example",
            "https://xn--app-example",
            "https://аpp.example",
            "http://dev.example",
            "http://dev.example:30000",
        ] {
            assert_eq!(judge(&[origin], "signals.example"), Origin::Refused, "{origin}");
        }
        let twice = ["https://app.example", "https://app.example"];
        assert_eq!(judge(&twice, "signals.example"), Origin::Refused);
    }

    #[test]
    fn on_loopback_the_address_that_was_asked_for_is_the_gateways_own() {
        assert_eq!(judge(&["http://localhost:5173"], "localhost:5173"), Origin::Allowed);
        assert_eq!(judge(&["http://127.0.0.1:8080"], "127.0.0.1:8080"), Origin::Allowed);
        assert_eq!(judge(&["http://localhost:5173"], "localhost:8080"), Origin::Refused);
        assert_eq!(judge(&["https://localhost:5173"], "localhost:5173"), Origin::Refused);
        // A name that somebody else's DNS points here.
        assert_eq!(judge(&["http://evil.example:8080"], "evil.example:8080"), Origin::Refused);
    }

    #[test]
    fn a_setting_is_an_origin_as_browsers_write_it() {
        for good in ["https://app.example", "http://localhost:3000", "http://[::1]:3000"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("*", "no wildcards"),
            ("https://*.app.example", "no wildcards"),
            ("https://app.example/", "https://app.example"),
            ("https://App.example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("app.example", "write scheme"),
            ("ws://app.example", "write scheme"),
            ("https://user@app.example", "write scheme"),
        ] {
            assert!(check(bad).unwrap_err().contains(reason), "{bad}");
        }
    }
}
