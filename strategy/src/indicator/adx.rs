use super::{true_range, wilder};
use crate::candle::Candle;

/// Average directional index, 0 to 100: how much the market trends, whichever way.
///
/// As TA-Lib's `ADX`: sums of the first `period − 1` directional movements and true ranges, then
/// `s − s/period + x`; directional indicators are 100·DM/TR, DX is 100·|+DI − −DI|/(+DI + −DI). The first ADX is
/// the mean of `period` DX (the candle with index `2·period − 1`), then `(previous·(period − 1) + DX)/period`.
/// (Wilder, 1978.)
#[derive(Clone, Debug)]
pub struct Adx {
    period: usize,
    previous: Option<Candle>,
    /// Candles after the first.
    steps: usize,
    plus: f64,
    minus: f64,
    range: f64,
    /// Sum of DX before the first ADX, afterwards the ADX.
    average: f64,
}

impl Adx {
    /// An index over `period` candles, at least 2.
    #[must_use]
    pub const fn new(period: usize) -> Self {
        Self { period, previous: None, steps: 0, plus: 0.0, minus: 0.0, range: 0.0, average: 0.0 }
    }

    /// Adds a closed candle.
    pub fn update(&mut self, candle: &Candle) {
        let Some(previous) = self.previous.replace(*candle) else { return };
        self.steps += 1;
        self.smooth(&previous, candle);
        if self.steps < self.period {
            return;
        }
        let first_adx = self.steps == 2 * self.period - 1;
        match self.dx() {
            // As in TA-Lib, a candle in which nothing can be said leaves the index as it is.
            None => {}
            Some(dx) if self.steps < 2 * self.period => self.average += dx,
            Some(dx) => self.average = wilder(self.average, dx, self.period),
        }
        if first_adx {
            self.average /= self.period as f64;
        }
    }

    /// The index, once there are `2·period` candles.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.steps >= 2 * self.period - 1).then_some(self.average)
    }

    /// +DI − −DI, −100 to 100: positive when the market moves up. 0 when nothing moved.
    #[must_use]
    pub fn direction(&self) -> f64 {
        if self.range == 0.0 { 0.0 } else { 100.0 * (self.plus - self.minus) / self.range }
    }

    fn smooth(&mut self, previous: &Candle, candle: &Candle) {
        let (up, down) = (candle.high - previous.high, previous.low - candle.low);
        let plus = if up > 0.0 && up > down { up } else { 0.0 };
        let minus = if down > 0.0 && down > up { down } else { 0.0 };
        let range = true_range(candle, previous.close);
        let period = self.period as f64;
        let seeded = self.steps >= self.period;
        for (sum, x) in [(&mut self.plus, plus), (&mut self.minus, minus), (&mut self.range, range)] {
            if seeded {
                *sum -= *sum / period;
            }
            *sum += x;
        }
    }

    fn dx(&self) -> Option<f64> {
        if self.range == 0.0 {
            return None;
        }
        let (plus, minus) = (100.0 * self.plus / self.range, 100.0 * self.minus / self.range);
        let sum = plus + minus;
        (sum != 0.0).then(|| 100.0 * (minus - plus).abs() / sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(middle: f64) -> Candle {
        Candle { high: middle + 1.0, low: middle - 1.0, ..Candle::flat(0, middle) }
    }

    #[test]
    fn a_steady_trend_is_100_and_its_direction_has_a_sign() {
        let mut adx = Adx::new(14);
        for index in 0..28 {
            assert_eq!(adx.value(), None, "{index}");
            adx.update(&candle(100.0 - f64::from(index)));
        }
        assert_eq!(adx.value(), Some(100.0));
        assert!(adx.direction() < 0.0);
    }

    #[test]
    fn a_market_that_rests_does_not_trend() {
        let mut adx = Adx::new(2);
        for _ in 0..10 {
            adx.update(&Candle::flat(0, 100.0));
        }
        assert_eq!((adx.value(), adx.direction()), (Some(0.0), 0.0));
    }

    #[test]
    fn an_index_worked_by_hand() {
        // Period 2, middles 10, 12, 11, 14, 13: +DM 2 0 3 0, -DM 0 1 0 1, TR 3 2 4 2.
        // Sums +DM 2, 1, 3.5, 1.75; -DM 0, 1, 0.5, 1.25: DX from the second on 0, 75, 16.67.
        let mut adx = Adx::new(2);
        let values: Vec<_> = [10.0, 12.0, 11.0, 14.0, 13.0]
            .map(|middle| {
                adx.update(&candle(middle));
                adx.value()
            })
            .into();
        assert_eq!(values[..3], [None; 3]);
        assert!((values[3].unwrap() - 37.5).abs() < 1e-12);
        assert!((values[4].unwrap() - (37.5 + 50.0 / 3.0) / 2.0).abs() < 1e-12);
    }
}
