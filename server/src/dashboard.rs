//! The dashboard, built into the binary and served at `/`.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

/// The files of the dashboard's build; empty when it was not built.
#[derive(RustEmbed)]
#[folder = "$DASHBOARD_DIR"]
struct Files;

/// Shown where the dashboard would be.
const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Tidegate</title>\
<p>The gateway is running, but its dashboard was not built into this binary. \
Build both with <code>cargo xtask demo</code>.</p>";

/// Any path that no endpoint has.
pub async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    match Files::get(path) {
        Some(file) => {
            // Built files carry a hash in their names; only the page itself changes in place.
            let cache =
                if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
            let headers =
                [(CONTENT_TYPE, file.metadata.mimetype().to_owned()), (CACHE_CONTROL, cache.to_owned())];
            (headers, file.data).into_response()
        }
        None if path == "index.html" => (StatusCode::NOT_FOUND, Html(NOT_BUILT)).into_response(),
        None => crate::http::not_found().await,
    }
}
