//! Every number that both sides must agree on. The server may be configured otherwise and says so in
//! `connected`; these are the defaults.

#[cfg(feature = "messages")]
use serde::{Deserialize, Serialize};

/// The WebSocket subprotocol that makes a client a v1 client.
pub const SUBPROTOCOL: &str = "tidegate.v1";

/// Length of the sliding window of the message rate limit, in milliseconds.
pub const RATE_WINDOW_MS: u64 = 60_000;

/// Messages refused within one window before the connection is closed as abusive.
pub const MAX_REFUSED_PER_WINDOW: usize = 120;

/// Signals kept per feed for replay with `since`.
pub const HISTORY_PER_FEED: usize = 512;

/// A v1 client hears something at least this often, in seconds.
pub const HEARTBEAT_SECONDS: u32 = 25;

/// Largest message id: the largest integer that JavaScript holds exactly.
pub const MAX_ID: u64 = (1 << 53) - 1;

/// The limits of [`Limits::default`].
pub const DEFAULT_LIMITS: Limits = Limits {
    messages_per_minute: 30,
    subscriptions_per_connection: 10,
    connections_per_user: 3,
    max_message_bytes: 102_400,
};

/// What a server allows one client. Announced in `connected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "messages", derive(Serialize, Deserialize))]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Limits {
    /// Client messages in any 60 seconds.
    pub messages_per_minute: u32,
    /// Feeds followed at the same time.
    pub subscriptions_per_connection: u32,
    /// Connections of one user at the same time.
    pub connections_per_user: u32,
    /// Largest client message, in bytes.
    pub max_message_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        DEFAULT_LIMITS
    }
}
