//! Signals: that none is lost, doubled or silently missed, and that silence is noticed.

use tidegate_client_core::{Event, Fact, FeedStatus, Input, Verdict};
use tidegate_protocol::ErrorCode;

use crate::rig::{Rig, connected, feed, granted, requested};

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
fn a_feed_that_is_held_already_goes_on_where_it_was() {
    let btc = feed("BTCUSDT/scalp");
    let mut rig = Rig::new();
    let id = rig.subscribe(btc);
    rig.held(id, 100);
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    let (message, requests) = rig.sent_one("authenticate");
    assert_eq!(requests[0].since, Some(100));
    rig.fact(connected(900_000));
    rig.fact(granted(message, &[btc], true));
    assert_eq!(rig.signal(id, 100, 0), Verdict::Duplicate);
    assert_eq!(rig.signal(id, 200, 100), Verdict::Deliver);
}

#[test]
fn what_is_held_of_a_feed_never_moves_it_back_and_what_came_since_is_fetched() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.signal(ids[0], 500, 400);
    rig.held(ids[0], 500);
    rig.pass(25);
    assert_eq!(rig.sent(), []);
    rig.held(ids[0], 200);
    rig.pass(25);
    let (message, requests) = rig.sent_one("subscribe");
    assert_eq!(requests[0].since, Some(200));
    rig.fact(granted(message, &[btc], true));
    let replay = [(300, 200), (400, 300), (500, 400), (600, 500)];
    let verdicts = replay.map(|(seq, prev)| rig.signal(ids[0], seq, prev));
    assert_eq!(verdicts, [Verdict::Backfill, Verdict::Backfill, Verdict::Backfill, Verdict::Deliver]);
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Gap { .. })));
}

#[test]
fn who_tells_how_far_they_are_after_the_server_was_asked_is_told_of_no_gap() {
    let btc = feed("BTCUSDT/scalp");
    let (mut rig, ids) = Rig::live(&[btc]);
    rig.held(ids[0], 100);
    // The answer to the first request, which did not say so.
    assert_eq!(rig.signal(ids[0], 300, 200), Verdict::Deliver);
    rig.pass(25);
    let (message, requests) = rig.sent_one("subscribe");
    assert_eq!(requests[0].since, Some(100));
    rig.fact(granted(message, &[btc], true));
    let verdicts = [(200, 100), (300, 200), (400, 300)].map(|(seq, prev)| rig.signal(ids[0], seq, prev));
    assert_eq!(verdicts, [Verdict::Backfill, Verdict::Backfill, Verdict::Deliver]);
    rig.pass(1_000);
    assert_eq!(rig.sent(), []);
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Gap { .. })));
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
