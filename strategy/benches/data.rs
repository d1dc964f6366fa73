//! Candles to measure with: a month of a real market if it lies beside the project, else the five synthetic days of
//! the tests.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use tidegate_strategy::{Candle, Engine, MINUTE_MS};

/// A candle file.
pub(crate) struct Data {
    pub(crate) name: &'static str,
    /// Without the header.
    pub(crate) lines: Vec<String>,
    pub(crate) candles: Vec<Candle>,
}

/// The first file that is there.
pub(crate) fn find() -> Data {
    let read = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name).exists().then(|| Data::read(name));
    FILES.iter().find_map(|name| read(name)).expect("the project has its fixtures")
}

/// The candle of a line `open_time,open,high,low,close,volume,…`.
pub(crate) fn parse(line: &str) -> Option<Candle> {
    let mut fields = line.split(',');
    let open_time_ms = fields.next()?.parse().ok()?;
    let mut number = || fields.next()?.parse().ok();
    let (open, high, low, close) = (number()?, number()?, number()?, number()?);
    Some(Candle { open_time_ms, open, high, low, close, volume: number()? })
}

/// An engine that has seen `history` candles, after which the last `last` of the file follow. Where the file is too
/// short it is repeated.
pub(crate) fn with_history(mut engine: Engine, candles: &[Candle], history: usize, last: usize) -> Engine {
    let past = &candles[..candles.len() - last];
    let end_ms = candles[past.len()].open_time_ms;
    for age in (0..history).rev() {
        let mut candle = past[past.len() - 1 - age % past.len()];
        candle.open_time_ms = end_ms - (age as u64 + 1) * MINUTE_MS;
        engine.warm_up(&[candle]).expect("a good candle");
    }
    engine
}

impl Data {
    fn read(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).expect("a gzipped text");
        let lines: Vec<String> = text.lines().skip(1).map(Into::into).collect();
        let candles = lines.iter().map(|line| parse(line).expect("a candle")).collect();
        Self { name, lines, candles }
    }
}

/// The real market must not be published and is not part of the project.
const FILES: [&str; 2] = [
    "../../../shared/data/bybit-linear-BTCUSDT-1m-2025-06.csv.gz",
    "../tests/fixtures/synth-seed1-7200.csv.gz",
];
