//! What must hold for any bytes, on the corpus of the fuzz targets and on variants of it: a part of every test run,
//! where the fuzz targets themselves are a part of the long one.

use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "shared with the fuzz targets")]
#[path = "../../fuzz/src/properties.rs"]
mod properties;

/// Variants of each file.
const VARIANTS: usize = 300;
/// What readers have to do with: put in anywhere.
const PIECES: [&str; 24] = [
    "\n",
    "\r\n",
    "\0",
    "\u{1b}[",
    "\"",
    "\\",
    "\\u",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    ".",
    "=",
    "%",
    "%2f",
    "://",
    "@",
    "é",
    "\u{202e}",
    "0",
    "-1",
    "99999999999999999999",
];

/// The same numbers in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % limit.max(1)
    }
}

/// The corpus of a target, in the same order in every run.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a file")).collect()
}

fn vary(bytes: &mut Vec<u8>, others: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len() + 1);
    let until = at + numbers.below((bytes.len() - at).min(40) + 1);
    match numbers.below(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        1 => drop(bytes.drain(at..until)),
        2 => {
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
        3 => bytes.truncate(at),
        4 => {
            let other = &others[numbers.below(others.len())];
            let from = numbers.below(other.len() + 1);
            bytes.splice(at.., other[from..].iter().copied());
        }
        _ => {
            let piece = PIECES[numbers.below(PIECES.len())];
            bytes.splice(at..until, piece.bytes());
        }
    }
}

fn exercise(target: &str, property: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() > 10, "{target} has a corpus");
    let mut numbers = Numbers(0x7465_6761_7464_6974);
    for file in &corpus {
        property(file);
        for _ in 0..VARIANTS {
            let mut bytes = file.clone();
            for _ in 0..=numbers.below(4) {
                vary(&mut bytes, &corpus, &mut numbers);
            }
            property(&bytes);
        }
    }
}

#[test]
fn sign_in_messages_keep_what_they_promise() {
    exercise("siwe_message", properties::siwe_message);
}

#[test]
fn t_24_signatures_keep_what_they_promise() {
    exercise("signature", properties::signature);
}

#[test]
fn tokens_keep_what_they_promise() {
    exercise("token", properties::token);
}

#[test]
fn headers_and_claims_that_are_signed_keep_what_they_promise() {
    exercise("token_parts", properties::token_parts);
}

#[test]
fn client_messages_keep_what_they_promise() {
    exercise("client_message", properties::client_message);
}

#[test]
fn the_corpus_has_what_is_accepted_and_what_is_not() {
    let texts = |target| corpus(target).into_iter().filter_map(|bytes| String::from_utf8(bytes).ok());
    let read = texts("siwe_message").filter(|text| tidegate_server::auth::siwe::Message::parse(text).is_ok());
    assert_eq!(read.count(), 4);
    let read = texts("client_message").filter(|text| tidegate_protocol::ClientMessage::parse(text).is_ok());
    assert_eq!(read.count(), 7);
    let named = corpus("signature").into_iter().filter(|bytes| properties::names_a_wallet(bytes));
    assert_eq!(named.count(), 4);
    let (accepted, refused): (Vec<_>, Vec<_>) =
        texts("token").partition(|text| properties::is_accepted(text));
    assert!(!accepted.is_empty() && refused.len() >= 10, "{accepted:?}");
    let (accepted, refused): (Vec<_>, Vec<_>) =
        corpus("token_parts").into_iter().partition(|bytes| properties::is_accepted_once_signed(bytes));
    assert_eq!((accepted.len(), refused.len() >= 8), (4, true));
}
