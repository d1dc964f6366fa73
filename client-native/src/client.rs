//! The handle that a program holds. All state is in the driver's task.

use std::hash::{BuildHasher, Hasher, RandomState};

use tidegate_client_core::{Block, State, Status, Warning};
use tidegate_protocol::Feed;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::driver::{Command, Driver};
use crate::{Dial, InvalidUrl, Options, Subscription, Tcp};

/// A connection to a server, and the feeds that are followed over it. Clones share it; it ends with
/// [`Client::close`], or when the last clone and the last [`Subscription`] are gone.
#[derive(Clone, Debug)]
pub struct Client {
    /// Unbounded, but each command stands for a call or for a subscription that a program still holds.
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<Status>,
    warnings: broadcast::Sender<Warning>,
}

/// The client is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is closed: connect a new one")]
pub struct Closed;

/// Why a client is not live, and will not be by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLive {
    /// Trying again cannot help.
    #[error("the client is blocked ({}): {}", .0.as_str(), next_step(*.0))]
    Blocked(Block),
    /// The client was closed.
    #[error("the client is closed: connect a new one")]
    Closed,
}

impl Client {
    /// Connects, and stays connected. Returns at once: see [`Client::live`]. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// The URL is not one of a WebSocket server. Everything that can go wrong later shows in the status.
    pub fn connect(options: Options) -> Result<Self, InvalidUrl> {
        Self::connect_with(options, Tcp)
    }

    /// As [`Client::connect`], over something else than TCP.
    ///
    /// # Errors
    /// The URL is not one of a WebSocket server.
    pub fn connect_with<D: Dial>(options: Options, dial: D) -> Result<Self, InvalidUrl> {
        let request = options.request()?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let core = tidegate_client_core::Options {
            linger_ms: u64::try_from(options.linger.as_millis()).unwrap_or(u64::MAX),
            ..tidegate_client_core::Options::new(seed())
        };
        let driver = Driver::new(core, options, request, dial, receiver);
        let (status, warnings) = (driver.status(), driver.warnings());
        tokio::spawn(driver.run());
        Ok(Self { commands, status, warnings })
    }

    /// Follows a feed until the subscription is dropped. If this client follows it already, the latest signal
    /// comes at once.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn subscribe(&self, feed: Feed) -> Result<Subscription, Closed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Subscribe { feed, reply }).map_err(|_| Closed)?;
        let (first, updates) = answer.await.map_err(|_| Closed)?;
        Ok(Subscription::new(feed, first, updates, self.commands.clone()))
    }

    /// How the connection stands, now and whenever that changes. Times in it are in milliseconds since the
    /// client was made.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What goes wrong from now on, at most the last 32.
    #[must_use]
    pub fn warnings(&self) -> broadcast::Receiver<Warning> {
        self.warnings.subscribe()
    }

    /// Waits until the client is connected.
    ///
    /// # Errors
    /// Why it will not be by itself.
    pub async fn live(&self) -> Result<Status, NotLive> {
        let settled = |status: &Status| matches!(status.state, State::Live | State::Blocked(_));
        let mut status = self.status.clone();
        let status = *status.wait_for(settled).await.map_err(|_| NotLive::Closed)?;
        match status.state {
            State::Blocked(block) => Err(NotLive::Blocked(block)),
            _ => Ok(status),
        }
    }

    /// Tries again now: skips a wait, and leaves a block.
    pub fn reconnect(&self) {
        let _ = self.commands.send(Command::Reconnect);
    }

    /// The token source has a new token, because somebody signed in again.
    pub fn new_token(&self) {
        let _ = self.commands.send(Command::NewToken);
    }

    /// The last 200 inputs and actions of the state machine, for a bug report; secrets are masked.
    ///
    /// # Errors
    /// The client is closed.
    pub async fn debug_report(&self) -> Result<String, Closed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Report(reply)).map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Says goodbye to the server, and waits until it has heard it, or for a second. All subscriptions of all
    /// clones end.
    pub async fn close(self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Close(reply)).is_ok() {
            // An error means that the driver is gone already, which is what was wanted.
            let _ = answer.await;
        }
    }
}

/// What somebody can do about a block.
fn next_step(block: Block) -> &'static str {
    match block {
        Block::TokenDenied | Block::TokenRefused => "get a new token, then call `Client::new_token`",
        Block::Stopped(_) => "trying again cannot help; ask the operator of the server",
        Block::Replaced => "another connection took its place; call `Client::reconnect` to take it back",
    }
}

/// A seed that differs between clients and between runs: the standard library seeds its hash maps from the
/// system's generator.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
