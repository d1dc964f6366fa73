//! Many symbols of a live market, each with a tick every 100 milliseconds.

use tidegate_protocol::Strategy;
use tidegate_strategy::{Candle, Engine, MINUTE_MS, MarketEvent};

/// Rounds of ticks in a minute.
pub(crate) const ROUNDS: usize = 600;

/// Engines that have seen a day and an hour.
pub(crate) struct Live {
    engines: Vec<Engine>,
    candles: Vec<Candle>,
    now_ms: u64,
    minutes: usize,
}

impl Live {
    pub(crate) fn new(symbols: usize, candles: &[Candle]) -> Self {
        let past = &candles[..HISTORY];
        let warm = |_| {
            let mut engine = crate::engine(&Strategy::ALL);
            engine.warm_up(past).expect("good candles");
            engine
        };
        let engines = (0..symbols).map(warm).collect();
        let candles = candles[HISTORY..].to_vec();
        Self { engines, candles, now_ms: past[HISTORY - 1].close_time_ms(), minutes: 0 }
    }

    /// A minute of ticks; how much was said.
    pub(crate) fn minute(&mut self) -> usize {
        let mut said = 0;
        for round in 0..ROUNDS {
            let time_ms = self.now_ms + (round as u64 * MINUTE_MS) / ROUNDS as u64;
            for (symbol, engine) in self.engines.iter_mut().enumerate() {
                // Every symbol is somewhere else in the file.
                let candle = self.candles[(self.minutes + symbol * 7) % self.candles.len()];
                let prices = [candle.open, candle.high, candle.low, candle.close];
                let price = prices[round * prices.len() / ROUNDS];
                let quantity = candle.volume / ROUNDS as f64;
                engine.handle(&MarketEvent::Trade { time_ms, price, quantity }).expect("a good trade");
                said += engine.poll(time_ms).len();
            }
        }
        self.now_ms += MINUTE_MS;
        self.minutes += 1;
        said
    }
}

/// Memory of this process, in bytes.
pub(crate) fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
}

const HISTORY: usize = 1500;
