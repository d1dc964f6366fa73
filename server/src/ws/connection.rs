//! One task per socket: performs what the session decides.

mod writing;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tidegate_protocol::Feed;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::admission::Admission;
use super::fault::Faulty;
use super::permits::Notice;
use super::session::{Action, Following, Session, Verified};
use crate::app::App;
use crate::auth::wallet::masked;
use crate::clock::wall_ms;
use crate::hub::{Outbox, Position};
use crate::metrics::Open;
use crate::refusal::Refusal;

/// How long the last words of a connection may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// A socket and its session.
#[derive(Debug)]
pub struct Connection<S> {
    app: Arc<App>,
    socket: S,
    session: Session,
    admission: Admission,
    outbox: Arc<Outbox>,
    followed: Vec<Feed>,
    /// What subscriptions resumed with, as far as it is not written; goes before what is live.
    backlog: VecDeque<(Feed, Utf8Bytes)>,
    /// More waits in the outbox than the last batch took.
    is_behind: bool,
    started: Instant,
    stopping: watch::Receiver<bool>,
    asked_to_leave: bool,
    _open: Open,
}

/// What a connection waits for.
enum Happened<E> {
    /// The peer sent something, or is gone.
    Incoming(Option<Result<Message, E>>),
    /// Signals wait to be written.
    Ready,
    /// The session's next deadline has come.
    Deadline,
    /// The rest of the gateway has something to tell.
    Notice(Notice),
    /// Somebody wants to know whether the peer is still there.
    Probed,
    /// The gateway stops.
    Stopping,
}

/// The connection has ended: nothing more is to be sent.
#[derive(Debug)]
struct Ended;

type Step = Result<(), Ended>;

/// Serves a connection to its end, and gives the socket back. A panic ends this connection and no other.
pub async fn attend<S, E>(app: Arc<App>, mut socket: S, admission: Admission, verdict: Option<Verified>) -> S
where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Unpin,
    E: Faulty,
{
    let (leash, session_id) = (Arc::clone(&admission.leash), admission.session_id);
    let metrics = app.metrics.clone();
    let connection = Connection::new(app, &mut socket, admission);
    if AssertUnwindSafe(connection.run(verdict)).catch_unwind().await.is_err() {
        let (code, reason) = Refusal::Internal.close();
        tracing::error!(session = %session_id, code = code.0, "the task of a connection panicked: closing");
        metrics.panics.inc();
        metrics.closes.inc(code.0.to_string());
        leash.closing();
        let frame = CloseFrame { code: code.0.into(), reason: Utf8Bytes::from_static(reason) };
        let _ = timeout(CLOSE_DEADLINE, socket.send(Message::Close(Some(frame)))).await;
    }
    socket
}

impl<S, E> Connection<S>
where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Unpin,
    E: Faulty,
{
    /// A connection that has just been upgraded.
    pub fn new(app: Arc<App>, socket: S, admission: Admission) -> Self {
        let rules = Arc::clone(&app.rules);
        // Without randomness all sessions move at once, which is no reason not to serve them.
        let chance = getrandom::u32().unwrap_or_default();
        let session = Session::new(admission.session_id, admission.kind, rules, app.now_ms(), chance);
        let stopping = app.stopping.clone();
        let open = app.metrics.open(admission.kind.as_str());
        let outbox = Arc::new(Outbox::counted_by(Arc::clone(&app.metrics)));
        Self {
            app,
            socket,
            session,
            admission,
            outbox,
            followed: Vec::new(),
            backlog: VecDeque::new(),
            is_behind: false,
            started: Instant::now(),
            stopping,
            asked_to_leave: false,
            _open: open,
        }
    }

    /// Serves the connection to its end. `verdict` is that on the handshake's token, if it had one.
    pub async fn run(mut self, verdict: Option<Verified>) {
        tracing::debug!(session = %self.session.id(), "connected");
        // The way out of the loop is the connection's end, whatever caused it.
        let Ended = self.serve(verdict).await;
        let seconds = self.started.elapsed().as_secs();
        tracing::info!(session = %self.session.id(), seconds, "disconnected");
    }

    async fn serve(&mut self, verdict: Option<Verified>) -> Ended {
        if let Some(verdict) = verdict {
            self.note_verdict(&verdict);
            let actions = self.session.handle_verified(None, verdict, self.now_ms(), wall_ms());
            if let Err(ended) = self.perform(actions).await {
                return ended;
            }
        }
        loop {
            if let Err(ended) = self.step().await {
                return ended;
            }
        }
    }

    /// Waits for the next thing to happen and deals with it.
    async fn step(&mut self) -> Step {
        let happened = self.happens().await;
        let now_ms = self.now_ms();
        let actions = match happened {
            Happened::Incoming(incoming) => return self.receive(incoming).await,
            Happened::Ready => return self.deliver().await,
            Happened::Deadline => self.session.handle_timeout(now_ms, wall_ms()),
            Happened::Notice(notice) => self.heed(notice),
            Happened::Probed => self.session.handle_probe(now_ms),
            Happened::Stopping => {
                self.asked_to_leave = true;
                self.session.handle_shutdown(self.app.spread(), now_ms)
            }
        };
        self.perform(actions).await
    }

    async fn happens(&mut self) -> Happened<E> {
        let deadline = self.app.started + Duration::from_millis(self.session.next_deadline_ms());
        let has_more = self.is_behind || !self.backlog.is_empty();
        let ready = async {
            if !has_more {
                self.outbox.ready().await;
            }
        };
        let stopping = async { self.stopping.wait_for(|stopping| *stopping).await.map(|_| ()) };
        tokio::select! {
            // What waits comes last, because there may always be more of it, and what was said before a deadline is
            // heard before it.
            biased;
            Some(notice) = self.admission.inbox.recv() => Happened::Notice(notice),
            incoming = self.socket.next() => Happened::Incoming(incoming),
            _ = stopping, if !self.asked_to_leave => Happened::Stopping,
            () = sleep_until(deadline) => Happened::Deadline,
            () = self.admission.pulse.asked() => Happened::Probed,
            () = ready => Happened::Ready,
        }
    }

    async fn receive(&mut self, incoming: Option<Result<Message, E>>) -> Step {
        let now_ms = self.now_ms();
        if matches!(incoming, Some(Ok(_))) {
            self.admission.pulse.beat();
        }
        let actions = match incoming {
            Some(Ok(Message::Text(text))) => {
                self.app.metrics.messages_received.inc();
                self.session.handle_text(&text, now_ms, wall_ms())
            }
            Some(Ok(Message::Binary(_))) => self.session.handle_fault(&Refusal::Binary),
            // The codec hands no bare frames on.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.session.handle_control(now_ms);
                Vec::new()
            }
            Some(Ok(Message::Close(_))) => {
                // The codec has queued the answer; closing sends it.
                let _ = timeout(CLOSE_DEADLINE, self.socket.close()).await;
                return Err(Ended);
            }
            Some(Err(fault)) => match fault.refusal(self.app.rules.limits.max_message_bytes) {
                Some(refusal) => self.session.handle_fault(&refusal),
                None => return Err(Ended),
            },
            None => return Err(Ended),
        };
        self.perform(actions).await
    }

    async fn perform(&mut self, actions: Vec<Action>) -> Step {
        for action in actions {
            match action {
                Action::Send(message) => self.send(&message).await?,
                Action::Verify(message) => Box::pin(self.verify(message)).await?,
                Action::Follow(following) => self.follow(following).await?,
                Action::Unfollow(feed) => {
                    self.followed.retain(|followed| *followed != feed);
                    self.backlog.retain(|(queued, _)| *queued != feed);
                    self.app.hub.unfollow(feed, &self.outbox);
                }
                Action::Ping => self.write([Message::Ping(Bytes::new())]).await?,
                Action::Close(code, reason) => return Err(self.close(code, reason).await),
            }
        }
        Ok(())
    }

    async fn verify(&mut self, message: tidegate_protocol::Authenticate) -> Step {
        let replaces = message.session.as_deref().and_then(|session| session.parse().ok());
        self.app.tokens.fetch_missing_key(&message.token).await;
        let verdict = self.admission.admit(&self.app, &message.token, replaces).await;
        self.note_verdict(&verdict);
        let actions = self.session.handle_verified(Some(&message), verdict, self.now_ms(), wall_ms());
        self.perform(actions).await
    }

    /// The reply first, then (by the loop) what each feed has for this client, then what is live.
    async fn follow(&mut self, following: Following) -> Step {
        let mut recovered = Vec::with_capacity(following.feeds.len());
        for (feed, position) in &following.feeds {
            if !self.followed.contains(feed) {
                self.followed.push(*feed);
            }
            let backlog = self.app.hub.follow(*feed, *position, &self.outbox);
            if matches!(position, Position::Since(_)) {
                self.app.metrics.resumes.inc(if backlog.recovered { "recovered" } else { "lost" });
                // Asking again does not pile up.
                self.backlog.retain(|(queued, _)| queued != feed);
            }
            recovered.push(backlog.recovered);
            self.backlog.extend(backlog.frames.into_iter().map(|frame| (*feed, frame)));
        }
        let reply = self.session.subscribed(&following, &recovered);
        self.send(&reply).await
    }

    /// What the session does about a notice: all of them end it.
    fn heed(&mut self, notice: Notice) -> Vec<Action> {
        match notice {
            Notice::Replaced => self.session.handle_replaced(),
            Notice::Evicted => self.session.handle_evicted(),
            Notice::Revoked => self.session.handle_revoked(),
        }
    }

    fn note_verdict(&mut self, verdict: &Verified) {
        match verdict {
            Ok(identity) => {
                let user = masked(&identity.user_id);
                tracing::info!(session = %self.session.id(), user, "authenticated");
            }
            Err(refusal) => {
                self.app.metrics.authentication_failures.inc(refusal.label());
                tracing::warn!(session = %self.session.id(), code = %Refusal::code(refusal), "authentication refused");
            }
        }
        if let Some(permit) = &self.admission.permit {
            self.session.count_for_user(permit.window());
        }
    }

    /// The session's clock.
    fn now_ms(&self) -> u64 {
        self.app.now_ms()
    }
}

/// Also when its task panics: nobody goes on queueing for it.
impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        for feed in std::mem::take(&mut self.followed) {
            self.app.hub.unfollow(feed, &self.outbox);
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "cut_tests.rs"]
pub(super) mod cut_tests;
