//! The live market against an exchange on this machine, over real HTTP and WebSocket: what a network and an
//! exchange do wrong leaves the signals as they would have been, or makes them NEUTRAL; never anything else.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::Value;
use tidegate_protocol::Strategy;
use tidegate_server::failure::Failure;
use tidegate_server::market::Opened;
use tidegate_server::market::binance::message::{Message, read};
use tidegate_server::market::binance::plan::Rules;
use tidegate_server::market::binance::{self, Endpoints, Tap};
use tidegate_server::pipeline::message;
use tidegate_strategy::{Candle, Counts, Engine, MINUTE_MS, MarketEvent, Parameters, QuietMinutes};
use tokio::time::timeout;

use crate::command_line::{Folder, tidegate};
use crate::support::exchange::{Cut, Exchange, Faults, OTHER_MARKETS};
use crate::support::recording::{Line, Recording, Trade, line, shared_path};
use crate::support::{Gateway, config};

/// Set to `1`, ten recorded minutes are played in ten minutes.
const REAL_SPEED: &str = "TIDEGATE_TEST_REAL_SPEED";
/// Signals before this are left out: a client that connects in the middle of a minute has not seen all of it.
const SETTLED_MS: u64 = 2 * MINUTE_MS;

/// What an engine says that hears every message in order: text by strategy and instant, without `prev`.
fn uncut(recording: &Recording) -> (Vec<(Strategy, u64, Value)>, Counts) {
    let (symbol, tick) = ("BTCUSDT".parse().unwrap(), "0.1".parse().unwrap());
    let mut parameters = Parameters::default();
    parameters.data.quiet_minutes = QuietMinutes::Refill;
    let mut engine = Engine::new(symbol, tick, parameters).unwrap();
    let (past, recent) = recording.past.split_at(recording.past.len() - 520);
    engine.warm_up(past).unwrap();
    let recent = recent
        .iter()
        .flat_map(|candle: &Candle| [MarketEvent::halfway(candle, tick), MarketEvent::closed(*candle)]);
    let live = recording.lines.iter().map(|line| event(&line.text));
    let mut said = Vec::new();
    for event in recent.chain(live) {
        let _ = engine.handle(&event);
        for evaluation in engine.poll(event.time_ms()).into_iter().filter(|evaluation| evaluation.send) {
            let (strategy, seq) = (evaluation.strategy, evaluation.time_ms);
            let feed = tidegate_protocol::Feed { symbol, strategy };
            let text = message(feed, seq, 0, evaluation.body).to_json();
            said.push((strategy, seq, without_prev(serde_json::from_str(&text).unwrap())));
        }
    }
    (said, engine.counts())
}

fn event(text: &str) -> MarketEvent {
    match read(text) {
        Ok(Message::Update(update)) => update.event,
        other => panic!("{other:?}"),
    }
}

fn without_prev(mut message: Value) -> Value {
    message.as_object_mut().unwrap().remove("prev");
    message
}

async fn gateway(exchange: &Exchange, speed: f64) -> Gateway {
    let mut config = config();
    config.market.source = format!("binance:http://{}", exchange.address);
    config.market.speed = speed;
    config.market.symbols = Vec::new();
    Gateway::with(config).await
}

async fn said(gateway: &Gateway, strategy: Strategy) -> Vec<Value> {
    let (status, answer) = gateway.get(&format!("/api/signals/{strategy}/BTCUSDT?limit=512")).await;
    assert_eq!(status, 200, "{answer}");
    answer["signals"].as_array().unwrap().clone()
}

/// Plays `played` with these faults; the signals must be those of an uncut replay of `clean`.
async fn check(clean: &Recording, played: Recording, faults: Faults, speed: f64) -> Exchange {
    let (start_ms, end_ms) = (clean.start_ms() + SETTLED_MS, clean.end_ms());
    let exchange = Exchange::start(played, faults, speed).await;
    let gateway = gateway(&exchange, speed).await;
    exchange.played(end_ms + 1_000).await;
    compare(&gateway, clean, start_ms, end_ms).await;
    gateway.stop().await;
    exchange
}

/// Three cuts: across the close of a minute, across its half, and in between.
fn three_cuts(recording: &Recording) -> Faults {
    let minute_ms = recording.start_ms().next_multiple_of(MINUTE_MS);
    let cut = |from_ms, ms| Cut { from_ms, until_ms: from_ms + ms };
    let cuts = vec![
        cut(minute_ms + 118_300, 2_500),
        cut(minute_ms + 148_100, 3_200),
        cut(minute_ms + 190_000, 1_000),
    ];
    Faults { cuts, ..Faults::default() }
}

#[tokio::test]
async fn signals_across_three_cuts_are_those_of_an_uncut_replay() {
    let recording = Recording::synthetic(5);
    let faults = three_cuts(&recording);
    let exchange = check(&recording, recording.clone(), faults, 30.0).await;
    assert!(exchange.handshakes() >= 4, "{} connections", exchange.handshakes());
}

#[tokio::test]
async fn signals_of_recorded_trades_across_three_cuts_are_those_of_an_uncut_replay() {
    let real_speed = std::env::var(REAL_SPEED).is_ok_and(|value| value == "1");
    let recording = if real_speed { Recording::of_the_trades() } else { Recording::of_the_feed() };
    let Some(recording) = recording else { return };
    let faults = three_cuts(&recording);
    let exchange = check(&recording, recording.clone(), faults, if real_speed { 1.0 } else { 30.0 }).await;
    assert!(exchange.handshakes() >= 4, "{} connections", exchange.handshakes());
}

/// What the gateway said between two times must be what an engine says that hears every message in order.
async fn compare(gateway: &Gateway, clean: &Recording, start_ms: u64, end_ms: u64) {
    let wanted = uncut(clean).0;
    for strategy in Strategy::ALL {
        let within = |seq: u64| (start_ms..end_ms).contains(&seq);
        let wanted: Vec<_> = wanted.iter().filter(|(of, seq, _)| *of == strategy && within(*seq)).collect();
        let got = said(gateway, strategy).await.into_iter();
        let got: Vec<_> = got.filter(|message| within(message["seq"].as_u64().unwrap())).collect();
        let seqs: Vec<_> = got.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, wanted.iter().map(|(_, seq, _)| *seq).collect::<Vec<_>>(), "{strategy}");
        assert!(strategy == Strategy::RangeTrading || !got.is_empty(), "{strategy} says something");
        for (got, (_, _, wanted)) in got.into_iter().zip(wanted) {
            assert_eq!(without_prev(got), *wanted);
        }
    }
}

#[tokio::test]
async fn what_was_recorded_across_three_cuts_plays_to_the_same_signals() {
    let clean = Recording::synthetic(5);
    let exchange = Exchange::start(clean.clone(), three_cuts(&clean), 30.0).await;
    let folder = Folder::new();
    for name in ["market.jsonl.gz", "market.jsonl"] {
        // The clock of the exchange begins with its first client, so only the first run hears all of it.
        if name.ends_with("jsonl") {
            let recorded = std::fs::File::open(folder.path("market.jsonl.gz")).unwrap();
            let text = std::io::read_to_string(flate2::read::GzDecoder::new(recorded)).unwrap();
            std::fs::write(folder.path(name), text).unwrap();
        } else {
            record(&exchange, &folder.path(name), clean.end_ms()).await;
        }
        let mut config = config();
        config.market.source = format!("replay:{}", folder.path(name));
        config.market.speed = 600.0;
        config.market.symbols = Vec::new();
        let gateway = Gateway::with(config).await;
        let (start_ms, end_ms) = (clean.start_ms() + SETTLED_MS, clean.end_ms());
        let last_ms = (end_ms - 1) / 30_000 * 30_000;
        for _ in 0..200 {
            let newest = said(&gateway, Strategy::Scalp).await;
            if newest.last().is_some_and(|message| message["seq"].as_u64().unwrap() >= last_ms) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        compare(&gateway, &clean, start_ms, end_ms).await;
        gateway.stop().await;
    }
}

/// Runs `tidegate record` until the exchange has played all it has.
async fn record(exchange: &Exchange, file: &str, end_ms: u64) {
    let market = format!("binance:http://{}", exchange.address);
    let mut command = tidegate(&["record", file, "--market", &market]);
    command.env("TIDEGATE_MARKET__SPEED", exchange.speed().to_string());
    let child = command.stderr(std::process::Stdio::piped()).spawn().expect("the binary runs");
    while !exchange.has_begun() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    exchange.played(end_ms + 1_000).await;
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && log.contains("messages"), "{log}");
}

#[tokio::test]
async fn a_recording_of_somebody_else_is_played_too() {
    let Some(path) = shared_path("data/derived-binance-um-btcusdt-depth20-aggTrade-20240808.jsonl.gz") else {
        return;
    };
    let mut config = config();
    config.market.source = format!("replay:{}", path.display());
    config.market.speed = 600.0;
    config.market.symbols = Vec::new();
    let gateway = Gateway::with(config).await;
    for _ in 0..2_000 {
        if said(&gateway, Strategy::Scalp).await.len() >= 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let messages = said(&gateway, Strategy::Scalp).await;
    assert!(messages.len() >= 10, "{} signals in 344 s", messages.len());
    let sides: Vec<_> = messages.iter().map(|message| message["data"]["side"].clone()).collect();
    assert!(sides.iter().any(|side| side != "NEUTRAL"), "warm after five minutes: {sides:?}");
    let price = messages[5]["data"]["current_price"].as_f64().unwrap();
    assert!((61_000.0..62_500.0).contains(&price), "{price}");
    gateway.stop().await;
}

#[tokio::test]
async fn repeated_messages_and_closes_out_of_order_change_nothing() {
    let clean = Recording::synthetic(4);
    let mut played = clean.clone();
    let mut lines: Vec<Line> = played.lines.iter().flat_map(|line| [line.clone(), line.clone()]).collect();
    for line in lines.iter_mut().filter(|line| line.closed.is_some()) {
        // Later than the first trades of the next minute.
        line.time_ms += 1_200;
    }
    lines.sort_by_key(|line| line.time_ms);
    played.lines = lines;
    check(&clean, played, Faults::default(), 30.0).await;
}

#[tokio::test]
async fn a_refused_handshake_is_tried_again_after_as_long_as_the_exchange_asks() {
    let recording = Recording::synthetic(4);
    let refusals = vec![StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
    let faults = Faults { refusals, ..Faults::default() };
    let exchange = check(&recording, recording.clone(), faults, 10.0).await;
    assert_eq!(exchange.handshakes(), 3);
}

#[tokio::test]
async fn prices_that_cannot_be_are_refused_and_counted_and_move_nothing() {
    let clean = Recording::synthetic(4);
    let mut played = clean.clone();
    let last = clean.past[clean.past.len() - 1].close;
    let prices = [0.0, f64::NAN, -1.0, last * 11.0, last / 11.0];
    let trades = clean.lines.iter().filter_map(|line| line.trade);
    let bad = trades.step_by(7).zip(prices.into_iter().cycle());
    let bad: Vec<Line> = bad.map(|(trade, price)| line(Trade { id: trade.id - 1, price, ..trade })).collect();
    let expected = bad.len() as u64;
    played.lines.extend(bad);
    // In the order of their numbers: each bad price just before a good one.
    played.lines.sort_by_key(|line| (line.time_ms, line.trade.map(|trade| trade.id)));
    let counts = uncut(&played).1;
    assert_eq!(counts.invalid + counts.jump, expected, "{counts:?}");
    assert!(counts.invalid > expected / 2 && counts.jump > expected / 3, "{counts:?}");
    check(&clean, played, Faults::default(), 30.0).await;
}

/// Opens the market alone, without a gateway around it.
async fn open(exchange: &Exchange, symbols: &[&str], rules: Rules) -> Result<Opened, Failure> {
    let endpoints = Endpoints::of_base(&format!("http://{}", exchange.address)).unwrap();
    let symbols: Vec<_> = symbols.iter().map(|symbol| symbol.parse().unwrap()).collect();
    binance::open(&endpoints, &symbols, exchange.speed(), rules, Tap::default()).await
}

#[tokio::test]
async fn a_connection_is_renewed_with_overlap_and_no_trade_is_lost_or_told_twice() {
    let recording = Recording::synthetic(2);
    let exchange = Exchange::start(recording.clone(), Faults::default(), 20.0).await;
    let rules = Rules { renew: Duration::from_millis(900), ..Rules::default() };
    let mut source = open(&exchange, &[], rules).await.unwrap().sources.remove(0);
    let last_ms =
        recording.lines.iter().filter_map(|line| line.trade).map(|trade| trade.time_ms).max().unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&last_ms) {
        let event = timeout(Duration::from_secs(60), source.events.next()).await.expect("in time").unwrap();
        if let MarketEvent::Trade { time_ms, .. } = event {
            heard.push(time_ms);
        }
    }
    let traded = recording.lines.iter().filter_map(|line| line.trade).map(|trade| trade.time_ms);
    let traded: Vec<_> = traded.filter(|time_ms| *time_ms >= heard[0]).collect();
    assert_eq!(heard, traded);
    assert!(exchange.handshakes() >= 4, "{} connections", exchange.handshakes());
}

#[tokio::test]
async fn an_exchange_that_says_nothing_is_left_and_asked_again() {
    let recording = Recording::synthetic(4);
    let silence = Cut { from_ms: recording.start_ms() + 20_000, until_ms: recording.start_ms() + 110_000 };
    let faults = Faults { silence: Some(silence), ..Faults::default() };
    let exchange = Exchange::start(recording.clone(), faults, 20.0).await;
    let mut source = open(&exchange, &["BTCUSDT"], Rules::default()).await.unwrap().sources.remove(0);
    let mut closed = Vec::new();
    while closed.len() < 3 {
        let event = timeout(Duration::from_secs(60), source.events.next()).await.expect("in time").unwrap();
        if let MarketEvent::Candle { candle, closed: true, .. } = event {
            closed.push(candle.open_time_ms);
        }
    }
    closed.dedup();
    let first_ms = recording.start_ms() - recording.start_ms() % MINUTE_MS;
    assert_eq!(
        closed,
        [0, 1, 2].map(|minute| first_ms + minute * MINUTE_MS),
        "the silent minutes are refilled"
    );
    assert!(exchange.handshakes() >= 2);
}

#[tokio::test]
async fn what_the_exchange_does_not_have_is_one_clear_error() {
    let exchange = Exchange::start(Recording::synthetic(1), Faults::default(), 1.0).await;
    let unknown = open(&exchange, &["NONEUSDT"], Rules::default()).await.unwrap_err().to_string();
    assert!(unknown.contains("TG-MKT-008") && unknown.contains("has no market NONEUSDT"), "{unknown}");
    let nobody = Endpoints::of_base("http://127.0.0.1:1").unwrap();
    let nobody =
        binance::open(&nobody, &[], 1.0, Rules::default(), Tap::default()).await.unwrap_err().to_string();
    assert!(nobody.contains("TG-MKT-007") && nobody.contains("does not answer"), "{nobody}");
}

#[tokio::test]
async fn a_silent_market_makes_every_strategy_neutral_and_says_why() {
    let recording = Recording::synthetic(5);
    let minute_ms = recording.start_ms().next_multiple_of(MINUTE_MS);
    let silence = Cut { from_ms: minute_ms + 70_000, until_ms: minute_ms + 155_000 };
    let faults = Faults { silence: Some(silence), without_rest: true, ..Faults::default() };
    let exchange = Exchange::start(recording, faults, 12.0).await;
    let gateway = gateway(&exchange, 12.0).await;
    exchange.played(minute_ms + 175_000).await;
    for strategy in [Strategy::Scalp, Strategy::Momentum] {
        let said = said(&gateway, strategy).await;
        let during = |message: &&Value| {
            let seq = message["seq"].as_u64().unwrap();
            (minute_ms + 81_000..minute_ms + 155_000).contains(&seq)
        };
        let during: Vec<_> = said.iter().filter(during).collect();
        assert!(!during.is_empty(), "{strategy} still speaks");
        println!("figure: {} {strategy} signals while the exchange is silent, all NEUTRAL", during.len());
        for message in during {
            let (data, text) = (&message["data"], message.to_string());
            assert_eq!(data["side"], "NEUTRAL", "{text}");
            assert!(text.contains("Market data stale ("), "{text}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_holds_a_hundred_markets_and_more_take_more_connections() {
    let exchange = Exchange::start(Recording::synthetic(5), Faults::default(), 1.0).await;
    let symbols: Vec<_> = (0..OTHER_MARKETS).map(|number| format!("A{number}USDT")).collect();
    let symbols: Vec<_> = symbols.iter().map(String::as_str).chain(["BTCUSDT"]).collect();
    let mut opened = open(&exchange, &symbols, Rules::default()).await.unwrap();
    assert_eq!(opened.sources.len(), 150);
    let source = opened.sources.last_mut().unwrap();
    assert!(timeout(Duration::from_secs(60), source.events.next()).await.expect("in time").is_some());
    while exchange.handshakes() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
