//! The copy of the log in the store: to search in, of every node together, and only for so long. The evidence is the
//! file: a row that is lost is warned about and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::summary::Told;
use crate::store::{self, Store};

/// Rows that wait for the store.
const WAITING_MAX: usize = 4_096;
/// Lost rows are warned about once in this time.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Where the writer puts rows.
#[derive(Clone, Debug)]
pub struct RowSender {
    rows: Sender<store::Event>,
    /// Rows for which there was no room.
    lost: Arc<AtomicU64>,
}

/// Rows on their way to the store.
#[derive(Debug)]
pub struct Rows {
    rows: Receiver<store::Event>,
    lost: Arc<AtomicU64>,
}

impl Rows {
    /// Both ends.
    #[must_use]
    pub fn new() -> (RowSender, Self) {
        let (sender, receiver) = channel(WAITING_MAX);
        let lost = Arc::<AtomicU64>::default();
        (RowSender { rows: sender, lost: Arc::clone(&lost) }, Self { rows: receiver, lost })
    }

    /// Puts every row into `store`, until the log is closed.
    pub async fn keep(mut self, store: Arc<dyn Store>) {
        let mut warned_at: Option<Instant> = None;
        while let Some(row) = self.rows.recv().await {
            let failed = store.append_event(&row).await.err();
            if failed.is_none() && self.lost.load(Ordering::Relaxed) == 0 {
                continue;
            }
            if warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                warned_at = Some(Instant::now());
                let lost = self.lost.swap(0, Ordering::Relaxed) + u64::from(failed.is_some());
                let error = failed.map(|error| error.to_string());
                tracing::warn!(
                    lost,
                    error,
                    "audit events are missing in the store: it is too slow, or does not work"
                );
            }
        }
    }
}

impl RowSender {
    /// Never waits. What there is no room for is missing in the copy, and is counted.
    pub(super) fn send(&self, told: &Told) {
        if self.rows.try_send(row(told)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn row(told: &Told) -> store::Event {
    let Told { event, ip, time_ms, repeated } = told;
    store::Event {
        time_ms: *time_ms,
        kind: event.kind.as_str().into(),
        outcome: event.outcome.as_str().into(),
        level: event.level,
        user: event.user.clone(),
        ip: ip.clone(),
        user_agent: event.user_agent.clone(),
        detail: event.detail.clone(),
        repeated: repeated.map(|times| u32::try_from(times).unwrap_or(u32::MAX)),
    }
}
