//! What a client can follow: a feed is a symbol and a strategy. None of these types can hold a bad value.

use core::fmt;
use core::str::FromStr;

#[cfg(feature = "messages")]
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Shortest symbol, in characters.
const SYMBOL_MIN: usize = 2;
/// Longest symbol, in characters.
const SYMBOL_MAX: usize = 20;

/// A market symbol such as `BTCUSDT`: 2 to 20 of `A–Z 0–9`. Small and `Copy`: it is a key everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    bytes: [u8; SYMBOL_MAX],
    len: u8,
}

impl Symbol {
    /// The characters of the symbol, all of them ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The symbol as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("a symbol holds only A-Z and 0-9")
    }
}

impl FromStr for Symbol {
    type Err = InvalidSymbol;

    fn from_str(text: &str) -> Result<Self, InvalidSymbol> {
        let valid = (SYMBOL_MIN..=SYMBOL_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !valid {
            return Err(InvalidSymbol);
        }
        let mut bytes = [0; SYMBOL_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).expect("at most SYMBOL_MAX");
        Ok(Self { bytes, len })
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.as_str())
    }
}

#[cfg(feature = "messages")]
impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "messages")]
impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
impl ts_rs::TS for Symbol {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(_: &ts_rs::Config) -> String {
        "string".into()
    }

    fn inline(cfg: &ts_rs::Config) -> String {
        Self::name(cfg)
    }
}

/// The text is not a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSymbol;

impl fmt::Display for InvalidSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a symbol is {SYMBOL_MIN} to {SYMBOL_MAX} characters of A-Z and 0-9")
    }
}

impl core::error::Error for InvalidSymbol {}

/// A strategy that computes signals from a symbol's market data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "messages", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Strategy {
    /// Buys and sells near the edges of the 24-hour range; evaluated every minute.
    #[default]
    RangeTrading,
    /// Follows aligned 1-hour and 4-hour trends; evaluated every minute.
    Momentum,
    /// Mean reversion to a short average; evaluated every 30 seconds.
    Scalp,
}

impl Strategy {
    /// Every strategy, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::RangeTrading, Self::Momentum, Self::Scalp];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RangeTrading => "range_trading",
            Self::Momentum => "momentum",
            Self::Scalp => "scalp",
        }
    }

    /// Data time between two evaluations, in milliseconds.
    #[must_use]
    pub const fn interval_ms(self) -> u64 {
        match self {
            Self::Scalp => 30_000,
            Self::RangeTrading | Self::Momentum => 60_000,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Strategy {
    type Err = InvalidStrategy;

    fn from_str(text: &str) -> Result<Self, InvalidStrategy> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == text).ok_or(InvalidStrategy)
    }
}

/// The text is not the name of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidStrategy;

impl fmt::Display for InvalidStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a strategy is one of range_trading, momentum, scalp")
    }
}

impl core::error::Error for InvalidStrategy {}

/// What a subscription is for: one strategy on one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "messages", derive(Serialize, Deserialize))]
pub struct Feed {
    /// The market.
    pub symbol: Symbol,
    /// What is computed from it.
    pub strategy: Strategy,
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.symbol, self.strategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_holds_only_what_a_symbol_may_hold() {
        for good in ["BTCUSDT", "1000PEPEUSDT", "AB", "A2345678901234567890"] {
            assert_eq!(good.parse::<Symbol>().unwrap().as_str(), good);
        }
        for bad in
            ["", "A", "btcusdt", "BTC-USDT", "ВТCUSDT", "BTCUSDT\0", "../ETC", "*", "A23456789012345678901"]
        {
            assert_eq!(bad.parse::<Symbol>(), Err(InvalidSymbol), "{bad:?}");
        }
    }

    #[test]
    fn a_strategy_name_is_the_same_in_text_and_in_json() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.as_str().parse(), Ok(strategy));
            assert_eq!(serde_json::to_value(strategy).unwrap(), strategy.as_str());
        }
        assert_eq!("Scalp".parse::<Strategy>(), Err(InvalidStrategy));
    }
}
