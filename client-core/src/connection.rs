//! The way to a socket and back. There is one way to it, [`Client::begin`], so that nothing can go round the
//! checks on it.

use alloc::string::String;
use tidegate_protocol::{CloseCode, ErrorCode, Recovery};

use crate::backoff::{Attempts, backoff_ms, long_backoff_ms};
use crate::state::{Deadline, Due, NEVER, Phase};
use crate::token::Worth;
use crate::wire;
use crate::{Action, Block, Client, RequestId, SocketId, Warning};

/// How long a socket may take to open, in milliseconds.
const DIAL_MS: u64 = 8_000;
/// How long the server may take to accept the first message, in milliseconds.
const AUTHENTICATE_MS: u64 = 8_000;
/// A server that leaves without saying when to come back gets its clients back spread over this span, in
/// milliseconds.
const NO_HINT_MS: u64 = 10_000;
/// The code of a close after a silence: 3008 is registered with IANA as Timeout.
pub(crate) const TIMEOUT: CloseCode = CloseCode(3008);

impl Client {
    pub(crate) fn connect(&mut self, now_ms: u64) {
        self.wanted = true;
        self.offline = false;
        match self.phase {
            Phase::Idle | Phase::Waiting { .. } | Phase::Offline => self.begin(now_ms),
            Phase::Blocked(_) => {
                self.tokens.forgive();
                self.attempts = Attempts::default();
                self.begin(now_ms);
            }
            _ => {}
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.wanted = false;
        self.close_socket(CloseCode::NORMAL);
        self.leave();
        self.phase = Phase::Idle;
        self.attempts = Attempts::default();
        self.tokens.abandon_request();
        // The server gives the place back when it sees the close frame: nothing to take over.
        self.session = None;
    }

    pub(crate) fn new_token(&mut self, now_ms: u64) {
        self.tokens.forgive();
        match self.phase {
            Phase::Live(_) => {
                self.tokens.abandon_request();
                self.start_refresh(now_ms);
            }
            // What was sent was sent; if it is refused, the next one is asked for anyway.
            Phase::Token | Phase::Dialing { .. } | Phase::Authenticating { .. } => {}
            Phase::Idle | Phase::Offline | Phase::Frozen => self.tokens.discard(),
            Phase::Waiting { .. } | Phase::Blocked(_) => {
                self.tokens.discard();
                self.begin(now_ms);
            }
        }
    }

    pub(crate) fn token_ok(
        &mut self,
        request: RequestId,
        token: String,
        expires_in_ms: Option<u64>,
        now_ms: u64,
    ) {
        if !self.tokens.answers(request) {
            return;
        }
        match self.phase {
            Phase::Live(_) => self.offer_token(token, expires_in_ms, now_ms),
            // The first message is out, with another token: what the server says now is about that one.
            Phase::Authenticating { .. } => {}
            Phase::Token => match self.tokens.accept(token, expires_in_ms, now_ms) {
                Worth::Fresh => self.begin(now_ms),
                Worth::Same => {
                    self.warn(Warning::TokenNotFresh);
                    self.back_off(now_ms);
                }
                Worth::Refused => {
                    self.warn(Warning::TokenNotFresh);
                    self.block(Block::TokenRefused);
                }
            },
            _ => {
                self.tokens.accept(token, expires_in_ms, now_ms);
            }
        }
    }

    pub(crate) fn token_err(&mut self, request: RequestId, denied: bool, now_ms: u64) {
        if !self.tokens.answers(request) {
            return;
        }
        match (&self.phase, denied) {
            (Phase::Token, true) => self.block(Block::TokenDenied),
            // Asked again when the server says that the token expires, or when somebody has a new one.
            (Phase::Live(_), true) => self.warn(Warning::TokenDenied),
            _ => self.token_failed(Warning::TokenFailed, now_ms),
        }
    }

    /// The application has no token for us now, but may have one later.
    pub(crate) fn token_failed(&mut self, warning: Warning, now_ms: u64) {
        match self.phase {
            Phase::Token => {
                self.warn(warning);
                self.back_off(now_ms);
            }
            Phase::Live(_) => {
                self.warn(warning);
                self.tokens.refresh_failed(now_ms, &mut self.random);
            }
            _ => {}
        }
    }

    pub(crate) fn opened(&mut self, opened: SocketId, now_ms: u64) {
        match self.phase {
            Phase::Dialing { socket, .. } if socket == opened => {}
            _ => return,
        }
        let id = self.next_message_id();
        let requests = self.subscriptions.take_asks(id, self.places(), now_ms);
        let session = self.session.as_ref().map(|session| session.0.as_str());
        let token = self.tokens.text().expect("nobody dials without a token, and none is dropped meanwhile");
        let text = wire::authenticate(id, token, session, &requests);
        let until = Deadline::new(now_ms + AUTHENTICATE_MS);
        self.phase = Phase::Authenticating { socket: opened, until, sent_ms: now_ms };
        self.send(text);
    }

    pub(crate) fn closed(&mut self, socket: SocketId, code: u16, now_ms: u64) {
        if self.phase.socket() == Some(socket) {
            self.lost(CloseCode(code), now_ms);
        }
    }

    pub(crate) fn tick_connecting(&mut self, now_ms: u64, late: bool) {
        let over = match &mut self.phase {
            Phase::Waiting { until_ms } if now_ms >= *until_ms => return self.begin(now_ms),
            Phase::Dialing { until, .. } | Phase::Authenticating { until, .. } => {
                until.check(now_ms, late) == Due::Over
            }
            _ => false,
        };
        if over {
            self.close_socket(TIMEOUT);
            self.lost(CloseCode::ABNORMAL, now_ms);
        }
    }

    pub(crate) fn online(&mut self, now_ms: u64) {
        self.offline = false;
        self.wake(now_ms);
    }

    pub(crate) fn offline(&mut self, now_ms: u64) {
        self.offline = true;
        match self.phase {
            Phase::Waiting { .. } => self.phase = Phase::Offline,
            // The system errs both ways: ask the server.
            Phase::Live(_) => self.wake(now_ms),
            _ => {}
        }
    }

    pub(crate) fn visible(&mut self, now_ms: u64) {
        self.hidden = false;
        if matches!(self.phase, Phase::Offline) {
            // Somebody looks: worth a try, whatever the system says.
            self.offline = false;
        }
        self.wake(now_ms);
    }

    pub(crate) fn freeze(&mut self) {
        self.frozen = true;
        if !matches!(self.phase, Phase::Idle | Phase::Blocked(_)) {
            self.close_socket(CloseCode::NORMAL);
            self.leave();
            self.phase = Phase::Frozen;
        }
    }

    pub(crate) fn thaw(&mut self, now_ms: u64) {
        self.frozen = false;
        match self.phase {
            Phase::Frozen => self.begin(now_ms),
            _ => self.wake(now_ms),
        }
    }

    /// Something speaks for trying now: skips the rest of a wait, and asks a server that we may have lost.
    fn wake(&mut self, now_ms: u64) {
        match self.phase {
            Phase::Waiting { .. } | Phase::Offline => self.begin(now_ms),
            Phase::Live(_) => self.probe_after_wake(now_ms),
            _ => {}
        }
    }

    /// The one way to a socket: wanted? awake? online? within the budget? with a fresh token? Then dial.
    pub(crate) fn begin(&mut self, now_ms: u64) {
        self.wait_until(now_ms.saturating_add(self.budget.wait_ms(now_ms)));
        match self.phase {
            Phase::Waiting { until_ms } if until_ms <= now_ms => {}
            _ => return,
        }
        if self.tokens.is_fresh(now_ms) {
            self.dial(now_ms);
            return;
        }
        self.phase = Phase::Token;
        self.fetch_token(now_ms);
    }

    /// Asks the application for a token, unless it has been asked already.
    pub(crate) fn fetch_token(&mut self, now_ms: u64) {
        if let Some(request) = self.tokens.request(now_ms) {
            self.act(Action::FetchToken { request });
        }
    }

    fn dial(&mut self, now_ms: u64) {
        self.budget.take(now_ms);
        self.drain_at_ms = NEVER;
        self.sockets += 1;
        let socket = SocketId(self.sockets);
        self.act(Action::OpenSocket { socket });
        self.phase = Phase::Dialing { socket, until: Deadline::new(now_ms + DIAL_MS) };
    }

    /// The server refused the first message, with this code: as if it had closed already.
    pub(crate) fn refused(&mut self, code: ErrorCode, now_ms: u64) {
        let code = match code {
            ErrorCode::InvalidToken | ErrorCode::IdentityMismatch => CloseCode::UNAUTHENTICATED,
            ErrorCode::TokenExpired => CloseCode::TOKEN_EXPIRED,
            ErrorCode::AuthTimeout => CloseCode::AUTH_TIMEOUT,
            ErrorCode::ConnectionLimit => CloseCode::TOO_MANY_CONNECTIONS,
            ErrorCode::Forbidden => CloseCode::FORBIDDEN,
            _ => return,
        };
        self.close_socket(CloseCode::NORMAL);
        self.lost(code, now_ms);
    }

    /// The connection, or the attempt at one, ended with this code.
    pub(crate) fn lost(&mut self, code: CloseCode, now_ms: u64) {
        let drain_at_ms = self.drain_at_ms;
        let lived_ms = self.leave();
        match code.recovery() {
            Recovery::Replaced => self.block(Block::Replaced),
            Recovery::Stop => {
                self.warn(Warning::Stopped(code.0));
                self.block(Block::Stopped(code.0));
            }
            Recovery::FreshTokenOnce => {
                self.warn(Warning::TokenRefused(ErrorCode::InvalidToken));
                if self.tokens.refuse(true, now_ms) {
                    self.block(Block::TokenRefused);
                } else {
                    self.retry(now_ms);
                }
            }
            Recovery::FreshToken => {
                self.tokens.refuse(false, now_ms);
                self.retry(now_ms);
            }
            Recovery::LongBackoff => {
                self.warn(Warning::ConnectionLimit);
                self.attempts.fail();
                let wait_ms = long_backoff_ms(&mut self.random);
                self.wait_until(now_ms + wait_ms);
            }
            Recovery::ServerHint => {
                let no_hint_ms = now_ms + self.random.up_to(NO_HINT_MS);
                let until_ms = if drain_at_ms == NEVER { no_hint_ms } else { drain_at_ms };
                self.come_back_at(until_ms, lived_ms, now_ms);
            }
            Recovery::Backoff => {
                if matches!(code.0, 1002 | 1003 | 1007 | 1009 | 1010) {
                    self.warn(Warning::ProtocolFault(code.0));
                }
                if drain_at_ms == NEVER {
                    self.back_off(now_ms);
                } else {
                    // It said that it was leaving: how it then left does not matter.
                    self.come_back_at(drain_at_ms, lived_ms, now_ms);
                }
            }
        }
    }

    /// Waits for a server that left on purpose. That is no failure, unless it did so right after letting us
    /// in; and it may slow us down, never hurry us.
    pub(crate) fn come_back_at(&mut self, until_ms: u64, lived_ms: u64, now_ms: u64) {
        let wait_ms = backoff_ms(self.attempts.count(), self.hidden, &mut self.random);
        if Attempts::is_flap(lived_ms) {
            self.attempts.fail();
        }
        self.wait_until(until_ms.max(now_ms + wait_ms));
    }

    /// At once the first time, with backoff from then on.
    pub(crate) fn retry(&mut self, now_ms: u64) {
        if self.attempts.count() > 0 {
            self.back_off(now_ms);
            return;
        }
        self.attempts.fail();
        self.begin(now_ms);
    }

    pub(crate) fn back_off(&mut self, now_ms: u64) {
        let wait_ms = backoff_ms(self.attempts.count(), self.hidden, &mut self.random);
        self.attempts.fail();
        self.wait_until(now_ms + wait_ms);
    }

    /// Waits, unless there is a better reason for having no connection.
    fn wait_until(&mut self, until_ms: u64) {
        self.phase = match (self.wanted, self.frozen, self.offline) {
            (false, _, _) => Phase::Idle,
            (true, true, _) => Phase::Frozen,
            (true, false, true) => Phase::Offline,
            (true, false, false) => Phase::Waiting { until_ms },
        };
    }

    fn block(&mut self, block: Block) {
        self.tokens.abandon_request();
        self.phase = Phase::Blocked(block);
    }

    pub(crate) fn close_socket(&mut self, code: CloseCode) {
        if let Some(socket) = self.phase.socket() {
            self.act(Action::CloseSocket { socket, code });
        }
    }

    /// Forgets the socket and what only it knew. Returns how long it was live, in milliseconds; the next
    /// phase is for the caller to set.
    pub(crate) fn leave(&mut self) -> u64 {
        let lived_ms = self.phase.live().map_or(0, |live| live.lived_ms(self.now_ms));
        self.attempts = self.attempts.after_live(lived_ms);
        self.phase = Phase::Idle;
        (self.drain_at_ms, self.flush_at_ms) = (NEVER, NEVER);
        self.paced_until_ms = None;
        self.tokens.connection_lost();
        self.subscriptions.connection_lost();
        lived_ms
    }
}
