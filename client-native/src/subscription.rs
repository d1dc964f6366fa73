//! One reader of one feed.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use tidegate_client_core::FeedStatus;
use tidegate_protocol::{Feed, ServerMessage};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc::UnboundedSender;

use crate::driver::Command;

/// What happened on a feed.
#[derive(Clone, Debug)]
pub enum Update {
    /// The latest signal: a `Scalp`, `Momentum` or `RangeTrading` message.
    Signal(Arc<ServerMessage>),
    /// A signal that was missing, older than the latest: for a history.
    Backfill(Arc<ServerMessage>),
    /// Signals are missing. The one behind the gap comes next; what the server still has follows as
    /// [`Update::Backfill`].
    Gap {
        /// The `seq` of the last signal before the gap.
        after: u64,
        /// The `seq` of the first signal behind it.
        before: u64,
    },
    /// How the feed stands now.
    Status(FeedStatus),
    /// This reader was too slow: so many updates were dropped, oldest first. Other readers are not affected.
    Lagged(u64),
}

/// One reader of one feed; dropping it gives the feed back.
#[derive(Debug)]
pub struct Subscription {
    feed: Feed,
    /// What a reader that comes late is told first.
    first: VecDeque<Update>,
    updates: Receiver<Update>,
    commands: UnboundedSender<Command>,
}

impl Subscription {
    pub(crate) fn new(
        feed: Feed,
        first: VecDeque<Update>,
        updates: Receiver<Update>,
        commands: UnboundedSender<Command>,
    ) -> Self {
        Self { feed, first, updates, commands }
    }

    /// Which feed.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed
    }

    /// The next update, waiting for it; `None` once the client is closed. Safe to cancel.
    pub async fn next(&mut self) -> Option<Update> {
        if let Some(update) = self.first.pop_front() {
            return Some(update);
        }
        match self.updates.recv().await {
            Ok(update) => Some(update),
            Err(RecvError::Lagged(count)) => Some(Update::Lagged(count)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next latest signal, skipping everything else; `None` once the client is closed. Safe to cancel.
    pub async fn next_signal(&mut self) -> Option<Arc<ServerMessage>> {
        loop {
            if let Update::Signal(signal) = self.next().await? {
                return Some(signal);
            }
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Update> + Send {
        unfold(self, async |mut subscription| {
            let update = subscription.next().await?;
            Some((update, subscription))
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Fails only when the client is gone, and then there is nothing to give back.
        let _ = self.commands.send(Command::Release(self.feed));
    }
}
