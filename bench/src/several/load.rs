//! Asks servers for mills, for other mills, and for none, all the time.
//!
//! Not here: what comes of it. The surprise: who asks never knows whether a request that was not
//! answered was done, as in life, and asks another server for the same.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fixpoint_client::Client;
use serde_json::json;

use super::{Result, rest};

/// How long a request may take before another server is asked.
const REQUEST: Duration = Duration::from_secs(5);

/// Asks for mills, for other mills, and for none.
#[derive(Debug, Default)]
pub struct Load {
    /// Where servers listen.
    pub ports: Arc<Mutex<Vec<u16>>>,
    /// The runs that were answered.
    pub runs: Mutex<BTreeSet<String>>,
    /// It is enough.
    pub stop: AtomicBool,
}

impl Load {
    /// A client of one of the servers.
    ///
    /// # Errors
    /// If there is none.
    pub fn client(&self, chance: &mut fastrand::Rng) -> Result<Client> {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let port = chance.choice(&*ports).ok_or("no servers")?;
        Ok(Client::new(&format!("http://127.0.0.1:{port}"))?)
    }

    /// Asks one server after another until one answers. None if the answer is that there is no such
    /// mill, or that there is one already.
    async fn ask(
        &self,
        chance: &mut fastrand::Rng,
        mill: &str,
        wish: Wish,
    ) -> Result<Option<Option<String>>> {
        loop {
            let client = self.client(chance)?;
            match tokio::time::timeout(REQUEST, wish.of(&client, mill)).await {
                Ok(Ok(run)) => return Ok(Some(run)),
                Ok(Err(error)) => match error.status() {
                    Some(404 | 409) => return Ok(None),
                    // It is away, or etcd is; whether it was done is asked by doing it again.
                    None | Some(500..) => rest(Duration::from_millis(200)).await,
                    Some(_) => return Err(error.into()),
                },
                Err(_elapsed) => {}
            }
        }
    }

    /// The same, and remembers the run that it led to.
    async fn wish(&self, chance: &mut fastrand::Rng, mill: &str, wish: Wish) -> Result {
        let run = self.ask(chance, mill, wish).await?.flatten();
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).extend(run);
        Ok(())
    }

    /// Builds and tears down one mill until it is enough. Returns how many parts it should have then.
    ///
    /// # Errors
    /// If a request is refused.
    pub async fn keep_asking(&self, mill: &str, mut chance: fastrand::Rng) -> Result<u32> {
        let mut wanted = 0;
        while !self.stop.load(Relaxed) {
            let parts = chance.u32(1..6);
            if wanted == 0 {
                self.wish(&mut chance, mill, Wish::Create(parts)).await?;
                // One that was there already was made by a request whose answer did not come.
                self.wish(&mut chance, mill, Wish::Change(parts)).await?;
                wanted = parts;
            } else if chance.u8(..5) > 0 {
                self.wish(&mut chance, mill, Wish::Change(parts)).await?;
                wanted = parts;
            } else {
                self.wish(&mut chance, mill, Wish::Delete).await?;
                while self.ask(&mut chance, mill, Wish::Look).await?.is_some() {
                    rest(Duration::from_millis(100)).await;
                }
                wanted = 0;
            }
            rest(Duration::from_millis(chance.u64(..600))).await;
        }
        Ok(wanted)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Create(u32),
    Change(u32),
    Delete,
    Look,
}

impl Wish {
    /// Asks for it. The run that it led to, if it led to one.
    async fn of(
        self,
        client: &Client,
        mill: &str,
    ) -> std::result::Result<Option<String>, fixpoint_client::Error> {
        Ok(match self {
            Self::Create(parts) => {
                client.create("mills", &json!({"name": mill, "parts": parts})).await?.run_id
            }
            Self::Change(parts) => {
                client.patch("mills", mill, &json!({"parts": parts}), None).await?.run_id
            }
            Self::Delete => client.delete("mills", mill).await?.run_id,
            Self::Look => client.resource("mills", mill).await.map(|_| None)?,
        })
    }
}
