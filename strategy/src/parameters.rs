//! Every threshold of every strategy, with its default and its bounds. Plain numbers: reading them from a file
//! is the server's business. What each one does: `docs/strategies.md`.

mod settings;

pub use settings::InvalidParameter;

/// The settings of one symbol's engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// What counts as live data.
    pub data: DataParameters,
    /// Sweeps, gaps and the volume profile, shared by the strategies.
    pub detectors: DetectorParameters,
    /// The `scalp` strategy.
    pub scalp: ScalpParameters,
    /// The `momentum` strategy.
    pub momentum: MomentumParameters,
    /// The `range_trading` strategy.
    pub range: RangeParameters,
}

/// What a minute means in which nothing arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuietMinutes {
    /// Nothing was traded: the candle is flat. For sources that deliver every trade (simulator, files).
    #[default]
    Flat,
    /// Something may have been lost: later events are refused as a gap until closed candles fill it, and
    /// signals are NEUTRAL meanwhile. For an exchange behind a network. A minute also waits for its closed
    /// candle ([`DataParameters::close_wait_ms`]) even if only trades were seen in it.
    Refill,
}

/// What counts as live data.
#[derive(Clone, Debug, PartialEq)]
pub struct DataParameters {
    /// Age of the last event above which signals are NEUTRAL, in milliseconds.
    pub stale_after_ms: u64,
    /// How long after a minute its closed candle is awaited, in milliseconds, below 30,000.
    pub close_wait_ms: u64,
    /// What a minute means in which nothing arrived.
    pub quiet_minutes: QuietMinutes,
    /// Largest change from the last price that is believed, in percent of the smaller of the two. A price
    /// farther away is refused unless the last one is more than an hour old.
    pub jump_max_percent: f64,
}

impl Default for DataParameters {
    fn default() -> Self {
        Self {
            stale_after_ms: 10_000,
            close_wait_ms: 2_000,
            quiet_minutes: QuietMinutes::Flat,
            jump_max_percent: 100.0,
        }
    }
}

/// Sweeps, gaps and the volume profile.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorParameters {
    /// Candles before a sweep whose extreme it takes out.
    pub sweep_lookback: usize,
    /// Candles before a sweep whose mean volume it is compared with.
    pub sweep_volume_candles: usize,
    /// Least volume of a sweep, as a multiple of that mean.
    pub sweep_volume_factor: f64,
    /// Least wick of a sweep, as a multiple of its body.
    pub sweep_wick_factor: f64,
    /// Least size of a fair value gap, in percent of the close.
    pub gap_min_percent: f64,
    /// Rows of the volume profile between the low and the high of 24 hours.
    pub profile_rows: usize,
    /// Share of the volume inside the value area, in percent.
    pub value_area_percent: f64,
}

impl Default for DetectorParameters {
    fn default() -> Self {
        Self {
            sweep_lookback: 30,
            sweep_volume_candles: 20,
            sweep_volume_factor: 1.5,
            sweep_wick_factor: 1.5,
            gap_min_percent: 0.02,
            profile_rows: 50,
            value_area_percent: 70.0,
        }
    }
}

/// The `scalp` strategy: mean reversion to a short average.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalpParameters {
    /// Period of the average, in one-minute candles.
    pub ema_period: usize,
    /// Distance from the average that makes a signal, in percent.
    pub threshold_percent: f64,
    /// Candles of the short range, the running one included.
    pub range_candles: usize,
    /// Distance of the entry from the price, in percent.
    pub offset_percent: f64,
    /// Distance of the target from the price, in percent.
    pub target_percent: f64,
    /// Distance of the stop from the price, in percent; more than the offset.
    pub stop_percent: f64,
    /// Part of the range, 0 to 1, in which confidence is high.
    pub extreme: f64,
    /// Distance from the average from which confidence is at least medium, in percent.
    pub strong_percent: f64,
    /// Expected holding time, in minutes.
    pub hold_minutes: u32,
    /// Closed candles before the first signal.
    pub candles_needed: usize,
}

impl Default for ScalpParameters {
    fn default() -> Self {
        Self {
            ema_period: 5,
            threshold_percent: 0.02,
            range_candles: 5,
            offset_percent: 0.02,
            target_percent: 0.15,
            stop_percent: 0.10,
            extreme: 0.30,
            strong_percent: 0.05,
            hold_minutes: 2,
            candles_needed: 5,
        }
    }
}

/// The `momentum` strategy: entries in the direction of aligned trends.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentumParameters {
    /// Change over 60 minutes that makes a trend, in percent.
    pub trend_1h_percent: f64,
    /// Change over 240 minutes that makes a trend, in percent.
    pub trend_4h_percent: f64,
    /// Distance of the entry from the price, in percent.
    pub offset_percent: f64,
    /// Distance of the target from the price, in percent.
    pub target_percent: f64,
    /// Distance of the stop from the price, in percent; more than the offset.
    pub stop_percent: f64,
    /// Least number of the seven layers for a signal.
    pub score_min: u32,
    /// Candles for which a sweep is remembered.
    pub sweep_memory: usize,
    /// Age up to which a gap may be filling, in minutes.
    pub gap_age_minutes: u64,
    /// Candles within which a pullback must have touched the average.
    pub pullback_candles: usize,
    /// Period of that average, in one-minute candles.
    pub pullback_ema_period: usize,
    /// Distance that counts as a touch, in percent.
    pub pullback_percent: f64,
    /// RSI below which a SHORT is blocked.
    pub rsi_oversold: f64,
    /// Lower end of the RSI band of a LONG.
    pub rsi_long_min: f64,
    /// Upper end of the RSI band of a SHORT.
    pub rsi_short_max: f64,
    /// RSI above which a LONG is blocked.
    pub rsi_overbought: f64,
    /// MACD histogram that counts as strong, in percent of the price.
    pub strong_macd_percent: f64,
    /// ADX from which the market trends.
    pub adx_min: f64,
    /// Closed candles before the first signal.
    pub candles_needed: usize,
}

impl Default for MomentumParameters {
    fn default() -> Self {
        Self {
            trend_1h_percent: 0.25,
            trend_4h_percent: 0.50,
            offset_percent: 0.02,
            target_percent: 0.08,
            stop_percent: 0.20,
            score_min: 5,
            sweep_memory: 30,
            gap_age_minutes: 120,
            pullback_candles: 5,
            pullback_ema_period: 21,
            pullback_percent: 0.05,
            rsi_oversold: 30.0,
            rsi_long_min: 40.0,
            rsi_short_max: 60.0,
            rsi_overbought: 70.0,
            strong_macd_percent: 0.005,
            adx_min: 25.0,
            candles_needed: 480,
        }
    }
}

/// The `range_trading` strategy: entries at the edges of the 24-hour range.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeParameters {
    /// Part of the 24-hour range at either edge that is an entry zone, 0 to 0.5.
    pub zone: f64,
    /// The same when the price is in [`Self::zone`] of the 1-hour and the 4-hour range.
    pub zone_aligned: f64,
    /// Change over 60 minutes above which the strategy pauses, in percent.
    pub trend_max_percent: f64,
    /// Size of the 1-hour range above which the strategy pauses, in percent.
    pub volatility_max_percent: f64,
    /// Size of the 24-hour range above which the strategy pauses, in percent.
    pub size_max_percent: f64,
    /// Last minutes that are left out of the range that a breakout leaves.
    pub breakout_excluded_minutes: usize,
    /// Least number of the six layers for a signal.
    pub score_min: u32,
    /// Least reward for the risk.
    pub risk_reward_min: f64,
    /// Distance from the price within which a level can be the entry, in percent.
    pub tolerance_percent: f64,
    /// Distance of the entry from the price without such a level, in percent.
    pub offset_percent: f64,
    /// Distance within which the point of control counts, in percent.
    pub poc_near_percent: f64,
    /// Distance within which the edge of the value area counts, in percent.
    pub value_area_near_percent: f64,
    /// ADX below which the market moves sideways.
    pub adx_max: f64,
    /// Candles for which a sweep is remembered.
    pub sweep_memory: usize,
    /// Age up to which a gap may be filling, in minutes.
    pub gap_age_minutes: u64,
    /// Least distance of the stop from the entry, in percent.
    pub stop_min_percent: f64,
    /// Largest distance of the stop from the entry, in percent.
    pub stop_max_percent: f64,
    /// Distance of the stop beyond the 4-hour extreme, in percent.
    pub stop_beyond_percent: f64,
    /// Closed candles before the first signal; at least the 1,440 of the range.
    pub candles_needed: usize,
}

impl Default for RangeParameters {
    fn default() -> Self {
        Self {
            zone: 0.20,
            zone_aligned: 0.25,
            trend_max_percent: 1.0,
            volatility_max_percent: 3.0,
            size_max_percent: 5.0,
            breakout_excluded_minutes: 15,
            score_min: 3,
            risk_reward_min: 1.5,
            tolerance_percent: 0.3,
            offset_percent: 0.02,
            poc_near_percent: 0.3,
            value_area_near_percent: 0.2,
            adx_max: 25.0,
            sweep_memory: 15,
            gap_age_minutes: 120,
            stop_min_percent: 0.1,
            stop_max_percent: 0.5,
            stop_beyond_percent: 0.05,
            candles_needed: 1440,
        }
    }
}
