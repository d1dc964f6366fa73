//! From market events to published signals: one task per symbol owns its engine, without a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tidegate_protocol::{
    Feed, MomentumMessage, RangeTradingMessage, ScalpMessage, ServerMessage, Strategy, Symbol,
};
use tidegate_strategy::{Candle, Engine, InvalidParameter, MarketEvent, Parameters, Refusal, Signal};
use tokio::time::{Instant, sleep_until};

use crate::candles::Candles;
use crate::clock::MarketClock;
use crate::hub::Hub;
use crate::market::{Recent, Source};
use crate::outcomes::Outcomes;

/// One-minute candles kept per symbol for `/api/perps/klines`: a week.
const CANDLES_KEPT: usize = 10_080;
/// How long after an instant without any event it is evaluated all the same (then as stale).
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// How long it waits for a connection that is coming back; afterwards what is known is stale anyway.
const CUT_AFTER_MS: u64 = 10_000;
/// After candles could not be fetched, the next attempt waits this long: a limited exchange must not be pressed.
const REFILL_AGAIN: Duration = Duration::from_secs(2);

/// The latest of every market, for requests.
#[derive(Debug)]
pub struct Markets {
    /// What the source is, in words.
    pub description: String,
    by_symbol: HashMap<Symbol, Mutex<Latest>>,
}

/// The latest of one market.
#[derive(Debug)]
pub struct Latest {
    /// Closed one-minute candles, oldest first.
    pub closed: Candles,
    /// The minute that is running.
    pub running: Option<Candle>,
    /// What each strategy said last.
    pub signals: BTreeMap<Strategy, Signal>,
    /// What became of the signals before.
    pub outcomes: Outcomes,
    /// When each strategy was evaluated last, in Unix milliseconds, and whether its data was too old then.
    evaluated: BTreeMap<Strategy, (u64, bool)>,
}

/// How current a feed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The feed.
    pub feed: Feed,
    /// Time since it was evaluated, on the wall clock.
    pub age: Duration,
    /// Whether its market data is too old, or the next evaluation overdue.
    pub stale: bool,
}

impl Markets {
    /// Nothing is known yet of these symbols.
    #[must_use]
    pub fn new(description: String, symbols: &[Symbol]) -> Self {
        let by_symbol = symbols.iter().map(|symbol| (*symbol, Mutex::new(Latest::new()))).collect();
        Self { description, by_symbol }
    }

    /// How current every feed is. An evaluation may come `late` before it counts as overdue.
    #[must_use]
    pub fn freshness(&self, clock: MarketClock, late: Duration) -> Vec<Freshness> {
        let now_ms = u64::try_from(clock.now_ms()).unwrap_or(0);
        let mut feeds = Vec::new();
        for (&symbol, latest) in &self.by_symbol {
            let evaluated = latest.lock().expect("no holder panics").evaluated.clone();
            for strategy in Strategy::ALL {
                let (at_ms, old) = evaluated.get(&strategy).copied().unwrap_or((0, true));
                let passed = |market_ms| Duration::from_millis(clock.wall_interval_ms(market_ms));
                let age = passed(now_ms.saturating_sub(at_ms));
                let stale = old || age > passed(strategy.interval_ms()) + late;
                feeds.push(Freshness { feed: Feed { symbol, strategy }, age, stale });
            }
        }
        feeds.sort_unstable_by_key(|freshness| freshness.feed);
        feeds
    }

    /// The latest of `symbol`; none if it is not tracked. Held for a few lines only.
    pub fn latest(&self, symbol: Symbol) -> Option<MutexGuard<'_, Latest>> {
        self.by_symbol.get(&symbol).map(|latest| latest.lock().expect("no holder panics"))
    }
}

impl Latest {
    fn new() -> Self {
        Self {
            closed: Candles::keeping(CANDLES_KEPT),
            running: None,
            signals: BTreeMap::new(),
            outcomes: Outcomes::default(),
            evaluated: BTreeMap::new(),
        }
    }

    /// Takes note of an event and of the candle that is running after it.
    fn observe(&mut self, event: &MarketEvent, running: Option<Candle>) {
        let over = |before: &Candle| running.is_none_or(|now| now.open_time_ms != before.open_time_ms);
        match event {
            MarketEvent::Candle { candle, closed: true, .. } => {
                // Its closed candle never came: what was seen of it is all there is.
                let earlier = |before: &Candle| before.open_time_ms < candle.open_time_ms;
                self.running.filter(earlier).into_iter().for_each(|finished| self.close(finished));
                self.close(*candle);
            }
            _ => self.running.filter(over).into_iter().for_each(|finished| self.close(finished)),
        }
        let closed_until_ms = self.closed.last().map_or(0, Candle::close_time_ms);
        self.running = running.filter(|running| running.open_time_ms >= closed_until_ms);
    }

    fn close(&mut self, candle: Candle) {
        if self.closed.last().is_some_and(|last| last.open_time_ms >= candle.open_time_ms) {
            return;
        }
        self.closed.push(candle);
        self.outcomes.candle(&candle);
    }
}

/// Takes one symbol from its source to the hub.
#[derive(Debug)]
pub struct Pipeline {
    engine: Engine,
    source: Source,
    clock: MarketClock,
    hub: Arc<Hub>,
    markets: Arc<Markets>,
    refill: Refill,
}

/// The filling of a hole in the source's events. Until it is done, no event is taken: they wait in the source.
#[derive(Default)]
enum Refill {
    #[default]
    None,
    /// Candles are on their way; the event before which they are missing is handled after them.
    Running(BoxFuture<'static, Result<Vec<Candle>, String>>, MarketEvent),
    /// It failed: before this instant, events beyond the hole are dropped.
    Failed(Instant),
}

impl std::fmt::Debug for Refill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Running(..) => "Running",
            Self::Failed(_) => "Failed",
        })
    }
}

impl Refill {
    /// The candles, once they are there; never, if none are on their way.
    async fn done(&mut self) -> Result<Vec<Candle>, String> {
        match self {
            Self::Running(candles, _) => candles.await,
            Self::None | Self::Failed(_) => std::future::pending().await,
        }
    }
}

impl Pipeline {
    /// A pipeline that has taken in its source's past: followers find a signal and a history at once.
    ///
    /// # Errors
    /// [`InvalidParameter`] if a strategy's setting is out of its bounds.
    pub fn new(
        mut source: Source,
        mut parameters: Parameters,
        clock: MarketClock,
        hub: Arc<Hub>,
        markets: Arc<Markets>,
    ) -> Result<Self, InvalidParameter> {
        parameters.data.quiet_minutes = source.quiet_minutes;
        let mut engine = Engine::new(source.symbol, source.tick, parameters)?;
        let past = std::mem::take(&mut source.past);
        let recent: Recent = std::mem::replace(&mut source.recent, Box::new(std::iter::empty()));
        let mut recent = recent.peekable();
        if let Err(refusal) = engine.warm_up(&past) {
            tracing::warn!(symbol = %source.symbol, %refusal, "the past of this market is not usable");
        }
        if let Some(mut latest) = markets.latest(source.symbol) {
            past.iter().for_each(|candle| latest.close(*candle));
        }
        let begin_ms = match (past.last(), recent.peek()) {
            (Some(last), _) => last.close_time_ms(),
            (None, Some(first)) => first.time_ms(),
            (None, None) => u64::try_from(clock.now_ms()).unwrap_or(0),
        };
        for strategy in Strategy::ALL {
            hub.begin_after(Feed { symbol: source.symbol, strategy }, begin_ms);
        }
        let mut pipeline = Self { engine, source, clock, hub, markets, refill: Refill::None };
        for event in recent {
            pipeline.handle(&event);
        }
        Ok(pipeline)
    }

    /// Runs until the source ends.
    pub async fn run(mut self) {
        loop {
            let silent_at = self.silent_at();
            let refilling = matches!(self.refill, Refill::Running(..));
            tokio::select! {
                biased;
                candles = self.refill.done() => self.end_refill(candles),
                event = self.source.events.next(), if !refilling => match event {
                    Some(event) => self.handle(&event),
                    None => break,
                },
                () = sleep_until(silent_at) => {
                    // The connection may have gone away since the last event: then there is more patience.
                    if Instant::now() < self.silent_at() {
                        continue;
                    }
                    let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
                    self.publish(now_ms);
                }
            }
        }
        tracing::warn!(symbol = %self.source.symbol, "the market data has ended: no more signals");
    }

    /// When the next instant is evaluated although nothing was heard.
    fn silent_at(&self) -> Instant {
        let due_ms = self.engine.next_due_ms().and_then(|due_ms| i64::try_from(due_ms).ok());
        let due = due_ms.map(|due_ms| self.clock.instant_of(due_ms));
        // Far away, as there is nothing to evaluate before the first event.
        due.map_or_else(|| Instant::now() + Duration::from_secs(3_600), |due| due + self.patience())
    }

    /// How long after an instant an event is awaited that shows that the instant is over.
    fn patience(&self) -> Duration {
        if self.source.repair.as_ref().is_none_or(|repair| *repair.whole.borrow()) {
            return SILENT_AFTER;
        }
        SILENT_AFTER.max(Duration::from_millis(self.clock.wall_interval_ms(CUT_AFTER_MS)))
    }

    fn handle(&mut self, event: &MarketEvent) {
        match self.engine.handle(event) {
            Ok(_) => self.handled(event),
            Err(Refusal::Gap { from_ms, to_ms }) if self.source.repair.is_some() => {
                self.start_refill(from_ms, to_ms, *event);
            }
            Err(refusal) => self.refused(&refusal),
        }
    }

    /// Says seldom enough what a bad source does all the time: the first, and then ever more.
    fn refused(&self, refusal: &Refusal) {
        self.hub.metrics().market_refusals.inc(reason(refusal));
        let counts = self.engine.counts();
        let refused = counts.invalid + counts.jump + counts.gap;
        if refused.is_power_of_two() {
            tracing::warn!(symbol = %self.source.symbol, %refusal, refused, "a market event was refused");
        }
    }

    fn start_refill(&mut self, from_ms: u64, to_ms: u64, event: MarketEvent) {
        if matches!(self.refill, Refill::Failed(again_at) if Instant::now() < again_at) {
            return;
        }
        let Some(repair) = &self.source.repair else { return };
        self.refill = Refill::Running((repair.candles)(from_ms, to_ms), event);
    }

    /// Closes the hole and handles the event behind it. What is still missing then is asked for again, later.
    fn end_refill(&mut self, candles: Result<Vec<Candle>, String>) {
        let symbol = self.source.symbol;
        let again = Refill::Failed(Instant::now() + REFILL_AGAIN);
        let Refill::Running(_, event) = std::mem::replace(&mut self.refill, again) else { return };
        match candles {
            Ok(candles) => {
                tracing::info!(%symbol, candles = candles.len(), "filled a hole in the market data");
                let gaps = self.engine.counts().gap;
                candles.into_iter().map(MarketEvent::closed).for_each(|candle| self.handle(&candle));
                self.handle(&event);
                if self.engine.counts().gap == gaps {
                    self.refill = Refill::None;
                }
            }
            Err(reason) => {
                tracing::warn!(%symbol, reason, "a hole in the market data stays: signals are NEUTRAL");
            }
        }
    }

    /// What follows from an event that was taken.
    fn handled(&mut self, event: &MarketEvent) {
        self.publish(event.time_ms());
        let running = self.engine.running_candle();
        if let Some(mut latest) = self.markets.latest(self.source.symbol) {
            latest.observe(event, running);
        }
    }

    /// Publishes what is due up to `now_ms`.
    fn publish(&mut self, now_ms: u64) {
        let symbol = self.source.symbol;
        for evaluation in self.engine.poll(now_ms) {
            let feed = Feed { symbol, strategy: evaluation.strategy };
            if !evaluation.send {
                self.hub.pass(feed, evaluation.time_ms);
            } else {
                let body = evaluation.body.clone();
                self.hub
                    .publish(feed, evaluation.time_ms, |prev| message(feed, evaluation.time_ms, prev, body));
            }
            if let Some(mut latest) = self.markets.latest(symbol) {
                latest.evaluated.insert(evaluation.strategy, (evaluation.time_ms, evaluation.stale));
                if evaluation.send {
                    let oldest = self.hub.oldest(Feed { symbol, strategy: evaluation.strategy });
                    latest.outcomes.forget_before(evaluation.strategy, oldest);
                    latest.outcomes.signal(&evaluation);
                }
                latest.signals.insert(evaluation.strategy, evaluation.body);
            }
        }
    }
}

/// Why an event was refused, in a word.
fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Jump { .. } => "jump",
        Refusal::Gap { .. } => "gap",
        _ => "invalid",
    }
}

/// The message that carries a signal.
#[must_use]
pub fn message(feed: Feed, seq: u64, prev: u64, body: Signal) -> ServerMessage {
    let Feed { symbol, strategy } = feed;
    match body {
        Signal::Scalp(data) => ServerMessage::Scalp(ScalpMessage { symbol, strategy, seq, prev, data }),
        Signal::Momentum(data) => {
            ServerMessage::Momentum(MomentumMessage { symbol, strategy, seq, prev, data })
        }
        Signal::RangeTrading(payload) => {
            let payload = *payload;
            ServerMessage::RangeTrading(RangeTradingMessage { symbol, strategy, seq, prev, payload })
        }
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
