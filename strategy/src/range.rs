//! `range_trading`: entries at the edges of the 24-hour range, every minute. Formulas: `docs/strategies.md`.

mod setup;

use tidegate_protocol::{
    Confidence, Entry, OrderType, RangeData, RangePayload, RangeSummary, RangeWindow, Side, Symbol,
    VolumeProfile,
};

use crate::candle::Candle;
use crate::direction::Direction;
use crate::evaluation::{Advice, Hold, Moment};
use crate::levels;
use crate::market::Market;
use crate::number::{Fixed, TickSize, round};
use crate::parameters::{DetectorParameters, RangeParameters};
use crate::profile::{Profile, Volumes};
use crate::text::text;
use crate::time::Timestamp;
use crate::window::{PriceRange, RollingRange};
use setup::Setup;

/// The state of the strategy for one symbol.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    symbol: Symbol,
    tick: TickSize,
    parameters: RangeParameters,
    profile: Profile,
    day: RollingRange,
    /// The day without its last minutes.
    earlier: RollingRange,
    /// The state of the evaluation before.
    previous: Option<State>,
}

/// What the market looks like to the strategy.
#[derive(Clone, Copy, Debug)]
struct View {
    time_ms: u64,
    timestamp: Timestamp,
    price: f64,
    hour: PriceRange,
    four_hours: PriceRange,
    day: PriceRange,
}

/// What the strategy is doing: followers are told when this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No or too little data.
    Held,
    /// A safety filter forbids trading, and which.
    Paused(Pause),
    /// Nothing to do yet.
    Waiting,
    /// A signal.
    Trading(Direction),
}

/// A safety filter, with the side on which price left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Trend(Direction),
    Breakout(Direction),
    Volatility,
    Oversized,
}

/// The outcome of one evaluation.
struct Decision {
    state: State,
    advice: Advice,
    /// In an entry zone only.
    setup: Option<Setup>,
}

impl Range {
    pub(crate) fn new(
        symbol: Symbol,
        tick: TickSize,
        parameters: RangeParameters,
        detectors: &DetectorParameters,
    ) -> Self {
        Self {
            symbol,
            tick,
            profile: Profile::new(DAY, detectors),
            day: RollingRange::new(DAY),
            earlier: RollingRange::new(DAY - parameters.breakout_excluded_minutes),
            parameters,
            previous: None,
        }
    }

    /// Adds a closed minute, which the market knows already.
    pub(crate) fn update(&mut self, candle: &Candle, market: &Market) {
        self.day.push(candle);
        if let Some(day) = self.day.range() {
            self.profile.update(market.history(), day);
        }
        let excluded = self.parameters.breakout_excluded_minutes + 1;
        if let Some(index) = market.candles().checked_sub(excluded) {
            self.earlier.push(&market.history()[index]);
        }
    }

    /// What to do at the close of a minute, and whether followers are told.
    pub(crate) fn evaluate(&mut self, moment: &Moment, market: &Market) -> (Box<RangePayload>, bool) {
        let view = self.view(moment);
        let decision = self.decide(&view, moment, market);
        let side =
            |state| if let State::Trading(direction) = state { direction.side() } else { Side::Neutral };
        let previous = self.previous.replace(decision.state);
        let sentiment_change = previous.is_some_and(|previous| side(previous) != side(decision.state));
        let send = matches!(decision.state, State::Trading(_)) || previous != Some(decision.state);
        (self.payload(&view, decision, sentiment_change), send)
    }

    fn view(&self, moment: &Moment) -> View {
        let Moment { time_ms, timestamp, price, .. } = *moment;
        let range = |minutes| self.day.range_of(minutes).unwrap_or(PriceRange { high: price, low: price });
        let (hour, four_hours, day) = (range(HOUR), range(FOUR_HOURS), range(DAY));
        View { time_ms, timestamp, price, hour, four_hours, day }
    }

    fn decide(&mut self, view: &View, moment: &Moment, market: &Market) -> Decision {
        if let Some(hold) = Hold::of(moment, market.candles(), self.parameters.candles_needed) {
            return Decision { state: State::Held, advice: Advice::neutral(hold.reasoning()), setup: None };
        }
        if let Some((pause, reasoning)) = self.pause(view, market.change_percent(HOUR)) {
            return Decision { state: State::Paused(pause), advice: Advice::neutral(reasoning), setup: None };
        }
        let Some(direction) = self.zone(view) else {
            let place = Fixed(view.day.position(view.price) * 100.0, 0);
            let reasoning = text!["Price mid-range (", place, "% of 24h range). Waiting for entry zone."];
            return Decision { state: State::Waiting, advice: Advice::neutral(reasoning), setup: None };
        };
        let volumes = self.profile.volumes(market.history(), view.day);
        let setup = Setup::new(direction, view, market, &self.parameters, volumes, self.tick);
        let (state, advice) = match self.obstacle(&setup) {
            Some(obstacle) => {
                let reasoning =
                    text!["Price in ", direction.word(), " zone but ", obstacle.as_str(), ". Waiting."];
                (State::Waiting, Advice::neutral(reasoning))
            }
            None => (State::Trading(direction), self.entry(view, &setup)),
        };
        Decision { state, advice, setup: Some(setup) }
    }

    /// The first safety filter that forbids trading, in words.
    fn pause(&self, view: &View, change_percent: f64) -> Option<(Pause, String)> {
        let &RangeParameters { trend_max_percent, volatility_max_percent, size_max_percent, .. } =
            &self.parameters;
        let (hour_percent, day_percent) = (view.hour.size_percent(), view.day.size_percent());
        if change_percent.abs() > trend_max_percent {
            let direction = if change_percent > 0.0 { Direction::Long } else { Direction::Short };
            return Some((Pause::Trend(direction), self.trend_text(direction, change_percent)));
        }
        if let Some((direction, level)) = self.breakout(view.price) {
            return Some((Pause::Breakout(direction), self.breakout_text(direction, level)));
        }
        if hour_percent > volatility_max_percent {
            let (size, most) = (Fixed(hour_percent, 2), Fixed(volatility_max_percent, 1));
            return Some((
                Pause::Volatility,
                format!(
                    "🚫 EXTREME VOLATILITY: 1h range {size}% (threshold: {most}%). Range trading DISABLED."
                ),
            ));
        }
        if day_percent > size_max_percent {
            let (size, most) = (Fixed(day_percent, 2), Fixed(size_max_percent, 1));
            return Some((
                Pause::Oversized,
                format!(
                    "🚫 RANGE TOO LARGE: 24h range {size}% (threshold: {most}%). Range trading DISABLED."
                ),
            ));
        }
        None
    }

    /// The side on which price has left the range of the day before the last minutes, and the level it left.
    fn breakout(&self, price: f64) -> Option<(Direction, f64)> {
        let PriceRange { high, low } = self.earlier.range()?;
        if price > high {
            Some((Direction::Long, high))
        } else if price < low {
            Some((Direction::Short, low))
        } else {
            None
        }
    }

    fn trend_text(&self, direction: Direction, change_percent: f64) -> String {
        let (trend, moved) = direction.pick(("UPTREND", "pumped"), ("DOWNTREND", "dumped"));
        let threshold = direction.favourable(self.parameters.trend_max_percent);
        format!(
            "🚫 STRONG {trend}: Price {moved} {change_percent:+.1}% in 60min (threshold: {threshold:+.1}%). \
             Range trading DISABLED. Waiting for consolidation."
        )
    }

    fn breakout_text(&self, direction: Direction, level: f64) -> String {
        let (side, extreme) = direction.pick(("above", "high"), ("below", "low"));
        format!(
            "🚫 BREAKOUT: Price {side} previous 24h {extreme} ${}. Range trading DISABLED. Waiting for a new range.",
            self.tick.text(level)
        )
    }

    fn zone(&self, view: &View) -> Option<Direction> {
        let in_zone = |&direction: &Direction| {
            view.distance_from_edge(view.day, direction) <= self.parameters.zone
                || view.aligned_zone(direction, &self.parameters)
        };
        [Direction::Long, Direction::Short].into_iter().find(in_zone)
    }

    /// What speaks against an entry in the zone.
    fn obstacle(&self, setup: &Setup) -> Option<String> {
        let &RangeParameters { score_min, risk_reward_min, .. } = &self.parameters;
        let (score, risk_reward) = (setup.score(), setup.order.risk_reward);
        if score < score_min {
            Some(text!["confluence ", score, "/6 below ", score_min])
        } else if risk_reward < risk_reward_min {
            Some(text!["risk/reward ", Fixed(risk_reward, 1), " below ", Fixed(risk_reward_min, 1)])
        } else {
            None
        }
    }

    fn entry(&self, view: &View, setup: &Setup) -> Advice {
        let direction = setup.direction;
        let confidence = match setup.score() {
            4.. => Confidence::High,
            3 => Confidence::Medium,
            _ => Confidence::Low,
        };
        let PriceRange { high, low } = view.day;
        let extreme = direction.pick(low, high);
        let distance = Fixed((view.price - extreme).abs() / extreme * 100.0, 1);
        let (support, side, name) =
            direction.pick(("support", "above", "low"), ("resistance", "below", "high"));
        let [high_text, low_text, extreme_text] = [high, low, extreme].map(|price| self.tick.text(price));
        let mut reasoning = format!(
            "Price near {support} ({distance}% {side} 24h {name} ${extreme_text}). \
             Range: ${low_text}-${high_text} ({}%).",
            Fixed(view.day.size_percent(), 2)
        );
        for layer in &setup.layers {
            reasoning += " ✅ ";
            reasoning += &layer.text(direction, self.tick);
        }
        if confidence == Confidence::High {
            reasoning += &format!(" 🔥 HIGH CONFLUENCE - EXCELLENT {} SETUP.", direction.word());
        }
        Advice { direction: Some(direction), confidence, reasoning }
    }

    fn payload(&self, view: &View, decision: Decision, sentiment_change: bool) -> Box<RangePayload> {
        let Decision { advice, setup, .. } = decision;
        let tick = self.tick;
        let order = setup.as_ref().filter(|_| advice.direction.is_some()).map(|setup| setup.order);
        let severity = advice.confidence;
        let entry = Entry {
            price: order.map_or_else(|| "0".into(), |order| tick.text(order.entry).to_string()),
            side: advice.direction.map_or(Side::Neutral, Direction::side),
            order_type: OrderType::Limit,
            tolerance_percent: advice.direction.map_or(0.0, |_| self.parameters.tolerance_percent),
            reasoning: advice.reasoning,
        };
        let range_24h = window(view.day, view.price, tick);
        let range_data = RangeData {
            daily_high: range_24h.high,
            daily_low: range_24h.low,
            range_size: range_24h.size,
            position_in_range: range_24h.position_in_range,
            current_price: tick.round(view.price),
        };
        Box::new(RangePayload {
            summary: RangeSummary { entry, severity, sentiment_change },
            timestamp: view.timestamp.text(),
            symbol: self.symbol,
            range_1h: window(view.hour, view.price, tick),
            range_4h: window(view.four_hours, view.price, tick),
            range_24h,
            volume_profile: setup.as_ref().map(|setup| profile(&setup.volumes, tick)),
            key_levels: setup.as_ref().map(|setup| levels::told(&setup.levels, view.price, tick)),
            tp_price: order.map(|order| order.target),
            sl_price: order.map(|order| order.stop),
            risk_reward: order.map(|order| order.risk_reward),
            confluence_score: setup.as_ref().map(Setup::score),
            range_data,
        })
    }
}

impl View {
    /// Where the price stands between the edge to trade from (0) and the other one (1).
    fn distance_from_edge(&self, range: PriceRange, direction: Direction) -> f64 {
        let position = range.position(self.price);
        direction.pick(position, 1.0 - position)
    }

    /// Whether the price is near the same edge of all three ranges.
    fn aligned_zone(&self, direction: Direction, parameters: &RangeParameters) -> bool {
        let within = |range, zone| self.distance_from_edge(range, direction) <= zone;
        within(self.hour, parameters.zone)
            && within(self.four_hours, parameters.zone)
            && within(self.day, parameters.zone_aligned)
    }
}

fn window(range: PriceRange, price: f64, tick: TickSize) -> RangeWindow {
    RangeWindow {
        high: tick.round(range.high),
        low: tick.round(range.low),
        size: tick.round(range.size()),
        size_percent: round(range.size_percent(), 2),
        position_in_range: round(range.position(price), 2),
    }
}

fn profile(volumes: &Volumes, tick: TickSize) -> VolumeProfile {
    let on_grid = |prices: &[f64]| prices.iter().map(|&price| tick.round(price)).collect();
    VolumeProfile {
        poc: tick.round(volumes.poc),
        value_area_high: tick.round(volumes.area.high),
        value_area_low: tick.round(volumes.area.low),
        high_volume_nodes: on_grid(&volumes.high_nodes),
        low_volume_nodes: on_grid(&volumes.low_nodes),
    }
}

/// One-minute candles of each range.
const HOUR: usize = 60;
const FOUR_HOURS: usize = 240;
const DAY: usize = 1440;
