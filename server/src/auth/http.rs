//! Signing in over HTTP: a challenge to sign, and a token for the signature.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use alloy_primitives::Address;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_protocol::ErrorCode;

use super::Peer;
use super::challenge::AnswerRefused;
use super::wallet::{masked, parse_address};
use crate::app::App;
use crate::audit::{EventKind, Level};
use crate::clock::{iso, wall_ms};
use crate::http::{ApiError, Body};
use crate::store::{Issued, RotateRefused, StoreError};

/// Shorter than anybody waits between the day a key is published and the day it signs.
const KEYS_MAX_AGE: &str = "public, max-age=300";

#[derive(Deserialize)]
struct ChallengeRequest {
    wallet_address: String,
}

#[derive(Deserialize)]
struct VerifyRequest {
    wallet_address: String,
    message: String,
    signature: String,
}

#[derive(Deserialize)]
struct RefreshRequest {
    refresh_token: String,
}

/// `POST /api/auth/challenge`.
///
/// # Errors
/// A body or an address that is not valid, or too many challenges: in all, or of the peer's network.
pub async fn challenge(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<Value>, ApiError> {
    let request: ChallengeRequest = read(&body)?;
    let address = parse_address(&request.wallet_address).map_err(ApiError::bad_request)?;
    let url = page_url(&app, &headers);
    let peer = Peer::new(peer, &headers);
    let issued =
        app.challenges.issue(address, domain(&url), &url, peer.ip(), wall_ms()).map_err(|refused| {
            app.audit.record(peer.refused(EventKind::SignInRefused, &refused.to_string()));
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, refused.to_string())
        })?;
    Ok(Json(json!({
        "message": issued.message,
        "nonce": issued.nonce,
        "expires_at": iso(issued.expires_at_ms),
    })))
}

/// `POST /api/auth/verify`.
///
/// # Errors
/// A body that is not valid; anything wrong with the answer itself gets one and the same error.
pub async fn verify(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<Value>, ApiError> {
    let request: VerifyRequest = read(&body)?;
    let address = parse_address(&request.wallet_address).map_err(ApiError::bad_request)?;
    let wallet_address = address.to_checksum(None);
    let peer = Peer::new(peer, &headers);
    if let Err(reason) = answered(&app, address, request).await {
        tracing::warn!(user = masked(&wallet_address), %reason, "a sign-in was refused");
        app.audit.record(peer.refused(EventKind::SignInRefused, &reason.to_string()).user(&wallet_address));
        // One text for every reason: a peer that guesses learns nothing from it.
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            ErrorCode::InvalidToken,
            "the signature does not answer a valid challenge: ask for a new one and sign it as it is",
        ));
    }
    app.audit.require(peer.event(EventKind::SignIn).user(&wallet_address)).await.map_err(|error| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Internal, error.to_string())
    })?;
    let now_ms = wall_ms();
    let user = app.store.signed_in(&wallet_address, now_ms).await.map_err(|error| unavailable(&error))?;
    let issued = app.store.begin_family(&user.wallet, now_ms).await.map_err(|refused| {
        app.audit.record(peer.refused(EventKind::SignInRefused, &refused.to_string()).user(&wallet_address));
        no_tokens(&refused)
    })?;
    tracing::info!(user = masked(&wallet_address), "signed in");
    Ok(tokens(&app, &issued))
}

/// `POST /api/auth/refresh`.
///
/// # Errors
/// A body that is not valid; a refresh token that is not good any more, whatever the reason.
pub async fn refresh(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<Value>, ApiError> {
    let request: RefreshRequest = read(&body)?;
    let peer = Peer::new(peer, &headers);
    let rotated = app.store.rotate(&request.refresh_token, wall_ms()).await;
    let issued = match rotated {
        Ok(issued) => issued,
        Err(refused) => {
            let event = match &refused {
                RotateRefused::Reused { family_id, wallet } => {
                    // Two parties have it: neither keeps what it got with it.
                    app.revoke(&family_id.to_string());
                    peer.refused(EventKind::RefreshReused, "its session is revoked")
                        .level(Level::Alert)
                        .user(wallet)
                }
                other => peer.refused(EventKind::TokenRefused, &other.to_string()),
            };
            app.audit.record(event);
            return Err(no_tokens(&refused));
        }
    };
    app.audit.require(peer.event(EventKind::Refresh).user(&issued.wallet)).await.map_err(|error| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Internal, error.to_string())
    })?;
    Ok(tokens(&app, &issued))
}

/// `POST /api/auth/logout`: ends the session of a refresh token, new or old. One that nobody knows is as good as
/// ended.
///
/// # Errors
/// A body that is not valid, or a store that does not work.
pub async fn logout(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<StatusCode, ApiError> {
    let request: RefreshRequest = read(&body)?;
    let ended = app.store.end_session(&request.refresh_token, wall_ms()).await;
    if let Some(session) = ended.map_err(|error| unavailable(&error))? {
        app.revoke(&session.family_id.to_string());
        app.audit.record(Peer::new(peer, &headers).event(EventKind::Logout).user(&session.wallet));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /.well-known/jwks.json`: the public halves of the keys that sign access tokens, for whoever checks them
/// elsewhere. Empty with a shared secret, which has no public half.
pub async fn public_keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, KEYS_MAX_AGE)], Json(json!({ "keys": app.tokens.public_keys() })))
}

/// An access token and the refresh token that goes with it.
fn tokens(app: &App, issued: &Issued) -> Json<Value> {
    let roles: Vec<_> = issued.roles.iter().map(String::as_str).collect();
    let (sid, jti) = (issued.family_id.to_string(), issued.token_id.to_string());
    let minted = app.tokens.mint(&issued.wallet, &roles, &sid, &jti, issued.issued_ms);
    Json(json!({
        "token": minted.token,
        "expires_at": iso(minted.expires_at_ms),
        "refresh_token": issued.refresh_token.to_text().as_str(),
        "refresh_expires_at": iso(issued.expires_ms),
        "wallet_address": issued.wallet,
    }))
}

/// One text for every reason: a peer that guesses learns nothing from it.
fn no_tokens(refused: &RotateRefused) -> ApiError {
    match refused {
        RotateRefused::Store(error) => unavailable(error),
        RotateRefused::Disabled => {
            ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, "this wallet may not sign in here")
        }
        _ => ApiError::new(
            StatusCode::UNAUTHORIZED,
            ErrorCode::InvalidToken,
            "the refresh token is not valid: sign in again",
        ),
    }
}

pub(super) fn unavailable(error: &StoreError) -> ApiError {
    tracing::error!(%error, "the store does not work");
    let text = "sign-in is not possible at the moment: try again later";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Internal, text)
}

/// Recovering a signer takes a while: not on a thread that serves sockets, and not on every core at once.
async fn answered(app: &Arc<App>, address: Address, request: VerifyRequest) -> Result<(), AnswerRefused> {
    let _turn = app.recoveries.acquire().await.expect("it is never closed");
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || {
        app.challenges.answer(address, &request.message, &request.signature, wall_ms())
    })
    .await
    .expect("checking an answer does not panic")
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        // The position is enough; serde's text may repeat a value.
        let (line, column) = (error.line(), error.column());
        let problem = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of the wrong type",
            _ => "malformed JSON",
        };
        ApiError::bad_request(format!("{problem} at line {line} column {column}"))
    })
}

/// The address of the page that signs in, as it appears in the message. A request's own `Host` is believed on
/// loopback only: elsewhere a foreign page could have its name signed.
fn page_url(app: &App, headers: &HeaderMap) -> String {
    let server = &app.config.server;
    if !server.public_url.is_empty() {
        return server.public_url.trim_end_matches('/').to_owned();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_loopback(host));
    let scheme = server.scheme();
    format!("{scheme}://{}", host.map_or_else(|| server.listen.to_string(), str::to_owned))
}

/// Host and port of a page's address.
fn domain(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_below_a_path_is_on_the_domain_of_its_host() {
        assert_eq!(domain("https://signals.example:8443/app"), "signals.example:8443");
        assert_eq!(domain("http://[::1]:8080"), "[::1]:8080");
    }

    #[test]
    fn only_a_loopback_host_is_believed() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:80@x", ""]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
