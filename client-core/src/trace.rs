//! The last inputs and actions, for a bug report: one a line, secrets masked, and complete enough to be played
//! back (`tests/replay.rs`).

use std::collections::VecDeque;

use tidegate_protocol::Feed;

use crate::wire::{masked, push_number};
use crate::{Action, Fact, FeedId, Input, Options, SocketId, Verdict};

/// Lines that are kept.
const LINES: usize = 200;

/// A ring of what happened.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    lines: VecDeque<(u64, Entry)>,
    dropped: u64,
}

/// Signals are the hot path: they are written out only when somebody asks.
#[derive(Clone, Debug)]
enum Entry {
    Text(String),
    Signal { socket: SocketId, feed: FeedId, seq: u64, prev: u64, verdict: Verdict },
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { lines: VecDeque::with_capacity(LINES), dropped: 0 }
    }

    pub(crate) fn input(&mut self, input: &Input, now_ms: u64) {
        self.push(now_ms, Entry::Text(input_line(input).0));
    }

    pub(crate) fn subscribe(&mut self, feed: Feed, now_ms: u64) {
        self.push(now_ms, Entry::Text(Line::new("> subscribe").feed(feed).0));
    }

    pub(crate) fn release(&mut self, feed: FeedId, now_ms: u64) {
        self.push(now_ms, Entry::Text(Line::new("> release").number(feed.0).0));
    }

    pub(crate) fn signal(
        &mut self,
        (socket, feed): (SocketId, FeedId),
        (seq, prev): (u64, u64),
        verdict: Verdict,
        now_ms: u64,
    ) {
        self.push(now_ms, Entry::Signal { socket, feed, seq, prev, verdict });
    }

    pub(crate) fn action(&mut self, action: &Action, now_ms: u64) {
        let line = match action {
            Action::FetchToken { request } => Line::new("< fetch_token").number(request.0),
            Action::OpenSocket { socket } => Line::new("< open").number(socket.0),
            Action::CloseSocket { socket, code } => Line::new("< close").number(socket.0).number(code.0),
            Action::Send { socket, text } => Line::new("< send").number(socket.0).word(&masked(text)),
        };
        self.push(now_ms, Entry::Text(line.0));
    }

    /// Everything that is kept, oldest first, under a line that says how the client was made and how many
    /// lines are missing.
    pub(crate) fn report(&self, options: Options) -> String {
        let head = Line::new("tidegate-client").number(options.seed).number(options.linger_ms);
        let mut text = head.number(options.coalesce_ms).number(self.dropped).0;
        for (at_ms, entry) in &self.lines {
            text.push('\n');
            push_number(&mut text, *at_ms);
            text.push(' ');
            match entry {
                Entry::Text(line) => text.push_str(line),
                Entry::Signal { socket, feed, seq, prev, verdict } => {
                    let line = Line::new("> signal").number(socket.0).number(feed.0);
                    text.push_str(&line.number(*seq).number(*prev).word(verdict_name(*verdict)).0);
                }
            }
        }
        text
    }

    fn push(&mut self, now_ms: u64, entry: Entry) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back((now_ms, entry));
    }
}

/// A line of words. Written by hand: the formatting machinery is too large for the browser.
struct Line(String);

impl Line {
    fn new(kind: &str) -> Self {
        Self(kind.into())
    }

    fn word(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(word);
        self
    }

    fn number(mut self, number: impl Into<u64>) -> Self {
        self.0.push(' ');
        push_number(&mut self.0, number.into());
        self
    }

    fn optional(self, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.number(number),
            None => self.word("-"),
        }
    }

    fn feed(self, feed: Feed) -> Self {
        let mut line = self.word(feed.symbol.as_str());
        line.0.push('/');
        line.0.push_str(feed.strategy.as_str());
        line
    }
}

fn input_line(input: &Input) -> Line {
    match input {
        Input::Connect => Line::new("> connect"),
        Input::Disconnect => Line::new("> disconnect"),
        Input::NewToken => Line::new("> new_token"),
        Input::TokenOk { request, expires_in_ms, .. } => {
            Line::new("> token_ok").number(request.0).optional(*expires_in_ms)
        }
        Input::TokenErr { request, denied } => {
            Line::new("> token_err").number(request.0).number(u8::from(*denied))
        }
        Input::Open { socket } => Line::new("> open").number(socket.0),
        Input::Closed { socket, code, reason } => {
            let reason: String = reason.chars().filter(|character| !character.is_control()).collect();
            Line::new("> closed").number(socket.0).number(*code).word(&reason)
        }
        Input::Message { socket, fact } => fact_line(Line::new("> message").number(socket.0), fact),
        Input::Online => Line::new("> online"),
        Input::Offline => Line::new("> offline"),
        Input::Hidden => Line::new("> hidden"),
        Input::Visible => Line::new("> visible"),
        Input::Freeze => Line::new("> freeze"),
        Input::Thaw => Line::new("> thaw"),
        Input::Tick => Line::new("> tick"),
    }
}

fn fact_line(line: Line, fact: &Fact) -> Line {
    match fact {
        Fact::Connected { expires_in_ms, heartbeat_seconds, limits, .. } => line
            .word("connected")
            .number(*expires_in_ms)
            .number(*heartbeat_seconds)
            .number(limits.messages_per_minute)
            .number(limits.subscriptions_per_connection)
            .number(limits.connections_per_user)
            .number(limits.max_message_bytes),
        Fact::Authenticated { id, expires_in_ms } => {
            line.word("authenticated").number(*id).number(*expires_in_ms)
        }
        Fact::AuthError { id, code } => line.word("auth_error").number(*id).word(code.as_str()),
        Fact::Subscribed { id, granted, rejected } => {
            let line = granted.iter().fold(line.word("subscribed").number(*id), |line, granted| {
                let line = line.word("granted").feed(granted.feed).number(granted.interval_ms);
                line.number(u8::from(granted.recovered))
            });
            rejected.iter().fold(line, |line, rejected| {
                line.word("rejected").feed(rejected.feed).word(rejected.code.as_str())
            })
        }
        Fact::Unsubscribed { id } => line.word("unsubscribed").number(*id),
        Fact::Pong { id } => line.word("pong").number(*id),
        Fact::Error { id, code, retry_after_ms } => {
            line.word("error").number(*id).word(code.as_str()).optional(*retry_after_ms)
        }
        Fact::Heartbeat => line.word("heartbeat"),
        Fact::TokenExpiring => line.word("token_expiring"),
        Fact::GoingAway { reconnect_after_ms } => line.word("going_away").number(*reconnect_after_ms),
        Fact::Other => line.word("other"),
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Deliver => "deliver",
        Verdict::Gap => "gap",
        Verdict::Backfill => "backfill",
        Verdict::Duplicate => "duplicate",
        Verdict::Unwanted => "unwanted",
    }
}
