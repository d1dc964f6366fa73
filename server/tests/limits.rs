//! Limits and bad input: every one is answered, and nobody else notices.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::{Gateway, OTHER_WALLET, V1, WALLET, token};

#[tokio::test]
async fn t_33_the_thirty_first_message_in_a_minute_is_refused_and_the_connection_stays() {
    let gateway = Gateway::start().await;
    let mut client = gateway.signed_in().await;
    for id in 1..=30 {
        assert_eq!(client.ask(json!({"type": "ping", "id": id}), "pong").await["id"], id);
    }
    let refused = client.ask(json!({"type": "ping", "id": 31}), "error").await;
    assert_eq!(refused["id"], 31);
    assert_eq!(refused["payload"]["error"], "Message rate limit exceeded: maximum 30 messages per minute");
    let wait_ms = refused["payload"]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait_ms), "{wait_ms}");
    client.ask(json!({"type": "authenticate", "id": 32, "token": token(WALLET)}), "authenticated").await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_36_signals_do_not_count_as_messages() {
    let gateway = Gateway::start().await;
    let mut client = gateway.signed_in().await;
    client.subscribe("BTCUSDT", "scalp", None).await;
    for _ in 0..5 {
        client.signal().await;
    }
    for id in 1..=29 {
        client.ask(json!({"type": "ping", "id": id}), "pong").await;
    }
    client.ask(json!({"type": "ping", "id": 30}), "error").await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_46_malformed_messages_are_answered_with_what_is_wrong() {
    let gateway = Gateway::start().await;
    let mut client = gateway.signed_in().await;
    let table = [
        ("{", "malformed JSON"),
        ("[\"subscribe\",\"BTCUSDT\",null,3]", "a message is a JSON object"),
        ("\"ping\"", "a message is a JSON object"),
        ("{}", "missing field `type`"),
        ("{\"type\":\"trade\"}", "unknown type `trade`"),
        ("{\"type\":\"subscribe\",\"symbol\":7}", "`symbol` must be a string, not a number"),
        ("{\"type\":\"ping\",\"id\":1.5}", "`id` must be a whole number"),
        ("{\"type\":\"ping\",\"id\":9007199254740993}", "`id`"),
        ("{\"type\":\"ping\",\"id\":1e400}", "malformed JSON"),
        ("{\"type\":\"ping\",\"id\":1,\"id\":2}", "field `id` comes twice"),
        ("{\"type\":\"ping\"}{\"type\":\"ping\"}", "malformed JSON"),
        ("\u{feff}{\"type\":\"ping\"}", "a message is a JSON object"),
        ("{\"type\":\"ping\"}\0", "malformed JSON"),
        ("{\"type\":\"subscribe\",\"symbol\":\"\\ud800\"}", "malformed JSON"),
    ];
    for (text, problem) in table {
        client.send(Message::text(text)).await;
        let error = client.expect("error").await;
        assert_eq!(error["payload"]["code"], "invalid_message");
        assert!(error["payload"]["error"].as_str().unwrap().contains(problem), "{text}: {error}");
    }
    let deep = "[".repeat(50_000);
    client.send(Message::text(format!("{{\"type\":\"ping\",\"x\":{deep}"))).await;
    client.expect("error").await;
    client.ask(json!({"type": "ping"}), "pong").await;
    gateway.stop().await;
}

#[tokio::test]
async fn oversized_and_binary_messages_close_their_own_connection_and_no_other() {
    let gateway = Gateway::start().await;
    let mut bystander = gateway.signed_in().await;
    for size in [102_401, 300_000, 1_000_000] {
        let mut client = gateway.signed_in_v1().await;
        client.send(Message::text(" ".repeat(size))).await;
        let error = client.expect("error").await;
        assert_eq!(error["payload"]["code"], "message_too_large");
        assert_eq!(client.closed().await, (1009, "Message too big".into()));
    }
    let mut client = gateway.signed_in().await;
    client.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(client.closed().await, (1003, String::new()));
    let mut client = gateway.signed_in().await;
    let not_utf8 = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    client.send(Message::Frame(not_utf8)).await;
    assert_eq!(client.closed().await, (1007, String::new()));
    bystander.ask(json!({"type": "ping"}), "pong").await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_anything_disturbs_nobody() {
    let gateway = Gateway::start().await;
    let mut bystander = gateway.signed_in().await;
    bystander.subscribe("BTCUSDT", "scalp", None).await;
    for _ in 0..20 {
        let mut client = gateway.connect().await;
        client
            .say(json!({"type": "authenticate", "token": token(OTHER_WALLET),
            "subscriptions": [{"symbol": "BTCUSDT", "strategy": "scalp"}]}))
            .await;
        drop(client);
    }
    for _ in 0..3 {
        bystander.signal().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_47_what_is_no_symbol_is_rejected_and_echoed_in_short_and_escaped() {
    let gateway = Gateway::start().await;
    let mut client = gateway.upgrade(&format!("/ws?token={}", token(WALLET)), &[V1]).await.unwrap();
    client.expect("connected").await;
    let long = "A".repeat(10 * 1_024);
    for symbol in [
        "btcusdt",
        "ＢＴＣＵＳＤＴ",
        "ВТCUSDT",
        "\u{202e}BTCUSDT",
        "BTCUSDT\0",
        &long,
        "../BTCUSDT",
        "*",
        "__proto__",
        "constructor",
        "",
        "A",
        "BTC USDT",
        "DOGEUSDT",
    ] {
        client.say(json!({"type": "subscribe", "id": 7, "symbol": symbol, "strategy": "scalp"})).await;
        let error = client.expect("error").await;
        assert_eq!(
            (&error["id"], &error["payload"]["code"]),
            (&json!(7), &json!("unknown_symbol")),
            "{error}"
        );
        let text = error["payload"]["error"].as_str().unwrap();
        assert!(text.len() < 200 && !text.contains(['\0', '\u{202e}']), "{text}");
    }
    assert_eq!(client.subscribe("BTCUSDT", "scalp", None).await["payload"]["subscribed"], json!(["BTCUSDT"]));
    gateway.stop().await;
}
