//! Every way the gateway says no to a peer: code, text, close code and HTTP status in one place.

use axum::http::StatusCode;
use tidegate_protocol::{CloseCode, CloseReason, ErrorCode, ErrorPayload, shortened};

use crate::auth::permission::Permission;

/// Why something was refused. What the peer sees of it is decided here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A message before authentication.
    Unauthenticated,
    /// A token that is not accepted.
    InvalidToken,
    /// A token whose time has passed.
    TokenExpired,
    /// Nobody authenticated within so many seconds.
    AuthTimeout(u32),
    /// A fresh token of somebody else.
    IdentityMismatch,
    /// Credentials in more than one place.
    AmbiguousCredentials,
    /// A page that is not on the list of origins.
    ForeignOrigin,
    /// A token in the URL, where that is switched off.
    QueryToken,
    /// What the user's roles do not allow.
    Forbidden(Permission),
    /// A path that belongs to another user.
    ForeignPath,
    /// The user has so many connections already.
    ConnectionLimit(u32),
    /// The node has as many connections as it holds.
    NodeFull,
    /// The node has no memory for more connections.
    MemoryShort,
    /// The network has as many connections before signing in as it may have, or opened too many in the last minute.
    Crowded {
        /// When trying again can help.
        retry_after_ms: u64,
    },
    /// More than so many bytes before signing in.
    TooMuchUnauthenticated(u32),
    /// A message that began and did not end in time.
    Unfinished,
    /// Something is broken here.
    Internal,
    /// More than so many messages in a minute.
    RateLimited {
        /// The limit.
        messages_per_minute: u32,
        /// When the message would be accepted.
        retry_after_ms: u64,
    },
    /// Far more messages than allowed.
    Flooding,
    /// More than so many feeds.
    SubscriptionLimit(u32),
    /// A symbol that is not tracked.
    UnknownSymbol {
        /// What was asked for.
        symbol: String,
        /// What there is.
        available: String,
    },
    /// A strategy that does not exist.
    UnknownStrategy(String),
    /// A feed that was not followed.
    NotSubscribed(String),
    /// A message that is not one of the protocol.
    InvalidMessage(String),
    /// A message of more than so many bytes.
    MessageTooLarge(u32),
    /// A binary frame.
    Binary,
    /// A text frame that is not UTF-8.
    NotUtf8,
    /// A frame that breaks RFC 6455.
    BrokenFrame,
    /// Too slow to read what it asked for.
    TooSlow,
}

impl Refusal {
    /// For programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::InvalidToken | Self::AmbiguousCredentials | Self::QueryToken => ErrorCode::InvalidToken,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::AuthTimeout(_) => ErrorCode::AuthTimeout,
            Self::IdentityMismatch => ErrorCode::IdentityMismatch,
            Self::ForeignPath | Self::ForeignOrigin | Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::ConnectionLimit(_) => ErrorCode::ConnectionLimit,
            Self::RateLimited { .. } | Self::Flooding | Self::Crowded { .. } => ErrorCode::RateLimited,
            Self::SubscriptionLimit(_) => ErrorCode::SubscriptionLimit,
            Self::UnknownSymbol { .. } => ErrorCode::UnknownSymbol,
            Self::UnknownStrategy(_) => ErrorCode::UnknownStrategy,
            Self::NotSubscribed(_) => ErrorCode::NotSubscribed,
            Self::InvalidMessage(_) | Self::Binary | Self::NotUtf8 | Self::BrokenFrame | Self::Unfinished => {
                ErrorCode::InvalidMessage
            }
            Self::MessageTooLarge(_) | Self::TooMuchUnauthenticated(_) => ErrorCode::MessageTooLarge,
            Self::NodeFull | Self::MemoryShort | Self::TooSlow | Self::Internal => ErrorCode::Internal,
        }
    }

    /// For metrics: why, in a word or two.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ForeignOrigin => "origin",
            Self::NodeFull => "node_full",
            Self::MemoryShort => "memory",
            Self::AmbiguousCredentials => "ambiguous_credentials",
            Self::QueryToken => "query_token",
            Self::Crowded { .. } => "crowded",
            _ => self.code().as_str(),
        }
    }

    /// For people; existing clients match on some of these.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Unauthenticated => "Authentication required".into(),
            Self::InvalidToken => "Invalid authentication token".into(),
            Self::TokenExpired => "Token expired".into(),
            Self::AuthTimeout(seconds) => {
                format!(
                    "Authentication timeout. You must authenticate within {seconds} seconds of connecting."
                )
            }
            Self::IdentityMismatch => {
                "The token belongs to another user than this connection: open a new connection for it".into()
            }
            Self::AmbiguousCredentials => "Ambiguous credentials".into(),
            Self::ForeignOrigin => "Origin not allowed".into(),
            Self::QueryToken => "Tokens in the URL are switched off: send it in the first message".into(),
            Self::Forbidden(permission) => format!("Access denied: this needs the permission {permission}"),
            Self::ForeignPath => "Access denied".into(),
            Self::ConnectionLimit(limit) => {
                format!("Connection limit exceeded: maximum {limit} connections per user")
            }
            Self::Crowded { retry_after_ms } => format!(
                "Too many connections from your network: try again in {} s",
                retry_after_ms.div_ceil(1_000)
            ),
            Self::TooMuchUnauthenticated(limit) => {
                format!("Message too large: maximum {limit} bytes before authentication")
            }
            Self::Unfinished => "A message has to end within 10 s".into(),
            Self::Internal => "Something went wrong here: connect again".into(),
            Self::NodeFull => "This node holds as many connections as it can: try again later".into(),
            Self::MemoryShort => "This node is short of memory: try again later".into(),
            Self::RateLimited { messages_per_minute, .. } => {
                format!("Message rate limit exceeded: maximum {messages_per_minute} messages per minute")
            }
            Self::Flooding => "Far more messages than allowed: the connection is closed".into(),
            Self::SubscriptionLimit(limit) => {
                format!("Subscription limit exceeded: maximum {limit} subscriptions per connection")
            }
            Self::UnknownSymbol { symbol, available } => {
                format!("Unknown symbol `{}`. Available: {available}", shortened(symbol))
            }
            Self::UnknownStrategy(strategy) => format!(
                "Unknown strategy `{}`. Available: range_trading, momentum, scalp",
                shortened(strategy)
            ),
            Self::NotSubscribed(feed) => format!("Not subscribed to {}", shortened(feed)),
            Self::InvalidMessage(problem) => format!("Invalid message: {problem}"),
            Self::MessageTooLarge(limit) => format!("Message too large: maximum {limit} bytes"),
            Self::Binary => "Binary frames are not spoken here: send JSON as text".into(),
            Self::NotUtf8 => "A text frame is not UTF-8".into(),
            Self::BrokenFrame => "A frame breaks the WebSocket protocol".into(),
            Self::TooSlow => "The connection reads too slowly".into(),
        }
    }

    /// The body of an `error` message.
    #[must_use]
    pub fn payload(&self) -> ErrorPayload {
        let retry_after_ms = match self {
            Self::RateLimited { retry_after_ms, .. } | Self::Crowded { retry_after_ms } => {
                Some(*retry_after_ms)
            }
            _ => None,
        };
        ErrorPayload { error: self.text(), code: self.code(), retry_after_ms }
    }

    /// How a v1 connection is closed for it, where it is. The reason is one of a fixed list or empty.
    #[must_use]
    pub fn close(&self) -> (CloseCode, &'static str) {
        let (code, reason) = match self {
            Self::Unauthenticated => (CloseCode::UNAUTHENTICATED, CloseReason::AuthenticationRequired),
            Self::InvalidToken | Self::IdentityMismatch | Self::AmbiguousCredentials => {
                (CloseCode::UNAUTHENTICATED, CloseReason::InvalidToken)
            }
            Self::TokenExpired => (CloseCode::TOKEN_EXPIRED, CloseReason::TokenExpired),
            Self::AuthTimeout(_) => (CloseCode::AUTH_TIMEOUT, CloseReason::AuthenticationTimeout),
            Self::ConnectionLimit(_) => (CloseCode::TOO_MANY_CONNECTIONS, CloseReason::MaxConnectionsReached),
            Self::MessageTooLarge(_) | Self::TooMuchUnauthenticated(_) => {
                (CloseCode::MESSAGE_TOO_BIG, CloseReason::MessageTooBig)
            }
            // It began a message and stalled: a bad line more likely than a bad client, which is to come back.
            Self::TooSlow | Self::NodeFull | Self::MemoryShort | Self::Unfinished => {
                (CloseCode::TRY_AGAIN_LATER, CloseReason::TooSlow)
            }
            Self::Internal => return (CloseCode::INTERNAL_ERROR, ""),
            Self::Binary => return (CloseCode::UNSUPPORTED_DATA, ""),
            Self::NotUtf8 => return (CloseCode::INVALID_DATA, ""),
            Self::BrokenFrame => return (CloseCode::PROTOCOL_ERROR, ""),
            _ => (CloseCode::FORBIDDEN, CloseReason::AccessDenied),
        };
        (code, reason.as_str())
    }

    /// The status of a refused HTTP request or upgrade.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::InvalidToken | Self::TokenExpired => StatusCode::UNAUTHORIZED,
            Self::ConnectionLimit(_) | Self::RateLimited { .. } | Self::Crowded { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::NodeFull | Self::MemoryShort => StatusCode::SERVICE_UNAVAILABLE,
            Self::ForeignPath | Self::ForeignOrigin | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::UnknownSymbol { .. } | Self::UnknownStrategy(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
