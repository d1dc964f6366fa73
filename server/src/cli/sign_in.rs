//! Signing in to a gateway with a wallet that lives as long as this process: what a browser does without one.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, eip191_hash_message, hex};
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Uri};
use k256::ecdsa::SigningKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_client_native::{Token, TokenError, TokenSource};
use tokio::time::timeout;

use crate::failure::{Exit, Failure};
use crate::outbound::Dialer;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A wallet and the gateway that it signs in to.
pub(super) struct SignIn {
    gateway: Uri,
    dialer: Dialer,
    key: SigningKey,
}

/// Why there is no token.
enum Refused {
    Unreachable(String),
    Denied(String),
}

#[derive(Deserialize)]
struct Challenge {
    message: String,
}

#[derive(Deserialize)]
struct Verified {
    token: String,
}

impl SignIn {
    /// With a new wallet, to the gateway of this WebSocket address.
    pub(super) fn new(websocket: &Uri) -> Result<Self, Failure> {
        let scheme = if websocket.scheme_str() == Some("wss") { "https" } else { "http" };
        let authority = websocket.authority().map_or("", |authority| authority.as_str());
        let gateway = format!("{scheme}://{authority}").parse().expect("an address without its path is one");
        Ok(Self { dialer: Dialer::new(&[&gateway])?, gateway, key: random_key() })
    }

    /// Signs in now, to find out whether that works, and again whenever a token is needed.
    pub(super) async fn source(self) -> Result<TokenSource, Failure> {
        self.token().await.map_err(|refused| self.failure(refused))?;
        let this = Arc::new(self);
        Ok(TokenSource::new(move || {
            let this = Arc::clone(&this);
            async move {
                this.token().await.map_err(|refused| match refused {
                    Refused::Unreachable(reason) => TokenError::Unavailable(reason),
                    Refused::Denied(reason) => TokenError::Denied(reason),
                })
            }
        }))
    }

    async fn token(&self) -> Result<Token, Refused> {
        let wallet = Address::from_private_key(&self.key).to_checksum(None);
        let asked = json!({"wallet_address": wallet});
        let Challenge { message } = self.post("/api/auth/challenge", &asked).await?;
        let signature = self.sign(&message);
        let answer = json!({"wallet_address": wallet, "message": message, "signature": signature});
        let Verified { token } = self.post("/api/auth/verify", &answer).await?;
        // How long it lasts, the gateway says when it is used.
        Ok(Token { text: token, expires_in: None })
    }

    fn sign(&self, message: &str) -> String {
        let hash = eip191_hash_message(message);
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(hash.as_slice()).expect("a hash can be signed");
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + recovery.to_byte())
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Refused> {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a path is one of an address");
        let (head, body) = timeout(PATIENCE, self.dialer.ask(&self.gateway, request))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
            .map_err(Refused::Unreachable)?;
        if head.status.is_server_error() {
            return Err(Refused::Unreachable(format!("it answers {}", head.status)));
        }
        if !head.status.is_success() {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            return Err(Refused::Denied(format!("it answers {}: {text}", head.status)));
        }
        serde_json::from_slice(&body)
            .map_err(|_| Refused::Denied("its answer is not that of a gateway".into()))
    }

    fn failure(&self, refused: Refused) -> Failure {
        let (exit, code, what, fix) = match refused {
            Refused::Unreachable(reason) => (
                Exit::Unreachable,
                "TG-CLI-005",
                format!("the gateway cannot be reached: {reason}"),
                "start one (tidegate serve), or name another: --url ws://HOST:PORT/ws",
            ),
            Refused::Denied(reason) => (
                Exit::Authentication,
                "TG-CLI-006",
                format!("the gateway does not let a new wallet in: {reason}"),
                "put an access token into TIDEGATE_TOKEN",
            ),
        };
        Failure { exit, code, what, place: Some(self.gateway.to_string()), fix: fix.into() }
    }
}

fn random_key() -> SigningKey {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        // All but one in 2^128 are keys.
        if let Ok(key) = SigningKey::from_slice(&bytes) {
            return key;
        }
    }
}
