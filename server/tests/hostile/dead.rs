//! Peers that are gone without a word, over real sockets and in real time.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::black_hole::BlackHole;
use crate::support::late::Late;
use crate::support::measured::Measured;
use crate::support::raw::{Raw, frame, text};
use crate::support::{WALLET, token};

/// Sockets at this port that the process has closed and the kernel still holds for their last words (FIN_WAIT1).
fn orphans(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells");
    let local = format!(":{port:04X}");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields.get(1).is_some_and(|at| at.ends_with(&local)) && fields[3] == "04").count()
}

#[tokio::test]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_39_d_10_a_black_holed_connection_is_gone_after_a_minute() {
    let late = Late::watch();
    let gateway = Measured::start(&[]);
    let files = gateway.files();
    let hole = BlackHole::before(gateway.address).await;
    let mut raw = Raw::upgraded(hole.address, &format!("/ws?token={}", token(WALLET))).await;
    raw.frame().await.expect("connected");
    hole.swallow();
    let started = Instant::now();
    while gateway.files() > files {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(started.elapsed() < Duration::from_secs(65) + late.by(), "its socket is still open");
    }
    println!("figure: the socket of a black-holed connection was closed after {:?}", started.elapsed());
}

#[tokio::test]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_39_d_10_the_kernel_forgets_who_reads_nothing_any_more() {
    let gateway = Measured::start(&[("market.speed", "3000")]);
    let subscribe = text(&json!({"type": "subscribe", "symbol": "BTCUSDT", "strategy": "scalp"}).to_string());
    let mut raw = Raw::narrow(gateway.address).await;
    raw.upgrade(&format!("/ws?token={}", token(WALLET))).await;
    raw.send(&subscribe).await;
    let started = Instant::now();
    // Half a minute without an open window; who opens it a little now and then has more time.
    let wait_for = async |wanted: usize| {
        while orphans(gateway.address.port()) != wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(started.elapsed() < Duration::from_secs(300), "not {wanted} orphans");
        }
        started.elapsed()
    };
    let (closed, forgotten) = (wait_for(1).await, wait_for(0).await);
    println!("figure: closed {closed:?} after the last read, forgotten by the kernel after {forgotten:?}");
    drop(raw);
}

#[tokio::test]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_37_ten_thousand_idle_connections_cost_little_and_none_is_closed() {
    const COUNT: usize = 10_000;
    /// Five pings, and twice the silence after which a connection is given up.
    const IDLE: Duration = Duration::from_secs(150);
    let gateway = Measured::start(&[]);
    let before = gateway.memory();
    let mut clients = Vec::new();
    for chunk in 0..COUNT / 100 {
        let connect = (0..100).map(async |index| {
            let user = format!("0x{:040}", (chunk * 100 + index) / 3);
            let mut raw = Raw::upgraded(gateway.address, &format!("/ws?token={}", token(&user))).await;
            raw.frame().await.expect("connected");
            raw.send(text("{\"type\":\"subscribe\",\"symbol\":\"BTCUSDT\",\"strategy\":\"range_trading\"}"))
                .await;
            raw.frame().await.expect("subscribed");
            raw
        });
        let connected = futures_util::future::join_all(connect).await;
        clients.extend(connected.into_iter().map(|mut raw| {
            tokio::spawn(async move {
                let mut pings = 0_usize;
                while let Some(next) = raw.next_frame().await {
                    assert_ne!(next.opcode, 8, "closed: {next:?}");
                    if next.opcode == 9 {
                        pings += 1;
                        raw.send(frame(0x8a, &next.payload)).await;
                    }
                    if pings == 4 {
                        break;
                    }
                }
                (pings, raw)
            })
        }));
    }
    let each = (gateway.memory() - before) / i64::try_from(COUNT).unwrap();
    let ((), cost) = gateway.cost(tokio::time::sleep(IDLE)).await;
    for client in clients {
        let (pings, _raw) = client.await.expect("it is not closed");
        assert_eq!(pings, 4);
    }
    println!("figure: {COUNT} idle connections with a subscription: {each} bytes each; for {IDLE:?}: {cost}");
    assert!(each < 32 * 1_024, "{each} bytes each");
    assert!(cost.share() < 0.5, "{cost}");
}
