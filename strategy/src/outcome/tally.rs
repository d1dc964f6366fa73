//! How many plans worked out, and how many would have had to.

use super::{End, Outcome};

/// Sums of many ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Plans that ended.
    pub plans: u64,
    /// Plans that were filled.
    pub filled: u64,
    /// Positions that ended with a profit before fees.
    pub won: u64,
    /// Positions that ended at the target.
    pub targets: u64,
    /// Positions that ended at the stop.
    pub stops: u64,
    /// Sum of the results as multiples of the risk, before fees.
    pub r: f64,
    /// Sum of the results after fees, in percent of the entries.
    pub net_percent: f64,
}

impl Tally {
    /// Adds an end; `fee_percent` is paid on each side.
    pub fn add(&mut self, end: &End, fee_percent: f64) {
        self.plans += 1;
        if !end.is_filled() {
            return;
        }
        self.filled += 1;
        self.won += u64::from(end.result_percent > 0.0);
        self.targets += u64::from(end.outcome == Outcome::Target);
        self.stops += u64::from(end.outcome == Outcome::Stop);
        self.r += end.r();
        self.net_percent += end.net_percent(fee_percent);
    }

    /// Share of the positions that ended with a profit before fees, 0 to 1; nothing without positions.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.filled > 0).then(|| self.won as f64 / self.filled as f64)
    }

    /// Mean result as a multiple of the risk, before fees; nothing without positions.
    #[must_use]
    pub fn average_r(&self) -> Option<f64> {
        (self.filled > 0).then(|| self.r / self.filled as f64)
    }
}

/// The hit rate, 0 to 1, at which a fixed target and stop neither win nor lose: `(stop + 2·fee)/(target + stop)`,
/// all in percent of the entry, the fee for each side. Over 1 no hit rate is enough.
#[must_use]
pub fn break_even_rate(target_percent: f64, stop_percent: f64, fee_percent: f64) -> f64 {
    (stop_percent + 2.0 * fee_percent) / (target_percent + stop_percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_what_was_filled() {
        let end = |outcome, result_percent| End { outcome, time_ms: 0, result_percent, risk_percent: 1.0 };
        let mut tally = Tally::default();
        assert_eq!((tally.hit_rate(), tally.average_r()), (None, None));
        for end in [end(Outcome::Target, 2.0), end(Outcome::Stop, -1.0), end(Outcome::TimedOut, 0.5)] {
            tally.add(&end, 0.25);
        }
        tally.add(&end(Outcome::Expired, 0.0), 0.25);
        assert_eq!((tally.plans, tally.filled, tally.targets, tally.stops), (4, 3, 1, 1));
        assert_eq!((tally.hit_rate(), tally.average_r()), (Some(2.0 / 3.0), Some(0.5)));
        assert_eq!(tally.net_percent, 0.0);
    }

    #[test]
    fn the_break_even_rates_are_those_of_the_strategies() {
        let percent = |target, stop, fee| (break_even_rate(target, stop, fee) * 1000.0).round() / 10.0;
        assert_eq!((percent(0.15, 0.10, 0.0), percent(0.15, 0.10, 0.02)), (40.0, 56.0));
        assert_eq!((percent(0.08, 0.20, 0.0), percent(0.08, 0.20, 0.02)), (71.4, 85.7));
    }
}
