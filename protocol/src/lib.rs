//! The Tidegate wire protocol: every message, limit, error and close code, as types that both sides share.
//!
//! Nothing here does I/O, reads a clock or decides anything beyond "is this a valid message". The public
//! description of the wire is `docs/protocol.md`; its JSON blocks are parsed by this crate's tests.
//!
//! Without the feature `messages` (on by default) there is no serde and no standard library.

#![cfg_attr(not(feature = "messages"), no_std)]

extern crate alloc;

#[cfg(feature = "messages")]
mod client;
mod error;
mod feed;
#[cfg(feature = "messages")]
mod json;
mod limits;
#[cfg(feature = "messages")]
mod server;
#[cfg(feature = "messages")]
mod signal;
mod window;

#[cfg(all(test, feature = "messages"))]
mod bindings;
#[cfg(all(test, feature = "messages"))]
mod round_trip;
#[cfg(all(test, feature = "messages"))]
mod samples;

#[cfg(feature = "messages")]
pub use client::{
    Authenticate, ClientMessage, FeedRequest, InvalidMessage, ListSubscriptions, Ping, Subscribe,
    Unsubscribe, shortened,
};
pub use error::{CloseCode, CloseReason, ErrorCode, Recovery};
pub use feed::{Feed, InvalidStrategy, InvalidSymbol, Strategy, Symbol};
pub use limits::{
    DEFAULT_LIMITS, HEARTBEAT_SECONDS, HISTORY_PER_FEED, Limits, MAX_ID, MAX_REFUSED_PER_WINDOW,
    RATE_WINDOW_MS, SUBPROTOCOL,
};
#[cfg(feature = "messages")]
pub use server::{
    AuthError, AuthErrorPayload, Authenticated, AuthenticatedPayload, Connected, ConnectedPayload,
    ErrorMessage, ErrorPayload, GoingAway, GoingAwayPayload, Heartbeat, HeartbeatPayload, Pong,
    RejectedSubscription, ServerMessage, Subscribed, SubscribedPayload, SubscriptionGranted,
    SubscriptionList, SubscriptionRef, Subscriptions, TokenExpiring, TokenExpiringPayload, Unsubscribed,
};
#[cfg(feature = "messages")]
pub use signal::{
    Confidence, Entry, KeyLevel, KeyLevelKind, MomentumIndicator, MomentumMessage, OrderType, RangeData,
    RangePayload, RangeSummary, RangeTradingMessage, RangeWindow, ScalpIndicator, ScalpMessage, Side, Trend,
    TrendAlignment, VolumeProfile,
};
pub use window::SlidingWindow;
