//! The Tidegate gateway: signs wallets in, enforces every limit, and pushes strategy signals computed from
//! market data.
//!
//! [`run`] is the whole gateway; the binary adds arguments and signals, tests add a port of their own.

pub mod app;
pub mod audit;
pub mod auth;
pub mod candles;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboard;
pub mod failure;
mod history;
pub mod http;
pub mod hub;
mod keeper;
pub mod market;
pub mod memory;
pub mod metrics;
pub mod ops;
mod outbound;
pub mod outcomes;
pub mod pipeline;
pub mod refusal;
pub mod router;
mod snapshot;
pub mod store;
pub mod transport;
mod upkeep;
mod watchdog;
pub mod ws;

#[cfg(test)]
#[expect(unreachable_pub, reason = "shared with the integration tests")]
#[path = "../tests/support/wallet.rs"]
mod testing;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidegate_protocol::{Feed, Strategy, Symbol};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::App;
use crate::audit::{Audit, Rows};
use crate::auth::challenge::Challenges;
use crate::auth::origin::Origins;
use crate::auth::revocation::Revocations;
use crate::auth::token::Tokens;
use crate::config::{Config, Secret};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::keeper::Keeper;
use crate::market::Opened;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::pipeline::{Markets, Pipeline};
use crate::transport::{Front, Listener, Visitors};
use crate::ws::followed::Rules;
use crate::ws::permits::Permits;

/// A stopping gateway waits this long for its connections to leave.
const DRAIN: Duration = Duration::from_secs(8);
/// And this long for the last audit events to reach the store.
const LAST_ROWS: Duration = Duration::from_secs(1);

/// Runs the gateway on `listener` until `shutdown` completes, then asks every connection to leave.
///
/// # Errors
/// A configuration that cannot be used, or a market that cannot be opened.
pub async fn run(
    config: Config,
    listener: impl Listener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    Gateway::open(config).await?.serve(listener, shutdown).await
}

/// A gateway whose market is open and whose strategies are ready, so that it can say what it offers.
#[derive(Debug)]
pub struct Gateway {
    app: Arc<App>,
    pipelines: Vec<Pipeline>,
    keeper: Option<Arc<Keeper>>,
    ops: Option<TcpListener>,
    rows: Rows,
    stop: watch::Sender<bool>,
}

impl Gateway {
    /// Opens the market and computes the signals of the last hours.
    ///
    /// # Errors
    /// A configuration that cannot be used, or a market that cannot be opened.
    pub async fn open(config: Config) -> Result<Self, Failure> {
        config.check()?;
        let opened = open_market(&config).await?;
        let (stop, stopping) = watch::channel(false);
        let (app, pipelines, keeper, rows) = build(config, opened, stopping).await?;
        upkeep::recall(&app).await?;
        Ok(Self { app, pipelines, keeper, ops: None, rows, stop })
    }

    /// The same, with a listener for operators: health, readiness, metrics.
    #[must_use]
    pub fn with_ops(mut self, listener: TcpListener) -> Self {
        self.ops = Some(listener);
        self
    }

    /// The markets that it has feeds of.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.app.rules.symbols
    }

    /// Where its market data comes from, in words.
    #[must_use]
    pub fn market(&self) -> &str {
        &self.app.markets.description
    }

    /// Serves until `shutdown` completes, then asks every connection to leave.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub async fn serve(
        self,
        listener: impl Listener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Failure> {
        let Self { app, pipelines, keeper, ops, rows, stop } = self;
        let mut tasks = JoinSet::new();
        for pipeline in pipelines {
            tasks.spawn(pipeline.run());
        }
        if let Some(keeper) = keeper.clone() {
            tasks.spawn(async move { keeper.run().await });
        }
        if let Some(listener) = ops {
            tasks.spawn(ops::serve(listener, Arc::clone(&app)));
        }
        watchdog::watch(&app.metrics);
        let issuers = Arc::clone(&app);
        tasks.spawn(async move { issuers.tokens.keep_keys_current().await });
        tasks.spawn(upkeep::run(Arc::clone(&app)));
        let memory = Arc::clone(&app);
        tasks.spawn(async move { memory.memory.watch().await });
        let rows = tokio::spawn(rows.keep(Arc::clone(&app.store)));
        let router = router::router(Arc::clone(&app));
        let front = Front::new(
            &app.config,
            router,
            app.visitors.clone(),
            Arc::clone(&app.metrics),
            app.stopping.clone(),
        )?;
        let front = Arc::new(front);
        tracing::info!("ready");
        let accepting = tokio::spawn(Arc::clone(&front).serve(listener));
        shutdown.await;
        tracing::info!("stopping: connections are asked to leave");
        let _ = stop.send(true);
        // The port is free for the next one from here on.
        let _ = accepting.await;
        let _ = tokio::time::timeout(DRAIN, front.emptied()).await;
        // It holds the app, and with it the audit log.
        drop(front);
        if let Some(keeper) = keeper
            && let Err(error) = keeper.save().await
        {
            tracing::error!(%error, "the history could not be saved at the end. Check the disk");
        }
        // Not before: it may just be saving. They are also the last holders of the audit log, whose rows end with it.
        drop((tasks, app));
        let _ = tokio::time::timeout(LAST_ROWS, rows).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Opening reads files and computes candles: not on a thread that serves sockets.
async fn open_market(config: &Config) -> Result<Opened, Failure> {
    let market = config.market.clone();
    tokio::task::spawn_blocking(move || market::open(&market)).await.expect("opening a market does not panic")
}

async fn build(
    mut config: Config,
    opened: Opened,
    stopping: watch::Receiver<bool>,
) -> Result<(Arc<App>, Vec<Pipeline>, Option<Arc<Keeper>>, Rows), Failure> {
    if !config.auth.can_sign() {
        tracing::warn!(
            "no jwt secret is configured: tokens are signed with a random one and end with this run"
        );
        config.auth.jwt_secret = Secret::random();
    }
    let symbols: Vec<Symbol> = opened.sources.iter().map(|source| source.symbol).collect();
    let feeds = symbols.iter().flat_map(|&symbol| Strategy::ALL.map(|strategy| Feed { symbol, strategy }));
    let metrics = Arc::<Metrics>::default();
    let hub = Arc::new(Hub::counted_by(feeds, Arc::clone(&metrics)));
    let markets = Arc::new(Markets::new(opened.description, &symbols));
    for symbol in config.symbol.keys().filter(|symbol| !symbols.contains(symbol)) {
        tracing::warn!(%symbol, "there are settings for a market that is not tracked");
    }
    let clock = opened.clock;
    let keeper = {
        let (history, market, hub) = (config.history.clone(), config.market.clone(), Arc::clone(&hub));
        let now_ms = u64::try_from(clock.now_ms()).unwrap_or(0);
        let opening = tokio::task::spawn_blocking(move || Keeper::open(&history, &market, &hub, now_ms));
        opening.await.expect("reading a history does not panic")?.map(Arc::new)
    };
    let parameters =
        symbols.iter().map(|symbol| config.parameters(Some(*symbol))).collect::<Result<Vec<_>, _>>()?;
    let pipelines = {
        let (hub, markets) = (Arc::clone(&hub), Arc::clone(&markets));
        let sources = opened.sources.into_iter().zip(parameters);
        tokio::task::spawn_blocking(move || {
            let make = |(source, parameters)| {
                Pipeline::new(source, parameters, clock, Arc::clone(&hub), Arc::clone(&markets))
            };
            sources.map(make).collect::<Result<Vec<_>, _>>()
        })
        .await
        .expect("warming up does not panic")
        .map_err(|error| Failure::configuration("TG-CFG-007", error.to_string(), "correct the setting"))?
    };
    let auth = &config.auth;
    let (row_sender, rows) = Rows::new();
    let audit =
        Audit::open_with_rows(&config.audit.file, config.audit.policy, row_sender).map_err(|error| {
            Failure::environment(
                "TG-AUD-001",
                format!("the audit log cannot be opened: {error}"),
                "check audit.file and its permissions; another gateway may be writing it",
            )
            .at(config.audit.file.display().to_string())
        })?;
    let store = store::open(&config.store).await?;
    let app = App {
        rules: Arc::new(Rules {
            limits: config.limits.announced(),
            permissions: config.permissions.clone(),
            auth_timeout_seconds: config.limits.auth_timeout_seconds,
            symbols,
            interval_ms: Strategy::ALL
                .map(|strategy| (strategy, clock.wall_interval_ms(strategy.interval_ms())))
                .into(),
        }),
        tokens: Tokens::open(auth)?,
        challenges: Challenges::new(auth.challenge_minutes, auth.chain_id),
        recoveries: Semaphore::new(
            std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
        ),
        origins: Origins::new(
            &config.server.allowed_origins,
            &config.server.public_url,
            config.server.scheme(),
        ),
        store,
        audit,
        revocations: Revocations::new((i64::from(auth.access_token_minutes) * 60 + 5) * 1_000),
        permits: Permits::new(config.limits.connections_per_user, config.limits.messages_per_minute),
        visitors: Visitors::new(&config.limits),
        connections: Arc::new(Semaphore::new(config.limits.connections_per_node as usize)),
        memory: Memory::new(config.limits.memory_megabytes),
        hub,
        markets,
        clock,
        metrics,
        stopping,
        leaving: OnceLock::new(),
        started: Instant::now(),
        config,
    };
    Ok((Arc::new(app), pipelines, keeper, rows))
}

#[cfg(test)]
mod day_tests;
