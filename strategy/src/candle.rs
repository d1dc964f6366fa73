//! One-minute candles, the events they are made of, and longer candles made of them.
//!
//! What happens to late, missing and repeated minutes is decided in `minutes`, not here.

use crate::number::TickSize;
use crate::refusal::{BadCandle, Refusal};
use crate::time::{HALF_MINUTE_MS, MINUTE_MS, TIME_END_MS, minute_of};

/// Prices and volume of one minute `[open_time_ms, open_time_ms + 60 s)`, or of several (see [`resample`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// First instant of the candle in Unix milliseconds; a multiple of a minute.
    pub open_time_ms: u64,
    /// First price, in the quote currency.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Traded volume, in the base currency.
    pub volume: f64,
}

impl Candle {
    /// A candle without trades: the price stayed where it was.
    #[must_use]
    pub const fn flat(open_time_ms: u64, price: f64) -> Self {
        Self { open_time_ms, open: price, high: price, low: price, close: price, volume: 0.0 }
    }

    /// The first instant after this one-minute candle.
    #[must_use]
    pub const fn close_time_ms(&self) -> u64 {
        self.open_time_ms + MINUTE_MS
    }

    /// What was seen of this candle 30 seconds after it opened, by the usual path model: replay of finished
    /// candles has no ticks, so the price is taken to run open, high, low, close (open, low, high, close if the
    /// low is nearer to the open) in three legs of 20 seconds. Half-way it is in the middle of the second leg.
    #[must_use]
    pub fn halfway(&self, tick: TickSize) -> Self {
        let price = tick.round(f64::midpoint(self.high, self.low));
        let high_first = (self.high - self.open).abs() <= (self.open - self.low).abs();
        let (high, low) = if high_first { (self.high, self.open) } else { (self.open, self.low) };
        Self { high: high.max(price), low: low.min(price), close: price, volume: self.volume / 2.0, ..*self }
    }

    /// Whether the candle could have happened.
    ///
    /// # Errors
    ///
    /// [`Refusal::Candle`], with what is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        let prices = [self.open, self.high, self.low, self.close];
        let bad = if !prices.iter().all(|&price| is_price(price)) {
            BadCandle::Price
        } else if self.low > self.open.min(self.close) || self.high < self.open.max(self.close) {
            BadCandle::Range
        } else if !is_quantity(self.volume) {
            BadCandle::Volume
        } else if !self.open_time_ms.is_multiple_of(MINUTE_MS) || self.open_time_ms >= TIME_END_MS {
            BadCandle::Time
        } else {
            return Ok(());
        };
        Err(Refusal::Candle { open_time_ms: self.open_time_ms, bad })
    }

    /// Adds the candle that follows this one.
    fn extend(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.volume += next.volume;
    }
}

/// Something that happened in the market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MarketEvent {
    /// A trade.
    Trade {
        /// When it happened, by the exchange's clock, in Unix milliseconds.
        time_ms: u64,
        /// Its price, in the quote currency.
        price: f64,
        /// Its size, in the base currency.
        quantity: f64,
    },
    /// A one-minute candle as the exchange sees it.
    Candle {
        /// When the exchange said so, in Unix milliseconds. Of a closed candle only its own close time counts.
        time_ms: u64,
        /// The candle so far, or for good.
        candle: Candle,
        /// Whether the candle is final.
        closed: bool,
    },
}

impl MarketEvent {
    /// A finished candle.
    #[must_use]
    pub const fn closed(candle: Candle) -> Self {
        Self::Candle { time_ms: candle.close_time_ms(), candle, closed: true }
    }

    /// A finished candle as seen 30 seconds after it opened; see [`Candle::halfway`].
    #[must_use]
    pub fn halfway(candle: &Candle, tick: TickSize) -> Self {
        let time_ms = candle.open_time_ms + HALF_MINUTE_MS;
        Self::Candle { time_ms, candle: candle.halfway(tick), closed: false }
    }

    /// The instant whose knowledge the event carries, in Unix milliseconds: the exchange may say it a little
    /// later, but a running candle knows nothing after its minute and a closed one everything until its end.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        match *self {
            Self::Trade { time_ms, .. } => time_ms,
            Self::Candle { candle, closed: true, .. } => candle.close_time_ms(),
            Self::Candle { time_ms, candle, closed: false } => {
                time_ms.clamp(candle.open_time_ms, candle.close_time_ms() - 1)
            }
        }
    }

    /// Open time of the minute that the event belongs to, in Unix milliseconds.
    pub(crate) fn minute_ms(&self) -> u64 {
        match *self {
            Self::Trade { time_ms, .. } => minute_of(time_ms),
            Self::Candle { candle, .. } => candle.open_time_ms,
        }
    }

    /// The lowest and the highest price in it.
    pub(crate) const fn extremes(&self) -> [f64; 2] {
        match *self {
            Self::Trade { price, .. } => [price, price],
            Self::Candle { candle, .. } => [candle.low, candle.high],
        }
    }

    /// Whether the event could have happened.
    ///
    /// # Errors
    ///
    /// [`Refusal::Price`], [`Refusal::Quantity`], [`Refusal::Time`] or [`Refusal::Candle`].
    pub fn check(&self) -> Result<(), Refusal> {
        match *self {
            Self::Trade { price, .. } if !is_price(price) => Err(Refusal::Price { price }),
            Self::Trade { quantity, .. } if !is_quantity(quantity) => Err(Refusal::Quantity { quantity }),
            Self::Trade { time_ms, .. } if time_ms >= TIME_END_MS => Err(Refusal::Time { time_ms }),
            Self::Trade { .. } => Ok(()),
            Self::Candle { candle, .. } => candle.check(),
        }
    }
}

/// Candles of several minutes, as [`resample`] returns them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resampled {
    /// The complete ones, oldest first.
    pub closed: Vec<Candle>,
    /// The one that has begun and is not complete.
    pub running: Option<Candle>,
}

/// One-minute candles, oldest first, as candles of `minutes` minutes aligned to the Unix epoch (so that four
/// hours begin at 00:00, 04:00 … and a day at 00:00 UTC). A bucket whose first minute is missing is dropped; a
/// minute that is missing later in it counts as a minute without trades.
///
/// # Panics
///
/// If `minutes` is 0.
#[must_use]
pub fn resample(candles: &[Candle], minutes: u64) -> Resampled {
    let mut resampler = Resampler::new(minutes);
    let mut closed = Vec::new();
    for candle in candles {
        if resampler
            .bucket
            .is_some_and(|bucket| candle.open_time_ms >= bucket.open_time_ms + resampler.span_ms)
        {
            closed.extend(resampler.bucket.take());
        }
        closed.extend(resampler.push(candle));
    }
    Resampled { closed, running: resampler.bucket }
}

/// Joins one-minute candles without holes into longer ones, one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Resampler {
    span_ms: u64,
    bucket: Option<Candle>,
}

impl Resampler {
    /// Makes candles of `minutes` minutes, aligned to the Unix epoch.
    pub(crate) const fn new(minutes: u64) -> Self {
        assert!(minutes > 0, "a candle lasts at least one minute");
        Self { span_ms: minutes * MINUTE_MS, bucket: None }
    }

    /// Takes the next minute and returns the longer candle that it completes.
    pub(crate) fn push(&mut self, candle: &Candle) -> Option<Candle> {
        let offset_ms = candle.open_time_ms % self.span_ms;
        match &mut self.bucket {
            Some(bucket) => bucket.extend(candle),
            // A bucket that was entered in the middle would lack its first minutes.
            None if offset_ms > 0 => return None,
            None => self.bucket = Some(*candle),
        }
        if offset_ms + MINUTE_MS < self.span_ms { None } else { self.bucket.take() }
    }
}

fn is_price(price: f64) -> bool {
    price.is_finite() && price > 0.0
}

fn is_quantity(quantity: f64) -> bool {
    quantity.is_finite() && quantity >= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(minute: u64, [open, high, low, close]: [f64; 4], volume: f64) -> Candle {
        Candle { open_time_ms: minute * MINUTE_MS, open, high, low, close, volume }
    }

    fn check(prices: [f64; 4], volume: f64) -> Result<(), BadCandle> {
        candle(0, prices, volume).check().map_err(|refusal| match refusal {
            Refusal::Candle { bad, .. } => bad,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn halfway_through_a_candle_the_price_is_in_the_middle_of_the_longer_leg() {
        let tick = "0.1".parse().unwrap();
        let high_first = candle(0, [100.0, 101.0, 96.0, 97.0], 8.0).halfway(tick);
        assert_eq!(high_first, candle(0, [100.0, 101.0, 98.5, 98.5], 4.0));
        let low_first = candle(0, [100.0, 104.0, 99.0, 103.0], 8.0).halfway(tick);
        assert_eq!(low_first, candle(0, [100.0, 101.5, 99.0, 101.5], 4.0));
    }

    #[test]
    fn a_candle_that_cannot_be_is_refused_with_its_reason() {
        assert_eq!(check([1.0, 2.0, 0.5, 1.5], 0.0), Ok(()));
        for price in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(check([price, 2.0, 0.5, 1.5], 0.0), Err(BadCandle::Price));
        }
        assert_eq!(check([1.0, 1.4, 0.5, 1.5], 0.0), Err(BadCandle::Range));
        assert_eq!(check([1.0, 2.0, 1.1, 1.5], 0.0), Err(BadCandle::Range));
        assert_eq!(check([1.0, 2.0, 0.5, 1.5], f64::NAN), Err(BadCandle::Volume));
        let askew = Candle { open_time_ms: 1, ..Candle::flat(0, 1.0) };
        assert_eq!(askew.check(), Err(Refusal::Candle { open_time_ms: 1, bad: BadCandle::Time }));
    }

    #[test]
    fn a_running_candle_knows_nothing_after_its_minute() {
        let candle = Candle::flat(60_000, 1.0);
        let said_at = |time_ms| MarketEvent::Candle { time_ms, candle, closed: false }.time_ms();
        assert_eq!(said_at(120_250), 119_999);
        assert_eq!(said_at(90_000), 90_000);
        assert_eq!(MarketEvent::closed(candle).time_ms(), 120_000);
    }

    #[test]
    fn five_minutes_become_one_candle_and_a_first_part_is_dropped() {
        let minutes: Vec<_> = (3..12)
            .map(|m| candle(m, [m as f64, m as f64 + 2.0, m as f64 - 2.0, m as f64 + 1.0], 1.0))
            .collect();
        let five = resample(&minutes, 5);
        assert_eq!(five.closed, [candle(5, [5.0, 11.0, 3.0, 10.0], 5.0)]);
        assert_eq!(five.running, Some(candle(10, [10.0, 13.0, 8.0, 12.0], 2.0)));
    }

    #[test]
    fn a_missing_minute_does_not_glue_two_buckets_together() {
        let minutes: Vec<_> =
            [0, 1, 2, 5, 6, 7, 8, 9].map(|m| Candle::flat(m * MINUTE_MS, m as f64 + 1.0)).into();
        let five = resample(&minutes, 5);
        assert_eq!(five.closed.iter().map(|candle| candle.close).collect::<Vec<_>>(), [3.0, 10.0]);
    }
}
