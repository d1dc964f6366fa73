//! Sessions that were ended before their tokens: kept as long as such a token could still be shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Refresh families that are revoked. A token of one is refused although its time has not come.
#[derive(Debug)]
pub struct Revocations {
    /// How long a token may outlive its family, in milliseconds.
    lifetime_ms: i64,
    until_ms: Mutex<HashMap<Arc<str>, i64>>,
}

impl Revocations {
    /// With tokens that last so long.
    #[must_use]
    pub fn new(lifetime_ms: i64) -> Self {
        Self { lifetime_ms, until_ms: Mutex::default() }
    }

    /// How long a token may outlive its family, in milliseconds.
    #[must_use]
    pub fn lifetime_ms(&self) -> i64 {
        self.lifetime_ms
    }

    /// From now on tokens of this family are refused.
    pub fn add(&self, family: &str, now_ms: i64) {
        let mut until_ms = self.until_ms.lock().expect("no holder panics");
        until_ms.insert(family.into(), now_ms + self.lifetime_ms);
    }

    /// Forgets those whose tokens have all expired.
    pub fn purge(&self, now_ms: i64) {
        self.until_ms.lock().expect("no holder panics").retain(|_, until_ms| *until_ms > now_ms);
    }

    /// Whether tokens of this family are refused.
    #[must_use]
    pub fn contains(&self, family: &str) -> bool {
        self.until_ms.lock().expect("no holder panics").contains_key(family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_remembered_as_long_as_its_tokens_last() {
        let revocations = Revocations::new(1_000);
        revocations.add("a", 0);
        assert!(revocations.contains("a") && !revocations.contains("b"));
        revocations.add("b", 999);
        revocations.purge(999);
        assert!(revocations.contains("a"));
        revocations.add("c", 1_000);
        revocations.purge(1_000);
        assert!(!revocations.contains("a") && revocations.contains("b"));
        assert_eq!(revocations.until_ms.lock().unwrap().len(), 2);
    }
}
