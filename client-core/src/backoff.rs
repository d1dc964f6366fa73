//! When to dial again: backoff with full jitter, how fast failures are forgiven, and a budget of dials that
//! holds whatever else happens.

use crate::random::Random;

/// Longest backoff, in milliseconds.
const CAP_MS: u64 = 20_000;
/// Longest backoff while nobody looks, in milliseconds.
const HIDDEN_CAP_MS: u64 = 60_000;
/// Shortest backoff, in milliseconds: a full jitter may draw 0.
const FLOOR_MS: u64 = 100;
/// Range of the first backoff, in milliseconds.
const BASE_MS: u64 = 1_000;

/// After a refusal for too many connections, in milliseconds: another tab has to close first.
const LONG_MS: (u64, u64) = (20_000, 60_000);

/// One failure is forgiven for each of these spans that a connection lived, in milliseconds.
const FORGIVE_EACH_MS: u64 = 5_000;
/// All are forgiven once a connection has lived this long, in milliseconds.
const FORGIVE_ALL_MS: u64 = 30_000;

/// Dials that may be made in a burst.
const BUDGET: u64 = 8;
/// One more dial is allowed for each of these spans, in milliseconds.
const BUDGET_REFILL_MS: u64 = 7_500;
/// Time between two dials, in milliseconds.
const BUDGET_SPACING_MS: u64 = 500;

/// Time to wait after failure number `attempt` (from 0), in milliseconds: uniform in
/// [0, min(cap, 1 s · 2^attempt)], at least 100 ms. The cap comes before the jitter: after it, everybody who
/// waits long would wait equally long.
pub(crate) fn backoff_ms(attempt: u32, hidden: bool, random: &mut Random) -> u64 {
    let cap_ms = if hidden { HIDDEN_CAP_MS } else { CAP_MS };
    let range_ms = BASE_MS.checked_shl(attempt.min(16)).map_or(cap_ms, |range_ms| range_ms.min(cap_ms));
    random.up_to(range_ms).max(FLOOR_MS)
}

/// Time to wait after a refusal for too many connections, in milliseconds.
pub(crate) fn long_backoff_ms(random: &mut Random) -> u64 {
    LONG_MS.0 + random.up_to(LONG_MS.1 - LONG_MS.0)
}

/// Failed attempts in a row.
///
/// They are forgiven by staying connected, not by connecting: a server that accepts and drops would otherwise
/// be dialled at full speed for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempts {
    failed: u32,
}

impl Attempts {
    /// What is left after a connection has lived for `live_ms`.
    pub(crate) fn after_live(self, live_ms: u64) -> Self {
        let forgiven = u32::try_from(live_ms / FORGIVE_EACH_MS).unwrap_or(u32::MAX);
        let failed = if live_ms >= FORGIVE_ALL_MS { 0 } else { self.failed.saturating_sub(forgiven) };
        Self { failed }
    }

    /// Whether a connection of `live_ms` was too short to forgive anything.
    pub(crate) fn is_flap(live_ms: u64) -> bool {
        live_ms < FORGIVE_EACH_MS
    }

    pub(crate) fn fail(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    pub(crate) fn count(self) -> u32 {
        self.failed
    }
}

/// At most 8 dials in a burst, one more every 7.5 s, and 500 ms between any two: what bounds the kicks from
/// `Online`, `Visible` and an impatient person.
#[derive(Clone, Debug)]
pub(crate) struct DialBudget {
    /// Time earned towards dials; each costs [`BUDGET_REFILL_MS`].
    credit_ms: u64,
    counted_at_ms: u64,
    dialled_at_ms: Option<u64>,
}

impl DialBudget {
    pub(crate) fn new() -> Self {
        Self { credit_ms: BUDGET * BUDGET_REFILL_MS, counted_at_ms: 0, dialled_at_ms: None }
    }

    /// Milliseconds until a dial is allowed; 0 is now.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> u64 {
        let spacing_ms =
            self.dialled_at_ms.map_or(0, |at_ms| (at_ms + BUDGET_SPACING_MS).saturating_sub(now_ms));
        BUDGET_REFILL_MS.saturating_sub(self.credit_at(now_ms)).max(spacing_ms)
    }

    /// Counts a dial. Only after [`DialBudget::wait_ms`] said 0.
    pub(crate) fn take(&mut self, now_ms: u64) {
        self.credit_ms = self.credit_at(now_ms).saturating_sub(BUDGET_REFILL_MS);
        self.counted_at_ms = now_ms;
        self.dialled_at_ms = Some(now_ms);
    }

    fn credit_at(&self, now_ms: u64) -> u64 {
        let earned_ms = now_ms.saturating_sub(self.counted_at_ms);
        self.credit_ms.saturating_add(earned_ms).min(BUDGET * BUDGET_REFILL_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(attempt: u32, hidden: bool) -> (u64, u64) {
        let mut random = Random::new(u64::from(attempt));
        let delays = (0..20_000).map(|_| backoff_ms(attempt, hidden, &mut random));
        delays.fold((u64::MAX, 0), |(low, high), delay| (low.min(delay), high.max(delay)))
    }

    #[test]
    fn a_backoff_is_spread_over_its_whole_range_even_at_the_cap() {
        for (attempt, hidden, top_ms) in [
            (0, false, 1_000),
            (3, false, 8_000),
            (9, false, 20_000),
            (u32::MAX, false, 20_000),
            (9, true, 60_000),
        ] {
            let (low, high) = range(attempt, hidden);
            assert_eq!(low, 100);
            assert!(high <= top_ms && high > top_ms - top_ms / 100, "{attempt}: {high}");
        }
    }

    #[test]
    fn failures_are_forgiven_by_staying_connected() {
        let failed = Attempts { failed: 4 };
        assert_eq!(failed.after_live(4_999).count(), 4);
        assert_eq!(failed.after_live(5_000).count(), 3);
        assert_eq!(failed.after_live(29_999).count(), 0);
        assert_eq!(Attempts { failed: 90 }.after_live(29_999).count(), 85);
        assert_eq!(Attempts { failed: 90 }.after_live(30_000).count(), 0);
    }

    #[test]
    fn the_most_impatient_caller_dials_17_times_in_any_minute_and_never_twice_in_half_a_second() {
        let mut budget = DialBudget::new();
        let mut dials_ms = Vec::new();
        for now_ms in (0..600_000).step_by(7) {
            if budget.wait_ms(now_ms) == 0 {
                budget.take(now_ms);
                dials_ms.push(now_ms);
            }
        }
        for (index, start_ms) in dials_ms.iter().enumerate() {
            let inside = dials_ms[index..].iter().filter(|at_ms| **at_ms < start_ms + 60_000).count();
            assert!(inside <= 17, "{inside} dials");
        }
        assert!(dials_ms.windows(2).all(|pair| pair[1] - pair[0] >= 500));
    }

    #[test]
    fn the_wait_of_the_budget_is_exact() {
        let mut budget = DialBudget::new();
        for now_ms in (0..8).map(|index| index * 500) {
            assert_eq!(budget.wait_ms(now_ms), 0);
            budget.take(now_ms);
        }
        let wait_ms = budget.wait_ms(3_500);
        assert_eq!(budget.wait_ms(3_500 + wait_ms), 0);
        assert_eq!(budget.wait_ms(3_500 + wait_ms - 1), 1);
    }
}
