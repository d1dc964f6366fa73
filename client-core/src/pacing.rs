//! Spends the server's message allowance, never over it. What must wait is told how long.

use tidegate_protocol::{Limits, RATE_WINDOW_MS, SlidingWindow};

/// Messages kept back for pings, so that a client that subscribes a lot still notices a dead server.
const RESERVE: usize = 3;
/// The client counts over a window that is this much longer than the server's, in milliseconds: messages may
/// arrive closer together than they were sent.
const JITTER_MS: u64 = 2_000;

/// The allowance of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    /// Everything that the server counts.
    all: SlidingWindow,
    /// The same without pings, and with a smaller limit.
    plain: SlidingWindow,
    /// The server refused a message until then, in milliseconds.
    refused_until_ms: u64,
}

impl Pacing {
    pub(crate) fn new(limits: Limits) -> Self {
        let limit = usize::try_from(limits.messages_per_minute).unwrap_or(usize::MAX);
        let window_ms = RATE_WINDOW_MS + JITTER_MS;
        Self {
            all: SlidingWindow::new(limit, window_ms),
            plain: SlidingWindow::new(limit - RESERVE.min(limit / 2), window_ms),
            refused_until_ms: 0,
        }
    }

    /// Counts a message that is not a ping.
    ///
    /// # Errors
    /// The milliseconds after which it would be allowed; nothing was counted.
    pub(crate) fn try_take(&mut self, now_ms: u64) -> Result<(), u64> {
        let refused_ms = self.refused_until_ms.saturating_sub(now_ms);
        match refused_ms.max(self.plain.wait_ms(now_ms)).max(self.all.wait_ms(now_ms)) {
            0 => self.plain.try_take(now_ms).and_then(|()| self.all.try_take(now_ms)),
            wait_ms => Err(wait_ms),
        }
    }

    /// Counts a ping, which may use what is kept back.
    ///
    /// # Errors
    /// The milliseconds after which it would be allowed; nothing was counted.
    pub(crate) fn try_take_ping(&mut self, now_ms: u64) -> Result<(), u64> {
        match self.refused_until_ms.saturating_sub(now_ms) {
            0 => self.all.try_take(now_ms),
            wait_ms => Err(wait_ms),
        }
    }

    /// The server counted differently, and allows the next message after `retry_after_ms`.
    pub(crate) fn refuse(&mut self, retry_after_ms: u64, now_ms: u64) {
        self.refused_until_ms = now_ms.saturating_add(retry_after_ms.min(RATE_WINDOW_MS));
    }

    /// Messages counted within the window.
    pub(crate) fn used(&mut self, now_ms: u64) -> usize {
        self.all.used(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_messages_are_kept_back_for_pings() {
        let mut pacing = Pacing::new(Limits::default());
        for now_ms in 0..27 {
            assert_eq!(pacing.try_take(now_ms), Ok(()));
        }
        assert_eq!(pacing.try_take(100), Err(61_900));
        for now_ms in 101..104 {
            assert_eq!(pacing.try_take_ping(now_ms), Ok(()));
        }
        assert_eq!(pacing.try_take_ping(104), Err(61_896));
        assert_eq!(pacing.used(104), 30);
        assert_eq!(pacing.try_take(62_000), Ok(()));
    }

    #[test]
    fn a_server_that_refuses_is_believed_for_at_most_a_minute() {
        let mut pacing = Pacing::new(Limits::default());
        pacing.refuse(1_875, 1_000);
        assert_eq!(pacing.try_take(1_000), Err(1_875));
        assert_eq!(pacing.try_take_ping(1_000), Err(1_875));
        assert_eq!(pacing.try_take(2_875), Ok(()));
        pacing.refuse(u64::MAX, 3_000);
        assert_eq!(pacing.try_take(63_000), Ok(()));
    }

    #[test]
    fn a_tiny_allowance_still_lets_something_through() {
        for messages_per_minute in 1..4 {
            let mut pacing = Pacing::new(Limits { messages_per_minute, ..Limits::default() });
            assert_eq!(pacing.try_take(0), Ok(()), "{messages_per_minute}");
        }
    }
}
