//! The gateway behind a real nginx with the site of `deploy/`: what passes, what is refused, whose limits count.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::autobahn;
use crate::support::nginx::Nginx;
use crate::support::raw::{ambiguous, handshake, post};
use crate::support::{Gateway, WALLET, config, token};

const PATIENCE: Duration = Duration::from_secs(60);
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: signals.example\r\n\r\n";

/// A gateway that believes its nginx, and the nginx.
async fn deployed() -> (Gateway, Nginx) {
    let mut config = config();
    config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    config.limits.unauthenticated_connections_per_ip = 2;
    let gateway = Gateway::with(config).await;
    let address = gateway.address;
    let nginx = tokio::task::spawn_blocking(move || Nginx::before(address)).await.unwrap();
    (gateway, nginx)
}

/// A client whose address is this one, after the TLS handshake.
async fn connect(nginx: &Nginx, from: Ipv4Addr) -> TlsStream<tokio::net::TcpStream> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(nginx.roots.clone())
        .with_no_client_auth();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let stream = socket.connect(nginx.address).await.unwrap();
    let name = ServerName::try_from("signals.example").unwrap();
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await.expect("a TLS handshake")
}

/// All that is answered, until nginx closes or has said no more for a while.
async fn answers(nginx: &Nginx, request: &str) -> String {
    let mut stream = connect(nginx, Ipv4Addr::new(127, 0, 0, 9)).await;
    let _ = stream.write_all(request.as_bytes()).await;
    let mut said = Vec::new();
    let _ = timeout(Duration::from_secs(7), stream.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx: cargo xtask test --long"]
async fn nginx_passes_websockets_and_a_signal_comes_through() {
    let (gateway, nginx) = deployed().await;
    let stream = connect(&nginx, Ipv4Addr::LOCALHOST).await;
    let token = token(WALLET);
    let request = format!("wss://signals.example/ws?token={token}").into_client_request().unwrap();
    let (mut socket, _) = client_async(request, stream).await.expect("the upgrade passes");
    socket
        .send(Message::text(
            json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "scalp"}).to_string(),
        ))
        .await
        .unwrap();
    let mut kinds = Vec::new();
    while kinds.len() < 5 {
        let message = timeout(PATIENCE, socket.next()).await.expect("in time").unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        kinds.push(message["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["connected", "subscribed", "scalp_indicator", "scalp_indicator", "scalp_indicator"]);
    socket.close(None).await.unwrap();
    while timeout(PATIENCE, socket.next()).await.expect("it closes").is_some_and(|message| message.is_ok()) {}
    let health = answers(&nginx, HEALTH).await;
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    // It is written when the connection has ended.
    while !nginx.access_log().contains("\"GET /ws\" 101") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!nginx.access_log().contains(&token[..20]), "T-83: no token in the log");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx: cargo xtask test --long"]
async fn nginx_t_13_every_user_has_the_limits_of_the_own_address() {
    let (gateway, nginx) = deployed().await;
    let mut held = Vec::new();
    for (from, status) in [(2, 101), (2, 101), (2, 429), (3, 101)] {
        let mut stream = connect(&nginx, Ipv4Addr::new(127, 0, 0, from)).await;
        // What a client says of itself changes nothing.
        let request = handshake("/ws", &format!("X-Forwarded-For: 192.0.2.{}\r\n", held.len()));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let read = timeout(PATIENCE, stream.read(&mut answer)).await.expect("in time").unwrap();
        let said = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "127.0.0.{from}: {said}");
        held.push(stream);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx: cargo xtask test --long"]
async fn nginx_refusals_of_a_handshake_pass_as_they_are() {
    let (gateway, nginx) = deployed().await;
    for (url, status, text) in [
        ("wss://signals.example/ws?token=bad", 401, "Invalid authentication token"),
        ("wss://signals.example/ws?token=a&token=b", 400, ""),
    ] {
        let stream = connect(&nginx, Ipv4Addr::new(127, 0, 0, 5)).await;
        let refused = client_async(url.into_client_request().unwrap(), stream).await.err();
        let Some(Error::Http(response)) = refused else { panic!("{refused:?}") };
        assert_eq!(response.status().as_u16(), status);
        let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
        assert!(body.contains(text), "{body}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx: cargo xtask test --long"]
async fn nginx_t_09_what_could_be_read_in_two_ways_gets_no_second_answer_and_spoils_no_other() {
    let (gateway, nginx) = deployed().await;
    let no_colon = post("signals.example", "no colon\r\nContent-Length: 5\r\n", "0\r\n\r\n", HEALTH);
    for (index, request) in ambiguous("signals.example", HEALTH).into_iter().chain([no_colon]).enumerate() {
        let said = answers(&nginx, &request).await;
        let served = said.matches("{\"status\":\"ok\"}").count();
        // Where nginx reads a request without a body, what follows is a request of its own, for both.
        let may_follow = request.contains("no colon");
        assert!(served == 0 || may_follow, "{request:?}: {said}");
        // Had the gateway seen one request more than nginx, its answer would go to whoever comes next.
        let own =
            format!("GET /nowhere-{index} HTTP/1.1\r\nHost: signals.example\r\nConnection: close\r\n\r\n");
        for _ in 0..3 {
            let next = answers(&nginx, &own).await;
            assert!(next.starts_with("HTTP/1.1 404 "), "after {request:?}: {next}");
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Autobahn and nginx: cargo xtask test --long"]
async fn autobahn_and_nginx_t_41_p_1_none_of_the_cases_fails_behind_nginx() {
    let gateway = autobahn::echo_server().await;
    let nginx = tokio::task::spawn_blocking(move || Nginx::before(gateway)).await.unwrap();
    autobahn::run(&format!("wss://{}/", nginx.address)).await;
}
