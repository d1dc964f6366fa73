//! Subscriptions: how many messages they cost, and that none of them leaks.

use tidegate_client_core::{Fact, FeedStatus, Input, Verdict};
use tidegate_protocol::ErrorCode;

use crate::rig::{Rig, connected, feed, granted, many, requested};

#[test]
fn a_mount_that_is_undone_and_repeated_costs_one_socket_one_subscribe_and_no_unsubscribe() {
    let mut rig = Rig::new();
    let btc = feed("BTCUSDT/scalp");
    // React's Strict Mode: mount, unmount, mount.
    rig.input(Input::Connect);
    let first = rig.subscribe(btc);
    rig.release(first);
    let second = rig.subscribe(btc);
    assert_eq!(first, second);
    rig.accept();
    rig.pass(20_000);
    assert_eq!((rig.dials_ms.len(), rig.sent()), (1, vec![]));

    let (mut rig, _) = Rig::live(&[]);
    let first = rig.subscribe(btc);
    rig.release(first);
    rig.subscribe(btc);
    rig.pass(25);
    let (id, _) = rig.sent_one("subscribe");
    rig.fact(granted(id, &[btc], false));
    rig.pass(20_000);
    assert_eq!(rig.sent(), []);
}

#[test]
fn four_components_on_one_feed_are_one_subscription() {
    let (mut rig, _) = Rig::live(&[]);
    let btc = feed("BTCUSDT/scalp");
    let ids: Vec<_> = (0..4).map(|_| rig.subscribe(btc)).collect();
    rig.pass(25);
    let (id, requests) = rig.sent_one("subscribe");
    assert_eq!(requests.len(), 1);
    rig.fact(granted(id, &[btc], false));
    for feed in &ids[..3] {
        rig.release(*feed);
    }
    rig.pass(10_000);
    assert_eq!(rig.sent(), []);
    rig.release(ids[3]);
    rig.pass(3_100);
    assert_eq!(rig.sent_one("unsubscribe").1.len(), 1);
}

#[test]
fn changes_within_25_milliseconds_are_one_message() {
    let (mut rig, _) = Rig::live(&[]);
    for feed in many(5) {
        rig.subscribe(feed);
        rig.pass(4);
    }
    assert_eq!(rig.sent(), []);
    rig.pass(10);
    assert_eq!(rig.sent_one("subscribe").1.len(), 5);
}

#[test]
fn a_feed_that_is_wanted_again_within_three_seconds_was_never_given_back() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.signal(ids[0], 10, 0);
    rig.release(ids[0]);
    rig.pass(2_900);
    // The store of the application stays up to date meanwhile.
    assert_eq!(rig.signal(ids[0], 20, 10), Verdict::Deliver);
    assert_eq!(rig.subscribe(feed("BTCUSDT/scalp")), ids[0]);
    rig.pass(10_000);
    assert_eq!(rig.sent(), []);
    assert_eq!(rig.signal(ids[0], 30, 20), Verdict::Deliver);
}

#[test]
fn a_feed_that_was_given_back_begins_anew() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 10, 0);
    rig.release(ids[0]);
    rig.pass(3_100);
    let (id, _) = rig.sent_one("unsubscribe");
    assert_eq!(rig.signal(ids[0], 20, 10), Verdict::Unwanted);
    rig.fact(Fact::Unsubscribed { id });
    assert!(rig.client.feed(ids[0]).is_none());
    let again = rig.subscribe(btc);
    assert_ne!(again, ids[0]);
    rig.pass(25);
    let (id, requests) = rig.sent_one("subscribe");
    assert_eq!(requests[0].since, None);
    rig.fact(granted(id, &[btc], false));
    assert_eq!(rig.signal(again, 20, 10), Verdict::Deliver);
    assert_eq!(rig.signal(ids[0], 30, 20), Verdict::Unwanted);
}

#[test]
fn a_release_while_the_subscribe_is_in_flight_leaks_nothing() {
    let (mut rig, _) = Rig::live(&[]);
    let btc = feed("BTCUSDT/scalp");
    let id = rig.subscribe(btc);
    rig.pass(25);
    let (message, _) = rig.sent_one("subscribe");
    rig.release(id);
    rig.pass(5_000);
    assert_eq!(rig.sent(), []);
    rig.fact(granted(message, &[btc], false));
    rig.pass(25);
    let (message, requests) = rig.sent_one("unsubscribe");
    assert_eq!(requested(&requests[0]), btc);
    rig.fact(Fact::Unsubscribed { id: message });
    assert_eq!(rig.client.feeds().count(), 0);
}

#[test]
fn a_release_while_authenticating_leaks_nothing() {
    let mut rig = Rig::new();
    let btc = feed("BTCUSDT/scalp");
    let id = rig.subscribe(btc);
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    let (message, _) = rig.sent_one("authenticate");
    rig.release(id);
    rig.pass(4_000);
    rig.fact(connected(900_000));
    rig.fact(granted(message, &[btc], false));
    rig.pass(25);
    assert_eq!(requested(&rig.sent_one("unsubscribe").1[0]), btc);
}

#[test]
fn a_release_that_is_never_answered_is_repeated() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.release(ids[0]);
    rig.pass(3_025);
    let (first, _) = rig.sent_one("unsubscribe");
    rig.pass(10_025);
    let (second, _) = rig.sent_one("unsubscribe");
    assert!(second > first);
    rig.fact(Fact::Error { id: second, code: ErrorCode::NotSubscribed, retry_after_ms: None });
    assert_eq!((rig.client.feeds().count(), rig.warnings()), (0, vec![]));
}

#[test]
fn a_subscribe_that_is_never_answered_is_repeated_after_ten_seconds() {
    let (mut rig, _) = Rig::live(&[]);
    let btc = feed("BTCUSDT/scalp");
    let id = rig.subscribe(btc);
    rig.pass(25);
    let (first, _) = rig.sent_one("subscribe");
    rig.pass(10_025);
    let (second, _) = rig.sent_one("subscribe");
    // The answer to the first says nothing any more; the answer to the second does.
    rig.fact(granted(first, &[btc], false));
    assert_eq!(rig.feed_status(id), FeedStatus::Pending);
    rig.fact(granted(second, &[btc], false));
    assert_eq!(rig.feed_status(id), FeedStatus::Live);
}

#[test]
fn a_handler_may_subscribe_and_dispose_while_events_are_delivered() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.client.handle(Input::Message { socket: rig.socket(), fact: Fact::Heartbeat }, rig.now_ms);
    rig.client.handle_signal(rig.socket(), ids[0], 10, 0, rig.now_ms);
    rig.client.handle_signal(rig.socket(), ids[0], 40, 30, rig.now_ms);
    let mut handled = 0;
    while let Some(output) = rig.client.poll_output() {
        if let tidegate_client_core::Output::Event(_) = output {
            handled += 1;
            let other = rig.client.subscribe(feed("ETHUSDT/scalp"), rig.now_ms);
            rig.client.release(other, rig.now_ms);
            rig.client.release(ids[0], rig.now_ms);
            rig.client.handle(Input::Disconnect, rig.now_ms);
        }
        assert!(handled < 20, "events breed events");
    }
    assert_eq!(rig.state(), tidegate_client_core::State::Idle);
}

#[test]
fn more_releases_than_subscriptions_change_nothing() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    for _ in 0..5 {
        rig.release(ids[0]);
    }
    rig.subscribe(feed("BTCUSDT/scalp"));
    rig.pass(20_000);
    assert_eq!((rig.sent(), rig.feed_status(ids[0])), (vec![], FeedStatus::Live));
    rig.release(tidegate_client_core::FeedId(77));
}
