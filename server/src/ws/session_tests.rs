//! The session's decisions, without a socket and on invented time.

use proptest::prelude::{Strategy as _, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use tidegate_protocol::{Feed, Limits, Strategy};

use super::*;
use crate::auth::permission::Permissions;
use crate::hub::Position;

pub(super) const WALL_MS: i64 = 1_762_252_200_000;
const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";

pub(super) fn rules() -> Arc<Rules> {
    let symbols = (0..12).map(|index| format!("S{index}USDT").parse().unwrap());
    Arc::new(Rules {
        limits: Limits::default(),
        auth_timeout_seconds: 5,
        permissions: Permissions::default(),
        symbols: ["BTCUSDT", "ETHUSDT"]
            .map(|symbol| symbol.parse().unwrap())
            .into_iter()
            .chain(symbols)
            .collect(),
        interval_ms: [(Strategy::Scalp, 30_000)].into(),
    })
}

fn anonymous(kind: ClientKind) -> Session {
    Session::new(Uuid::now_v7(), kind, rules(), 0, 7)
}

pub(super) fn identity(user: &str, lasts_ms: i64) -> Identity {
    let roles = vec!["user".into()];
    Identity { user_id: user.into(), roles, family: "f".into(), expires_at_ms: WALL_MS + lasts_ms }
}

/// A session whose token, shown with the handshake, lasts 15 minutes.
fn live(kind: ClientKind) -> Session {
    let mut session = anonymous(kind);
    let actions = session.handle_verified(None, Ok(identity(WALLET, 900_000)), 0, WALL_MS);
    assert_eq!(types(&actions), ["connected"]);
    session
}

fn authenticate(text: &str) -> Authenticate {
    match ClientMessage::parse(text).unwrap() {
        ClientMessage::Authenticate(message) => message,
        other => panic!("{other:?}"),
    }
}

fn say(session: &mut Session, message: &Value, now_ms: u64) -> Vec<Action> {
    session.handle_text(&message.to_string(), now_ms, WALL_MS)
}

/// What is sent and done, in short: types of messages, and verbs.
pub(super) fn types(actions: &[Action]) -> Vec<String> {
    let short = |action: &Action| match action {
        Action::Send(message) => {
            serde_json::to_value(message).unwrap()["type"].as_str().expect("a type").to_owned()
        }
        Action::Verify(_) => "verify".into(),
        Action::Follow(following) => format!("follow {}", following.feeds.len()),
        Action::Unfollow(feed) => format!("unfollow {feed}"),
        Action::Ping => "ping".into(),
        Action::Close(code, reason) => format!("close {} {reason}", code.0),
    };
    actions.iter().map(short).collect()
}

/// The only message that is sent, as JSON.
fn only(actions: &[Action]) -> Value {
    match actions {
        [Action::Send(message)] => serde_json::to_value(message).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The reply to a subscribe in which the hub recovers everything.
fn granted(session: &Session, actions: &[Action]) -> Value {
    match actions {
        [Action::Follow(following)] => {
            let recovered = vec![true; following.feeds.len()];
            serde_json::to_value(session.subscribed(following, &recovered)).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn t_29_who_says_nothing_for_five_seconds_is_told_and_closed() {
    for (kind, code) in [(ClientKind::V1, 4030), (ClientKind::Plain, 1008)] {
        let mut session = anonymous(kind);
        assert_eq!(session.next_deadline_ms(), 5_000);
        assert_eq!(session.handle_timeout(4_999, WALL_MS), []);
        let actions = session.handle_timeout(5_000, WALL_MS);
        assert_eq!(types(&actions), ["error".to_owned(), format!("close {code} Authentication timeout")]);
        assert_eq!(
            only(&actions[..1]),
            json!({"type":"error","id":0,"payload":{
                "error":"Authentication timeout. You must authenticate within 5 seconds of connecting.",
                "code":"auth_timeout"}})
        );
        assert_eq!(say(&mut session, &json!({"type":"ping"}), 5_001), [], "nothing is said after a close");
    }
}

#[test]
fn t_30_anything_before_authentication_is_refused_and_the_deadline_stays() {
    let mut session = anonymous(ClientKind::V1);
    let reply = only(&say(&mut session, &json!({"type":"ping","id":3}), 4_000));
    assert_eq!(
        reply,
        json!({"type":"error","id":3,"payload":{"error":"Authentication required","code":"unauthenticated"}})
    );
    assert_eq!(session.next_deadline_ms(), 5_000);
}

#[test]
fn a_first_message_with_a_token_is_answered_by_authenticated_then_connected_then_what_it_asked_for() {
    let mut session = anonymous(ClientKind::V1);
    let text = r#"{"type":"authenticate","id":7,"token":"t",
        "subscriptions":[{"symbol":"BTCUSDT","strategy":"scalp","since":5},{"symbol":"NOPE"}]}"#;
    assert_eq!(types(&session.handle_text(text, 100, WALL_MS)), ["verify"]);
    let actions =
        session.handle_verified(Some(&authenticate(text)), Ok(identity(WALLET, 900_000)), 100, WALL_MS);
    assert_eq!(types(&actions), ["authenticated", "connected", "follow 1"]);
    let connected = only(&actions[1..2]);
    assert_eq!(connected["payload"]["session_id"], session.id().to_string());
    assert_eq!(connected["payload"]["expires_in_ms"], 900_000);
    assert_eq!(connected["payload"]["expires_at"], "2025-11-04T10:45:00Z");
    assert_eq!(connected["payload"]["limits"]["subscriptions_per_connection"], 10);
    let subscribed = granted(&session, &actions[2..]);
    assert_eq!(subscribed["id"], 7);
    assert_eq!(subscribed["payload"]["rejected"][0]["code"], "unknown_symbol");
    assert!(subscribed.get("symbol").is_none(), "a batch has no symbol of its own");
}

#[test]
fn a_refused_token_is_told_and_closed_with_the_code_of_the_client_kind() {
    for (kind, code) in [(ClientKind::V1, 4001), (ClientKind::Plain, 1008)] {
        let mut session = anonymous(kind);
        let message = authenticate(r#"{"type":"authenticate","id":1,"token":"t"}"#);
        let actions = session.handle_verified(Some(&message), Err(Refusal::InvalidToken), 0, WALL_MS);
        assert_eq!(types(&actions), ["auth_error".to_owned(), format!("close {code} Invalid token")]);
        assert_eq!(only(&actions[..1])["payload"]["error"], "Invalid authentication token");
    }
}

#[test]
fn a_user_with_too_many_connections_is_told_how_many_there_may_be() {
    let mut session = anonymous(ClientKind::V1);
    let actions = session.handle_verified(None, Err(Refusal::ConnectionLimit(3)), 0, WALL_MS);
    assert_eq!(types(&actions), ["error", "close 4008 Max connections reached"]);
    let payload = only(&actions[..1])["payload"].clone();
    assert_eq!(payload["error"], "Connection limit exceeded: maximum 3 connections per user");
    assert_eq!(payload["code"], "connection_limit");
}

#[test]
fn t_31_a_fresh_token_extends_the_connection_and_a_foreign_or_bad_one_changes_nothing() {
    let mut session = live(ClientKind::V1);
    let message = authenticate(r#"{"type":"authenticate","id":9,"token":"t"}"#);
    let fresh = identity(WALLET, 2_000_000);
    let actions = session.handle_verified(Some(&message), Ok(fresh), 800_000, WALL_MS + 800_000);
    assert_eq!(types(&actions), ["authenticated"]);
    assert_eq!(only(&actions)["payload"]["expires_in_ms"], 1_200_000);

    let foreign = session.handle_verified(Some(&message), Ok(identity("0xother", 900_000)), 0, WALL_MS);
    assert_eq!(only(&foreign)["payload"]["code"], "identity_mismatch");
    let forged = session.handle_verified(Some(&message), Err(Refusal::InvalidToken), 0, WALL_MS);
    assert_eq!(only(&forged)["payload"]["code"], "invalid_token");
    session.handle_control(1_999_999);
    assert!(!types(&session.handle_timeout(1_999_999, WALL_MS)).iter().any(|what| what.starts_with("close")));
    assert_eq!(types(&session.handle_timeout(2_000_000, WALL_MS)), ["error", "close 4002 Token expired"]);
}

#[test]
fn a_v1_client_is_told_a_minute_before_its_token_expires_and_a_plain_one_is_not() {
    for (kind, told) in [(ClientKind::V1, true), (ClientKind::Plain, false)] {
        let mut session = live(kind);
        session.handle_control(839_999);
        session.handle_sent(839_999);
        assert!(!types(&session.handle_timeout(839_999, WALL_MS)).contains(&"token_expiring".to_owned()));
        assert_eq!(
            types(&session.handle_timeout(840_000, WALL_MS)).contains(&"token_expiring".to_owned()),
            told
        );
        assert!(
            !types(&session.handle_timeout(840_001, WALL_MS)).contains(&"token_expiring".to_owned()),
            "once"
        );
        session.handle_control(900_000);
        let code = if told { 4002 } else { 1008 };
        let actions = session.handle_timeout(900_000, WALL_MS);
        assert_eq!(types(&actions), ["error".to_owned(), format!("close {code} Token expired")]);
    }
}

#[test]
fn a_token_with_less_than_a_minute_left_is_announced_at_once() {
    let mut session = anonymous(ClientKind::V1);
    session.handle_verified(None, Ok(identity(WALLET, 20_000)), 1_000, WALL_MS);
    assert_eq!(session.next_deadline_ms(), 1_000);
    assert_eq!(types(&session.handle_timeout(1_000, WALL_MS)), ["token_expiring"]);
}

#[test]
fn a_subscription_is_answered_in_the_words_that_clients_know() {
    let mut session = live(ClientKind::Plain);
    let actions =
        say(&mut session, &json!({"type":"subscribe","id":2,"symbol":"BTCUSDT","strategy":"scalp"}), 0);
    assert_eq!(
        granted(&session, &actions),
        json!({"type":"subscribed","id":2,"symbol":"BTCUSDT","strategy":"scalp","payload":{
            "subscribed":["BTCUSDT"],"strategies":{"BTCUSDT":"scalp"},
            "subscriptions":[{"symbol":"BTCUSDT","strategy":"scalp","interval_ms":30_000,"recovered":true}],
            "rejected":[],
            "message":"Subscribed to BTCUSDT with scalp strategy. Updates will be pushed automatically."}})
    );
    let actions = say(&mut session, &json!({"type":"subscribe","symbol":"BTCUSDT"}), 0);
    assert_eq!(granted(&session, &actions)["strategy"], "range_trading", "the default");
    let list = only(&say(&mut session, &json!({"type":"list_subscriptions","id":4}), 0));
    assert_eq!(
        list["payload"],
        json!({"subscribed":["BTCUSDT"],"strategies":{"BTCUSDT":"range_trading"},"subscriptions":[
            {"symbol":"BTCUSDT","strategy":"scalp"},{"symbol":"BTCUSDT","strategy":"range_trading"}]})
    );
}

#[test]
fn unsubscribing_without_a_strategy_ends_every_strategy_of_the_symbol() {
    let mut session = live(ClientKind::Plain);
    for strategy in ["scalp", "momentum"] {
        say(&mut session, &json!({"type":"subscribe","symbol":"BTCUSDT","strategy":strategy}), 0);
    }
    say(&mut session, &json!({"type":"subscribe","symbol":"ETHUSDT","strategy":"scalp"}), 0);
    let actions = say(&mut session, &json!({"type":"unsubscribe","id":5,"symbol":"BTCUSDT"}), 0);
    assert_eq!(types(&actions), ["unfollow BTCUSDT/scalp", "unfollow BTCUSDT/momentum", "unsubscribed"]);
    assert_eq!(
        only(&actions[2..]),
        json!({"type":"unsubscribed","id":5,"symbol":"BTCUSDT","payload":{"subscribed":["ETHUSDT"],
            "strategies":{"ETHUSDT":"scalp"},"subscriptions":[{"symbol":"ETHUSDT","strategy":"scalp"}]}})
    );
    let refused = only(&say(&mut session, &json!({"type":"unsubscribe","symbol":"BTCUSDT"}), 0));
    assert_eq!(refused["payload"]["code"], "not_subscribed");
}

#[test]
fn t_35_the_eleventh_subscription_is_refused_alone_and_in_a_batch() {
    let mut session = live(ClientKind::V1);
    let batch: Vec<_> = (0..12).map(|index| json!({"symbol":format!("S{index}USDT")})).collect();
    let actions = say(&mut session, &json!({"type":"subscribe","subscriptions":batch}), 0);
    let reply = granted(&session, &actions);
    assert_eq!(reply["payload"]["rejected"].as_array().unwrap().len(), 2);
    let text = "Subscription limit exceeded: maximum 10 subscriptions per connection";
    assert_eq!(reply["payload"]["rejected"][0]["error"], text);
    let alone = only(&say(&mut session, &json!({"type":"subscribe","id":3,"symbol":"ETHUSDT"}), 0));
    assert_eq!(alone["payload"], json!({"error":text,"code":"subscription_limit"}));
    let held = say(&mut session, &json!({"type":"subscribe","symbol":"S0USDT"}), 0);
    assert_eq!(types(&held), ["follow 1"], "one that is held counts once");
}

#[test]
fn an_unknown_symbol_or_strategy_is_answered_with_what_there_is() {
    let mut session = live(ClientKind::V1);
    let reply = only(&say(&mut session, &json!({"type":"subscribe","id":1,"symbol":"btcusdt"}), 0));
    assert_eq!(reply["payload"]["code"], "unknown_symbol");
    assert!(reply["payload"]["error"].as_str().unwrap().contains("Available: BTCUSDT, ETHUSDT"), "{reply}");
    let message = json!({"type":"subscribe","symbol":"BTCUSDT","strategy":"hold"});
    let reply = only(&say(&mut session, &message, 0));
    assert_eq!(reply["payload"]["code"], "unknown_strategy");
    assert!(
        reply["payload"]["error"].as_str().unwrap().contains("range_trading, momentum, scalp"),
        "{reply}"
    );
    let hostile = json!({"type":"subscribe","symbol":"\u{1b}[31m".to_owned() + &"x".repeat(10_000)});
    let text = only(&say(&mut session, &hostile, 0))["payload"]["error"].to_string();
    assert!(text.len() < 300 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn t_33_the_thirty_first_message_is_refused_with_the_exact_wait_and_nothing_else_changes() {
    let mut session = live(ClientKind::V1);
    for index in 0..30 {
        assert_eq!(types(&say(&mut session, &json!({"type":"ping"}), index * 100)), ["pong"]);
    }
    let refused = only(&say(&mut session, &json!({"type":"subscribe","id":31,"symbol":"BTCUSDT"}), 58_125));
    assert_eq!(
        refused,
        json!({"type":"error","id":31,"payload":{
            "error":"Message rate limit exceeded: maximum 30 messages per minute",
            "code":"rate_limited","retry_after_ms":1_875}})
    );
    let list = say(&mut session, &json!({"type":"list_subscriptions"}), 60_000);
    assert_eq!(only(&list)["payload"]["subscriptions"], json!([]), "the refused message had no effect");
    let again = session.handle_text(r#"{"type":"authenticate","token":"t"}"#, 60_001, WALL_MS);
    assert_eq!(types(&again), ["verify"], "authenticate does not count");
}

#[test]
fn invalid_messages_count_too_and_a_flood_of_them_is_closed() {
    let mut session = live(ClientKind::V1);
    for _ in 0..30 {
        let reply = only(&session.handle_text("[1]", 0, WALL_MS));
        assert_eq!(reply["payload"]["code"], "invalid_message");
    }
    for _ in 0..120 {
        assert_eq!(only(&session.handle_text("[1]", 1, WALL_MS))["payload"]["code"], "rate_limited");
    }
    assert_eq!(types(&session.handle_text("[1]", 2, WALL_MS)), ["error", "close 4003 Access denied"]);
}

#[test]
fn an_oversized_or_binary_message_is_closed_with_its_own_code() {
    let mut session = live(ClientKind::V1);
    let fits = format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "y".repeat(102_400 - 22));
    assert_eq!(fits.len(), 102_400);
    assert_eq!(types(&session.handle_text(&fits, 0, WALL_MS)), ["pong"]);
    let over = fits + " ";
    assert_eq!(types(&session.handle_text(&over, 0, WALL_MS)), ["error", "close 1009 Message too big"]);
    for (fault, close) in [
        (Refusal::Binary, "close 1003 "),
        (Refusal::NotUtf8, "close 1007 "),
        (Refusal::BrokenFrame, "close 1002 "),
    ] {
        assert_eq!(types(&live(ClientKind::V1).handle_fault(&fault)), [close]);
    }
}

#[test]
fn a_v1_client_hears_a_heartbeat_when_nothing_else_was_sent() {
    let mut session = live(ClientKind::V1);
    assert_eq!(session.next_deadline_ms(), 25_000);
    session.handle_sent(10_000);
    assert_eq!(session.handle_timeout(25_000, WALL_MS), []);
    assert_eq!(types(&session.handle_timeout(35_000, WALL_MS)), ["ping", "heartbeat"]);
    let mut plain = live(ClientKind::Plain);
    assert_eq!(types(&plain.handle_timeout(35_000, WALL_MS)), ["ping"]);
}

#[test]
fn a_connection_that_answers_nothing_for_a_minute_is_gone() {
    let mut session = live(ClientKind::Plain);
    session.handle_control(30_000);
    assert!(!types(&session.handle_timeout(89_999, WALL_MS)).iter().any(|what| what.starts_with("close")));
    assert_eq!(types(&session.handle_timeout(90_000, WALL_MS)), ["close 1001 "]);
}

#[test]
fn a_stopping_server_says_when_to_come_back_and_closes_when_it_is_the_turn() {
    let spread = Spread { close_ms: 5, reconnect_ms: 1_000 };
    let mut session = live(ClientKind::Plain);
    let actions = session.handle_shutdown(spread, 100);
    assert_eq!(types(&actions), ["going_away"]);
    // The chance is 7: two of five milliseconds until the close, and then the other half of the number.
    let wait_ms = 2 + 200 + u64::from(7u32.rotate_left(16)) % 1_000;
    assert_eq!(
        only(&actions)["payload"],
        json!({"reason": "Server restarting", "reconnect_after_ms": wait_ms})
    );
    assert_eq!(types(&say(&mut session, &json!({"type":"ping"}), 101)), ["pong"], "it goes on until then");
    assert_eq!(session.next_deadline_ms(), 102);
    assert_eq!(types(&session.handle_timeout(102, WALL_MS)), ["close 1012 Server restarting"]);
    assert_eq!(session.handle_shutdown(spread, 103), [], "it has left");
    let mut nobody = anonymous(ClientKind::V1);
    let actions = nobody.handle_shutdown(spread, 100);
    assert_eq!(types(&actions), ["going_away", "close 1012 Server restarting"]);
    assert_eq!(types(&live(ClientKind::Plain).handle_replaced()), ["close 4000 Replaced"]);
    assert_eq!(types(&live(ClientKind::Plain).handle_evicted()), ["close 1008 Max connections reached"]);
}

#[test]
fn t_68_those_that_leave_differ_in_when_they_go_and_when_they_come_back() {
    let spread = Spread::of(1_000);
    assert_eq!(spread, Spread { close_ms: 2_000, reconnect_ms: 5_000 });
    let leave = |chance: u32| {
        let mut session = Session::new(Uuid::now_v7(), ClientKind::V1, rules(), 0, chance);
        session.handle_verified(None, Ok(identity(WALLET, 900_000)), 0, WALL_MS);
        let away = only(&session.handle_shutdown(spread, 0))["payload"]["reconnect_after_ms"].as_u64();
        let close_ms = session.next_deadline_ms();
        assert!(close_ms < 2_000 && away.unwrap() >= close_ms + 200 && away.unwrap() < 7_200);
        (close_ms, away.unwrap())
    };
    let chances = (0..1_000u32).map(|index| index.wrapping_mul(2_654_435_761));
    let told: std::collections::BTreeSet<_> = chances.map(leave).collect();
    assert!(told.len() > 990, "{}", told.len());
    assert_eq!(Spread::of(20_000), Spread { close_ms: 2_000, reconnect_ms: 60_000 });
}

#[test]
fn a_connection_that_is_nearly_a_day_old_is_asked_to_move() {
    let mut session = live(ClientKind::Plain);
    let at_ms = 22 * 3_600_000 + 1_800_000 + 7;
    let mut now_ms = 0;
    let renew = |session: &mut Session, now_ms: u64| {
        let verdict = Ok(identity(WALLET, 900_000));
        let renewal = authenticate(r#"{"type":"authenticate","token":"t"}"#);
        session.handle_verified(Some(&renewal), verdict, now_ms, WALL_MS);
        session.handle_control(now_ms);
    };
    while now_ms < at_ms {
        renew(&mut session, now_ms);
        now_ms = session.next_deadline_ms();
        let said = types(&session.handle_timeout(now_ms, WALL_MS));
        assert!(said.iter().all(|what| what == "ping" || now_ms == at_ms), "{now_ms}: {said:?}");
        if now_ms == at_ms {
            assert!(said.contains(&"going_away".to_owned()), "{said:?}");
        }
    }
    assert_eq!(now_ms, at_ms);
    now_ms = session.next_deadline_ms();
    assert!(now_ms < at_ms + 5_000);
    assert_eq!(types(&session.handle_timeout(now_ms, WALL_MS)), ["close 1012 Server restarting"]);
}

#[test]
fn t_34_neither_reconnecting_nor_a_second_connection_gives_more_messages() {
    let window = crate::ws::permits::UserWindow::new(std::sync::Mutex::new(SlidingWindow::new(30, 60_000)));
    let connect = |now_ms| {
        let mut session = Session::new(Uuid::now_v7(), ClientKind::V1, rules(), now_ms, 0);
        session.handle_verified(None, Ok(identity(WALLET, 900_000)), now_ms, WALL_MS);
        session.count_for_user(Arc::clone(&window));
        session
    };
    let ping = json!({"type":"ping"});
    let [mut one, mut two] = [connect(0), connect(0)];
    for now_ms in 0..15 {
        assert_eq!(types(&say(&mut one, &ping, now_ms)), ["pong"]);
        assert_eq!(types(&say(&mut two, &ping, now_ms)), ["pong"]);
    }
    assert_eq!(only(&say(&mut two, &ping, 1_000))["payload"]["retry_after_ms"], 59_000);
    let mut three = connect(2_000);
    assert_eq!(only(&say(&mut three, &ping, 2_000))["payload"]["retry_after_ms"], 58_000);
    assert_eq!(types(&three.handle_text("[]", 2_001, WALL_MS)), ["error"], "invalid ones are counted too");
    assert_eq!(types(&say(&mut three, &ping, 60_000)), ["pong"]);
}

proptest! {
    /// Any client, saying anything at any time, never gets more than the limits allow.
    #[test]
    fn t_33_t_35_no_sequence_of_messages_gets_past_a_limit(
        steps in prop::collection::vec((0u64..4_000, message()), 1..200),
    ) {
        let mut session = live(ClientKind::V1);
        let mut now_ms = 0;
        let mut model: Vec<Feed> = Vec::new();
        let mut accepted_ms: Vec<u64> = Vec::new();
        for (wait_ms, message) in steps {
            now_ms += wait_ms;
            let actions = say(&mut session, &message, now_ms);
            let refused = types(&actions).first().is_some_and(|first| first == "error")
                && matches!(&actions[0], Action::Send(ServerMessage::Error(error))
                    if error.payload.code == tidegate_protocol::ErrorCode::RateLimited);
            if !refused {
                accepted_ms.push(now_ms);
            }
            for action in &actions {
                match action {
                    Action::Follow(following) => {
                        for (feed, _) in &following.feeds {
                            if !model.contains(feed) { model.push(*feed); }
                        }
                    }
                    Action::Unfollow(feed) => model.retain(|held| held != feed),
                    _ => {}
                }
            }
            prop_assert!(model.len() <= 10);
            let held: std::collections::BTreeSet<_> = session.followed.feeds().iter().collect();
            prop_assert_eq!(held, model.iter().collect());
            let recent = accepted_ms.iter().filter(|at| **at + 60_000 > now_ms).count();
            prop_assert!(recent <= 30);
        }
    }
}

fn message() -> impl proptest::strategy::Strategy<Value = Value> {
    let feed = || {
        (0..14usize, prop::option::of(0..3usize)).prop_map(|(symbol, strategy)| {
            let symbol = rules().symbols[symbol].to_string();
            match strategy {
                Some(index) => json!({"symbol": symbol, "strategy": Strategy::ALL[index].as_str()}),
                None => json!({"symbol": symbol}),
            }
        })
    };
    prop_oneof![
        (feed(), any::<bool>()).prop_map(|(mut feed, subscribe)| {
            feed["type"] = if subscribe { "subscribe" } else { "unsubscribe" }.into();
            feed
        }),
        (prop::collection::vec(feed(), 0..15), any::<bool>()).prop_map(|(feeds, subscribe)| {
            json!({"type": if subscribe { "subscribe" } else { "unsubscribe" }, "subscriptions": feeds})
        }),
        prop::strategy::Just(json!({"type": "list_subscriptions"})),
        any::<String>().prop_map(Value::String),
    ]
}

#[test]
fn a_feed_that_a_batch_names_twice_is_taken_up_from_where_it_was_first_asked_for() {
    for (first, position) in [
        (json!({"symbol":"BTCUSDT","strategy":"scalp"}), Position::Latest),
        (json!({"symbol":"BTCUSDT","strategy":"scalp","since":9}), Position::Since(9)),
    ] {
        let mut session = live(ClientKind::V1);
        let again = json!({"symbol":"BTCUSDT","strategy":"scalp"});
        let batch = json!({"type":"subscribe","id":1,"subscriptions":[first, again]});
        match say(&mut session, &batch, 1).as_slice() {
            [Action::Follow(following)] => {
                assert_eq!(following.feeds.as_slice(), [(following.feeds[0].0, position)])
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn feeds_in_a_renewing_authenticate_count_as_any_batch() {
    let mut session = live(ClientKind::V1);
    let renewal = json!({"type":"authenticate","id":1,"token":"t","subscriptions":[{"symbol":"BTCUSDT"}]});
    for now_ms in 1..=30 {
        assert_eq!(types(&say(&mut session, &renewal, now_ms)), ["verify"]);
    }
    let refused = only(&say(&mut session, &renewal, 31));
    assert_eq!(refused["payload"]["code"], "rate_limited");
    let plain = json!({"type":"authenticate","id":2,"token":"t"});
    assert_eq!(types(&say(&mut session, &plain, 32)), ["verify"], "a token alone does not count");
}

#[test]
fn a_token_that_is_accepted_just_after_its_end_lasts_as_long_as_clocks_may_differ() {
    let mut session = anonymous(ClientKind::V1);
    session.handle_verified(None, Ok(identity(WALLET, -2_000)), 0, WALL_MS);
    assert_eq!(types(&session.handle_timeout(4_999, WALL_MS)), ["token_expiring"]);
    assert!(types(&session.handle_timeout(5_000, WALL_MS))[1].starts_with("close 4002"));
}

#[test]
fn t_22_roles_that_a_newer_token_lacks_are_gone_at_once() {
    let mut session = live(ClientKind::V1);
    say(&mut session, &json!({"type":"subscribe","symbol":"BTCUSDT","strategy":"scalp"}), 1);
    let renewal = authenticate(r#"{"type":"authenticate","id":5,"token":"t"}"#);
    let narrowed = Identity { roles: vec!["nobody".into()], ..identity(WALLET, 900_000) };
    let actions = session.handle_verified(Some(&renewal), Ok(narrowed), 2, WALL_MS);
    assert_eq!(types(&actions), ["authenticated", "error", "unfollow BTCUSDT/scalp"]);
    let refused = only(&say(&mut session, &json!({"type":"subscribe","id":6,"symbol":"BTCUSDT"}), 3));
    assert_eq!(refused["payload"]["code"], "forbidden");
    assert_eq!(refused["payload"]["error"], "Access denied: this needs the permission signals.read");
    let restored = session.handle_verified(Some(&renewal), Ok(identity(WALLET, 900_000)), 4, WALL_MS);
    assert_eq!(types(&restored), ["authenticated"]);
    let again = say(&mut session, &json!({"type":"subscribe","symbol":"BTCUSDT"}), 5);
    assert_eq!(types(&again), ["follow 1"]);
}

#[test]
fn a_revoked_session_is_closed_and_told_so() {
    for (kind, close) in [(ClientKind::V1, "close 4001"), (ClientKind::Plain, "close 1008")] {
        assert_eq!(types(&live(kind).handle_revoked()), [format!("{close} Session revoked")]);
    }
}

#[test]
fn t_78_a_wall_clock_that_jumps_by_an_hour_moves_no_deadline() {
    for jump_ms in [3_600_000, -3_600_000] {
        let mut session = live(ClientKind::V1);
        let deadline_ms = session.next_deadline_ms();
        assert_eq!(session.handle_timeout(1_000, WALL_MS + jump_ms), []);
        assert_eq!(session.next_deadline_ms(), deadline_ms);
        // The token lasts 15 minutes on the clock that does not jump, and is announced a minute before.
        session.handle_control(830_000);
        session.handle_sent(830_000);
        assert!(
            !types(&session.handle_timeout(839_999, WALL_MS + jump_ms)).contains(&"token_expiring".into())
        );
        assert!(
            types(&session.handle_timeout(840_000, WALL_MS + jump_ms)).contains(&"token_expiring".into())
        );
        session.handle_control(899_999);
        assert!(!types(&session.handle_timeout(899_999, WALL_MS + jump_ms)).contains(&"error".into()));
        assert!(types(&session.handle_timeout(900_000, WALL_MS + jump_ms))[1].starts_with("close 4002"));
    }
}
