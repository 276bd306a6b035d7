//! A server as a process of its own: the program itself, started again, and what it does then.
//!
//! Not here: the kind that the server serves. The surprise: signals are sent by `kill`, since a process that
//! is stopped cannot be asked for anything.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use fixpoint::Scheduler;
use fixpoint_server::{
    Access, Hosts, Kind, Server,
    store::{EtcdOptions, EtcdStore},
};
use fixpoint_trace::{record::Recorder, store::memory::MemoryStore};

use super::Result;

/// What one of the servers is told when it is started.
#[derive(Debug, Clone, clap::Args)]
pub struct Part {
    name: String,
    port: u16,
    /// The members of etcd, parted by commas
    etcd: String,
    /// How long a lease lives, in seconds
    life: u64,
}

/// Is one of the servers, for as long as nobody ends it. Its records are under `prefix`, its traces in
/// memory.
///
/// # Errors
/// If etcd or the port cannot be had, or the server fails.
pub async fn serve(part: Part, prefix: &str, kind: impl Kind, scheduler: Scheduler) -> Result {
    let runs = EtcdStore::open(EtcdOptions {
        endpoints: part.etcd.split(',').map(str::to_owned).collect(),
        prefix: prefix.to_owned(),
        ..EtcdOptions::default()
    })
    .await?;
    let traces = Arc::new(MemoryStore::default());
    let (recorder, writer) = Recorder::new(Arc::clone(&traces) as _);
    tokio::spawn(writer.run(std::future::pending()));
    let server = Server::builder()
        .kind(kind)
        .name(part.name)
        .runs(Arc::new(runs))
        .traces(traces, recorder)
        .access(Access::Anyone(Hosts::default()))
        .scheduler(scheduler)
        .take_over_after(Duration::from_secs(part.life))
        .build()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, part.port)).await?;
    Ok(Box::pin(server.run(listener, std::future::pending())).await?)
}

/// A server that this program started. Ends with this.
#[derive(Debug)]
pub struct Worker {
    /// What it goes by, another for each start.
    pub name: String,
    /// Where its API listens.
    pub port: u16,
    process: Child,
}

impl Worker {
    /// Starts this program with `server NAME PORT` and what else it wants to know.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(number: usize, arguments: &[&str]) -> Result<Self> {
        let name = format!("server-{number}");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new(std::env::current_exe()?)
            .args(["server", &name, &port.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { name, port, process })
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn kill(&mut self) -> Result {
        Ok(self.process.kill()?)
    }

    /// Sends it a signal: `-STOP`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, signal: &str) -> Result {
        signal_to(self.process.id(), signal)
    }

    /// How many late writes etcd has refused it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn refused(&self) -> Result<u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let text = reqwest::get(url).await?.text().await?;
        let name = "fixpoint_late_writes_refused_total ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or("no such metric")?.parse()?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _gone_already = self.process.wait();
    }
}

/// Sends a signal to a process.
///
/// # Errors
/// If there is none.
pub fn signal_to(process: u32, signal: &str) -> Result {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status()?;
    if sent.success() { Ok(()) } else { Err(format!("process {process} is gone").into()) }
}
