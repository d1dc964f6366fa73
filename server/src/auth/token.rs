//! Access tokens: JWTs signed with HS256. Strict on purpose: the library's defaults accept tokens without
//! `aud` or `iss`, of any `typ`, of any length, and with any lifetime.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::config::Secret;

/// `typ` of an access token (RFC 9068), so that no other kind of token passes for one.
const TOKEN_TYPE: &str = "at+jwt";
/// A longer text is not looked at.
const TOKEN_MAX_BYTES: usize = 4_096;
/// Clocks of issuer and verifier may differ by this much, in seconds.
pub const LEEWAY_SECONDS: u32 = 5;

/// Makes and checks access tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    issuer: String,
    audience: String,
    lifetime_seconds: i64,
}

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    jti: String,
    sid: String,
    roles: Vec<String>,
}

/// Why a token was refused. Callers tell the peer only which of the two it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Its time has passed.
    #[error("the token has expired")]
    Expired,
    /// Anything else.
    #[error("the token is not valid")]
    Invalid,
}

/// A token that was just made.
#[derive(Debug)]
pub struct Minted {
    /// The JWT.
    pub token: String,
    /// When it expires, in Unix milliseconds.
    pub expires_at_ms: i64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens signed with `secret`, for `audience`, lasting `minutes`.
    #[must_use]
    pub fn new(secret: &Secret, issuer: &str, audience: &str, minutes: u32) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are compared in `check_times`, where the clock is an argument.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            encoding: EncodingKey::from_secret(secret.expose()),
            decoding: DecodingKey::from_secret(secret.expose()),
            validation,
            issuer: issuer.into(),
            audience: audience.into(),
            lifetime_seconds: i64::from(minutes) * 60,
        }
    }

    /// A token for the wallet `subject` (EIP-55).
    #[must_use]
    pub fn mint(&self, subject: &str, roles: &[&str], now_ms: i64) -> Minted {
        let iat = now_ms.div_euclid(1_000);
        let exp = iat + self.lifetime_seconds;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: subject.into(),
            iat,
            exp,
            nbf: None,
            jti: uuid::Uuid::now_v7().to_string(),
            sid: uuid::Uuid::now_v7().to_string(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        let header = Header { typ: Some(TOKEN_TYPE.into()), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims, &self.encoding).expect("HS256 signs any claims");
        Minted { token, expires_at_ms: exp * 1_000 }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`TokenRefused`] when it is not one of ours, not yet valid, or too old.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Identity, TokenRefused> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenRefused::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenRefused::Invalid)?;
        if header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(TokenRefused::Invalid);
        }
        let claims = decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| TokenRefused::Invalid)?
            .claims;
        self.check_times(&claims, now_ms)?;
        Ok(Identity {
            user_id: claims.sub.into(),
            roles: claims.roles,
            family: claims.sid.into(),
            expires_at_ms: claims.exp.saturating_mul(1_000),
        })
    }

    fn check_times(&self, claims: &Claims, now_ms: i64) -> Result<(), TokenRefused> {
        let (now, leeway) = (now_ms.div_euclid(1_000), i64::from(LEEWAY_SECONDS));
        let issued_later = claims.iat > now + leeway;
        let not_yet = claims.nbf.is_some_and(|nbf| nbf > now + leeway);
        let lifetime = claims.exp.saturating_sub(claims.iat);
        if issued_later || not_yet || !(1..=self.lifetime_seconds).contains(&lifetime) {
            return Err(TokenRefused::Invalid);
        }
        if claims.exp + leeway <= now {
            return Err(TokenRefused::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_762_252_200_000;
    const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&Secret::new(secret.into()), "tidegate", "tidegate", 15)
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_names_its_wallet_until_it_expires() {
        let tokens = tokens(SECRET);
        let minted = tokens.mint(WALLET, &["user"], NOW_MS);
        let identity = tokens.verify(&minted.token, NOW_MS).unwrap();
        assert_eq!(&*identity.user_id, WALLET);
        assert_eq!(identity.expires_at_ms, NOW_MS + 900_000);
        assert!(tokens.verify(&minted.token, NOW_MS + 904_000).is_ok(), "within the leeway");
        assert_eq!(tokens.verify(&minted.token, NOW_MS + 905_000), Err(TokenRefused::Expired));
        assert_eq!(tokens.verify(&minted.token, NOW_MS - 6_000), Err(TokenRefused::Invalid), "issued later");
    }

    #[test]
    fn a_token_of_another_secret_issuer_audience_type_or_lifetime_is_refused() {
        let ours = tokens(SECRET);
        let secret = Secret::new(SECRET.into());
        let others = [
            tokens("another-secret-of-at-least-32-bytes").mint(WALLET, &[], NOW_MS).token,
            Tokens::new(&secret, "elsewhere", "tidegate", 15).mint(WALLET, &[], NOW_MS).token,
            Tokens::new(&secret, "tidegate", "elsewhere", 15).mint(WALLET, &[], NOW_MS).token,
            Tokens::new(&secret, "tidegate", "tidegate", 60).mint(WALLET, &[], NOW_MS).token,
            String::new(),
            "a.b.c".into(),
            "x".repeat(70_000),
        ];
        for token in others {
            assert_eq!(ours.verify(&token, NOW_MS), Err(TokenRefused::Invalid));
        }
    }

    #[test]
    fn a_token_that_lacks_a_claim_is_refused() {
        let ours = tokens(SECRET);
        let full = serde_json::json!({
            "iss": "tidegate", "aud": "tidegate", "sub": WALLET, "iat": NOW_MS / 1_000,
            "exp": NOW_MS / 1_000 + 60, "jti": "1", "sid": "1", "roles": ["user"],
        });
        let sign = |claims: &serde_json::Value, typ: Option<&str>| {
            let header = Header { typ: typ.map(Into::into), ..Header::new(Algorithm::HS256) };
            encode(&header, claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
        };
        assert!(ours.verify(&sign(&full, Some("at+jwt")), NOW_MS).is_ok());
        assert!(ours.verify(&sign(&full, Some("JWT")), NOW_MS).is_err());
        assert!(ours.verify(&sign(&full, None), NOW_MS).is_err());
        for claim in ["iss", "aud", "sub", "iat", "exp", "jti"] {
            let mut partial = full.clone();
            partial.as_object_mut().unwrap().remove(claim);
            assert!(ours.verify(&sign(&partial, Some("at+jwt")), NOW_MS).is_err(), "without {claim}");
        }
    }
}
