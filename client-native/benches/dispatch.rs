//! What the client costs per signal: from the bytes of a frame to the program's loop, beside the least that a program
//! can do with the same libraries (read a frame, parse it, look at its type).
//!
//! `cargo bench --package tidegate-client-native`

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tidegate_client_native::{Client, Dial, Options, TokenSource, Update};
use tidegate_protocol::ServerMessage;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::{WebSocketStream, client_async};

#[expect(dead_code, reason = "shared with the tests")]
#[path = "../tests/server.rs"]
mod server;

use server::{Peer, btc, signal};

/// Signals of one round. All are in the pipe before the clock starts: what the server does is not measured.
const SIGNALS: u64 = 2_000;
/// Of these the median counts.
const ROUNDS: usize = 101;
/// Room for a round.
const PIPE_BYTES: usize = 4 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut sdk = Sdk::connect().await;
    let mut plain = Plain::connect().await;
    let mut ratios = Vec::new();
    let mut times = [Vec::new(), Vec::new()];
    let mut seq = 0;
    for _ in 0..ROUNDS {
        let frames = frames(seq);
        seq += SIGNALS;
        let [plain, sdk] = [plain.round(&frames).await, sdk.round(&frames).await];
        ratios.push(sdk.as_secs_f64() / plain.as_secs_f64());
        times[0].push(plain.as_secs_f64());
        times[1].push(sdk.as_secs_f64());
    }
    let [plain, sdk] = times.map(|times| median(times) * 1e6 / SIGNALS as f64);
    let bytes = signal(seq, seq - 1).to_json().len();
    let ratio = median(ratios);
    println!(
        "{bytes} B a signal: {plain:.2} µs with a plain reader, {sdk:.2} µs with the client, ratio {ratio:.2}"
    );
}

/// The client, and the server's end of its connection.
struct Sdk {
    updates: tidegate_client_native::Subscription,
    peer: Peer<DuplexStream>,
    _client: Client,
}

impl Sdk {
    async fn connect() -> Self {
        let (server, mut accepted) = mpsc::unbounded_channel();
        let mut options = Options::new("ws://test/ws", TokenSource::fixed("token"));
        options.buffer = usize::try_from(2 * SIGNALS).expect("a few thousand");
        let client = Client::connect_with(options, Roomy(server)).expect("the address is one");
        let serve = async {
            let mut peer = Peer::upgrade(accepted.recv().await.expect("the client dials")).await;
            peer.let_in().await;
            peer
        };
        let (mut peer, live) = tokio::join!(serve, client.live());
        live.expect("it is let in");
        let (updates, _) = tokio::join!(client.subscribe(btc()), peer.grant());
        Self { updates: updates.expect("the client is open"), peer, _client: client }
    }

    async fn round(&mut self, frames: &[u8]) -> Duration {
        write(&mut self.peer, frames).await;
        let began = Instant::now();
        let mut heard = 0;
        while heard < SIGNALS {
            match self.updates.next().await.expect("the client is open") {
                Update::Signal(_) => heard += 1,
                Update::Status(_) => {}
                other => panic!("a signal, not {other:?}"),
            }
        }
        began.elapsed()
    }
}

/// A program without the client.
struct Plain {
    stream: WebSocketStream<DuplexStream>,
    peer: Peer<DuplexStream>,
}

impl Plain {
    async fn connect() -> Self {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let mut request = "ws://test/ws".into_client_request().expect("the address is one");
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tidegate.v1".parse().expect("a name"));
        let (connected, peer) = tokio::join!(client_async(request, near), Peer::upgrade(far));
        Self { stream: connected.expect("a handshake").0, peer }
    }

    async fn round(&mut self, frames: &[u8]) -> Duration {
        write(&mut self.peer, frames).await;
        let began = Instant::now();
        let mut heard = 0;
        while heard < SIGNALS {
            let Some(Ok(Message::Text(text))) = self.stream.next().await else { panic!("a message") };
            match serde_json::from_str(&text).expect("a message") {
                ServerMessage::Scalp(signal) => heard += u64::from(signal.seq > signal.prev),
                other => panic!("a signal, not {other:?}"),
            }
        }
        began.elapsed()
    }
}

/// Dials within this process, through a pipe that takes a whole round.
struct Roomy(mpsc::UnboundedSender<DuplexStream>);

impl Dial for Roomy {
    type Io = DuplexStream;

    fn dial(&self, _: &Request) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let accepted = self.0.send(far);
        async move {
            accepted.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
    }
}

/// Puts a round into the pipe.
async fn write(peer: &mut Peer<DuplexStream>, frames: &[u8]) {
    peer.stream.get_mut().write_all(frames).await.expect("there is room");
}

/// The signals after `seq`, each in a text frame as a server sends it (RFC 6455, section 5.2).
fn frames(seq: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for prev in seq..seq + SIGNALS {
        let text = signal(prev + 1, prev).to_json();
        let length = u16::try_from(text.len()).expect("some hundred bytes");
        bytes.extend([0x81, 126]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.bytes());
    }
    bytes
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
