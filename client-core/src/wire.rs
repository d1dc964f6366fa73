//! Writes the four messages that a client sends. By hand: serde would be most of the wasm file's bytes, and
//! only a token and a session id can hold anything that needs escaping.

use tidegate_protocol::Feed;

/// A feed to ask for, and the `seq` to resume after.
pub(crate) type Request = (Feed, Option<u64>);

/// `authenticate`, restoring everything in one message.
pub(crate) fn authenticate(id: u64, token: &str, session: Option<&str>, requests: &[Request]) -> String {
    let mut text = open("authenticate", id);
    text.push_str(",\"token\":");
    push_string(&mut text, token);
    if let Some(session) = session {
        text.push_str(",\"session\":");
        push_string(&mut text, session);
    }
    if !requests.is_empty() {
        push_requests(&mut text, requests.iter().copied());
    }
    text.push('}');
    text
}

/// `subscribe` for several feeds.
pub(crate) fn subscribe(id: u64, requests: &[Request]) -> String {
    let mut text = open("subscribe", id);
    push_requests(&mut text, requests.iter().copied());
    text.push('}');
    text
}

/// `unsubscribe` for several feeds.
pub(crate) fn unsubscribe(id: u64, feeds: &[Feed]) -> String {
    let mut text = open("unsubscribe", id);
    push_requests(&mut text, feeds.iter().map(|feed| (*feed, None)));
    text.push('}');
    text
}

/// `ping`.
pub(crate) fn ping(id: u64) -> String {
    let mut text = open("ping", id);
    text.push('}');
    text
}

/// The message with token and session id replaced, for reports.
pub(crate) fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = secret_start(rest) {
        masked.push_str(&rest[..start]);
        masked.push('…');
        rest = &rest[start..];
        rest = &rest[string_end(rest)..];
    }
    masked.push_str(rest);
    masked
}

/// Appends a number in decimal, without the formatting machinery.
pub(crate) fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

fn open(kind: &str, id: u64) -> String {
    let mut text = String::from("{\"type\":\"");
    text.push_str(kind);
    text.push_str("\",\"id\":");
    push_number(&mut text, id);
    text
}

fn push_requests(text: &mut String, requests: impl Iterator<Item = Request>) {
    text.push_str(",\"subscriptions\":[");
    for (index, (feed, since)) in requests.enumerate() {
        text.push_str(if index == 0 { "{\"symbol\":\"" } else { ",{\"symbol\":\"" });
        text.push_str(feed.symbol.as_str());
        text.push_str("\",\"strategy\":\"");
        text.push_str(feed.strategy.as_str());
        text.push('"');
        if let Some(since) = since {
            text.push_str(",\"since\":");
            push_number(text, since);
        }
        text.push('}');
    }
    text.push(']');
}

/// Appends a JSON string (RFC 8259, section 7).
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            control if u32::from(control) < 0x20 => {
                text.push_str("\\u00");
                for digit in [u32::from(control) >> 4, u32::from(control) & 15] {
                    text.extend(char::from_digit(digit, 16));
                }
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Where the value of the next secret begins, behind its opening quote.
fn secret_start(text: &str) -> Option<usize> {
    let after = |name: &str| text.find(name).map(|start| start + name.len());
    [after("\"token\":\""), after("\"session\":\"")].into_iter().flatten().min()
}

/// Where a JSON string ends, from behind its opening quote: at the closing one.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let closing = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.unwrap_or(text.len())
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
            let text = unsubscribe(id, &feeds);
            let expected = Unsubscribe { id: id_sent, symbol: None, strategy: None, subscriptions };
            prop_assert_eq!(ClientMessage::parse(&text), Ok(ClientMessage::Unsubscribe(expected)));

            let expected = ClientMessage::Ping(Ping { id: id_sent });
            prop_assert_eq!(ClientMessage::parse(&ping(id)), Ok(expected));
        }

        #[test]
        fn a_masked_message_holds_no_secret_and_is_still_a_message(
            token in "[a-z\"\\\\\\x01]{1,40}\\PC{0,8}",
            session in "[a-z\"\\\\]{1,40}",
            requests in feeds(),
        ) {
            let text = masked(&authenticate(7, &token, Some(&session), &requests));
            let expected = authenticate(7, "…", Some("…"), &requests);
            prop_assert_eq!(text, expected);
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
