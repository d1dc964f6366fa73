//! What the server allows: spent to the last message, and never exceeded.

use tidegate_client_core::{Fact, FeedStatus, Granted, Input, Rejected, Warning};
use tidegate_protocol::{ErrorCode, Limits};

use crate::rig::{Rig, connected, feed, granted, many, requested};

#[test]
fn the_eleventh_feed_waits_and_starts_when_one_is_released() {
    let feeds = many(11);
    let (mut rig, ids) = Rig::live(&feeds);
    assert_eq!(rig.feed_status(ids[9]), FeedStatus::Live);
    assert_eq!(rig.feed_status(ids[10]), FeedStatus::Queued);
    assert_eq!(rig.client.usage(rig.now_ms).subscriptions, 10);
    rig.release(ids[3]);
    rig.pass(3_025);
    let (id, _) = rig.sent_one("unsubscribe");
    assert_eq!(rig.feed_status(ids[10]), FeedStatus::Queued);
    rig.fact(Fact::Unsubscribed { id });
    assert_eq!(rig.feed_status(ids[10]), FeedStatus::Pending);
    rig.pass(25);
    let (id, requests) = rig.sent_one("subscribe");
    assert_eq!(requested(&requests[0]), feeds[10]);
    rig.fact(granted(id, &feeds[10..], false));
    assert_eq!(rig.feed_status(ids[10]), FeedStatus::Live);
}

#[test]
fn a_server_with_fewer_places_than_announced_queues_what_it_refuses() {
    let feeds = many(2);
    let mut rig = Rig::new();
    let ids: Vec<_> = feeds.iter().map(|feed| rig.subscribe(*feed)).collect();
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    let (id, _) = rig.sent_one("authenticate");
    rig.fact(connected(900_000));
    let grant = Granted { feed: feeds[0], interval_ms: 30_000, recovered: false };
    let reject = Rejected { feed: feeds[1], code: ErrorCode::SubscriptionLimit };
    rig.fact(Fact::Subscribed { id, granted: vec![grant], rejected: vec![reject] });
    assert_eq!((rig.feed_status(ids[1]), rig.warnings()), (FeedStatus::Queued, vec![]));
    rig.pass(20_000);
    assert_eq!(rig.sent(), []);
    rig.release(ids[0]);
    rig.pass(3_025);
    let (id, _) = rig.sent_one("unsubscribe");
    rig.fact(Fact::Unsubscribed { id });
    rig.pass(25);
    assert_eq!(requested(&rig.sent_one("subscribe").1[0]), feeds[1]);
}

#[test]
fn an_unknown_symbol_is_reported_and_asked_for_again_only_with_the_next_connection() {
    let dog = feed("DOGEUSDT/scalp");
    let mut rig = Rig::new();
    let id = rig.subscribe(dog);
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    let (message, _) = rig.sent_one("authenticate");
    rig.fact(connected(900_000));
    let reject = Rejected { feed: dog, code: ErrorCode::UnknownSymbol };
    rig.fact(Fact::Subscribed { id: message, granted: vec![], rejected: vec![reject] });
    assert_eq!(rig.feed_status(id), FeedStatus::Rejected(ErrorCode::UnknownSymbol));
    assert_eq!(rig.warnings(), [Warning::FeedRejected(id, ErrorCode::UnknownSymbol)]);
    rig.pass(20_000);
    assert_eq!(rig.sent(), []);
    rig.close(1006);
    rig.pass(1_000);
    rig.input(Input::Open { socket: rig.socket() });
    assert_eq!(rig.sent_one("authenticate").1.len(), 1);
}

#[test]
fn the_message_allowance_is_never_exceeded_and_what_waits_is_shown() {
    let limits = Limits { subscriptions_per_connection: 1_000, ..Limits::default() };
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    let session_id = "s".to_owned();
    rig.fact(Fact::Connected { session_id, expires_in_ms: 900_000, heartbeat_seconds: 25, limits });
    rig.clear();
    let mut sent = 0;
    let started_ms = rig.now_ms;
    for feed in many(40) {
        rig.subscribe(feed);
        rig.pass(30);
        sent += rig.sent().len();
    }
    // Three are kept back for pings.
    assert_eq!(sent, 27);
    let status = rig.client.status();
    let until_ms = status.paced_until_ms.expect("shown");
    assert!((60_000..=62_100).contains(&(until_ms - started_ms)));
    assert_eq!(rig.client.usage(rig.now_ms).messages, 27);
    rig.fact(Fact::Heartbeat);
    while rig.now_ms < until_ms {
        rig.pass((until_ms - rig.now_ms).min(20_000));
        rig.fact(Fact::Heartbeat);
    }
    let subscribed: Vec<_> = rig.sent();
    // The first 27 were never answered and are asked for again with the rest: in one message.
    let [tidegate_protocol::ClientMessage::Subscribe(message)] = subscribed.as_slice() else {
        panic!("{subscribed:?}")
    };
    assert_eq!(message.requests().len(), 40);
    assert_eq!(rig.client.status().paced_until_ms, None);
}

#[test]
fn a_refusal_for_the_rate_is_waited_out_and_repeated() {
    let (mut rig, _) = Rig::live(&[]);
    let btc = feed("BTCUSDT/scalp");
    rig.subscribe(btc);
    rig.pass(25);
    let (id, _) = rig.sent_one("subscribe");
    rig.fact(Fact::Error { id, code: ErrorCode::RateLimited, retry_after_ms: Some(1_875) });
    assert_eq!(rig.warnings(), [Warning::RateLimited(1_875)]);
    rig.pass(1_874);
    assert_eq!(rig.sent(), []);
    rig.pass(26);
    assert_eq!(rig.sent_one("subscribe").1.len(), 1);
}
