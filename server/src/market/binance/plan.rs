//! What the live market does when: pure decisions, with time and chance as arguments.

use std::ops::Range;
use std::time::Duration;

use tidegate_strategy::{Candle, MINUTE_MS, MarketEvent};

use super::message::Update;

/// The first wait is at most this long: most cuts are over at once.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// And no wait is longer, unless the exchange asks for it.
const BACKOFF_MAX: Duration = Duration::from_secs(20);
/// Of a longer silence the trades do not matter any more: its signals went out as stale.
const TRADES_WORTH_MS: u64 = 60_000;

/// When the connection is given up, renewed and held back.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a connection, a handshake or an answer may take.
    pub patience: Duration,
    /// A connection that says nothing for this long is dropped; in the market's time.
    pub silence: Duration,
    /// A connection that held this long was a good one: the next wait is short again; in the market's time.
    pub settled: Duration,
    /// A connection of this age gets a successor: exchanges cut at 24 h.
    pub renew: Duration,
    /// Events of one market that wait at most. What comes on top is dropped: a hole like that of a cut, which
    /// closed candles fill.
    pub queue: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            settled: Duration::from_secs(10),
            renew: Duration::from_secs(23 * 3_600),
            queue: 8_192,
        }
    }
}

/// How long to wait before the next attempt, with full jitter: `chance` is uniform in [0, 1). What the exchange
/// asked for comes on top of nothing: it is waited out, and then a little.
#[must_use]
pub fn backoff(attempt: u32, chance: f64, asked: Option<Duration>) -> Duration {
    let ceiling = BACKOFF_FIRST.saturating_mul(1 << attempt.min(10)).min(BACKOFF_MAX);
    asked.unwrap_or_default() + ceiling.mul_f64(chance)
}

/// The closed minutes that are missing at `now_ms` when those before `closed_until_ms` are known.
#[must_use]
pub fn missing_minutes(closed_until_ms: u64, now_ms: u64) -> Option<Range<u64>> {
    let end_ms = now_ms - now_ms % MINUTE_MS;
    (closed_until_ms < end_ms).then_some(closed_until_ms..end_ms)
}

/// Whether the trades of a silence of this length are fetched too, and not only its closed candles.
#[must_use]
pub fn trades_matter(silent_ms: u64) -> bool {
    silent_ms <= TRADES_WORTH_MS
}

/// Closed candles and trades in the order in which they became known: a candle before what is traded after it.
#[must_use]
pub fn in_order(candles: Vec<Candle>, trades: Vec<Update>) -> Vec<MarketEvent> {
    let trades = trades.into_iter().map(|update| update.event);
    let mut events: Vec<_> = candles.into_iter().map(MarketEvent::closed).chain(trades).collect();
    // Stable: at the same instant a candle comes first.
    events.sort_by_key(MarketEvent::time_ms);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_twenty_seconds_and_are_spread_over_all_of_it() {
        let ceiling = |attempt| backoff(attempt, 1.0, None).as_millis();
        assert_eq!([0, 1, 2, 5, 6, 40].map(ceiling), [500, 1_000, 2_000, 16_000, 20_000, 20_000]);
        assert_eq!(backoff(6, 0.0, None), Duration::ZERO);
        assert_eq!(backoff(6, 0.25, None), Duration::from_secs(5));
        let asked = backoff(0, 0.5, Some(Duration::from_secs(120)));
        assert_eq!(asked, Duration::from_millis(120_250), "what is asked for is waited out in full");
    }

    #[test]
    fn only_minutes_that_have_ended_are_missing() {
        assert_eq!(missing_minutes(120_000, 120_000), None);
        assert_eq!(missing_minutes(120_000, 179_999), None);
        assert_eq!(missing_minutes(120_000, 180_000), Some(120_000..180_000));
        assert_eq!(missing_minutes(120_000, 400_000), Some(120_000..360_000));
        assert_eq!(missing_minutes(180_000, 120_000), None, "a clock behind the data");
    }

    #[test]
    fn a_refill_comes_in_the_order_of_the_market() {
        let symbol = "BTCUSDT".parse().unwrap();
        let trade = |time_ms| {
            let event = MarketEvent::Trade { time_ms, price: 1.0, quantity: 1.0 };
            Update { symbol, trade_id: Some(time_ms), event }
        };
        let candles = vec![Candle::flat(0, 1.0), Candle::flat(60_000, 1.0)];
        let events = in_order(candles, [59_000, 60_000, 119_999, 120_500].map(trade).into());
        let told = |event: &MarketEvent| (event.time_ms(), matches!(event, MarketEvent::Candle { .. }));
        let told: Vec<_> = events.iter().map(told).collect();
        let expected = [
            (59_000, false),
            (60_000, true),
            (60_000, false),
            (119_999, false),
            (120_000, true),
            (120_500, false),
        ];
        assert_eq!(told, expected);
    }
}
