//! Entry, target and stop at fixed distances from the price.

use crate::direction::Direction;
use crate::number::TickSize;

/// Distances from the current price, in percent of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distances {
    /// To the entry, on the favourable side.
    pub(crate) offset_percent: f64,
    /// To the target.
    pub(crate) target_percent: f64,
    /// To the stop; more than the offset.
    pub(crate) stop_percent: f64,
}

/// An entry with its target and its stop, on the tick grid; all 0 when NEUTRAL.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bracket {
    pub(crate) limit: f64,
    pub(crate) target: f64,
    pub(crate) stop: f64,
}

impl Bracket {
    /// LONG: stop < limit ≤ price < target; SHORT mirrored. A tick so coarse that rounding would break this
    /// moves target or stop one tick outward; one is enough, because rounding keeps the order.
    pub(crate) fn new(direction: Direction, price: f64, distances: Distances, tick: TickSize) -> Self {
        let at = |percent: f64| tick.round(price * (1.0 + direction.favourable(percent) / 100.0));
        let current = tick.round(price);
        let limit = at(-distances.offset_percent);
        let mut target = at(distances.target_percent);
        let mut stop = at(-distances.stop_percent);
        if target == current {
            target = tick.step(target, direction.sign());
        }
        if stop == limit {
            stop = tick.step(stop, -direction.sign());
        }
        Self { limit, target, stop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALP: Distances = Distances { offset_percent: 0.02, target_percent: 0.15, stop_percent: 0.1 };

    fn bracket(direction: Direction, price: f64, tick: &str) -> [f64; 3] {
        let Bracket { limit, target, stop } = Bracket::new(direction, price, SCALP, tick.parse().unwrap());
        [limit, target, stop]
    }

    #[test]
    fn the_distances_are_taken_from_the_current_price() {
        assert_eq!(bracket(Direction::Long, 100_000.0, "0.1"), [99_980.0, 100_150.0, 99_900.0]);
        assert_eq!(bracket(Direction::Short, 100_000.0, "0.1"), [100_020.0, 99_850.0, 100_100.0]);
    }

    #[test]
    fn the_prices_of_a_momentum_signal_are_those_of_the_guide() {
        let distances = Distances { offset_percent: 0.02, target_percent: 0.08, stop_percent: 0.2 };
        let bracket = Bracket::new(Direction::Short, 68_500.0, distances, "0.01".parse().unwrap());
        assert_eq!(bracket, Bracket { limit: 68_513.7, target: 68_445.2, stop: 68_637.0 });
    }

    #[test]
    fn a_coarse_tick_moves_target_and_stop_outward() {
        assert_eq!(bracket(Direction::Long, 100.0, "1"), [100.0, 101.0, 99.0]);
        assert_eq!(bracket(Direction::Short, 100.0, "1"), [100.0, 99.0, 101.0]);
    }
}
