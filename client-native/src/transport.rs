//! A WebSocket that never blocks its owner: what is to be sent is queued and written while reading.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tidegate_protocol::CloseCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::tls::{Stream, handshake};

/// Size of each buffer of a connection, in bytes. The library's default of 128 KiB is for few and busy
/// connections; a signal has 1 to 3 KB.
const BUFFER_BYTES: usize = 4 * 1024;
/// Largest message that is read, in bytes: a replay comes as one message per signal.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// How long the server may take to answer a goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How bytes get to a server: TCP, or whatever a test has in its place.
pub trait Dial: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + Debug + 'static;

    /// Opens a connection for a WebSocket handshake with `request`.
    fn dial(&self, request: &Request) -> impl Future<Output = io::Result<Self::Io>> + Send + 'static;
}

/// Dials the host of the URL over TCP.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

impl Dial for Tcp {
    type Io = TcpStream;

    fn dial(&self, request: &Request) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            // A message is small and wanted now.
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }
}

/// What comes from a socket.
#[derive(Debug)]
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    /// A frame that says nothing, but shows that somebody is there.
    Other,
    Closed {
        code: CloseCode,
        reason: String,
    },
}

pub(crate) struct Socket<Io> {
    stream: Stream<Io>,
    /// The core sends no more than its allowance, so this is short.
    outgoing: VecDeque<String>,
    unflushed: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin + Send + Debug + 'static> Socket<Io> {
    /// Opens a socket.
    ///
    /// # Errors
    /// The close code that says the same as what went wrong.
    pub(crate) async fn open(
        io: impl Future<Output = io::Result<Io>>,
        request: Request,
    ) -> Result<Box<Self>, CloseCode> {
        let io = io.await.map_err(|error| {
            tracing::debug!(%error, "the server cannot be reached");
            CloseCode::ABNORMAL
        })?;
        match handshake(request, io, codec(MAX_MESSAGE_BYTES)).await {
            Ok(stream) => Ok(Box::new(Self { stream, outgoing: VecDeque::new(), unflushed: false })),
            Err(error) => {
                tracing::debug!(%error, "the server refused the handshake");
                Err(handshake_code(&error))
            }
        }
    }

    /// Queues a text frame.
    pub(crate) fn send(&mut self, text: String) {
        self.outgoing.push_back(text);
    }

    /// The next frame, writing what is queued meanwhile. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Incoming {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Incoming> {
        if let Poll::Ready(Err(error)) = self.poll_write(context) {
            return Poll::Ready(broken(&error));
        }
        let incoming = match ready!(self.stream.poll_next_unpin(context)) {
            Some(Ok(Message::Text(text))) => Incoming::Text(text),
            Some(Ok(Message::Close(frame))) => closed(frame),
            Some(Ok(Message::Ping(_))) => {
                // The library has queued the pong; somebody has to flush it.
                self.unflushed = true;
                Incoming::Other
            }
            Some(Ok(_)) => Incoming::Other,
            Some(Err(error)) => broken(&error),
            None => Incoming::Closed { code: CloseCode::ABNORMAL, reason: String::new() },
        };
        Poll::Ready(incoming)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outgoing.is_empty() {
            ready!(self.stream.poll_ready_unpin(context))?;
            if let Some(text) = self.outgoing.pop_front() {
                self.stream.start_send_unpin(Message::text(text))?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush_unpin(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Says goodbye, and waits until the server has heard it, or for a second.
    pub(crate) async fn close(mut self, code: CloseCode) {
        let frame = CloseFrame { code: code.0.into(), reason: Utf8Bytes::default() };
        let goodbye = async {
            while let Some(text) = self.outgoing.pop_front() {
                self.stream.feed(Message::text(text)).await?;
            }
            self.stream.close(Some(frame)).await?;
            while self.stream.next().await.transpose()?.is_some() {}
            Ok::<(), Error>(())
        };
        // Whether or not it was heard: the socket is closed when it is dropped.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// The codec's buffers and limits.
fn codec(max_message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes))
}

/// What a refusal before the upgrade means. Browsers cannot see it; here it says as much as a close code.
fn handshake_code(error: &Error) -> CloseCode {
    let Error::Http(response) = error else { return CloseCode::ABNORMAL };
    match response.status() {
        StatusCode::UNAUTHORIZED => CloseCode::UNAUTHENTICATED,
        StatusCode::FORBIDDEN => CloseCode::FORBIDDEN,
        StatusCode::SERVICE_UNAVAILABLE => CloseCode::TRY_AGAIN_LATER,
        _ => CloseCode::ABNORMAL,
    }
}

fn closed(frame: Option<CloseFrame>) -> Incoming {
    match frame {
        Some(frame) => {
            Incoming::Closed { code: CloseCode(frame.code.into()), reason: frame.reason.as_str().to_owned() }
        }
        None => Incoming::Closed { code: CloseCode::ABNORMAL, reason: String::new() },
    }
}

fn broken(error: &Error) -> Incoming {
    tracing::debug!(%error, "the connection broke");
    let code = match error {
        Error::Capacity(_) => CloseCode::MESSAGE_TOO_BIG,
        Error::Utf8(_) => CloseCode::INVALID_DATA,
        _ => CloseCode::ABNORMAL,
    };
    Incoming::Closed { code, reason: String::new() }
}

#[cfg(test)]
#[path = "transport_autobahn.rs"]
mod autobahn;
