//! What must be true of every signal, whatever the market does.

use std::sync::LazyLock;

use proptest::prelude::*;
use tidegate_protocol::{
    Confidence, MomentumIndicator, RangePayload, ScalpIndicator, Side, Trend, TrendAlignment,
};
use tidegate_strategy::{Candle, Evaluation, MINUTE_MS, MarketEvent, Parameters, Signal};

use crate::fixtures;
use crate::support::{NOON_MS, engine, engine_with, replay, tick};

/// Five synthetic days.
static DAYS: LazyLock<Vec<Candle>> =
    LazyLock::new(|| fixtures::candles(&fixtures::own("synth-seed1-7200.csv.gz")));

/// What is said over a part of them.
fn said(candles: &[Candle]) -> Vec<Evaluation> {
    replay(&mut engine(), tick("0.1"), candles)
}

/// A market that walks, trends and rests at random, some minutes with much volume.
fn market(minutes: usize) -> impl Strategy<Value = Vec<Candle>> {
    let step = (-1.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 0.01..1.0_f64);
    let drifts = prop::collection::vec(-0.06..0.06_f64, minutes.div_ceil(90));
    (prop::collection::vec(step, minutes), drifts, 0.5..50_000.0_f64, 0.02..0.15_f64).prop_map(
        |(steps, drifts, start, volatility)| {
            let mut open = start;
            steps
                .iter()
                .enumerate()
                .map(|(minute, &(step, up, down, volume))| {
                    let scale = volatility / 100.0;
                    let close = open * (1.0 + scale * (step + drifts[minute / 90]));
                    let candle = Candle {
                        open_time_ms: NOON_MS + minute as u64 * MINUTE_MS,
                        open,
                        high: open.max(close) * (1.0 + scale * up * up),
                        low: open.min(close) * (1.0 - scale * down * down),
                        close,
                        volume: 1.0 / (volume * volume),
                    };
                    open = close;
                    candle
                })
                .collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_up_to_an_instant_does_not_depend_on_what_comes_later(
        cut in 1500_usize..3500, factor in 0.8..1.25_f64,
    ) {
        let past = &DAYS[..cut];
        let mut future = DAYS[cut..cut + 60].to_vec();
        for candle in &mut future {
            candle.open *= factor;
            candle.high *= factor;
            candle.low *= factor;
            candle.close *= factor;
        }
        let alone = said(past);
        let with_future = said(&[past, &future].concat());
        same(&alone, &with_future[..alone.len()])?;
    }

    #[test]
    fn the_rhythm_of_polling_changes_nothing(
        skip in 0_usize..5000, polled in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        let candles = &DAYS[skip..skip + 2000];
        let mut engine = engine();
        let mut heard = Vec::new();
        // At least now and then, so that nothing is lost.
        for (candle, polled) in candles.iter().zip(polled.iter().chain([&true]).cycle()) {
            for event in [MarketEvent::halfway(candle, tick("0.1")), MarketEvent::closed(*candle)] {
                engine.handle(&event).unwrap();
                if *polled {
                    heard.extend(engine.poll(event.time_ms()));
                }
            }
        }
        heard.extend(engine.poll(candles[1999].close_time_ms()));
        same(&heard, &said(candles))?;
    }

    #[test]
    fn every_signal_is_one_that_can_be_traded(
        candles in market(2000),
        tick_size in prop::sample::select(vec!["0.1", "0.01", "0.0001", "0.25", "5"]),
        easy in any::<bool>(),
    ) {
        let mut parameters = Parameters::default();
        if easy {
            // Signals where the defaults would wait, so that there is something to check.
            parameters.momentum.score_min = 2;
            parameters.range.score_min = 1;
        }
        let mut engine = engine_with(parameters, tick_size);
        for said in replay(&mut engine, tick(tick_size), &candles) {
            match &said.body {
                Signal::Scalp(signal) => check_scalp(signal)?,
                Signal::Momentum(signal) => check_momentum(signal)?,
                Signal::RangeTrading(signal) => check_range(signal)?,
            }
        }
    }
}

#[test]
fn every_signal_of_the_synthetic_days_is_one_that_can_be_traded() {
    for said in said(&DAYS) {
        match &said.body {
            Signal::Scalp(signal) => check_scalp(signal),
            Signal::Momentum(signal) => check_momentum(signal),
            Signal::RangeTrading(signal) => check_range(signal),
        }
        .unwrap();
    }
}

/// Only the first difference: a day of signals is too much to read.
fn same(left: &[Evaluation], right: &[Evaluation]) -> Result<(), TestCaseError> {
    prop_assert_eq!(left.len(), right.len());
    let differs = left.iter().zip(right).find(|(left, right)| left != right);
    prop_assert!(differs.is_none(), "{differs:?}");
    Ok(())
}

fn check_scalp(signal: &ScalpIndicator) -> Result<(), TestCaseError> {
    let order = [signal.sl_price, signal.limit_price, signal.tp_price];
    check_order(signal.side, order, signal.current_price)?;
    check_neutral(signal.side, signal.confidence)?;
    let reasoning = &signal.reasoning;
    match signal.side {
        Side::Long => prop_assert!(reasoning.contains("below EMA"), "{reasoning}"),
        Side::Short => prop_assert!(reasoning.contains("above EMA"), "{reasoning}"),
        Side::Neutral => {}
    }
    prop_assert!((0.0..=1.0).contains(&signal.position_in_range));
    prop_assert!(signal.range_low_5min <= signal.range_high_5min);
    Ok(())
}

fn check_momentum(signal: &MomentumIndicator) -> Result<(), TestCaseError> {
    let order = [signal.sl_price, signal.limit_price, signal.tp_price];
    check_order(signal.side, order, signal.current_price)?;
    check_neutral(signal.side, signal.confidence)?;
    let trends = (signal.trend_1h, signal.trend_4h);
    match signal.side {
        Side::Long => prop_assert_eq!(trends, (Trend::Up, Trend::Up)),
        Side::Short => prop_assert_eq!(trends, (Trend::Down, Trend::Down)),
        Side::Neutral => {}
    }
    prop_assert!(signal.confluence_score <= 7);
    prop_assert!(signal.confluence_score == 0 || signal.trend_alignment == TrendAlignment::Aligned);
    if signal.side != Side::Neutral {
        prop_assert_eq!(layers(&signal.reasoning), signal.confluence_score);
    }
    prop_assert!((0.0..=100.0).contains(&signal.rsi));
    Ok(())
}

fn check_range(signal: &RangePayload) -> Result<(), TestCaseError> {
    let entry = &signal.summary.entry;
    let price = entry.price.parse().unwrap();
    let order = [signal.sl_price.unwrap_or(0.0), price, signal.tp_price.unwrap_or(0.0)];
    check_order(entry.side, order, signal.range_data.current_price)?;
    check_neutral(entry.side, signal.summary.severity)?;
    let neutral = entry.side == Side::Neutral;
    prop_assert_eq!(neutral, signal.tp_price.is_none() && signal.risk_reward.is_none());
    prop_assert_eq!(neutral, entry.tolerance_percent == 0.0 && entry.price == "0");
    prop_assert_eq!(signal.volume_profile.is_some(), signal.confluence_score.is_some());
    prop_assert!(signal.confluence_score.is_none_or(|score| score <= 6));
    if !neutral {
        prop_assert_eq!(Some(layers(&entry.reasoning)), signal.confluence_score);
        prop_assert!(signal.risk_reward.is_some_and(|reward| reward >= 1.5));
    }
    let levels = signal.key_levels.as_deref().unwrap_or_default();
    prop_assert!(levels.len() <= 10 && levels.is_sorted_by_key(|level| std::cmp::Reverse(level.strength)));
    prop_assert!(levels.iter().all(|level| (1..=5).contains(&level.strength)));
    Ok(())
}

/// LONG: stop < entry ≤ price < target; SHORT mirrored; NEUTRAL: zeros.
fn check_order(side: Side, [stop, entry, target]: [f64; 3], price: f64) -> Result<(), TestCaseError> {
    match side {
        Side::Long => {
            prop_assert!(stop < entry && entry <= price && price < target, "{stop} {entry} {price} {target}")
        }
        Side::Short => {
            prop_assert!(stop > entry && entry >= price && price > target, "{stop} {entry} {price} {target}")
        }
        Side::Neutral => prop_assert_eq!([stop, entry, target], [0.0; 3]),
    }
    Ok(())
}

fn check_neutral(side: Side, confidence: Confidence) -> Result<(), TestCaseError> {
    prop_assert!(side != Side::Neutral || confidence == Confidence::Low);
    Ok(())
}

/// How many layers a reasoning lists.
fn layers(reasoning: &str) -> u32 {
    reasoning.matches('✅').count() as u32
}
