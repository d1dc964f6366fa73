//! The session against a second description of its rules, written in another way: whole logs that are searched, where
//! the session keeps windows and deadlines. Any sequence of messages, steps of time, verdicts, renewals and notices.

use std::sync::Mutex;

use proptest::prelude::{Just, ProptestConfig, Strategy as _, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::tests::{WALL_MS, identity, rules, types};
use super::*;

const SPREAD: Spread = Spread { close_ms: 1_500, reconnect_ms: 5_000 };

#[derive(Clone, Debug)]
enum Step {
    /// Time passes; whatever is due happens when it is due.
    Wait(u64),
    Ping,
    Broken,
    Subscribe(usize),
    Unsubscribe(usize),
    List,
    /// `authenticate`, and what becomes of the token: milliseconds that it lasts and whose it is, or a refusal.
    Authenticate(Option<(u64, usize)>),
    /// Another connection of the user says something.
    Elsewhere,
    Pong,
    Probe,
    Notice(usize),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let token = (1_000_u64..200_000, prop_oneof![9 => Just(0_usize), 1 => Just(1)]);
    let step = prop_oneof![
        6 => prop_oneof![0_u64..300, 0_u64..4_000, 0_u64..40_000].prop_map(Step::Wait),
        6 => Just(Step::Ping),
        1 => Just(Step::Broken),
        3 => (0..13_usize).prop_map(Step::Subscribe),
        2 => (0..13_usize).prop_map(Step::Unsubscribe),
        1 => Just(Step::List),
        2 => prop::option::weighted(0.8, token).prop_map(Step::Authenticate),
        2 => Just(Step::Elsewhere),
        3 => Just(Step::Pong),
        1 => Just(Step::Probe),
    ];
    let end = prop::option::weighted(0.2, (0..4_usize).prop_map(Step::Notice));
    (prop::collection::vec(step, 1..160), end).prop_map(|(mut steps, end)| {
        steps.extend(end);
        // And what follows from it.
        steps.extend([Step::Wait(3_000), Step::Ping, Step::Wait(70_000)]);
        steps
    })
}

/// The rules once more.
struct Model {
    v1: bool,
    now_ms: u64,
    user: Option<usize>,
    expires_ms: u64,
    warn_ms: Option<u64>,
    over: bool,
    leave_ms: Option<u64>,
    /// When messages counted: those of this connection, and those of the user.
    own: Vec<u64>,
    of_user: Vec<u64>,
    refused: Vec<u64>,
    feeds: Vec<usize>,
    heard_ms: u64,
    said_ms: u64,
    ping_ms: u64,
}

/// The first instant at which fewer than `limit` of a log's entries are less than a minute old.
fn free_at(log: &[u64], limit: usize, now_ms: u64) -> u64 {
    let young = |at_ms: u64| log.iter().filter(|entry| **entry + 60_000 > at_ms).count();
    let moments = log.iter().map(|entry| entry + 60_000).filter(|at_ms| *at_ms > now_ms);
    std::iter::once(now_ms).chain(moments).filter(|at_ms| young(*at_ms) < limit).min().expect("all grow old")
}

impl Model {
    fn new(v1: bool) -> Self {
        Self {
            v1,
            now_ms: 0,
            user: None,
            expires_ms: 0,
            warn_ms: None,
            over: false,
            leave_ms: None,
            own: Vec::new(),
            of_user: Vec::new(),
            refused: Vec::new(),
            feeds: Vec::new(),
            heard_ms: 0,
            said_ms: 0,
            ping_ms: 30_000,
        }
    }

    fn close(&mut self, v1: u16, plain: u16, reason: &str) -> String {
        self.over = true;
        format!("close {} {reason}", if self.v1 { v1 } else { plain })
    }

    /// Everything that is due by itself, with its instant.
    fn due(&self) -> u64 {
        if self.over {
            return u64::MAX;
        }
        let mut due = vec![self.ping_ms, self.heard_ms + 60_000];
        due.extend(self.leave_ms);
        match self.user {
            None => due.push(5_000),
            Some(_) => {
                due.push(self.expires_ms);
                due.extend(self.warn_ms);
                if self.v1 {
                    due.push(self.said_ms + 25_000);
                }
            }
        }
        due.into_iter().min().expect("some")
    }

    fn tick(&mut self) -> Vec<String> {
        let now_ms = self.now_ms;
        if now_ms >= self.heard_ms + 60_000 {
            return vec![self.close(1001, 1001, "")];
        }
        if self.leave_ms.is_some_and(|leave_ms| now_ms >= leave_ms) {
            return vec![self.close(1012, 1012, "Server restarting")];
        }
        match self.user {
            None if now_ms >= 5_000 => {
                return vec!["error".into(), self.close(4030, 1008, "Authentication timeout")];
            }
            Some(_) if now_ms >= self.expires_ms => {
                return vec!["error".into(), self.close(4002, 1008, "Token expired")];
            }
            _ => {}
        }
        let mut said = Vec::new();
        if self.warn_ms.take_if(|warn_ms| now_ms >= *warn_ms).is_some() {
            said.push("token_expiring".into());
        }
        if now_ms >= self.ping_ms {
            self.ping_ms = now_ms + 30_000;
            said.push("ping".into());
        }
        if self.user.is_some() && self.v1 && now_ms >= self.said_ms + 25_000 {
            self.said_ms = now_ms;
            said.push("heartbeat".into());
        }
        said
    }

    /// A message that counts, and what is said if it may.
    fn message(&mut self, answer: impl FnOnce(&mut Self) -> Vec<String>) -> Vec<String> {
        if self.over {
            return Vec::new();
        }
        self.heard_ms = self.now_ms;
        let limit_of_user = if self.user.is_some() { 30 } else { usize::MAX };
        let free =
            free_at(&self.own, 30, self.now_ms).max(free_at(&self.of_user, limit_of_user, self.now_ms));
        if free > self.now_ms {
            if free_at(&self.refused, 120, self.now_ms) > self.now_ms {
                return vec!["error".into(), self.close(4003, 1008, "Access denied")];
            }
            self.refused.push(self.now_ms);
            return vec![format!("wait {}", free - self.now_ms)];
        }
        self.own.push(self.now_ms);
        if self.user.is_none() {
            return vec!["error".into()];
        }
        self.of_user.push(self.now_ms);
        answer(self)
    }

    fn authenticate(&mut self, verdict: Option<(u64, usize)>) -> Vec<String> {
        if self.over {
            return Vec::new();
        }
        self.heard_ms = self.now_ms;
        let (lasts_ms, user) = match (verdict, self.user) {
            (None, None) => return vec!["auth_error".into(), self.close(4001, 1008, "Invalid token")],
            (None, Some(_)) => return vec!["auth_error".into()],
            (Some((_, user)), Some(held)) if user != held => return vec!["auth_error".into()],
            (Some(token), _) => token,
        };
        let first = self.user.replace(user).is_none();
        self.expires_ms = self.now_ms + lasts_ms;
        self.warn_ms = self.v1.then(|| self.expires_ms.saturating_sub(60_000).max(self.now_ms));
        self.said_ms = self.now_ms;
        let told = if first { vec!["authenticated", "connected"] } else { vec!["authenticated"] };
        told.into_iter().map(str::to_owned).collect()
    }

    fn subscribe(&mut self, feed: usize) -> Vec<String> {
        if !self.feeds.contains(&feed) && self.feeds.len() == 10 {
            return vec!["error".into()];
        }
        self.feeds.retain(|held| *held != feed);
        self.feeds.push(feed);
        vec!["follow 1".into()]
    }

    fn unsubscribe(&mut self, feed: usize) -> Vec<String> {
        if !self.feeds.contains(&feed) {
            return vec!["error".into()];
        }
        self.feeds.retain(|held| *held != feed);
        vec![format!("unfollow {}/scalp", rules().symbols[feed]), "unsubscribed".into()]
    }

    fn notice(&mut self, which: usize, chance: u32) -> Vec<String> {
        match which {
            0 => vec![self.close(4000, 4000, "Replaced")],
            1 => vec![self.close(4001, 1008, "Session revoked")],
            2 => vec![self.close(1013, 1013, "Too slow")],
            _ if self.over => Vec::new(),
            _ if self.user.is_none() => {
                vec!["going_away".into(), self.close(1012, 1012, "Server restarting")]
            }
            _ => {
                self.leave_ms = Some(self.now_ms + u64::from(chance) % 1_500);
                self.said_ms = self.now_ms;
                vec!["going_away".into()]
            }
        }
    }
}

/// As `types`, with the wait of a refusal in place of its type.
fn told(actions: &[Action]) -> Vec<String> {
    let wait = |action: &Action| match action {
        Action::Send(ServerMessage::Error(error)) => {
            error.payload.retry_after_ms.map(|wait_ms| format!("wait {wait_ms}"))
        }
        _ => None,
    };
    let short =
        |action: &Action| wait(action).unwrap_or_else(|| types(std::slice::from_ref(action)).remove(0));
    actions.iter().map(short).collect()
}

/// The session under test, and what its connection would do around it.
struct Real {
    session: Session,
    window: UserWindow,
}

impl Real {
    fn say(&mut self, message: &Value, now_ms: u64) -> Vec<String> {
        told(&self.session.handle_text(&message.to_string(), now_ms, WALL_MS))
    }

    fn authenticate(&mut self, verdict: Option<(u64, usize)>, now_ms: u64) -> Vec<String> {
        let text = r#"{"type":"authenticate","id":4,"token":"t"}"#;
        let asked = self.session.handle_text(text, now_ms, WALL_MS);
        let [Action::Verify(message)] = asked.as_slice() else { return told(&asked) };
        let verdict = verdict
            .map(|(lasts_ms, user)| identity(["a", "b"][user], i64::try_from(lasts_ms).unwrap()))
            .ok_or(Refusal::InvalidToken);
        if verdict.is_ok() {
            self.session.count_for_user(Arc::clone(&self.window));
        }
        told(&self.session.handle_verified(Some(message), verdict, now_ms, WALL_MS))
    }

    fn notice(&mut self, which: usize, now_ms: u64) -> Vec<String> {
        told(&match which {
            0 => self.session.handle_replaced(),
            1 => self.session.handle_revoked(),
            2 => self.session.handle_too_slow(),
            _ => self.session.handle_shutdown(SPREAD, now_ms),
        })
    }
}

fn feed(feed: usize) -> Value {
    json!({"symbol": rules().symbols[feed], "strategy": "scalp"})
}

fn typed(kind: &str, mut message: Value) -> Value {
    message["type"] = kind.into();
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_session_does_what_the_rules_say_whatever_happens(
        v1 in prop::bool::ANY,
        chance in prop::num::u32::ANY,
        steps in steps(),
    ) {
        let kind = if v1 { ClientKind::V1 } else { ClientKind::Plain };
        let mut model = Model::new(v1);
        let mut real = Real {
            session: Session::new(Uuid::now_v7(), kind, rules(), 0, chance),
            window: Arc::new(Mutex::new(SlidingWindow::new(30, 60_000))),
        };
        for step in steps {
            let (expected, done) = match &step {
                Step::Wait(wait_ms) => {
                    let end_ms = model.now_ms + wait_ms;
                    while model.due().max(model.now_ms) <= end_ms && !model.over {
                        prop_assert_eq!(real.session.next_deadline_ms(), model.due());
                        model.now_ms = model.due().max(model.now_ms);
                        let expected = model.tick();
                        let done = told(&real.session.handle_timeout(model.now_ms, WALL_MS));
                        prop_assert_eq!(done, expected, "at {}", model.now_ms);
                    }
                    model.now_ms = end_ms;
                    (Vec::new(), Vec::new())
                }
                Step::Ping => (
                    model.message(|_| vec!["pong".into()]),
                    real.say(&json!({"type": "ping"}), model.now_ms),
                ),
                Step::Broken => (
                    model.message(|_| vec!["error".into()]),
                    real.say(&json!(["ping"]), model.now_ms),
                ),
                Step::Subscribe(index) => (
                    model.message(|model| model.subscribe(*index)),
                    real.say(&typed("subscribe", feed(*index)), model.now_ms),
                ),
                Step::Unsubscribe(index) => (
                    model.message(|model| model.unsubscribe(*index)),
                    real.say(&typed("unsubscribe", feed(*index)), model.now_ms),
                ),
                Step::List => (
                    model.message(|_| vec!["subscriptions".into()]),
                    real.say(&json!({"type": "list_subscriptions"}), model.now_ms),
                ),
                Step::Authenticate(verdict) => {
                    (model.authenticate(*verdict), real.authenticate(*verdict, model.now_ms))
                }
                Step::Elsewhere => {
                    if real.window.lock().unwrap().try_take(model.now_ms).is_ok() {
                        model.of_user.push(model.now_ms);
                    }
                    (Vec::new(), Vec::new())
                }
                Step::Pong => {
                    model.heard_ms = model.now_ms;
                    real.session.handle_control(model.now_ms);
                    (Vec::new(), Vec::new())
                }
                Step::Probe => {
                    if !model.over {
                        model.ping_ms = model.now_ms + 30_000;
                    }
                    let expected = if model.over { vec![] } else { vec!["ping".to_owned()] };
                    (expected, told(&real.session.handle_probe(model.now_ms)))
                }
                Step::Notice(which) => {
                    (model.notice(*which, chance), real.notice(*which, model.now_ms))
                }
            };
            prop_assert_eq!(done, expected, "{:?} at {}", step, model.now_ms);
            let held: std::collections::BTreeSet<_> = real.session.followed.feeds().iter().map(|feed| feed.symbol).collect();
            let expected = model.feeds.iter().map(|feed| rules().symbols[*feed]).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
