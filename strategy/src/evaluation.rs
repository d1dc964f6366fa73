//! What an evaluation starts from and what it yields.

use tidegate_protocol::{Confidence, MomentumIndicator, RangePayload, ScalpIndicator, Side, Strategy};

use crate::candle::Candle;
use crate::direction::Direction;
use crate::time::Timestamp;

/// What one strategy says at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The strategy.
    pub strategy: Strategy,
    /// The evaluation instant in Unix milliseconds: a multiple of 30 seconds, and the signal's `seq`.
    pub time_ms: u64,
    /// What it says.
    pub body: Signal,
    /// Whether followers are told. `scalp` and `momentum` always; `range_trading` while LONG or SHORT, and when
    /// its state changes.
    pub send: bool,
    /// Whether the market data was too old to say anything.
    pub stale: bool,
}

/// The body of a signal message.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// Of `scalp`.
    Scalp(ScalpIndicator),
    /// Of `momentum`.
    Momentum(MomentumIndicator),
    /// Of `range_trading`.
    RangeTrading(Box<RangePayload>),
}

impl Signal {
    /// What to do.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::Scalp(indicator) => indicator.side,
            Self::Momentum(indicator) => indicator.side,
            Self::RangeTrading(payload) => payload.summary.entry.side,
        }
    }

    /// Why, in words.
    #[must_use]
    pub fn reasoning(&self) -> &str {
        match self {
            Self::Scalp(indicator) => &indicator.reasoning,
            Self::Momentum(indicator) => &indicator.reasoning,
            Self::RangeTrading(payload) => &payload.summary.entry.reasoning,
        }
    }
}

/// The market at an evaluation instant, as far as it was known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The instant.
    pub(crate) time_ms: u64,
    /// The instant as text.
    pub(crate) timestamp: Timestamp,
    /// The last price; at the close of a minute its close.
    pub(crate) price: f64,
    /// The minute that is running; nothing at the close of a minute.
    pub(crate) running: Option<Candle>,
    /// Seconds since the last event, if that is too long.
    pub(crate) stale_seconds: Option<u64>,
}

/// What a strategy decided.
#[derive(Clone, Debug)]
pub(crate) struct Advice {
    /// Which way; nothing is NEUTRAL.
    pub(crate) direction: Option<Direction>,
    pub(crate) confidence: Confidence,
    pub(crate) reasoning: String,
}

impl Advice {
    /// To stay out.
    pub(crate) const fn neutral(reasoning: String) -> Self {
        Self { direction: None, confidence: Confidence::Low, reasoning }
    }
}

/// Why no strategy may advise anything yet, or any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The last market event is this many seconds old.
    Stale(u64),
    /// There are `have` of `need` candles.
    WarmingUp { have: usize, need: usize },
}

impl Hold {
    /// What holds a strategy that needs `need` candles and has seen `have`. Stale comes first: of a market that
    /// is silent it does not matter how much of it is known.
    pub(crate) const fn of(moment: &Moment, have: usize, need: usize) -> Option<Self> {
        match moment.stale_seconds {
            Some(seconds) => Some(Self::Stale(seconds)),
            None if have < need => Some(Self::WarmingUp { have, need }),
            None => None,
        }
    }

    /// The reason in words.
    pub(crate) fn reasoning(self) -> String {
        match self {
            Self::Stale(seconds) => format!("Market data stale ({seconds}s)."),
            Self::WarmingUp { have, need } => format!("Warming up: {have}/{need} one-minute candles."),
        }
    }
}
