//! What a signed-in client asks for: whether it may, and what becomes of it.

use tidegate_protocol::{
    ClientMessage, FeedRequest, Pong, ServerMessage, Strategy, Subscribe, Subscriptions, Unsubscribe,
    Unsubscribed,
};

use super::replies::{refuse, refuse_item, rejected};
use super::{Action, Following, Phase, Session};
use crate::auth::permission::Permission;
use crate::clock::iso;
use crate::hub::Position;
use crate::refusal::Refusal;

impl Session {
    /// Any message but `authenticate`.
    pub(super) fn handle_counted(
        &mut self,
        message: ClientMessage,
        now_ms: u64,
        wall_ms: i64,
    ) -> Vec<Action> {
        let id = message.id();
        if let Err(refusal) = self.count(now_ms) {
            return self.over_limit(id, &refusal);
        }
        if matches!(self.phase, Phase::Anonymous { .. }) {
            return vec![refuse(id, &Refusal::Unauthenticated)];
        }
        match message {
            ClientMessage::Authenticate(message) => vec![Action::Verify(message)],
            ClientMessage::Subscribe(message) => self.subscribe(id, &message),
            ClientMessage::Unsubscribe(message) => self.unsubscribe(id, &message),
            ClientMessage::ListSubscriptions(_) => {
                let payload = self.followed.list(Vec::new());
                vec![Action::Send(ServerMessage::Subscriptions(Subscriptions { id, payload }))]
            }
            ClientMessage::Ping(_) => {
                vec![Action::Send(ServerMessage::Pong(Pong { id, server_time: iso(wall_ms) }))]
            }
        }
    }

    fn subscribe(&mut self, id: u64, message: &Subscribe) -> Vec<Action> {
        if let Err(refusal) = self.allow(Permission::SignalsRead) {
            return vec![refuse(id, &refusal)];
        }
        let batch = message.subscriptions.is_some();
        let action = self.follow(id, batch, &message.requests());
        match action {
            Action::Follow(following) if !batch && following.feeds.is_empty() => {
                following.rejected.into_iter().map(|rejected| refuse_item(id, rejected)).collect()
            }
            action => vec![action],
        }
    }

    /// Whether the roles in the token allow it.
    pub(super) fn allow(&self, permission: Permission) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Live(member) if self.rules.permissions.allow(&member.identity.roles, permission) => Ok(()),
            _ => Err(Refusal::Forbidden(permission)),
        }
    }

    /// Takes up what can be taken up of `requests`, each by itself.
    pub(super) fn follow(&mut self, id: u64, batch: bool, requests: &[FeedRequest]) -> Action {
        let mut following = Following { id, batch, feeds: Vec::new(), rejected: Vec::new() };
        for request in requests {
            match self.followed.take_up(request, &self.rules) {
                // Named before in this batch: what was asked for then is still to be sent.
                Ok((feed, Position::Current))
                    if following.feeds.iter().any(|(earlier, _)| *earlier == feed) => {}
                Ok((feed, position)) => {
                    following.feeds.retain(|(earlier, _)| *earlier != feed);
                    following.feeds.push((feed, position));
                }
                Err(refusal) => following.rejected.push(rejected(request, &refusal)),
            }
        }
        Action::Follow(following)
    }

    fn unsubscribe(&mut self, id: u64, message: &Unsubscribe) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut rejections = Vec::new();
        for request in message.requests() {
            match self.followed.give_up(&request, &self.rules) {
                Ok(feeds) => actions.extend(feeds.into_iter().map(Action::Unfollow)),
                Err(refusal) => rejections.push(rejected(&request, &refusal)),
            }
        }
        let batch = message.subscriptions.is_some();
        if !batch && !rejections.is_empty() {
            return rejections.into_iter().map(|rejected| refuse_item(id, rejected)).collect();
        }
        let named = |text: &Option<String>| text.as_deref().filter(|_| !batch).map(str::to_owned);
        actions.push(Action::Send(ServerMessage::Unsubscribed(Unsubscribed {
            id,
            symbol: named(&message.symbol).and_then(|symbol| symbol.parse().ok()),
            strategy: named(&message.strategy).and_then(|strategy| strategy.parse().ok()),
            payload: self.followed.list(rejections),
        })));
        actions
    }

    pub(super) fn interval_ms(&self, strategy: Strategy) -> u64 {
        self.rules.interval_ms.get(&strategy).copied().unwrap_or_else(|| strategy.interval_ms())
    }

    /// Counts a message against the rate limit: that of the connection, and that of its user.
    pub(super) fn count(&mut self, now_ms: u64) -> Result<(), Refusal> {
        let messages_per_minute = self.rules.limits.messages_per_minute;
        let mut of_user = self.taken_by_user.as_ref().map(|window| window.lock().expect("no holder panics"));
        let wait_ms = of_user.as_mut().map_or(0, |window| window.wait_ms(now_ms));
        let retry_after_ms = wait_ms.max(self.taken.wait_ms(now_ms));
        if retry_after_ms == 0 {
            let taken = self.taken.try_take(now_ms);
            debug_assert!(taken.is_ok(), "it was just asked");
            if let Some(window) = &mut of_user {
                let taken = window.try_take(now_ms);
                debug_assert!(taken.is_ok(), "it was just asked, and is locked");
            }
            return Ok(());
        }
        match self.refused.try_take(now_ms) {
            Ok(()) => Err(Refusal::RateLimited { messages_per_minute, retry_after_ms }),
            Err(_) => Err(Refusal::Flooding),
        }
    }

    pub(super) fn over_limit(&mut self, id: u64, refusal: &Refusal) -> Vec<Action> {
        match refusal {
            Refusal::Flooding => self.refuse_and_close(id, refusal),
            _ => vec![refuse(id, refusal)],
        }
    }
}
