//! The audit log: who signed in, connected or was turned away, one JSON object a line, each bound to the one before.
//!
//! It holds whole addresses and is for the operator alone; tokens, signatures and cookies have no place in it. It
//! shows that lines were changed, removed or put in between, except by somebody who can write the file and computes
//! every hash after the change anew: who needs more notes down the last hash elsewhere.

mod chain;
mod rows;
mod since;
mod summary;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub(crate) use self::chain::next_line;
pub use self::chain::{BrokenLink, Chain, Line, verify};
pub use self::rows::{RowSender, Rows};
pub use self::since::Since;
pub use self::summary::{Summary, Told};
use self::writer::{Request, Writer};
use crate::clock::wall_ms;

/// Events that wait for the disk. More than that are counted as lost.
const QUEUE_MAX: usize = 4_096;
/// Longest user agent that is kept, in characters.
const USER_AGENT_MAX_CHARACTERS: usize = 200;
/// Longest detail that is kept, in characters.
const DETAIL_MAX_CHARACTERS: usize = 500;
/// Longest user that is kept, in characters: an address has 42.
const USER_MAX_CHARACTERS: usize = 100;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A wallet answered its challenge and got tokens.
    SignIn,
    /// A challenge was not given out, or its answer refused.
    SignInRefused,
    /// A token was not accepted.
    TokenRefused,
    /// A connection was authenticated.
    Connected,
    /// A connection was turned away.
    ConnectionRefused,
    /// A refresh token was exchanged.
    Refresh,
    /// A refresh token was used again: its family is revoked.
    RefreshReused,
    /// A user ended a session.
    Logout,
    /// A session was ended: by its user, by an administrator, or because its refresh token was used again.
    Revoked,
    /// An administrator gave a user other roles.
    RolesChanged,
    /// An administrator keeps a user out.
    UserDisabled,
    /// An administrator lets a user in again.
    UserEnabled,
    /// Somebody tried what their roles do not allow.
    Forbidden,
    /// A page that is not allowed tried to connect.
    OriginRefused,
    /// The configuration was read or changed.
    Config,
    /// The log was opened.
    Opened,
    /// The end of the log could not be read and was set aside.
    Damaged,
    /// Events could not be written.
    Lost,
}

/// How much attention an event deserves, from the least to the most.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everyday.
    Info,
    /// Worth knowing.
    Notice,
    /// Maybe an attack.
    Warning,
    /// Somebody should look now.
    Alert,
}

/// Whether it was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was.
    Ok,
    /// It was refused.
    Refused,
}

/// What a sign-in is worth when it cannot be written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It goes on; what is lost is counted and warned about.
    #[default]
    FailOpen,
    /// It is refused.
    FailClosed,
}

/// Something to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    kind: EventKind,
    level: Level,
    outcome: Outcome,
    user: Option<String>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    detail: Option<String>,
}

impl EventKind {
    /// Its name in the log, for example `sign_in_refused`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignInRefused => "sign_in_refused",
            Self::TokenRefused => "token_refused",
            Self::Connected => "connected",
            Self::ConnectionRefused => "connection_refused",
            Self::Refresh => "refresh",
            Self::RefreshReused => "refresh_reused",
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::RolesChanged => "roles_changed",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::Forbidden => "forbidden",
            Self::OriginRefused => "origin_refused",
            Self::Config => "config",
            Self::Opened => "opened",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
        }
    }

    fn level(self) -> Level {
        match self {
            Self::SignIn | Self::Connected | Self::Refresh | Self::Logout | Self::Opened => Level::Info,
            Self::TokenRefused
            | Self::ConnectionRefused
            | Self::Revoked
            | Self::RolesChanged
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::Config => Level::Notice,
            Self::SignInRefused | Self::OriginRefused | Self::Forbidden => Level::Warning,
            Self::RefreshReused | Self::Damaged | Self::Lost => Level::Alert,
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::SignInRefused
            | Self::TokenRefused
            | Self::ConnectionRefused
            | Self::RefreshReused
            | Self::OriginRefused
            | Self::Forbidden => Outcome::Refused,
            _ => Outcome::Ok,
        }
    }
}

impl Level {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Info, Self::Notice, Self::Warning, Self::Alert];

    /// Its name in the log, for example `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Alert => "alert",
        }
    }
}

impl Outcome {
    /// Its name in the log, for example `refused`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
        }
    }
}

impl Event {
    /// An event with the level and the outcome that its kind usually has.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        let (level, outcome) = (kind.level(), kind.outcome());
        Self { kind, level, outcome, user: None, ip: None, user_agent: None, detail: None }
    }

    /// With another level.
    #[must_use]
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// With another outcome.
    #[must_use]
    pub fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// Of this user (at most 100 characters are kept).
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        Self { user: Some(first(user, USER_MAX_CHARACTERS)), ..self }
    }

    /// From this address.
    #[must_use]
    pub fn ip(self, ip: IpAddr) -> Self {
        Self { ip: Some(ip.to_canonical()), ..self }
    }

    /// With this program (at most 200 characters are kept).
    #[must_use]
    pub fn user_agent(self, user_agent: &str) -> Self {
        Self { user_agent: Some(first(user_agent, USER_AGENT_MAX_CHARACTERS)), ..self }
    }

    /// What else there is to say (at most 500 characters are kept).
    #[must_use]
    pub fn detail(self, detail: &str) -> Self {
        Self { detail: Some(first(detail, DETAIL_MAX_CHARACTERS)), ..self }
    }
}

fn first(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Writes events down, on a thread of its own. Clones write to the same log; the last one to be dropped waits until
/// everything is written.
#[derive(Clone, Debug)]
pub struct Audit {
    /// None: there is no log.
    log: Option<Arc<Log>>,
    policy: Policy,
}

/// The event could not be written down, and the policy is [`Policy::FailClosed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct NotWritten;

#[derive(Debug)]
struct Log {
    /// Taken when the log is closed.
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// No log: every event is forgotten.
    #[must_use]
    pub fn off() -> Self {
        Self { log: None, policy: Policy::FailOpen }
    }

    /// Opens the log at `path`, or begins one there, readable for its owner only. An empty path is [`Audit::off`].
    /// A last line that cannot be read, for example after a power failure, is put into a file beside it.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that another process writes.
    pub fn open(path: &Path, policy: Policy) -> io::Result<Self> {
        if path.as_os_str().is_empty() {
            return Ok(Self::off());
        }
        Self::start(Writer::open(path, None, wall_ms())?, policy)
    }

    /// The same, with a copy of every line for the store. With an empty path there is the copy alone.
    ///
    /// # Errors
    /// As [`Audit::open`].
    pub fn open_with_rows(path: &Path, policy: Policy, rows: RowSender) -> io::Result<Self> {
        Self::start(Writer::open(path, Some(rows), wall_ms())?, policy)
    }

    fn start(writer: Writer, policy: Policy) -> io::Result<Self> {
        let lost = writer.lost();
        let (requests, waiting) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&waiting))?;
        let log = Log { requests: Some(requests), thread: Some(thread), lost };
        Ok(Self { log: Some(Arc::new(log)), policy })
    }

    /// Writes an event down soon. Never waits; an event for which there is no room is counted as lost. More than ten
    /// equal events within ten seconds become one line.
    pub fn record(&self, event: Event) {
        if let Some(log) = &self.log {
            log.send(Request { event, time_ms: wall_ms(), written: None });
        }
    }

    /// Writes an event down that something depends on, such as a sign-in; never summarised. Under
    /// [`Policy::FailClosed`] it waits until the line is on the disk, under [`Policy::FailOpen`] it does not.
    ///
    /// # Errors
    /// [`NotWritten`], under [`Policy::FailClosed`] only.
    pub async fn require(&self, event: Event) -> Result<(), NotWritten> {
        let Some(log) = &self.log else { return Ok(()) };
        let (written, answer) = oneshot::channel();
        let sent = log.send(Request { event, time_ms: wall_ms(), written: Some(written) });
        match self.policy {
            Policy::FailOpen => Ok(()),
            Policy::FailClosed if sent && answer.await == Ok(true) => Ok(()),
            Policy::FailClosed => Err(NotWritten),
        }
    }

    /// Events that were lost since the log was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.lost.load(Ordering::Relaxed))
    }
}

impl Log {
    fn send(&self, request: Request) -> bool {
        let sent = self.requests.as_ref().is_some_and(|requests| requests.try_send(request).is_ok());
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The thread ends when nobody can send to it any more.
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
