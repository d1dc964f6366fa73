//! A client on virtual time whose every answer the test gives by hand.

use tidegate_client_core::{
    Action, Client, Event, Fact, FeedId, FeedStatus, Granted, Input, Options, Output, RequestId, SocketId,
    State, Verdict, Warning,
};
use tidegate_protocol::{ClientMessage, CloseCode, Feed, FeedRequest, Limits};

/// The client, its clock, and what came out and was not looked at yet.
pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) now_ms: u64,
    pub(crate) actions: Vec<Action>,
    pub(crate) events: Vec<Event>,
    pub(crate) dials_ms: Vec<u64>,
    /// Answer requests for tokens at once, each with another token.
    pub(crate) gives_tokens: bool,
    tokens: u32,
}

pub(crate) fn feed(name: &str) -> Feed {
    let (symbol, strategy) = name.split_once('/').unwrap();
    Feed { symbol: symbol.parse().unwrap(), strategy: strategy.parse().unwrap() }
}

/// Feeds of that many symbols.
pub(crate) fn many(count: usize) -> Vec<Feed> {
    (0..count).map(|index| feed(&format!("COIN{index}/scalp"))).collect()
}

pub(crate) fn connected(expires_in_ms: u64) -> Fact {
    let limits = Limits::default();
    Fact::Connected { session_id: "session-1".into(), expires_in_ms, heartbeat_seconds: 25, limits }
}

pub(crate) fn granted(id: u64, feeds: &[Feed], recovered: bool) -> Fact {
    let grant = |feed: &Feed| Granted { feed: *feed, interval_ms: 30_000, recovered };
    Fact::Subscribed { id, granted: feeds.iter().map(grant).collect(), rejected: Vec::new() }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_seed(42)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        Self {
            client: Client::new(Options::new(seed)),
            now_ms: 1_000,
            actions: Vec::new(),
            events: Vec::new(),
            dials_ms: Vec::new(),
            gives_tokens: true,
            tokens: 0,
        }
    }

    /// A client that follows `feeds`, each granted.
    pub(crate) fn live(feeds: &[Feed]) -> (Self, Vec<FeedId>) {
        let mut rig = Self::new();
        let ids = feeds.iter().map(|feed| rig.subscribe(*feed)).collect();
        rig.input(Input::Connect);
        rig.accept();
        rig.clear();
        (rig, ids)
    }

    /// Lets the socket that is being dialled open, and grants everything.
    pub(crate) fn accept(&mut self) {
        let socket = self.socket();
        self.input(Input::Open { socket });
        let message = self.sent().pop().expect("the first message");
        let ClientMessage::Authenticate(authenticate) = message else { panic!("{message:?}") };
        let id = authenticate.id.unwrap();
        self.fact(Fact::Authenticated { id, expires_in_ms: 900_000 });
        self.fact(connected(900_000));
        let feeds = authenticate.subscriptions.unwrap_or_default();
        if !feeds.is_empty() {
            let feeds: Vec<Feed> = feeds.iter().map(requested).collect();
            self.fact(granted(id, &feeds, true));
        }
        assert_eq!(self.client.status().state, State::Live);
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.client.handle(input, self.now_ms);
        self.drain();
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        let socket = self.socket();
        self.input(Input::Message { socket, fact });
    }

    pub(crate) fn close(&mut self, code: u16) {
        let socket = self.socket();
        self.input(Input::Closed { socket, code, reason: String::new() });
    }

    pub(crate) fn signal(&mut self, feed: FeedId, seq: u64, prev: u64) -> Verdict {
        let socket = self.socket();
        let verdict = self.client.handle_signal(socket, feed, seq, prev, self.now_ms);
        self.drain();
        verdict
    }

    pub(crate) fn subscribe(&mut self, feed: Feed) -> FeedId {
        let id = self.client.subscribe(feed, self.now_ms);
        self.drain();
        id
    }

    pub(crate) fn held(&mut self, feed: FeedId, seq: u64) {
        self.client.held(feed, seq, self.now_ms);
        self.drain();
    }

    pub(crate) fn release(&mut self, feed: FeedId) {
        self.client.release(feed, self.now_ms);
        self.drain();
    }

    /// Lets time pass, with every timer on time.
    pub(crate) fn pass(&mut self, span_ms: u64) {
        let until_ms = self.now_ms + span_ms;
        while let Some(due_ms) = self.client.next_wakeup_ms().filter(|due_ms| *due_ms <= until_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            self.input(Input::Tick);
            assert!(self.client.next_wakeup_ms().is_none_or(|next_ms| next_ms > self.now_ms), "busy loop");
        }
        self.now_ms = until_ms;
    }

    /// Lets time pass until the client wakes up by itself.
    pub(crate) fn pass_to_wakeup(&mut self) {
        let due_ms = self.client.next_wakeup_ms().expect("something is due");
        self.pass(due_ms.saturating_sub(self.now_ms));
    }

    /// Lets time pass until the client dials.
    pub(crate) fn pass_to_dial(&mut self) {
        while self.state() != State::Dialing {
            self.pass_to_wakeup();
        }
    }

    /// Lets time pass in which the machine sleeps.
    pub(crate) fn sleep(&mut self, span_ms: u64) {
        self.now_ms += span_ms;
    }

    /// Lets time pass, with a heartbeat every 25 seconds.
    pub(crate) fn pass_healthy(&mut self, span_ms: u64) {
        let until_ms = self.now_ms + span_ms;
        while self.now_ms < until_ms {
            self.pass((until_ms - self.now_ms).min(25_000));
            self.fact(Fact::Heartbeat);
        }
    }

    /// The socket that was opened last.
    pub(crate) fn socket(&self) -> SocketId {
        SocketId(u32::try_from(self.dials_ms.len()).unwrap())
    }

    pub(crate) fn state(&self) -> State {
        self.client.status().state
    }

    pub(crate) fn feed_status(&self, feed: FeedId) -> FeedStatus {
        self.client.feed(feed).expect("the feed is wanted").status
    }

    /// The messages that were sent since they were last asked for.
    pub(crate) fn sent(&mut self) -> Vec<ClientMessage> {
        let sends = self.actions.extract_if(.., |action| matches!(action, Action::Send { .. }));
        sends
            .map(|action| match action {
                Action::Send { text, .. } => ClientMessage::parse(&text).expect("a message of the protocol"),
                _ => unreachable!("only sends were taken"),
            })
            .collect()
    }

    /// The one message that was sent since they were last asked for: its id and the feeds in it.
    pub(crate) fn sent_one(&mut self, kind: &str) -> (u64, Vec<FeedRequest>) {
        let messages = self.sent();
        let [message] = messages.as_slice() else { panic!("one {kind}, not {messages:?}") };
        let (found, requests) = match message {
            ClientMessage::Subscribe(message) => ("subscribe", message.requests()),
            ClientMessage::Unsubscribe(message) => ("unsubscribe", message.requests()),
            ClientMessage::Authenticate(message) => {
                ("authenticate", message.subscriptions.clone().unwrap_or_default())
            }
            ClientMessage::Ping(_) => ("ping", Vec::new()),
            ClientMessage::ListSubscriptions(_) => ("list_subscriptions", Vec::new()),
        };
        assert_eq!(found, kind);
        (message.id(), requests)
    }

    /// The requests for tokens that the test has to answer itself.
    pub(crate) fn requests(&mut self) -> Vec<RequestId> {
        let requests = self.actions.extract_if(.., |action| matches!(action, Action::FetchToken { .. }));
        requests
            .map(|action| match action {
                Action::FetchToken { request } => request,
                _ => unreachable!("only requests were taken"),
            })
            .collect()
    }

    /// The codes with which sockets were closed since they were last asked for.
    pub(crate) fn closes(&mut self) -> Vec<CloseCode> {
        let closes = self.actions.extract_if(.., |action| matches!(action, Action::CloseSocket { .. }));
        closes
            .map(|action| match action {
                Action::CloseSocket { code, .. } => code,
                _ => unreachable!("only closes were taken"),
            })
            .collect()
    }

    pub(crate) fn warnings(&mut self) -> Vec<Warning> {
        let warnings = self.events.extract_if(.., |event| matches!(event, Event::Warn(_)));
        warnings
            .map(|event| match event {
                Event::Warn(warning) => warning,
                _ => unreachable!("only warnings were taken"),
            })
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.actions.clear();
        self.events.clear();
    }

    pub(crate) fn token_ok(&mut self, request: RequestId, token: &str) {
        self.input(Input::TokenOk { request, token: token.into(), expires_in_ms: None });
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Action(Action::FetchToken { request }) if self.gives_tokens => {
                    self.tokens += 1;
                    let token = format!("token-{}", self.tokens);
                    let answer = Input::TokenOk { request, token, expires_in_ms: Some(900_000) };
                    self.client.handle(answer, self.now_ms);
                }
                Output::Action(action) => {
                    if matches!(action, Action::OpenSocket { .. }) {
                        self.dials_ms.push(self.now_ms);
                    }
                    self.actions.push(action);
                }
            }
        }
    }
}

/// The feed that a message asks for.
pub(crate) fn requested(request: &FeedRequest) -> Feed {
    let strategy = request.parse_strategy().unwrap().expect("the client names strategies");
    Feed { symbol: request.parse_symbol().unwrap(), strategy }
}
