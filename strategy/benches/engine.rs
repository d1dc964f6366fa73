//! What a candle costs, what a live symbol costs, and whether either grows.
//!
//! Absolute figures are those of the machine; the table at the end divides figures of the same run. Each is its
//! fastest sample: whatever else the machine does only ever adds.

mod data;
mod live;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, SamplingMode, Throughput};
use tidegate_protocol::{
    MomentumMessage, RangeTradingMessage, ScalpMessage, ServerMessage, Strategy, Symbol,
};
use tidegate_strategy::indicator::Ema;
use tidegate_strategy::{Candle, Engine, Evaluation, MarketEvent, Parameters, Signal, TickSize};

use live::Live;

fn main() {
    let (warm_up, measurement) = (Duration::from_secs(1), Duration::from_secs(4));
    let mut criterion =
        Criterion::default().warm_up_time(warm_up).measurement_time(measurement).configure_from_args();
    let data = data::find();
    println!("{} candles of {}", data.candles.len(), data.name.trim_start_matches("../"));
    let candles = candles(&mut criterion, &data);
    let history = history(&mut criterion, &data.candles);
    let live = live(&mut criterion, &data.candles);
    criterion.final_summary();
    println!("\n{candles}\n{history}\n{live}");
}

/// A candle through everything there is, and through parts of it.
fn candles(criterion: &mut Criterion, data: &data::Data) -> String {
    let count = data.candles.len();
    let mut table = Table::default();
    let mut row = |name, goal, run: &mut dyn FnMut()| {
        table.add(name, goal, measure(criterion, name, count, run));
    };
    row("parsing its line of CSV", None, &mut || {
        data.lines.iter().for_each(|line| _ = black_box(data::parse(line)));
    });
    row("one EMA", None, &mut || {
        let mut ema = Ema::new(21);
        data.candles.iter().for_each(|candle| ema.update(black_box(candle.close)));
        black_box(ema.value());
    });
    row("all indicators and detectors", Some(1e6), &mut || {
        replay(&mut engine(&[]), &data.candles, drop);
    });
    for (name, strategies) in [
        ("scalp alone", &[Strategy::Scalp][..]),
        ("momentum alone", &[Strategy::Momentum]),
        ("range_trading alone", &[Strategy::RangeTrading]),
    ] {
        row(name, None, &mut || replay(&mut engine(strategies), &data.candles, |said| drop(black_box(said))));
    }
    row("all three strategies", Some(2e5), &mut || {
        replay(&mut engine(&Strategy::ALL), &data.candles, |said| drop(black_box(said)));
    });
    row("all three, messages as JSON", None, &mut || {
        replay(&mut engine(&Strategy::ALL), &data.candles, |said| drop(black_box(message(said).to_json())));
    });
    table.text()
}

/// The same last day behind a short and behind a long history.
fn history(criterion: &mut Criterion, candles: &[Candle]) -> String {
    let day = &candles[candles.len() - DAY..];
    let [short, long] = [HISTORY_SHORT, HISTORY_LONG].map(|history| {
        let engine = data::with_history(engine(&Strategy::ALL), candles, history, DAY);
        let name = format!("a candle after {history}");
        measure(criterion, &name, DAY, &mut || {
            replay(&mut engine.clone(), day, |said| drop(black_box(said)));
        })
    });
    format!(
        "A candle after {HISTORY_LONG} candles costs {:.2} of a candle after {HISTORY_SHORT} (goal 1).",
        long / short
    )
}

/// Many symbols with one tick each every 100 ms.
fn live(criterion: &mut Criterion, candles: &[Candle]) -> String {
    let before = live::resident_bytes();
    let mut live = Live::new(SYMBOLS, candles);
    let memory = match (before, live::resident_bytes()) {
        (Some(before), Some(after)) => format!("{:.0} MB (goal 150)", (after - before) / 1e6),
        _ => "memory that only Linux tells".into(),
    };
    let seconds = measure(criterion, &format!("a minute of {SYMBOLS} symbols"), 1, &mut || {
        black_box(live.minute());
    });
    let tick_ns = seconds * 1e9 / (SYMBOLS * live::ROUNDS) as f64;
    let core = seconds / 60.0 * 100.0;
    format!(
        "{SYMBOLS} symbols at 10 ticks a second: {core:.2} % of a core (goal 5), {tick_ns:.0} ns a tick, {memory}."
    )
}

/// Seconds per item: the fastest sample.
fn measure(criterion: &mut Criterion, name: &str, items: usize, run: &mut dyn FnMut()) -> f64 {
    let mut fastest = f64::INFINITY;
    let mut group = criterion.benchmark_group("strategy");
    group.throughput(Throughput::Elements(items as u64)).sample_size(20).sampling_mode(SamplingMode::Flat);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let start = WallTime.start();
            (0..rounds).for_each(|_| run());
            let took = WallTime.end(start);
            fastest = fastest.min(took.as_secs_f64() / rounds as f64);
            took
        });
    });
    group.finish();
    fastest / items as f64
}

fn engine(strategies: &[Strategy]) -> Engine {
    Engine::new(symbol(), tick(), Parameters::default()).expect("the defaults run").only(strategies)
}

/// Drives an engine the way a source of candle files does.
fn replay(engine: &mut Engine, candles: &[Candle], mut hear: impl FnMut(Evaluation)) {
    for candle in candles {
        for event in [MarketEvent::halfway(candle, tick()), MarketEvent::closed(*candle)] {
            engine.handle(&event).expect("a good candle");
            engine.poll(event.time_ms()).into_iter().for_each(&mut hear);
        }
    }
}

fn message(said: Evaluation) -> ServerMessage {
    let Evaluation { strategy, time_ms: seq, body, .. } = said;
    let (symbol, prev) = (symbol(), seq - 60_000);
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

fn symbol() -> Symbol {
    "BTCUSDT".parse().expect("a symbol")
}

fn tick() -> TickSize {
    "0.1".parse().expect("a tick")
}

/// Figures beside those of the first row.
#[derive(Default)]
struct Table {
    rows: Vec<(&'static str, Option<f64>, f64)>,
}

impl Table {
    fn add(&mut self, name: &'static str, goal: Option<f64>, seconds: f64) {
        self.rows.push((name, goal, seconds));
    }

    fn text(&self) -> String {
        let mut text = format!("{:<30}{:>9}{:>14}{:>10}  goal\n", "a candle", "ns", "candles/s", "/ parsing");
        let parsing = self.rows[0].2;
        for &(name, goal, seconds) in &self.rows {
            let goal = goal.map_or_else(String::new, |goal| format!("  {goal:.0}/s"));
            let (ns, per_second, ratio) = (seconds * 1e9, 1.0 / seconds, seconds / parsing);
            text += &format!("{name:<30}{ns:>9.0}{per_second:>14.0}{ratio:>10.2}{goal}\n");
        }
        text
    }
}

const SYMBOLS: usize = 500;
const HISTORY_SHORT: usize = 1500;
const HISTORY_LONG: usize = 100_000;
/// One-minute candles that are measured behind a history.
const DAY: usize = 1440;
