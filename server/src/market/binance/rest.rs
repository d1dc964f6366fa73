//! What is asked for instead of pushed: the clock, price steps, closed candles and trades that were missed.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::response::Parts;
use axum::http::{HeaderMap, Request, StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, TickSize};
use tokio::time::{Instant, timeout};

use super::message::{AggregateTrade, Update};
use super::tap::Tap;
use crate::outbound::Dialer;

/// Candles in one answer at most.
pub(super) const KLINES_MAX: usize = 1_500;
/// Trades in one answer at most.
const TRADES_MAX: usize = 1_000;
/// Answers that are asked for at most to catch up on trades: what is beyond is left to the candles.
const TRADE_PAGES_MAX: usize = 5;
/// Of what an exchange says about an error, this much is shown.
const REASON_MAX_CHARS: usize = 200;
/// Waited when the exchange says that it is too much, but not for how long.
const PAUSE_DEFAULT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::market) enum RestError {
    #[error("the exchange does not answer: {0}")]
    Unreachable(String),
    #[error("the exchange refuses with {status}: {reason}")]
    Refused { status: StatusCode, reason: String },
    #[error("the exchange has asked for a pause of {} more seconds", .0.as_secs() + 1)]
    Paused(Duration),
    #[error("the answer of the exchange cannot be read: {0}")]
    Unreadable(String),
}

/// The exchange's REST interface. Cheap to clone; all clones keep the same pauses.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    base: Uri,
    dialer: Dialer,
    patience: Duration,
    tap: Tap,
    /// Until when the exchange does not want to be asked: going on would turn a limit into a ban.
    paused_until: Arc<Mutex<Option<Instant>>>,
}

impl Rest {
    pub(super) fn new(base: Uri, dialer: Dialer, patience: Duration, tap: Tap) -> Self {
        Self { base, dialer, patience, tap, paused_until: Arc::default() }
    }

    /// The exchange's clock, in Unix milliseconds.
    pub(super) async fn time_ms(&self) -> Result<i64, RestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Time {
            server_time: i64,
        }
        Ok(self.get::<Time>("/fapi/v1/time").await?.server_time)
    }

    /// Every market of the exchange.
    pub(super) async fn markets(&self) -> Result<Markets, RestError> {
        self.get("/fapi/v1/exchangeInfo").await
    }

    /// The newest candles, the running one among them.
    pub(super) async fn newest_candles(&self, symbol: Symbol) -> Result<Vec<Candle>, RestError> {
        let path = format!("/fapi/v1/klines?symbol={symbol}&interval=1m&limit={KLINES_MAX}");
        self.candles(&path).await
    }

    /// The candles that open in this range of times, at most [`KLINES_MAX`] of them.
    pub(super) async fn candles_in(
        &self,
        symbol: Symbol,
        open_ms: Range<u64>,
    ) -> Result<Vec<Candle>, RestError> {
        let (from_ms, to_ms) = (open_ms.start, open_ms.end.saturating_sub(1));
        let path = format!(
            "/fapi/v1/klines?symbol={symbol}&interval=1m&startTime={from_ms}&endTime={to_ms}&limit={KLINES_MAX}"
        );
        let mut candles = self.candles(&path).await?;
        candles.retain(|candle| open_ms.contains(&candle.open_time_ms));
        Ok(candles)
    }

    /// The trades after this one; none if there are too many of them to be worth it.
    pub(super) async fn trades_after(&self, symbol: Symbol, id: u64) -> Result<Vec<Update>, RestError> {
        let mut trades: Vec<Update> = Vec::new();
        for _ in 0..TRADE_PAGES_MAX {
            let next = trades.last().and_then(|last| last.trade_id).unwrap_or(id) + 1;
            let path = format!("/fapi/v1/aggTrades?symbol={symbol}&fromId={next}&limit={TRADES_MAX}");
            let page: Vec<AggregateTrade> = self.get(&path).await?;
            let complete = page.len() < TRADES_MAX;
            trades.extend(page.iter().map(|trade| trade.update(symbol)));
            if complete {
                return Ok(trades);
            }
        }
        Ok(Vec::new())
    }

    async fn candles(&self, path: &str) -> Result<Vec<Candle>, RestError> {
        let rows: Vec<Vec<Value>> = self.get(path).await?;
        candles_of(&rows)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RestError> {
        let paused_until = *self.paused_until.lock().expect("no holder panics");
        if let Some(left) = paused_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            return Err(RestError::Paused(left));
        }
        let request = Request::get(path).body(Body::empty()).expect("a path is one of an address");
        let asking = timeout(self.patience, self.dialer.ask(&self.base, request)).await;
        let (Parts { status, headers, .. }, body) = asking
            .unwrap_or_else(|_| Err(format!("no answer within {} s", self.patience.as_secs_f32())))
            .map_err(RestError::Unreachable)?;
        if status.is_success() {
            self.tap.answer(path, &body);
            return serde_json::from_slice(&body).map_err(|error| RestError::Unreadable(error.to_string()));
        }
        // 418 is a ban after 429 was not heeded.
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::IM_A_TEAPOT {
            let pause = retry_after(&headers).unwrap_or(PAUSE_DEFAULT);
            *self.paused_until.lock().expect("no holder panics") = Some(Instant::now() + pause);
        }
        let reason = String::from_utf8_lossy(&body).chars().take(REASON_MAX_CHARS).collect();
        Err(RestError::Refused { status, reason })
    }
}

/// How long the exchange wants to be left alone, if it says so in seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// What `exchangeInfo` says.
#[derive(Debug, Deserialize)]
pub(in crate::market) struct Markets {
    symbols: Vec<Market>,
}

#[derive(Debug, Deserialize)]
struct Market {
    symbol: String,
    status: String,
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    tick_size: Option<String>,
}

impl Markets {
    /// The price step of a market that is traded, or why there is none.
    pub(in crate::market) fn tick(&self, symbol: Symbol) -> Result<TickSize, String> {
        let found = self.symbols.iter().find(|market| market.symbol == symbol.as_str());
        let market = found.ok_or_else(|| format!("the exchange has no market {symbol}"))?;
        if market.status != "TRADING" {
            return Err(format!("{symbol} is not traded at the moment, its status is {}", market.status));
        }
        let filter = market.filters.iter().find(|filter| filter.filter_type == "PRICE_FILTER");
        let text = filter.and_then(|filter| filter.tick_size.as_deref()).ok_or_else(|| {
            format!("the exchange states no price step of {symbol} (PRICE_FILTER, tickSize)")
        })?;
        text.parse().map_err(|_| format!("the price step of {symbol}, `{text}`, is not a number"))
    }
}

/// The candles of an answer.
pub(in crate::market) fn candles_of(rows: &[Vec<Value>]) -> Result<Vec<Candle>, RestError> {
    rows.iter()
        .map(|row| candle(row).ok_or_else(|| RestError::Unreadable(format!("a kline is {row:?}"))))
        .collect()
}

/// `[open time, "open", "high", "low", "close", "volume", …]`
fn candle(row: &[Value]) -> Option<Candle> {
    let number = |index: usize| match row.get(index)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    Some(Candle {
        open_time_ms: row.first()?.as_u64()?,
        open: number(1)?,
        high: number(2)?,
        low: number(3)?,
        close: number(4)?,
        volume: number(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = r#"{"timezone":"UTC","symbols":[
        {"symbol":"BTCUSDT","status":"TRADING","pricePrecision":2,"filters":[
            {"filterType":"LOT_SIZE","stepSize":"0.001"},
            {"filterType":"PRICE_FILTER","minPrice":"261.10","maxPrice":"809484","tickSize":"0.10"}]},
        {"symbol":"OLDUSDT","status":"SETTLING","filters":[]},
        {"symbol":"ODDUSDT","status":"TRADING","filters":[{"filterType":"PRICE_FILTER","tickSize":"x"}]},
        {"symbol":"NEWUSDT","status":"TRADING"}]}"#;

    #[test]
    fn the_price_step_is_the_one_of_the_filter_and_not_the_precision() {
        let markets: Markets = serde_json::from_str(INFO).unwrap();
        let tick = |symbol: &str| markets.tick(symbol.parse().unwrap());
        assert_eq!(tick("BTCUSDT").unwrap(), TickSize::new(1, 1).unwrap());
        assert!(tick("ETHUSDT").unwrap_err().contains("has no market ETHUSDT"));
        assert!(tick("OLDUSDT").unwrap_err().contains("status is SETTLING"));
        assert!(tick("ODDUSDT").unwrap_err().contains("`x`, is not a number"));
        assert!(tick("NEWUSDT").unwrap_err().contains("states no price step"));
    }

    #[test]
    fn a_kline_is_an_array_of_texts_and_one_that_is_not_is_refused() {
        let row = |text: &str| candle(&serde_json::from_str::<Vec<Value>>(text).unwrap());
        let read =
            row(r#"[1735689600000,"100.0","101.5","99.5","100.25","3.5",1735689659999,"0",7]"#).unwrap();
        let expected = Candle {
            open_time_ms: 1_735_689_600_000,
            open: 100.0,
            high: 101.5,
            low: 99.5,
            close: 100.25,
            volume: 3.5,
        };
        assert_eq!(read, expected);
        assert_eq!(row(r#"[1735689600000,"100.0","101.5","99.5","x","3.5"]"#), None);
        assert_eq!(row(r#"[1735689600000,"100.0"]"#), None);
    }
}
