//! What several strategies know of the past: the candles of a day and the structure in them.

use std::collections::VecDeque;

use crate::candle::{Candle, Resampler};
use crate::indicator::Adx;
use crate::number::TickSize;
use crate::parameters::Parameters;
use crate::structure::{Gaps, Sweeps};

/// The closed minutes of one symbol and what was found in them.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    /// Oldest first, at most [`HISTORY_MAX`].
    history: VecDeque<Candle>,
    pub(crate) sweeps: Sweeps,
    pub(crate) gaps: Gaps,
    fifteen: Resampler,
    adx: Adx,
}

impl Market {
    pub(crate) fn new(parameters: &Parameters, tick: TickSize) -> Self {
        let age_max = parameters.momentum.gap_age_minutes.max(parameters.range.gap_age_minutes);
        Self {
            history: VecDeque::with_capacity(HISTORY_MAX),
            sweeps: Sweeps::new(parameters.detectors.clone(), tick),
            gaps: Gaps::new(parameters.detectors.gap_min_percent, age_max),
            fifteen: Resampler::new(REGIME_MINUTES),
            adx: Adx::new(ADX_PERIOD),
        }
    }

    /// Adds a closed minute.
    pub(crate) fn update(&mut self, candle: &Candle) {
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(*candle);
        self.sweeps.update(candle);
        self.gaps.update(candle);
        if let Some(fifteen) = self.fifteen.push(candle) {
            self.adx.update(&fifteen);
        }
    }

    /// The closed minutes, oldest first.
    pub(crate) const fn history(&self) -> &VecDeque<Candle> {
        &self.history
    }

    /// Number of closed minutes that are known, at most [`HISTORY_MAX`].
    pub(crate) fn candles(&self) -> usize {
        self.history.len()
    }

    /// Change of the close against the one `minutes` ago, in percent; 0 if that is not known.
    pub(crate) fn change_percent(&self, minutes: usize) -> f64 {
        let ago = self.history.len().checked_sub(minutes + 1).map(|index| self.history[index].close);
        match (self.history.back(), ago) {
            (Some(last), Some(ago)) => (last.close - ago) / ago * 100.0,
            _ => 0.0,
        }
    }

    /// ADX(14) on closed candles of 15 minutes, 0 to 100: whether the market trends.
    pub(crate) fn adx(&self) -> Option<f64> {
        self.adx.value()
    }

    /// +DI − −DI of the same candles: which way.
    pub(crate) fn trend_direction(&self) -> f64 {
        self.adx.direction()
    }
}

/// Minutes that are kept: a day and an hour, as many as one request to an exchange returns.
const HISTORY_MAX: usize = 1500;

/// Whether the market trends is judged on candles of 15 minutes.
const REGIME_MINUTES: u64 = 15;
const ADX_PERIOD: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MINUTE_MS;

    #[test]
    fn the_past_is_bounded_and_changes_are_measured_in_it() {
        let mut market = Market::new(&Parameters::default(), "0.1".parse().unwrap());
        assert_eq!(market.change_percent(60), 0.0);
        for minute in 0..2000 {
            market.update(&Candle::flat(minute * MINUTE_MS, 1000.0 + minute as f64));
        }
        assert_eq!(market.candles(), 1500);
        assert_eq!(market.change_percent(60), 60.0 / 2939.0 * 100.0);
        assert_eq!(market.change_percent(1500), 0.0, "not known any more");
        assert!(market.adx().is_some_and(|adx| adx > 99.0) && market.trend_direction() > 0.0);
    }
}
