//! Indicators of closed candles: constant time and memory per update, seeded and smoothed as TA-Lib does, so
//! that figures agree with charts. Nothing here rounds.

mod adx;
mod atr;
mod ema;
mod macd;
mod rsi;

pub use adx::Adx;
pub use atr::Atr;
pub use ema::Ema;
pub use macd::Macd;
pub use rsi::Rsi;

use crate::candle::Candle;

/// How far a candle reached, counted from the close before it: `max(high, previous close) − min(low, previous
/// close)`, in the quote currency (Wilder's true range).
fn true_range(candle: &Candle, previous_close: f64) -> f64 {
    candle.high.max(previous_close) - candle.low.min(previous_close)
}

/// Wilder's smoothing of an average over `period` values: `(previous·(period − 1) + x)/period`.
fn wilder(previous: f64, x: f64, period: usize) -> f64 {
    (previous * (period as f64 - 1.0) + x) / period as f64
}
