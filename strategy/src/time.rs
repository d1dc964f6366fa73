//! Unix milliseconds as `YYYY-MM-DDTHH:MM:SSZ`, and the grid of minutes. No clock, no time zone, no locale.

/// One minute, in milliseconds.
pub const MINUTE_MS: u64 = 60_000;

/// Half a minute, in milliseconds: the grid of evaluation instants.
pub(crate) const HALF_MINUTE_MS: u64 = MINUTE_MS / 2;

/// The first instant that has no four-digit year: 10000-01-01T00:00:00Z in Unix milliseconds.
pub(crate) const TIME_END_MS: u64 = 253_402_300_800_000;

/// An instant as `YYYY-MM-DDTHH:MM:SSZ` (ISO 8601, UTC, whole seconds; the milliseconds are dropped).
///
/// Years after 9999 keep their last four digits.
#[must_use]
pub fn timestamp(time_ms: u64) -> String {
    Timestamp::of(time_ms).text()
}

/// The text of an instant. Every signal has one, and those of the same instant share the work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp([u8; 20]);

impl Timestamp {
    /// Written digit by digit: the formatting machinery costs ten times as much.
    pub(crate) fn of(time_ms: u64) -> Self {
        let seconds = time_ms / 1000;
        let (year, month, day) = civil_date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let mut text = *b"0000-00-00T00:00:00Z";
        let fields =
            [(1, year / 100), (3, year), (6, month), (9, day), (12, hour), (15, minute), (18, second)];
        for (last, value) in fields {
            text[last] = b'0' + (value % 10) as u8;
            text[last - 1] = b'0' + (value / 10 % 10) as u8;
        }
        Self(text)
    }

    pub(crate) fn text(self) -> String {
        str::from_utf8(&self.0).expect("digits and signs").into()
    }
}

/// The open time of the minute that contains `time_ms`.
pub(crate) const fn minute_of(time_ms: u64) -> u64 {
    time_ms - time_ms % MINUTE_MS
}

/// Year, month (1 to 12) and day (1 to 31) of a number of days since 1970-01-01.
///
/// Howard Hinnant's `civil_from_days`, which counts years from 1 March so that the leap day comes last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days_since_0000_03_01 = days + 719_468;
    let era = days_since_0000_03_01 / 146_097;
    let day_of_era = days_since_0000_03_01 % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_print_as_everybody_prints_them() {
        for (time_ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_735_689_630_999, "2025-01-01T00:00:30Z"),
            (1_762_176_600_000, "2025-11-03T13:30:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (TIME_END_MS - 1, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(time_ms), text);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for days in 0..800 * 366 {
            assert_eq!(civil_date(days), expected);
            expected = next_day(expected);
        }
    }

    /// The calendar as people know it, to hold the arithmetic against.
    fn next_day((year, month, day): (u64, u64, u64)) -> (u64, u64, u64) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == length => (year, month + 1, 1),
            (_, day) => (year, month, day + 1),
        }
    }

    #[test]
    fn a_minute_begins_at_its_multiple_of_sixty_seconds() {
        assert_eq!(minute_of(60_000), 60_000);
        assert_eq!(minute_of(119_999), 60_000);
    }
}
