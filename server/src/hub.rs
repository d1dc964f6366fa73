//! Feeds and who follows them. A signal is encoded once, kept for those who come back, and handed on.
//!
//! The hub knows nothing of tokens, sockets or what a signal means.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate_protocol::{Feed, ServerMessage};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::history::{Excerpt, History};
use crate::metrics::Metrics;

/// Frames that wait for one connection before older ones of a feed give way to newer ones.
const OUTBOX_FRAMES_MAX: usize = 64;

/// Every feed of this node.
#[derive(Debug)]
pub struct Hub {
    feeds: HashMap<Feed, Mutex<FeedState>>,
    published: AtomicU64,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct FeedState {
    history: History,
    followers: Vec<Arc<Outbox>>,
}

/// Some of the kept signals of a feed.
#[derive(Debug, Default)]
pub struct Kept {
    /// The `seq` of the first and of the last; none if there are none.
    pub seqs: Option<(u64, u64)>,
    /// The messages, oldest first.
    pub frames: Vec<String>,
}

/// What a new follower gets before anything live.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Whether everything after the follower's position is in `frames`.
    pub recovered: bool,
    /// Signals to send first, in order.
    pub frames: Vec<Utf8Bytes>,
}

/// Where a follower stands on a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// New: send the latest signal.
    Latest,
    /// Has everything up to this `seq`: send what came after.
    Since(u64),
    /// Follows already and asks for nothing: send nothing.
    Current,
}

impl Hub {
    /// A hub of these feeds, all empty.
    pub fn new(feeds: impl IntoIterator<Item = Feed>) -> Self {
        Self::counted_by(feeds, Arc::default())
    }

    /// The same, counted together with the rest of the gateway.
    pub fn counted_by(feeds: impl IntoIterator<Item = Feed>, metrics: Arc<Metrics>) -> Self {
        let feeds = feeds.into_iter().map(|feed| (feed, Mutex::default())).collect();
        Self { feeds, published: AtomicU64::new(0), metrics }
    }

    /// What counts here.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Says that what `feed` published up to `seq`, before this node was there, is not known.
    pub fn begin_after(&self, feed: Feed, seq: u64) {
        if let Some(mut state) = self.state(feed) {
            state.history.begin_after(seq);
        }
    }

    /// Says that `feed` publishes nothing at `seq`.
    pub fn pass(&self, feed: Feed, seq: u64) {
        if let Some(mut state) = self.state(feed) {
            state.history.pass(seq);
        }
    }

    /// Publishes the signal of `feed` at `seq`; `build` gets the `prev` that belongs to it. Of a `seq` that is not
    /// above the last one it was decided before, and what was published then stays: the signal is left out.
    pub fn publish(&self, feed: Feed, seq: u64, build: impl FnOnce(u64) -> ServerMessage) {
        let Some(mut state) = self.state(feed) else { return };
        let prev = state.history.last_seq();
        if state.history.knows(seq) {
            tracing::debug!(%feed, seq, prev, "a signal of an instant that is past is left out");
            return;
        }
        let mut text = build(prev).to_json();
        // It is kept for hours: what the text has grown beyond its length is not.
        text.shrink_to_fit();
        let frame = Utf8Bytes::from(text);
        let published = Instant::now();
        for follower in &state.followers {
            follower.push(Waiting { feed, frame: frame.clone(), published });
        }
        state.history.push(seq, frame);
        self.published.fetch_add(1, Ordering::Relaxed);
        self.metrics.signals_published.inc(feed.strategy.as_str());
    }

    /// How many signals were published: as long as it stays, there is nothing new to save.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// The history of every feed, as it is now.
    pub(crate) fn histories(&self) -> Vec<(Feed, History)> {
        let clone = |(feed, _): (&Feed, _)| self.state(*feed).map(|state| (*feed, state.history.clone()));
        self.feeds.iter().filter_map(clone).collect()
    }

    /// Goes on from what a feed's history was before this node was there. Whether the feed exists.
    pub(crate) fn restore(&self, feed: Feed, history: History) -> bool {
        self.state(feed).map(|mut state| state.history = history).is_some()
    }

    /// Adds a follower and says what to send it first. Nothing that is published later is missed, and nothing
    /// of the backlog comes again.
    pub fn follow(&self, feed: Feed, position: Position, outbox: &Arc<Outbox>) -> Backlog {
        let Some(mut state) = self.state(feed) else { return Backlog::default() };
        if !state.followers.iter().any(|follower| Arc::ptr_eq(follower, outbox)) {
            state.followers.push(Arc::clone(outbox));
            self.metrics.subscriptions(feed.strategy).inc();
        }
        if position != Position::Current {
            // What waits in the outbox is in the backlog too, or older than it.
            outbox.forget(feed);
        }
        let (recovered, excerpt) = state.backlog(position);
        drop(state);
        Backlog { recovered, frames: excerpt.frames() }
    }

    /// Removes a follower, and what waits for it of that feed.
    pub fn unfollow(&self, feed: Feed, outbox: &Arc<Outbox>) {
        let Some(mut state) = self.state(feed) else { return };
        let before = state.followers.len();
        state.followers.retain(|follower| !Arc::ptr_eq(follower, outbox));
        if state.followers.len() < before {
            self.metrics.subscriptions(feed.strategy).dec();
        }
        outbox.forget(feed);
    }

    /// Kept signals of `feed`, oldest first: the first `limit` after `since`, or else the newest `limit`.
    #[must_use]
    pub fn history(&self, feed: Feed, since: Option<u64>, limit: usize) -> Kept {
        let Some(state) = self.state(feed) else { return Kept::default() };
        let excerpt = match since {
            Some(since) => state.history.first_after(since, limit),
            None => state.history.last(limit),
        };
        drop(state);
        Kept { seqs: excerpt.seqs(), frames: excerpt.frames().iter().map(ToString::to_string).collect() }
    }

    /// The `seq` of the oldest signal of `feed` that is kept; 0 without any.
    #[must_use]
    pub fn oldest(&self, feed: Feed) -> u64 {
        self.state(feed).map_or(0, |state| state.history.first_seq())
    }

    /// How many follow `feed`.
    #[must_use]
    pub fn followers(&self, feed: Feed) -> usize {
        self.state(feed).map_or(0, |state| state.followers.len())
    }

    fn state(&self, feed: Feed) -> Option<MutexGuard<'_, FeedState>> {
        self.feeds.get(&feed).map(|state| state.lock().expect("no holder panics"))
    }
}

impl FeedState {
    /// Whether everything after the position is known, and what to send first.
    fn backlog(&self, position: Position) -> (bool, Excerpt) {
        match position {
            Position::Current => (true, Excerpt::default()),
            Position::Latest => (true, self.history.latest()),
            Position::Since(since) => match self.history.all_after(since) {
                Some(excerpt) => (true, excerpt),
                None => (false, self.history.latest()),
            },
        }
    }
}

/// What waits to be written to one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<VecDeque<Waiting>>,
    ready: Notify,
    metrics: Arc<Metrics>,
}

/// A signal on its way to one connection.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Of which feed.
    pub feed: Feed,
    /// The signal, encoded.
    pub frame: Utf8Bytes,
    /// When it was published.
    pub published: Instant,
}

impl Outbox {
    /// An empty outbox, counted together with the rest of the gateway.
    #[must_use]
    pub fn counted_by(metrics: Arc<Metrics>) -> Self {
        Self { waiting: Mutex::default(), ready: Notify::new(), metrics }
    }

    /// Queues a signal. When the queue is full, the oldest signal that has a newer one of its feed behind it
    /// gives way; `prev` shows the reader what it missed.
    fn push(&self, signal: Waiting) {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.push_back(signal);
        self.metrics.outbox_depth.inc();
        if waiting.len() > OUTBOX_FRAMES_MAX {
            let superseded = (0..waiting.len())
                .find(|index| waiting.iter().skip(index + 1).any(|later| later.feed == waiting[*index].feed));
            // With more frames than feeds there always is one; the bound holds even if not.
            if let Some(superseded) = waiting.remove(superseded.unwrap_or(0)) {
                self.metrics.conflations.inc(superseded.feed.strategy.as_str());
                self.metrics.outbox_depth.dec();
            }
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// The next signal to write, if any.
    pub fn pop(&self) -> Option<Waiting> {
        let next = self.waiting.lock().expect("no holder panics").pop_front();
        if next.is_some() {
            self.metrics.outbox_depth.dec();
        }
        next
    }

    /// Waits until something was queued.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    fn forget(&self, feed: Feed) {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        let before = waiting.len();
        waiting.retain(|signal| signal.feed != feed);
        let forgotten = i64::try_from(before - waiting.len()).unwrap_or(0);
        self.metrics.outbox_depth.dec_by(forgotten);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let waiting = self.waiting.get_mut().map_or(0, |waiting| waiting.len());
        self.metrics.outbox_depth.dec_by(i64::try_from(waiting).unwrap_or(0));
    }
}

#[cfg(test)]
#[path = "hub_properties.rs"]
mod properties;

#[cfg(test)]
mod tests {
    use tidegate_protocol::{HISTORY_PER_FEED, Pong, Strategy};

    use super::*;

    fn feed(symbol: &str) -> Feed {
        Feed { symbol: symbol.parse().unwrap(), strategy: Strategy::Scalp }
    }

    /// A stand-in for a signal: `seq` and `prev` in a message that is quick to build.
    fn message(seq: u64, prev: u64) -> ServerMessage {
        ServerMessage::Pong(Pong { id: seq, server_time: prev.to_string() })
    }

    fn hub(seqs: std::ops::RangeInclusive<u64>) -> (Hub, Feed) {
        let feed = feed("AA");
        let hub = Hub::new([feed]);
        for seq in seqs {
            hub.publish(feed, seq, |prev| message(seq, prev));
        }
        (hub, feed)
    }

    fn seqs<'a>(frames: impl IntoIterator<Item = &'a Utf8Bytes>) -> Vec<(u64, u64)> {
        let read = |frame: &Utf8Bytes| match ServerMessage::parse(frame).unwrap() {
            ServerMessage::Pong(pong) => (pong.id, pong.server_time.parse().unwrap()),
            other => panic!("{other:?}"),
        };
        frames.into_iter().map(read).collect()
    }

    fn drain(outbox: &Outbox) -> Vec<(u64, u64)> {
        seqs(&std::iter::from_fn(|| outbox.pop()).map(|waiting| waiting.frame).collect::<Vec<_>>())
    }

    #[test]
    fn a_new_follower_gets_the_latest_and_then_what_comes() {
        let (hub, feed) = hub(1..=3);
        let outbox = Arc::new(Outbox::default());
        let backlog = hub.follow(feed, Position::Latest, &outbox);
        assert_eq!((backlog.recovered, seqs(&backlog.frames)), (true, vec![(3, 2)]));
        hub.publish(feed, 4, |prev| message(4, prev));
        assert_eq!(drain(&outbox), [(4, 3)]);
        hub.unfollow(feed, &outbox);
        hub.publish(feed, 5, |prev| message(5, prev));
        assert_eq!(drain(&outbox), []);
        assert_eq!(hub.followers(feed), 0);
    }

    #[test]
    fn a_follower_that_comes_back_gets_exactly_what_it_missed() {
        let (hub, feed) = hub(1..=5);
        let outbox = Arc::new(Outbox::default());
        let backlog = hub.follow(feed, Position::Since(3), &outbox);
        assert_eq!((backlog.recovered, seqs(&backlog.frames)), (true, vec![(4, 3), (5, 4)]));
        assert_eq!(
            hub.follow(feed, Position::Since(5), &outbox),
            Backlog { recovered: true, frames: vec![] }
        );
    }

    #[test]
    fn a_position_outside_the_history_gets_the_latest_and_is_told() {
        let (hub, feed) = hub(1..=600);
        let outbox = Arc::new(Outbox::default());
        let oldest = 600 - HISTORY_PER_FEED as u64 + 1;
        for since in [oldest - 2, 601, 9_999] {
            let backlog = hub.follow(feed, Position::Since(since), &outbox);
            assert_eq!((backlog.recovered, seqs(&backlog.frames)), (false, vec![(600, 599)]), "{since}");
        }
        let backlog = hub.follow(feed, Position::Since(oldest - 1), &outbox);
        assert_eq!((backlog.recovered, backlog.frames.len()), (true, HISTORY_PER_FEED));
    }

    #[test]
    fn what_was_published_before_the_node_was_there_is_not_said_to_be_recovered() {
        let feed = feed("AA");
        let hub = Hub::new([feed]);
        hub.begin_after(feed, 100);
        hub.publish(feed, 140, |prev| message(140, prev));
        let outbox = Arc::new(Outbox::default());
        let recovered = |since| hub.follow(feed, Position::Since(since), &outbox).recovered;
        assert_eq!([1, 99, 100, 120, 140].map(recovered), [false, false, true, true, true]);
    }

    #[test]
    fn what_waits_unsent_does_not_come_twice_after_a_resume() {
        let (hub, feed) = hub(1..=2);
        let outbox = Arc::new(Outbox::default());
        hub.follow(feed, Position::Latest, &outbox);
        hub.publish(feed, 3, |prev| message(3, prev));
        let backlog = hub.follow(feed, Position::Since(2), &outbox);
        assert_eq!(seqs(&backlog.frames), [(3, 2)]);
        assert_eq!(drain(&outbox), [], "it is in the backlog");
        assert_eq!(hub.followers(feed), 1, "counts once");
    }

    #[test]
    fn the_history_is_read_from_a_position_or_from_the_end() {
        let (hub, feed) = hub(1..=5);
        let history = |since, limit| {
            let frames = hub.history(feed, since, limit).frames;
            seqs(&frames.into_iter().map(Utf8Bytes::from).collect::<Vec<_>>())
        };
        assert_eq!(history(None, 2), [(4, 3), (5, 4)]);
        assert_eq!(history(Some(1), 2), [(2, 1), (3, 2)]);
        assert_eq!(history(Some(4), 9), [(5, 4)]);
        assert_eq!(history(Some(5), 9), []);
    }

    #[test]
    fn a_seq_that_does_not_rise_is_left_out() {
        let (hub, feed) = hub(1..=2);
        let outbox = Arc::new(Outbox::default());
        hub.follow(feed, Position::Latest, &outbox);
        hub.publish(feed, 2, |prev| message(2, prev));
        hub.publish(feed, 1, |prev| message(1, prev));
        assert_eq!(drain(&outbox), []);
    }

    #[test]
    fn a_reader_that_does_not_read_keeps_the_newest_of_every_feed_in_order() {
        let (fast, slow) = (feed("FAST"), feed("SLOW"));
        let hub = Hub::new([fast, slow]);
        let outbox = Arc::new(Outbox::default());
        hub.follow(fast, Position::Latest, &outbox);
        hub.follow(slow, Position::Latest, &outbox);
        hub.publish(slow, 1, |prev| message(1, prev));
        for seq in 1..=200 {
            hub.publish(fast, seq, |prev| message(seq, prev));
        }
        let kept = drain(&outbox);
        assert_eq!(kept.len(), OUTBOX_FRAMES_MAX);
        assert_eq!(kept[0], (1, 0), "the only signal of the slow feed is still there");
        let newest: Vec<_> = (200 - 62..=200).map(|seq| (seq, seq - 1)).collect();
        assert_eq!(kept[1..], newest);
    }
}
