use super::{true_range, wilder};
use crate::candle::Candle;

/// Average true range, in the quote currency: how far a candle usually reaches.
///
/// The mean of the first `period` true ranges, then `(previous·(period − 1) + new)/period`. The first candle has
/// no true range, because nothing closed before it. (Wilder, 1978; seeded as TA-Lib's `ATR`.)
#[derive(Clone, Debug)]
pub struct Atr {
    period: usize,
    previous_close: Option<f64>,
    ranges: usize,
    average: f64,
}

impl Atr {
    /// An average over `period` true ranges, at least 1.
    #[must_use]
    pub const fn new(period: usize) -> Self {
        Self { period, previous_close: None, ranges: 0, average: 0.0 }
    }

    /// Adds a closed candle.
    pub fn update(&mut self, candle: &Candle) {
        let Some(previous_close) = self.previous_close.replace(candle.close) else { return };
        let range = true_range(candle, previous_close);
        self.ranges += 1;
        if self.ranges > self.period {
            self.average = wilder(self.average, range, self.period);
            return;
        }
        self.average += range;
        if self.ranges == self.period {
            self.average /= self.period as f64;
        }
    }

    /// The average, once there are `period` true ranges.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.ranges >= self.period).then_some(self.average)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_candles_counts_as_range() {
        let mut atr = Atr::new(2);
        let mut next = |high, low, close| {
            atr.update(&Candle { high, low, close, ..Candle::flat(0, low) });
            atr.value()
        };
        assert_eq!(next(11.0, 9.0, 10.0), None);
        assert_eq!(next(14.0, 12.0, 13.0), None);
        assert_eq!(next(14.0, 12.0, 12.0), Some(3.0), "4 from the close before, then 2");
        assert_eq!(next(12.0, 11.0, 11.0), Some(2.0), "(3 + 1)/2");
    }
}
