//! Lines and how each is bound to the one before. No files, no clock.
//!
//! A line is a JSON object in ASCII; its last two fields are `prev`, the `hash` of the line before (64 zeros in the
//! first line), and `hash`: SHA-256, in hexadecimal digits, over the bytes of the line without `,"hash":"…"`.
//! `seq` counts lines from 1.

use std::io::{self, BufRead};

use alloy_primitives::hex;
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;
use sha2::{Digest, Sha256};

use super::summary::Told;
use super::{EventKind, Level, Outcome};
use crate::clock::iso;

/// `,"hash":"` and 64 digits and `"}`.
const HASH_FIELD: &str = ",\"hash\":\"";
const TAIL_BYTES: usize = HASH_FIELD.len() + 64 + 2;
/// The longest line that can be one of ours, in bytes: 800 characters of at most 12 bytes, and the rest.
pub(super) const LINE_MAX_BYTES: usize = 16 * 1_024;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When it happened, ISO 8601 in UTC.
    pub time: String,
    /// Its number, from 1.
    pub seq: u64,
    /// What happened.
    pub event: EventKind,
    /// How much attention it deserves.
    pub level: Level,
    /// Whether it was allowed.
    pub outcome: Outcome,
    /// Whose it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where from: an address, or a /64 of IPv6 that events were summarised for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// With which program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many events this line stands for, if not for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
    /// The hash of the line before.
    pub prev: String,
    /// The hash of this line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// Where the next line goes: after how many lines, and after which hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    hash: String,
}

/// Why a line does not follow from the one before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLink {
    /// It is not one of ours.
    #[error("it is not a line of an audit log")]
    Malformed,
    /// Its hash is not that of its text.
    #[error("it was changed: its hash is not that of its text")]
    Changed,
    /// It names another line as the one before it.
    #[error("a line before it was changed, removed or put in between")]
    Detached,
    /// The last line has no end.
    #[error("it is cut off")]
    CutOff,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

impl Chain {
    /// Goes on after `line`.
    ///
    /// # Errors
    /// [`BrokenLink`] when it is no line, or was changed.
    pub fn after(line: &str) -> Result<Self, BrokenLink> {
        let line = read(line)?;
        Ok(Self { seq: line.seq, hash: line.hash })
    }

    /// How many lines there are.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.seq
    }

    /// The hash of the last line.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The next line, with its line feed, and the chain after it. Only who has written the line goes on from there.
    #[must_use]
    pub fn append(&self, told: &Told) -> (String, Self) {
        let Told { event, ip, time_ms, repeated } = told;
        let line = Line {
            time: iso(*time_ms),
            seq: self.seq + 1,
            event: event.kind,
            level: event.level,
            outcome: event.outcome,
            user: event.user.clone(),
            ip: ip.clone(),
            user_agent: event.user_agent.clone(),
            detail: event.detail.clone(),
            repeated: *repeated,
            prev: self.hash.clone(),
            hash: String::new(),
        };
        let canonical = to_ascii_json(&line);
        let hash = hash_of(&canonical);
        let open = canonical.strip_suffix('}').expect("an object ends in a brace");
        let text = format!("{open}{HASH_FIELD}{hash}\"}}\n");
        (text, Self { seq: line.seq, hash })
    }

    /// The chain after `line`, which has to follow.
    ///
    /// # Errors
    /// [`BrokenLink`] when it does not.
    pub fn follow(&self, line: &str) -> Result<Self, BrokenLink> {
        let line = read(line)?;
        if line.prev != self.hash || line.seq != self.seq + 1 {
            return Err(BrokenLink::Detached);
        }
        Ok(Self { seq: line.seq, hash: line.hash })
    }
}

/// Checks a whole log, from its first line. The first broken link comes with the number of its line; the chain is
/// that of the good lines before it.
///
/// # Errors
/// A log that cannot be read.
pub fn verify(mut log: impl BufRead) -> io::Result<(Chain, Option<(u64, BrokenLink)>)> {
    let mut chain = Chain::default();
    let mut number = 0;
    while let Some(line) = next_line(&mut log)? {
        number += 1;
        match line.and_then(|line| chain.follow(&line)) {
            Ok(after) => chain = after,
            Err(broken) => return Ok((chain, Some((number, broken)))),
        }
    }
    Ok((chain, None))
}

/// The next line without its line feed; `None` at the end. However long a line is, only so much of it is kept.
pub(crate) fn next_line(log: &mut impl BufRead) -> io::Result<Option<Result<String, BrokenLink>>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(LINE_MAX_BYTES + 1).expect("a small number");
    if io::Read::take(&mut *log, limit).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.pop() == Some(b'\n') {
        return Ok(Some(String::from_utf8(bytes).map_err(|_| BrokenLink::Malformed)));
    }
    if bytes.len() < LINE_MAX_BYTES {
        return Ok(Some(Err(BrokenLink::CutOff)));
    }
    log.skip_until(b'\n')?;
    Ok(Some(Err(BrokenLink::Malformed)))
}

/// Reads one line, whose hash has to be that of its text.
fn read(text: &str) -> Result<Line, BrokenLink> {
    let line: Line = serde_json::from_str(text).map_err(|_| BrokenLink::Malformed)?;
    let at = text.len().checked_sub(TAIL_BYTES).ok_or(BrokenLink::Malformed)?;
    let (open, tail) = text.split_at_checked(at).ok_or(BrokenLink::Malformed)?;
    if !tail.starts_with(HASH_FIELD) {
        return Err(BrokenLink::Malformed);
    }
    if hash_of(&format!("{open}}}")) != line.hash {
        return Err(BrokenLink::Changed);
    }
    Ok(line)
}

fn hash_of(canonical: &str) -> String {
    hex::encode(Sha256::digest(canonical))
}

fn to_ascii_json(line: &Line) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
    line.serialize(&mut serializer).expect("a line is JSON");
    String::from_utf8(bytes).expect("JSON is text")
}

/// Escapes everything but printable ASCII. JSON itself leaves DEL, the C1 controls (which terminals obey as they
/// obey ANSI sequences) and characters that reverse text as they are.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        for character in text.chars() {
            if matches!(character, ' '..='~') {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}
