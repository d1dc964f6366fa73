//! Files as a market, played on the data's own clock: candles (Binance kline CSV) or recorded messages of an
//! exchange, plain or gzip.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tidegate_protocol::Symbol;
use tidegate_strategy::{
    Candle, Engine, Evaluation, MINUTE_MS, MarketEvent, Parameters, QuietMinutes, TickSize,
};

use super::recording::{Recorded, Recording};
use super::{Opened, PAST_CANDLES, PAST_EVALUATED, Source, paced};
use crate::clock::MarketClock;
use crate::failure::Failure;

/// First two bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Times above this are in microseconds: newer files of the exchange have them.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
/// From open time to close time of a candle of one minute: to its last milli- or microsecond, or to its end.
const CANDLE_LASTS: [u64; 4] = [59_999, 60_000, 59_999_999, 60_000_000];
/// Most decimals that a price step is taken from.
pub(super) const DECIMALS_MAX: u32 = 8;

/// The candles of one file.
#[derive(Debug)]
pub struct CandleFile {
    /// Oldest first, one a minute; minutes without trades may be missing.
    pub candles: Vec<Candle>,
    /// The finest price step that the file shows.
    pub tick: TickSize,
}

/// Opens files of candles, one per symbol, and recordings of any number of symbols; all start at the same instant.
/// The first candles of a file (up to 1,500, at most half of them) are the past; of a recording, what it says
/// itself.
///
/// # Errors
/// A file that cannot be read or holds something else, with file, line and reason.
pub fn open(files: &[PathBuf], symbols: &[Symbol], speed: f64) -> Result<Opened, Failure> {
    let contents = files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let films = films(files, contents, symbols)?;
    let start_ms = films.iter().map(Film::start_ms).max().unwrap_or(0);
    let clock = MarketClock::new(i64::try_from(start_ms).unwrap_or(0), speed);
    let sources = films.into_iter().map(|film| film.source(start_ms, clock)).collect();
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    Ok(Opened { sources, clock, description: format!("replay of {}", names.join(", ")) })
}

/// Reads a candle file.
///
/// # Errors
/// File, line and reason.
pub fn load(path: &Path) -> Result<CandleFile, Failure> {
    match read(path)? {
        Content::Candles(file) => Ok(file),
        Content::Recording(_) => Err(Failure::environment(
            "TG-MKT-003",
            "this is a recording of messages, not a candle file",
            "play it with tidegate serve --market replay:FILE, or give a file of one-minute klines",
        )
        .at(path.display().to_string())),
    }
}

/// What a file holds.
enum Content {
    Candles(CandleFile),
    Recording(Recording),
}

fn read(path: &Path) -> Result<Content, Failure> {
    let unreadable = |error: &io::Error| {
        Failure::environment(
            "TG-MKT-002",
            format!("cannot read the market data: {error}"),
            "check the path and its permissions",
        )
        .at(path.display().to_string())
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut reader = BufReader::new(file);
    let gzip = reader.fill_buf().map_err(|error| unreadable(&error))?.starts_with(&GZIP_MAGIC);
    let text: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    let mut text = BufReader::new(text);
    let recording = text.fill_buf().is_ok_and(Recording::begins);
    let (content, kind, fix) = if recording {
        let fix = "give what tidegate record has written, or lines of combined-stream messages";
        (Recording::parse(text).map(Content::Recording), "recording", fix)
    } else {
        let fix = "give a file of one-minute klines: open_time,open,high,low,close,volume,… oldest first";
        (parse(text).map(Content::Candles), "candle file", fix)
    };
    content.map_err(|Problem { line, reason }| {
        Failure::environment("TG-MKT-003", format!("malformed {kind}: {reason}"), fix)
            .at(format!("{}:{line}", path.display()))
    })
}

/// One market, as it will be played.
struct Film {
    symbol: Symbol,
    tick: TickSize,
    quiet_minutes: QuietMinutes,
    /// Oldest first; of a recording, only those before its messages.
    candles: Vec<Candle>,
    /// Recorded messages, in the order in which they came.
    events: Vec<MarketEvent>,
}

impl Film {
    /// Where its past ends.
    fn start_ms(&self) -> u64 {
        match self.events.first() {
            Some(first) => first.time_ms(),
            None => self.candles[PAST_CANDLES.min(self.candles.len() / 2)].open_time_ms,
        }
    }

    fn source(self, start_ms: u64, clock: MarketClock) -> Source {
        let Self { symbol, tick, quiet_minutes, mut candles, events } = self;
        let future = candles.split_off(candles.partition_point(|candle| candle.open_time_ms < start_ms));
        let evaluated_from_ms = start_ms.saturating_sub(PAST_EVALUATED as u64 * MINUTE_MS);
        let evaluated =
            candles.split_off(candles.partition_point(|candle| candle.open_time_ms < evaluated_from_ms));
        let skip = candles.len().saturating_sub(PAST_CANDLES);
        let seen = move |candle| seen(candle, tick);
        let mut events = events.into_iter().peekable();
        let before = std::iter::from_fn(|| events.next_if(|event| event.time_ms() < start_ms));
        let recent: Vec<_> = evaluated.into_iter().flat_map(seen).chain(before).collect();
        Source {
            symbol,
            tick,
            past: candles.split_off(skip),
            recent: Box::new(recent.into_iter()),
            events: paced(future.into_iter().flat_map(seen).chain(events), clock),
            repair: None,
            quiet_minutes,
        }
    }
}

fn films(files: &[PathBuf], contents: Vec<Content>, symbols: &[Symbol]) -> Result<Vec<Film>, Failure> {
    let recorded = contents.iter().any(|content| matches!(content, Content::Recording(_)));
    // Beside recordings, which hold any number of markets, a candle file is of the market in its name.
    let named = if recorded { Vec::new() } else { symbols_of(files, symbols)? };
    let mut films: Vec<Film> = Vec::new();
    for (index, (path, content)) in files.iter().zip(contents).enumerate() {
        match content {
            Content::Candles(CandleFile { candles, tick }) => {
                let symbol = named.get(index).map_or_else(|| symbol_in_name(path), |symbol| Ok(*symbol))?;
                films.push(Film {
                    symbol,
                    tick,
                    quiet_minutes: QuietMinutes::Flat,
                    candles,
                    events: Vec::new(),
                });
            }
            Content::Recording(recording) => films.extend(recording_films(path, recording)),
        }
    }
    if recorded && !symbols.is_empty() {
        if let Some(missing) = symbols.iter().find(|symbol| films.iter().all(|film| film.symbol != **symbol))
        {
            let there: Vec<_> = films.iter().map(|film| film.symbol.to_string()).collect();
            return Err(Failure::configuration(
                "TG-MKT-004",
                format!("there is nothing of {missing} in the recording"),
                format!("choose from what there is with --symbols: {}", there.join(", ")),
            ));
        }
        films.retain(|film| symbols.contains(&film.symbol));
    }
    let symbols: Vec<_> = films.iter().map(|film| film.symbol).collect();
    distinct(&symbols)?;
    Ok(films)
}

fn recording_films(path: &Path, recording: Recording) -> Vec<Film> {
    let [malformed, shape, foreign, crossed] = recording.unused;
    if malformed + shape + foreign + crossed > 0 {
        let path = path.display();
        tracing::info!(%path, shape, foreign, crossed, "messages of the recording are not used");
    }
    let ticks: BTreeMap<_, _> =
        recording.markets.keys().map(|&symbol| (symbol, recording.tick(symbol))).collect();
    let film = |(symbol, market): (Symbol, Recorded)| Film {
        symbol,
        tick: ticks[&symbol],
        quiet_minutes: market.quiet_minutes(),
        candles: market.past,
        events: market.events,
    };
    recording.markets.into_iter().map(film).collect()
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
    /// Starts before the first candle, with the default settings.
    #[must_use]
    pub fn new(symbol: Symbol, tick: TickSize, candles: Vec<Candle>) -> Self {
        let engine = Engine::new(symbol, tick, Parameters::default()).expect("the defaults are in bounds");
        Self::with(engine, tick, candles)
    }

    /// Starts before the first candle, with an engine that has seen nothing yet.
    #[must_use]
    pub fn with(engine: Engine, tick: TickSize, candles: Vec<Candle>) -> Self {
        Self { engine, tick, candles: candles.into_iter() }
    }
}

impl Iterator for Replayed {
    type Item = Minute;

    fn next(&mut self) -> Option<Minute> {
        let candle = self.candles.next()?;
        let mut evaluations = Vec::new();
        for event in seen(candle, self.tick) {
            if let Err(refusal) = self.engine.handle(&event) {
                tracing::warn!(%refusal, "a market event was refused");
            }
            evaluations.extend(self.engine.poll(event.time_ms()));
        }
        Some(Minute { candle, evaluations })
    }
}

/// What a finished candle was at its half and at its end.
fn seen(candle: Candle, tick: TickSize) -> [MarketEvent; 2] {
    [MarketEvent::halfway(&candle, tick), MarketEvent::closed(candle)]
}

/// Where a file is malformed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) reason: String,
}

fn parse(reader: impl BufRead) -> Result<CandleFile, Problem> {
    let mut candles: Vec<Candle> = Vec::new();
    let mut decimals = 0;
    let mut line_number = 0;
    for line in reader.lines() {
        line_number += 1;
        let problem = |reason: String| Problem { line: line_number, reason };
        let line = line.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => problem(format!("it cannot be read as text: {error}")),
            _ => problem(format!("the file ends in the middle: {error}")),
        })?;
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
    let close_time: Option<u64> = columns.get(6).and_then(|text| text.trim().parse().ok());
    let lasts = close_time.map(|close_time| close_time.saturating_sub(time));
    if lasts.is_some_and(|lasts| !CANDLE_LASTS.contains(&lasts)) {
        return Err("it is not a candle of one minute, by its close_time".into());
    }
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
    distinct(&symbols)?;
    Ok(symbols)
}

fn distinct(symbols: &[Symbol]) -> Result<(), Failure> {
    match symbols.iter().enumerate().find(|(index, symbol)| symbols[..*index].contains(symbol)) {
        None => Ok(()),
        Some((_, symbol)) => Err(Failure::configuration(
            "TG-MKT-004",
            format!("two files for {symbol}"),
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
        let micro = micro.replace("1735689659999", "1735689659999999");
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
        let five = "1735689660000,1,2,0.5,1,5,1735689959999";
        assert_eq!(line(five).1, "it is not a candle of one minute, by its close_time");
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
        assert!(symbols_of(&files, &[]).unwrap_err().to_string().contains("two files for AAAUSDT"));
        let one = ["BTCUSDT".parse().unwrap()];
        assert!(symbols_of(&files, &one).unwrap_err().to_string().contains("1 symbols for 2 candle files"));
    }
}
