//! The last signals of one feed: the newest ones as they are sent, older ones packed.
//!
//! Signals of a feed are much alike: packed, they take a tenth of their text. That is what lets a node keep hours of
//! many hundred feeds. Who was away for a moment is served from the newest ones alone.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use tidegate_protocol::HISTORY_PER_FEED;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Signals that are packed together. More would pack better, and would leave more of them unpacked meanwhile.
pub(crate) const BLOCK: usize = 16;

/// The last [`HISTORY_PER_FEED`] signals of one feed, oldest first. Cheap to clone: what is packed is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    blocks: VecDeque<Arc<Block>>,
    /// Signals of the first block that count no more.
    forgotten: usize,
    /// At least one, if there are any at all, and at most [`BLOCK`].
    newest: VecDeque<(u64, Utf8Bytes)>,
    /// Everything that was published after this instant is kept.
    complete_after: u64,
    /// Up to this instant it is known what was published, and what was not.
    known_until: u64,
}

/// Signals packed together.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) seqs: [u64; BLOCK],
    /// Their frames, one a line.
    pub(crate) packed: Box<[u8]>,
}

/// The parts of a history, as they are written to disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) blocks: VecDeque<Arc<Block>>,
    pub(crate) forgotten: usize,
    pub(crate) newest: VecDeque<(u64, Utf8Bytes)>,
    pub(crate) complete_after: u64,
    pub(crate) known_until: u64,
}

/// Some signals of a history, on their way out of its lock.
#[derive(Debug, Default)]
pub(crate) struct Excerpt {
    blocks: Vec<Arc<Block>>,
    /// Signals at the front that do not belong to it.
    skip: usize,
    newest: Vec<Utf8Bytes>,
    /// Signals that do, from there on.
    count: usize,
    /// The first and the last `seq`; none if it is empty.
    seqs: Option<(u64, u64)>,
}

impl History {
    /// What was published up to `seq` is not known, unless it was kept. What was kept from before a hole is forgotten:
    /// nobody could tell what is missing in it.
    pub(crate) fn begin_after(&mut self, seq: u64) {
        if self.known_until < seq {
            *self = Self { complete_after: seq, known_until: seq.saturating_sub(1), ..Self::default() };
        }
    }

    /// It was decided at `seq` to publish nothing.
    pub(crate) fn pass(&mut self, seq: u64) {
        self.known_until = self.known_until.max(seq);
    }

    /// Whether it is known already what was published at `seq`, if anything.
    pub(crate) fn knows(&self, seq: u64) -> bool {
        seq <= self.known_until
    }

    /// Up to which instant it is known what was published.
    pub(crate) fn known_until(&self) -> u64 {
        self.known_until
    }

    /// The `seq` of the newest signal; 0 without any.
    pub(crate) fn last_seq(&self) -> u64 {
        self.newest.back().map_or(0, |(seq, _)| *seq)
    }

    /// The `seq` of the oldest signal that is kept; 0 without any.
    pub(crate) fn first_seq(&self) -> u64 {
        self.seq_at(0).unwrap_or(0)
    }

    /// The newest signal.
    pub(crate) fn latest(&self) -> Excerpt {
        self.last(1)
    }

    /// Adds a signal, whose `seq` is above that of the last one.
    pub(crate) fn push(&mut self, seq: u64, frame: Utf8Bytes) {
        if self.newest.len() == BLOCK {
            self.blocks.push_back(Arc::new(Block::pack(&mut self.newest)));
        }
        self.newest.push_back((seq, frame));
        self.known_until = seq;
        if self.len() > HISTORY_PER_FEED {
            self.forget_one();
        }
    }

    /// The newest `limit` signals.
    pub(crate) fn last(&self, limit: usize) -> Excerpt {
        let count = limit.min(self.len());
        self.excerpt(self.len() - count, count)
    }

    /// The first `limit` signals after `since`.
    pub(crate) fn first_after(&self, since: u64, limit: usize) -> Excerpt {
        let start = self.position_after(since);
        self.excerpt(start, limit.min(self.len() - start))
    }

    /// Everything after `since`; none if that cannot be said: the position is older than what is kept, or newer than
    /// the latest.
    pub(crate) fn all_after(&self, since: u64) -> Option<Excerpt> {
        let known = self.complete_after..=self.newest.back()?.0;
        known.contains(&since).then(|| self.first_after(since, usize::MAX))
    }

    /// What it consists of.
    pub(crate) fn parts(&self) -> Parts {
        let Self { blocks, forgotten, newest, complete_after, known_until } = self.clone();
        Parts { blocks, forgotten, newest, complete_after, known_until }
    }

    /// A history of these parts; none if they cannot be one: out of order, of the wrong number, or not unpackable.
    pub(crate) fn of_parts(parts: Parts) -> Option<Self> {
        let Parts { blocks, forgotten, newest, complete_after, known_until } = parts;
        let history = Self { blocks, forgotten, newest, complete_after, known_until };
        let counts = history.newest.len() <= BLOCK
            && (history.forgotten == 0 || (history.forgotten < BLOCK && !history.blocks.is_empty()))
            && (history.blocks.is_empty() || !history.newest.is_empty())
            && history.len() <= HISTORY_PER_FEED;
        let packed = history.blocks.iter().flat_map(|block| block.seqs);
        let seqs: Vec<u64> = packed.chain(history.newest.iter().map(|(seq, _)| *seq)).collect();
        let rising = seqs.is_sorted_by(|earlier, later| earlier < later)
            && seqs.get(history.forgotten).is_none_or(|first| history.complete_after < *first)
            && history.last_seq() <= history.known_until
            && history.complete_after <= history.known_until.saturating_add(1);
        let whole = || history.blocks.iter().all(|block| block.unpacked().is_some());
        (counts && rising && whole()).then_some(history)
    }

    fn len(&self) -> usize {
        self.blocks.len() * BLOCK - self.forgotten + self.newest.len()
    }

    fn forget_one(&mut self) {
        let Some(first) = self.blocks.front() else { return };
        self.complete_after = first.seqs[self.forgotten];
        self.forgotten += 1;
        if self.forgotten == BLOCK {
            self.blocks.pop_front();
            self.forgotten = 0;
        }
    }

    /// How many signals are not after `since`.
    fn position_after(&self, since: u64) -> usize {
        let packed = self.blocks.iter().flat_map(|block| block.seqs);
        let seqs = packed.skip(self.forgotten).chain(self.newest.iter().map(|(seq, _)| *seq));
        seqs.take_while(|seq| *seq <= since).count()
    }

    fn excerpt(&self, start: usize, count: usize) -> Excerpt {
        let (first, end) = (self.forgotten + start, self.forgotten + start + count);
        let packed = self.blocks.len() * BLOCK;
        let blocks = first / BLOCK..end.min(packed).div_ceil(BLOCK);
        let newest = first.max(packed) - packed..end.max(packed) - packed;
        Excerpt {
            skip: if blocks.is_empty() { 0 } else { first % BLOCK },
            blocks: blocks.filter_map(|index| self.blocks.get(index)).map(Arc::clone).collect(),
            newest: self.newest.range(newest).map(|(_, frame)| frame.clone()).collect(),
            count,
            seqs: count.checked_sub(1).and_then(|last| self.seq_at(start).zip(self.seq_at(start + last))),
        }
    }

    fn seq_at(&self, index: usize) -> Option<u64> {
        let place = self.forgotten + index;
        match self.blocks.get(place / BLOCK) {
            Some(block) => Some(block.seqs[place % BLOCK]),
            None => self.newest.get(place - self.blocks.len() * BLOCK).map(|(seq, _)| *seq),
        }
    }
}

impl Block {
    /// Takes the frames, which are as many as a block has.
    fn pack(frames: &mut VecDeque<(u64, Utf8Bytes)>) -> Self {
        let mut seqs = [0; BLOCK];
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        for (place, (seq, frame)) in seqs.iter_mut().zip(frames.drain(..)) {
            *place = seq;
            let lines = encoder.write_all(frame.as_bytes()).and_then(|()| encoder.write_all(b"\n"));
            lines.expect("a vector takes what is written");
        }
        let packed = encoder.finish().expect("a vector takes what is written");
        Self { seqs, packed: packed.into_boxed_slice() }
    }

    fn unpack(&self) -> Vec<Utf8Bytes> {
        self.unpacked().expect("what was packed, or was checked when it was read, is unpacked")
    }

    /// Its frames; none if it is damaged.
    fn unpacked(&self) -> Option<Vec<Utf8Bytes>> {
        let mut text = String::new();
        DeflateDecoder::new(&*self.packed).read_to_string(&mut text).ok()?;
        let frames: Vec<_> = text.lines().map(Utf8Bytes::from).collect();
        (frames.len() == BLOCK).then_some(frames)
    }
}

impl Excerpt {
    /// The `seq` of the first and of the last of them; none if there are none.
    pub(crate) const fn seqs(&self) -> Option<(u64, u64)> {
        self.seqs
    }

    /// The frames, oldest first. Not under a lock: unpacking takes a while.
    pub(crate) fn frames(self) -> Vec<Utf8Bytes> {
        let Self { blocks, skip, newest, count, .. } = self;
        blocks.iter().flat_map(|block| block.unpack()).skip(skip).chain(newest).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    /// A stand-in for a signal's frame.
    fn frame(seq: u64) -> Utf8Bytes {
        format!("{{\"seq\":{seq},\"text\":\"a line\\nbreak is escaped\"}}").into()
    }

    fn history(count: u64) -> History {
        let mut history = History::default();
        (1..=count).for_each(|number| history.push(number * 10, frame(number * 10)));
        history
    }

    fn expected(seqs: impl Iterator<Item = u64>) -> Vec<Utf8Bytes> {
        seqs.map(|number| frame(number * 10)).collect()
    }

    #[test]
    fn older_signals_take_a_fraction_of_their_text() {
        let full = history(HISTORY_PER_FEED as u64);
        let packed: usize = full.blocks.iter().map(|block| block.packed.len()).sum();
        let text: usize = full.last(HISTORY_PER_FEED).frames().iter().map(|frame| frame.len()).sum();
        assert!(packed * 4 < text, "{packed} of {text} bytes");
        assert!(full.newest.len() <= BLOCK);
    }

    #[test]
    fn an_empty_history_has_nothing_and_says_so() {
        let empty = History::default();
        assert_eq!((empty.last_seq(), empty.latest().frames()), (0, vec![]));
        assert!(empty.all_after(0).is_none());
        assert_eq!(empty.first_after(0, 5).frames(), [] as [Utf8Bytes; 0]);
    }

    proptest! {
        /// Against a plain list of the last 512.
        #[test]
        fn it_is_a_list_of_the_last_ones(count in 1_u64..1_200, since in 0_u64..12_100, limit in 0_usize..600) {
            let kept = history(count);
            let first = count.saturating_sub(HISTORY_PER_FEED as u64) + 1;
            prop_assert_eq!((kept.first_seq(), kept.last_seq()), (first * 10, count * 10));
            prop_assert_eq!(kept.latest().frames(), expected(count..=count));
            let newest = (count + 1).saturating_sub(limit as u64).max(first);
            prop_assert_eq!(kept.last(limit).seqs(), (newest <= count).then_some((newest * 10, count * 10)));
            prop_assert_eq!(kept.last(limit).frames(), expected(newest..=count));
            let after = (since / 10 + 1).max(first)..=count;
            prop_assert_eq!(kept.first_after(since, limit).frames(), expected(after.clone().take(limit)));
            let known = ((first - 1) * 10..=count * 10).contains(&since);
            prop_assert_eq!(kept.all_after(since).map(Excerpt::frames), known.then(|| expected(after)));
        }
    }
}
