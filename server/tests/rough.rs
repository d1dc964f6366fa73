//! Clients on bad lines: what they see is the same, only later.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_protocol::{Feed, Strategy};

use crate::support::fleet::Fleet;
use crate::support::raw::{End, Raw, text};
use crate::support::rough::{Manner, way};
use crate::support::{Gateway, WALLET, token};

const PATIENCE: Duration = Duration::from_secs(120);
/// Instants of the scalp strategy are this far apart.
const INTERVAL_MS: u64 = 30_000;

/// Some clients behind such a way have so many signals, each once and in order.
async fn signals_come_through(manner: Manner, count: u64) {
    let gateway = Gateway::start().await;
    let feed = Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp };
    let fleet = Fleet::connect(way(gateway.address, manner).await, 3, feed);
    fleet.beyond(0, PATIENCE).await;
    fleet.beyond(fleet.latest() + count * INTERVAL_MS, PATIENCE).await;
    let delivered = fleet.check();
    println!("figure: {manner:?}: {delivered} deliveries, 0 gaps, 0 duplicates");
    drop(fleet);
    gateway.stop().await;
}

#[tokio::test]
async fn t_64_bytes_that_come_one_at_a_time_change_nothing() {
    signals_come_through(Manner::Sliced, 10).await;
}

#[tokio::test]
async fn t_64_connections_that_are_reset_anywhere_lose_nothing() {
    signals_come_through(Manner::Reset { connections: 9, bytes: 500 }, 10).await;
}

#[tokio::test]
async fn t_65_fifty_kilobits_a_second_and_half_a_second_of_latency_are_enough() {
    let latency = Duration::from_millis(250);
    signals_come_through(Manner::Slow { bytes_per_second: 6_250, latency }, 10).await;
}

#[tokio::test]
async fn t_64_a_bit_that_flips_makes_nobody_somebody_else() {
    let gateway = Gateway::start().await;
    let sent = text(&json!({"type": "authenticate", "id": 1, "token": token(WALLET)}).to_string());
    // Each bit of the header, and one of each byte after it.
    let header = (0..8 * 8).map(|bit| (bit / 8, bit % 8));
    let flips: Vec<_> = header.chain((8..sent.len()).map(|byte| (byte, byte % 8))).collect();
    let fate = async |&(byte, bit): &(usize, usize)| {
        let mut flipped = sent.clone();
        flipped[byte] ^= 1 << bit;
        let mut raw = Raw::upgraded(gateway.address, "/ws").await;
        raw.send(&flipped).await;
        // Whoever is understood gets an answer, anybody else is gone at the latest when the time to sign in is up.
        let mut said = Vec::new();
        while let Some(frame) = raw.frame().await {
            if frame.opcode == 1 {
                let message: Value = serde_json::from_slice(&frame.payload).unwrap();
                // Who was refused once says nothing more, so nothing more comes of it.
                let goes_on = message["type"] == "authenticated";
                said.push(message);
                if !goes_on {
                    break;
                }
            }
        }
        said
    };
    let mut fates = Vec::new();
    // Not all at once: what is looked at is what they are told, not how many there may be.
    for some in flips.chunks(64) {
        fates.extend(join_all(some.iter().map(&fate)).await);
    }
    let mut refused = 0;
    for (said, flip) in fates.iter().zip(&flips) {
        match said.iter().find(|message| message["type"] == "connected") {
            Some(connected) => assert_eq!(connected["payload"]["user_id"], WALLET, "{flip:?}"),
            None => refused += 1,
        }
    }
    println!("figure: {} flipped bits, {refused} refused, nobody signed in as somebody else", flips.len());
    assert!(
        refused * 10 > flips.len() * 8,
        "nearly every bit of a token counts: {refused} of {}",
        flips.len()
    );
    gateway.stop().await;
}

#[tokio::test]
async fn t_64_who_says_that_nothing_more_comes_is_let_go() {
    let gateway = Gateway::start().await;
    let mut raw = Raw::upgraded(gateway.address, &format!("/ws?token={}", token(WALLET))).await;
    raw.frame().await.expect("connected");
    raw.finish().await;
    assert_eq!(raw.end().await, End::Closed);
    gateway.stop().await;
}
