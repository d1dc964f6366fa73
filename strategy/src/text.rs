//! Texts that are said every minute, put together from pieces.
//!
//! `format!` reads better and does the same at several times the cost, and texts are much of what an evaluation
//! costs: it is left to those that are rare.

use std::fmt::Write;

use crate::number::Fixed;

/// Joins pieces of text and numbers, left to right.
macro_rules! text {
    ($($piece:expr),+ $(,)?) => {{
        let mut text = String::with_capacity(crate::text::CAPACITY);
        $(crate::text::Piece::write_behind($piece, &mut text);)+
        text
    }};
}

pub(crate) use text;

/// What a text can be made of.
pub(crate) trait Piece {
    fn write_behind(self, text: &mut String);
}

impl Piece for &str {
    fn write_behind(self, text: &mut String) {
        text.push_str(self);
    }
}

impl Piece for Fixed {
    fn write_behind(self, text: &mut String) {
        self.write(text).expect(NO_FAILURE);
    }
}

impl Piece for u32 {
    fn write_behind(self, text: &mut String) {
        write!(text, "{self}").expect(NO_FAILURE);
    }
}

impl Piece for usize {
    fn write_behind(self, text: &mut String) {
        write!(text, "{self}").expect(NO_FAILURE);
    }
}

/// Room for all but the longest texts.
pub(crate) const CAPACITY: usize = 96;

const NO_FAILURE: &str = "a string takes every text";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_left_to_right() {
        assert_eq!(text!["EMA (", Fixed(94_600.5, 2), ") of ", 5_usize, "min"], "EMA (94600.50) of 5min");
    }
}
