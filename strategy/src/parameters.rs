//! Every threshold of every strategy, with its default and its bounds. Plain numbers: reading them from a file
//! is the server's business. What each one does: `docs/strategies.md`.

use std::fmt;

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

/// A setting that no engine can run with.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidParameter {
    /// The setting, for example `scalp.ema_period`.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// The least value it may have.
    pub min: f64,
    /// The largest value it may have.
    pub max: f64,
}

impl fmt::Display for InvalidParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, min, max } = self;
        write!(f, "{name} is {value}, but must be between {min} and {max}")
    }
}

impl std::error::Error for InvalidParameter {}

impl Parameters {
    /// Whether an engine can run with these settings.
    ///
    /// # Errors
    ///
    /// The first setting that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidParameter> {
        self.data.check()?;
        self.detectors.check()?;
        self.scalp.check()?;
        self.momentum.check()?;
        self.range.check()
    }
}

impl DataParameters {
    fn check(&self) -> Result<(), InvalidParameter> {
        within("data.stale_after_ms", self.stale_after_ms as f64, 1.0, DAY_MS)?;
        within("data.close_wait_ms", self.close_wait_ms as f64, 0.0, 29_999.0)?;
        within("data.jump_max_percent", self.jump_max_percent, TINY, 1e9)
    }
}

impl DetectorParameters {
    fn check(&self) -> Result<(), InvalidParameter> {
        count("detectors.sweep_lookback", self.sweep_lookback)?;
        count("detectors.sweep_volume_candles", self.sweep_volume_candles)?;
        within("detectors.sweep_volume_factor", self.sweep_volume_factor, 0.0, 1e6)?;
        within("detectors.sweep_wick_factor", self.sweep_wick_factor, 0.0, 1e6)?;
        percent("detectors.gap_min_percent", self.gap_min_percent)?;
        within("detectors.profile_rows", self.profile_rows as f64, 5.0, 1000.0)?;
        within("detectors.value_area_percent", self.value_area_percent, 1.0, 100.0)
    }
}

impl ScalpParameters {
    fn check(&self) -> Result<(), InvalidParameter> {
        count("scalp.ema_period", self.ema_period)?;
        within("scalp.threshold_percent", self.threshold_percent, TINY, 50.0)?;
        count("scalp.range_candles", self.range_candles)?;
        percent("scalp.offset_percent", self.offset_percent)?;
        within("scalp.target_percent", self.target_percent, TINY, 50.0)?;
        within("scalp.stop_percent", self.stop_percent, self.offset_percent + TINY, 50.0)?;
        within("scalp.extreme", self.extreme, 0.0, 0.5)?;
        percent("scalp.strong_percent", self.strong_percent)?;
        count("scalp.candles_needed", self.candles_needed)
    }
}

impl MomentumParameters {
    fn check(&self) -> Result<(), InvalidParameter> {
        within("momentum.trend_1h_percent", self.trend_1h_percent, TINY, 50.0)?;
        within("momentum.trend_4h_percent", self.trend_4h_percent, TINY, 50.0)?;
        percent("momentum.offset_percent", self.offset_percent)?;
        within("momentum.target_percent", self.target_percent, TINY, 50.0)?;
        within("momentum.stop_percent", self.stop_percent, self.offset_percent + TINY, 50.0)?;
        within("momentum.score_min", f64::from(self.score_min), 1.0, 7.0)?;
        count("momentum.sweep_memory", self.sweep_memory)?;
        within("momentum.gap_age_minutes", self.gap_age_minutes as f64, 1.0, GAP_AGE_MAX)?;
        count("momentum.pullback_candles", self.pullback_candles)?;
        count("momentum.pullback_ema_period", self.pullback_ema_period)?;
        percent("momentum.pullback_percent", self.pullback_percent)?;
        within("momentum.rsi_oversold", self.rsi_oversold, 0.0, 100.0)?;
        within("momentum.rsi_long_min", self.rsi_long_min, 0.0, 100.0)?;
        within("momentum.rsi_short_max", self.rsi_short_max, 0.0, 100.0)?;
        within("momentum.rsi_overbought", self.rsi_overbought, 0.0, 100.0)?;
        percent("momentum.strong_macd_percent", self.strong_macd_percent)?;
        within("momentum.adx_min", self.adx_min, 0.0, 100.0)?;
        // Without 241 candles there is no 4-hour trend to follow.
        within("momentum.candles_needed", self.candles_needed as f64, 241.0, WINDOW_MAX)
    }
}

impl RangeParameters {
    fn check(&self) -> Result<(), InvalidParameter> {
        within("range.zone", self.zone, 0.0, 0.49)?;
        within("range.zone_aligned", self.zone_aligned, self.zone, 0.49)?;
        within("range.trend_max_percent", self.trend_max_percent, TINY, 100.0)?;
        within("range.volatility_max_percent", self.volatility_max_percent, TINY, 100.0)?;
        within("range.size_max_percent", self.size_max_percent, TINY, 100.0)?;
        within("range.breakout_excluded_minutes", self.breakout_excluded_minutes as f64, 1.0, 1439.0)?;
        within("range.score_min", f64::from(self.score_min), 0.0, 6.0)?;
        within("range.risk_reward_min", self.risk_reward_min, 0.0, 100.0)?;
        percent("range.tolerance_percent", self.tolerance_percent)?;
        percent("range.offset_percent", self.offset_percent)?;
        percent("range.poc_near_percent", self.poc_near_percent)?;
        percent("range.value_area_near_percent", self.value_area_near_percent)?;
        within("range.adx_max", self.adx_max, 0.0, 100.0)?;
        count("range.sweep_memory", self.sweep_memory)?;
        within("range.gap_age_minutes", self.gap_age_minutes as f64, 1.0, GAP_AGE_MAX)?;
        within("range.stop_min_percent", self.stop_min_percent, TINY, 50.0)?;
        within("range.stop_max_percent", self.stop_max_percent, self.stop_min_percent, 50.0)?;
        percent("range.stop_beyond_percent", self.stop_beyond_percent)?;
        within("range.candles_needed", self.candles_needed as f64, 1440.0, WINDOW_MAX)
    }
}

/// The smallest distance in percent that is not nothing.
const TINY: f64 = 1e-6;
/// The longest window of candles: a day of minutes and an hour.
const WINDOW_MAX: f64 = 1500.0;
/// Gaps are remembered for a day at most.
const GAP_AGE_MAX: f64 = 1440.0;
const DAY_MS: f64 = 86_400_000.0;

fn count(name: &'static str, value: usize) -> Result<(), InvalidParameter> {
    within(name, value as f64, 1.0, WINDOW_MAX)
}

fn percent(name: &'static str, value: f64) -> Result<(), InvalidParameter> {
    within(name, value, 0.0, 50.0)
}

/// NaN is within no bounds.
fn within(name: &'static str, value: f64, min: f64, max: f64) -> Result<(), InvalidParameter> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(InvalidParameter { name, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_run() {
        assert_eq!(Parameters::default().check(), Ok(()));
    }

    #[test]
    fn a_setting_out_of_bounds_is_named_with_its_bounds() {
        let mut parameters = Parameters::default();
        parameters.scalp.stop_percent = 0.01;
        let text = parameters.check().unwrap_err().to_string();
        assert_eq!(text, "scalp.stop_percent is 0.01, but must be between 0.020001 and 50");
        parameters.scalp.stop_percent = f64::NAN;
        assert_eq!(parameters.check().unwrap_err().name, "scalp.stop_percent");
    }
}
