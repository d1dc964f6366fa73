//! What operators and their tools ask, on a listener of its own: health, readiness, metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tidegate_protocol::Strategy;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::http;

/// An evaluation may come this much later than its time before its feed counts as stale: it waits for an exchange
/// that is coming back.
const LATE: Duration = Duration::from_secs(15);
/// A request and its answer have to be done within this time.
const DEADLINE: Duration = Duration::from_secs(5);
/// The form that Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers operators until it is dropped. One request a connection: they come seldom.
pub async fn serve(listener: TcpListener, app: Arc<App>) {
    let service = TowerToHyperService::new(router(app));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(DEADLINE).keep_alive(false);
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let connection = http.serve_connection(TokioIo::new(socket), service.clone());
                tokio::spawn(async move {
                    let _ = timeout(DEADLINE, connection).await;
                });
            }
            // No file descriptors, for example: asking again at once would only take the processor.
            Err(error) => {
                tracing::warn!(%error, "the listener for operators cannot accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(http::health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(http::not_found)
        .with_state(app)
}

/// `GET /ready`: 200 while every feed is current, 503 with what is not ready.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let stopping = *app.stopping.borrow();
    let stale: Vec<_> = freshness(&app).into_iter().filter(|feed| feed.stale).collect();
    let feeds: Vec<Value> = stale
        .iter()
        .map(|feed| json!({ "feed": feed.feed.to_string(), "evaluated_seconds_ago": feed.age.as_secs() }))
        .collect();
    let (status, text) = match (stopping, stale.is_empty()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "stale"),
        (false, true) => (StatusCode::OK, "ready"),
    };
    (status, Json(json!({ "status": text, "stale": feeds }))).into_response()
}

/// `GET /metrics`.
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let feeds = freshness(&app);
    for strategy in Strategy::ALL {
        let of_it = || feeds.iter().filter(|feed| feed.feed.strategy == strategy);
        let age = of_it().map(|feed| feed.age).max().unwrap_or_default();
        app.metrics.freshness(strategy, of_it().filter(|feed| feed.stale).count(), age);
    }
    ([(CONTENT_TYPE, OPEN_METRICS)], app.metrics.text()).into_response()
}

fn freshness(app: &App) -> Vec<crate::pipeline::Freshness> {
    app.markets.freshness(app.clock, LATE)
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
