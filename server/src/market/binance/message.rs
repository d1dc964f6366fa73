//! What the exchange says, read into market events. Fields that are not known are ignored: the exchanges add some
//! every few months. Whether a price can be believed is the engine's question, not asked here.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::error::Category;
use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, MarketEvent};

/// One message of a market stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The market.
    pub symbol: Symbol,
    /// Of a trade its number: consecutive, so that repeated ones are known and missing ones can be asked for.
    pub trade_id: Option<u64>,
    /// What happened.
    pub event: MarketEvent,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message {
    /// A candle, or trades of one price and side joined into one.
    Update(Update),
    /// A trade of its own: the same as part of an aggregated one.
    Single(Update),
    /// Bids and asks that can be. No strategy looks at them.
    Book,
}

/// Why a message is of no use. Each kind is counted, and logged the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not JSON.
    Malformed,
    /// A field is missing or is something else than it should be.
    Shape,
    /// Something that was not asked for.
    Foreign,
    /// A bid that is not below the ask: the book cannot be.
    Crossed,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 4;
}

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unreadable {
    /// What kind of trouble it is.
    pub kind: Kind,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads one message of a combined stream: `{"stream":"btcusdt@aggTrade","data":{…}}`.
///
/// # Errors
/// [`Unreadable`], with the field.
pub fn read(text: &str) -> Result<Message, Unreadable> {
    let envelope: Envelope = serde_json::from_str(text).map_err(|error| {
        let kind = if error.classify() == Category::Data { Kind::Shape } else { Kind::Malformed };
        Unreadable { kind, reason: error.to_string() }
    })?;
    match envelope.data {
        Data::Trade(trade) => Ok(Message::Update(trade.fields.update(symbol(&trade.symbol)?))),
        Data::Single(trade) => Ok(Message::Single(Update {
            symbol: symbol(&trade.symbol)?,
            trade_id: None,
            event: MarketEvent::Trade {
                time_ms: trade.time_ms,
                price: trade.price,
                quantity: trade.quantity,
            },
        })),
        Data::Kline(kline) if kline.bar.interval == "1m" => Ok(Message::Update(Update {
            symbol: symbol(&kline.symbol)?,
            trade_id: None,
            event: kline.bar.event(kline.event_time_ms),
        })),
        Data::Kline(kline) => Err(foreign(format!("a kline of {}", kline.bar.interval))),
        Data::Ticker(ticker) => book(Some(ticker.bid), Some(ticker.ask)),
        // Of the differential stream, only some sides of some prices are in a message: it is not a book.
        Data::Depth(_) if envelope.stream.contains("@depth@") => Ok(Message::Book),
        Data::Depth(depth) => book(depth.best_bid(), depth.best_ask()),
        Data::Other => Err(foreign("an event that was not subscribed to".into())),
    }
}

/// A book with this best bid and ask; a side may be empty.
fn book(bid: Option<f64>, ask: Option<f64>) -> Result<Message, Unreadable> {
    match bid.zip(ask) {
        // NaN is below nothing.
        Some((bid, ask)) if bid.partial_cmp(&ask) != Some(Ordering::Less) => {
            let reason = format!("a crossed book: bid {bid}, ask {ask}");
            Err(Unreadable { kind: Kind::Crossed, reason })
        }
        _ => Ok(Message::Book),
    }
}

fn foreign(reason: String) -> Unreadable {
    Unreadable { kind: Kind::Foreign, reason }
}

fn symbol(text: &str) -> Result<Symbol, Unreadable> {
    text.parse().map_err(|_| foreign(format!("the symbol `{text}` is not one")))
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    stream: String,
    data: Data,
}

#[derive(Deserialize)]
#[serde(tag = "e")]
enum Data {
    #[serde(rename = "aggTrade")]
    Trade(StreamedTrade),
    #[serde(rename = "trade")]
    Single(SingleTrade),
    #[serde(rename = "kline")]
    Kline(Kline),
    #[serde(rename = "bookTicker")]
    Ticker(Ticker),
    #[serde(rename = "depthUpdate")]
    Depth(Depth),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct StreamedTrade {
    #[serde(rename = "s")]
    symbol: String,
    #[serde(flatten)]
    fields: AggregateTrade,
}

/// A trade as the stream and the REST interface write it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::market) struct AggregateTrade {
    #[serde(rename = "a")]
    id: u64,
    #[serde(rename = "p", deserialize_with = "number")]
    price: f64,
    #[serde(rename = "q", deserialize_with = "number")]
    quantity: f64,
    #[serde(rename = "T")]
    time_ms: u64,
}

impl AggregateTrade {
    pub(in crate::market) const fn update(&self, symbol: Symbol) -> Update {
        let event = MarketEvent::Trade { time_ms: self.time_ms, price: self.price, quantity: self.quantity };
        Update { symbol, trade_id: Some(self.id), event }
    }
}

#[derive(Deserialize)]
struct SingleTrade {
    #[serde(rename = "s")]
    symbol: String,
    #[serde(rename = "p", deserialize_with = "number")]
    price: f64,
    #[serde(rename = "q", deserialize_with = "number")]
    quantity: f64,
    #[serde(rename = "T")]
    time_ms: u64,
}

/// The best of both sides.
#[derive(Deserialize)]
struct Ticker {
    #[serde(rename = "b", deserialize_with = "number")]
    bid: f64,
    #[serde(rename = "a", deserialize_with = "number")]
    ask: f64,
}

/// Prices and sizes, the best first.
#[derive(Deserialize)]
struct Depth {
    #[serde(rename = "b", default)]
    bids: Vec<Row>,
    #[serde(rename = "a", default)]
    asks: Vec<Row>,
}

/// A price and its size.
#[derive(Deserialize)]
struct Row(#[serde(deserialize_with = "number")] f64, serde::de::IgnoredAny);

impl Depth {
    fn best_bid(&self) -> Option<f64> {
        self.bids.first().map(|row| row.0)
    }

    fn best_ask(&self) -> Option<f64> {
        self.asks.first().map(|row| row.0)
    }
}

#[derive(Deserialize)]
struct Kline {
    #[serde(rename = "E")]
    event_time_ms: u64,
    #[serde(rename = "s")]
    symbol: String,
    #[serde(rename = "k")]
    bar: Bar,
}

#[derive(Deserialize)]
struct Bar {
    #[serde(rename = "t")]
    open_time_ms: u64,
    #[serde(rename = "i")]
    interval: String,
    #[serde(rename = "o", deserialize_with = "number")]
    open: f64,
    #[serde(rename = "h", deserialize_with = "number")]
    high: f64,
    #[serde(rename = "l", deserialize_with = "number")]
    low: f64,
    #[serde(rename = "c", deserialize_with = "number")]
    close: f64,
    #[serde(rename = "v", deserialize_with = "number")]
    volume: f64,
    #[serde(rename = "x")]
    closed: bool,
}

impl Bar {
    const fn event(&self, time_ms: u64) -> MarketEvent {
        let candle = Candle {
            open_time_ms: self.open_time_ms,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
        };
        if self.closed {
            MarketEvent::closed(candle)
        } else {
            MarketEvent::Candle { time_ms, candle, closed: false }
        }
    }
}

/// A number in text, as exchanges write prices so that no digit is lost; a plain number is taken too.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(Number)
}

struct Number;

impl de::Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number in text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53")]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53")]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161256344,"s":"BTCUSDT","a":1,"p":"61800.30","q":"0.205","f":5266583935,"l":5266583936,"T":1723161256322,"m":false,"st":1,"ps":"x"}}"#;
    const KLINE: &str = r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1723161256500,"s":"BTCUSDT","k":{"t":1723161240000,"T":1723161299999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"61800.1","c":"61800.2","h":"61801","l":"61799.9","v":"12.5","n":7,"x":false,"q":"1","V":"1","Q":"1","B":"0"}}}"#;

    fn update(text: &str) -> Update {
        match read(text) {
            Ok(Message::Update(update)) => update,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_trade_and_a_kline_are_read_with_fields_that_nobody_knows() {
        let trade = update(TRADE);
        assert_eq!((trade.symbol.as_str(), trade.trade_id), ("BTCUSDT", Some(1)));
        let expected = MarketEvent::Trade { time_ms: 1_723_161_256_322, price: 61_800.3, quantity: 0.205 };
        assert_eq!(trade.event, expected);
        let kline = update(KLINE);
        let MarketEvent::Candle { time_ms, candle, closed: false } = kline.event else { panic!("{kline:?}") };
        assert_eq!((time_ms, candle.high, candle.volume), (1_723_161_256_500, 61_801.0, 12.5));
        let closed = update(&KLINE.replace("\"x\":false", "\"x\":true"));
        assert_eq!(closed.event, MarketEvent::closed(candle));
    }

    #[test]
    fn a_price_that_cannot_be_is_passed_on_for_the_engine_to_refuse_and_count() {
        for (text, price) in [("0", 0.0), ("-1", -1.0), ("618003.0", 618_003.0)] {
            let update = update(&TRADE.replace("61800.30", text));
            assert_eq!(update.event.time_ms(), 1_723_161_256_322);
            assert!(matches!(update.event, MarketEvent::Trade { price: read, .. } if read == price));
        }
        let update = update(&TRADE.replace("61800.30", "NaN"));
        assert!(matches!(update.event, MarketEvent::Trade { price, .. } if price.is_nan()));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_and_named() {
        let table = [
            ("{\"stream\":".to_owned(), Kind::Malformed, "EOF"),
            (TRADE.replace("\"61800.30\"", "\"six\""), Kind::Shape, "expected a number in text"),
            (TRADE.replace("\"T\":1723161256322,", ""), Kind::Shape, "missing field `T`"),
            ("{\"result\":null,\"id\":1}".to_owned(), Kind::Shape, "missing field `data`"),
            (TRADE.replace("aggTrade\",\"E", "markPriceUpdate\",\"E"), Kind::Foreign, "not subscribed"),
            (KLINE.replace("\"1m\"", "\"5m\""), Kind::Foreign, "a kline of 5m"),
            (TRADE.replace("\"BTCUSDT\"", "\"a b\""), Kind::Foreign, "the symbol `a b`"),
        ];
        for (text, kind, reason) in table {
            let unreadable = read(&text).unwrap_err();
            assert_eq!(unreadable.kind, kind, "{unreadable}");
            assert!(unreadable.reason.contains(reason), "{unreadable}");
        }
    }

    #[test]
    fn a_book_whose_bid_is_not_below_its_ask_is_refused() {
        let ticker = |bid: &str, ask: &str| {
            read(&format!(
                r#"{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","s":"BTCUSDT","b":"{bid}","B":"1","a":"{ask}","A":"1","T":1,"E":1}}}}"#
            ))
        };
        assert_eq!(ticker("61800.2", "61800.3"), Ok(Message::Book));
        for (bid, ask) in [("61800.3", "61800.3"), ("61800.4", "61800.3"), ("NaN", "61800.3")] {
            assert_eq!(ticker(bid, ask).unwrap_err().kind, Kind::Crossed, "{bid} {ask}");
        }
        let depth = |stream: &str| {
            read(&format!(
                r#"{{"stream":"btcusdt@{stream}","data":{{"e":"depthUpdate","s":"BTCUSDT","b":[["2","1"],["1","1"]],"a":[["1.5","1"]]}}}}"#
            ))
        };
        assert_eq!(depth("depth20@100ms").unwrap_err().kind, Kind::Crossed);
        assert_eq!(depth("depth@0ms"), Ok(Message::Book), "differences are no book");
    }
}
