//! Starts etcd for a test, on free ports of the loopback address.
//!
//! For everybody whose tests need a real one. Not for production: its data goes with it. The
//! surprise: a test that finds no `etcd` fails. `scripts/test` installs it.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::EtcdOptions;

/// How long etcd may take to elect its first leader, on a machine that has much else to do.
const START: Duration = Duration::from_secs(30);

/// A cluster of etcd's, ended and removed when it is dropped.
#[derive(Debug)]
pub struct Etcd {
    scheme: &'static str,
    members: Vec<Member>,
    folder: PathBuf,
}

#[derive(Debug)]
struct Member {
    arguments: Vec<String>,
    client: u16,
    process: Option<Child>,
}

impl Etcd {
    /// Starts so many members, and waits until they answer.
    ///
    /// # Errors
    /// If there is no command `etcd`, or it does not answer in time.
    pub fn start(count: usize) -> io::Result<Self> {
        Self::start_with(count, "http", &[])
    }

    /// The same, for clients that come by `http` or `https`, with more of etcd's own arguments.
    ///
    /// # Errors
    /// As in [`Etcd::start`].
    pub fn start_with(count: usize, scheme: &'static str, more: &[&str]) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("fixpoint-etcd-{:016x}", fastrand::u64(..)));
        std::fs::create_dir_all(&folder)?;
        // All ports are held until all are known, or two members might get the same one.
        let held: Vec<_> = (0..2 * count)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<Result<_, _>>()?;
        let ports: Vec<_> =
            held.iter().map(|held| Ok(held.local_addr()?.port())).collect::<io::Result<_>>()?;
        let (clients, peers) = ports.split_at(count);
        drop(held);
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<_> =
            peers.iter().enumerate().map(|(n, peer)| format!("m{n}={}", url(peer))).collect();
        let members = clients.iter().zip(peers).enumerate().map(|(n, (client, peer))| {
            let data = folder.join(n.to_string()).display().to_string();
            let arguments = [
                ["--name", &format!("m{n}")],
                ["--data-dir", &data],
                ["--listen-client-urls", &format!("{scheme}://127.0.0.1:{client}")],
                ["--advertise-client-urls", &format!("{scheme}://127.0.0.1:{client}")],
                ["--listen-peer-urls", &url(peer)],
                ["--initial-advertise-peer-urls", &url(peer)],
                ["--initial-cluster", &cluster.join(",")],
            ];
            let arguments = arguments.iter().flatten().chain(more);
            let arguments = arguments.map(|&argument| argument.to_owned()).collect();
            Member { arguments, client: *client, process: None }
        });
        let mut etcd = Self { scheme, members: members.collect(), folder };
        for member in 0..count {
            etcd.spawn(member)?;
        }
        for member in 0..count {
            etcd.answers(member)?;
        }
        Ok(etcd)
    }

    fn spawn(&mut self, member: usize) -> io::Result<()> {
        let log = std::fs::File::create(self.folder.join(format!("{member}.log")))?;
        let member = &mut self.members[member];
        let mut command = Command::new("etcd");
        command.args(&member.arguments).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().map_err(|error| {
            let hint = "etcd could not be started; scripts/test installs it (etcd-server)";
            io::Error::new(error.kind(), format!("{hint}: {error}"))
        })?;
        member.process = Some(process);
        Ok(())
    }

    fn answers(&self, member: usize) -> io::Result<()> {
        let port = self.members[member].client;
        let until = Instant::now() + START;
        while let Err(error) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            if Instant::now() > until {
                let log = self.folder.join(format!("{member}.log"));
                let log = std::fs::read_to_string(log).unwrap_or_default();
                return Err(io::Error::new(error.kind(), format!("etcd does not answer: {log}")));
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    /// How to reach it, with keys of one's own.
    pub fn options(&self, prefix: &str) -> EtcdOptions {
        let endpoint = |member: &Member| format!("{}://127.0.0.1:{}", self.scheme, member.client);
        EtcdOptions {
            endpoints: self.members.iter().map(endpoint).collect(),
            prefix: prefix.to_owned(),
            ..EtcdOptions::default()
        }
    }

    /// The members' addresses: `127.0.0.1:PORT`, parted by commas.
    pub fn addresses(&self) -> String {
        let address = |member: &Member| format!("127.0.0.1:{}", member.client);
        self.members.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// The process of a member, if it runs.
    pub fn process(&self, member: usize) -> Option<u32> {
        self.members[member].process.as_ref().map(Child::id)
    }

    /// `kill -9` for one of them.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self, member: usize) -> io::Result<()> {
        if let Some(mut process) = self.members[member].process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Starts one that was killed, with what it knew.
    ///
    /// # Errors
    /// As in [`Etcd::start`].
    pub fn restart(&mut self, member: usize) -> io::Result<()> {
        self.spawn(member)?;
        self.answers(member)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            let _gone_already = self.kill(member);
        }
        let _gone_already = std::fs::remove_dir_all(&self.folder);
    }
}
