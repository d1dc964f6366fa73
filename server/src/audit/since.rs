//! A point in time as people write it: `1h` ago, or a date.

use jiff::{SignedDuration, Timestamp};

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(SignedDuration),
    /// Then.
    At(Timestamp),
}

impl Since {
    /// The time in Unix milliseconds, seen from `now_ms`.
    #[must_use]
    pub fn start_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::At(start) => start.as_millisecond(),
            Self::Ago(ago) => now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl std::str::FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let wrong = "write 90s, 30m, 1h or 7d, or a time such as 2025-11-04T10:30:00Z";
        let unit = text.chars().next_back().ok_or(wrong)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong)?;
        Ok(Self::Ago(SignedDuration::from_secs(i64::from(number) * seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_as_ago_or_as_a_date() {
        let ago = |seconds| Ok(Since::Ago(SignedDuration::from_secs(seconds)));
        assert_eq!("1h".parse(), ago(3_600));
        assert_eq!("7d".parse(), ago(604_800));
        assert_eq!("90s".parse::<Since>().unwrap().start_ms(100_000), 10_000);
        let date: Since = "1970-01-01T00:00:02Z".parse().unwrap();
        assert_eq!(date.start_ms(100_000), 2_000);
        for wrong in ["", "h", "1", "-1h", "1 h", "1w", "1é", "yesterday"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
