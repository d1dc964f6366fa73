//! What can happen to a client, and the ids that tie an answer to its question.

use alloc::string::String;
use core::fmt;

use crate::Fact;

/// Names one socket that the core asked for. What an older socket says is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// Names one request for a token. An answer to an older request is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// A small handle for a feed, so that the hot path compares no strings. Never given out twice by one client:
/// a feed that was released and is wanted again has a new handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u32);

/// What happened. Signals come by [`Client::handle_signal`](crate::Client::handle_signal), and
/// subscriptions by [`Client::subscribe`](crate::Client::subscribe), because these two have an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// The application wants a connection, or wants it now: skips a wait, leaves `Blocked`.
    Connect,
    /// The application wants no connection any more. References to feeds stay.
    Disconnect,
    /// The application can be asked for a new token, because the user signed in again: leaves `Blocked`, and
    /// refreshes a live connection.
    NewToken,
    /// The application answered [`Action::FetchToken`](crate::Action::FetchToken).
    TokenOk {
        /// Which request it answers.
        request: RequestId,
        /// The access token.
        token: String,
        /// How long it lasts, in milliseconds from now, as far as the application knows. What the server says
        /// later counts for more, and a token that was just fetched is tried even if this says 0: the
        /// client's clock may be wrong.
        expires_in_ms: Option<u64>,
    },
    /// The application has no token.
    TokenErr {
        /// Which request it answers.
        request: RequestId,
        /// True: asking again cannot help before the user does something. False: ask again later.
        denied: bool,
    },
    /// The socket opened.
    Open {
        /// Which socket.
        socket: SocketId,
    },
    /// The socket closed, or could not be opened. Not expected after
    /// [`Action::CloseSocket`](crate::Action::CloseSocket), and ignored then.
    Closed {
        /// Which socket.
        socket: SocketId,
        /// The close code; 1006 where there was no close frame.
        code: u16,
        /// The close reason, empty where there was none. Only for the report: codes say all that counts.
        reason: String,
    },
    /// A frame that is not a signal came.
    Message {
        /// On which socket.
        socket: SocketId,
        /// What it says.
        fact: Fact,
    },
    /// The system says that there is a network.
    Online,
    /// The system says that there is none. Believed only while nothing is connected.
    Offline,
    /// Nobody looks at the page.
    Hidden,
    /// Somebody looks at the page again.
    Visible,
    /// The page is about to be frozen or goes into the back/forward cache: close the socket in this call.
    Freeze,
    /// The page runs again.
    Thaw,
    /// The timer fired.
    Tick,
}

/// Hides the token: an input may end up in a log.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("Connect"),
            Self::Disconnect => f.write_str("Disconnect"),
            Self::NewToken => f.write_str("NewToken"),
            Self::TokenOk { request, expires_in_ms, .. } => {
                write!(f, "TokenOk({}, …, {expires_in_ms:?})", request.0)
            }
            Self::TokenErr { request, denied } => write!(f, "TokenErr({}, denied: {denied})", request.0),
            Self::Open { socket } => write!(f, "Open({})", socket.0),
            Self::Closed { socket, code, reason } => write!(f, "Closed({}, {code}, {reason:?})", socket.0),
            Self::Message { socket, fact } => write!(f, "Message({}, {fact:?})", socket.0),
            Self::Online => f.write_str("Online"),
            Self::Offline => f.write_str("Offline"),
            Self::Hidden => f.write_str("Hidden"),
            Self::Visible => f.write_str("Visible"),
            Self::Freeze => f.write_str("Freeze"),
            Self::Thaw => f.write_str("Thaw"),
            Self::Tick => f.write_str("Tick"),
        }
    }
}

/// What to do with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to the application: it is the next one.
    Deliver,
    /// Hand it to the application: it is the newest, but others before it are missing. An
    /// [`Event::Gap`](crate::Event::Gap) says which, and they are asked for once.
    Gap,
    /// One of the missing signals of an earlier gap, older than what was delivered last: it belongs into a
    /// history, and is not the latest value.
    Backfill,
    /// Drop it: it was delivered before.
    Duplicate,
    /// Drop it: nobody wants this feed any more, or it came by an old socket.
    Unwanted,
}

impl Verdict {
    /// Whether the signal is now the latest of its feed.
    #[must_use]
    pub const fn is_latest(self) -> bool {
        matches!(self, Self::Deliver | Self::Gap)
    }
}
