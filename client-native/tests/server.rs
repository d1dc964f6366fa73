//! A server whose every word the test says itself.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tidegate_client_native::{Client, Dial, Options, Subscription, TokenSource, Update};
use tidegate_protocol::{
    Authenticated, AuthenticatedPayload, ClientMessage, CloseCode, Confidence, Connected, ConnectedPayload,
    Feed, FeedRequest, HEARTBEAT_SECONDS, Heartbeat, HeartbeatPayload, Limits, ScalpIndicator, ScalpMessage,
    ServerMessage, Side, Strategy, Subscribed, SubscribedPayload, SubscriptionGranted,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Dials within this process.
#[derive(Debug)]
pub(crate) struct Memory {
    server: mpsc::UnboundedSender<DuplexStream>,
}

impl Dial for Memory {
    type Io = DuplexStream;

    fn dial(&self, _: &Request) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let accepted = self.server.send(far);
        async move {
            accepted.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
    }
}

/// Where the dials of [`Memory`] arrive.
pub(crate) struct Listener(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener {
    pub(crate) async fn accept(&mut self) -> Peer<DuplexStream> {
        Peer::upgrade(self.stream().await).await
    }

    pub(crate) async fn stream(&mut self) -> DuplexStream {
        self.0.recv().await.expect("the client dials")
    }

    /// Whether somebody dials within this time.
    pub(crate) async fn is_dialled_within(&mut self, time: Duration) -> bool {
        matches!(tokio::time::timeout(time, self.0.recv()).await, Ok(Some(_)))
    }
}

/// A client with a fixed token, and the server that it dials.
pub(crate) fn client() -> (Client, Listener) {
    client_with(Options::new("ws://test/ws", TokenSource::fixed("token-1")))
}

pub(crate) fn client_with(options: Options) -> (Client, Listener) {
    let (server, listener) = mpsc::unbounded_channel();
    (Client::connect_with(options, Memory { server }).unwrap(), Listener(listener))
}

/// The server's end of one connection.
pub(crate) struct Peer<Io> {
    pub(crate) stream: WebSocketStream<Io>,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Peer<Io> {
    /// Accepts the upgrade, and the subprotocol in it.
    pub(crate) async fn upgrade(io: Io) -> Self {
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let echo = |request: &Upgrade, mut response: Response| -> Result<Response, ErrorResponse> {
            let offered = request.headers().get("Sec-WebSocket-Protocol").cloned();
            assert_eq!(offered.as_ref().unwrap(), "tidegate.v1");
            response.headers_mut().insert("Sec-WebSocket-Protocol", offered.unwrap());
            Ok(response)
        };
        Self { stream: accept_hdr_async(io, echo).await.expect("a handshake") }
    }

    /// Answers the upgrade with an HTTP status.
    pub(crate) async fn refuse(io: Io, status: StatusCode) {
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let refuse = move |_: &Upgrade, _: Response| -> Result<Response, ErrorResponse> {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = status;
            Err(refusal)
        };
        assert!(accept_hdr_async(io, refuse).await.is_err());
    }

    /// The next message of the client.
    pub(crate) async fn hear(&mut self) -> ClientMessage {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return ClientMessage::parse(&text).expect("a message"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a message, not {other:?}"),
            }
        }
    }

    /// The code with which the client closes, after which the connection is gone.
    pub(crate) async fn hear_close(mut self) -> u16 {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Close(frame))) => {
                    self.stream.close(None).await.ok();
                    return frame.map_or(1005, |frame| frame.code.into());
                }
                Some(Ok(_)) => {}
                other => panic!("a close frame, not {other:?}"),
            }
        }
    }

    /// The first message of the client: its token, its session and what it asks for. It is let in, and
    /// everything granted.
    pub(crate) async fn let_in(&mut self) -> (String, Option<String>, Vec<FeedRequest>) {
        let ClientMessage::Authenticate(message) = self.hear().await else { panic!("authenticate") };
        let id = message.id.unwrap();
        self.say(&authenticated(id)).await;
        self.say(&connected(id)).await;
        let requests = message.subscriptions.unwrap_or_default();
        if !requests.is_empty() {
            self.say(&subscribed(id, &requests, true)).await;
        }
        (message.token, message.session, requests)
    }

    /// A `subscribe` of the client, granted.
    pub(crate) async fn grant(&mut self) -> Vec<FeedRequest> {
        let ClientMessage::Subscribe(message) = self.hear().await else { panic!("subscribe") };
        let requests = message.requests();
        self.say(&subscribed(message.id.unwrap(), &requests, true)).await;
        requests
    }

    pub(crate) async fn say(&mut self, message: &ServerMessage) {
        self.say_text(message.to_json()).await;
    }

    pub(crate) async fn say_text(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.expect("the client reads");
    }

    pub(crate) async fn ping(&mut self) {
        self.stream.send(Message::Ping(vec![7].into())).await.expect("the client reads");
        let answer = self.stream.next().await;
        assert!(matches!(answer, Some(Ok(Message::Pong(_)))), "{answer:?}");
    }

    pub(crate) async fn close(mut self, code: CloseCode) {
        let frame = CloseFrame { code: code.0.into(), reason: "".into() };
        self.stream.close(Some(frame)).await.ok();
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Says a heartbeat whenever one is due, for ever.
    pub(crate) async fn beat(mut self) {
        let server_time = "2025-11-04T10:30:00Z".to_owned();
        let beat = ServerMessage::Heartbeat(Heartbeat { payload: HeartbeatPayload { server_time } });
        loop {
            tokio::time::sleep(Duration::from_secs(25)).await;
            self.say(&beat).await;
        }
    }
}

pub(crate) fn btc() -> Feed {
    Feed { symbol: "BTCUSDT".parse().unwrap(), strategy: Strategy::Scalp }
}

pub(crate) fn authenticated(id: u64) -> ServerMessage {
    let payload = AuthenticatedPayload {
        wallet_address: "0x742d".into(),
        expires_at: "2025-11-04T10:45:00Z".into(),
        expires_in_ms: 900_000,
    };
    ServerMessage::Authenticated(Authenticated { id, payload })
}

fn connected(id: u64) -> ServerMessage {
    let payload = ConnectedPayload {
        session_id: "session-1".into(),
        user_id: "0x742d".into(),
        wallet_address: "0x742d".into(),
        roles: vec!["user".into()],
        expires_at: "2025-11-04T10:45:00Z".into(),
        expires_in_ms: 900_000,
        server_time: "2025-11-04T10:30:00Z".into(),
        heartbeat_seconds: HEARTBEAT_SECONDS,
        limits: Limits::default(),
    };
    ServerMessage::Connected(Connected { id, payload })
}

pub(crate) fn subscribed(id: u64, requests: &[FeedRequest], recovered: bool) -> ServerMessage {
    let grant = |request: &FeedRequest| SubscriptionGranted {
        symbol: request.parse_symbol().unwrap(),
        strategy: request.parse_strategy().unwrap().unwrap_or_default(),
        interval_ms: 30_000,
        recovered,
    };
    let payload = SubscribedPayload {
        subscribed: Vec::new(),
        strategies: std::collections::BTreeMap::new(),
        subscriptions: requests.iter().map(grant).collect(),
        rejected: Vec::new(),
        message: "Subscribed.".into(),
    };
    ServerMessage::Subscribed(Subscribed { id, symbol: None, strategy: None, payload })
}

/// A signal of [`btc`].
pub(crate) fn signal(seq: u64, prev: u64) -> ServerMessage {
    let feed = btc();
    let data = ScalpIndicator {
        symbol: feed.symbol,
        timestamp: "2025-11-03T13:30:00Z".into(),
        current_price: 107_500.0,
        ema_1min: 107_525.0,
        side: Side::Long,
        limit_price: 107_478.5,
        tp_price: 107_661.25,
        sl_price: 107_392.5,
        tp_percent: 0.15,
        sl_percent: 0.10,
        confidence: Confidence::High,
        reasoning: "Mean reversion opportunity.".into(),
        expected_hold_minutes: 2,
        range_high_5min: 107_650.0,
        range_low_5min: 107_450.0,
        position_in_range: 0.25,
    };
    ServerMessage::Scalp(ScalpMessage { symbol: feed.symbol, strategy: feed.strategy, seq, prev, data })
}

/// The next update that is not about the status, in short: `+seq`, `^seq` for a backfill, `gap a-b`, `lag n`.
pub(crate) async fn next(subscription: &mut Subscription) -> String {
    loop {
        let update = subscription.next().await.expect("the client is open");
        let seq = |message: &ServerMessage| message.position().expect("a signal").1;
        return match update {
            Update::Signal(message) => format!("+{}", seq(&message)),
            Update::Backfill(message) => format!("^{}", seq(&message)),
            Update::Gap { after, before } => format!("gap {after}-{before}"),
            Update::Lagged(count) => format!("lag {count}"),
            Update::Status(_) => continue,
        };
    }
}
