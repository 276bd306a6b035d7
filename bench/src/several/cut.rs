//! A line to one etcd that can be cut: what is sent on it then arrives nowhere, and nothing says so,
//! as if a switch had died.
//!
//! Not here: when. The surprise: connections of before are closed once the line is whole again, as a
//! peer does that has forgotten them.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::Result;

/// A line that forwards to an address.
#[derive(Debug)]
pub struct Line {
    /// Where to connect instead.
    pub address: SocketAddr,
    whole: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Line {
    /// Lays a line.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn to(far: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (whole, is_whole) = watch::channel(true);
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, far, is_whole.clone()));
            }
        });
        Ok(Self { address, whole, task })
    }

    /// Cuts it, or mends it.
    pub fn set_whole(&self, whole: bool) {
        self.whole.send_replace(whole);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut near: TcpStream, far: SocketAddr, mut whole: watch::Receiver<bool>) {
    if *whole.borrow_and_update() {
        // An end that is gone is told by closing, as here.
        let Ok(mut far) = TcpStream::connect(far).await else { return };
        tokio::select! {
            _ended = copy_bidirectional(&mut near, &mut far) => {}
            _line_gone = silent(&mut whole) => {}
        }
    } else {
        let _line_gone = whole.wait_for(|whole| *whole).await;
    }
}

/// Waits for the line to be cut, and then for it to be mended.
async fn silent(
    whole: &mut watch::Receiver<bool>,
) -> std::result::Result<(), watch::error::RecvError> {
    whole.wait_for(|whole| !*whole).await?;
    whole.wait_for(|whole| *whole).await.map(drop)
}
