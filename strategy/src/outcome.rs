//! What became of a signal: filled or expired, then target, stop or time. Judged on later prices only.
//!
//! Where one-minute candles leave the order of events open, the worse one is assumed, so that a backtest does not
//! look better than trading would have been.

mod tally;

use tidegate_protocol::Strategy;

use crate::candle::Candle;
use crate::direction::Direction;
use crate::evaluation::{Evaluation, Signal};
use crate::time::MINUTE_MS;

pub use tally::{Tally, break_even_rate};

/// An order as a LONG or SHORT signal advises it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The strategy.
    pub strategy: Strategy,
    /// The evaluation instant, in Unix milliseconds.
    pub time_ms: u64,
    /// Where to enter.
    pub entry: f64,
    /// Where to take the profit; above the entry for a LONG, below it for a SHORT.
    pub target: f64,
    /// Where to stop the loss, on the other side.
    pub stop: f64,
    /// How long the entry is valid, in milliseconds.
    pub valid_ms: u64,
    /// How long a position is held, in milliseconds.
    pub hold_ms: u64,
}

impl Plan {
    /// The order of an evaluation; nothing if it is NEUTRAL.
    #[must_use]
    pub fn of(evaluation: &Evaluation) -> Option<Self> {
        let (entry, target, stop, valid, hold) = match &evaluation.body {
            Signal::Scalp(signal) => {
                let hold = u64::from(signal.expected_hold_minutes);
                (signal.limit_price, signal.tp_price, signal.sl_price, hold, hold)
            }
            Signal::Momentum(signal) => {
                let hold = u64::from(signal.expected_hold_minutes);
                (signal.limit_price, signal.tp_price, signal.sl_price, hold, hold)
            }
            Signal::RangeTrading(signal) => {
                let entry = signal.summary.entry.price.parse().ok()?;
                (entry, signal.tp_price?, signal.sl_price?, RANGE_VALID_MINUTES, RANGE_HOLD_MINUTES)
            }
        };
        let &Evaluation { strategy, time_ms, .. } = evaluation;
        let (valid_ms, hold_ms) = (valid * MINUTE_MS, hold * MINUTE_MS);
        // A NEUTRAL signal has zeros for prices.
        (entry > 0.0).then_some(Self { strategy, time_ms, entry, target, stop, valid_ms, hold_ms })
    }

    fn direction(&self) -> Direction {
        if self.target > self.entry { Direction::Long } else { Direction::Short }
    }
}

/// How a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No price touched the entry in time.
    Expired,
    /// The target was reached.
    Target,
    /// The stop was reached, or both were inside the same candle.
    Stop,
    /// The holding time passed: closed at the price of that moment.
    TimedOut,
}

/// The end of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// When, in Unix milliseconds.
    pub time_ms: u64,
    /// Result before fees, in percent of the entry; 0 if it expired.
    pub result_percent: f64,
    /// What was at risk: from the entry to the stop, in percent of the entry.
    pub risk_percent: f64,
}

impl End {
    /// Whether there was a position at all.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.outcome != Outcome::Expired
    }

    /// Result after a fee on each side, in percent of the entry; 0 if it expired.
    #[must_use]
    pub fn net_percent(&self, fee_percent: f64) -> f64 {
        if self.is_filled() { self.result_percent - 2.0 * fee_percent } else { 0.0 }
    }

    /// Result before fees as a multiple of what was at risk: −1 at the stop.
    #[must_use]
    pub fn r(&self) -> f64 {
        self.result_percent / self.risk_percent
    }
}

/// Follows one plan through later prices.
#[derive(Clone, Debug)]
pub struct Follower {
    plan: Plan,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Waiting,
    Filled { time_ms: u64 },
    Ended(End),
}

/// Prices of some time: a candle, or a single price.
#[derive(Clone, Copy, Debug)]
struct Seen {
    end_ms: u64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

impl Follower {
    /// Follows a plan from its signal on.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self { plan, state: State::Waiting }
    }

    /// Takes the next closed minute and returns the end, once there is one. Of the minute in which the signal
    /// was given only the close counts: the rest may have been before it.
    pub fn candle(&mut self, candle: &Candle) -> Option<End> {
        let &Candle { open, high, low, close, .. } = candle;
        let end_ms = candle.close_time_ms();
        if end_ms <= self.plan.time_ms {
            return None;
        }
        if candle.open_time_ms < self.plan.time_ms {
            return self.price(end_ms, close);
        }
        self.see(Seen { end_ms, open, high, low, close })
    }

    /// Takes the next price and returns the end, once there is one.
    pub fn price(&mut self, time_ms: u64, price: f64) -> Option<End> {
        if time_ms <= self.plan.time_ms {
            return None;
        }
        self.see(Seen { end_ms: time_ms, open: price, high: price, low: price, close: price })
    }

    fn see(&mut self, seen: Seen) -> Option<End> {
        let plan = self.plan;
        match self.state {
            State::Ended(end) => return Some(end),
            State::Waiting if seen.end_ms > plan.time_ms + plan.valid_ms => {
                let end = self.end(Outcome::Expired, plan.time_ms + plan.valid_ms, plan.entry);
                return Some(end);
            }
            State::Waiting if self.passed(plan.entry, self.worst(&seen)) => {
                self.state = State::Filled { time_ms: seen.end_ms };
                // A target before the fill is nobody's profit: it counts if the candle began at the entry.
                let from_open = self.passed(plan.entry, seen.open);
                self.exit(&seen, from_open, None)
            }
            State::Waiting => None,
            State::Filled { time_ms } => self.exit(&seen, true, Some(time_ms + plan.hold_ms)),
        }
        .map(|(outcome, price)| self.end(outcome, seen.end_ms, price))
    }

    /// Where a position ends in these prices. The stop comes first: of two in one candle the worse one counts.
    fn exit(&self, seen: &Seen, target_counts: bool, until_ms: Option<u64>) -> Option<(Outcome, f64)> {
        let Plan { target, stop, .. } = self.plan;
        if self.passed(stop, self.worst(seen)) {
            Some((Outcome::Stop, stop))
        } else if target_counts && self.passed(self.best(seen), target) {
            Some((Outcome::Target, target))
        } else if until_ms.is_some_and(|until_ms| seen.end_ms >= until_ms) {
            Some((Outcome::TimedOut, seen.close))
        } else {
            None
        }
    }

    fn end(&mut self, outcome: Outcome, time_ms: u64, price: f64) -> End {
        let Plan { entry, stop, .. } = self.plan;
        let percent = |distance: f64| distance / entry * 100.0;
        let result_percent = percent(self.plan.direction().favourable(price - entry));
        let end = End { outcome, time_ms, result_percent, risk_percent: percent((entry - stop).abs()) };
        self.state = State::Ended(end);
        end
    }

    /// Whether `worse` is at `better` or on its bad side.
    fn passed(&self, better: f64, worse: f64) -> bool {
        self.plan.direction().favourable(better - worse) >= 0.0
    }

    fn worst(&self, seen: &Seen) -> f64 {
        self.plan.direction().pick(seen.low, seen.high)
    }

    fn best(&self, seen: &Seen) -> f64 {
        self.plan.direction().pick(seen.high, seen.low)
    }
}

/// How long the entry of a `range_trading` signal is valid, and how long its position is held.
const RANGE_VALID_MINUTES: u64 = 60;
const RANGE_HOLD_MINUTES: u64 = 240;

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Plan = Plan {
        strategy: Strategy::Scalp,
        time_ms: 0,
        entry: 100.0,
        target: 102.0,
        stop: 99.0,
        valid_ms: 2 * MINUTE_MS,
        hold_ms: 3 * MINUTE_MS,
    };
    const SHORT: Plan = Plan { target: 98.0, stop: 101.0, ..LONG };

    /// Feeds minutes of (open, high, low, close) from time 0 on and returns how and after how many it ended.
    fn after(plan: Plan, minutes: &[[f64; 4]]) -> Option<(Outcome, u64)> {
        let mut follower = Follower::new(plan);
        minutes.iter().zip(0..).find_map(|(&[open, high, low, close], minute)| {
            let candle = Candle { open_time_ms: minute * MINUTE_MS, open, high, low, close, volume: 1.0 };
            follower.candle(&candle).map(|end| (end.outcome, end.time_ms / MINUTE_MS))
        })
    }

    #[test]
    fn an_entry_that_is_not_touched_expires() {
        let away = [101.0, 101.5, 100.1, 101.0];
        assert_eq!(after(LONG, &[away; 2]), None);
        assert_eq!(after(LONG, &[away; 3]), Some((Outcome::Expired, 2)));
    }

    #[test]
    fn a_filled_plan_ends_at_its_target() {
        let minutes = [[101.0, 101.0, 100.0, 100.5], [100.5, 102.0, 100.5, 101.0]];
        assert_eq!(after(LONG, &minutes), Some((Outcome::Target, 2)));
        let minutes = [[99.0, 100.0, 99.0, 99.5], [99.5, 99.5, 98.0, 99.0]];
        assert_eq!(after(SHORT, &minutes), Some((Outcome::Target, 2)));
    }

    #[test]
    fn target_and_stop_in_the_same_candle_count_as_stop() {
        let minutes = [[100.5, 100.5, 100.0, 100.5], [100.5, 102.5, 98.5, 100.0]];
        assert_eq!(after(LONG, &minutes), Some((Outcome::Stop, 2)));
    }

    #[test]
    fn a_target_that_may_have_come_before_the_fill_does_not_count() {
        assert_eq!(after(LONG, &[[101.0, 102.5, 100.0, 100.5]]), None);
        assert_eq!(
            after(LONG, &[[100.0, 102.5, 99.5, 100.5]]),
            Some((Outcome::Target, 1)),
            "filled at the open"
        );
        assert_eq!(after(LONG, &[[101.0, 101.0, 98.0, 100.5]]), Some((Outcome::Stop, 1)));
    }

    #[test]
    fn a_position_that_goes_nowhere_is_closed_when_its_time_is_over() {
        let rest = [100.0, 100.5, 99.5, 100.5];
        assert_eq!(after(LONG, &[rest; 3]), None);
        assert_eq!(
            after(LONG, &[rest; 4]),
            Some((Outcome::TimedOut, 4)),
            "three minutes after the first closed"
        );
    }

    #[test]
    fn of_the_minute_of_the_signal_only_the_close_counts() {
        let late = Plan { time_ms: MINUTE_MS / 2, ..LONG };
        assert_eq!(after(late, &[[101.0, 103.0, 98.0, 101.0]]), None);
        let mut follower = Follower::new(late);
        let candle =
            Candle { open_time_ms: 0, open: 101.0, high: 103.0, low: 98.0, close: 99.9, volume: 1.0 };
        assert_eq!(follower.candle(&candle), None);
        assert!(matches!(follower.state, State::Filled { time_ms: MINUTE_MS }));
    }

    #[test]
    fn results_are_told_in_percent_and_in_multiples_of_the_risk() {
        let mut follower = Follower::new(SHORT);
        assert_eq!(follower.price(1, 100.0), None);
        let end = follower.price(2, 97.0).unwrap();
        assert_eq!((end.outcome, end.result_percent, end.r()), (Outcome::Target, 2.0, 2.0));
        assert_eq!(end.net_percent(0.25), 1.5);
        assert_eq!(follower.price(3, 200.0), Some(end), "an end is final");
    }
}
