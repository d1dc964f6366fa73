//! The messages that a session says, from what it knows.

use tidegate_protocol::{
    AuthError, AuthErrorPayload, Authenticated, AuthenticatedPayload, Connected, ConnectedPayload,
    ErrorMessage, ErrorPayload, FeedRequest, HEARTBEAT_SECONDS, RejectedSubscription, ServerMessage,
    Subscribed, SubscribedPayload, SubscriptionGranted,
};

use super::{Action, Following, Phase, Session};
use crate::auth::Identity;
use crate::clock::iso;
use crate::refusal::Refusal;

impl Session {
    /// The reply to a `subscribe`, once the hub has said of each feed whether it was recovered.
    #[must_use]
    pub fn subscribed(&self, following: &Following, recovered: &[bool]) -> ServerMessage {
        let granted: Vec<_> = following
            .feeds
            .iter()
            .zip(recovered)
            .map(|((feed, _), recovered)| SubscriptionGranted {
                symbol: feed.symbol,
                strategy: feed.strategy,
                interval_ms: self.interval_ms(feed.strategy),
                recovered: *recovered,
            })
            .collect();
        let single = match (following.batch, granted.as_slice()) {
            (false, [only]) => Some((only.symbol, only.strategy)),
            _ => None,
        };
        let message = match single {
            Some((symbol, strategy)) => format!("Subscribed to {symbol} with {strategy} strategy."),
            None => {
                let asked = granted.len() + following.rejected.len();
                format!("Subscribed to {} of {asked} feeds.", granted.len())
            }
        };
        let (subscribed, strategies) = self.followed.summary();
        ServerMessage::Subscribed(Subscribed {
            id: following.id,
            symbol: single.map(|(symbol, _)| symbol),
            strategy: single.map(|(_, strategy)| strategy),
            payload: SubscribedPayload {
                subscribed,
                strategies,
                subscriptions: granted,
                rejected: following.rejected.clone(),
                message: format!("{message} Updates will be pushed automatically."),
            },
        })
    }

    pub(super) fn connected(&self, wall_ms: i64) -> ServerMessage {
        let Phase::Live(member) = &self.phase else { unreachable!("called when a session becomes live") };
        ServerMessage::Connected(Connected {
            // No reply: an `authenticate` has its own.
            id: 0,
            payload: ConnectedPayload {
                session_id: self.id.to_string(),
                user_id: member.identity.user_id.to_string(),
                wallet_address: member.identity.user_id.to_string(),
                roles: member.identity.roles.clone(),
                expires_at: iso(member.identity.expires_at_ms),
                expires_in_ms: expires_in_ms(&member.identity, wall_ms),
                server_time: iso(wall_ms),
                heartbeat_seconds: HEARTBEAT_SECONDS,
                limits: self.rules.limits,
            },
        })
    }
}

pub(super) fn expires_in_ms(identity: &Identity, wall_ms: i64) -> u64 {
    u64::try_from(identity.expires_at_ms - wall_ms).unwrap_or(0)
}

pub(super) fn authenticated(id: u64, identity: &Identity, wall_ms: i64) -> ServerMessage {
    ServerMessage::Authenticated(Authenticated {
        id,
        payload: AuthenticatedPayload {
            wallet_address: identity.user_id.to_string(),
            expires_at: iso(identity.expires_at_ms),
            expires_in_ms: expires_in_ms(identity, wall_ms),
        },
    })
}

pub(super) fn auth_error(id: u64, refusal: &Refusal) -> Action {
    // Clients match on this text for every token that is not accepted; the code tells them apart.
    let text = if *refusal == Refusal::TokenExpired { Refusal::InvalidToken.text() } else { refusal.text() };
    let payload = AuthErrorPayload { error: text, code: refusal.code() };
    Action::Send(ServerMessage::AuthError(AuthError { id, payload }))
}

pub(super) fn refuse(id: u64, refusal: &Refusal) -> Action {
    Action::Send(ServerMessage::Error(ErrorMessage { id, payload: refusal.payload() }))
}

pub(super) fn refuse_item(id: u64, rejected: RejectedSubscription) -> Action {
    let payload = ErrorPayload { error: rejected.error, code: rejected.code, retry_after_ms: None };
    Action::Send(ServerMessage::Error(ErrorMessage { id, payload }))
}

pub(super) fn rejected(request: &FeedRequest, refusal: &Refusal) -> RejectedSubscription {
    use tidegate_protocol::shortened;
    RejectedSubscription {
        symbol: shortened(&request.symbol),
        strategy: request.strategy.as_deref().map(shortened),
        error: refusal.text(),
        code: refusal.code(),
    }
}
