//! Candle files and expected signals.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use tidegate_strategy::Candle;

/// A file that the project ships.
pub(crate) fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A file beside the project that is not part of it: real market data must not be published. Says so and
/// returns nothing where it is absent.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: ../shared/{name} is not there");
    None
}

/// The candles of a gzipped kline file (`open_time,open,high,low,close,volume,…` with a header line).
pub(crate) fn candles(path: &Path) -> Vec<Candle> {
    text(path).lines().skip(1).map(candle).collect()
}

/// The messages of a gzipped file with one JSON value per line.
pub(crate) fn messages(path: &Path) -> Vec<Value> {
    text(path).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn candle(line: &str) -> Candle {
    let fields: Vec<&str> = line.split(',').collect();
    let number = |index: usize| fields[index].parse::<f64>().expect("a number");
    Candle {
        open_time_ms: fields[0].parse().expect("a time"),
        open: number(1),
        high: number(2),
        low: number(3),
        close: number(4),
        volume: number(5),
    }
}

fn text(path: &Path) -> String {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("a gzipped text");
    text
}
