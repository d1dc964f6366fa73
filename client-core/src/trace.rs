//! The last inputs and actions, for a bug report: one a line, secrets masked, and complete enough to be played
//! back (`tests/replay.rs`).

use alloc::collections::VecDeque;
use alloc::string::String;

use tidegate_protocol::Feed;

use crate::token::fingerprint;
use crate::wire::{push, push_feed, push_number};
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
        self.push(now_ms, Entry::Text(input_line(input)));
    }

    pub(crate) fn subscribe(&mut self, feed: Feed, now_ms: u64) {
        let mut text = line("> subscribe", &[]);
        add_feed(&mut text, feed);
        self.push(now_ms, Entry::Text(text));
    }

    pub(crate) fn release(&mut self, feed: FeedId, now_ms: u64) {
        self.push(now_ms, Entry::Text(line("> release", &[feed.0.into()])));
    }

    pub(crate) fn held(&mut self, feed: FeedId, seq: u64, now_ms: u64) {
        self.push(now_ms, Entry::Text(line("> held", &[feed.0.into(), seq])));
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
        let text = match action {
            Action::FetchToken { request } => line("< fetch_token", &[request.0.into()]),
            Action::OpenSocket { socket } => line("< open", &[socket.0.into()]),
            Action::CloseSocket { socket, code } => line("< close", &[socket.0.into(), code.0.into()]),
            Action::Send { socket, text: sent } => {
                let mut text = line("< send", &[socket.0.into()]);
                add(&mut text, &masked(sent));
                text
            }
        };
        self.push(now_ms, Entry::Text(text));
    }

    /// Everything that is kept, oldest first, under a line that says how the client was made and how many
    /// lines are missing.
    pub(crate) fn report(&self, options: Options) -> String {
        let head = [options.seed, options.linger_ms, options.coalesce_ms, self.dropped];
        let mut text = line("tidegate-client", &head);
        for (at_ms, entry) in &self.lines {
            push(&mut text, "\n");
            push_number(&mut text, *at_ms);
            match entry {
                Entry::Text(line) => add(&mut text, line),
                Entry::Signal { socket, feed, seq, prev, verdict } => {
                    add(&mut text, "> signal");
                    add_numbers(&mut text, &[socket.0.into(), feed.0.into(), *seq, *prev]);
                    add(&mut text, verdict_name(*verdict));
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

/// A line that begins with these words and numbers.
fn line(kind: &str, numbers: &[u64]) -> String {
    let mut text = String::new();
    push(&mut text, kind);
    add_numbers(&mut text, numbers);
    text
}

fn add_numbers(text: &mut String, numbers: &[u64]) {
    for number in numbers {
        push(text, " ");
        push_number(text, *number);
    }
}

fn add(text: &mut String, word: &str) {
    push(text, " ");
    push(text, word);
}

fn add_optional(text: &mut String, number: Option<u64>) {
    match number {
        Some(number) => add_numbers(text, &[number]),
        None => add(text, "-"),
    }
}

fn add_feed(text: &mut String, feed: Feed) {
    push(text, " ");
    push_feed(text, feed, "/");
}

fn input_line(input: &Input) -> String {
    let kind = match input {
        Input::Connect => "> connect",
        Input::Disconnect => "> disconnect",
        Input::NewToken => "> new_token",
        Input::TokenOk { request, token, expires_in_ms } => {
            let mut text = line("> token_ok", &[request.0.into(), mark(token)]);
            add_optional(&mut text, *expires_in_ms);
            return text;
        }
        Input::TokenErr { request, denied } => {
            return line("> token_err", &[request.0.into(), u64::from(*denied)]);
        }
        Input::Open { socket } => return line("> open", &[socket.0.into()]),
        Input::Closed { socket, code, reason } => {
            let mut text = line("> closed", &[socket.0.into(), (*code).into()]);
            for word in reason.split_ascii_whitespace() {
                add(&mut text, word);
            }
            return text;
        }
        Input::Message { socket, fact } => return fact_line(line("> message", &[socket.0.into()]), fact),
        Input::Online => "> online",
        Input::Offline => "> offline",
        Input::Hidden => "> hidden",
        Input::Visible => "> visible",
        Input::Freeze => "> freeze",
        Input::Thaw => "> thaw",
        Input::Tick => "> tick",
    };
    line(kind, &[])
}

fn fact_line(mut text: String, fact: &Fact) -> String {
    let (kind, numbers): (_, &[u64]) = match fact {
        Fact::Connected { expires_in_ms, heartbeat_seconds, limits, .. } => (
            "connected",
            &[
                // The id, which is always this.
                0,
                *expires_in_ms,
                (*heartbeat_seconds).into(),
                limits.messages_per_minute.into(),
                limits.subscriptions_per_connection.into(),
                limits.connections_per_user.into(),
                limits.max_message_bytes.into(),
            ],
        ),
        Fact::Authenticated { id, expires_in_ms } => ("authenticated", &[*id, *expires_in_ms]),
        Fact::AuthError { id, .. } => ("auth_error", &[*id]),
        Fact::Subscribed { id, .. } => ("subscribed", &[*id]),
        Fact::Unsubscribed { id } => ("unsubscribed", &[*id]),
        Fact::Pong { id } => ("pong", &[*id]),
        Fact::Error { id, .. } => ("error", &[*id]),
        Fact::Heartbeat => ("heartbeat", &[]),
        Fact::TokenExpiring => ("token_expiring", &[]),
        Fact::GoingAway { reconnect_after_ms } => ("going_away", &[*reconnect_after_ms]),
        Fact::Other => ("other", &[]),
    };
    add(&mut text, kind);
    add_numbers(&mut text, numbers);
    add_details(&mut text, fact);
    text
}

/// What follows the numbers.
fn add_details(text: &mut String, fact: &Fact) {
    match fact {
        Fact::AuthError { code, .. } => add(text, code.as_str()),
        Fact::Error { code, retry_after_ms, .. } => {
            if let Some(retry_after_ms) = retry_after_ms {
                add_numbers(text, &[*retry_after_ms]);
            }
            add(text, code.as_str());
        }
        Fact::Subscribed { granted, rejected, .. } => {
            for granted in granted {
                add_feed(text, granted.feed);
                add_numbers(text, &[granted.interval_ms, granted.recovered.into()]);
            }
            for rejected in rejected {
                add_feed(text, rejected.feed);
                add(text, rejected.code.as_str());
            }
        }
        _ => {}
    }
}

/// A number that tells whether two tokens are the same, which changes what becomes of the second, and nothing else
/// about them: 16 bits of 256 or more.
fn mark(token: &str) -> u64 {
    fingerprint(token) & 0xFFFF
}

/// A message without what nobody may read.
fn masked(sent: &str) -> String {
    let mut text = String::from(sent);
    for name in ["\"token\":\"", "\"session\":\""] {
        if let Some(start) = text.find(name).map(|at| at + name.len()) {
            let end = start + string_length(&text[start..]);
            text.replace_range(start..end, "…");
        }
    }
    text
}

/// Bytes up to the end of the JSON string in which `rest` begins.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    let ends = |byte: u8| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    };
    rest.bytes().position(ends).unwrap_or(rest.len())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn whatever_a_token_holds_nothing_of_it_is_left() {
        for token in ["eyJ", "", "a\"b", "\\", "\\\"", "\",\"session\":\"x", "\u{1}é"] {
            let sent = wire::authenticate(7, token, Some(token), &[]);
            let expected = wire::authenticate(7, "…", Some("…"), &[]);
            assert_eq!(masked(&sent), expected, "{token:?}");
        }
        assert_eq!(masked(&wire::ping(1)), wire::ping(1));
    }
}
