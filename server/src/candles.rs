//! The closed candles of one market: the newest ones as they are, older ones packed.
//!
//! Neighbouring candles are alike and their prices have few digits: packed, one takes 10 to 15 bytes instead of 48.
//! That is what lets a node keep days of many hundred markets. What comes out is what went in, to the bit.

mod pack;

use std::collections::VecDeque;

use tidegate_strategy::Candle;

/// Candles that are packed together.
const BLOCK: usize = 60;

/// The last closed candles of one market, oldest first.
#[derive(Debug)]
pub struct Candles {
    /// How many are kept at least, if there were as many.
    keep: usize,
    blocks: VecDeque<Box<[u8]>>,
    /// At least one, if there are any at all, and at most [`BLOCK`].
    newest: Vec<Candle>,
}

impl Candles {
    /// Nothing yet. Of older candles than the last `keep`, up to an hour is kept with them.
    #[must_use]
    pub const fn keeping(keep: usize) -> Self {
        Self { keep, blocks: VecDeque::new(), newest: Vec::new() }
    }

    /// The newest one.
    #[must_use]
    pub fn last(&self) -> Option<&Candle> {
        self.newest.last()
    }

    /// Adds the candle after the last one.
    pub fn push(&mut self, candle: Candle) {
        if self.newest.len() == BLOCK {
            self.blocks.push_back(pack::pack(&self.newest));
            self.newest.clear();
        }
        self.newest.push(candle);
        if (self.blocks.len().saturating_sub(1)) * BLOCK + self.newest.len() >= self.keep {
            self.blocks.pop_front();
        }
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Candle> {
        let mut candles = Vec::with_capacity(self.blocks.len() * BLOCK + self.newest.len());
        self.blocks.iter().for_each(|block| pack::unpack(block, &mut candles));
        candles.extend_from_slice(&self.newest);
        candles
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candle(minute: u64, price: f64) -> Candle {
        Candle { volume: 0.25, ..Candle::flat(minute * 60_000, price) }
    }

    fn kept(keep: usize, count: u64) -> Candles {
        let mut candles = Candles::keeping(keep);
        (0..count).for_each(|minute| candles.push(candle(minute, 100.0 + minute as f64 / 10.0)));
        candles
    }

    #[test]
    fn a_packed_candle_takes_a_quarter_of_its_size() {
        let candles = kept(1_440, 1_440);
        let packed: usize = candles.blocks.iter().map(|block| block.len()).sum();
        assert!(packed * 4 < candles.blocks.len() * BLOCK * size_of::<Candle>(), "{packed} bytes");
    }

    #[test]
    fn as_many_as_asked_for_are_kept_and_an_hour_more_at_most() {
        for count in [0, 1, 59, 60, 61, 119, 120, 121, 200, 1_000] {
            let candles = kept(120, count);
            let all = candles.to_vec();
            assert!(
                all.len() >= 120.min(count as usize) && all.len() < 120 + BLOCK,
                "{count}: {}",
                all.len()
            );
            assert_eq!(all.last(), candles.last());
            let expected: Vec<_> = (count - all.len() as u64..count).map(|minute| minute * 60_000).collect();
            assert_eq!(all.iter().map(|candle| candle.open_time_ms).collect::<Vec<_>>(), expected);
        }
    }

    /// Prices and volumes of any number of digits, times with holes.
    fn candles() -> impl Strategy<Value = Vec<Candle>> {
        let number = prop_oneof![
            (0_u32..2_000_000).prop_map(|ticks| f64::from(ticks) / 10.0),
            (0_u32..2_000_000).prop_map(|ticks| f64::from(ticks) / 100_000.0),
            Just(0.1 + 0.2),
            1e-9..1e12_f64,
        ];
        let row = (1_u64..5, number.clone(), number.clone(), number.clone(), number.clone(), number);
        prop::collection::vec(row, 0..200).prop_map(|rows| {
            let mut open_time_ms = 1_700_000_040_000;
            let next = |(minutes, open, high, low, close, volume)| {
                open_time_ms += minutes * 60_000;
                Candle { open_time_ms, open, high, low, close, volume }
            };
            rows.into_iter().map(next).collect()
        })
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in(all in candles()) {
            let mut candles = Candles::keeping(10_000);
            all.iter().for_each(|candle| candles.push(*candle));
            prop_assert_eq!(candles.to_vec(), all);
        }
    }
}
