//! What became of the signals of one market: the same bookkeeping live, in a replay and in a backtest.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use serde::Serialize;
use tidegate_protocol::{Side, Strategy};
use tidegate_strategy::{Candle, End, Evaluation, Follower, Outcome, Plan, Signal, Tally, break_even_rate};

/// Highest fee that is believed, in percent a side.
pub const FEE_MAX_PERCENT: f64 = 5.0;

/// The outcomes of one market, by strategy.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    books: BTreeMap<Strategy, Book>,
}

#[derive(Clone, Debug, Default)]
struct Book {
    open: Vec<Open>,
    ended: VecDeque<Ended>,
}

#[derive(Clone, Debug)]
struct Open {
    seq: u64,
    follower: Follower,
    /// Target and stop, in percent.
    distances: [f64; 2],
    side: Side,
}

/// Small, as there are hundreds of every feed.
#[derive(Clone, Copy, Debug)]
struct Ended {
    seq: u64,
    result_percent: f64,
    risk_percent: f64,
    ended_after_ms: u32,
    /// Target and stop, in millionths of a percent.
    distances: [u32; 2],
    outcome: Outcome,
    side: Side,
}

const PER_PERCENT: f64 = 1e6;

impl Ended {
    fn new(open: &Open, end: &End) -> Self {
        let &End { outcome, time_ms, result_percent, risk_percent } = end;
        Self {
            seq: open.seq,
            result_percent,
            risk_percent,
            ended_after_ms: u32::try_from(time_ms.saturating_sub(open.seq)).unwrap_or(u32::MAX),
            distances: open.distances.map(|percent| (percent * PER_PERCENT).round() as u32),
            outcome,
            side: open.side,
        }
    }

    fn end(&self) -> End {
        let &Self { outcome, result_percent, risk_percent, .. } = self;
        let time_ms = self.seq + u64::from(self.ended_after_ms);
        End { outcome, time_ms, result_percent, risk_percent }
    }

    fn break_even_rate(&self, fee_percent: f64) -> f64 {
        let [target, stop] = self.distances.map(|millionths| f64::from(millionths) / PER_PERCENT);
        break_even_rate(target, stop, fee_percent)
    }
}

/// What became of one signal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SignalOutcome {
    /// Which signal.
    pub seq: u64,
    /// `open` until it has ended; then `target`, `stop`, `timed_out`, or `expired`: its entry was not reached.
    pub outcome: &'static str,
    /// When it ended, in Unix milliseconds; nothing while it is open.
    pub ended_at_ms: Option<u64>,
    /// Result before fees, in percent of the entry; nothing without a position that has ended.
    pub result_percent: Option<f64>,
    /// The same as a multiple of what was at risk.
    pub r: Option<f64>,
}

impl SignalOutcome {
    const fn open(seq: u64) -> Self {
        Self { seq, outcome: "open", ended_at_ms: None, result_percent: None, r: None }
    }

    fn ended(ended: &Ended) -> Self {
        let (seq, end) = (ended.seq, ended.end());
        let outcome = match end.outcome {
            Outcome::Expired => "expired",
            Outcome::Target => "target",
            Outcome::Stop => "stop",
            Outcome::TimedOut => "timed_out",
        };
        let of_a_position = |figure: f64| end.is_filled().then_some(figure);
        let (result_percent, r) = (of_a_position(end.result_percent), of_a_position(end.r()));
        Self { seq, outcome, ended_at_ms: Some(end.time_ms), result_percent, r }
    }
}

/// What became of the signals of a feed, in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Signals with a side that have ended.
    pub signals: u64,
    /// Of those LONG.
    pub long: u64,
    /// Of those SHORT.
    pub short: u64,
    /// Signals whose entry or end is still ahead.
    pub open: u64,
    /// Signals whose entry was reached.
    pub filled: u64,
    /// Signals whose entry was not reached in time.
    pub expired: u64,
    /// Positions that ended at the target.
    pub targets: u64,
    /// Positions that ended at the stop.
    pub stops: u64,
    /// Positions that ended because their time was over.
    pub timed_out: u64,
    /// Share of the positions that ended with a profit before fees, 0 to 1; none without positions.
    pub hit_rate: Option<f64>,
    /// The share at which the strategy's targets and stops neither win nor lose at this fee, 0 to 1.
    pub break_even_rate: Option<f64>,
    /// Mean result of a position as a multiple of what was at risk, before fees.
    pub average_r: Option<f64>,
    /// Sum of the results after fees, in percent of one position.
    pub net_percent: f64,
    /// The fee that was subtracted on each side, in percent.
    pub fee_percent: f64,
}

impl Outcomes {
    /// Takes up a signal; NEUTRAL ones have no outcome.
    pub fn signal(&mut self, evaluation: &Evaluation) {
        let Some(plan) = Plan::of(evaluation) else { return };
        let open = Open {
            seq: evaluation.time_ms,
            follower: Follower::new(plan),
            distances: distances(evaluation, &plan),
            side: evaluation.body.side(),
        };
        self.books.entry(evaluation.strategy).or_default().open.push(open);
    }

    /// Forgets what became of the signals before `seq`: they are not kept any more.
    pub fn forget_before(&mut self, strategy: Strategy, seq: u64) {
        let Some(book) = self.books.get_mut(&strategy) else { return };
        // They end almost in the order in which they were given.
        while book.ended.front().is_some_and(|ended| ended.seq < seq) {
            book.ended.pop_front();
        }
    }

    /// Takes the next closed minute. Signals of its end are taken up before or after it: it is in their past.
    pub fn candle(&mut self, candle: &Candle) {
        for book in self.books.values_mut() {
            let ended = &mut book.ended;
            book.open.retain_mut(|open| match open.follower.candle(candle) {
                None => true,
                Some(end) => {
                    ended.push_back(Ended::new(open, &end));
                    false
                }
            });
        }
    }

    /// What became of the signals with a side whose `seq` is within `seqs`, oldest first.
    #[must_use]
    pub fn of_signals(&self, strategy: Strategy, seqs: RangeInclusive<u64>) -> Vec<SignalOutcome> {
        let Some(book) = self.books.get(&strategy) else { return Vec::new() };
        let ended = book.ended.iter().map(SignalOutcome::ended);
        let open = book.open.iter().map(|open| SignalOutcome::open(open.seq));
        let mut outcomes: Vec<_> = ended.chain(open).filter(|outcome| seqs.contains(&outcome.seq)).collect();
        outcomes.sort_unstable_by_key(|outcome| outcome.seq);
        outcomes
    }

    /// The figures of one strategy, with a fee of `fee_percent` on each side.
    #[must_use]
    pub fn report(&self, strategy: Strategy, fee_percent: f64) -> Report {
        let empty = Book::default();
        let book = self.books.get(&strategy).unwrap_or(&empty);
        let mut tally = Tally::default();
        book.ended.iter().for_each(|ended| tally.add(&ended.end(), fee_percent));
        let sides = |side| book.ended.iter().filter(|ended| ended.side == side).count() as u64;
        Report {
            signals: tally.plans,
            long: sides(Side::Long),
            short: sides(Side::Short),
            open: book.open.len() as u64,
            filled: tally.filled,
            expired: tally.plans - tally.filled,
            targets: tally.targets,
            stops: tally.stops,
            timed_out: tally.filled - tally.targets - tally.stops,
            hit_rate: tally.hit_rate(),
            break_even_rate: break_even(book, fee_percent),
            average_r: tally.average_r(),
            net_percent: tally.net_percent,
            fee_percent,
        }
    }
}

/// Mean over the positions; of a strategy with a fixed target and stop all are the same.
fn break_even(book: &Book, fee_percent: f64) -> Option<f64> {
    let filled = book.ended.iter().filter(|ended| ended.end().is_filled());
    let rates: Vec<_> = filled.map(|ended| ended.break_even_rate(fee_percent)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    let count = rates.len() as f64;
    (count > 0.0).then(|| rates.iter().sum::<f64>() / count)
}

/// Target and stop in percent: as the signal announces them, or, where it does not, from the entry.
fn distances(evaluation: &Evaluation, plan: &Plan) -> [f64; 2] {
    match &evaluation.body {
        Signal::Scalp(signal) => [signal.tp_percent, signal.sl_percent],
        Signal::Momentum(signal) => [signal.tp_percent, signal.sl_percent],
        Signal::RangeTrading(_) => {
            [plan.target, plan.stop].map(|price| (price - plan.entry).abs() / plan.entry * 100.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::replay::Replayed;

    /// An hour of candles that swing far enough for every kind of end.
    fn candles() -> Vec<Candle> {
        let price = |minute: u64| 100.0 + 0.3 * ((minute as f64) * 0.9).sin();
        let candle = |minute: u64| {
            let (open, close) = (price(minute), price(minute + 1));
            let (high, low) = (open.max(close) + 0.05, open.min(close) - 0.05);
            Candle { open_time_ms: minute * 60_000, open, high, low, close, volume: 1.0 }
        };
        (1_000..1_600).map(candle).collect()
    }

    fn outcomes() -> Outcomes {
        let mut outcomes = Outcomes::default();
        let replayed = Replayed::new("AAUSDT".parse().unwrap(), "0.001".parse().unwrap(), candles());
        for minute in replayed {
            minute.evaluations.iter().for_each(|evaluation| outcomes.signal(evaluation));
            outcomes.candle(&minute.candle);
        }
        outcomes
    }

    #[test]
    fn every_signal_with_a_side_ends_in_exactly_one_way() {
        let report = outcomes().report(Strategy::Scalp, 0.0);
        assert!(report.signals > 100, "{report:?}");
        assert_eq!(report.long + report.short, report.signals);
        assert_eq!(report.filled + report.expired, report.signals);
        assert_eq!(report.targets + report.stops + report.timed_out, report.filled);
        assert!(report.targets > 0 && report.stops > 0, "{report:?}");
        assert!(report.open < 20, "old ones do not stay open: {report:?}");
    }

    #[test]
    fn the_break_even_rate_of_scalp_is_that_of_its_target_and_stop() {
        let rate = |fee| outcomes().report(Strategy::Scalp, fee).break_even_rate.unwrap();
        assert!((rate(0.0) - 0.40).abs() < 1e-9);
        assert!((rate(0.02) - 0.56).abs() < 1e-9);
    }

    #[test]
    fn a_fee_is_paid_twice_for_every_position() {
        let outcomes = outcomes();
        let (free, paid) = (outcomes.report(Strategy::Scalp, 0.0), outcomes.report(Strategy::Scalp, 0.02));
        let fees = free.filled as f64 * 0.04;
        assert!((free.net_percent - paid.net_percent - fees).abs() < 1e-6);
        assert_eq!(free.average_r, paid.average_r, "R is before fees");
    }

    #[test]
    fn every_signal_with_a_side_has_an_outcome_of_its_own() {
        let outcomes = outcomes();
        let report = outcomes.report(Strategy::Scalp, 0.0);
        let all = outcomes.of_signals(Strategy::Scalp, 0..=u64::MAX);
        let count = |name| all.iter().filter(|outcome| outcome.outcome == name).count() as u64;
        assert_eq!(
            ["open", "target", "stop", "timed_out", "expired"].map(count),
            [report.open, report.targets, report.stops, report.timed_out, report.expired]
        );
        assert!(all.is_sorted_by(|a, b| a.seq < b.seq), "oldest first, each once");
        let some = outcomes.of_signals(Strategy::Scalp, all[3].seq..=all[7].seq);
        assert_eq!(some, all[3..=7]);
        assert!(all.iter().all(|outcome| outcome.ended_at_ms.is_none_or(|end_ms| end_ms > outcome.seq)));
    }

    #[test]
    fn a_strategy_without_signals_has_a_report_without_rates() {
        let report = Outcomes::default().report(Strategy::Momentum, 0.0);
        assert_eq!((report.signals, report.hit_rate, report.break_even_rate), (0, None, None));
    }

    #[test]
    fn what_became_of_forgotten_signals_is_forgotten_too() {
        let mut outcomes = outcomes();
        let all = outcomes.of_signals(Strategy::Scalp, 0..=u64::MAX);
        let middle = all[all.len() / 2].seq;
        outcomes.forget_before(Strategy::Scalp, middle);
        let left = outcomes.of_signals(Strategy::Scalp, 0..=u64::MAX);
        let kept = |left: &[SignalOutcome]| left.iter().filter(|one| one.seq >= middle).count();
        assert_eq!(kept(&left), kept(&all));
        assert!(left.len() - kept(&left) < 10, "those that ended later than their successors go with them");
    }
}
