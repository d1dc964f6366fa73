//! The listener for operators, over real sockets.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Gateway, V1, WALLET, config, token};

pub(crate) async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_happens_to_clients_is_counted_and_nobody_is_named() {
    let ops = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ops.local_addr().unwrap();
    let gateway = Gateway::observed(config(), ops).await;
    let mut client = gateway.signed_in_v1().await;
    let granted = client.subscribe("BTCUSDT", "scalp", Some(1)).await;
    assert_eq!(granted["payload"]["subscriptions"][0]["recovered"], false);
    client.signal().await;
    client.signal().await;
    for id in 1..=30 {
        client.say(json!({"type": "ping", "id": id})).await;
    }
    client.expect("pong").await;
    assert!(gateway.upgrade("/ws?token=marker", &[]).await.is_err());
    let mut other = gateway.upgrade("/ws", &[V1]).await.unwrap();
    other.say(json!({"type": "authenticate", "token": "marker"})).await;
    other.expect("auth_error").await;
    other.closed().await;

    let metrics = loop {
        // The last reply may still be on its way, and the one that was refused may not have left yet.
        let metrics = get(address, "/metrics").await;
        let lines = ["tidegate_rate_limit_hits_total 1", "tidegate_connections{client=\"v1\"} 1"];
        if lines.iter().all(|line| metrics.lines().any(|told| told == *line)) {
            break metrics;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for line in [
        "tidegate_connections{client=\"v1\"} 1",
        "tidegate_upgrades_total 2",
        "tidegate_handshake_refusals_total{reason=\"invalid_token\"} 1",
        "tidegate_authentication_failures_total{reason=\"invalid_token\"} 2",
        "tidegate_subscriptions{strategy=\"scalp\"} 1",
        "tidegate_resumes_total{outcome=\"lost\"} 1",
        "tidegate_errors_total{code=\"rate_limited\"} 1",
        "tidegate_closes_total{code=\"4001\"} 1",
        "tidegate_stale_feeds{strategy=\"momentum\"} 0",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} in {metrics}");
    }
    for marker in [&WALLET[2..8], "marker", "127.0.0.1", "BTCUSDT", &token(WALLET)[..20]] {
        assert!(!metrics.contains(marker), "{marker}");
    }
    assert!(get(address, "/ready").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/health").await.ends_with("{\"status\":\"ok\"}"));
    assert_eq!(gateway.get("/metrics").await.0, 404, "not on the public listener");
    assert_eq!(gateway.get("/ready").await.0, 200);
    gateway.stop().await;
}
