//! The three signal messages and their payloads, field by field as on the wire.
//!
//! Prices are in the quote currency, rounded to the symbol's tick size; percentages are in percent (0.15 is
//! 0.15 %); timestamps are ISO 8601 UTC with `Z`. How each number is computed: `docs/strategies.md`.

use serde::{Deserialize, Serialize};

use crate::{Strategy, Symbol};

/// What a signal advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "UPPERCASE")]
pub enum Side {
    /// Buy first, sell later.
    Long,
    /// Sell first, buy back later.
    Short,
    /// Stay out.
    Neutral,
}

impl Side {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Long => "LONG",
            Self::Short => "SHORT",
            Self::Neutral => "NEUTRAL",
        }
    }
}

/// How much speaks for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Most of what can speak for it does.
    High,
    /// Some of it does.
    Medium,
    /// Little of it does; always so when NEUTRAL.
    Low,
}

/// Direction of a price over some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "UPPERCASE")]
pub enum Trend {
    /// Rising by more than the threshold.
    Up,
    /// Falling by more than the threshold.
    Down,
    /// Neither.
    Neutral,
}

impl Trend {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::Neutral => "NEUTRAL",
        }
    }
}

/// Whether the 1-hour and 4-hour trends agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "UPPERCASE")]
pub enum TrendAlignment {
    /// Both point the same way.
    Aligned,
    /// They point in opposite ways.
    Conflicted,
    /// At least one points nowhere.
    Neutral,
}

/// The kind of order that an entry suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderType {
    /// A limit order.
    Limit,
}

/// A `scalp` signal, sent every 30 seconds, also when NEUTRAL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ScalpMessage {
    /// The market.
    pub symbol: Symbol,
    /// Always `scalp`.
    pub strategy: Strategy,
    /// The evaluation instant in Unix milliseconds; strictly increasing per feed.
    pub seq: u64,
    /// The `seq` of the signal before this one on the feed; 0 for the first.
    pub prev: u64,
    /// The signal.
    pub data: ScalpIndicator,
}

/// What the `scalp` strategy says at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ScalpIndicator {
    /// The market.
    pub symbol: Symbol,
    /// The evaluation instant, whole seconds.
    pub timestamp: String,
    /// Price of the last trade.
    pub current_price: f64,
    /// EMA(5) of one-minute closes, the running minute included.
    pub ema_1min: f64,
    /// What to do.
    pub side: Side,
    /// Where to enter; 0 if NEUTRAL.
    pub limit_price: f64,
    /// Where to take the profit; 0 if NEUTRAL.
    pub tp_price: f64,
    /// Where to stop the loss; 0 if NEUTRAL.
    pub sl_price: f64,
    /// Distance of the target from the current price, in percent.
    pub tp_percent: f64,
    /// Distance of the stop from the current price, in percent.
    pub sl_percent: f64,
    /// How much speaks for it.
    pub confidence: Confidence,
    /// Why, in words.
    pub reasoning: String,
    /// How long such a position is expected to be held, in minutes.
    pub expected_hold_minutes: u32,
    /// Highest price of the last five minutes.
    pub range_high_5min: f64,
    /// Lowest price of the last five minutes.
    pub range_low_5min: f64,
    /// Where the price stands in that range: 0 at the low, 1 at the high.
    pub position_in_range: f64,
}

/// A `momentum` signal, sent every minute, also when NEUTRAL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MomentumMessage {
    /// The market.
    pub symbol: Symbol,
    /// Always `momentum`.
    pub strategy: Strategy,
    /// The evaluation instant in Unix milliseconds; strictly increasing per feed.
    pub seq: u64,
    /// The `seq` of the signal before this one on the feed; 0 for the first.
    pub prev: u64,
    /// The signal.
    pub data: MomentumIndicator,
}

/// What the `momentum` strategy says at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MomentumIndicator {
    /// The market.
    pub symbol: Symbol,
    /// The evaluation instant, whole seconds.
    pub timestamp: String,
    /// Price of the last trade.
    pub current_price: f64,
    /// Direction over 60 minutes.
    pub trend_1h: Trend,
    /// Direction over 240 minutes.
    pub trend_4h: Trend,
    /// Whether the two agree.
    pub trend_alignment: TrendAlignment,
    /// Mean of the absolute changes over 60 and 240 minutes, in percent.
    pub trend_strength: f64,
    /// Histogram of MACD(12, 26, 9) on one-minute closes.
    pub macd: f64,
    /// Wilder's RSI(14) on one-minute closes, 0 to 100.
    pub rsi: f64,
    /// What to do.
    pub side: Side,
    /// Where to enter; 0 if NEUTRAL.
    pub limit_price: f64,
    /// Where to take the profit; 0 if NEUTRAL.
    pub tp_price: f64,
    /// Where to stop the loss; 0 if NEUTRAL.
    pub sl_price: f64,
    /// Distance of the target from the current price, in percent.
    pub tp_percent: f64,
    /// Distance of the stop from the current price, in percent.
    pub sl_percent: f64,
    /// How much speaks for it.
    pub confidence: Confidence,
    /// Number of the seven layers that speak for it.
    pub confluence_score: u32,
    /// Why, in words.
    pub reasoning: String,
    /// How long such a position is expected to be held, in minutes.
    pub expected_hold_minutes: u32,
}

/// A `range_trading` signal: sent every minute while LONG or SHORT, and once when it turns NEUTRAL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RangeTradingMessage {
    /// The market.
    pub symbol: Symbol,
    /// Always `range_trading`.
    pub strategy: Strategy,
    /// The evaluation instant in Unix milliseconds; strictly increasing per feed.
    pub seq: u64,
    /// The `seq` of the signal before this one on the feed; 0 for the first.
    pub prev: u64,
    /// The signal.
    pub payload: RangePayload,
}

/// What the `range_trading` strategy says at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RangePayload {
    /// What to do and why.
    pub summary: RangeSummary,
    /// The evaluation instant, whole seconds.
    pub timestamp: String,
    /// The market.
    pub symbol: Symbol,
    /// The range of the last 60 minutes.
    pub range_1h: RangeWindow,
    /// The range of the last 240 minutes.
    pub range_4h: RangeWindow,
    /// The range of the last 1,440 minutes.
    pub range_24h: RangeWindow,
    /// Where volume was traded; only in an entry zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub volume_profile: Option<VolumeProfile>,
    /// Levels that price may turn at, strongest first; only in an entry zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub key_levels: Option<Vec<KeyLevel>>,
    /// Where to take the profit; only with LONG or SHORT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub tp_price: Option<f64>,
    /// Where to stop the loss; only with LONG or SHORT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub sl_price: Option<f64>,
    /// Profit at the target over loss at the stop; only with LONG or SHORT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub risk_reward: Option<f64>,
    /// Number of the six layers that speak for it; only in an entry zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub confluence_score: Option<u32>,
    /// The 24-hour range once more, with the current price.
    pub range_data: RangeData,
}

/// The short form of a `range_trading` signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RangeSummary {
    /// The order that the signal suggests.
    pub entry: Entry,
    /// How much speaks for it.
    pub severity: Confidence,
    /// Whether the side differs from that of the evaluation before.
    pub sentiment_change: bool,
}

/// An order that a signal suggests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Entry {
    /// Where to enter, as text; `"0"` if NEUTRAL.
    pub price: String,
    /// What to do.
    pub side: Side,
    /// The kind of order.
    pub order_type: OrderType,
    /// How far from the price an entry may lie, in percent; 0 if NEUTRAL.
    pub tolerance_percent: f64,
    /// Why, in words.
    pub reasoning: String,
}

/// High and low over some time, and where the price stands between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RangeWindow {
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// High minus low.
    pub size: f64,
    /// Size in percent of the low.
    pub size_percent: f64,
    /// Where the price stands: 0 at the low, 1 at the high.
    pub position_in_range: f64,
}

/// Where volume was traded during the last 24 hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct VolumeProfile {
    /// Point of control: the price with the most volume.
    pub poc: f64,
    /// Upper edge of the area that holds 70 % of the volume.
    pub value_area_high: f64,
    /// Lower edge of that area.
    pub value_area_low: f64,
    /// Prices with much volume, ascending.
    pub high_volume_nodes: Vec<f64>,
    /// Prices with little volume, ascending.
    pub low_volume_nodes: Vec<f64>,
}

/// A price at which the market may turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KeyLevel {
    /// The price.
    pub price: f64,
    /// What it is to the current price.
    #[serde(rename = "type")]
    pub kind: KeyLevelKind,
    /// From 1 (weak) to 5 (strong).
    pub strength: u32,
    /// Distance from the current price, in percent of it; negative below.
    pub distance: f64,
    /// Where the level comes from, for example `value_area_low`.
    pub source: String,
}

/// What a key level is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum KeyLevelKind {
    /// At or below the price.
    Support,
    /// Above the price.
    Resistance,
    /// The point of control of the volume profile.
    Poc,
    /// The near edge of a fair value gap.
    Gap,
}

/// The 24-hour range with the current price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RangeData {
    /// Highest price of 24 hours.
    pub daily_high: f64,
    /// Lowest price of 24 hours.
    pub daily_low: f64,
    /// High minus low.
    pub range_size: f64,
    /// Where the price stands: 0 at the low, 1 at the high.
    pub position_in_range: f64,
    /// Price of the last trade.
    pub current_price: f64,
}
