//! What a client wants done, and what it has to say.

use alloc::string::String;
use core::fmt;

use tidegate_protocol::{CloseCode, ErrorCode};

use crate::{FeedId, FeedStatus, RequestId, SocketId, Status};

/// One thing out of [`Client::poll_output`](crate::Client::poll_output). Actions come before events, so that
/// a handler that fails takes nothing with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// For the host to do.
    Action(Action),
    /// For the application to know.
    Event(Event),
}

/// What the host does. None of these is retried: the machine notices what did not work.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the application for a token; answer with `TokenOk` or `TokenErr`. The machine stops waiting after
    /// 10 seconds.
    FetchToken {
        /// Comes back in the answer.
        request: RequestId,
    },
    /// Open a socket to the server, offering the subprotocol `tidegate.v1`; report `Open` or `Closed`. There
    /// is never another one open.
    OpenSocket {
        /// Names the socket from now on.
        socket: SocketId,
    },
    /// Close a socket, detach from it, and report nothing about it any more.
    CloseSocket {
        /// Which one.
        socket: SocketId,
        /// For the close frame: 1000, or 3008 when the server did not answer in time.
        code: CloseCode,
    },
    /// Send one text frame.
    Send {
        /// On which socket.
        socket: SocketId,
        /// A JSON object. May hold a token: never log it.
        text: String,
    },
}

/// Hides the token: an action may end up in a log.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FetchToken { request } => write!(f, "FetchToken({})", request.0),
            Self::OpenSocket { socket } => write!(f, "OpenSocket({})", socket.0),
            Self::CloseSocket { socket, code } => write!(f, "CloseSocket({}, {})", socket.0, code.0),
            Self::Send { socket, text } => write!(f, "Send({}, {} bytes)", socket.0, text.len()),
        }
    }
}

/// What the application may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection changed.
    Status(Status),
    /// A feed changed.
    Feed {
        /// Which feed.
        feed: FeedId,
        /// How it stands now.
        status: FeedStatus,
    },
    /// Signals are missing. Those that the server still has follow with
    /// [`Verdict::Backfill`](crate::Verdict::Backfill).
    Gap {
        /// Which feed.
        feed: FeedId,
        /// The `seq` of the last signal before the gap.
        after: u64,
        /// The `seq` of the first signal behind it. Not above `after` when the server's history began anew.
        before: u64,
    },
    /// Something is wrong that a person may have to look at. The machine goes on by itself, unless the
    /// state is `Blocked`.
    Warn(Warning),
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The application's token callback failed; it is asked again later.
    TokenFailed,
    /// The application's token callback did not answer within 10 seconds; it is asked again later.
    TokenTimeout,
    /// The application says that there is no token to be had; the connection lives until the old one expires.
    TokenDenied,
    /// The application answered with the same token that the server had refused.
    TokenNotFresh,
    /// The server refused a token, with this code.
    TokenRefused(ErrorCode),
    /// The user has too many connections. Tried again in 20 to 60 seconds.
    ConnectionLimit,
    /// The server refused a feed, with this code.
    FeedRejected(FeedId, ErrorCode),
    /// The server refused a message although the client had kept count; it is sent again after this many
    /// milliseconds.
    RateLimited(u64),
    /// The server refused a message of this client, with this code.
    MessageRefused(ErrorCode),
    /// The server closed the connection with a code that names a fault of this client (1002, 1003, 1007,
    /// 1009, 1010).
    ProtocolFault(u16),
    /// The server closed the connection with a code after which trying again cannot help.
    Stopped(u16),
}

impl Warning {
    /// A name for programs, such as `token_failed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenFailed => "token_failed",
            Self::TokenTimeout => "token_timeout",
            Self::TokenDenied => "token_denied",
            Self::TokenNotFresh => "token_not_fresh",
            Self::TokenRefused(_) => "token_refused",
            Self::ConnectionLimit => "connection_limit",
            Self::FeedRejected(..) => "feed_rejected",
            Self::RateLimited(_) => "rate_limited",
            Self::MessageRefused(_) => "message_refused",
            Self::ProtocolFault(_) => "protocol_fault",
            Self::Stopped(_) => "stopped",
        }
    }
}
