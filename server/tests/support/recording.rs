//! What an exchange says in a few minutes: recorded trades, or some that are made up from candles.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tidegate_server::market::replay::load;
use tidegate_strategy::{Candle, MINUTE_MS};

/// How often a running candle is told.
const KLINE_EVERY_MS: u64 = 250;
/// How much later than its content a candle is told.
const KLINE_DELAY_MS: u64 = 130;

/// One message of the exchange.
#[derive(Clone, Debug)]
pub struct Line {
    pub time_ms: u64,
    pub text: String,
    /// Of a trade: what it was.
    pub trade: Option<Trade>,
    /// Of a candle's last message: the candle.
    pub closed: Option<Candle>,
}

#[derive(Clone, Copy, Debug)]
pub struct Trade {
    pub id: u64,
    pub time_ms: u64,
    pub price: f64,
    pub quantity: f64,
}

/// A past in candles and what comes after it in messages, in the order in which they were said.
#[derive(Clone, Debug)]
pub struct Recording {
    pub past: Vec<Candle>,
    pub lines: Vec<Line>,
}

impl Recording {
    /// Some minutes after 1,500, all made up: a trade a second, with even numbers, so that a test can add some.
    pub fn synthetic(minutes: usize) -> Self {
        let mut candles = fixture();
        let past = candles.drain(..1_500).collect();
        candles.truncate(minutes);
        let trades = candles.iter().flat_map(|candle| {
            let Candle { open, high, low, close, .. } = *candle;
            (0..60u32).map(move |second| {
                let leg = |from: f64, to: f64, part: u32| from + (to - from) * f64::from(part) / 19.0;
                let price = match second {
                    0..20 => leg(open, high, second),
                    20..40 => leg(high, low, second - 20),
                    _ => leg(low, close, second - 40),
                };
                (candle.open_time_ms + u64::from(second) * 1_000 + 400, (price * 10.0).round() / 10.0)
            })
        });
        let trades = trades.enumerate().map(|(index, (time_ms, price))| Trade {
            id: 2 * index as u64 + 2,
            time_ms,
            price,
            quantity: 0.5,
        });
        Self::new(past, trades.map(|trade| (line(trade), trade)).collect())
    }

    /// 344 seconds as they came from the exchange; nothing, with a message, where the file is absent.
    pub fn of_the_feed() -> Option<Self> {
        let text = shared("data/derived-binance-um-btcusdt-depth20-aggTrade-20240808.jsonl.gz")?;
        let trades: Vec<_> = text
            .lines()
            .filter(|line| line.contains("@aggTrade"))
            .map(|text| {
                let message: Value = serde_json::from_str(text).expect("a line of JSON");
                let data = &message["data"];
                let trade = Trade {
                    id: data["a"].as_u64().unwrap(),
                    time_ms: data["T"].as_u64().unwrap(),
                    price: number(data["p"].as_str().unwrap()),
                    quantity: number(data["q"].as_str().unwrap()),
                };
                let line = Line {
                    time_ms: data["E"].as_u64().unwrap(),
                    text: text.to_owned(),
                    trade: Some(trade),
                    closed: None,
                };
                (line, trade)
            })
            .collect();
        Some(Self::new(before(trades[0].1), trades))
    }

    /// 650 seconds of trades; nothing, with a message, where the file is absent.
    pub fn of_the_trades() -> Option<Self> {
        let text = shared("data/binance-spot-BTCUSDT-trades-20240808T2354.csv.gz")?;
        let trades: Vec<_> = text
            .lines()
            .skip(1)
            .enumerate()
            .map(|(index, line)| {
                let fields: Vec<_> = line.split(',').collect();
                let time_ms = fields[4].parse().expect("a time");
                Trade { id: index as u64 + 1, time_ms, price: number(fields[1]), quantity: number(fields[2]) }
            })
            .map(|trade| (line(trade), trade))
            .collect();
        Some(Self::new(before(trades[0].1), trades))
    }

    fn new(past: Vec<Candle>, trades: Vec<(Line, Trade)>) -> Self {
        let klines = klines(&trades.iter().map(|(_, trade)| *trade).collect::<Vec<_>>());
        let mut lines: Vec<_> = trades.into_iter().map(|(line, _)| line).chain(klines).collect();
        lines.sort_by_key(|line| line.time_ms);
        Self { past, lines }
    }

    pub fn start_ms(&self) -> u64 {
        self.lines[0].time_ms
    }

    pub fn end_ms(&self) -> u64 {
        self.lines[self.lines.len() - 1].time_ms
    }
}

/// The message of a trade, with fields that no client knows.
pub fn line(trade: Trade) -> Line {
    let Trade { id, time_ms, price, quantity } = trade;
    let said_ms = time_ms + 20;
    let text = json!({"stream": "btcusdt@aggTrade", "data": {"e": "aggTrade", "E": said_ms, "s": "BTCUSDT",
        "a": id, "p": price.to_string(), "q": quantity.to_string(), "T": time_ms, "m": false, "st": 1, "ps": "X"}});
    Line { time_ms: said_ms, text: text.to_string(), trade: Some(trade), closed: None }
}

/// The candles of these trades as the exchange tells them: again and again, and a last time.
fn klines(trades: &[Trade]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut running: Option<Candle> = None;
    let mut told_ms = 0;
    for trade in trades {
        let open_ms = trade.time_ms - trade.time_ms % MINUTE_MS;
        if let Some(candle) = running.take_if(|candle| candle.open_time_ms != open_ms) {
            lines.push(kline(&candle, candle.close_time_ms(), true));
            // Minutes without a trade are told too.
            for quiet_ms in (candle.close_time_ms()..open_ms).step_by(60_000) {
                let flat = Candle::flat(quiet_ms, candle.close);
                lines.push(kline(&flat, flat.close_time_ms(), true));
            }
        }
        let slot_ms = trade.time_ms - trade.time_ms % KLINE_EVERY_MS;
        if let Some(candle) = running.filter(|_| slot_ms > told_ms) {
            lines.push(kline(&candle, slot_ms, false));
            told_ms = slot_ms;
        }
        let candle = running.get_or_insert(Candle::flat(open_ms, trade.price));
        candle.high = candle.high.max(trade.price);
        candle.low = candle.low.min(trade.price);
        candle.close = trade.price;
        candle.volume += trade.quantity;
    }
    lines
}

fn kline(candle: &Candle, until_ms: u64, closed: bool) -> Line {
    let Candle { open_time_ms, open, high, low, close, volume } = *candle;
    let time_ms = until_ms + KLINE_DELAY_MS;
    let text = json!({"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": time_ms, "s": "BTCUSDT", "k": {
        "t": open_time_ms, "T": open_time_ms + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 2,
        "o": open.to_string(), "c": close.to_string(), "h": high.to_string(), "l": low.to_string(),
        "v": volume.to_string(), "n": 1, "x": closed, "q": "0", "V": "0", "Q": "0", "B": "0"}}});
    Line { time_ms, text: text.to_string(), trade: None, closed: closed.then_some(*candle) }
}

/// 1,500 made-up candles that lead to this trade.
fn before(first: Trade) -> Vec<Candle> {
    let mut candles = fixture();
    candles.truncate(1_500);
    let last = candles[candles.len() - 1];
    let end_ms = first.time_ms - first.time_ms % MINUTE_MS;
    let factor = first.price / last.close;
    for candle in &mut candles {
        let scaled = |price: f64| (price * factor * 10.0).round() / 10.0;
        candle.open_time_ms = end_ms - (last.close_time_ms() - candle.open_time_ms);
        (candle.open, candle.close) = (scaled(candle.open), scaled(candle.close));
        (candle.high, candle.low) = (scaled(candle.high), scaled(candle.low));
    }
    candles
}

fn fixture() -> Vec<Candle> {
    let path = root().join("strategy/tests/fixtures/synth-seed1-7200.csv.gz");
    load(&path).expect("the fixture is a candle file").candles
}

/// A file of market data, where it is there.
pub fn shared_path(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(name);
    if !path.exists() {
        println!("skipped: ../shared/{name} is not there");
        return None;
    }
    Some(path)
}

fn shared(name: &str) -> Option<String> {
    let file = File::open(shared_path(name)?).expect("it can be read");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("a gzipped text");
    Some(text)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}
