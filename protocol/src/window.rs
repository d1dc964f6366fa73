//! The rate limit as a pure sliding window: the server enforces with it, the client paces itself with it.

use alloc::collections::VecDeque;

/// Allows at most `limit` events in any half-open span of `window_ms` milliseconds.
///
/// A sliding window, not a token bucket: a bucket of 30 that refills over a minute lets 60 through in its
/// first minute. Memory is one timestamp per allowed event, so at most `limit` of them.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    limit: usize,
    window_ms: u64,
    taken_ms: VecDeque<u64>,
}

impl SlidingWindow {
    /// A window that starts empty.
    #[must_use]
    pub fn new(limit: usize, window_ms: u64) -> Self {
        Self { limit, window_ms, taken_ms: VecDeque::new() }
    }

    /// Counts one event at `now_ms` (any monotonic clock).
    ///
    /// # Errors
    /// The milliseconds after which the same event would be allowed. A refused event is not counted.
    pub fn try_take(&mut self, now_ms: u64) -> Result<(), u64> {
        match self.wait_ms(now_ms) {
            0 => {
                self.taken_ms.push_back(now_ms);
                Ok(())
            }
            wait_ms => Err(wait_ms),
        }
    }

    /// Milliseconds until an event would be allowed; 0 is now, `u64::MAX` is never (a limit of 0).
    pub fn wait_ms(&mut self, now_ms: u64) -> u64 {
        self.forget_before(now_ms);
        if self.taken_ms.len() < self.limit {
            return 0;
        }
        // With `limit` events inside, the next is allowed when the oldest of them leaves.
        match self.taken_ms.len().checked_sub(self.limit).and_then(|index| self.taken_ms.get(index)) {
            Some(oldest_ms) => (oldest_ms + self.window_ms).saturating_sub(now_ms),
            None => u64::MAX,
        }
    }

    /// Events that are still inside the window at `now_ms`.
    pub fn used(&mut self, now_ms: u64) -> usize {
        self.forget_before(now_ms);
        self.taken_ms.len()
    }

    /// The most events that the window allows.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn forget_before(&mut self, now_ms: u64) {
        while self.taken_ms.front().is_some_and(|taken_ms| taken_ms + self.window_ms <= now_ms) {
            self.taken_ms.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_thirty_first_message_waits_until_the_first_has_left() {
        let mut window = SlidingWindow::new(30, 60_000);
        for index in 0..30 {
            assert_eq!(window.try_take(1_000 + index), Ok(()));
        }
        assert_eq!(window.try_take(2_000), Err(59_000));
        assert_eq!(window.try_take(60_999), Err(1));
        assert_eq!(window.try_take(61_000), Ok(()));
        assert_eq!(window.try_take(61_000), Err(1));
        assert_eq!(window.used(61_000), 30);
    }

    #[test]
    fn a_limit_of_zero_allows_nothing_ever() {
        assert_eq!(SlidingWindow::new(0, 60_000).try_take(0), Err(u64::MAX));
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_in_any_window(
            limit in 1usize..8,
            window_ms in 1u64..50,
            steps_ms in prop::collection::vec(0u64..20, 1..200),
        ) {
            let mut window = SlidingWindow::new(limit, window_ms);
            let mut now_ms = 0;
            let mut taken_ms = Vec::new();
            for step_ms in steps_ms {
                now_ms += step_ms;
                match window.try_take(now_ms) {
                    Ok(()) => taken_ms.push(now_ms),
                    Err(wait_ms) => {
                        // The wait is exact: one millisecond less is too early, then it is allowed.
                        prop_assert!(window.clone().try_take(now_ms + wait_ms - 1).is_err());
                        prop_assert!(window.clone().try_take(now_ms + wait_ms).is_ok());
                    }
                }
            }
            for (index, start_ms) in taken_ms.iter().enumerate() {
                let inside = taken_ms[index..].iter().filter(|at| **at < start_ms + window_ms).count();
                prop_assert!(inside <= limit);
            }
        }
    }
}
