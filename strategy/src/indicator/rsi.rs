use super::wilder;

/// Relative strength index, 0 to 100: the share of the gains in all movement, by Wilder's smoothing.
///
/// Mean gain and loss of the first `period` differences, then `(previous·(period − 1) + new)/period`. The value
/// is `100·gain/(gain + loss)`, 0 if nothing moved. (Wilder, New Concepts in Technical Trading Systems, 1978.)
#[derive(Clone, Debug)]
pub struct Rsi {
    period: usize,
    previous: Option<f64>,
    differences: usize,
    gain: f64,
    loss: f64,
}

impl Rsi {
    /// An index over `period` differences, at least 1.
    #[must_use]
    pub const fn new(period: usize) -> Self {
        Self { period, previous: None, differences: 0, gain: 0.0, loss: 0.0 }
    }

    /// Adds a close.
    pub fn update(&mut self, close: f64) {
        let Some(previous) = self.previous.replace(close) else { return };
        let (gain, loss) = ((close - previous).max(0.0), (previous - close).max(0.0));
        self.differences += 1;
        if self.differences > self.period {
            self.gain = wilder(self.gain, gain, self.period);
            self.loss = wilder(self.loss, loss, self.period);
            return;
        }
        self.gain += gain;
        self.loss += loss;
        if self.differences == self.period {
            self.gain /= self.period as f64;
            self.loss /= self.period as f64;
        }
    }

    /// The index, once there are `period` differences.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let movement = self.gain + self.loss;
        let value = if movement == 0.0 { 0.0 } else { 100.0 * self.gain / movement };
        (self.differences >= self.period).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(closes: &[f64]) -> Option<f64> {
        let mut rsi = Rsi::new(2);
        closes.iter().for_each(|&close| rsi.update(close));
        rsi.value()
    }

    #[test]
    fn the_first_index_is_of_plain_means_and_the_next_is_smoothed() {
        assert_eq!(after(&[10.0, 13.0]), None);
        assert_eq!(after(&[10.0, 13.0, 12.0]), Some(75.0));
        // gain (1.5 + 0)/2, loss (0.5 + 2)/2
        assert_eq!(after(&[10.0, 13.0, 12.0, 10.0]), Some(37.5));
    }

    #[test]
    fn a_price_that_only_rises_is_100_and_one_that_rests_is_0() {
        assert_eq!(after(&[1.0, 2.0, 3.0]), Some(100.0));
        assert_eq!(after(&[3.0, 2.0, 1.0]), Some(0.0));
        assert_eq!(after(&[1.0, 1.0, 1.0]), Some(0.0));
    }
}
