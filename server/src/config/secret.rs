//! Secrets and key files of the configuration: read, judged, and never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::AuthConfig;
use crate::auth::keys::{KeyError, SigningKey, VerifyingKey};
use crate::failure::Failure;

/// Shortest secret that HS256 is safe with, in bytes.
const SECRET_MIN_BYTES: usize = 32;
/// A random secret has more different characters, also one of digits only.
const DIFFERENT_BYTES_MIN: usize = 6;
/// How examples and habits begin, without case and punctuation.
const DEFAULTS: [&str; 15] = [
    "changeme",
    "changethis",
    "default",
    "example",
    "insertsecret",
    "jwtsecret",
    "keyboardcat",
    "mysecret",
    "password",
    "qwerty",
    "replaceme",
    "replacethis",
    "secret",
    "supersecret",
    "your",
];
/// Most keys that sign or verify our own tokens: the one in use, the next, and some patience.
const SIGNING_KEYS_MAX: usize = 8;
/// Largest key file, in bytes.
const KEY_FILE_MAX_BYTES: u64 = 64 << 10;
const GENERATE_SECRET: &str = "tidegate config init      (writes a file with a generated secret)";

/// A text that no log, error or `config show` prints, and that is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// A secret of 256 random bits, as hexadecimal digits.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).expect("the operating system gives random bytes");
        Self(alloy_primitives::hex::encode(*bytes))
    }

    /// The bytes, for the code that signs with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why it should not protect anything, if there is a reason. An empty one protects nothing and is not judged.
    pub(super) fn weakness(&self) -> Option<String> {
        let text = self.0.as_str();
        if text.is_empty() {
            return None;
        }
        if text.len() < SECRET_MIN_BYTES {
            return Some(format!("is {} bytes, at least {SECRET_MIN_BYTES} are required", text.len()));
        }
        let mut seen = [false; 256];
        text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
        if seen.iter().filter(|seen| **seen).count() < DIFFERENT_BYTES_MIN {
            return Some("repeats the same few characters".into());
        }
        let letters: Zeroizing<String> = Zeroizing::new(
            text.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|letter| letter.to_ascii_lowercase())
                .collect(),
        );
        let known = DEFAULTS.iter().any(|default| letters.starts_with(default));
        known.then(|| "begins like a well-known default".into())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(hidden)" })
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "(hidden)" })
    }
}

/// A key that signs access tokens, or did until another took over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyFile {
    /// PKCS#8 PEM of an Ed25519 or P-256 key, as `tidegate keys generate` writes it.
    pub file: PathBuf,
    /// Its name in tokens; left out: the key's thumbprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// Somebody else whose access tokens are accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The `aud` of its tokens for this gateway.
    pub audience: String,
    /// Where it publishes its keys; `https`, or `http` on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Its public key in PEM, instead: Ed25519, P-256 or RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_file: Option<PathBuf>,
    /// The roles that its tokens may give; others in them are ignored.
    #[serde(default = "user")]
    pub roles: Vec<String>,
}

fn user() -> Vec<String> {
    vec!["user".into()]
}

impl TrustedIssuer {
    /// The key in `public_key_file`.
    pub(crate) fn read_public_key(&self, file: &Path) -> Result<VerifyingKey, Failure> {
        VerifyingKey::from_pem(&read_key_file(file)?).map_err(|error| bad_key(file, error))
    }
}

impl AuthConfig {
    /// Whether there is a key of our own to sign with.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        !self.jwt_secret.is_empty() || !self.signing_keys.is_empty()
    }

    /// The keys in `signing_keys`, in their order.
    pub(crate) fn read_signing_keys(&self) -> Result<Vec<SigningKey>, Failure> {
        let mut keys: Vec<SigningKey> = Vec::with_capacity(self.signing_keys.len());
        for SigningKeyFile { file, kid } in &self.signing_keys {
            let pem = read_key_file(file)?;
            let key = SigningKey::from_pem(&pem, kid.as_deref()).map_err(|error| bad_key(file, error))?;
            let same = |other: &SigningKey| {
                other.kid() == key.kid() || other.verifying().public_jwk("") == key.verifying().public_jwk("")
            };
            if keys.iter().any(same) {
                return Err(Failure::configuration(
                    "TG-CFG-020",
                    "auth.signing_keys holds the same key or the same kid twice",
                    "tidegate keys generate --out FILE      (writes another key)",
                )
                .at(file.display().to_string()));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// Reads what is given as a file.
    pub(super) fn read_secret_files(&mut self) -> Result<(), Failure> {
        let Self { jwt_secret, jwt_secret_file, previous_jwt_secret, previous_jwt_secret_file, .. } = self;
        read_secret_file("auth.jwt_secret", jwt_secret, jwt_secret_file.as_deref())?;
        read_secret_file("auth.previous_jwt_secret", previous_jwt_secret, previous_jwt_secret_file.as_deref())
    }

    /// Checks every secret by itself and against the others.
    pub(super) fn check_secrets(&self) -> Result<(), Failure> {
        let secrets = [("jwt", &self.jwt_secret), ("previous jwt", &self.previous_jwt_secret)];
        for (name, secret) in secrets {
            if let Some(weakness) = secret.weakness() {
                let setting = format!("{}_secret", name.replace(' ', "_"));
                return Err(Failure::configuration(
                    "TG-CFG-002",
                    format!("{name} secret {weakness}"),
                    GENERATE_SECRET,
                )
                .at(format!(
                    "auth.{setting}, or TIDEGATE_AUTH__{} (environment)",
                    setting.to_ascii_uppercase()
                )));
            }
        }
        if !self.jwt_secret.is_empty() && self.jwt_secret == self.previous_jwt_secret {
            return Err(Failure::configuration(
                "TG-CFG-002",
                "auth.jwt_secret and auth.previous_jwt_secret are equal",
                "remove previous_jwt_secret, or generate a new jwt_secret",
            ));
        }
        if !self.previous_jwt_secret.is_empty() && !self.can_sign() {
            return Err(Failure::configuration(
                "TG-CFG-002",
                "auth.previous_jwt_secret without a secret or key that signs",
                "set auth.jwt_secret or auth.signing_keys",
            ));
        }
        Ok(())
    }

    /// Checks issuers, and that every key file can be used.
    pub(super) fn check_keys(&self) -> Result<(), Failure> {
        let wrong = |what: String, fix: &str| Err(Failure::configuration("TG-CFG-021", what, fix));
        if self.signing_keys.len() > SIGNING_KEYS_MAX {
            return wrong(
                format!("auth.signing_keys holds {} keys", self.signing_keys.len()),
                "keep the key that signs and the one before it",
            );
        }
        for (index, trusted) in self.trusted_issuers.iter().enumerate() {
            let TrustedIssuer { issuer, audience, .. } = trusted;
            if issuer.is_empty() || audience.is_empty() {
                return wrong(
                    format!("auth.trusted_issuers: entry {} has no issuer or no audience", index + 1),
                    "set both to what its tokens have in `iss` and `aud`",
                );
            }
            let twice = self.trusted_issuers[..index].iter().any(|other| other.issuer == *issuer);
            if twice || *issuer == self.issuer {
                return wrong(
                    format!("auth.trusted_issuers: `{issuer}` is named twice, or is auth.issuer itself"),
                    "give every issuer a name of its own",
                );
            }
        }
        // The same reading as at the start.
        if self.can_sign() {
            crate::auth::token::Tokens::open(self)?;
        }
        Ok(())
    }
}

pub(super) fn read_secret_file(name: &str, secret: &mut Secret, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else { return Ok(()) };
    if !secret.is_empty() {
        return Err(Failure::configuration(
            "TG-CFG-006",
            format!("both {name} and {name}_file are set"),
            "keep one of them",
        ));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| {
        Failure::configuration(
            "TG-CFG-006",
            format!("cannot read the secret file: {error}"),
            "check the path and its permissions",
        )
        .at(path.display().to_string())
    })?);
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::configuration(
            "TG-CFG-006",
            "the secret file is empty",
            format!("write a secret of at least {SECRET_MIN_BYTES} bytes into it"),
        )
        .at(path.display().to_string()));
    }
    *secret = Secret::new(text.to_owned());
    Ok(())
}

fn read_key_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = || {
        if std::fs::metadata(path)?.len() > KEY_FILE_MAX_BYTES {
            return Err(std::io::Error::other("it is too large for a key"));
        }
        std::fs::read_to_string(path)
    };
    read().map(Zeroizing::new).map_err(|error| {
        Failure::configuration(
            "TG-CFG-020",
            format!("cannot read the key file: {error}"),
            "check the path and its permissions",
        )
        .at(path.display().to_string())
    })
}

fn bad_key(path: &Path, error: KeyError) -> Failure {
    Failure::configuration(
        "TG-CFG-020",
        format!("the key file cannot be used: {error}"),
        "tidegate keys generate --out FILE      (writes a new key)",
    )
    .at(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t28_a_weak_secret_is_named_as_such() {
        for (text, weakness) in [
            ("too short", Some("is 9 bytes")),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Some("same few")),
            ("abababababababababababababababababababab", Some("same few")),
            ("changeme-changeme-changeme-changeme", Some("default")),
            ("CHANGE_ME_before_you_go_to_production_1", Some("default")),
            ("secret-secret-of-the-whole-department", Some("default")),
            ("your-256-bit-secret-goes-here-please", Some("default")),
            ("0123456789abcdef0123456789abcdef", None),
            ("", None),
        ] {
            let found = Secret::new(text.into()).weakness();
            assert_eq!(found.is_some(), weakness.is_some(), "{text}: {found:?}");
            assert!(found.is_none_or(|found| found.contains(weakness.unwrap())), "{text}");
        }
        assert_eq!(Secret::random().weakness(), None);
    }

    #[test]
    fn t28_equal_secrets_and_a_lonely_previous_one_are_refused() {
        let secret = || Secret::new("0123456789abcdef0123456789abcdef".into());
        let mut auth =
            AuthConfig { jwt_secret: secret(), previous_jwt_secret: secret(), ..Default::default() };
        assert!(auth.check_secrets().unwrap_err().what.contains("are equal"));
        auth.jwt_secret = Secret::default();
        assert!(auth.check_secrets().unwrap_err().what.contains("without a secret"));
        auth.jwt_secret = Secret::random();
        assert!(auth.check_secrets().is_ok());
    }

    #[test]
    fn an_issuer_that_cannot_be_trusted_is_named() {
        let trusted = |issuer: &str, jwks_url: Option<&str>| TrustedIssuer {
            issuer: issuer.into(),
            audience: "tidegate".into(),
            jwks_url: jwks_url.map(Into::into),
            public_key_file: None,
            roles: user(),
        };
        let check = |trusted_issuers: Vec<TrustedIssuer>| {
            let auth = AuthConfig { jwt_secret: Secret::random(), trusted_issuers, ..AuthConfig::default() };
            auth.check_keys().map_err(|failure| failure.what)
        };
        let url = Some("http://127.0.0.1:1/keys");
        assert_eq!(check(vec![trusted("a", url), trusted("b", url)]), Ok(()));
        assert!(check(vec![trusted("a", url), trusted("a", url)]).unwrap_err().contains("twice"));
        assert!(check(vec![trusted("tidegate", url)]).unwrap_err().contains("auth.issuer itself"));
        assert!(check(vec![trusted("", url)]).unwrap_err().contains("no issuer"));
        assert!(check(vec![trusted("a", None)]).unwrap_err().contains("either jwks_url or public_key_file"));
        assert!(check(vec![trusted("a", Some("http://login.example/"))]).unwrap_err().contains("https"));
    }
}
