//! A connection on an in-memory transport and virtual time.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use serde_json::{Value, json};
use tidegate_protocol::{CloseCode, Pong, ServerMessage, Strategy};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use super::writing::WRITE_DEADLINE;
use super::*;
use crate::auth::Identity;
use crate::config::Config;
use crate::testing::Wallet;
use crate::ws::guard::Tripped;
use crate::ws::session::ClientKind;

/// Far in the future.
const FIRST_SEQ: u64 = 8_000_000_000_000_000;

/// What makes the wire fail as no peer can.
const PANIC: &str = "panic";

/// Both directions of a socket that never fails, takes nothing while it is stalled, and each message for as long as
/// its pace says.
struct Wire {
    from_client: UnboundedReceiver<Message>,
    to_client: UnboundedSender<Message>,
    stalled: Arc<AtomicBool>,
    pace_ms: Arc<AtomicU64>,
    busy: Option<Pin<Box<Sleep>>>,
}

impl Stream for Wire {
    type Item = Result<Message, tungstenite::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = self.from_client.poll_recv(context);
        assert_ne!(message, Poll::Ready(Some(Message::text(PANIC))), "as a defect of the connection would");
        message.map(|message| message.map(Ok))
    }
}

impl Sink<Message> for Wire {
    type Error = tungstenite::Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.stalled.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if let Some(busy) = &mut self.busy {
            ready!(busy.as_mut().poll(context));
            self.busy = None;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        let _ = self.to_client.send(message);
        let pace_ms = self.pace_ms.load(Ordering::Relaxed);
        self.busy = (pace_ms > 0).then(|| Box::pin(sleep(Duration::from_millis(pace_ms))));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_ready(context)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }
}

struct Harness {
    app: Arc<App>,
    stop: watch::Sender<bool>,
}

struct Peer {
    to_server: UnboundedSender<Message>,
    from_server: UnboundedReceiver<Message>,
    stalled: Arc<AtomicBool>,
    pace_ms: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Harness {
    async fn new() -> Self {
        let mut config = Config::default();
        config.market.symbols = vec!["BTCUSDT".parse().unwrap()];
        let (stop, stopping) = watch::channel(false);
        let opened = crate::open_market(&config).await.unwrap();
        let (app, ..) = crate::build(config, opened, stopping).await.unwrap();
        Self { app, stop }
    }

    /// A v1 connection; signed in if `user` is given.
    fn connect(&self, user: Option<&str>) -> Peer {
        let (to_server, from_client) = unbounded_channel();
        let (to_client, from_server) = unbounded_channel();
        let (stalled, pace_ms) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let wire = Wire {
            from_client,
            to_client,
            stalled: Arc::clone(&stalled),
            pace_ms: Arc::clone(&pace_ms),
            busy: None,
        };
        let place = Arc::clone(&self.app.connections).try_acquire_owned().unwrap();
        let admission = Admission::new(
            Uuid::now_v7(),
            ClientKind::V1,
            crate::auth::Peer::new(([127, 0, 0, 1], 1).into(), &axum::http::HeaderMap::new()),
            None,
            place,
        );
        let expires_at_ms = wall_ms() + 3_600_000;
        let verdict = user.map(|user| {
            let (roles, family) = (vec!["user".into()], "f".into());
            Ok(Identity { user_id: user.into(), roles, family, expires_at_ms })
        });
        let app = Arc::clone(&self.app);
        let task = tokio::spawn(async move { drop(attend(app, wire, admission, verdict).await) });
        Peer { to_server, from_server, stalled, pace_ms, task }
    }

    /// Publishes a stand-in for a signal, later than all that the simulator has published.
    fn publish(&self, number: u64) {
        let seq = FIRST_SEQ + number;
        let feed = Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Momentum };
        let message = |prev: u64| ServerMessage::Pong(Pong { id: number, server_time: prev.to_string() });
        self.app.hub.publish(feed, seq, message);
    }
}

impl Peer {
    fn say(&self, message: &Value) {
        self.to_server.send(Message::text(message.to_string())).unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.from_server.recv().await.expect("the connection lives") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => self.to_server.send(Message::Pong(Bytes::new())).unwrap(),
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    /// The close code, after whatever comes first.
    async fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(Some(frame)) = self.from_server.recv().await.expect("a close frame") {
                return frame.code.into();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t_29_a_silent_connection_is_closed_at_five_seconds_exactly() {
    let harness = Harness::new().await;
    let started = Instant::now();
    let mut peer = harness.connect(None);
    assert_eq!(peer.hear().await["payload"]["code"], "auth_timeout");
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert_eq!(peer.closed().await, 4030);
}

#[tokio::test(start_paused = true)]
async fn the_reply_comes_first_then_the_backlog_then_what_is_live() {
    let harness = Harness::new().await;
    (1..=3).for_each(|seq| harness.publish(seq));
    let mut peer = harness.connect(Some("a"));
    assert_eq!(peer.hear().await["type"], "connected");
    peer.say(
        &json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum", "since": FIRST_SEQ + 1}),
    );
    assert_eq!(peer.hear().await["type"], "subscribed");
    harness.publish(4);
    for seq in 2..=4 {
        assert_eq!(peer.hear().await["id"], seq);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_on_heartbeats_and_pings_until_its_token_ends() {
    let harness = Harness::new().await;
    let started = Instant::now();
    let mut peer = harness.connect(Some("a"));
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let last = loop {
        let message = peer.hear().await;
        let kind = message["type"].as_str().unwrap().to_owned();
        *kinds.entry(kind.clone()).or_default() += 1;
        if kind == "error" {
            break message;
        }
    };
    assert_eq!(last["payload"]["code"], "token_expired");
    assert_eq!(peer.closed().await, 4002);
    assert_eq!(kinds["token_expiring"], 1);
    assert!((60..=144).contains(&kinds["heartbeat"]), "{kinds:?}");
    let lived = started.elapsed();
    assert!(lived <= Duration::from_secs(3_600) && lived > Duration::from_secs(3_598), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_closed_after_ten_seconds_and_delays_nobody() {
    let harness = Harness::new().await;
    let (mut slow, mut fast) = (harness.connect(Some("a")), harness.connect(Some("b")));
    for peer in [&mut slow, &mut fast] {
        peer.hear().await;
        peer.say(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum"}));
        assert_eq!(peer.hear().await["type"], "subscribed");
        assert_eq!(peer.hear().await["type"], "momentum_indicator", "the latest");
    }
    slow.stalled.store(true, Ordering::Relaxed);
    let started = Instant::now();
    for seq in 1..=100 {
        harness.publish(seq);
        assert_eq!(fast.hear().await["id"], seq);
    }
    assert_eq!(started.elapsed(), Duration::ZERO, "virtual time stood still for the fast reader");
    slow.task.await.unwrap();
    let cut = started.elapsed();
    assert!(cut >= WRITE_DEADLINE && cut <= WRITE_DEADLINE + CLOSE_DEADLINE, "{cut:?}");
    let feed = Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Momentum };
    assert_eq!(harness.app.hub.followers(feed), 1, "it follows nothing any more");
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_steady_reader_gets_its_whole_backlog_and_is_heard_meanwhile() {
    let harness = Harness::new().await;
    (1..=100).for_each(|seq| harness.publish(seq));
    let mut peer = harness.connect(Some("a"));
    assert_eq!(peer.hear().await["type"], "connected");
    peer.pace_ms.store(1_000, Ordering::Relaxed);
    let since = FIRST_SEQ + 1;
    peer.say(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum", "since": since}));
    assert_eq!(peer.hear().await["type"], "subscribed");
    let (mut last, mut answered_after) = (1, None);
    peer.say(&json!({"type": "ping", "id": 1_000}));
    while last < 100 {
        match peer.hear().await["id"].as_u64().unwrap() {
            1_000 => answered_after = Some(last),
            seq => {
                assert_eq!(seq, last + 1);
                last = seq;
            }
        }
    }
    assert!(answered_after.is_some_and(|last| last < 100), "{answered_after:?}");
    assert!(!peer.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_was_resumed_with_is_not_sent_after_unsubscribing_nor_twice() {
    let harness = Harness::new().await;
    (1..=100).for_each(|seq| harness.publish(seq));
    let mut peer = harness.connect(Some("a"));
    assert_eq!(peer.hear().await["type"], "connected");
    peer.pace_ms.store(100, Ordering::Relaxed);
    let subscribe = |since| json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum", "since": FIRST_SEQ + since});
    peer.say(&subscribe(1));
    peer.say(&subscribe(50));
    peer.say(&json!({"type": "unsubscribe", "symbol": "BTCUSDT", "strategy": "momentum"}));
    let mut seen = Vec::new();
    loop {
        let message = peer.hear().await;
        match message["type"].as_str().unwrap() {
            "unsubscribed" => break,
            "subscribed" => seen.clear(),
            _ => seen.push(message["id"].as_u64().unwrap()),
        }
    }
    let expected: Vec<_> = (51..).take(seen.len()).collect();
    assert_eq!(seen, expected, "asked again, it begins where it was asked to");
    peer.say(&json!({"type": "ping", "id": 7}));
    assert_eq!(peer.hear().await["type"], "pong", "nothing comes of what was given up");
    assert_eq!(peer.from_server.try_recv().ok(), None);
}

#[test]
fn a_message_that_stalls_is_no_reason_to_stay_away_and_flooding_is() {
    let close = |tripped| {
        let error = tungstenite::Error::Io(std::io::Error::other(tripped));
        error.refusal(1_024).map(|refusal| refusal.close().0)
    };
    assert_eq!(close(Tripped::Unfinished), Some(CloseCode::TRY_AGAIN_LATER));
    assert_eq!(close(Tripped::ControlFrames), Some(CloseCode::FORBIDDEN));
    assert_eq!(close(Tripped::Unauthenticated), Some(CloseCode::MESSAGE_TOO_BIG));
}

#[tokio::test(start_paused = true)]
async fn everything_a_connection_holds_is_given_back() {
    let harness = Harness::new().await;
    let all = harness.app.connections.available_permits();
    let mut peer = harness.connect(None);
    let wallet = Wallet::new(1).address().to_checksum(None);
    let token = harness.app.tokens.mint(&wallet, &["user"], "sid", "jti", wall_ms()).token;
    peer.say(&json!({"type": "authenticate", "token": token,
        "subscriptions": [{"symbol": "BTCUSDT", "strategy": "momentum"}]}));
    for kind in ["authenticated", "connected", "subscribed"] {
        assert_eq!(peer.hear().await["type"], kind);
    }
    assert_eq!(
        (harness.app.permits.census().connections, harness.app.connections.available_permits()),
        (1, all - 1)
    );
    drop(peer.to_server);
    peer.task.await.unwrap();
    assert_eq!(
        (harness.app.permits.census().connections, harness.app.connections.available_permits()),
        (0, all)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopping_gateway_says_goodbye_to_every_connection() {
    let harness = Harness::new().await;
    let mut peers: Vec<_> = (0..50).map(|index| harness.connect(Some(&format!("user {index}")))).collect();
    for peer in &mut peers {
        peer.hear().await;
    }
    harness.stop.send(true).unwrap();
    let mut waits = std::collections::BTreeSet::new();
    for peer in &mut peers {
        let away = peer.hear().await;
        assert_eq!(away["type"], "going_away");
        waits.insert(away["payload"]["reconnect_after_ms"].as_u64().unwrap());
        assert_eq!(peer.closed().await, 1012);
    }
    assert!(waits.len() > 25, "they come back spread out: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn t_21_a_revoked_session_is_closed_at_once_and_its_token_is_refused() {
    let harness = Harness::new().await;
    let wallet = Wallet::new(1).address().to_checksum(None);
    let token = |sid| harness.app.tokens.mint(&wallet, &["user"], sid, "jti", wall_ms()).token;
    let [revoked, kept] = ["one", "other"].map(token);
    let family = harness.app.tokens.verify(&revoked, wall_ms()).unwrap().family;
    let [mut one, mut other] = [harness.connect(None), harness.connect(None)];
    for (peer, token) in [(&mut one, &revoked), (&mut other, &kept)] {
        peer.say(&json!({"type": "authenticate", "token": token}));
        assert_eq!(peer.hear().await["type"], "authenticated");
        assert_eq!(peer.hear().await["type"], "connected");
    }
    let started = Instant::now();
    harness.app.revoke(&family);
    assert_eq!(one.closed().await, 4001);
    assert_eq!(started.elapsed(), Duration::ZERO, "no waiting");
    let mut again = harness.connect(None);
    again.say(&json!({"type": "authenticate", "token": revoked}));
    assert_eq!(again.hear().await["payload"]["code"], "invalid_token");
    other.say(&json!({"type": "authenticate", "token": revoked}));
    assert_eq!(other.hear().await["type"], "auth_error", "and it renews nothing");
    other.say(&json!({"type": "ping"}));
    assert_eq!(other.hear().await["type"], "pong");
}

#[tokio::test(start_paused = true)]
async fn t_21_a_revoked_session_that_reads_nothing_is_closed_at_once_as_well() {
    let harness = Harness::new().await;
    let wallet = Wallet::new(1).address().to_checksum(None);
    let token = harness.app.tokens.mint(&wallet, &["user"], "sid", "jti", wall_ms()).token;
    let family = harness.app.tokens.verify(&token, wall_ms()).unwrap().family;
    let mut peer = harness.connect(None);
    peer.say(&json!({"type": "authenticate", "token": token,
        "subscriptions": [{"symbol": "BTCUSDT", "strategy": "momentum"}]}));
    for kind in ["authenticated", "connected", "subscribed", "momentum_indicator"] {
        assert_eq!(peer.hear().await["type"], kind);
    }
    peer.stalled.store(true, Ordering::Relaxed);
    harness.publish(1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    harness.app.revoke(&family);
    peer.task.await.unwrap();
    assert!(started.elapsed() <= CLOSE_DEADLINE, "{:?}", started.elapsed());
    assert_eq!(harness.app.permits.census().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn t_39_d_10_a_peer_that_answers_nothing_is_gone_after_sixty_seconds() {
    let harness = Harness::new().await;
    let wallet = Wallet::new(1).address().to_checksum(None);
    let token = harness.app.tokens.mint(&wallet, &["user"], "sid", "jti", wall_ms()).token;
    let mut peer = harness.connect(None);
    peer.say(&json!({"type": "authenticate", "token": token}));
    let started = Instant::now();
    let mut pings = 0;
    // What the gateway writes goes out, and nothing ever comes back: half of the connection is gone.
    while let Some(message) = peer.from_server.recv().await {
        pings += usize::from(matches!(message, Message::Ping(_)));
    }
    peer.task.await.unwrap();
    assert_eq!((started.elapsed(), pings), (Duration::from_secs(60), 1), "asked once, then given up");
    assert_eq!(harness.app.permits.census().connections, 0, "and its place is free");
}

#[tokio::test(start_paused = true)]
async fn t_59_who_stops_reading_for_five_seconds_gets_what_is_latest_and_sees_what_is_missing() {
    let harness = Harness::new().await;
    let mut peer = harness.connect(Some("a"));
    assert_eq!(peer.hear().await["type"], "connected");
    peer.say(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum"}));
    assert_eq!(peer.hear().await["type"], "subscribed");
    let _latest = peer.hear().await;
    // What is written next takes five seconds, as with a reader that has stopped.
    peer.pace_ms.store(5_000, Ordering::Relaxed);
    for seq in 1..=500 {
        harness.publish(seq);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    peer.pace_ms.store(0, Ordering::Relaxed);
    let (mut seqs, mut told) = (vec![0], 0);
    while *seqs.last().unwrap() < 500 {
        let signal = peer.hear().await;
        let (seq, prev) = (signal["id"].as_u64().unwrap(), signal["server_time"].as_str().unwrap());
        let prev = prev.parse::<u64>().unwrap().saturating_sub(FIRST_SEQ);
        let last = *seqs.last().unwrap();
        assert!(seq > last && prev >= last, "{seq} after {last}, with {prev} before it");
        told += u64::from(prev > last);
        seqs.push(seq);
    }
    assert!(told > 0, "some gave way, and `prev` shows it: {seqs:?}");
    assert!(seqs.len() < 100, "what is old gives way: {seqs:?}");
    assert!(!peer.task.is_finished(), "five seconds are no reason to close");
}

#[tokio::test(start_paused = true)]
async fn t_38_a_place_is_taken_from_who_does_not_answer_for_two_seconds_and_from_nobody_else() {
    let harness = Harness::new().await;
    let wallet = Wallet::new(1).address().to_checksum(None);
    let token = || harness.app.tokens.mint(&wallet, &["user"], "sid", "jti", wall_ms()).token;
    let authenticate = || json!({"type": "authenticate", "id": 9, "token": token()});
    let mut held = [harness.connect(None), harness.connect(None), harness.connect(None)];
    for peer in &mut held {
        peer.say(&authenticate());
        assert_eq!(peer.hear().await["type"], "authenticated");
        assert_eq!(peer.hear().await["type"], "connected");
    }
    let started = Instant::now();
    // They answer because their test reads; it does not while the fourth is asked about.
    let mut fourth = harness.connect(None);
    fourth.say(&authenticate());
    let answering = async {
        for peer in &mut held {
            while !matches!(peer.from_server.recv().await, Some(Message::Ping(_))) {}
            peer.to_server.send(Message::Pong(Bytes::new())).unwrap();
        }
    };
    let (told, ()) = tokio::join!(fourth.hear(), answering);
    assert_eq!(told["payload"]["code"], "connection_limit");
    assert_eq!((fourth.closed().await, started.elapsed()), (4008, Duration::ZERO), "as soon as all answered");

    let [mut first, mut second, third] = held;
    second.stalled.store(true, Ordering::Relaxed);
    let mut fifth = harness.connect(None);
    fifth.say(&authenticate());
    let answering = async {
        for peer in [&mut first] {
            while !matches!(peer.from_server.recv().await, Some(Message::Ping(_))) {}
            peer.to_server.send(Message::Pong(Bytes::new())).unwrap();
        }
    };
    let (told, ()) = tokio::join!(fifth.hear(), answering);
    assert_eq!((told["type"].as_str(), started.elapsed()), (Some("authenticated"), Duration::from_secs(2)));
    second.stalled.store(false, Ordering::Relaxed);
    assert_eq!(second.closed().await, 4008, "it was only slow, and may come back");
    second.task.await.unwrap();
    assert_eq!(harness.app.permits.census().connections, 3, "the place of the one that was stuck");
    assert!(!third.task.is_finished(), "only one had to go");
}

#[tokio::test(start_paused = true)]
async fn t_38_who_takes_what_waits_for_it_keeps_the_place_without_an_answer() {
    let harness = Harness::new().await;
    (1..=40).for_each(|seq| harness.publish(seq));
    let wallet = Wallet::new(1).address().to_checksum(None);
    let token = harness.app.tokens.mint(&wallet, &["user"], "sid", "jti", wall_ms()).token;
    let authenticate = json!({"type": "authenticate", "id": 9, "token": token});
    let mut held = [harness.connect(None), harness.connect(None), harness.connect(None)];
    for peer in &mut held {
        peer.say(&authenticate);
        assert_eq!(peer.hear().await["type"], "authenticated");
        assert_eq!(peer.hear().await["type"], "connected");
        peer.pace_ms.store(1_500, Ordering::Relaxed);
        let since = FIRST_SEQ + 1;
        peer.say(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum", "since": since}));
        assert_eq!(peer.hear().await["type"], "subscribed");
    }
    let mut fourth = harness.connect(None);
    fourth.say(&authenticate);
    assert_eq!(fourth.hear().await["payload"]["code"], "connection_limit");
    assert_eq!(fourth.closed().await, 4008);
}

#[tokio::test(start_paused = true)]
async fn t_63_a_panic_in_one_connection_closes_that_one_with_1011_and_gives_its_places_back() {
    let harness = Harness::new().await;
    let all = harness.app.connections.available_permits();
    let (mut broken, mut other) = (harness.connect(Some("a")), harness.connect(Some("b")));
    for peer in [&mut broken, &mut other] {
        peer.hear().await;
        peer.say(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "momentum"}));
        assert_eq!(peer.hear().await["type"], "subscribed");
    }
    broken.to_server.send(Message::text(PANIC)).unwrap();
    assert_eq!(broken.closed().await, 1011);
    broken.task.await.unwrap();
    let feed = Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Momentum };
    assert_eq!(harness.app.hub.followers(feed), 1, "nobody goes on queueing for it");
    assert_eq!(harness.app.connections.available_permits(), all - 1);
    harness.publish(1);
    while other.hear().await["id"] != 1 {}
}

impl Peer {
    /// The next message that is no heartbeat.
    async fn hear_news(&mut self) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] != "heartbeat" {
                return message;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t_22_a_token_is_renewed_in_band_narrowed_at_once_and_ends_its_connection() {
    let harness = Harness::new().await;
    let [own, other] = [1, 2].map(|number| Wallet::new(number).address().to_checksum(None));
    let authenticate = |wallet: &str, roles: &[&str], seconds: u64| {
        let minted = harness.app.tokens.mint_lasting(seconds, wallet, roles, "sid", "jti", wall_ms());
        json!({"type": "authenticate", "id": 1, "token": minted.token})
    };
    // Tokens end at whole seconds.
    let about = |elapsed: Duration, seconds: u64| {
        let left = Duration::from_secs(seconds).checked_sub(elapsed).expect("not later");
        assert!(left <= Duration::from_millis(1_500), "{elapsed:?}, not {seconds} s");
    };
    let mut peer = harness.connect(None);
    peer.say(&authenticate(&own, &["user"], 300));
    assert_eq!(peer.hear_news().await["type"], "authenticated");
    assert_eq!(peer.hear_news().await["type"], "connected");
    peer.say(&json!({"type": "subscribe", "id": 2, "symbol": "BTCUSDT", "strategy": "momentum"}));
    assert_eq!(peer.hear_news().await["type"], "subscribed");
    let _latest = peer.hear_news().await;

    let started = Instant::now();
    assert_eq!(peer.hear_news().await["type"], "token_expiring");
    about(started.elapsed(), 240);
    peer.say(&authenticate(&other, &["user"], 300));
    let mismatch = peer.hear_news().await;
    assert_eq!(
        (&mismatch["type"], &mismatch["payload"]["code"]),
        (&json!("auth_error"), &json!("identity_mismatch"))
    );
    peer.say(&authenticate(&own, &["user"], 600));
    let renewed = peer.hear_news().await;
    assert_eq!((&renewed["type"], &renewed["id"]), (&json!("authenticated"), &json!(1)));
    assert!(renewed["payload"]["expires_in_ms"].as_u64().unwrap() > 598_000, "{renewed}");
    harness.publish(1);
    assert_eq!(peer.hear_news().await["id"], 1, "the subscription goes on");

    let renewed_at = Instant::now();
    assert_eq!(peer.hear_news().await["type"], "token_expiring", "and the old end is forgotten");
    about(renewed_at.elapsed(), 540);
    peer.say(&authenticate(&own, &[], 120));
    assert_eq!(peer.hear_news().await["type"], "authenticated");
    let narrowed_at = Instant::now();
    assert_eq!(peer.hear_news().await["payload"]["code"], "forbidden");
    harness.publish(2);
    peer.say(&json!({"type": "ping", "id": 9}));
    assert_eq!(peer.hear_news().await["id"], 9, "no signal comes any more");
    assert_eq!(peer.hear_news().await["type"], "token_expiring");
    let expired = peer.hear_news().await;
    assert_eq!((&expired["type"], &expired["payload"]["code"]), (&json!("error"), &json!("token_expired")));
    about(narrowed_at.elapsed(), 120);
    assert_eq!(peer.closed().await, 4002);
}
