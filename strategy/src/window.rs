//! Rolling extremes: the highest high and the lowest low of the last candles.

use std::collections::VecDeque;

use crate::candle::Candle;

/// Highest high and lowest low of the last `length` candles, in amortised constant time.
///
/// Each side keeps only the candles that can still become the extreme, so that the front is the answer, and for
/// fewer candles it is the first that is young enough.
#[derive(Clone, Debug)]
pub(crate) struct RollingRange {
    length: u64,
    seen: u64,
    highs: VecDeque<(u64, f64)>,
    lows: VecDeque<(u64, f64)>,
}

impl RollingRange {
    /// A window of `length` candles; with 0 it is always empty.
    pub(crate) const fn new(length: usize) -> Self {
        Self { length: length as u64, seen: 0, highs: VecDeque::new(), lows: VecDeque::new() }
    }

    /// Adds the next candle and forgets the one that leaves the window.
    pub(crate) fn push(&mut self, candle: &Candle) {
        self.seen += 1;
        push_extreme(&mut self.highs, self.seen, candle.high, |held, new| held <= new);
        push_extreme(&mut self.lows, self.seen, candle.low, |held, new| held >= new);
        for side in [&mut self.highs, &mut self.lows] {
            while side.front().is_some_and(|&(index, _)| index + self.length <= self.seen) {
                side.pop_front();
            }
        }
    }

    /// The range of what is in the window, or nothing when it is empty.
    pub(crate) fn range(&self) -> Option<PriceRange> {
        Some(PriceRange { high: self.highs.front()?.1, low: self.lows.front()?.1 })
    }

    /// The range of the last `length` candles in the window, or nothing when there are none.
    pub(crate) fn range_of(&self, length: usize) -> Option<PriceRange> {
        let first = |side: &VecDeque<(u64, f64)>| {
            let older = side.partition_point(|&(index, _)| index + length as u64 <= self.seen);
            side.get(older).map(|&(_, price)| price)
        };
        Some(PriceRange { high: first(&self.highs)?, low: first(&self.lows)? })
    }
}

/// A high and a low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PriceRange {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl PriceRange {
    /// Where a price stands between low (0) and high (1), never outside; 0.5 when they are the same.
    pub(crate) fn position(&self, price: f64) -> f64 {
        if self.high == self.low {
            0.5
        } else {
            ((price - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        }
    }

    /// The range when a candle with this high and low is added.
    pub(crate) fn with(&self, high: f64, low: f64) -> Self {
        Self { high: self.high.max(high), low: self.low.min(low) }
    }

    /// High minus low.
    pub(crate) fn size(&self) -> f64 {
        self.high - self.low
    }

    /// The size in percent of the low.
    pub(crate) fn size_percent(&self) -> f64 {
        self.size() / self.low * 100.0
    }
}

/// Whatever the new value beats can never be the extreme again.
fn push_extreme(side: &mut VecDeque<(u64, f64)>, index: u64, value: f64, beaten: fn(f64, f64) -> bool) {
    while side.back().is_some_and(|&(_, held)| beaten(held, value)) {
        side.pop_back();
    }
    side.push_back((index, value));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candle(high: f64, low: f64) -> Candle {
        Candle { high, low, ..Candle::flat(0, low) }
    }

    fn range(candles: &[Candle], length: usize) -> PriceRange {
        let held = &candles[candles.len().saturating_sub(length)..];
        let high = held.iter().map(|candle| candle.high).fold(f64::MIN, f64::max);
        let low = held.iter().map(|candle| candle.low).fold(f64::MAX, f64::min);
        PriceRange { high, low }
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_looking_at_every_candle(
            prices in prop::collection::vec((1_u32..50, 0_u32..5), 1..200),
            length in 1_usize..40,
            shorter in 1_usize..40,
        ) {
            let candles: Vec<_> =
                prices.iter().map(|&(low, size)| candle(f64::from(low + size), f64::from(low))).collect();
            let mut window = RollingRange::new(length);
            for (index, next) in candles.iter().enumerate() {
                window.push(next);
                prop_assert_eq!(window.range(), Some(range(&candles[..=index], length)));
                let shorter = shorter.min(length);
                prop_assert_eq!(window.range_of(shorter), Some(range(&candles[..=index], shorter)));
            }
        }
    }

    #[test]
    fn a_window_of_nothing_stays_empty() {
        let mut window = RollingRange::new(0);
        window.push(&candle(2.0, 1.0));
        assert_eq!((window.range(), window.range_of(0)), (None, None));
    }

    #[test]
    fn a_position_is_clamped_and_halfway_in_a_range_of_nothing() {
        let range = PriceRange { high: 110.0, low: 100.0 };
        assert_eq!([90.0, 105.0, 120.0].map(|price| range.position(price)), [0.0, 0.5, 1.0]);
        assert_eq!(PriceRange { high: 1.0, low: 1.0 }.position(1.0), 0.5);
        assert_eq!(range.size_percent(), 10.0);
    }
}
