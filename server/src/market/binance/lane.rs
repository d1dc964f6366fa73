//! One market's way from the connection to its pipeline: what was passed on, and what a cut has left out.

use tidegate_protocol::Symbol;
use tidegate_strategy::MarketEvent;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::message::Update;
use super::plan::{in_order, missing_minutes, trades_matter};
use super::rest::{Rest, RestError};

/// Takes one market's events.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) symbol: Symbol,
    events: mpsc::Sender<MarketEvent>,
    /// The newest trade that was passed on; none before the first.
    last_trade_id: Option<u64>,
    /// End of the newest minute whose closed candle was passed on, in Unix milliseconds.
    closed_until_ms: u64,
    dropped: u64,
}

impl Lane {
    pub(super) fn new(symbol: Symbol, events: mpsc::Sender<MarketEvent>, closed_until_ms: u64) -> Self {
        Self { symbol, events, last_trade_id: None, closed_until_ms, dropped: 0 }
    }

    /// Whether nobody takes the events any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// Passes an update on. Trades come twice while two connections overlap, and after a refill.
    pub(super) fn take(&mut self, update: &Update) {
        if let Some(id) = update.trade_id {
            if self.last_trade_id.is_some_and(|last| id <= last) {
                return;
            }
            self.last_trade_id = Some(id);
        }
        self.pass(update.event);
    }

    /// Passes on what happened since the last event, as far as the exchange still tells it. `silent_ms` is how
    /// long nothing came.
    pub(super) async fn refill(&mut self, rest: &Rest, now_ms: u64, silent_ms: u64) -> Result<(), RestError> {
        let candles = match missing_minutes(self.closed_until_ms, now_ms) {
            Some(open_ms) => rest.candles_in(self.symbol, open_ms).await?,
            None => Vec::new(),
        };
        let trades = match self.last_trade_id.filter(|_| trades_matter(silent_ms)) {
            Some(id) => rest.trades_after(self.symbol, id).await?,
            None => Vec::new(),
        };
        if let Some(last) = trades.last() {
            self.last_trade_id = last.trade_id;
        }
        let events = in_order(candles, trades);
        tracing::info!(symbol = %self.symbol, silent_ms, events = events.len(), "refilled after a cut");
        events.into_iter().for_each(|event| self.pass(event));
        Ok(())
    }

    fn pass(&mut self, event: MarketEvent) {
        match self.events.try_send(event) {
            Ok(()) => {
                if let MarketEvent::Candle { closed: true, .. } = event {
                    self.closed_until_ms = self.closed_until_ms.max(event.time_ms());
                }
            }
            Err(TrySendError::Full(_)) => {
                self.dropped += 1;
                // Seldom enough to be read: the first, and then ever more.
                if self.dropped.is_power_of_two() {
                    let (symbol, dropped) = (self.symbol, self.dropped);
                    tracing::warn!(%symbol, dropped, "events are not taken fast enough: they are dropped");
                }
            }
            // The gateway is stopping.
            Err(TrySendError::Closed(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_strategy::Candle;

    fn lane(queue: usize) -> (Lane, mpsc::Receiver<MarketEvent>) {
        let (sender, receiver) = mpsc::channel(queue);
        (Lane::new("BTCUSDT".parse().unwrap(), sender, 60_000), receiver)
    }

    fn trade(lane: &Lane, id: u64) -> Update {
        let event = MarketEvent::Trade { time_ms: id, price: 1.0, quantity: 1.0 };
        Update { symbol: lane.symbol, trade_id: Some(id), event }
    }

    #[test]
    fn a_trade_is_passed_on_once_however_many_connections_tell_it() {
        let (mut lane, mut events) = lane(8);
        for id in [5, 6, 5, 6, 7] {
            let update = trade(&lane, id);
            lane.take(&update);
        }
        let passed: Vec<_> =
            std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.time_ms()).collect();
        assert_eq!(passed, [5, 6, 7]);
    }

    #[test]
    fn what_a_full_queue_drops_is_counted_and_leaves_a_hole_to_be_refilled() {
        let (mut lane, _events) = lane(1);
        let update = trade(&lane, 1);
        lane.take(&update);
        let event = MarketEvent::closed(Candle::flat(60_000, 1.0));
        lane.take(&Update { symbol: lane.symbol, trade_id: None, event });
        assert_eq!(lane.dropped, 1);
        assert_eq!(lane.closed_until_ms, 60_000, "the minute counts as missing");
    }
}
