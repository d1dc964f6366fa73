//! The one enum of states. Each variant holds only what is true in it, so a deadline of a live connection
//! cannot fire without one.

use alloc::boxed::Box;
use tidegate_protocol::Limits;

use crate::pacing::Pacing;
use crate::{Block, SocketId, State};

/// A time that does not come. A number rather than `None`, because the earliest of many times is wanted after
/// every step.
pub(crate) const NEVER: u64 = u64::MAX;
/// Added to the server's heartbeat before its silence means anything, in milliseconds.
const SILENCE_SLACK_MS: u64 = 5_000;
/// A timer that fires this much too late means that the machine slept, in milliseconds.
pub(crate) const LATE_MS: u64 = 2_000;
/// What a deadline that passed in sleep is extended by, once, in milliseconds: what arrived meanwhile is
/// still on its way to us.
pub(crate) const WAKE_MS: u64 = 3_000;

/// Where the machine is, with what it needs there.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Idle,
    Waiting {
        until_ms: u64,
    },
    Offline,
    /// Waits for the request that `Tokens` has under way.
    Token,
    Dialing {
        socket: SocketId,
        until: Deadline,
    },
    Authenticating {
        socket: SocketId,
        until: Deadline,
        sent_ms: u64,
    },
    Live(Box<Live>),
    Frozen,
    Blocked(Block),
}

impl Phase {
    pub(crate) fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Dialing { socket, .. } | Self::Authenticating { socket, .. } => Some(*socket),
            Self::Live(live) => Some(live.socket),
            _ => None,
        }
    }

    pub(crate) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            _ => None,
        }
    }

    pub(crate) fn live_mut(&mut self) -> Option<&mut Live> {
        match self {
            Self::Live(live) => Some(live),
            _ => None,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self::Idle => State::Idle,
            Self::Waiting { .. } => State::Waiting,
            Self::Offline => State::Offline,
            Self::Token => State::Token,
            Self::Dialing { .. } => State::Dialing,
            Self::Authenticating { .. } => State::Authenticating,
            Self::Live(_) => State::Live,
            Self::Frozen => State::Frozen,
            Self::Blocked(block) => State::Blocked(*block),
        }
    }

    /// When something is due here, if nothing happens before.
    pub(crate) fn deadline_ms(&self) -> u64 {
        match self {
            Self::Waiting { until_ms } => *until_ms,
            Self::Dialing { until, .. } | Self::Authenticating { until, .. } => until.at_ms,
            Self::Live(live) => live.liveness_at_ms(),
            _ => NEVER,
        }
    }
}

/// A connection that is up.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) socket: SocketId,
    pub(crate) since_ms: u64,
    /// When the last frame came, of whatever kind.
    pub(crate) heard_ms: u64,
    /// Silence that is not normal any more.
    silence_ms: u64,
    /// The server has been asked whether it is there, and has to show itself until then.
    pub(crate) probe: Option<Deadline>,
    /// The last ping, and when it was sent: to measure the round trip.
    pub(crate) ping: Option<(u64, u64)>,
    /// No ping is allowed before, because the message allowance is used up.
    pub(crate) ping_blocked_until_ms: u64,
    pub(crate) pacing: Pacing,
}

impl Live {
    pub(crate) fn new(socket: SocketId, now_ms: u64, heartbeat_seconds: u32, limits: Limits) -> Self {
        Self {
            socket,
            since_ms: now_ms,
            heard_ms: now_ms,
            silence_ms: u64::from(heartbeat_seconds) * 1_000 + SILENCE_SLACK_MS,
            probe: None,
            ping: None,
            ping_blocked_until_ms: 0,
            pacing: Pacing::new(limits),
        }
    }

    pub(crate) fn lived_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.since_ms)
    }

    /// A frame came. Returns whether that answers a probe.
    pub(crate) fn heard(&mut self, now_ms: u64) -> bool {
        self.heard_ms = now_ms;
        self.probe.take().is_some()
    }

    /// When to ask whether the server is there, or to stop waiting for the answer.
    pub(crate) fn liveness_at_ms(&self) -> u64 {
        match self.probe {
            Some(probe) => probe.at_ms,
            None => (self.heard_ms + self.silence_ms).max(self.ping_blocked_until_ms),
        }
    }
}

/// A time until which something has to happen. Sleep extends it once: whoever slept twice may as well begin
/// again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at_ms: u64,
    extended: bool,
}

/// How a deadline stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    NotYet,
    /// It passed while the machine slept, and is later now.
    Extended,
    Over,
}

impl Deadline {
    pub(crate) fn new(at_ms: u64) -> Self {
        Self { at_ms, extended: false }
    }

    /// How the deadline stands at `now_ms`; `late`: the timer fired much too late.
    pub(crate) fn check(&mut self, now_ms: u64, late: bool) -> Due {
        if now_ms < self.at_ms {
            return Due::NotYet;
        }
        if !late || self.extended {
            return Due::Over;
        }
        *self = Self { at_ms: now_ms + WAKE_MS, extended: true };
        Due::Extended
    }
}
