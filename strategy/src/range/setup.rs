//! What speaks for an entry at an edge of the range, and the order that it makes.

use crate::direction::Direction;
use crate::levels::{Level, Source, rank};
use crate::market::Market;
use crate::number::{TickSize, round};
use crate::parameters::RangeParameters;
use crate::profile::Volumes;
use crate::structure::{Gap, Sweep};

use super::View;

/// Everything known about an entry zone.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) direction: Direction,
    pub(super) layers: Vec<Layer>,
    /// Strongest first.
    pub(super) levels: Vec<Level>,
    pub(super) volumes: Volumes,
    pub(super) order: Order,
}

/// One of the six things that can speak for an entry, with what its text tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layer {
    Zone,
    Sweep(Sweep),
    Gap { gap: Gap, age_minutes: u64 },
    Poc(f64),
    ValueArea(f64),
    Sideways { adx: f64 },
}

/// Entry, target and stop on the tick grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) entry: f64,
    pub(super) target: f64,
    pub(super) stop: f64,
    /// Way to the target over way to the stop, with the one decimal that is told and judged.
    pub(super) risk_reward: f64,
}

impl Setup {
    pub(super) fn new(
        direction: Direction,
        view: &View,
        market: &Market,
        parameters: &RangeParameters,
        volumes: Volumes,
        tick: TickSize,
    ) -> Self {
        let sweep = market.sweeps.recent(direction, parameters.sweep_memory);
        let gap = market.gaps.filling(direction, view.price, view.time_ms, parameters.gap_age_minutes);
        let search = Search { direction, view, parameters, tick, volumes: &volumes, sweep, gap };
        let levels = rank(&search.levels(), view.price);
        let (layers, order) = (search.layers(market.adx()), search.order(&levels));
        Self { direction, layers, levels, volumes, order }
    }

    /// Number of the six layers.
    pub(super) fn score(&self) -> u32 {
        u32::try_from(self.layers.len()).expect("six layers at most")
    }
}

/// What there is to judge a zone by.
struct Search<'a> {
    direction: Direction,
    view: &'a View,
    parameters: &'a RangeParameters,
    tick: TickSize,
    volumes: &'a Volumes,
    sweep: Option<Sweep>,
    gap: Option<Gap>,
}

impl Search<'_> {
    /// What speaks for an entry, in the order in which it is told.
    fn layers(&self, adx: Option<f64>) -> Vec<Layer> {
        let &Self { direction, view, parameters, volumes, sweep, gap, .. } = self;
        let edge = direction.pick(volumes.area.low, volumes.area.high);
        let in_zone = view.aligned_zone(direction, parameters);
        [
            in_zone.then_some(Layer::Zone),
            sweep.map(Layer::Sweep),
            gap.map(|gap| Layer::Gap { gap, age_minutes: gap.age_minutes(view.time_ms) }),
            self.near(volumes.poc, parameters.poc_near_percent).then_some(Layer::Poc(volumes.poc)),
            self.near(edge, parameters.value_area_near_percent).then_some(Layer::ValueArea(edge)),
            adx.filter(|&adx| adx < parameters.adx_max).map(|adx| Layer::Sideways { adx }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Every level with its source.
    fn levels(&self) -> Vec<(Source, f64)> {
        let &Self { direction, view, volumes, .. } = self;
        let mut levels = vec![
            (Source::DAY_HIGH, view.day.high),
            (Source::DAY_LOW, view.day.low),
            (Source::FOUR_HOURS_HIGH, view.four_hours.high),
            (Source::FOUR_HOURS_LOW, view.four_hours.low),
            (Source::HOUR_HIGH, view.hour.high),
            (Source::HOUR_LOW, view.hour.low),
            (Source::POC, volumes.poc),
            (Source::VALUE_AREA_HIGH, volumes.area.high),
            (Source::VALUE_AREA_LOW, volumes.area.low),
        ];
        // The point of control is a node itself and would count twice.
        let nodes = volumes.high_nodes.iter().filter(|&&node| node != volumes.poc);
        levels.extend(nodes.map(|&node| (Source::HIGH_VOLUME_NODE, node)));
        let sweep = direction.pick(Source::BULLISH_SWEEP, Source::BEARISH_SWEEP);
        levels.extend(self.sweep.map(|found| (sweep, found.level)));
        let gap = direction.pick(Source::BULLISH_GAP, Source::BEARISH_GAP);
        levels.extend(self.gap.map(|found| (gap, found.edge())));
        // An order can only be placed on the grid, so that is where levels are and what is measured.
        levels.into_iter().map(|(source, price)| (source, self.tick.round(price))).collect()
    }

    /// LONG: stop < entry ≤ price < target; SHORT mirrored. A tick so coarse that rounding would break this
    /// moves target or stop one tick outward.
    fn order(&self, levels: &[Level]) -> Order {
        let &Self { direction, view, tick, .. } = self;
        let entry = self.entry(levels);
        let mut target = tick.round(f64::midpoint(view.day.high, view.day.low));
        if target == tick.round(view.price) {
            target = tick.step(target, direction.sign());
        }
        let mut stop = tick.round(self.stop(entry));
        if stop == entry {
            stop = tick.step(stop, -direction.sign());
        }
        Order { entry, target, stop, risk_reward: round((target - entry) / (entry - stop), 1) }
    }

    /// The nearest strong level on the favourable side, else a little better than the price.
    fn entry(&self, levels: &[Level]) -> f64 {
        let &Self { direction, view, parameters, .. } = self;
        let way = |level: &Level| -direction.favourable(level.distance_percent);
        let reachable = |level: &&Level| {
            level.strength >= ENTRY_STRENGTH && (0.0..=parameters.tolerance_percent).contains(&way(level))
        };
        let nearest = levels.iter().filter(reachable).min_by(|a, b| way(a).total_cmp(&way(b)));
        // On the grid at once: target, stop and reward are those of an order that can be placed.
        self.tick.round(match nearest {
            Some(level) => level.price,
            None => beyond(view.price, -direction.favourable(parameters.offset_percent)),
        })
    }

    /// Behind the nearest price with little volume, else behind the 4-hour extreme; never too near or too far.
    fn stop(&self, entry: f64) -> f64 {
        let &Self { direction, view, parameters, volumes, .. } = self;
        let (min, max) = (parameters.stop_min_percent, parameters.stop_max_percent);
        let risk_percent = |stop: f64| direction.favourable(entry - stop) / entry * 100.0;
        let fitting =
            volumes.low_nodes.iter().copied().filter(|&node| (min..=max).contains(&risk_percent(node)));
        let nearest = fitting.min_by(|&a, &b| risk_percent(a).total_cmp(&risk_percent(b)));
        nearest.unwrap_or_else(|| {
            let extreme = direction.pick(view.four_hours.low, view.four_hours.high);
            let behind = beyond(extreme, -direction.favourable(parameters.stop_beyond_percent));
            beyond(entry, -direction.favourable(risk_percent(behind).clamp(min, max)))
        })
    }

    fn near(&self, level: f64, percent: f64) -> bool {
        (level - self.view.price).abs() / self.view.price * 100.0 <= percent
    }
}

impl Layer {
    pub(super) fn text(self, direction: Direction, tick: TickSize) -> String {
        let (mood, support) = (direction.mood(), direction.pick("support", "resistance"));
        match self {
            Self::Zone => {
                format!("1h+4h+24h all in {} zone (multi-TF {support}).", direction.pick("bottom", "top"))
            }
            Self::Sweep(Sweep { level, volume_factor, wick_factor, .. }) => {
                let factors = format!("({volume_factor:.1}x volume, {wick_factor:.1}x wick)");
                format!("{mood} SWEEP at ${} {factors} - liquidity grabbed.", tick.text(level))
            }
            Self::Gap { gap, age_minutes } => {
                let state = format!("({:.0}% filled, {age_minutes}m old)", round(gap.filled_percent(), 0));
                format!("FILLING {mood} GAP ${}-${} {state}.", tick.text(gap.bottom), tick.text(gap.top))
            }
            Self::Poc(price) => {
                format!("Price near Volume POC ${} (high-volume {support}).", tick.text(tick.round(price)))
            }
            Self::ValueArea(price) => {
                let (edge, price) = (direction.pick("Low", "High"), tick.text(tick.round(price)));
                format!("Price at Value Area {edge} ${price} (70% volume boundary).")
            }
            Self::Sideways { adx } => {
                format!("Sideways regime ({adx:.0}/100 trend strength) - ideal for range trading.")
            }
        }
    }
}

/// A level of at least this strength can be the entry.
const ENTRY_STRENGTH: u32 = 3;

/// A price moved up by a percentage of itself.
fn beyond(price: f64, percent: f64) -> f64 {
    price * (1.0 + percent / 100.0)
}
