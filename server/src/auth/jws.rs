//! The outside of a token: three parts of base64url, two of them JSON objects. Nothing here is trusted yet.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::problem::TokenProblem;

/// A longer text is not looked at.
const TOKEN_MAX_BYTES: usize = 4_096;
/// Header fields that let a token bring its own key, hide its content or change what is signed.
const REFUSED_FIELDS: [&str; 8] = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// A token that was taken apart, not verified.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    /// Header and claims as they were signed.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Jws<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, TokenProblem> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenProblem::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenProblem::Parts)?;
        let (header, claims) = message.split_once('.').ok_or(TokenProblem::Parts)?;
        if claims.contains('.') {
            return Err(TokenProblem::Parts);
        }
        Ok(Self { header: object(header)?, claims: object(claims)?, message, signature })
    }

    /// A header field that makes the token unacceptable, whoever signed it.
    pub(super) fn refused_field(&self) -> Option<&'static str> {
        REFUSED_FIELDS.into_iter().find(|name| self.header.contains_key(*name))
    }
}

/// The decoder takes neither padding, nor the standard alphabet, nor spaces, nor stray bits at the end.
fn object(part: &str) -> Result<Map<String, Value>, TokenProblem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenProblem::Base64)?;
    serde_json::from_slice::<Object>(&bytes).map(|object| object.0).map_err(|_| TokenProblem::Json)
}

/// A JSON object that names every field once. Readers differ in which of two equal fields they believe.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field is named twice"));
                    }
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
