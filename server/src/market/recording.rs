//! Recorded messages of an exchange as a market: what `tidegate record` writes, or anybody's lines of
//! `<time> <message>` or `<message>`, plain or gzip.
//!
//! A recording says everything that the live client was told, answers to its questions among them, so a replay
//! comes to the same signals. Without candles of the past, strategies have to warm up.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::Value;
use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, MarketEvent, QuietMinutes, TickSize};

use super::binance::message::{AggregateTrade, Kind, Message, Update, read};
use super::binance::plan::in_order;
use super::binance::rest::{Markets, candles_of};
use super::replay::{DECIMALS_MAX, Problem};

/// Everything that was said about some markets.
#[derive(Debug, Default)]
pub struct Recording {
    /// By symbol.
    pub markets: BTreeMap<Symbol, Recorded>,
    /// Messages that are of no use here, by [`Kind`].
    pub unused: [u64; Kind::COUNT],
    steps: Option<Markets>,
}

/// What was said about one market.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Closed candles from before the first message, oldest first.
    pub past: Vec<Candle>,
    /// What was heard then, in that order.
    pub events: Vec<MarketEvent>,
    /// Its single trades: of use only where no aggregated ones were recorded.
    singles: Vec<MarketEvent>,
    last_trade_id: Option<u64>,
    /// Whether any message came yet.
    heard: bool,
    answers: Answers,
    decimals: u32,
}

/// Answers that belong together: they are put in order once the next message comes.
#[derive(Debug, Default)]
struct Answers {
    candles: Vec<Candle>,
    trades: Vec<Update>,
}

impl Recorded {
    /// The price step: what the exchange said, else the finest that the recording shows.
    fn tick(&self, symbol: Symbol, steps: Option<&Markets>) -> TickSize {
        let said = steps.and_then(|steps| steps.tick(symbol).ok());
        said.unwrap_or_else(|| TickSize::new(1, self.decimals).expect("at most DECIMALS_MAX decimals"))
    }

    /// What a minute means in which nothing was heard: recorded candles show that every minute has one.
    #[must_use]
    pub fn quiet_minutes(&self) -> QuietMinutes {
        if self.past.is_empty() { QuietMinutes::Flat } else { QuietMinutes::Refill }
    }

    fn take(&mut self, update: &Update) {
        self.settle();
        self.heard = true;
        self.pass(update);
    }

    /// Trades come twice while two connections overlap, and after a refill.
    fn pass(&mut self, update: &Update) {
        if let Some(id) = update.trade_id {
            if self.last_trade_id.is_some_and(|last| id <= last) {
                return;
            }
            self.last_trade_id = Some(id);
        }
        self.decimals = self.decimals.max(decimals_of(&update.event));
        self.events.push(update.event);
    }

    /// The answers since the last message: the past if there was none, else what was missed in a cut.
    fn settle(&mut self) {
        let Answers { candles, trades } = std::mem::take(&mut self.answers);
        if !self.heard {
            // The later answer knows more: what was running in the one before may be closed now.
            let again = candles.first().map_or(u64::MAX, |first| first.open_time_ms);
            self.past.retain(|candle| candle.open_time_ms < again);
            self.past.extend(candles);
            return;
        }
        if let Some(last) = trades.last() {
            self.last_trade_id = last.trade_id.max(self.last_trade_id);
        }
        self.events.extend(in_order(candles, trades));
    }
}

fn decimals_of(event: &MarketEvent) -> u32 {
    let price = match *event {
        MarketEvent::Trade { price, .. } => price,
        MarketEvent::Candle { candle, .. } => candle.close,
    };
    let text = price.to_string();
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    u32::try_from(digits).unwrap_or(DECIMALS_MAX).min(DECIMALS_MAX)
}

/// A line: an answer, or else a message.
#[derive(Deserialize)]
struct Answer {
    rest: String,
    data: Value,
}

impl Recording {
    /// Whether a file that begins like this is a recording.
    #[must_use]
    pub fn begins(text: &[u8]) -> bool {
        let text = text.trim_ascii_start();
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        text[digits..].trim_ascii_start().starts_with(b"{")
    }

    /// Reads every line.
    pub(super) fn parse(reader: impl BufRead) -> Result<Self, Problem> {
        let mut recording = Self::default();
        let mut number = 0;
        for line in reader.lines() {
            number += 1;
            match line {
                Ok(line) => recording.line(&line).map_err(|reason| Problem { line: number, reason })?,
                // Whoever recorded it was cut off: what there is, is good.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    tracing::warn!(line = number, "the recording ends in the middle of a message");
                    break;
                }
                Err(error) => return Err(Problem { line: number, reason: error.to_string() }),
            }
        }
        recording.finish().map_err(|reason| Problem { line: number.max(1), reason })
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim_start_matches(|first: char| first.is_ascii_digit()).trim();
        if text.is_empty() {
            return Ok(());
        }
        if text.starts_with("{\"rest\"") {
            return self.answer(serde_json::from_str(text).map_err(|error| error.to_string())?);
        }
        match read(text) {
            Ok(Message::Update(update)) => self.market(update.symbol).take(&update),
            Ok(Message::Single(update)) => {
                let market = self.market(update.symbol);
                market.decimals = market.decimals.max(decimals_of(&update.event));
                market.singles.push(update.event);
            }
            Ok(Message::Book) => {}
            Err(unreadable) if unreadable.kind == Kind::Malformed => return Err(unreadable.reason),
            Err(unreadable) => self.unused[unreadable.kind as usize] += 1,
        }
        Ok(())
    }

    fn market(&mut self, symbol: Symbol) -> &mut Recorded {
        self.markets.entry(symbol).or_default()
    }

    fn answer(&mut self, answer: Answer) -> Result<(), String> {
        let Answer { rest, data } = answer;
        let (path, query) = rest.split_once('?').unwrap_or((&rest, ""));
        let of = |error: serde_json::Error| format!("the answer to {path}: {error}");
        let parameter = |name: &str| {
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)
        };
        let symbol = parameter("symbol").and_then(|(_, symbol)| symbol.parse().ok());
        match (path.rsplit('/').next(), symbol) {
            (Some("exchangeInfo"), _) => self.steps = Some(serde_json::from_value(data).map_err(of)?),
            (Some("klines"), Some(symbol)) => {
                let rows: Vec<Vec<Value>> = serde_json::from_value(data).map_err(of)?;
                let mut candles = candles_of(&rows).map_err(|error| error.to_string())?;
                let time = |name| parameter(name).and_then(|(_, time)| time.parse::<u64>().ok());
                let asked = time("startTime").unwrap_or(0)..=time("endTime").unwrap_or(u64::MAX);
                candles.retain(|candle| asked.contains(&candle.open_time_ms));
                self.market(symbol).answers.candles.append(&mut candles);
            }
            (Some("aggTrades"), Some(symbol)) => {
                let trades: Vec<AggregateTrade> = serde_json::from_value(data).map_err(of)?;
                self.market(symbol).answers.trades.extend(trades.iter().map(|trade| trade.update(symbol)));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Self, String> {
        for market in self.markets.values_mut() {
            market.settle();
            if market.last_trade_id.is_none() {
                market.events.append(&mut market.singles);
                market.events.sort_by_key(MarketEvent::time_ms);
            }
            drop_running(&mut market.past, &market.events);
        }
        self.markets.retain(|_, market| !market.events.is_empty());
        if self.markets.is_empty() {
            return Err("there is no trade and no candle in it".into());
        }
        Ok(self)
    }

    /// The price step of a market of it.
    #[must_use]
    pub fn tick(&self, symbol: Symbol) -> TickSize {
        self.markets[&symbol].tick(symbol, self.steps.as_ref())
    }
}

/// Of candles up to now, the last one is still running: it is none of the past.
fn drop_running(past: &mut Vec<Candle>, events: &[MarketEvent]) {
    let Some(first_ms) = events.first().map(MarketEvent::time_ms) else { return };
    past.retain(|candle| candle.close_time_ms() <= first_ms);
}
