//! `tidegate tail` against a running gateway.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::command_line::tidegate;
use crate::support::{Gateway, WALLET, config, token};

/// Runs to its end beside the gateway.
async fn run(mut command: Command) -> Output {
    let running = tokio::task::spawn_blocking(move || command.output().expect("the binary runs"));
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("in time").unwrap()
}

fn tail(gateway: &Gateway, more: &[&str]) -> Command {
    let url = gateway.url("/ws");
    let mut arguments = vec!["tail", "scalp", "BTCUSDT", "--url", &url];
    arguments.extend(more);
    tidegate(&arguments)
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn it_signs_in_by_itself_and_prints_an_unbroken_chain() {
    let gateway = Gateway::start().await;
    let (code, out, log) = texts(&run(tail(&gateway, &["--json", "--count", "4"])).await);
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.windows(2).all(|pair| pair[1]["prev"] == pair[0]["seq"]), "{out}");
    assert!(lines.iter().all(|line| line["type"] == "scalp_indicator" && line["symbol"] == "BTCUSDT"));
    let (code, out, _) = texts(&run(tail(&gateway, &["--count", "1"])).await);
    assert_eq!(code, Some(0));
    let sides = ["▲ LONG", "▼ SHORT", "· NEUTRAL"];
    assert!(out.contains("Z BTCUSDT/scalp ") || out.contains("Z scalp/BTCUSDT "), "{out}");
    assert!(sides.iter().any(|side| out.contains(side)) && !out.contains('\x1b'), "{out}");
    gateway.stop().await;
}

#[tokio::test]
async fn it_goes_on_without_a_gap_when_the_gateway_restarts() {
    let gateway = Gateway::start().await;
    let address = gateway.address;
    let mut command = tail(&gateway, &["--json", "--count", "12"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"));
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    gateway.stop().await;
    let gateway = Gateway::on(address, config()).await;
    let output = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("in time").unwrap();
    let (code, out, log) = texts(&output);
    assert_eq!(code, Some(0), "{log}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    seqs.sort_unstable();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 30_000), "{seqs:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn what_cannot_work_ends_it_with_what_to_do() {
    let gateway = Gateway::start().await;
    let mut refused = tail(&gateway, &[]);
    refused.env("TIDEGATE_TOKEN", "not a token");
    let (code, _, log) = texts(&run(refused).await);
    assert_eq!(code, Some(5), "{log}");
    assert!(log.contains("TIDEGATE_TOKEN") && !log.contains("not a token"), "{log}");
    let mut given = tail(&gateway, &["--count", "1"]);
    given.env("TIDEGATE_TOKEN", token(WALLET));
    assert_eq!(texts(&run(given).await).0, Some(0));
    let url = gateway.url("/ws");
    let (code, _, log) = texts(&run(tidegate(&["tail", "scalp", "XRPUSDT", "--url", &url])).await);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("XRPUSDT") && log.contains("/api/perps/symbols"), "{log}");
    gateway.stop().await;
    let (code, _, log) = texts(&run(tidegate(&["tail", "scalp", "BTCUSDT", "--url", &url])).await);
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("cannot be reached") && log.contains("--url"), "{log}");
    let (code, _, log) = texts(&run(tidegate(&["tail", "scalp", "BTCUSDT", "--url", "http://x/"])).await);
    assert_eq!(code, Some(2), "{log}");
}
