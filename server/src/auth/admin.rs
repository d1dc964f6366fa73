//! What administrators may do over HTTP: give roles, keep users out, end sessions, search the audit log.
//!
//! Every request needs the permission `system.admin` and a token in the `Authorization` header, and is written down
//! with who made it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_protocol::ErrorCode;
use uuid::Uuid;

use super::bearer::authorised;
use super::http::{read, unavailable};
use super::permission::{Permission, Permissions};
use super::wallet::parse_address;
use super::{Identity, Peer};
use crate::app::App;
use crate::audit::{Event, EventKind, Level, Since};
use crate::clock::{iso, wall_ms};
use crate::http::{ApiError, Body, Path, Query, number};
use crate::store::{self, User};

/// Events in an answer when no number is asked for.
const EVENTS_DEFAULT: u64 = 100;
const EVENTS_MAX: u64 = 1_000;

/// Somebody who may administer, and from where.
#[derive(Debug)]
pub struct Admin {
    identity: Identity,
    peer: Peer,
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let address = ConnectInfo::<SocketAddr>::from_request_parts(parts, app).await;
        let ConnectInfo(address) = address.expect("the listener says who is connected");
        let peer = Peer::new(address, &parts.headers);
        let identity = authorised(app, &peer, &parts.headers, Permission::SystemAdmin).await?;
        Ok(Self { identity, peer })
    }
}

impl Admin {
    /// Something that was done to `user`.
    fn did(&self, kind: EventKind, user: &str, what: &str) -> Event {
        let detail = format!("by {}: {what}", self.identity.user_id);
        self.peer.event(kind).level(Level::Notice).user(user).detail(&detail)
    }
}

/// `GET /api/admin/users/{wallet}`.
///
/// # Errors
/// No administrator, no address, or a wallet that never signed in.
pub async fn user(
    _: Admin,
    State(app): State<Arc<App>>,
    Path(wallet): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let wallet = wallet_of(&wallet)?;
    found(app.store.user(&wallet).await.map_err(|error| unavailable(&error))?)
}

#[derive(Deserialize)]
struct RolesRequest {
    roles: Vec<String>,
}

/// `PUT /api/admin/users/{wallet}/roles`, `{roles}`: in force with the user's next token.
///
/// # Errors
/// As [`user`], or a role that does not exist.
pub async fn set_roles(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(wallet): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>, ApiError> {
    let wallet = wallet_of(&wallet)?;
    let RolesRequest { roles } = read(&body)?;
    Permissions::check_roles(&roles).map_err(ApiError::bad_request)?;
    let changed = app.store.set_roles(&wallet, &roles).await.map_err(|error| unavailable(&error))?;
    let answer = found(changed)?;
    app.audit.record(admin.did(EventKind::RolesChanged, &wallet, &roles.join(", ")));
    Ok(answer)
}

/// `POST /api/admin/users/{wallet}/disable`: no sign-in, no refresh, and every session ends.
///
/// # Errors
/// As [`user`].
pub async fn disable(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(wallet): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let wallet = wallet_of(&wallet)?;
    // First the door, then those who are inside: nobody slips in between.
    let answer = found(app.store.set_disabled(&wallet, true).await.map_err(|error| unavailable(&error))?)?;
    let sessions = end_all(&app, &wallet).await?;
    app.audit.record(admin.did(EventKind::UserDisabled, &wallet, &format!("{sessions} sessions ended")));
    Ok(answer)
}

/// `POST /api/admin/users/{wallet}/enable`: the user may sign in again.
///
/// # Errors
/// As [`user`].
pub async fn enable(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(wallet): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let wallet = wallet_of(&wallet)?;
    let answer = found(app.store.set_disabled(&wallet, false).await.map_err(|error| unavailable(&error))?)?;
    app.audit.record(admin.did(EventKind::UserEnabled, &wallet, "may sign in again"));
    Ok(answer)
}

/// `POST /api/admin/users/{user_id}/revoke`: ends every session of a user, also of one whose tokens come from
/// another issuer; says how many.
///
/// # Errors
/// No administrator, or a store that does not work.
pub async fn revoke_user(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    // Another issuer's user may have any name.
    let user_id = wallet_of(&user_id).unwrap_or(user_id);
    let sessions = end_all(&app, &user_id).await?;
    app.audit.record(admin.did(EventKind::Revoked, &user_id, &format!("{sessions} sessions ended")));
    Ok(Json(json!({ "sessions": sessions })))
}

/// `POST /api/admin/sessions/{session}/revoke`: ends the session with this `sid`; says how many connections of this
/// gateway it had. Ending it again changes nothing.
///
/// # Errors
/// No administrator, or a store that does not work.
pub async fn revoke_session(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let family_id = session.parse::<Uuid>().ok();
    if let Some(family_id) = family_id {
        app.store.revoke_family(family_id, wall_ms()).await.map_err(|error| unavailable(&error))?;
    }
    // Tokens carry it in this form, whatever was typed.
    let session = family_id.map_or(session, |family_id| family_id.to_string());
    let connections = app.end(&session);
    let detail = format!("by {}: session {session}, connections {connections}", admin.identity.user_id);
    app.audit.record(admin.peer.event(EventKind::Revoked).detail(&detail));
    Ok(Json(json!({ "connections": connections })))
}

/// What the audit log is asked for.
#[derive(Debug, Deserialize)]
pub struct AuditQuery {
    since: Option<String>,
    user: Option<String>,
    level: Option<String>,
    limit: Option<String>,
}

/// `GET /api/admin/audit?since&user&level&limit`: the newest events that fit, of every gateway on the store, oldest
/// first.
///
/// # Errors
/// No administrator, a parameter that is not valid, or a store that does not work.
pub async fn audit(
    _: Admin,
    State(app): State<Arc<App>>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Value>, ApiError> {
    let since = query.since.as_deref().map(|text| text.parse::<Since>());
    let since = since.transpose().map_err(|problem| ApiError::bad_request(format!("`since`: {problem}")))?;
    let level = match query.level.as_deref() {
        None => Level::Info,
        Some(name) => Level::ALL
            .into_iter()
            .find(|level| level.as_str() == name)
            .ok_or_else(|| ApiError::bad_request("`level` must be one of info, notice, warning, alert"))?,
    };
    let limit = match query.limit.as_deref() {
        None => EVENTS_DEFAULT,
        Some(text) => number("limit", text, 1..=EVENTS_MAX)?,
    };
    let limit = u32::try_from(limit).expect("at most a thousand");
    let user = query.user.map(|user| wallet_of(&user).unwrap_or(user));
    let since_ms = since.map_or(0, |since| since.start_ms(wall_ms()));
    let found = app.store.events(since_ms, user.as_deref(), level, limit).await;
    let events: Vec<_> = found.map_err(|error| unavailable(&error))?.iter().map(event_json).collect();
    Ok(Json(json!({ "events": events })))
}

/// Ends every session of a user and says how many there were.
async fn end_all(app: &App, user_id: &str) -> Result<usize, ApiError> {
    let revoked = app.store.revoke_user(user_id, wall_ms()).await.map_err(|error| unavailable(&error))?;
    for family_id in &revoked {
        app.end(&family_id.to_string());
    }
    // Tokens of other issuers, and those that an operator made, are of no family that the store knows.
    let others: Vec<_> = app
        .permits
        .families(user_id)
        .into_iter()
        .filter(|family| !app.revocations.contains(family))
        .collect();
    for family in &others {
        app.end(family);
    }
    Ok(revoked.len() + others.len())
}

/// EIP-55, as the store knows it.
fn wallet_of(text: &str) -> Result<String, ApiError> {
    let address = parse_address(text);
    address.map(|address| address.to_checksum(None)).map_err(|_| {
        ApiError::bad_request("the address must have a wallet in it: `0x` and 40 hexadecimal digits")
    })
}

fn found(user: Option<User>) -> Result<Json<Value>, ApiError> {
    let User { wallet, roles, disabled, created_ms, seen_ms } = user.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            ErrorCode::InvalidMessage,
            "this wallet has never signed in here: it has to once, before anything can be said about it",
        )
    })?;
    Ok(Json(json!({
        "wallet_address": wallet,
        "roles": roles,
        "disabled": disabled,
        "created_at": iso(created_ms),
        "last_sign_in_at": iso(seen_ms),
    })))
}

/// The fields of a line of the log, without its place in the chain.
fn event_json(event: &store::Event) -> Value {
    let store::Event { time_ms, kind, outcome, level, user, ip, user_agent, detail, repeated } = event;
    let mut json = json!({
        "time": iso(*time_ms),
        "event": kind,
        "level": level.as_str(),
        "outcome": outcome,
        "user": user,
        "ip": ip,
        "user_agent": user_agent,
        "detail": detail,
        "repeated": repeated,
    });
    json.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    json
}
