//! Requests that show their token in the `Authorization` header. Cookies do not count: a page could send them without
//! knowing.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::permission::Permission;
use super::token::TokenRefused;
use super::{Identity, Peer};
use crate::app::App;
use crate::audit::EventKind;
use crate::clock::wall_ms;
use crate::refusal::Refusal;

/// Whose token it is, if its roles allow this. A refusal is written down.
///
/// # Errors
/// No token, more than one, one that is not valid, or one whose roles do not allow it.
pub async fn authorised(
    app: &App,
    peer: &Peer,
    headers: &HeaderMap,
    permission: Permission,
) -> Result<Identity, Refusal> {
    let identity = authenticated(app, headers).await.inspect_err(|refusal| {
        if *refusal != Refusal::Unauthenticated {
            app.audit.record(peer.refused(EventKind::TokenRefused, refusal.code().as_str()));
        }
    })?;
    if app.rules.permissions.allow(&identity.roles, permission) {
        return Ok(identity);
    }
    let event = peer.refused(EventKind::Forbidden, permission.as_str()).user(&identity.user_id);
    app.audit.record(event);
    Err(Refusal::Forbidden(permission))
}

async fn authenticated(app: &App, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Refusal::Unauthenticated) };
    if values.next().is_some() {
        return Err(Refusal::AmbiguousCredentials);
    }
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    let (scheme, token) = token.ok_or(Refusal::InvalidToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::InvalidToken);
    }
    let token = token.trim();
    app.tokens.fetch_missing_key(token).await;
    let identity = app.tokens.verify(token, wall_ms()).map_err(|refused| match refused {
        TokenRefused::Expired => Refusal::TokenExpired,
        TokenRefused::Invalid => Refusal::InvalidToken,
    })?;
    if app.revocations.contains(&identity.family) { Err(Refusal::InvalidToken) } else { Ok(identity) }
}
