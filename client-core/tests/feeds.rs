//! Subscriptions: how many messages they cost, and that nothing of a feed is lost, doubled or leaked.

use tidegate_client_core::{Event, Fact, FeedStatus, Granted, Input, Rejected, Verdict, Warning};
use tidegate_protocol::{ErrorCode, Feed, Limits};

use crate::rig::{Rig, connected, feed, granted, requested};

fn many(count: usize) -> Vec<Feed> {
    (0..count).map(|index| feed(&format!("COIN{index}/scalp"))).collect()
}

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
fn a_late_acknowledgement_never_moves_a_position_back() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 100, 0);
    rig.close(1006);
    rig.pass(1_000);
    rig.input(Input::Open { socket: rig.socket() });
    let (id, requests) = rig.sent_one("authenticate");
    assert_eq!(requests[0].since, Some(100));
    rig.fact(connected(900_000));
    assert_eq!(rig.signal(ids[0], 200, 100), Verdict::Deliver);
    assert_eq!(rig.signal(ids[0], 300, 200), Verdict::Deliver);
    rig.fact(granted(id, &[btc], true));
    assert_eq!(rig.signal(ids[0], 200, 100), Verdict::Duplicate);
    assert_eq!(rig.client.feed(ids[0]).unwrap().last_seq, Some(300));
    assert_eq!(rig.signal(ids[0], 400, 300), Verdict::Deliver);
}

#[test]
fn signals_of_an_older_subscription_make_no_silent_hole() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 100, 0);
    rig.release(ids[0]);
    rig.pass(3_025);
    let (ending, _) = rig.sent_one("unsubscribe");
    // Wanted again before the server has answered; a last signal of the old subscription is under way.
    assert_eq!(rig.subscribe(btc), ids[0]);
    assert_eq!(rig.signal(ids[0], 200, 100), Verdict::Deliver);
    rig.fact(Fact::Unsubscribed { id: ending });
    rig.pass(25);
    let (id, requests) = rig.sent_one("subscribe");
    // 300 is computed while nobody follows the feed; the request asks for it.
    assert_eq!(requests[0].since, Some(200));
    rig.fact(granted(id, &[btc], true));
    assert_eq!(rig.signal(ids[0], 300, 200), Verdict::Deliver);
}

#[test]
fn a_gap_is_delivered_reported_and_fetched_once() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 100, 0);
    assert_eq!(rig.signal(ids[0], 400, 300), Verdict::Gap);
    assert!(rig.events.contains(&Event::Gap { feed: ids[0], after: 100, before: 400 }));
    rig.pass(25);
    let (id, requests) = rig.sent_one("subscribe");
    assert_eq!((requested(&requests[0]), requests[0].since), (btc, Some(100)));
    assert_eq!(rig.feed_status(ids[0]), FeedStatus::Live);
    assert_eq!(rig.signal(ids[0], 500, 400), Verdict::Deliver);
    rig.fact(granted(id, &[btc], true));
    let replay: Vec<_> = [(200, 100), (300, 200), (400, 300), (500, 400)]
        .map(|(seq, prev)| rig.signal(ids[0], seq, prev))
        .into();
    assert_eq!(replay, [Verdict::Backfill, Verdict::Backfill, Verdict::Duplicate, Verdict::Duplicate]);
    assert_eq!(rig.signal(ids[0], 600, 500), Verdict::Deliver);
    rig.pass(20_000);
    assert_eq!(rig.sent(), []);
}

#[test]
fn a_gap_whose_fetch_is_refused_or_never_answered_is_not_fetched_again() {
    for answered in [true, false] {
        let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
        rig.signal(ids[0], 100, 0);
        rig.signal(ids[0], 400, 300);
        rig.pass(25);
        let (id, _) = rig.sent_one("subscribe");
        if answered {
            rig.fact(Fact::Error { id, code: ErrorCode::Internal, retry_after_ms: None });
        }
        rig.pass(25_000);
        assert_eq!((rig.sent(), rig.feed_status(ids[0])), (vec![], FeedStatus::Live));
    }
}

#[test]
fn a_position_that_the_server_cannot_resume_is_forgotten_and_the_hole_reported() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 5_000, 0);
    rig.close(1006);
    rig.pass(1_000);
    rig.input(Input::Open { socket: rig.socket() });
    let (id, _) = rig.sent_one("authenticate");
    rig.fact(connected(900_000));
    rig.fact(granted(id, &[btc], false));
    rig.events.clear();
    // The server's history began anew: what it has is older than what we hold.
    assert_eq!(rig.signal(ids[0], 70, 60), Verdict::Gap);
    assert!(rig.events.contains(&Event::Gap { feed: ids[0], after: 5_000, before: 70 }));
    assert_eq!(rig.signal(ids[0], 80, 70), Verdict::Deliver);
    rig.pass(20_000);
    assert_eq!(rig.sent(), []);
}

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

#[test]
fn a_feed_is_stale_when_its_next_signal_is_overdue_on_a_healthy_socket() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp"), feed("BTCUSDT/range_trading")]);
    rig.signal(ids[0], 10, 0);
    assert_eq!(rig.client.feed(ids[0]).unwrap().due_at_ms, Some(rig.now_ms + 30_000));
    rig.pass(20_000);
    rig.fact(Fact::Heartbeat);
    rig.pass(14_999);
    assert_eq!(rig.feed_status(ids[0]), FeedStatus::Live);
    rig.pass(1);
    assert_eq!(rig.feed_status(ids[0]), FeedStatus::Stale);
    // It is silent for hours while there is no range to trade.
    assert_eq!(rig.feed_status(ids[1]), FeedStatus::Live);
    rig.clear();
    rig.signal(ids[0], 20, 10);
    assert_eq!(rig.events, [Event::Feed { feed: ids[0], status: FeedStatus::Live }]);
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
