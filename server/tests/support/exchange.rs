//! An exchange on this machine: it plays a recording on the recording's own clock, and fails as it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tidegate_server::clock::MarketClock;
use tidegate_strategy::Candle;
use tokio::net::TcpListener;
use tokio::time::sleep_until;

use super::recording::Recording;

/// Markets `A0USDT`, `A1USDT`, … that are listed beside the one that is played.
pub const OTHER_MARKETS: usize = 149;

/// Every connection ends at the first time, and none is accepted before the second.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub from_ms: u64,
    pub until_ms: u64,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub cuts: Vec<Cut>,
    /// Nothing is said between these times, although there was something to say.
    pub silence: Option<Cut>,
    /// The first handshakes are refused with these.
    pub refusals: Vec<StatusCode>,
    /// Candles and trades are not told on request.
    pub without_rest: bool,
}

pub struct Exchange {
    pub address: SocketAddr,
    state: Arc<Shared>,
}

struct Shared {
    recording: Recording,
    faults: Faults,
    speed: f64,
    /// Begins when it is first looked at: the recording waits for its client.
    clock: OnceLock<MarketClock>,
    handshakes: AtomicUsize,
}

type Parameters = Query<HashMap<String, String>>;

impl Exchange {
    pub async fn start(recording: Recording, faults: Faults, speed: f64) -> Self {
        let handshakes = AtomicUsize::new(0);
        let state = Arc::new(Shared { recording, faults, speed, clock: OnceLock::new(), handshakes });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/fapi/v1/time", get(time))
            .route("/fapi/v1/exchangeInfo", get(info))
            .route("/fapi/v1/klines", get(klines))
            .route("/fapi/v1/aggTrades", get(trades))
            .route("/stream", get(stream))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("the exchange runs") });
        Self { address, state }
    }

    pub fn handshakes(&self) -> usize {
        self.state.handshakes.load(Ordering::Relaxed)
    }

    pub fn speed(&self) -> f64 {
        self.state.speed
    }

    /// Whether somebody has asked for the time.
    pub fn has_begun(&self) -> bool {
        self.state.clock.get().is_some()
    }

    /// Waits until this was played.
    pub async fn played(&self, time_ms: u64) {
        let clock = self.state.clock.get().expect("somebody looked at the clock");
        sleep_until(clock.instant_of(i64::try_from(time_ms).unwrap())).await;
    }
}

impl Shared {
    fn clock(&self) -> MarketClock {
        let start_ms = i64::try_from(self.recording.start_ms()).unwrap();
        *self.clock.get_or_init(|| MarketClock::new(start_ms, self.speed))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock().now_ms()).unwrap()
    }
}

async fn time(State(state): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"serverTime": state.now_ms()}))
}

async fn info() -> Json<Value> {
    let others = (0..OTHER_MARKETS).map(|number| format!("A{number}USDT"));
    let market = |symbol: String| {
        json!({"symbol": symbol, "status": "TRADING", "pricePrecision": 2,
        "filters": [{"filterType": "PRICE_FILTER", "minPrice": "556.80", "tickSize": "0.10"}]})
    };
    let symbols: Vec<Value> = std::iter::once("BTCUSDT".to_owned()).chain(others).map(market).collect();
    Json(json!({"timezone": "UTC", "symbols": symbols}))
}

fn parameter(parameters: &HashMap<String, String>, name: &str, default: u64) -> u64 {
    parameters.get(name).map_or(default, |text| text.parse().expect("a number"))
}

async fn klines(State(state): State<Arc<Shared>>, Query(parameters): Parameters) -> Response {
    let (from_ms, to_ms) =
        (parameter(&parameters, "startTime", 0), parameter(&parameters, "endTime", u64::MAX));
    if state.faults.without_rest && from_ms > 0 {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let limit = usize::try_from(parameter(&parameters, "limit", 500)).unwrap();
    let now_ms = state.now_ms();
    let played = state.recording.lines.iter().filter_map(|line| line.closed);
    let known = state.recording.past.iter().copied().chain(played);
    let within = |candle: &Candle| {
        candle.close_time_ms() <= now_ms && (from_ms..=to_ms).contains(&candle.open_time_ms)
    };
    let mut rows: Vec<Value> = known.filter(within).map(|candle| row(&candle)).collect();
    if from_ms > 0 {
        rows.truncate(limit);
    } else {
        rows.drain(..rows.len().saturating_sub(limit));
    }
    Json(rows).into_response()
}

fn row(candle: &Candle) -> Value {
    let text = |number: f64| number.to_string();
    json!([
        candle.open_time_ms,
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        text(candle.volume),
        candle.open_time_ms + 59_999,
        "0",
        0,
        "0",
        "0",
        "0"
    ])
}

async fn trades(State(state): State<Arc<Shared>>, Query(parameters): Parameters) -> Response {
    if state.faults.without_rest {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let (from, limit) = (parameter(&parameters, "fromId", 0), parameter(&parameters, "limit", 500));
    let now_ms = state.now_ms();
    let known = state.recording.lines.iter().filter_map(|line| line.trade);
    let rows: Vec<Value> = known
        .filter(|trade| trade.id >= from && trade.time_ms <= now_ms)
        .take(usize::try_from(limit).unwrap())
        .map(|trade| {
            let (price, quantity) = (trade.price.to_string(), trade.quantity.to_string());
            json!({"a": trade.id, "p": price, "q": quantity, "f": 1, "l": 1, "T": trade.time_ms, "m": true})
        })
        .collect();
    Json(rows).into_response()
}

async fn stream(
    State(state): State<Arc<Shared>>,
    Query(query): Parameters,
    upgrade: WebSocketUpgrade,
) -> Response {
    let streams: Vec<_> = query["streams"].split('/').collect();
    assert!(streams.len() <= 200 && streams.len().is_multiple_of(2), "{} streams", streams.len());
    assert!(streams[0].ends_with("usdt@kline_1m") && streams[1].ends_with("usdt@aggTrade"));
    let handshake = state.handshakes.fetch_add(1, Ordering::Relaxed);
    if let Some(status) = state.faults.refusals.get(handshake) {
        return (*status, [(RETRY_AFTER, "1")]).into_response();
    }
    let now_ms = state.now_ms();
    if state.faults.cuts.iter().any(|cut| (cut.from_ms..cut.until_ms).contains(&now_ms)) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade.on_upgrade(move |socket| play(state, socket, now_ms))
}

/// Says what is due from `since_ms` on, until the next cut. What is said during a cut is lost.
async fn play(state: Arc<Shared>, mut socket: WebSocket, since_ms: u64) {
    let clock = state.clock();
    let end_ms = state.faults.cuts.iter().map(|cut| cut.from_ms).filter(|from_ms| *from_ms > since_ms).min();
    let lines = &state.recording.lines;
    let first = lines.partition_point(|line| line.time_ms <= since_ms);
    for line in &lines[first..] {
        let at_ms = end_ms.map_or(line.time_ms, |end_ms| line.time_ms.min(end_ms));
        sleep_until(clock.instant_of(i64::try_from(at_ms).unwrap())).await;
        if at_ms < line.time_ms {
            // Without a word, as a network does it.
            return;
        }
        let silent = state.faults.silence.is_some_and(|cut| (cut.from_ms..cut.until_ms).contains(&at_ms));
        if !silent && socket.send(Message::text(line.text.clone())).await.is_err() {
            return;
        }
    }
    // Nothing more to say: the connection stays.
    while socket.recv().await.is_some() {}
}
