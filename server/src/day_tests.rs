//! A whole day of a gateway, on virtual time.

use std::time::Duration;

use tidegate_protocol::{Feed, ServerMessage, Strategy};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::*;
use crate::hub::{Outbox, Position};

#[tokio::test(start_paused = true)]
async fn t_79_a_day_has_2880_scalp_signals_in_an_unbroken_chain_and_on_the_half_minute() {
    let mut config = Config::default();
    config.market.symbols = vec!["BTCUSDT".parse().unwrap()];
    let (_stop, stopping) = watch::channel(false);
    let opened = open_market(&config).await.unwrap();
    let clock = opened.clock;
    let (app, pipelines, ..) = build(config, opened, stopping).await.unwrap();
    let feed = Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp };
    let outbox = Arc::new(Outbox::default());
    let backlog = app.hub.follow(feed, Position::Latest, &outbox);
    let seq = |frame: &str| ServerMessage::parse(frame).unwrap().position().expect("a signal");
    let mut last = seq(&backlog.frames[0]).1;
    for pipeline in pipelines {
        tokio::spawn(pipeline.run());
    }
    let end = Instant::now() + Duration::from_secs(86_400);
    let (mut count, mut latest) = (0, Duration::ZERO);
    while Instant::now() < end {
        tokio::select! {
            () = outbox.ready() => {}
            () = sleep_until(end) => {}
        }
        while let Some(waiting) = outbox.pop() {
            let (_, seq, prev) = seq(&waiting.frame);
            assert_eq!((prev, seq), (last, last + 30_000), "number {count}");
            let due = clock.instant_of(i64::try_from(seq).unwrap());
            latest = latest.max(waiting.published - due);
            (last, count) = (seq, count + 1);
        }
    }
    assert_eq!(count, 2_880);
    // It waits for the next event of the market, or two seconds; and no longer at the end than at the beginning.
    assert!(latest <= Duration::from_millis(2_010), "{latest:?}");
    println!(
        "figure: a day: {count} scalp signals, each on its half minute, published within {latest:?} of it"
    );
}
