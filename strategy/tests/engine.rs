//! What the engine does with good, bad, late and missing data, and when it speaks.

use tidegate_protocol::{Side, Strategy};
use tidegate_strategy::{Candle, Engine, Handled, MINUTE_MS, MarketEvent, Parameters, Refusal};

use crate::support::{
    NOON_MS, at, candle, candles, engine, engine_with, live_engine, of, replay, tick, trade,
};

/// Seconds after noon and strategy of what was said.
fn instants(engine: &mut Engine, now_seconds: f64) -> Vec<(u64, Strategy)> {
    let said = engine.poll(at(now_seconds));
    said.iter().map(|said| ((said.time_ms - NOON_MS) / 1000, said.strategy)).collect()
}

fn closes(engine: &Engine) -> Vec<f64> {
    engine.closed_candles().map(|candle| candle.close).collect()
}

#[test]
fn without_any_price_nothing_is_said() {
    let mut engine = engine();
    assert_eq!(engine.next_due_ms(), None);
    assert!(engine.poll(at(3600.0)).is_empty());
}

#[test]
fn scalp_speaks_every_half_minute_and_the_others_every_minute() {
    let mut engine = engine();
    engine.handle(&trade(1.0, 100.0)).unwrap();
    assert_eq!(engine.next_due_ms(), Some(at(30.0)));
    assert_eq!(instants(&mut engine, 29.9), []);
    assert_eq!(instants(&mut engine, 30.0), [(30, Strategy::Scalp)]);
    engine.handle(&trade(59.0, 100.0)).unwrap();
    let minute = [(60, Strategy::RangeTrading), (60, Strategy::Momentum), (60, Strategy::Scalp)];
    assert_eq!(instants(&mut engine, 61.0), minute);
    assert_eq!(instants(&mut engine, 61.0), [], "nothing is said twice");
}

#[test]
fn a_day_has_2880_scalp_instants_and_none_drifts() {
    let mut engine = engine();
    let day = candles(&[100.0; 1440]);
    let said = replay(&mut engine, tick("0.1"), &day);
    let times: Vec<u64> = of(&said, Strategy::Scalp).map(|said| said.time_ms).collect();
    let expected: Vec<u64> = (1..=2880).map(|half| NOON_MS + half * MINUTE_MS / 2).collect();
    assert_eq!(times, expected);
}

#[test]
fn trades_become_candles_and_a_minute_without_trades_is_flat() {
    let mut engine = engine();
    for event in
        [trade(5.0, 100.0), trade(20.0, 103.0), trade(40.0, 98.0), trade(59.9, 101.0), trade(125.0, 102.0)]
    {
        engine.handle(&event).unwrap();
    }
    engine.poll(at(180.0));
    let flat = Candle { volume: 0.0, ..candle(1, [101.0; 4]) };
    let expected = [
        Candle { volume: 4.0, ..candle(0, [100.0, 103.0, 98.0, 101.0]) },
        flat,
        Candle { volume: 1.0, ..candle(2, [102.0; 4]) },
    ];
    assert!(engine.closed_candles().eq(&expected));
}

#[test]
fn a_trade_out_of_order_widens_the_minute_but_is_not_the_last_price() {
    let mut engine = engine();
    for event in [trade(5.0, 100.0), trade(20.0, 101.0), trade(10.0, 97.0)] {
        assert_eq!(engine.handle(&event), Ok(Handled::Applied));
    }
    assert_eq!(engine.last_price(), Some(101.0));
    assert_eq!(engine.running_candle().map(|candle| candle.low), Some(97.0));
}

#[test]
fn late_and_repeated_events_are_ignored_and_counted() {
    let mut engine = engine();
    let first = MarketEvent::closed(candle(0, [100.0; 4]));
    engine.handle(&first).unwrap();
    assert_eq!(engine.handle(&first), Ok(Handled::Duplicate), "before its instant was polled");
    engine.handle(&trade(90.0, 100.0)).unwrap();
    assert_eq!(engine.handle(&first), Ok(Handled::Duplicate));
    assert_eq!(engine.handle(&trade(59.0, 90.0)), Ok(Handled::Late));
    let running = MarketEvent::Candle { time_ms: at(30.0), candle: candle(0, [90.0; 4]), closed: false };
    assert_eq!(engine.handle(&running), Ok(Handled::Late));
    assert_eq!(engine.last_price(), Some(100.0));
    let counts = engine.counts();
    assert_eq!((counts.applied, counts.duplicate, counts.late), (2, 2, 2));
}

#[test]
fn what_cannot_be_is_refused_with_its_reason_and_changes_nothing() {
    let mut engine = engine();
    engine.handle(&trade(1.0, 100.0)).unwrap();
    for price in [0.0, -5.0, f64::INFINITY, 0.04] {
        assert_eq!(engine.handle(&trade(2.0, price)), Err(Refusal::Price { price }));
    }
    assert!(matches!(engine.handle(&trade(2.0, f64::NAN)), Err(Refusal::Price { .. })));
    let negative = MarketEvent::Trade { time_ms: at(2.0), price: 100.0, quantity: -1.0 };
    assert_eq!(engine.handle(&negative), Err(Refusal::Quantity { quantity: -1.0 }));
    let torn = MarketEvent::closed(candle(0, [100.0, 90.0, 95.0, 100.0]));
    assert!(matches!(engine.handle(&torn), Err(Refusal::Candle { .. })));
    assert_eq!((engine.last_price(), engine.counts().invalid), (Some(100.0), 7));
}

#[test]
fn a_price_ten_times_the_last_one_is_not_believed_and_the_market_goes_stale() {
    let mut engine = engine();
    replay(&mut engine, tick("0.1"), &candles(&[100.0; 10]));
    let refusal = engine.handle(&trade(605.0, 1100.0)).unwrap_err();
    assert_eq!(refusal, Refusal::Jump { price: 1100.0, last_price: 100.0 });
    assert!(refusal.to_string().contains("jump_max_percent"));
    assert!(engine.handle(&trade(606.0, 10.0)).is_err());
    let said = engine.poll(at(630.0));
    assert_eq!(said[0].body.reasoning(), "Market data stale (30s).");
    assert_eq!(engine.counts().jump, 2);
    // After more than an hour the old price says nothing any more.
    assert_eq!(engine.handle(&trade(600.0 + 3601.0, 1100.0)), Ok(Handled::Applied));
}

#[test]
fn a_silent_market_is_never_a_signal() {
    let mut engine = engine();
    // A fall that makes scalp say LONG.
    let said = replay(&mut engine, tick("0.1"), &candles(&[100.0, 100.0, 100.0, 100.0, 100.0, 99.0]));
    assert_eq!(said.last().map(|said| said.body.side()), Some(Side::Long));
    let said = engine.poll(at(600.0));
    assert_eq!(said.len(), 8 + 2 * 4);
    for said in said {
        let seconds = (said.time_ms - at(360.0)) / 1000;
        assert_eq!(said.body.side(), Side::Neutral);
        assert_eq!(said.body.reasoning(), format!("Market data stale ({seconds}s)."));
    }
    // Ten seconds are not stale yet.
    engine.handle(&trade(620.0, 99.0)).unwrap();
    assert!(!engine.poll(at(630.0))[0].body.reasoning().contains("stale"));
}

#[test]
fn an_instant_does_not_see_what_happened_after_it() {
    let mut engine = engine();
    engine.handle(&trade(29.0, 100.0)).unwrap();
    engine.handle(&trade(30.2, 105.0)).unwrap();
    engine.handle(&trade(59.0, 106.0)).unwrap();
    engine.handle(&trade(60.0, 80.0)).unwrap();
    let prices: Vec<f64> = of(&engine.poll(at(61.0)), Strategy::Scalp).map(scalp_price).collect();
    assert_eq!(prices, [100.0, 106.0]);
}

fn scalp_price(said: &tidegate_strategy::Evaluation) -> f64 {
    match &said.body {
        tidegate_strategy::Signal::Scalp(signal) => signal.current_price,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_close_of_a_minute_waits_two_seconds_for_its_candle() {
    let mut engine = live_engine();
    let running = MarketEvent::Candle { time_ms: at(50.0), candle: candle(0, [100.0; 4]), closed: false };
    engine.handle(&running).unwrap();
    engine.poll(at(30.0));
    engine.handle(&trade(60.1, 108.0)).unwrap();
    assert_eq!(instants(&mut engine, 61.9), []);
    assert_eq!(engine.next_due_ms(), Some(at(62.0)));
    engine.handle(&MarketEvent::closed(candle(0, [100.0, 101.0, 99.0, 101.0]))).unwrap();
    assert!(engine.next_due_ms() <= Some(at(61.9)), "there is something to say at once");
    let said = engine.poll(at(61.9));
    assert_eq!(of(&said, Strategy::Scalp).map(scalp_price).collect::<Vec<_>>(), [101.0]);
    assert_eq!(engine.last_price(), Some(108.0));
    assert_eq!(engine.running_candle().map(|candle| candle.open), Some(108.0));
}

#[test]
fn a_closed_candle_that_does_not_come_is_replaced_by_what_was_seen() {
    let mut engine = engine();
    let running = MarketEvent::Candle { time_ms: at(59.0), candle: candle(0, [100.0; 4]), closed: false };
    engine.handle(&running).unwrap();
    engine.handle(&trade(59.5, 102.0)).unwrap();
    engine.poll(at(61.0));
    assert!(closes(&engine).is_empty());
    engine.poll(at(62.0));
    assert_eq!(closes(&engine), [102.0]);
    let late = MarketEvent::closed(candle(0, [100.0, 103.0, 100.0, 103.0]));
    assert_eq!(engine.handle(&late), Ok(Handled::Duplicate));
}

#[test]
fn a_closed_candle_overrules_what_was_seen_of_its_minute() {
    let mut engine = live_engine();
    engine.handle(&trade(10.0, 100.0)).unwrap();
    engine.handle(&trade(20.0, 110.0)).unwrap();
    let closed = candle(0, [99.0, 105.0, 98.0, 104.0]);
    engine.handle(&MarketEvent::closed(closed)).unwrap();
    engine.poll(at(60.5));
    assert!(engine.closed_candles().eq(&[closed]));
}

#[test]
fn missing_minutes_are_refused_until_they_are_filled() {
    let mut engine = live_engine();
    let minutes = candles(&[100.0; 10]);
    replay(&mut engine, tick("0.1"), &minutes[..3]);
    let back = trade(421.0, 100.0);
    let gap = Refusal::Gap { from_ms: at(180.0), to_ms: at(420.0) };
    assert_eq!(engine.handle(&back), Err(gap));
    assert_eq!(gap.to_string(), "4 one-minute candles from 2025-01-01T12:03:00Z are missing: fetch them");
    let said = engine.poll(at(425.0));
    assert_eq!(said.len(), 4 * 4, "an instant in a hole is told as stale");
    assert!(said.iter().all(|said| said.body.reasoning().contains("stale")));
    assert_eq!(
        engine.handle(&MarketEvent::closed(minutes[4])),
        Err(Refusal::Gap { from_ms: at(180.0), to_ms: at(240.0) })
    );
    for minute in &minutes[3..7] {
        assert_eq!(engine.handle(&MarketEvent::closed(*minute)), Ok(Handled::Applied));
    }
    assert_eq!(engine.handle(&back), Ok(Handled::Applied));
    engine.handle(&trade(445.0, 100.0)).unwrap();
    let said = engine.poll(at(450.0));
    assert_eq!(said.len(), 1, "what was filled is not told again");
    assert!(!said[0].body.reasoning().contains("stale"));
    assert_eq!(engine.closed_candles().len(), 7);
}

#[test]
fn a_silence_of_more_than_a_day_is_a_gap_for_every_source() {
    let mut engine = engine();
    engine.handle(&trade(1.0, 100.0)).unwrap();
    let later = trade(2.0 * 86_400.0, 100.0);
    assert_eq!(engine.handle(&later), Err(Refusal::Gap { from_ms: NOON_MS, to_ms: at(2.0 * 86_400.0) }));
}

#[test]
fn a_clock_that_runs_wild_is_followed_for_a_day_at_most() {
    let mut engine = engine();
    engine.handle(&trade(1.0, 100.0)).unwrap();
    assert_eq!(engine.poll(u64::MAX).len(), 2 * 2880);
    assert!(engine.poll(u64::MAX).is_empty());
    assert_eq!(engine.next_due_ms(), None);
}

#[test]
fn a_wick_in_the_past_does_not_keep_a_market_from_starting() {
    let mut engine = engine();
    let mut past = candles(&[100.0; 5]);
    past[2].high = 500.0;
    engine.warm_up(&past).unwrap();
    assert_eq!(engine.closed_candles().len(), 5);
}

#[test]
fn warming_up_says_nothing_and_then_counts() {
    let mut engine = engine();
    engine.warm_up(&candles(&[100.0; 4])).unwrap();
    assert!(engine.poll(at(240.0)).is_empty());
    assert_eq!(engine.next_due_ms(), Some(at(270.0)));
    engine.handle(&trade(265.0, 100.0)).unwrap();
    assert_eq!(engine.poll(at(270.0))[0].body.reasoning(), "Warming up: 4/5 one-minute candles.");
    engine.handle(&trade(299.0, 100.0)).unwrap();
    let said: Vec<String> = engine.poll(at(300.0)).iter().map(|said| said.body.reasoning().into()).collect();
    let expected = [
        "Warming up: 5/1440 one-minute candles.",
        "Warming up: 5/480 one-minute candles.",
        "Price trading at EMA (deviation: 0.00%). Waiting for clearer setup.",
    ];
    assert_eq!(said, expected);
}

#[test]
fn an_engine_that_was_warmed_up_says_what_one_that_watched_says() {
    let closes: Vec<f64> =
        (0..2000).map(|minute| 100.0 + f64::from(minute % 97 - minute % 31) / 40.0).collect();
    let minutes = candles(&closes);
    let mut watched = engine();
    replay(&mut watched, tick("0.1"), &minutes[..1500]);
    let mut warmed = engine();
    warmed.warm_up(&minutes[..1500]).unwrap();
    let [expected, said] =
        [watched, warmed].map(|mut engine| replay(&mut engine, tick("0.1"), &minutes[1500..]));
    // The first range signal of an engine is always sent, so that its followers learn the state.
    assert_eq!(said[2..], expected[2..]);
}

#[test]
fn a_strategy_says_the_same_when_it_is_alone() {
    let closes: Vec<f64> =
        (0..1600).map(|minute| 100.0 + f64::from(minute % 97 - minute % 31) / 40.0).collect();
    let all = replay(&mut engine(), tick("0.1"), &candles(&closes));
    for strategy in Strategy::ALL {
        let alone = replay(&mut engine().only(&[strategy]), tick("0.1"), &candles(&closes));
        assert!(alone.iter().eq(of(&all, strategy)), "{strategy}");
    }
}

#[test]
fn a_bad_setting_makes_no_engine() {
    let mut parameters = Parameters::default();
    parameters.range.zone = 0.7;
    let engine = Engine::new("TESTUSDT".parse().unwrap(), tick("0.1"), parameters);
    assert_eq!(engine.unwrap_err().to_string(), "range.zone is 0.7, but must be between 0 and 0.49");
}

#[test]
fn an_owner_that_never_polls_loses_the_oldest() {
    let mut engine = engine_with(Parameters::default(), "0.1");
    for minute in candles(&[100.0; 3000]) {
        engine.handle(&MarketEvent::closed(minute)).unwrap();
    }
    let said = engine.poll(at(3000.0 * 60.0));
    assert_eq!(said.len(), 5760);
    assert_eq!(said.last().map(|said| said.time_ms), Some(at(3000.0 * 60.0)));
}
