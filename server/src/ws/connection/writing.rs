//! What a connection writes, and how long its peer may take over it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Sink, SinkExt, Stream};
use tidegate_protocol::{CloseCode, ErrorCode, ServerMessage};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{CLOSE_DEADLINE, Connection, Ended, Step};
use crate::ws::admission::Admission;
use crate::ws::fault::Faulty;
use crate::ws::session::Action;

/// Signals that are written at once. In between a connection hears what else happens to it.
const BATCH: usize = 8;
/// A connection that does not take one batch in this time is closed with 1013.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(10);

impl<S, E> Connection<S>
where
    S: Stream<Item = Result<Message, E>> + Sink<Message> + Unpin,
    E: Faulty,
{
    /// Writes one batch of what waits.
    pub(super) async fn deliver(&mut self) -> Step {
        if self.backlog.is_empty() { self.deliver_live().await } else { self.catch_up().await }
    }

    async fn catch_up(&mut self) -> Step {
        let batch: Vec<_> = self.backlog.drain(..self.backlog.len().min(BATCH)).collect();
        self.app.metrics.messages_sent.inc_by("signal", batch.len() as u64);
        self.write(batch.into_iter().map(|(_, frame)| Message::Text(frame))).await
    }

    async fn deliver_live(&mut self) -> Step {
        let mut written = Vec::new();
        let outbox = Arc::clone(&self.outbox);
        let next = || {
            let signal = outbox.pop()?;
            written.push((signal.feed.strategy, signal.published));
            Some(Message::Text(signal.frame))
        };
        self.write(std::iter::from_fn(next).take(BATCH)).await?;
        self.is_behind = written.len() == BATCH;
        let metrics = &self.app.metrics;
        written.iter().for_each(|(strategy, published)| metrics.delivered(*strategy, published.elapsed()));
        metrics.messages_sent.inc_by("signal", written.len() as u64);
        Ok(())
    }

    pub(super) async fn send(&mut self, message: &ServerMessage) -> Step {
        self.app.metrics.messages_sent.inc("message");
        if let ServerMessage::Error(error) = message {
            self.app.metrics.errors.inc(error.payload.code.as_str());
            if error.payload.code == ErrorCode::RateLimited {
                self.app.metrics.rate_limit_hits.inc();
            }
        }
        self.write([Message::Text(Utf8Bytes::from(message.to_json()))]).await
    }

    /// Writes some messages with one flush. Nothing is lost by the deadline: the client resumes by `since`. A peer that
    /// takes nothing does not keep the gateway from ending its session meanwhile.
    pub(super) async fn write(&mut self, messages: impl IntoIterator<Item = Message>) -> Step {
        let Admission { pulse, inbox, .. } = &mut self.admission;
        let (socket, mut took_some) = (&mut self.socket, false);
        let mut taken = || {
            took_some = true;
            pulse.beat();
        };
        let writing = async {
            for message in messages {
                room(socket.feed(message), &mut taken).await?;
            }
            room(socket.flush(), &mut taken).await
        };
        let written = tokio::select! {
            biased;
            written = timeout(WRITE_DEADLINE, writing) => written,
            Some(notice) = inbox.recv() => {
                let actions = self.heed(notice);
                return Err(self.end(actions).await);
            }
        };
        match written {
            Ok(Ok(())) => {
                let now_ms = self.now_ms();
                self.session.handle_sent(now_ms);
                if took_some {
                    self.session.handle_control(now_ms);
                }
                Ok(())
            }
            Ok(Err(_)) => Err(Ended),
            Err(_) => {
                self.app.metrics.slow_reader_closes.inc();
                let actions = self.session.handle_too_slow();
                Err(self.end(actions).await)
            }
        }
    }

    /// Closes as the session says, where nothing else can be written any more.
    pub(super) async fn end(&mut self, actions: Vec<Action>) -> Ended {
        match actions.into_iter().next() {
            Some(Action::Close(code, reason)) => self.close(code, reason).await,
            _ => Ended,
        }
    }

    /// Sends the close frame. What still comes is thrown away below, so that no reset overtakes the code.
    pub(super) async fn close(&mut self, code: CloseCode, reason: &'static str) -> Ended {
        tracing::info!(session = %self.session.id(), code = code.0, reason, "closing");
        self.app.metrics.closes.inc(code.0.to_string());
        self.admission.leash.closing();
        let frame = CloseFrame { code: code.0.into(), reason: Utf8Bytes::from_static(reason) };
        let socket = &mut self.socket;
        let _ = timeout(CLOSE_DEADLINE, socket.send(Message::Close(Some(frame)))).await;
        Ended
    }
}

/// Writes one thing. Where that had to wait until the peer took something, the peer is there: pings wait behind what
/// it has not taken yet.
async fn room<F: Future + Unpin>(mut write: F, taken: &mut impl FnMut()) -> F::Output {
    if let Some(written) = (&mut write).now_or_never() {
        return written;
    }
    let written = write.await;
    taken();
    written
}
