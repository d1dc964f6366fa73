//! Access tokens: JWTs that the gateway signs itself, and those of issuers that the configuration trusts.
//!
//! Strict on purpose: the common libraries accept tokens without `aud` or `iss`, of any `typ`, of any length, and
//! with any lifetime. Here the key decides the algorithm, and the issuer decides which keys there are.

use std::sync::Arc;

use alloy_primitives::Address;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::Identity;
use super::jwks::{RELOAD_EVERY, RemoteKeys};
use super::jws::Jws;
use super::keys::{SigningKey, VerifyingKey};
pub use super::problem::{TokenProblem, TokenRefused};
use crate::config::{AuthConfig, Secret, TrustedIssuer};
use crate::failure::Failure;

/// `typ` of an access token (RFC 9068), so that no other kind of token passes for one.
const TOKEN_TYPE: &str = "at+jwt";
/// Clocks of issuer and verifier may differ by this much, in seconds.
pub const LEEWAY_SECONDS: u32 = 5;
/// Longest subject and token id, in bytes.
const NAME_MAX_BYTES: usize = 256;
/// Most roles that a token may name.
const ROLES_MAX: usize = 16;
/// The role of tokens from elsewhere that name none.
const ROLE_DEFAULT: &str = "user";

/// Makes and checks access tokens.
pub struct Tokens {
    issuer: String,
    audience: String,
    lifetime_seconds: u64,
    /// The first one signs, all of them verify.
    keys: Vec<SigningKey>,
    trusted: Vec<Trusted>,
}

/// Somebody else whose tokens are accepted.
#[derive(Debug)]
struct Trusted {
    issuer: String,
    audience: String,
    roles: Vec<String>,
    keys: TrustedKeys,
}

#[derive(Debug)]
enum TrustedKeys {
    Fixed(Arc<VerifyingKey>),
    Remote(Box<RemoteKeys>),
}

/// What an access token says. Unknown claims are left alone.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    // Unsigned whole numbers: a text, a fraction or a negative number is no time.
    iat: u64,
    exp: u64,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    jti: String,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
}

/// The header of a token that we sign.
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// A token that was just made.
pub struct Minted {
    /// The JWT.
    pub token: String,
    /// When it expires, in Unix milliseconds.
    pub expires_at_ms: i64,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

/// What a token says about itself, unverified.
#[derive(Debug)]
pub struct Unverified {
    /// The header, as it is.
    pub header: Map<String, Value>,
    /// The claims, as they are.
    pub claims: Map<String, Value>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("issuer", &self.issuer)
            .field("keys", &self.keys)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens signed with `secret` (HS256), for `audience`, lasting `minutes`.
    #[must_use]
    pub fn new(secret: &Secret, issuer: &str, audience: &str, minutes: u32) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            lifetime_seconds: u64::from(minutes) * 60,
            keys: vec![SigningKey::from_secret(secret)],
            trusted: Vec::new(),
        }
    }

    /// Tokens as the configuration wants them: reads key files, and asks no issuer yet.
    ///
    /// # Errors
    /// No key at all, a key file that cannot be used, the same key or issuer twice.
    pub fn open(config: &AuthConfig) -> Result<Self, Failure> {
        let mut keys = config.read_signing_keys()?;
        let secrets = [&config.jwt_secret, &config.previous_jwt_secret];
        keys.extend(secrets.into_iter().filter(|secret| !secret.is_empty()).map(SigningKey::from_secret));
        if keys.is_empty() {
            return Err(Failure::configuration(
                "TG-CFG-002",
                "no jwt secret and no signing key",
                "tidegate config init      (writes a file with a generated secret)",
            ));
        }
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            lifetime_seconds: u64::from(config.access_token_minutes) * 60,
            keys,
            trusted: config.trusted_issuers.iter().map(Trusted::open).collect::<Result<_, _>>()?,
        })
    }

    /// A token for the wallet `subject` (EIP-55) of the refresh family `sid`. The same arguments give the same token.
    #[must_use]
    pub fn mint(&self, subject: &str, roles: &[&str], sid: &str, jti: &str, now_ms: i64) -> Minted {
        self.mint_lasting(self.lifetime_seconds, subject, roles, sid, jti, now_ms)
    }

    /// The same, lasting `seconds`; one that lasts longer than configured is refused later.
    ///
    /// # Panics
    /// When there is no key, which [`Tokens::open`] makes sure of.
    #[must_use]
    pub fn mint_lasting(
        &self,
        seconds: u64,
        subject: &str,
        roles: &[&str],
        sid: &str,
        jti: &str,
        now_ms: i64,
    ) -> Minted {
        let iat = unix_seconds(now_ms);
        let exp = iat.saturating_add(seconds);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: subject.into(),
            iat,
            exp,
            nbf: None,
            jti: jti.into(),
            sid: Some(sid.into()),
            roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        };
        let key = self.keys.first().expect("there is a key that signs");
        let header = Header { typ: TOKEN_TYPE, alg: key.verifying().algorithm(), kid: key.kid() };
        let mut token = format!("{}.{}", part(&header), part(&claims));
        let signature = key.sign(token.as_bytes());
        token.push('.');
        token.push_str(&signature);
        Minted { token, expires_at_ms: unix_ms(exp) }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`TokenRefused`] when it is neither ours nor of a trusted issuer, not yet valid, or too old.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Identity, TokenRefused> {
        self.examine(token, now_ms).map_err(Into::into)
    }

    /// The same as [`Tokens::verify`], with the exact reason.
    ///
    /// # Errors
    /// The first rule that the token breaks. Whether it has expired is looked at last.
    pub fn examine(&self, token: &str, now_ms: i64) -> Result<Identity, TokenProblem> {
        let mut jws = Jws::read(token)?;
        if let Some(field) = jws.refused_field() {
            return Err(TokenProblem::HeaderField(field));
        }
        if jws.header.get("typ").and_then(Value::as_str) != Some(TOKEN_TYPE) {
            return Err(TokenProblem::Type);
        }
        let claims = std::mem::take(&mut jws.claims);
        let claims: Claims =
            serde_json::from_value(Value::Object(claims)).map_err(|_| TokenProblem::Claims)?;
        let trusted = self.trusted_issuer(&claims.iss)?;
        self.check_signature(&jws, trusted)?;
        if claims.aud != trusted.map_or(&self.audience, |trusted| &trusted.audience).as_str() {
            return Err(TokenProblem::Audience);
        }
        check_names(&claims, trusted.is_none())?;
        self.check_times(&claims, now_ms)?;
        let roles = match trusted {
            None => claims.roles.unwrap_or_default(),
            Some(trusted) => trusted.roles_of(claims.roles),
        };
        Ok(Identity {
            user_id: claims.sub.into(),
            roles,
            family: claims.sid.unwrap_or(claims.jti).into(),
            expires_at_ms: unix_ms(claims.exp),
        })
    }

    /// Header and claims, for a person to look at.
    ///
    /// # Errors
    /// A text that is no token.
    pub fn read(token: &str) -> Result<Unverified, TokenProblem> {
        Jws::read(token).map(|Jws { header, claims, .. }| Unverified { header, claims })
    }

    /// Fetches the keys of a trusted issuer when `token` names one that is not known, so that [`Tokens::verify`]
    /// finds it. An issuer is asked once a minute at most, whatever tokens say; otherwise this returns at once.
    pub async fn fetch_missing_key(&self, token: &str) {
        if self.trusted.is_empty() {
            return;
        }
        let Ok(jws) = Jws::read(token) else { return };
        let (issuer, kid) = (jws.claims.get("iss"), jws.header.get("kid"));
        let (Some(issuer), Some(kid)) = (issuer.and_then(Value::as_str), kid.and_then(Value::as_str)) else {
            return;
        };
        if let Some(TrustedKeys::Remote(keys)) =
            self.trusted.iter().find(|trusted| trusted.issuer == issuer).map(|trusted| &trusted.keys)
        {
            keys.look_for(kid).await;
        }
    }

    /// Fetches the keys of every issuer that publishes them, now and again and again. Never completes, unless there
    /// are none.
    pub async fn keep_keys_current(&self) {
        let remote = || {
            self.trusted.iter().filter_map(|trusted| match &trusted.keys {
                TrustedKeys::Remote(keys) => Some(&**keys),
                TrustedKeys::Fixed(_) => None,
            })
        };
        while remote().next().is_some() {
            futures_util::future::join_all(remote().map(RemoteKeys::reload)).await;
            tokio::time::sleep(RELOAD_EVERY).await;
        }
    }

    /// Our own keys as JWKs (RFC 7517), without secrets: those that sign now, and those that did.
    #[must_use]
    pub fn public_keys(&self) -> Vec<Value> {
        let public = |key: &SigningKey| key.verifying().public_jwk(key.kid()?);
        self.keys.iter().filter_map(public).collect()
    }

    /// None for ourselves.
    fn trusted_issuer(&self, issuer: &str) -> Result<Option<&Trusted>, TokenProblem> {
        if issuer == self.issuer {
            return Ok(None);
        }
        let trusted = self.trusted.iter().find(|trusted| trusted.issuer == issuer);
        trusted.map(Some).ok_or(TokenProblem::Issuer)
    }

    fn check_signature(&self, jws: &Jws<'_>, trusted: Option<&Trusted>) -> Result<(), TokenProblem> {
        let kid = match jws.header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(TokenProblem::Key),
        };
        let found;
        let keys: Vec<&VerifyingKey> = match trusted {
            None => self.keys.iter().filter(|key| key.kid() == kid).map(SigningKey::verifying).collect(),
            Some(trusted) => {
                found = trusted.key(kid);
                found.iter().map(|key| &**key).collect()
            }
        };
        if keys.is_empty() {
            return Err(TokenProblem::Key);
        }
        let algorithm = jws.header.get("alg").and_then(Value::as_str);
        if keys.iter().any(|key| algorithm != Some(key.algorithm())) {
            return Err(TokenProblem::Algorithm);
        }
        let signed = keys.iter().any(|key| key.verify(jws.message.as_bytes(), jws.signature));
        if signed { Ok(()) } else { Err(TokenProblem::Signature) }
    }

    fn check_times(&self, claims: &Claims, now_ms: i64) -> Result<(), TokenProblem> {
        let (now, leeway) = (unix_seconds(now_ms), u64::from(LEEWAY_SECONDS));
        let latest = now.saturating_add(leeway);
        if claims.iat > latest || claims.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(TokenProblem::NotYet);
        }
        let lifetime = claims.exp.saturating_sub(claims.iat);
        if !(1..=self.lifetime_seconds).contains(&lifetime) {
            return Err(TokenProblem::Lifetime);
        }
        if claims.exp.saturating_add(leeway) <= now {
            return Err(TokenProblem::Expired);
        }
        Ok(())
    }
}

impl Trusted {
    fn open(config: &TrustedIssuer) -> Result<Self, Failure> {
        let keys = match (&config.public_key_file, config.jwks_url.as_deref()) {
            (Some(file), None) => TrustedKeys::Fixed(Arc::new(config.read_public_key(file)?)),
            (None, Some(url)) => TrustedKeys::Remote(Box::new(RemoteKeys::new(url)?)),
            _ => {
                return Err(Failure::configuration(
                    "TG-CFG-021",
                    format!(
                        "auth.trusted_issuers: `{}` needs either jwks_url or public_key_file",
                        config.issuer
                    ),
                    "keep one of them",
                ));
            }
        };
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            roles: config.roles.clone(),
            keys,
        })
    }

    /// One configured key is meant whatever the issuer calls it; published ones are told apart by name.
    fn key(&self, kid: Option<&str>) -> Option<Arc<VerifyingKey>> {
        match &self.keys {
            TrustedKeys::Fixed(key) => Some(Arc::clone(key)),
            TrustedKeys::Remote(keys) => keys.find(kid?),
        }
    }

    /// An issuer elsewhere gives away the roles that it was trusted with, and no other.
    fn roles_of(&self, roles: Option<Vec<String>>) -> Vec<String> {
        let mut roles = roles.unwrap_or_else(|| vec![ROLE_DEFAULT.into()]);
        roles.retain(|role| self.roles.contains(role));
        roles
    }
}

fn check_names(claims: &Claims, ours: bool) -> Result<(), TokenProblem> {
    let is_name =
        |text: &str| (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    let subject =
        if ours { Address::parse_checksummed(&claims.sub, None).is_ok() } else { is_name(&claims.sub) };
    if !subject {
        return Err(TokenProblem::Subject);
    }
    if !is_name(&claims.jti) || !claims.sid.as_deref().map_or(!ours, is_name) {
        return Err(TokenProblem::Ids);
    }
    let roles = claims.roles.as_deref();
    if ours && roles.is_none()
        || roles.is_some_and(|roles| roles.len() > ROLES_MAX || !roles.iter().all(|role| is_name(role)))
    {
        return Err(TokenProblem::Roles);
    }
    Ok(())
}

/// `null` is not the same as nothing: a claim that is there must be what it should be.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn part(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("texts and numbers are JSON"))
}

fn unix_seconds(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms.div_euclid(1_000)).unwrap_or(0)
}

fn unix_ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
