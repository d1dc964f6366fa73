//! A market that needs nothing: prices as a pure function of seed, symbol and time.
//!
//! Any minute can be computed without the ones before it, so a restarted or second node sees the same market,
//! and signals that were missed while a node was down are recomputed exactly. Each day is a bridge between two
//! levels that are given in closed form; what happens in between follows regimes from calm to crash.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use tidegate_protocol::Symbol;
use tidegate_strategy::{Candle, MINUTE_MS, MarketEvent, TickSize};

use super::{Opened, PAST_CANDLES, PAST_EVALUATED, Source, paced};
use crate::clock::MarketClock;

const MINUTES_PER_DAY: u64 = 1_440;
const DAY_MS: i64 = 86_400_000;
const SECONDS_PER_MINUTE: u64 = 60;

/// Minutes before a sweep whose extreme it takes out.
const SWEEP_LOOKBACK: usize = 35;
/// How near to the extreme a minute must be to sweep it, as a part of the price.
const SWEEP_REACH: f64 = 0.001_5;
/// How far a sweep reaches beyond the extreme.
const SWEEP_DEPTH: f64 = 0.001_2;
/// How often a minute near an extreme sweeps it.
const SWEEP_CHANCE: f64 = 0.08;
/// How much more is traded in it.
const SWEEP_VOLUME: f64 = 4.0;

/// The symbols that are simulated when none are named.
const DEFAULT_SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];

/// Opens the simulator at the market time that belongs to `wall_ms`.
#[must_use]
pub fn open(seed: u64, symbols: &[Symbol], speed: f64, wall_ms: i64) -> Opened {
    let now_ms = market_ms(wall_ms, speed);
    let symbols = if symbols.is_empty() {
        DEFAULT_SYMBOLS.map(|symbol| symbol.parse().expect("a symbol")).to_vec()
    } else {
        symbols.to_vec()
    };
    let clock = MarketClock::new(now_ms, speed);
    let sources = symbols.into_iter().map(|symbol| source(seed, symbol, clock, now_ms)).collect();
    Opened { sources, clock, description: format!("simulator, seed {seed}") }
}

/// Market time at `wall_ms`. At another speed than 1, the two agree at the midnight (UTC) before: a restart on
/// the same day goes on where the market would have been.
fn market_ms(wall_ms: i64, speed: f64) -> i64 {
    #[expect(clippy::float_cmp, reason = "exactly real time")]
    if speed == 1.0 {
        return wall_ms;
    }
    let midnight_ms = wall_ms - wall_ms.rem_euclid(DAY_MS);
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a day times 10000")]
    let passed_ms = ((wall_ms - midnight_ms) as f64 * speed) as i64;
    midnight_ms + passed_ms
}

fn source(seed: u64, symbol: Symbol, clock: MarketClock, now_ms: i64) -> Source {
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
    let minute = now_ms / MINUTE_MS;
    let evaluated_from = minute.saturating_sub(PAST_EVALUATED as u64);
    let first = minute.saturating_sub(PAST_CANDLES as u64);
    let mut market = Market::new(seed, symbol);
    let past = (first..evaluated_from).map(|minute| market.minute(minute).candle()).collect();
    let mut events = Events::from_minute(market, evaluated_from).peekable();
    let recent = std::iter::from_fn(|| events.next_if(|event| event.time_ms() <= now_ms)).collect();
    Source { symbol, tick: Profile::of(symbol).tick, past, recent, events: paced(events, clock) }
}

/// What a symbol is worth, and in which steps.
#[derive(Clone, Copy, Debug)]
struct Profile {
    price: f64,
    tick: TickSize,
    /// Traded per minute in a calm market, in the base currency.
    volume: f64,
    /// How much livelier than the first symbol it is.
    liveliness: f64,
    /// Shifts the order of the days' characters: symbols do not all crash on the same day.
    shift: u64,
}

impl Profile {
    fn of(symbol: Symbol) -> Self {
        let tick = |decimals| TickSize::new(1, decimals).expect("a valid tick");
        match symbol.as_str() {
            "BTCUSDT" => Self { price: 100_000.0, tick: tick(1), volume: 18.0, liveliness: 1.0, shift: 0 },
            "ETHUSDT" => Self { price: 3_600.0, tick: tick(2), volume: 240.0, liveliness: 1.2, shift: 1 },
            "SOLUSDT" => Self { price: 180.0, tick: tick(2), volume: 2_900.0, liveliness: 1.4, shift: 2 },
            // Anything else gets a price between 1 and 100 that belongs to its name.
            other => {
                let mut random = Random::new(other.bytes().fold(7, |hash, byte| mix(hash ^ u64::from(byte))));
                let price = 10f64.powf(2.0 * random.uniform());
                let shift = random.below(3);
                Self { price, tick: tick(4), volume: 100_000.0 / price, liveliness: 1.4, shift }
            }
        }
    }
}

/// One symbol's simulated market. Keeps the day that was asked for last.
#[derive(Clone, Debug)]
struct Market {
    key: u64,
    profile: Profile,
    day: Option<Day>,
}

/// The prices of one day: one at the start of each minute and one at its end.
#[derive(Clone, Debug)]
struct Day {
    number: u64,
    levels: Vec<f64>,
    /// Standard deviation of a minute's return.
    deviations: Vec<f64>,
    /// Minutes that reach beyond the extreme of the half hour before and come back: to this price.
    sweeps: BTreeMap<usize, f64>,
}

impl Market {
    fn new(seed: u64, symbol: Symbol) -> Self {
        let key = symbol.as_str().bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)));
        Self { key, profile: Profile::of(symbol), day: None }
    }

    /// The minute with this number, counted from the Unix epoch.
    fn minute(&mut self, number: u64) -> Minute {
        let (day, index) = (number / MINUTES_PER_DAY, number % MINUTES_PER_DAY);
        let index = usize::try_from(index).expect("at most 1440");
        if self.day.as_ref().is_none_or(|kept| kept.number != day) {
            self.day = Some(self.make_day(day));
        }
        let kept = self.day.as_ref().expect("just made");
        Minute::draw(
            number,
            [kept.levels[index], kept.levels[index + 1]],
            kept.deviations[index],
            kept.sweeps.get(&index).copied(),
            self.profile,
            Random::new(self.key ^ mix(number)),
        )
    }

    /// A random walk through the day's regimes, bent so that it begins and ends at the day's levels.
    fn make_day(&self, number: u64) -> Day {
        let minutes = usize::try_from(MINUTES_PER_DAY).expect("1440");
        let mut random = Random::new(self.key ^ mix(number ^ 0xDA7));
        let character = Character::of(number + self.profile.shift);
        let (mut walk, mut deviations) = (vec![0.0], Vec::with_capacity(minutes));
        let mut regime = character.draw(&mut random);
        for _ in 0..minutes {
            if regime.minutes_left == 0 {
                regime = character.draw(&mut random);
            }
            regime.minutes_left -= 1;
            let deviation = regime.deviation * self.profile.liveliness;
            let last = walk.last().copied().unwrap_or(0.0);
            walk.push(last * character.memory() + regime.drift + deviation * random.normal());
            deviations.push(deviation);
        }
        let (start, end) = (self.level(number), self.level(number + 1));
        let bend = end - start - walk[minutes];
        let swing = character.swing(&mut random);
        #[expect(clippy::cast_precision_loss, reason = "at most 1440")]
        let at = |index: usize| index as f64 / minutes as f64;
        let levels: Vec<_> = walk
            .iter()
            .enumerate()
            .map(|(index, step)| (start + step + bend * at(index) + swing(at(index))).exp())
            .collect();
        let sweeps = sweeps(&levels, &mut random);
        Day { number, levels, deviations, sweeps }
    }

    /// Logarithm of the price at the start of a day: slow waves around the symbol's price, bounded forever.
    fn level(&self, day: u64) -> f64 {
        let mut random = Random::new(self.key);
        #[expect(clippy::cast_precision_loss, reason = "days since 1970")]
        let day = day as f64;
        let waves: f64 = [(97.0, 0.12), (23.0, 0.02), (7.0, 0.004)]
            .iter()
            .map(|(period, height)| height * (TAU * (day / period + random.uniform())).sin())
            .sum();
        self.profile.price.ln() + waves
    }
}

/// What kind of day it is. They follow each other, so that three days of one symbol, or one day of three, show
/// everything that a strategy can meet.
#[derive(Clone, Copy, Debug)]
enum Character {
    /// Back and forth between two edges.
    Ranging,
    /// Trends up and down with pauses.
    Trending,
    /// Crashes, recoveries and noise.
    Wild,
}

impl Character {
    fn of(day: u64) -> Self {
        [Self::Wild, Self::Trending, Self::Ranging][usize::try_from(day % 3).expect("below 3")]
    }

    /// A stretch of this day.
    fn draw(self, random: &mut Random) -> Regime {
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
    fn memory(self) -> f64 {
        if matches!(self, Self::Ranging) { 0.985 } else { 1.0 }
    }

    /// The slow swing of a ranging day, nothing at its ends: part of the day in, logarithm of the price out.
    fn swing(self, random: &mut Random) -> impl Fn(f64) -> f64 + use<> {
        let height = if matches!(self, Self::Ranging) { 0.006 } else { 0.0 };
        let turns = 3.0 + (4.0 * random.uniform()).floor();
        move |part| height * (TAU * turns * part).sin()
    }
}

/// A stretch of time in which the market behaves in one way.
#[derive(Clone, Copy, Debug)]
struct Regime {
    minutes_left: u64,
    /// Mean return of a minute.
    drift: f64,
    /// Standard deviation of a minute's return.
    deviation: f64,
}

/// Stops that rest beyond an extreme are taken out now and then: a wick through it, and a close inside.
fn sweeps(levels: &[f64], random: &mut Random) -> BTreeMap<usize, f64> {
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

/// One minute: its candle is known at once, and its trades run through exactly that candle.
#[derive(Clone, Copy, Debug)]
struct Minute {
    number: u64,
    prices: [f64; 4],
    high_first: bool,
    /// Seconds at which the two extremes are traded.
    turns: [u64; 2],
    volume: f64,
    profile: Profile,
    random: Random,
}

impl Minute {
    fn draw(
        number: u64,
        level: [f64; 2],
        deviation: f64,
        sweep: Option<f64>,
        profile: Profile,
        mut random: Random,
    ) -> Self {
        let tick = profile.tick;
        let (open, close) = (tick.round(level[0]), tick.round(level[1]));
        let mut wick = || 1.0 + 0.6 * deviation * random.normal().abs();
        let (top, bottom) = (open.max(close), open.min(close));
        let mut high = tick.round(top * wick()).max(top);
        let mut low = tick.round(bottom / wick()).min(bottom);
        let travel = (high - low) / open / deviation.max(1e-9);
        let mut volume = profile.volume * (0.4 + 0.6 * random.uniform()) * (0.5 + 0.5 * travel);
        if let Some(extreme) = sweep {
            high = high.max(tick.round(extreme));
            low = low.min(tick.round(extreme));
            volume *= SWEEP_VOLUME;
        }
        let first = 5 + random.below(22);
        let turns = [first, first + 5 + random.below(22)];
        let high_first = random.uniform() < 0.5;
        Self { number, prices: [open, high, low, close], high_first, turns, volume, profile, random }
    }

    fn candle(&self) -> Candle {
        let [open, high, low, close] = self.prices;
        Candle { open_time_ms: self.number * MINUTE_MS, open, high, low, close, volume: self.volume }
    }

    /// One trade a second: from the open by way of both extremes to the close.
    fn trades(mut self) -> impl Iterator<Item = MarketEvent> {
        let [open, high, low, close] = self.prices;
        let (first, second) = if self.high_first { (high, low) } else { (low, high) };
        let [turn, turn_back] = self.turns;
        let last = SECONDS_PER_MINUTE - 1;
        let quantity = self.volume / 60.0;
        (0..SECONDS_PER_MINUTE).map(move |second_of_minute| {
            let leg = match second_of_minute {
                at if at <= turn => (open, first, 0, turn),
                at if at <= turn_back => (first, second, turn, turn_back),
                _ => (second, close, turn_back, last),
            };
            let noise = self.random.normal() * (high - low) * 0.06;
            let price = self.between(leg, second_of_minute, noise);
            let time_ms = self.number * MINUTE_MS + second_of_minute * 1_000;
            MarketEvent::Trade { time_ms, price, quantity }
        })
    }

    /// The price on the way from one turn to the next: exact at both, a little off in between.
    fn between(&self, (from, to, start, end): (f64, f64, u64, u64), at: u64, noise: f64) -> f64 {
        let [_, high, low, _] = self.prices;
        if at == start {
            return from;
        }
        if at == end {
            return to;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a minute")]
        let part = (at - start) as f64 / (end - start) as f64;
        self.profile.tick.round(from + (to - from) * part + noise).clamp(low, high)
    }
}

/// The trades from some minute on, for ever.
struct Events {
    market: Market,
    next_minute: u64,
    trades: Box<dyn Iterator<Item = MarketEvent> + Send>,
}

impl Events {
    fn from_minute(market: Market, next_minute: u64) -> Self {
        Self { market, next_minute, trades: Box::new(std::iter::empty()) }
    }
}

impl Iterator for Events {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        loop {
            if let Some(event) = self.trades.next() {
                return Some(event);
            }
            self.trades = Box::new(self.market.minute(self.next_minute).trades());
            self.next_minute += 1;
        }
    }
}

/// A small generator (SplitMix64): the same numbers on every machine and in every version.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let numerator = (self.next() >> 11) as f64;
        numerator / (1u64 << 53) as f64
    }

    /// Uniform in [0, bound).
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }
}

/// Scrambles 64 bits (the finalizer of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::replay::Replayed;

    const MINUTE: u64 = 29_370_870;

    fn market() -> Market {
        Market::new(1, "BTCUSDT".parse().unwrap())
    }

    #[test]
    fn a_minute_is_the_same_however_it_is_reached() {
        let mut in_order = market();
        let candles: Vec<_> =
            (MINUTE..MINUTE + 3_000).map(|minute| in_order.minute(minute).candle()).collect();
        for (index, candle) in candles.iter().enumerate().rev().step_by(97) {
            assert_eq!(market().minute(MINUTE + index as u64).candle(), *candle);
        }
        let other = Market::new(2, "BTCUSDT".parse().unwrap()).minute(MINUTE).candle();
        assert_ne!(other, candles[0], "another seed is another market");
    }

    #[test]
    fn candles_are_possible_and_join_without_a_jump() {
        let mut market = market();
        let mut last_close: Option<f64> = None;
        for minute in MINUTE..MINUTE + 4_000 {
            let candle = market.minute(minute).candle();
            candle.check().unwrap();
            if let Some(close) = last_close {
                assert!((candle.open - close).abs() < 1e-6, "{minute}: {close} then {}", candle.open);
            }
            last_close = Some(candle.close);
        }
    }

    #[test]
    fn the_trades_of_a_minute_make_exactly_its_candle() {
        let mut market = market();
        for number in MINUTE..MINUTE + 500 {
            let minute = market.minute(number);
            let candle = minute.candle();
            let prices: Vec<f64> = minute
                .trades()
                .map(|event| match event {
                    MarketEvent::Trade { price, .. } => price,
                    MarketEvent::Candle { .. } => panic!("trades only"),
                })
                .collect();
            let high = prices.iter().copied().fold(f64::MIN, f64::max);
            let low = prices.iter().copied().fold(f64::MAX, f64::min);
            let bounds = [prices[0], high, low, *prices.last().unwrap()];
            assert_eq!(bounds, [candle.open, candle.high, candle.low, candle.close]);
        }
    }

    /// What all strategies say about all symbols on one day, as `strategy SIDE reasoning`.
    fn said_on(day: u64) -> Vec<String> {
        let mut said = Vec::new();
        for name in DEFAULT_SYMBOLS {
            let symbol = name.parse().unwrap();
            let mut market = Market::new(1, symbol);
            let from = (day - 1) * MINUTES_PER_DAY - 60;
            let candles = (from..(day + 1) * MINUTES_PER_DAY).map(|minute| market.minute(minute).candle());
            let replayed = Replayed::new(symbol, Profile::of(symbol).tick, candles.collect());
            let evaluations = replayed.flat_map(|minute| minute.evaluations);
            for evaluation in evaluations.filter(|said| said.time_ms >= day * MINUTES_PER_DAY * MINUTE_MS) {
                let (side, why) = (evaluation.body.side().as_str(), evaluation.body.reasoning());
                said.push(format!("{} {side} {why}", evaluation.strategy));
            }
        }
        said
    }

    #[test]
    fn a_simulated_day_meets_every_branch_of_every_strategy() {
        let branches = [
            ("scalp LONG", ""),
            ("scalp SHORT", ""),
            ("scalp NEUTRAL", ""),
            ("momentum LONG", "SWEEP"),
            ("momentum LONG", "Pullback"),
            ("momentum SHORT", "SWEEP"),
            ("momentum SHORT", "Pullback"),
            ("momentum NEUTRAL", "NO CLEAR TREND"),
            ("momentum NEUTRAL", "CONFLICTED TRENDS"),
            ("momentum NEUTRAL", "LONG RSI extreme"),
            ("momentum NEUTRAL", "SHORT RSI extreme"),
            ("momentum NEUTRAL", "MACD not confirming"),
            ("momentum NEUTRAL", "below 5"),
            ("range_trading LONG", "near support"),
            ("range_trading SHORT", "near resistance"),
            ("range_trading NEUTRAL", "STRONG UPTREND"),
            ("range_trading NEUTRAL", "STRONG DOWNTREND"),
            ("range_trading NEUTRAL", "BREAKOUT: Price above"),
            ("range_trading NEUTRAL", "BREAKOUT: Price below"),
            ("range_trading NEUTRAL", "EXTREME VOLATILITY"),
            ("range_trading NEUTRAL", "RANGE TOO LARGE"),
            ("range_trading NEUTRAL", "mid-range"),
            ("range_trading NEUTRAL", "LONG zone but confluence"),
            ("range_trading NEUTRAL", "SHORT zone but confluence"),
        ];
        for day in 20_778..20_781 {
            let said = said_on(day);
            let met = |(head, text): &(&str, &str)| {
                said.iter().any(|line| line.starts_with(head) && line.contains(text))
            };
            let missed: Vec<_> = branches.iter().filter(|branch| !met(branch)).collect();
            assert_eq!(missed, [] as [&(&str, &str); 0], "on day {day}");
        }
    }

    #[test]
    fn a_restart_at_another_speed_goes_on_where_it_would_have_been() {
        let midnight_ms = 1_763_683_200_000;
        assert_eq!(market_ms(midnight_ms + 3_600_000, 1.0), midnight_ms + 3_600_000);
        assert_eq!(market_ms(midnight_ms + 3_600_000, 60.0), midnight_ms + 216_000_000);
        assert_eq!(market_ms(midnight_ms + 3_610_000, 60.0), midnight_ms + 216_600_000);
    }
}
