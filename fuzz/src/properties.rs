//! One function per reader of text from strangers. Each panics when a property does not hold.

use std::sync::LazyLock;

use tidegate_protocol::ClientMessage;
use tidegate_server::auth::siwe::Message;
use tidegate_server::auth::token::Tokens;
use tidegate_server::config::Secret;

/// The tokens of the corpus are signed with it. It signs nothing else.
const SECRET: &str = "a secret for fuzzing, and for nothing else";
/// When the tokens of the corpus were made, in Unix milliseconds.
const NOW_MS: i64 = 1_762_252_200_000;

/// An EIP-4361 message that is accepted is written back byte for byte.
pub fn siwe_message(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(message) = Message::parse(text) {
        assert_eq!(message.to_string(), text);
    }
}

static TOKENS: LazyLock<Tokens> =
    LazyLock::new(|| Tokens::new(&Secret::new(SECRET.into()), "tidegate", "tidegate", 15));

/// An access token that is accepted is in force: it ends within its lifetime.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(identity) = TOKENS.verify(text, NOW_MS) {
        assert!((NOW_MS - 5_000..=NOW_MS + 905_000).contains(&identity.expires_at_ms));
    }
}

/// Whether this is a token that lets somebody in.
pub fn is_accepted(token: &str) -> bool {
    TOKENS.verify(token, NOW_MS).is_ok()
}

/// A client message that is accepted means the same after it was written and read again; why another was refused
/// is short.
pub fn client_message(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ClientMessage::parse(text) {
        Ok(message) => {
            let written = serde_json::to_string(&message).expect("a message is JSON");
            assert_eq!(ClientMessage::parse(&written), Ok(message));
        }
        Err(refused) => assert!(refused.problem.len() < 1_000, "{}", refused.problem),
    }
}
