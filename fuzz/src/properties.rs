//! One function per reader of text from strangers. Each panics when a property does not hold.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidegate_protocol::ClientMessage;
use tidegate_server::auth::keys::SigningKey;
use tidegate_server::auth::siwe::Message;
use tidegate_server::auth::token::{TokenProblem, Tokens};
use tidegate_server::auth::wallet::recover_signer;
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

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_secret(&Secret::new(SECRET.into())));

/// What a key holder may sign: header and claims, with a line feed between them. Without the signature no random text
/// gets past the first check.
pub fn token_parts(bytes: &[u8]) {
    let Some(token) = signed(bytes) else { return };
    match TOKENS.examine(&token, NOW_MS) {
        Ok(identity) => {
            assert!((NOW_MS - 5_000..=NOW_MS + 905_000).contains(&identity.expires_at_ms));
            assert!(identity.user_id.len() == 42 && identity.roles.len() <= 16);
            assert!(!identity.family.is_empty() && identity.family.len() <= 256);
        }
        Err(problem) => assert_ne!(problem, TokenProblem::Signature, "{token}"),
    }
}

/// Whether header and claims, once signed, let somebody in.
pub fn is_accepted_once_signed(bytes: &[u8]) -> bool {
    signed(bytes).is_some_and(|token| is_accepted(&token))
}

fn signed(bytes: &[u8]) -> Option<String> {
    let (header, claims) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    Some(format!("{message}.{}", KEY.sign(message.as_bytes())))
}

/// Whether this is a token that lets somebody in.
pub fn is_accepted(token: &str) -> bool {
    TOKENS.verify(token, NOW_MS).is_ok()
}

/// A signature and, after a line feed, the message it is said to be of. What names a wallet has the canonical form, and
/// neither its twin nor another `v` names the same one.
pub fn signature(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (signature, message) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(signer) = recover_signer(message, signature) else { return };
    assert!(!signer.is_zero() && signature.len() == 132, "{signature}");
    let (head, v) = signature.split_at(130);
    let other_v = if v.eq_ignore_ascii_case("1b") { "1c" } else { "1b" };
    assert_ne!(recover_signer(message, &format!("{head}{other_v}")), Ok(signer));
    // The compact form, and with something behind it.
    assert!(recover_signer(message, &signature[..130]).is_err());
    assert!(recover_signer(message, &format!("{signature}00")).is_err());
}

/// Whether the first line is a signature that names a wallet for what follows.
pub fn names_a_wallet(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.split_once('\n').is_some_and(|(signature, message)| recover_signer(message, signature).is_ok())
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
