//! Keys of tokens: read, generated, and each bound to one algorithm, so that a token cannot choose another.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::{sign, verify};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::der::asn1::OctetStringRef;
use p256::pkcs8::der::{Decode, Document, Encode, SecretDocument};
use p256::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding, ObjectIdentifier, PrivateKeyInfo};
use zeroize::Zeroizing;

use crate::config::Secret;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ELLIPTIC_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Shortest and longest modulus that RS256 is accepted with, in bytes: 2048 to 8192 bits.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// Longest `kid`, in bytes.
const KID_MAX_BYTES: usize = 128;

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM of the right kind.
    #[error("it holds no `{0}` in PEM")]
    NotPem(&'static str),
    /// A kind of key that is not supported.
    #[error("it is no {0} key")]
    Unsupported(&'static str),
    /// The numbers in it are no key.
    #[error("its key is damaged or too weak")]
    Damaged,
    /// A `kid` that is empty or too long.
    #[error("its kid must be 1 to {KID_MAX_BYTES} letters, digits, `-`, `_` or `.`")]
    Kid,
}

/// Kinds of keys that [`SigningKey::generate`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyKind {
    /// Ed25519.
    #[value(name = "EdDSA", alias = "eddsa", alias = "ed25519")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[value(name = "ES256", alias = "es256")]
    Es256,
}

/// Makes signatures with one algorithm. Its bytes are wiped when it is dropped.
pub struct SigningKey {
    kid: Option<String>,
    signer: Signer,
    verifying: VerifyingKey,
}

enum Signer {
    /// HS256 and EdDSA.
    Library(EncodingKey),
    Es256(Box<p256::ecdsa::SigningKey>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.verifying.algorithm)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// HS256 with this secret. It has no `kid`.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        Self {
            kid: None,
            signer: Signer::Library(EncodingKey::from_secret(secret.expose())),
            verifying: VerifyingKey {
                algorithm: Algorithm::HS256,
                key: DecodingKey::from_secret(secret.expose()),
            },
        }
    }

    /// An Ed25519 or P-256 key in PKCS#8 PEM. Without `kid` it is named by its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// What is wrong with the text, never a part of it.
    pub fn from_pem(pem: &str, kid: Option<&str>) -> Result<Self, KeyError> {
        const LABEL: &str = "PRIVATE KEY";
        let (label, document) = SecretDocument::from_pem(pem.trim()).map_err(|_| KeyError::NotPem(LABEL))?;
        if label != LABEL {
            return Err(KeyError::NotPem(LABEL));
        }
        let info: PrivateKeyInfo<'_> = document.decode_msg().map_err(|_| KeyError::Damaged)?;
        let (signer, verifying) = match info.algorithm.oid {
            ED25519 => ed25519(info.private_key)?,
            ELLIPTIC_CURVE if info.algorithm.parameters_oid() == Ok(P_256) => {
                let secret =
                    p256::SecretKey::from_pkcs8_der(document.as_bytes()).map_err(|_| KeyError::Damaged)?;
                es256(&secret)
            }
            _ => return Err(KeyError::Unsupported("Ed25519 or P-256")),
        };
        let kid = match kid {
            Some(kid) if !is_kid(kid) => return Err(KeyError::Kid),
            Some(kid) => kid.to_owned(),
            None => verifying.thumbprint(),
        };
        Ok(Self { kid: Some(kid), signer, verifying })
    }

    /// A new key, as PKCS#8 PEM.
    ///
    /// # Panics
    /// When the operating system gives no random bytes.
    #[must_use]
    pub fn generate(kind: KeyKind) -> Zeroizing<String> {
        match kind {
            KeyKind::EdDsa => {
                let document = ed25519_document(&*random());
                document.to_pem("PRIVATE KEY", LineEnding::LF).expect("a label of letters")
            }
            // One in 2^32 drawings is no number below the order of the curve.
            KeyKind::Es256 => loop {
                if let Ok(secret) = p256::SecretKey::from_slice(&*random()) {
                    return secret.to_pkcs8_pem(LineEnding::LF).expect("a key has an encoding");
                }
            },
        }
    }

    /// Its name in the header of tokens.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The half that checks signatures.
    #[must_use]
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The signature of `message` in base64url. The same message gets the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        match &self.signer {
            Signer::Library(key) => {
                sign(message, key, self.verifying.algorithm).expect("the key was used before")
            }
            Signer::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                URL_SAFE_NO_PAD.encode(signature.to_bytes())
            }
        }
    }
}

/// Checks signatures of one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// The public key in a PEM file: Ed25519 (EdDSA), P-256 (ES256) or RSA of at least 2048 bits (RS256).
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const LABEL: &str = "PUBLIC KEY";
        let (label, document) = Document::from_pem(pem.trim()).map_err(|_| KeyError::NotPem(LABEL))?;
        if label != LABEL {
            return Err(KeyError::NotPem(LABEL));
        }
        let info: SubjectPublicKeyInfoRef<'_> = document.decode_msg().map_err(|_| KeyError::Damaged)?;
        let key = info.subject_public_key.as_bytes().ok_or(KeyError::Damaged)?;
        match info.algorithm.oid {
            ED25519 => Self::from_ed25519(key),
            ELLIPTIC_CURVE if info.algorithm.parameters_oid() == Ok(P_256) => Self::from_p256_point(key),
            RSA => {
                let jwk = Jwk::from_decoding_key(&DecodingKey::from_rsa_der(key), None);
                match jwk.map(|jwk| jwk.algorithm) {
                    Ok(jsonwebtoken::jwk::AlgorithmParameters::RSA(rsa)) => {
                        Self::from_rsa_text(&rsa.n, &rsa.e)
                    }
                    _ => Err(KeyError::Damaged),
                }
            }
            _ => Err(KeyError::Unsupported("Ed25519, P-256 or RSA")),
        }
    }

    /// An Ed25519 public key of 32 bytes.
    pub(super) fn from_ed25519(key: &[u8]) -> Result<Self, KeyError> {
        if key.len() != 32 {
            return Err(KeyError::Damaged);
        }
        Ok(Self { algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(key) })
    }

    /// A point of P-256, uncompressed.
    pub(super) fn from_p256_point(point: &[u8]) -> Result<Self, KeyError> {
        let on_curve = point.len() == 65 && p256::PublicKey::from_sec1_bytes(point).is_ok();
        if !on_curve {
            return Err(KeyError::Damaged);
        }
        Ok(Self { algorithm: Algorithm::ES256, key: DecodingKey::from_ec_der(point) })
    }

    /// Modulus and exponent of an RSA key, in base64url.
    pub(super) fn from_rsa_text(modulus: &str, exponent: &str) -> Result<Self, KeyError> {
        let (n, e) = (decode(modulus)?, decode(exponent)?);
        let zeros = n.iter().take_while(|byte| **byte == 0).count();
        // The first byte of 2048 bits has its highest bit set.
        let full = n.get(zeros).is_some_and(|first| *first >= 0x80 || n.len() - zeros > 256);
        if !full || !RSA_MODULUS_BYTES.contains(&(n.len() - zeros)) || matches!(*e, [] | [0 | 1]) {
            return Err(KeyError::Damaged);
        }
        Ok(Self { algorithm: Algorithm::RS256, key: DecodingKey::from_rsa_raw_components(&n[zeros..], &e) })
    }

    /// The only algorithm that it is used with, as tokens name it.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::HS256 => "HS256",
            Algorithm::EdDSA => "EdDSA",
            Algorithm::ES256 => "ES256",
            _ => "RS256",
        }
    }

    /// Whether `signature` (base64url) is one of `message`. Takes the same time for every wrong HS256 signature.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        verify(signature, message, &self.key, self.algorithm).unwrap_or(false)
    }

    /// The public key as a JWK with `kid`, to be published. None for a secret.
    #[must_use]
    pub fn public_jwk(&self, kid: &str) -> Option<serde_json::Value> {
        let mut jwk = self.jwk()?;
        jwk.common.key_id = Some(kid.to_owned());
        jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        serde_json::to_value(jwk).ok()
    }

    fn jwk(&self) -> Option<Jwk> {
        (self.algorithm != Algorithm::HS256)
            .then(|| Jwk::from_decoding_key(&self.key, Some(self.algorithm)).expect("the key was checked"))
    }

    fn thumbprint(&self) -> String {
        let jwk = self.jwk().expect("only public keys are asked for it");
        jwk.thumbprint(ThumbprintHash::SHA256).expect("the kinds of keys that have one")
    }
}

/// Whether a text may name a key.
pub(super) fn is_kid(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=KID_MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// Base64url without padding, in its one canonical form.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Damaged)
}

/// PKCS#8 wraps the 32 bytes of an Ed25519 key in one more octet string.
fn ed25519(private_key: &[u8]) -> Result<(Signer, VerifyingKey), KeyError> {
    let seed = OctetStringRef::from_der(private_key).map_err(|_| KeyError::Damaged)?;
    if seed.as_bytes().len() != 32 {
        return Err(KeyError::Damaged);
    }
    let key = EncodingKey::from_ed_der(ed25519_document(seed.as_bytes()).as_bytes());
    let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(|_| KeyError::Damaged)?;
    match jwk.algorithm {
        jsonwebtoken::jwk::AlgorithmParameters::OctetKeyPair(pair) => {
            Ok((Signer::Library(key), VerifyingKey::from_ed25519(&decode(&pair.x)?)?))
        }
        _ => Err(KeyError::Damaged),
    }
}

fn ed25519_document(seed: &[u8]) -> SecretDocument {
    let wrapped = OctetStringRef::new(seed).and_then(|seed| seed.to_der()).expect("32 bytes have a length");
    let wrapped = Zeroizing::new(wrapped);
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    SecretDocument::encode_msg(&PrivateKeyInfo::new(algorithm, &wrapped)).expect("a short document")
}

fn es256(secret: &p256::SecretKey) -> (Signer, VerifyingKey) {
    let key = p256::ecdsa::SigningKey::from(secret);
    let point = key.verifying_key().to_encoded_point(false);
    let verifying = VerifyingKey::from_p256_point(point.as_bytes()).expect("a key's own point");
    (Signer::Es256(Box::new(key)), verifying)
}

fn random() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_signs_the_same_message_the_same_way_and_checks_it() {
        for (kind, algorithm) in [(KeyKind::EdDsa, "EdDSA"), (KeyKind::Es256, "ES256")] {
            let pem = SigningKey::generate(kind);
            let key = SigningKey::from_pem(&pem, None).unwrap();
            assert_eq!(key.verifying().algorithm(), algorithm);
            assert_eq!(key.kid().unwrap().len(), 43, "a SHA-256 thumbprint");
            let signature = key.sign(b"message");
            assert_eq!(signature, key.sign(b"message"));
            assert!(key.verifying().verify(b"message", &signature));
            assert!(!key.verifying().verify(b"massage", &signature));
            let other = SigningKey::from_pem(&SigningKey::generate(kind), None).unwrap();
            assert!(!other.verifying().verify(b"message", &signature));
            assert!(!format!("{key:?}").contains(&pem[30..60]));
        }
    }

    #[test]
    fn a_damaged_or_foreign_key_is_refused_with_its_reason() {
        let pem = SigningKey::generate(KeyKind::EdDsa);
        assert_eq!(SigningKey::from_pem("", None).unwrap_err(), KeyError::NotPem("PRIVATE KEY"));
        let public = pem.replace("PRIVATE", "PUBLIC");
        assert_eq!(SigningKey::from_pem(&public, None).unwrap_err(), KeyError::NotPem("PRIVATE KEY"));
        assert_eq!(VerifyingKey::from_pem(&pem).unwrap_err(), KeyError::NotPem("PUBLIC KEY"));
        for kid in ["", "../../dev/null", "a b", "' OR 1=1 --"] {
            assert_eq!(SigningKey::from_pem(&pem, Some(kid)).unwrap_err(), KeyError::Kid);
        }
        assert!(VerifyingKey::from_p256_point(&[4; 65]).is_err(), "not on the curve");
        assert!(VerifyingKey::from_ed25519(&[1; 31]).is_err());
        let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
        assert!(VerifyingKey::from_rsa_text(&short, "AQAB").is_err(), "1024 bits");
    }
}
