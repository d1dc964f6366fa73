//! Volume profile: at which prices the volume of a day was traded.

use crate::candle::Candle;
use crate::window::PriceRange;

/// Volume by price, in rows of equal height between the low and the high of the candles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    range: PriceRange,
    /// Volume of each row, lowest price first.
    rows: Vec<f64>,
}

/// The edges of the rows around the point of control that hold most of the volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ValueArea {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Profile {
    /// Spreads each candle's volume evenly over the prices from its low to its high; a flat one goes to its row.
    /// `range` must hold every candle.
    pub(crate) fn new<'a>(candles: impl Iterator<Item = &'a Candle>, range: PriceRange, rows: usize) -> Self {
        let mut profile = Self { range, rows: vec![0.0; rows] };
        let height = profile.height();
        if height == 0.0 {
            return profile;
        }
        let (flat, spread): (Vec<&Candle>, Vec<&Candle>) =
            candles.partition(|candle| candle.low == candle.high);
        if !spread.is_empty() {
            let below = Below::new(&spread);
            let mut lower = 0.0;
            for row in 0..rows {
                let upper = below.volume(profile.edge(row + 1));
                profile.rows[row] = upper - lower;
                lower = upper;
            }
        }
        for candle in flat {
            let row = ((candle.low - range.low) / height) as usize;
            profile.rows[row.min(rows - 1)] += candle.volume;
        }
        profile
    }

    /// The point of control: the middle of the row with the most volume, the lowest of equals.
    pub(crate) fn poc(&self) -> f64 {
        self.middle(self.poc_row())
    }

    /// From the point of control outward, two rows at a time on the side that has more volume, until
    /// `share_percent` of all volume is inside.
    pub(crate) fn value_area(&self, share_percent: f64) -> ValueArea {
        let rows = self.rows.len();
        let wanted = self.rows.iter().sum::<f64>() * share_percent / 100.0;
        let (mut low, mut end) = (self.poc_row(), self.poc_row() + 1);
        let mut inside = self.rows[low];
        while inside < wanted && (low > 0 || end < rows) {
            let (below, above) = (low.saturating_sub(2), (end + 2).min(rows));
            let volume_above: f64 = self.rows[end..above].iter().sum();
            let volume_below: f64 = self.rows[below..low].iter().sum();
            if low == 0 || (end < rows && volume_above >= volume_below) {
                inside += volume_above;
                end = above;
            } else {
                inside += volume_below;
                low = below;
            }
        }
        ValueArea { high: self.edge(end), low: self.edge(low) }
    }

    /// Prices with much volume: rows of at least 1.25 times the mean that stand out from their two neighbours
    /// on each side. The five largest, ascending by price.
    pub(crate) fn high_nodes(&self) -> Vec<f64> {
        let least = self.mean() * HIGH_FACTOR;
        let node = |row: usize| {
            let volume = self.rows[row];
            volume >= least
                && self.left(row).all(|other| volume > other)
                && self.right(row).all(|other| volume >= other)
        };
        self.nodes((0..self.rows.len()).filter(|&row| node(row)).collect(), |a, b| b.total_cmp(&a))
    }

    /// Prices with little volume: inner rows of at most half the mean that lie below their two neighbours on
    /// each side. The five smallest, ascending by price.
    pub(crate) fn low_nodes(&self) -> Vec<f64> {
        let most = self.mean() * LOW_FACTOR;
        let node = |row: usize| {
            let volume = self.rows[row];
            volume <= most
                && self.left(row).all(|other| volume < other)
                && self.right(row).all(|other| volume <= other)
        };
        self.nodes((1..self.rows.len() - 1).filter(|&row| node(row)).collect(), |a, b| a.total_cmp(&b))
    }

    fn nodes(&self, mut rows: Vec<usize>, order: impl Fn(f64, f64) -> std::cmp::Ordering) -> Vec<f64> {
        rows.sort_by(|&a, &b| order(self.rows[a], self.rows[b]));
        rows.truncate(NODES_MAX);
        rows.sort_unstable();
        rows.into_iter().map(|row| self.middle(row)).collect()
    }

    fn left(&self, row: usize) -> impl Iterator<Item = f64> {
        self.rows[row.saturating_sub(2)..row].iter().copied()
    }

    fn right(&self, row: usize) -> impl Iterator<Item = f64> {
        self.rows[row + 1..(row + 3).min(self.rows.len())].iter().copied()
    }

    fn poc_row(&self) -> usize {
        let mut best = 0;
        for (row, &volume) in self.rows.iter().enumerate() {
            if volume > self.rows[best] {
                best = row;
            }
        }
        best
    }

    fn mean(&self) -> f64 {
        self.rows.iter().sum::<f64>() / self.rows.len() as f64
    }

    fn height(&self) -> f64 {
        self.range.size() / self.rows.len() as f64
    }

    fn middle(&self, row: usize) -> f64 {
        self.range.low + (row as f64 + 0.5) * self.height()
    }

    fn edge(&self, row: usize) -> f64 {
        self.range.low + row as f64 * self.height()
    }
}

/// Volume below a price, summed pairwise.
///
/// The order of the additions is that of the reference: rows that the same candles cover are equal but for
/// rounding, and rounding then decides which of them is a node. So it must be the same everywhere.
#[derive(Debug)]
struct Below {
    range: PriceRange,
    /// Of all candles.
    volume: f64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Candles(Vec<Spread>),
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
        let high = candles.iter().map(|candle| candle.high).fold(f64::MIN, f64::max);
        let low = candles.iter().map(|candle| candle.low).fold(f64::MAX, f64::min);
        let range = PriceRange { high, low };
        if candles.len() > BLOCK_MAX {
            let half = candles.len() / 2;
            let (left, right) = candles.split_at(half - half % LANES);
            let halves = [Self::new(left), Self::new(right)];
            let volume = halves[0].volume + halves[1].volume;
            return Self { range, volume, part: Part::Halves(Box::new(halves)) };
        }
        let spread = |candle: &&Candle| Spread {
            low: candle.low,
            size: candle.high - candle.low,
            volume: candle.volume,
        };
        let candles: Vec<Spread> = candles.iter().map(spread).collect();
        let volume = sum(&candles, |candle| candle.volume);
        Self { range, volume, part: Part::Candles(candles) }
    }

    /// The volume below `price`. Most candles are far from it, wholly above or wholly below.
    fn volume(&self, price: f64) -> f64 {
        if price <= self.range.low {
            return 0.0;
        }
        if price >= self.range.high {
            return self.volume;
        }
        match &self.part {
            Part::Candles(candles) => {
                sum(candles, |candle| candle.volume * ((price - candle.low) / candle.size).clamp(0.0, 1.0))
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

/// A row is a high volume node from this multiple of the mean on.
const HIGH_FACTOR: f64 = 1.25;
/// A row is a low volume node up to this multiple of the mean.
const LOW_FACTOR: f64 = 0.5;
/// Nodes of each kind that are told.
const NODES_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile with these volumes in rows of height 1 from price 100 on.
    fn profile(rows: &[f64]) -> Profile {
        Profile { range: PriceRange { high: 100.0 + rows.len() as f64, low: 100.0 }, rows: rows.to_vec() }
    }

    fn candle(low: f64, high: f64, volume: f64) -> Candle {
        Candle { high, low, volume, ..Candle::flat(0, low) }
    }

    #[test]
    fn volume_is_spread_over_the_prices_of_a_candle() {
        let candles = [candle(100.0, 105.0, 10.0), candle(101.5, 102.5, 4.0), candle(105.0, 105.0, 1.0)];
        let range = PriceRange { high: 105.0, low: 100.0 };
        assert_eq!(Profile::new(candles.iter(), range, 5).rows, [2.0, 4.0, 4.0, 2.0, 3.0]);
    }

    #[test]
    fn a_day_at_one_price_has_no_profile_but_does_not_break() {
        let range = PriceRange { high: 100.0, low: 100.0 };
        let profile = Profile::new([candle(100.0, 100.0, 5.0)].iter(), range, 5);
        assert_eq!((profile.poc(), profile.value_area(70.0)), (100.0, ValueArea { high: 100.0, low: 100.0 }));
    }

    #[test]
    fn the_point_of_control_is_the_lowest_of_equal_rows() {
        assert_eq!(profile(&[1.0, 5.0, 2.0, 5.0, 1.0]).poc(), 101.5);
    }

    #[test]
    fn the_value_area_grows_by_the_larger_pair_and_upward_on_ties() {
        let rows = [1.0, 2.0, 2.0, 8.0, 3.0, 1.0, 0.0, 3.0];
        assert_eq!(profile(&rows).value_area(60.0), ValueArea { high: 106.0, low: 103.0 });
        assert_eq!(profile(&rows).value_area(61.0), ValueArea { high: 106.0, low: 101.0 });
        assert_eq!(profile(&rows).value_area(100.0), ValueArea { high: 108.0, low: 100.0 });
    }

    #[test]
    fn nodes_stand_out_from_their_neighbours() {
        let rows = [0.0, 1.0, 9.0, 1.0, 0.5, 2.0, 9.0, 9.0, 2.0, 0.2];
        assert_eq!(profile(&rows).high_nodes(), [102.5, 106.5], "of two equal neighbours the lower one");
        assert_eq!(profile(&rows).low_nodes(), [104.5], "the outer rows are no nodes");
    }
}
