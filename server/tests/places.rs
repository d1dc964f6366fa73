//! The three places of a user: never a fourth, and no ghost keeps one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use crate::metrics::get as told;
use crate::support::black_hole::BlackHole;
use crate::support::late::Late;
use crate::support::{Client, Gateway, V1, WALLET, config, token};

#[tokio::test]
async fn t_32_of_a_hundred_attempts_at_once_exactly_three_get_in() {
    let gateway = Gateway::start().await;
    let path = format!("/ws?token={}", token(WALLET));
    for _ in 0..3 {
        let attempts = (0..100).map(|_| gateway.upgrade(&path, &[]));
        // Who is in answers pings from the first moment on: the others ask.
        let attempts = attempts.map(|attempt| async { attempt.await.map(Client::idle) });
        let mut outcomes = BTreeMap::<u16, usize>::new();
        let mut held = Vec::new();
        for outcome in futures_util::future::join_all(attempts).await {
            match outcome {
                Ok(client) => {
                    *outcomes.entry(101).or_default() += 1;
                    held.push(client);
                }
                Err((status, _)) => *outcomes.entry(status).or_default() += 1,
            }
        }
        assert_eq!(outcomes, [(101, 3), (429, 97)].into());
        held.iter().for_each(tokio::task::JoinHandle::abort);
        while gateway.upgrade(&path, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn t_38_three_black_holed_connections_lock_nobody_out() {
    let late = Late::watch();
    let ops = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operators = ops.local_addr().unwrap();
    let gateway = Gateway::observed(config(), ops).await;
    let hole = BlackHole::before(gateway.address).await;
    let path = format!("/ws?token={}", token(WALLET));
    let mut sessions = Vec::new();
    let mut ghosts = Vec::new();
    for _ in 0..3 {
        let mut ghost = Client::at(hole.address, &path, &[V1]).await.expect("a place is free");
        sessions.push(ghost.expect("connected").await["payload"]["session_id"].clone());
        ghosts.push(ghost.idle());
    }
    hole.swallow();
    let started = Instant::now();
    let mut own = gateway.connect().await;
    own.say(json!({"type": "authenticate", "token": token(WALLET), "session": sessions[1]})).await;
    own.expect("authenticated").await;
    own.expect("connected").await;
    let takeover = started.elapsed();
    assert!(takeover < Duration::from_secs(1) + late.by(), "{takeover:?}");
    let metrics = told(operators, "/metrics").await;
    assert!(metrics.contains("tidegate_takeovers_total{way=\"session\"} 1"), "without probing: {metrics}");
    let started = Instant::now();
    let (own, new) = (own.idle(), gateway.upgrade(&path, &[]).await);
    let probing = started.elapsed();
    assert!(new.is_ok(), "the oldest does not answer: {new:?}", new = new.err());
    assert!(
        probing >= Duration::from_millis(1_900) && probing < Duration::from_secs(4) + late.by(),
        "{probing:?}"
    );
    println!("figure: takeover by session {takeover:?}, by probing {probing:?}");
    assert!(!own.is_finished(), "who answers keeps the place");
    ghosts.iter().for_each(tokio::task::JoinHandle::abort);
    drop(hole);
    gateway.stop().await;
}

#[tokio::test]
async fn who_answers_keeps_the_place_and_the_fourth_is_told_soon() {
    let late = Late::watch();
    let gateway = Gateway::start().await;
    let held = [gateway.signed_in().await, gateway.signed_in().await, gateway.signed_in().await];
    let held = held.map(Client::idle);
    let started = Instant::now();
    let refused = gateway.upgrade(&format!("/ws?token={}", token(WALLET)), &[]).await.err();
    assert_eq!(refused.map(|(status, _)| status), Some(429));
    assert!(started.elapsed() < Duration::from_millis(1_900) + late.by(), "{:?}", started.elapsed());
    assert!(held.iter().all(|client| !client.is_finished()));
    gateway.stop().await;
}
