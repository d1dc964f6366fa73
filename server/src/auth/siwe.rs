//! The EIP-4361 message that a wallet signs to sign in, read strictly by the standard's grammar.
//!
//! It says what a message states, not whether it was issued or signed: that is for
//! [`challenge`](super::challenge). What is read is written back byte for byte, so one text is one message.
//! Stricter than the grammar where it leaves room for two spellings or a trick: no user name in the domain
//! (`bank.example@evil.example`), no leading zero in a chain id, at most nine digits of a second.

mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;
use std::iter::Peekable;
use std::str::Split;

use alloy_primitives::Address;

use self::syntax::{is_authority, is_scheme, is_statement, is_timestamp};
pub use self::syntax::{is_request_id, is_uri};
use crate::clock::iso;

/// Longest message that is looked at, in bytes.
pub const MESSAGE_MAX_BYTES: usize = 4_096;
/// Shortest nonce, in characters.
const NONCE_MIN_CHARACTERS: usize = 8;
/// What follows the domain in the first line.
const HEADING: &str = " wants you to sign in with your Ethereum account:";
/// The only version there is.
const VERSION: &str = "1";

/// What an EIP-4361 message states.
///
/// [`parse`](Self::parse) returns valid ones only. One that was put together by hand is valid if its text, from
/// `to_string`, can be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Scheme of the page that asks, for example `https`.
    pub scheme: Option<String>,
    /// Host and port of the page that asks (an RFC 3986 authority).
    pub domain: String,
    /// The wallet that signs.
    pub address: Address,
    /// What a person is told, in the letters, digits and punctuation of a URI, and spaces.
    pub statement: Option<String>,
    /// What the sign-in is for (an RFC 3986 URI).
    pub uri: String,
    /// The chain of the wallet (EIP-155).
    pub chain_id: u64,
    /// Makes the message unique: at least 8 letters and digits.
    pub nonce: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is no longer valid.
    pub expiration_time: Option<Timestamp>,
    /// From when on it is valid.
    pub not_before: Option<Timestamp>,
    /// The page's name for this sign-in.
    pub request_id: Option<String>,
    /// What the wallet agrees to besides, as URIs. The heading may stand there without any.
    pub resources: Option<Vec<String>>,
}

/// A time of RFC 3339, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    text: String,
    unix_ms: i64,
}

/// Why a text is no EIP-4361 message. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than [`MESSAGE_MAX_BYTES`].
    #[error("the message is longer than {MESSAGE_MAX_BYTES} bytes")]
    TooLong,
    /// A part is not where the grammar has it.
    #[error("the message has no {0} where it belongs")]
    Missing(&'static str),
    /// A part is there, but not of its form.
    #[error("the message's {0} is not valid")]
    Invalid(&'static str),
    /// More lines than the grammar has.
    #[error("the message goes on after its last line")]
    Trailing,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`] when the text is anything but exactly one message.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > MESSAGE_MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        let mut lines = Lines(text.split('\n').peekable());
        let (scheme, domain) = heading(lines.line("domain")?)?;
        let address = Address::parse_checksummed(lines.line("address")?, None)
            .map_err(|_| Malformed::Invalid("address"))?;
        lines.blank()?;
        let statement = lines.statement()?;
        let message = Self {
            scheme,
            domain,
            address,
            statement,
            uri: lines.field("URI", is_uri)?,
            chain_id: lines.version_and_chain_id()?,
            nonce: lines.field("Nonce", is_nonce)?,
            issued_at: Timestamp::read("Issued At", lines.after("Issued At")?)?,
            expiration_time: lines.optional_timestamp("Expiration Time")?,
            not_before: lines.optional_timestamp("Not Before")?,
            request_id: lines.optional("Request ID", is_request_id)?,
            resources: lines.resources()?,
        };
        match lines.0.next() {
            None => Ok(message),
            Some(_) => Err(Malformed::Trailing),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{}{HEADING}\n{}\n\n", self.domain, self.address.to_checksum(None))?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        write!(
            f,
            "\nURI: {}\nVersion: {VERSION}\nChain ID: {}\nNonce: {}",
            self.uri, self.chain_id, self.nonce
        )?;
        write!(f, "\nIssued At: {}", self.issued_at)?;
        if let Some(time) = &self.expiration_time {
            write!(f, "\nExpiration Time: {time}")?;
        }
        if let Some(time) = &self.not_before {
            write!(f, "\nNot Before: {time}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\nRequest ID: {id}")?;
        }
        let Some(resources) = &self.resources else { return Ok(()) };
        f.write_str("\nResources:")?;
        resources.iter().try_for_each(|resource| write!(f, "\n- {resource}"))
    }
}

impl Timestamp {
    /// This time, in UTC.
    #[must_use]
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        Self { text: iso(unix_ms), unix_ms }
    }

    /// Reads a `date-time` of RFC 3339; `None` when it is none, or not a date.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = Some(text).filter(|text| is_timestamp(text))?.parse().ok()?;
        Some(Self { text: text.to_owned(), unix_ms: time.as_millisecond() })
    }

    /// In Unix milliseconds; finer parts are cut off.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        self.unix_ms
    }

    fn read(part: &'static str, text: &str) -> Result<Self, Malformed> {
        Self::parse(text).ok_or(Malformed::Invalid(part))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The lines that have not been read yet.
struct Lines<'a>(Peekable<Split<'a, char>>);

impl<'a> Lines<'a> {
    fn line(&mut self, part: &'static str) -> Result<&'a str, Malformed> {
        self.0.next().ok_or(Malformed::Missing(part))
    }

    fn blank(&mut self) -> Result<(), Malformed> {
        match self.0.next() {
            Some("") => Ok(()),
            _ => Err(Malformed::Missing("empty line")),
        }
    }

    /// Without a statement, two empty lines follow each other.
    fn statement(&mut self) -> Result<Option<String>, Malformed> {
        match self.line("statement")? {
            "" => Ok(None),
            text if is_statement(text) => {
                self.blank()?;
                Ok(Some(text.to_owned()))
            }
            _ => Err(Malformed::Invalid("statement")),
        }
    }

    /// What follows `label: ` in a line that has to be there.
    fn after(&mut self, label: &'static str) -> Result<&'a str, Malformed> {
        self.try_after(label).ok_or(Malformed::Missing(label))
    }

    fn try_after(&mut self, label: &'static str) -> Option<&'a str> {
        let value = self.0.peek()?.strip_prefix(label)?.strip_prefix(": ")?;
        self.0.next();
        Some(value)
    }

    fn field(&mut self, label: &'static str, valid: fn(&str) -> bool) -> Result<String, Malformed> {
        let value = self.after(label)?;
        if valid(value) { Ok(value.to_owned()) } else { Err(Malformed::Invalid(label)) }
    }

    fn optional(
        &mut self,
        label: &'static str,
        valid: fn(&str) -> bool,
    ) -> Result<Option<String>, Malformed> {
        match self.try_after(label) {
            None => Ok(None),
            Some(value) if valid(value) => Ok(Some(value.to_owned())),
            Some(_) => Err(Malformed::Invalid(label)),
        }
    }

    fn optional_timestamp(&mut self, label: &'static str) -> Result<Option<Timestamp>, Malformed> {
        self.try_after(label).map(|text| Timestamp::read(label, text)).transpose()
    }

    fn version_and_chain_id(&mut self) -> Result<u64, Malformed> {
        self.field("Version", |version| version == VERSION)?;
        let digits = self.field("Chain ID", is_number)?;
        digits.parse().map_err(|_| Malformed::Invalid("Chain ID"))
    }

    fn resources(&mut self) -> Result<Option<Vec<String>>, Malformed> {
        if self.0.next_if_eq(&"Resources:").is_none() {
            return Ok(None);
        }
        let mut resources = Vec::new();
        while let Some(resource) = self.0.peek().and_then(|line| line.strip_prefix("- ")) {
            if !is_uri(resource) {
                return Err(Malformed::Invalid("Resources"));
            }
            resources.push(resource.to_owned());
            self.0.next();
        }
        Ok(Some(resources))
    }
}

/// Scheme and domain out of the first line.
fn heading(line: &str) -> Result<(Option<String>, String), Malformed> {
    let origin = line.strip_suffix(HEADING).ok_or(Malformed::Missing("heading"))?;
    let (scheme, domain) = match origin.split_once("://") {
        Some((scheme, _)) if !is_scheme(scheme) => return Err(Malformed::Invalid("scheme")),
        Some((scheme, domain)) => (Some(scheme.to_owned()), domain),
        None => (None, origin),
    };
    if domain.is_empty() || domain.contains('@') || !is_authority(domain) {
        return Err(Malformed::Invalid("domain"));
    }
    Ok((scheme, domain.to_owned()))
}

fn is_nonce(text: &str) -> bool {
    text.len() >= NONCE_MIN_CHARACTERS && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}
