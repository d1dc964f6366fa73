//! Tokens: from an application that answers late, wrongly or never, and a clock that nobody should trust.

use tidegate_client_core::{Block, Fact, Input, State, Warning};
use tidegate_protocol::{ClientMessage, ErrorCode};

use crate::rig::{Rig, connected, feed};

/// A client that asked for its first token.
fn asking() -> (Rig, tidegate_client_core::RequestId) {
    let mut rig = Rig::new();
    rig.gives_tokens = false;
    rig.input(Input::Connect);
    assert_eq!(rig.state(), State::Token);
    let request = rig.requests()[0];
    (rig, request)
}

/// The time until the next request for a token, in milliseconds.
fn next_request_ms(rig: &mut Rig) -> u64 {
    let start_ms = rig.now_ms;
    while rig.requests().is_empty() {
        rig.pass(10);
        assert!(rig.now_ms < start_ms + 60_000, "no further request");
    }
    rig.now_ms - start_ms
}

#[test]
fn a_token_callback_that_throws_is_called_again_with_backoff() {
    let (mut rig, request) = asking();
    rig.input(Input::TokenErr { request, denied: false });
    assert_eq!((rig.state(), rig.warnings()), (State::Waiting, vec![Warning::TokenFailed]));
    assert!(next_request_ms(&mut rig) <= 1_010);
    assert!(rig.dials_ms.is_empty());
}

#[test]
fn a_token_callback_that_hangs_is_given_up_after_ten_seconds_and_its_late_answer_ignored() {
    let (mut rig, request) = asking();
    rig.pass(9_999);
    assert_eq!(rig.state(), State::Token);
    rig.pass(1);
    assert_eq!((rig.state(), rig.warnings()), (State::Waiting, vec![Warning::TokenTimeout]));
    rig.token_ok(request, "late");
    assert_eq!(rig.state(), State::Waiting);
    next_request_ms(&mut rig);
    rig.token_ok(request, "late");
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Token, 0));
}

#[test]
fn a_token_callback_that_says_no_blocks_until_somebody_signs_in() {
    let (mut rig, request) = asking();
    rig.input(Input::TokenErr { request, denied: true });
    assert_eq!(rig.state(), State::Blocked(Block::TokenDenied));
    for input in [Input::Online, Input::Visible, Input::Thaw] {
        rig.input(input);
        rig.pass(60_000);
    }
    assert_eq!((rig.state(), rig.requests().len()), (State::Blocked(Block::TokenDenied), 0));
    rig.input(Input::NewToken);
    assert_eq!((rig.state(), rig.requests().len()), (State::Token, 1));
}

#[test]
fn a_token_that_comes_after_the_reconnect_is_not_sent_twice() {
    let (mut rig, _) = Rig::live(&[]);
    rig.gives_tokens = false;
    rig.fact(Fact::TokenExpiring);
    let request = rig.requests()[0];
    rig.close(1006);
    rig.pass(1_000);
    // The old token is good enough for the new connection.
    rig.accept();
    rig.token_ok(request, "second");
    let messages = rig.sent();
    let [ClientMessage::Authenticate(message)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.token.as_str(), message.session.as_deref()), ("second", None));
    rig.token_ok(request, "second");
    assert_eq!(rig.sent(), []);
}

#[test]
fn a_token_callback_that_answers_the_same_expired_token_is_asked_again_and_nothing_is_dialled() {
    let (mut rig, request) = asking();
    rig.token_ok(request, "old");
    rig.close(4002);
    for _ in 0..5 {
        while rig.state() != State::Token {
            rig.pass(100);
        }
        let request = rig.requests()[0];
        rig.token_ok(request, "old");
        assert_eq!((rig.state(), rig.warnings()), (State::Waiting, vec![Warning::TokenNotFresh]));
    }
    assert_eq!(rig.dials_ms.len(), 1);
    while rig.state() != State::Token {
        rig.pass(100);
    }
    let request = rig.requests()[0];
    rig.token_ok(request, "new");
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Dialing, 2));
}

#[test]
fn a_token_callback_that_answers_the_same_refused_token_stops_the_client() {
    let (mut rig, request) = asking();
    rig.token_ok(request, "bad");
    rig.pass(1_000);
    rig.close(4001);
    let request = rig.requests()[0];
    rig.token_ok(request, "bad");
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Blocked(Block::TokenRefused), 1));
}

#[test]
fn a_client_clock_that_is_an_hour_off_changes_nothing() {
    // What the application computes from `exp` and its own clock, for a token of 15 minutes.
    for expires_in_ms in [0, 900_000, 4_500_000] {
        let (mut rig, request) = asking();
        rig.input(Input::TokenOk { request, token: "first".into(), expires_in_ms: Some(expires_in_ms) });
        assert_eq!((rig.state(), rig.dials_ms.len()), (State::Dialing, 1));
        rig.accept();
        // The refresh follows the server's relative time.
        let live_ms = rig.now_ms;
        while rig.requests().is_empty() {
            rig.pass_healthy(20_000);
            assert!(rig.now_ms < live_ms + 900_000, "no refresh before the token expired");
        }
        assert!((780_000..=824_000).contains(&(rig.now_ms - live_ms)), "{}", rig.now_ms - live_ms);
    }
}

#[test]
fn a_token_is_refreshed_in_band_without_losing_the_connection() {
    let (mut rig, _) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.gives_tokens = false;
    while !rig.client.status().refreshing {
        rig.pass_healthy(1_000);
    }
    let request = rig.requests()[0];
    rig.token_ok(request, "second");
    let (id, subscriptions) = rig.sent_one("authenticate");
    assert!(subscriptions.is_empty());
    rig.fact(Fact::Authenticated { id, expires_in_ms: 900_000 });
    let status = rig.client.status();
    assert_eq!((status.refreshing, status.state, rig.dials_ms.len()), (false, State::Live, 1));
    assert_eq!(status.token_expires_at_ms, Some(rig.now_ms + 900_000));
    // The next connection uses the new one.
    rig.close(1006);
    rig.pass(1_000);
    rig.input(Input::Open { socket: rig.socket() });
    let messages = rig.sent();
    let [ClientMessage::Authenticate(message)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.token, "second");
}

#[test]
fn a_refresh_that_fails_is_repeated_while_the_old_token_lasts() {
    let (mut rig, _) = Rig::live(&[]);
    rig.gives_tokens = false;
    rig.fact(Fact::TokenExpiring);
    for _ in 0..3 {
        let request = rig.requests()[0];
        rig.input(Input::TokenErr { request, denied: false });
        assert_eq!((rig.state(), rig.warnings()), (State::Live, vec![Warning::TokenFailed]));
        let start_ms = rig.now_ms;
        while !rig.client.status().refreshing {
            rig.pass_healthy(100);
        }
        assert!(rig.now_ms - start_ms <= 8_100);
    }
    // Never answered at all: the same.
    rig.requests();
    rig.pass(10_000);
    assert_eq!((rig.state(), rig.warnings()), (State::Live, vec![Warning::TokenTimeout]));
}

#[test]
fn a_refresh_with_the_token_in_use_is_not_sent() {
    let (mut rig, _) = Rig::live(&[]);
    rig.gives_tokens = false;
    rig.fact(Fact::TokenExpiring);
    let request = rig.requests()[0];
    rig.token_ok(request, "token-1");
    assert_eq!((rig.sent(), rig.warnings()), (vec![], vec![Warning::TokenNotFresh]));
}

#[test]
fn a_refresh_for_somebody_else_leaves_the_connection_as_it_was() {
    let (mut rig, _) = Rig::live(&[]);
    rig.gives_tokens = false;
    rig.fact(Fact::TokenExpiring);
    let request = rig.requests()[0];
    rig.token_ok(request, "of somebody else");
    let (id, _) = rig.sent_one("authenticate");
    rig.fact(Fact::AuthError { id, code: ErrorCode::IdentityMismatch });
    assert_eq!(rig.warnings(), [Warning::TokenRefused(ErrorCode::IdentityMismatch)]);
    rig.pass(20_000);
    assert_eq!((rig.state(), rig.requests().len(), rig.sent().len()), (State::Live, 0, 0));
    // At the end of the old token the next connection is theirs.
    rig.close(4002);
    let request = rig.requests()[0];
    rig.token_ok(request, "of somebody else");
    assert_eq!(rig.state(), State::Dialing);
}

#[test]
fn a_reconnect_never_skips_the_check_of_the_token() {
    let (mut rig, _) = Rig::live(&[]);
    rig.gives_tokens = false;
    rig.pass_healthy(886_000);
    rig.close(1006);
    rig.pass(1_000);
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Token, 1));
}

#[test]
fn there_is_never_a_second_request_for_a_token() {
    let (mut rig, _) = asking();
    for input in [Input::Connect, Input::Online, Input::Visible, Input::NewToken, Input::Freeze, Input::Thaw]
    {
        rig.input(input);
    }
    assert_eq!((rig.state(), rig.requests().len()), (State::Token, 0));
}

#[test]
fn a_very_short_token_is_refreshed_at_half_its_time() {
    let mut rig = Rig::new();
    rig.input(Input::Connect);
    rig.input(Input::Open { socket: rig.socket() });
    rig.gives_tokens = false;
    rig.fact(connected(12_000));
    rig.pass(7_200);
    assert_eq!(rig.requests().len(), 1);
}

#[test]
fn nothing_that_is_printed_shows_a_token_or_a_session() {
    let (mut rig, request) = asking();
    rig.token_ok(request, "eyJsecret");
    rig.input(Input::Open { socket: rig.socket() });
    let limits = tidegate_protocol::Limits::default();
    let session_id = "eyJsession".to_owned();
    rig.fact(Fact::Connected { session_id, expires_in_ms: 900_000, heartbeat_seconds: 25, limits });
    rig.close(1006);
    rig.pass(1_000);
    rig.input(Input::Open { socket: rig.socket() });
    let input = Input::TokenOk { request, token: "eyJother".into(), expires_in_ms: None };
    for printed in
        [rig.client.debug_report(), format!("{:?}", rig.client), format!("{:?} {input:?}", rig.actions)]
    {
        assert!(!printed.contains("eyJ"), "{printed}");
    }
}
