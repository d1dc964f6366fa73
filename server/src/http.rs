//! Market data and health over HTTP.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{self, ConnectInfo, FromRequest, FromRequestParts, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_protocol::{ErrorCode, Feed, HISTORY_PER_FEED, MAX_ID, Strategy, Symbol};
use tidegate_strategy::{Candle, MINUTE_MS, Signal, resample};

use crate::app::App;
use crate::auth::Peer;
use crate::auth::bearer::authorised;
use crate::auth::permission::Permission;
use crate::clock::{iso, wall_ms};
use crate::outcomes::{FEE_MAX_PERCENT, Report};
use crate::refusal::Refusal;

/// Candles in an answer when no number is asked for.
const KLINES_DEFAULT: u64 = 100;
/// Most candles in an answer.
const KLINES_MAX: u64 = 1_500;
/// Signals in an answer when no number is asked for.
const SIGNALS_DEFAULT: u64 = 100;

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
pub async fn not_found() -> Response {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::InvalidMessage, "there is nothing at this address")
        .into_response()
}

/// The path has an endpoint, but not for this method.
pub async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::InvalidMessage,
        "this address does not take this method: see the header `allow`",
    )
}

/// The parameters of a query; those that cannot be read are answered like every error.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = extract::Query::from_request_parts(parts, state).await;
        let extract::Query(query) = read.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        Ok(Self(query))
    }
}

/// The variable parts of a path; those that cannot be read are answered like every error.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = extract::Path::from_request_parts(parts, state).await;
        let extract::Path(path) = read.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        Ok(Self(path))
    }
}

/// A body as it came, if it is not too large.
#[derive(Debug)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let read = Bytes::from_request(request, state).await;
        let bytes = read.map_err(|rejection| {
            ApiError::new(
                rejection.status(),
                ErrorCode::InvalidMessage,
                "the body is too large, or was cut off",
            )
        })?;
        Ok(Self(bytes))
    }
}

/// `GET /health`.
pub async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /ws/stats`: who is connected, in numbers; for roles with `system.monitor`.
///
/// # Errors
/// No token, a token that is not valid, or one whose roles do not allow it.
pub async fn stats(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    authorised(&app, &Peer::new(peer, &headers), &headers, Permission::SystemMonitor).await?;
    let census = app.permits.census();
    let limit = app.config.limits.connections_per_user;
    let open = app.connections();
    let types = json!({ "plain": census.connections - census.v1, "v1": census.v1 });
    Ok(Json(json!({
        "success": true,
        "stats": {
            "websocket_manager": {
                "active_connections": open,
                "unique_users": census.users,
                "connection_types": types,
            },
            "authentication": {
                "active_connections": census.connections,
                "unique_users": census.users,
                "max_connections_per_user": limit,
                "connection_types": types,
            },
            "security": {
                "authenticated_connections": census.connections,
                "unique_authenticated_users": census.users,
                "max_connections_per_user": limit,
            },
        },
        "timestamp": iso(wall_ms()),
    })))
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
    let limit = match query.limit.as_deref() {
        Some(text) => number("limit", text, 1..=KLINES_MAX)?,
        None => KLINES_DEFAULT,
    };
    let limit = usize::try_from(limit).expect("at most 1500");
    let candles: Vec<Candle> = {
        let latest = app.markets.latest(symbol).expect("a known symbol has a market");
        latest.closed.to_vec().into_iter().chain(latest.running).collect()
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
    indicator(&app, &query, Strategy::Scalp)
}

/// `GET /api/perps/momentum-indicator?symbol`: the same of `momentum`.
///
/// # Errors
/// As [`scalp_indicator`].
pub async fn momentum_indicator(
    State(app): State<Arc<App>>,
    Query(query): Query<IndicatorQuery>,
) -> Result<Response, ApiError> {
    indicator(&app, &query, Strategy::Momentum)
}

/// `GET /api/perps/range-trading-indicator?symbol`: the latest `payload` of `range_trading`, also where it was
/// not sent because nothing had changed.
///
/// # Errors
/// As [`scalp_indicator`].
pub async fn range_trading_indicator(
    State(app): State<Arc<App>>,
    Query(query): Query<IndicatorQuery>,
) -> Result<Response, ApiError> {
    indicator(&app, &query, Strategy::RangeTrading)
}

fn indicator(app: &App, query: &IndicatorQuery, strategy: Strategy) -> Result<Response, ApiError> {
    let symbol = known_symbol(app, query.symbol.as_deref())?;
    let latest = app.markets.latest(symbol).expect("a known symbol has a market");
    match latest.signals.get(&strategy) {
        Some(Signal::Scalp(data)) => Ok(Json(data).into_response()),
        Some(Signal::Momentum(data)) => Ok(Json(data).into_response()),
        Some(Signal::RangeTrading(payload)) => Ok(Json(payload).into_response()),
        None => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal,
            format!("{symbol} has no {strategy} signal yet: try again in a minute"),
        )),
    }
}

/// What `signals` is asked for.
#[derive(Debug, Deserialize)]
pub struct SignalsQuery {
    since: Option<String>,
    limit: Option<String>,
}

/// `GET /api/signals/{strategy}/{symbol}?since&limit`: whole messages as on the wire, oldest first: the first `limit`
/// (1 to 512, 100) after `since`, or else the newest; and what became of those that were LONG or SHORT.
///
/// # Errors
/// A feed or a parameter that is not valid.
pub async fn signals(
    State(app): State<Arc<App>>,
    Path((strategy, symbol)): Path<(String, String)>,
    Query(query): Query<SignalsQuery>,
) -> Result<Response, ApiError> {
    let symbol = known_symbol(&app, Some(&symbol))?;
    let strategy = strategy.parse().map_err(|_| Refusal::UnknownStrategy(strategy))?;
    let since = query.since.as_deref().map(|text| number("since", text, 0..=MAX_ID)).transpose()?;
    let limit = match query.limit.as_deref() {
        Some(text) => number("limit", text, 1..=HISTORY_PER_FEED as u64)?,
        None => SIGNALS_DEFAULT,
    };
    let limit = usize::try_from(limit).expect("at most 512");
    let kept = app.hub.history(Feed { symbol, strategy }, since, limit);
    let outcomes = kept.seqs.map(|(first, last)| {
        let latest = app.markets.latest(symbol).expect("a known symbol has a market");
        latest.outcomes.of_signals(strategy, first..=last)
    });
    let outcomes = serde_json::to_string(&outcomes.unwrap_or_default()).expect("figures are JSON");
    // The frames are JSON already: they are not parsed to be written again.
    let body = format!("{{\"signals\":[{}],\"outcomes\":{outcomes}}}", kept.frames.join(","));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// What `outcomes` is asked for.
#[derive(Debug, Deserialize)]
pub struct OutcomesQuery {
    fee: Option<String>,
}

/// `GET /api/outcomes/{strategy}/{symbol}?fee=`: what became of the kept signals; `fee` is in percent a side.
///
/// # Errors
/// A feed or a fee that is not valid.
pub async fn outcomes(
    State(app): State<Arc<App>>,
    Path((strategy, symbol)): Path<(String, String)>,
    Query(query): Query<OutcomesQuery>,
) -> Result<Json<Report>, ApiError> {
    let symbol = known_symbol(&app, Some(&symbol))?;
    let strategy = strategy.parse().map_err(|_| Refusal::UnknownStrategy(strategy))?;
    let fee = query.fee.as_deref().map_or(Some(0.0), |text| text.parse().ok());
    let fee = fee.filter(|fee| (0.0..=FEE_MAX_PERCENT).contains(fee)).ok_or_else(|| {
        ApiError::bad_request(format!(
            "`fee` must be a number from 0 to {FEE_MAX_PERCENT}, in percent a side"
        ))
    })?;
    let latest = app.markets.latest(symbol).expect("a known symbol has a market");
    Ok(Json(latest.outcomes.report(strategy, fee)))
}

pub(crate) fn number(name: &str, text: &str, range: RangeInclusive<u64>) -> Result<u64, ApiError> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        ApiError::bad_request(format!("`{name}` must be a whole number from {least} to {most}"))
    })
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
