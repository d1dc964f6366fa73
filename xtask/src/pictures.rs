//! `cargo xtask pictures`: the pictures of `docs/strategies.md`, drawn from what the strategies really say about
//! the synthetic candles that their tests use.

use std::fmt::Write;
use std::fs::{self, File};
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::shell::{self, cargo, debug_folder, root};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 380.0;
/// Left, top, right, bottom of what is drawn in; the rest is for prices and times.
const FRAME: [f64; 4] = [14.0, 34.0, 870.0, 348.0];

/// Colours that are readable on white and on black; text follows the reader's scheme.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#57606a}.t{font-size:14px;font-weight:600;fill:#24292f}\
.g{stroke:#d0d7de;stroke-width:1}.u{fill:#1a9c6b;stroke:#1a9c6b}.d{fill:#d9534f;stroke:#d9534f}\
.e{fill:none;stroke:#2f81d6;stroke-width:1.6}.l{stroke:#1a9c6b}.s{stroke:#d9534f}.w{stroke-width:2}\
.n{stroke:#8c959f;stroke-dasharray:5 4;stroke-width:1.2}.v{fill:#2f81d6;opacity:.13}\
@media(prefers-color-scheme:dark){text{fill:#8d96a0}.t{fill:#e6edf3}.g{stroke:#30363d}}";

/// A picture: a strategy, and the minutes of the file that it shows.
struct Picture {
    strategy: &'static str,
    title: &'static str,
    minutes: Range<usize>,
}

const PICTURES: [Picture; 3] = [
    Picture {
        strategy: "scalp",
        title: "scalp: price against its EMA, and what each LONG ▲ and SHORT ▼ aims at",
        minutes: 2_708..2_744,
    },
    Picture {
        strategy: "momentum",
        title: "momentum: entries with the trend of one and four hours",
        minutes: 2_690..2_800,
    },
    Picture {
        strategy: "range_trading",
        title: "range_trading: the 24-hour range, its value area, and entries at its edges",
        minutes: 5_330..5_570,
    },
];

struct Candle {
    time_ms: f64,
    prices: [f64; 4],
}

/// Builds the server and draws all of them.
pub(crate) fn run() -> Result<()> {
    shell::run(&mut cargo(["build", "--package", "tidegate-server"]))?;
    draw()
}

/// Draws all of them with the server that is there.
pub(crate) fn draw() -> Result<()> {
    let candles = candles()?;
    for picture in PICTURES {
        let svg = picture.draw(&candles)?;
        let path = root().join(format!("docs/images/{}.svg", picture.strategy));
        fs::write(&path, svg)?;
        println!("   wrote {}", path.display());
    }
    Ok(())
}

fn fixture() -> PathBuf {
    root().join("strategy/tests/fixtures/synth-seed1-7200.csv.gz")
}

fn candles() -> Result<Vec<Candle>> {
    let text = std::io::read_to_string(GzDecoder::new(File::open(fixture())?))?;
    let read = |line: &str| {
        let mut numbers = line.split(',').take(5).map(str::parse::<f64>);
        let mut next = || numbers.next().context("a candle has five numbers")?.context("a number");
        Ok(Candle { time_ms: next()?, prices: [next()?, next()?, next()?, next()?] })
    };
    text.lines().skip(1).map(read).collect()
}

/// What the strategy says, one message for each evaluation.
fn signals(strategy: &str) -> Result<Vec<Value>> {
    let output = Command::new(debug_folder().join("tidegate"))
        .args(["signals", "--strategy", strategy, "--symbol", "TESTUSDT"])
        .arg(fixture())
        .current_dir(std::env::temp_dir())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| serde_json::from_str(line).context("a message is JSON")).collect()
}

/// Where times and prices lie.
struct Scale {
    times: Range<f64>,
    prices: Range<f64>,
}

impl Scale {
    fn x(&self, time_ms: f64) -> f64 {
        let [left, _, right, _] = FRAME;
        left + (time_ms - self.times.start) / (self.times.end - self.times.start) * (right - left)
    }

    fn y(&self, price: f64) -> f64 {
        let [_, top, _, bottom] = FRAME;
        bottom - (price - self.prices.start) / (self.prices.end - self.prices.start) * (bottom - top)
    }

    /// A step of 1, 2 or 5 that gives about `count` lines.
    fn step(&self, count: f64) -> f64 {
        let raw = (self.prices.end - self.prices.start) / count;
        let power = 10_f64.powf(raw.log10().floor());
        [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= raw)
            .unwrap_or(raw)
    }
}

impl Picture {
    fn draw(&self, candles: &[Candle]) -> Result<String> {
        let candles = &candles[self.minutes.clone()];
        let (first, last) = (&candles[0], &candles[candles.len() - 1]);
        let times = first.time_ms..last.time_ms + 60_000.0;
        let said: Vec<Said> = signals(self.strategy)?.iter().map(Said::of).collect::<Result<_>>()?;
        let said: Vec<_> = said.into_iter().filter(|said| times.contains(&said.time_ms)).collect();
        let shown = candles
            .iter()
            .flat_map(|candle| candle.prices)
            .chain(said.iter().flat_map(|said| said.orders.into_iter().flatten()))
            .chain(said.iter().flat_map(|said| said.range.iter().copied()));
        let (low, high) =
            shown.fold((f64::MAX, f64::MIN), |(low, high), price| (low.min(price), high.max(price)));
        let margin = (high - low) * 0.05;
        let scale = Scale { times, prices: low - margin..high + margin };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\
             <title>{}</title><style>{STYLE}</style><text class=\"t\" x=\"14\" y=\"20\">{}</text>\n",
            self.title, self.title
        );
        grid(&mut svg, &scale)?;
        ranges(&mut svg, &scale, &said)?;
        for candle in candles {
            draw_candle(&mut svg, &scale, candle, candles.len())?;
        }
        average(&mut svg, &scale, &said)?;
        for said in &said {
            orders(&mut svg, &scale, said)?;
        }
        svg += "</svg>\n";
        Ok(svg)
    }
}

/// What a message says, as far as it is drawn.
struct Said {
    time_ms: f64,
    long: bool,
    /// Entry, target and stop; none if NEUTRAL.
    orders: Option<[f64; 3]>,
    hold_minutes: f64,
    average: Option<f64>,
    /// Low and high of the range, for those that have one.
    range: Vec<f64>,
    /// Low and high of the value area.
    value_area: Option<[f64; 2]>,
}

impl Said {
    fn of(message: &Value) -> Result<Self> {
        let number = |value: &Value| value.as_f64();
        let (data, payload) = (&message["data"], &message["payload"]);
        let body = if payload.is_object() { payload } else { data };
        let entry = &payload["summary"]["entry"];
        let side = if payload.is_object() { &entry["side"] } else { &data["side"] };
        let price = entry["price"].as_str().and_then(|text| text.parse().ok());
        let limit = if payload.is_object() { price } else { number(&data["limit_price"]) };
        let orders = || Some([limit?, number(&body["tp_price"])?, number(&body["sl_price"])?]);
        let profile = &payload["volume_profile"];
        Ok(Self {
            time_ms: time_ms(body["timestamp"].as_str().context("a timestamp")?)?,
            long: side == "LONG",
            orders: if side == "NEUTRAL" { None } else { orders() },
            hold_minutes: number(&data["expected_hold_minutes"]).unwrap_or(5.0),
            average: number(&data["ema_1min"]),
            range: [&payload["range_24h"]["low"], &payload["range_24h"]["high"]]
                .into_iter()
                .filter_map(Value::as_f64)
                .collect(),
            value_area: number(&profile["value_area_low"])
                .zip(number(&profile["value_area_high"]))
                .map(|(low, high)| [low, high]),
        })
    }
}

/// Milliseconds from the first day of the month: the pictures lie within one.
fn time_ms(timestamp: &str) -> Result<f64> {
    let days = days_from_epoch(timestamp)?;
    let part = |range: Range<usize>| -> Result<f64> {
        timestamp.get(range).context("a timestamp")?.parse().context("a timestamp is made of numbers")
    };
    Ok(((days * 24.0 + part(11..13)?) * 60.0 + part(14..16)?) * 60_000.0 + part(17..19)? * 1_000.0)
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days_from_epoch(timestamp: &str) -> Result<f64> {
    let part = |range: Range<usize>| -> Result<i64> {
        timestamp.get(range).context("a date")?.parse().context("a date is made of numbers")
    };
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    // Years that begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Ok(days as f64)
}

fn grid(svg: &mut String, scale: &Scale) -> Result<()> {
    let [left, _, right, bottom] = FRAME;
    let step = scale.step(5.0);
    let mut price = (scale.prices.start / step).ceil() * step;
    while price < scale.prices.end {
        let y = scale.y(price);
        writeln!(svg, "<path class=\"g\" d=\"M{left} {y:.1}H{right}\"/>")?;
        writeln!(svg, "<text x=\"{:.0}\" y=\"{:.1}\">{price}</text>", right + 8.0, y + 4.0)?;
        price += step;
    }
    let minutes = (scale.times.end - scale.times.start) / 60_000.0;
    let every = if minutes > 150.0 {
        60.0
    } else if minutes > 60.0 {
        20.0
    } else {
        5.0
    } * 60_000.0;
    let mut time_ms = (scale.times.start / every).ceil() * every;
    while time_ms < scale.times.end {
        let minute = (time_ms / 60_000.0).rem_euclid(1_440.0);
        let (hour, minute) = ((minute / 60.0).floor(), minute % 60.0);
        let (x, y) = (scale.x(time_ms), bottom + 20.0);
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.0}\" text-anchor=\"middle\">{hour:02}:{minute:02}</text>")?;
        time_ms += every;
    }
    Ok(())
}

fn draw_candle(svg: &mut String, scale: &Scale, candle: &Candle, count: usize) -> Result<()> {
    let [open, high, low, close] = candle.prices.map(|price| scale.y(price));
    let class = if close <= open { "u" } else { "d" };
    let x = scale.x(candle.time_ms + 30_000.0);
    let half = (FRAME[2] - FRAME[0]) / count as f64 * 0.32;
    let (top, bottom) = (open.min(close), open.max(close).max(open.min(close) + 1.0));
    writeln!(
        svg,
        "<path class=\"{class}\" d=\"M{x:.1} {high:.1}V{low:.1}M{:.1} {top:.1}H{:.1}V{bottom:.1}H{:.1}Z\"/>",
        x - half,
        x + half,
        x - half
    )?;
    Ok(())
}

fn average(svg: &mut String, scale: &Scale, said: &[Said]) -> Result<()> {
    let points = said.iter().filter_map(|said| Some((scale.x(said.time_ms), scale.y(said.average?))));
    let path: Vec<_> = points.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    if !path.is_empty() {
        writeln!(svg, "<path class=\"e\" d=\"M{}\"/>", path.join("L"))?;
    }
    Ok(())
}

/// The edges of the range and its value area, where they are told.
fn ranges(svg: &mut String, scale: &Scale, said: &[Said]) -> Result<()> {
    for pair in said.windows(2) {
        let (x, next) = (scale.x(pair[0].time_ms), scale.x(pair[1].time_ms));
        for price in &pair[0].range {
            let y = scale.y(*price);
            writeln!(svg, "<path class=\"n\" d=\"M{x:.1} {y:.1}H{next:.1}\"/>")?;
        }
        if let Some([low, high]) = pair[0].value_area {
            let (top, height) = (scale.y(high), scale.y(low) - scale.y(high));
            let width = next - x + 0.3;
            writeln!(
                svg,
                "<rect class=\"v\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            )?;
        }
    }
    Ok(())
}

/// A mark at the entry, and target and stop for as long as the position is expected to be held.
fn orders(svg: &mut String, scale: &Scale, said: &Said) -> Result<()> {
    let Some([entry, target, stop]) = said.orders else { return Ok(()) };
    let (x, end) =
        (scale.x(said.time_ms), scale.x(said.time_ms + said.hold_minutes * 60_000.0).min(FRAME[2]));
    let [entry, target, stop] = [entry, target, stop].map(|price| scale.y(price));
    let (class, tip) = if said.long { ("u", -6.0) } else { ("d", 6.0) };
    writeln!(svg, "<path class=\"l w\" d=\"M{x:.1} {target:.1}H{end:.1}\"/>")?;
    writeln!(svg, "<path class=\"s w\" d=\"M{x:.1} {stop:.1}H{end:.1}\"/>")?;
    writeln!(
        svg,
        "<path class=\"{class}\" d=\"M{:.1} {entry:.1}H{:.1}L{x:.1} {:.1}Z\"/>",
        x - 4.5,
        x + 4.5,
        entry + tip
    )?;
    Ok(())
}
