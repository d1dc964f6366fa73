//! What each close code makes a client do.

use tidegate_client_core::{Block, Fact, Input, State, Warning};
use tidegate_protocol::ErrorCode;

use crate::rig::{Rig, feed};

/// The state after a close, the wait in milliseconds if there is one, and the warnings.
fn after_close(code: u16) -> (State, Option<u64>, Vec<Warning>) {
    let (mut rig, _) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.pass(1_000);
    rig.input(Input::Closed { socket: rig.socket(), code, reason: String::new() });
    let status = rig.client.status();
    (status.state, status.retry_at_ms.map(|at_ms| at_ms - rig.now_ms), rig.warnings())
}

#[test]
fn a_network_failure_and_everything_unknown_below_4000_is_tried_again_within_a_second() {
    for code in [1000, 1005, 1006, 1008, 1011, 1013, 1015, 3000, 3999, 4030, 4200, 4299, 5000] {
        let (state, wait_ms, warnings) = after_close(code);
        assert_eq!((state, warnings), (State::Waiting, vec![]), "{code}");
        assert!((100..=1_000).contains(&wait_ms.unwrap()), "{code}");
    }
}

#[test]
fn a_protocol_fault_is_reported_and_tried_again() {
    for code in [1002, 1003, 1007, 1009, 1010] {
        let (state, _, warnings) = after_close(code);
        assert_eq!((state, warnings), (State::Waiting, vec![Warning::ProtocolFault(code)]), "{code}");
    }
}

#[test]
fn an_expired_token_is_replaced_and_the_dial_comes_at_once() {
    for code in [4002, 4100, 4199] {
        assert_eq!(after_close(code), (State::Dialing, None, vec![]), "{code}");
    }
}

#[test]
fn a_refused_token_is_replaced_once_and_then_the_client_stops() {
    let refused = Warning::TokenRefused(ErrorCode::InvalidToken);
    assert_eq!(after_close(4001), (State::Dialing, None, vec![refused]));
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.pass(1_000);
    rig.close(4001);
    assert_eq!(rig.state(), State::Dialing);
    rig.close(4001);
    assert_eq!(rig.state(), State::Blocked(Block::TokenRefused));
    rig.pass(600_000);
    assert_eq!(rig.dials_ms.len(), 2);
    rig.input(Input::NewToken);
    assert_eq!(rig.state(), State::Dialing);
    rig.accept();
    // A token that was accepted wipes the slate clean.
    rig.pass_healthy(60_000);
    rig.close(4001);
    assert_eq!(rig.state(), State::Dialing);
}

#[test]
fn an_auth_error_works_even_when_the_close_frame_is_lost() {
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    for expected in [State::Dialing, State::Blocked(Block::TokenRefused)] {
        rig.pass(1_000);
        rig.input(Input::Open { socket: rig.socket() });
        rig.fact(Fact::AuthError { id: 1, code: ErrorCode::InvalidToken });
        assert_eq!(rig.state(), expected);
    }
}

#[test]
fn access_denied_and_unknown_codes_from_4000_stop_the_client() {
    for code in [4003, 4009, 4099, 4400, 4999] {
        let expected = (State::Blocked(Block::Stopped(code)), None, vec![Warning::Stopped(code)]);
        assert_eq!(after_close(code), expected);
    }
}

#[test]
fn a_replaced_connection_does_nothing_until_somebody_connects() {
    assert_eq!(after_close(4000), (State::Blocked(Block::Replaced), None, vec![]));
}

#[test]
fn too_many_connections_are_reported_and_tried_again_after_20_to_60_seconds() {
    let (state, wait_ms, warnings) = after_close(4008);
    assert_eq!((state, warnings), (State::Waiting, vec![Warning::ConnectionLimit]));
    assert!((20_000..=60_000).contains(&wait_ms.unwrap()));
}

#[test]
fn a_server_that_leaves_without_a_hint_gets_its_clients_back_over_ten_seconds() {
    for code in [1001, 1012, 4300, 4399] {
        let (state, wait_ms, warnings) = after_close(code);
        assert_eq!((state, warnings), (State::Waiting, vec![]), "{code}");
        assert!((100..=10_000).contains(&wait_ms.unwrap()), "{code}");
    }
}

#[test]
fn the_hint_of_a_leaving_server_is_kept_without_a_penalty() {
    let (mut rig, _) = Rig::live(&[]);
    rig.pass_healthy(60_000);
    rig.fact(Fact::GoingAway { reconnect_after_ms: 8_000 });
    assert!(rig.client.status().draining);
    rig.pass(1_000);
    rig.close(1012);
    let status = rig.client.status();
    let wait_ms = status.retry_at_ms.unwrap() - rig.now_ms;
    assert!((7_000..=11_000).contains(&wait_ms), "{wait_ms}");
    assert_eq!((status.attempt, status.draining), (0, false));
}

#[test]
fn a_draining_server_that_does_not_close_is_left_at_the_time_it_said() {
    let (mut rig, _) = Rig::live(&[]);
    rig.pass_healthy(60_000);
    rig.clear();
    rig.fact(Fact::GoingAway { reconnect_after_ms: 8_000 });
    rig.pass(7_999);
    assert_eq!(rig.state(), State::Live);
    rig.pass(4_001);
    assert_eq!((rig.state(), rig.closes().len(), rig.dials_ms.len()), (State::Dialing, 1, 2));
}

#[test]
fn a_live_only_deadline_never_fires_outside_live() {
    let (mut rig, _) = Rig::live(&[feed("BTCUSDT/scalp")]);
    // Drain, probe, refresh and an unanswered subscribe are all under way when the connection goes.
    rig.subscribe(feed("ETHUSDT/scalp"));
    rig.pass(35_000);
    rig.fact(Fact::GoingAway { reconnect_after_ms: 60_000 });
    rig.gives_tokens = false;
    rig.fact(Fact::TokenExpiring);
    rig.close(4003);
    rig.clear();
    rig.pass(600_000);
    assert_eq!((rig.state(), rig.actions.len()), (State::Blocked(Block::Stopped(4003)), 0));
    assert_eq!(rig.client.next_wakeup_ms(), None);
}
