//! What pages go through: hidden, frozen, put into the back/forward cache, shown again.

use tidegate_client_core::{Input, State};
use tidegate_protocol::{ClientMessage, CloseCode};

use crate::rig::{Rig, feed};

#[test]
fn a_page_that_is_cached_and_restored_resumes_where_it_was_without_a_penalty() {
    let (mut rig, ids) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.signal(ids[0], 1_000, 0);
    rig.input(Input::Freeze);
    assert_eq!((rig.state(), rig.closes()), (State::Frozen, vec![CloseCode::NORMAL]));
    rig.sleep(120_000);
    rig.input(Input::Thaw);
    assert_eq!((rig.state(), rig.client.status().attempt), (State::Dialing, 0));
    rig.input(Input::Open { socket: rig.socket() });
    let messages = rig.sent();
    let [ClientMessage::Authenticate(message)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.session.as_deref(), Some("session-1"));
    assert_eq!(message.subscriptions.as_ref().unwrap()[0].since, Some(1_000));
}

#[test]
fn a_frozen_page_does_nothing_at_all() {
    for steps in 0..3 {
        let mut rig = Rig::new();
        rig.gives_tokens = steps > 0;
        rig.input(Input::Connect);
        if steps > 1 {
            rig.accept();
        }
        rig.input(Input::Freeze);
        rig.clear();
        let dials = rig.dials_ms.len();
        for input in [Input::Online, Input::Visible, Input::Connect, Input::Tick] {
            rig.input(input);
            rig.pass(60_000);
        }
        assert_eq!((rig.state(), rig.dials_ms.len(), rig.actions.len()), (State::Frozen, dials, 0));
    }
}

#[test]
fn a_page_that_thaws_with_an_old_request_for_a_token_asks_anew_without_a_penalty() {
    let mut rig = Rig::new();
    rig.gives_tokens = false;
    rig.input(Input::Connect);
    rig.input(Input::Freeze);
    rig.clear();
    rig.sleep(120_000);
    rig.input(Input::Thaw);
    assert_eq!((rig.state(), rig.requests().len()), (State::Token, 1));
    assert_eq!(rig.client.status().attempt, 0);
}

#[test]
fn after_a_disconnect_a_page_that_becomes_visible_stays_closed() {
    let (mut rig, _) = Rig::live(&[feed("BTCUSDT/scalp")]);
    rig.input(Input::Disconnect);
    for input in [Input::Hidden, Input::Visible, Input::Offline, Input::Online, Input::Freeze, Input::Thaw] {
        rig.input(input);
        rig.pass(30_000);
    }
    assert_eq!((rig.state(), rig.dials_ms.len()), (State::Idle, 1));
}

#[test]
fn online_and_visible_skip_the_rest_of_a_wait() {
    for input in [Input::Online, Input::Visible] {
        let mut rig = Rig::new();
        rig.input(Input::Connect);
        rig.close(4008);
        assert_eq!(rig.state(), State::Waiting);
        rig.pass(600);
        rig.input(input);
        assert_eq!(rig.state(), State::Dialing);
    }
}

#[test]
fn online_and_visible_do_not_lift_a_block() {
    let (mut rig, _) = Rig::live(&[]);
    rig.pass(1_000);
    rig.close(4003);
    for input in [Input::Online, Input::Visible, Input::Freeze, Input::Thaw] {
        rig.input(input);
    }
    assert!(matches!(rig.state(), State::Blocked(_)));
    rig.input(Input::Connect);
    assert_eq!(rig.state(), State::Dialing);
}
