//! Volume by row in one exact order of additions.
//!
//! Rows that the same candles cover are equal but for rounding, and then rounding decides which of them is a
//! node. The order is that of the reference: the volume below each edge is summed pairwise in blocks of eight
//! lanes, and a row is the difference of its edges.

use std::ops::Range;

use crate::candle::Candle;
use crate::window::PriceRange;

use super::rows::Grid;

/// The candles of a profile, to sum some of its rows.
#[derive(Debug)]
pub(super) struct Exact {
    grid: Grid,
    /// Candles with more than one price.
    spread: Vec<Spread>,
    /// Those that are summed together.
    blocks: Vec<Block>,
    /// Row and volume of the candles with one price.
    flat: Vec<(usize, f64)>,
}

/// The volume of a candle and the prices that it is spread over.
#[derive(Clone, Copy, Debug)]
struct Spread {
    high: f64,
    low: f64,
    volume: f64,
}

/// Some candles in a row, with the prices and the volume of all.
#[derive(Debug)]
struct Block {
    candles: Range<usize>,
    range: PriceRange,
    volume: f64,
}

impl Exact {
    pub(super) fn new<'a>(candles: impl ExactSizeIterator<Item = &'a Candle>, grid: Grid) -> Self {
        let mut spread = Vec::with_capacity(candles.len());
        let mut flat = Vec::new();
        for &Candle { high, low, volume, .. } in candles {
            if low < high {
                spread.push(Spread { high, low, volume });
            } else if !grid.is_flat() {
                flat.push((grid.row(low), volume));
            }
        }
        let mut blocks = Vec::new();
        pairwise(0..spread.len(), &mut |candles| {
            let block = Block::new(candles, &spread);
            let volume = block.volume;
            blocks.push(block);
            volume
        });
        Self { grid, spread, blocks, flat }
    }

    /// The volume of one row.
    pub(super) fn row(&self, row: usize) -> f64 {
        let [lower, upper] = [row, row + 1].map(|edge| self.below(self.grid.edge(edge)));
        let flat = self.flat.iter().filter(|&&(at, _)| at == row);
        flat.fold(upper - lower, |sum, (_, volume)| sum + volume)
    }

    /// The volume below a price. Most candles are far from it, wholly above or wholly below.
    fn below(&self, price: f64) -> f64 {
        let mut blocks = self.blocks.iter();
        pairwise(0..self.spread.len(), &mut |_| match blocks.next() {
            None => 0.0,
            Some(block) if price <= block.range.low => 0.0,
            Some(block) if price >= block.range.high => block.volume,
            Some(block) => sum(&self.spread[block.candles.clone()], |candle| {
                candle.volume * ((price - candle.low) / (candle.high - candle.low)).clamp(0.0, 1.0)
            }),
        })
    }
}

impl Block {
    fn new(candles: Range<usize>, spread: &[Spread]) -> Self {
        let block = &spread[candles.clone()];
        let high = block.iter().map(|candle| candle.high).fold(f64::MIN, f64::max);
        let low = block.iter().map(|candle| candle.low).fold(f64::MAX, f64::min);
        Self { candles, range: PriceRange { high, low }, volume: sum(block, |candle| candle.volume) }
    }
}

/// Halves candles until they are few enough for a block, and adds the values of the blocks.
fn pairwise(candles: Range<usize>, value: &mut impl FnMut(Range<usize>) -> f64) -> f64 {
    if candles.len() <= BLOCK_MAX {
        return value(candles);
    }
    let half = candles.len() / 2;
    let middle = candles.start + half - half % LANES;
    pairwise(candles.start..middle, value) + pairwise(middle..candles.end, value)
}

/// Sums a block in eight lanes.
fn sum(block: &[Spread], value: impl Fn(&Spread) -> f64) -> f64 {
    let (lanes, rest) = block.as_chunks::<LANES>();
    let Some((first, lanes)) = lanes.split_first() else {
        return rest.iter().map(value).sum();
    };
    let mut sums = first.each_ref().map(&value);
    for lane in lanes {
        for (sum, spread) in sums.iter_mut().zip(lane) {
            *sum += value(spread);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, spread| sum + value(spread))
}

/// Blocks up to this size are summed in lanes, larger ones are halved.
const BLOCK_MAX: usize = 128;
const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_order_gives_the_same_volumes() {
        let candle = |low, high, volume| Candle { high, low, volume, ..Candle::flat(0, low) };
        let candles = [candle(100.0, 105.0, 10.0), candle(101.5, 102.5, 4.0), candle(105.0, 105.0, 1.0)];
        let grid = Grid::new(PriceRange { high: 105.0, low: 100.0 }, 5);
        let rows = |candles: &[Candle]| [0, 1, 2, 3, 4].map(|row| Exact::new(candles.iter(), grid).row(row));
        assert_eq!(rows(&candles), [2.0, 4.0, 4.0, 2.0, 3.0]);
        assert_eq!(rows(&candles[2..]), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
