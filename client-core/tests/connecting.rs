//! Getting a connection, and getting it back.

use tidegate_client_core::{Fact, Input, SocketId, State};
use tidegate_protocol::{ClientMessage, CloseCode};

use crate::rig::{Rig, connected, feed};

#[test]
fn one_message_restores_token_session_and_every_position() {
    let (btc, eth) = (feed("BTCUSDT/scalp"), feed("ETHUSDT/momentum"));
    let (mut rig, ids) = Rig::live(&[btc, eth]);
    rig.signal(ids[0], 1_000, 0);
    rig.signal(ids[0], 2_000, 1_000);
    rig.close(1006);
    rig.pass(1_000);
    let socket = rig.socket();
    rig.input(Input::Open { socket });
    let messages = rig.sent();
    let [ClientMessage::Authenticate(message)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.token.as_str(), message.session.as_deref()), ("token-1", Some("session-1")));
    let wanted: Vec<_> = message.subscriptions.iter().flatten().map(|one| one.since).collect();
    assert_eq!(wanted, [Some(2_000), None]);
}

#[test]
fn nothing_is_dialled_before_somebody_wants_a_connection() {
    let mut rig = Rig::new();
    rig.subscribe(feed("BTCUSDT/scalp"));
    for input in [Input::Online, Input::Visible, Input::Thaw, Input::NewToken, Input::Tick] {
        rig.input(input);
        rig.pass(60_000);
    }
    assert_eq!((rig.dials_ms.len(), rig.state()), (0, State::Idle));
}

#[test]
fn a_dial_that_hangs_is_given_up_after_eight_seconds() {
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.pass(7_999);
    assert_eq!(rig.state(), State::Dialing);
    rig.pass(1);
    assert_eq!((rig.state(), rig.closes()), (State::Waiting, vec![CloseCode(3008)]));
}

#[test]
fn a_server_that_never_answers_the_first_message_is_given_up_after_eight_seconds() {
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.pass(2_000);
    rig.input(Input::Open { socket: rig.socket() });
    assert_eq!(rig.state(), State::Authenticating);
    rig.pass(8_000);
    assert_eq!((rig.state(), rig.closes()), (State::Waiting, vec![CloseCode(3008)]));
}

#[test]
fn what_an_old_socket_says_is_ignored() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    let old = rig.socket();
    rig.close(1006);
    rig.pass(1_000);
    rig.accept();
    rig.clear();
    rig.input(Input::Closed { socket: old, code: 4003, reason: String::new() });
    rig.input(Input::Message { socket: old, fact: Fact::GoingAway { reconnect_after_ms: 1 } });
    rig.input(Input::Open { socket: old });
    rig.input(Input::Message { socket: SocketId(99), fact: connected(1) });
    let verdict = rig.client.handle_signal(old, ids[0], 9_000, 8_000, rig.now_ms);
    assert_eq!(verdict, tidegate_client_core::Verdict::Unwanted);
    assert_eq!((rig.state(), rig.actions.len(), rig.events.len()), (State::Live, 0, 0));
}

#[test]
fn a_person_who_connects_again_skips_the_wait_but_not_the_budget() {
    let mut rig = Rig::new();
    for _ in 0..200 {
        rig.input(Input::Connect);
        if rig.state() == State::Dialing {
            rig.close(1006);
        }
        rig.pass(100);
    }
    // 20 seconds: a burst of 8, and one more every 7.5 s.
    assert_eq!(rig.dials_ms.len(), 10);
    assert!(rig.dials_ms.windows(2).all(|pair| pair[1] - pair[0] >= 500));
}

#[test]
fn failures_are_forgiven_while_live_and_not_by_connecting() {
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    for _ in 0..6 {
        rig.close(1006);
        rig.pass_to_dial();
    }
    rig.accept();
    assert_eq!(rig.client.status().attempt, 6);
    rig.pass(10_000);
    rig.fact(Fact::Heartbeat);
    assert_eq!(rig.client.status().attempt, 4);
    rig.pass(20_000);
    rig.fact(Fact::Heartbeat);
    assert_eq!(rig.client.status().attempt, 0);
}

#[test]
fn a_hidden_page_waits_up_to_a_minute() {
    let longest_ms = |hidden: bool| {
        let waits = (0..300).map(|seed| {
            let mut rig = Rig::with_seed(seed);
            rig.input(if hidden { Input::Hidden } else { Input::Visible });
            rig.input(Input::Connect);
            for _ in 0..8 {
                rig.close(1006);
                rig.pass_to_dial();
            }
            rig.close(1006);
            rig.client.status().retry_at_ms.unwrap() - rig.now_ms
        });
        waits.max().unwrap()
    };
    assert!((19_000..=20_000).contains(&longest_ms(false)));
    assert!((57_000..=60_000).contains(&longest_ms(true)));
}

#[test]
fn a_disconnect_closes_the_socket_and_forgets_the_session_but_not_the_feeds() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.signal(ids[0], 500, 0);
    rig.input(Input::Disconnect);
    assert_eq!((rig.state(), rig.closes()), (State::Idle, vec![CloseCode::NORMAL]));
    rig.pass(600_000);
    assert_eq!(rig.dials_ms.len(), 1);
    rig.input(Input::Connect);
    let socket = rig.socket();
    rig.input(Input::Open { socket });
    let messages = rig.sent();
    let [ClientMessage::Authenticate(message)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.session, None);
    assert_eq!(message.subscriptions.as_ref().unwrap()[0].since, Some(500));
}

#[test]
fn the_round_trip_is_known_from_the_first_message() {
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    rig.pass(37);
    rig.fact(connected(900_000));
    assert_eq!(rig.client.status().rtt_ms, Some(37));
}

#[test]
fn the_memory_of_1500_reconnects_is_flat() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp"), feed("ETHUSDT/scalp")]);
    let mut sizes = Vec::new();
    for round in 1..=1_500 {
        // A gap and a transient feed every time: the things that could pile up.
        rig.signal(ids[0], round * 10, round * 10 - 5);
        let other = rig.subscribe(feed("SOLUSDT/scalp"));
        rig.release(other);
        rig.pass_healthy(40_000);
        rig.close(1006);
        rig.pass_to_dial();
        rig.accept();
        rig.clear();
        sizes.push(format!("{:?}", rig.client).len());
    }
    let (early, late) = (sizes[99], sizes[1_499]);
    // Numbers have more digits later; nothing else may grow.
    assert!(late < early + early / 10, "{early} bytes of state became {late}");
}
