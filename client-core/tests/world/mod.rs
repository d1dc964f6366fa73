//! A client, a host, a network and a server on virtual time. Faults are switches; `simulation.rs` throws them.

mod host;
mod oracle;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use tidegate_client_core::{Client, Input, Options, RequestId, SocketId, State};
use tidegate_protocol::{Feed, SUBPROTOCOL};

pub(crate) use oracle::{Counts, Oracle};
pub(crate) use server::{Said, Say, Server};

/// What happens at some time.
enum What {
    Opened {
        socket: u32,
    },
    ToServer {
        socket: u32,
        text: String,
    },
    ToClient {
        socket: u32,
        say: Say,
    },
    /// The server notices that the client is gone.
    Gone {
        socket: u32,
    },
    Token {
        request: RequestId,
        answer: Answer,
    },
}

/// What the application answers when asked for a token.
#[derive(Clone)]
pub(crate) enum Answer {
    Token { token: String, expires_in_ms: Option<u64> },
    Failed,
    Denied,
}

/// How the network treats the next dial and all frames.
#[derive(Clone, Copy, Default)]
pub(crate) struct Network {
    pub(crate) refuses: bool,
    /// Dials neither succeed nor fail.
    pub(crate) swallows_dials: bool,
    /// Frames lost of 1,000, in either direction, without any close.
    pub(crate) loses: u64,
    /// Signals of 1,000 that give way to newer ones, because the client reads slowly.
    pub(crate) conflates: u64,
    /// Longest time that a frame takes, in milliseconds.
    pub(crate) latency_ms: u64,
}

/// How the application answers requests for tokens.
#[derive(Clone, Copy, Default)]
pub(crate) struct Application {
    pub(crate) fails: bool,
    pub(crate) hangs: bool,
    pub(crate) denies: bool,
    /// Answers with the token that it gave before.
    pub(crate) repeats: bool,
    pub(crate) delay_ms: u64,
    /// What it believes of the lifetime of its tokens, in milliseconds, beside the truth.
    pub(crate) clock_error_ms: i64,
    pub(crate) ttl_ms: u64,
}

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) network: Network,
    pub(crate) application: Application,
    pub(crate) oracle: Oracle,
    pub(crate) now_ms: u64,
    pub(crate) random: Dice,
    /// The machine sleeps until then: nothing reaches the client, and its timer does not fire.
    asleep_until_ms: u64,
    pub(crate) wanted: bool,
    pub(crate) frozen: bool,
    /// The socket that the host holds.
    socket: Option<u32>,
    open: bool,
    greeted: bool,
    /// Sockets whose network is gone without either side knowing.
    severed: Vec<u32>,
    /// In order of time, and of coming for equal times.
    agenda: BTreeMap<(u64, u64), What>,
    scheduled: u64,
    /// When the last frame of each socket arrives, so that none overtakes another: to server, to client.
    arrivals_ms: BTreeMap<(u32, bool), u64>,
    pub(crate) handles: BTreeMap<Feed, tidegate_client_core::FeedId>,
    pub(crate) references: BTreeMap<Feed, u32>,
    released_ms: BTreeMap<Feed, u64>,
    /// Feeds that the server was asked for on this socket.
    asked: BTreeSet<Feed>,
    last_token: Option<String>,
    gaps: Vec<(u64, u64)>,
}

/// Randomness of the test, apart from that of the client.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Uniform in `0..sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides.max(1)
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

impl World {
    pub(crate) fn new(seed: u64, feeds: &[Feed], speed: u64) -> Self {
        assert_eq!(SUBPROTOCOL, "tidegate.v1");
        Self {
            client: Client::new(Options::new(seed)),
            server: Server::new(feeds, speed),
            network: Network { latency_ms: 60, ..Network::default() },
            application: Application { ttl_ms: 900_000, ..Application::default() },
            oracle: Oracle::default(),
            now_ms: 1_000_000,
            random: Dice::new(seed),
            asleep_until_ms: 0,
            wanted: false,
            frozen: false,
            socket: None,
            open: false,
            greeted: false,
            severed: Vec::new(),
            agenda: BTreeMap::new(),
            scheduled: 0,
            arrivals_ms: BTreeMap::new(),
            handles: BTreeMap::new(),
            references: BTreeMap::new(),
            released_ms: BTreeMap::new(),
            asked: BTreeSet::new(),
            last_token: None,
            gaps: Vec::new(),
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, span_ms: u64) {
        let end_ms = self.now_ms + span_ms;
        loop {
            let wakeup_ms = self.client.next_wakeup_ms().map(|due_ms| due_ms.max(self.asleep_until_ms));
            let agenda_ms = self.agenda.keys().next().map(|(at_ms, _)| *at_ms);
            let server_ms = self.server.next_ms(self.now_ms);
            let next_ms = wakeup_ms.into_iter().chain(agenda_ms).chain([server_ms]).min();
            let next_ms = next_ms.expect("the server always has something").max(self.now_ms);
            if next_ms > end_ms {
                self.now_ms = end_ms;
                return;
            }
            self.now_ms = next_ms;
            self.oracle.counts.steps += 1;
            if server_ms <= next_ms {
                let said = self.server.poll(next_ms);
                self.deliver(said);
            }
            // After sleep, what arrived meanwhile and the timer come in either order.
            let timer_first = self.random.one_in(2);
            if timer_first {
                self.tick_if_due();
            }
            self.work_off_agenda();
            if !timer_first {
                self.tick_if_due();
            }
            self.check();
        }
    }

    fn work_off_agenda(&mut self) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.now_ms {
                return;
            }
            let what = entry.remove();
            let for_client = matches!(what, What::Opened { .. } | What::ToClient { .. } | What::Token { .. });
            if for_client && self.now_ms < self.asleep_until_ms {
                self.schedule(self.asleep_until_ms, what);
            } else {
                self.happen(what);
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Opened { socket } => {
                if self.socket == Some(socket) {
                    self.open = true;
                    self.server.open(socket, self.now_ms);
                    self.input(Input::Open { socket: SocketId(socket) });
                }
            }
            What::ToServer { socket, text } => {
                let said = self.server.receive(socket, &text, self.now_ms);
                self.deliver(said);
            }
            What::ToClient { socket, say } => {
                if self.socket == Some(socket) {
                    self.hear(socket, say);
                }
            }
            What::Gone { socket } => self.server.gone(socket),
            What::Token { request, answer } => {
                if self.oracle.requested_ms.is_some_and(|since_ms| self.now_ms < since_ms + 10_000) {
                    self.oracle.requested_ms = None;
                }
                self.input(match answer {
                    Answer::Token { token, expires_in_ms } => {
                        Input::TokenOk { request, token, expires_in_ms }
                    }
                    Answer::Failed => Input::TokenErr { request, denied: false },
                    Answer::Denied => Input::TokenErr { request, denied: true },
                });
            }
        }
    }

    /// The machine sleeps.
    pub(crate) fn sleep(&mut self, span_ms: u64) {
        self.asleep_until_ms = self.now_ms + span_ms;
    }

    pub(crate) fn is_asleep(&self) -> bool {
        self.now_ms < self.asleep_until_ms
    }

    /// Cuts the connection without either side knowing; the server notices after a minute.
    pub(crate) fn sever(&mut self) {
        if let Some(socket) = self.socket {
            self.severed.push(socket);
            self.schedule(self.now_ms + 60_000, What::Gone { socket });
        }
    }

    /// The server says something to the connection that is up.
    pub(crate) fn say(&mut self, say: Say) {
        let Some(socket) = self.socket else { return };
        if matches!(say, Say::Close { .. }) {
            self.server.gone(socket);
        }
        self.deliver(vec![(socket, say)]);
    }

    fn deliver(&mut self, said: Said) {
        for (socket, say) in said {
            let signal = matches!(say, Say::Signal { .. });
            if signal && self.random.roll(1_000) < self.network.conflates {
                continue;
            }
            self.transmit(socket, false, |socket| What::ToClient { socket, say });
        }
    }

    fn transmit(&mut self, socket: u32, to_server: bool, what: impl FnOnce(u32) -> What) {
        if self.severed.contains(&socket) || self.random.roll(1_000) < self.network.loses {
            return;
        }
        let at_ms = self.now_ms + self.latency_ms();
        let arrival_ms = self.arrivals_ms.entry((socket, to_server)).or_default();
        *arrival_ms = at_ms.max(*arrival_ms);
        let at_ms = *arrival_ms;
        self.schedule(at_ms, what(socket));
    }

    fn latency_ms(&mut self) -> u64 {
        1 + self.random.roll(self.network.latency_ms)
    }

    fn schedule(&mut self, at_ms: u64, what: What) {
        self.scheduled += 1;
        self.agenda.insert((at_ms, self.scheduled), what);
    }

    fn check(&mut self) {
        assert!(self.server.offences.is_empty(), "{:?}", self.server.offences);
        let state = self.client.status().state;
        assert_eq!(self.greeted && self.socket.is_some(), state == State::Live, "{state:?}");
    }

    /// The network forgets what was cut.
    pub(crate) fn heal(&mut self) {
        let severed = std::mem::take(&mut self.severed);
        for socket in severed {
            // What was said meanwhile is lost for good, so the connection has to go too.
            self.server.gone(socket);
            if self.socket == Some(socket) {
                self.schedule(
                    self.now_ms,
                    What::ToClient { socket, say: Say::Close { code: 1006, reason: "" } },
                );
            }
        }
        for socket in self.server.sockets() {
            if self.socket != Some(socket) {
                self.server.gone(socket);
            }
        }
    }
}
