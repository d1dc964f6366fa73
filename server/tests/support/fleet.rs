//! Many clients of the Rust SDK, each with an eye on its feed: no gap, nothing twice, nothing out of order.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidegate_client_native::{Client, Options, TokenSource, Update};
use tidegate_protocol::Feed;
use tokio::task::JoinHandle;

use crate::support::token;

/// The clients of one gateway.
pub struct Fleet {
    clients: Vec<(Arc<Mutex<Seen>>, JoinHandle<()>)>,
}

/// What one client has of its feed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub seqs: Vec<u64>,
    pub gaps: usize,
    pub duplicates: usize,
}

impl Fleet {
    /// Connects so many clients, three to a user, all of the same feed.
    pub fn connect(address: SocketAddr, count: usize, feed: Feed) -> Self {
        let clients = (0..count).map(|index| {
            let seen = Arc::<Mutex<Seen>>::default();
            let user = format!("0x{:040}", index / 3);
            let options = Options::new(format!("ws://{address}/ws"), TokenSource::fixed(token(&user)));
            (Arc::clone(&seen), tokio::spawn(follow(options, feed, seen)))
        });
        Self { clients: clients.collect() }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.clients.iter().map(|(seen, _)| seen.lock().unwrap().clone()).collect()
    }

    /// Waits until every client has a signal after `seq`; says how long that took.
    pub async fn beyond(&self, seq: u64, patience: Duration) -> Duration {
        let started = Instant::now();
        loop {
            let behind =
                self.seen().iter().filter(|seen| seen.seqs.last().is_none_or(|last| *last <= seq)).count();
            if behind == 0 {
                return started.elapsed();
            }
            assert!(started.elapsed() < patience, "{behind} of {} are behind {seq}", self.clients.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The latest that anybody has.
    pub fn latest(&self) -> u64 {
        self.seen().iter().filter_map(|seen| seen.seqs.last().copied()).max().unwrap_or(0)
    }

    /// Whoever has a signal has all that anybody has after it: how many that are in all.
    pub fn check(&self) -> usize {
        let all = self.seen();
        let published: BTreeSet<u64> = all.iter().flat_map(|seen| seen.seqs.iter().copied()).collect();
        let mut delivered = 0;
        for seen in &all {
            assert_eq!((seen.gaps, seen.duplicates), (0, 0), "{seen:?}");
            let (first, last) = (seen.seqs[0], seen.seqs[seen.seqs.len() - 1]);
            let expected: Vec<u64> = published.range(first..=last).copied().collect();
            assert_eq!(seen.seqs, expected, "in order, each once, none missing");
            delivered += seen.seqs.len();
        }
        delivered
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.clients.iter().for_each(|(_, task)| task.abort());
    }
}

async fn follow(options: Options, feed: Feed, seen: Arc<Mutex<Seen>>) {
    let client = Client::connect(options).expect("a good address");
    let mut updates = client.subscribe(feed).await.expect("the client lives");
    while let Some(update) = updates.next().await {
        let mut seen = seen.lock().unwrap();
        match update {
            Update::Signal(message) => {
                let (_, seq, prev) = message.position().expect("a signal");
                let last = seen.seqs.last().copied();
                seen.duplicates += usize::from(last.is_some_and(|last| seq <= last));
                seen.gaps += usize::from(last.is_some_and(|last| prev != last));
                seen.seqs.push(seq);
            }
            Update::Gap { .. } | Update::Backfill(_) | Update::Lagged(_) => seen.gaps += 1,
            Update::Status(_) => {}
        }
    }
}
