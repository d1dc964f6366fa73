//! The history on disk: written whole beside the old one and moved into its place, checked as a whole when it is
//! read. What cannot be used is set aside with a word about it, and never stops a start.
//!
//! The file: a line that says what it is, a SHA-256 of everything after it, and then, numbers little-endian, texts
//! with their length before them, the name of the market and every feed. A damaged byte anywhere fails the digest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tidegate_protocol::Feed;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::history::{BLOCK, Block, History, Parts};

/// The first line. A file of another version has another number.
const HEAD: &[u8] = b"tidegate history 1\n";
const HEAD_ANY: &[u8] = b"tidegate history ";
const DIGEST_BYTES: usize = 32;

/// What is kept of every feed, and of which market it is.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// What the signals were computed from: another market has another past.
    pub(crate) market: String,
    /// Every feed.
    pub(crate) feeds: Vec<(Feed, History)>,
}

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// It is something else.
    #[error("it is not a history of this gateway")]
    Foreign,
    /// It is of another version.
    #[error("it was written by another version of the gateway")]
    Version,
    /// It ends too early, or something in it was changed.
    #[error("it is damaged: it was cut off, or changed on the disk")]
    Damaged,
}

impl Snapshot {
    /// Replaces the file at `path`: whoever reads it finds the old one or the new one, whatever happens meanwhile.
    ///
    /// # Errors
    /// What the file system says; the old file is still there then.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let body = self.encode();
        let beside = with_ending(path, "new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(HEAD)?;
        file.write_all(&Sha256::digest(&body))?;
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The new name is on the disk only when its folder is.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Reads a file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Unusable> {
        let Some(rest) = bytes.strip_prefix(HEAD) else {
            let ours = bytes.starts_with(HEAD_ANY);
            return Err(if ours { Unusable::Version } else { Unusable::Foreign });
        };
        let (digest, body) = rest.split_at_checked(DIGEST_BYTES).ok_or(Unusable::Damaged)?;
        if Sha256::digest(body)[..] != *digest {
            return Err(Unusable::Damaged);
        }
        Self::decode(body).ok_or(Unusable::Damaged)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.market.as_bytes());
        put_number(&mut out, self.feeds.len() as u64);
        for (feed, history) in &self.feeds {
            put_bytes(&mut out, feed.symbol.as_str().as_bytes());
            put_bytes(&mut out, feed.strategy.as_str().as_bytes());
            let parts = history.parts();
            put_number(&mut out, parts.complete_after);
            put_number(&mut out, parts.known_until);
            put_number(&mut out, parts.forgotten as u64);
            put_number(&mut out, parts.blocks.len() as u64);
            for block in &parts.blocks {
                block.seqs.iter().for_each(|seq| put_number(&mut out, *seq));
                put_bytes(&mut out, &block.packed);
            }
            put_number(&mut out, parts.newest.len() as u64);
            for (seq, frame) in &parts.newest {
                put_number(&mut out, *seq);
                put_bytes(&mut out, frame.as_bytes());
            }
        }
        out
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        let market = body.text()?.to_owned();
        let feeds = (0..body.number()?).map(|_| body.feed()).collect::<Option<Vec<_>>>()?;
        body.0.is_empty().then_some(Self { market, feeds })
    }
}

/// Moves a file that is of no use out of the way, and says where to. One of each kind is kept.
pub(crate) fn set_aside(path: &Path, kind: &str) -> io::Result<PathBuf> {
    let aside = with_ending(path, kind);
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// The same path, with more at its end.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn feed(&mut self) -> Option<(Feed, History)> {
        let feed = Feed { symbol: self.text()?.parse().ok()?, strategy: self.text()?.parse().ok()? };
        let mut parts = Parts {
            complete_after: self.number()?,
            known_until: self.number()?,
            forgotten: self.count()?,
            ..Parts::default()
        };
        for _ in 0..self.number()? {
            parts.blocks.push_back(Arc::new(self.block()?));
        }
        for _ in 0..self.number()? {
            parts.newest.push_back((self.number()?, Utf8Bytes::from(self.text()?)));
        }
        Some((feed, History::of_parts(parts)?))
    }

    fn block(&mut self) -> Option<Block> {
        let mut seqs = [0; BLOCK];
        for seq in &mut seqs {
            *seq = self.number()?;
        }
        Some(Block { seqs, packed: self.bytes()?.into() })
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
