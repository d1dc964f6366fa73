//! Candle files as a market: Binance kline CSV, plain or gzip, played on the data's own clock.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, Engine, Evaluation, MINUTE_MS, MarketEvent, Parameters, TickSize};

use super::{Opened, PAST_CANDLES, PAST_EVALUATED, Source, paced};
use crate::clock::MarketClock;
use crate::failure::Failure;

/// First two bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Times above this are in microseconds: newer files of the exchange have them.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
/// Most decimals that a price step is taken from.
const DECIMALS_MAX: u32 = 8;

/// The candles of one file.
#[derive(Debug)]
pub struct CandleFile {
    /// Oldest first, one a minute; minutes without trades may be missing.
    pub candles: Vec<Candle>,
    /// The finest price step that the file shows.
    pub tick: TickSize,
}

/// Opens one file per symbol. The first candles (up to 1,500, at most half of the file) are the past; all files
/// start at the same instant.
///
/// # Errors
/// A file that cannot be read or holds something else than candles, with file, line and reason.
pub fn open(files: &[PathBuf], symbols: &[Symbol], speed: f64) -> Result<Opened, Failure> {
    let symbols = symbols_of(files, symbols)?;
    let loaded = files.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
    let start_ms = loaded.iter().map(start_ms).max().unwrap_or(0);
    let clock = MarketClock::new(i64::try_from(start_ms).unwrap_or(0), speed);
    let sources =
        symbols.into_iter().zip(loaded).map(|(symbol, file)| source(symbol, file, start_ms, clock)).collect();
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    Ok(Opened { sources, clock, description: format!("replay of {}", names.join(", ")) })
}

/// Reads a candle file.
///
/// # Errors
/// File, line and reason.
pub fn load(path: &Path) -> Result<CandleFile, Failure> {
    let unreadable = |error: &io::Error| {
        Failure::environment(
            "TG-MKT-002",
            format!("cannot read the candle file: {error}"),
            "check the path and its permissions",
        )
        .at(path.display().to_string())
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut reader = BufReader::new(file);
    let gzip = reader.fill_buf().map_err(|error| unreadable(&error))?.starts_with(&GZIP_MAGIC);
    let text: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    parse(BufReader::new(text)).map_err(|problem| {
        let place = format!("{}:{}", path.display(), problem.line);
        Failure::environment(
            "TG-MKT-003",
            format!("malformed candle file: {}", problem.reason),
            "give a file of one-minute klines: open_time,open,high,low,close,volume,… oldest first",
        )
        .at(place)
    })
}

/// Goes through the candles of a file the way a replay does, as fast as it is asked to.
#[derive(Debug)]
pub struct Replayed {
    engine: Engine,
    tick: TickSize,
    candles: std::vec::IntoIter<Candle>,
}

/// One candle, and what was said half-way and at its end.
#[derive(Debug)]
pub struct Minute {
    /// The candle.
    pub candle: Candle,
    /// What the strategies said, in order.
    pub evaluations: Vec<Evaluation>,
}

impl Replayed {
    /// Starts before the first candle.
    #[must_use]
    pub fn new(symbol: Symbol, tick: TickSize, candles: Vec<Candle>) -> Self {
        let engine = Engine::new(symbol, tick, Parameters::default()).expect("the defaults are in bounds");
        Self { engine, tick, candles: candles.into_iter() }
    }
}

impl Iterator for Replayed {
    type Item = Minute;

    fn next(&mut self) -> Option<Minute> {
        let candle = self.candles.next()?;
        let mut evaluations = Vec::new();
        for event in events(candle, self.tick) {
            if let Err(refusal) = self.engine.handle(&event) {
                tracing::warn!(%refusal, "a market event was refused");
            }
            evaluations.extend(self.engine.poll(event.time_ms()));
        }
        Some(Minute { candle, evaluations })
    }
}

/// What a finished candle was at its half and at its end.
fn events(candle: Candle, tick: TickSize) -> [MarketEvent; 2] {
    [MarketEvent::halfway(&candle, tick), MarketEvent::closed(candle)]
}

/// Where a file is malformed.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    line: usize,
    reason: String,
}

fn parse(reader: impl BufRead) -> Result<CandleFile, Problem> {
    let mut candles: Vec<Candle> = Vec::new();
    let mut decimals = 0;
    let mut line_number = 0;
    for line in reader.lines() {
        line_number += 1;
        let problem = |reason: String| Problem { line: line_number, reason };
        let line = line.map_err(|error| problem(format!("the file ends in the middle: {error}")))?;
        let line = line.trim_end_matches('\r');
        let heading = line_number == 1 && line.starts_with(|first: char| first.is_ascii_alphabetic());
        if line.is_empty() || heading {
            continue;
        }
        let (candle, found) = candle(line).map_err(problem)?;
        if candles.last().is_some_and(|last| candle.open_time_ms <= last.open_time_ms) {
            return Err(problem("the candle is not later than the one before it".into()));
        }
        decimals = found.max(decimals);
        candles.push(candle);
    }
    if candles.is_empty() {
        return Err(Problem { line: line_number.max(1), reason: "there is no candle in it".into() });
    }
    let tick = TickSize::new(1, decimals).expect("at most DECIMALS_MAX decimals");
    Ok(CandleFile { candles, tick })
}

/// One line: `open_time,open,high,low,close,volume,…`, and the number of decimals of its prices.
fn candle(line: &str) -> Result<(Candle, u32), String> {
    let columns: Vec<_> = line.split(',').collect();
    let [time, prices @ .., volume] = columns.get(..6).ok_or_else(|| {
        format!("{} columns, at least 6 are needed (open_time,open,high,low,close,volume)", columns.len())
    })?
    else {
        unreachable!("a slice of six")
    };
    let time: u64 = time.trim().parse().map_err(|_| "open_time is not a whole number".to_owned())?;
    let number =
        |name: &str, text: &str| text.trim().parse::<f64>().map_err(|_| format!("{name} is not a number"));
    let candle = Candle {
        open_time_ms: if time >= MICROSECONDS_FROM { time / 1_000 } else { time },
        open: number("open", prices[0])?,
        high: number("high", prices[1])?,
        low: number("low", prices[2])?,
        close: number("close", prices[3])?,
        volume: number("volume", volume)?,
    };
    candle.check().map_err(|refusal| refusal.to_string())?;
    Ok((candle, prices.iter().map(|price| decimals_of(price)).max().unwrap_or(0)))
}

fn decimals_of(price: &str) -> u32 {
    let fraction = price.trim().split_once('.').map_or("", |(_, fraction)| fraction.trim_end_matches('0'));
    u32::try_from(fraction.len()).unwrap_or(DECIMALS_MAX).min(DECIMALS_MAX)
}

/// The symbols of the files: those that are configured, else those in the names.
fn symbols_of(files: &[PathBuf], configured: &[Symbol]) -> Result<Vec<Symbol>, Failure> {
    if !configured.is_empty() && configured.len() != files.len() {
        return Err(Failure::configuration(
            "TG-MKT-004",
            format!("{} symbols for {} candle files", configured.len(), files.len()),
            "name one symbol per file in --symbols, in the same order",
        ));
    }
    let symbols = if configured.is_empty() {
        files.iter().map(|path| symbol_in_name(path)).collect::<Result<Vec<_>, _>>()?
    } else {
        configured.to_vec()
    };
    match symbols.iter().enumerate().find(|(index, symbol)| symbols[..*index].contains(symbol)) {
        None => Ok(symbols),
        Some((_, symbol)) => Err(Failure::configuration(
            "TG-MKT-004",
            format!("two candle files for {symbol}"),
            "give one file per symbol, or name the symbols with --symbols",
        )),
    }
}

/// `BTCUSDT` in `bybit-linear-BTCUSDT-1m-2025-06.csv.gz`: the longest part in capitals with a letter.
///
/// # Errors
/// A name without a symbol in it.
pub fn symbol_in_name(path: &Path) -> Result<Symbol, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parts = name.split(|character: char| !character.is_ascii_alphanumeric());
    let found = parts
        .filter(|part| part.len() >= 5 && part.bytes().any(|byte| byte.is_ascii_uppercase()))
        .filter_map(|part| part.parse().ok())
        .max_by_key(|symbol: &Symbol| symbol.as_str().len());
    found.ok_or_else(|| {
        Failure::configuration(
            "TG-MKT-004",
            format!("the name of {name} does not say which symbol it is"),
            "name the symbol: --symbols BTCUSDT",
        )
    })
}

/// Where the past of a file ends.
fn start_ms(file: &CandleFile) -> u64 {
    let past = PAST_CANDLES.min(file.candles.len() / 2);
    file.candles[past].open_time_ms
}

fn source(symbol: Symbol, file: CandleFile, start_ms: u64, clock: MarketClock) -> Source {
    let CandleFile { mut candles, tick } = file;
    let future = candles.split_off(candles.partition_point(|candle| candle.open_time_ms < start_ms));
    let evaluated_from_ms = start_ms.saturating_sub(PAST_EVALUATED as u64 * MINUTE_MS);
    let evaluated =
        candles.split_off(candles.partition_point(|candle| candle.open_time_ms < evaluated_from_ms));
    let skip = candles.len().saturating_sub(PAST_CANDLES);
    let events = move |candle| events(candle, tick);
    Source {
        symbol,
        tick,
        past: candles.split_off(skip),
        recent: evaluated.into_iter().flat_map(events).collect(),
        events: paced(future.into_iter().flat_map(events), clock),
        repair: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "open_time,open,high,low,close,volume,close_time\n";
    const FIRST: &str = "1735689600000,100.0,101.50,99.5,100.25,3.5,1735689659999\n";

    fn problem(text: &str) -> (usize, String) {
        let problem = parse(text.as_bytes()).unwrap_err();
        (problem.line, problem.reason)
    }

    #[test]
    fn a_kline_file_is_read_with_and_without_heading() {
        for text in [format!("{HEADER}{FIRST}"), FIRST.to_owned(), FIRST.replace('\n', "\r\n")] {
            let file = parse(text.as_bytes()).unwrap();
            assert_eq!(file.candles.len(), 1);
            assert_eq!(file.candles[0].high, 101.5);
            assert_eq!(file.tick.decimals(), 2);
        }
        let micro = FIRST.replace("1735689600000,", "1735689600000000,");
        assert_eq!(parse(micro.as_bytes()).unwrap().candles[0].open_time_ms, 1_735_689_600_000);
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number_and_reason() {
        let line = |bad: &str| problem(&format!("{HEADER}{FIRST}{bad}\n"));
        assert_eq!(line("x,1,2,3,4,5"), (3, "open_time is not a whole number".into()));
        assert_eq!(
            line("1735689660000,1,2"),
            (3, "3 columns, at least 6 are needed (open_time,open,high,low,close,volume)".into())
        );
        assert_eq!(line("1735689660000,1,2,0.5,abc,5"), (3, "close is not a number".into()));
        assert_eq!(line("1735689600000,1,2,0.5,1,5").1, "the candle is not later than the one before it");
        assert!(line("1735689660000,1,2,0.5,NaN,5").1.contains("not a positive number"));
        assert!(line("1735689660000,1,2,0.5,0,5").1.contains("not a positive number"));
        assert!(line("1735689660000,1,0.9,0.5,1,5").1.contains("outside its low and high"));
        assert!(line("1735689660001,1,2,0.5,1,5").1.contains("whole minute"));
        assert_eq!(problem(""), (1, "there is no candle in it".into()));
        assert_eq!(problem(HEADER), (1, "there is no candle in it".into()));
    }

    #[test]
    fn the_symbol_is_found_in_the_name_of_a_file() {
        let symbol = |name: &str| symbol_in_name(Path::new(name)).map(|symbol| symbol.to_string());
        assert_eq!(symbol("x/bybit-linear-BTCUSDT-1m-2025-06.csv.gz").unwrap(), "BTCUSDT");
        assert_eq!(symbol("1000PEPEUSDT_1m.csv").unwrap(), "1000PEPEUSDT");
        assert!(symbol("candles.csv").unwrap_err().to_string().contains("--symbols"));
    }

    #[test]
    fn files_and_symbols_must_match_in_number_and_differ() {
        let files = [PathBuf::from("AAAUSDT.csv"), PathBuf::from("AAAUSDT-2.csv")];
        assert!(symbols_of(&files, &[]).unwrap_err().to_string().contains("two candle files for AAAUSDT"));
        let one = ["BTCUSDT".parse().unwrap()];
        assert!(symbols_of(&files, &one).unwrap_err().to_string().contains("1 symbols for 2 candle files"));
    }
}
