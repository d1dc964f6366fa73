//! A way to the gateway that swallows everything when told to, without closing anything: what a phone leaves behind
//! that changes networks.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on, until it swallows them.
pub struct BlackHole {
    pub address: SocketAddr,
    swallowing: watch::Sender<bool>,
}

impl BlackHole {
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let (swallowing, watching) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_read, far_write, watching.clone()));
                tokio::spawn(pass(far_read, near_write, watching.clone()));
            }
        });
        Self { address, swallowing }
    }

    /// From now on nothing gets through, in either direction, and nobody is told.
    pub fn swallow(&self) {
        let _ = self.swallowing.send(true);
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallowing: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1_024];
    // The end is not passed on either: whoever holds the other side learns nothing.
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if *swallowing.borrow() {
            let mut swallowing = swallowing;
            let _ = swallowing.wait_for(|swallowing| !*swallowing).await;
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
