//! Rolling extremes: the highest high and the lowest low of the last candles.

use std::collections::VecDeque;

use crate::candle::Candle;

/// Highest high and lowest low of the last `length` candles, in amortised constant time.
///
/// Each side keeps only the candles that can still become the extreme, so that the front is the answer.
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

    /// The range when the candle with this high and low is added to the window.
    pub(crate) fn range_with(&self, high: f64, low: f64) -> PriceRange {
        self.range().map_or(PriceRange { high, low }, |range| PriceRange {
            high: range.high.max(high),
            low: range.low.min(low),
        })
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

    proptest! {
        #[test]
        fn the_window_agrees_with_looking_at_every_candle(
            prices in prop::collection::vec((1_u32..50, 0_u32..5), 1..200),
            length in 1_usize..40,
        ) {
            let candles: Vec<_> =
                prices.iter().map(|&(low, size)| candle(f64::from(low + size), f64::from(low))).collect();
            let mut window = RollingRange::new(length);
            for (index, next) in candles.iter().enumerate() {
                window.push(next);
                let held = &candles[(index + 1).saturating_sub(length)..=index];
                let high = held.iter().map(|candle| candle.high).fold(f64::MIN, f64::max);
                let low = held.iter().map(|candle| candle.low).fold(f64::MAX, f64::min);
                prop_assert_eq!(window.range(), Some(PriceRange { high, low }));
            }
        }
    }

    #[test]
    fn a_window_of_nothing_stays_empty() {
        let mut window = RollingRange::new(0);
        window.push(&candle(2.0, 1.0));
        assert_eq!(window.range(), None);
        assert_eq!(window.range_with(5.0, 4.0), PriceRange { high: 5.0, low: 4.0 });
    }

    #[test]
    fn a_position_is_clamped_and_halfway_in_a_range_of_nothing() {
        let range = PriceRange { high: 110.0, low: 100.0 };
        assert_eq!([90.0, 105.0, 120.0].map(|price| range.position(price)), [0.0, 0.5, 1.0]);
        assert_eq!(PriceRange { high: 1.0, low: 1.0 }.position(1.0), 0.5);
        assert_eq!(range.size_percent(), 10.0);
    }
}
