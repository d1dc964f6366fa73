//! Remembers what a step has read, so that it can be skipped.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context;

/// A file that holds the hash of a step's inputs, beside what the step wrote.
pub(super) struct Stamp {
    path: PathBuf,
    hash: String,
}

impl Stamp {
    /// The stamp at `path` for inputs with this hash.
    pub(super) fn new(path: PathBuf, hash: u64) -> Self {
        Self { path, hash: format!("{hash:016x}\n") }
    }

    /// Whether the step ran last with the same inputs.
    pub(super) fn is_fresh(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|found| found == self.hash)
    }

    /// Before the step: if it fails, it runs again.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// After the step.
    pub(super) fn set(&self) -> anyhow::Result<()> {
        fs::write(&self.path, &self.hash)
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

/// A hash that is good enough to notice a change; no defence against anybody.
pub(super) fn hash_of(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// The hash of names and contents.
pub(super) fn hash_of_files(paths: &[PathBuf]) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        (path, bytes).hash(&mut hasher);
    }
    Ok(hasher.finish())
}
