//! Whether the server is still there: asked only when there is a reason to.

use tidegate_client_core::{Event, Fact, Input, State};
use tidegate_protocol::CloseCode;

use crate::rig::{Rig, feed};

#[test]
fn nothing_is_spent_while_the_server_is_heard() {
    let (mut rig, _) = Rig::live(&[feed("BTCUSDT/range_trading")]);
    rig.pass_healthy(600_000);
    assert_eq!((rig.sent(), rig.state()), (vec![], State::Live));
}

#[test]
fn a_silent_server_is_asked_after_30_seconds_and_left_5_seconds_later() {
    let (mut rig, _) = Rig::live(&[]);
    rig.pass(29_999);
    assert_eq!(rig.sent(), []);
    rig.pass(1);
    rig.sent_one("ping");
    assert!(rig.client.status().probing);
    rig.pass(4_999);
    assert_eq!(rig.state(), State::Live);
    rig.pass(1);
    assert_eq!((rig.state(), rig.closes()), (State::Dialing, vec![CloseCode(3008)]));
}

#[test]
fn any_frame_answers_a_ping_and_a_pong_measures_the_round_trip() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/range_trading")]);
    rig.pass(30_000);
    let (id, _) = rig.sent_one("ping");
    rig.pass(40);
    rig.clear();
    rig.signal(ids[0], 10, 0);
    assert!(!rig.client.status().probing);
    assert!(matches!(rig.events[0], Event::Status(status) if !status.probing));
    rig.pass(2);
    rig.fact(Fact::Pong { id });
    assert_eq!(rig.client.status().rtt_ms, Some(42));
    rig.pass(10_000);
    assert_eq!(rig.state(), State::Live);
}

#[test]
fn a_tick_90_seconds_late_with_data_pending_does_not_reconnect() {
    // The machine slept: while all was well, during a probe, while dialling, and while authenticating.
    let (mut rig, _) = Rig::live(&[]);
    rig.pass(10_000);
    rig.sleep(90_000);
    rig.input(Input::Tick);
    rig.sent_one("ping");
    rig.pass(2_900);
    rig.fact(Fact::Heartbeat);
    rig.pass(10_000);
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Live, 1));

    let (mut rig, _) = Rig::live(&[]);
    rig.pass(31_000);
    rig.sleep(90_000);
    rig.input(Input::Tick);
    rig.pass(2_900);
    rig.fact(Fact::Heartbeat);
    rig.pass(10_000);
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Live, 1));

    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.sleep(90_000);
    rig.input(Input::Tick);
    rig.input(Input::Open { socket: rig.socket() });
    rig.sleep(90_000);
    rig.input(Input::Tick);
    rig.fact(crate::rig::connected(900_000));
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Live, 1));
}

#[test]
fn a_timer_that_is_throttled_to_once_a_minute_still_finds_a_dead_server() {
    let (mut rig, _) = Rig::live(&[]);
    rig.input(Input::Hidden);
    for _ in 0..4 {
        rig.sleep(60_000);
        rig.input(Input::Tick);
    }
    assert_ne!(rig.state(), State::Live);
}

#[test]
fn an_open_but_dead_socket_is_replaced_within_three_and_a_half_seconds_of_becoming_visible() {
    for input in [Input::Visible, Input::Online, Input::Thaw] {
        let (mut rig, _) = Rig::live(&[]);
        rig.pass_healthy(60_000);
        rig.pass(8_000);
        rig.clear();
        rig.input(input.clone());
        rig.sent_one("ping");
        rig.pass(3_500);
        assert_eq!((rig.state(), rig.dials_ms.len()), (State::Dialing, 2), "{input:?}");
    }
}

#[test]
fn becoming_visible_again_and_again_does_not_spend_the_allowance_or_kill_a_healthy_connection() {
    let (mut rig, _) = Rig::live(&[]);
    rig.clear();
    for _ in 0..3_000 {
        rig.input(Input::Hidden);
        rig.input(Input::Visible);
        rig.pass(100);
        for message in rig.sent() {
            rig.fact(Fact::Pong { id: message.id() });
        }
        assert!(rig.client.usage(rig.now_ms).messages <= 30);
    }
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Live, 1));
}

#[test]
fn offline_while_live_asks_the_server_and_does_not_close() {
    let (mut rig, _) = Rig::live(&[]);
    rig.pass(5_000);
    rig.input(Input::Offline);
    let (id, _) = rig.sent_one("ping");
    rig.fact(Fact::Pong { id });
    rig.pass_healthy(60_000);
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Live, 1));
    // The server was heard, so the system was wrong: a later loss is retried as usual.
    rig.close(1006);
    assert_eq!(rig.state(), State::Waiting);
}

#[test]
fn a_connection_that_is_lost_while_offline_waits_for_the_network() {
    let (mut rig, _) = Rig::live(&[]);
    rig.pass(5_000);
    rig.input(Input::Offline);
    rig.pass(3_000);
    assert_eq!(rig.state(), State::Offline);
    rig.pass(600_000);
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Offline, 1));
    rig.input(Input::Online);
    // The token lasted 15 minutes: still good for a dial.
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Dialing, 2));
}

#[test]
fn somebody_who_looks_is_worth_a_try_whatever_the_system_says() {
    for input in [Input::Visible, Input::Connect] {
        let mut rig = Rig::new();
        rig.input(Input::Offline);
        rig.input(Input::Connect);
        if rig.state() == State::Dialing {
            rig.input(Input::Offline);
            rig.close(1006);
        }
        assert_eq!(rig.state(), State::Offline);
        rig.pass(1_000);
        rig.input(input);
        assert_eq!(rig.state(), State::Dialing);
    }
}
