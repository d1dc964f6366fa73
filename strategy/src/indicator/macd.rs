use super::Ema;

/// Histogram of the moving average convergence/divergence, in the unit of the values.
///
/// The line is EMA(fast) − EMA(slow), the signal an EMA of the line, the histogram line − signal. As in TA-Lib
/// both averages start together: the fast one with the mean of the last `fast` of the first `slow` values.
#[derive(Clone, Debug)]
pub struct Macd {
    /// Values that come before the seed of the fast average.
    skipped: usize,
    fast: Ema,
    slow: Ema,
    signal: Ema,
    line: Option<f64>,
}

impl Macd {
    /// A histogram with these periods; `fast` is at most `slow`, all are at least 1. The usual one is 12, 26, 9.
    ///
    /// # Panics
    ///
    /// If `fast` is more than `slow`.
    #[must_use]
    pub fn new(fast: usize, slow: usize, signal: usize) -> Self {
        assert!(fast <= slow, "the fast average has the shorter period");
        let skipped = slow - fast;
        Self { skipped, fast: Ema::new(fast), slow: Ema::new(slow), signal: Ema::new(signal), line: None }
    }

    /// Adds a close.
    pub fn update(&mut self, close: f64) {
        self.slow.update(close);
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        self.fast.update(close);
        self.line = self.fast.value().zip(self.slow.value()).map(|(fast, slow)| fast - slow);
        if let Some(line) = self.line {
            self.signal.update(line);
        }
    }

    /// The histogram, from the value with index `slow + signal − 2` on (33 for 12, 26, 9).
    #[must_use]
    pub fn histogram(&self) -> Option<f64> {
        Some(self.line? - self.signal.value()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_histogram_is_at_index_33() {
        let mut macd = Macd::new(12, 26, 9);
        for index in 0..34 {
            assert_eq!(macd.histogram(), None, "{index}");
            macd.update(100.0 + f64::from(index));
        }
        // On a straight line both averages trail by a constant, so line and signal are the same.
        assert!(macd.histogram().unwrap().abs() < 1e-12);
    }

    #[test]
    fn the_fast_average_starts_with_the_last_of_the_first_values() {
        let mut macd = Macd::new(1, 3, 1);
        for close in [1.0, 2.0, 6.0] {
            macd.update(close);
        }
        assert_eq!(macd.line, Some(3.0), "6 less the mean of 1, 2 and 6");
    }
}
