//! What is written is read back the same: every variant, random messages, and every block of the document.

use proptest::prelude::{any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Arbitrary;
use serde_json::Value;

use crate::samples::{client_samples, server_samples};
use crate::*;

/// Parses and writes a message of either side; what comes out holds the same JSON.
fn round_trip(text: &str) -> Result<(), String> {
    let before: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let after = match ClientMessage::parse(text) {
        Ok(message) => serde_json::to_value(message).map_err(|error| error.to_string())?,
        Err(_) => serde_json::to_value(ServerMessage::parse(text)?).map_err(|error| error.to_string())?,
    };
    if same(&before, &after) { Ok(()) } else { Err(format!("{before}\nbecame\n{after}")) }
}

/// Equality that takes `0` and `0.0` for the same number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

#[test]
fn every_variant_survives_a_round_trip() {
    for message in client_samples() {
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(ClientMessage::parse(&text).unwrap(), message);
    }
    for message in server_samples() {
        assert_eq!(ServerMessage::parse(&message.to_json()).unwrap(), message);
    }
}

#[test]
fn every_json_block_of_the_protocol_document_is_a_message() {
    let document = include_str!("../../docs/protocol.md");
    let mut count = 0;
    for block in document.split("```json\n").skip(1) {
        let block = block.split("```").next().expect("split gives at least one part");
        for message in serde_json::Deserializer::from_str(block).into_iter::<Value>() {
            let message = message.expect("every block is JSON").to_string();
            round_trip(&message)
                .unwrap_or_else(|problem| panic!("{problem}\nin docs/protocol.md: {message}"));
            count += 1;
        }
    }
    assert!(count >= 20, "docs/protocol.md shows every message, found {count}");
}

#[test]
fn a_message_is_an_object_and_nothing_else() {
    let not_objects = [
        r#"["subscribe","BTCUSDT",null,3]"#,
        r#"[{"type":"ping"}]"#,
        "\"ping\"",
        "1",
        "null",
        "",
        "  ",
        "\u{feff}{\"type\":\"ping\"}",
        "{\"type\":\"ping\"}{\"type\":\"ping\"}",
        "{\"type\":\"ping\"",
    ];
    for text in not_objects {
        assert!(ClientMessage::parse(text).is_err(), "{text:?}");
        assert!(ServerMessage::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_is_wrong_with_a_message_is_named_with_its_place_and_id() {
    let table = [
        (r#"{"id":7,"type":"subscribe"}"#, 7, "missing field `symbol` (or `subscriptions` for several)"),
        (r#"{"id":7,"type":"subscribe","symbol":5}"#, 7, "`symbol` must be a string, not a number"),
        (
            r#"{"id":8,"type":"subscribe","subscriptions":[{"symbol":"A"},{"symbol":"B","since":-1}]}"#,
            8,
            "`subscriptions[1].since` must be a whole number from 0 to 9007199254740991",
        ),
        (
            r#"{"type":"subscribe","symbol":"A","subscriptions":[]}"#,
            0,
            "`symbol` and `subscriptions` exclude each other: send one of them",
        ),
        (
            r#"{"type":"unsubscribe","subscriptions":[3]}"#,
            0,
            "`subscriptions[0]` must be an object, not a number",
        ),
        (r#"{"id":9007199254740992,"type":"ping"}"#, 0, "`id` must be at most 9007199254740991"),
        (r#"{"id":"1","type":"ping"}"#, 0, "`id` must be a whole number, not a string"),
        (r#"{"id":3}"#, 3, "missing field `type`"),
        (
            r#"{"id":3,"type":"pong"}"#,
            3,
            "unknown type `pong`: use authenticate, subscribe, unsubscribe, list_subscriptions or ping",
        ),
        (r#"{"id":4,"type":"authenticate"}"#, 4, "missing field `token`"),
    ];
    for (text, id, problem) in table {
        assert_eq!(ClientMessage::parse(text), Err(InvalidMessage { id, problem: problem.into() }), "{text}");
    }
    let malformed = ClientMessage::parse("{\"type\":\n x}").unwrap_err();
    assert_eq!(malformed.problem, "malformed JSON: expected value at line 2 column 2");
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let text = r#"{"type":"ping","id":1,"type":"list_subscriptions"}"#;
    let problem = ClientMessage::parse(text).unwrap_err().problem;
    assert_eq!(problem, "malformed JSON: field `type` comes twice at line 1 column 50");
}

#[test]
fn an_error_repeats_no_token_and_little_of_anything_else() {
    let long = format!(r#"{{"type":"{}","token":"secret"}}"#, "x".repeat(5_000));
    let problem = ClientMessage::parse(&long).unwrap_err().problem;
    assert!(problem.len() < 200, "{problem}");
    let wrong = ClientMessage::parse(r#"{"type":"authenticate","token":["secret"]}"#).unwrap_err().problem;
    assert_eq!(wrong, "`token` must be a string, not an array");
    let debug = format!("{:?}", ClientMessage::parse(r#"{"type":"authenticate","token":"secret"}"#));
    assert!(!debug.contains("secret"), "{debug}");
}

#[test]
fn unknown_fields_are_ignored_and_null_is_as_good_as_left_out() {
    let text = r#" {"type":"subscribe","symbol":"BTCUSDT","strategy":null,"colour":"red","id":null}"#;
    let ClientMessage::Subscribe(message) = ClientMessage::parse(text).unwrap() else { panic!("subscribe") };
    assert_eq!((message.id, message.strategy, message.symbol.as_deref()), (None, None, Some("BTCUSDT")));
}

fn feed_request() -> impl Arbitrary<Value = FeedRequest> {
    (any::<String>(), any::<Option<String>>(), prop::option::of(0..=MAX_ID))
        .prop_map(|(symbol, strategy, since)| FeedRequest { symbol, strategy, since })
}

fn client_message() -> impl Arbitrary<Value = ClientMessage> {
    let id = || prop::option::of(0..=MAX_ID);
    let several = || prop::collection::vec(feed_request(), 0..4);
    prop_oneof![
        (id(), any::<String>(), any::<Option<String>>(), prop::option::of(several())).prop_map(
            |(id, token, session, subscriptions)| {
                ClientMessage::Authenticate(Authenticate { id, token, session, subscriptions })
            }
        ),
        (id(), feed_request()).prop_map(|(id, request)| {
            ClientMessage::Subscribe(Subscribe {
                id,
                symbol: Some(request.symbol),
                strategy: request.strategy,
                since: request.since,
                subscriptions: None,
            })
        }),
        (id(), several()).prop_map(|(id, several)| {
            let (symbol, strategy) = (None, None);
            ClientMessage::Unsubscribe(Unsubscribe { id, symbol, strategy, subscriptions: Some(several) })
        }),
        id().prop_map(|id| ClientMessage::Ping(Ping { id })),
        id().prop_map(|id| ClientMessage::ListSubscriptions(ListSubscriptions { id })),
    ]
}

proptest! {
    #[test]
    fn any_client_message_survives_a_round_trip(message in client_message()) {
        let text = serde_json::to_string(&message).unwrap();
        prop_assert_eq!(ClientMessage::parse(&text), Ok(message));
    }

    #[test]
    fn any_finite_price_survives_a_round_trip(price in -1e12f64..1e12, seq in 0..=MAX_ID) {
        let mut message = server_samples().into_iter().find(|sample| sample.position().is_some()).unwrap();
        let ServerMessage::Scalp(signal) = &mut message else { panic!("scalp comes first") };
        signal.data.current_price = price;
        signal.seq = seq;
        prop_assert_eq!(ServerMessage::parse(&message.to_json()), Ok(message));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), tail in "[\\[\\]{}\",:0-9a-z]{0,80}") {
        let _ = ClientMessage::parse(&text);
        let _ = ClientMessage::parse(&format!("{{{tail}"));
        let _ = ServerMessage::parse(&format!("{{{tail}"));
    }
}
