//! A world that outlives its servers, and the life of one server in it.
//!
//! The surprise: a server dies by its runtime being dropped. None of its tasks is polled again, so
//! what it had only in memory is gone, spans included; what it had written down and what it had done
//! to the cloud stays.

use std::sync::{Arc, Mutex, PoisonError};

use clusters::Clusters;
use fixpoint::Pace;
use fixpoint_aws::{
    Aws, AwsOptions, BeforeSend,
    sandbox::{Sandbox, SandboxOptions},
};
use fixpoint_client::Client;
use fixpoint_server::{Access, Hosts, Server, store as runs};
use fixpoint_trace::{layer::RecordLayer, model::Value, record::Recorder, store as traces};
use tokio::net::TcpListener;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt};

use crate::moments::{Arrived, Moments, Network, Runs, Traces};

/// What a creation waits for takes a tenth of a second. What the machine takes for itself must
/// stay small beside AWS's own time-outs.
const PACE: f64 = 1000.0;

/// What a crash does not destroy.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) traces: Arc<traces::memory::MemoryStore>,
    runs: Arc<runs::MemoryStore>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        fixpoint_trace::testing::watch_all_places();
        let options =
            SandboxOptions { pace: Pace::times(PACE), latency: false, ..SandboxOptions::default() };
        Self {
            sandbox: Sandbox::open(options).unwrap(),
            traces: Arc::default(),
            runs: Arc::default(),
            arrived: Arc::default(),
        }
    }

    /// The requests that the cloud has received.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a server, does something with it, and stops it as a crash does; nothing if it died
    /// before.
    pub(crate) fn live<T>(
        &self,
        moments: &Arc<Moments>,
        job: impl AsyncFnOnce(Client) -> T,
    ) -> Option<T> {
        let (traces, runs) = (Arc::clone(&self.traces), Arc::clone(&self.runs));
        let traces = Arc::new(Traces { store: traces, moments: Arc::clone(moments) });
        let runs = Arc::new(Runs { store: runs, moments: Arc::clone(moments) });
        let (recorder, writer) = Recorder::new(traces.clone());
        let service = [("service.name".to_owned(), Value::String("fixpoint".into()))];
        let layer = RecordLayer::new(recorder.clone(), service.into_iter().collect());
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new("info")).with(layer);
        let _recording = tracing::subscriber::set_default(subscriber);
        let network = Network {
            sandbox: self.sandbox.clone(),
            moments: Arc::clone(moments),
            arrived: Arc::clone(&self.arrived),
        };
        let recorded = recorder.clone();
        // As the real server has it.
        let before_send = BeforeSend::new(move |outgoing| {
            let recorder = recorded.clone();
            async move {
                if outgoing.changes {
                    fixpoint_server::may_change()?;
                }
                Ok(recorder.flush().await?)
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async {
            let aws = Aws::connect(AwsOptions {
                http_client: Some(aws_smithy_runtime_api::client::http::SharedHttpClient::new(
                    network,
                )),
                before_send: Some(before_send),
                pace: Pace::times(PACE),
                ..AwsOptions::default()
            })
            .await;
            let server = Server::builder()
                .runs(runs)
                .traces(traces, recorder)
                .access(Access::Anyone(Hosts::default()))
                .pace(Pace::times(PACE))
                .kind(Clusters::new(aws))
                .build()
                .unwrap();
            tokio::spawn(writer.run(std::future::pending()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client =
                Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
            tokio::spawn(server.run(listener, std::future::pending()));
            tokio::select! {
                biased;
                () = moments.death.notified() => None,
                done = job(client) => Some(done),
            }
        });
        runtime.shutdown_background();
        ended
    }
}
