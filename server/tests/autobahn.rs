//! Autobahn's test suite for RFC 6455 against the gateway's own sockets: its accept loop, its guard and its codec,
//! with an echo in the place of a session and room for messages of 16 MiB.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidegate_server::config::{Config, LimitsConfig};
use tidegate_server::transport::{Front, Visitors};
use tidegate_server::ws::fault::Faulty;
use tidegate_server::ws::guard::{Guard, Leash};
use tidegate_server::ws::handshake::Handshake;
use tidegate_server::ws::upgrade;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::command_line::Folder;

/// Names the program of the suite; `cargo xtask test --long` installs it.
const PROGRAM: &str = "TIDEGATE_TEST_WSTEST";
/// The cases that are not about compression, which is not offered.
const CASES: usize = 301;
/// Text that is not UTF-8 is found at the end of its frame and not at the first wrong byte: allowed, and noted.
const NON_STRICT: [&str; 2] = ["6.4.3", "6.4.4"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Autobahn: cargo xtask test --long"]
async fn autobahn_t_41_p_1_the_server_fails_none_of_the_cases() {
    let address = echo_server().await;
    run(&format!("ws://{address}/")).await;
}

/// Plays every case against the echo at this address.
pub(crate) async fn run(url: &str) {
    let program = std::env::var(PROGRAM).expect("cargo xtask test --long names the suite's program");
    let folder = Folder::new();
    let spec = json!({
        "outdir": folder.path("report"),
        "servers": [{ "agent": "gateway", "url": url }],
        "cases": ["*"],
        "exclude-cases": ["12.*", "13.*"],
        "exclude-agent-cases": {},
    });
    let path = folder.path("spec.json");
    std::fs::write(&path, spec.to_string()).unwrap();
    let run = move || Command::new(program).args(["-m", "fuzzingclient", "-s", &path]).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().expect("the suite runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read_to_string(folder.path("report/index.json")).expect("a report");
    judge(&serde_json::from_str::<Value>(&report).unwrap()["gateway"]);
}

/// None of the cases has failed, and none is looser than it was.
fn judge(report: &Value) {
    let cases = report.as_object().expect("a report of the agent");
    let behaving = |wanted: &[&str]| {
        let of = |case: &Value, key: &str| wanted.contains(&case[key].as_str().unwrap_or_default());
        let cases = cases.iter().filter(|(_, case)| of(case, "behavior") || of(case, "behaviorClose"));
        cases.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let failed = behaving(&["FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "UNIMPLEMENTED"]);
    let mut non_strict = behaving(&["NON-STRICT"]);
    non_strict.sort_unstable();
    println!("Autobahn: {} cases, {} failed, {} non-strict", cases.len(), failed.len(), non_strict.len());
    assert!(failed.is_empty(), "{failed:?}, the first of them: {}", report[failed[0]]);
    assert_eq!((cases.len(), non_strict), (CASES, NON_STRICT.to_vec()));
}

/// The gateway's sockets with an echo behind them.
pub(crate) async fn echo_server() -> std::net::SocketAddr {
    let config = Config { limits: limits(), ..Config::default() };
    let (stop, stopping) = watch::channel(false);
    let router = Router::new().route("/", get(echo));
    let visitors = Visitors::new(&config.limits);
    let front = Front::new(&config, router, visitors, Arc::default(), stopping).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        Arc::new(front).serve(listener).await;
        drop(stop);
    });
    address
}

fn limits() -> LimitsConfig {
    LimitsConfig { max_message_bytes: 16 << 20, messages_per_minute: 60_000, ..LimitsConfig::default() }
}

async fn echo(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let handshake = match Handshake::read(&parts) {
        Ok(handshake) => handshake,
        Err(problem) => return problem.into_response(),
    };
    tokio::spawn(async move {
        let leash = Arc::new(Leash::default());
        leash.authenticated();
        let socket = upgrade::open(upgrade, &limits(), Arc::clone(&leash)).await;
        if let Some(mut socket) = socket {
            repeat(&mut socket, &leash).await;
            let _ = socket.get_mut().shutdown().await;
        }
    });
    handshake.accept()
}

/// Says everything again until the peer leaves or breaks the protocol, which is answered as a session's connection
/// would.
async fn repeat(socket: &mut WebSocketStream<Guard>, leash: &Leash) {
    while let Some(message) = socket.next().await {
        match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            Ok(Message::Close(_)) => {
                let _ = timeout(Duration::from_secs(1), SinkExt::close(socket)).await;
                return;
            }
            Ok(_) => {}
            Err(fault) => {
                if let Some(refusal) = fault.refusal(limits().max_message_bytes) {
                    leash.closing();
                    let frame = CloseFrame { code: refusal.close().0.0.into(), reason: "".into() };
                    let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(Some(frame)))).await;
                }
                return;
            }
        }
    }
}
