//! The connection to an exchange: kept up, renewed before the exchange cuts it, refilled after a cut.
//!
//! When it waits and what it refills is decided in `plan`; pings are answered by the WebSocket library.

use std::time::Duration;

use axum::http::Uri;
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::lane::Lane;
use super::message::{Kind, Message, read};
use super::plan::{Rules, backoff};
use super::rest::{Rest, retry_after};
use super::tap::Tap;
use crate::clock::MarketClock;
use crate::outbound::{Dialer, Line};

/// The messages that are asked for are below 1 KiB.
const MESSAGE_MAX_BYTES: usize = 1 << 20;
/// A successor that could not be opened is tried again after this, in the market's time.
const RENEW_AGAIN: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<Box<dyn Line>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
struct NoConnection {
    reason: String,
    /// How long the exchange wants to be left alone.
    asked: Option<Duration>,
}

/// One connection for all markets, and what it feeds.
pub(super) struct Link {
    /// With the streams in it: subscribing by message would count against the limit of messages.
    pub(super) address: Uri,
    pub(super) dialer: Dialer,
    pub(super) rest: Rest,
    pub(super) lanes: Vec<Lane>,
    pub(super) clock: MarketClock,
    pub(super) rules: Rules,
    /// Who hears every message.
    pub(super) tap: Tap,
    /// Whether events arrive without a hole.
    pub(super) whole: watch::Sender<bool>,
    /// Messages that could not be read, by [`Kind`].
    pub(super) unreadable: [u64; Kind::COUNT],
    /// When the exchange was last heard.
    pub(super) heard_at: Instant,
}

impl Link {
    /// Runs until nobody takes the events any more.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        while !self.lanes.iter().all(Lane::is_abandoned) {
            let (reason, asked) = match self.connect().await {
                Err(NoConnection { reason, asked }) => (reason, asked),
                Ok(socket) => {
                    tracing::info!(attempt, "connected to the exchange");
                    self.refill().await;
                    self.whole.send_replace(true);
                    let since = Instant::now();
                    let reason = self.listen(socket).await;
                    self.whole.send_replace(false);
                    if since.elapsed() >= self.market_time(self.rules.settled) {
                        attempt = 0;
                    }
                    (reason, None)
                }
            };
            let wait = self.market_time(backoff(attempt, chance(), None)) + asked.unwrap_or_default();
            attempt += 1;
            let wait_ms = wait.as_millis();
            tracing::warn!(reason, attempt, wait_ms, "no connection to the exchange: trying again");
            sleep(wait).await;
        }
    }

    /// How long this takes on the wall while the market's clock runs at its speed.
    fn market_time(&self, duration: Duration) -> Duration {
        let market_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.clock.wall_interval_ms(market_ms))
    }

    fn connect(&self) -> BoxFuture<'static, Result<Socket, NoConnection>> {
        let (address, dialer, patience) = (self.address.clone(), self.dialer.clone(), self.rules.patience);
        async move {
            let connecting = timeout(patience, handshake(&address, &dialer));
            connecting.await.unwrap_or_else(|_| {
                let reason = format!("no handshake within {} s", patience.as_secs_f32());
                Err(NoConnection { reason, asked: None })
            })
        }
        .boxed()
    }

    /// Meanwhile the new connection's events wait in its buffers.
    async fn refill(&mut self) {
        let (rest, now_ms) = (self.rest.clone(), u64::try_from(self.clock.now_ms()).unwrap_or(0));
        let silent_ms = self.clock.market_ms(self.heard_at.elapsed());
        let refills = self.lanes.iter_mut().map(|lane| lane.refill(&rest, now_ms, silent_ms));
        for refusal in join_all(refills).await.into_iter().filter_map(Result::err) {
            // The pipeline asks again once it meets the hole.
            tracing::warn!(%refusal, "what was missed during the cut could not be fetched");
        }
    }

    /// Passes on what comes, until the connection ends; says why it did.
    async fn listen(&mut self, mut socket: Socket) -> String {
        let silence = self.market_time(self.rules.silence);
        let mut renew_at = Instant::now() + self.rules.renew;
        let mut dialing: Option<BoxFuture<'static, Result<Socket, NoConnection>>> = None;
        let mut successor: Option<Socket> = None;
        self.heard_at = Instant::now();
        loop {
            tokio::select! {
                frame = socket.next() => {
                    let end = match frame {
                        Some(Ok(Frame::Close(_))) | None => "the exchange has closed the connection".into(),
                        Some(Err(error)) => format!("the connection broke: {error}"),
                        Some(Ok(frame)) => {
                            self.hear(&frame);
                            continue;
                        }
                    };
                    // The successor was connected before: nothing was missed.
                    let Some(next) = successor.take() else { return end };
                    (socket, renew_at) = (next, Instant::now() + self.rules.renew);
                }
                frame = async { successor.as_mut().expect("checked").next().await }, if successor.is_some() => {
                    let next = successor.take().expect("checked");
                    // From its first event on it replaces the old connection; until then both are heard.
                    if let Some(Ok(frame)) = frame {
                        self.hear(&frame);
                        (socket, renew_at) = (next, Instant::now() + self.rules.renew);
                        tracing::info!("the connection to the exchange was renewed");
                    } else {
                        renew_at = Instant::now() + self.market_time(RENEW_AGAIN);
                    }
                }
                opened = async { dialing.as_mut().expect("checked").await }, if dialing.is_some() => {
                    dialing = None;
                    match opened {
                        Ok(next) => successor = Some(next),
                        Err(refusal) => {
                            tracing::warn!(%refusal, "the connection could not be renewed: trying again");
                            renew_at = Instant::now() + self.market_time(RENEW_AGAIN);
                        }
                    }
                }
                () = sleep_until(renew_at), if dialing.is_none() && successor.is_none() => {
                    dialing = Some(self.connect());
                }
                () = sleep_until(self.heard_at + silence) => {
                    return format!("nothing was heard for {} s", self.rules.silence.as_secs());
                }
            }
        }
    }

    fn hear(&mut self, frame: &Frame) {
        self.heard_at = Instant::now();
        let Frame::Text(text) = frame else { return };
        self.tap.message(text);
        match read(text) {
            Ok(Message::Single(_) | Message::Book) => {
                self.count(Kind::Foreign, "a stream that was not asked for")
            }
            Ok(Message::Update(update)) => {
                match self.lanes.iter_mut().find(|lane| lane.symbol == update.symbol) {
                    Some(lane) => lane.take(&update),
                    None => self
                        .count(Kind::Foreign, &format!("a market that is not followed, {}", update.symbol)),
                }
            }
            Err(unreadable) => self.count(unreadable.kind, &unreadable.reason),
        }
    }

    fn count(&mut self, kind: Kind, reason: &str) {
        let count = &mut self.unreadable[kind as usize];
        *count += 1;
        if *count == 1 {
            tracing::warn!(
                ?kind,
                reason,
                "a message of the exchange is not used; others of its kind go unsaid"
            );
        }
    }
}

async fn handshake(address: &Uri, dialer: &Dialer) -> Result<Socket, NoConnection> {
    let failed = |reason: String, asked| NoConnection { reason, asked };
    let line = dialer.dial(address).await.map_err(|error| failed(error.to_string(), None))?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX_BYTES))
        .max_frame_size(Some(MESSAGE_MAX_BYTES));
    match client_async_with_config(address.clone(), line, Some(limits)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let asked = retry_after(response.headers());
            Err(failed(format!("the handshake was refused with {}", response.status()), asked))
        }
        Err(error) => Err(failed(error.to_string(), None)),
    }
}

/// Uniform in [0, 1): gateways that lost the same exchange do not come back together.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / (f64::from(u32::MAX) + 1.0)
}
