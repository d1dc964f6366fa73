//! Market structure: liquidity sweeps and fair value gaps. Both are facts about closed candles.

use std::collections::VecDeque;

use crate::candle::{Candle, Resampler};
use crate::direction::Direction;
use crate::number::TickSize;
use crate::parameters::DetectorParameters;
use crate::time::MINUTE_MS;
use crate::window::RollingRange;

/// A candle that took out the extreme of the candles before it and closed back inside, on much volume and with
/// a long wick: whoever had a stop there is out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sweep {
    /// The extreme that was taken out.
    pub(crate) level: f64,
    /// Volume as a multiple of the mean before.
    pub(crate) volume_factor: f64,
    /// Wick as a multiple of the body (of a tick, if the body is smaller).
    pub(crate) wick_factor: f64,
    /// Number of the candle, counted from 1.
    candle: u64,
}

/// Finds sweeps and remembers the newest of each direction.
#[derive(Clone, Debug)]
pub(crate) struct Sweeps {
    parameters: DetectorParameters,
    tick: f64,
    candles: u64,
    /// The candles before the next one.
    range: RollingRange,
    volumes: VecDeque<f64>,
    bullish: Option<Sweep>,
    bearish: Option<Sweep>,
}

impl Sweeps {
    pub(crate) fn new(parameters: DetectorParameters, tick: TickSize) -> Self {
        let range = RollingRange::new(parameters.sweep_lookback);
        let volumes = VecDeque::with_capacity(parameters.sweep_volume_candles);
        Self { parameters, tick: tick.size(), candles: 0, range, volumes, bullish: None, bearish: None }
    }

    /// Adds a closed minute.
    pub(crate) fn update(&mut self, candle: &Candle) {
        self.candles += 1;
        // A candle that swept both sides counts as bullish.
        if let Some(sweep) = self.find(candle, Direction::Long) {
            self.bullish = Some(sweep);
        } else if let Some(sweep) = self.find(candle, Direction::Short) {
            self.bearish = Some(sweep);
        }
        self.range.push(candle);
        if self.volumes.len() == self.parameters.sweep_volume_candles {
            self.volumes.pop_front();
        }
        self.volumes.push_back(candle.volume);
    }

    /// The newest sweep of a direction within the last `memory` candles.
    pub(crate) fn recent(&self, direction: Direction, memory: usize) -> Option<Sweep> {
        let newest = direction.pick(self.bullish, self.bearish);
        newest.filter(|sweep| self.candles - sweep.candle < memory as u64)
    }

    fn find(&self, candle: &Candle, direction: Direction) -> Option<Sweep> {
        let &DetectorParameters { sweep_lookback, sweep_volume_candles, .. } = &self.parameters;
        let known = self.candles > sweep_lookback.max(sweep_volume_candles) as u64;
        let range = self.range.range().filter(|_| known)?;
        let (level, swept, wick) = match direction {
            Direction::Long => {
                (range.low, candle.low < range.low, candle.open.min(candle.close) - candle.low)
            }
            Direction::Short => {
                (range.high, candle.high > range.high, candle.high - candle.open.max(candle.close))
            }
        };
        if !swept || direction.favourable(candle.close - level) <= 0.0 {
            return None;
        }
        // Summed anew: a running sum would depend on where the data began.
        let mean_volume = self.volumes.iter().sum::<f64>() / self.volumes.len() as f64;
        let body = (candle.close - candle.open).abs().max(self.tick);
        let strong = candle.volume >= self.parameters.sweep_volume_factor * mean_volume && mean_volume > 0.0;
        let rejected = wick >= self.parameters.sweep_wick_factor * body;
        let (volume_factor, wick_factor) = (candle.volume / mean_volume, wick / body);
        (strong && rejected).then_some(Sweep { level, volume_factor, wick_factor, candle: self.candles })
    }
}

/// Prices that three candles of five minutes jumped over: the third does not overlap the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gap {
    pub(crate) direction: Direction,
    pub(crate) bottom: f64,
    pub(crate) top: f64,
    created_ms: u64,
    /// How far price has come back into the gap since.
    reached: f64,
}

impl Gap {
    /// How much of the gap price has covered again, in percent; over 100 when it went through.
    pub(crate) fn filled_percent(&self) -> f64 {
        let covered = self.direction.pick(self.top - self.reached, self.reached - self.bottom);
        covered / (self.top - self.bottom) * 100.0
    }

    /// Whole minutes since the third candle closed.
    pub(crate) const fn age_minutes(&self, time_ms: u64) -> u64 {
        time_ms.saturating_sub(self.created_ms) / MINUTE_MS
    }

    /// The edge where price coming back would meet the far side: the bottom of a bullish gap.
    pub(crate) const fn edge(&self) -> f64 {
        self.direction.pick(self.bottom, self.top)
    }

    fn visit(&mut self, candle: &Candle) {
        self.reached = self.direction.pick(self.reached.min(candle.low), self.reached.max(candle.high));
    }
}

/// Finds fair value gaps on candles of five minutes and follows how they fill.
#[derive(Clone, Debug)]
pub(crate) struct Gaps {
    min_percent: f64,
    age_max_minutes: u64,
    five: Resampler,
    /// The two closed five-minute candles before the next one, older first.
    before: [Option<Candle>; 2],
    /// Oldest first; those that are filled or too old are dropped.
    open: VecDeque<Gap>,
}

impl Gaps {
    /// Remembers gaps of at least `min_percent` of the close for `age_max_minutes`.
    pub(crate) fn new(min_percent: f64, age_max_minutes: u64) -> Self {
        let (five, open) = (Resampler::new(GAP_MINUTES), VecDeque::new());
        Self { min_percent, age_max_minutes, five, before: [None, None], open }
    }

    /// Adds a closed minute.
    pub(crate) fn update(&mut self, candle: &Candle) {
        for gap in &mut self.open {
            gap.visit(candle);
        }
        let now_ms = candle.close_time_ms();
        self.open
            .retain(|gap| gap.filled_percent() < 100.0 && gap.age_minutes(now_ms) <= self.age_max_minutes);
        if let Some(third) = self.five.push(candle) {
            if let [Some(first), Some(second)] = self.before {
                self.open.extend(self.find(&first, &second, &third, now_ms));
            }
            self.before = [self.before[1], Some(third)];
        }
    }

    /// The newest gap of a direction that price is filling at `time_ms`.
    pub(crate) fn filling(
        &self,
        direction: Direction,
        price: f64,
        time_ms: u64,
        age_max: u64,
    ) -> Option<Gap> {
        let filling = |gap: &&Gap| {
            gap.direction == direction
                && gap.filled_percent() > 0.0
                && (gap.bottom..=gap.top).contains(&price)
                && gap.age_minutes(time_ms) <= age_max
        };
        self.open.iter().rev().find(filling).copied()
    }

    fn find(&self, first: &Candle, second: &Candle, third: &Candle, created_ms: u64) -> Option<Gap> {
        let direction = if third.low > first.high && second.close > second.open {
            Direction::Long
        } else if third.high < first.low && second.close < second.open {
            Direction::Short
        } else {
            return None;
        };
        let (bottom, top) = direction.pick((first.high, third.low), (third.high, first.low));
        let large = top - bottom >= third.close * self.min_percent / 100.0;
        // Price leaves a bullish gap upward: nothing of it is filled yet.
        let reached = direction.pick(top, bottom);
        large.then_some(Gap { direction, bottom, top, created_ms, reached })
    }
}

/// Gaps are of five-minute candles.
const GAP_MINUTES: u64 = 5;
