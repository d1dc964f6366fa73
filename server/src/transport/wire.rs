//! One socket below HTTP and WebSocket: what it holds of the gateway, and how it ends.
//!
//! Closing a socket while something unread waits in it makes the system send a reset, which may overtake what was
//! said last: the status of a refused request, the close code of a WebSocket. So the end is always the same: say that
//! nothing more comes, read on for a moment and throw it away, then close.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::visitors::Visit;
use super::{Transport, URI_MAX_BYTES};

/// How long a closing socket reads on.
const LINGER: Duration = Duration::from_secs(1);
/// And how much, at most.
const LINGER_MAX_BYTES: usize = 4 << 20;
/// Nothing of a response is taken for this long: nobody reads it.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// The longest request line: method, address and version around the path.
const FIRST_LINE_MAX_BYTES: usize = URI_MAX_BYTES + 64;

const URI_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A socket that has a place on this node.
pub struct Wire {
    transport: Box<dyn Transport>,
    first_line: FirstLine,
    stall: Stall,
    end: End,
    visit: Option<Visit>,
    _place: OwnedSemaphorePermit,
}

/// What of the first request line has come. HTTP itself would call a line without an end a header that is too large.
enum FirstLine {
    Reading(usize),
    Read,
    Refused,
}

/// Whether somebody waits for the socket to take more.
enum Stall {
    Moving,
    Since(Pin<Box<Sleep>>),
    /// Who writes has a deadline of their own.
    Unwatched,
}

enum End {
    Open,
    Lingering { until: Pin<Box<Sleep>>, shut: bool, left: usize },
    Over,
}

impl Wire {
    /// A socket whose first bytes are a request.
    pub fn new(transport: Box<dyn Transport>, place: OwnedSemaphorePermit, visit: Option<Visit>) -> Self {
        Self {
            transport,
            first_line: FirstLine::Reading(0),
            stall: Stall::Moving,
            end: End::Open,
            visit,
            _place: place,
        }
    }

    /// It is a WebSocket from now on, which counts elsewhere and has its own deadlines.
    pub(crate) fn upgraded(&mut self) {
        self.first_line = FirstLine::Read;
        self.stall = Stall::Unwatched;
        self.visit = None;
    }

    /// The last words come.
    pub(crate) fn make_room(&self) {
        self.transport.make_room();
    }

    /// Whether the request line is still one that can be answered.
    fn watch_first_line(&mut self, bytes: &[u8]) -> bool {
        let FirstLine::Reading(read) = &mut self.first_line else { return true };
        let line = bytes.iter().position(|byte| *byte == b'\n');
        *read += line.unwrap_or(bytes.len());
        let fits = *read <= FIRST_LINE_MAX_BYTES;
        if !fits {
            self.first_line = FirstLine::Refused;
        } else if line.is_some() {
            self.first_line = FirstLine::Read;
        }
        fits
    }

    fn poll_stall<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if matches!(self.stall, Stall::Moving) {
            self.stall = Stall::Since(Box::pin(sleep(WRITE_STALL)));
        }
        if let Stall::Since(deadline) = &mut self.stall {
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    /// The same, or what was written.
    fn poll_moving<T>(
        &mut self,
        done: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match done {
            Poll::Pending => self.poll_stall(context),
            Poll::Ready(result) => {
                if matches!(self.stall, Stall::Since(_)) {
                    self.stall = Stall::Moving;
                }
                Poll::Ready(result)
            }
        }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.end, End::Open) {
            self.end = End::Lingering { until: Box::pin(sleep(LINGER)), shut: false, left: LINGER_MAX_BYTES };
        }
        let End::Lingering { until, shut, left } = &mut self.end else { return Poll::Ready(()) };
        let transport = Pin::new(&mut self.transport);
        if until.as_mut().poll(context).is_pending() {
            ready!(poll_discard(transport, context, shut, left));
        }
        self.end = End::Over;
        Poll::Ready(())
    }
}

/// Shuts the sending half, then throws away what comes until the peer is done too.
fn poll_discard(
    mut transport: Pin<&mut Box<dyn Transport>>,
    context: &mut Context<'_>,
    shut: &mut bool,
    left: &mut usize,
) -> Poll<()> {
    if !*shut {
        if ready!(transport.as_mut().poll_shutdown(context)).is_err() {
            return Poll::Ready(());
        }
        *shut = true;
    }
    let mut bytes = [0; 4_096];
    while *left > 0 {
        let mut buffer = ReadBuf::new(&mut bytes);
        match ready!(transport.as_mut().poll_read(context, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => *left = left.saturating_sub(buffer.filled().len()),
            _ => break,
        }
    }
    Poll::Ready(())
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !matches!(self.first_line, FirstLine::Refused) {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
            if self.watch_first_line(&buffer.filled()[before..]) {
                return Poll::Ready(Ok(()));
            }
            buffer.set_filled(before);
            // The first thing that is written to this socket: it has room for it.
            let _ = Pin::new(&mut self.transport).poll_write(context, URI_TOO_LONG);
        }
        self.poll_end(context).map(Ok)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.poll_moving(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(context);
        self.poll_moving(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(context).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write_vectored(context, parts);
        self.poll_moving(written, context)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("visit", &self.visit).finish_non_exhaustive()
    }
}
