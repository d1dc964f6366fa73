//! Key levels: prices at which the market may turn, and how much speaks for each.

use std::cmp::Ordering;

use tidegate_protocol::{KeyLevel, KeyLevelKind};

use crate::number::{TickSize, round};

/// Where a level comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The name on the wire.
    pub(crate) name: &'static str,
    /// Strength on its own.
    base: u32,
}

impl Source {
    pub(crate) const DAY_HIGH: Self = Self::new("24h_high", 4);
    pub(crate) const DAY_LOW: Self = Self::new("24h_low", 4);
    pub(crate) const FOUR_HOURS_HIGH: Self = Self::new("4h_high", 3);
    pub(crate) const FOUR_HOURS_LOW: Self = Self::new("4h_low", 3);
    pub(crate) const HOUR_HIGH: Self = Self::new("1h_high", 2);
    pub(crate) const HOUR_LOW: Self = Self::new("1h_low", 2);
    pub(crate) const POC: Self = Self::new("poc", 5);
    pub(crate) const VALUE_AREA_HIGH: Self = Self::new("value_area_high", 4);
    pub(crate) const VALUE_AREA_LOW: Self = Self::new("value_area_low", 4);
    pub(crate) const HIGH_VOLUME_NODE: Self = Self::new("high_volume_node", 3);
    pub(crate) const BULLISH_SWEEP: Self = Self::new("sweep_BULLISH_SWEEP", 3);
    pub(crate) const BEARISH_SWEEP: Self = Self::new("sweep_BEARISH_SWEEP", 3);
    pub(crate) const BULLISH_GAP: Self = Self::new("gap_BULLISH", 2);
    pub(crate) const BEARISH_GAP: Self = Self::new("gap_BEARISH", 2);

    const fn new(name: &'static str, base: u32) -> Self {
        Self { name, base }
    }

    fn kind(self, price: f64, current: f64) -> KeyLevelKind {
        match self {
            Self::POC => KeyLevelKind::Poc,
            Self::BULLISH_GAP | Self::BEARISH_GAP => KeyLevelKind::Gap,
            _ if price <= current => KeyLevelKind::Support,
            _ => KeyLevelKind::Resistance,
        }
    }
}

/// A price at which the market may turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    pub(crate) price: f64,
    pub(crate) source: Source,
    pub(crate) strength: u32,
    /// From the current price, in percent of it; negative below.
    pub(crate) distance_percent: f64,
}

/// Weighs levels, which are on the tick grid, and sorts them: strongest first, then nearest, then by name.
pub(crate) fn rank(found: &[(Source, f64)], current: f64) -> Vec<Level> {
    let mut levels: Vec<Level> = found
        .iter()
        .map(|&(source, price)| Level {
            price,
            source,
            strength: strength(found, source, price),
            distance_percent: (price - current) / current * 100.0,
        })
        .collect();
    levels.sort_by(order);
    levels
}

/// The first ten, as they are sent.
pub(crate) fn told(levels: &[Level], current: f64, tick: TickSize) -> Vec<KeyLevel> {
    let key_level = |level: &Level| KeyLevel {
        price: tick.round(level.price),
        kind: level.source.kind(level.price, current),
        strength: level.strength,
        distance: round(level.distance_percent, 2),
        source: level.source.name.into(),
    };
    levels.iter().take(TOLD_MAX).map(key_level).collect()
}

/// Every two levels of other sources nearby add one.
fn strength(found: &[(Source, f64)], source: Source, price: f64) -> u32 {
    let near = |&&(other, at): &&(Source, f64)| {
        other != source && (at - price).abs() / price * 100.0 <= NEAR_PERCENT
    };
    let nearby = found.iter().filter(near).count();
    (source.base + u32::try_from(nearby / 2).unwrap_or(STRENGTH_MAX)).min(STRENGTH_MAX)
}

fn order(a: &Level, b: &Level) -> Ordering {
    let by_strength = b.strength.cmp(&a.strength);
    let by_distance = a.distance_percent.abs().total_cmp(&b.distance_percent.abs());
    by_strength.then(by_distance).then_with(|| a.source.name.cmp(b.source.name))
}

/// Levels closer than this back each other.
const NEAR_PERCENT: f64 = 0.1;
const STRENGTH_MAX: u32 = 5;
/// Levels that are sent.
const TOLD_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_other_levels_nearby_add_one_and_five_is_the_most() {
        let found = [
            (Source::HOUR_LOW, 100.0),
            (Source::FOUR_HOURS_LOW, 100.05),
            (Source::DAY_LOW, 99.96),
            (Source::HIGH_VOLUME_NODE, 110.0),
            (Source::HIGH_VOLUME_NODE, 110.05),
            (Source::POC, 120.0),
            (Source::VALUE_AREA_LOW, 120.0),
            (Source::DAY_HIGH, 120.0),
        ];
        let strengths: Vec<_> =
            rank(&found, 100.0).iter().map(|level| (level.source.name, level.strength)).collect();
        assert_eq!(
            strengths,
            [
                ("24h_low", 5),
                ("24h_high", 5),
                ("poc", 5),
                ("value_area_low", 5),
                ("4h_low", 4),
                ("1h_low", 3),
                ("high_volume_node", 3),
                ("high_volume_node", 3),
            ]
        );
    }

    #[test]
    fn a_level_is_what_its_source_or_its_side_makes_it() {
        let found = [
            (Source::HOUR_LOW, 99.0),
            (Source::HOUR_HIGH, 101.0),
            (Source::POC, 98.0),
            (Source::BEARISH_GAP, 102.0),
        ];
        let tick = "0.1".parse().unwrap();
        let told = told(&rank(&found, 100.0), 100.0, tick);
        let kinds: Vec<_> = told.iter().map(|level| (level.kind, level.distance)).collect();
        assert_eq!(
            kinds,
            [
                (KeyLevelKind::Poc, -2.0),
                (KeyLevelKind::Resistance, 1.0),
                (KeyLevelKind::Support, -1.0),
                (KeyLevelKind::Gap, 2.0),
            ]
        );
    }
}
