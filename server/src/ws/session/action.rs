//! What a session asks its connection to do, and the words in it.

use tidegate_protocol::{Authenticate, CloseCode, Feed, RejectedSubscription, ServerMessage};

use crate::auth::Identity;
use crate::hub::Position;
use crate::refusal::Refusal;

/// What kind of client it is: who offers `tidegate.v1` understands more messages and close codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// An ordinary HopiumCore client.
    Plain,
    /// A client of the v1 protocol.
    V1,
}

impl ClientKind {
    /// For metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::V1 => "v1",
        }
    }
}

/// What the connection is to do, in this order.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made and performed at once, never stored in bulk")]
pub enum Action {
    /// Send this message.
    Send(ServerMessage),
    /// Check this token and take a place for its user; then call [`Session::handle_verified`](super::Session::handle_verified).
    Verify(Authenticate),
    /// Follow these feeds, send [`Session::subscribed`](super::Session::subscribed) with what the hub says, then the backlogs.
    Follow(Following),
    /// Stop following this feed.
    Unfollow(Feed),
    /// Send a ping frame.
    Ping,
    /// Close with this code and reason; nothing is to be sent after it.
    Close(CloseCode, &'static str),
}

/// Subscriptions that were accepted, on their way through the hub.
#[derive(Clone, Debug, PartialEq)]
pub struct Following {
    pub(super) id: u64,
    pub(super) batch: bool,
    /// The feeds, and from where each goes on.
    pub feeds: Vec<(Feed, Position)>,
    pub(super) rejected: Vec<RejectedSubscription>,
}

/// How the connections of a gateway that stops are spread: over how long they are closed, and over how long they
/// come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Milliseconds until the last one is closed.
    pub close_ms: u64,
    /// Milliseconds, after that, until the last one is back.
    pub reconnect_ms: u64,
}

impl Spread {
    /// For this many connections: 500 a second are closed, in two seconds at most, and 200 a second come back, in a
    /// minute at most.
    #[must_use]
    pub fn of(connections: usize) -> Self {
        let connections = connections as u64;
        Self {
            close_ms: (connections * 2).clamp(1, 2_000),
            reconnect_ms: (connections * 5).clamp(5_000, 60_000),
        }
    }
}

/// The outcome of [`Action::Verify`].
pub type Verified = Result<Identity, Refusal>;
