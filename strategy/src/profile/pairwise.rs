//! Volume by row in one exact order of additions.
//!
//! Rows that the same candles cover are equal but for rounding, and then rounding decides which of them is a
//! node. The order is that of the reference: the volume below each edge is summed pairwise in blocks of eight
//! lanes, and a row is the difference of its edges.

use crate::candle::Candle;
use crate::window::PriceRange;

use super::rows::Grid;

/// The volume of each row, lowest price first.
pub(super) fn volumes<'a>(candles: impl Iterator<Item = &'a Candle>, grid: Grid) -> Vec<f64> {
    let mut rows = vec![0.0; grid.rows];
    if grid.is_flat() {
        return rows;
    }
    let (flat, spread): (Vec<&Candle>, Vec<&Candle>) = candles.partition(|candle| candle.low == candle.high);
    let below = Below::new(&spread);
    let mut lower = 0.0;
    for (row, volume) in rows.iter_mut().enumerate() {
        let upper = below.volume(grid.edge(row + 1));
        *volume = upper - lower;
        lower = upper;
    }
    for candle in flat {
        rows[grid.row(candle.low)] += candle.volume;
    }
    rows
}

/// Volume below a price.
#[derive(Debug)]
struct Below {
    range: PriceRange,
    /// Of all candles.
    volume: f64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Block(Vec<Spread>),
    Halves(Box<[Below; 2]>),
}

/// The volume of a candle and the prices that it is spread over.
#[derive(Clone, Copy, Debug)]
struct Spread {
    low: f64,
    size: f64,
    volume: f64,
}

impl Below {
    fn new(candles: &[&Candle]) -> Self {
        if candles.len() <= BLOCK_MAX {
            return Self::block(candles);
        }
        let half = candles.len() / 2;
        let (left, right) = candles.split_at(half - half % LANES);
        let halves = [Self::new(left), Self::new(right)];
        let [PriceRange { high, low }, other] = halves.each_ref().map(|half| half.range);
        let range = PriceRange { high: high.max(other.high), low: low.min(other.low) };
        let volume = halves[0].volume + halves[1].volume;
        Self { range, volume, part: Part::Halves(Box::new(halves)) }
    }

    fn block(candles: &[&Candle]) -> Self {
        let (mut high, mut low) = (f64::MIN, f64::MAX);
        let mut block = Vec::with_capacity(candles.len());
        for candle in candles {
            (high, low) = (high.max(candle.high), low.min(candle.low));
            block.push(Spread { low: candle.low, size: candle.high - candle.low, volume: candle.volume });
        }
        let volume = sum(&block, |spread| spread.volume);
        Self { range: PriceRange { high, low }, volume, part: Part::Block(block) }
    }

    /// Most candles are far from a price, wholly above or wholly below it.
    fn volume(&self, price: f64) -> f64 {
        if price <= self.range.low {
            return 0.0;
        }
        if price >= self.range.high {
            return self.volume;
        }
        match &self.part {
            Part::Block(block) => {
                sum(block, |spread| spread.volume * ((price - spread.low) / spread.size).clamp(0.0, 1.0))
            }
            Part::Halves(halves) => halves[0].volume(price) + halves[1].volume(price),
        }
    }
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
        assert_eq!(volumes(candles.iter(), grid), [2.0, 4.0, 4.0, 2.0, 3.0]);
        assert_eq!(volumes(candles[2..].iter(), grid), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
