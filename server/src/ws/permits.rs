//! Connections per user. A permit gives itself back when it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use uuid::Uuid;

/// What the rest of the gateway may tell a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A newer connection of the same user took its place.
    Replaced,
}

/// The door through which a connection gets a [`Notice`].
pub type NoticeSender = mpsc::Sender<Notice>;

/// Counts connections per user and knows how to reach each.
#[derive(Clone, Debug)]
pub struct Permits {
    limit: usize,
    slots: Arc<Mutex<HashMap<Arc<str>, Vec<Slot>>>>,
}

#[derive(Debug)]
struct Slot {
    session_id: Uuid,
    notices: NoticeSender,
}

/// One of a user's places, held until dropped.
#[derive(Debug)]
pub struct Permit {
    user_id: Arc<str>,
    session_id: Uuid,
    permits: Permits,
}

/// The user holds as many connections as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

impl Permits {
    /// At most `limit` connections per user.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit: limit as usize, slots: Arc::default() }
    }

    /// A place for the connection `session_id` of `user_id`. If `replaces` names a connection of the same user
    /// that still holds a place, that one is told to leave and its place is taken over.
    ///
    /// # Errors
    /// [`LimitReached`] when every place is taken.
    pub fn acquire(
        &self,
        user_id: &Arc<str>,
        session_id: Uuid,
        notices: NoticeSender,
        replaces: Option<Uuid>,
    ) -> Result<Permit, LimitReached> {
        let mut slots = self.slots.lock().expect("no holder panics");
        let held = slots.entry(Arc::clone(user_id)).or_default();
        if let Some(index) = held.iter().position(|slot| Some(slot.session_id) == replaces) {
            let ghost = held.swap_remove(index);
            // A full or closed door means that the connection is leaving already.
            let _ = ghost.notices.try_send(Notice::Replaced);
        }
        if held.len() >= self.limit {
            return Err(LimitReached);
        }
        held.push(Slot { session_id, notices });
        drop(slots);
        Ok(Permit { user_id: Arc::clone(user_id), session_id, permits: self.clone() })
    }

    /// Connections that hold a place now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.lock().expect("no holder panics").values().map(Vec::len).sum()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut slots = self.permits.slots.lock().expect("no holder panics");
        if let Some(held) = slots.get_mut(&self.user_id) {
            // Nothing is found when the place was taken over: it belongs to another connection now.
            held.retain(|slot| slot.session_id != self.session_id);
            if held.is_empty() {
                slots.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> (NoticeSender, mpsc::Receiver<Notice>) {
        mpsc::channel(1)
    }

    #[test]
    fn a_user_has_three_places_and_a_dropped_permit_frees_one() {
        let permits = Permits::new(3);
        let user: Arc<str> = "a".into();
        let mut held: Vec<_> = (0..3)
            .map(|_| permits.acquire(&user, Uuid::now_v7(), door().0, None).expect("a place is free"))
            .collect();
        assert!(permits.acquire(&user, Uuid::now_v7(), door().0, None).is_err());
        assert!(
            permits.acquire(&"b".into(), Uuid::now_v7(), door().0, None).is_ok(),
            "others are not touched"
        );
        held.pop();
        let again = permits.acquire(&user, Uuid::now_v7(), door().0, None);
        assert!(again.is_ok());
        drop((held, again));
        assert_eq!(permits.count(), 0);
        assert!(permits.slots.lock().unwrap().is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_takeover_tells_the_ghost_and_moves_its_place() {
        let permits = Permits::new(1);
        let user: Arc<str> = "a".into();
        let (ghost_id, new_id) = (Uuid::now_v7(), Uuid::now_v7());
        let (sender, mut ghost_door) = door();
        let ghost = permits.acquire(&user, ghost_id, sender, None).unwrap();
        let stranger = permits.acquire(&"b".into(), Uuid::now_v7(), door().0, Some(ghost_id)).unwrap();
        assert!(ghost_door.try_recv().is_err(), "nobody else's session can be taken over");
        let new = permits.acquire(&user, new_id, door().0, Some(ghost_id)).unwrap();
        assert_eq!(ghost_door.try_recv(), Ok(Notice::Replaced));
        drop(ghost);
        assert!(permits.acquire(&user, Uuid::now_v7(), door().0, None).is_err(), "the place is still taken");
        drop((new, stranger));
        assert_eq!(permits.count(), 0);
    }

    #[test]
    fn a_hundred_attempts_at_once_get_exactly_three_places() {
        let permits = Permits::new(3);
        let user: Arc<str> = "a".into();
        for _ in 0..20 {
            let held = Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| {
                        if let Ok(permit) = permits.acquire(&user, Uuid::now_v7(), door().0, None) {
                            held.lock().unwrap().push(permit);
                        }
                    });
                }
            });
            assert_eq!(held.into_inner().unwrap().len(), 3);
        }
        assert_eq!(permits.count(), 0);
    }
}
