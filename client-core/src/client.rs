//! The machine: inputs in, actions and events out. What is decided where: the way to a socket and back in
//! `connection.rs`, what happens on one that is up in `live.rs`.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_protocol::{Feed, Limits};

use crate::backoff::{Attempts, DialBudget};
use crate::random::Random;
use crate::state::{LATE_MS, NEVER, Phase};
use crate::subscriptions::Subscriptions;
use crate::token::{Secret, Tokens};
use crate::trace::Trace;
use crate::{
    Action, Event, FeedId, FeedInfo, Input, Output, SocketId, State, Status, Usage, Verdict, Warning,
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
/// All times are milliseconds of one monotonic clock that the host reads; one that goes back is taken for one
/// that stands still.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) options: Options,
    /// The latest time that the host said.
    pub(crate) now_ms: u64,

    // What the application and the system want.
    pub(crate) wanted: bool,
    pub(crate) frozen: bool,
    pub(crate) offline: bool,
    pub(crate) hidden: bool,

    // Where we are, and what outlives a connection.
    pub(crate) phase: Phase,
    pub(crate) random: Random,
    pub(crate) budget: DialBudget,
    pub(crate) attempts: Attempts,
    pub(crate) tokens: Tokens,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) limits: Limits,
    /// The last connection, for the next one to take its place.
    pub(crate) session: Option<Secret>,
    /// When the server that is leaving wants us back.
    pub(crate) drain_at_ms: u64,
    pub(crate) rtt_ms: Option<u64>,
    /// When changed subscriptions are sent.
    pub(crate) flush_at_ms: u64,
    /// They have to wait until then, because the message allowance is used up.
    pub(crate) paced_until_ms: Option<u64>,
    pub(crate) sockets: u32,
    messages: u64,

    // What comes out.
    actions: Vec<Output>,
    pub(crate) events: Vec<Output>,
    reported: Option<Status>,
    trace: Trace,
}

impl Client {
    /// A client that wants nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut client = Self {
            options,
            now_ms: 0,
            wanted: false,
            frozen: false,
            offline: false,
            hidden: false,
            phase: Phase::Idle,
            random: Random::new(options.seed),
            budget: DialBudget::new(),
            attempts: Attempts::default(),
            tokens: Tokens::new(),
            subscriptions: Subscriptions::default(),
            limits: Limits::default(),
            session: None,
            drain_at_ms: NEVER,
            rtt_ms: None,
            flush_at_ms: NEVER,
            paced_until_ms: None,
            sockets: 0,
            messages: 0,
            actions: Vec::new(),
            events: Vec::new(),
            reported: None,
            trace: Trace::new(),
        };
        client.reported = Some(client.status());
        client
    }

    /// Takes note of something that happened. Afterwards empty [`Client::poll_output`] and set the timer.
    pub fn handle(&mut self, input: Input, now_ms: u64) {
        let now_ms = self.advance(now_ms);
        self.trace.input(&input, now_ms);
        match input {
            Input::Connect => self.connect(now_ms),
            Input::Disconnect => self.disconnect(),
            Input::NewToken => self.new_token(now_ms),
            Input::TokenOk { request, token, expires_in_ms } => {
                self.token_ok(request, token, expires_in_ms, now_ms);
            }
            Input::TokenErr { request, denied } => self.token_err(request, denied, now_ms),
            Input::Open { socket } => self.opened(socket, now_ms),
            Input::Closed { socket, code, .. } => self.closed(socket, code, now_ms),
            Input::Message { socket, fact } => self.message(socket, fact, now_ms),
            Input::Online => self.online(now_ms),
            Input::Offline => self.offline(now_ms),
            Input::Hidden => self.hidden = true,
            Input::Visible => self.visible(now_ms),
            Input::Freeze => self.freeze(),
            Input::Thaw => self.thaw(now_ms),
            Input::Tick => self.tick(now_ms),
        }
        self.settle(now_ms);
    }

    /// Takes note of a signal, and says what to do with it. The hot path: it allocates nothing, and only
    /// after [`Verdict::Gap`], or when outputs follow, may the timer have to be set earlier. Poll for them in any case.
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
        let now_ms = self.advance(now_ms);
        let verdict = self.signal(socket, feed, seq, prev, now_ms);
        self.trace.signal((socket, feed), (seq, prev), verdict, now_ms);
        verdict
    }

    /// Adds one reference to a feed, whether there is a connection or not. The handle is the same until the
    /// feed has been released by everybody and given back to the server; a host that keeps handles by name
    /// overwrites the one that it has.
    pub fn subscribe(&mut self, feed: Feed, now_ms: u64) -> FeedId {
        let now_ms = self.advance(now_ms);
        self.trace.subscribe(feed, now_ms);
        let id = self.subscriptions.add(feed);
        self.settle(now_ms);
        id
    }

    /// Whoever subscribed holds the feed up to `seq` already: from another client that ended, or from this page's
    /// memory. The feed goes on after it, instead of with the latest signal; where this client is further, or the
    /// server was asked already, what came since is asked for, and comes with [`Verdict::Backfill`].
    pub fn held(&mut self, feed: FeedId, seq: u64, now_ms: u64) {
        let now_ms = self.advance(now_ms);
        self.trace.held(feed, seq, now_ms);
        if let Some(slot) = self.subscriptions.get_mut(feed) {
            slot.held(seq);
        }
        self.settle(now_ms);
    }

    /// Takes one reference away. Without references a feed lingers for a while, and is then given back. More
    /// releases than subscriptions change nothing.
    pub fn release(&mut self, feed: FeedId, now_ms: u64) {
        let now_ms = self.advance(now_ms);
        self.trace.release(feed, now_ms);
        self.subscriptions.release(feed, now_ms.saturating_add(self.options.linger_ms));
        self.settle(now_ms);
    }

    /// The next thing to do or to tell; `None` when there is nothing. Poll until then after every call that
    /// takes `now_ms`.
    pub fn poll_output(&mut self) -> Option<Output> {
        // From the front of a list, not a ring: there are a handful of them, and never more than a few dozen.
        let outputs = if self.actions.is_empty() { &mut self.events } else { &mut self.actions };
        (!outputs.is_empty()).then(|| outputs.remove(0))
    }

    /// Whether [`Client::poll_output`] has something: cheaper to ask after every signal than to poll.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !(self.actions.is_empty() && self.events.is_empty())
    }

    /// When `handle(Input::Tick, …)` is due; `None`: not before something else happens. Waking up too early
    /// does no harm.
    #[must_use]
    pub fn next_wakeup_ms(&self) -> Option<u64> {
        let live = self.phase.live();
        let judged = live.is_some_and(|live| live.probe.is_none());
        let mut due_ms = self.phase.deadline_ms().min(self.tokens.request_deadline_ms());
        due_ms = due_ms.min(self.subscriptions.deadline_ms(live.is_some(), judged));
        if live.is_some() {
            due_ms = due_ms.min(self.tokens.refresh_at_ms()).min(self.drain_at_ms).min(self.flush_at_ms);
        }
        (due_ms != NEVER).then_some(due_ms)
    }

    /// How the connection stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let live = self.phase.live();
        let lived_ms = live.map_or(0, |live| live.lived_ms(self.now_ms));
        let retry_at_ms = match self.phase {
            Phase::Waiting { until_ms } => Some(until_ms),
            _ => None,
        };
        Status {
            state: self.phase.state(),
            probing: live.is_some_and(|live| live.probe.is_some()),
            draining: live.is_some() && self.drain_at_ms != NEVER,
            refreshing: live.is_some() && self.tokens.is_refreshing(),
            attempt: self.attempts.after_live(lived_ms).count(),
            retry_at_ms,
            token_expires_at_ms: self.tokens.expires_at_ms(),
            rtt_ms: self.rtt_ms,
            paced_until_ms: self.paced_until_ms,
            limits: self.limits,
        }
    }

    /// What is used of the limits at `now_ms`.
    #[must_use]
    pub fn usage(&mut self, now_ms: u64) -> Usage {
        let messages = self.phase.live_mut().map_or(0, |live| live.pacing.used(now_ms));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Usage { messages: count(messages), subscriptions: count(self.subscriptions.places()) }
    }

    /// The handle of a feed that is wanted or still held.
    #[must_use]
    pub fn feed_id(&self, feed: Feed) -> Option<FeedId> {
        self.subscriptions.id_of(feed)
    }

    /// The feed behind a handle; `None` once it has been given back.
    #[must_use]
    pub fn name_of(&self, id: FeedId) -> Option<Feed> {
        self.subscriptions.get(id).map(|slot| slot.feed)
    }

    /// When the next signal of a feed is due, in milliseconds: see [`FeedInfo::due_at_ms`].
    #[must_use]
    pub fn due_at_ms(&self, id: FeedId) -> Option<u64> {
        self.subscriptions.get(id)?.due_at_ms()
    }

    /// What is known of a feed; `None` once it has been given back.
    #[must_use]
    pub fn feed(&self, id: FeedId) -> Option<FeedInfo> {
        self.feeds().find(|info| info.id == id)
    }

    /// Every feed that is wanted or still held, in the order in which they were first asked for.
    pub fn feeds(&self) -> impl Iterator<Item = FeedInfo> + '_ {
        self.subscriptions.infos()
    }

    /// The last 200 inputs and actions as text, for a bug report: one a line, tokens and session ids masked.
    #[cfg(feature = "report")]
    #[must_use]
    pub fn debug_report(&self) -> String {
        self.trace.report(self.options)
    }

    /// What the timer is for.
    fn tick(&mut self, now_ms: u64) {
        let late = self.next_wakeup_ms().is_some_and(|due_ms| now_ms > due_ms.saturating_add(LATE_MS));
        if self.tokens.request_timed_out(now_ms) {
            self.token_failed(Warning::TokenTimeout, now_ms);
        }
        match self.phase.state() {
            State::Waiting | State::Dialing | State::Authenticating => self.tick_connecting(now_ms, late),
            State::Live => self.tick_live(now_ms, late),
            _ => {}
        }
    }

    /// After every change: what follows from it by itself, and who has to know.
    pub(crate) fn settle(&mut self, now_ms: u64) {
        self.subscriptions.expire_lingering(now_ms);
        self.schedule_flush(now_ms);
        let judged = self.phase.live().is_some_and(|live| live.probe.is_none());
        self.subscriptions.report(self.places(), judged, now_ms, &mut self.events);
        let status = self.status();
        if self.reported != Some(status) {
            self.reported = Some(status);
            self.tell(Event::Status(status));
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.trace.action(&action, self.now_ms);
        self.actions.push(Output::Action(action));
    }

    pub(crate) fn send(&mut self, text: String) {
        if let Some(socket) = self.phase.socket() {
            self.act(Action::Send { socket, text });
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(Output::Event(event));
    }

    pub(crate) fn warn(&mut self, warning: Warning) {
        self.tell(Event::Warn(warning));
    }

    pub(crate) fn next_message_id(&mut self) -> u64 {
        self.messages += 1;
        self.messages
    }

    /// Feeds that one connection may follow.
    pub(crate) fn places(&self) -> usize {
        usize::try_from(self.limits.subscriptions_per_connection).unwrap_or(usize::MAX)
    }

    /// The clock of the host, which never goes back here.
    fn advance(&mut self, now_ms: u64) -> u64 {
        self.now_ms = self.now_ms.max(now_ms);
        self.now_ms
    }
}
