//! Connections per user, and what a user's connections share. A permit gives itself back when it is dropped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use tidegate_protocol::{RATE_WINDOW_MS, SlidingWindow};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::pulse::Pulse;
use super::session::ClientKind;

/// What the rest of the gateway may tell a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A newer connection of the same user took its place.
    Replaced,
    /// It did not answer when somebody else of the same user needed its place.
    Evicted,
    /// Its session was ended: by signing out, by an administrator, or because its refresh token was stolen.
    Revoked,
}

/// The door through which a connection gets a [`Notice`].
pub type NoticeSender = mpsc::Sender<Notice>;

/// The messages of all connections of one user, also of those that are gone.
pub type UserWindow = Arc<Mutex<SlidingWindow>>;

/// Counts connections per user and knows how to reach each.
#[derive(Clone, Debug)]
pub struct Permits {
    limit: usize,
    messages_per_minute: usize,
    users: Arc<Mutex<Users>>,
}

#[derive(Debug, Default)]
struct Users {
    by_id: HashMap<Arc<str>, User>,
    /// Users without a connection whose messages still count, in the order of leaving.
    departed: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct User {
    /// Oldest first.
    held: Vec<Applicant>,
    window: UserWindow,
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
    /// Tells whether its peer is still there.
    pub pulse: Arc<Pulse>,
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
    window: UserWindow,
    took_over: bool,
    permits: Permits,
}

/// A connection whose place somebody else is to have, and what it is told.
pub type Ghost = (Uuid, Notice);

/// The user holds as many connections as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

impl Permits {
    /// At most `limit` connections per user, each of which may send so many messages a minute. Together a user's
    /// connections may not send more than that, however often they come and go.
    #[must_use]
    pub fn new(limit: u32, messages_per_minute: u32) -> Self {
        let limit = limit as usize;
        // Not the allowance of a single connection: clients pace themselves by that, and know nothing of others.
        let messages_per_minute = limit * messages_per_minute as usize;
        Self { limit, messages_per_minute, users: Arc::default() }
    }

    /// A place for a connection of `user_id` at `now_ms`. If `ghost` is a connection of the same user that still
    /// holds a place, it is told so and its place is taken over.
    ///
    /// # Errors
    /// [`LimitReached`] when every place is taken.
    pub fn acquire(
        &self,
        user_id: &Arc<str>,
        applicant: Applicant,
        ghost: Option<Ghost>,
        now_ms: u64,
    ) -> Result<Permit, LimitReached> {
        let session_id = applicant.session_id;
        let mut users = self.users.lock().expect("no holder panics");
        users.forget_departed(now_ms);
        let user =
            users.by_id.entry(Arc::clone(user_id)).or_insert_with(|| User::new(self.messages_per_minute));
        let ghost = ghost.and_then(|(session_id, notice)| {
            let index = user.held.iter().position(|slot| slot.session_id == session_id)?;
            Some((user.held.remove(index), notice))
        });
        if let Some((ghost, notice)) = &ghost {
            // A full or closed door means that the connection is leaving already.
            let _ = ghost.notices.try_send(*notice);
        }
        if user.held.len() >= self.limit {
            return Err(LimitReached);
        }
        user.held.push(applicant);
        let (user_id, window) = (Arc::clone(user_id), Arc::clone(&user.window));
        drop(users);
        Ok(Permit { user_id, session_id, window, took_over: ghost.is_some(), permits: self.clone() })
    }

    /// The connections of a user, oldest first, with what tells whether their peers are still there.
    #[must_use]
    pub fn pulses(&self, user_id: &str) -> Vec<(Uuid, Arc<Pulse>)> {
        let users = self.users.lock().expect("no holder panics");
        let held = users.by_id.get(user_id).map(|user| user.held.as_slice()).unwrap_or_default();
        held.iter().map(|slot| (slot.session_id, Arc::clone(&slot.pulse))).collect()
    }

    /// Tells every connection of a refresh family that its session has ended; says how many there were. They give up
    /// their places at once: whoever signs in again does not wait until the last of them has closed.
    pub fn revoke(&self, family: &str) -> usize {
        let mut users = self.users.lock().expect("no holder panics");
        let mut revoked = 0;
        for user in users.by_id.values_mut() {
            for slot in user.held.extract_if(.., |slot| &*slot.family == family) {
                // A full or closed door means that the connection is leaving already.
                let _ = slot.notices.try_send(Notice::Revoked);
                revoked += 1;
            }
        }
        revoked
    }

    /// The refresh families of a user's connections.
    #[must_use]
    pub fn families(&self, user_id: &str) -> HashSet<Arc<str>> {
        let users = self.users.lock().expect("no holder panics");
        let held = users.by_id.get(user_id).into_iter().flat_map(|user| &user.held);
        held.map(|slot| Arc::clone(&slot.family)).collect()
    }

    /// Who holds a place now.
    #[must_use]
    pub fn census(&self) -> Census {
        let users = self.users.lock().expect("no holder panics");
        let connected = users.by_id.values().filter(|user| !user.held.is_empty()).count();
        let v1 = users.slots().filter(|slot| slot.kind == ClientKind::V1).count();
        Census { users: connected, connections: users.slots().count(), v1 }
    }
}

impl Users {
    fn slots(&self) -> impl Iterator<Item = &Applicant> {
        self.by_id.values().flat_map(|user| &user.held)
    }

    /// Forgets users who have no connection and whose last message was a minute ago.
    fn forget_departed(&mut self, now_ms: u64) {
        while let Some(user_id) = self.departed.front() {
            match self.by_id.get(user_id) {
                Some(user) if user.held.is_empty() && user.used(now_ms) > 0 => return,
                Some(user) if user.held.is_empty() => drop(self.by_id.remove(user_id)),
                // Came back, and stands further behind if it has left again.
                _ => {}
            }
            self.departed.pop_front();
        }
    }

    fn leave(&mut self, user_id: &Arc<str>, session_id: Uuid) {
        let Some(user) = self.by_id.get_mut(user_id) else { return };
        // Nothing is found when the place was taken over: it belongs to another connection now.
        user.held.retain(|slot| slot.session_id != session_id);
        if user.held.is_empty() {
            self.departed.push_back(Arc::clone(user_id));
        }
    }
}

impl User {
    fn new(messages_per_minute: usize) -> Self {
        let window = SlidingWindow::new(messages_per_minute, RATE_WINDOW_MS);
        Self { held: Vec::new(), window: Arc::new(Mutex::new(window)) }
    }

    /// Messages within the last minute.
    fn used(&self, now_ms: u64) -> usize {
        self.window.lock().expect("no holder panics").used(now_ms)
    }
}

impl Permit {
    /// Whose place it is.
    #[must_use]
    pub fn user_id(&self) -> &Arc<str> {
        &self.user_id
    }

    /// What counts the messages of all connections of this user.
    #[must_use]
    pub fn window(&self) -> UserWindow {
        Arc::clone(&self.window)
    }

    /// Whether it was another connection's place until then.
    #[must_use]
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    /// The connection shows a newer token, of this refresh family. A family that is revoked changes nothing; false
    /// then. One that is revoked from now on ends this connection too: [`Permits::revoke`] waits meanwhile.
    pub fn renew(&self, family: &Arc<str>, is_revoked: impl FnOnce() -> bool) -> bool {
        let mut users = self.permits.users.lock().expect("no holder panics");
        if is_revoked() {
            return false;
        }
        let held = users.by_id.get_mut(&self.user_id).into_iter().flat_map(|user| &mut user.held);
        held.filter(|slot| slot.session_id == self.session_id)
            .for_each(|slot| slot.family = Arc::clone(family));
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.users.lock().expect("no holder panics").leave(&self.user_id, self.session_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applicant(session_id: Uuid) -> (Applicant, mpsc::Receiver<Notice>) {
        let (notices, door) = mpsc::channel(1);
        (
            Applicant {
                session_id,
                kind: ClientKind::V1,
                family: "f".into(),
                notices,
                pulse: Arc::default(),
            },
            door,
        )
    }

    fn anybody() -> Applicant {
        applicant(Uuid::now_v7()).0
    }

    #[test]
    fn a_user_has_three_places_and_a_dropped_permit_frees_one() {
        let permits = Permits::new(3, 30);
        let user: Arc<str> = "a".into();
        let mut held: Vec<_> =
            (0..3).map(|_| permits.acquire(&user, anybody(), None, 0).expect("a place is free")).collect();
        assert!(permits.acquire(&user, anybody(), None, 0).is_err());
        assert!(permits.acquire(&"b".into(), anybody(), None, 0).is_ok(), "others are not touched");
        held.pop();
        let again = permits.acquire(&user, anybody(), None, 0);
        assert!(again.is_ok());
        drop((held, again));
        assert_eq!(permits.census(), Census::default());
        let _ = permits.acquire(&"c".into(), anybody(), None, 0).expect("a place is free");
        assert_eq!(permits.users.lock().unwrap().by_id.len(), 1, "nothing is left behind of others");
    }

    #[test]
    fn t_34_however_often_a_user_reconnects_three_connections_worth_of_messages_is_all() {
        let permits = Permits::new(3, 30);
        let user: Arc<str> = "a".into();
        let mut taken = 0;
        for round in 0..10 {
            let permit = permits.acquire(&user, anybody(), None, round).expect("a place is free");
            let window = permit.window();
            taken += (0..30).filter(|_| window.lock().unwrap().try_take(round).is_ok()).count();
        }
        assert_eq!(taken, 90);
    }

    #[test]
    fn a_takeover_tells_the_ghost_and_moves_its_place() {
        let permits = Permits::new(1, 30);
        let user: Arc<str> = "a".into();
        let (ghost_id, new_id) = (Uuid::now_v7(), Uuid::now_v7());
        let (ghost, mut ghost_door) = applicant(ghost_id);
        let ghost = permits.acquire(&user, ghost, None, 0).unwrap();
        let stranger =
            permits.acquire(&"b".into(), anybody(), Some((ghost_id, Notice::Replaced)), 0).unwrap();
        assert!(ghost_door.try_recv().is_err(), "nobody else's session can be taken over");
        let new = permits.acquire(&user, applicant(new_id).0, Some((ghost_id, Notice::Replaced)), 0).unwrap();
        assert_eq!(ghost_door.try_recv(), Ok(Notice::Replaced));
        drop(ghost);
        assert!(permits.acquire(&user, anybody(), None, 0).is_err(), "the place is still taken");
        drop((new, stranger));
        assert_eq!(permits.census(), Census::default());
    }

    #[test]
    fn the_connections_of_a_revoked_family_are_told_and_no_others() {
        let permits = Permits::new(3, 30);
        let user: Arc<str> = "a".into();
        let (one, mut one_door) = applicant(Uuid::now_v7());
        let (mut two, mut two_door) = applicant(Uuid::now_v7());
        two.family = "another".into();
        two.kind = ClientKind::Plain;
        let _one = permits.acquire(&user, one, None, 0).unwrap();
        let two = permits.acquire(&user, two, None, 0).unwrap();
        assert_eq!(permits.census(), Census { users: 1, connections: 2, v1: 1 });
        assert_eq!(permits.revoke("f"), 1);
        assert_eq!((one_door.try_recv(), two_door.try_recv().is_err()), (Ok(Notice::Revoked), true));
        assert!(!two.renew(&"f".into(), || true));
        assert_eq!(permits.families("a"), HashSet::from(["another".into()]), "a revoked one renews nothing");
        assert!(two.renew(&"f".into(), || false));
        assert_eq!(
            permits.families("a"),
            HashSet::from(["f".into()]),
            "the first one has given up its place"
        );
        assert_eq!(permits.revoke("f"), 1);
        assert_eq!(two_door.try_recv(), Ok(Notice::Revoked));
        assert_eq!(permits.revoke("nobody's"), 0);
    }

    #[test]
    fn a_hundred_attempts_at_once_get_exactly_three_places() {
        let permits = Permits::new(3, 30);
        let user: Arc<str> = "a".into();
        for _ in 0..20 {
            let held = Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| {
                        if let Ok(permit) = permits.acquire(&user, anybody(), None, 0) {
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
