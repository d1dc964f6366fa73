//! Where market data comes from. A source is a past and a stream of events; the rest of the gateway does not
//! know which one it is.

pub mod binance;
pub mod recording;
pub mod replay;
pub mod simulator;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, MarketEvent, QuietMinutes, TickSize};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::binance::plan::Rules;
use self::binance::{Endpoints, Tap};
use crate::clock::{MarketClock, wall_ms};
use crate::config::MarketConfig;
use crate::failure::Failure;

/// Candles before the start that strategies are made ready with: a day and an hour.
pub const PAST_CANDLES: usize = 1_500;
/// Of those, the minutes whose signals are computed too, so that clients can resume right after a start.
pub const PAST_EVALUATED: usize = 520;

/// One symbol's market.
pub struct Source {
    /// The market.
    pub symbol: Symbol,
    /// Its price step.
    pub tick: TickSize,
    /// Closed candles before the start, oldest first.
    pub past: Vec<Candle>,
    /// What happened after them and before the start: evaluated, so that there is a history. Made as it is taken:
    /// of many markets together it would be a lot.
    pub recent: Recent,
    /// What happens from the start on, each event when it is due.
    pub events: BoxStream<'static, MarketEvent>,
    /// How holes in the events are filled; nothing for a market that has none.
    pub repair: Option<Repair>,
    /// What a minute means in which nothing arrived.
    pub quiet_minutes: QuietMinutes,
}

/// Events of the past, oldest first.
pub type Recent = Box<dyn Iterator<Item = MarketEvent> + Send>;

/// How holes in a market's events are filled.
pub struct Repair {
    /// Fetches closed candles: those that open from the first time up to the second, oldest first, or the first
    /// ones of them.
    pub candles: Fetch,
    /// Whether events arrive without a hole; while they do not, what is due waits a little for them.
    pub whole: watch::Receiver<bool>,
}

impl std::fmt::Debug for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repair").field("whole", &*self.whole.borrow()).finish_non_exhaustive()
    }
}

/// Asks for the closed candles between two times; the error is a sentence.
pub type Fetch = Arc<dyn Fn(u64, u64) -> BoxFuture<'static, Result<Vec<Candle>, String>> + Send + Sync>;

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("symbol", &self.symbol)
            .field("past", &self.past.len())
            .finish_non_exhaustive()
    }
}

/// Every market of this node, on one clock.
#[derive(Debug)]
pub struct Opened {
    /// One source per symbol.
    pub sources: Vec<Source>,
    /// The markets' time.
    pub clock: MarketClock,
    /// What it is, for the banner and for `/api/perps/symbols`.
    pub description: String,
}

/// What `market.source` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The simulator with this seed.
    Simulator(u64),
    /// Files of candles or of recorded messages.
    Replay(Vec<PathBuf>),
    /// A Binance-compatible exchange: at this address, or where the settings say.
    Binance(Option<String>),
}

impl Choice {
    /// Reads `sim`, `sim:SEED`, `replay:FILE[,FILE…]`, `binance` or `binance:URL`.
    ///
    /// # Errors
    /// What is valid, if it is none of them.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: String| {
            Failure::configuration(
                "TG-MKT-001",
                what,
                "use sim, sim:SEED, replay:FILE[,FILE…], binance or binance:URL in --market or market.source",
            )
        };
        match text.split_once(':') {
            None if text == "sim" => Ok(Self::Simulator(1)),
            None if text == "binance" => Ok(Self::Binance(None)),
            Some(("binance", url)) if !url.is_empty() => Ok(Self::Binance(Some(url.to_owned()))),
            Some(("sim", seed)) => seed
                .parse()
                .map(Self::Simulator)
                .map_err(|_| wrong(format!("the simulator's seed `{seed}` is not a whole number"))),
            Some(("replay", files)) if !files.is_empty() => {
                Ok(Self::Replay(files.split(',').map(PathBuf::from).collect()))
            }
            _ => Err(wrong(format!("unknown market `{text}`"))),
        }
    }
}

/// Opens the configured market. Blocks, and belongs to a thread of a runtime on which that is allowed.
///
/// # Errors
/// A configuration that makes no sense, a file that cannot be used, with file, line and reason, or an exchange
/// that cannot be.
///
/// # Panics
/// Outside of a runtime, if the market is an exchange.
pub fn open(config: &MarketConfig) -> Result<Opened, Failure> {
    match Choice::parse(&config.source)? {
        Choice::Simulator(seed) => Ok(simulator::open(seed, &config.symbols, config.speed, wall_ms())),
        Choice::Replay(files) => replay::open(&files, &config.symbols, config.speed),
        Choice::Binance(url) => {
            let endpoints = config.endpoints(url.as_deref())?;
            let opening =
                binance::open(&endpoints, &config.symbols, config.speed, Rules::default(), Tap::default());
            Handle::current().block_on(opening)
        }
    }
}

impl MarketConfig {
    /// Where the exchange is: at this address, or where the settings say.
    ///
    /// # Errors
    /// What is no address.
    pub fn endpoints(&self, url: Option<&str>) -> Result<Endpoints, Failure> {
        match url {
            Some(url) => Endpoints::of_base(url),
            None => Endpoints::new(&self.rest_url, &self.market_ws_url),
        }
    }
}

/// Gives each event when the market's clock reaches it.
fn paced(
    events: impl Iterator<Item = MarketEvent> + Send + 'static,
    clock: MarketClock,
) -> BoxStream<'static, MarketEvent> {
    stream::iter(events)
        .then(move |event| async move {
            tokio::time::sleep_until(clock.instant_of(event_ms(&event))).await;
            event
        })
        .boxed()
}

/// The time of an event as the server counts it.
#[must_use]
pub fn event_ms(event: &MarketEvent) -> i64 {
    i64::try_from(event.time_ms()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_is_named_by_kind_and_detail() {
        assert_eq!(Choice::parse("sim").unwrap(), Choice::Simulator(1));
        assert_eq!(Choice::parse("sim:42").unwrap(), Choice::Simulator(42));
        let files = vec!["a.csv".into(), "b.csv.gz".into()];
        assert_eq!(Choice::parse("replay:a.csv,b.csv.gz").unwrap(), Choice::Replay(files));
        assert_eq!(Choice::parse("binance").unwrap(), Choice::Binance(None));
        let url = Some("http://127.0.0.1:9000".to_owned());
        assert_eq!(Choice::parse("binance:http://127.0.0.1:9000").unwrap(), Choice::Binance(url));
        for wrong in ["", "replay:", "sim:x", "binance:", "file:x"] {
            let failure = Choice::parse(wrong).unwrap_err().to_string();
            assert!(failure.contains("replay:FILE"), "{failure}");
        }
    }
}
