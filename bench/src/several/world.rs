//! The cloud of the servers under test: parts of mills, made and taken away over a connection.
//!
//! Not here: who may. The surprise: it forgives nothing. Whoever makes a part that is there, or acts
//! on a mill while another call does, has done what a second owner would do, and it is written down.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{Result, rest};

/// How long a change takes: half of it before the effect, half after, as with a real cloud.
const CHANGE: Duration = Duration::from_millis(40);

/// A call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Call {
    /// Which parts there are.
    Look {
        /// Of which mill.
        mill: String,
    },
    /// Makes a part.
    Make {
        /// Of which mill.
        mill: String,
        /// Which.
        part: u32,
    },
    /// Takes a part away.
    Take {
        /// Of which mill.
        mill: String,
        /// Which.
        part: u32,
    },
}

/// What there is, and what went wrong.
#[derive(Debug, Default)]
pub struct State {
    /// The parts of each mill.
    pub parts: BTreeMap<String, BTreeSet<u32>>,
    /// Mills that a call acts on just now.
    at_work: HashSet<String>,
    /// How many changes were made.
    pub changes: u64,
    /// Parts that were made twice, or taken twice.
    pub twice: Vec<String>,
    /// Calls that came while another call acted on the same mill.
    pub together: Vec<String>,
}

/// The cloud. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// What there is.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers calls.
    pub async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            // A call that has come takes effect, whatever becomes of its caller.
            tokio::spawn(self.clone().answer(stream));
        }
    }

    async fn answer(self, stream: TcpStream) -> Result {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.is_empty() {
            // It connected, and then did not dare.
            return Ok(());
        }
        let parts = match serde_json::from_str(&line)? {
            Call::Look { mill } => self.state().parts.get(&mill).cloned().unwrap_or_default(),
            Call::Make { mill, part } => {
                self.change(&mill, &line, |parts| parts.insert(part)).await
            }
            Call::Take { mill, part } => {
                self.change(&mill, &line, |parts| parts.remove(&part)).await
            }
        };
        let mut answer = serde_json::to_vec(&parts)?;
        answer.push(b'\n');
        Ok(stream.write_all(&answer).await?)
    }

    async fn change(
        &self,
        mill: &str,
        call: &str,
        effect: impl FnOnce(&mut BTreeSet<u32>) -> bool,
    ) -> BTreeSet<u32> {
        if !self.state().at_work.insert(mill.to_owned()) {
            self.state().together.push(call.trim().to_owned());
        }
        rest(CHANGE / 2).await;
        let parts = {
            let mut state = self.state();
            state.changes += 1;
            let parts = state.parts.entry(mill.to_owned()).or_default();
            let new = effect(parts);
            let parts = parts.clone();
            if !new {
                state.twice.push(call.trim().to_owned());
            }
            parts
        };
        rest(CHANGE / 2).await;
        self.state().at_work.remove(mill);
        parts
    }
}

/// Calls. `may` is asked when the call could leave, right before it does.
///
/// # Errors
/// If there is no answer, or it may not.
pub async fn call<E>(
    world: SocketAddr,
    call: &Call,
    may: impl FnOnce() -> std::result::Result<(), E>,
) -> Result<BTreeSet<u32>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut line = serde_json::to_vec(call)?;
    line.push(b'\n');
    let mut stream = BufReader::new(TcpStream::connect(world).await?);
    may()?;
    stream.write_all(&line).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}
