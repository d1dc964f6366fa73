/// Exponential moving average: the mean of the first `period` values, then `e += (x − e)·2/(period + 1)`.
///
/// In the unit of the values. Seeded as TA-Lib's `EMA`.
#[derive(Clone, Debug)]
pub struct Ema {
    period: usize,
    alpha: f64,
    seen: usize,
    sum: f64,
    value: Option<f64>,
}

impl Ema {
    /// An average over `period` values, at least 1.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self { period, alpha: 2.0 / (period as f64 + 1.0), seen: 0, sum: 0.0, value: None }
    }

    /// Adds a value.
    pub fn update(&mut self, x: f64) {
        if let Some(value) = self.peek(x) {
            self.value = Some(value);
            return;
        }
        self.seen += 1;
        self.sum += x;
        if self.seen == self.period {
            self.value = Some(self.sum / self.period as f64);
        }
    }

    /// The average, once there are `period` values.
    #[must_use]
    pub const fn value(&self) -> Option<f64> {
        self.value
    }

    /// What the average would be if `x` came next; nothing before the first average.
    #[must_use]
    pub fn peek(&self, x: f64) -> Option<f64> {
        self.value.map(|value| value + (x - value) * self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_starts_as_the_mean_and_then_follows() {
        let mut ema = Ema::new(3);
        for (x, expected) in [(1.0, None), (2.0, None), (6.0, Some(3.0)), (5.0, Some(4.0))] {
            ema.update(x);
            assert_eq!(ema.value(), expected);
        }
        assert_eq!(ema.peek(8.0), Some(6.0));
        assert_eq!(ema.value(), Some(4.0), "peeking changes nothing");
    }
}
