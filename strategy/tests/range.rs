//! Branches of `range_trading` that the reference files do not reach, and what is sent.

use tidegate_protocol::{Side, Strategy};
use tidegate_strategy::{Candle, Parameters};

use crate::support::{candles, engine, engine_with, last_range, of, replay, tick};

/// A day between these prices: it moves from one to the other and back every two hours.
fn day(low: f64, high: f64) -> Vec<f64> {
    let wave = |minute: u32| f64::from((minute % 120).abs_diff(60)) / 60.0;
    (0..1500).map(|minute| high - (high - low) * wave(minute)).collect()
}

/// What the strategy says after a day and these closes.
fn reasoning_after(day: &[f64], closes: &[f64]) -> String {
    let said = replay(&mut engine(), tick("0.1"), &candles(&[day, closes].concat()));
    last_range(&said).summary.entry.reasoning.clone()
}

#[test]
fn a_wild_hour_pauses_the_strategy() {
    // 3.5 % up and back within the hour: no trend over 60 minutes, no breakout, but no range to trade either.
    let mut hour = vec![1000.0; 20];
    hour.extend((0..20).map(|minute| 1000.0 + 35.0 * f64::from(minute) / 20.0));
    hour.extend((0..20).map(|minute| 1035.0 - 35.0 * f64::from(minute) / 20.0));
    let wide: Vec<f64> = day(995.0, 1040.0).into_iter().chain([1000.0]).collect();
    assert_eq!(
        reasoning_after(&wide, &hour),
        "🚫 EXTREME VOLATILITY: 1h range 3.50% (threshold: 3.0%). Range trading DISABLED."
    );
}

#[test]
fn a_day_that_went_too_far_pauses_the_strategy() {
    let mut wide = day(1000.0, 1060.0);
    wide.extend(vec![1030.0; 70]);
    assert_eq!(
        reasoning_after(&wide, &[1030.0]),
        "🚫 RANGE TOO LARGE: 24h range 6.00% (threshold: 5.0%). Range trading DISABLED."
    );
}

#[test]
fn a_strong_trend_comes_before_every_other_filter() {
    let mut closes = vec![1000.0; 30];
    closes.extend((1..=30).map(|minute| 1000.0 + f64::from(minute)));
    assert_eq!(
        reasoning_after(&[1000.0; 1500], &closes),
        "🚫 STRONG UPTREND: Price pumped +3.0% in 60min (threshold: +1.0%). Range trading DISABLED. \
         Waiting for consolidation."
    );
    let falling: Vec<f64> = closes.iter().map(|price| 2000.0 - price).collect();
    assert_eq!(
        reasoning_after(&[1000.0; 1500], &falling),
        "🚫 STRONG DOWNTREND: Price dumped -3.0% in 60min (threshold: -1.0%). Range trading DISABLED. \
         Waiting for consolidation."
    );
}

#[test]
fn a_breakout_is_measured_against_the_day_without_its_last_quarter_hour() {
    let broken: Vec<f64> = (0..10).map(|minute| 1009.0 + f64::from(minute) / 5.0).collect();
    let mut calm = day(1000.0, 1010.0);
    calm.extend(vec![1008.0; 61]);
    assert_eq!(
        reasoning_after(&calm, &broken),
        "🚫 BREAKOUT: Price above previous 24h high $1010.00. Range trading DISABLED. Waiting for a new range."
    );
    // A quarter of an hour later the new price is the range.
    let settled = [&broken[..], &[1010.8; 16]].concat();
    assert!(!reasoning_after(&calm, &settled).contains("BREAKOUT"));
}

#[test]
fn a_reward_that_is_not_worth_the_risk_blocks_an_entry() {
    let mut parameters = Parameters::default();
    parameters.range.score_min = 0;
    parameters.range.risk_reward_min = 50.0;
    let mut engine = engine_with(parameters, "0.1");
    let said =
        replay(&mut engine, tick("0.1"), &candles(&[&day(1000.0, 1010.0)[..], &[1001.0; 70]].concat()));
    let signal = last_range(&said);
    let text = &signal.summary.entry.reasoning;
    assert!(
        text.starts_with("Price in LONG zone but risk/reward ") && text.ends_with(" below 50.0. Waiting."),
        "{text}"
    );
    assert_eq!((signal.summary.entry.side, signal.tp_price), (Side::Neutral, None));
    assert!(signal.key_levels.is_some() && signal.confluence_score.is_some());
}

#[test]
fn a_market_that_never_moves_does_not_break_anything() {
    let still: Vec<Candle> = candles(&[1000.0; 1600]);
    let said = replay(&mut engine(), tick("0.1"), &still);
    let signal = last_range(&said);
    assert_eq!(signal.summary.entry.reasoning, "Price mid-range (50% of 24h range). Waiting for entry zone.");
    assert_eq!(signal.range_24h.position_in_range, 0.5);
}

#[test]
fn a_neutral_signal_is_sent_only_when_the_state_changes() {
    let mut closes = vec![1000.0; 1500];
    closes.extend((1..=30).map(|minute| 1000.0 + f64::from(minute)));
    closes.extend(vec![1030.0; 120]);
    let said = replay(&mut engine(), tick("0.1"), &candles(&closes));
    let sent: Vec<String> = of(&said, Strategy::RangeTrading)
        .filter(|said| said.send)
        .map(|said| said.body.reasoning().split([':', '(']).next().unwrap_or_default().into())
        .collect();
    let expected = [
        "Warming up",
        "Price mid-range ",
        "🚫 BREAKOUT",
        "🚫 STRONG UPTREND",
        "Price in SHORT zone but confluence 1/6 below 3. Waiting.",
    ];
    assert_eq!(sent, expected);
    assert!(of(&said, Strategy::Scalp).chain(of(&said, Strategy::Momentum)).all(|said| said.send));
}

#[test]
fn a_signal_is_repeated_every_minute_and_its_end_is_told_once() {
    let mut parameters = Parameters::default();
    parameters.range.score_min = 0;
    let mut engine = engine_with(parameters, "0.1");
    let closes = [&day(1000.0, 1010.0)[..], &[1001.0; 5], &[1005.0; 5]].concat();
    let said = replay(&mut engine, tick("0.1"), &candles(&closes));
    let last: Vec<(Side, bool)> =
        of(&said, Strategy::RangeTrading).map(|said| (said.body.side(), said.send)).collect();
    let (long, neutral) = ((Side::Long, true), Side::Neutral);
    assert_eq!(last[1500..1505], [long; 5]);
    assert_eq!(
        last[1505..],
        [(neutral, true), (neutral, false), (neutral, false), (neutral, false), (neutral, false)]
    );
    let change = last_range(&said[..said.len() - 4 * 4]).summary.sentiment_change;
    assert!(change, "the side was another one a minute before");
}
