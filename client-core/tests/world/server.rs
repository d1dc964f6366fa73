//! A model of the server: everything of the protocol that a client can notice, and every way to fail it.

use std::collections::{BTreeMap, VecDeque};

use tidegate_client_core::{Fact, Granted, Rejected};
use tidegate_protocol::{
    ClientMessage, CloseCode, ErrorCode, Feed, FeedRequest, Limits, RATE_WINDOW_MS, SlidingWindow,
};

use crate::rig::requested;

/// Signals kept per feed: few, so that a long absence cannot be resumed.
const HISTORY: usize = 12;

/// What the server says to one socket.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Fact(Fact),
    Signal { feed: Feed, seq: u64, prev: u64 },
    Close { code: u16, reason: &'static str },
}

/// What is said, and to whom.
pub(crate) type Said = Vec<(u32, Say)>;

pub(crate) struct Server {
    pub(crate) limits: Limits,
    /// Places that other connections of the user hold.
    pub(crate) others: u32,
    /// A `connected` has reached the client: it knows how many feeds there may be.
    pub(crate) told_limits: bool,
    /// Accepts a connection and then says nothing.
    pub(crate) mute: bool,
    /// Every interval is a multiple of it.
    beat_ms: u64,
    connections: BTreeMap<u32, Connection>,
    feeds: BTreeMap<Feed, Line>,
    tokens: BTreeMap<String, u64>,
    sessions: u32,
    /// Rules of the protocol that the client broke.
    pub(crate) offences: Vec<String>,
}

/// All signals of a feed, ever.
struct Line {
    interval_ms: u64,
    seqs: Vec<u64>,
}

struct Connection {
    opened_ms: u64,
    said_ms: u64,
    window: SlidingWindow,
    /// Set by `authenticate`.
    user: Option<User>,
    following: Vec<Feed>,
}

struct User {
    session: String,
    expires_ms: u64,
    warned: bool,
}

impl Server {
    pub(crate) fn new(feeds: &[Feed], speed: u64) -> Self {
        let line = |feed: &Feed| {
            let interval_ms = feed.strategy.interval_ms() / speed;
            (*feed, Line { interval_ms, seqs: Vec::new() })
        };
        Self {
            limits: Limits::default(),
            others: 0,
            told_limits: false,
            mute: false,
            beat_ms: 30_000 / speed,
            connections: BTreeMap::new(),
            feeds: feeds.iter().map(line).collect(),
            tokens: BTreeMap::new(),
            sessions: 0,
            offences: Vec::new(),
        }
    }

    /// A token that is good until `expires_ms`.
    pub(crate) fn mint(&mut self, expires_ms: u64) -> String {
        let token = format!("secret-{}", self.tokens.len());
        self.tokens.insert(token.clone(), expires_ms);
        token
    }

    pub(crate) fn revoke_all(&mut self) {
        self.tokens.values_mut().for_each(|expires_ms| *expires_ms = 0);
    }

    /// Every signal of a feed so far.
    pub(crate) fn truth(&self, feed: Feed) -> &[u64] {
        &self.feeds[&feed].seqs
    }

    pub(crate) fn following(&self, socket: u32) -> Vec<Feed> {
        self.connections.get(&socket).map(|connection| connection.following.clone()).unwrap_or_default()
    }

    pub(crate) fn sockets(&self) -> Vec<u32> {
        self.connections.keys().copied().collect()
    }

    pub(crate) fn open(&mut self, socket: u32, now_ms: u64) {
        let limit = usize::try_from(self.limits.messages_per_minute).unwrap();
        let window = SlidingWindow::new(limit, RATE_WINDOW_MS);
        let connection =
            Connection { opened_ms: now_ms, said_ms: now_ms, window, user: None, following: Vec::new() };
        self.connections.insert(socket, connection);
    }

    /// The server notices that a connection is gone.
    pub(crate) fn gone(&mut self, socket: u32) {
        self.connections.remove(&socket);
    }

    /// When something is due by itself.
    pub(crate) fn next_ms(&self, now_ms: u64) -> u64 {
        let signal = [(now_ms / self.beat_ms + 1) * self.beat_ms].into_iter();
        let heartbeat = self.connections.values().map(|connection| match &connection.user {
            Some(user) => user.expires_ms.min(connection.said_ms + 25_000),
            None => connection.opened_ms + 5_000,
        });
        signal.chain(heartbeat).min().unwrap_or(u64::MAX).max(now_ms + 1)
    }

    /// Signals, heartbeats and deadlines.
    pub(crate) fn poll(&mut self, now_ms: u64) -> Said {
        let mut said = Vec::new();
        for (feed, line) in &mut self.feeds {
            if now_ms.is_multiple_of(line.interval_ms) && line.seqs.last() != Some(&now_ms) {
                let prev = line.seqs.last().copied().unwrap_or(0);
                line.seqs.push(now_ms);
                for (socket, connection) in &self.connections {
                    if connection.following.contains(feed) {
                        said.push((*socket, Say::Signal { feed: *feed, seq: now_ms, prev }));
                    }
                }
            }
        }
        for (socket, connection) in &mut self.connections {
            let say = connection.due(now_ms);
            said.extend(say.into_iter().map(|say| (*socket, say)));
        }
        self.said(said, now_ms)
    }

    /// A message arrives.
    pub(crate) fn receive(&mut self, socket: u32, text: &str, now_ms: u64) -> Said {
        let mute = self.mute;
        let Some(connection) = self.connections.get_mut(&socket) else { return Vec::new() };
        let message = match ClientMessage::parse(text) {
            Ok(message) => message,
            Err(problem) => {
                self.offences.push(format!("{problem} in {text}"));
                return Vec::new();
            }
        };
        let authenticate = matches!(message, ClientMessage::Authenticate(_));
        if !authenticate && connection.user.is_none() {
            // Not an offence in itself: the `authenticate` before it may have been lost.
            return Vec::new();
        }
        if !authenticate && connection.window.try_take(now_ms).is_err() {
            self.offences.push(format!("over the rate limit with {text}"));
        }
        let said = if mute { Vec::new() } else { self.answer(socket, message, now_ms) };
        self.said(said, now_ms)
    }

    fn answer(&mut self, socket: u32, message: ClientMessage, now_ms: u64) -> Said {
        let id = message.id();
        match message {
            ClientMessage::Authenticate(message) => {
                let mut said =
                    self.authenticate(socket, id, &message.token, message.session.as_deref(), now_ms);
                let requests = message.subscriptions.unwrap_or_default();
                if !requests.is_empty() && said.iter().any(|(_, say)| is_connected(say)) {
                    said.extend(self.subscribe(socket, id, &requests));
                }
                said
            }
            ClientMessage::Subscribe(message) => self.subscribe(socket, id, &message.requests()),
            ClientMessage::Unsubscribe(message) => {
                let connection = self.connections.get_mut(&socket).expect("it sent something");
                for request in message.requests() {
                    connection.following.retain(|feed| *feed != requested(&request));
                }
                vec![(socket, Say::Fact(Fact::Unsubscribed { id }))]
            }
            ClientMessage::ListSubscriptions(_) => vec![(socket, Say::Fact(Fact::Other))],
            ClientMessage::Ping(_) => vec![(socket, Say::Fact(Fact::Pong { id }))],
        }
    }

    fn authenticate(
        &mut self,
        socket: u32,
        id: u64,
        token: &str,
        session: Option<&str>,
        now_ms: u64,
    ) -> Said {
        let expires_ms = self.tokens.get(token).copied().unwrap_or(0);
        let refused = match expires_ms {
            0 => Some((ErrorCode::InvalidToken, CloseCode::UNAUTHENTICATED.0)),
            _ if expires_ms <= now_ms => Some((ErrorCode::TokenExpired, CloseCode::TOKEN_EXPIRED.0)),
            _ => None,
        };
        if let Some((code, close)) = refused {
            let close = Say::Close { code: close, reason: "Invalid token" };
            return vec![(socket, Say::Fact(Fact::AuthError { id, code })), (socket, close)];
        }
        let expires_in_ms = expires_ms - now_ms;
        let authenticated = (socket, Say::Fact(Fact::Authenticated { id, expires_in_ms }));
        if let Some(user) = &mut self.connections.get_mut(&socket).expect("it sent something").user {
            (user.expires_ms, user.warned) = (expires_ms, false);
            return vec![authenticated];
        }
        let mut said = self.take_over(session);
        if self.places_taken() >= self.limits.connections_per_user {
            let code = ErrorCode::ConnectionLimit;
            said.push((socket, Say::Fact(Fact::Error { id, code, retry_after_ms: None })));
            said.push((socket, Say::Close { code: 4008, reason: "Max connections reached" }));
            return said;
        }
        self.sessions += 1;
        let session = format!("secret-session-{}", self.sessions);
        let user = User { session: session.clone(), expires_ms, warned: false };
        self.connections.get_mut(&socket).expect("it sent something").user = Some(user);
        let limits = self.limits;
        let connected = Fact::Connected { session_id: session, expires_in_ms, heartbeat_seconds: 25, limits };
        said.extend([authenticated, (socket, Say::Fact(connected))]);
        said
    }

    fn take_over(&mut self, session: Option<&str>) -> Said {
        let held = |connection: &Connection| {
            session.is_some() && connection.user.as_ref().map(|user| user.session.as_str()) == session
        };
        let old = self.connections.iter().find(|(_, connection)| held(connection)).map(|(old, _)| *old);
        let Some(old) = old else { return Vec::new() };
        self.connections.remove(&old);
        vec![(old, Say::Close { code: 4000, reason: "Replaced" })]
    }

    fn places_taken(&self) -> u32 {
        let mine = self.connections.values().filter(|connection| connection.user.is_some()).count();
        self.others + u32::try_from(mine).unwrap()
    }

    fn subscribe(&mut self, socket: u32, id: u64, requests: &[FeedRequest]) -> Said {
        let limit = usize::try_from(self.limits.subscriptions_per_connection).unwrap();
        let connection = self.connections.get_mut(&socket).expect("it sent something");
        let (mut granted, mut rejected, mut signals) = (Vec::new(), Vec::new(), Vec::new());
        for request in requests {
            let feed = requested(request);
            let Some(line) = self.feeds.get(&feed) else {
                rejected.push(Rejected { feed, code: ErrorCode::UnknownSymbol });
                continue;
            };
            if !connection.following.contains(&feed) {
                if connection.following.len() == limit {
                    if self.told_limits {
                        self.offences.push(format!("more than {limit} subscriptions with {feed}"));
                    }
                    rejected.push(Rejected { feed, code: ErrorCode::SubscriptionLimit });
                    continue;
                }
                connection.following.push(feed);
            }
            let (recovered, replay) = line.since(request.since);
            granted.push(Granted { feed, interval_ms: line.interval_ms, recovered });
            signals.extend(replay.into_iter().map(|(seq, prev)| (socket, Say::Signal { feed, seq, prev })));
        }
        let mut said = vec![(socket, Say::Fact(Fact::Subscribed { id, granted, rejected }))];
        said.extend(signals);
        said
    }

    /// Notes when something was last said, and forgets connections that were closed.
    fn said(&mut self, said: Said, now_ms: u64) -> Said {
        for (socket, say) in &said {
            if matches!(say, Say::Close { .. }) {
                self.connections.remove(socket);
            } else if let Some(connection) = self.connections.get_mut(socket) {
                connection.said_ms = now_ms;
            }
        }
        said
    }
}

impl Connection {
    fn due(&mut self, now_ms: u64) -> Vec<Say> {
        let Some(user) = &mut self.user else {
            let overdue = now_ms >= self.opened_ms + 5_000;
            let close = Say::Close { code: 4030, reason: "Authentication timeout" };
            return Vec::from_iter(overdue.then_some(close));
        };
        if now_ms >= user.expires_ms {
            return vec![Say::Close { code: 4002, reason: "Token expired" }];
        }
        if !user.warned && now_ms + 60_000 >= user.expires_ms {
            user.warned = true;
            return vec![Say::Fact(Fact::TokenExpiring)];
        }
        let silent = now_ms >= self.said_ms + 25_000;
        Vec::from_iter(silent.then_some(Say::Fact(Fact::Heartbeat)))
    }
}

impl Line {
    /// Whether everything after `since` is kept, and what is sent for it: (seq, prev), oldest first.
    fn since(&self, since: Option<u64>) -> (bool, Vec<(u64, u64)>) {
        let pairs: VecDeque<(u64, u64)> =
            self.seqs.iter().enumerate().map(|(index, seq)| (*seq, self.before(index))).collect();
        let kept = pairs.len().saturating_sub(HISTORY);
        let reaches_back = |since: u64| {
            pairs.get(kept).is_none_or(|(_, prev)| *prev <= since)
                && self.seqs.last().is_some_and(|last| since <= *last)
        };
        match since.filter(|since| reaches_back(*since)) {
            Some(since) => (true, pairs.into_iter().filter(|(seq, _)| *seq > since).collect()),
            None => (false, pairs.back().copied().into_iter().collect()),
        }
    }

    fn before(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |index| self.seqs[index])
    }
}

fn is_connected(say: &Say) -> bool {
    matches!(say, Say::Fact(Fact::Connected { .. }))
}
