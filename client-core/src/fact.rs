//! What a control frame says, reduced to what the machine needs. Hosts make these; nothing here is parsed.

use alloc::string::String;
use alloc::vec::Vec;
use tidegate_protocol::{ErrorCode, Feed, Limits};

/// A frame that is not a signal. Any frame is a sign of life, so a host passes on each, an unknown one as
/// [`Fact::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `connected`: the connection is authenticated.
    Connected {
        /// Names the connection; a later one takes its place with it.
        session_id: String,
        /// How long the token lasts, in milliseconds from now.
        expires_in_ms: u64,
        /// The server says something at least this often, in seconds.
        heartbeat_seconds: u32,
        /// What this client may do.
        limits: Limits,
    },
    /// `authenticated`: the reply to `authenticate`.
    Authenticated {
        /// The id of the `authenticate`.
        id: u64,
        /// How long the token lasts, in milliseconds from now.
        expires_in_ms: u64,
    },
    /// `auth_error`: the token was refused.
    AuthError {
        /// The id of the `authenticate`.
        id: u64,
        /// Why: see [`error_code`].
        code: ErrorCode,
    },
    /// `subscribed`: the reply to `subscribe`, or to the subscriptions of `authenticate`.
    Subscribed {
        /// The id of the message.
        id: u64,
        /// `payload.subscriptions`: what was asked for and is followed now.
        granted: Vec<Granted>,
        /// `payload.rejected`: what was asked for and is not.
        rejected: Vec<Rejected>,
    },
    /// `unsubscribed`: the reply to `unsubscribe`.
    Unsubscribed {
        /// The id of the `unsubscribe`.
        id: u64,
    },
    /// `pong`.
    Pong {
        /// The id of the `ping`.
        id: u64,
    },
    /// `error`: a message, or the connection, was refused.
    Error {
        /// The id of the message; 0 when it was none in particular.
        id: u64,
        /// Why: see [`error_code`].
        code: ErrorCode,
        /// When the same message would be accepted, in milliseconds from now.
        retry_after_ms: Option<u64>,
    },
    /// `heartbeat`.
    Heartbeat,
    /// `token_expiring`.
    TokenExpiring,
    /// `going_away`: the server is about to close the connection.
    GoingAway {
        /// When to come back, in milliseconds from now.
        reconnect_after_ms: u64,
    },
    /// Any other frame: a reply that the machine did not ask for, or a type that it does not know.
    Other,
}

/// A subscription that the server granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Which feed.
    pub feed: Feed,
    /// Time between two evaluations, in milliseconds.
    pub interval_ms: u64,
    /// Whether everything after `since` follows.
    pub recovered: bool,
}

/// A subscription that the server did not grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which feed.
    pub feed: Feed,
    /// Why: see [`error_code`].
    pub code: ErrorCode,
}

/// Every code, for [`error_code`].
const ERROR_CODES: [ErrorCode; 15] = [
    ErrorCode::Unauthenticated,
    ErrorCode::InvalidToken,
    ErrorCode::TokenExpired,
    ErrorCode::AuthTimeout,
    ErrorCode::IdentityMismatch,
    ErrorCode::Forbidden,
    ErrorCode::ConnectionLimit,
    ErrorCode::RateLimited,
    ErrorCode::SubscriptionLimit,
    ErrorCode::UnknownSymbol,
    ErrorCode::UnknownStrategy,
    ErrorCode::NotSubscribed,
    ErrorCode::InvalidMessage,
    ErrorCode::MessageTooLarge,
    ErrorCode::Internal,
];

/// The error code with this name on the wire, for hosts that decode without serde. A name that is not known
/// is [`ErrorCode::Internal`]: the server may be newer, and trying again later is right for both.
#[must_use]
pub fn error_code(name: &str) -> ErrorCode {
    ERROR_CODES.into_iter().find(|code| code.as_str() == name).unwrap_or(ErrorCode::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_is_found_by_its_name() {
        for (index, code) in ERROR_CODES.into_iter().enumerate() {
            // Without a wildcard: a new code does not compile before it is in the list.
            let place = match code {
                ErrorCode::Unauthenticated => 0,
                ErrorCode::InvalidToken => 1,
                ErrorCode::TokenExpired => 2,
                ErrorCode::AuthTimeout => 3,
                ErrorCode::IdentityMismatch => 4,
                ErrorCode::Forbidden => 5,
                ErrorCode::ConnectionLimit => 6,
                ErrorCode::RateLimited => 7,
                ErrorCode::SubscriptionLimit => 8,
                ErrorCode::UnknownSymbol => 9,
                ErrorCode::UnknownStrategy => 10,
                ErrorCode::NotSubscribed => 11,
                ErrorCode::InvalidMessage => 12,
                ErrorCode::MessageTooLarge => 13,
                ErrorCode::Internal => 14,
            };
            assert_eq!(place, index);
            assert_eq!(error_code(code.as_str()), code);
        }
        assert_eq!(error_code("of_a_newer_server"), ErrorCode::Internal);
    }
}
