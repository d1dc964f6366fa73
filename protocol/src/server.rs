//! Messages from the server to a client: replies, pushes and signals in one envelope with a `type` tag.

use serde::{Deserialize, Serialize};

use crate::json::parse_object;
use crate::{ErrorCode, Feed, Limits, MomentumMessage, RangeTradingMessage, ScalpMessage, Strategy, Symbol};

/// Everything that the server may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "made and consumed at once, never stored in bulk")]
pub enum ServerMessage {
    /// The connection is authenticated; sent once.
    Connected(Connected),
    /// The reply to `authenticate`.
    Authenticated(Authenticated),
    /// The token was refused.
    AuthError(AuthError),
    /// The reply to `subscribe`.
    Subscribed(Subscribed),
    /// The reply to `unsubscribe`.
    Unsubscribed(Unsubscribed),
    /// The reply to `list_subscriptions`.
    Subscriptions(Subscriptions),
    /// The reply to `ping`.
    Pong(Pong),
    /// A message or the connection was refused.
    Error(ErrorMessage),
    /// Nothing else was sent for a while, and all is well.
    Heartbeat(Heartbeat),
    /// The token expires soon.
    TokenExpiring(TokenExpiring),
    /// The server is about to close the connection.
    GoingAway(GoingAway),
    /// A `scalp` signal.
    #[serde(rename = "scalp_indicator")]
    Scalp(ScalpMessage),
    /// A `momentum` signal.
    #[serde(rename = "momentum_indicator")]
    Momentum(MomentumMessage),
    /// A `range_trading` signal.
    #[serde(rename = "summary")]
    RangeTrading(RangeTradingMessage),
}

impl ServerMessage {
    /// Reads one message. Unknown fields are ignored.
    ///
    /// # Errors
    /// What was wrong with it. A client ignores messages of an unknown type: the server may be newer.
    pub fn parse(text: &str) -> Result<Self, String> {
        let object = parse_object(text)?;
        serde_json::from_value(serde_json::Value::Object(object)).map_err(|error| error.to_string())
    }

    /// The message as it goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a message has only string keys and finite numbers become JSON")
    }

    /// Feed, `seq` and `prev`, if the message is a signal.
    #[must_use]
    pub fn position(&self) -> Option<(Feed, u64, u64)> {
        let (symbol, strategy, seq, prev) = match self {
            Self::Scalp(signal) => (signal.symbol, signal.strategy, signal.seq, signal.prev),
            Self::Momentum(signal) => (signal.symbol, signal.strategy, signal.seq, signal.prev),
            Self::RangeTrading(signal) => (signal.symbol, signal.strategy, signal.seq, signal.prev),
            _ => return None,
        };
        Some((Feed { symbol, strategy }, seq, prev))
    }
}

/// The connection is authenticated; sent exactly once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Connected {
    /// The id of the `authenticate` that led here; 0 when the token came with the handshake.
    pub id: u64,
    /// Who is connected, and under which rules.
    pub payload: ConnectedPayload,
}

/// Who is connected, and under which rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ConnectedPayload {
    /// Names this connection; a later one may take its place with it.
    pub session_id: String,
    /// The token's subject.
    pub user_id: String,
    /// The wallet that signed in, EIP-55.
    pub wallet_address: String,
    /// What the user may do.
    pub roles: Vec<String>,
    /// When the token expires, ISO 8601.
    pub expires_at: String,
    /// The same, in milliseconds from now: independent of the client's clock.
    pub expires_in_ms: u64,
    /// The server's time, ISO 8601.
    pub server_time: String,
    /// A v1 client hears something at least this often, in seconds.
    pub heartbeat_seconds: u32,
    /// What this client may do.
    pub limits: Limits,
}

/// The reply to `authenticate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Authenticated {
    /// The id of the `authenticate`.
    pub id: u64,
    /// Whose token it was, and how long it lasts.
    pub payload: AuthenticatedPayload,
}

/// Whose token it was, and how long it lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuthenticatedPayload {
    /// The wallet that signed in, EIP-55.
    pub wallet_address: String,
    /// When the token expires, ISO 8601.
    pub expires_at: String,
    /// The same, in milliseconds from now.
    pub expires_in_ms: u64,
}

/// The token was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuthError {
    /// The id of the `authenticate`; 0 when the token came with the handshake.
    pub id: u64,
    /// Why.
    pub payload: AuthErrorPayload,
}

/// Why a token was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuthErrorPayload {
    /// For people.
    pub error: String,
    /// For programs.
    pub code: ErrorCode,
}

/// The reply to `subscribe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Subscribed {
    /// The id of the `subscribe`, or of the `authenticate` that carried subscriptions.
    pub id: u64,
    /// The market; left out in the reply to several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub symbol: Option<Symbol>,
    /// The strategy; left out in the reply to several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub strategy: Option<Strategy>,
    /// What was asked for and got, and the whole state after it.
    pub payload: SubscribedPayload,
}

/// What was asked for and got, and the whole state after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SubscribedPayload {
    /// Every symbol that the connection follows now.
    pub subscribed: Vec<Symbol>,
    /// The most recently subscribed strategy of each symbol.
    #[cfg_attr(test, ts(type = "Record<string, Strategy>"))]
    pub strategies: std::collections::BTreeMap<Symbol, Strategy>,
    /// What this message asked for and got.
    pub subscriptions: Vec<SubscriptionGranted>,
    /// What this message asked for and did not get.
    pub rejected: Vec<RejectedSubscription>,
    /// The outcome in words.
    pub message: String,
}

/// A subscription that was granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SubscriptionGranted {
    /// The market.
    pub symbol: Symbol,
    /// The strategy.
    pub strategy: Strategy,
    /// Wall-clock time between two evaluations, in milliseconds.
    pub interval_ms: u64,
    /// Whether everything after `since` follows. False: forget the position and take what comes.
    pub recovered: bool,
}

/// A subscription that was not granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RejectedSubscription {
    /// The symbol as asked for.
    pub symbol: String,
    /// The strategy as asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub strategy: Option<String>,
    /// For people.
    pub error: String,
    /// For programs.
    pub code: ErrorCode,
}

/// The reply to `unsubscribe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Unsubscribed {
    /// The id of the `unsubscribe`.
    pub id: u64,
    /// The market; left out in the reply to several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub symbol: Option<Symbol>,
    /// The strategy; left out in the reply to several, or to every strategy of a symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub strategy: Option<Strategy>,
    /// The whole state after it.
    pub payload: SubscriptionList,
}

/// The reply to `list_subscriptions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Subscriptions {
    /// The id of the `list_subscriptions`.
    pub id: u64,
    /// The whole state.
    pub payload: SubscriptionList,
}

/// Everything that a connection follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SubscriptionList {
    /// Every symbol.
    pub subscribed: Vec<Symbol>,
    /// The most recently subscribed strategy of each symbol.
    #[cfg_attr(test, ts(type = "Record<string, Strategy>"))]
    pub strategies: std::collections::BTreeMap<Symbol, Strategy>,
    /// Every subscription.
    pub subscriptions: Vec<SubscriptionRef>,
    /// What the message asked for and did not get; left out when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<RejectedSubscription>>"))]
    pub rejected: Vec<RejectedSubscription>,
}

/// One subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SubscriptionRef {
    /// The market.
    pub symbol: Symbol,
    /// The strategy.
    pub strategy: Strategy,
}

/// The reply to `ping`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Pong {
    /// The id of the `ping`.
    pub id: u64,
    /// The server's time, ISO 8601.
    pub server_time: String,
}

/// A message or the connection was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Error")]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(rename = "ErrorMessage"))]
pub struct ErrorMessage {
    /// The id of the message that was refused; 0 when it was none in particular.
    pub id: u64,
    /// Why.
    pub payload: ErrorPayload,
}

/// Why a message or the connection was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ErrorPayload {
    /// For people.
    pub error: String,
    /// For programs.
    pub code: ErrorCode,
    /// When the same message would be accepted, in milliseconds from now; with `rate_limited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub retry_after_ms: Option<u64>,
}

/// Nothing else was sent for a while, and all is well. To v1 clients: a browser cannot see ping frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Heartbeat {
    /// The time.
    pub payload: HeartbeatPayload,
}

/// What a heartbeat says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HeartbeatPayload {
    /// The server's time, ISO 8601.
    pub server_time: String,
}

/// The token expires soon: send `authenticate` with a fresh one. To v1 clients, 60 s before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokenExpiring {
    /// When.
    pub payload: TokenExpiringPayload,
}

/// When a token expires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokenExpiringPayload {
    /// When the token expires, ISO 8601.
    pub expires_at: String,
}

/// The server is about to close the connection for a restart or a drain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GoingAway {
    /// Why, and when to come back.
    pub payload: GoingAwayPayload,
}

/// Why the server leaves, and when to come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GoingAwayPayload {
    /// For people.
    pub reason: String,
    /// When to reconnect, in milliseconds; differs per connection so that clients come back spread out.
    pub reconnect_after_ms: u64,
}
