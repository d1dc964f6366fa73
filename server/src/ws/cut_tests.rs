//! The Rust SDK against the gateway's real connections, hub and permits, in one process and on virtual time, over
//! transports that are cut anywhere: in the handshake, before and after signing in, within a frame of a replay.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tidegate_client_native::{Client, Dial, Options, Token, TokenSource, Update};
use tidegate_protocol::{ServerMessage, Strategy};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};
use uuid::Uuid;

use super::*;
use crate::config::Config;
use crate::ws::session::ClientKind;

/// Far in the future, so that nothing that the simulator has published comes after it.
const FIRST_SEQ: u64 = 8_000_000_000_000_000;
/// Signals are published this often.
const EVERY: Duration = Duration::from_secs(3);
/// The longest that most transports live, in bytes to the client: a handshake, a sign-in and some signals.
const BYTES_MAX: u64 = 9_000;
/// How much longer the others may.
const LONG_FACTOR: u64 = 10;

fn feed() -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp }
}

/// One that only some follow.
fn other_feed() -> Feed {
    Feed { symbol: "ETHUSDT".parse().unwrap(), strategy: Strategy::Scalp }
}

/// A signal whose reasons are `reasoning`.
pub(in crate::ws) fn signal(feed: Feed, seq: u64, prev: u64, reasoning: &str) -> ServerMessage {
    let symbol = feed.symbol;
    let text = format!(
        r#"{{"type":"scalp_indicator","symbol":"{symbol}","strategy":"scalp","seq":{seq},"prev":{prev},"data":{{
        "symbol":"{symbol}","timestamp":"2025-11-03T13:30:00Z","current_price":107500.00,"ema_1min":107525.00,
        "side":"LONG","limit_price":107478.50,"tp_price":107661.25,"sl_price":107392.50,"tp_percent":0.15,
        "sl_percent":0.10,"confidence":"high","reasoning":"{reasoning}",
        "expected_hold_minutes":2,"range_high_5min":107650.00,"range_low_5min":107450.00,
        "position_in_range":0.25}}}}"#
    );
    ServerMessage::parse(&text).expect("a signal")
}

/// What all transports share.
struct World {
    app: Arc<App>,
    random: Mutex<u64>,
    /// While it is set, transports are cut.
    cutting: AtomicUsize,
    cuts: AtomicUsize,
    /// The far ends of transports of which the gateway was not told that they are cut.
    ghosts: Mutex<Vec<DuplexStream>>,
    /// Tells the gateway that it stops.
    stop: watch::Sender<bool>,
    /// How long the next transports live, if that is not left to chance.
    lives: Mutex<VecDeque<Life>>,
    /// What each transport has carried, in the order of dialling.
    carried: Mutex<Vec<Carried>>,
}

/// How long a transport lives: bytes to the client and bytes from it.
#[derive(Clone, Copy, Debug)]
struct Life {
    down: u64,
    up: u64,
    /// Whether the gateway learns nothing of the cut.
    ghost: bool,
}

/// Bytes to the client and bytes from it.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    down: u64,
    up: u64,
}

impl Life {
    const FOREVER: Self = Self { down: u64::MAX, up: u64::MAX, ghost: false };
}

impl World {
    async fn new() -> Arc<Self> {
        let mut config = Config::default();
        config.market.symbols = vec![feed().symbol, other_feed().symbol];
        let (stop, stopping) = watch::channel(false);
        let opened = crate::open_market(&config).await.unwrap();
        let (app, ..) = crate::build(config, opened, stopping).await.unwrap();
        Arc::new(Self {
            app,
            random: Mutex::new(0x9e37_79b9_7f4a_7c15),
            cutting: AtomicUsize::new(1),
            cuts: AtomicUsize::new(0),
            ghosts: Mutex::default(),
            stop,
            lives: Mutex::default(),
            carried: Mutex::default(),
        })
    }

    /// The next number of a fixed sequence (splitmix64).
    fn random(&self) -> u64 {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn some_life(&self) -> Life {
        // One in four lives long enough to catch up with what was missed while the others did not.
        let long = if self.random().is_multiple_of(4) { LONG_FACTOR } else { 1 };
        Life {
            down: self.random() % (BYTES_MAX * long),
            up: u64::MAX,
            // Of every other cut the gateway learns nothing.
            ghost: self.random().is_multiple_of(2),
        }
    }

    fn is_cutting(&self) -> bool {
        self.cutting.load(Ordering::Relaxed) == 1
    }

    fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Serves one connection as the gateway does after the upgrade.
    async fn serve(self: Arc<Self>, io: DuplexStream) {
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let echo = |request: &Upgrade, mut response: Response| -> Result<Response, ErrorResponse> {
            let offered = request.headers().get("sec-websocket-protocol").cloned();
            if let Some(offered) = offered {
                response.headers_mut().insert("sec-websocket-protocol", offered);
            }
            Ok(response)
        };
        let Ok(socket) = accept_hdr_async(io, echo).await else { return };
        let place = Arc::clone(&self.app.connections).try_acquire_owned().expect("there are enough places");
        let peer = crate::auth::Peer::new(([127, 0, 0, 1], 1).into(), &axum::http::HeaderMap::new());
        let admission = Admission::new(Uuid::now_v7(), ClientKind::V1, peer, None, place);
        attend(Arc::clone(&self.app), socket, admission, None).await;
    }
}

/// Dials the world.
struct Memory(Arc<World>);

impl Dial for Memory {
    type Io = Fragile;

    fn dial(&self, _: &Request) -> impl Future<Output = io::Result<Fragile>> + Send + 'static {
        let (near, far) = tokio::io::duplex(16 * 1_024);
        tokio::spawn(Arc::clone(&self.0).serve(far));
        let life = self.0.lives.lock().unwrap().pop_front().unwrap_or_else(|| self.0.some_life());
        let index = {
            let mut carried = self.0.carried.lock().unwrap();
            carried.push(Carried::default());
            carried.len() - 1
        };
        let fragile = Fragile { near: Some(near), left: life, index, world: Arc::clone(&self.0) };
        async move { Ok(fragile) }
    }
}

/// A transport that is cut after some bytes.
#[derive(Debug)]
struct Fragile {
    near: Option<DuplexStream>,
    left: Life,
    index: usize,
    world: Arc<World>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("cuts", &self.cuts()).finish_non_exhaustive()
    }
}

impl Fragile {
    fn cut(&mut self) -> io::Error {
        if let Some(near) = self.near.take() {
            self.world.cuts.fetch_add(1, Ordering::Relaxed);
            if self.left.ghost {
                self.world.ghosts.lock().unwrap().push(near);
            }
        }
        io::ErrorKind::ConnectionReset.into()
    }

    fn is_due(&self) -> bool {
        (self.left.down == 0 || self.left.up == 0) && self.world.is_cutting()
    }

    /// What may pass before the cut, which then is within whatever frame is there.
    fn room(&self, left: u64, wanted: usize) -> usize {
        if self.world.is_cutting() { usize::try_from(left).unwrap_or(usize::MAX).min(wanted) } else { wanted }
    }

    fn carried(&self, count: impl FnOnce(&mut Carried)) {
        count(&mut self.world.carried.lock().unwrap()[self.index]);
    }
}

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.near.is_none() || self.is_due() {
            return Poll::Ready(Err(self.cut()));
        }
        let room = self.room(self.left.down, buffer.remaining());
        let mut piece = buffer.take(room);
        let near = self.near.as_mut().expect("just checked");
        let polled = Pin::new(near).poll_read(context, &mut piece);
        let read = piece.filled().len();
        if polled.is_ready() {
            buffer.advance(read);
            self.left.down = self.left.down.saturating_sub(read as u64);
            self.carried(|carried| carried.down += read as u64);
        }
        polled
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.near.is_none() || self.is_due() {
            return Poll::Ready(Err(self.cut()));
        }
        let room = self.room(self.left.up, bytes.len());
        let near = self.near.as_mut().expect("just checked");
        let polled = Pin::new(near).poll_write(context, &bytes[..room]);
        if let Poll::Ready(Ok(written)) = &polled {
            self.left.up = self.left.up.saturating_sub(*written as u64);
            self.carried(|carried| carried.up += *written as u64);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.near.as_mut() {
            Some(near) => Pin::new(near).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.near.as_mut() {
            Some(near) => Pin::new(near).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// What one client has, and what was wrong about it.
#[derive(Debug, Default)]
struct Seen {
    seqs: Vec<u64>,
    wrong: Vec<String>,
    /// What the client went through lately, for when something is wrong.
    story: std::collections::VecDeque<String>,
}

impl Seen {
    fn tell(&mut self, what: String) {
        if self.story.len() == 40 {
            self.story.pop_front();
        }
        self.story.push_back(what);
    }
}

async fn follow(world: Arc<World>, user: usize, seen: Arc<Mutex<Seen>>) {
    let app = Arc::clone(&world.app);
    let source = TokenSource::new(move || {
        let jti = Uuid::now_v7().to_string();
        let token = app.tokens.mint(&format!("0x{user:040}"), &["user"], "sid", &jti, wall_ms()).token;
        async move { Ok(Token { text: token, expires_in: Some(Duration::from_secs(900)) }) }
    });
    let options = Options { buffer: 10_000, ..Options::new("ws://test/ws", source) };
    let client = Client::connect_with(options, Memory(world)).expect("a good address");
    let (mut status, mut warnings, born) = (client.status(), client.warnings(), Instant::now());
    let watched = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let what = tokio::select! {
                changed = status.changed() => match changed {
                    Ok(()) => format!("{:?}", status.borrow_and_update().state),
                    Err(_) => return,
                },
                Ok(warning) = warnings.recv() => format!("{warning:?}"),
            };
            watched.lock().unwrap().tell(format!("{} s: {what}", born.elapsed().as_secs()));
        }
    });
    let mut updates = client.subscribe(feed()).await.expect("the client lives");
    while let Some(update) = updates.next().await {
        let mut seen = seen.lock().unwrap();
        match update {
            Update::Signal(message) => {
                let (_, seq, prev) = message.position().expect("a signal");
                if let Some(last) = seen.seqs.last().copied().filter(|last| prev != *last) {
                    seen.wrong.push(format!("{seq} says {prev} before it, but {last} was"));
                }
                seen.seqs.push(seq);
            }
            Update::Status(_) => {}
            other => {
                let story = std::mem::take(&mut seen.story);
                seen.wrong.push(format!("{other:?} after {story:#?}"));
            }
        }
    }
}

/// So many clients, cut so often altogether: whatever was published after a client's first signal, it has once.
async fn cut(clients: usize, cuts: usize) {
    let world = World::new().await;
    let mut published = FIRST_SEQ;
    let mut publish = |world: &World| {
        published += 1_000;
        world
            .app
            .hub
            .publish(feed(), published, |prev| signal(feed(), published, prev, "Price trading at EMA."));
        published
    };
    publish(&world);
    let seen: Vec<_> = (0..clients).map(|_| Arc::<Mutex<Seen>>::default()).collect();
    let tasks: Vec<_> = (0..clients)
        .map(|user| tokio::spawn(follow(Arc::clone(&world), user, Arc::clone(&seen[user]))))
        .collect();
    let started = Instant::now();
    while world.cuts() < cuts {
        tokio::time::sleep(EVERY).await;
        publish(&world);
        if world.random().is_multiple_of(50) {
            // Now and then the gateway learns of its ghosts.
            world.ghosts.lock().unwrap().clear();
        }
        assert!(started.elapsed() < Duration::from_secs(1_000_000), "{} cuts", world.cuts());
    }
    world.cutting.store(0, Ordering::Relaxed);
    for _ in 0..60 {
        tokio::time::sleep(EVERY).await;
        publish(&world);
    }
    tokio::time::sleep(EVERY).await;
    let mut delivered = 0;
    for seen in &seen {
        let seen = seen.lock().unwrap();
        assert!(seen.wrong.is_empty(), "{:?} after {:#?}", seen.wrong, seen.story);
        let first = *seen.seqs.first().expect("something came");
        let expected: Vec<u64> = (first..=published).step_by(1_000).collect();
        assert_eq!(seen.seqs, expected, "in order, each once, none missing");
        delivered += seen.seqs.len();
    }
    let takeovers = world.app.metrics.takeovers.get("session");
    assert!(takeovers > 0, "no ghost was met");
    println!(
        "figure: {} random cuts of {clients} clients over {} virtual seconds: {delivered} deliveries, 0 gaps, \
         0 duplicates, {takeovers} takeovers of ghosts",
        world.cuts(),
        started.elapsed().as_secs()
    );
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn t_66_five_hundred_random_cuts_leave_no_gap_and_no_duplicate() {
    cut(20, 500).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "long: cargo xtask test --long"]
async fn long_t_66_ten_thousand_random_cuts_leave_no_gap_and_no_duplicate() {
    cut(50, 10_000).await;
}

#[path = "step_tests.rs"]
mod steps;
