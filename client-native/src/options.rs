//! What a program decides when it connects: where to, and who vouches for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tidegate_protocol::SUBPROTOCOL;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Updates that a slow reader of a feed may be behind before the oldest are dropped.
const BUFFER: usize = 64;

/// What a program decides when it connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server, such as `ws://127.0.0.1:8080/ws`; `wss://` with the feature `tls`.
    pub url: String,
    /// Where tokens come from.
    pub token: TokenSource,
    /// Updates that a slow reader of a feed may be behind before the oldest are dropped, which it sees as
    /// [`Update::Lagged`](crate::Update::Lagged). At least 1, default 64, rounded up to a power of two.
    pub buffer: usize,
    /// How long a feed is kept after its last [`Subscription`](crate::Subscription) is gone. Default 3 s.
    pub linger: Duration,
}

impl Options {
    /// The defaults, for this server.
    pub fn new(url: impl Into<String>, token: TokenSource) -> Self {
        Self { url: url.into(), token, buffer: BUFFER, linger: Duration::from_secs(3) }
    }

    /// The request of the WebSocket handshake. The token is not in it: it is sent in the first message, so
    /// that it is in no log of a proxy.
    pub(crate) fn request(&self) -> Result<Request, InvalidUrl> {
        let invalid = |problem: String| InvalidUrl { url: without_secrets(&self.url), problem };
        let request = self.url.as_str().into_client_request();
        let mut request = request.map_err(|error| invalid(error.to_string()))?;
        match request.uri().scheme_str() {
            Some("ws") => {}
            Some("wss") if cfg!(feature = "tls") => {}
            Some("wss") => return Err(invalid("wss needs the feature `tls` of this crate".into())),
            _ => return Err(invalid("use ws:// or wss://".into())),
        }
        let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
        Ok(request)
    }
}

/// An address as it may be shown: without a query and without credentials, where somebody may have put a token.
fn without_secrets(url: &str) -> String {
    let (address, query) = url.split_once(['?', '#']).map_or((url, ""), |(address, _)| (address, "?…"));
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}/{path}{query}"),
        None => format!("{address}{query}"),
    }
}

/// The URL is not one of a WebSocket server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to {url}: {problem}")]
pub struct InvalidUrl {
    /// What was given, without its query and without credentials: a token may be in it.
    pub url: String,
    /// What is wrong with it.
    pub problem: String,
}

/// An access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The JWT.
    pub text: String,
    /// How long it lasts, if that is known; the server says so itself once it is connected.
    pub expires_in: Option<Duration>,
}

/// Hides the token: it may end up in a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("text", &"…").field("expires_in", &self.expires_in).finish()
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Asking again cannot help before somebody signs in: the client blocks.
    #[error("no token to be had: {0}")]
    Denied(String),
    /// Asked again later.
    #[error("no token right now: {0}")]
    Unavailable(String),
}

pub(crate) type TokenFuture = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;

/// Where tokens come from.
#[derive(Clone)]
pub struct TokenSource {
    fetch: Arc<dyn Fn() -> TokenFuture + Send + Sync>,
}

impl TokenSource {
    /// A callback, called whenever a fresh token is needed: before connecting, some time before the old one
    /// expires, and after the server refused one. Never called twice at a time; an answer that takes longer
    /// than 10 seconds is not waited for.
    pub fn new<F, Answer>(fetch: F) -> Self
    where
        F: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Token, TokenError>> + Send + 'static,
    {
        Self { fetch: Arc::new(move || Box::pin(fetch())) }
    }

    /// One token, which cannot be renewed: once it has expired, the client reports
    /// [`Warning::TokenNotFresh`](crate::Warning::TokenNotFresh) and stays disconnected.
    pub fn fixed(token: impl Into<String>) -> Self {
        let token = Token { text: token.into(), expires_in: None };
        Self::new(move || std::future::ready(Ok(token.clone())))
    }

    pub(crate) fn fetch(&self) -> TokenFuture {
        (self.fetch)()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> Result<Request, InvalidUrl> {
        Options::new(url, TokenSource::fixed("t")).request()
    }

    #[test]
    fn the_subprotocol_is_offered_and_the_token_is_not_in_the_request() {
        let request = Options::new("ws://localhost:8080/ws", TokenSource::fixed("secret")).request().unwrap();
        assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "tidegate.v1");
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn an_error_shows_no_token_that_was_put_into_the_url() {
        for url in ["http://host/ws?token=eyJ", "http://eyJ@host/ws", "http://a:eyJ@host", "x?eyJ", "#eyJ"] {
            let error = request(url).unwrap_err().to_string();
            assert!(!error.contains("eyJ"), "{error}");
        }
        assert_eq!(request("http://host/ws").unwrap_err().url, "http://host/ws");
    }

    #[test]
    fn a_url_that_is_none_of_a_websocket_is_refused_with_the_reason() {
        for url in ["", "localhost:8080", "http://localhost/ws", "ws://", "not a url"] {
            assert!(request(url).is_err(), "{url}");
        }
        let secure = request("wss://example.org/ws");
        assert_eq!(secure.is_ok(), cfg!(feature = "tls"), "{secure:?}");
    }
}
