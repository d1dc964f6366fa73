//! Who is there: wallets sign a challenge and get a token; connections show the token.

pub mod admin;
pub mod bearer;
pub mod challenge;
pub mod http;
mod jwks;
mod jws;
pub mod keys;
pub mod origin;
pub mod permission;
mod problem;
pub mod revocation;
pub mod siwe;
pub mod token;
pub mod wallet;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;

use crate::audit::{Event, EventKind, Level, Outcome};

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

/// Who asks, as far as a socket and a request tell.
#[derive(Clone, Debug)]
pub struct Peer {
    ip: IpAddr,
    user_agent: Option<String>,
}

impl Peer {
    /// The peer of a request.
    #[must_use]
    pub fn new(address: SocketAddr, headers: &HeaderMap) -> Self {
        let user_agent =
            headers.get(USER_AGENT).map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
        Self { ip: address.ip(), user_agent }
    }

    /// Where the request came from.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Something that this peer did.
    #[must_use]
    pub fn event(&self, kind: EventKind) -> Event {
        let event = Event::new(kind).ip(self.ip);
        match &self.user_agent {
            Some(user_agent) => event.user_agent(user_agent),
            None => event,
        }
    }

    /// Something that this peer was refused.
    #[must_use]
    pub fn refused(&self, kind: EventKind, why: &str) -> Event {
        self.event(kind).outcome(Outcome::Refused).level(Level::Warning).detail(why)
    }
}
