//! The invariants of the client, checked at every step. Knows the truth, and nothing of the machine's inside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidegate_client_core::Verdict;
use tidegate_protocol::Feed;

/// What was seen of the client so far.
#[derive(Default)]
pub(crate) struct Oracle {
    dials_ms: VecDeque<u64>,
    /// When the request for a token that is not answered yet was made.
    pub(crate) requested_ms: Option<u64>,
    feeds: BTreeMap<Feed, Seen>,
    pub(crate) counts: Counts,
}

/// How much of what was simulated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) dials: u64,
    pub(crate) lives: u64,
    pub(crate) delivered: u64,
    pub(crate) gaps: u64,
    pub(crate) backfilled: u64,
    pub(crate) duplicates: u64,
}

#[derive(Default)]
struct Seen {
    last: Option<u64>,
    /// Held from elsewhere since after the server was asked: what came since follows its latest.
    late: Option<u64>,
    /// Gaps that were reported.
    gaps: Vec<(u64, u64)>,
    backfilled: BTreeSet<u64>,
}

impl Oracle {
    /// The client dials.
    pub(crate) fn dial(&mut self, wanted: bool, awake: bool, open: Option<u32>, now_ms: u64) {
        assert!(open.is_none(), "a second socket beside {open:?}");
        assert!(wanted, "a dial that nobody wants");
        assert!(awake, "a dial of a frozen page");
        self.dials_ms.retain(|at_ms| now_ms < at_ms + 60_000);
        if let Some(last_ms) = self.dials_ms.back() {
            assert!(now_ms >= last_ms + 500, "two dials within {} ms", now_ms - last_ms);
        }
        self.dials_ms.push_back(now_ms);
        assert!(self.dials_ms.len() <= 17, "{} dials within a minute", self.dials_ms.len());
        self.counts.dials += 1;
    }

    /// The client asks for a token.
    pub(crate) fn request(&mut self, now_ms: u64) {
        if let Some(since_ms) = self.requested_ms {
            assert!(now_ms >= since_ms + 10_000, "a second request for a token after {since_ms}");
        }
        self.requested_ms = Some(now_ms);
    }

    /// Nobody holds the feed any more: whoever comes next begins anew.
    pub(crate) fn forget(&mut self, feed: Feed) {
        self.feeds.remove(&feed);
    }

    /// The application has a feed up to this signal, from elsewhere. If that is less than it has here, whoever has
    /// less is missing the rest. `asked`: the server was asked for it on this connection.
    pub(crate) fn hold(&mut self, feed: Feed, seq: u64, asked: bool) {
        let seen = self.feeds.entry(feed).or_default();
        match seen.last {
            None if asked || seen.late.is_some() => {
                seen.late = Some(seen.late.map_or(seq, |late| late.min(seq)))
            }
            Some(last) if seq < last => {
                seen.gaps.push((seq, last + 1));
                seen.backfilled.retain(|filled| *filled <= seq);
            }
            _ => seen.last = Some(seq),
        }
    }

    /// The client judged a signal. `truth`: every signal of the feed so far; `gap`: what it reported.
    pub(crate) fn signal(
        &mut self,
        feed: Feed,
        seq: u64,
        verdict: Verdict,
        gap: Option<(u64, u64)>,
        truth: &[u64],
    ) {
        let seen = self.feeds.entry(feed).or_default();
        assert_eq!(gap.is_some(), verdict == Verdict::Gap, "{feed}: {verdict:?} of {seq} with {gap:?}");
        let newest = matches!(verdict, Verdict::Deliver | Verdict::Gap);
        if let Some(after) = seen.late.take_if(|_| newest) {
            seen.gaps.push((after, seq + 1));
        }
        match verdict {
            Verdict::Deliver => {
                assert!(seen.last.is_none_or(|last| seq > last), "{feed}: {seq} after {:?}", seen.last);
                assert!(
                    seen.last.is_none_or(|last| follows(truth, last, seq)),
                    "{feed}: a silent hole between {:?} and {seq}",
                    seen.last
                );
                seen.last = Some(seq);
                self.counts.delivered += 1;
            }
            Verdict::Gap => {
                let gap = gap.expect("just checked");
                assert!(
                    seen.last.is_none_or(|last| (last, seq) == gap),
                    "{feed}: {gap:?} is not the gap after {:?}",
                    seen.last
                );
                assert!(seen.last.is_none_or(|last| !follows(truth, last, seq)), "{feed}: {gap:?} is none");
                seen.gaps.push(gap);
                seen.last = Some(seq);
                self.counts.gaps += 1;
            }
            Verdict::Backfill => {
                let missing = seen.gaps.iter().any(|(after, before)| *after < seq && seq < *before)
                    || seen.late.is_some_and(|late| late < seq);
                assert!(missing, "{feed}: {seq} was not missing");
                assert!(seen.backfilled.insert(seq), "{feed}: {seq} was filled in twice");
                self.counts.backfilled += 1;
            }
            Verdict::Duplicate => {
                assert!(seen.last.is_none_or(|last| seq <= last), "{feed}: {seq} is new");
                self.counts.duplicates += 1;
            }
            Verdict::Unwanted => {}
        }
    }

    /// The last signal that the application has of a feed.
    pub(crate) fn last(&self, feed: Feed) -> Option<u64> {
        self.feeds.get(&feed).and_then(|seen| seen.last)
    }
}

/// Whether there is no signal between two others.
fn follows(truth: &[u64], last: u64, seq: u64) -> bool {
    let after = truth.partition_point(|other| *other <= last);
    truth.get(after) == Some(&seq)
}
