//! A whole server in this process, as `fixpoint serve` has it: its stores, traces, log lines, profiles
//! and the API.
//!
//! Not here: the kind that it serves, and where resources and runs are kept. The surprise: log lines go
//! to standard error, since what the programs answer goes to standard output.

use std::{io, net::Ipv4Addr, path::Path, sync::Arc};

use fixpoint_server::{Access, Builder, Hosts, Server, store::RunStore};
use fixpoint_trace::{
    layer::{JsonLines, RecordLayer},
    record::Recorder,
    store::{
        TraceStore,
        engine::{Engine, Options},
    },
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::errors::Result;

/// A server that serves.
#[derive(Debug)]
pub struct Whole {
    /// Where its API is.
    pub url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::result::Result<(), fixpoint_server::Error>>,
    stop_writing: oneshot::Sender<()>,
    writing: JoinHandle<()>,
}

impl Whole {
    /// Starts one on a free port, with its traces in a folder. `finish` adds the kind, and what else
    /// is to be other than usual.
    ///
    /// # Errors
    /// If the folder or a port cannot be had.
    pub async fn start(
        data: &Path,
        runs: Arc<dyn RunStore>,
        finish: impl FnOnce(Builder, Recorder) -> Builder,
    ) -> Result<Self> {
        let traces: Arc<dyn TraceStore> =
            Arc::new(Engine::open(data.join("traces"), Options::default())?);
        let (recorder, writer) = Recorder::new(Arc::clone(&traces));
        tracing_subscriber::registry()
            .with(EnvFilter::new("info"))
            .with(RecordLayer::new(recorder.clone(), Default::default()))
            .with(JsonLines::to(io::stderr()))
            .try_init()?;
        let (stop_writing, written) = oneshot::channel();
        let writing = tokio::spawn(
            writer.run(async move { drop::<std::result::Result<(), _>>(written.await) }),
        );
        let builder = Server::builder()
            .runs(runs)
            .traces(traces, recorder.clone())
            .access(Access::Anyone(Hosts::default()));
        let server = finish(builder, recorder).build()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.run(listener, async move {
            drop::<std::result::Result<(), _>>(stopped.await);
        }));
        Ok(Self { url, stop, serving, stop_writing, writing })
    }

    /// Stops it once every run can be left.
    ///
    /// # Errors
    /// If it had ended by itself.
    pub async fn stop(self) -> Result {
        // Whoever listened may have ended by itself, which its result tells.
        let _ = self.stop.send(());
        self.serving.await??;
        let _ = self.stop_writing.send(());
        Ok(self.writing.await?)
    }
}
