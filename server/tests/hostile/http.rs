//! Requests and handshakes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::support::late::Late;
use crate::support::raw::{Answer, End, Raw, ambiguous, handshake, post, text};
use crate::support::{Gateway, WALLET, config, token};

/// A request that is answered and the head of a second one, which must never be.
const SECOND: &str = "GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n";

/// The answer to a request after which the gateway closes, or none.
async fn ask(gateway: &Gateway, request: &str) -> Option<Answer> {
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(request).await;
    assert_eq!(raw.end().await, End::Closed, "{request:?}");
    if raw.rest().is_empty() { None } else { Some(raw.answer().await) }
}

async fn status(gateway: &Gateway, request: &str) -> u16 {
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(request).await;
    raw.answer().await.status
}

#[tokio::test]
async fn t_07_a_request_names_one_host() {
    let mut config = config();
    config.server.allowed_hosts = vec!["gateway".into()];
    let gateway = Gateway::with(config).await;
    for (request, expected) in [
        ("GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n", 200),
        ("GET http://gateway/health HTTP/1.1\r\nHost: gateway\r\n\r\n", 200),
        ("GET /health HTTP/1.1\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: gateway\r\nHost: gateway\r\n\r\n", 400),
        ("GET http://other/health HTTP/1.1\r\nHost: gateway\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: other\r\n\r\n", 421),
    ] {
        assert_eq!(status(&gateway, request).await, expected, "{request:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_08_a_handshake_that_is_none_is_told_why() {
    let gateway = Gateway::start().await;
    let good = handshake("/ws", "");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for (from, to, expected) in [
        ("", "", 101),
        (key, "X: y", 400),
        (key, "Sec-WebSocket-Key: test", 400),
        (key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j", 400),
        ("Version: 13", "Version: 8", 426),
        ("Version: 13", "Version: 12", 426),
        ("Sec-WebSocket-Version: 13", "X: y", 426),
        ("HTTP/1.1", "HTTP/1.0", 426),
        ("GET", "POST", 405),
        ("Connection: Upgrade", "Connection: close", 400),
        ("Upgrade: websocket", "Upgrade: h2c", 400),
    ] {
        let request = good.replacen(from, to, 1);
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(&request).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, expected, "{request:?}");
        assert_eq!(answer.head.contains("sec-websocket-version: 13"), expected == 426, "{answer:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_09_what_could_be_read_in_two_ways_never_gets_a_second_answer() {
    let gateway = Gateway::start().await;
    let post = |headers: &str, body: &str| post("gateway", headers, body, SECOND);
    let more = [
        post("Transfer-Encoding: chunked\r\n", "0;a=\"\n\"\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("X: a\r\n b\r\n", ""),
        post("X y: a\r\n", ""),
        post("no colon\r\n", ""),
        format!("GET  /health HTTP/1.1\r\nHost: gateway\r\n\r\n{SECOND}"),
    ];
    for request in ambiguous("gateway", SECOND).into_iter().chain(more) {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(&request).await;
        assert_eq!(raw.end().await, End::Closed, "{request:?}");
        let said = String::from_utf8_lossy(raw.rest()).into_owned();
        let answers = said.matches("HTTP/1.1 ").count();
        assert!(answers == 0 || (answers == 1 && said.starts_with("HTTP/1.1 400 ")), "{request:?}: {said}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_10_an_upgrade_with_a_body_is_refused() {
    let gateway = Gateway::start().await;
    for body in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = ask(&gateway, &handshake("/ws", body)).await.unwrap();
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_11_d_1_whoever_stalls_is_gone_after_five_seconds_and_everybody_else_is_served() {
    let late = Late::watch();
    let gateway = Gateway::start().await;
    let post = "POST /api/auth/challenge HTTP/1.1\r\nHost: gateway\r\nContent-Length: 9\r\n\r\n";
    let half = format!("{post}{{\"a\"");
    let upgrade = handshake("/ws", "");
    let states = ["", "GET /hea", "GET /health HTTP/1.1\r\nX: y\r\n", post, &half, SECOND, &upgrade];
    let stalled = states.into_iter().chain(std::iter::repeat_n(states[2], 300)).map(async |state| {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(state).await;
        raw.end().await;
        raw.opened.elapsed()
    });
    // One byte of a frame, and a head that comes one byte at a time.
    let byte = async {
        let mut raw = Raw::upgraded(gateway.address, "/ws").await;
        raw.send([0x81]).await;
        raw.end().await;
        raw.opened.elapsed()
    };
    let trickle = async {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send("GET /health HTTP/1.1\r\nX: ").await;
        while raw.try_send("y").await.is_ok() && raw.opened.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        raw.opened.elapsed()
    };
    let served = async {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            assert_eq!(status(&gateway, SECOND).await, 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (mut lived, byte, trickle, ()) = tokio::join!(join_all(stalled), byte, trickle, served);
    lived.extend([byte, trickle]);
    for lived in lived {
        assert!(
            lived >= Duration::from_millis(4_900) && lived < Duration::from_secs(7) + late.by(),
            "{lived:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_11_a_body_that_does_not_come_is_answered_with_408_and_the_socket_ends() {
    let gateway = Gateway::start().await;
    let post = "POST /api/auth/challenge HTTP/1.1\r\nHost: gateway\r\nContent-Length: 9\r\n\r\n";
    let stalled = [post.to_owned(), format!("{post}{{\"a\"")].map(async |request| {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(&request).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 408, "{answer:?}");
        assert!(answer.head.contains("connection: close") && answer.body.contains("did not come in time"));
        assert_eq!(raw.end().await, End::Closed);
    });
    join_all(stalled).await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_12_d_6_addresses_and_headers_are_bounded_and_the_refusal_arrives() {
    let gateway = Gateway::start().await;
    let long = |length| "x".repeat(length);
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n");
    for (request, expected) in [
        (get(&format!("/{}", long(9_000)), ""), 414),
        (get(&format!("/{}", long(60_000)), ""), 414),
        (get(&format!("/{}", long(3_000_000)), ""), 414),
        (get("/health", &format!("X: {}\r\n", long(17_000))), 431),
        (get("/health", &format!("X: {}\r\n", long(300_000))), 431),
        (get("/health", &format!("X: {}\r\n", long(3_000_000))), 431),
        (get("/health", &"X: y\r\n".repeat(64)), 431),
        (handshake("/ws", &format!("X: {}\r\n", long(17_000))), 431),
    ] {
        assert_eq!(
            ask(&gateway, &request).await.map(|answer| answer.status),
            Some(expected),
            "{}",
            request.len()
        );
    }
    assert_eq!(status(&gateway, &get("/health", &"X: y\r\n".repeat(60))).await, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn t_13_the_limits_are_those_of_the_real_peer() {
    let mut config = config();
    config.limits.unauthenticated_connections_per_ip = 2;
    let connect = async |gateway: &Gateway, forwarded: &str| {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(handshake("/ws", &format!("X-Forwarded-For: {forwarded}\r\n"))).await;
        let answer = raw.answer().await;
        (answer.status, answer.head.contains("retry-after: 5"), raw)
    };
    let gateway = Gateway::with(config.clone()).await;
    let mut held = Vec::new();
    for (address, expected) in [("192.0.2.1", 101), ("192.0.2.2", 101), ("192.0.2.3", 429)] {
        let (status, retry_after, raw) = connect(&gateway, address).await;
        assert_eq!((status, retry_after), (expected, expected == 429), "a spoofed {address} changes nothing");
        held.push(raw);
    }
    gateway.stop().await;

    config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gateway = Gateway::with(config).await;
    let mut held = Vec::new();
    for (address, expected) in [
        ("192.0.2.1", 101),
        ("192.0.2.1, 127.0.0.2", 101),
        ("1.1.1.1, 192.0.2.1", 429),
        ("192.0.2.2", 101),
        ("2001:db8::1", 101),
        ("2001:db8::2", 101),
        ("2001:db8::3", 429),
        ("2001:db8:0:1::3", 101),
    ] {
        let (status, _, raw) = connect(&gateway, address).await;
        assert_eq!(status, expected, "{address}");
        held.push(raw);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_network_that_opens_connections_without_end_is_told_to_wait() {
    let mut config = config();
    config.limits.new_connections_per_ip = 3;
    let gateway = Gateway::with(config).await;
    let path = format!("/ws?token={}", token(WALLET));
    for _ in 0..3 {
        drop(gateway.upgrade(&path, &[]).await.expect("within the limit"));
    }
    let (status, text) = gateway.upgrade(&path, &[]).await.err().unwrap();
    assert_eq!(status, 429);
    assert!(text.starts_with("Too many connections from your network: try again in "), "{text}");
    gateway.stop().await;
}

#[tokio::test]
async fn signing_in_makes_room_for_others_of_the_network() {
    let mut config = config();
    config.limits.unauthenticated_connections_per_ip = 1;
    let gateway = Gateway::with(config).await;
    let _signed_in = gateway.signed_in().await;
    let waiting = Raw::upgraded(gateway.address, "/ws").await;
    assert_eq!(status(&gateway, &handshake("/ws", "")).await, 429);
    drop(waiting);
    while status(&gateway, &handshake("/ws", "")).await != 101 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_full_node_says_503_and_when_to_try_again() {
    let mut config = config();
    config.limits.connections_per_node = 1;
    let gateway = Gateway::with(config).await;
    let _first = gateway.signed_in().await;
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(handshake("/ws", "")).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 5"), "{answer:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn t_15_only_http_1_1_is_spoken() {
    let gateway = Gateway::start().await;
    let preface = ask(&gateway, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(preface.is_none_or(|answer| answer.status == 400));
    let h2c = "GET /health HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    assert_eq!(status(&gateway, h2c).await, 200, "as HTTP/1.1");
    let connect = "CONNECT gateway:443 HTTP/1.1\r\nHost: gateway:443\r\n:protocol: websocket\r\n\r\n";
    assert!(ask(&gateway, connect).await.is_none_or(|answer| answer.status >= 400));
    gateway.stop().await;
}

#[tokio::test]
async fn t_50_what_comes_in_the_segment_of_the_handshake_is_read_once_and_in_order() {
    let gateway = Gateway::start().await;
    let mut raw = Raw::connect(gateway.address).await;
    let mut bytes = handshake(&format!("/ws?token={}", token(WALLET)), "").into_bytes();
    for id in 1..=5 {
        bytes.extend(text(&format!("{{\"type\":\"ping\",\"id\":{id}}}")));
    }
    raw.send(bytes).await;
    assert_eq!(raw.answer().await.status, 101);
    assert!(String::from_utf8(raw.frame().await.unwrap().payload).unwrap().contains("\"connected\""));
    for id in 1..=5 {
        let pong = String::from_utf8(raw.frame().await.unwrap().payload).unwrap();
        assert!(pong.contains(&format!("\"id\":{id},")), "{pong}");
    }
    gateway.stop().await;
}
