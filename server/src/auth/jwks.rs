//! Public keys that an issuer publishes at an address (a JWKS): fetched, kept, and fetched again when they change.
//!
//! The address comes from the configuration alone. What a token says decides at most whether it is asked once more.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::keys::{VerifyingKey, decode};
use crate::failure::Failure;
use crate::outbound::Dialer;

/// Unknown kids make the gateway ask at most this often.
const RELOAD_EVERY_AT_MOST: Duration = Duration::from_secs(60);
/// Without any reason it asks this often, so that a key that was taken back is forgotten.
pub(super) const RELOAD_EVERY: Duration = Duration::from_secs(600);
/// Keys that could not be confirmed for so long are no longer believed.
const BELIEVED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
const KEYS_MAX: usize = 100;
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct RemoteKeys {
    base: Uri,
    path: PathAndQuery,
    dialer: Dialer,
    known: RwLock<Known>,
    /// When the address was last asked. Held while it is: others wait for the same answer.
    asked_at: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, Arc<VerifyingKey>>,
    confirmed_at: Option<Instant>,
}

impl RemoteKeys {
    /// The keys at `url`, which must be `https`, or `http` on this machine. Asks nothing yet.
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::configuration(
                "TG-CFG-021",
                format!("auth.trusted_issuers: jwks_url `{url}` is neither https nor http on this machine"),
                "write for example https://login.example/.well-known/jwks.json",
            )
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?;
        let local = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if local => {}
            _ => return Err(wrong()),
        }
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let base = Uri::from_parts(parts).map_err(|_| wrong())?;
        Ok(Self {
            dialer: Dialer::new(&[&base])?,
            base,
            path,
            known: RwLock::default(),
            asked_at: Mutex::default(),
        })
    }

    /// The key of this name, if it is known.
    pub(super) fn find(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        let known = self.known.read().expect("no holder panics");
        known.confirmed_at.filter(|at| at.elapsed() < BELIEVED_FOR)?;
        known.keys.get(kid).cloned()
    }

    /// Asks for a key that is not known, unless the address was asked a moment ago.
    pub(super) async fn look_for(&self, kid: &str) {
        if self.find(kid).is_some() {
            return;
        }
        let mut asked_at = self.asked_at.lock().await;
        let recently = asked_at.is_some_and(|at| at.elapsed() < RELOAD_EVERY_AT_MOST);
        if !recently && self.find(kid).is_none() {
            *asked_at = Some(Instant::now());
            self.load().await;
        }
    }

    /// Asks whether the keys are still the same.
    pub(super) async fn reload(&self) {
        let mut asked_at = self.asked_at.lock().await;
        *asked_at = Some(Instant::now());
        self.load().await;
    }

    async fn load(&self) {
        match self.fetch().await {
            Ok(keys) => {
                tracing::debug!(
                    host = self.base.host(),
                    keys = keys.len(),
                    "the keys of an issuer were read"
                );
                let mut known = self.known.write().expect("no holder panics");
                *known = Known { keys, confirmed_at: Some(Instant::now()) };
            }
            Err(error) => {
                tracing::warn!(
                    host = self.base.host(),
                    error,
                    "the keys of an issuer cannot be read: those that are known stay in force for a day"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<VerifyingKey>>, String> {
        let request = Request::get(Uri::from(self.path.clone())).body(Body::empty());
        let request = request.expect("a path is an address");
        let (head, body) = timeout(PATIENCE, self.dialer.ask(&self.base, request))
            .await
            .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))??;
        if !head.status.is_success() {
            return Err(format!("the answer is {}", head.status));
        }
        if body.len() > ANSWER_MAX_BYTES {
            return Err("the answer is too long".into());
        }
        let set: KeySet = serde_json::from_slice(&body).map_err(|_| "the answer is no set of keys")?;
        let usable: HashMap<_, _> =
            set.keys.into_iter().take(KEYS_MAX).filter_map(|key| read_key(&key)).collect();
        if usable.is_empty() {
            return Err("the answer has no key with a kid for EdDSA, ES256 or RS256".into());
        }
        Ok(usable)
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// RFC 7517, the fields that decide whether and how a key is used.
#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// The private half: a key that everybody has signs for nobody.
    d: Option<IgnoredAny>,
}

/// One key by its name; none if it is of a kind or for a use that we have none for.
fn read_key(value: &Value) -> Option<(String, Arc<VerifyingKey>)> {
    let key = PublishedKey::deserialize(value).ok()?;
    let signs = key.usage.as_deref().is_none_or(|usage| usage == "sig")
        && key.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"));
    if !signs || key.d.is_some() || !is_name(&key.kid) {
        return None;
    }
    let bytes = |text: &Option<String>| text.as_deref().and_then(|text| decode(text).ok());
    let verifying = match (key.kty.as_str(), key.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => VerifyingKey::from_ed25519(&bytes(&key.x)?),
        ("EC", Some("P-256")) => {
            VerifyingKey::from_p256_point(&[vec![4], bytes(&key.x)?, bytes(&key.y)?].concat())
        }
        ("RSA", None) => VerifyingKey::from_rsa_text(key.n.as_deref()?, key.e.as_deref()?),
        _ => return None,
    }
    .ok()?;
    let bound = key.alg.is_none_or(|algorithm| algorithm == verifying.algorithm());
    bound.then(|| (key.kid, Arc::new(verifying)))
}

/// Issuers name keys freely, often in base64. The name is compared and nothing else.
fn is_name(kid: &str) -> bool {
    (1..=128).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::keys::{KeyKind, SigningKey};

    #[test]
    fn only_keys_for_signatures_of_the_three_algorithms_are_taken() {
        let key = SigningKey::from_pem(&SigningKey::generate(KeyKind::Es256), None).unwrap();
        let good = key.verifying().public_jwk("one").unwrap();
        assert_eq!(read_key(&good).unwrap().1.algorithm(), "ES256");
        let spoilt = [
            ("use", json!("enc")),
            ("alg", json!("HS256")),
            ("alg", json!("ES384")),
            ("key_ops", json!(["sign"])),
            ("kty", json!("oct")),
            ("crv", json!("P-384")),
            ("d", json!("AA")),
            ("kid", json!("a b")),
            ("x", json!("AAAA")),
        ];
        for (name, value) in spoilt {
            let mut key = good.clone();
            key[name] = value;
            assert!(read_key(&key).is_none(), "{key}");
        }
        assert!(read_key(&json!({"kty": "oct", "kid": "one", "k": "AAAA"})).is_none());
    }

    #[test]
    fn an_address_is_encrypted_or_on_this_machine() {
        for url in ["http://127.0.0.1:1/keys", "http://[::1]/keys?a=b", "http://localhost"] {
            assert!(RemoteKeys::new(url).is_ok(), "{url}");
        }
        for url in
            ["http://login.example/keys", "http://localhost.evil.example/", "ftp://127.0.0.1/", "x", ""]
        {
            assert_eq!(RemoteKeys::new(url).unwrap_err().code, "TG-CFG-021", "{url}");
        }
    }
}
