use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

const ISSUED: &str = "signals.example:8443 wants you to sign in with your Ethereum account:
0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf

Sign in to Tidegate. This costs nothing and sends no transaction.

URI: https://signals.example:8443/app?x=%20#top
Version: 1
Chain ID: 1
Nonce: 0123456789abcdef0123456789abcdef
Issued At: 2025-11-04T10:30:00Z
Expiration Time: 2025-11-04T10:35:00.250+01:00";

const FULL: &str = "https://[2001:db8::1]:1 wants you to sign in with your Ethereum account:
0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf


URI: urn:example:gateway
Version: 1
Chain ID: 137
Nonce: abcdEFGH
Issued At: 2025-11-04t10:30:00z
Expiration Time: 2025-11-04T10:35:00Z
Not Before: 2025-11-04T10:29:00Z
Request ID: a%2Fb:c@d
Resources:
- https://example.org/one
- ipfs://bafy/two";

/// A message must be read and written back as it was.
fn accepted(text: &str) -> Message {
    let message = Message::parse(text).unwrap_or_else(|problem| panic!("{problem}: {text:?}"));
    assert_eq!(message.to_string(), text);
    message
}

#[test]
fn a_message_is_read_into_its_parts() {
    let message = accepted(ISSUED);
    assert_eq!((message.scheme, message.domain.as_str()), (None, "signals.example:8443"));
    assert_eq!(message.address.to_checksum(None), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    assert_eq!(message.issued_at.unix_ms(), 1_762_252_200_000);
    assert_eq!(message.expiration_time.unwrap().unix_ms(), 1_762_248_900_250);
    let full = accepted(FULL);
    assert_eq!((full.scheme.as_deref(), full.statement), (Some("https"), None));
    assert_eq!(full.request_id.as_deref(), Some("a%2Fb:c@d"));
    assert_eq!(full.resources.unwrap().len(), 2);
    let empty = accepted(
        &FULL.replace("a%2Fb:c@d", "").replace("\n- https://example.org/one\n- ipfs://bafy/two", ""),
    );
    assert_eq!((empty.request_id.as_deref(), empty.resources), (Some(""), Some(Vec::new())));
}

/// T-23: what is wrong with a message by its form alone.
#[test]
fn t_23_whatever_the_grammar_does_not_allow_is_refused() {
    let table = [
        ("signals.example:8443 wants", "signals.example wants  ", Malformed::Missing("heading")),
        ("signals.example:8443 wants", " wants", Malformed::Invalid("domain")),
        ("signals.example:8443 wants", "a/b wants", Malformed::Invalid("domain")),
        ("signals.example:8443 wants", "me@signals.example wants", Malformed::Invalid("domain")),
        ("signals.example:8443 wants", "1://signals.example wants", Malformed::Invalid("scheme")),
        ("signals.example:8443 wants", "signals.exämple wants", Malformed::Invalid("domain")),
        ("signals.example:8443 wants", "signals.example:80x wants", Malformed::Invalid("domain")),
        ("signals.example:8443 wants", "[::1 wants", Malformed::Invalid("domain")),
        ("signals.example:8443 wants", "[::1%eth0] wants", Malformed::Invalid("domain")),
        ("0x7E5F", "0x7e5f", Malformed::Invalid("address")),
        ("0x7E5F", "0X7E5F", Malformed::Invalid("address")),
        ("0x7E5F", "7E5F", Malformed::Invalid("address")),
        ("5Bdf\n\n", "5Bdf\n", Malformed::Missing("empty line")),
        ("Sign in to", "Sign in tö", Malformed::Invalid("statement")),
        ("Sign in to", "Sign\tin to", Malformed::Invalid("statement")),
        ("Sign in to", "Sign in\nto", Malformed::Missing("empty line")),
        ("transaction.\n\n", "transaction.\n", Malformed::Missing("empty line")),
        ("URI: https", "URI:https", Malformed::Missing("URI")),
        ("URI: https:", "URI: ", Malformed::Invalid("URI")),
        ("%20", "%2", Malformed::Invalid("URI")),
        ("/app", "/a pp", Malformed::Invalid("URI")),
        ("#top", "#a#b", Malformed::Invalid("URI")),
        ("Version: 1", "Version: 2", Malformed::Invalid("Version")),
        ("Chain ID: 1", "Chain ID: 01", Malformed::Invalid("Chain ID")),
        ("Chain ID: 1", "Chain ID: -1", Malformed::Invalid("Chain ID")),
        ("Chain ID: 1", "Chain ID: 0x1", Malformed::Invalid("Chain ID")),
        ("Chain ID: 1", "Chain ID: 18446744073709551616", Malformed::Invalid("Chain ID")),
        ("Nonce: 0123456789abcdef0123456789abcdef", "Nonce: 0123456", Malformed::Invalid("Nonce")),
        ("Nonce: 0123", "Nonce: 01-23", Malformed::Invalid("Nonce")),
        ("At: 2025-11-04T", "At: 2025-11-04 ", Malformed::Invalid("Issued At")),
        ("At: 2025-11-04T", "At: 2025-11-31T", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "10:30Z", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "10:30:00", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "10:30:00.Z", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "24:30:00Z", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "10:30:00+24:00", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "10:30:00+0100", Malformed::Invalid("Issued At")),
        ("10:30:00Z", "10:30:00Z[UTC]", Malformed::Invalid("Issued At")),
        ("Issued At: 2025-11-04T10:30:00Z\n", "", Malformed::Missing("Issued At")),
        ("Expiration Time:", "Expiration time:", Malformed::Trailing),
        ("+01:00", "+01:00\n", Malformed::Trailing),
        ("+01:00", "+01:00\nhello", Malformed::Trailing),
        ("+01:00", "+01:00\nResources:\n- x y", Malformed::Invalid("Resources")),
        ("+01:00", "+01:00\nRequest ID: a/b", Malformed::Invalid("Request ID")),
    ];
    for (part, instead, problem) in table {
        assert!(ISSUED.contains(part), "{part}");
        let text = ISSUED.replacen(part, instead, 1);
        assert_eq!(Message::parse(&text), Err(problem), "{instead:?}");
    }
    assert!(Message::parse(&ISSUED.replace('\n', "\r\n")).is_err(), "CRLF");
    assert!(Message::parse(&ISSUED.to_lowercase()).is_err(), "lower case");
    assert_eq!(Message::parse(&" ".repeat(1 << 20)), Err(Malformed::TooLong));
    for text in ["", "\n", "\n\n\n\n\n\n\n\n\n\n\n", HEADING] {
        assert!(Message::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_uri_is_what_rfc_3986_calls_one() {
    let good = [
        "http://127.0.0.1:8080",
        "https://a/?#",
        "mailto:a@b.example",
        "urn:x:y",
        "a:",
        "file:///etc",
        "http://u:p@h:/x",
        "http://[::ffff:1.2.3.4]/",
        "http://[v1.a:b]/",
        "x-y+z.1://h//p;q=(1)",
    ];
    let bad = [
        "",
        ":",
        "//a",
        "/a",
        "a",
        "1a:b",
        "http://a b",
        "http://[::1",
        "http://::1]",
        "http://[1.2.3.4]/",
        "a:%zz",
        "a:%4",
        "a:\"",
        "a:<b>",
        "a:\\b",
        "a:^",
        "a:`",
        "a:{",
        "http://a:b:c/",
        "http://a@b@c/",
        "a:é",
        "a:[b]",
        "http://[v.a]/",
        "http://[::1]x/",
    ];
    good.iter().for_each(|uri| assert!(is_uri(uri), "{uri}"));
    bad.iter().for_each(|uri| assert!(!is_uri(uri), "{uri}"));
}

fn uri() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9+.-]{0,5}://[a-z0-9.-]{1,12}(:[0-9]{1,5})?(/[a-zA-Z0-9._~!$&'()*+,;=:@-]{0,8}){0,3}(\\?[a-z/?=&]{0,8})?(#[a-z/?]{0,5})?",
        "[a-z][a-z0-9]{0,5}:[a-zA-Z0-9:@-]{0,12}(%[0-9a-fA-F]{2}){0,2}",
    ]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let text = (
        1_970..2_100_u32,
        1..13_u32,
        1..29_u32,
        0..24_u32,
        0..60_u32,
        "(\\.[0-9]{1,9})?",
        "(Z|z|[+-][01][0-9]:[0-5][0-9])",
    );
    text.prop_map(|(year, month, day, hour, minute, fraction, zone)| {
        let text = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:07{fraction}{zone}");
        Timestamp::parse(&text).expect("a time")
    })
}

prop_compose! {
    fn message()(
        scheme in option::of("[a-z][a-z0-9+.-]{0,6}"),
        domain in "([a-zA-Z0-9.-]{1,20}|\\[::1\\]|%[0-9A-F]{2}x)(:[0-9]{0,5})?",
        address in any::<[u8; 20]>(),
        statement in option::of("[ a-zA-Z0-9._~:/?#@!$&'()*+,;=\\[\\]-]{1,60}"),
        uri in uri(),
        chain_id in any::<u64>(),
        nonce in "[a-zA-Z0-9]{8,40}",
        issued_at in timestamp(),
        expiration_time in option::of(timestamp()),
        not_before in option::of(timestamp()),
        request_id in option::of("[a-zA-Z0-9:@._~-]{0,12}"),
        resources in option::of(vec(uri(), 0..4)),
    ) -> Message {
        Message {
            scheme, domain, address: address.into(), statement, uri, chain_id, nonce, issued_at, expiration_time,
            not_before, request_id, resources,
        }
    }
}

/// Whatever is read differs from `original` or is the very same text.
fn refused_or_another(original: &str, changed: &str) -> Result<(), TestCaseError> {
    let before = Message::parse(original).expect("a valid message");
    if let Ok(after) = Message::parse(changed) {
        prop_assert_eq!(after.to_string(), changed);
        prop_assert_eq!(after == before, original == changed, "{:?}", changed);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_message_is_read_as_it_was_written(message in message()) {
        let text = message.to_string();
        prop_assert_eq!(Message::parse(&text), Ok(message));
    }

    #[test]
    fn one_changed_character_is_refused_or_another_message(
        message in prop_oneof![Just(ISSUED.to_owned()), message().prop_map(|message| message.to_string())],
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<char>(), (0_u8..128).prop_map(char::from)],
        how in 0..3,
    ) {
        let mut characters: Vec<char> = message.chars().collect();
        let at = at.index(characters.len());
        match how {
            0 => characters[at] = with,
            1 => characters.insert(at, with),
            _ => { characters.remove(at); }
        }
        refused_or_another(&message, &characters.iter().collect::<String>())?;
    }

    #[test]
    fn one_more_or_less_line_is_refused_or_another_message(
        message in prop_oneof![Just(ISSUED.to_owned()), message().prop_map(|message| message.to_string())],
        at in any::<prop::sample::Index>(),
        line in prop_oneof![Just(String::new()), "[ -~]{0,30}", "(Not Before|Nonce|URI|Version): [0-9a-z]{1,8}"],
        add in any::<bool>(),
    ) {
        let mut lines: Vec<&str> = message.split('\n').collect();
        let at = at.index(lines.len());
        if add { lines.insert(at, &line); } else { lines.remove(at); }
        refused_or_another(&message, &lines.join("\n"))?;
    }

    #[test]
    fn no_text_makes_it_panic(bytes in vec(any::<u8>(), 0..600), text in "\\PC*") {
        let _ = Message::parse(&String::from_utf8_lossy(&bytes));
        let _ = Message::parse(&text);
        let _ = (is_uri(&text), Timestamp::parse(&text));
    }
}
