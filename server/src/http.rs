//! Market data and health over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_protocol::{ErrorCode, Strategy, Symbol};
use tidegate_strategy::{Candle, MINUTE_MS, Signal, resample};

use crate::app::App;
use crate::refusal::Refusal;

/// Candles in an answer when no number is asked for.
const KLINES_DEFAULT: usize = 100;
/// Most candles in an answer.
const KLINES_MAX: usize = 1_500;

/// An error as every endpoint answers it: a status, a text and a code.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: ErrorCode,
    text: String,
}

impl ApiError {
    /// Something is wrong with the request.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: ErrorCode::InvalidMessage, text: text.into() }
    }

    /// An error with this status and code.
    pub fn new(status: StatusCode, code: ErrorCode, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into() }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status(), code: refusal.code(), text: refusal.text() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.text, "code": self.code }))).into_response()
    }
}

/// No endpoint and no file has this path.
pub fn not_found() -> Response {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::InvalidMessage, "there is nothing at this address")
        .into_response()
}

/// `GET /health`.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /api/perps/symbols`.
pub async fn symbols(State(app): State<Arc<App>>) -> Json<Value> {
    let symbols = &app.rules.symbols;
    Json(json!({
        "symbols": symbols,
        "count": symbols.len(),
        "interval": "1m",
        "description": format!("Perpetual contracts tracked by this gateway ({})", app.markets.description),
    }))
}

/// What `klines` is asked for.
#[derive(Debug, Deserialize)]
pub struct KlinesQuery {
    symbol: Option<String>,
    interval: Option<String>,
    limit: Option<String>,
}

/// `GET /api/perps/klines?symbol&interval&limit`: Binance kline arrays, oldest first, the running one last.
///
/// # Errors
/// A parameter that is not valid.
pub async fn klines(
    State(app): State<Arc<App>>,
    Query(query): Query<KlinesQuery>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let symbol = known_symbol(&app, query.symbol.as_deref())?;
    let minutes = interval_minutes(query.interval.as_deref().unwrap_or("1m"))?;
    let limit = limit(query.limit.as_deref())?;
    let candles: Vec<Candle> = {
        let latest = app.markets.latest(symbol).expect("a known symbol has a market");
        latest.closed.iter().copied().chain(latest.running).collect()
    };
    let resampled = resample(&candles, minutes);
    let mut candles = resampled.closed;
    candles.extend(resampled.running);
    let skip = candles.len().saturating_sub(limit);
    Ok(Json(candles[skip..].iter().map(|candle| kline(candle, minutes)).collect()))
}

/// What the indicator endpoints are asked for.
#[derive(Debug, Deserialize)]
pub struct IndicatorQuery {
    symbol: Option<String>,
}

/// `GET /api/perps/scalp-indicator?symbol`: the latest `data` of the strategy.
///
/// # Errors
/// A symbol that is not tracked, or that has no signal yet.
pub async fn scalp_indicator(
    State(app): State<Arc<App>>,
    Query(query): Query<IndicatorQuery>,
) -> Result<Response, ApiError> {
    let symbol = known_symbol(&app, query.symbol.as_deref())?;
    let latest = app.markets.latest(symbol).expect("a known symbol has a market");
    match latest.signals.get(&Strategy::Scalp) {
        Some(Signal::Scalp(data)) => Ok(Json(data).into_response()),
        _ => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal,
            format!("{symbol} has no scalp signal yet: try again in 30 seconds"),
        )),
    }
}

fn known_symbol(app: &App, text: Option<&str>) -> Result<Symbol, ApiError> {
    let Some(text) = text else {
        return Err(ApiError::bad_request(format!("`symbol` is missing: one of {}", app.rules.available())));
    };
    let symbol = text.parse().ok().filter(|symbol| app.rules.symbols.contains(symbol));
    symbol.ok_or_else(|| {
        Refusal::UnknownSymbol { symbol: text.into(), available: app.rules.available() }.into()
    })
}

fn interval_minutes(text: &str) -> Result<u64, ApiError> {
    match text {
        "1m" => Ok(1),
        "5m" => Ok(5),
        "15m" => Ok(15),
        "1h" => Ok(60),
        "4h" => Ok(240),
        "1d" => Ok(1_440),
        _ => Err(ApiError::bad_request("`interval` must be one of 1m, 5m, 15m, 1h, 4h, 1d")),
    }
}

fn limit(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(KLINES_DEFAULT) };
    let number = text.parse().ok().filter(|number| (1..=KLINES_MAX).contains(number));
    number.ok_or_else(|| {
        ApiError::bad_request(format!("`limit` must be a whole number from 1 to {KLINES_MAX}"))
    })
}

/// A candle in the exchange's array form. Prices are text there. What is not known (trades, taker volumes) is 0;
/// the quote volume is estimated from the mean price.
fn kline(candle: &Candle, minutes: u64) -> Value {
    let quote_volume = candle.volume * (candle.high + candle.low + candle.close) / 3.0;
    json!([
        candle.open_time_ms,
        candle.open.to_string(),
        candle.high.to_string(),
        candle.low.to_string(),
        candle.close.to_string(),
        format!("{:.3}", candle.volume),
        candle.open_time_ms + minutes * MINUTE_MS - 1,
        format!("{quote_volume:.4}"),
        0,
        "0",
        "0",
        "0"
    ])
}
