//! `momentum`: entries in the direction of aligned trends, every minute. Formulas: `docs/strategies.md`.

use tidegate_protocol::{Confidence, MomentumIndicator, Side, Symbol, Trend, TrendAlignment};

use crate::candle::Candle;
use crate::direction::Direction;
use crate::evaluation::{Advice, Hold, Moment};
use crate::indicator::{Ema, Macd, Rsi};
use crate::market::Market;
use crate::number::{Fixed, TickSize, round};
use crate::order::{Bracket, Distances};
use crate::parameters::MomentumParameters;
use crate::text::text;
use crate::time::Timestamp;
use crate::window::RollingRange;

/// The state of the strategy for one symbol.
#[derive(Clone, Debug)]
pub(crate) struct Momentum {
    symbol: Symbol,
    tick: TickSize,
    parameters: MomentumParameters,
    macd: Macd,
    rsi: Rsi,
    pullback_ema: Ema,
    pullback_range: RollingRange,
}

/// What the market looks like to the strategy.
struct View {
    time_ms: u64,
    timestamp: Timestamp,
    price: f64,
    trend_1h: Trend,
    trend_4h: Trend,
    /// Mean of the absolute changes over 1 and 4 hours, in percent.
    strength_percent: f64,
    macd: f64,
    rsi: f64,
}

/// One of the seven things that can speak for a direction, with what its text tells.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    Trend,
    Sweep { level: f64 },
    Gap { bottom: f64, top: f64 },
    Pullback { level: f64 },
    Rsi,
    Macd,
    Regime,
}

impl Momentum {
    pub(crate) fn new(symbol: Symbol, tick: TickSize, parameters: MomentumParameters) -> Self {
        Self {
            symbol,
            tick,
            macd: Macd::new(12, 26, 9),
            rsi: Rsi::new(14),
            pullback_ema: Ema::new(parameters.pullback_ema_period),
            pullback_range: RollingRange::new(parameters.pullback_candles),
            parameters,
        }
    }

    /// Adds a closed minute.
    pub(crate) fn update(&mut self, candle: &Candle) {
        self.macd.update(candle.close);
        self.rsi.update(candle.close);
        self.pullback_ema.update(candle.close);
        self.pullback_range.push(candle);
    }

    /// What to do at the close of a minute.
    pub(crate) fn evaluate(&self, moment: &Moment, market: &Market) -> MomentumIndicator {
        let view = self.view(moment, market);
        let hold = Hold::of(moment, market.candles(), self.parameters.candles_needed);
        let (advice, score) = match hold {
            Some(hold) => (Advice::neutral(hold.reasoning()), 0),
            None => self.decide(&view, market),
        };
        self.indicator(&view, advice, score)
    }

    fn view(&self, moment: &Moment, market: &Market) -> View {
        let (change_1h, change_4h) = (market.change_percent(60), market.change_percent(240));
        View {
            time_ms: moment.time_ms,
            timestamp: moment.timestamp,
            price: moment.price,
            trend_1h: trend(change_1h, self.parameters.trend_1h_percent),
            trend_4h: trend(change_4h, self.parameters.trend_4h_percent),
            strength_percent: f64::midpoint(change_1h.abs(), change_4h.abs()),
            macd: self.macd.histogram().unwrap_or(0.0),
            rsi: self.rsi.value().unwrap_or(50.0),
        }
    }

    /// The advice and the number of layers.
    fn decide(&self, view: &View, market: &Market) -> (Advice, u32) {
        let (one, four) = (view.trend_1h.as_str(), view.trend_4h.as_str());
        let direction = match (alignment(view), view.trend_1h) {
            (TrendAlignment::Aligned, Trend::Up) => Direction::Long,
            (TrendAlignment::Aligned, _) => Direction::Short,
            (TrendAlignment::Conflicted, _) => {
                let rest = ". No clear direction. Waiting for alignment.";
                return (Advice::neutral(text!["CONFLICTED TRENDS: 1h=", one, ", 4h=", four, rest]), 0);
            }
            (TrendAlignment::Neutral, _) => {
                let rest = ". Waiting for both timeframes to trend.";
                return (Advice::neutral(text!["NO CLEAR TREND: 1h=", one, ", 4h=", four, rest]), 0);
            }
        };
        let layers = self.layers(direction, view, market);
        let score = u32::try_from(layers.len()).expect("seven layers at most");
        let advice = match self.obstacle(direction, view, &layers) {
            Some(why) => {
                let why = why.as_str();
                let waiting = ". Waiting for setup.";
                Advice::neutral(text![one, "TREND ", one, "/", four, " but no entry: ", why, waiting])
            }
            None => self.entry(direction, view, &layers, score),
        };
        (advice, score)
    }

    /// What speaks for the direction, in the order in which it is told.
    fn layers(&self, direction: Direction, view: &View, market: &Market) -> Vec<Layer> {
        let parameters = &self.parameters;
        let sweep = market.sweeps.recent(direction, parameters.sweep_memory);
        let gap = market.gaps.filling(direction, view.price, view.time_ms, parameters.gap_age_minutes);
        let (rsi_min, rsi_max) = direction.pick(
            (parameters.rsi_long_min, parameters.rsi_overbought),
            (parameters.rsi_oversold, parameters.rsi_short_max),
        );
        let strong_macd =
            direction.favourable(view.macd) >= view.price * parameters.strong_macd_percent / 100.0;
        let trending = market.adx().is_some_and(|adx| adx >= parameters.adx_min)
            && direction.favourable(market.trend_direction()) > 0.0;
        [
            Some(Layer::Trend),
            sweep.map(|sweep| Layer::Sweep { level: sweep.level }),
            gap.map(|gap| Layer::Gap { bottom: gap.bottom, top: gap.top }),
            self.pullback(direction, view.price),
            (rsi_min..=rsi_max).contains(&view.rsi).then_some(Layer::Rsi),
            strong_macd.then_some(Layer::Macd),
            trending.then_some(Layer::Regime),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Price has touched the average within the last candles and closed beyond it again.
    fn pullback(&self, direction: Direction, price: f64) -> Option<Layer> {
        let (ema, range) = (self.pullback_ema.value()?, self.pullback_range.range()?);
        let level = direction.pick(range.low, range.high);
        let near = ema * (1.0 + direction.favourable(self.parameters.pullback_percent) / 100.0);
        let touched = direction.favourable(near - level) >= 0.0;
        let back = direction.favourable(price - ema) > 0.0;
        (touched && back).then_some(Layer::Pullback { level })
    }

    /// The first reason not to enter in the direction of the trends.
    fn obstacle(&self, direction: Direction, view: &View, layers: &[Layer]) -> Option<String> {
        let parameters = &self.parameters;
        let extreme =
            direction.pick(view.rsi > parameters.rsi_overbought, view.rsi < parameters.rsi_oversold);
        let trigger =
            |layer: &Layer| matches!(layer, Layer::Sweep { .. } | Layer::Gap { .. } | Layer::Pullback { .. });
        if extreme {
            Some(format!("{} RSI extreme ({})", direction.word(), Fixed(view.rsi, 1)))
        } else if direction.favourable(view.macd) <= 0.0 {
            Some("MACD not confirming".into())
        } else if layers.len() < parameters.score_min as usize {
            Some(format!("score {}/7 below {}", layers.len(), parameters.score_min))
        } else if !layers.iter().any(trigger) {
            Some("no entry trigger".into())
        } else {
            None
        }
    }

    fn entry(&self, direction: Direction, view: &View, layers: &[Layer], score: u32) -> Advice {
        let confidence = match score {
            6.. => Confidence::High,
            5 => Confidence::Medium,
            _ => Confidence::Low,
        };
        let word = direction.word();
        let (one, four) = (view.trend_1h.as_str(), view.trend_4h.as_str());
        let mood = if view.macd > 0.0 {
            "bullish"
        } else if view.macd < 0.0 {
            "bearish"
        } else {
            "flat"
        };
        let (macd, rsi) = (Fixed(view.macd, 2), Fixed(view.rsi, 1));
        let mut reasoning =
            format!("DIRECTIONAL {word}: Trend={one}/{four}. MACD {mood} ({macd}), RSI: {rsi}.");
        for layer in layers {
            reasoning += " ✅ ";
            reasoning += &layer.text(direction, self.tick);
        }
        if confidence == Confidence::High {
            reasoning += &format!(" 🔥 EXCELLENT DIRECTIONAL {word}.");
        }
        Advice { direction: Some(direction), confidence, reasoning }
    }

    fn indicator(&self, view: &View, advice: Advice, score: u32) -> MomentumIndicator {
        let &MomentumParameters { offset_percent, target_percent, stop_percent, .. } = &self.parameters;
        let distances = Distances { offset_percent, target_percent, stop_percent };
        let bracket = advice.direction.map(|way| Bracket::new(way, view.price, distances, self.tick));
        let Bracket { limit, target, stop } = bracket.unwrap_or_default();
        MomentumIndicator {
            symbol: self.symbol,
            timestamp: view.timestamp.text(),
            current_price: self.tick.round(view.price),
            trend_1h: view.trend_1h,
            trend_4h: view.trend_4h,
            trend_alignment: alignment(view),
            trend_strength: round(view.strength_percent, 2),
            macd: round(view.macd, self.tick.decimals() + 2),
            rsi: round(view.rsi, 1),
            side: advice.direction.map_or(Side::Neutral, Direction::side),
            limit_price: limit,
            tp_price: target,
            sl_price: stop,
            tp_percent: target_percent,
            sl_percent: stop_percent,
            confidence: advice.confidence,
            confluence_score: score,
            reasoning: advice.reasoning,
            expected_hold_minutes: hold_minutes(advice.direction, advice.confidence),
        }
    }
}

impl Layer {
    fn text(self, direction: Direction, tick: TickSize) -> String {
        let mood = direction.mood();
        match self {
            Self::Trend => format!("1h+4h {}s aligned.", direction.pick("uptrend", "downtrend")),
            Self::Sweep { level } => format!("{mood} SWEEP at ${}.", tick.text(level)),
            Self::Gap { bottom, top } => {
                format!("FILLING {mood} GAP ${}-${}.", tick.text(bottom), tick.text(top))
            }
            Self::Pullback { level } => {
                format!("Pullback to {} at ${}.", direction.pick("support", "resistance"), tick.text(level))
            }
            Self::Rsi => format!("RSI not {}.", direction.pick("overbought", "oversold")),
            Self::Macd => "Strong MACD momentum.".into(),
            Self::Regime => format!("Trending regime ({}).", direction.pick("bullish", "bearish")),
        }
    }
}

fn trend(change_percent: f64, threshold_percent: f64) -> Trend {
    if change_percent >= threshold_percent {
        Trend::Up
    } else if change_percent <= -threshold_percent {
        Trend::Down
    } else {
        Trend::Neutral
    }
}

fn alignment(view: &View) -> TrendAlignment {
    match (view.trend_1h, view.trend_4h) {
        (Trend::Neutral, _) | (_, Trend::Neutral) => TrendAlignment::Neutral,
        (one, four) if one == four => TrendAlignment::Aligned,
        _ => TrendAlignment::Conflicted,
    }
}

/// The more speaks for it, the sooner it should work.
const fn hold_minutes(direction: Option<Direction>, confidence: Confidence) -> u32 {
    match (direction, confidence) {
        (None, _) | (_, Confidence::High) => 5,
        (_, Confidence::Medium) => 10,
        (_, Confidence::Low) => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn momentum() -> Momentum {
        let parameters = MomentumParameters { score_min: 3, ..MomentumParameters::default() };
        Momentum::new("TESTUSDT".parse().unwrap(), "0.1".parse().unwrap(), parameters)
    }

    fn view(rsi: f64, macd: f64) -> View {
        let (trend_1h, trend_4h) = (Trend::Up, Trend::Up);
        View {
            time_ms: 0,
            timestamp: Timestamp::of(0),
            price: 100.0,
            trend_1h,
            trend_4h,
            strength_percent: 1.0,
            macd,
            rsi,
        }
    }

    fn obstacle(direction: Direction, rsi: f64, macd: f64, layers: &[Layer]) -> Option<String> {
        momentum().obstacle(direction, &view(rsi, macd), layers)
    }

    const TRIGGERED: [Layer; 3] = [Layer::Trend, Layer::Sweep { level: 99.0 }, Layer::Rsi];

    #[test]
    fn an_extreme_rsi_is_the_first_obstacle() {
        let text = obstacle(Direction::Long, 70.04, -1.0, &[]);
        assert_eq!(text.as_deref(), Some("LONG RSI extreme (70.0)"));
        let text = obstacle(Direction::Short, 29.9, 1.0, &[]);
        assert_eq!(text.as_deref(), Some("SHORT RSI extreme (29.9)"));
        assert_eq!(obstacle(Direction::Long, 29.9, 1.0, &TRIGGERED), None, "extreme, but for the other side");
        assert_eq!(obstacle(Direction::Long, 70.0, 1.0, &TRIGGERED), None);
    }

    #[test]
    fn a_histogram_without_the_sign_of_the_direction_is_the_second() {
        for (direction, macd) in [(Direction::Long, 0.0), (Direction::Long, -0.1), (Direction::Short, 0.1)] {
            let text = obstacle(direction, 50.0, macd, &[]);
            assert_eq!(text.as_deref(), Some("MACD not confirming"));
        }
    }

    #[test]
    fn too_few_layers_and_no_trigger_are_the_last() {
        let text = obstacle(Direction::Long, 50.0, 1.0, &TRIGGERED[..2]);
        assert_eq!(text.as_deref(), Some("score 2/7 below 3"));
        let text =
            obstacle(Direction::Long, 50.0, 1.0, &[Layer::Trend, Layer::Rsi, Layer::Macd, Layer::Regime]);
        assert_eq!(text.as_deref(), Some("no entry trigger"));
    }

    #[test]
    fn an_entry_lists_its_layers_and_praises_six() {
        let all = [
            Layer::Trend,
            Layer::Sweep { level: 68_400.0 },
            Layer::Gap { bottom: 68_450.0, top: 68_500.25 },
            Layer::Pullback { level: 68_480.0 },
            Layer::Rsi,
            Layer::Macd,
            Layer::Regime,
        ];
        let down = View { trend_1h: Trend::Down, trend_4h: Trend::Down, ..view(42.0, -8.5) };
        let advice = momentum().entry(Direction::Short, &down, &all, 7);
        assert_eq!(
            advice.reasoning,
            "DIRECTIONAL SHORT: Trend=DOWN/DOWN. MACD bearish (-8.50), RSI: 42.0. ✅ 1h+4h downtrends aligned. \
             ✅ BEARISH SWEEP at $68400.00. ✅ FILLING BEARISH GAP $68450.00-$68500.25. \
             ✅ Pullback to resistance at $68480.00. ✅ RSI not oversold. ✅ Strong MACD momentum. \
             ✅ Trending regime (bearish). 🔥 EXCELLENT DIRECTIONAL SHORT."
        );
        let held: Vec<u32> = [7, 5, 3]
            .map(|score| momentum().entry(Direction::Short, &down, &all, score).confidence)
            .map(|confidence| hold_minutes(Some(Direction::Short), confidence))
            .into();
        assert_eq!(held, [5, 10, 15]);
    }
}
