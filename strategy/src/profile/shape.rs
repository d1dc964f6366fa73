//! What stands out in the rows of a profile.

use std::cmp::Ordering;
use std::ops::Range;

/// Row numbers, lowest price first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// The row with the most volume, the lowest of equals.
    pub(super) poc: usize,
    /// First row of the value area, and the one after its last.
    pub(super) area: (usize, usize),
    /// Rows with much volume: at least 1.25 times the mean, and standing out from two neighbours on each side.
    /// The five largest.
    pub(super) high_nodes: Vec<usize>,
    /// Inner rows with little volume: at most half the mean, and below two neighbours on each side. The five
    /// smallest.
    pub(super) low_nodes: Vec<usize>,
}

/// The volume of each row, some of them only but for rounding.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowVolumes<'a> {
    pub(super) volumes: &'a [f64],
    /// Which of them are exact.
    pub(super) exact: &'a [bool],
    /// A difference that is smaller than this may be rounding.
    pub(super) doubt: f64,
}

/// What has to be exact before the shape can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// These two rows.
    Between(usize, usize),
    /// All rows.
    Everywhere,
}

impl Doubt {
    /// The rows that have to be exact, of `rows`.
    pub(super) fn rows(self, rows: usize) -> impl Iterator<Item = usize> {
        (0..rows).filter(move |&row| match self {
            Self::Between(one, other) => row == one || row == other,
            Self::Everywhere => true,
        })
    }
}

impl Shape {
    /// Finds the shape.
    ///
    /// # Errors
    ///
    /// [`Doubt`] if rounding could decide about it; never when all rows are exact.
    pub(super) fn find(rows: RowVolumes<'_>, area_percent: f64) -> Result<Self, Doubt> {
        let length = rows.volumes.len();
        let total: f64 = rows.volumes.iter().sum();
        let mean = total / length as f64;
        let poc = rows.most()?;
        let area = rows.area(poc, total * area_percent / 100.0)?;
        let high = Nodes { rows, sign: 1.0, limit: mean * HIGH_FACTOR };
        let low = Nodes { rows, sign: -1.0, limit: mean * LOW_FACTOR };
        let (high_nodes, low_nodes) = (high.find(0..length)?, low.find(1..length - 1)?);
        Ok(Self { poc, area, high_nodes, low_nodes })
    }
}

impl RowVolumes<'_> {
    /// The row with the most volume.
    fn most(&self) -> Result<usize, Doubt> {
        let mut best = 0;
        for (row, &volume) in self.volumes.iter().enumerate() {
            if volume > self.volumes[best] {
                best = row;
            }
        }
        for rival in (0..self.volumes.len()).filter(|&row| row != best) {
            self.lead(best, rival)?;
        }
        Ok(best)
    }

    /// From a row outward, two rows at a time on the side that has more volume (upward on ties), until `wanted`
    /// is inside.
    fn area(&self, poc: usize, wanted: f64) -> Result<(usize, usize), Doubt> {
        let rows = self.volumes;
        let (mut low, mut end, mut inside) = (poc, poc + 1, rows[poc]);
        while self.sure(wanted - inside)? > 0.0 && (low > 0 || end < rows.len()) {
            let (below, above) = (low.saturating_sub(2), (end + 2).min(rows.len()));
            let volume_above: f64 = rows[end..above].iter().sum();
            let volume_below: f64 = rows[below..low].iter().sum();
            let upward = if low == 0 || end == rows.len() {
                low == 0
            } else {
                self.sure(volume_above - volume_below)? >= 0.0
            };
            if upward {
                inside += volume_above;
                end = above;
            } else {
                inside += volume_below;
                low = below;
            }
        }
        Ok((low, end))
    }

    /// How much more volume the first row has than the second.
    fn lead(&self, first: usize, second: usize) -> Result<f64, Doubt> {
        let lead = self.volumes[first] - self.volumes[second];
        let sure = lead.abs() >= self.doubt || (self.exact[first] && self.exact[second]);
        if sure { Ok(lead) } else { Err(Doubt::Between(first, second)) }
    }

    /// A difference between sums of many rows.
    fn sure(&self, difference: f64) -> Result<f64, Doubt> {
        let sure = difference.abs() >= self.doubt || self.exact.iter().all(|&exact| exact);
        if sure { Ok(difference) } else { Err(Doubt::Everywhere) }
    }
}

/// Rows that stand out, upward (sign 1) or downward (sign -1).
struct Nodes<'a> {
    rows: RowVolumes<'a>,
    sign: f64,
    /// Volume from which a row can be a node.
    limit: f64,
}

impl Nodes<'_> {
    /// The five that stand out most, in the order of their rows.
    fn find(&self, rows: Range<usize>) -> Result<Vec<usize>, Doubt> {
        let mut found = Vec::new();
        for row in rows {
            if self.is_node(row)? {
                found.push(row);
            }
        }
        found.sort_by(|&a, &b| self.order(a, b));
        if let Some(&sixth) = found.get(NODES_MAX) {
            self.rows.lead(found[NODES_MAX - 1], sixth)?;
        }
        found.truncate(NODES_MAX);
        found.sort_unstable();
        Ok(found)
    }

    fn is_node(&self, row: usize) -> Result<bool, Doubt> {
        let RowVolumes { volumes, doubt, .. } = self.rows;
        let over = volumes[row] - self.limit;
        let neighbours = row.saturating_sub(2)..(row + 3).min(volumes.len());
        // Who is surely none needs no exact look.
        let surely_behind = |difference: f64| self.sign * difference < -doubt;
        if surely_behind(over)
            || volumes[neighbours.clone()].iter().any(|other| surely_behind(volumes[row] - other))
        {
            return Ok(false);
        }
        for other in neighbours.filter(|&other| other != row) {
            let lead = self.sign * self.rows.lead(row, other)?;
            // Of equal neighbours the left one is the node.
            if lead < 0.0 || (lead == 0.0 && other < row) {
                return Ok(false);
            }
        }
        Ok(self.sign * self.rows.sure(over)? >= 0.0)
    }

    fn order(&self, a: usize, b: usize) -> Ordering {
        (self.sign * self.rows.volumes[b]).total_cmp(&(self.sign * self.rows.volumes[a]))
    }
}

/// A row is a high volume node from this multiple of the mean on.
const HIGH_FACTOR: f64 = 1.25;
/// A row is a low volume node up to this multiple of the mean.
const LOW_FACTOR: f64 = 0.5;
/// Nodes of each kind that are told.
const NODES_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of rows of which some are exact; a difference below 0.01 is in doubt.
    fn find(volumes: &[f64], exact: &[usize]) -> Result<Shape, Doubt> {
        let exact: Vec<bool> = (0..volumes.len()).map(|row| exact.contains(&row)).collect();
        Shape::find(RowVolumes { volumes, exact: &exact, doubt: 0.01 }, 70.0)
    }

    fn shape(volumes: &[f64], area_percent: f64) -> Shape {
        let exact = vec![true; volumes.len()];
        Shape::find(RowVolumes { volumes, exact: &exact, doubt: 0.0 }, area_percent).unwrap()
    }

    #[test]
    fn the_point_of_control_is_the_lowest_of_equal_rows() {
        assert_eq!(shape(&[1.0, 5.0, 2.0, 5.0, 1.0], 70.0).poc, 1);
    }

    #[test]
    fn the_value_area_grows_by_the_larger_pair_and_upward_on_ties() {
        let rows = [1.0, 2.0, 2.0, 8.0, 3.0, 1.0, 0.0, 3.0];
        assert_eq!([60.0, 61.0, 100.0].map(|percent| shape(&rows, percent).area), [(3, 6), (1, 6), (0, 8)]);
    }

    #[test]
    fn nodes_stand_out_from_their_neighbours() {
        let rows = [0.0, 1.0, 9.0, 1.0, 0.5, 2.0, 9.0, 9.0, 2.0, 0.2];
        let shape = shape(&rows, 70.0);
        assert_eq!(shape.high_nodes, [2, 6], "of two equal neighbours the lower one");
        assert_eq!(shape.low_nodes, [4], "the outer rows are no nodes");
    }

    #[test]
    fn only_the_five_nodes_that_stand_out_most_are_told() {
        let rows: Vec<f64> =
            (0..21).map(|row| if row % 3 == 1 { 10.0 + f64::from(row) } else { 0.0 }).collect();
        assert_eq!(shape(&rows, 70.0).high_nodes, [7, 10, 13, 16, 19]);
    }

    #[test]
    fn what_rounding_could_decide_is_not_decided() {
        let doubt = |volumes: &[f64]| find(volumes, &[]).unwrap_err();
        assert!(find(&[1.0, 5.0, 2.0, 4.0, 1.5, 1.0, 0.9], &[]).is_ok());
        assert_eq!(doubt(&[1.0, 5.0, 2.0, 4.999, 1.0, 2.0]), Doubt::Between(1, 3), "the most");
        assert_eq!(doubt(&[3.001, 2.0, 9.0, 2.0, 3.0, 0.0]), Doubt::Everywhere, "the way to grow");
        assert_eq!(doubt(&[4.0, 3.0, 0.1, 0.101, 3.1, 6.0]), Doubt::Between(2, 3), "which of two is a node");
    }

    #[test]
    fn rows_that_are_exact_leave_no_doubt_between_them() {
        let rows = [4.0, 3.0, 0.1, 0.101, 3.1, 6.0];
        assert_eq!(find(&rows, &[2, 3]).unwrap().low_nodes, [2]);
        assert_eq!(find(&rows, &[2]).unwrap_err(), Doubt::Between(2, 3));
    }
}
