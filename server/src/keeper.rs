//! Keeps the history on disk while the gateway runs, and gives it back at the next start.
//!
//! What was published is the truth: what a start computes anew of the same instants is left out, so that clients that
//! come back find the chain that they know, whatever the computing knew less of. Only what was published after the
//! last snapshot is computed anew.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{HistoryConfig, MarketConfig};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::market::Choice;
use crate::snapshot::{Snapshot, Unusable, set_aside, with_ending};

/// How far a snapshot may be ahead of the market's clock: clocks are set, but not by much.
const AHEAD_MAX_MS: u64 = 60_000;

/// Writes the history of a hub to one file.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    market: String,
    hub: Arc<Hub>,
    every: Duration,
    /// Held as long as this gateway runs: another one would write the same file. None where the disk takes nothing,
    /// which the first save says.
    _lock: Option<File>,
    /// How much had been published when it was saved last.
    saved: Mutex<u64>,
}

impl Keeper {
    /// Gives the hub back what the file holds, if it holds anything of this market. None where nothing is kept: no
    /// file is configured, or the market is a replay, whose time begins anew with each start. Blocks.
    ///
    /// # Errors
    /// A file that can be neither read nor moved, or that another gateway keeps.
    pub(crate) fn open(
        history: &HistoryConfig,
        market: &MarketConfig,
        hub: &Arc<Hub>,
        now_ms: u64,
    ) -> Result<Option<Self>, Failure> {
        let Some(market) = identity(market) else { return Ok(None) };
        if history.file.as_os_str().is_empty() {
            return Ok(None);
        }
        let every = Duration::from_secs(history.save_seconds.into());
        let path = history.file.clone();
        let unusable = |error: &io::Error| unusable(&path, error);
        let lock = lock(&path).map_err(|error| unusable(&error))?;
        let keeper = Self {
            path: path.clone(),
            market,
            hub: Arc::clone(hub),
            every,
            _lock: lock,
            saved: Mutex::new(0),
        };
        keeper.restore(now_ms).map_err(|error| unusable(&error))?;
        Ok(Some(keeper))
    }

    /// Saves what is new, for as long as it is polled.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0_u32;
        loop {
            ticks.tick().await;
            match self.save().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    // A full disk is said seldom enough to leave room for others.
                    if failures.is_power_of_two() {
                        tracing::error!(
                            file = %self.path.display(), %error, failures,
                            "the history cannot be saved: clients may miss signals after a restart. Check the disk"
                        );
                    }
                }
            }
        }
    }

    /// Saves what is new, if anything is.
    ///
    /// # Errors
    /// What the file system says. What was saved before is still there.
    pub(crate) async fn save(&self) -> io::Result<()> {
        // Held meanwhile: two at once would write the same file.
        let mut saved = self.saved.lock().await;
        let published = self.hub.published();
        if published == *saved {
            return Ok(());
        }
        let snapshot = Snapshot { market: self.market.clone(), feeds: self.hub.histories() };
        let path = self.path.clone();
        let writing = tokio::task::spawn_blocking(move || snapshot.write(&path));
        let written = writing.await.expect("writing does not panic");
        let outcome = if written.is_ok() { "saved" } else { "failed" };
        self.hub.metrics().history_saves.inc(outcome);
        written?;
        *saved = published;
        Ok(())
    }

    fn restore(&self, now_ms: u64) -> io::Result<()> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let file = self.path.display();
        match Snapshot::read(&bytes) {
            Ok(snapshot) if snapshot.market != self.market => {
                let aside = set_aside(&self.path, "other-market")?;
                let (was, is) = (&snapshot.market, &self.market);
                tracing::warn!(
                    %file, %was, %is, aside = %aside.display(),
                    "the kept history is of another market: it was set aside, and a new one begins"
                );
            }
            Ok(snapshot) => self.give_back(snapshot, now_ms),
            Err(problem) => {
                let kind = if problem == Unusable::Version { "other-version" } else { "damaged" };
                let aside = set_aside(&self.path, kind)?;
                tracing::error!(
                    %file, %problem, aside = %aside.display(),
                    "the kept history cannot be used: it was set aside, and what the market does not tell is lost"
                );
            }
        }
        Ok(())
    }

    fn give_back(&self, snapshot: Snapshot, now_ms: u64) {
        let mut feeds = 0;
        for (feed, history) in snapshot.feeds {
            if history.known_until() > now_ms + AHEAD_MAX_MS {
                tracing::warn!(
                    %feed, until_ms = history.known_until(), now_ms,
                    "the kept history of this feed is ahead of the market's clock: it begins anew"
                );
            } else if self.hub.restore(feed, history) {
                feeds += 1;
            }
        }
        tracing::info!(feeds, "the history goes on from where it was saved");
    }
}

/// Keeps other gateways away from the file for as long as the answer is held. The lock is on a file beside it, because
/// the file itself is replaced with every save; it ends with the process, however that ends.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let beside = with_ending(path, "lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside);
    let Ok(file) = opened else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let (what, fix) = match error.kind() {
        io::ErrorKind::ResourceBusy => (
            "another gateway keeps its history in this file".to_owned(),
            "stop that one, or give each gateway a file of its own with history.file",
        ),
        _ => (
            format!("the history cannot be read or moved: {error}"),
            "give the gateway a folder that it may write to, with history.file, or leave it empty",
        ),
    };
    Failure::environment("TG-HIS-001", what, fix).at(path.display().to_string())
}

/// What a market's signals are computed from; none for a replay, whose time begins anew with each start.
fn identity(market: &MarketConfig) -> Option<String> {
    match Choice::parse(&market.source).ok()? {
        Choice::Simulator(seed) => Some(format!("sim:{seed}, speed {}", market.speed)),
        Choice::Binance(url) => Some(format!("binance at {}", url.as_deref().unwrap_or(&market.rest_url))),
        Choice::Replay(_) => None,
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
