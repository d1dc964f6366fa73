//! The two ways to trade, and the words for them.

use tidegate_protocol::Side;

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Long,
    Short,
}

impl Direction {
    /// 1 or -1.
    pub(crate) const fn sign(self) -> i32 {
        self.pick(1, -1)
    }

    /// `x` as seen by somebody who wants it positive.
    pub(crate) fn favourable(self, x: f64) -> f64 {
        f64::from(self.sign()) * x
    }

    /// The one for LONG or the one for SHORT.
    pub(crate) const fn pick<T: Copy>(self, long: T, short: T) -> T {
        match self {
            Self::Long => long,
            Self::Short => short,
        }
    }

    pub(crate) const fn side(self) -> Side {
        self.pick(Side::Long, Side::Short)
    }

    /// `LONG` or `SHORT`.
    pub(crate) const fn word(self) -> &'static str {
        self.side().as_str()
    }

    /// `BULLISH` or `BEARISH`.
    pub(crate) const fn mood(self) -> &'static str {
        self.pick("BULLISH", "BEARISH")
    }
}
