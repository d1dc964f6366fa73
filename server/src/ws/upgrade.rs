//! What is decided before the upgrade: who shows which token where, and who gets in.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tidegate_protocol::SUBPROTOCOL;
use uuid::Uuid;

use super::connection::{Admission, Connection};
use super::session::ClientKind;
use crate::app::App;
use crate::auth::token::TokenRefused;
use crate::clock::wall_ms;
use crate::refusal::Refusal;

/// Sockets are mostly idle: small buffers keep ten thousand of them cheap (the default is 128 KiB each).
const READ_BUFFER_BYTES: usize = 4 * 1_024;
/// What may wait inside the codec before a write counts as stuck.
const WRITE_BUFFER_MAX_BYTES: usize = 256 * 1_024;
/// Messages of at least this size are read whole, so that one over the limit gets a proper answer and close code.
const CODEC_MESSAGE_MAX_BYTES: usize = 1_024 * 1_024;

/// `GET /ws`.
pub async fn any_user(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    handshake(app, None, query.as_deref().unwrap_or_default(), &headers, upgrade)
}

/// `GET /ws/{user_id}`: the same, for that user only.
pub async fn one_user(
    State(app): State<Arc<App>>,
    Path(user_id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    handshake(app, Some(user_id), query.as_deref().unwrap_or_default(), &headers, upgrade)
}

fn handshake(
    app: Arc<App>,
    only_user: Option<String>,
    query: &str,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    let kind = if upgrade.selected_protocol().is_some() { ClientKind::V1 } else { ClientKind::Plain };
    let Ok(place) = Arc::clone(&app.connections).try_acquire_owned() else {
        return refused(&Refusal::NodeFull);
    };
    let mut admission = Admission::new(Uuid::now_v7(), only_user, place);
    let verdict = match Credentials::read(headers, query) {
        Ok(Credentials { token, session }) => token.map(|token| admission.admit(&app, &token, session)),
        Err(Refusal::AmbiguousCredentials) => return refused(&Refusal::AmbiguousCredentials),
        Err(refusal) => Some(Err(refusal)),
    };
    match &verdict {
        // A browser cannot see the status of a refused upgrade: a v1 client is told after it.
        Some(Err(refusal)) if kind == ClientKind::Plain => return refused(refusal),
        _ => {}
    }
    let max_message_bytes = CODEC_MESSAGE_MAX_BYTES.max(app.config.limits.max_message_bytes as usize);
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX_BYTES)
        .max_message_size(max_message_bytes)
        .max_frame_size(max_message_bytes)
        .on_upgrade(move |socket| Connection::new(app, socket, kind, admission).run(verdict))
}

/// The credentials of a handshake.
#[derive(Debug, Default, PartialEq)]
struct Credentials {
    token: Option<String>,
    session: Option<Uuid>,
}

impl Credentials {
    fn read(headers: &HeaderMap, query: &str) -> Result<Self, Refusal> {
        let mut found = Self::default();
        let mut tokens = Vec::new();
        for value in headers.get_all(AUTHORIZATION) {
            let text = value.to_str().map_err(|_| Refusal::InvalidToken)?;
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            tokens.push(token.map(|(_, token)| token.trim().to_owned()).ok_or(Refusal::InvalidToken)?);
        }
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
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
        Ok(found)
    }
}

impl Admission {
    /// Checks a token and takes a place for its user.
    pub(super) fn admit(
        &mut self,
        app: &App,
        token: &str,
        replaces: Option<Uuid>,
    ) -> Result<crate::auth::Identity, Refusal> {
        let identity = app.tokens.verify(token, wall_ms()).map_err(|refused| match refused {
            TokenRefused::Expired => Refusal::TokenExpired,
            TokenRefused::Invalid => Refusal::InvalidToken,
        })?;
        // Of a connection that is live already, the session compares users.
        if self.permit.is_none()
            && self.only_user.as_deref().is_some_and(|user_id| user_id != &*identity.user_id)
        {
            return Err(Refusal::ForeignPath);
        }
        if self.permit.is_none() {
            let permit =
                app.permits.acquire(&identity.user_id, self.session_id, self.notices.clone(), replaces);
            let limit = app.rules.limits.connections_per_user;
            self.permit = Some(permit.map_err(|_| Refusal::ConnectionLimit(limit))?);
        }
        Ok(identity)
    }
}

/// A refused upgrade. The body is plain text: existing clients match on it.
fn refused(refusal: &Refusal) -> Response {
    tracing::info!(code = %refusal.code(), "a WebSocket handshake was refused");
    let text = match refusal {
        Refusal::TokenExpired => Refusal::InvalidToken.text(),
        _ => refusal.text(),
    };
    let status =
        if *refusal == Refusal::AmbiguousCredentials { StatusCode::BAD_REQUEST } else { refusal.status() };
    (status, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(authorization: &[&str], query: &str) -> Result<Credentials, Refusal> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        Credentials::read(&headers, query)
    }

    #[test]
    fn a_token_comes_in_the_header_or_in_the_query_but_not_in_both() {
        assert_eq!(read(&[], "").unwrap(), Credentials::default());
        assert_eq!(read(&["Bearer abc"], "").unwrap().token.as_deref(), Some("abc"));
        assert_eq!(read(&["bearer abc"], "x=1").unwrap().token.as_deref(), Some("abc"));
        assert_eq!(read(&[], "x=1&token=abc").unwrap().token.as_deref(), Some("abc"));
        assert_eq!(read(&[], "Token=abc").unwrap().token, None);
        for (headers, query) in [
            (&["Bearer a"][..], "token=a"),
            (&["Bearer a"], "token=b"),
            (&["Bearer a", "Bearer b"], ""),
            (&[], "token=a&token=b"),
        ] {
            assert_eq!(read(headers, query), Err(Refusal::AmbiguousCredentials));
        }
        assert_eq!(read(&["Basic abc"], ""), Err(Refusal::InvalidToken));
    }

    #[test]
    fn a_session_that_is_not_an_id_names_nobody() {
        let id = Uuid::now_v7();
        assert_eq!(read(&[], &format!("session={id}")).unwrap().session, Some(id));
        assert_eq!(read(&[], "session=..%2f").unwrap().session, None);
    }
}
