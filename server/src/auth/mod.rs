//! Who is there: wallets sign a challenge and get a token; connections show the token.

pub mod challenge;
pub mod http;
pub mod token;
pub mod wallet;

use std::sync::Arc;

/// Somebody whose token was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's subject: the wallet address, EIP-55.
    pub user_id: Arc<str>,
    /// What the user may do.
    pub roles: Vec<String>,
    /// When the token expires, in Unix milliseconds.
    pub expires_at_ms: i64,
}
