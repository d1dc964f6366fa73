//! Where a client stands in one feed: what `seq` and `prev` of a signal mean for it. Holds no signal.

use crate::Verdict;
use alloc::vec::Vec;

/// Holes remembered per feed. A reader so slow that it has more of them loses the oldest from its history.
const MAX_HOLES: usize = 8;

/// Where a hole ends of which nobody knows yet where it ends.
const OPEN: u64 = u64::MAX;

/// The place in one feed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// `seq` of the last signal delivered.
    last: Option<u64>,
    /// The server could not resume after `last`: take what comes.
    forgotten: bool,
    /// What is missing, oldest first unless somebody came who holds less; before the first signal, what somebody lacks.
    holes: Vec<Hole>,
}

/// Signals strictly between the two are missing.
#[derive(Clone, Copy, Debug)]
struct Hole {
    after: u64,
    before: u64,
    /// The server has answered a request for it: what it still has comes next, once.
    fetched: bool,
}

impl Position {
    /// Decides about the signal `seq` whose predecessor is `prev`. With [`Verdict::Gap`] come the two signals
    /// between which others are missing.
    pub(crate) fn judge(&mut self, seq: u64, prev: u64) -> (Verdict, Option<(u64, u64)>) {
        let Some(last) = self.last else {
            self.last = Some(seq);
            self.close_open(seq, prev);
            return (Verdict::Deliver, None);
        };
        if core::mem::take(&mut self.forgotten) {
            return self.judge_anew(seq, prev, last);
        }
        if seq <= last {
            return (self.judge_old(seq), None);
        }
        self.close_fetched(seq);
        self.last = Some(seq);
        if prev == last {
            return (Verdict::Deliver, None);
        }
        self.add_hole(last, seq);
        (Verdict::Gap, Some((last, seq)))
    }

    /// Somebody holds the feed up to `seq`, from elsewhere. What is newer than ours is ours; what came after an older
    /// one, up to ours, is missing: who asks has not seen ours either.
    pub(crate) fn held(&mut self, seq: u64) {
        match self.last {
            Some(last) if seq == last => {}
            Some(last) if seq < last => self.add_hole(seq, last + 1),
            None if !self.holes.is_empty() => self.held_late(seq),
            _ => self.last = Some(seq),
        }
    }

    /// Somebody holds the feed up to `seq`, and the server was asked for it without saying so: what it sends first is
    /// its latest, and what came between the two is asked for.
    pub(crate) fn held_late(&mut self, seq: u64) {
        if self.last.is_some() {
            return self.held(seq);
        }
        // Before the first signal there can be no other.
        match self.holes.last_mut() {
            Some(hole) => hole.after = hole.after.min(seq),
            None => self.add_hole(seq, OPEN),
        }
    }

    /// The first signal ends the hole that was open until then, if it is one. Who asks has not seen it either.
    fn close_open(&mut self, seq: u64, prev: u64) {
        let Some(hole) = self.holes.last_mut() else { return };
        hole.before = seq + 1;
        if hole.after >= seq || hole.after == prev {
            self.holes.clear();
        }
    }

    /// Only what no other hole has: nothing is to be filled in twice.
    fn add_hole(&mut self, after: u64, mut before: u64) {
        for hole in &self.holes {
            if hole.after > after {
                before = before.min(hole.after + 1);
            } else if before <= hole.before {
                return;
            }
        }
        if before <= after + 1 {
            return;
        }
        if self.holes.len() == MAX_HOLES {
            self.holes.remove(0);
        }
        self.holes.push(Hole { after, before, fetched: false });
    }

    /// The first signal after the server could not resume: the latest that it has, which may be the one that
    /// we hold, or an older one if the server's history began anew.
    fn judge_anew(&mut self, seq: u64, prev: u64, last: u64) -> (Verdict, Option<(u64, u64)>) {
        if seq == last {
            return (Verdict::Duplicate, None);
        }
        self.last = Some(seq);
        if prev == last {
            return (Verdict::Deliver, None);
        }
        (Verdict::Gap, Some((last, seq)))
    }

    fn judge_old(&mut self, seq: u64) -> Verdict {
        let hole = self.holes.iter_mut().find(|hole| hole.after < seq && seq < hole.before);
        if let Some(hole) = hole {
            hole.after = seq;
            return Verdict::Backfill;
        }
        self.close_fetched(seq);
        Verdict::Duplicate
    }

    /// A replay comes in order, so whatever follows a fetched hole ends it, filled or not.
    fn close_fetched(&mut self, seq: u64) {
        if self.holes.is_empty() {
            return;
        }
        self.holes.retain(|hole| !(hole.fetched && seq >= hole.before));
    }

    /// `since` of the next request: before the oldest hole that was not asked for yet, else after the last
    /// signal. `None`: nothing is held.
    pub(crate) fn since(&self) -> Option<u64> {
        let hole = self.holes.iter().filter(|hole| !hole.fetched).map(|hole| hole.after).min();
        hole.or(self.last)
    }

    /// Whether there is a hole that was not asked for yet.
    pub(crate) fn has_hole(&self) -> bool {
        self.holes.iter().any(|hole| !hole.fetched)
    }

    /// The server answered a request with this `since`. Never moves the position: signals may have come meanwhile.
    pub(crate) fn resumed(&mut self, since: u64, recovered: bool) {
        if recovered {
            return self.give_up_holes(since);
        }
        // Unless it was a hole that is too old, not the position: then a mere gap follows, if anything.
        self.forgotten = self.last == Some(since);
        self.holes.clear();
    }

    /// Holes are asked for once; whatever has not come when the feed goes on is not coming. One that somebody brought
    /// after the request with this `since` was sent has not been asked for yet.
    pub(crate) fn give_up_holes(&mut self, since: u64) {
        for hole in self.holes.iter_mut().filter(|hole| hole.after >= since) {
            hole.fetched = true;
        }
    }

    /// A connection ended: what a request was still to bring is asked for again with the next one.
    pub(crate) fn connection_lost(&mut self) {
        self.forgotten = false;
        for hole in &mut self.holes {
            hole.fetched = false;
        }
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(last: u64) -> Position {
        let mut position = Position::default();
        position.judge(last, 0);
        position
    }

    /// The server answers what it is asked now.
    fn resume(position: &mut Position, recovered: bool) {
        let since = position.since().unwrap();
        position.resumed(since, recovered);
    }

    fn verdicts(position: &mut Position, signals: &[(u64, u64)]) -> Vec<Verdict> {
        signals.iter().map(|(seq, prev)| position.judge(*seq, *prev).0).collect()
    }

    #[test]
    fn a_signal_that_does_not_follow_the_last_is_delivered_as_a_gap_and_the_missing_ones_are_filled_in() {
        let mut position = at(10);
        assert_eq!(position.judge(40, 30), (Verdict::Gap, Some((10, 40))));
        assert_eq!(position.since(), Some(10));
        assert_eq!(position.judge(50, 40).0, Verdict::Deliver);
        resume(&mut position, true);
        assert!(!position.has_hole());
        use Verdict::{Backfill, Deliver, Duplicate};
        let replay = [(20, 10), (30, 20), (40, 30), (50, 40), (60, 50)];
        assert_eq!(verdicts(&mut position, &replay), [Backfill, Backfill, Duplicate, Duplicate, Deliver]);
        assert_eq!(verdicts(&mut position, &[(20, 10), (30, 20)]), [Duplicate, Duplicate]);
    }

    #[test]
    fn a_hole_is_asked_for_once_per_connection() {
        let mut position = at(10);
        position.judge(40, 30);
        resume(&mut position, true);
        assert!(!position.has_hole());
        position.connection_lost();
        assert_eq!((position.has_hole(), position.since()), (true, Some(10)));
        resume(&mut position, true);
        assert_eq!(position.judge(50, 40).0, Verdict::Deliver);
        position.connection_lost();
        assert_eq!((position.has_hole(), position.since()), (false, Some(50)));
    }

    #[test]
    fn a_server_that_cannot_resume_is_followed_wherever_it_stands() {
        for (seq, prev, expected) in [
            (900, 800, (Verdict::Gap, Some((500, 900)))),
            (900, 500, (Verdict::Deliver, None)),
            (500, 400, (Verdict::Duplicate, None)),
            (100, 0, (Verdict::Gap, Some((500, 100)))),
        ] {
            let mut position = at(500);
            resume(&mut position, false);
            assert_eq!(position.judge(seq, prev), expected);
            assert_eq!(position.judge(seq + 1, seq).0, Verdict::Deliver);
        }
    }

    #[test]
    fn who_tells_late_how_far_they_are_gets_what_is_missing_and_nobody_is_told_of_a_gap() {
        use Verdict::{Backfill, Deliver, Duplicate};
        let mut position = Position::default();
        position.held_late(20);
        position.held_late(10);
        assert_eq!((position.has_hole(), position.since()), (true, Some(10)));
        // The answer to the first request: the latest.
        assert_eq!(verdicts(&mut position, &[(40, 30), (50, 40)]), [Deliver, Deliver]);
        assert_eq!((position.has_hole(), position.since()), (true, Some(10)));
        resume(&mut position, true);
        let replay = [(20, 10), (30, 20), (40, 30), (50, 40), (60, 50)];
        assert_eq!(verdicts(&mut position, &replay), [Backfill, Backfill, Backfill, Duplicate, Deliver]);
        assert!(position.holes.is_empty());
    }

    #[test]
    fn who_tells_how_far_they_are_while_a_request_is_under_way_is_asked_for_by_the_next() {
        use Verdict::{Backfill, Deliver, Duplicate};
        let mut position = at(40);
        let since = position.since().unwrap();
        position.held(30);
        position.held(20);
        position.resumed(since, true);
        assert_eq!((position.has_hole(), position.since()), (true, Some(20)));
        resume(&mut position, true);
        let replay = [(30, 20), (40, 30), (50, 40)];
        assert_eq!(verdicts(&mut position, &replay), [Backfill, Backfill, Deliver]);
        assert_eq!(verdicts(&mut position, &replay), [Duplicate, Duplicate, Duplicate]);
    }

    #[test]
    fn what_two_lack_is_filled_in_once() {
        use Verdict::{Backfill, Deliver, Duplicate};
        let mut position = at(50);
        position.held(30);
        position.held(40);
        let since = position.since().unwrap();
        assert_eq!((since, position.holes.len()), (30, 1));
        position.held(10);
        position.held(10);
        position.resumed(since, true);
        assert_eq!(verdicts(&mut position, &[(40, 30), (50, 40)]), [Backfill, Backfill]);
        assert_eq!((position.since(), position.holes.len()), (Some(10), 2));
        resume(&mut position, true);
        let replay = [(20, 10), (30, 20), (40, 30), (50, 40), (60, 50)];
        assert_eq!(verdicts(&mut position, &replay), [Backfill, Backfill, Duplicate, Duplicate, Deliver]);
    }

    #[test]
    fn a_server_that_began_anew_is_followed_whoever_told_how_far_they_are() {
        let mut position = at(40);
        let since = position.since().unwrap();
        position.held(20);
        position.resumed(since, false);
        assert_eq!(position.judge(5, 0), (Verdict::Gap, Some((40, 5))));
        assert_eq!(position.judge(6, 5).0, Verdict::Deliver);
    }

    #[test]
    fn who_tells_late_that_they_have_the_latest_misses_nothing() {
        for (seq, prev) in [(40, 30), (30, 20), (20, 10)] {
            let mut position = Position::default();
            position.held_late(30);
            assert_eq!(position.judge(seq, prev), (Verdict::Deliver, None));
            assert_eq!((position.has_hole(), position.since()), (false, Some(seq)));
        }
    }

    #[test]
    fn a_hole_that_is_too_old_does_not_cost_the_position() {
        let mut position = at(10);
        position.judge(40, 30);
        resume(&mut position, false);
        assert_eq!(position.since(), Some(40));
        assert_eq!(position.judge(40, 30).0, Verdict::Duplicate);
        assert_eq!(position.judge(50, 40).0, Verdict::Deliver);
    }

    #[test]
    fn holes_are_bounded() {
        let mut position = at(1);
        for seq in 2..100 {
            position.judge(seq * 10, seq * 10 - 1);
        }
        assert_eq!(position.holes.len(), MAX_HOLES);
    }

    proptest! {
        /// Whatever subset of a feed arrives, and whatever is replayed: nothing is delivered twice, what is
        /// delivered as latest only rises, and a hole is never silent.
        #[test]
        fn nothing_twice_nothing_backwards_no_silent_hole(
            kept in prop::collection::vec(prop::bool::weighted(0.7), 2..60),
            replay_every in 2usize..10,
        ) {
            let mut position = Position::default();
            let mut delivered = Vec::new();
            let mut latest = 0;
            let mut silent_from = None;
            let mut feed = |position: &mut Position, seq: u64| {
                match position.judge(seq, seq - 1).0 {
                    Verdict::Deliver => {
                        prop_assert!(silent_from.is_none_or(|from| from + 1 == seq), "hole before {seq}");
                        (silent_from, latest) = (Some(seq), seq);
                        delivered.push(seq);
                    }
                    Verdict::Gap => {
                        prop_assert!(seq > latest);
                        (silent_from, latest) = (Some(seq), seq);
                        delivered.push(seq);
                    }
                    Verdict::Backfill => {
                        prop_assert!(seq < latest);
                        delivered.push(seq);
                    }
                    Verdict::Duplicate | Verdict::Unwanted => {}
                }
                Ok(())
            };
            for (index, kept) in kept.iter().enumerate() {
                let seq = index as u64 + 1;
                if *kept {
                    feed(&mut position, seq)?;
                }
                if index % replay_every == 0 && position.has_hole() {
                    let since = position.since().unwrap();
                    resume(&mut position, true);
                    for seq in since + 1..=seq {
                        feed(&mut position, seq)?;
                    }
                }
            }
            let mut unique = delivered.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), delivered.len());
        }
    }
}
