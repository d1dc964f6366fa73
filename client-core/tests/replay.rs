//! A bug report, played back: the inputs of a `debug_report` make a new client do what the report says.

use tidegate_client_core::{
    Client, Fact, FeedId, Granted, Input, Options, Rejected, RequestId, SocketId, error_code,
};
use tidegate_protocol::{Feed, Limits};

use crate::rig::{Rig, feed, granted};

/// Words of one line.
struct Words<'a>(std::iter::Peekable<std::str::SplitWhitespace<'a>>);

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        Self(line.split_whitespace().peekable())
    }

    fn word(&mut self) -> &'a str {
        self.0.next().expect("a word")
    }

    fn number(&mut self) -> u64 {
        self.word().parse().expect("a number")
    }

    fn small(&mut self) -> u32 {
        self.word().parse().expect("a small number")
    }

    fn optional(&mut self) -> Option<u64> {
        self.word().parse().ok()
    }

    fn feed(&mut self) -> Feed {
        feed(self.word())
    }

    /// The next word, if it is a number.
    fn if_number(&mut self) -> Option<u64> {
        let number = self.0.peek()?.parse().ok()?;
        self.0.next();
        Some(number)
    }

    fn fact(&mut self, client: &Client) -> Fact {
        match self.word() {
            "connected" => Fact::Connected {
                session_id: "…".into(),
                // After the id.
                expires_in_ms: [self.number(), self.number()][1],
                heartbeat_seconds: self.small(),
                limits: Limits {
                    messages_per_minute: self.small(),
                    subscriptions_per_connection: self.small(),
                    connections_per_user: self.small(),
                    max_message_bytes: self.small(),
                },
            },
            "authenticated" => Fact::Authenticated { id: self.number(), expires_in_ms: self.number() },
            "auth_error" => Fact::AuthError { id: self.number(), code: error_code(self.word()) },
            "subscribed" | "rejected" => self.subscribed(client),
            "unsubscribed" => Fact::Unsubscribed { id: self.number() },
            "pong" => Fact::Pong { id: self.number() },
            "error" => Fact::Error {
                id: self.number(),
                retry_after_ms: self.if_number(),
                code: error_code(self.word()),
            },
            "heartbeat" => Fact::Heartbeat,
            "token_expiring" => Fact::TokenExpiring,
            "going_away" => Fact::GoingAway { reconnect_after_ms: self.number() },
            _ => Fact::Other,
        }
    }

    /// Feeds by name or, in the report of a browser, by handle.
    fn subscribed(&mut self, client: &Client) -> Fact {
        let (id, mut granted, mut rejected) = (self.number(), Vec::new(), Vec::new());
        while let Some(name) = self.0.next() {
            let feed = match name.parse() {
                Ok(handle) => client.name_of(FeedId(handle)).expect("a handle that was given out"),
                Err(_) => feed(name),
            };
            match self.if_number() {
                Some(interval_ms) => {
                    granted.push(Granted { feed, interval_ms, recovered: self.number() == 1 });
                }
                None => rejected.push(Rejected { feed, code: error_code(self.word()) }),
            }
        }
        Fact::Subscribed { id, granted, rejected }
    }
}

/// A client to which everything has happened that the report says, in the same order.
pub(crate) fn replay(report: &str) -> Client {
    let mut lines = report.lines();
    let mut head = Words::new(lines.next().expect("a head"));
    assert_eq!(head.word(), "tidegate-client");
    let (seed, linger_ms, coalesce_ms) = (head.number(), head.number(), head.number());
    assert_eq!(head.number(), 0, "the report does not reach back to the beginning");
    let mut client = Client::new(Options { seed, linger_ms, coalesce_ms });
    for line in lines {
        let mut words = Words::new(line);
        let now_ms = words.number();
        if words.word() == ">" {
            replay_line(&mut client, &mut words, now_ms);
        }
    }
    client
}

fn replay_line(client: &mut Client, words: &mut Words<'_>, now_ms: u64) {
    let input = match words.word() {
        "subscribe" => {
            client.subscribe(words.feed(), now_ms);
            return;
        }
        "held" => return client.held(FeedId(words.small()), words.number(), now_ms),
        "release" => return client.release(FeedId(words.small()), now_ms),
        "signal" => {
            let (socket, feed) = (SocketId(words.small()), FeedId(words.small()));
            client.handle_signal(socket, feed, words.number(), words.number(), now_ms);
            return;
        }
        "connect" => Input::Connect,
        "disconnect" => Input::Disconnect,
        "new_token" => Input::NewToken,
        // What cannot be known any more is only compared with itself: any text will do that is the same for the
        // same token.
        "token_ok" => {
            let request = RequestId(words.small());
            let token = format!("token-{}", words.number());
            Input::TokenOk { request, token, expires_in_ms: words.optional() }
        }
        "token_err" => Input::TokenErr { request: RequestId(words.small()), denied: words.number() == 1 },
        "open" => Input::Open { socket: SocketId(words.small()) },
        "closed" => {
            let (socket, code) = (SocketId(words.small()), words.small());
            let reason: Vec<_> = words.0.by_ref().collect();
            Input::Closed { socket, code: u16::try_from(code).unwrap(), reason: reason.join(" ") }
        }
        "message" => Input::Message { socket: SocketId(words.small()), fact: words.fact(client) },
        "online" => Input::Online,
        "offline" => Input::Offline,
        "hidden" => Input::Hidden,
        "visible" => Input::Visible,
        "freeze" => Input::Freeze,
        "thaw" => Input::Thaw,
        "tick" => Input::Tick,
        unknown => panic!("unknown input {unknown}"),
    };
    client.handle(input, now_ms);
}

#[test]
fn a_report_makes_another_client_do_the_same() {
    let (btc, eth) = (feed("BTCUSDT/scalp"), feed("ETHUSDT/momentum"));
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 100, 0);
    rig.signal(ids[0], 400, 300);
    let other = rig.subscribe(eth);
    rig.held(other, 70);
    rig.pass(30);
    for message in rig.sent() {
        rig.fact(granted(message.id(), &[btc], true));
    }
    let reject = Rejected { feed: eth, code: error_code("unknown_symbol") };
    rig.fact(Fact::Subscribed { id: 98, granted: Vec::new(), rejected: vec![reject] });
    rig.fact(Fact::Error { id: 99, code: error_code("rate_limited"), retry_after_ms: Some(1_875) });
    rig.fact(Fact::Error { id: 99, code: error_code("unknown_symbol"), retry_after_ms: None });
    rig.fact(Fact::TokenExpiring);
    rig.input(Input::Closed { socket: rig.socket(), code: 1012, reason: "Server restarting".into() });
    rig.release(other);
    for input in [Input::Offline, Input::Online, Input::Hidden, Input::Visible, Input::Freeze, Input::Thaw] {
        rig.pass(700);
        rig.input(input);
    }
    rig.input(Input::Disconnect);
    assert_replays(&rig.client.debug_report());
}

/// A client that is told what the report says does what the report says.
pub(crate) fn assert_replays(report: &str) {
    let again = replay(report).debug_report();
    // The marks of tokens are those of the tokens that were made up.
    let without_marks = |report: &str| -> Vec<String> {
        let line = |line: &str| match line.split_once(" token_ok ") {
            Some((before, after)) => format!("{before} token_ok {:?}", after.split(' ').nth(2)),
            None => line.to_owned(),
        };
        report.lines().map(line).collect()
    };
    assert_eq!(without_marks(&again), without_marks(report));
}

/// What `npm/src/recorder.ts` wrote of a session with a refused feed, a refresh and a lost connection.
#[test]
fn a_report_of_a_browser_makes_another_client_do_the_same() {
    let report = include_str!("browser-report.txt");
    let again = replay(report).debug_report();
    let actions = |report: &str| -> Vec<String> {
        report.lines().filter(|line| line.contains(" < ")).map(str::to_owned).collect()
    };
    assert!(actions(report).len() >= 10);
    assert_eq!(actions(&again), actions(report));
}

#[test]
fn a_report_holds_the_last_200_lines_and_says_how_many_came_before() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    for seq in 1..=300 {
        rig.signal(ids[0], seq, seq - 1);
    }
    let report = rig.client.debug_report();
    assert_eq!(report.lines().count(), 201);
    assert!(report.ends_with("> signal 1 1 300 299 deliver"), "{report}");
    let dropped: u64 = report.lines().next().unwrap().split(' ').next_back().unwrap().parse().unwrap();
    assert!((100..130).contains(&dropped), "{dropped}");
}
