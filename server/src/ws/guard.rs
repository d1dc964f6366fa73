//! What stands between a socket and the WebSocket codec: counts what a client sends before the codec sees it.
//!
//! The codec knows one message at a time. What it never shows anybody (continuation frames without content, pings, a
//! message that does not end) costs the gateway time and memory all the same, and is bounded here. Who sends faster
//! than its messages may come is read more slowly. What is too much ends in an error that names the limit; the way
//! out stays open for the close code.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::frames::Frames;
use crate::transport::Wire;

/// What a client may send before it has signed in: a token is at most half of it.
pub const UNAUTHENTICATED_MAX_BYTES: u32 = 8 * 1_024;
/// A message that has begun has to end within this time.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);
/// What a frame costs beside its bytes: the work of taking it apart.
const FRAME_COST: u64 = 64;
/// Pings, pongs and closes that a client may send before it has signed in.
pub const UNAUTHENTICATED_CONTROL_FRAMES: u32 = 10;
/// Pings, pongs and closes that a client may send in a minute. Two answers to our own pings are among them.
pub const CONTROL_FRAMES_PER_MINUTE: u32 = 120;
const MINUTE: Duration = Duration::from_secs(60);
/// Largest messages that are read at once; beyond them a client is read as fast as its messages may come.
const BURST_MESSAGES: u32 = 2;

/// What a client may send once it has signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes in a minute: more are read later.
    pub bytes_per_minute: u64,
    /// Bytes that are read without a pause.
    pub bytes_at_once: u64,
    /// Control frames in a minute, and at once: more are an error.
    pub control_frames_per_minute: u32,
}

impl Allowance {
    /// As much as the limits of messages allow.
    #[must_use]
    pub fn of_messages(messages_per_minute: u32, max_message_bytes: u32) -> Self {
        let message = u64::from(max_message_bytes) + FRAME_COST;
        Self {
            bytes_per_minute: u64::from(messages_per_minute) * message,
            bytes_at_once: u64::from(BURST_MESSAGES) * message,
            control_frames_per_minute: CONTROL_FRAMES_PER_MINUTE,
        }
    }
}

/// What the connection tells its guard.
#[derive(Debug, Default)]
pub struct Leash {
    authenticated: AtomicBool,
    closing: AtomicBool,
}

impl Leash {
    /// Somebody has signed in: the wider limits hold from now on.
    pub fn authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
    }

    /// What is written from now on are the last words, which must not wait for the reader.
    pub fn closing(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

/// Why a guard lets nothing more through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tripped {
    /// More than [`UNAUTHENTICATED_MAX_BYTES`] before anybody signed in.
    #[error("too many bytes before authentication")]
    Unauthenticated,
    /// Too many pings or pongs.
    #[error("too many control frames")]
    ControlFrames,
    /// A message that did not end within [`MESSAGE_DEADLINE`].
    #[error("a message that does not end")]
    Unfinished,
}

impl Tripped {
    /// The limit behind an error of the codec, if it is one of these.
    #[must_use]
    pub fn behind(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// A socket whose input is counted.
#[derive(Debug)]
pub struct Guard<T = Wire> {
    io: T,
    /// What came in the same segment as the handshake.
    early: Bytes,
    frames: Frames,
    budget: Budget,
    unfinished_since: Option<Instant>,
    paused_until: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
    tripped: Option<Tripped>,
    has_room: bool,
    leash: Arc<Leash>,
}

/// What is left of an allowance.
#[derive(Debug)]
struct Budget {
    bytes: Meter,
    control_frames: Meter,
    unauthenticated_bytes: u64,
    unauthenticated_control_frames: u32,
}

/// Units that become free again at a steady pace.
#[derive(Debug)]
struct Meter {
    each: Duration,
    burst: Duration,
    /// When all that was spent will be free again.
    free_at: Instant,
}

/// Where the last words of a connection find room.
pub trait Roomy {
    /// See [`crate::transport::Transport::make_room`].
    fn make_room(&self);
}

impl Roomy for Wire {
    fn make_room(&self) {
        Self::make_room(self);
    }
}

impl<T> Guard<T> {
    /// Guards a socket that has just been upgraded.
    pub fn new(io: T, early: Bytes, allowance: Allowance, leash: Arc<Leash>) -> Self {
        let budget = Budget::new(allowance);
        Self {
            io,
            early,
            frames: Frames::default(),
            budget,
            unfinished_since: None,
            paused_until: None,
            alarm: None,
            tripped: None,
            has_room: false,
            leash,
        }
    }

    fn count(&mut self, bytes: &[u8]) -> Result<(), Tripped> {
        let seen = self.frames.read(bytes);
        if !self.frames.is_unfinished() {
            self.unfinished_since = None;
        } else if seen.finished || self.unfinished_since.is_none() {
            self.unfinished_since = Some(Instant::now());
        }
        let cost = bytes.len() as u64 + u64::from(seen.frames) * FRAME_COST;
        let authenticated = self.leash.authenticated.load(Ordering::Relaxed);
        self.paused_until = self.budget.spend(cost, seen.control_frames, authenticated)?;
        Ok(())
    }

    fn is_overdue(&self) -> bool {
        self.unfinished_since.is_some_and(|since| since.elapsed() >= MESSAGE_DEADLINE)
    }

    /// Sleeps until the message that has begun should have ended, or reading may go on: true if it may.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let overdue_at = self.unfinished_since.map(|since| since + MESSAGE_DEADLINE);
        let Some(at) = [overdue_at, self.paused_until].into_iter().flatten().min() else {
            self.alarm = None;
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(overdue_at != Some(at))
    }

    fn trip(&mut self, tripped: Tripped) -> io::Error {
        self.tripped = Some(tripped);
        io::Error::other(tripped)
    }
}

impl Budget {
    fn new(allowance: Allowance) -> Self {
        let Allowance { bytes_per_minute, bytes_at_once, control_frames_per_minute } = allowance;
        let control_frames = u64::from(control_frames_per_minute);
        Self {
            bytes: Meter::new(bytes_per_minute, bytes_at_once),
            control_frames: Meter::new(control_frames, control_frames),
            unauthenticated_bytes: u64::from(UNAUTHENTICATED_MAX_BYTES),
            unauthenticated_control_frames: UNAUTHENTICATED_CONTROL_FRAMES,
        }
    }

    /// Says until when nothing more is to be read, if there is such a time.
    fn spend(
        &mut self,
        cost: u64,
        control_frames: u32,
        authenticated: bool,
    ) -> Result<Option<Instant>, Tripped> {
        if !authenticated {
            let left = self.unauthenticated_control_frames.checked_sub(control_frames);
            self.unauthenticated_control_frames = left.ok_or(Tripped::ControlFrames)?;
            let left = self.unauthenticated_bytes.checked_sub(cost);
            self.unauthenticated_bytes = left.ok_or(Tripped::Unauthenticated)?;
        }
        if control_frames > 0 && self.control_frames.spend(control_frames.into()).is_some() {
            return Err(Tripped::ControlFrames);
        }
        Ok(self.bytes.spend(cost))
    }
}

impl Meter {
    fn new(per_minute: u64, at_once: u64) -> Self {
        let each = MINUTE.as_nanos() / u128::from(per_minute.max(1));
        let each = Duration::from_nanos(u64::try_from(each).expect("a minute has less nanoseconds").max(1));
        let burst = each.saturating_mul(u32::try_from(at_once).unwrap_or(u32::MAX));
        Self { each, burst, free_at: Instant::now() }
    }

    /// Spends, also what is not there; says when there is something again.
    fn spend(&mut self, units: u64) -> Option<Instant> {
        let now = Instant::now();
        let spent = self.each.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX));
        self.free_at = self.free_at.max(now) + spent;
        let again = self.free_at - self.burst;
        (again > now).then_some(again)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        if let Some(tripped) = guard.tripped {
            return Poll::Ready(Err(io::Error::other(tripped)));
        }
        if guard.paused_until.is_some() {
            if !ready!(guard.poll_alarm(context)) {
                return Poll::Ready(Err(guard.trip(Tripped::Unfinished)));
            }
            guard.paused_until = None;
        }
        let before = buffer.filled().len();
        if !guard.early.is_empty() {
            let taken = guard.early.split_to(guard.early.len().min(buffer.remaining()));
            buffer.put_slice(&taken);
        } else if let Poll::Ready(read) = Pin::new(&mut guard.io).poll_read(context, buffer) {
            read?;
        } else {
            ready!(guard.poll_alarm(context));
            return Poll::Ready(Err(guard.trip(Tripped::Unfinished)));
        }
        match guard.count(&buffer.filled()[before..]) {
            Ok(()) if guard.is_overdue() => Poll::Ready(Err(guard.trip(Tripped::Unfinished))),
            Ok(()) => Poll::Ready(Ok(())),
            Err(tripped) => Poll::Ready(Err(guard.trip(tripped))),
        }
    }
}

impl<T: AsyncWrite + Roomy + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        if written.is_ready() || self.has_room || !self.leash.closing.load(Ordering::Relaxed) {
            return written;
        }
        self.has_room = true;
        self.io.make_room();
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
