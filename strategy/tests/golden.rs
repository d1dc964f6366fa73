//! Message by message against files that an independent implementation wrote.

use std::path::Path;

use serde_json::Value;
use tidegate_protocol::Strategy;
use tidegate_strategy::{Candle, Engine, Evaluation, MarketEvent, Parameters, Signal};

use crate::fixtures::{candles, messages, own, shared};

/// Smoothed figures may differ by one unit in the last printed digit; everything else is exact.
const SMOOTHED: [(&str, f64); 3] = [("ema_1min", 0.001), ("macd", 0.001), ("rsi", 0.1)];

#[test]
fn scalp_says_what_the_reference_says_over_five_synthetic_days() {
    check(&own("synth-seed1-7200.csv.gz"), &own("synth-seed1-7200.scalp.jsonl.gz"), "TESTUSDT", 0, 14_400);
}

#[test]
fn scalp_says_what_the_reference_says_over_a_real_day() {
    check_shared("scalp.start1500.n1440", 2880);
}

#[test]
fn momentum_says_what_the_reference_says_over_five_synthetic_days() {
    check(&own("synth-seed1-7200.csv.gz"), &own("synth-seed1-7200.momentum.jsonl.gz"), "TESTUSDT", 0, 7200);
}

#[test]
fn momentum_says_what_the_reference_says_over_two_real_days() {
    check_shared("momentum.start1500.n2880", 2880);
}

#[test]
fn range_trading_says_what_the_reference_says_over_five_synthetic_days() {
    check(
        &own("synth-seed1-7200.csv.gz"),
        &own("synth-seed1-7200.range_trading.jsonl.gz"),
        "TESTUSDT",
        0,
        7200,
    );
}

#[test]
fn range_trading_says_what_the_reference_says_over_two_real_days() {
    check_shared("range_trading.start1500.n2880", 2880);
}

fn check_shared(name: &str, count: usize) {
    let data = shared("data/binance-um-BTCUSDT-1m-2025-06.csv.gz");
    let golden = shared(&format!("golden/binance-um-BTCUSDT.{name}.jsonl.gz"));
    if let (Some(data), Some(golden)) = (data, golden) {
        check(&data, &golden, "BTCUSDT", 1500, count);
    }
}

/// Replays a candle file and compares the evaluations after the first `skipped` candles with a golden file.
fn check(data: &Path, golden: &Path, symbol: &str, skipped: usize, count: usize) {
    let candles = candles(data);
    let expected = messages(golden);
    assert_eq!(expected.len(), count);
    let strategy: Strategy =
        expected[0]["strategy"].as_str().expect("a strategy").parse().expect("a strategy");
    let said = replay(symbol, &candles)
        .into_iter()
        .filter(|said| said.strategy == strategy && said.time_ms > candles[skipped].open_time_ms);
    let mut differences = Vec::new();
    let mut compared = 0;
    for (said, expected) in said.zip(&expected) {
        compared += 1;
        compare("", &body(&said), body_of(expected), &mut |path, ours, theirs| {
            differences.push(format!("{} {path}: {ours} instead of {theirs}", said.time_ms));
        });
    }
    for difference in differences.iter().take(10) {
        println!("{difference}");
    }
    println!("{strategy}: {compared} messages, {} differences", differences.len());
    assert_eq!((compared, differences.len()), (count, 0));
}

/// The way a source of candle files drives the engine.
fn replay(symbol: &str, candles: &[Candle]) -> Vec<Evaluation> {
    let tick = "0.1".parse().expect("a tick");
    let symbol = symbol.parse().expect("a symbol");
    let mut engine = Engine::new(symbol, tick, Parameters::default()).expect("defaults run");
    let mut said = Vec::new();
    for candle in candles {
        for event in [MarketEvent::halfway(candle, tick), MarketEvent::closed(*candle)] {
            engine.handle(&event).expect("a good candle");
            said.extend(engine.poll(event.time_ms()));
        }
    }
    said
}

fn body(said: &Evaluation) -> Value {
    match &said.body {
        Signal::Scalp(indicator) => serde_json::to_value(indicator),
        Signal::Momentum(indicator) => serde_json::to_value(indicator),
        Signal::RangeTrading(payload) => serde_json::to_value(payload),
    }
    .expect("a signal is JSON")
}

fn body_of(message: &Value) -> &Value {
    message.get("data").unwrap_or_else(|| &message["payload"])
}

/// Reports every leaf in which two JSON values differ; 0 and 0.0 are the same number.
fn compare(path: &str, ours: &Value, theirs: &Value, differs: &mut impl FnMut(&str, &Value, &Value)) {
    match (ours, theirs) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|&key| !left.contains_key(key))) {
                let value =
                    |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}/{key}"), &value(left), &value(right), differs);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}/{index}"), left, right, differs);
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            let tolerance =
                SMOOTHED.iter().find(|(name, _)| path.ends_with(name)).map_or(0.0, |&(_, unit)| unit);
            let (left, right) = (left.as_f64().unwrap_or(f64::NAN), right.as_f64().unwrap_or(f64::NAN));
            // Half a unit more, because the two figures are themselves rounded to the nearest double.
            let near = (left - right).abs() <= tolerance * 1.5;
            if left != right && !near {
                differs(path, ours, theirs);
            }
        }
        _ if ours == theirs => {}
        _ => differs(path, ours, theirs),
    }
}
