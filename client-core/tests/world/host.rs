//! The host of the client: parses, opens, sends and answers as a page would, and tells the oracle.

use tidegate_client_core::{Action, Event, Input, Output, RequestId, SocketId, State, Verdict};
use tidegate_protocol::{ClientMessage, Feed};

use crate::rig::requested;

use super::{Answer, Application, Say, What, World};

impl World {
    pub(super) fn tick_if_due(&mut self) {
        if self.now_ms < self.asleep_until_ms {
            return;
        }
        if self.client.next_wakeup_ms().is_some_and(|due_ms| due_ms <= self.now_ms) {
            self.input(Input::Tick);
            let next_ms = self.client.next_wakeup_ms();
            assert!(next_ms.is_none_or(|next_ms| next_ms > self.now_ms), "busy loop at {}", self.now_ms);
        }
    }

    /// A frame reaches the host: it parses, and asks the client.
    pub(super) fn hear(&mut self, socket: u32, say: Say) {
        match say {
            Say::Close { code, reason } => {
                self.drop_socket();
                self.input(Input::Closed { socket: SocketId(socket), code, reason: reason.into() });
            }
            Say::Fact(fact) => {
                self.greeted |= matches!(fact, tidegate_client_core::Fact::Connected { .. });
                self.server.told_limits |= self.greeted;
                self.input(Input::Message { socket: SocketId(socket), fact });
            }
            Say::Signal { feed, seq, prev } => self.hear_signal(socket, feed, seq, prev),
        }
    }

    fn hear_signal(&mut self, socket: u32, feed: Feed, seq: u64, prev: u64) {
        let Some(handle) = self.handles.get(&feed).copied() else { return };
        let verdict = self.client.handle_signal(SocketId(socket), handle, seq, prev, self.now_ms);
        self.gaps.clear();
        self.drain();
        let held = self.references.get(&feed).is_some_and(|count| *count > 0);
        let live = self.client.status().state == State::Live;
        assert!(!(verdict == Verdict::Unwanted && held && live), "{feed}: {seq} was wanted");
        let truth = self.server.truth(feed);
        self.oracle.signal(feed, seq, verdict, self.gaps.first().copied(), truth);
    }

    pub(crate) fn input(&mut self, input: Input) {
        match input {
            Input::Connect => self.wanted = true,
            Input::Disconnect => (self.wanted, self.oracle.requested_ms) = (false, None),
            Input::NewToken => self.oracle.requested_ms = None,
            Input::Freeze => self.frozen = true,
            Input::Thaw => self.frozen = false,
            _ => {}
        }
        self.client.handle(input, self.now_ms);
        self.drain();
    }

    pub(crate) fn subscribe(&mut self, feed: Feed) {
        let count = self.references.entry(feed).or_default();
        *count += 1;
        if *count == 1 && self.released_ms.get(&feed).is_none_or(|at_ms| self.now_ms >= at_ms + 3_000) {
            self.oracle.forget(feed);
        }
        let handle = self.client.subscribe(feed, self.now_ms);
        self.handles.insert(feed, handle);
        self.drain();
    }

    /// The application has a feed up to one of its last signals, from another tab.
    pub(crate) fn hold(&mut self, feed: Feed, back: usize) {
        let wanted = self.references.get(&feed).is_some_and(|count| *count > 0);
        let Some(seq) = self.server.truth(feed).iter().rev().nth(back).copied().filter(|_| wanted) else {
            return;
        };
        self.oracle.hold(feed, seq, self.asked.contains(&feed));
        self.client.held(self.handles[&feed], seq, self.now_ms);
        self.drain();
    }

    pub(crate) fn release(&mut self, feed: Feed) {
        let Some(count) = self.references.get_mut(&feed).filter(|count| **count > 0) else { return };
        *count -= 1;
        if *count == 0 {
            self.released_ms.insert(feed, self.now_ms);
        }
        self.client.release(self.handles[&feed], self.now_ms);
        self.drain();
    }

    /// The feeds that the server sends to the client.
    pub(crate) fn following(&self) -> Vec<Feed> {
        self.socket.map(|socket| self.server.following(socket)).unwrap_or_default()
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Action(action) => self.act(action),
                Output::Event(Event::Gap { after, before, .. }) => self.gaps.push((after, before)),
                Output::Event(Event::Status(status)) => {
                    self.oracle.counts.lives += u64::from(status.state == State::Live);
                    if matches!(status.state, State::Blocked(_)) {
                        self.oracle.requested_ms = None;
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::FetchToken { request } => {
                self.oracle.request(self.now_ms);
                self.answer_request(request);
            }
            Action::OpenSocket { socket } => {
                self.oracle.dial(self.wanted, !self.frozen, self.socket, self.now_ms);
                (self.socket, self.open, self.greeted) = (Some(socket.0), false, false);
                self.asked.clear();
                self.dial(socket.0);
            }
            Action::CloseSocket { socket, .. } => {
                assert_eq!(self.socket, Some(socket.0), "closes a socket that is not there");
                let at_ms = self.now_ms + self.latency_ms();
                let severed = self.severed.contains(&socket.0);
                self.schedule(if severed { at_ms + 60_000 } else { at_ms }, What::Gone { socket: socket.0 });
                self.drop_socket();
            }
            Action::Send { socket, text } => {
                assert!(self.open && self.socket == Some(socket.0), "sends on a socket that is not open");
                let first = text.starts_with("{\"type\":\"authenticate\"");
                assert!(first || self.greeted, "talks before it is connected: {text}");
                let asks = match ClientMessage::parse(&text) {
                    Ok(ClientMessage::Authenticate(message)) => message.subscriptions.unwrap_or_default(),
                    Ok(ClientMessage::Subscribe(message)) => message.requests(),
                    _ => Vec::new(),
                };
                self.asked.extend(asks.iter().map(requested));
                self.transmit(socket.0, true, |socket| What::ToServer { socket, text });
            }
        }
    }

    fn dial(&mut self, socket: u32) {
        let at_ms = self.now_ms + 2 * self.latency_ms();
        if self.network.swallows_dials {
            return;
        }
        if self.network.refuses {
            let say = Say::Close { code: 1006, reason: "" };
            self.schedule(at_ms, What::ToClient { socket, say });
        } else {
            self.schedule(at_ms, What::Opened { socket });
        }
    }

    fn answer_request(&mut self, request: RequestId) {
        let application = self.application;
        if application.hangs {
            return;
        }
        let answer = match (application.fails, application.denies) {
            (true, _) => Answer::Failed,
            (_, true) => Answer::Denied,
            _ => self.token(application),
        };
        self.schedule(self.now_ms + application.delay_ms, What::Token { request, answer });
    }

    fn token(&mut self, application: Application) -> Answer {
        let repeated = self.last_token.clone().filter(|_| application.repeats);
        let token = repeated.unwrap_or_else(|| self.server.mint(self.now_ms + application.ttl_ms));
        self.last_token = Some(token.clone());
        let believed_ms = application.ttl_ms.checked_add_signed(application.clock_error_ms);
        Answer::Token { token, expires_in_ms: Some(believed_ms.unwrap_or(0)) }
    }

    fn drop_socket(&mut self) {
        (self.socket, self.open, self.greeted) = (None, false, false);
    }

    /// Where the application stands in a feed, and where the server does.
    pub(crate) fn positions(&self, feed: Feed) -> (Option<u64>, Option<u64>) {
        (self.oracle.last(feed), self.server.truth(feed).last().copied())
    }
}
