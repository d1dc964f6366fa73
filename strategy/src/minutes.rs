//! From events to closed minutes: trades and running candles are joined, the close of a minute is settled, and
//! nothing that happened after an instant is visible at it.

use crate::candle::{Candle, MarketEvent};
use crate::parameters::{DataParameters, QuietMinutes};
use crate::refusal::{Handled, Refusal};
use crate::time::MINUTE_MS;

/// The minutes of one symbol that are not history yet.
#[derive(Clone, Debug)]
pub(crate) struct Minutes {
    parameters: DataParameters,
    /// Open time of the first minute that is not settled; nothing before the first event.
    open_ms: Option<u64>,
    /// That minute, once something happened in it.
    current: Option<Forming>,
    /// The minute after it: trades arrive in it while the closed candle of the current one is still awaited.
    following: Option<Forming>,
    /// What was known at the end of the current minute, or is known so far.
    last: Option<Last>,
}

/// The newest knowledge of the market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    pub(crate) price: f64,
    pub(crate) event_ms: u64,
}

/// How the close of a minute stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Close {
    /// Here it is.
    Settled(Candle),
    /// It was settled before.
    Earlier,
    /// Its closed candle may still come until this time.
    Awaited(u64),
    /// Nothing is known of it.
    Missing,
}

impl Minutes {
    pub(crate) const fn new(parameters: DataParameters) -> Self {
        Self { parameters, open_ms: None, current: None, following: None, last: None }
    }

    /// The last price and event up to the end of the current minute.
    pub(crate) const fn last(&self) -> Option<Last> {
        self.last
    }

    /// The price of the newest event of all.
    pub(crate) fn newest_price(&self) -> Option<f64> {
        self.following.map(|forming| forming.candle.close).or(self.last.map(|last| last.price))
    }

    /// Open time of the first minute that is not settled.
    pub(crate) const fn open_ms(&self) -> Option<u64> {
        self.open_ms
    }

    /// The minute that is open, as far as it has been seen.
    pub(crate) fn running(&self) -> Option<Candle> {
        self.current.map(|forming| forming.candle)
    }

    /// The end of the current minute, if its closed candle is here already.
    pub(crate) fn closed_until(&self) -> Option<u64> {
        self.current.filter(|forming| forming.closed).map(|forming| forming.candle.close_time_ms())
    }

    /// Whether the event's prices can be believed after the last one.
    pub(crate) fn check_jump(&self, event: &MarketEvent) -> Result<(), Refusal> {
        let Some(Last { event_ms, .. }) = self.last else { return Ok(()) };
        let Some(last_price) = self.newest_price() else { return Ok(()) };
        if event.time_ms().saturating_sub(event_ms) > JUMP_MEMORY_MS {
            return Ok(());
        }
        let too_far = |price: &f64| {
            let ratio = price.max(last_price) / price.min(last_price);
            (ratio - 1.0) * 100.0 > self.parameters.jump_max_percent
        };
        event
            .extremes()
            .into_iter()
            .find(too_far)
            .map_or(Ok(()), |price| Err(Refusal::Jump { price, last_price }))
    }

    /// How an event is to be ignored because its minute is closed.
    pub(crate) fn ignored(&self, event: &MarketEvent) -> Option<Handled> {
        let minute_ms = event.minute_ms();
        let settled = self.open_ms.is_some_and(|open_ms| minute_ms < open_ms);
        let closed = self.closed_until().is_some_and(|end_ms| minute_ms < end_ms);
        match event {
            _ if !settled && !closed => None,
            MarketEvent::Candle { closed: true, .. } => Some(Handled::Duplicate),
            _ => Some(Handled::Late),
        }
    }

    /// Refuses an event so far ahead that filling the minutes before it makes no sense.
    pub(crate) fn check_distance(&self, event: &MarketEvent) -> Result<(), Refusal> {
        let minute_ms = event.minute_ms();
        match self.open_ms {
            Some(open_ms) if minute_ms > open_ms + FILL_MAX_MS => gap(open_ms, minute_ms),
            _ => Ok(()),
        }
    }

    /// Refuses an event before which a minute is missing. `awaiting` is the evaluation instant that comes next:
    /// until the close before it is settled, the minute that begins there may already be seen.
    pub(crate) fn check_gap(&self, event: &MarketEvent, next_due_ms: u64) -> Result<(), Refusal> {
        let minute_ms = event.minute_ms();
        match self.open_ms {
            Some(open_ms) if minute_ms > open_ms => {
                let awaited = minute_ms == open_ms + MINUTE_MS && minute_ms == next_due_ms;
                if awaited { Ok(()) } else { gap(open_ms, minute_ms) }
            }
            _ => Ok(()),
        }
    }

    /// Takes an event that nothing speaks against.
    pub(crate) fn apply(&mut self, event: &MarketEvent) {
        let minute_ms = event.minute_ms();
        if minute_ms == *self.open_ms.get_or_insert(minute_ms) {
            let forming = Forming::merge(&mut self.current, event);
            let event_ms = self.last.map_or(0, |last| last.event_ms).max(forming.last_event_ms);
            self.last = Some(Last { price: forming.candle.close, event_ms });
        } else {
            Forming::merge(&mut self.following, event);
        }
    }

    /// Settles the minute that ends at `end_ms`, if that can be done at `now_ms`.
    pub(crate) fn close(&mut self, end_ms: u64, now_ms: u64) -> Close {
        let Some(open_ms) = self.open_ms else { return Close::Missing };
        if open_ms >= end_ms {
            return Close::Earlier;
        }
        if open_ms + MINUTE_MS < end_ms {
            return Close::Missing;
        }
        let until_ms = end_ms + self.parameters.close_wait_ms;
        let refill = self.parameters.quiet_minutes == QuietMinutes::Refill;
        match (self.current, self.last) {
            (Some(forming), _) if forming.closed => self.settle(forming.candle),
            (Some(forming), _) if (refill || forming.from_candle) && now_ms < until_ms => {
                Close::Awaited(until_ms)
            }
            (Some(forming), _) => self.settle(forming.candle),
            (None, _) if refill && now_ms < until_ms => Close::Awaited(until_ms),
            (None, Some(last)) if !refill => self.settle(Candle::flat(open_ms, last.price)),
            (None, _) => Close::Missing,
        }
    }

    /// Opens the next minute after everything was said about the one before: only now may its events be seen.
    pub(crate) fn promote(&mut self) {
        if let Some(forming) = self.following.take_if(|next| Some(next.candle.open_time_ms) == self.open_ms) {
            self.last = Some(Last { price: forming.candle.close, event_ms: forming.last_event_ms });
            self.current = Some(forming);
        }
    }

    fn settle(&mut self, candle: Candle) -> Close {
        self.open_ms = Some(candle.close_time_ms());
        self.current = None;
        if let Some(last) = &mut self.last {
            last.price = candle.close;
        }
        Close::Settled(candle)
    }
}

/// A minute in the making.
#[derive(Clone, Copy, Debug)]
struct Forming {
    candle: Candle,
    /// A candle of the exchange was seen, so that a closed one will come.
    from_candle: bool,
    closed: bool,
    /// The newest event; only an event at least as new sets the close.
    last_event_ms: u64,
}

impl Forming {
    /// Adds an event of its minute.
    fn merge(slot: &mut Option<Self>, event: &MarketEvent) -> Self {
        let time_ms = event.time_ms();
        let merged = match (*event, *slot) {
            (MarketEvent::Candle { candle, closed: true, .. }, _) => {
                Self { candle, from_candle: true, closed: true, last_event_ms: time_ms }
            }
            (MarketEvent::Candle { candle, .. }, None) => {
                Self { candle, from_candle: true, closed: false, last_event_ms: time_ms }
            }
            (MarketEvent::Candle { candle, .. }, Some(forming)) => forming.join_candle(&candle, time_ms),
            (MarketEvent::Trade { price, quantity, .. }, None) => {
                let candle = Candle { volume: quantity, ..Candle::flat(event.minute_ms(), price) };
                Self { candle, from_candle: false, closed: false, last_event_ms: time_ms }
            }
            (MarketEvent::Trade { price, quantity, .. }, Some(forming)) => {
                forming.join_trade(price, quantity, time_ms)
            }
        };
        *slot = Some(merged);
        merged
    }

    /// A running candle tells the volume since the minute began, so the larger figure is the newer one.
    fn join_candle(mut self, seen: &Candle, time_ms: u64) -> Self {
        self.from_candle = true;
        self.candle.open = seen.open;
        self.candle.volume = self.candle.volume.max(seen.volume);
        self.reach(seen.high, seen.low, seen.close, time_ms)
    }

    /// Of a source that tells candles too, the candles know the volume.
    fn join_trade(mut self, price: f64, quantity: f64, time_ms: u64) -> Self {
        if !self.from_candle {
            self.candle.volume += quantity;
        }
        self.reach(price, price, price, time_ms)
    }

    fn reach(mut self, high: f64, low: f64, close: f64, time_ms: u64) -> Self {
        self.candle.high = self.candle.high.max(high);
        self.candle.low = self.candle.low.min(low);
        if time_ms >= self.last_event_ms {
            self.candle.close = close;
            self.last_event_ms = time_ms;
        }
        self
    }
}

/// A price of more than an hour ago says nothing about the next one.
const JUMP_MEMORY_MS: u64 = 3_600_000;

/// Flat minutes are filled in for a day at most: after a longer silence the history is worth nothing.
const FILL_MAX_MS: u64 = 86_400_000;

const fn gap(from_ms: u64, to_ms: u64) -> Result<(), Refusal> {
    Err(Refusal::Gap { from_ms, to_ms })
}
