//! Refresh tokens: 256 bits that only their holder has. A database gets hashes, and a successor is derived from the
//! token before it.
//!
//! Derived, because a client whose answer got lost must be given the same successor again, and a store that keeps
//! hashes cannot look it up. HMAC under a key of the server: who has only the database, or only an old token, cannot
//! compute it. The holder of the old token may ask for its successor during the grace anyway.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

const TOKEN_BYTES: usize = 32;
/// Lets secret scanners recognise a token that leaked.
const PREFIX: &str = "tgr_";
/// So that the key makes nothing else that could pass for a token.
const PURPOSE: &[u8] = b"tidegate refresh token successor v1\0";

/// A hash as it is stored.
pub(super) type TokenHash = [u8; TOKEN_BYTES];

/// A refresh token. Wiped from memory when dropped; never in `Debug`.
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<[u8; TOKEN_BYTES]>);

impl RefreshToken {
    pub(super) fn random() -> Self {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(bytes.as_mut()).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Reads a token. One token has one text: nothing else passes, not even other letter case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        if digits.len() != 2 * TOKEN_BYTES || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        alloy_primitives::hex::decode_to_slice(digits, bytes.as_mut()).ok()?;
        Some(Self(bytes))
    }

    /// The text for the peer: `tgr_` and 64 hexadecimal digits.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(alloy_primitives::hex::encode(self.0.as_ref()));
        Zeroizing::new([PREFIX, digits.as_str()].concat())
    }

    /// What a database keeps and finds it by. A lookup compares hashes of what the peer sent, so that its duration
    /// says nothing about the tokens that exist. Plain SHA-256 is enough for 256 random bits.
    pub(super) fn hash(&self) -> TokenHash {
        let mut hash = [0; TOKEN_BYTES];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_ref()).as_ref());
        hash
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(hidden)")
    }
}

/// The secret that derives refresh tokens from their predecessors. With another key the tokens that are out stay
/// valid; only an exchange that is repeated across the change counts as reuse.
#[derive(Clone)]
pub struct RotationKey(hmac::Key);

impl RotationKey {
    /// The key of these 32 secret bytes; the caller wipes its copy.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key of a secret text of any length.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A key that ends with this process.
    #[must_use]
    pub fn random() -> Self {
        Self::new(&RefreshToken::random().0)
    }

    pub(super) fn successor(&self, token: &RefreshToken) -> RefreshToken {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(PURPOSE);
        context.update(token.0.as_ref());
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        bytes.copy_from_slice(context.sign().as_ref());
        RefreshToken(bytes)
    }
}

impl fmt::Debug for RotationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_text_and_nothing_else_is_a_token() {
        let token = RefreshToken::random();
        let text = token.to_text();
        assert_eq!(text.len(), 68);
        assert_eq!(RefreshToken::parse(&text).unwrap().to_text(), text);
        let digits = &text[4..];
        for wrong in [
            "",
            "tgr_",
            digits,
            &format!("TGR_{digits}"),
            &format!("tgr_{}", "A".repeat(64)),
            &format!("tgr_{}", "g".repeat(64)),
            &format!("tgr_0x{}", "a".repeat(62)),
            &format!("tgr_{}", "é".repeat(32)),
            &format!("{}0", *text),
            &format!(" {}", *text),
            &"x".repeat(1_000_000),
        ] {
            assert!(RefreshToken::parse(wrong).is_none());
        }
    }

    #[test]
    fn a_successor_depends_on_the_token_and_on_the_key() {
        let (key, token) = (RotationKey::random(), RefreshToken::random());
        let next = key.successor(&token);
        assert_eq!(key.successor(&token).to_text(), next.to_text());
        assert_ne!(next.to_text(), token.to_text());
        assert_ne!(key.successor(&RefreshToken::random()).to_text(), next.to_text());
        assert_ne!(RotationKey::random().successor(&token).to_text(), next.to_text());
        assert_ne!(next.hash(), token.hash());
    }

    #[test]
    fn debug_output_shows_neither_a_token_nor_a_key() {
        let token = RefreshToken::random();
        let shown = format!("{token:?} {:?}", RotationKey::new(&token.0));
        assert!(!shown.contains(&token.to_text()[4..20]), "{shown}");
        assert_eq!(shown, "RefreshToken(hidden) RotationKey(hidden)");
    }
}
