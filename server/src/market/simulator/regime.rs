//! How a simulated day goes: its character, its regimes and the stops that are taken out.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use super::random::Random;

/// Minutes before a sweep whose extreme it takes out.
const SWEEP_LOOKBACK: usize = 35;
/// How near to the extreme a minute must be to sweep it, as a part of the price.
const SWEEP_REACH: f64 = 0.001_5;
/// How far a sweep reaches beyond the extreme.
const SWEEP_DEPTH: f64 = 0.001_2;
/// How often a minute near an extreme sweeps it.
const SWEEP_CHANCE: f64 = 0.08;

/// What kind of day it is. They follow each other, so that three days of one symbol, or one day of three, show
/// everything that a strategy can meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Character {
    /// Back and forth between two edges.
    Ranging,
    /// Trends up and down with pauses.
    Trending,
    /// Crashes, recoveries and noise.
    Wild,
}

impl Character {
    pub(super) fn of(day: u64) -> Self {
        [Self::Wild, Self::Trending, Self::Ranging][usize::try_from(day % 3).expect("below 3")]
    }

    /// A stretch of this day.
    pub(super) fn draw(self, random: &mut Random) -> Regime {
        let (least, most, drift, deviation) = match (self, random.uniform()) {
            (Self::Ranging, u) if u < 0.5 => (40, 160, 0.0, 0.000_15),
            (Self::Ranging, _) => (40, 160, 0.0, 0.000_3),
            (Self::Trending, u) if u < 0.40 => (120, 300, 0.000_08, 0.000_25),
            (Self::Trending, u) if u < 0.80 => (120, 300, -0.000_08, 0.000_25),
            (Self::Trending, _) => (40, 120, 0.0, 0.000_12),
            (Self::Wild, u) if u < 0.30 => (20, 40, -0.000_9, 0.001),
            (Self::Wild, u) if u < 0.60 => (20, 40, 0.000_9, 0.001),
            (Self::Wild, u) if u < 0.80 => (60, 120, 0.0, 0.000_6),
            (Self::Wild, _) => (60, 180, 0.0, 0.000_15),
        };
        Regime { minutes_left: least + random.below(most - least), drift, deviation }
    }

    /// How much of its distance from the middle the walk keeps in a minute: a range pulls back.
    pub(super) fn memory(self) -> f64 {
        if matches!(self, Self::Ranging) { 0.985 } else { 1.0 }
    }

    /// The slow swing of a ranging day, nothing at its ends: part of the day in, logarithm of the price out.
    pub(super) fn swing(self, random: &mut Random) -> impl Fn(f64) -> f64 + use<> {
        let height = if matches!(self, Self::Ranging) { 0.006 } else { 0.0 };
        let turns = 3.0 + (4.0 * random.uniform()).floor();
        move |part| height * (TAU * turns * part).sin()
    }
}

/// A stretch of time in which the market behaves in one way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regime {
    pub(super) minutes_left: u64,
    /// Mean return of a minute.
    pub(super) drift: f64,
    /// Standard deviation of a minute's return.
    pub(super) deviation: f64,
}

/// Stops that rest beyond an extreme are taken out now and then: a wick through it, and a close inside.
pub(super) fn sweeps(levels: &[f64], random: &mut Random) -> BTreeMap<usize, f64> {
    let mut found = BTreeMap::new();
    for index in SWEEP_LOOKBACK..levels.len() - 1 {
        let before = &levels[index - SWEEP_LOOKBACK..index];
        let low = before.iter().copied().fold(f64::MAX, f64::min);
        let high = before.iter().copied().fold(f64::MIN, f64::max);
        let (open, close) = (levels[index], levels[index + 1]);
        let near = |edge: f64| {
            ((open - edge) / edge).abs() < SWEEP_REACH && ((close - edge) / edge).abs() < SWEEP_REACH
        };
        if random.uniform() >= SWEEP_CHANCE {
            continue;
        }
        if near(low) && close > low {
            found.insert(index, low * (1.0 - SWEEP_DEPTH));
        } else if near(high) && close < high {
            found.insert(index, high * (1.0 + SWEEP_DEPTH));
        }
    }
    found
}
