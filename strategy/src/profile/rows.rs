//! Volume by row of price, kept up as candles come and go.

use crate::candle::Candle;
use crate::window::PriceRange;

use super::shape::RowVolumes;

/// Rows of equal height between a low and a high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) rows: usize,
    low: f64,
    /// Of a row; 0 if the range is a single price.
    height: f64,
}

impl Grid {
    pub(super) fn new(range: PriceRange, rows: usize) -> Self {
        Self { rows, low: range.low, height: range.size() / rows as f64 }
    }

    pub(super) fn is_flat(&self) -> bool {
        self.height == 0.0
    }

    /// The row of a price in the range; the high belongs to the last one.
    pub(super) fn row(&self, price: f64) -> usize {
        (((price - self.low) / self.height) as usize).min(self.rows - 1)
    }

    /// Lower edge of a row. Neighbours share an edge to the last bit: nothing between them is lost.
    pub(super) fn edge(&self, row: usize) -> f64 {
        self.low + row as f64 * self.height
    }

    pub(super) fn middle(&self, row: usize) -> f64 {
        self.low + (row as f64 + 0.5) * self.height
    }
}

/// The volume of each row, lowest price first.
#[derive(Clone, Debug)]
pub(super) struct RollingRows {
    rows: Vec<f64>,
    /// Which rows were summed exactly since the last candle.
    exact: Vec<bool>,
    /// The range that the rows are of; nothing when they must be counted anew.
    range: Option<PriceRange>,
    /// Candles since they were counted.
    updates: usize,
    /// All volume that was added or taken away since.
    moved: f64,
}

impl RollingRows {
    pub(super) fn new(rows: usize) -> Self {
        Self { rows: vec![0.0; rows], exact: vec![false; rows], range: None, updates: 0, moved: 0.0 }
    }

    pub(super) fn grid(&self, range: PriceRange) -> Grid {
        Grid::new(range, self.rows.len())
    }

    /// A candle comes and one goes. Another range has other rows: they are counted when they are asked for.
    pub(super) fn update(&mut self, entering: Option<&Candle>, leaving: Option<&Candle>, range: PriceRange) {
        self.updates += 1;
        self.exact.fill(false);
        if self.range != Some(range) || self.updates > UPDATES_MAX {
            self.range = None;
            return;
        }
        let grid = self.grid(range);
        entering.into_iter().for_each(|candle| self.add(candle, grid, 1.0));
        leaving.into_iter().for_each(|candle| self.add(candle, grid, -1.0));
    }

    /// Makes the rows those of `candles`, which are the ones that came and did not go.
    pub(super) fn count<'a, I>(&mut self, candles: impl Fn() -> I, range: PriceRange)
    where
        I: Iterator<Item = &'a Candle>,
    {
        if self.range != Some(range) {
            (self.range, self.updates, self.moved) = (Some(range), 0, 0.0);
            self.rows.fill(0.0);
            self.exact.fill(false);
            let grid = self.grid(range);
            candles().for_each(|candle| self.add(candle, grid, 1.0));
        }
    }

    /// Settles a row whose volume was in doubt.
    pub(super) fn settle(&mut self, row: usize, volume: f64) {
        self.rows[row] = volume;
        self.exact[row] = true;
    }

    /// The volume of each row, but for rounding.
    pub(super) fn volumes(&self) -> RowVolumes<'_> {
        RowVolumes { volumes: &self.rows, exact: &self.exact, doubt: self.moved * DOUBT }
    }

    /// Spreads a candle's volume evenly over the prices from its low to its high; a flat one goes to its row.
    fn add(&mut self, candle: &Candle, grid: Grid, sign: f64) {
        if grid.is_flat() {
            return;
        }
        let (first, last) = (grid.row(candle.low), grid.row(candle.high));
        let volume = sign * candle.volume;
        self.moved += candle.volume;
        if first == last {
            self.rows[first] += volume;
            return;
        }
        let per_price = volume / (candle.high - candle.low);
        self.rows[first] += per_price * (grid.edge(first + 1) - candle.low);
        self.rows[last] += per_price * (candle.high - grid.edge(last));
        for row in &mut self.rows[first + 1..last] {
            *row += per_price * grid.height;
        }
    }
}

/// A few thousand additions err by less than 10^-12 of what was added; this leaves some room.
const DOUBT: f64 = 1e-10;

/// Rows are counted anew at least once a day, so that rounding cannot pile up.
const UPDATES_MAX: usize = 1440;

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(low: f64, high: f64, volume: f64) -> Candle {
        Candle { high, low, volume, ..Candle::flat(0, low) }
    }

    #[test]
    fn volume_is_spread_over_the_prices_of_a_candle() {
        let candles = [candle(100.0, 105.0, 10.0), candle(101.5, 102.5, 4.0), candle(105.0, 105.0, 1.0)];
        let range = PriceRange { high: 105.0, low: 100.0 };
        let mut rows = RollingRows::new(5);
        rows.count(|| candles.iter(), range);
        assert_eq!(rows.rows, [2.0, 4.0, 4.0, 2.0, 3.0]);
        rows.update(Some(&candle(103.0, 105.0, 8.0)), Some(&candles[0]), range);
        assert_eq!(rows.rows, [0.0, 2.0, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn a_day_at_one_price_has_no_rows_but_does_not_break() {
        let range = PriceRange { high: 100.0, low: 100.0 };
        let candles = [candle(100.0, 100.0, 5.0)];
        let mut rows = RollingRows::new(5);
        rows.count(|| candles.iter(), range);
        assert_eq!(rows.rows, [0.0; 5]);
    }
}
