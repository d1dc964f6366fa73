//! `tidegate signals`: every evaluation of a candle file, one JSON line each.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use tidegate_protocol::{Feed, Strategy, Symbol};
use tidegate_strategy::TickSize;

use super::tuning::Tuning;
use crate::config::Config;
use crate::failure::Failure;
use crate::market::replay::{Replayed, load};
use crate::pipeline::message;

/// Flags of `signals`.
#[derive(Debug, Args)]
pub(super) struct Signals {
    /// Candle file: kline CSV, plain or gzip
    file: PathBuf,

    /// range_trading, momentum or scalp
    #[arg(long)]
    strategy: Strategy,

    /// The market that the file is of
    #[arg(long)]
    symbol: Symbol,

    /// Price step of the market; the finest that the file shows when left out
    #[arg(long, value_name = "STEP")]
    tick: Option<TickSize>,

    /// Only what would be sent, with `seq` and `prev`
    #[arg(long)]
    sent: bool,

    #[command(flatten)]
    tuning: Tuning,
}

impl Signals {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let file = load(&self.file)?;
        let tick = self.tick.unwrap_or(file.tick);
        let engine = self.tuning.engine(config, self.symbol, tick, self.strategy)?;
        let mut out = BufWriter::new(io::stdout().lock());
        match self.write(Replayed::with(engine, tick, file.candles), &mut out).and_then(|()| out.flush()) {
            // The reader has seen enough: `tidegate signals … | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::environment(
                "TG-CLI-002",
                format!("cannot write the signals: {error}"),
                "check where standard output goes",
            )),
            Ok(()) => Ok(()),
        }
    }

    fn write(&self, replayed: Replayed, out: &mut impl Write) -> io::Result<()> {
        let feed = Feed { symbol: self.symbol, strategy: self.strategy };
        let mut prev = 0;
        for evaluation in replayed.flat_map(|minute| minute.evaluations) {
            if self.sent && !evaluation.send {
                continue;
            }
            let seq = evaluation.time_ms;
            let message = message(feed, seq, prev, evaluation.body);
            let mut text = message.to_json();
            if !self.sent {
                // An evaluation that was not sent has no place in the sequence.
                text = text.replacen(&format!("\"seq\":{seq},\"prev\":{prev},"), "", 1);
            }
            writeln!(out, "{text}")?;
            prev = seq;
        }
        Ok(())
    }
}
