//! From market events to published signals: one task per symbol owns its engine, without a lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use tidegate_protocol::{
    Feed, MomentumMessage, RangeTradingMessage, ScalpMessage, ServerMessage, Strategy, Symbol,
};
use tidegate_strategy::{Candle, Engine, InvalidParameter, MarketEvent, Parameters, Signal};
use tokio::time::{Instant, sleep_until};

use crate::clock::MarketClock;
use crate::hub::Hub;
use crate::market::Source;
use crate::outcomes::Outcomes;

/// One-minute candles kept per symbol for `/api/perps/klines`: a week.
const CANDLES_KEPT: usize = 10_080;
/// How long after an instant without any event it is evaluated all the same (then as stale).
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// The latest of every market, for requests.
#[derive(Debug)]
pub struct Markets {
    /// What the source is, in words.
    pub description: String,
    by_symbol: HashMap<Symbol, Mutex<Latest>>,
}

/// The latest of one market.
#[derive(Debug, Default)]
pub struct Latest {
    /// Closed one-minute candles, oldest first.
    pub closed: VecDeque<Candle>,
    /// The minute that is running.
    pub running: Option<Candle>,
    /// What each strategy said last.
    pub signals: BTreeMap<Strategy, Signal>,
    /// What became of the signals before.
    pub outcomes: Outcomes,
}

impl Markets {
    /// Nothing is known yet of these symbols.
    #[must_use]
    pub fn new(description: String, symbols: &[Symbol]) -> Self {
        let by_symbol = symbols.iter().map(|symbol| (*symbol, Mutex::default())).collect();
        Self { description, by_symbol }
    }

    /// The latest of `symbol`; none if it is not tracked. Held for a few lines only.
    pub fn latest(&self, symbol: Symbol) -> Option<MutexGuard<'_, Latest>> {
        self.by_symbol.get(&symbol).map(|latest| latest.lock().expect("no holder panics"))
    }
}

impl Latest {
    /// Takes note of an event and of the candle that is running after it.
    fn observe(&mut self, event: &MarketEvent, running: Option<Candle>) {
        let over = |before: &Candle| running.is_none_or(|now| now.open_time_ms != before.open_time_ms);
        match event {
            MarketEvent::Candle { candle, closed: true, .. } => self.close(*candle),
            _ => self.running.filter(over).into_iter().for_each(|finished| self.close(finished)),
        }
        let closed_until_ms = self.closed.back().map_or(0, Candle::close_time_ms);
        self.running = running.filter(|running| running.open_time_ms >= closed_until_ms);
    }

    fn close(&mut self, candle: Candle) {
        if self.closed.back().is_some_and(|last| last.open_time_ms >= candle.open_time_ms) {
            return;
        }
        if self.closed.len() == CANDLES_KEPT {
            self.closed.pop_front();
        }
        self.closed.push_back(candle);
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
}

impl Pipeline {
    /// A pipeline that has taken in its source's past: followers find a signal and a history at once.
    ///
    /// # Errors
    /// [`InvalidParameter`] if a strategy's setting is out of its bounds.
    pub fn new(
        mut source: Source,
        clock: MarketClock,
        hub: Arc<Hub>,
        markets: Arc<Markets>,
    ) -> Result<Self, InvalidParameter> {
        let mut engine = Engine::new(source.symbol, source.tick, Parameters::default())?;
        let past = std::mem::take(&mut source.past);
        let recent = std::mem::take(&mut source.recent);
        if let Err(refusal) = engine.warm_up(&past) {
            tracing::warn!(symbol = %source.symbol, %refusal, "the past of this market is not usable");
        }
        if let Some(mut latest) = markets.latest(source.symbol) {
            past.iter().for_each(|candle| latest.close(*candle));
        }
        let mut pipeline = Self { engine, source, clock, hub, markets };
        for event in recent {
            pipeline.handle(&event);
        }
        Ok(pipeline)
    }

    /// Runs until the source ends.
    pub async fn run(mut self) {
        loop {
            let silent_at = self.silent_at();
            tokio::select! {
                biased;
                event = self.source.events.next() => match event {
                    Some(event) => self.handle(&event),
                    None => break,
                },
                () = sleep_until(silent_at) => {
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
        due.map_or_else(|| Instant::now() + Duration::from_secs(3_600), |due| due + SILENT_AFTER)
    }

    fn handle(&mut self, event: &MarketEvent) {
        if let Err(refusal) = self.engine.handle(event) {
            tracing::warn!(symbol = %self.source.symbol, %refusal, "a market event was refused");
            return;
        }
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
            if evaluation.send {
                let feed = Feed { symbol, strategy: evaluation.strategy };
                let body = evaluation.body.clone();
                self.hub
                    .publish(feed, evaluation.time_ms, |prev| message(feed, evaluation.time_ms, prev, body));
            }
            if let Some(mut latest) = self.markets.latest(symbol) {
                if evaluation.send {
                    latest.outcomes.signal(&evaluation);
                }
                latest.signals.insert(evaluation.strategy, evaluation.body);
            }
        }
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
