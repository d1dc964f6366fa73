//! The handles that every request may use.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::audit::{Audit, Event, EventKind, Level};
use crate::auth::challenge::Challenges;
use crate::auth::origin::Origins;
use crate::auth::revocation::Revocations;
use crate::auth::token::Tokens;
use crate::clock::{MarketClock, wall_ms};
use crate::config::Config;
use crate::hub::Hub;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::pipeline::Markets;
use crate::store::Store;
use crate::transport::Visitors;
use crate::ws::followed::Rules;
use crate::ws::permits::Permits;
use crate::ws::session::Spread;

/// Everything that requests share. One per gateway, behind an `Arc`.
#[derive(Debug)]
pub struct App {
    /// The settings, checked.
    pub config: Config,
    /// What a session needs to know.
    pub rules: Arc<Rules>,
    /// Makes and checks access tokens.
    pub tokens: Tokens,
    /// Challenges that wallets are to answer.
    pub challenges: Challenges,
    /// Recoveries of a signer that may run at once: a flood of sign-ins leaves cores for the sockets.
    pub recoveries: Semaphore,
    /// Pages that may connect.
    pub origins: Origins,
    /// Users and their sessions.
    pub store: Arc<dyn Store>,
    /// What is written down of who did what.
    pub audit: Audit,
    /// Sessions that were ended before their tokens.
    pub revocations: Revocations,
    /// Connections per user.
    pub permits: Permits,
    /// Who is at the door, by network.
    pub visitors: Visitors,
    /// Connections of this node: each holds one permit.
    pub connections: Arc<Semaphore>,
    /// Feeds and who follows them.
    pub hub: Arc<Hub>,
    /// The latest of every market.
    pub markets: Arc<Markets>,
    /// Whether there is memory for more connections.
    pub memory: Memory,
    /// The markets' time.
    pub clock: MarketClock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Turns true when the gateway stops.
    pub stopping: watch::Receiver<bool>,
    /// How many connections there were when it began to stop.
    pub leaving: OnceLock<usize>,
    /// Where the clock of its sessions begins.
    pub started: Instant,
}

impl App {
    /// Milliseconds since the start: the clock of all sessions, which share windows and never jumps.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How the connections of a gateway that stops are spread. The first who asks counts them, for all.
    #[must_use]
    pub fn spread(&self) -> Spread {
        Spread::of(*self.leaving.get_or_init(|| self.permits.census().connections))
    }

    /// Connections of this node, authenticated or not.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.config.limits.connections_per_node as usize - self.connections.available_permits()
    }

    /// Ends a session: its tokens are refused from now on, and its connections are told to leave. Says how many.
    pub fn end(&self, family: &str) -> usize {
        // In this order: a connection that is just being admitted looks again once it has its place.
        self.revocations.add(family, wall_ms());
        let connections = self.permits.revoke(family);
        tracing::info!(connections, "a session was revoked");
        connections
    }

    /// The same, written down: where it is decided, not where it is heard of.
    pub fn revoke(&self, family: &str) {
        let connections = self.end(family);
        let detail = format!("session {family}, connections {connections}");
        self.audit.record(Event::new(EventKind::Revoked).level(Level::Notice).detail(&detail));
    }
}
