//! Who gets in: what a connection holds of the gateway, and the checks that a token and a place take.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use uuid::Uuid;

use super::guard::Leash;
use super::permits::{Applicant, LimitReached, Notice, NoticeSender, Permit};
use super::pulse::Pulse;
use super::session::ClientKind;
use crate::app::App;
use crate::audit::EventKind;
use crate::auth::token::TokenRefused;
use crate::auth::{Identity, Peer};
use crate::clock::wall_ms;
use crate::refusal::Refusal;
use crate::transport::Visit;

/// What a connection holds of the gateway before and while it is authenticated; given back on drop.
#[derive(Debug)]
pub struct Admission {
    pub(super) session_id: Uuid,
    pub(super) kind: ClientKind,
    pub(super) peer: Peer,
    pub(super) only_user: Option<String>,
    pub(super) permit: Option<Permit>,
    pub(super) notices: NoticeSender,
    pub(super) pulse: Arc<Pulse>,
    /// What its network is charged until somebody signs in.
    pub(super) visit: Option<Visit>,
    pub(super) leash: Arc<Leash>,
    pub(super) inbox: mpsc::Receiver<Notice>,
    _place: OwnedSemaphorePermit,
}

impl Admission {
    /// A connection that holds a place on the node, and none of a user yet.
    pub fn new(
        session_id: Uuid,
        kind: ClientKind,
        peer: Peer,
        only_user: Option<String>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (notices, inbox) = mpsc::channel(1);
        Self {
            session_id,
            kind,
            peer,
            only_user,
            permit: None,
            notices,
            pulse: Arc::default(),
            visit: None,
            leash: Arc::default(),
            inbox,
            _place: place,
        }
    }
}

impl Admission {
    /// Checks a token and takes a place for its user. Whatever comes of it is written down.
    pub(super) async fn admit(
        &mut self,
        app: &App,
        token: &str,
        replaces: Option<Uuid>,
    ) -> Result<Identity, Refusal> {
        let renewal = self.permit.is_some();
        let verdict = self.judge(app, token, replaces).await;
        if verdict.is_ok() {
            self.visit = None;
            self.leash.authenticated();
        }
        let event = match &verdict {
            Ok(identity) if renewal => {
                self.peer.event(EventKind::Refresh).user(&identity.user_id).detail("of a live connection")
            }
            Ok(identity) => self.peer.event(EventKind::Connected).user(&identity.user_id),
            Err(refusal @ (Refusal::InvalidToken | Refusal::TokenExpired)) => {
                self.peer.refused(EventKind::TokenRefused, refusal.code().as_str())
            }
            Err(refusal) => self.peer.refused(EventKind::ConnectionRefused, refusal.code().as_str()),
        };
        app.audit.record(event);
        verdict
    }

    async fn judge(&mut self, app: &App, token: &str, replaces: Option<Uuid>) -> Result<Identity, Refusal> {
        let identity = app.tokens.verify(token, wall_ms()).map_err(|refused| match refused {
            TokenRefused::Expired => Refusal::TokenExpired,
            TokenRefused::Invalid => Refusal::InvalidToken,
        })?;
        // Of a connection that is live already, the session compares users.
        if self.permit.is_none()
            && self.only_user.as_deref().is_some_and(|user_id| user_id != &*identity.user_id)
        {
            return Err(Refusal::ForeignPath);
        }
        let is_revoked = || app.revocations.contains(&identity.family);
        if is_revoked() {
            return Err(Refusal::InvalidToken);
        }
        match &self.permit {
            // Of another user's token, the session says that it changes nothing.
            Some(permit) if permit.user_id() == &identity.user_id => {
                if !permit.renew(&identity.family, is_revoked) {
                    return Err(Refusal::InvalidToken);
                }
            }
            Some(_) => {}
            None => {
                let permit = self.take_place(app, &identity, replaces).await;
                let limit = app.rules.limits.connections_per_user;
                self.permit = Some(permit.map_err(|_| Refusal::ConnectionLimit(limit))?);
                // Again, so that no revocation falls between the check and the place.
                if is_revoked() {
                    return Err(Refusal::InvalidToken);
                }
            }
        }
        Ok(identity)
    }
}

impl Admission {
    /// Takes a place for a connection of this user. When all are taken, those who hold them are asked whether they
    /// are still there, and the oldest that does not answer gives up its place: a phone that changed networks is
    /// not locked out by its own ghosts.
    async fn take_place(
        &self,
        app: &App,
        identity: &Identity,
        replaces: Option<Uuid>,
    ) -> Result<Permit, LimitReached> {
        let place =
            |ghost| app.permits.acquire(&identity.user_id, self.applicant(identity), ghost, app.now_ms());
        if replaces.is_some() {
            app.metrics.reconnects.inc();
        }
        if let Ok(permit) = place(replaces.map(|session| (session, Notice::Replaced))) {
            if permit.took_over() {
                app.metrics.takeovers.inc("session");
            }
            return Ok(permit);
        }
        let pulses = app.permits.pulses(&identity.user_id);
        let answers = join_all(pulses.iter().map(|(_, pulse)| pulse.answers())).await;
        for ((session, _), _) in pulses.iter().zip(answers).filter(|(_, answered)| !answered) {
            // Somebody else may have been faster.
            if let Ok(permit) = place(Some((*session, Notice::Evicted))) {
                app.metrics.takeovers.inc("probe");
                return Ok(permit);
            }
        }
        // Meanwhile one may have left.
        place(None)
    }

    fn applicant(&self, identity: &Identity) -> Applicant {
        Applicant {
            session_id: self.session_id,
            kind: self.kind,
            family: Arc::clone(&identity.family),
            notices: self.notices.clone(),
            pulse: Arc::clone(&self.pulse),
        }
    }
}
