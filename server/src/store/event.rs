//! Audit events as rows: a copy to search in, of every node together. The evidence is the chained file.

use super::StoreError;
use crate::audit::Level;

/// An audit event as a row. Texts are kept as they come, but for NUL characters (U+FFFD instead); their writer
/// bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in Unix milliseconds.
    pub time_ms: i64,
    /// What happened, for example `sign_in`.
    pub kind: String,
    /// How it ended, for example `refused`.
    pub outcome: String,
    /// How much attention it deserves.
    pub level: Level,
    /// Whom it is about.
    pub user: Option<String>,
    /// Where it came from.
    pub ip: Option<String>,
    /// What the peer says it is.
    pub user_agent: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
    /// How many events this stands for, if not for one.
    pub repeated: Option<u32>,
}

impl Event {
    /// Without NUL characters, which PostgreSQL does not store: an event of a hostile peer must not get lost.
    pub(super) fn storable(&self) -> Self {
        let clean = |text: &String| text.replace('\0', "\u{fffd}");
        Self {
            time_ms: self.time_ms,
            kind: clean(&self.kind),
            outcome: clean(&self.outcome),
            level: self.level,
            user: self.user.as_ref().map(clean),
            ip: self.ip.as_ref().map(clean),
            user_agent: self.user_agent.as_ref().map(clean),
            detail: self.detail.as_ref().map(clean),
            repeated: self.repeated,
        }
    }
}

/// A level as a database orders it.
pub(super) fn rank_of(level: Level) -> i16 {
    level as i16
}

pub(super) fn level_of(rank: i16) -> Result<Level, StoreError> {
    Level::ALL.into_iter().find(|level| rank_of(*level) == rank).ok_or(StoreError::Damaged)
}
