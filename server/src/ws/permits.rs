//! Connections per user. A permit gives itself back when it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use uuid::Uuid;

use super::session::ClientKind;

/// What the rest of the gateway may tell a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A newer connection of the same user took its place.
    Replaced,
    /// Its session was ended: by signing out, by an administrator, or because its refresh token was stolen.
    Revoked,
}

/// The door through which a connection gets a [`Notice`].
pub type NoticeSender = mpsc::Sender<Notice>;

/// Counts connections per user and knows how to reach each.
#[derive(Clone, Debug)]
pub struct Permits {
    limit: usize,
    slots: Arc<Mutex<HashMap<Arc<str>, Vec<Applicant>>>>,
}

/// A connection that asks for a place.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The connection.
    pub session_id: Uuid,
    /// What kind of client it is.
    pub kind: ClientKind,
    /// The refresh family of its token.
    pub family: Arc<str>,
    /// The door to it.
    pub notices: NoticeSender,
}

/// Who is connected, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Users with at least one connection.
    pub users: usize,
    /// Their connections.
    pub connections: usize,
    /// Of those, the ones of the v1 protocol.
    pub v1: usize,
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

    /// A place for a connection of `user_id`. If `replaces` names a connection of the same user
    /// that still holds a place, that one is told to leave and its place is taken over.
    ///
    /// # Errors
    /// [`LimitReached`] when every place is taken.
    pub fn acquire(
        &self,
        user_id: &Arc<str>,
        applicant: Applicant,
        replaces: Option<Uuid>,
    ) -> Result<Permit, LimitReached> {
        let session_id = applicant.session_id;
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
        held.push(applicant);
        drop(slots);
        Ok(Permit { user_id: Arc::clone(user_id), session_id, permits: self.clone() })
    }

    /// Tells every connection of a refresh family that its session has ended; says how many there were.
    pub fn revoke(&self, family: &str) -> usize {
        let slots = self.slots.lock().expect("no holder panics");
        let mut revoked = 0;
        for slot in slots.values().flatten().filter(|slot| &*slot.family == family) {
            // A full or closed door means that the connection is leaving already.
            let _ = slot.notices.try_send(Notice::Revoked);
            revoked += 1;
        }
        revoked
    }

    /// Who holds a place now.
    #[must_use]
    pub fn census(&self) -> Census {
        let slots = self.slots.lock().expect("no holder panics");
        let connections = slots.values().map(Vec::len).sum();
        let v1 = slots.values().flatten().filter(|slot| slot.kind == ClientKind::V1).count();
        Census { users: slots.len(), connections, v1 }
    }
}

impl Permit {
    /// Whose place it is.
    #[must_use]
    pub fn user_id(&self) -> &Arc<str> {
        &self.user_id
    }

    /// The connection shows a newer token, of this refresh family.
    pub fn renew(&self, family: &Arc<str>) {
        let mut slots = self.permits.slots.lock().expect("no holder panics");
        let held = slots.get_mut(&self.user_id).into_iter().flatten();
        held.filter(|slot| slot.session_id == self.session_id)
            .for_each(|slot| slot.family = Arc::clone(family));
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

    fn applicant(session_id: Uuid) -> (Applicant, mpsc::Receiver<Notice>) {
        let (notices, door) = mpsc::channel(1);
        (Applicant { session_id, kind: ClientKind::V1, family: "f".into(), notices }, door)
    }

    fn anybody() -> Applicant {
        applicant(Uuid::now_v7()).0
    }

    #[test]
    fn a_user_has_three_places_and_a_dropped_permit_frees_one() {
        let permits = Permits::new(3);
        let user: Arc<str> = "a".into();
        let mut held: Vec<_> =
            (0..3).map(|_| permits.acquire(&user, anybody(), None).expect("a place is free")).collect();
        assert!(permits.acquire(&user, anybody(), None).is_err());
        assert!(permits.acquire(&"b".into(), anybody(), None).is_ok(), "others are not touched");
        held.pop();
        let again = permits.acquire(&user, anybody(), None);
        assert!(again.is_ok());
        drop((held, again));
        assert_eq!(permits.census(), Census::default());
        assert!(permits.slots.lock().unwrap().is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_takeover_tells_the_ghost_and_moves_its_place() {
        let permits = Permits::new(1);
        let user: Arc<str> = "a".into();
        let (ghost_id, new_id) = (Uuid::now_v7(), Uuid::now_v7());
        let (ghost, mut ghost_door) = applicant(ghost_id);
        let ghost = permits.acquire(&user, ghost, None).unwrap();
        let stranger = permits.acquire(&"b".into(), anybody(), Some(ghost_id)).unwrap();
        assert!(ghost_door.try_recv().is_err(), "nobody else's session can be taken over");
        let new = permits.acquire(&user, applicant(new_id).0, Some(ghost_id)).unwrap();
        assert_eq!(ghost_door.try_recv(), Ok(Notice::Replaced));
        drop(ghost);
        assert!(permits.acquire(&user, anybody(), None).is_err(), "the place is still taken");
        drop((new, stranger));
        assert_eq!(permits.census(), Census::default());
    }

    #[test]
    fn the_connections_of_a_revoked_family_are_told_and_no_others() {
        let permits = Permits::new(3);
        let user: Arc<str> = "a".into();
        let (one, mut one_door) = applicant(Uuid::now_v7());
        let (mut two, mut two_door) = applicant(Uuid::now_v7());
        two.family = "another".into();
        two.kind = ClientKind::Plain;
        let _one = permits.acquire(&user, one, None).unwrap();
        let two = permits.acquire(&user, two, None).unwrap();
        assert_eq!(permits.census(), Census { users: 1, connections: 2, v1: 1 });
        assert_eq!(permits.revoke("f"), 1);
        assert_eq!((one_door.try_recv(), two_door.try_recv().is_err()), (Ok(Notice::Revoked), true));
        two.renew(&"f".into());
        assert_eq!(permits.revoke("f"), 2);
        assert_eq!(two_door.try_recv(), Ok(Notice::Revoked));
        assert_eq!(permits.revoke("nobody's"), 0);
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
                        if let Ok(permit) = permits.acquire(&user, anybody(), None) {
                            held.lock().unwrap().push(permit);
                        }
                    });
                }
            });
            assert_eq!(held.into_inner().unwrap().len(), 3);
        }
        assert_eq!(permits.census(), Census::default());
    }
}
