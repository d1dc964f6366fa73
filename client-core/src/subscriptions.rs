//! What is wanted against what the server confirmed. References are counted here and not in the host, so that
//! four components on one feed cost one subscription.

use alloc::vec::Vec;

use tidegate_protocol::{ErrorCode, Feed};

use crate::slot::{ANSWER_MS, Remote, Slot};
use crate::state::NEVER;
use crate::wire::Request;
use crate::{Event, FeedId, FeedInfo, FeedStatus, Granted, Output, Rejected, Warning};

/// Most feeds in one message: at 80 bytes each well within the default of 102,400 bytes.
const FEEDS_PER_MESSAGE: usize = 256;

/// Every feed that is wanted or still held, in the order in which they were first asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions {
    /// Sorted by id, because ids only rise.
    slots: Vec<Slot>,
    ids: u32,
}

impl Subscriptions {
    /// One more reference.
    pub(crate) fn add(&mut self, feed: Feed) -> FeedId {
        if let Some(slot) = self.by_feed(feed) {
            slot.references += 1;
            slot.linger_until_ms = None;
            return slot.id;
        }
        self.ids += 1;
        let id = FeedId(self.ids);
        self.slots.push(Slot::new(id, feed));
        id
    }

    /// One reference less; the last one leaves the feed lingering.
    pub(crate) fn release(&mut self, id: FeedId, linger_until_ms: u64) {
        let Some(slot) = self.get_mut(id).filter(|slot| slot.references > 0) else { return };
        slot.references -= 1;
        if slot.references == 0 {
            slot.linger_until_ms = Some(linger_until_ms);
        }
    }

    pub(crate) fn get(&self, id: FeedId) -> Option<&Slot> {
        let index = self.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.slots.get(index)
    }

    pub(crate) fn get_mut(&mut self, id: FeedId) -> Option<&mut Slot> {
        let index = self.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.slots.get_mut(index)
    }

    pub(crate) fn id_of(&self, feed: Feed) -> Option<FeedId> {
        self.slots.iter().find(|slot| slot.feed == feed).map(|slot| slot.id)
    }

    pub(crate) fn infos(&self) -> impl Iterator<Item = FeedInfo> + '_ {
        self.slots.iter().map(Slot::info)
    }

    /// Places of the connection that are taken, or may be.
    pub(crate) fn places(&self) -> usize {
        self.slots.iter().filter(|slot| slot.remote.takes_place()).count()
    }

    /// Ends what has lingered long enough, and forgets what is over.
    pub(crate) fn expire_lingering(&mut self, now_ms: u64) {
        for slot in &mut self.slots {
            if slot.linger_until_ms.take_if(|until_ms| now_ms >= *until_ms).is_some() {
                // Whoever wants the feed next has not seen what we have: it begins with the latest signal.
                slot.position = Default::default();
            }
        }
        self.forget_over();
    }

    /// Gives up on answers that are overdue.
    pub(crate) fn expire_answers(&mut self, now_ms: u64) {
        for slot in &mut self.slots {
            slot.expire(now_ms);
        }
    }

    /// Whether something is to be given back.
    pub(crate) fn has_ends(&self) -> bool {
        self.slots.iter().any(Slot::wants_end)
    }

    /// Whether something is to be asked for, within `limit` places.
    pub(crate) fn has_asks(&self, limit: usize) -> bool {
        let room = self.places() < limit;
        self.slots.iter().any(|slot| slot.wants_again() || room && slot.wants_place())
    }

    /// What is to be given back, in message `id`. Empty: no message is needed.
    pub(crate) fn take_ends(&mut self, id: u64, now_ms: u64) -> Vec<Request> {
        let mut ends = Vec::new();
        for slot in &mut self.slots {
            if ends.len() < FEEDS_PER_MESSAGE && slot.wants_end() {
                slot.remote = Remote::Ending { id, until_ms: now_ms + ANSWER_MS };
                ends.push((slot.feed, None));
            }
        }
        ends
    }

    /// What is to be asked for within `limit` places, in message `id`. Empty: no message is needed.
    pub(crate) fn take_asks(&mut self, id: u64, limit: usize, now_ms: u64) -> Vec<Request> {
        let mut room = limit.saturating_sub(self.places());
        let mut requests = Vec::new();
        for slot in &mut self.slots {
            if requests.len() == FEEDS_PER_MESSAGE {
                break;
            }
            if slot.wants_again() {
                requests.push((slot.feed, slot.ask(id, now_ms)));
            } else if room > 0 && slot.wants_place() {
                room -= 1;
                requests.push((slot.feed, slot.ask(id, now_ms)));
            }
        }
        requests
    }

    /// The server granted a feed in the reply to message `id`.
    pub(crate) fn granted(&mut self, id: u64, granted: Granted, now_ms: u64) {
        if let Some(slot) = self.by_feed(granted.feed) {
            slot.granted(id, granted.interval_ms, granted.recovered, now_ms);
        }
    }

    /// The server refused a feed in the reply to message `id`. Returns what the application has to know.
    pub(crate) fn rejected(&mut self, id: u64, rejected: Rejected) -> Option<Warning> {
        let slot = self.by_feed(rejected.feed)?;
        slot.refused(id, rejected.code).then_some(Warning::FeedRejected(slot.id, rejected.code))
    }

    /// The server did what message `id` asked for.
    pub(crate) fn ended(&mut self, id: u64) {
        let ends = |slot: &Slot| matches!(slot.remote, Remote::Ending { id: ending, .. } if ending == id);
        if !self.slots.iter().any(ends) {
            return;
        }
        // A place became free, also for those that the server had none for.
        for slot in self.slots.iter_mut().filter(|slot| ends(slot) || slot.remote == Remote::Full) {
            slot.remote = Remote::None;
        }
        self.forget_over();
    }

    /// The server refused message `id` as a whole. Returns whether the application was told of feeds.
    pub(crate) fn message_refused(&mut self, id: u64, code: ErrorCode, events: &mut Vec<Output>) -> bool {
        let mut told = false;
        for slot in &mut self.slots {
            if slot.refused(id, code) {
                events.push(Output::Event(Event::Warn(Warning::FeedRejected(slot.id, code))));
                told = true;
            }
        }
        // What could not be given back is not held; a failure of the server is tried again when overdue.
        if code != ErrorCode::Internal {
            self.ended(id);
        }
        told
    }

    /// Message `id` had no effect.
    pub(crate) fn undo(&mut self, id: u64) {
        for slot in &mut self.slots {
            slot.undo(id);
        }
    }

    /// The connection is gone, and with it all that the server knew.
    pub(crate) fn connection_lost(&mut self) {
        for slot in &mut self.slots {
            slot.connection_lost();
        }
        self.forget_over();
    }

    /// When something is due by itself. `live`: there is a connection; `judged`: and it is healthy.
    pub(crate) fn deadline_ms(&self, live: bool, judged: bool) -> u64 {
        let mut due_ms = NEVER;
        for slot in &self.slots {
            due_ms = due_ms.min(slot.linger_until_ms.unwrap_or(NEVER));
            if live {
                due_ms = due_ms.min(slot.answer_due_ms());
            }
            if judged && slot.reported == Some(FeedStatus::Live) {
                due_ms = due_ms.min(slot.stale_at_ms());
            }
        }
        due_ms
    }

    /// Tells what changed since it was last told.
    pub(crate) fn report(&mut self, limit: usize, judged: bool, now_ms: u64, events: &mut Vec<Output>) {
        let mut room = limit.saturating_sub(self.places());
        for slot in &mut self.slots {
            let has_room = room > 0;
            if slot.wants_place() {
                room = room.saturating_sub(1);
            }
            let status = slot.is_wanted().then(|| slot.status(has_room, judged, now_ms));
            if slot.reported != status {
                slot.reported = status;
                if let Some(status) = status {
                    events.push(Output::Event(Event::Feed { feed: slot.id, status }));
                }
            }
        }
    }

    fn forget_over(&mut self) {
        self.slots.retain(|slot| !slot.is_over());
    }

    fn by_feed(&mut self, feed: Feed) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.feed == feed)
    }
}
