//! What is decided before the upgrade: who shows which token where, and who gets in.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, RawQuery, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tidegate_protocol::shortened;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use uuid::Uuid;

use super::admission::Admission;
use super::connection::attend;
use super::guard::{Allowance, Guard, Leash};
use super::handshake::Handshake;
use super::session::{ClientKind, Verified};
use crate::app::App;
use crate::audit::EventKind;
use crate::auth::Peer;
use crate::auth::origin::Origin;
use crate::config::LimitsConfig;
use crate::http::ApiError;
use crate::refusal::Refusal;
use crate::transport::{Crowded, Wire};

/// Sockets are mostly idle: small buffers keep ten thousand of them cheap (the default is 128 KiB each).
const READ_BUFFER_BYTES: usize = 4 * 1_024;
/// Messages that are due together leave in writes of about this size.
const WRITE_BUFFER_BYTES: usize = 4 * 1_024;
/// What may wait inside the codec before a write counts as stuck.
const WRITE_BUFFER_MAX_BYTES: usize = 256 * 1_024;

/// Who finds no place on the node is asked to wait this long.
const NODE_FULL_RETRY_SECONDS: u64 = 5;

/// A browser that wants its token checked with the handshake offers a subprotocol of this name and the token,
/// beside the real one. It is never echoed.
const BEARER_SUBPROTOCOL: &str = "tidegate.bearer.";
/// The cookie of pages that keep their token in one.
const ACCESS_TOKEN_COOKIE: &str = "access_token";

/// `GET /ws`.
pub async fn any_user(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    handshake(app, peer, None, query.as_deref().unwrap_or_default(), request).await
}

/// `GET /ws/{user_id}`: the same, for that user only.
pub async fn one_user(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(user_id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    handshake(app, peer, Some(user_id), query.as_deref().unwrap_or_default(), request).await
}

async fn handshake(
    app: Arc<App>,
    peer: SocketAddr,
    only_user: Option<String>,
    query: &str,
    mut request: Request,
) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let handshake = match Handshake::read(&parts) {
        Ok(handshake) => handshake,
        Err(problem) => {
            app.metrics.handshake_refusals.inc("malformed");
            return problem.into_response();
        }
    };
    let (kind, headers) = (handshake.kind, &parts.headers);
    let peer = Peer::new(peer, headers);
    let origin = app.origins.judge(headers);
    if origin == Origin::Refused {
        let origin = headers.get(ORIGIN).map(|origin| shortened(&String::from_utf8_lossy(origin.as_bytes())));
        tracing::warn!(origin, "a page that is not on the list of origins tried to connect");
        app.metrics.refused(&Refusal::ForeignOrigin);
        app.audit.record(peer.refused(EventKind::OriginRefused, &origin.unwrap_or_default()));
        return ApiError::from(Refusal::ForeignOrigin).into_response();
    }
    if app.memory.is_short() {
        return refused(&app, &Refusal::MemoryShort);
    }
    let Ok(place) = Arc::clone(&app.connections).try_acquire_owned() else {
        return refused(&app, &Refusal::NodeFull);
    };
    let visit = match app.visitors.connect(peer.ip()) {
        Ok(visit) => visit,
        Err(Crowded { retry_after_ms }) => return refused(&app, &Refusal::Crowded { retry_after_ms }),
    };
    let mut admission = Admission::new(Uuid::now_v7(), kind, peer, only_user, place);
    admission.visit = Some(visit);
    let verdict = match Credentials::read(headers, query, origin, app.config.auth.query_tokens) {
        Ok(Credentials { token: None, .. }) => None,
        Ok(Credentials { token: Some(token), session }) => {
            app.tokens.fetch_missing_key(&token).await;
            Some(admission.admit(&app, &token, session).await)
        }
        Err(Refusal::ForeignOrigin) => return ApiError::from(Refusal::ForeignOrigin).into_response(),
        Err(refusal @ (Refusal::AmbiguousCredentials | Refusal::QueryToken)) => {
            return refused(&app, &refusal);
        }
        Err(refusal) => Some(Err(refusal)),
    };
    match &verdict {
        // A browser cannot see the status of a refused upgrade: a v1 client is told after it.
        Some(Err(refusal)) if kind == ClientKind::Plain => {
            app.metrics.authentication_failures.inc(refusal.label());
            return refused(&app, refusal);
        }
        _ => {}
    }
    app.metrics.upgrades.inc();
    tokio::spawn(take_over(app, upgrade, admission, verdict));
    handshake.accept()
}

/// Serves the WebSocket once the answer to its handshake is on the way.
async fn take_over(app: Arc<App>, upgrade: OnUpgrade, admission: Admission, verdict: Option<Verified>) {
    let leash = Arc::clone(&admission.leash);
    let Some(socket) = open(upgrade, &app.config.limits, leash).await else { return };
    let mut socket = attend(app, socket, admission, verdict).await;
    let _ = socket.get_mut().shutdown().await;
}

/// The socket of an accepted handshake, with its guard and its codec; none if the peer is gone.
pub async fn open(
    upgrade: OnUpgrade,
    limits: &LimitsConfig,
    leash: Arc<Leash>,
) -> Option<WebSocketStream<Guard>> {
    let allowance = Allowance::of_messages(limits.messages_per_minute, limits.max_message_bytes);
    let guard = match upgrade.await.map(Upgraded::downcast::<TokioIo<Wire>>) {
        Ok(Ok(parts)) => {
            let mut wire = parts.io.into_inner();
            wire.upgraded();
            Guard::new(wire, parts.read_buf, allowance, leash)
        }
        Err(error) => {
            tracing::debug!(%error, "an upgrade failed");
            return None;
        }
        Ok(Err(_)) => {
            tracing::error!("an upgraded socket is not one of this gateway's");
            return None;
        }
    };
    Some(WebSocketStream::from_raw_socket(guard, Role::Server, Some(codec(limits))).await)
}

/// The codec's buffers and limits.
fn codec(limits: &LimitsConfig) -> WebSocketConfig {
    let max_message_bytes = limits.max_message_bytes as usize;
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_MAX_BYTES.max(2 * max_message_bytes))
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes))
}

/// The credentials of a handshake.
#[derive(Debug, Default, PartialEq)]
struct Credentials {
    token: Option<String>,
    session: Option<Uuid>,
}

impl Credentials {
    /// Reads what a handshake shows, in any of the ways but the first message. The cookie, which browsers attach by
    /// themselves, counts only where nothing else does, and only from a page that may connect.
    fn read(headers: &HeaderMap, query: &str, origin: Origin, query_tokens: bool) -> Result<Self, Refusal> {
        let mut found = Self::default();
        let mut tokens = Vec::new();
        for value in headers.get_all(AUTHORIZATION) {
            let text = value.to_str().map_err(|_| Refusal::InvalidToken)?;
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            tokens.push(token.map(|(_, token)| token.trim().to_owned()).ok_or(Refusal::InvalidToken)?);
        }
        let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let offered = offered.flat_map(|value| value.split(',')).map(str::trim);
        tokens.extend(offered.filter_map(|name| name.strip_prefix(BEARER_SUBPROTOCOL)).map(str::to_owned));
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "token" if !query_tokens => return Err(Refusal::QueryToken),
                "token" => tokens.push(value.to_owned()),
                // An id that cannot be read names no connection, as one that is gone.
                "session" => found.session = value.parse().ok(),
                _ => {}
            }
        }
        if tokens.len() > 1 {
            return Err(Refusal::AmbiguousCredentials);
        }
        found.token = tokens.pop();
        if found.token.is_none()
            && let Some(token) = cookie(headers)
        {
            if origin != Origin::Allowed {
                return Err(Refusal::ForeignOrigin);
            }
            found.token = Some(token.to_owned());
        }
        Ok(found)
    }
}

/// The access token among the cookies.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == ACCESS_TOKEN_COOKIE).map(|(_, token)| token)
}

/// A refused upgrade. The body is plain text: existing clients match on it.
fn refused(app: &App, refusal: &Refusal) -> Response {
    app.metrics.refused(refusal);
    tracing::info!(code = %refusal.code(), "a WebSocket handshake was refused");
    let text = match refusal {
        Refusal::TokenExpired => Refusal::InvalidToken.text(),
        _ => refusal.text(),
    };
    let mut response = (refusal.status(), text).into_response();
    let retry_after_seconds = match refusal {
        Refusal::Crowded { retry_after_ms } => retry_after_ms.div_ceil(1_000),
        Refusal::NodeFull | Refusal::MemoryShort => NODE_FULL_RETRY_SECONDS,
        _ => return response,
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: axum::http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn read(pairs: &[(&str, &str)], query: &str) -> Result<Credentials, Refusal> {
        Credentials::read(&headers(pairs), query, Origin::Allowed, true)
    }

    const HEADER: (&str, &str) = ("authorization", "Bearer abc");
    const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "tidegate.v1, tidegate.bearer.abc");
    const KEPT: (&str, &str) = ("cookie", "a=b; access_token=abc; c=d");

    #[test]
    fn t_02_a_token_comes_in_any_one_of_four_ways() {
        assert_eq!(read(&[], "").unwrap(), Credentials::default());
        for (pairs, query) in [
            (&[HEADER][..], ""),
            (&[("authorization", "bearer abc")], "x=1"),
            (&[PROTOCOL], ""),
            (
                &[
                    ("sec-websocket-protocol", "tidegate.v1"),
                    ("sec-websocket-protocol", "tidegate.bearer.abc"),
                ],
                "",
            ),
            (&[], "x=1&token=abc"),
            (&[KEPT], ""),
        ] {
            assert_eq!(read(pairs, query).unwrap().token.as_deref(), Some("abc"), "{pairs:?} {query}");
        }
        assert_eq!(read(&[], "Token=abc").unwrap().token, None, "T-04");
        assert_eq!(read(&[("cookie", "xaccess_token=abc")], "").unwrap().token, None);
        assert_eq!(read(&[("authorization", "Basic abc")], ""), Err(Refusal::InvalidToken));
    }

    #[test]
    fn t_03_two_tokens_are_ambiguous_and_a_cookie_beside_one_is_ignored() {
        for (pairs, query) in [
            (&[HEADER][..], "token=abc"),
            (&[HEADER], "token=b"),
            (&[HEADER, HEADER], ""),
            (&[HEADER, PROTOCOL], ""),
            (&[PROTOCOL], "token=abc"),
            (&[], "token=a&token=b"),
        ] {
            assert_eq!(read(pairs, query), Err(Refusal::AmbiguousCredentials), "{pairs:?} {query}");
        }
        let beside = [("cookie", "access_token=other"), HEADER];
        assert_eq!(read(&beside, "").unwrap().token.as_deref(), Some("abc"));
    }

    #[test]
    fn t_06_a_cookie_counts_only_from_a_page_that_may_connect() {
        let read = |origin| Credentials::read(&headers(&[KEPT]), "", origin, true);
        assert!(read(Origin::Allowed).is_ok());
        assert_eq!(read(Origin::None), Err(Refusal::ForeignOrigin));
        let header = Credentials::read(&headers(&[KEPT, HEADER]), "", Origin::None, true);
        assert_eq!(header.unwrap().token.as_deref(), Some("abc"), "without a page, but with its own token");
    }

    #[test]
    fn tokens_in_the_url_can_be_switched_off() {
        let read = |query| Credentials::read(&HeaderMap::new(), query, Origin::None, false);
        assert_eq!(read("token=abc"), Err(Refusal::QueryToken));
        assert!(read("session=x").is_ok());
    }

    #[test]
    fn a_session_that_is_not_an_id_names_nobody() {
        let id = Uuid::now_v7();
        assert_eq!(read(&[], &format!("session={id}")).unwrap().session, Some(id));
        assert_eq!(read(&[], "session=..%2f").unwrap().session, None);
    }
}
