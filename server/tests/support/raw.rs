//! A socket without a client on it: bytes in, bytes out, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than anything a test waits for on purpose, and than the kernel's longest pause (51 s) between two questions
/// to a peer whose buffer was full.
const PATIENCE: Duration = Duration::from_secs(75);
/// The key of the example in RFC 6455, and its answer.
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The gateway said that nothing more comes.
    Closed,
    /// Cut off: what was said last may have been lost.
    Reset,
}

/// The status of a response, its head and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A frame of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// A connected socket.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
    pub opened: Instant,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await.expect("in time").unwrap();
        Self { stream, buffer: Vec::new(), opened: Instant::now() }
    }

    /// A socket that can hold little that was not read.
    pub async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1_024).unwrap();
        let stream = timeout(PATIENCE, socket.connect(address)).await.expect("in time").unwrap();
        Self { stream, buffer: Vec::new(), opened: Instant::now() }
    }

    /// A WebSocket on which nothing was said yet.
    pub async fn upgraded(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.upgrade(path).await;
        raw
    }

    pub async fn upgrade(&mut self, path: &str) {
        self.send(handshake(path, "")).await;
        let answer = self.head().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert!(answer.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer:?}");
    }

    /// Sends it all; a gateway that has had enough may close in between.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes).await;
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }

    /// A response with its body, as far as `Content-Length` says.
    pub async fn answer(&mut self) -> Answer {
        let answer = self.head().await;
        self.rest_of(answer).await
    }

    /// The response that begins with this head.
    pub async fn rest_of(&mut self, mut answer: Answer) -> Answer {
        let length = answer.head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let body = self.take(length.unwrap_or(0)).await.expect("the body");
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// The status and the head of a response.
    pub async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await.is_ok_and(|read| read > 0), "no answer but {:?}", self.buffer);
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: String::new() }
    }

    /// The next frame, if one comes before the end.
    pub async fn frame(&mut self) -> Option<Frame> {
        let header = self.take(2).await?;
        assert_eq!(header[1] & 0x80, 0, "a server does not mask");
        let length = match header[1] {
            126 => u16::from_be_bytes(self.take(2).await?.try_into().unwrap()).into(),
            127 => usize::try_from(u64::from_be_bytes(self.take(8).await?.try_into().unwrap())).unwrap(),
            length => length.into(),
        };
        Some(Frame { opcode: header[0] & 0x0f, payload: self.take(length).await? })
    }

    /// The next frame, however long it takes.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        if self.buffer.is_empty() {
            self.stream.readable().await.ok()?;
        }
        self.frame().await
    }

    /// Says that nothing more comes; what the gateway says can still be read.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The close code, after whatever comes first.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            let frame = self.frame().await?;
            if frame.opcode == 8 {
                return frame.payload.get(..2).map(|code| u16::from_be_bytes(code.try_into().unwrap()));
            }
        }
    }

    /// Reads on to the end. The client has not closed its half.
    pub async fn end(&mut self) -> End {
        loop {
            match self.fill().await {
                Ok(0) => return End::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => panic!("it does not end"),
                Err(_) => return End::Reset,
            }
        }
    }

    /// What has come and was not looked at.
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if self.fill().await.ok()? == 0 {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let reading = self.stream.read_buf(&mut self.buffer);
        timeout(PATIENCE, reading).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A correct handshake with these headers added, each ended by a line break.
pub fn handshake(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n{HANDSHAKE}{more}\r\n")
}

/// A frame as a client sends it: with a mask, which is zero so that the payload stays legible.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload);
    frame
}

/// The header of a frame that claims a payload.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..126 => header.push(0x80 | u8::try_from(length).unwrap()),
        126..65_536 => {
            header.push(0x80 | 126);
            header.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend(length.to_be_bytes());
        }
    }
    header.extend([0; 4]);
    header
}

/// A message in one frame.
pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// A request with a body, and what may be taken for a second one behind it.
pub fn post(host: &str, headers: &str, body: &str, second: &str) -> String {
    format!("POST /api/auth/challenge HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{body}{second}")
}

/// Requests of which a proxy and a server may see different ends.
pub fn ambiguous(host: &str, second: &str) -> Vec<String> {
    let hidden = second.len();
    let post = |headers: &str, body: &str| post(host, headers, body, second);
    vec![
        post("Content-Length: 0\r\nContent-Length: 5\r\n", ""),
        post("Content-Length: 0, 5\r\n", ""),
        post("Content-Length: +0\r\n", ""),
        post("Content-Length: -1\r\n", ""),
        post(&format!("Content-Length: {hidden}\r\nTransfer-Encoding: chunked\r\n"), "0\r\n\r\n"),
        post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {hidden}\r\n"), "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        post("X: a\0b\r\n", ""),
    ]
}
