//! A gateway on a free port, and clients that talk to it.

pub mod black_hole;
pub mod exchange;
pub mod fleet;
pub mod late;
pub mod measured;
pub mod nginx;
pub mod process;
pub mod raw;
pub mod recording;
pub mod rough;
pub mod wallet;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidegate_server::auth::token::Tokens;
use tidegate_server::config::{Config, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything a test waits for on purpose.
const PATIENCE: Duration = Duration::from_secs(60);
pub const SECRET: &str = "a secret of these tests, long enough for HS256";
pub const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
pub const OTHER_WALLET: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

/// A running gateway.
pub struct Gateway {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The configuration of most tests: the simulator, fast.
pub fn config() -> Config {
    let mut config = Config::default();
    config.auth.jwt_secret = Secret::new(SECRET.into());
    config.market.speed = 60.0;
    // Every client of a test comes from one address.
    config.limits.new_connections_per_ip = 10_000;
    config.limits.unauthenticated_connections_per_ip = 1_000;
    config.market.symbols = ["BTCUSDT", "ETHUSDT"].map(|symbol| symbol.parse().unwrap()).to_vec();
    config
}

impl Gateway {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), config).await
    }

    pub async fn on(address: SocketAddr, config: Config) -> Self {
        Self::run(address, config, None).await
    }

    /// With a listener for operators.
    pub async fn observed(config: Config, ops: TcpListener) -> Self {
        Self::run("127.0.0.1:0".parse().unwrap(), config, Some(ops)).await
    }

    /// One that does not answer to plain HTTP.
    pub async fn encrypted(config: Config) -> Self {
        Self::silent("127.0.0.1:0".parse().unwrap(), config, None).await
    }

    async fn run(address: SocketAddr, config: Config, ops: Option<TcpListener>) -> Self {
        let gateway = Self::silent(address, config, ops).await;
        gateway.get("/health").await;
        gateway
    }

    async fn silent(address: SocketAddr, config: Config, ops: Option<TcpListener>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(async move {
            let gateway = tidegate_server::Gateway::open(config).await.expect("the gateway opens");
            let gateway = match ops {
                Some(ops) => gateway.with_ops(ops),
                None => gateway,
            };
            gateway.serve(listener, shutdown).await.expect("the gateway runs");
        });
        Self { address, stop, task }
    }

    /// Stops it as SIGTERM would and waits for it.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    pub fn url(&self, tail: &str) -> String {
        format!("ws://{}{tail}", self.address)
    }

    /// A plain client that shows nothing with the handshake.
    pub async fn connect(&self) -> Client {
        self.upgrade("/ws", &[]).await.expect("the upgrade succeeds")
    }

    /// A plain client that is signed in with a token in the URL, past `connected`.
    pub async fn signed_in(&self) -> Client {
        let mut client = self.upgrade(&format!("/ws?token={}", token(WALLET)), &[]).await.expect("signed in");
        client.expect("connected").await;
        client
    }

    /// A v1 client, past `connected`.
    pub async fn signed_in_v1(&self) -> Client {
        let path = format!("/ws?token={}", token(WALLET));
        let mut client = self.upgrade(&path, &[V1]).await.expect("signed in");
        client.expect("connected").await;
        client
    }

    /// Upgrades with these headers; a refusal is its status and body.
    pub async fn upgrade(&self, path: &str, headers: &[(&str, &str)]) -> Result<Client, (u16, String)> {
        Client::at(self.address, path, headers).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
            .await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let host = self.address;
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")).await
    }

    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.http(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        ))
        .await
    }

    /// Any method, with these headers.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (host, length) = (self.address, body.len());
        self.http(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await
    }

    async fn http(&self, request: &str) -> (u16, Value) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut response)).await.expect("an answer").unwrap();
        let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.into())))
    }
}

/// The header that makes a client a v1 client.
pub const V1: (&str, &str) = ("sec-websocket-protocol", "tidegate.v1");

/// A token of the tests' gateway.
pub fn token(subject: &str) -> String {
    token_at(subject, tidegate_server::clock::wall_ms())
}

/// The same, issued at another time.
pub fn token_at(subject: &str, now_ms: i64) -> String {
    token_of(subject, &["user"], now_ms)
}

/// The same, with these roles.
pub fn token_of(subject: &str, roles: &[&str], now_ms: i64) -> String {
    let (sid, jti) = (format!("of-{subject}"), uuid::Uuid::now_v7().to_string());
    Tokens::new(&Secret::new(SECRET.into()), "tidegate", "tidegate", 15)
        .mint(subject, roles, &sid, &jti, now_ms)
        .token
}

/// A socket that speaks JSON.
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub response: Response<Option<Vec<u8>>>,
}

impl Client {
    /// Upgrades at this address; a refusal is its status and body.
    pub async fn at(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, (u16, String)> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name: tokio_tungstenite::tungstenite::http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, response)) => Ok(Self { socket, response }),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("the socket takes it");
    }

    /// The next message of the server.
    pub async fn hear(&mut self) -> Value {
        loop {
            match self.frame().await {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    /// The next message that is of this type; signals in between are skipped, nothing else is.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
            assert!(message.get("seq").is_some(), "{kind} was expected, not {message}");
        }
    }

    /// The next signal; replies in between are an error.
    pub async fn signal(&mut self) -> Value {
        let message = self.hear().await;
        assert!(message.get("seq").is_some(), "a signal was expected, not {message}");
        message
    }

    /// Says it and gives the reply.
    pub async fn ask(&mut self, message: Value, reply: &str) -> Value {
        self.say(message).await;
        self.expect(reply).await
    }

    pub async fn subscribe(&mut self, symbol: &str, strategy: &str, since: Option<u64>) -> Value {
        let mut message = json!({"type": "subscribe", "id": 1, "symbol": symbol, "strategy": strategy});
        if let Some(since) = since {
            message["since"] = since.into();
        }
        self.ask(message, "subscribed").await
    }

    /// A client that only reads, as a browser does while nothing happens: pings are answered. Gives the close code
    /// and reason, if it is closed.
    pub fn idle(mut self) -> JoinHandle<Option<(u16, String)>> {
        tokio::spawn(async move {
            while let Some(Ok(message)) = self.socket.next().await {
                if let Message::Close(Some(frame)) = message {
                    return Some((frame.code.into(), frame.reason.to_string()));
                }
            }
            None
        })
    }

    /// The close code and reason, after whatever signals come first.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                Message::Close(None) => return (1005, String::new()),
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> Message {
        let next = timeout(PATIENCE, self.socket.next()).await.expect("something comes in time");
        next.expect("the connection lives").expect("a frame")
    }
}
