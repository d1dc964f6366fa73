//! Whether a request is a WebSocket handshake (RFC 6455, 4.2.1), and the answer to one.

use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegate_protocol::SUBPROTOCOL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::session::ClientKind;

/// The only version there is.
const VERSION: &str = "13";

/// A handshake that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Handshake {
    accept: HeaderValue,
    /// What kind of client asks.
    pub kind: ClientKind,
}

/// Why a request is no handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHandshake {
    /// It is no GET.
    Method,
    /// It is older than HTTP/1.1.
    Http10,
    /// `Connection` does not list an upgrade.
    Connection,
    /// `Upgrade` does not name a WebSocket.
    Upgrade,
    /// Another version than the only one.
    Version,
    /// No key, or one that is not 16 bytes.
    Key,
}

impl Handshake {
    /// Reads a request.
    ///
    /// # Errors
    /// Why it is no handshake.
    pub fn read(parts: &Parts) -> Result<Self, NoHandshake> {
        let headers = &parts.headers;
        if parts.method != Method::GET {
            return Err(NoHandshake::Method);
        }
        if parts.version < Version::HTTP_11 {
            return Err(NoHandshake::Http10);
        }
        if !lists(headers, &CONNECTION, "upgrade") {
            return Err(NoHandshake::Connection);
        }
        if !lists(headers, &UPGRADE, "websocket") {
            return Err(NoHandshake::Upgrade);
        }
        if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            return Err(NoHandshake::Version);
        }
        let key = only(headers, &SEC_WEBSOCKET_KEY).ok_or(NoHandshake::Key)?;
        if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
            return Err(NoHandshake::Key);
        }
        let accept = derive_accept_key(key.as_bytes());
        let v1 = items(headers, &SEC_WEBSOCKET_PROTOCOL).any(|name| name == SUBPROTOCOL);
        Ok(Self {
            accept: accept.try_into().expect("base64 is a header value"),
            kind: if v1 { ClientKind::V1 } else { ClientKind::Plain },
        })
    }

    /// The answer with which the socket becomes a WebSocket.
    #[must_use]
    pub fn accept(self) -> Response {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.kind == ClientKind::V1 {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        response
    }
}

impl IntoResponse for NoHandshake {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET"),
            Self::Http10 => (StatusCode::UPGRADE_REQUIRED, "a WebSocket handshake is HTTP/1.1"),
            Self::Connection => (StatusCode::BAD_REQUEST, "this is a WebSocket: send `Connection: Upgrade`"),
            Self::Upgrade => (StatusCode::BAD_REQUEST, "this is a WebSocket: send `Upgrade: websocket`"),
            Self::Version => (StatusCode::UPGRADE_REQUIRED, "`Sec-WebSocket-Version` must be 13"),
            Self::Key => (StatusCode::BAD_REQUEST, "`Sec-WebSocket-Key` must be 16 bytes in base64"),
        };
        let mut response = (status, text).into_response();
        if status == StatusCode::UPGRADE_REQUIRED {
            let headers = response.headers_mut();
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        response
    }
}

/// Whether one of the names in a list of them is this one, however it is written.
fn lists(headers: &HeaderMap, header: &HeaderName, name: &str) -> bool {
    items(headers, header).any(|item| item.eq_ignore_ascii_case(name))
}

fn items<'a>(headers: &'a HeaderMap, header: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The value of a header that may come once.
fn only<'a>(headers: &'a HeaderMap, header: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(header).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// The good handshake, with one header in another way, or left out.
    fn read(name: &str, values: &[&str]) -> Result<Handshake, NoHandshake> {
        let mut request = Request::builder().uri("/ws");
        for (header, value) in GOOD.iter().filter(|(header, _)| *header != name) {
            request = request.header(*header, *value);
        }
        for value in values {
            request = request.header(name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Handshake::read(&parts)
    }

    #[test]
    fn t_08_a_handshake_is_exactly_what_the_rfc_says() {
        use NoHandshake::{Connection, Key, Upgrade, Version};
        for (name, values, expected) in [
            ("connection", &[][..], Connection),
            ("connection", &["close"], Connection),
            ("upgrade", &["h2c"], Upgrade),
            ("sec-websocket-version", &[], Version),
            ("sec-websocket-version", &["8"], Version),
            ("sec-websocket-version", &["12"], Version),
            ("sec-websocket-version", &["13", "13"], Version),
            ("sec-websocket-key", &[], Key),
            ("sec-websocket-key", &["test"], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZSE="], Key),
        ] {
            assert_eq!(read(name, values), Err(expected), "{name} {values:?}");
        }
    }

    #[test]
    fn the_answer_proves_that_the_key_was_read_and_names_the_subprotocol_once_asked_for() {
        let plain = read("x", &[]).unwrap();
        assert_eq!(plain.kind, ClientKind::Plain);
        let response = plain.accept();
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
        let v1 = read("sec-websocket-protocol", &["other, tidegate.v1"]).unwrap();
        assert_eq!(v1.accept().headers()["sec-websocket-protocol"], "tidegate.v1");
    }
}
