//! Two hundred of six hundred readers stop reading: what the other four hundred notice of it, over real sockets.
//!
//! The gateway has one thread, the readers another. What is compared are stretches of one run, one after the other, in
//! which all six hundred read and in which two hundred have stopped: the machine is as busy in both.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use tidegate_protocol::{Feed, Strategy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::app::App;
use crate::clock::wall_ms;
use crate::config::Config;
use crate::transport::Front;
use crate::ws::connection::cut_tests::signal;

/// Later than all that the simulator has published. What comes after it in a `seq` is when the signal was published,
/// in microseconds of the run.
const FIRST_SEQ: u64 = 8_000_000_000_000_000;
const READERS: usize = 400;
const STALLED: usize = 200;
const PAIRS: usize = 10;
/// Signals in a stretch in which everybody reads, and the time between two.
const SIGNALS: usize = 12;
const EVERY: Duration = Duration::from_secs(1);
/// As large as this, a few signals fill what the kernel holds for a reader.
const SIGNAL_BYTES: usize = 8 * 1_024;
/// For stalled readers to be cut off, which takes what fills their buffers and ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

fn feed() -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A gateway whose signals the test publishes.
struct Stage {
    app: Arc<App>,
    address: SocketAddr,
    started: Instant,
    _stop: watch::Sender<bool>,
}

impl Stage {
    async fn open() -> Self {
        let mut config = Config::default();
        config.market.symbols = vec![feed().symbol];
        config.limits.new_connections_per_ip = 100_000;
        config.limits.unauthenticated_connections_per_ip = 100_000;
        config.limits.http_connections_per_ip = 100_000;
        let (stop, stopping) = watch::channel(false);
        let opened = crate::open_market(&config).await.unwrap();
        let (app, ..) = crate::build(config.clone(), opened, stopping.clone()).await.unwrap();
        let (visitors, metrics) = (app.visitors.clone(), Arc::clone(&app.metrics));
        let router = crate::router::router(Arc::clone(&app));
        let front = Arc::new(Front::new(&config, router, visitors, metrics, stopping).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(front.serve(listener));
        Self { app, address, started: Instant::now(), _stop: stop }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap()
    }

    fn publish(&self) -> u64 {
        let seq = FIRST_SEQ + self.now_us();
        self.app.hub.publish(feed(), seq, |prev| signal(feed(), seq, prev, &"x".repeat(SIGNAL_BYTES)));
        seq
    }

    /// A subscriber that has heard nothing yet of what the test publishes. Three are one user.
    async fn subscribe(&self, index: usize, socket: TcpSocket) -> WebSocketStream<TcpStream> {
        let user = format!("0x{:040}", index / 3);
        let jti = uuid::Uuid::now_v7().to_string();
        let token = self.app.tokens.mint(&user, &["user"], "sid", &jti, wall_ms()).token;
        let stream = socket.connect(self.address).await.unwrap();
        let url = format!("ws://{}/ws?token={token}", self.address);
        let (mut socket, _) = client_async(url, stream).await.expect("it is let in");
        let subscribe = r#"{"type":"subscribe","symbol":"BTCUSDT","strategy":"scalp"}"#;
        socket.send(Message::text(subscribe)).await.unwrap();
        socket
    }

    fn wait_for_followers(&self, count: usize) {
        let started = Instant::now();
        while self.app.hub.followers(feed()) != count {
            std::thread::sleep(Duration::from_millis(20));
            assert!(started.elapsed() < PATIENCE, "{} followers", self.app.hub.followers(feed()));
        }
    }
}

/// What one reader has: how long each signal took, and the last of them.
#[derive(Debug, Default)]
struct Heard {
    after_us: Vec<u64>,
    count: usize,
    last: u64,
}

async fn read(stage: Arc<Stage>, mut socket: WebSocketStream<TcpStream>, heard: Arc<Mutex<Heard>>) {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.expect("nobody who reads is cut off") else { continue };
        let Some((_, rest)) = text.split_once("\"seq\":") else { continue };
        let seq: u64 = rest[..rest.find(',').unwrap()].parse().unwrap();
        // The first is one of the simulator's.
        let Some(published_us) = seq.checked_sub(FIRST_SEQ) else { continue };
        let mut heard = heard.lock().unwrap();
        heard.after_us.push(stage.now_us() - published_us);
        heard.count += 1;
        heard.last = seq;
    }
}

/// Reads on, until it is told to stop reading. The socket stays open.
async fn read_until(
    mut socket: WebSocketStream<TcpStream>,
    mut stop: watch::Receiver<bool>,
) -> WebSocketStream<TcpStream> {
    loop {
        tokio::select! {
            message = socket.next() => drop(message.expect("it goes on").expect("nobody who reads is cut off")),
            _ = stop.wait_for(|stop| *stop) => return socket,
        }
    }
}

/// Publishes for as long as `go_on` says, waits until everybody has all of it, and gives the 99th percentile of how
/// long a signal took, in microseconds.
fn stretch(stage: &Stage, readers: &[Arc<Mutex<Heard>>], mut go_on: impl FnMut(usize) -> bool) -> u64 {
    let (mut last, mut published) = (0, 0);
    while go_on(published) {
        last = stage.publish();
        published += 1;
        std::thread::sleep(EVERY);
    }
    let mut all = Vec::new();
    let started = Instant::now();
    for reader in readers {
        while reader.lock().unwrap().last < last {
            std::thread::sleep(Duration::from_millis(5));
            assert!(started.elapsed() < PATIENCE, "a reader does not get the last signal");
        }
        let mut heard = reader.lock().unwrap();
        assert_eq!(std::mem::take(&mut heard.count), published, "each gets each, whoever else stalls");
        all.append(&mut heard.after_us);
    }
    all.sort_unstable();
    all[all.len() * 99 / 100]
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn long_t_58_two_hundred_readers_that_stall_do_not_move_four_hundred_others() {
    let (gateway, clients) = (runtime(), runtime());
    let stage = Arc::new(gateway.block_on(Stage::open()));
    let readers: Vec<_> = (0..READERS).map(|_| Arc::<Mutex<Heard>>::default()).collect();
    for (index, heard) in readers.iter().enumerate() {
        let socket = clients.block_on(async { stage.subscribe(index, TcpSocket::new_v4().unwrap()).await });
        clients.spawn(read(Arc::clone(&stage), socket, Arc::clone(heard)));
    }
    stage.wait_for_followers(READERS);
    stretch(&stage, &readers, |published| published < SIGNALS);
    let (mut ratios, stop) = (Vec::new(), watch::Sender::new(false));
    for pair in 1..=PAIRS {
        let others: Vec<_> = (0..STALLED)
            .map(|index| {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(4 * 1_024).unwrap();
                let socket = clients.block_on(stage.subscribe(READERS + 2 + index, socket));
                clients.spawn(read_until(socket, stop.subscribe()))
            })
            .collect();
        stage.wait_for_followers(READERS + STALLED);
        let without = stretch(&stage, &readers, |published| published < SIGNALS);
        stop.send_replace(true);
        let stalled: Vec<_> = clients.block_on(join_all(others));
        stop.send_replace(false);
        let started = Instant::now();
        let with = stretch(&stage, &readers, |_| {
            assert!(started.elapsed() < PATIENCE, "{} follow", stage.app.hub.followers(feed()));
            stage.app.hub.followers(feed()) > READERS
        });
        let cut = started.elapsed();
        assert_eq!(stage.app.metrics.slow_reader_closes.get(), (pair * STALLED) as u64, "all with 1013");
        drop(stalled);
        println!("pair {pair}: p99 {without} µs, {with} µs while {STALLED} stall, who are cut after {cut:?}");
        ratios.push(with as f64 / without as f64);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let median = f64::midpoint(ratios[PAIRS / 2 - 1], ratios[PAIRS / 2]);
    println!(
        "figure: p99 of {READERS} readers while {STALLED} others stall, in ratio to without: {median:.2}"
    );
    // The aim is 1.10. What is asserted is that nobody waits for those who stall: that would be seconds.
    assert!(median < 2.0, "{ratios:?}");
    gateway.shutdown_background();
    clients.shutdown_background();
}
