//! Wall time, monotonic time and market time, each behind one small door.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall time in Unix milliseconds. For timestamps and token lifetimes; never for deadlines.
#[must_use]
pub fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// ISO 8601 in UTC, with milliseconds where there are any.
#[must_use]
pub fn iso(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}

/// The market's time: it runs `speed` times faster than the wall clock and never jumps.
#[derive(Clone, Copy, Debug)]
pub struct MarketClock {
    started: Instant,
    started_at_ms: i64,
    speed: f64,
}

impl MarketClock {
    /// A clock that shows `now_ms` now.
    #[must_use]
    pub fn new(now_ms: i64, speed: f64) -> Self {
        Self { started: Instant::now(), started_at_ms: now_ms, speed }
    }

    /// Market time in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let elapsed_ms = self.started.elapsed().as_secs_f64() * 1_000.0 * self.speed;
        #[expect(clippy::cast_possible_truncation, reason = "a process does not run for 2^53 ms")]
        let elapsed_ms = elapsed_ms as i64;
        self.started_at_ms + elapsed_ms
    }

    /// The instant at which this clock shows `market_ms`.
    #[must_use]
    pub fn instant_of(&self, market_ms: i64) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "differences of times are far below 2^53")]
        let ahead_ms = (market_ms - self.started_at_ms).max(0) as f64 / self.speed;
        self.started + Duration::from_secs_f64(ahead_ms / 1_000.0)
    }

    /// How much market time passes while this much wall time does, in milliseconds.
    #[must_use]
    pub fn market_ms(&self, wall: Duration) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a process does not run for 2^53 ms"
        )]
        let market_ms = (wall.as_secs_f64() * 1_000.0 * self.speed) as u64;
        market_ms
    }

    /// How much wall time passes while the market's clock moves by `market_ms`, in milliseconds, at least 1.
    #[must_use]
    pub fn wall_interval_ms(&self, market_ms: u64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an interval is a minute at most"
        )]
        let wall_ms = (market_ms as f64 / self.speed).round() as u64;
        wall_ms.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn market_time_runs_at_its_own_speed() {
        let clock = MarketClock::new(1_000_000, 60.0);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(clock.now_ms(), 1_030_000);
        assert_eq!(clock.instant_of(1_060_000) - clock.started, Duration::from_secs(1));
        assert_eq!(clock.wall_interval_ms(30_000), 500);
    }

    #[test]
    fn a_time_is_written_as_iso_8601() {
        assert_eq!(iso(1_762_252_200_000), "2025-11-04T10:30:00Z");
        assert_eq!(iso(1_762_252_200_123), "2025-11-04T10:30:00.123Z");
    }
}
