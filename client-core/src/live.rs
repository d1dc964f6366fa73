//! What happens on a connection that is up: what the server says, whether it is still there, and what it has
//! to be told.

use alloc::boxed::Box;
use alloc::string::String;
use tidegate_protocol::{CloseCode, ErrorCode, Limits};

use crate::connection::TIMEOUT;
use crate::state::{Deadline, Due, Live, NEVER, Phase, WAKE_MS};
use crate::token::{Secret, Worth};
use crate::wire;
use crate::{Client, Event, Fact, FeedId, FeedStatus, SocketId, Verdict, Warning};

/// How long the server may take to show itself after it was asked, in milliseconds.
const PROBE_MS: u64 = 5_000;
/// A server that was heard this recently is not asked after a wake, in milliseconds.
const HEARD_RECENTLY_MS: u64 = 1_000;
/// Longest time that a server may send its clients away for, in milliseconds.
const MAX_DRAIN_MS: u64 = 600_000;
/// Wait after a refusal for the rate that does not say how long, in milliseconds.
const RATE_RETRY_MS: u64 = 1_000;

impl Client {
    pub(crate) fn message(&mut self, socket: SocketId, fact: Fact, now_ms: u64) {
        if self.phase.socket() != Some(socket) {
            return;
        }
        // Whatever the system says: something came over the network.
        self.offline = false;
        match &mut self.phase {
            Phase::Authenticating { .. } => self.answer(fact, now_ms),
            Phase::Live(live) => {
                live.heard(now_ms);
                self.fact(fact, now_ms);
            }
            _ => {}
        }
    }

    pub(crate) fn signal(
        &mut self,
        socket: SocketId,
        feed: FeedId,
        seq: u64,
        prev: u64,
        now_ms: u64,
    ) -> Verdict {
        let live = self.phase.live_mut().filter(|live| live.socket == socket);
        let Some(live) = live else { return Verdict::Unwanted };
        let probed = live.heard(now_ms);
        self.offline = false;
        let slot = self.subscriptions.get_mut(feed).filter(|slot| slot.is_wanted());
        let (verdict, gap, stale) = match slot {
            Some(slot) => {
                let (verdict, gap) = slot.position.judge(seq, prev);
                if verdict.is_latest() {
                    slot.heard_ms = now_ms;
                }
                (verdict, gap, matches!(slot.reported, Some(FeedStatus::Stale)))
            }
            None => (Verdict::Unwanted, None, false),
        };
        if let Some((after, before)) = gap {
            self.tell(Event::Gap { feed, after, before });
        }
        if probed || stale || gap.is_some() {
            self.settle(now_ms);
        }
        verdict
    }

    /// The answer to the first message.
    fn answer(&mut self, fact: Fact, now_ms: u64) {
        match fact {
            Fact::Connected { session_id, expires_in_ms, heartbeat_seconds, limits } => {
                self.session = Some(Secret(session_id));
                self.tokens.connected(expires_in_ms, now_ms, &mut self.random);
                self.connected(heartbeat_seconds, limits, now_ms);
            }
            Fact::AuthError { code, .. } | Fact::Error { code, .. } => self.refused(code, now_ms),
            Fact::GoingAway { reconnect_after_ms } => self.going_away(reconnect_after_ms, now_ms),
            _ => {}
        }
    }

    fn connected(&mut self, heartbeat_seconds: u32, limits: Limits, now_ms: u64) {
        let Phase::Authenticating { socket, sent_ms, .. } = self.phase else { return };
        self.limits = limits;
        self.rtt_ms = Some(now_ms.saturating_sub(sent_ms));
        self.phase = Phase::Live(Box::new(Live::new(socket, now_ms, heartbeat_seconds, limits)));
    }

    /// What the server says on a live connection.
    fn fact(&mut self, fact: Fact, now_ms: u64) {
        match fact {
            Fact::Authenticated { id, expires_in_ms } => {
                self.tokens.refreshed(id, expires_in_ms, now_ms, &mut self.random);
            }
            Fact::AuthError { id, code } => self.refresh_refused(id, code, now_ms),
            Fact::Subscribed { id, granted, rejected } => {
                for granted in granted {
                    self.subscriptions.granted(id, granted, now_ms);
                }
                for rejected in rejected {
                    if let Some(warning) = self.subscriptions.rejected(id, rejected) {
                        self.warn(warning);
                    }
                }
            }
            Fact::Unsubscribed { id } => self.subscriptions.ended(id),
            Fact::Pong { id } => self.pong(id, now_ms),
            Fact::Error { id, code, retry_after_ms } => {
                self.message_refused(id, code, retry_after_ms, now_ms)
            }
            Fact::TokenExpiring if !self.tokens.is_refreshing() => self.start_refresh(now_ms),
            Fact::GoingAway { reconnect_after_ms } => self.going_away(reconnect_after_ms, now_ms),
            Fact::Connected { .. } | Fact::TokenExpiring | Fact::Heartbeat | Fact::Other => {}
        }
    }

    fn pong(&mut self, id: u64, now_ms: u64) {
        let Some(live) = self.phase.live_mut() else { return };
        if let Some((_, sent_ms)) = live.ping.take_if(|(ping, _)| *ping == id) {
            self.rtt_ms = Some(now_ms.saturating_sub(sent_ms));
        }
    }

    fn message_refused(&mut self, id: u64, code: ErrorCode, retry_after_ms: Option<u64>, now_ms: u64) {
        let Some(live) = self.phase.live_mut() else { return };
        match code {
            ErrorCode::RateLimited => {
                let retry_after_ms = retry_after_ms.unwrap_or(RATE_RETRY_MS);
                live.pacing.refuse(retry_after_ms, now_ms);
                self.subscriptions.undo(id);
                self.warn(Warning::RateLimited(retry_after_ms));
            }
            // These announce a close, which says what to do.
            ErrorCode::TokenExpired | ErrorCode::InvalidToken => {}
            _ => {
                let told = self.subscriptions.message_refused(id, code, &mut self.events);
                if !told && code != ErrorCode::NotSubscribed {
                    self.warn(Warning::MessageRefused(code));
                }
            }
        }
    }

    /// The server wants us to come back later: as late as it says, and not all on the same millisecond.
    fn going_away(&mut self, reconnect_after_ms: u64, now_ms: u64) {
        let hint_ms = reconnect_after_ms.min(MAX_DRAIN_MS);
        self.drain_at_ms = now_ms + hint_ms + self.random.up_to(hint_ms / 2);
    }

    /// Asks for a fresh token, for the connection that is up.
    pub(crate) fn start_refresh(&mut self, now_ms: u64) {
        self.tokens.refresh_started();
        self.fetch_token(now_ms);
    }

    /// The application has a token for the connection that is up.
    pub(crate) fn offer_token(&mut self, token: String, expires_in_ms: Option<u64>, now_ms: u64) {
        let id = self.next_message_id();
        if self.tokens.offer(id, token, expires_in_ms, now_ms) != Worth::Fresh {
            self.token_failed(Warning::TokenNotFresh, now_ms);
            return;
        }
        let text = self.tokens.offered_text().map(|token| wire::authenticate(id, token, None, &[]));
        if let Some(text) = text {
            self.send(text);
        }
    }

    fn refresh_refused(&mut self, id: u64, code: ErrorCode, now_ms: u64) {
        // Somebody else signed in. The connection stays who it was until its token expires; the next one is
        // theirs. Trying again on this one cannot help.
        let other_user = code == ErrorCode::IdentityMismatch;
        if !self.tokens.offer_refused(id, !other_user) {
            return;
        }
        self.warn(Warning::TokenRefused(code));
        if !other_user {
            self.tokens.refresh_failed(now_ms, &mut self.random);
        }
    }

    /// Deadlines of a live connection. `late`: the machine slept.
    pub(crate) fn tick_live(&mut self, now_ms: u64, late: bool) {
        let Some(live) = self.phase.live_mut() else { return };
        match live.probe.as_mut().map(|probe| probe.check(now_ms, late)) {
            Some(Due::Over) => return self.dead(now_ms),
            // What was asked before the sleep may have been lost in it.
            Some(Due::Extended) => self.ping(now_ms),
            Some(Due::NotYet) => {}
            None if late => self.probe_after_wake(now_ms),
            None if now_ms >= live.liveness_at_ms() => self.probe(PROBE_MS, now_ms),
            None => {}
        }
        if now_ms >= self.drain_at_ms {
            return self.drained(now_ms);
        }
        if now_ms >= self.tokens.refresh_at_ms() {
            self.start_refresh(now_ms);
        }
        self.subscriptions.expire_answers(now_ms);
        if now_ms >= self.flush_at_ms {
            self.flush(now_ms);
        }
    }

    /// Asks whether the server is still there, after something that may have cut us off.
    pub(crate) fn probe_after_wake(&mut self, now_ms: u64) {
        let recently = self.phase.live().is_some_and(|live| now_ms < live.heard_ms + HEARD_RECENTLY_MS);
        if !recently {
            self.probe(WAKE_MS, now_ms);
        }
    }

    /// Asks whether the server is still there. Without an allowance for it, it is not asked, and so not
    /// declared dead: a silent one is asked again when there is one.
    fn probe(&mut self, timeout_ms: u64, now_ms: u64) {
        let Some(live) = self.phase.live_mut() else { return };
        let until_ms = now_ms + timeout_ms;
        match &mut live.probe {
            // A deadline that has passed was slept through: the tick that finds it extends it.
            Some(probe) => probe.at_ms = probe.at_ms.min(until_ms),
            None => match live.pacing.try_take_ping(now_ms) {
                Ok(()) => {
                    live.probe = Some(Deadline::new(until_ms));
                    self.send_ping(now_ms);
                }
                Err(wait_ms) => live.ping_blocked_until_ms = now_ms.saturating_add(wait_ms),
            },
        }
    }

    /// Asks once more within a probe.
    fn ping(&mut self, now_ms: u64) {
        let allowed = self.phase.live_mut().is_some_and(|live| live.pacing.try_take_ping(now_ms).is_ok());
        if allowed {
            self.send_ping(now_ms);
        }
    }

    fn send_ping(&mut self, now_ms: u64) {
        let id = self.next_message_id();
        if let Some(live) = self.phase.live_mut() {
            live.ping = Some((id, now_ms));
        }
        self.send(wire::ping(id));
    }

    /// The server did not show itself.
    fn dead(&mut self, now_ms: u64) {
        self.close_socket(TIMEOUT);
        if self.drain_at_ms != NEVER {
            return self.lost(CloseCode::ABNORMAL, now_ms);
        }
        self.leave();
        self.retry(now_ms);
    }

    /// The server wanted us gone by now, and has not closed: we do.
    fn drained(&mut self, now_ms: u64) {
        self.close_socket(CloseCode::NORMAL);
        let lived_ms = self.leave();
        if crate::backoff::Attempts::is_flap(lived_ms) {
            return self.back_off(now_ms);
        }
        self.begin(now_ms);
    }

    /// Collects changes of subscriptions for a moment before they are sent.
    pub(crate) fn schedule_flush(&mut self, now_ms: u64) {
        let live = self.phase.live().is_some();
        let work = self.subscriptions.has_ends() || self.subscriptions.has_asks(self.places());
        if live && work && self.flush_at_ms == NEVER {
            self.flush_at_ms = now_ms + self.options.coalesce_ms;
        }
    }

    /// Tells the server what changed: first what ends, so that its places are free for what begins.
    fn flush(&mut self, now_ms: u64) {
        self.flush_at_ms = NEVER;
        self.paced_until_ms = None;
        if self.subscriptions.has_ends() {
            if !self.may_send(now_ms) {
                return;
            }
            let id = self.next_message_id();
            let ends = self.subscriptions.take_ends(id, now_ms);
            self.send(wire::unsubscribe(id, &ends));
        }
        let places = self.places();
        if self.subscriptions.has_asks(places) && self.may_send(now_ms) {
            let id = self.next_message_id();
            let requests = self.subscriptions.take_asks(id, places, now_ms);
            self.send(wire::subscribe(id, &requests));
        }
    }

    /// Counts one message, or has the flush wait until it is allowed.
    fn may_send(&mut self, now_ms: u64) -> bool {
        let Some(live) = self.phase.live_mut() else { return false };
        let Err(wait_ms) = live.pacing.try_take(now_ms) else { return true };
        self.flush_at_ms = now_ms.saturating_add(wait_ms);
        self.paced_until_ms = Some(self.flush_at_ms);
        false
    }
}
