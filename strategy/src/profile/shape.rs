//! What stands out in the rows of a profile.

use std::cmp::Ordering;

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

impl Shape {
    /// Finds the shape, or nothing if a difference of less than `doubt` decides about it.
    pub(super) fn find(rows: &[f64], area_percent: f64, doubt: f64) -> Option<Self> {
        let total: f64 = rows.iter().sum();
        let mean = total / rows.len() as f64;
        let poc = most(rows, doubt)?;
        let area = area(rows, poc, total * area_percent / 100.0, doubt)?;
        let high = Nodes { rows, sign: 1.0, limit: mean * HIGH_FACTOR, doubt };
        let low = Nodes { rows, sign: -1.0, limit: mean * LOW_FACTOR, doubt };
        let high_nodes = high.find(0..rows.len())?;
        let low_nodes = low.find(1..rows.len() - 1)?;
        Some(Self { poc, area, high_nodes, low_nodes })
    }
}

/// The row with the most volume.
fn most(rows: &[f64], doubt: f64) -> Option<usize> {
    let mut best = 0;
    for (row, &volume) in rows.iter().enumerate() {
        if volume > rows[best] {
            best = row;
        }
    }
    let rivals = rows.iter().enumerate().filter(|&(row, _)| row != best);
    rivals.into_iter().all(|(_, volume)| is_sure(rows[best] - volume, doubt)).then_some(best)
}

/// From a row outward, two rows at a time on the side that has more volume (upward on ties), until `wanted` is
/// inside.
fn area(rows: &[f64], poc: usize, wanted: f64, doubt: f64) -> Option<(usize, usize)> {
    let (mut low, mut end, mut inside) = (poc, poc + 1, rows[poc]);
    while is_sure(wanted - inside, doubt).then_some(inside < wanted)? && (low > 0 || end < rows.len()) {
        let (below, above) = (low.saturating_sub(2), (end + 2).min(rows.len()));
        let volume_above: f64 = rows[end..above].iter().sum();
        let volume_below: f64 = rows[below..low].iter().sum();
        let upward = low == 0 || (end < rows.len() && volume_above >= volume_below);
        let choice = low > 0 && end < rows.len();
        if choice && !is_sure(volume_above - volume_below, doubt) {
            return None;
        }
        if upward {
            inside += volume_above;
            end = above;
        } else {
            inside += volume_below;
            low = below;
        }
    }
    Some((low, end))
}

/// Rows that stand out, upward (sign 1) or downward (sign -1).
struct Nodes<'a> {
    rows: &'a [f64],
    sign: f64,
    /// Volume from which a row can be a node.
    limit: f64,
    doubt: f64,
}

impl Nodes<'_> {
    /// The five that stand out most, in the order of their rows.
    fn find(&self, rows: std::ops::Range<usize>) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        for row in rows {
            if self.is_node(row)? {
                found.push(row);
            }
        }
        found.sort_by(|&a, &b| self.order(a, b));
        if let [.., fifth, sixth] = found.get(..=NODES_MAX).unwrap_or_default()
            && !is_sure(self.rows[*fifth] - self.rows[*sixth], self.doubt)
        {
            return None;
        }
        found.truncate(NODES_MAX);
        found.sort_unstable();
        Some(found)
    }

    /// Of equal neighbours the left one is the node.
    fn is_node(&self, row: usize) -> Option<bool> {
        let volume = self.rows[row];
        let lead = |other: f64| self.sign * (volume - other);
        let over = lead(self.limit);
        if over < -self.doubt {
            return Some(false);
        }
        let least = |rows: &[f64]| rows.iter().map(|&other| lead(other)).fold(f64::INFINITY, f64::min);
        let left = least(&self.rows[row.saturating_sub(2)..row]);
        let right = least(&self.rows[row + 1..(row + 3).min(self.rows.len())]).min(over);
        is_sure(left.min(right), self.doubt).then_some(left > 0.0 && right >= 0.0)
    }

    fn order(&self, a: usize, b: usize) -> Ordering {
        (self.sign * self.rows[b]).total_cmp(&(self.sign * self.rows[a]))
    }
}

/// Whether a difference is so large that rounding cannot have made it. Without doubt every one is.
fn is_sure(difference: f64, doubt: f64) -> bool {
    doubt == 0.0 || difference.abs() > doubt
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

    fn shape(rows: &[f64], area_percent: f64) -> Shape {
        Shape::find(rows, area_percent, 0.0).unwrap()
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
        let rows = [1.0, 5.0, 2.0, 4.0, 1.5, 1.0, 0.9];
        assert!(Shape::find(&rows, 70.0, 0.01).is_some());
        assert_eq!(Shape::find(&[1.0, 5.0, 2.0, 4.999, 1.0, 2.0], 70.0, 0.01), None, "the most");
        assert_eq!(Shape::find(&[3.001, 2.0, 9.0, 2.0, 3.0, 0.0], 70.0, 0.01), None, "the way to grow");
        assert_eq!(
            Shape::find(&[4.0, 3.0, 0.1, 0.101, 3.1, 6.0], 70.0, 0.01),
            None,
            "which of two is a node"
        );
    }
}
