//! `tidegate record`: everything that an exchange says, into a file that `--market replay:FILE` plays.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::future::join_all;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tidegate_protocol::Symbol;
use tokio::sync::mpsc;

use super::{serve, usage};
use crate::config::Config;
use crate::failure::Failure;
use crate::market::binance::plan::Rules;
use crate::market::binance::{self, Tap};
use crate::market::{Choice, Source};

/// What is lost at most when the computer stops: the rest is on its way to the disk.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// Flags of `record`.
#[derive(Debug, Args)]
pub(super) struct Record {
    /// The file to write, which must not be there yet; compressed if its name ends in .gz
    file: PathBuf,

    /// The exchange: binance or binance:URL
    #[arg(long, value_name = "MARKET", default_value = "binance")]
    market: String,

    /// Markets to record, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    symbols: Vec<Symbol>,

    /// How long, for example 90s, 10m or 24h; until Ctrl-C when left out
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
}

impl Record {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let Choice::Binance(url) = Choice::parse(&self.market)? else {
            return Err(usage(
                "TG-CLI-011",
                format!("`{}` is not a market that says anything worth recording", self.market),
                "record an exchange: --market binance or --market binance:URL",
            ));
        };
        let endpoints = config.market.endpoints(url.as_deref())?;
        let symbols = if self.symbols.is_empty() { &config.market.symbols } else { &self.symbols };
        serve::start_logging(&config.log)?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| {
            Failure::environment("TG-SYS-001", format!("no threads: {error}"), "raise the process limit")
        })?;
        runtime.block_on(async {
            let file = Recorder::create(&self.file)?;
            let (tap, lines) = Tap::new();
            let opened = binance::open(&endpoints, symbols, config.market.speed, Rules::default(), tap).await;
            let sources = opened.inspect_err(|_| remove(&self.file))?.sources;
            let until = async {
                tokio::select! {
                    () = drain(sources) => {}
                    () = serve::shutdown() => {}
                    () = elapsed(self.duration) => {}
                }
            };
            let written = file.write(lines, until).await;
            let Written { lines, bytes } = written.map_err(|error| unwritable(&error, &self.file))?;
            eprintln!(
                "{lines} messages, {} before compression, in {}",
                HumanBytes(bytes),
                self.file.display()
            );
            Ok(())
        })
    }
}

/// Events are only counted on: what is written is what came before they were read.
async fn drain(sources: Vec<Source>) {
    join_all(sources.into_iter().map(|source| source.events.for_each(|_| std::future::ready(())))).await;
}

async fn elapsed(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// An empty file of a recording that never began would be in the way of the next try.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// The file, with what has been written to it.
struct Recorder {
    out: Out,
    bar: ProgressBar,
}

enum Out {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

struct Written {
    lines: u64,
    bytes: u64,
}

impl Recorder {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = BufWriter::new(file.map_err(|error| unwritable(&error, path))?);
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let out =
            if gzip { Out::Gzip(GzEncoder::new(file, Compression::default())) } else { Out::Plain(file) };
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {human_pos} messages")
            .expect("a valid template");
        Ok(Self { out, bar: ProgressBar::new_spinner().with_style(style) })
    }

    /// Writes lines until the end. Straight to the file: this process has nothing else to do meanwhile, and what
    /// comes while the disk is slow waits in the channel.
    async fn write(
        mut self,
        mut lines: mpsc::Receiver<String>,
        until: impl Future<Output = ()>,
    ) -> io::Result<Written> {
        let mut until = pin!(until);
        let mut written = Written { lines: 0, bytes: 0 };
        let mut flushed_at = Instant::now();
        loop {
            let line = tokio::select! {
                Some(line) = lines.recv() => line,
                () = &mut until => break,
            };
            let out: &mut dyn Write = match &mut self.out {
                Out::Plain(out) => out,
                Out::Gzip(out) => out,
            };
            writeln!(out, "{line}")?;
            written.lines += 1;
            written.bytes += line.len() as u64 + 1;
            if flushed_at.elapsed() >= FLUSH_EVERY {
                out.flush()?;
                flushed_at = Instant::now();
            }
            self.bar.set_position(written.lines);
        }
        self.bar.finish_and_clear();
        match self.out {
            Out::Plain(mut out) => out.flush()?,
            Out::Gzip(out) => out.finish()?.flush()?,
        }
        Ok(written)
    }
}

fn unwritable(error: &io::Error, path: &Path) -> Failure {
    let fix = match error.kind() {
        io::ErrorKind::AlreadyExists => "move it away first, or name another file",
        io::ErrorKind::StorageFull => "make room, and record again",
        _ => "choose a folder that can be written",
    };
    Failure::environment("TG-CLI-012", format!("cannot write the recording: {error}"), fix)
        .at(path.display().to_string())
}

/// `90s`, `10m`, `24h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write for example 90s, 10m or 24h".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "s", "10", "0s", "-1s", "1d", "ten m", "1é", "99999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
