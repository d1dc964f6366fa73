//! A market that needs nothing: prices as a pure function of seed, symbol and time.
//!
//! Any minute can be computed without the ones before it, so a restarted or second node sees the same market,
//! and signals that were missed while a node was down are recomputed exactly. Each day is a bridge between two
//! levels that are given in closed form; what happens in between follows regimes from calm to crash.

mod minute;
mod random;
mod regime;

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use tidegate_protocol::Symbol;
use tidegate_strategy::{MINUTE_MS, MarketEvent, QuietMinutes, TickSize};

use self::minute::Minute;
use self::random::{Random, mix};
use self::regime::{Character, sweeps};
use super::{Opened, PAST_CANDLES, PAST_EVALUATED, Source, paced};
use crate::clock::MarketClock;

const MINUTES_PER_DAY: u64 = 1_440;
const DAY_MS: i64 = 86_400_000;

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
    let happened = move |event: &MarketEvent| event.time_ms() <= now_ms;
    let recent = Events::from_minute(Market::new(seed, symbol), evaluated_from).take_while(happened);
    let events = Events::from_minute(market, minute).skip_while(happened);
    Source {
        symbol,
        tick: Profile::of(symbol).tick,
        past,
        recent: Box::new(recent),
        events: paced(events, clock),
        repair: None,
        quiet_minutes: QuietMinutes::Flat,
    }
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
