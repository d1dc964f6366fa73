//! Entry, target and stop at fixed distances from the price.

use tidegate_protocol::Side;

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bracket {
    pub(crate) limit: f64,
    pub(crate) target: f64,
    pub(crate) stop: f64,
}

impl Bracket {
    /// LONG: stop < limit ≤ price < target; SHORT mirrored. A tick so coarse that rounding would break this
    /// moves target or stop one tick outward; one is enough, because rounding keeps the order.
    pub(crate) fn new(side: Side, price: f64, distances: Distances, tick: TickSize) -> Self {
        let Some(sign) = sign(side) else {
            return Self { limit: 0.0, target: 0.0, stop: 0.0 };
        };
        let at = |percent: f64| tick.round(price * (1.0 + f64::from(sign) * percent / 100.0));
        let current = tick.round(price);
        let limit = at(-distances.offset_percent);
        let mut target = at(distances.target_percent);
        let mut stop = at(-distances.stop_percent);
        if target == current {
            target = tick.step(target, sign);
        }
        if stop == limit {
            stop = tick.step(stop, -sign);
        }
        Self { limit, target, stop }
    }
}

/// 1 for LONG, -1 for SHORT, nothing for NEUTRAL.
pub(crate) const fn sign(side: Side) -> Option<i32> {
    match side {
        Side::Long => Some(1),
        Side::Short => Some(-1),
        Side::Neutral => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALP: Distances = Distances { offset_percent: 0.02, target_percent: 0.15, stop_percent: 0.1 };

    fn bracket(side: Side, price: f64, tick: &str) -> [f64; 3] {
        let Bracket { limit, target, stop } = Bracket::new(side, price, SCALP, tick.parse().unwrap());
        [limit, target, stop]
    }

    #[test]
    fn the_distances_are_taken_from_the_current_price() {
        assert_eq!(bracket(Side::Long, 100_000.0, "0.1"), [99_980.0, 100_150.0, 99_900.0]);
        assert_eq!(bracket(Side::Short, 100_000.0, "0.1"), [100_020.0, 99_850.0, 100_100.0]);
        assert_eq!(bracket(Side::Neutral, 100_000.0, "0.1"), [0.0; 3]);
    }

    #[test]
    fn a_coarse_tick_moves_target_and_stop_outward() {
        assert_eq!(bracket(Side::Long, 100.0, "1"), [100.0, 101.0, 99.0]);
        assert_eq!(bracket(Side::Short, 100.0, "1"), [100.0, 99.0, 101.0]);
    }
}
