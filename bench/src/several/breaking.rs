//! Breaks servers and members of etcd: killed, stopped, cut off, and after a while whole again.
//!
//! Not here: what comes of it. The surprise: at most one member is broken at a time, since of three
//! two must agree; of the servers as many as chance wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fixpoint_server::store::testing::Etcd;

use super::{
    Result,
    cut::Line,
    rest,
    worker::{Worker, signal_to},
};

/// How many servers there are,
pub const SERVERS: usize = 3;

/// and how many members of etcd.
pub const MEMBERS: usize = 3;

/// The servers, and their lines to etcd.
#[derive(Debug)]
pub struct Servers {
    workers: Vec<Worker>,
    lines: Vec<Vec<Line>>,
    started: usize,
    world: SocketAddr,
    life: u64,
    /// Where the API of each listens, for the load.
    pub ports: Arc<Mutex<Vec<u16>>>,
}

impl Servers {
    /// Starts them, on lines of their own.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start(etcd: &Etcd, world: SocketAddr, life: u64) -> Result<Self> {
        let members: Vec<SocketAddr> =
            etcd.addresses().split(',').map(str::parse).collect::<std::result::Result<_, _>>()?;
        let mut lines = Vec::new();
        for _ in 0..SERVERS {
            let mut of_one = Vec::new();
            for member in &members {
                of_one.push(Line::to(*member).await?);
            }
            lines.push(of_one);
        }
        let ports = Arc::default();
        let mut servers = Self { workers: Vec::new(), lines, started: 0, world, life, ports };
        for at in 0..SERVERS {
            let worker = servers.spawn(at)?;
            servers.workers.push(worker);
        }
        servers.tell();
        Ok(servers)
    }

    fn spawn(&mut self, at: usize) -> Result<Worker> {
        let etcd: Vec<String> =
            self.lines[at].iter().map(|line| format!("http://{}", line.address)).collect();
        self.started += 1;
        let (world, life) = (self.world.to_string(), self.life.to_string());
        Worker::start(self.started, &[&etcd.join(","), &life, &world])
    }

    fn tell(&self) {
        let ports = self.workers.iter().map(|worker| worker.port).collect();
        *self.ports.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }

    /// Breaks one of them for a while, and says how.
    ///
    /// # Errors
    /// If it cannot be broken or mended.
    pub async fn break_one(&mut self, chance: &mut fastrand::Rng) -> Result<&'static str> {
        let at = chance.usize(..SERVERS);
        let pause = Duration::from_millis(chance.u64(100..2_500 * self.life));
        Ok(match chance.u8(..3) {
            0 => {
                self.workers[at].kill()?;
                rest(pause).await;
                self.workers[at] = self.spawn(at)?;
                self.tell();
                "servers killed"
            }
            1 => {
                self.workers[at].signal("-STOP")?;
                rest(pause).await;
                self.workers[at].signal("-CONT")?;
                "servers stopped"
            }
            _ => {
                self.lines[at].iter().for_each(|line| line.set_whole(false));
                rest(pause).await;
                self.lines[at].iter().for_each(|line| line.set_whole(true));
                "servers cut off"
            }
        })
    }
}

/// Breaks one member of etcd for a while, and says how; the others are enough.
///
/// # Errors
/// If it cannot be broken or mended.
pub async fn break_member(etcd: &mut Etcd, chance: &mut fastrand::Rng) -> Result<&'static str> {
    let at = chance.usize(..MEMBERS);
    let pause = Duration::from_millis(chance.u64(100..5_000));
    if chance.bool() {
        etcd.kill(at)?;
        rest(pause).await;
        tokio::task::block_in_place(|| etcd.restart(at))?;
        return Ok("members killed");
    }
    let process = etcd.process(at).ok_or("a member that does not run")?;
    signal_to(process, "-STOP")?;
    rest(pause).await;
    signal_to(process, "-CONT")?;
    Ok("members stopped")
}
