//! What a gateway accepts connections from, and what it does to their sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What the kernel holds of a connection before the gateway notices that nobody reads. A connection that is mostly
/// idle needs no more, and a reader that stalls shows itself soon.
const SEND_BUFFER_BYTES: usize = 32 * 1_024;
/// A connection that is closed while its peer reads nothing leaves its last words to the kernel.
const LAST_WORDS_BYTES: usize = 256 * 1_024;
/// A peer that acknowledges nothing for this long is gone, also where there is only a closed connection left of it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// A socket, or anything that behaves as one.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Takes more of what is written from now on, so that a few last words do not have to wait for the reader.
    fn make_room(&self) {}
}

/// Where connections come from: a TCP listener, or what a test puts in its place.
pub trait Listener: Send + 'static {
    /// The connections.
    type Io: Transport;

    /// Called once, before the first [`accept`](Self::accept).
    fn prepare(&self) {}

    /// The next connection and where it comes from.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    /// Accepted sockets inherit what is set here.
    fn prepare(&self) {
        let socket = SockRef::from(self);
        let set = [socket.set_send_buffer_size(SEND_BUFFER_BYTES), socket.set_tcp_nodelay(true)];
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let set = set.into_iter().chain([socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))]);
        for error in set.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a setting of the listener is not taken");
        }
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }
}

impl Transport for TcpStream {
    fn make_room(&self) {
        // It stays as it is where the system says no.
        let _ = SockRef::from(self).set_send_buffer_size(LAST_WORDS_BYTES);
    }
}

impl Transport for DuplexStream {}

/// A stream of another crate as a [`Transport`].
#[derive(Debug)]
pub struct Bare<T>(pub T);

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for Bare<T> {}

impl<T: AsyncRead + Unpin> AsyncRead for Bare<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Bare<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
