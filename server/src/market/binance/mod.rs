//! The live market: a client for Binance-compatible USD-M exchanges, of public data only, without a key.
//!
//! The market's clock is the exchange's: it is asked for once at the start, so that a host whose clock is off
//! evaluates at the exchange's :00 and :30 all the same, and an exchange that plays recorded data at another
//! speed is followed in the data's own time.

mod lane;
mod link;
pub mod message;
pub mod plan;
pub(super) mod rest;
mod tap;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use futures_util::{FutureExt, StreamExt, stream};
use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, MarketEvent, QuietMinutes, TickSize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use self::lane::Lane;
use self::link::Link;
use self::message::Kind;
use self::plan::Rules;
use self::rest::{KLINES_MAX, Markets, Rest, RestError};
pub use self::tap::Tap;
use super::{Opened, PAST_EVALUATED, Repair, Source};
use crate::clock::{MarketClock, wall_ms};
use crate::failure::Failure;
use crate::outbound::Dialer;

/// REST interface of the exchange that is used when none is named.
pub const REST_URL: &str = "https://fapi.binance.com";
/// Its WebSocket of trades and candles.
pub const MARKET_WS_URL: &str = "wss://fstream.binance.com/market";
/// The market that is followed when none is named.
const DEFAULT_SYMBOL: &str = "BTCUSDT";
/// Exchanges allow 200 streams a connection, and a market needs two.
const SYMBOLS_PER_CONNECTION: usize = 100;
/// More would take too many requests to begin with, and to come back after a cut.
const SYMBOLS_MAX: usize = 500;
/// Between groups of markets beyond the second. The past of a hundred markets costs 1,000 of the 2,400 that
/// exchanges allow a minute.
const GROUP_PAUSE: Duration = Duration::from_secs(30);
/// A host whose clock is further off than this is told.
const CLOCK_OFF_MS: i64 = 1_000;

/// Where the exchange is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Base of the REST interface, `https://…` or `http://…`.
    pub rest: Uri,
    /// Base of the WebSocket of trades and candles, `wss://…` or `ws://…`.
    pub market_ws: Uri,
}

impl Endpoints {
    /// The addresses of `market.rest_url` and `market.market_ws_url`.
    ///
    /// # Errors
    /// The first one that is no address.
    pub fn new(rest_url: &str, market_ws_url: &str) -> Result<Self, Failure> {
        let rest = address(rest_url, ["http", "https"], "market.rest_url")?;
        let market_ws = address(market_ws_url, ["ws", "wss"], "market.market_ws_url")?;
        Ok(Self { rest, market_ws })
    }

    /// Both addresses from one: `http://host` is also `ws://host`.
    ///
    /// # Errors
    /// If it is no address.
    pub fn of_base(url: &str) -> Result<Self, Failure> {
        let url = url.trim_end_matches('/');
        let rest = address(url, ["http", "https"], "--market binance:URL")?;
        // `http` and `https` become `ws` and `wss`.
        let market_ws = address(&url.replacen("http", "ws", 1), ["ws", "wss"], "--market binance:URL")?;
        Ok(Self { rest, market_ws })
    }

    fn is_on_this_machine(&self) -> bool {
        let host = self.rest.host().unwrap_or_default();
        matches!(host, "localhost" | "[::1]") || host.starts_with("127.")
    }
}

fn address(url: &str, schemes: [&str; 2], place: &str) -> Result<Uri, Failure> {
    let uri: Option<Uri> = url.parse().ok();
    let fits = |uri: &Uri| uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
    uri.filter(fits).filter(|uri| uri.host().is_some() && uri.query().is_none()).ok_or_else(|| {
        let [plain, encrypted] = schemes;
        Failure::configuration(
            "TG-MKT-005",
            format!("`{url}` is not the address of an exchange"),
            format!("write {encrypted}://HOST or {plain}://HOST, with a path where the exchange has one"),
        )
        .at(place)
    })
}

/// Opens the exchange: asks for its clock, price steps and the past of every market, and connects.
///
/// # Errors
/// A setting that makes no sense, or an exchange that cannot be used, with the reason.
pub async fn open(
    endpoints: &Endpoints,
    symbols: &[Symbol],
    speed: f64,
    rules: Rules,
    tap: Tap,
) -> Result<Opened, Failure> {
    let symbols = checked(endpoints, symbols, speed)?;
    let dialer = Dialer::new(&[&endpoints.rest, &endpoints.market_ws])?;
    let rest = Rest::new(endpoints.rest.clone(), dialer.clone(), rules.patience, tap.clone());
    let unusable = |error: RestError| unusable(endpoints, &error);
    let clock = clock(&rest, speed).await.map_err(unusable)?;
    let markets = rest.markets().await.map_err(unusable)?;
    let (mut sources, mut links) = (Vec::new(), Vec::new());
    for (group, index) in symbols.chunks(SYMBOLS_PER_CONNECTION).zip(0..) {
        if index > 1 {
            sleep(GROUP_PAUSE).await;
        }
        let (whole, is_whole) = watch::channel(false);
        let mut lanes = Vec::new();
        for &symbol in group {
            let tick = tick(&markets, symbol)?;
            let mut candles = rest.newest_candles(symbol).await.map_err(unusable)?;
            let now_ms = u64::try_from(clock.now_ms()).unwrap_or(0);
            candles.retain(|candle| candle.close_time_ms() <= now_ms);
            let (sender, events) = mpsc::channel(rules.queue);
            // Of a market without any past, nothing before the start is missing.
            let closed_until_ms = candles.last().map_or(now_ms, Candle::close_time_ms);
            lanes.push(Lane::new(symbol, sender, closed_until_ms));
            let repair = repair(rest.clone(), symbol, is_whole.clone());
            sources.push(source(symbol, tick, candles, events, repair));
        }
        links.push(Link {
            address: streams(&endpoints.market_ws, &lanes),
            dialer: dialer.clone(),
            rest: rest.clone(),
            lanes,
            tap: tap.clone(),
            clock,
            rules,
            whole,
            unreadable: [0; Kind::COUNT],
            heard_at: Instant::now(),
        });
    }
    // Only now, because events wait until every market is there.
    for link in links {
        tokio::spawn(link.run());
    }
    let host = endpoints.rest.authority().map_or("", |authority| authority.as_str());
    Ok(Opened { sources, clock, description: format!("live market data of {host}") })
}

fn tick(markets: &Markets, symbol: Symbol) -> Result<TickSize, Failure> {
    markets.tick(symbol).map_err(|what| {
        Failure::configuration(
            "TG-MKT-008",
            what,
            format!("take {symbol} out of --symbols and market.symbols, or name another exchange"),
        )
    })
}

fn checked(endpoints: &Endpoints, symbols: &[Symbol], speed: f64) -> Result<Vec<Symbol>, Failure> {
    #[expect(clippy::float_cmp, reason = "exactly real time")]
    if speed != 1.0 && !endpoints.is_on_this_machine() {
        return Err(Failure::configuration(
            "TG-MKT-006",
            format!("a market speed of {speed} for an exchange, whose time passes at 1"),
            "set market.speed = 1, or --speed 1",
        ));
    }
    if symbols.len() > SYMBOLS_MAX {
        return Err(Failure::configuration(
            "TG-MKT-009",
            format!("{} symbols; a node follows at most {SYMBOLS_MAX}", symbols.len()),
            "name fewer in market.symbols, and run another node for the rest",
        ));
    }
    let mut symbols = symbols.to_vec();
    if symbols.is_empty() {
        symbols.push(DEFAULT_SYMBOL.parse().expect("a symbol"));
    }
    Ok(symbols)
}

fn unusable(endpoints: &Endpoints, error: &RestError) -> Failure {
    let fix = match error {
        RestError::Unreachable(_) => "check the network, and market.rest_url or --market binance:URL",
        RestError::Refused { .. } | RestError::Paused(_) => {
            "wait as long as the exchange asks for; going on before turns a limit into a ban"
        }
        RestError::Unreadable(_) => "check that market.rest_url is a Binance-compatible USD-M exchange",
    };
    Failure::environment("TG-MKT-007", error.to_string(), fix).at(endpoints.rest.to_string())
}

/// The exchange's clock, read once: half of the way there and back has passed since it was looked at.
async fn clock(rest: &Rest, speed: f64) -> Result<MarketClock, RestError> {
    let asked = Instant::now();
    let time_ms = rest.time_ms().await?;
    let on_the_way_ms = asked.elapsed().as_secs_f64() * 500.0 * speed;
    #[expect(clippy::cast_possible_truncation, reason = "an answer takes seconds at most")]
    let now_ms = time_ms + on_the_way_ms as i64;
    let off_ms = wall_ms() - now_ms;
    #[expect(clippy::float_cmp, reason = "exactly real time")]
    if speed == 1.0 && off_ms.abs() > CLOCK_OFF_MS {
        tracing::warn!(off_ms, "this host's clock is off: the exchange's clock is used for the market");
    }
    Ok(MarketClock::new(now_ms, speed))
}

/// The address with its streams: `/stream?streams=btcusdt@kline_1m/btcusdt@aggTrade`.
fn streams(base: &Uri, lanes: &[Lane]) -> Uri {
    let names: Vec<_> = lanes
        .iter()
        .map(|lane| lane.symbol.as_str().to_ascii_lowercase())
        .map(|name| format!("{name}@kline_1m/{name}@aggTrade"))
        .collect();
    let base = base.to_string();
    let text = format!("{}/stream?streams={}", base.trim_end_matches('/'), names.join("/"));
    text.parse().expect("an address with letters and digits added is one")
}

fn source(
    symbol: Symbol,
    tick: TickSize,
    mut candles: Vec<Candle>,
    events: mpsc::Receiver<MarketEvent>,
    repair: Repair,
) -> Source {
    let evaluated = candles.split_off(candles.len().saturating_sub(PAST_EVALUATED));
    let events_of = move |candle: Candle| [MarketEvent::halfway(&candle, tick), MarketEvent::closed(candle)];
    Source {
        symbol,
        tick,
        past: candles,
        recent: Box::new(evaluated.into_iter().flat_map(events_of)),
        events: stream::unfold(events, async |mut events| Some((events.recv().await?, events))).boxed(),
        repair: Some(repair),
        quiet_minutes: QuietMinutes::Refill,
    }
}

fn repair(rest: Rest, symbol: Symbol, whole: watch::Receiver<bool>) -> Repair {
    let candles = Arc::new(move |from_ms: u64, to_ms: u64| {
        let rest = rest.clone();
        // More than one answer's worth is asked for again once this much is filled.
        let to_ms = to_ms.min(from_ms + KLINES_MAX as u64 * tidegate_strategy::MINUTE_MS);
        async move { rest.candles_in(symbol, from_ms..to_ms).await.map_err(|error| error.to_string()) }
            .boxed()
    });
    Repair { candles, whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_stands_for_both() {
        let endpoints = Endpoints::of_base("http://127.0.0.1:9000/").unwrap();
        assert_eq!(endpoints, Endpoints::new("http://127.0.0.1:9000", "ws://127.0.0.1:9000").unwrap());
        let encrypted = Endpoints::of_base("https://fapi.example/x").unwrap();
        assert_eq!(encrypted.market_ws, "wss://fapi.example/x");
        assert!(Endpoints::new(REST_URL, MARKET_WS_URL).is_ok());
    }

    #[test]
    fn what_is_no_address_is_named_with_its_setting() {
        for (rest, ws, place) in [
            ("fapi.example", MARKET_WS_URL, "market.rest_url"),
            ("ws://fapi.example", MARKET_WS_URL, "market.rest_url"),
            (REST_URL, "https://fstream.example", "market.market_ws_url"),
            (REST_URL, "wss://fstream.example/?a=b", "market.market_ws_url"),
        ] {
            let failure = Endpoints::new(rest, ws).unwrap_err().to_string();
            assert!(failure.contains(place) && failure.contains("TG-MKT-005"), "{failure}");
        }
        assert!(Endpoints::of_base("").is_err());
    }

    #[test]
    fn the_streams_are_part_of_the_address() {
        let lane = |symbol: &str| Lane::new(symbol.parse().unwrap(), mpsc::channel(1).0, 0);
        let base = MARKET_WS_URL.parse().unwrap();
        assert_eq!(
            streams(&base, &[lane("BTCUSDT"), lane("ETHUSDT")]),
            "wss://fstream.binance.com/market/stream?streams=btcusdt@kline_1m/btcusdt@aggTrade/ethusdt@kline_1m/ethusdt@aggTrade"
        );
        let root = "ws://127.0.0.1:9000".parse().unwrap();
        assert_eq!(streams(&root, &[]), "ws://127.0.0.1:9000/stream?streams=");
    }

    #[test]
    fn an_exchange_elsewhere_runs_in_real_time_and_a_connection_holds_so_many_markets() {
        let live = Endpoints::new(REST_URL, MARKET_WS_URL).unwrap();
        assert!(checked(&live, &[], 60.0).unwrap_err().to_string().contains("TG-MKT-006"));
        assert_eq!(checked(&live, &[], 1.0).unwrap(), ["BTCUSDT".parse().unwrap()]);
        let local = Endpoints::of_base("http://127.0.0.1:9000").unwrap();
        assert!(checked(&local, &[], 60.0).is_ok());
        let many: Vec<Symbol> = (0..501).map(|n| format!("A{n}USDT").parse().unwrap()).collect();
        assert!(checked(&live, &many, 1.0).unwrap_err().to_string().contains("501 symbols"));
    }
}
