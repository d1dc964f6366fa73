//! Who is there: wallets sign a challenge and get a token; connections show the token.

pub mod challenge;
pub mod http;
pub mod origin;
pub mod permission;
pub mod revocation;
pub mod siwe;
pub mod token;
pub mod wallet;

use std::sync::Arc;

/// Somebody whose token was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's subject: the wallet address, EIP-55.
    pub user_id: Arc<str>,
    /// What the user is: the configuration says what each role may do.
    pub roles: Vec<String>,
    /// The refresh family of the token (`sid`): what is revoked together.
    pub family: Arc<str>,
    /// When the token expires, in Unix milliseconds.
    pub expires_at_ms: i64,
}
