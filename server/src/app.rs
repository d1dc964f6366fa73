//! The handles that every request may use.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::auth::challenge::Challenges;
use crate::auth::origin::Origins;
use crate::auth::token::Tokens;
use crate::config::Config;
use crate::hub::Hub;
use crate::pipeline::Markets;
use crate::ws::followed::Rules;
use crate::ws::permits::Permits;

/// Everything that requests share. One per gateway, behind an `Arc`.
#[derive(Debug)]
pub struct App {
    /// The settings, checked.
    pub config: Config,
    /// What a session needs to know.
    pub rules: Arc<Rules>,
    /// Makes and checks access tokens.
    pub tokens: Tokens,
    /// Challenges that wallets are to answer.
    pub challenges: Challenges,
    /// Pages that may connect.
    pub origins: Origins,
    /// Connections per user.
    pub permits: Permits,
    /// Connections of this node: each holds one permit.
    pub connections: Arc<Semaphore>,
    /// Feeds and who follows them.
    pub hub: Arc<Hub>,
    /// The latest of every market.
    pub markets: Arc<Markets>,
    /// Turns true when the gateway stops.
    pub stopping: watch::Receiver<bool>,
}
