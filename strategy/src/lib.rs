//! Trading strategies: market events in, signals out.
//!
//! The crate reads no clock, draws no random number and does no I/O. Time is an argument, in Unix milliseconds,
//! and the signals at an instant depend on the events up to that instant and on nothing after it. Live, replay
//! and backtest run this same code and get the same bytes.
//!
//! What every number means, with its formula: `docs/strategies.md`.
//!
//! ```
//! use tidegate_strategy::{Engine, MarketEvent, Parameters};
//!
//! let symbol = "BTCUSDT".parse()?;
//! let mut engine = Engine::new(symbol, "0.1".parse()?, Parameters::default())?;
//!
//! let noon = 1_735_732_800_000;
//! engine.handle(&MarketEvent::Trade { time_ms: noon + 12_000, price: 94_600.5, quantity: 0.02 })?;
//! assert!(engine.poll(noon + 29_999).is_empty());
//!
//! let evaluations = engine.poll(noon + 30_000);
//! assert_eq!(evaluations[0].time_ms, noon + 30_000);
//! assert_eq!(evaluations[0].body.reasoning(), "Market data stale (18s).");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod candle;
mod direction;
mod engine;
mod evaluation;
pub mod indicator;
mod levels;
mod market;
mod minutes;
mod momentum;
mod number;
mod order;
mod outcome;
mod parameters;
mod profile;
mod range;
mod refusal;
mod scalp;
mod structure;
mod text;
mod time;
mod window;

pub use candle::{Candle, MarketEvent, Resampled, resample};
pub use engine::Engine;
pub use evaluation::{Evaluation, Signal};
pub use number::{Fixed, InvalidTickSize, TickSize, round};
pub use outcome::{End, Follower, Outcome, Plan, Tally, break_even_rate};
pub use parameters::{
    DataParameters, DetectorParameters, InvalidParameter, MomentumParameters, Parameters, QuietMinutes,
    RangeParameters, ScalpParameters,
};
pub use refusal::{BadCandle, Counts, Handled, Refusal};
pub use time::{MINUTE_MS, timestamp};
