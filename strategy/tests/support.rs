//! Markets made by hand, and short ways to drive an engine.

use tidegate_protocol::{RangePayload, Strategy};
use tidegate_strategy::{
    Candle, DataParameters, Engine, Evaluation, MINUTE_MS, MarketEvent, Parameters, QuietMinutes, Signal,
    TickSize,
};

/// Noon of some day; minutes of the tests are counted from here.
pub(crate) const NOON_MS: u64 = 1_735_732_800_000;

pub(crate) fn tick(text: &str) -> TickSize {
    text.parse().expect("a tick size")
}

pub(crate) fn engine() -> Engine {
    engine_with(Parameters::default(), "0.1")
}

/// An engine for an exchange behind a network: missing minutes are refilled.
pub(crate) fn live_engine() -> Engine {
    let data = DataParameters { quiet_minutes: QuietMinutes::Refill, ..DataParameters::default() };
    engine_with(Parameters { data, ..Parameters::default() }, "0.1")
}

pub(crate) fn engine_with(parameters: Parameters, tick_size: &str) -> Engine {
    Engine::new("TESTUSDT".parse().expect("a symbol"), tick(tick_size), parameters).expect("good parameters")
}

/// A trade `seconds` after noon.
pub(crate) fn trade(seconds: f64, price: f64) -> MarketEvent {
    MarketEvent::Trade { time_ms: at(seconds), price, quantity: 1.0 }
}

/// The instant `seconds` after noon.
pub(crate) fn at(seconds: f64) -> u64 {
    NOON_MS + (seconds * 1000.0) as u64
}

/// The candle of a minute after noon.
pub(crate) fn candle(minute: u64, [open, high, low, close]: [f64; 4]) -> Candle {
    Candle { open_time_ms: NOON_MS + minute * MINUTE_MS, open, high, low, close, volume: 1.0 }
}

/// Candles that close at these prices, each from the close before, one a minute from noon on.
pub(crate) fn candles(closes: &[f64]) -> Vec<Candle> {
    let opens = closes.first().into_iter().chain(closes);
    let step = |((&open, &close), minute)| candle(minute, [open, open.max(close), open.min(close), close]);
    opens.zip(closes).zip(0..).map(step).collect()
}

/// Drives an engine the way a source of candle files does.
pub(crate) fn replay(engine: &mut Engine, tick: TickSize, candles: &[Candle]) -> Vec<Evaluation> {
    let mut said = Vec::new();
    for candle in candles {
        for event in [MarketEvent::halfway(candle, tick), MarketEvent::closed(*candle)] {
            engine.handle(&event).expect("a good candle");
            said.extend(engine.poll(event.time_ms()));
        }
    }
    said
}

/// The evaluations of one strategy.
pub(crate) fn of(said: &[Evaluation], strategy: Strategy) -> impl DoubleEndedIterator<Item = &Evaluation> {
    said.iter().filter(move |evaluation| evaluation.strategy == strategy)
}

/// The last thing `range_trading` said.
pub(crate) fn last_range(said: &[Evaluation]) -> &RangePayload {
    match of(said, Strategy::RangeTrading).next_back().map(|evaluation| &evaluation.body) {
        Some(Signal::RangeTrading(payload)) => payload,
        other => panic!("no range signal: {other:?}"),
    }
}
