//! Every route, in one function.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::{any, get, post, put};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;
use crate::{auth, dashboard, http, ops, ws};

/// Largest request body, in bytes: a sign-in message and its signature are far below it.
pub(crate) const BODY_MAX_BYTES: usize = 16 * 1_024;

/// What the dashboard may load and whom it may talk to.
const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
form-action 'none'; frame-ancestors 'none'";

/// The gateway's endpoints.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/ws", get(ws::upgrade::any_user))
        .route("/ws/stats", get(http::stats))
        .route("/ws/{user_id}", get(ws::upgrade::one_user))
        .route("/health", get(http::health))
        .route("/ready", get(ops::ready))
        .route("/api/auth/challenge", post(auth::http::challenge))
        .route("/api/auth/verify", post(auth::http::verify))
        .route("/api/auth/refresh", post(auth::http::refresh))
        .route("/api/auth/logout", post(auth::http::logout))
        .route("/.well-known/jwks.json", get(auth::http::public_keys))
        .route("/api/admin/audit", get(auth::admin::audit))
        .route("/api/admin/sessions/{session}/revoke", post(auth::admin::revoke_session))
        .route("/api/admin/users/{user_id}", get(auth::admin::user))
        .route("/api/admin/users/{user_id}/disable", post(auth::admin::disable))
        .route("/api/admin/users/{user_id}/enable", post(auth::admin::enable))
        .route("/api/admin/users/{user_id}/revoke", post(auth::admin::revoke_user))
        .route("/api/admin/users/{user_id}/roles", put(auth::admin::set_roles))
        .route("/api/perps/symbols", get(http::symbols))
        .route("/api/perps/klines", get(http::klines))
        .route("/api/perps/scalp-indicator", get(http::scalp_indicator))
        .route("/api/perps/momentum-indicator", get(http::momentum_indicator))
        .route("/api/perps/range-trading-indicator", get(http::range_trading_indicator))
        .route("/api/signals/{strategy}/{symbol}", get(http::signals))
        .route("/api/outcomes/{strategy}/{symbol}", get(http::outcomes))
        .route("/api/{*path}", any(http::not_found))
        .method_not_allowed_fallback(http::method_not_allowed)
        .fallback(get(dashboard::serve))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(header(CONTENT_SECURITY_POLICY, CONTENT_SECURITY))
        .with_state(app)
}

fn header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
