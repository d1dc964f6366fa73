//! Writes the four messages that a client sends. By hand: serde would be most of the wasm file's bytes, and
//! only a token and a session id can hold anything that needs escaping.

use alloc::string::String;
use tidegate_protocol::Feed;

/// A feed to ask for, and the `seq` to resume after.
pub(crate) type Request = (Feed, Option<u64>);

/// `authenticate`, restoring everything in one message.
pub(crate) fn authenticate(id: u64, token: &str, session: Option<&str>, requests: &[Request]) -> String {
    let mut text = open("authenticate", id);
    push(&mut text, ",\"token\":");
    push_string(&mut text, token);
    if let Some(session) = session {
        push(&mut text, ",\"session\":");
        push_string(&mut text, session);
    }
    if !requests.is_empty() {
        push_requests(&mut text, requests);
    }
    push(&mut text, "}");
    text
}

/// `subscribe` for several feeds.
pub(crate) fn subscribe(id: u64, requests: &[Request]) -> String {
    about(open("subscribe", id), requests)
}

/// `unsubscribe` for several feeds, without any `since`.
pub(crate) fn unsubscribe(id: u64, requests: &[Request]) -> String {
    about(open("unsubscribe", id), requests)
}

/// `ping`.
pub(crate) fn ping(id: u64) -> String {
    let mut text = open("ping", id);
    push(&mut text, "}");
    text
}

/// Appends. One copy of it: inlined, the growing of a string is half of the code of every writer.
#[inline(never)]
pub(crate) fn push(text: &mut String, more: &str) {
    text.push_str(more);
}

/// Appends a number in decimal, without the formatting machinery.
#[inline(never)]
pub(crate) fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    push_char(text, char::from(b'0' + (number % 10) as u8));
}

/// Appends a feed as `SYMBOL/strategy` with any other separator.
pub(crate) fn push_feed(text: &mut String, feed: Feed, separator: &str) {
    // Byte by byte: the check that they are UTF-8 is as large as all other writers together.
    for byte in feed.symbol.as_bytes() {
        push_char(text, char::from(*byte));
    }
    push(text, separator);
    push(text, feed.strategy.as_str());
}

fn open(kind: &str, id: u64) -> String {
    let mut text = String::new();
    push(&mut text, "{\"type\":\"");
    push(&mut text, kind);
    push(&mut text, "\",\"id\":");
    push_number(&mut text, id);
    text
}

fn about(mut text: String, requests: &[Request]) -> String {
    push_requests(&mut text, requests);
    push(&mut text, "}");
    text
}

#[inline(never)]
fn push_requests(text: &mut String, requests: &[Request]) {
    let mut opening = ",\"subscriptions\":[{\"symbol\":\"";
    for (feed, since) in requests {
        push(text, opening);
        push_feed(text, *feed, "\",\"strategy\":\"");
        push(text, "\"");
        if let Some(since) = since {
            push(text, ",\"since\":");
            push_number(text, *since);
        }
        opening = "},{\"symbol\":\"";
    }
    push(text, if requests.is_empty() { ",\"subscriptions\":[]" } else { "}]" });
}

/// Appends a JSON string (RFC 8259, section 7).
#[inline(never)]
fn push_string(text: &mut String, value: &str) {
    push(text, "\"");
    for character in value.chars() {
        match character {
            '"' => push(text, "\\\""),
            '\\' => push(text, "\\\\"),
            '\0'..='\x1f' => {
                push(text, if character < '\x10' { "\\u000" } else { "\\u001" });
                push_char(text, char::from_digit(u32::from(character) & 15, 16).unwrap_or('0'));
            }
            other => push_char(text, other),
        }
    }
    push(text, "\"");
}

#[inline(never)]
fn push_char(text: &mut String, character: char) {
    text.push(character);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_protocol::{
        Authenticate, ClientMessage, FeedRequest, MAX_ID, Ping, Strategy as Kind, Subscribe, Unsubscribe,
    };

    use super::*;

    fn feeds() -> impl Strategy<Value = Vec<Request>> {
        let feed = ("[A-Z0-9]{2,20}", 0usize..3)
            .prop_map(|(symbol, kind)| Feed { symbol: symbol.parse().unwrap(), strategy: Kind::ALL[kind] });
        prop::collection::vec((feed, prop::option::of(0..=MAX_ID)), 0..12)
    }

    fn parsed(requests: &[Request]) -> Option<Vec<FeedRequest>> {
        Some(requests.iter().map(|(feed, since)| FeedRequest::new(*feed, *since)).collect())
    }

    proptest! {
        #[test]
        fn the_server_reads_what_the_client_means(
            id in 0..=MAX_ID,
            token in any::<String>(),
            session in prop::option::of(any::<String>()),
            requests in feeds(),
        ) {
            let id_sent = Some(id);
            let subscriptions = parsed(&requests);
            let text = authenticate(id, &token, session.as_deref(), &requests);
            let expected = Authenticate {
                id: id_sent,
                token: token.clone(),
                session: session.clone(),
                subscriptions: subscriptions.clone().filter(|list| !list.is_empty()),
            };
            prop_assert_eq!(ClientMessage::parse(&text), Ok(ClientMessage::Authenticate(expected)));

            let (symbol, strategy, since) = (None, None, None);
            let text = subscribe(id, &requests);
            let expected = Subscribe { id: id_sent, symbol, strategy, since, subscriptions };
            prop_assert_eq!(ClientMessage::parse(&text), Ok(ClientMessage::Subscribe(expected)));

            let feeds: Vec<Feed> = requests.iter().map(|(feed, _)| *feed).collect();
            let subscriptions = Some(feeds.iter().map(|feed| FeedRequest::new(*feed, None)).collect());
            let ends: Vec<Request> = feeds.iter().map(|feed| (*feed, None)).collect();
            let text = unsubscribe(id, &ends);
            let expected = Unsubscribe { id: id_sent, symbol: None, strategy: None, subscriptions };
            prop_assert_eq!(ClientMessage::parse(&text), Ok(ClientMessage::Unsubscribe(expected)));

            let expected = ClientMessage::Ping(Ping { id: id_sent });
            prop_assert_eq!(ClientMessage::parse(&ping(id)), Ok(expected));
        }
    }

    #[test]
    fn a_number_is_written_in_decimal() {
        for number in [0, 9, 10, 1_762_176_600_000, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
