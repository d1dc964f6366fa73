//! How a client and its feeds stand, for the application to show.

use tidegate_protocol::{ErrorCode, Feed, Limits};

use crate::FeedId;

/// Where the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody wants a connection.
    Idle,
    /// The next attempt comes at [`Status::retry_at_ms`].
    Waiting,
    /// The system says that there is no network; the next attempt comes when it says otherwise.
    Offline,
    /// Asking the application for a token.
    Token,
    /// Opening a socket.
    Dialing,
    /// The first message was sent: token, earlier session, all subscriptions.
    Authenticating,
    /// Connected.
    Live,
    /// The page is frozen; the socket was closed on purpose.
    Frozen,
    /// Trying again by itself cannot help: somebody has to connect again, or bring a new token.
    Blocked(Block),
}

impl State {
    /// A name for programs, such as `authenticating`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Offline => "offline",
            Self::Token => "token",
            Self::Dialing => "dialing",
            Self::Authenticating => "authenticating",
            Self::Live => "live",
            Self::Frozen => "frozen",
            Self::Blocked(_) => "blocked",
        }
    }
}

/// Why trying again by itself cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// The application says that there is no token to be had: sign in.
    TokenDenied,
    /// The server refused a token, and then a fresh one too: sign in again.
    TokenRefused,
    /// The server closed with this code, after which trying again cannot help (such as 4003).
    Stopped(u16),
    /// Another connection of this user took the place of this one (4000).
    Replaced,
}

impl Block {
    /// A name for programs, such as `token_denied`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenDenied => "token_denied",
            Self::TokenRefused => "token_refused",
            Self::Stopped(_) => "stopped",
            Self::Replaced => "replaced",
        }
    }
}

/// How the connection stands. All times are on the clock of `now_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where the machine is.
    pub state: State,
    /// Live, but not heard of for a while: asking whether the server is there.
    pub probing: bool,
    /// Live, but the server said that it is leaving.
    pub draining: bool,
    /// Live, and a fresh token is on its way.
    pub refreshing: bool,
    /// Failed attempts in a row; sinks while live, and is 0 after 30 seconds.
    pub attempt: u32,
    /// When the next attempt comes, in milliseconds; only while `Waiting`.
    pub retry_at_ms: Option<u64>,
    /// When the token expires, in milliseconds, as far as known.
    pub token_expires_at_ms: Option<u64>,
    /// Time from the last `ping` to its `pong`, in milliseconds.
    pub rtt_ms: Option<u64>,
    /// Live, but the message allowance is used up until then: subscriptions wait.
    pub paced_until_ms: Option<u64>,
    /// What the server allows; the defaults before the first connection.
    pub limits: Limits,
}

/// What is used of the limits right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Messages within the last minute, of `limits.messages_per_minute`.
    pub messages: u32,
    /// Subscriptions that the server holds or was asked for, of `limits.subscriptions_per_connection`.
    pub subscriptions: u32,
}

/// How one feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStatus {
    /// Wanted, and not confirmed yet: no connection, or the server was asked and has not answered.
    Pending,
    /// Wanted, but the connection follows as many feeds as it may; starts when another one is released.
    Queued,
    /// Confirmed by the server.
    Live,
    /// Confirmed by the server, but the next signal is overdue, on a healthy socket.
    Stale,
    /// Refused by the server. Asked for again with the next connection.
    Rejected(ErrorCode),
}

impl FeedStatus {
    /// A name for programs, such as `pending`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Rejected(_) => "rejected",
        }
    }
}

/// What is known of one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedInfo {
    /// Its handle.
    pub id: FeedId,
    /// Which feed.
    pub feed: Feed,
    /// How it stands.
    pub status: FeedStatus,
    /// How many subscribers it has; 0 for a few seconds after the last one left.
    pub references: u32,
    /// The `seq` of the last signal delivered.
    pub last_seq: Option<u64>,
    /// Time between two signals, in milliseconds, once the server said so.
    pub interval_ms: Option<u64>,
    /// When the next signal is due, in milliseconds; only while confirmed, and never for a strategy that is
    /// silent when it has nothing to say.
    pub due_at_ms: Option<u64>,
}
