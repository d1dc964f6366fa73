//! Every way in which the server says no: codes for programs, texts for people, and whether trying again
//! can help.

use core::fmt;

#[cfg(feature = "messages")]
use serde::{Deserialize, Serialize};

/// `code` of an `error` or `auth_error`: what programs match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "messages", derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ErrorCode {
    /// A message other than `authenticate` came before authentication.
    Unauthenticated,
    /// The token is not one that this server accepts.
    InvalidToken,
    /// The token's time has passed.
    TokenExpired,
    /// Nobody authenticated in time.
    AuthTimeout,
    /// A fresh token belongs to somebody else than the connection.
    IdentityMismatch,
    /// The user may not do this.
    Forbidden,
    /// The user has as many connections as allowed.
    ConnectionLimit,
    /// Too many messages; `retry_after_ms` says when the next one is allowed.
    RateLimited,
    /// The connection follows as many feeds as allowed.
    SubscriptionLimit,
    /// The server does not track this symbol.
    UnknownSymbol,
    /// There is no such strategy.
    UnknownStrategy,
    /// The feed to unsubscribe from was not followed.
    NotSubscribed,
    /// The message is not one of the protocol.
    InvalidMessage,
    /// The message is larger than allowed.
    MessageTooLarge,
    /// The server failed; its log says why.
    Internal,
}

impl ErrorCode {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidToken => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::AuthTimeout => "auth_timeout",
            Self::IdentityMismatch => "identity_mismatch",
            Self::Forbidden => "forbidden",
            Self::ConnectionLimit => "connection_limit",
            Self::RateLimited => "rate_limited",
            Self::SubscriptionLimit => "subscription_limit",
            Self::UnknownSymbol => "unknown_symbol",
            Self::UnknownStrategy => "unknown_strategy",
            Self::NotSubscribed => "not_subscribed",
            Self::InvalidMessage => "invalid_message",
            Self::MessageTooLarge => "message_too_large",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a WebSocket was closed: the number in the close frame.
///
/// Plain clients get 1008 in place of 4001, 4002, 4003, 4008 and 4030: see [`CloseCode::for_plain_client`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// A normal end, asked for by either side.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint is leaving.
    pub const GOING_AWAY: Self = Self(1001);
    /// A frame broke RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A binary frame; only text is spoken here.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The connection ended without a close frame. Never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// Text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// Refused; what a plain client sees in place of the 40xx codes.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message larger than the limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// A slow reader or an overloaded server.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A newer connection of the same user took this one's slot.
    pub const REPLACED: Self = Self(4000);
    /// Authentication is missing, failed or was revoked.
    pub const UNAUTHENTICATED: Self = Self(4001);
    /// The token's time has passed.
    pub const TOKEN_EXPIRED: Self = Self(4002);
    /// The user may not do this.
    pub const FORBIDDEN: Self = Self(4003);
    /// The user has as many connections as allowed.
    pub const TOO_MANY_CONNECTIONS: Self = Self(4008);
    /// Nobody authenticated in time.
    pub const AUTH_TIMEOUT: Self = Self(4030);

    /// The code that a plain client gets where a v1 client gets this one.
    #[must_use]
    pub const fn for_plain_client(self) -> Self {
        match self.0 {
            4001 | 4002 | 4003 | 4008 | 4030 => Self::POLICY_VIOLATION,
            _ => self,
        }
    }

    /// What a client does about it.
    #[must_use]
    pub const fn recovery(self) -> Recovery {
        match self.0 {
            4000 => Recovery::Replaced,
            4001 => Recovery::FreshTokenOnce,
            4002 | 4100..=4199 => Recovery::FreshToken,
            4003..=4007 | 4009..=4029 | 4031..=4099 | 4400..=4999 => Recovery::Stop,
            4008 => Recovery::LongBackoff,
            4030 | 4200..=4299 => Recovery::Backoff,
            1001 | 1012 | 4300..=4399 => Recovery::ServerHint,
            _ => Recovery::Backoff,
        }
    }
}

/// What a client does after a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing: another connection of the same client lives.
    Replaced,
    /// Fetch a fresh token and reconnect; refused again with a fresh token: stop and report.
    FreshTokenOnce,
    /// Fetch a fresh token and reconnect at once.
    FreshToken,
    /// Stop and report: trying again cannot help.
    Stop,
    /// Report, and try again with a long backoff.
    LongBackoff,
    /// Try again with backoff, and resume.
    Backoff,
    /// Try again when the server said (`reconnect_after_ms` of `going_away`), and resume.
    ServerHint,
}

/// The reason text in a close frame: one of a fixed list, so that clients can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Any other message came instead of authentication.
    AuthenticationRequired,
    /// No token came at all.
    TokenMissing,
    /// The token was refused.
    AuthenticationFailed,
    /// The token is not one that this server accepts.
    InvalidToken,
    /// The token's time has passed.
    TokenExpired,
    /// Nobody authenticated in time.
    AuthenticationTimeout,
    /// The user may not do this.
    AccessDenied,
    /// The user has as many connections as allowed.
    MaxConnectionsReached,
    /// The server restarts or drains.
    ServerRestarting,
    /// The client reads too slowly.
    TooSlow,
    /// A message larger than the limit.
    MessageTooBig,
    /// A newer connection took this one's slot.
    Replaced,
    /// The session was logged out or revoked.
    SessionRevoked,
}

impl CloseReason {
    /// The text in the close frame.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationRequired => "Authentication required",
            Self::TokenMissing => "Token missing",
            Self::AuthenticationFailed => "Authentication failed",
            Self::InvalidToken => "Invalid token",
            Self::TokenExpired => "Token expired",
            Self::AuthenticationTimeout => "Authentication timeout",
            Self::AccessDenied => "Access denied",
            Self::MaxConnectionsReached => "Max connections reached",
            Self::ServerRestarting => "Server restarting",
            Self::TooSlow => "Too slow",
            Self::MessageTooBig => "Message too big",
            Self::Replaced => "Replaced",
            Self::SessionRevoked => "Session revoked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_client_sees_1008_for_every_refusal_of_identity() {
        for code in [4001, 4002, 4003, 4008, 4030] {
            assert_eq!(CloseCode(code).for_plain_client(), CloseCode::POLICY_VIOLATION);
        }
        for code in [1000, 1003, 1009, 1012, 1013, 4000] {
            assert_eq!(CloseCode(code).for_plain_client(), CloseCode(code));
        }
    }

    #[test]
    fn every_close_code_has_one_recovery() {
        let table = [
            (4000, Recovery::Replaced),
            (4001, Recovery::FreshTokenOnce),
            (4002, Recovery::FreshToken),
            (4003, Recovery::Stop),
            (4008, Recovery::LongBackoff),
            (4030, Recovery::Backoff),
            (1001, Recovery::ServerHint),
            (1012, Recovery::ServerHint),
            (1006, Recovery::Backoff),
            (1009, Recovery::Backoff),
            (1013, Recovery::Backoff),
            (4150, Recovery::FreshToken),
            (4250, Recovery::Backoff),
            (4350, Recovery::ServerHint),
            (4999, Recovery::Stop),
        ];
        for (code, recovery) in table {
            assert_eq!(CloseCode(code).recovery(), recovery, "{code}");
        }
    }

    #[test]
    fn an_error_code_is_the_same_in_text_and_in_json() {
        let json = serde_json::to_value(ErrorCode::IdentityMismatch).unwrap();
        assert_eq!(json, ErrorCode::IdentityMismatch.as_str());
    }
}
