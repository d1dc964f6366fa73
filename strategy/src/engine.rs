//! The engine of one symbol: market events in, signals out, on the data's own clock.

use std::collections::VecDeque;

use tidegate_protocol::{Strategy, Symbol};

use crate::candle::{Candle, MarketEvent};
use crate::evaluation::{Evaluation, Moment, Signal};
use crate::market::Market;
use crate::minutes::{Close, Minutes};
use crate::momentum::Momentum;
use crate::number::TickSize;
use crate::parameters::{InvalidParameter, Parameters};
use crate::range::Range;
use crate::refusal::{Counts, Handled, Refusal};
use crate::scalp::Scalp;
use crate::time::{HALF_MINUTE_MS, MINUTE_MS, Timestamp};

/// Computes the signals of one symbol.
///
/// Feed it with [`Self::handle`] and take what is due with [`Self::poll`], in any rhythm: the signals at an
/// instant depend on the events up to that instant and on nothing after it. An event that is later than an
/// instant first makes the engine evaluate it, so events of a file can be handled as fast as they are read.
#[derive(Clone, Debug)]
pub struct Engine {
    symbol: Symbol,
    tick: TickSize,
    stale_after_ms: u64,
    minutes: Minutes,
    market: Market,
    scalp: Scalp,
    momentum: Momentum,
    range: Range,
    /// The next evaluation instant; nothing before the first event.
    next_due_ms: Option<u64>,
    /// Until when the close before that instant is awaited.
    awaited_until_ms: Option<u64>,
    /// Those that speak.
    strategies: Vec<Strategy>,
    /// Evaluated and not polled yet.
    ready: VecDeque<Evaluation>,
    counts: Counts,
}

/// Whether instants that pass are evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passing {
    Evaluated,
    Skipped,
}

impl Engine {
    /// An engine without any data.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] if a setting is out of its bounds.
    pub fn new(symbol: Symbol, tick: TickSize, parameters: Parameters) -> Result<Self, InvalidParameter> {
        parameters.check()?;
        Ok(Self {
            symbol,
            tick,
            stale_after_ms: parameters.data.stale_after_ms,
            market: Market::new(&parameters, tick),
            minutes: Minutes::new(parameters.data),
            scalp: Scalp::new(symbol, tick, parameters.scalp),
            momentum: Momentum::new(symbol, tick, parameters.momentum),
            range: Range::new(symbol, tick, parameters.range, &parameters.detectors),
            next_due_ms: None,
            awaited_until_ms: None,
            strategies: Strategy::ALL.into(),
            ready: VecDeque::new(),
            counts: Counts::default(),
        })
    }

    /// Lets only these strategies speak. What a strategy says does not depend on the others, so a backtest of one
    /// need not pay for all.
    #[must_use]
    pub fn only(mut self, strategies: &[Strategy]) -> Self {
        self.strategies.retain(|strategy| strategies.contains(strategy));
        self
    }

    /// Takes one event. Events that are late or repeated are ignored and counted.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the event cannot be, cannot be believed, or minutes are missing before it; nothing has
    /// changed then. After a [`Refusal::Gap`], handle the missing closed candles and then the event again.
    pub fn handle(&mut self, event: &MarketEvent) -> Result<Handled, Refusal> {
        let outcome = self.take(event, Passing::Evaluated);
        self.counts.add(&outcome);
        outcome
    }

    /// Takes closed candles of the past, oldest first, without evaluating the instants that pass. 1,500 are
    /// enough for every strategy. To have the signals of the past too, handle the candles and poll instead.
    ///
    /// # Errors
    ///
    /// The first [`Refusal`]; the candles before it were taken.
    pub fn warm_up(&mut self, candles: &[Candle]) -> Result<(), Refusal> {
        for &candle in candles {
            let outcome = self.take(&MarketEvent::closed(candle), Passing::Skipped);
            self.counts.add(&outcome);
            outcome?;
            // The close of the last one is not evaluated either.
            self.pass(candle.close_time_ms(), Passing::Skipped);
        }
        Ok(())
    }

    /// The evaluations of every instant up to `now_ms` (Unix milliseconds; live the wall clock, in replay the
    /// data's clock) that were not returned before, oldest first; at the same instant in the order of
    /// [`Strategy::ALL`]. The close of a minute waits for its closed candle if one is expected. Costs a
    /// comparison when nothing is due: call it after every event and at [`Self::next_due_ms`].
    ///
    /// Time only goes forward: an instant that has passed does not come back, so `now_ms` should come from a
    /// clock that cannot jump. A market that is silent for a day is given up: nothing more is said of it until
    /// the gap is filled.
    pub fn poll(&mut self, now_ms: u64) -> Vec<Evaluation> {
        let Some(last) = self.minutes.last() else { return Vec::new() };
        self.pass(now_ms.min(last.event_ms + SILENCE_MAX_MS), Passing::Evaluated);
        std::mem::take(&mut self.ready).into()
    }

    /// When [`Self::poll`] has something to do if no event comes before, in Unix milliseconds; nothing before
    /// the first event, and when a silent market is given up. An instant in the past means: at once.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        if let Some(first) = self.ready.front() {
            return Some(first.time_ms);
        }
        let awaited = self.awaited_until_ms.filter(|_| self.minutes.closed_until().is_none());
        let given_up_ms = self.minutes.last()?.event_ms + SILENCE_MAX_MS;
        awaited.or(self.next_due_ms).filter(|&due_ms| due_ms <= given_up_ms)
    }

    /// The price of the newest event, in the quote currency.
    #[must_use]
    pub fn last_price(&self) -> Option<f64> {
        self.minutes.newest_price()
    }

    /// The minute that is running, as far as it has been seen.
    #[must_use]
    pub fn running_candle(&self) -> Option<Candle> {
        self.minutes.running()
    }

    /// The closed minutes, oldest first: the last 1,500 at most.
    pub fn closed_candles(&self) -> impl DoubleEndedIterator<Item = &Candle> + ExactSizeIterator {
        self.market.history().iter()
    }

    /// The market.
    #[must_use]
    pub const fn symbol(&self) -> Symbol {
        self.symbol
    }

    /// What became of the events so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn take(&mut self, event: &MarketEvent, passing: Passing) -> Result<Handled, Refusal> {
        event.check()?;
        let [low, _] = event.extremes();
        if self.tick.round(low) == 0.0 {
            return Err(Refusal::Price { price: low });
        }
        if let Some(ignored) = self.minutes.ignored(event) {
            return Ok(ignored);
        }
        // The past is the exchange's final word: a wick in it must not keep the market from starting.
        if passing == Passing::Evaluated {
            self.minutes.check_jump(event)?;
        }
        self.minutes.check_distance(event)?;
        let next_due_ms = *self.next_due_ms.get_or_insert_with(|| first_due_ms(event));
        // Instants before the event must not see it; an event at the very instant belongs to it.
        self.pass(event.time_ms().saturating_sub(1), passing);
        self.minutes.check_gap(event, self.next_due_ms.unwrap_or(next_due_ms))?;
        self.minutes.apply(event);
        self.settle_past();
        Ok(Handled::Applied)
    }

    /// Passes every instant up to `now_ms` whose minute is settled.
    fn pass(&mut self, now_ms: u64, passing: Passing) {
        while let Some(due_ms) = self.next_due_ms.filter(|&due_ms| due_ms <= now_ms) {
            if due_ms.is_multiple_of(MINUTE_MS) {
                match self.minutes.close(due_ms, now_ms) {
                    Close::Settled(candle) => self.update(&candle),
                    Close::Earlier | Close::Missing => {}
                    Close::Awaited(until_ms) => {
                        self.awaited_until_ms = Some(until_ms);
                        return;
                    }
                }
            }
            if passing == Passing::Evaluated {
                self.evaluate(due_ms);
            }
            self.minutes.promote();
            self.awaited_until_ms = None;
            self.next_due_ms = Some(due_ms + HALF_MINUTE_MS);
        }
    }

    /// A closed candle that fills a gap belongs to an instant that has passed: nothing waits for it.
    fn settle_past(&mut self) {
        let (Some(end_ms), Some(next_due_ms)) = (self.minutes.closed_until(), self.next_due_ms) else {
            return;
        };
        if end_ms >= next_due_ms {
            return;
        }
        if let Close::Settled(candle) = self.minutes.close(end_ms, end_ms) {
            self.update(&candle);
        }
        self.minutes.promote();
    }

    /// Tells every strategy of a closed minute.
    fn update(&mut self, candle: &Candle) {
        self.market.update(candle);
        self.scalp.update(candle);
        self.momentum.update(candle);
        self.range.update(candle, &self.market);
    }

    fn evaluate(&mut self, time_ms: u64) {
        let Some(moment) = self.moment(time_ms) else { return };
        let at_close = moment.running.is_none();
        for strategy in Strategy::ALL {
            let speaks = at_close || strategy == Strategy::Scalp;
            if speaks && self.strategies.contains(&strategy) {
                let (body, send) = self.signal(strategy, &moment);
                let stale = moment.stale_seconds.is_some();
                self.say(Evaluation { strategy, time_ms, body, send, stale });
            }
        }
    }

    /// What a strategy says, and whether followers are told.
    fn signal(&mut self, strategy: Strategy, moment: &Moment) -> (Signal, bool) {
        match strategy {
            Strategy::Scalp => (Signal::Scalp(self.scalp.evaluate(moment)), true),
            Strategy::Momentum => (Signal::Momentum(self.momentum.evaluate(moment, &self.market)), true),
            Strategy::RangeTrading => {
                let (payload, send) = self.range.evaluate(moment, &self.market);
                (Signal::RangeTrading(payload), send)
            }
        }
    }

    fn say(&mut self, evaluation: Evaluation) {
        if self.ready.len() == READY_MAX {
            self.ready.pop_front();
        }
        self.ready.push_back(evaluation);
    }

    /// The market at an evaluation instant; nothing as long as there is no price at all.
    fn moment(&self, time_ms: u64) -> Option<Moment> {
        let last = self.minutes.last()?;
        let minute_ms = time_ms - time_ms % MINUTE_MS;
        let whole = self.minutes.open_ms() == Some(minute_ms);
        let age_ms = time_ms.saturating_sub(last.event_ms);
        // Never evaluate across a hole: what is missing makes the rest stale.
        let stale = age_ms > self.stale_after_ms || !whole;
        let running = self.minutes.running().unwrap_or(Candle::flat(minute_ms, last.price));
        Some(Moment {
            time_ms,
            timestamp: Timestamp::of(time_ms),
            price: last.price,
            running: (time_ms != minute_ms).then_some(running),
            stale_seconds: stale.then_some(age_ms / 1000),
        })
    }
}

/// As many evaluations as a day has; whoever does not poll for longer loses the oldest.
const READY_MAX: usize = 5760;

/// A silence longer than this is not evaluated instant by instant: it bounds what one call can do.
const SILENCE_MAX_MS: u64 = 86_400_000;

/// The first instant at which something can be said after a first event.
fn first_due_ms(event: &MarketEvent) -> u64 {
    let due_ms = event.time_ms().next_multiple_of(HALF_MINUTE_MS);
    // A minute that has just opened has nothing behind it to say anything about.
    if due_ms == event.minute_ms() { due_ms + HALF_MINUTE_MS } else { due_ms }
}
