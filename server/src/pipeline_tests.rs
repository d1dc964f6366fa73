//! Holes in the market data, on virtual time: what is asked for, what waits, and that nothing is said across one.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::stream;
use tidegate_strategy::{MINUTE_MS, QuietMinutes, TickSize};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::market::Repair;

const START_MS: u64 = 29_370_870 * MINUTE_MS;

struct Rig {
    events: mpsc::Sender<MarketEvent>,
    asked: Arc<AtomicUsize>,
    hub: Arc<Hub>,
    markets: Arc<Markets>,
    symbol: Symbol,
    started: Instant,
    whole: watch::Sender<bool>,
}

/// A pipeline with ten candles behind it; the exchange answers only from this request on.
fn rig(answers_from: usize) -> Rig {
    let symbol: Symbol = "BTCUSDT".parse().unwrap();
    let (events, received) = mpsc::channel(64);
    let (whole, is_whole) = watch::channel(true);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let candles = move |from_ms: u64, to_ms: u64| {
        let request = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let minutes = (from_ms..to_ms).step_by(60_000);
            let candles = minutes.map(|open_ms| Candle::flat(open_ms, 100.0)).collect();
            if request < answers_from { Err("there is no answer".to_owned()) } else { Ok(candles) }
        }
        .boxed()
    };
    let source = Source {
        symbol,
        tick: TickSize::new(1, 1).unwrap(),
        past: (0..10).map(|minute| Candle::flat(START_MS - (10 - minute) * MINUTE_MS, 100.0)).collect(),
        recent: Box::new(std::iter::empty()),
        events: stream::unfold(received, async |mut events| Some((events.recv().await?, events))).boxed(),
        repair: Some(Repair { candles: Arc::new(candles), whole: is_whole }),
        quiet_minutes: QuietMinutes::Refill,
    };
    let hub = Arc::new(Hub::new(Strategy::ALL.map(|strategy| Feed { symbol, strategy })));
    let markets = Arc::new(Markets::new("a test".into(), &[symbol]));
    let clock = MarketClock::new(i64::try_from(START_MS).unwrap(), 1.0);
    let pipeline =
        Pipeline::new(source, Parameters::default(), clock, Arc::clone(&hub), Arc::clone(&markets)).unwrap();
    tokio::spawn(pipeline.run());
    Rig { events, asked, hub, markets, symbol, started: Instant::now(), whole }
}

impl Rig {
    /// A trade, when it is due.
    async fn trade(&self, at_ms: u64) {
        sleep_until(self.started + Duration::from_millis(at_ms)).await;
        let event = MarketEvent::Trade { time_ms: START_MS + at_ms, price: 100.0, quantity: 1.0 };
        self.events.send(event).await.unwrap();
    }

    async fn trades(&self, seconds: &[u64]) {
        for second in seconds {
            self.trade(second * 1_000).await;
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Seconds after the start, and whether the market was known.
    fn said(&self) -> Vec<(u64, bool)> {
        let feed = Feed { symbol: self.symbol, strategy: Strategy::Scalp };
        let said = self.hub.history(feed, None, 512).frames.into_iter().map(|frame| {
            let message: serde_json::Value = serde_json::from_str(&frame).unwrap();
            let seconds = (message["seq"].as_u64().unwrap() - START_MS) / 1_000;
            (seconds, !message["data"]["reasoning"].as_str().unwrap().starts_with("Market data stale"))
        });
        said.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_filled_before_the_event_behind_it_and_nothing_is_said_across_it() {
    let rig = rig(0);
    rig.trades(&[5, 25, 200]).await;
    // Both wait while the candles are on their way.
    rig.trade(200_100).await;
    rig.trades(&[205, 215]).await;
    let stale = [60, 90, 120, 150, 180].map(|second| (second, false));
    assert_eq!(rig.said(), [&[(30, true)], &stale[..], &[(210, true)]].concat());
    assert_eq!(rig.asked(), 1);
    let latest = rig.markets.latest(rig.symbol).unwrap();
    let minutes: Vec<_> = latest
        .closed
        .to_vec()
        .iter()
        .skip(10)
        .map(|candle| (candle.open_time_ms - START_MS) / MINUTE_MS)
        .collect();
    assert_eq!(minutes, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_hole_that_cannot_be_filled_stays_neutral_and_is_asked_for_again_but_not_at_once() {
    let rig = rig(1);
    rig.trades(&[5, 25, 200, 201]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.asked(), 1, "the second trade came too soon after the failure");
    rig.trades(&[212, 225]).await;
    assert_eq!(rig.asked(), 2);
    rig.trades(&[235, 241, 245]).await;
    let known: Vec<_> = rig.said().into_iter().filter(|(second, _)| *second >= 180).collect();
    assert_eq!(known, [(180, false), (210, false), (240, true)]);
}

#[tokio::test(start_paused = true)]
async fn while_the_connection_is_away_what_is_due_waits_for_it() {
    let rig = rig(0);
    rig.trades(&[5, 25]).await;
    // The pipeline is waiting already when the connection goes away.
    tokio::time::sleep(Duration::from_millis(10)).await;
    rig.whole.send_replace(false);
    sleep_until(rig.started + Duration::from_secs(36)).await;
    assert_eq!(rig.said(), [], "the trades until :30 may still come");
    rig.trades(&[37]).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(rig.said(), [(30, true)]);
    sleep_until(rig.started + Duration::from_secs(75)).await;
    assert_eq!(rig.said()[1], (60, false), "but not for ever");
}

/// A market of one candle a minute; a third of the minutes calm, some of them wild.
fn random_candles(seed: u64, count: usize) -> Vec<Candle> {
    let mut state = seed | 1;
    // Marsaglia's xorshift: the property is about any candles, not about good randomness.
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let mut price = 100.0;
    let mut candle = |minute: usize| {
        let scale = if minute % 97 < 4 { 0.01 } else { 0.001 };
        let round = |price: f64| (price * 100.0).round() / 100.0;
        let (open, close) = (price, round(price * (1.0 + random() * scale)));
        let high = round(open.max(close) * (1.0 + random().abs() * scale));
        let low = round(open.min(close) * (1.0 - random().abs() * scale));
        price = close;
        let open_time_ms = START_MS + minute as u64 * MINUTE_MS;
        Candle { open_time_ms, open, high, low, close, volume: 10.0 + random() * 8.0 }
    };
    (0..count).map(&mut candle).collect()
}

/// Runs events through a pipeline, each `late(index)` milliseconds after it happened, on virtual time.
fn through_a_pipeline(
    events: Vec<MarketEvent>,
    quiet_minutes: QuietMinutes,
    late: impl Fn(usize) -> u64 + Send + 'static,
) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async move {
        let symbol: Symbol = "AAUSDT".parse().unwrap();
        let clock = MarketClock::new(i64::try_from(START_MS).unwrap(), 1.0);
        let events = stream::iter(events.into_iter().enumerate()).then(move |(index, event)| {
            let due_ms = event.time_ms() + late(index);
            async move {
                sleep_until(clock.instant_of(i64::try_from(due_ms).unwrap())).await;
                event
            }
        });
        let source = Source {
            symbol,
            tick: TickSize::new(1, 2).unwrap(),
            past: Vec::new(),
            recent: Box::new(std::iter::empty()),
            events: events.boxed(),
            repair: None,
            quiet_minutes,
        };
        let feeds = Strategy::ALL.map(|strategy| Feed { symbol, strategy });
        let hub = Arc::new(Hub::new(feeds));
        let markets = Arc::new(Markets::new("a test".into(), &[symbol]));
        Pipeline::new(source, Parameters::default(), clock, Arc::clone(&hub), markets).unwrap().run().await;
        feeds.map(|feed| hub.history(feed, None, 512).frames).into()
    })
}

mod same {
    use proptest::prelude::*;
    use tidegate_protocol::Strategy;

    use super::*;
    use crate::market::replay::Replayed;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn live_replay_and_backtest_say_the_same_byte_for_byte(seed in any::<u64>()) {
            let (symbol, tick) = ("AAUSDT".parse().unwrap(), TickSize::new(1, 2).unwrap());
            let candles = random_candles(seed, 1_900);
            let backtest = Replayed::new(symbol, tick, candles.clone());
            let mut said: Vec<Vec<String>> = vec![Vec::new(); 3];
            let mut prev = [0; 3];
            for evaluation in backtest.flat_map(|minute| minute.evaluations).filter(|said| said.send) {
                let index = Strategy::ALL.iter().position(|of| *of == evaluation.strategy).unwrap();
                let (feed, seq) = (Feed { symbol, strategy: evaluation.strategy }, evaluation.time_ms);
                said[index].push(message(feed, seq, prev[index], evaluation.body).to_json());
                prev[index] = seq;
            }
            let kept: Vec<Vec<String>> =
                said.into_iter().map(|all| all[all.len().saturating_sub(512)..].to_vec()).collect();
            prop_assert!(kept.iter().all(|said| !said.is_empty()));
            let events: Vec<_> = candles
                .iter()
                .flat_map(|candle| [MarketEvent::halfway(candle, tick), MarketEvent::closed(*candle)])
                .collect();
            let replay = through_a_pipeline(events.clone(), QuietMinutes::Flat, |_| 0);
            let live = through_a_pipeline(events, QuietMinutes::Refill, move |index| {
                seed.wrapping_mul(index as u64 | 1) % 900
            });
            prop_assert_eq!(&replay, &kept);
            prop_assert_eq!(&live, &kept);
        }
    }
}
