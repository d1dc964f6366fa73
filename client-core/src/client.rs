//! The machine: inputs in, actions and events out.

use std::collections::VecDeque;

use tidegate_protocol::{Feed, Limits};

use crate::{
    Action, Event, FeedId, FeedInfo, Input, Output, RequestId, SocketId, State, Status, Usage, Verdict,
};

/// What a host decides once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where all randomness comes from. Draw it from the system's generator: clients with the same seed come
    /// back at the same time.
    pub seed: u64,
    /// How long a feed that nobody wants is kept, in milliseconds. Default 3000: a route change or a remount
    /// costs no message. 0 gives it back at once.
    pub linger_ms: u64,
    /// How long changes of subscriptions are collected into one message, in milliseconds. Default 25. 0 sends
    /// at the next tick.
    pub coalesce_ms: u64,
}

impl Options {
    /// The defaults, with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, linger_ms: 3_000, coalesce_ms: 25 }
    }
}

/// One client: one connection at a time, and the feeds that are wanted of it.
///
/// All times are milliseconds of one monotonic clock that the host reads; they never go back.
#[derive(Debug)]
pub struct Client {
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that wants nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let _ = options;
        Self { actions: VecDeque::new(), events: VecDeque::new() }
    }

    /// Takes note of something that happened. Afterwards empty [`Client::poll_output`] and set the timer.
    pub fn handle(&mut self, input: Input, now_ms: u64) {
        if input == Input::Connect {
            self.actions.push_back(Action::FetchToken { request: RequestId(1) });
        }
        if matches!(input, Input::TokenOk { .. }) {
            self.actions.push_back(Action::OpenSocket { socket: SocketId(1) });
        }
        let _ = now_ms;
    }

    /// Takes note of a signal, and says what to do with it. The hot path: it allocates nothing, and only
    /// after [`Verdict::Gap`] may the timer have to be set earlier. Outputs may follow in any case.
    ///
    /// `seq` and `prev` are those of the frame; a `feed` that this client did not hand out is `Unwanted`.
    pub fn handle_signal(
        &mut self,
        socket: SocketId,
        feed: FeedId,
        seq: u64,
        prev: u64,
        now_ms: u64,
    ) -> Verdict {
        let _ = (socket, feed, seq, prev, now_ms);
        Verdict::Unwanted
    }

    /// Adds one reference to a feed, whether there is a connection or not. The handle is the same until the
    /// feed has been released by everybody and given back to the server; a host that keeps handles by name
    /// overwrites the one that it has.
    pub fn subscribe(&mut self, feed: Feed, now_ms: u64) -> FeedId {
        let _ = (feed, now_ms);
        FeedId(0)
    }

    /// Takes one reference away. Without references a feed lingers for a while, and is then given back. More
    /// releases than subscriptions change nothing.
    pub fn release(&mut self, feed: FeedId, now_ms: u64) {
        let _ = (feed, now_ms);
    }

    /// The next thing to do or to tell; `None` when there is nothing. Poll until then after every call that
    /// takes `now_ms`.
    pub fn poll_output(&mut self) -> Option<Output> {
        let action = self.actions.pop_front().map(Output::Action);
        action.or_else(|| self.events.pop_front().map(Output::Event))
    }

    /// When `handle(Input::Tick, …)` is due; `None`: not before something else happens. Waking up too early
    /// does no harm.
    #[must_use]
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        None
    }

    /// How the connection stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            state: State::Idle,
            probing: false,
            draining: false,
            refreshing: false,
            attempt: 0,
            retry_at_ms: None,
            token_expires_at_ms: None,
            rtt_ms: None,
            paced_until_ms: None,
            limits: Limits::default(),
        }
    }

    /// What is used of the limits at `now_ms`.
    #[must_use]
    pub fn usage(&mut self, now_ms: u64) -> Usage {
        let _ = now_ms;
        Usage { messages: 0, subscriptions: 0 }
    }

    /// The handle of a feed that is wanted or still held.
    #[must_use]
    pub fn feed_id(&self, feed: Feed) -> Option<FeedId> {
        let _ = feed;
        None
    }

    /// What is known of a feed; `None` once it has been given back.
    #[must_use]
    pub fn feed(&self, id: FeedId) -> Option<FeedInfo> {
        let _ = id;
        None
    }

    /// Every feed that is wanted or still held, in the order in which they were first asked for.
    pub fn feeds(&self) -> impl Iterator<Item = FeedInfo> + '_ {
        std::iter::empty()
    }

    /// The last 200 inputs and actions as text, for a bug report: one a line, tokens and session ids masked.
    #[must_use]
    pub fn debug_report(&self) -> String {
        String::new()
    }
}
