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

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(minute: u64, [open, high, low, close]: [f64; 4], volume: f64) -> Candle {
        Candle { open_time_ms: minute * MINUTE_MS, open, high, low, close, volume }
    }

    /// What a candle after half an hour between 99 and 101 is found to be.
    fn sweep(last: [f64; 4], volume: f64) -> [Option<Sweep>; 2] {
        let mut sweeps = Sweeps::new(DetectorParameters::default(), "0.1".parse().unwrap());
        for minute in 0..30 {
            sweeps.update(&candle(minute, [100.0, 101.0, 99.0, 100.0], 10.0));
        }
        sweeps.update(&candle(30, last, volume));
        [Direction::Long, Direction::Short].map(|direction| sweeps.recent(direction, 1))
    }

    #[test]
    fn a_sweep_takes_out_the_extreme_and_closes_back_inside() {
        let found = Sweep { level: 99.0, volume_factor: 2.0, wick_factor: 3.0, candle: 31 };
        assert_eq!(sweep([100.0, 100.0, 98.0, 99.5], 20.0), [Some(found), None]);
        let found = Sweep { level: 101.0, volume_factor: 2.0, wick_factor: 3.0, candle: 31 };
        assert_eq!(sweep([100.0, 102.0, 100.0, 100.5], 20.0), [None, Some(found)]);
    }

    #[test]
    fn what_lacks_one_property_is_no_sweep() {
        for (last, volume) in [
            ([100.0, 100.0, 99.0, 99.5], 20.0),
            ([100.0, 100.0, 98.0, 99.0], 20.0),
            ([100.0, 100.0, 98.0, 99.5], 14.9),
            ([100.0, 100.0, 98.6, 99.4], 20.0),
        ] {
            assert_eq!(sweep(last, volume), [None, None], "{last:?} {volume}");
        }
    }

    #[test]
    fn a_candle_that_swept_both_sides_counts_as_bullish() {
        let [bullish, bearish] = sweep([100.0, 102.0, 98.0, 100.0], 20.0);
        assert_eq!((bullish.map(|sweep| sweep.level), bearish), (Some(99.0), None));
        // A body of nothing is measured as one tick.
        assert_eq!(bullish.map(|sweep| sweep.wick_factor.round()), Some(20.0));
    }

    #[test]
    fn a_sweep_is_forgotten_after_its_memory() {
        let mut sweeps = Sweeps::new(DetectorParameters::default(), "0.1".parse().unwrap());
        for minute in 0..30 {
            sweeps.update(&candle(minute, [100.0, 101.0, 99.0, 100.0], 10.0));
        }
        sweeps.update(&candle(30, [100.0, 100.0, 98.0, 99.5], 20.0));
        for minute in 31..35 {
            sweeps.update(&candle(minute, [100.0, 101.0, 99.0, 100.0], 10.0));
        }
        assert!(sweeps.recent(Direction::Long, 5).is_some());
        assert_eq!(sweeps.recent(Direction::Long, 4), None);
    }

    /// Gaps after candles of five minutes, told by one minute each, and later minutes.
    fn gaps(fives: &[[f64; 4]], later: &[[f64; 4]]) -> Gaps {
        let mut gaps = Gaps::new(0.02, 120);
        let still = |[.., close]: [f64; 4]| [close; 4];
        let minutes =
            fives.iter().flat_map(|&five| [five, still(five), still(five), still(five), still(five)]);
        for (minute, prices) in minutes.chain(later.iter().copied()).enumerate() {
            gaps.update(&candle(minute as u64, prices, 1.0));
        }
        gaps
    }

    const JUMP_UP: [[f64; 4]; 3] =
        [[100.0, 101.0, 99.0, 101.0], [101.0, 104.0, 101.0, 104.0], [104.0, 106.0, 103.0, 105.0]];

    #[test]
    fn a_gap_fills_while_price_comes_back_into_it() {
        let found = gaps(&JUMP_UP, &[[105.0, 105.0, 102.5, 102.6]]);
        let gap = found.filling(Direction::Long, 102.6, 16 * MINUTE_MS, 120).unwrap();
        assert_eq!((gap.bottom, gap.top, gap.edge()), (101.0, 103.0, 101.0));
        assert_eq!((gap.filled_percent(), gap.age_minutes(16 * MINUTE_MS)), (25.0, 1));
        assert_eq!(found.filling(Direction::Long, 103.5, 16 * MINUTE_MS, 120), None, "price is not inside");
        assert_eq!(found.filling(Direction::Short, 102.6, 16 * MINUTE_MS, 120), None, "the other direction");
        assert_eq!(found.filling(Direction::Long, 102.6, 137 * MINUTE_MS, 120), None, "too old");
    }

    #[test]
    fn a_bearish_gap_is_the_mirror() {
        let jump_down =
            JUMP_UP.map(|[open, high, low, close]| [200.0 - open, 200.0 - low, 200.0 - high, 200.0 - close]);
        let found = gaps(&jump_down, &[[95.0, 97.5, 95.0, 97.4]]);
        let gap = found.filling(Direction::Short, 97.4, 16 * MINUTE_MS, 120).unwrap();
        assert_eq!((gap.bottom, gap.top, gap.edge(), gap.filled_percent()), (97.0, 99.0, 99.0, 25.0));
    }

    #[test]
    fn a_gap_that_is_untouched_filled_small_or_against_its_candle_is_not_filling() {
        let filling =
            |found: &Gaps, price| found.filling(Direction::Long, price, 17 * MINUTE_MS, 120).is_some();
        assert!(!filling(&gaps(&JUMP_UP, &[]), 103.0));
        let through = [[105.0, 105.0, 101.0, 102.0], [102.0; 4]];
        assert!(!filling(&gaps(&JUMP_UP, &through), 102.0));
        let mut red = JUMP_UP;
        red[1] = [104.0, 104.0, 101.0, 103.9];
        assert!(!filling(&gaps(&red, &[[105.0, 105.0, 102.5, 102.6]]), 102.6));
        let mut small = JUMP_UP;
        small[2] = [104.0, 106.0, 101.02, 105.0];
        assert!(!filling(&gaps(&small, &[[105.0, 105.0, 101.01, 101.01]]), 101.01));
    }

    #[test]
    fn of_two_gaps_the_newer_one_is_told() {
        let mut fives = JUMP_UP.to_vec();
        fives.push([105.0, 105.0, 102.0, 102.0]);
        fives.extend(JUMP_UP.map(|five| five.map(|price| price + 1.0)));
        let found = gaps(&fives, &[[106.0, 106.0, 102.5, 102.6]]);
        let gap = found.filling(Direction::Long, 102.6, 36 * MINUTE_MS, 120).unwrap();
        assert_eq!((gap.bottom, gap.top), (102.0, 104.0));
    }
}
