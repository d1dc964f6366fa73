//! `tidegate backtest`: what a strategy's signals would have come to over candle files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tidegate_protocol::{Strategy, Symbol};
use tidegate_strategy::{TickSize, timestamp};

use super::tuning::Tuning;
use super::usage;
use crate::config::Config;
use crate::failure::Failure;
use crate::market::replay::{Replayed, load, symbol_in_name};
use crate::outcomes::{FEE_MAX_PERCENT, Outcomes, Report};

/// Candles between two updates of the progress bar.
const PROGRESS_STEP: u64 = 1_000;

/// Flags of `backtest`.
#[derive(Debug, Args)]
pub(super) struct Backtest {
    /// Candle files: kline CSV, plain or gzip
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// range_trading, momentum or scalp
    #[arg(long)]
    strategy: Strategy,

    /// Fee on each side, in percent of the position
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    fee: f64,

    /// The market of each file, separated by commas; taken from the file names when left out
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<Symbol>,

    /// Price step; the finest that a file shows when left out
    #[arg(long, value_name = "STEP")]
    tick: Option<TickSize>,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tuning: Tuning,
}

/// What became of one file.
#[derive(Debug, Serialize)]
struct Backtested {
    file: String,
    symbol: Symbol,
    strategy: Strategy,
    from: String,
    to: String,
    candles: usize,
    #[serde(flatten)]
    report: Report,
}

impl Backtest {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        if !(0.0..=FEE_MAX_PERCENT).contains(&self.fee) {
            return Err(usage(
                "TG-CLI-003",
                format!("a fee of {} % a side", self.fee),
                format!("give 0 to {FEE_MAX_PERCENT}, in percent: --fee 0.02"),
            ));
        }
        let results = self
            .files
            .iter()
            .zip(0..)
            .map(|(file, index)| self.file(config, file, index))
            .collect::<Result<Vec<_>, _>>()?;
        let text = if self.json { json(&results) } else { table(&results) };
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::environment(
                "TG-CLI-002",
                format!("cannot write the result: {error}"),
                "check where standard output goes",
            )),
            _ => Ok(()),
        }
    }

    fn file(&self, config: &Config, path: &Path, index: usize) -> Result<Backtested, Failure> {
        let symbol = match self.symbols.get(index) {
            Some(symbol) => *symbol,
            None => symbol_in_name(path)?,
        };
        let file = load(path)?;
        let (first, last) = (file.candles[0], file.candles[file.candles.len() - 1]);
        let candles = file.candles.len();
        let tick = self.tick.unwrap_or(file.tick);
        let engine = self.tuning.engine(config, symbol, tick, self.strategy)?;
        let bar = progress(candles, symbol);
        let report = self.report(Replayed::with(engine, tick, file.candles), &bar);
        bar.finish_and_clear();
        Ok(Backtested {
            file: path.display().to_string(),
            symbol,
            strategy: self.strategy,
            from: timestamp(first.open_time_ms),
            to: timestamp(last.close_time_ms()),
            candles,
            report,
        })
    }

    fn report(&self, replayed: Replayed, bar: &ProgressBar) -> Report {
        let mut outcomes = Outcomes::default();
        for (minute, number) in replayed.zip(1_u64..) {
            for evaluation in minute.evaluations.iter().filter(|evaluation| evaluation.send) {
                outcomes.signal(evaluation);
            }
            outcomes.candle(&minute.candle);
            if number.is_multiple_of(PROGRESS_STEP) {
                bar.set_position(number);
            }
        }
        outcomes.report(self.strategy, self.fee)
    }
}

/// Drawn on standard error, and only on a terminal.
fn progress(candles: usize, symbol: Symbol) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %  {per_sec}  {eta} left")
        .expect("a valid template");
    ProgressBar::new(candles as u64).with_style(style).with_prefix(symbol.to_string())
}

fn json(results: &[Backtested]) -> String {
    serde_json::to_string_pretty(results).expect("figures are JSON") + "\n"
}

/// A column per file; the hit rate stands beside the rate that it must beat.
fn table(results: &[Backtested]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY);
    let heading = |result: &Backtested| format!("{} {}", result.symbol, result.strategy);
    table.set_header(row("", results, heading));
    let rate = |rate: Option<f64>| rate.map_or("–".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    table.add_row(row("from", results, |result| result.from.clone()));
    table.add_row(row("to", results, |result| result.to.clone()));
    table.add_row(row("candles", results, |result| result.candles.to_string()));
    table.add_row(row("signals", results, |result| {
        let Report { signals, long, short, .. } = result.report;
        format!("{signals}  ({long} long, {short} short)")
    }));
    table.add_row(row("filled", results, |result| {
        let Report { filled, expired, .. } = result.report;
        format!("{filled}  ({expired} expired)")
    }));
    table.add_row(row("ended at", results, |result| {
        let Report { targets, stops, timed_out, .. } = result.report;
        format!("target {targets}, stop {stops}, time {timed_out}")
    }));
    table.add_row(row("hit rate", results, |result| rate(result.report.hit_rate)));
    table.add_row(row("break-even at", results, |result| rate(result.report.break_even_rate)));
    table.add_row(row("average R", results, |result| {
        result.report.average_r.map_or("–".to_owned(), |r| format!("{r:+.3}"))
    }));
    table.add_row(row("net result", results, |result| {
        format!(
            "{:+.2} % of one position, {} % fee a side",
            result.report.net_percent, result.report.fee_percent
        )
    }));
    format!(
        "{table}\nA hit rate below the break-even rate loses money. R is the result of a position over what it \
         risked, before fees.\nPast results say little about future ones; this is not advice.\n"
    )
}

fn row(name: &str, results: &[Backtested], cell: impl Fn(&Backtested) -> String) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(results.iter().map(cell)).collect()
}
