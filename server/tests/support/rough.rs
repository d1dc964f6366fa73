//! A way to the gateway that is bad: bytes come one at a time, late, slowly, or the connection is reset.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// What the way does to what passes.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Each byte is a segment of its own.
    Sliced,
    /// So many bytes a second in each direction, each so much later.
    Slow { bytes_per_second: u32, latency: Duration },
    /// The first connections are reset after more and more bytes; later ones live.
    Reset { connections: usize, bytes: usize },
}

/// Listens, and passes on to a gateway.
pub async fn way(target: SocketAddr, manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut count = 0;
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(target).await else { continue };
            count += 1;
            match manner {
                Manner::Reset { connections, bytes } if count <= connections => {
                    tokio::spawn(reset_after(near, far, bytes * count));
                }
                _ => {
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::spawn(pass(near_in, far_out, manner));
                    tokio::spawn(pass(far_in, near_out, manner));
                }
            }
        }
    });
    address
}

/// Both ends learn by a reset, whatever was on its way.
async fn reset_after(mut near: TcpStream, mut far: TcpStream, bytes: usize) {
    let (mut up, mut down, mut left) = (vec![0; 4_096], vec![0; 4_096], bytes);
    while left > 0 {
        let passed = tokio::select! {
            read = near.read(&mut up) => match read {
                Ok(read) if read > 0 => far.write_all(&up[..read]).await.map(|()| 0),
                _ => break,
            },
            read = far.read(&mut down) => match read {
                Ok(read) if read > 0 => near.write_all(&down[..read.min(left)]).await.map(|()| read),
                _ => break,
            },
        };
        let Ok(passed) = passed else { break };
        left = left.saturating_sub(passed);
    }
    for end in [&near, &far] {
        let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
    }
}

async fn pass(mut from: OwnedReadHalf, to: OwnedWriteHalf, manner: Manner) {
    let (later, due) = mpsc::channel(64);
    tokio::spawn(write(due, to, manner));
    let mut buffer = vec![0; 1_024];
    while let Ok(read) = from.read(&mut buffer).await {
        let latency = if let Manner::Slow { latency, .. } = manner { latency } else { Duration::ZERO };
        if read == 0 || later.send((Instant::now() + latency, buffer[..read].to_vec())).await.is_err() {
            return;
        }
    }
}

async fn write(mut due: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf, manner: Manner) {
    let _ = to.as_ref().set_nodelay(true);
    while let Some((at, bytes)) = due.recv().await {
        sleep_until(at).await;
        let size = if matches!(manner, Manner::Sliced) { 1 } else { bytes.len() };
        for piece in bytes.chunks(size) {
            if to.write_all(piece).await.is_err() {
                return;
            }
        }
        if let Manner::Slow { bytes_per_second, .. } = manner {
            sleep(Duration::from_secs(1) * u32::try_from(bytes.len()).unwrap() / bytes_per_second).await;
        }
    }
    // The end is passed on when everything before it is.
    let _ = to.shutdown().await;
}
