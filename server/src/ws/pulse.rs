//! Whether a connection's peer is still there: somebody asks, and whatever the peer sends next is the answer.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long a peer has to answer.
pub const PROBE: Duration = Duration::from_secs(2);

/// The pulse of one connection. Any number may ask at the same time: one ping answers them all.
#[derive(Debug)]
pub struct Pulse {
    asked: Notify,
    heard: watch::Sender<()>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { asked: Notify::new(), heard: watch::Sender::new(()) }
    }
}

impl Pulse {
    /// Whether the peer says anything within two seconds after a ping. A connection that is stuck, so that not even
    /// the ping gets out, says nothing.
    pub async fn answers(&self) -> bool {
        let mut heard = self.heard.subscribe();
        self.asked.notify_one();
        timeout(PROBE, heard.changed()).await.is_ok()
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The peer said something.
    pub fn beat(&self) {
        self.heard.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_answers_within_two_seconds_is_there() {
        let pulse = Pulse::default();
        let peer = async {
            pulse.asked().await;
            tokio::time::sleep(PROBE - Duration::from_millis(1)).await;
            pulse.beat();
        };
        let (one, other, ()) = tokio::join!(pulse.answers(), pulse.answers(), peer);
        assert!(one && other, "one ping answers both");
        pulse.beat();
        assert!(!pulse.answers().await, "what came before the question is no answer");
    }
}
