//! Rounding and printing of numbers, so that every run prints the same digits.
//!
//! Decisions are made on unrounded values; what is here is for output only.

use std::fmt;
use std::str::FromStr;

/// Rounds to `digits` decimals, half away from zero, and never returns negative zero.
///
/// The formula is part of the specification (`docs/strategies.md`): the same formula in another language gives
/// bit-equal results, which a round-half-even or a decimal library would not.
///
/// # Panics
///
/// If `digits` is more than 15, the digits a double has.
#[must_use]
pub fn round(x: f64, digits: u32) -> f64 {
    let scale = power_of_ten(digits);
    nearest(x * scale) / scale + 0.0
}

/// The smallest price step of a market: `mantissa` × 10^-`decimals`, for example 1 × 10^-1 = 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickSize {
    mantissa: u32,
    decimals: u32,
}

impl TickSize {
    /// A tick of `mantissa` × 10^-`decimals`, in the quote currency. Trailing zeros are dropped, so that
    /// `(10, 2)` and `(1, 1)` are the same tick and print the same number of decimals.
    ///
    /// # Errors
    ///
    /// [`InvalidTickSize`] if the mantissa is 0 or there are more than 12 decimals.
    pub const fn new(mantissa: u32, decimals: u32) -> Result<Self, InvalidTickSize> {
        let (mut mantissa, mut decimals) = (mantissa, decimals);
        if mantissa == 0 || decimals > DECIMALS_MAX {
            return Err(InvalidTickSize);
        }
        while mantissa.is_multiple_of(10) && decimals > 0 {
            mantissa /= 10;
            decimals -= 1;
        }
        Ok(Self { mantissa, decimals })
    }

    /// Number of decimals of the tick: 1 for 0.1, 2 for 0.25, 0 for 5.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        self.decimals
    }

    /// The tick as a number, in the quote currency.
    #[must_use]
    pub fn size(self) -> f64 {
        f64::from(self.mantissa) / power_of_ten(self.decimals)
    }

    /// `price` rounded to the nearest multiple of the tick, half up.
    #[must_use]
    pub fn round(self, price: f64) -> f64 {
        let (mantissa, scale) = (f64::from(self.mantissa), power_of_ten(self.decimals));
        floor(price * scale / mantissa + 0.5) * mantissa / scale
    }

    /// `price` moved by `ticks` steps, on the grid.
    #[must_use]
    pub fn step(self, price: f64, ticks: i32) -> f64 {
        self.round(price + f64::from(ticks) * self.size())
    }

    /// Number of decimals of a price in text: those of the tick, but at least 2.
    #[must_use]
    pub fn text_decimals(self) -> usize {
        self.decimals.max(2) as usize
    }

    /// `price` as text with [`Self::text_decimals`] decimals, without a currency sign.
    #[must_use]
    pub fn text(self, price: f64) -> Fixed {
        Fixed(price, self.text_decimals())
    }
}

impl FromStr for TickSize {
    type Err = InvalidTickSize;

    /// Reads a plain decimal number such as `0.1`, `0.25`, `0.00000100` or `5`.
    fn from_str(text: &str) -> Result<Self, InvalidTickSize> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let only_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !only_digits || fraction.len() > DECIMALS_MAX as usize {
            return Err(InvalidTickSize);
        }
        let mantissa = format!("{whole}{fraction}").parse().map_err(|_| InvalidTickSize)?;
        let decimals = u32::try_from(fraction.len()).map_err(|_| InvalidTickSize)?;
        Self::new(mantissa, decimals)
    }
}

impl fmt::Display for TickSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.*}", self.decimals as usize, self.size())
    }
}

/// A number with a fixed number of decimals: prints exactly what `{:.n}` prints, but several times faster.
///
/// Texts are most of what an evaluation costs. Scaling to an integer is exact unless the number is so large, or
/// so near to the middle between two last digits, that the rounding of the product could decide; then the
/// standard library prints it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fixed(
    /// The number.
    pub f64,
    /// Its decimals.
    pub usize,
);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Fixed {
    /// Writes the number behind a text.
    pub(crate) fn write(self, text: &mut impl fmt::Write) -> fmt::Result {
        let Self(x, decimals) = self;
        let scaled = x.abs() * POWERS.get(decimals).copied().unwrap_or(f64::INFINITY);
        let from_middle = (scaled - floor(scaled) - 0.5).abs();
        // NaN fails both comparisons.
        if !(scaled < FIXED_MAX && from_middle > FIXED_DOUBT) {
            return write!(text, "{x:.decimals$}");
        }
        // From the last digit to the first.
        let mut written = [b'-'; FIXED_LENGTH];
        let mut start = FIXED_LENGTH;
        let mut rest = nearest(scaled) as u64;
        for place in 0.. {
            // At least one digit before the point.
            if place > decimals && rest == 0 {
                break;
            }
            if place == decimals && decimals > 0 {
                start -= 1;
                written[start] = b'.';
            }
            start -= 1;
            written[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if x.is_sign_negative() {
            start -= 1;
        }
        text.write_str(str::from_utf8(&written[start..]).map_err(|_| fmt::Error)?)
    }
}

/// The text or the pair of numbers is not a tick size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTickSize;

impl fmt::Display for InvalidTickSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a tick size is a positive decimal number with at most {DECIMALS_MAX} decimals, such as 0.1"
        )
    }
}

impl std::error::Error for InvalidTickSize {}

/// More decimals than any market has; its averages are printed with two more, 14.
const DECIMALS_MAX: u32 = 12;

/// Powers of ten from a table: `powi` promises no particular precision, and this must not differ by platform.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

const fn power_of_ten(exponent: u32) -> f64 {
    POWERS[exponent as usize]
}

/// `x.round()`, half away from zero, but for the sign of zero. Every price and figure of a signal goes through here
/// or through [`floor`], and on a processor that may lack SSE 4.1 the standard functions are calls into a library.
fn nearest(x: f64) -> f64 {
    if !has_fraction(x) {
        return x;
    }
    let whole = x as i64 as f64;
    let fraction = x - whole;
    if fraction.abs() >= 0.5 { whole + 1_f64.copysign(x) } else { whole }
}

/// `x.floor()`, but for the sign of zero.
fn floor(x: f64) -> f64 {
    if !has_fraction(x) {
        return x;
    }
    let whole = x as i64 as f64;
    if whole > x { whole - 1.0 } else { whole }
}

/// From 2^52 on doubles are whole, and NaN is not below it; what is below fits an integer.
const fn has_fraction(x: f64) -> bool {
    x.abs() < 4_503_599_627_370_496.0
}

/// Below this a product is off by less than [`FIXED_DOUBT`]: half a unit in the last place of 10^9 is 6·10^-8.
const FIXED_MAX: f64 = 1e9;
const FIXED_DOUBT: f64 = 1e-6;
/// A sign, a point and sixteen digits, and some room.
const FIXED_LENGTH: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tick(text: &str) -> TickSize {
        text.parse().unwrap()
    }

    #[test]
    fn rounding_goes_half_away_from_zero_and_never_to_minus_zero() {
        assert_eq!(round(0.125, 2), 0.13);
        assert_eq!(round(-0.125, 2), -0.13);
        assert_eq!(round(2.5, 0), 3.0);
        assert!(round(-0.001, 2).is_sign_positive());
    }

    #[test]
    fn a_tick_is_read_from_the_text_an_exchange_sends() {
        for (text, mantissa, decimals) in
            [("0.1", 1, 1), ("0.10", 1, 1), ("0.25", 25, 2), ("0.00000100", 1, 6), ("5", 5, 0), ("10", 10, 0)]
        {
            assert_eq!(tick(text), TickSize { mantissa, decimals }, "{text}");
        }
        for bad in ["", ".", "0", "0.0", "-1", "+1", "1e-3", "0.1 ", "0.0000000000001", "99999999999"] {
            assert_eq!(bad.parse::<TickSize>(), Err(InvalidTickSize), "{bad:?}");
        }
        assert_eq!(TickSize::new(10, 2), TickSize::new(1, 1));
        assert_eq!(tick("0.250").to_string(), "0.25");
    }

    #[test]
    fn a_price_lands_on_the_nearest_tick_and_halves_go_up() {
        assert_eq!(tick("0.1").round(104_361.55), 104_361.6);
        assert_eq!(tick("0.25").round(107_388.675), 107_388.75);
        assert_eq!(tick("0.25").round(107_657.55), 107_657.5);
        assert_eq!(tick("0.01").round(68_513.704), 68_513.7);
        assert_eq!(tick("5").round(12.5), 15.0);
        assert_eq!(tick("0.1").step(100.0, -1), 99.9);
    }

    proptest! {
        #[test]
        fn a_fixed_number_prints_as_the_standard_library_prints_it(
            x in prop_oneof![any::<f64>(), -1e6..1e6_f64, -2.0..2.0_f64], digits in 0_usize..16, hundredths: i32,
        ) {
            prop_assert_eq!(Fixed(x, digits).to_string(), format!("{x:.digits$}"));
            let near = f64::from(hundredths) / 1000.0;
            prop_assert_eq!(Fixed(near, digits).to_string(), format!("{near:.digits$}"));
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_those_of_the_standard_library(
            x in prop_oneof![any::<f64>(), -1e6..1e6_f64, -2.0..2.0_f64, -1e16..1e16_f64], halves: i32,
        ) {
            // Adding zero takes the sign off it and keeps the bits of everything else.
            let same = |ours: f64, theirs: f64| (ours + 0.0).to_bits() == (theirs + 0.0).to_bits();
            let half = f64::from(halves) / 2.0;
            for x in [x, half, half.next_up(), half.next_down()] {
                prop_assert!(same(nearest(x), x.round()), "{x}");
                prop_assert!(same(floor(x), x.floor()), "{x}");
            }
        }
    }

    #[test]
    fn fixed_numbers_that_are_easily_got_wrong() {
        for (x, digits) in [
            (0.0, 0),
            (0.0, 2),
            (-0.0, 1),
            (0.004, 2),
            (-0.004, 2),
            (0.5, 0),
            (1.5, 0),
            (0.125, 2),
            (99.995, 2),
            (999_999.999, 2),
            (1e9, 0),
            (1e300, 2),
            (f64::NAN, 1),
            (f64::INFINITY, 3),
            (7.0, 12),
        ] {
            assert_eq!(Fixed(x, digits).to_string(), format!("{x:.digits$}"), "{x} {digits}");
        }
    }

    #[test]
    fn a_price_in_text_has_the_ticks_decimals_but_at_least_two() {
        assert_eq!(tick("0.1").text(68_500.0).to_string(), "68500.00");
        assert_eq!(tick("0.0001").text(0.3).to_string(), "0.3000");
    }
}
