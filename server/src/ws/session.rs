//! One client's session as a pure machine: messages and time in, actions out.
//!
//! It decides everything (authentication deadline, rate window, subscriptions, expiry, heartbeats) and touches
//! nothing: no socket, no clock, no store. `now_ms` is any monotonic clock.

mod action;
mod replies;
mod requests;

use std::sync::Arc;

use tidegate_protocol::{
    Authenticate, ClientMessage, CloseCode, CloseReason, GoingAway, GoingAwayPayload, HEARTBEAT_SECONDS,
    Heartbeat, HeartbeatPayload, MAX_REFUSED_PER_WINDOW, RATE_WINDOW_MS, ServerMessage, SlidingWindow,
    TokenExpiring, TokenExpiringPayload,
};
use uuid::Uuid;

pub use self::action::{Action, ClientKind, Following, Spread, Verified};
use self::replies::{auth_error, authenticated, expires_in_ms, refuse};
use super::followed::{Followed, Rules};
use super::permits::UserWindow;
use crate::auth::Identity;
use crate::auth::permission::Permission;
use crate::auth::token::LEEWAY_SECONDS;
use crate::clock::iso;
use crate::refusal::Refusal;

/// A ping frame is sent this often.
const PING_EVERY_MS: u64 = 30_000;
/// A connection that answered nothing for this long is gone.
const SILENCE_MS: u64 = 60_000;
/// A v1 client is told this long before its token expires.
const EXPIRY_NOTICE_MS: u64 = 60_000;
/// How much clocks may differ.
const LEEWAY_MS: u64 = LEEWAY_SECONDS as u64 * 1_000;
/// Without anything else to say, a v1 client hears a heartbeat this often.
const HEARTBEAT_MS: u64 = HEARTBEAT_SECONDS as u64 * 1_000;
/// A connection this old is asked to move: proxies cut those of a day, and without a word.
const LIFETIME_MS: u64 = 23 * 3_600_000;
/// How much earlier or later, so that those that came together do not move together.
const LIFETIME_JITTER_MS: u64 = 30 * 60_000;
/// A client that is asked to leave comes back after this at the earliest.
const COME_BACK_MS: u64 = 200;
/// Those that are asked to move for their age come back spread over this long: the gateway is there all the time.
const MOVE_SPREAD_MS: u64 = 5_000;

/// Why a gateway that stops closes its connections.
const SERVER_RESTARTING: &str = CloseReason::ServerRestarting.as_str();
/// Why an old connection is asked to move.
const CONNECTION_IS_OLD: &str = "Connection is a day old";

/// One client's session.
#[derive(Debug)]
pub struct Session {
    id: Uuid,
    kind: ClientKind,
    rules: Arc<Rules>,
    phase: Phase,
    taken: SlidingWindow,
    taken_by_user: Option<UserWindow>,
    refused: SlidingWindow,
    followed: Followed,
    heard_at_ms: u64,
    sent_at_ms: u64,
    ping_at_ms: u64,
    /// Differs from session to session.
    chance: u32,
    move_at_ms: u64,
    close_at_ms: Option<u64>,
}

/// Where the session stands. Each variant holds only what is true in it.
#[derive(Debug)]
enum Phase {
    /// Nobody has authenticated yet.
    Anonymous { deadline_ms: u64 },
    /// Somebody has, until the token expires.
    Live(Member),
    /// The close is on its way.
    Closed,
}

#[derive(Debug)]
struct Member {
    identity: Identity,
    expires_at_ms: u64,
    notice_at_ms: Option<u64>,
}

impl Session {
    /// A session that has just been upgraded. `chance` is any random number: it spreads what many sessions would do
    /// at the same time.
    #[must_use]
    pub fn new(id: Uuid, kind: ClientKind, rules: Arc<Rules>, now_ms: u64, chance: u32) -> Self {
        let deadline_ms = now_ms + u64::from(rules.auth_timeout_seconds) * 1_000;
        Self {
            id,
            kind,
            phase: Phase::Anonymous { deadline_ms },
            taken: SlidingWindow::new(rules.limits.messages_per_minute as usize, RATE_WINDOW_MS),
            taken_by_user: None,
            refused: SlidingWindow::new(MAX_REFUSED_PER_WINDOW, RATE_WINDOW_MS),
            followed: Followed::default(),
            heard_at_ms: now_ms,
            sent_at_ms: now_ms,
            ping_at_ms: now_ms + PING_EVERY_MS,
            chance,
            move_at_ms: now_ms + LIFETIME_MS - LIFETIME_JITTER_MS
                + u64::from(chance) % (2 * LIFETIME_JITTER_MS),
            close_at_ms: None,
            rules,
        }
    }

    /// The session's id: what a later connection names to take this one's place.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// From now on messages count for the user too, wherever they come from: neither reconnecting nor a second
    /// connection gives anybody more than one connection may say.
    pub fn count_for_user(&mut self, window: UserWindow) {
        self.taken_by_user = Some(window);
    }

    /// A text frame came.
    pub fn handle_text(&mut self, text: &str, now_ms: u64, wall_ms: i64) -> Vec<Action> {
        self.heard_at_ms = now_ms;
        if matches!(self.phase, Phase::Closed) {
            return Vec::new();
        }
        if text.len() > self.rules.limits.max_message_bytes as usize {
            let limit = self.rules.limits.max_message_bytes;
            return self.handle_fault(&Refusal::MessageTooLarge(limit));
        }
        match ClientMessage::parse(text) {
            // Once authenticated, feeds in it are a batch as any other.
            Ok(ClientMessage::Authenticate(message))
                if message.subscriptions.is_none() || matches!(self.phase, Phase::Anonymous { .. }) =>
            {
                vec![Action::Verify(message)]
            }
            Ok(message) => self.handle_counted(message, now_ms, wall_ms),
            Err(invalid) => match self.count(now_ms) {
                Err(refusal) => self.over_limit(invalid.id, &refusal),
                Ok(()) => vec![refuse(invalid.id, &Refusal::InvalidMessage(invalid.problem))],
            },
        }
    }

    /// Something came that is no message: too large, binary, not UTF-8, or a frame that breaks the protocol.
    pub fn handle_fault(&mut self, refusal: &Refusal) -> Vec<Action> {
        match refusal {
            Refusal::MessageTooLarge(_) | Refusal::TooMuchUnauthenticated(_) => {
                self.refuse_and_close(0, refusal)
            }
            _ => {
                let (code, reason) = refusal.close();
                vec![self.close(code, reason)]
            }
        }
    }

    /// A control frame came.
    pub fn handle_control(&mut self, now_ms: u64) {
        self.heard_at_ms = now_ms;
    }

    /// The token of an `authenticate` was checked, or that of the handshake (`message` is none).
    pub fn handle_verified(
        &mut self,
        message: Option<&Authenticate>,
        verified: Verified,
        now_ms: u64,
        wall_ms: i64,
    ) -> Vec<Action> {
        let id = message.and_then(|message| message.id).unwrap_or(0);
        let (identity, first) = match (verified, &self.phase) {
            (_, Phase::Closed) => return Vec::new(),
            (Ok(identity), Phase::Anonymous { .. }) => (identity, true),
            (Ok(identity), Phase::Live(member)) if identity.user_id == member.identity.user_id => {
                (identity, false)
            }
            (Ok(_), Phase::Live(_)) => return vec![auth_error(id, &Refusal::IdentityMismatch)],
            (Err(refusal), Phase::Live(_)) => return vec![auth_error(id, &refusal)],
            (Err(refusal), Phase::Anonymous { .. }) => return self.refuse_authentication(id, &refusal),
        };
        let mut actions = Vec::new();
        if message.is_some() {
            actions.push(Action::Send(authenticated(id, &identity, wall_ms)));
        }
        self.phase = Phase::Live(self.member(identity, now_ms, wall_ms));
        if first {
            actions.push(Action::Send(self.connected(wall_ms)));
        }
        let wanted = message.and_then(|message| message.subscriptions.as_ref());
        match self.allow(Permission::SignalsRead) {
            Ok(()) => actions.extend(wanted.map(|wanted| self.follow(id, true, wanted))),
            // The new token says less than the old one: what it does not allow ends at once.
            Err(refusal) => {
                let given_up = self.followed.give_up_all();
                if wanted.is_some() || !given_up.is_empty() {
                    actions.push(refuse(id, &refusal));
                }
                actions.extend(given_up.into_iter().map(Action::Unfollow));
            }
        }
        self.sent_at_ms = now_ms;
        actions
    }

    /// Something was sent: the next heartbeat is not needed before a while.
    pub fn handle_sent(&mut self, now_ms: u64) {
        self.sent_at_ms = now_ms;
    }

    /// A newer connection took this one's place.
    pub fn handle_replaced(&mut self) -> Vec<Action> {
        vec![self.close(CloseCode::REPLACED, CloseReason::Replaced.as_str())]
    }

    /// Its place went to another connection, because it did not answer. It may only have been slow: unlike one that
    /// was replaced it comes back, after a while.
    pub fn handle_evicted(&mut self) -> Vec<Action> {
        vec![self.close(CloseCode::TOO_MANY_CONNECTIONS, CloseReason::MaxConnectionsReached.as_str())]
    }

    /// The user signed out, or somebody ended the user's session.
    pub fn handle_revoked(&mut self) -> Vec<Action> {
        vec![self.close(CloseCode::UNAUTHENTICATED, CloseReason::SessionRevoked.as_str())]
    }

    /// The connection did not take what was written to it.
    pub fn handle_too_slow(&mut self) -> Vec<Action> {
        let (code, reason) = Refusal::TooSlow.close();
        vec![self.close(code, reason)]
    }

    /// Somebody wants to know whether the peer is still there: whatever it sends after this is the answer.
    pub fn handle_probe(&mut self, now_ms: u64) -> Vec<Action> {
        if matches!(self.phase, Phase::Closed) {
            return Vec::new();
        }
        self.ping_at_ms = now_ms + PING_EVERY_MS;
        vec![Action::Ping]
    }

    /// The server leaves: the client is told when to come back, and goes on until its turn to be closed.
    pub fn handle_shutdown(&mut self, spread: Spread, now_ms: u64) -> Vec<Action> {
        match self.phase {
            Phase::Closed => Vec::new(),
            Phase::Live(_) => self.ask_to_leave(SERVER_RESTARTING, spread, now_ms),
            // Nothing of it would be kept.
            Phase::Anonymous { .. } => {
                let mut actions =
                    self.ask_to_leave(SERVER_RESTARTING, Spread { close_ms: 1, ..spread }, now_ms);
                actions.push(self.close(CloseCode::SERVICE_RESTART, SERVER_RESTARTING));
                actions
            }
        }
    }

    fn ask_to_leave(&mut self, reason: &str, spread: Spread, now_ms: u64) -> Vec<Action> {
        let close_after_ms = u64::from(self.chance) % spread.close_ms.max(1);
        // Another part of the same number: who is closed first does not have to come back first.
        let wait_ms = u64::from(self.chance.rotate_left(16)) % spread.reconnect_ms.max(1);
        self.close_at_ms = Some(now_ms + close_after_ms);
        self.move_at_ms = u64::MAX;
        self.sent_at_ms = now_ms;
        let reconnect_after_ms = close_after_ms + COME_BACK_MS + wait_ms;
        let payload = GoingAwayPayload { reason: reason.into(), reconnect_after_ms };
        vec![Action::Send(ServerMessage::GoingAway(GoingAway { payload }))]
    }

    /// When [`Session::handle_timeout`] is to be called next.
    #[must_use]
    pub fn next_deadline_ms(&self) -> u64 {
        let leaving_ms = self.close_at_ms.unwrap_or(self.move_at_ms);
        let common = self.ping_at_ms.min(self.heard_at_ms + SILENCE_MS).min(leaving_ms);
        match &self.phase {
            Phase::Anonymous { deadline_ms } => common.min(*deadline_ms),
            Phase::Live(member) => common
                .min(member.expires_at_ms)
                .min(member.notice_at_ms.unwrap_or(u64::MAX))
                .min(if self.kind == ClientKind::V1 { self.sent_at_ms + HEARTBEAT_MS } else { u64::MAX }),
            Phase::Closed => u64::MAX,
        }
    }

    /// Time has passed: whatever is due happens.
    pub fn handle_timeout(&mut self, now_ms: u64, wall_ms: i64) -> Vec<Action> {
        if matches!(self.phase, Phase::Closed) {
            return Vec::new();
        }
        if now_ms >= self.heard_at_ms + SILENCE_MS {
            return vec![self.close(CloseCode::GOING_AWAY, "")];
        }
        if self.close_at_ms.is_some_and(|close_at_ms| now_ms >= close_at_ms) {
            return vec![self.close(CloseCode::SERVICE_RESTART, SERVER_RESTARTING)];
        }
        let mut actions = Vec::new();
        match &mut self.phase {
            Phase::Closed => return actions,
            Phase::Anonymous { deadline_ms } if now_ms >= *deadline_ms => {
                let refusal = Refusal::AuthTimeout(self.rules.auth_timeout_seconds);
                return self.refuse_and_close(0, &refusal);
            }
            Phase::Anonymous { .. } => {}
            Phase::Live(member) if now_ms >= member.expires_at_ms => {
                return self.refuse_and_close(0, &Refusal::TokenExpired);
            }
            Phase::Live(member) => {
                if member.notice_at_ms.take_if(|notice_at_ms| now_ms >= *notice_at_ms).is_some() {
                    let payload = TokenExpiringPayload { expires_at: iso(member.identity.expires_at_ms) };
                    actions.push(Action::Send(ServerMessage::TokenExpiring(TokenExpiring { payload })));
                }
            }
        }
        if now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms + PING_EVERY_MS;
            actions.push(Action::Ping);
        }
        let live = matches!(self.phase, Phase::Live(_));
        if live && self.kind == ClientKind::V1 && now_ms >= self.sent_at_ms + HEARTBEAT_MS {
            self.sent_at_ms = now_ms;
            let payload = HeartbeatPayload { server_time: iso(wall_ms) };
            actions.push(Action::Send(ServerMessage::Heartbeat(Heartbeat { payload })));
        }
        if now_ms >= self.move_at_ms {
            let spread = Spread { close_ms: MOVE_SPREAD_MS, reconnect_ms: MOVE_SPREAD_MS };
            actions.extend(self.ask_to_leave(CONNECTION_IS_OLD, spread, now_ms));
        }
        actions
    }

    fn refuse_authentication(&mut self, id: u64, refusal: &Refusal) -> Vec<Action> {
        match refusal {
            Refusal::InvalidToken | Refusal::TokenExpired => {
                let (code, reason) = Refusal::InvalidToken.close();
                vec![auth_error(id, refusal), self.close(code, reason)]
            }
            _ => self.refuse_and_close(id, refusal),
        }
    }

    fn refuse_and_close(&mut self, id: u64, refusal: &Refusal) -> Vec<Action> {
        let (code, reason) = refusal.close();
        vec![refuse(id, refusal), self.close(code, reason)]
    }

    fn close(&mut self, code: CloseCode, reason: &'static str) -> Action {
        self.phase = Phase::Closed;
        match self.kind {
            ClientKind::V1 => Action::Close(code, reason),
            ClientKind::Plain => Action::Close(code.for_plain_client(), reason),
        }
    }

    fn member(&self, identity: Identity, now_ms: u64, wall_ms: i64) -> Member {
        // A token that is accepted just after its end, because clocks differ, is good for as long as they may.
        let left_ms = match expires_in_ms(&identity, wall_ms) {
            0 => LEEWAY_MS,
            left_ms => left_ms,
        };
        let expires_at_ms = now_ms + left_ms;
        // Less than a minute left: the notice is due at once.
        let notice_at_ms =
            (self.kind == ClientKind::V1).then(|| expires_at_ms.saturating_sub(EXPIRY_NOTICE_MS).max(now_ms));
        Member { identity, expires_at_ms, notice_at_ms }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "session_model_tests.rs"]
mod model_tests;
