//! `tidegate tail`: follows a feed in the terminal, through reconnections and without a gap.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use axum::http::Uri;
use clap::Args;
use tidegate_client_native::{
    Block, Client, FeedStatus, Options, State, Status, Subscription, TokenSource, Update, Warning,
};
use tidegate_protocol::{Feed, RangePayload, ServerMessage, Side, Strategy, Symbol};
use tokio::sync::broadcast;

use super::sign_in::SignIn;
use super::usage;
use crate::failure::{Exit, Failure};

/// Holds an access token, for gateways that do not let every wallet in.
const TOKEN_VARIABLE: &str = "TIDEGATE_TOKEN";

/// Flags of `tail`.
#[derive(Debug, Args)]
#[command(
    after_help = "Signs in with a wallet made for this run; an access token in the environment variable \
                        TIDEGATE_TOKEN is used instead. Signals go to standard output, everything else to \
                        standard error."
)]
pub(super) struct Tail {
    /// range_trading, momentum or scalp
    strategy: Strategy,

    /// The market, for example BTCUSDT
    symbol: Symbol,

    /// The gateway
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8080/ws")]
    url: String,

    /// Print each message as it is on the wire, one JSON line each
    #[arg(long)]
    json: bool,

    /// End after so many signals
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Tail {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Failure::environment("TG-SYS-001", format!("no event loop: {error}"), "raise the process limit")
        })?;
        runtime.block_on(self.follow())
    }

    async fn follow(self) -> Result<(), Failure> {
        let wrong =
            |what: String| usage("TG-CLI-007", what, "write --url ws://HOST:PORT/ws or wss://HOST/ws");
        let url: Uri = self.url.parse().map_err(|error| wrong(format!("`{}`: {error}", self.url)))?;
        if !matches!(url.scheme_str(), Some("ws" | "wss")) || url.host().is_none() {
            return Err(wrong(format!("`{}` is not the address of a gateway", self.url)));
        }
        let token = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => TokenSource::fixed(token),
            Err(_) => SignIn::new(&url)?.source().await?,
        };
        let client =
            Client::connect(Options::new(&self.url, token)).map_err(|error| wrong(error.to_string()))?;
        let feed = Feed { symbol: self.symbol, strategy: self.strategy };
        let (mut status, mut warnings) = (client.status(), client.warnings());
        let mut updates = client.subscribe(feed).await.map_err(|error| ended(error.to_string()))?;
        let reading = self.read(feed, &mut updates, &mut warnings);
        let ended = tokio::select! {
            result = reading => result,
            block = blocked(&mut status) => Err(refused(block)),
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        client.close().await;
        ended
    }

    async fn read(
        &self,
        feed: Feed,
        updates: &mut Subscription,
        warnings: &mut broadcast::Receiver<Warning>,
    ) -> Result<(), Failure> {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut left = self.count;
        while left != Some(0) {
            let update = tokio::select! {
                update = updates.next() => update,
                Ok(warning) = warnings.recv() => {
                    eprintln!("warning: {}", warning.as_str());
                    continue;
                }
            };
            match update {
                Some(Update::Signal(signal) | Update::Backfill(signal)) => {
                    let line = if self.json { signal.to_json() } else { line(&signal, colour) };
                    if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
                        return closed(&error);
                    }
                    left = left.map(|left| left - 1);
                }
                Some(Update::Gap { after, before }) => {
                    eprintln!("signals between {after} and {before} are missing: asking for them");
                }
                Some(Update::Status(FeedStatus::Rejected(code))) => {
                    return Err(Failure {
                        exit: Exit::Error,
                        code: "TG-CLI-008",
                        what: format!("the gateway refuses the feed {feed}: {}", code.as_str()),
                        place: Some(self.url.clone()),
                        fix: "GET /api/perps/symbols lists what there is".into(),
                    });
                }
                Some(Update::Status(status)) => eprintln!("{feed}: {}", status.as_str()),
                Some(Update::Lagged(count)) => eprintln!("{count} signals were dropped: reading is too slow"),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The reader of a pipe has seen enough: `tidegate tail … | head`.
fn closed(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    let what = format!("cannot write the signals: {error}");
    Err(Failure::environment("TG-CLI-002", what, "check where standard output goes"))
}

fn ended(reason: String) -> Failure {
    Failure::environment("TG-CLI-009", reason, "run it again")
}

/// Completes when trying again cannot help.
async fn blocked(status: &mut tokio::sync::watch::Receiver<Status>) -> Block {
    loop {
        if let State::Blocked(block) = status.borrow_and_update().state {
            return block;
        }
        if status.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn refused(block: Block) -> Failure {
    let token = matches!(block, Block::TokenDenied | Block::TokenRefused);
    let exit = if token { Exit::Authentication } else { Exit::Error };
    let fix = if token {
        "put an access token that is valid into TIDEGATE_TOKEN, or unset it to sign in with a new wallet"
    } else {
        "see the log of the gateway"
    };
    Failure {
        exit,
        code: "TG-CLI-010",
        what: format!("the gateway has closed the connection for good ({})", block.as_str()),
        place: None,
        fix: fix.into(),
    }
}

/// What a trader wants to see of a signal.
struct Glance<'a> {
    timestamp: &'a str,
    side: Side,
    price: f64,
    orders: Option<[f64; 3]>,
    reasoning: &'a str,
}

/// One line for people: time, feed, side, price, entry → target, stop, reason.
fn line(signal: &Arc<ServerMessage>, colour: bool) -> String {
    let Some((feed, glance)) = glance(signal) else { return signal.to_json() };
    let (arrow, paint) = match glance.side {
        Side::Long => ("▲", "\x1b[32m"),
        Side::Short => ("▼", "\x1b[31m"),
        Side::Neutral => ("·", "\x1b[2m"),
    };
    let (paint, reset) = if colour { (paint, "\x1b[0m") } else { ("", "") };
    let Glance { timestamp, side, price, reasoning, .. } = glance;
    let mut line = format!("{timestamp} {feed} {paint}{arrow} {:<7}{reset} {price}", side.as_str());
    if let Some([entry, target, stop]) = glance.orders {
        // Writing to a string cannot fail.
        let _ = write!(line, "  entry {entry} target {target} stop {stop}");
    }
    line + "  " + reasoning
}

fn glance(message: &ServerMessage) -> Option<(Feed, Glance<'_>)> {
    match message {
        ServerMessage::Scalp(message) => {
            let data = &message.data;
            let orders = [data.limit_price, data.tp_price, data.sl_price];
            let (timestamp, side, price) = (&data.timestamp, data.side, data.current_price);
            let orders = (side != Side::Neutral).then_some(orders);
            let feed = Feed { symbol: message.symbol, strategy: message.strategy };
            Some((feed, Glance { timestamp, side, price, orders, reasoning: &data.reasoning }))
        }
        ServerMessage::Momentum(message) => {
            let data = &message.data;
            let orders = [data.limit_price, data.tp_price, data.sl_price];
            let (timestamp, side, price) = (&data.timestamp, data.side, data.current_price);
            let orders = (side != Side::Neutral).then_some(orders);
            let feed = Feed { symbol: message.symbol, strategy: message.strategy };
            Some((feed, Glance { timestamp, side, price, orders, reasoning: &data.reasoning }))
        }
        ServerMessage::RangeTrading(message) => {
            let feed = Feed { symbol: message.symbol, strategy: message.strategy };
            Some((feed, range_glance(&message.payload)))
        }
        _ => None,
    }
}

fn range_glance(payload: &RangePayload) -> Glance<'_> {
    let entry = &payload.summary.entry;
    let orders = payload.tp_price.zip(payload.sl_price).and_then(|(target, stop)| {
        let price = entry.price.parse().ok()?;
        Some([price, target, stop])
    });
    Glance {
        timestamp: &payload.timestamp,
        side: entry.side,
        price: payload.range_data.current_price,
        orders,
        reasoning: &entry.reasoning,
    }
}
