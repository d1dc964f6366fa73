//! Volume profile: at which prices the volume of a day was traded.
//!
//! The volume of each row is kept up minute by minute. Rows between which rounding could decide are summed anew
//! in the order of the reference, so that the result is the same wherever the data began.

mod pairwise;
mod rows;
mod shape;

use std::cell::LazyCell;
use std::collections::VecDeque;

use crate::candle::Candle;
use crate::parameters::DetectorParameters;
use crate::window::PriceRange;
use pairwise::Exact;
use rows::{Grid, RollingRows};
use shape::Shape;

/// What is told of a profile, in prices that are not rounded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Volumes {
    /// The point of control: the middle of the row with the most volume, the lowest of equals.
    pub(crate) poc: f64,
    /// Edges of the rows around it that hold most of the volume.
    pub(crate) area: PriceRange,
    /// Middles of rows with much volume, ascending.
    pub(crate) high_nodes: Vec<f64>,
    /// Middles of rows with little volume, ascending.
    pub(crate) low_nodes: Vec<f64>,
}

/// The volume profile of the last candles.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    length: usize,
    value_area_percent: f64,
    rows: RollingRows,
}

impl Profile {
    /// A profile of `length` candles.
    pub(crate) fn new(length: usize, detectors: &DetectorParameters) -> Self {
        let &DetectorParameters { profile_rows, value_area_percent, .. } = detectors;
        Self { length, value_area_percent, rows: RollingRows::new(profile_rows) }
    }

    /// Takes the newest candle of the history, after which `range` is that of the last `length` candles.
    pub(crate) fn update(&mut self, history: &VecDeque<Candle>, range: PriceRange) {
        let leaving = history.len().checked_sub(self.length + 1).map(|index| &history[index]);
        self.rows.update(history.back(), leaving, range);
    }

    /// What the last `length` candles of the history show.
    pub(crate) fn volumes(&mut self, history: &VecDeque<Candle>, range: PriceRange) -> Volumes {
        let candles = || history.range(history.len().saturating_sub(self.length)..);
        let grid = self.rows.grid(range);
        self.rows.count(candles, range);
        let exact = LazyCell::new(|| Exact::new(candles(), grid));
        let shape = loop {
            match Shape::find(self.rows.volumes(), self.value_area_percent) {
                Ok(shape) => break shape,
                Err(doubt) => {
                    for row in doubt.rows(grid.rows) {
                        self.rows.settle(row, exact.row(row));
                    }
                }
            }
        };
        Volumes::new(&shape, grid)
    }
}

impl Volumes {
    fn new(shape: &Shape, grid: Grid) -> Self {
        let middles = |rows: &[usize]| rows.iter().map(|&row| grid.middle(row)).collect();
        let (low, end) = shape.area;
        Self {
            poc: grid.middle(shape.poc),
            area: PriceRange { high: grid.edge(end), low: grid.edge(low) },
            high_nodes: middles(&shape.high_nodes),
            low_nodes: middles(&shape.low_nodes),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use shape::RowVolumes;

    fn history(prices: &[(u32, u32, u32)]) -> VecDeque<Candle> {
        let candle = |&(low, size, volume): &(u32, u32, u32)| Candle {
            high: f64::from(low + size) / 10.0,
            low: f64::from(low) / 10.0,
            volume: f64::from(volume),
            ..Candle::flat(0, 1.0)
        };
        prices.iter().map(candle).collect()
    }

    fn range(candles: &VecDeque<Candle>, length: usize) -> PriceRange {
        let last = candles.range(candles.len().saturating_sub(length)..);
        let high = last.clone().map(|candle| candle.high).fold(f64::MIN, f64::max);
        PriceRange { high, low: last.map(|candle| candle.low).fold(f64::MAX, f64::min) }
    }

    proptest! {
        #[test]
        fn a_profile_that_was_kept_up_shows_what_a_new_one_shows(
            prices in prop::collection::vec((1000_u32..1100, 0_u32..30, 0_u32..9), 2..400),
            length in 1_usize..150,
        ) {
            let detectors = DetectorParameters { profile_rows: 20, ..DetectorParameters::default() };
            let mut kept = Profile::new(length, &detectors);
            let mut seen = VecDeque::new();
            for (index, candle) in history(&prices).into_iter().enumerate() {
                seen.push_back(candle);
                let range = range(&seen, length);
                kept.update(&seen, range);
                if index % 7 == 0 {
                    let exact = Exact::new(seen.range(seen.len().saturating_sub(length)..), kept.rows.grid(range));
                    let volumes: Vec<f64> = (0..20).map(|row| exact.row(row)).collect();
                    let rows = RowVolumes { volumes: &volumes, exact: &[true; 20], doubt: 0.0 };
                    let shape = Shape::find(rows, 70.0).expect("no doubt");
                    prop_assert_eq!(kept.volumes(&seen, range), Volumes::new(&shape, kept.rows.grid(range)));
                }
            }
        }
    }
}
