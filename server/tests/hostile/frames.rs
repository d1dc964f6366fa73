//! What comes after the upgrade: frames that break the protocol, and messages that are none.

use std::time::Duration;

use serde_json::json;

use crate::support::late::Late;
use crate::support::raw::{End, Frame, Raw, frame, header, text};
use crate::support::{Gateway, WALLET, config, token};

/// A signed-in connection that has heard `connected`.
async fn signed_in(gateway: &Gateway) -> Raw {
    let mut raw = Raw::upgraded(gateway.address, &format!("/ws?token={}", token(WALLET))).await;
    raw.frame().await.expect("connected");
    raw
}

/// Sends these bytes on a connection of its own and says which close code arrives, and how the connection ends.
async fn fate(gateway: &Gateway, bytes: &[u8]) -> (Option<u16>, End) {
    let mut raw = signed_in(gateway).await;
    raw.send(bytes).await;
    (raw.close_code().await, raw.end().await)
}

/// Every way to break the protocol, and the close code for it.
fn faults() -> Vec<(&'static str, Vec<u8>, u16)> {
    let close = |payload: &[u8]| frame(0x88, payload);
    vec![
        ("no mask", b"\x81\x04ping".to_vec(), 1002),
        ("RSV1, as if compressed", frame(0xc1, b"{}"), 1002),
        ("RSV2", frame(0xa1, b"{}"), 1002),
        ("opcode 3", frame(0x83, b"{}"), 1002),
        ("opcode 11", frame(0x8b, b"{}"), 1002),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126]), 1002),
        ("a ping in fragments", frame(0x09, b"x"), 1002),
        ("a stray continuation", frame(0x80, b"{}"), 1002),
        ("a message inside a message", [frame(0x01, b"{"), frame(0x81, b"{}")].concat(), 1002),
        ("a close code that nobody may send", close(&1005_u16.to_be_bytes()), 1002),
        ("a close of one byte", close(b"\x03"), 1002),
        ("a close reason that is not UTF-8", close(b"\x03\xe8\xff\xfe"), 1007),
        ("a text that is not UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        ("a binary frame", frame(0x82, b"\x01\x02"), 1003),
        ("a message of 102,401 bytes", header(0x81, 102_401), 1009),
        (
            "a message of 120 KiB in two fragments",
            [frame(0x01, &[b' '; 61_440]), frame(0x80, &[b' '; 61_440])].concat(),
            1009,
        ),
        ("a claim of 2^63 bytes", header(0x81, 1 << 63), 1009),
        ("a claim of 16 MiB", header(0x81, 16 << 20), 1009),
    ]
}

#[tokio::test]
async fn t_42_t_43_t_48_t_49_d_5_every_fault_is_told_and_no_reset_overtakes_it() {
    let gateway = Gateway::start().await;
    let mut bystander = gateway.signed_in().await;
    for (name, bytes, code) in faults() {
        assert_eq!(fate(&gateway, &bytes).await, (Some(code), End::Closed), "{name}");
        // A megabyte of it is on the way when the fault is found.
        let more = [bytes, vec![b'x'; 1 << 20]].concat();
        assert_eq!(fate(&gateway, &more).await, (Some(code), End::Closed), "{name}, and more");
    }
    bystander.ask(json!({"type": "ping"}), "pong").await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_42_a_fault_is_told_also_while_signals_pour_out() {
    let mut config = config();
    config.market.speed = 3_000.0;
    let gateway = Gateway::with(config).await;
    let all: Vec<_> = ["BTCUSDT", "ETHUSDT"]
        .iter()
        .flat_map(|symbol| {
            ["scalp", "momentum"].map(|strategy| json!({"symbol": symbol, "strategy": strategy, "since": 1}))
        })
        .collect();
    let subscribe = text(&json!({"type": "subscribe", "subscriptions": all}).to_string());
    for (name, bytes, code) in faults() {
        let mut raw = signed_in(&gateway).await;
        raw.send([subscribe.clone(), bytes].concat()).await;
        assert_eq!((raw.close_code().await, raw.end().await), (Some(code), End::Closed), "{name}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code() {
    let gateway = Gateway::start().await;
    for code in [1_000_u16, 1_001, 4_999] {
        assert_eq!(fate(&gateway, &frame(0x88, &code.to_be_bytes())).await, (Some(code), End::Closed));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_43_a_message_of_exactly_the_limit_is_read() {
    let gateway = Gateway::start().await;
    let mut raw = signed_in(&gateway).await;
    let ping = "{\"type\":\"ping\",\"id\":7,\"x\":\"";
    let message = format!("{ping}{}\"}}", "x".repeat(102_400 - ping.len() - 2));
    raw.send(text(&message)).await;
    let pong = raw.frame().await.unwrap();
    assert!(String::from_utf8(pong.payload).unwrap().starts_with("{\"type\":\"pong\",\"id\":7"));
    gateway.stop().await;
}

#[tokio::test]
async fn t_30_d_4_before_signing_in_eight_kibibytes_are_all() {
    let gateway = Gateway::start().await;
    let ping = text("{\"type\":\"ping\"}");
    let large = text(&format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "x".repeat(60_000)));
    for (name, bytes) in [
        ("a hundred messages", ping.repeat(120)),
        ("60 KB", large),
        ("a claim of 100 KB", [header(0x81, 100_000), vec![b'x'; 9_000]].concat()),
    ] {
        let mut raw = Raw::upgraded(gateway.address, "/ws").await;
        raw.send(bytes).await;
        let last = loop {
            let Frame { opcode, payload } = raw.frame().await.unwrap_or_else(|| panic!("{name}: a close"));
            if opcode == 8 {
                break payload;
            }
            let error = String::from_utf8(payload).unwrap();
            assert!(
                error.contains("\"unauthenticated\"")
                    || error.contains("maximum 8192 bytes before auth")
                    || error.contains("\"rate_limited\""),
                "{name}: {error}"
            );
        };
        assert_eq!((&last[..2], raw.end().await), (&1009_u16.to_be_bytes()[..], End::Closed), "{name}");
    }
    let authenticate = json!({"type": "authenticate", "token": token(WALLET)}).to_string();
    let mut raw = Raw::upgraded(gateway.address, "/ws").await;
    raw.send([ping.repeat(20), text(&authenticate), large_after()].concat()).await;
    let mut said = Vec::new();
    while !said.last().is_some_and(|text: &String| text.contains("\"pong\"")) {
        said.push(String::from_utf8(raw.frame().await.expect("a message").payload).unwrap());
    }
    gateway.stop().await;
}

/// What may be sent once signed in, although it is more than the limit before.
fn large_after() -> Vec<u8> {
    text(&format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "x".repeat(60_000)))
}

#[tokio::test]
async fn t_45_a_message_has_ten_seconds_to_end() {
    let late = Late::watch();
    let mut config = config();
    config.limits.connections_per_user = 4;
    let gateway = Gateway::with(config).await;
    let slow = async |pause: u64, first: &[u8], part: &[u8]| {
        let mut raw = signed_in(&gateway).await;
        raw.send(first).await;
        let began = std::time::Instant::now();
        while raw.try_send(part).await.is_ok() && began.elapsed() < Duration::from_millis(9_800) {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        (raw.close_code().await, began.elapsed(), raw.end().await)
    };
    // One byte a frame; a frame that grows byte by byte; pings in between; silence.
    let (byte, ping) = (frame(0x00, b" "), frame(0x89, b""));
    let (first, long) = (frame(0x01, b"{"), header(0x81, 100_000));
    let fates = tokio::join!(
        slow(100, &first, &byte),
        slow(100, &long, b" "),
        slow(1_000, &first, &ping),
        slow(9_800, &first, b"")
    );
    for (code, lived, end) in [fates.0, fates.1, fates.2, fates.3] {
        assert_eq!((code, end), (Some(1013), End::Closed));
        assert!(
            lived >= Duration::from_millis(9_900) && lived < Duration::from_millis(12_500) + late.by(),
            "{lived:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_48_compression_is_never_agreed_on() {
    let gateway = Gateway::start().await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=15, x-webkit-deflate-frame",
    ] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(crate::support::raw::handshake("/ws", &format!("Sec-WebSocket-Extensions: {offer}\r\n")))
            .await;
        let answer = raw.answer().await;
        assert!(answer.status == 101 && !answer.head.contains("extensions"), "{answer:?}");
    }
    gateway.stop().await;
}
