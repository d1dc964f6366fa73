//! What the engine does with an event that it does not use, and why: typed, counted, never silent.

use std::fmt;

use crate::time::{MINUTE_MS, timestamp};

/// What became of an event that could have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It moved the market.
    Applied,
    /// Its minute was closed already: it is ignored.
    Late,
    /// Its minute was closed already by a closed candle, and this is one more: it is ignored.
    Duplicate,
}

/// Why an event was refused. The engine's state is as it was before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// A price that is zero, negative, not a number, or rounds to no tick at all.
    Price {
        /// The price.
        price: f64,
    },
    /// A quantity that is negative or not a number.
    Quantity {
        /// The quantity.
        quantity: f64,
    },
    /// A time after the year 9999.
    Time {
        /// The time, in Unix milliseconds.
        time_ms: u64,
    },
    /// A candle that contradicts itself.
    Candle {
        /// Its open time, in Unix milliseconds.
        open_time_ms: u64,
        /// What is wrong with it.
        bad: BadCandle,
    },
    /// A price too far from the last one to be believed.
    Jump {
        /// The price.
        price: f64,
        /// The last price that was believed.
        last_price: f64,
    },
    /// Minutes are missing before this event. Handle their closed candles first, then this event again.
    Gap {
        /// Open time of the first missing minute, in Unix milliseconds.
        from_ms: u64,
        /// End of the last missing minute, in Unix milliseconds.
        to_ms: u64,
    },
}

/// What is wrong with a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadCandle {
    /// A price is zero, negative or not a number.
    Price,
    /// The open or the close lies outside low and high.
    Range,
    /// The volume is negative or not a number.
    Volume,
    /// The open time is not a multiple of a minute, or lies after the year 9999.
    Time,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Price { price } => write!(f, "price {price} is not a positive number of ticks"),
            Self::Quantity { quantity } => write!(f, "quantity {quantity} is not a number of at least 0"),
            Self::Time { time_ms } => write!(f, "time {time_ms} ms lies after the year 9999"),
            Self::Candle { open_time_ms, bad } => {
                write!(f, "the candle of {open_time_ms} ms {}", bad.as_str())
            }
            Self::Jump { price, last_price } => {
                write!(
                    f,
                    "price {price} is too far from the last price {last_price} (setting jump_max_percent)"
                )
            }
            Self::Gap { from_ms, to_ms } => {
                let minutes = (to_ms - from_ms) / MINUTE_MS;
                write!(f, "{minutes} one-minute candles from {} are missing: fetch them", timestamp(from_ms))
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl BadCandle {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Price => "has a price that is not a positive number",
            Self::Range => "opens or closes outside its low and high",
            Self::Volume => "has a volume that is not a number of at least 0",
            Self::Time => "does not open on a whole minute before the year 10000",
        }
    }
}

/// How many events an engine has seen, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Moved the market.
    pub applied: u64,
    /// Ignored: their minute was closed.
    pub late: u64,
    /// Ignored: closed candles of a minute that had one.
    pub duplicate: u64,
    /// Refused: no price, quantity, candle or time that could be.
    pub invalid: u64,
    /// Refused: price too far from the last one.
    pub jump: u64,
    /// Refused: minutes were missing before them.
    pub gap: u64,
}

impl Counts {
    /// Counts one event.
    pub(crate) const fn add(&mut self, outcome: &Result<Handled, Refusal>) {
        let counter = match outcome {
            Ok(Handled::Applied) => &mut self.applied,
            Ok(Handled::Late) => &mut self.late,
            Ok(Handled::Duplicate) => &mut self.duplicate,
            Err(Refusal::Jump { .. }) => &mut self.jump,
            Err(Refusal::Gap { .. }) => &mut self.gap,
            Err(
                Refusal::Price { .. }
                | Refusal::Quantity { .. }
                | Refusal::Time { .. }
                | Refusal::Candle { .. },
            ) => &mut self.invalid,
        };
        *counter += 1;
    }
}
