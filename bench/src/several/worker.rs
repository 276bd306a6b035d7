//! A server as a process of its own: the program itself, started again.
//!
//! Not here: what the server serves. The surprise: signals are sent by `kill`, since a process that
//! is stopped cannot be asked for anything.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
};

use super::Result;

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
