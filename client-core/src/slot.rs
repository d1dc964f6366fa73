//! One feed: who wants it, what the server knows of it, and where we stand in it.

use tidegate_protocol::{ErrorCode, Feed, Strategy};

use crate::position::Position;
use crate::state::NEVER;
use crate::{FeedId, FeedInfo, FeedStatus};

/// How long the server may take to answer for a feed, in milliseconds.
pub(crate) const ANSWER_MS: u64 = 10_000;
/// Added to a feed's interval before its silence means anything, in milliseconds.
const STALE_SLACK_MS: u64 = 5_000;

/// What the server knows of a feed on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remote {
    /// Nothing.
    None,
    /// Asked for in message `id`.
    Asked { id: u64, until_ms: u64, resumes: bool },
    /// Followed.
    Granted,
    /// Given back in message `id`.
    Ending { id: u64, until_ms: u64 },
    /// Never answered: may be followed or not.
    Unsure,
    /// Refused, because the connection follows as many as it may.
    Full,
    /// Refused.
    Refused(ErrorCode),
}

impl Remote {
    /// Whether it takes, or may take, one of the places of the connection.
    pub(crate) fn takes_place(self) -> bool {
        matches!(self, Self::Asked { .. } | Self::Granted | Self::Ending { .. } | Self::Unsure)
    }
}

/// One feed.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) id: FeedId,
    pub(crate) feed: Feed,
    pub(crate) references: u32,
    /// Without references: kept as if it were wanted, until then.
    pub(crate) linger_until_ms: Option<u64>,
    pub(crate) remote: Remote,
    /// Missing signals were asked for in message `id`, with an answer due by then.
    pub(crate) fetch: Option<(u64, u64)>,
    pub(crate) position: Position,
    /// What it was asked for after, last.
    since: u64,
    pub(crate) interval_ms: Option<u64>,
    /// When the last signal came, or the subscription was granted.
    pub(crate) heard_ms: u64,
    /// What the application was told last.
    pub(crate) reported: Option<FeedStatus>,
}

impl Slot {
    /// A feed that somebody has just asked for.
    pub(crate) fn new(id: FeedId, feed: Feed) -> Self {
        Self {
            id,
            feed,
            references: 1,
            linger_until_ms: None,
            remote: Remote::None,
            fetch: None,
            position: Position::default(),
            since: 0,
            interval_ms: None,
            heard_ms: 0,
            reported: None,
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.references > 0 || self.linger_until_ms.is_some()
    }

    /// Whether the server is to be asked for it, given a free place.
    pub(crate) fn wants_place(&self) -> bool {
        self.references > 0 && self.remote == Remote::None
    }

    /// Whether the server is to be asked for it again, in the place that it has: because nobody knows what
    /// became of the first request, or for missing signals.
    pub(crate) fn wants_again(&self) -> bool {
        let fetch = self.remote == Remote::Granted && self.fetch.is_none() && self.position.has_hole();
        self.is_wanted() && (self.remote == Remote::Unsure || fetch)
    }

    /// Whether it is to be given back.
    pub(crate) fn wants_end(&self) -> bool {
        !self.is_wanted() && matches!(self.remote, Remote::Granted | Remote::Unsure)
    }

    /// Whether nothing is left of it, here or at the server.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_wanted() && !self.remote.takes_place()
    }

    /// It is asked for in message `id`. Returns the `seq` to resume after.
    pub(crate) fn ask(&mut self, id: u64, now_ms: u64) -> Option<u64> {
        let until_ms = now_ms + ANSWER_MS;
        let since = self.position.since();
        self.since = since.unwrap_or_default();
        if self.remote == Remote::Granted {
            self.fetch = Some((id, until_ms));
        } else {
            self.remote = Remote::Asked { id, until_ms, resumes: since.is_some() };
        }
        since
    }

    /// Somebody holds it up to `seq`, from elsewhere.
    pub(crate) fn held(&mut self, seq: u64) {
        if matches!(self.remote, Remote::Asked { .. } | Remote::Granted) {
            self.position.held_late(seq);
        } else {
            self.position.held(seq);
        }
    }

    /// The server granted it in the reply to message `id`. The reply to an older message says nothing that
    /// the reply to the newer one will not say.
    pub(crate) fn granted(&mut self, id: u64, interval_ms: u64, recovered: bool, now_ms: u64) {
        if self.fetch.take_if(|(fetch, _)| *fetch == id).is_some() {
            self.position.resumed(self.since, recovered);
            self.interval_ms = Some(interval_ms);
        }
        match self.remote {
            Remote::Asked { id: asked, resumes, .. } if asked == id => {
                if resumes {
                    self.position.resumed(self.since, recovered);
                }
                self.remote = Remote::Granted;
                self.interval_ms = Some(interval_ms);
                self.heard_ms = now_ms;
            }
            _ => {}
        }
    }

    /// The server refused it in the reply to message `id`. Returns whether the application has to know.
    pub(crate) fn refused(&mut self, id: u64, code: ErrorCode) -> bool {
        if self.fetch.take_if(|(fetch, _)| *fetch == id).is_some() {
            self.position.give_up_holes(self.since);
            return false;
        }
        let asked = matches!(self.remote, Remote::Asked { id: asked, .. } if asked == id);
        match code {
            _ if !asked => false,
            // The server's own failure: stays asked for until the answer is overdue, then again.
            ErrorCode::Internal => false,
            ErrorCode::SubscriptionLimit => {
                self.remote = Remote::Full;
                false
            }
            _ => {
                self.remote = Remote::Refused(code);
                true
            }
        }
    }

    /// The message `id` had no effect: everything is as it was before.
    pub(crate) fn undo(&mut self, id: u64) {
        self.fetch.take_if(|(fetch, _)| *fetch == id);
        match self.remote {
            // Not `None`: an earlier request of the same feed may have had an effect.
            Remote::Asked { id: asked, .. } if asked == id => self.remote = Remote::Unsure,
            Remote::Ending { id: ending, .. } if ending == id => self.remote = Remote::Granted,
            _ => {}
        }
    }

    /// Answers that are overdue do not come any more.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        if self.fetch.take_if(|(_, until_ms)| now_ms >= *until_ms).is_some() {
            self.position.give_up_holes(self.since);
        }
        match self.remote {
            Remote::Asked { until_ms, .. } | Remote::Ending { until_ms, .. } if now_ms >= until_ms => {
                self.remote = Remote::Unsure;
            }
            _ => {}
        }
    }

    /// When an answer is overdue.
    pub(crate) fn answer_due_ms(&self) -> u64 {
        let remote_ms = match self.remote {
            Remote::Asked { until_ms, .. } | Remote::Ending { until_ms, .. } => until_ms,
            _ => NEVER,
        };
        self.fetch.map_or(remote_ms, |(_, until_ms)| until_ms.min(remote_ms))
    }

    pub(crate) fn connection_lost(&mut self) {
        self.remote = Remote::None;
        self.fetch = None;
        self.position.connection_lost();
    }

    /// When the next signal is due. `range_trading` says nothing for hours while there is no range to trade,
    /// so its silence means nothing.
    pub(crate) fn due_at_ms(&self) -> Option<u64> {
        let regular = self.remote == Remote::Granted && self.feed.strategy != Strategy::RangeTrading;
        self.interval_ms.filter(|_| regular).map(|interval_ms| self.heard_ms.saturating_add(interval_ms))
    }

    /// When it becomes stale.
    pub(crate) fn stale_at_ms(&self) -> u64 {
        self.due_at_ms().map_or(NEVER, |due_at_ms| due_at_ms.saturating_add(STALE_SLACK_MS))
    }

    /// How it stands. `has_room`: there is a place for it. `judged`: the connection is healthy, so silence of
    /// the feed is its own.
    pub(crate) fn status(&self, has_room: bool, judged: bool, now_ms: u64) -> FeedStatus {
        let was_stale = self.reported == Some(FeedStatus::Stale);
        match self.remote {
            Remote::Granted if now_ms >= self.stale_at_ms() && (judged || was_stale) => FeedStatus::Stale,
            Remote::Granted => FeedStatus::Live,
            Remote::Full => FeedStatus::Queued,
            Remote::Refused(code) => FeedStatus::Rejected(code),
            Remote::None if !has_room => FeedStatus::Queued,
            Remote::None | Remote::Asked { .. } | Remote::Ending { .. } | Remote::Unsure => {
                FeedStatus::Pending
            }
        }
    }

    pub(crate) fn info(&self) -> FeedInfo {
        FeedInfo {
            id: self.id,
            feed: self.feed,
            status: self.reported.unwrap_or(FeedStatus::Pending),
            references: self.references,
            last_seq: self.position.last(),
            interval_ms: self.interval_ms,
            due_at_ms: self.due_at_ms(),
        }
    }
}
