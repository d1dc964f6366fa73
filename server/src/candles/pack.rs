//! Candles as few bytes: whole numbers of the last digit, each as its difference to a neighbour.
//!
//! A block is the number of candles, how the prices and the volumes are written, then the candles one after the
//! other. Numbers that have no short decimal form are written as they are.

use tidegate_strategy::Candle;

/// Digits after the point that are tried.
const DECIMALS_MAX: u8 = 9;
/// In the place of a number of decimals: eight bytes each, as they are.
const RAW: u8 = u8::MAX;
/// Up to here every whole number is exact, and so are differences of two.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0 / 4.0;
const MINUTE_MS: i64 = 60_000;

/// Packs candles, whose times rise.
pub(super) fn pack(candles: &[Candle]) -> Box<[u8]> {
    let of_prices = |candle: &Candle| [candle.open, candle.high, candle.low, candle.close];
    let prices = decimals(&candles.iter().flat_map(of_prices));
    let volumes = decimals(&candles.iter().map(|candle| candle.volume));
    let mut bytes = Vec::with_capacity(candles.len() * 16);
    write(&mut bytes, candles.len() as i64);
    bytes.extend([prices, volumes]);
    let (mut time, mut close) = (0, 0);
    for candle in candles {
        let open_time_ms = candle.open_time_ms as i64;
        write(&mut bytes, open_time_ms - time - MINUTE_MS);
        time = open_time_ms;
        close = write_prices(&mut bytes, candle, prices, close);
        match volumes {
            RAW => bytes.extend(candle.volume.to_le_bytes()),
            decimals => write(&mut bytes, whole(candle.volume, decimals)),
        }
    }
    bytes.into_boxed_slice()
}

/// Appends what [`pack`] packed.
pub(super) fn unpack(mut bytes: &[u8], candles: &mut Vec<Candle>) {
    let count = read(&mut bytes);
    let [prices, volumes] = take(&mut bytes);
    let (mut time, mut close) = (0, 0);
    for _ in 0..count {
        time += read(&mut bytes) + MINUTE_MS;
        let mut candle = Candle::flat(time as u64, 0.0);
        close = read_prices(&mut bytes, &mut candle, prices, close);
        candle.volume = match volumes {
            RAW => f64::from_le_bytes(take(&mut bytes)),
            decimals => number(read(&mut bytes), decimals),
        };
        candles.push(candle);
    }
}

/// Writes the four prices, and returns the close for the next candle.
fn write_prices(bytes: &mut Vec<u8>, candle: &Candle, decimals: u8, before: i64) -> i64 {
    let prices = [candle.open, candle.high, candle.low, candle.close];
    if decimals == RAW {
        prices.iter().for_each(|price| bytes.extend(price.to_le_bytes()));
        return 0;
    }
    let [open, high, low, close] = prices.map(|price| whole(price, decimals));
    for difference in [open - before, close - open, high - open.max(close), open.min(close) - low] {
        write(bytes, difference);
    }
    close
}

fn read_prices(bytes: &mut &[u8], candle: &mut Candle, decimals: u8, before: i64) -> i64 {
    if decimals == RAW {
        for price in [&mut candle.open, &mut candle.high, &mut candle.low, &mut candle.close] {
            *price = f64::from_le_bytes(take(bytes));
        }
        return 0;
    }
    let open = before + read(bytes);
    let close = open + read(bytes);
    candle.high = number(open.max(close) + read(bytes), decimals);
    candle.low = number(open.min(close) - read(bytes), decimals);
    (candle.open, candle.close) = (number(open, decimals), number(close, decimals));
    close
}

/// The least number of decimals with which all numbers come back to the bit; [`RAW`] if there is none.
fn decimals(numbers: &(impl Iterator<Item = f64> + Clone)) -> u8 {
    let exact = |decimals: u8| {
        let comes_back = |value: f64| {
            (value * power(decimals)).abs() < EXACT_MAX
                && number(whole(value, decimals), decimals).to_bits() == value.to_bits()
        };
        numbers.clone().all(comes_back)
    };
    (0..=DECIMALS_MAX).find(|&decimals| exact(decimals)).unwrap_or(RAW)
}

fn power(decimals: u8) -> f64 {
    10_f64.powi(decimals.into())
}

fn whole(value: f64, decimals: u8) -> i64 {
    (value * power(decimals)).round() as i64
}

fn number(whole: i64, decimals: u8) -> f64 {
    whole as f64 / power(decimals)
}

/// Seven bits a byte, small numbers of either sign first.
fn write(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn read(bytes: &mut &[u8]) -> i64 {
    let mut value = 0_u64;
    for place in 0.. {
        let [byte] = take(bytes);
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn take<const COUNT: usize>(bytes: &mut &[u8]) -> [u8; COUNT] {
    let (taken, rest) = bytes.split_first_chunk().expect("a block is as long as it says");
    *bytes = rest;
    *taken
}
