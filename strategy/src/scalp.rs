//! `scalp`: mean reversion to a short average, every 30 seconds. Formulas: `docs/strategies.md`.

use tidegate_protocol::{Confidence, ScalpIndicator, Side, Symbol};

use crate::candle::Candle;
use crate::direction::Direction;
use crate::evaluation::{Advice, Hold, Moment};
use crate::indicator::Ema;
use crate::number::{Fixed, TickSize, round};
use crate::order::{Bracket, Distances};
use crate::parameters::ScalpParameters;
use crate::text::text;
use crate::time::Timestamp;
use crate::window::{PriceRange, RollingRange};

/// The state of the strategy for one symbol.
#[derive(Clone, Debug)]
pub(crate) struct Scalp {
    symbol: Symbol,
    tick: TickSize,
    parameters: ScalpParameters,
    candles: usize,
    ema: Ema,
    /// The closed candles of the short range.
    closed: RollingRange,
}

/// What the market looks like to the strategy.
struct View {
    price: f64,
    ema: f64,
    range: PriceRange,
    /// Distance of the price from the average, in percent of the average; negative below.
    deviation_percent: f64,
}

impl Scalp {
    pub(crate) fn new(symbol: Symbol, tick: TickSize, parameters: ScalpParameters) -> Self {
        let (ema, closed) = (Ema::new(parameters.ema_period), RollingRange::new(parameters.range_candles));
        Self { symbol, tick, parameters, candles: 0, ema, closed }
    }

    /// Adds a closed minute.
    pub(crate) fn update(&mut self, candle: &Candle) {
        self.candles += 1;
        self.ema.update(candle.close);
        self.closed.push(candle);
    }

    /// What to do at this moment.
    pub(crate) fn evaluate(&self, moment: &Moment) -> ScalpIndicator {
        let view = self.view(moment);
        let hold = Hold::of(moment, self.candles, self.parameters.candles_needed);
        let advice = match hold {
            Some(hold) => Advice::neutral(hold.reasoning()),
            None => self.decide(&view),
        };
        self.indicator(moment.timestamp, &view, advice)
    }

    fn view(&self, moment: &Moment) -> View {
        let price = moment.price;
        let (ema, range) = match moment.running {
            None => (self.ema.value(), self.closed.range()),
            Some(Candle { high, low, .. }) => {
                let before = self.closed.range_of(self.parameters.range_candles - 1);
                let range = before.map_or(PriceRange { high, low }, |range| range.with(high, low));
                (self.ema.peek(price), Some(range))
            }
        };
        let ema = ema.unwrap_or(price);
        let range = range.unwrap_or(PriceRange { high: price, low: price });
        View { price, ema, range, deviation_percent: (price - ema) / ema * 100.0 }
    }

    fn decide(&self, view: &View) -> Advice {
        let distance = view.deviation_percent.abs();
        let threshold = self.parameters.threshold_percent;
        let direction = if view.deviation_percent <= -threshold {
            Direction::Long
        } else if view.deviation_percent >= threshold {
            Direction::Short
        } else {
            return Advice::neutral(text![
                "Price trading at EMA (deviation: ",
                Fixed(distance, 2),
                "%). Waiting for clearer setup.",
            ]);
        };
        let position = view.range.position(view.price);
        // How far the price still is from the edge that it should turn at.
        let confidence = self.confidence(direction.pick(position, 1.0 - position), distance);
        let (place, edge) = direction.pick(("below", "bottom"), ("above", "top"));
        let ema = self.tick.text(view.ema);
        let distance = Fixed(distance, 2);
        let mut reasoning =
            text!["Price ", distance, "% ", place, " EMA (", ema, "). Mean reversion opportunity."];
        if confidence == Confidence::High {
            let &ScalpParameters { extreme, range_candles, .. } = &self.parameters;
            let part = Fixed(extreme * 100.0, 0);
            reasoning += &text![" Price in ", edge, " ", part, "% of ", range_candles, "min range."];
        }
        Advice { direction: Some(direction), confidence, reasoning }
    }

    fn confidence(&self, from_edge: f64, distance_percent: f64) -> Confidence {
        if from_edge <= self.parameters.extreme {
            Confidence::High
        } else if from_edge <= 0.5 || distance_percent >= self.parameters.strong_percent {
            Confidence::Medium
        } else {
            Confidence::Low
        }
    }

    fn indicator(&self, timestamp: Timestamp, view: &View, advice: Advice) -> ScalpIndicator {
        let &ScalpParameters { offset_percent, target_percent, stop_percent, .. } = &self.parameters;
        let distances = Distances { offset_percent, target_percent, stop_percent };
        let bracket = advice.direction.map(|way| Bracket::new(way, view.price, distances, self.tick));
        let Bracket { limit, target, stop } = bracket.unwrap_or_default();
        ScalpIndicator {
            symbol: self.symbol,
            timestamp: timestamp.text(),
            current_price: self.tick.round(view.price),
            ema_1min: round(view.ema, self.tick.decimals() + 2),
            side: advice.direction.map_or(Side::Neutral, Direction::side),
            limit_price: limit,
            tp_price: target,
            sl_price: stop,
            tp_percent: target_percent,
            sl_percent: stop_percent,
            confidence: advice.confidence,
            reasoning: advice.reasoning,
            expected_hold_minutes: self.parameters.hold_minutes,
            range_high_5min: self.tick.round(view.range.high),
            range_low_5min: self.tick.round(view.range.low),
            position_in_range: round(view.range.position(view.price), 2),
        }
    }
}
