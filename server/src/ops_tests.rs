//! What operators are told, on virtual time.

use axum::body::to_bytes;
use tokio::sync::watch;

use super::*;
use crate::config::Config;

struct World {
    app: Arc<App>,
    stop: watch::Sender<bool>,
}

impl World {
    /// Two symbols whose past is known, and whose pipelines do not run.
    async fn new() -> Self {
        let mut config = Config::default();
        config.market.symbols = ["BTCUSDT", "ETHUSDT"].map(|symbol| symbol.parse().unwrap()).into();
        let (stop, stopping) = watch::channel(false);
        let opened = crate::open_market(&config).await.unwrap();
        let (app, ..) = crate::build(config, opened, stopping).await.unwrap();
        Self { app, stop }
    }

    async fn ready(&self) -> (u16, Value) {
        let (status, text) = text(ready(State(Arc::clone(&self.app))).await).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

async fn text(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn t_93_a_gateway_whose_feeds_are_stale_is_not_ready_and_says_which() {
    let world = World::new().await;
    assert_eq!(world.ready().await, (200, json!({"status": "ready", "stale": []})));
    // Nothing evaluates any more: after 30 seconds an evaluation is due, and 15 later it is overdue.
    tokio::time::advance(Duration::from_secs(46)).await;
    let (status, body) = world.ready().await;
    assert_eq!((status, &body["status"]), (503, &json!("stale")));
    let feeds: Vec<_> = body["stale"].as_array().unwrap().iter().map(|feed| &feed["feed"]).collect();
    assert!(feeds.contains(&&json!("BTCUSDT/scalp")) && feeds.contains(&&json!("ETHUSDT/scalp")), "{body}");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(world.ready().await.1["stale"].as_array().unwrap().len(), 6, "those of every minute too");
    let (_, told) = text(metrics(State(Arc::clone(&world.app))).await).await;
    assert!(told.contains("tidegate_stale_feeds{strategy=\"scalp\"} 2"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_is_not_ready() {
    let world = World::new().await;
    world.stop.send(true).unwrap();
    let (status, body) = world.ready().await;
    assert_eq!((status, &body["status"]), (503, &json!("stopping")));
}
