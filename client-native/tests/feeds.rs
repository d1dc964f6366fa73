//! Feeds: what readers see, and what slow ones cost.

use std::time::Duration;

use futures_util::StreamExt;
use tidegate_client_native::{FeedStatus, Options, TokenSource, Update};
use tidegate_protocol::ClientMessage;

use crate::server::{btc, client, client_with, next, signal, subscribed};

#[tokio::test(start_paused = true)]
async fn a_gap_is_seen_before_the_signal_behind_it_and_filled_in_after() {
    let (client, mut listener) = client();
    let mut updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    peer.say(&signal(10, 0)).await;
    peer.say(&signal(40, 30)).await;
    for expected in ["+10", "gap 10-40", "+40"] {
        assert_eq!(next(&mut updates).await, expected);
    }
    assert_eq!(peer.grant().await[0].since, Some(10));
    for (seq, prev) in [(20, 10), (30, 20), (40, 30), (50, 40)] {
        peer.say(&signal(seq, prev)).await;
    }
    for expected in ["^20", "^30", "+50"] {
        assert_eq!(next(&mut updates).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_reader_gets_the_latest_signal_at_once_and_costs_no_message() {
    let (client, mut listener) = client();
    let mut first = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    peer.say(&signal(10, 0)).await;
    assert_eq!(next(&mut first).await, "+10");
    let mut second = client.subscribe(btc()).await.unwrap();
    assert!(matches!(second.next().await, Some(Update::Status(FeedStatus::Live))));
    assert_eq!(next(&mut second).await, "+10");
    peer.say(&signal(20, 10)).await;
    assert_eq!((next(&mut first).await, next(&mut second).await), ("+20".into(), "+20".into()));
    drop(first);
    tokio::time::sleep(Duration::from_secs(10)).await;
    drop(second);
    // Only now, and three seconds later, is it given back.
    let start = tokio::time::Instant::now();
    let ClientMessage::Unsubscribe(message) = peer.hear().await else { panic!("unsubscribe") };
    assert_eq!((message.requests().len(), start.elapsed().as_secs()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_how_much_it_missed_and_delays_nobody() {
    let options = Options { buffer: 4, ..Options::new("ws://test/ws", TokenSource::fixed("t")) };
    let (client, mut listener) = client_with(options);
    let mut slow = client.subscribe(btc()).await.unwrap();
    let mut quick = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    for seq in 1..=20 {
        peer.say(&signal(seq, seq - 1)).await;
        assert_eq!(next(&mut quick).await, format!("+{seq}"));
    }
    // The status of the feed was one of the updates.
    assert_eq!(next(&mut slow).await, "lag 17");
    for seq in 17..=20 {
        assert_eq!(next(&mut slow).await, format!("+{seq}"));
    }
}

#[tokio::test(start_paused = true)]
async fn several_messages_in_one_frame_are_read_one_by_one() {
    let (client, mut listener) = client();
    let mut updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    peer.say_text(format!("{}\n{}\n", signal(10, 0).to_json(), signal(20, 10).to_json())).await;
    assert_eq!((next(&mut updates).await, next(&mut updates).await), ("+10".into(), "+20".into()));
    // What a newer server says is passed over.
    peer.say_text(r#"{"type":"of_a_newer_server"}"#.into()).await;
    peer.say_text("not JSON".into()).await;
    peer.say(&signal(30, 20)).await;
    assert_eq!(next(&mut updates).await, "+30");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_feed_is_seen_as_it_changes() {
    let (client, mut listener) = client();
    let mut updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    let mut seen = Vec::new();
    while seen.last() != Some(&FeedStatus::Stale) {
        tokio::select! {
            update = updates.next() => {
                if let Some(Update::Status(status)) = update {
                    seen.push(status);
                }
            }
            // Pings are answered, so the connection is healthy.
            message = peer.hear() => {
                let id = message.id();
                peer.say_text(format!(r#"{{"type":"pong","id":{id},"server_time":"2025-11-04T10:30:05Z"}}"#)).await;
            }
        }
    }
    assert_eq!(seen, [FeedStatus::Pending, FeedStatus::Live, FeedStatus::Stale]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_within_the_linger_goes_on_and_a_later_one_begins_anew() {
    let (client, mut listener) = client();
    let mut updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    peer.say(&signal(10, 0)).await;
    assert_eq!(next(&mut updates).await, "+10");
    drop(updates);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut updates = client.subscribe(btc()).await.unwrap();
    assert_eq!(next(&mut updates).await, "+10");
    drop(updates);
    let ClientMessage::Unsubscribe(message) = peer.hear().await else { panic!("unsubscribe") };
    let id = message.id.unwrap();
    peer.say_text(format!(
        r#"{{"type":"unsubscribed","id":{id},"payload":{{"subscribed":[],"strategies":{{}},"subscriptions":[]}}}}"#
    ))
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut updates = client.subscribe(btc()).await.unwrap();
    let ClientMessage::Subscribe(message) = peer.hear().await else { panic!("subscribe") };
    assert_eq!(message.requests()[0].since, None);
    peer.say(&subscribed(message.id.unwrap(), &message.requests(), false)).await;
    peer.say(&signal(20, 10)).await;
    assert_eq!(next(&mut updates).await, "+20");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream_too() {
    let (client, mut listener) = client();
    let updates = client.subscribe(btc()).await.unwrap();
    let mut peer = listener.accept().await;
    peer.let_in().await;
    peer.say(&signal(10, 0)).await;
    peer.say(&signal(20, 10)).await;
    let signals =
        updates.into_stream().filter(|update| std::future::ready(matches!(update, Update::Signal(_))));
    assert_eq!(signals.take(2).count().await, 2);
}
