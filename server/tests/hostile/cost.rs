//! What one hostile connection costs: memory and processor time of the gateway as a process of its own.
//!
//! Bounds are those that SECURITY.md promises. The gateway is idle otherwise: one market, in real time.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::late::Late;
use crate::support::measured::{Cost, Measured};
use crate::support::raw::{End, Raw, frame, handshake, header, text};
use crate::support::{OTHER_WALLET, WALLET, token};

const MIB: i64 = 1 << 20;
/// A measurement is over this long, so that a share of a core means something.
const SPAN: Duration = Duration::from_secs(2);

/// What an attacker is told, how its connection ends, and what it has cost: over at least [`SPAN`].
struct Fate {
    code: Option<u16>,
    end: End,
    closed_after: Duration,
    cost: Cost,
}

/// Sends `bytes` over and over on one connection, reads nothing while it can, and then looks at what was said.
async fn flood(gateway: &Measured, path: &str, bytes: &[u8]) -> Fate {
    let chunk = bytes.repeat(65_536 / bytes.len());
    let attack = async {
        let mut raw = Raw::upgraded(gateway.address, path).await;
        let mut sent = 0;
        while sent < (64 << 20) && raw.try_send(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        let closed_after = raw.opened.elapsed();
        let fate = (raw.close_code().await, raw.end().await, closed_after);
        tokio::time::sleep(SPAN.saturating_sub(raw.opened.elapsed())).await;
        fate
    };
    let ((code, end, closed_after), cost) = gateway.cost(attack).await;
    println!("{path:.12} {:02x?}: {code:?} after {closed_after:?}, {cost}", &bytes[..2]);
    Fate { code, end, closed_after, cost }
}

/// A gateway that has served a connection already, so that what is set up once does not count.
async fn warm() -> Measured {
    let gateway = Measured::start(&[]);
    for _ in 0..3 {
        let mut raw = Raw::upgraded(gateway.address, &signed_in(OTHER_WALLET)).await;
        raw.frame().await.expect("connected");
        raw.send(text(&format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "x".repeat(100_000)))).await;
        raw.frame().await.expect("pong");
        raw.send(frame(0x88, &1_000_u16.to_be_bytes())).await;
        raw.end().await;
    }
    gateway
}

fn signed_in(wallet: &str) -> String {
    format!("/ws?token={}", token(wallet))
}

#[tokio::test]
async fn t_44_t_45_d_2_d_3_a_flood_costs_less_than_a_mebibyte_and_two_percent_of_a_core() {
    let late = Late::watch();
    let gateway = warm().await;
    let mut bystander = Raw::upgraded(gateway.address, &signed_in(OTHER_WALLET)).await;
    bystander.frame().await.expect("connected");
    let (ping, empty, byte) = (frame(0x89, &[b'x'; 125]), frame(0x00, b""), frame(0x00, b"x"));
    let begun = [frame(0x01, b"{"), empty.clone()].concat();
    for (name, bytes, code) in [
        ("pings", ping, 1008),
        ("pongs", frame(0x8a, b""), 1008),
        ("zero-length continuations", empty, 1002),
        ("one-byte continuations", byte, 1002),
        ("messages that begin and never end", begun, 1002),
        ("messages of nothing", frame(0x81, b""), 1008),
    ] {
        for path in ["/ws", &signed_in(WALLET)] {
            let fate = flood(&gateway, path, &bytes).await;
            // Before signing in, too much of anything but control frames is a message that is too large.
            let code = if path == "/ws" && !name.starts_with('p') { 1009 } else { code };
            assert_eq!((fate.code, fate.end), (Some(code), End::Closed), "{name} {path}");
            assert!(
                fate.code.is_some() && fate.closed_after < Duration::from_secs(2) + late.by(),
                "{name} {path}"
            );
            assert!(fate.cost.memory < MIB, "{name} {path}: {}", fate.cost);
            assert!(fate.cost.share() < 0.02, "{name} {path}: {}", fate.cost);
        }
    }
    bystander.send(text("{\"type\":\"ping\"}")).await;
    assert!(bystander.frame().await.is_some(), "nobody else is touched");
}

#[tokio::test]
async fn t_45_d_3_a_message_of_empty_fragments_is_cut_off_when_it_should_have_ended() {
    let late = Late::watch();
    let gateway = warm().await;
    let attack = async {
        let mut raw = Raw::upgraded(gateway.address, &signed_in(WALLET)).await;
        raw.send(frame(0x01, b"{")).await;
        let chunk = frame(0x00, b"").repeat(10_000);
        while raw.try_send(&chunk).await.is_ok() {}
        (raw.opened.elapsed(), raw.close_code().await, raw.end().await)
    };
    let ((lived, code, end), cost) = gateway.cost(attack).await;
    println!("empty fragments: {code:?} after {lived:?}, {cost}");
    assert_eq!((code, end), (Some(1013), End::Closed));
    assert!(
        lived >= Duration::from_millis(9_900) && lived < Duration::from_secs(13) + late.by(),
        "{lived:?}"
    );
    assert!(cost.memory < MIB && cost.share() < 0.02, "{cost}");
}

#[tokio::test]
async fn who_sends_without_a_pause_is_read_as_fast_as_its_messages_may_come() {
    let gateway = warm().await;
    let message = text(&format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "x".repeat(100_000)));
    let attack = async {
        let mut raw = Raw::upgraded(gateway.address, &signed_in(WALLET)).await;
        let sending = async {
            let mut sent = 0;
            while raw.try_send(&message).await.is_ok() {
                sent += 1;
            }
            sent
        };
        let _ = tokio::time::timeout(2 * SPAN, sending).await;
    };
    let ((), cost) = gateway.cost(attack).await;
    println!("messages of 100 KB without a pause: {cost}");
    assert!(cost.memory < MIB && cost.share() < 0.02, "{cost}");
}

#[tokio::test]
async fn t_43_d_4_a_hundred_claims_of_sixteen_mebibytes_take_less_than_twenty() {
    let late = Late::watch();
    let gateway = warm().await;
    let claim = |first| [header(first, 16 << 20), vec![b' '; 1_000]].concat();
    let hold = header(0x81, 102_400);
    let attack = async {
        let claims = (0..100).map(async |index| {
            let mut raw = Raw::upgraded(gateway.address, "/ws").await;
            raw.send(claim(if index % 2 == 0 { 0x81 } else { 0x01 })).await;
            raw.close_code().await
        });
        assert!(join_all(claims).await.iter().all(|code| *code == Some(1009)));
        // As much as may be claimed, and then silence: held until nobody has signed in.
        let held = (0..100).map(async |_| {
            let mut raw = Raw::upgraded(gateway.address, "/ws").await;
            raw.send(&hold).await;
            (raw.close_code().await, raw.opened.elapsed())
        });
        for (code, lived) in join_all(held).await {
            assert_eq!(code, Some(1008));
            assert!(lived < Duration::from_secs(6) + late.by(), "{lived:?}");
        }
    };
    let ((), cost) = gateway.cost(attack).await;
    println!("claims: {cost}");
    assert!(cost.memory < 20 * MIB, "{cost}");
}

#[tokio::test]
async fn p_4_an_unauthenticated_connection_lives_five_seconds_and_holds_little() {
    let late = Late::watch();
    let gateway = warm().await;
    let attack = async {
        let connections = (0..200).map(async |_| {
            let mut raw = Raw::upgraded(gateway.address, "/ws").await;
            raw.send([header(0x81, 8_100), vec![b' '; 7_000]].concat()).await;
            (raw.close_code().await, raw.opened.elapsed())
        });
        join_all(connections).await
    };
    let (fates, cost) = gateway.cost(attack).await;
    for (code, lived) in fates {
        assert_eq!(code, Some(1008));
        assert!(
            lived >= Duration::from_millis(4_900) && lived < Duration::from_millis(6_500) + late.by(),
            "{lived:?}"
        );
    }
    let each = cost.memory / 200;
    println!("200 unauthenticated connections: {each} bytes each, {cost}");
    // The eight kibibytes that it may send, and the task, the codec and the session around them.
    assert!(each < 32 * 1_024, "{each} bytes each");
}

#[tokio::test]
async fn t_60_without_file_descriptors_it_goes_on_serving_and_does_not_spin() {
    let mut gateway = Measured::with_files(64, &[]);
    let mut served = Raw::upgraded(gateway.address, &signed_in(WALLET)).await;
    served.frame().await.expect("connected");
    let attack = async {
        let crowd = join_all((0..150).map(|_| Raw::connect(gateway.address))).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(gateway.files() >= 60, "it has run out: {} files", gateway.files());
        served.send(text("{\"type\":\"ping\"}")).await;
        let pong = String::from_utf8(served.frame().await.expect("an answer").payload).unwrap();
        assert!(pong.contains("pong"), "{pong}");
        crowd
    };
    let (crowd, cost) = gateway.cost(attack).await;
    println!("no file descriptors: {cost}");
    assert!(cost.share() < 0.2, "{cost}");
    drop(crowd);
    let mut late = Raw::upgraded(gateway.address, &signed_in(OTHER_WALLET)).await;
    assert!(late.frame().await.is_some(), "and it accepts again");
    assert!(gateway.lives());
}

#[tokio::test]
async fn t_61_before_memory_runs_out_newcomers_get_503_and_everybody_else_goes_on() {
    let idle = Measured::start(&[]).memory() / MIB;
    // A tenth is left when nobody new is let in.
    let megabytes = (idle + 8) * 10 / 9;
    let mut gateway = Measured::start(&[("limits.memory_megabytes", &megabytes.to_string())]);
    let subscriptions = ["scalp", "momentum", "range_trading"]
        .map(|strategy| json!({"symbol": "BTCUSDT", "strategy": strategy, "since": 1}));
    let subscribe = text(&json!({"type": "subscribe", "subscriptions": subscriptions}).to_string());
    let mut held = Vec::new();
    let refused = loop {
        let mut raw = Raw::connect(gateway.address).await;
        let user = format!("0x{:040}", held.len() / 3);
        raw.send(handshake(&format!("/ws?token={}", token(&user)), "")).await;
        let answer = raw.head().await;
        if answer.status != 101 {
            break raw.rest_of(answer).await;
        }
        raw.send(&subscribe).await;
        held.push(raw);
        assert!(held.len() < 15_000, "{} MiB are taken of {megabytes}", gateway.memory() / MIB);
    };
    let taken = gateway.memory() / MIB;
    println!("figure: with {megabytes} MiB, 503 after {} connections, {taken} MiB taken", held.len());
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.head.contains("retry-after: 5") && refused.body.contains("short of memory"),
        "{refused:?}"
    );
    assert!(taken < megabytes, "{taken} of {megabytes} MiB");
    held[0].send(text("{\"type\":\"ping\",\"id\":77}")).await;
    while !String::from_utf8_lossy(&held[0].frame().await.expect("it goes on").payload).contains("\"id\":77")
    {
    }
    let mut health = Raw::connect(gateway.address).await;
    health.send("GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n").await;
    assert_eq!(health.answer().await.status, 200);
    assert!(gateway.lives());
}

#[tokio::test]
async fn d_9_t_58_readers_that_stall_are_cut_off_with_1013_and_can_read_why() {
    let late = Late::watch();
    let gateway = Measured::start(&[("market.speed", "3000"), ("limits.connections_per_user", "100")]);
    let subscribe = text(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "scalp"}).to_string());
    let mut fast = Raw::upgraded(gateway.address, &signed_in(OTHER_WALLET)).await;
    fast.send(&subscribe).await;
    let files = gateway.files();
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::narrow(gateway.address).await;
        raw.upgrade(&signed_in(WALLET)).await;
        raw.send(&subscribe).await;
        stalled.push(raw);
    }
    let started = std::time::Instant::now();
    let all_cut = async {
        while gateway.files() > files {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(started.elapsed() < Duration::from_secs(20) + late.by(), "{} files", gateway.files());
        }
        started.elapsed()
    };
    let mut signals = 0;
    let reading = async {
        loop {
            fast.frame().await.expect("a fast reader is not touched");
            signals += 1;
        }
    };
    let attack = async {
        tokio::select! {
            cut = all_cut => cut,
            () = reading => unreachable!("it reads on"),
        }
    };
    let (cut, cost) = gateway.cost(attack).await;
    println!(
        "figure: 20 readers that stall are gone after {cut:?}: {cost}; the fast one got {signals} signals"
    );
    assert!(cut >= Duration::from_secs(10), "{cut:?}");
    assert!(signals > 100, "{signals}");
    assert!(cost.memory < 20 * MIB, "{cost}");
    // Only now do they look: what was said to them has waited in the kernel.
    let fates = stalled.iter_mut().map(async |raw| (raw.close_code().await, raw.end().await));
    for fate in join_all(fates).await {
        assert_eq!(fate, (Some(1013), End::Closed));
    }
}
