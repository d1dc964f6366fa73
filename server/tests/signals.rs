//! Signals: the latest at once, then each in its turn, and none missed by those who come back.

use serde_json::{Value, json};

use crate::support::{Client, Gateway, OTHER_WALLET, V1, WALLET, config, token};

fn place(signal: &Value) -> (u64, u64) {
    (signal["seq"].as_u64().unwrap(), signal["prev"].as_u64().unwrap())
}

async fn chain(client: &mut Client, mut last: u64, count: usize) -> u64 {
    for _ in 0..count {
        let (seq, prev) = place(&client.signal().await);
        assert_eq!(prev, last, "no hole before {seq}");
        assert!(seq > last);
        last = seq;
    }
    last
}

#[tokio::test]
async fn a_subscriber_gets_the_latest_signal_at_once_and_then_an_unbroken_chain() {
    let gateway = Gateway::start().await;
    let mut client = gateway.signed_in().await;
    let reply = client.subscribe("BTCUSDT", "scalp", None).await;
    let granted = &reply["payload"]["subscriptions"][0];
    assert_eq!(granted["interval_ms"], 500, "30 s at 60 times real time");
    assert_eq!(granted["recovered"], true);
    let first = client.signal().await;
    assert_eq!((&first["type"], &first["symbol"]), (&json!("scalp_indicator"), &json!("BTCUSDT")));
    assert_eq!(first["seq"].as_u64().unwrap() % 30_000, 0, "an evaluation instant");
    assert!(!first["data"]["reasoning"].as_str().unwrap().starts_with("Warming up"), "{first}");
    let (seq, prev) = place(&first);
    assert_eq!(prev, seq - 30_000);
    chain(&mut client, seq, 6).await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_67_a_client_that_comes_back_after_a_restart_of_the_gateway_misses_nothing() {
    let gateway = Gateway::start().await;
    let address = gateway.address;
    let mut client = gateway.signed_in().await;
    client.subscribe("BTCUSDT", "scalp", None).await;
    let last = place(&client.signal().await).0;
    let last = chain(&mut client, last, 3).await;
    gateway.stop().await;
    // Long enough for at least two signals of which nobody was told.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let gateway = Gateway::on(address, config()).await;
    let mut client = gateway.connect().await;
    client
        .say(json!({"type": "authenticate", "id": 1, "token": token(WALLET),
            "subscriptions": [{"symbol": "BTCUSDT", "strategy": "scalp", "since": last}]}))
        .await;
    client.expect("authenticated").await;
    client.expect("connected").await;
    let reply = client.expect("subscribed").await;
    assert_eq!(reply["payload"]["subscriptions"][0]["recovered"], true);
    chain(&mut client, last, 6).await;
    gateway.stop().await;
}

#[tokio::test]
async fn t_67_a_position_that_is_not_kept_or_never_was_is_answered_with_the_latest() {
    let gateway = Gateway::start().await;
    let mut client = gateway.signed_in().await;
    for since in [30_000, 9_000_000_000_000_000] {
        let reply = client.subscribe("ETHUSDT", "scalp", Some(since)).await;
        assert_eq!(reply["payload"]["subscriptions"][0]["recovered"], false);
        client.signal().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_67_who_resumes_twice_at_once_has_each_signal_on_both_and_one_place() {
    let gateway = Gateway::start().await;
    let mut old = gateway.upgrade("/ws", &[V1]).await.unwrap();
    let resume = |token: String, session: &Value, since: u64| {
        json!({"type": "authenticate", "id": 1, "token": token, "session": session,
            "subscriptions": [{"symbol": "BTCUSDT", "strategy": "scalp", "since": since}]})
    };
    old.say(json!({"type": "authenticate", "id": 1, "token": token(WALLET)})).await;
    old.expect("authenticated").await;
    let session = old.expect("connected").await["payload"]["session_id"].clone();
    old.subscribe("BTCUSDT", "scalp", None).await;
    let last = place(&old.signal().await).0;
    let (mut one, mut two) =
        (gateway.upgrade("/ws", &[V1]).await.unwrap(), gateway.upgrade("/ws", &[V1]).await.unwrap());
    let mut stranger = gateway.upgrade("/ws", &[V1]).await.unwrap();
    stranger.say(resume(token(OTHER_WALLET), &session, last)).await;
    tokio::join!(
        one.say(resume(token(WALLET), &session, last)),
        two.say(resume(token(WALLET), &session, last))
    );
    for client in [&mut stranger, &mut one, &mut two] {
        client.expect("authenticated").await;
        client.expect("connected").await;
        let reply = client.expect("subscribed").await;
        assert_eq!(reply["payload"]["subscriptions"][0]["recovered"], true);
        chain(client, last, 4).await;
    }
    assert_eq!(old.closed().await, (4000, "Replaced".into()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_batch_of_subscriptions_is_answered_once_and_sends_the_latest_of_each() {
    let gateway = Gateway::start().await;
    let mut client = gateway.signed_in().await;
    let reply = client
        .ask(
            json!({"type": "subscribe", "id": 9, "subscriptions": [
                {"symbol": "BTCUSDT", "strategy": "scalp"},
                {"symbol": "ETHUSDT", "strategy": "scalp"},
                {"symbol": "DOGEUSDT", "strategy": "scalp"}]}),
            "subscribed",
        )
        .await;
    assert_eq!(reply["payload"]["subscribed"], json!(["BTCUSDT", "ETHUSDT"]));
    assert_eq!(reply["payload"]["rejected"][0]["code"], "unknown_symbol");
    let (first, second) = (client.signal().await, client.signal().await);
    assert_eq!((&first["symbol"], &second["symbol"]), (&json!("BTCUSDT"), &json!("ETHUSDT")));
    client.ask(json!({"type": "unsubscribe", "symbol": "BTCUSDT"}), "unsubscribed").await;
    for _ in 0..3 {
        assert_eq!(client.signal().await["symbol"], "ETHUSDT");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_replay_of_candles_gives_the_signals_of_those_candles() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../strategy/tests/fixtures/synth-seed1-7200.csv.gz");
    let golden = include_bytes!("../../strategy/tests/fixtures/synth-seed1-7200.scalp.jsonl.gz");
    let mut config = config();
    config.market.source = format!("replay:{fixture}");
    config.market.symbols = vec!["TESTUSDT".parse().unwrap()];
    config.market.speed = 600.0;
    let gateway = Gateway::with(config).await;
    let mut client = gateway.signed_in().await;
    client.subscribe("TESTUSDT", "scalp", None).await;
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(&golden[..])).unwrap();
    let expected: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for _ in 0..100 {
        let signal = client.signal().await;
        let matching = expected.iter().find(|line| line["data"]["timestamp"] == signal["data"]["timestamp"]);
        assert_eq!(&signal["data"], &matching.expect("an instant of the file")["data"]);
    }
    gateway.stop().await;
}
