//! One simulated minute: a candle, and trades that make exactly that candle.

use tidegate_strategy::{Candle, MINUTE_MS, MarketEvent};

use super::Profile;
use super::random::Random;

/// How much more is traded when an extreme is swept.
const SWEEP_VOLUME: f64 = 4.0;
/// One trade a second.
const SECONDS_PER_MINUTE: u64 = 60;

/// One minute: its candle is known at once, and its trades run through exactly that candle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minute {
    number: u64,
    prices: [f64; 4],
    high_first: bool,
    /// Seconds at which the two extremes are traded.
    turns: [u64; 2],
    volume: f64,
    profile: Profile,
    random: Random,
}

impl Minute {
    pub(super) fn draw(
        number: u64,
        level: [f64; 2],
        deviation: f64,
        sweep: Option<f64>,
        profile: Profile,
        mut random: Random,
    ) -> Self {
        let tick = profile.tick;
        let (open, close) = (tick.round(level[0]), tick.round(level[1]));
        let mut wick = || 1.0 + 0.6 * deviation * random.normal().abs();
        let (top, bottom) = (open.max(close), open.min(close));
        let mut high = tick.round(top * wick()).max(top);
        let mut low = tick.round(bottom / wick()).min(bottom);
        let travel = (high - low) / open / deviation.max(1e-9);
        let mut volume = profile.volume * (0.4 + 0.6 * random.uniform()) * (0.5 + 0.5 * travel);
        if let Some(extreme) = sweep {
            high = high.max(tick.round(extreme));
            low = low.min(tick.round(extreme));
            volume *= SWEEP_VOLUME;
        }
        let first = 5 + random.below(22);
        let turns = [first, first + 5 + random.below(22)];
        let high_first = random.uniform() < 0.5;
        Self { number, prices: [open, high, low, close], high_first, turns, volume, profile, random }
    }

    pub(super) fn candle(&self) -> Candle {
        let [open, high, low, close] = self.prices;
        Candle { open_time_ms: self.number * MINUTE_MS, open, high, low, close, volume: self.volume }
    }

    /// One trade a second: from the open by way of both extremes to the close.
    pub(super) fn trades(mut self) -> impl Iterator<Item = MarketEvent> {
        let [open, high, low, close] = self.prices;
        let (first, second) = if self.high_first { (high, low) } else { (low, high) };
        let [turn, turn_back] = self.turns;
        let last = SECONDS_PER_MINUTE - 1;
        let quantity = self.volume / 60.0;
        (0..SECONDS_PER_MINUTE).map(move |second_of_minute| {
            let leg = match second_of_minute {
                at if at <= turn => (open, first, 0, turn),
                at if at <= turn_back => (first, second, turn, turn_back),
                _ => (second, close, turn_back, last),
            };
            let noise = self.random.normal() * (high - low) * 0.06;
            let price = self.between(leg, second_of_minute, noise);
            let time_ms = self.number * MINUTE_MS + second_of_minute * 1_000;
            MarketEvent::Trade { time_ms, price, quantity }
        })
    }

    /// The price on the way from one turn to the next: exact at both, a little off in between.
    pub(super) fn between(&self, (from, to, start, end): (f64, f64, u64, u64), at: u64, noise: f64) -> f64 {
        let [_, high, low, _] = self.prices;
        if at == start {
            return from;
        }
        if at == end {
            return to;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a minute")]
        let part = (at - start) as f64 / (end - start) as f64;
        self.profile.tick.round(from + (to - from) * part + noise).clamp(low, high)
    }
}
