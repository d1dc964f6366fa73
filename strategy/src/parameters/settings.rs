//! Every setting by name, with its bounds: what a configuration file speaks to.

use std::fmt;

use super::{
    DataParameters, DetectorParameters, MomentumParameters, Parameters, RangeParameters, ScalpParameters,
};

/// A setting that cannot be made, or with which no engine can run.
#[derive(Clone, Debug, PartialEq)]
pub enum InvalidParameter {
    /// There is no setting of this name.
    Unknown {
        /// The name.
        name: String,
    },
    /// The value is out of bounds.
    Bounds {
        /// The setting, for example `scalp.ema_period`.
        name: &'static str,
        /// The value.
        value: f64,
        /// The least value it may have.
        min: f64,
        /// The largest value it may have.
        max: f64,
    },
    /// The value must be a whole number.
    Fraction {
        /// The setting.
        name: &'static str,
        /// The value.
        value: f64,
    },
}

impl fmt::Display for InvalidParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                write!(f, "there is no setting {name}: see docs/strategies.md for the list")
            }
            Self::Bounds { name, value, min, max } => {
                write!(f, "{name} is {value}, but must be between {min} and {max}")
            }
            Self::Fraction { name, value } => write!(f, "{name} is {value}, but must be a whole number"),
        }
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
        self.clone().each().iter().try_for_each(Setting::check)
    }

    /// Every setting that is a number, by name, for example `("scalp.ema_period", 5.0)`.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        self.clone().each().iter().map(|setting| (setting.name, setting.value.get())).collect()
    }

    /// Changes one setting.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] if there is no such setting, or no engine can run with the value; nothing has changed
    /// then.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), InvalidParameter> {
        self.set_all([(name, value)])
    }

    /// Changes several settings at once: the bounds of one may depend on another.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] as for [`Self::set`]; nothing has changed then.
    pub fn set_all<'a>(
        &mut self,
        settings: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), InvalidParameter> {
        let mut changed = self.clone();
        for (name, value) in settings {
            changed.write(name, value)?;
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Writes one setting, whatever its bounds.
    fn write(&mut self, name: &str, value: f64) -> Result<(), InvalidParameter> {
        let setting = self.each().into_iter().find(|setting| setting.name == name);
        let setting = setting.ok_or_else(|| InvalidParameter::Unknown { name: name.into() })?;
        let name = setting.name;
        if setting.value.set(value) { Ok(()) } else { Err(InvalidParameter::Fraction { name, value }) }
    }

    fn each(&mut self) -> Vec<Setting<'_>> {
        let Self { data, detectors, scalp, momentum, range } = self;
        let parts = [data.each(), detectors.each(), scalp.each(), momentum.each(), range.each()];
        parts.into_iter().flatten().collect()
    }
}

/// One setting of some parameters.
struct Setting<'a> {
    name: &'static str,
    value: &'a mut dyn Number,
    min: f64,
    max: f64,
}

impl Setting<'_> {
    /// NaN is within no bounds.
    fn check(&self) -> Result<(), InvalidParameter> {
        let &Self { name, min, max, .. } = self;
        let value = self.value.get();
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(InvalidParameter::Bounds { name, value, min, max })
        }
    }
}

/// A setting's value, whatever its type.
trait Number {
    fn get(&self) -> f64;
    /// Whether the value is one of the type.
    fn set(&mut self, value: f64) -> bool;
}

impl Number for f64 {
    fn get(&self) -> f64 {
        *self
    }

    fn set(&mut self, value: f64) -> bool {
        *self = value;
        true
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn get(&self) -> f64 {
                *self as f64
            }

            fn set(&mut self, value: f64) -> bool {
                *self = value as $type;
                self.get() == value
            }
        }
    )*};
}

whole_number!(usize, u32, u64);

impl DataParameters {
    fn each(&mut self) -> Vec<Setting<'_>> {
        vec![
            setting("data.stale_after_ms", &mut self.stale_after_ms, 1.0, DAY_MS),
            setting("data.close_wait_ms", &mut self.close_wait_ms, 0.0, 29_999.0),
            setting("data.jump_max_percent", &mut self.jump_max_percent, TINY, 1e9),
        ]
    }
}

impl DetectorParameters {
    fn each(&mut self) -> Vec<Setting<'_>> {
        vec![
            setting("detectors.sweep_lookback", &mut self.sweep_lookback, 1.0, WINDOW_MAX),
            setting("detectors.sweep_volume_candles", &mut self.sweep_volume_candles, 1.0, WINDOW_MAX),
            setting("detectors.sweep_volume_factor", &mut self.sweep_volume_factor, 0.0, 1e6),
            setting("detectors.sweep_wick_factor", &mut self.sweep_wick_factor, 0.0, 1e6),
            setting("detectors.gap_min_percent", &mut self.gap_min_percent, 0.0, FAR),
            setting("detectors.profile_rows", &mut self.profile_rows, 5.0, 1000.0),
            setting("detectors.value_area_percent", &mut self.value_area_percent, 1.0, 100.0),
        ]
    }
}

impl ScalpParameters {
    fn each(&mut self) -> Vec<Setting<'_>> {
        // Entry and stop lie on the same side of the price, the stop farther out.
        let stop_min = self.offset_percent + TINY;
        vec![
            setting("scalp.ema_period", &mut self.ema_period, 1.0, WINDOW_MAX),
            setting("scalp.threshold_percent", &mut self.threshold_percent, TINY, FAR),
            setting("scalp.range_candles", &mut self.range_candles, 1.0, WINDOW_MAX),
            setting("scalp.offset_percent", &mut self.offset_percent, 0.0, FAR),
            setting("scalp.target_percent", &mut self.target_percent, TINY, FAR),
            setting("scalp.stop_percent", &mut self.stop_percent, stop_min, FAR),
            setting("scalp.extreme", &mut self.extreme, 0.0, 0.5),
            setting("scalp.strong_percent", &mut self.strong_percent, 0.0, FAR),
            setting("scalp.hold_minutes", &mut self.hold_minutes, 1.0, WINDOW_MAX),
            setting("scalp.candles_needed", &mut self.candles_needed, 1.0, WINDOW_MAX),
        ]
    }
}

impl MomentumParameters {
    fn each(&mut self) -> Vec<Setting<'_>> {
        let stop_min = self.offset_percent + TINY;
        vec![
            setting("momentum.trend_1h_percent", &mut self.trend_1h_percent, TINY, FAR),
            setting("momentum.trend_4h_percent", &mut self.trend_4h_percent, TINY, FAR),
            setting("momentum.offset_percent", &mut self.offset_percent, 0.0, FAR),
            setting("momentum.target_percent", &mut self.target_percent, TINY, FAR),
            setting("momentum.stop_percent", &mut self.stop_percent, stop_min, FAR),
            setting("momentum.score_min", &mut self.score_min, 1.0, 7.0),
            setting("momentum.sweep_memory", &mut self.sweep_memory, 1.0, WINDOW_MAX),
            setting("momentum.gap_age_minutes", &mut self.gap_age_minutes, 1.0, GAP_AGE_MAX),
            setting("momentum.pullback_candles", &mut self.pullback_candles, 1.0, WINDOW_MAX),
            setting("momentum.pullback_ema_period", &mut self.pullback_ema_period, 1.0, WINDOW_MAX),
            setting("momentum.pullback_percent", &mut self.pullback_percent, 0.0, FAR),
            setting("momentum.rsi_oversold", &mut self.rsi_oversold, 0.0, 100.0),
            setting("momentum.rsi_long_min", &mut self.rsi_long_min, 0.0, 100.0),
            setting("momentum.rsi_short_max", &mut self.rsi_short_max, 0.0, 100.0),
            setting("momentum.rsi_overbought", &mut self.rsi_overbought, 0.0, 100.0),
            setting("momentum.strong_macd_percent", &mut self.strong_macd_percent, 0.0, FAR),
            setting("momentum.adx_min", &mut self.adx_min, 0.0, 100.0),
            // Without 241 candles there is no 4-hour trend to follow.
            setting("momentum.candles_needed", &mut self.candles_needed, 241.0, WINDOW_MAX),
        ]
    }
}

impl RangeParameters {
    fn each(&mut self) -> Vec<Setting<'_>> {
        let (zone, stop_min) = (self.zone, self.stop_min_percent);
        vec![
            setting("range.zone", &mut self.zone, 0.0, 0.49),
            setting("range.zone_aligned", &mut self.zone_aligned, zone, 0.49),
            setting("range.trend_max_percent", &mut self.trend_max_percent, TINY, 100.0),
            setting("range.volatility_max_percent", &mut self.volatility_max_percent, TINY, 100.0),
            setting("range.size_max_percent", &mut self.size_max_percent, TINY, 100.0),
            setting("range.breakout_excluded_minutes", &mut self.breakout_excluded_minutes, 1.0, 1439.0),
            setting("range.score_min", &mut self.score_min, 0.0, 6.0),
            setting("range.risk_reward_min", &mut self.risk_reward_min, 0.0, 100.0),
            setting("range.tolerance_percent", &mut self.tolerance_percent, 0.0, FAR),
            setting("range.offset_percent", &mut self.offset_percent, 0.0, FAR),
            setting("range.poc_near_percent", &mut self.poc_near_percent, 0.0, FAR),
            setting("range.value_area_near_percent", &mut self.value_area_near_percent, 0.0, FAR),
            setting("range.adx_max", &mut self.adx_max, 0.0, 100.0),
            setting("range.sweep_memory", &mut self.sweep_memory, 1.0, WINDOW_MAX),
            setting("range.gap_age_minutes", &mut self.gap_age_minutes, 1.0, GAP_AGE_MAX),
            setting("range.stop_min_percent", &mut self.stop_min_percent, TINY, FAR),
            setting("range.stop_max_percent", &mut self.stop_max_percent, stop_min, FAR),
            setting("range.stop_beyond_percent", &mut self.stop_beyond_percent, 0.0, FAR),
            // The range is that of a day.
            setting("range.candles_needed", &mut self.candles_needed, 1440.0, WINDOW_MAX),
        ]
    }
}

const fn setting<'a>(name: &'static str, value: &'a mut dyn Number, min: f64, max: f64) -> Setting<'a> {
    Setting { name, value, min, max }
}

/// The smallest distance in percent that is not nothing.
const TINY: f64 = 1e-6;
/// The largest distance in percent.
const FAR: f64 = 50.0;
/// The longest window of candles: a day of minutes and an hour, as much as an engine remembers.
const WINDOW_MAX: f64 = 1500.0;
/// Gaps are remembered for a day at most.
const GAP_AGE_MAX: f64 = 1440.0;
const DAY_MS: f64 = 86_400_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_run() {
        assert_eq!(Parameters::default().check(), Ok(()));
    }

    #[test]
    fn every_setting_can_be_read_and_written_by_name() {
        let mut parameters = Parameters::default();
        for (name, value) in parameters.settings() {
            assert_eq!(parameters.set(name, value), Ok(()), "{name}");
        }
        assert_eq!(parameters, Parameters::default());
        parameters.set("scalp.ema_period", 9.0).unwrap();
        parameters.set("range.zone", 0.1).unwrap();
        assert_eq!((parameters.scalp.ema_period, parameters.range.zone), (9, 0.1));
    }

    #[test]
    fn a_setting_that_cannot_be_is_refused_with_the_reason() {
        let mut parameters = Parameters::default();
        let mut refusal = |name, value| parameters.set(name, value).unwrap_err().to_string();
        assert_eq!(
            refusal("scalp.stop_percent", 0.01),
            "scalp.stop_percent is 0.01, but must be between 0.020001 and 50"
        );
        assert_eq!(
            refusal("scalp.offset_percent", 0.2),
            "scalp.stop_percent is 0.1, but must be between 0.200001 and 50",
            "what another setting depends on"
        );
        assert_eq!(refusal("scalp.ema_period", 4.5), "scalp.ema_period is 4.5, but must be a whole number");
        assert_eq!(refusal("scalp.ema_period", -1.0), "scalp.ema_period is -1, but must be a whole number");
        assert!(refusal("scalp.extreme", f64::NAN).contains("NaN"));
        assert!(refusal("scalp.period", 5.0).contains("no setting scalp.period"));
        assert_eq!(parameters, Parameters::default());
        let wider = [("scalp.offset_percent", 0.2), ("scalp.stop_percent", 0.4)];
        assert_eq!(parameters.set_all(wider), Ok(()), "in any order");
    }
}
