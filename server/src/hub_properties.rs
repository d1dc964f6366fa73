//! Exactly once, under every order of publishing, following, leaving, coming back and taking over.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use proptest::prelude::{
    ProptestConfig, Strategy as _, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use tidegate_protocol::{Pong, ServerMessage, Strategy};

use super::*;

const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    /// Subscribes: from where the client is, or as one that holds the feed already.
    Follow {
        client: usize,
        feed: usize,
        current: bool,
    },
    Unfollow {
        client: usize,
        feed: usize,
    },
    /// Writes up to so many of what waits.
    Write {
        client: usize,
        frames: usize,
    },
    /// A new connection follows before the old one has left (a takeover), or after (a reconnect). What waited
    /// unwritten is lost with the old one.
    Return {
        client: usize,
        takeover: bool,
    },
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let (client, feed) = (|| 0..CLIENTS, || 0..2_usize);
    let step = prop_oneof![
        4 => feed().prop_map(Step::Publish),
        2 => (client(), feed(), prop::bool::ANY)
            .prop_map(|(client, feed, current)| Step::Follow { client, feed, current }),
        1 => (client(), feed()).prop_map(|(client, feed)| Step::Unfollow { client, feed }),
        4 => (client(), 0..4_usize).prop_map(|(client, frames)| Step::Write { client, frames }),
        1 => (client(), prop::bool::ANY).prop_map(|(client, takeover)| Step::Return { client, takeover }),
    ];
    prop::collection::vec(step, 1..150)
}

fn feeds() -> [Feed; 2] {
    ["AA", "BB"].map(|symbol| Feed { symbol: symbol.parse().unwrap(), strategy: Strategy::Scalp })
}

fn message(seq: u64, prev: u64) -> ServerMessage {
    ServerMessage::Pong(Pong { id: seq, server_time: prev.to_string() })
}

fn read(frame: &Utf8Bytes) -> (u64, u64) {
    match ServerMessage::parse(frame).unwrap() {
        ServerMessage::Pong(pong) => (pong.id, pong.server_time.parse().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// A client that does what the SDK does: it keeps the last `seq` of every feed, and resumes from there.
#[derive(Default)]
struct Reader {
    outbox: Arc<Outbox>,
    following: BTreeMap<Feed, ()>,
    received: BTreeMap<Feed, Vec<u64>>,
    gaps: usize,
}

impl Reader {
    fn take(&mut self, feed: Feed, frame: &Utf8Bytes) {
        let (seq, prev) = read(frame);
        let received = self.received.entry(feed).or_default();
        if let Some(last) = received.last() {
            assert!(seq > *last, "{seq} after {last}: twice, or out of order");
            self.gaps += usize::from(prev != *last);
        }
        received.push(seq);
    }

    fn follow(&mut self, hub: &Hub, feed: Feed, current: bool) {
        let last = self.received.get(&feed).and_then(|received| received.last().copied());
        let position = match (current && self.following.contains_key(&feed), last) {
            (true, _) => Position::Current,
            (false, Some(last)) => Position::Since(last),
            (false, None) => Position::Latest,
        };
        let backlog = hub.follow(feed, position, &self.outbox);
        assert!(backlog.recovered, "nothing is older than the history here");
        backlog.frames.iter().for_each(|frame| self.take(feed, frame));
        self.following.insert(feed, ());
    }

    fn write(&mut self, frames: usize) {
        for _ in 0..frames {
            let Some(waiting) = self.outbox.pop() else { return };
            self.take(waiting.feed, &waiting.frame);
        }
    }

    fn come_back(&mut self, hub: &Hub, takeover: bool) {
        let old = std::mem::take(&mut self.outbox);
        let leave = |following: &BTreeMap<Feed, ()>| {
            following.keys().for_each(|feed| hub.unfollow(*feed, &old));
        };
        let held = std::mem::take(&mut self.following);
        if !takeover {
            leave(&held);
        }
        held.keys().for_each(|feed| self.follow(hub, *feed, false));
        if takeover {
            leave(&held);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_signal_comes_once_and_in_order_whatever_the_order_of_events(steps in steps()) {
        let hub = Hub::new(feeds());
        let mut published = [Vec::new(), Vec::new()];
        let mut readers: Vec<_> = (0..CLIENTS).map(|_| Reader::default()).collect();
        let mut seq = 0;
        for step in steps {
            match step {
                Step::Publish(feed) => {
                    seq += 10;
                    hub.publish(feeds()[feed], seq, |prev| message(seq, prev));
                    published[feed].push(seq);
                }
                Step::Follow { client, feed, current } => {
                    readers[client].follow(&hub, feeds()[feed], current);
                }
                Step::Unfollow { client, feed } => {
                    let reader = &mut readers[client];
                    hub.unfollow(feeds()[feed], &reader.outbox);
                    reader.following.remove(&feeds()[feed]);
                }
                Step::Write { client, frames } => readers[client].write(frames),
                Step::Return { client, takeover } => readers[client].come_back(&hub, takeover),
            }
            for feed in feeds() {
                let following = readers.iter().filter(|reader| reader.following.contains_key(&feed)).count();
                prop_assert_eq!(hub.followers(feed), following, "each counts once");
            }
        }
        for reader in &mut readers {
            reader.write(usize::MAX);
            reader.come_back(&hub, true);
            for (feed, published) in feeds().into_iter().zip(&published) {
                reader.follow(&hub, feed, false);
                let received = reader.received.get(&feed).cloned().unwrap_or_default();
                let first = received.first().copied().unwrap_or(u64::MAX);
                let expected: Vec<_> = published.iter().copied().filter(|seq| *seq >= first).collect();
                prop_assert_eq!(&received, &expected, "none is missing");
                prop_assert!(published.is_empty() || !received.is_empty());
            }
            prop_assert_eq!(reader.gaps, 0);
        }
        drop(readers);
        prop_assert_eq!(hub.metrics().outbox_depth.get(), 0, "nothing is counted as waiting that is gone");
    }
}

#[test]
fn threads_that_publish_and_come_back_at_the_same_time_lose_nothing() {
    const SIGNALS: u64 = 6_000;
    let hub = Hub::new(feeds());
    let [feed, _] = feeds();
    let positions: [AtomicU64; CLIENTS] = Default::default();
    let read_on = |position: &AtomicU64, number: usize| {
        let mut reader = Reader::default();
        let mut round = number;
        while position.load(Ordering::Acquire) < SIGNALS {
            round += 1;
            match round % 97 {
                0 => reader.come_back(&hub, round.is_multiple_of(2)),
                41 => {
                    hub.unfollow(feed, &reader.outbox);
                    reader.following.clear();
                }
                _ if reader.following.is_empty() => reader.follow(&hub, feed, false),
                _ => reader.write(3),
            }
            let last = reader.received.get(&feed).and_then(|received| received.last().copied());
            position.store(last.unwrap_or(0), Ordering::Release);
            std::thread::yield_now();
        }
        reader
    };
    hub.publish(feed, 1, |prev| message(1, prev));
    let readers: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = positions
            .iter()
            .enumerate()
            .map(|(number, position)| scope.spawn(move || read_on(position, number)))
            .collect();
        for seq in 2..=SIGNALS {
            // So far ahead that all of it is still kept, and never so far that an outbox is full.
            while positions.iter().any(|position| position.load(Ordering::Acquire) + 40 < seq) {
                std::thread::yield_now();
            }
            hub.publish(feed, seq, |prev| message(seq, prev));
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for reader in readers {
        let received = &reader.received[&feed];
        let expected: Vec<_> = (received[0]..=SIGNALS).collect();
        assert_eq!((received, reader.gaps), (&expected, 0));
    }
}
