//! The server as a whole, called as a service, with a toy kind in place of a cloud.
//!
//! Here: the toy, and a harness that runs the router and the runner in one process. The surprise:
//! dropping the harness is a crash. Nothing is ended, flushed or told to stop.

mod access;
pub(crate) mod authority;
mod bad_requests;
mod diff;
mod idempotency;
mod learning;
mod lifecycle;
mod listener;
mod listing;
mod operate;
mod pages;
mod policy;
mod read;
mod receive;
mod restart;
mod rows;
mod search;
mod several;
mod sign_in;
mod streams;
mod superseded;
mod tenants;
mod tls;
mod toy;
mod traces;
mod unusual;
mod verify;
mod webhook;
mod why;

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use fixpoint::Pace;
use fixpoint_client::{Run, RunPage, RunState};
use fixpoint_trace::{layer::RecordLayer, model, record::Recorder, store as trace_store};
use serde_json::Value;
use tokio::{task::JoinHandle, time};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    Access, Hosts, Server, Verifying, Webhook,
    http::{self, App},
    store,
    why::Learner,
};
use toy::{Toys, World};

/// Long enough for a loaded machine, short enough that a hung test is noticed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server is made with, besides its stores.
#[derive(Clone)]
struct Setup {
    name: String,
    access: Access,
    verifying: Verifying,
    /// How fast its clock goes.
    pace: Pace,
    webhook: Option<Webhook>,
    world: Arc<World>,
}

impl Setup {
    /// Lets anyone in, and looks at nothing by itself. Five seconds of backoff are five milliseconds.
    fn new(name: &str, world: Arc<World>) -> Self {
        let (access, verifying) = (Access::Anyone(Hosts::default()), Verifying::default());
        let pace = Pace::times(1000.0);
        Self { name: name.to_owned(), access, verifying, pace, webhook: None, world }
    }
}

/// A server with toys.
struct Harness {
    app: App,
    router: Router,
    setup: Setup,
    world: Arc<World>,
    recorder: Recorder,
    /// Learns from nothing until it is told to.
    learner: Option<Learner>,
    learning: Option<JoinHandle<()>>,
    runner: JoinHandle<()>,
    writer: JoinHandle<()>,
    /// None for a server beside another, whose spans go where that one's go.
    _subscriber: Option<tracing::subscriber::DefaultGuard>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.learning.as_ref().inspect(|learning| learning.abort());
        self.runner.abort();
        self.writer.abort();
    }
}

impl Harness {
    /// A server that forgets everything.
    fn new() -> Self {
        Self::with(
            Arc::new(store::MemoryStore::new()),
            Arc::new(trace_store::memory::MemoryStore::default()),
            Arc::default(),
        )
    }

    /// A server that keeps its records in `directory`, with a world that outlives it.
    fn open(directory: &Path, world: Arc<World>) -> Self {
        // As in life, a server that is started again has another name.
        let name = format!("{:08x}", fastrand::u32(..));
        Self::open_with(directory, Setup::new(&name, world))
    }

    fn open_with(directory: &Path, setup: Setup) -> Self {
        let runs = store::DiskStore::open(directory.join("runs")).unwrap();
        let traces =
            trace_store::engine::Engine::open(directory.join("traces"), Default::default())
                .unwrap();
        Self::whole(setup, Arc::new(runs), Arc::new(traces))
    }

    /// A server whose clock is the wall's: what it waits for by itself does not come in a test.
    fn slow() -> Self {
        let runs = Arc::new(store::MemoryStore::new());
        let traces = Arc::new(trace_store::memory::MemoryStore::default());
        let setup = Setup::new("first", Arc::default());
        Self::whole(Setup { pace: Pace::REAL, ..setup }, runs, traces)
    }

    fn with(
        runs: Arc<dyn store::RunStore>,
        traces: Arc<dyn trace_store::TraceStore>,
        world: Arc<World>,
    ) -> Self {
        Self::whole(Setup::new("first", world), runs, traces)
    }

    fn whole(
        setup: Setup,
        runs: Arc<dyn store::RunStore>,
        traces: Arc<dyn trace_store::TraceStore>,
    ) -> Self {
        fixpoint_trace::testing::watch_all_places();
        let (recorder, writer) = Recorder::new(Arc::clone(&traces));
        let resource = [("service.name".to_owned(), model::Value::String("fixpoint".to_owned()))];
        let layer = RecordLayer::new(recorder.clone(), resource.into_iter().collect());
        let subscriber = tracing_subscriber::registry().with(layer);
        let subscriber = tracing::subscriber::set_default(subscriber);
        let writer = tokio::spawn(writer.run(std::future::pending()));
        let mut server = Self::server(setup, runs, traces, recorder, writer);
        server._subscriber = Some(subscriber);
        server
    }

    /// A second server on the same stores. It must be dropped first.
    fn beside(&self, runs: Arc<dyn store::RunStore>) -> Self {
        let (traces, recorder) = (Arc::clone(self.app.traces.whole()), self.recorder.clone());
        let writer = tokio::spawn(std::future::pending());
        let setup = Setup { name: "second".to_owned(), ..self.setup.clone() };
        Self::server(setup, runs, traces, recorder, writer)
    }

    fn server(
        setup: Setup,
        runs: Arc<dyn store::RunStore>,
        traces: Arc<dyn trace_store::TraceStore>,
        recorder: Recorder,
        writer: JoinHandle<()>,
    ) -> Self {
        let Setup { name, access, verifying, pace, webhook, world } = setup.clone();
        let mut server = Server::builder()
            .kind(Toys(Arc::clone(&world)))
            .runs(runs)
            .traces(traces, recorder.clone())
            .control("world", Arc::clone(&world) as _)
            .name(name)
            .max_runs(4)
            .access(access)
            .verifying(verifying)
            .pace(pace);
        if let Some(webhook) = webhook {
            server = server.webhook(webhook);
        }
        let (app, runner, learner) = server.build().unwrap().into_parts();
        let runner = tokio::spawn(async { runner.run().await.unwrap() });
        let router = http::router(app.clone());
        let (learner, learning) = (Some(learner), None);
        Self {
            app,
            router,
            setup,
            world,
            recorder,
            learner,
            learning,
            runner,
            writer,
            _subscriber: None,
        }
    }

    /// Has it learn from good runs from now on.
    fn learn(&mut self) {
        let learner = self.learner.take().expect("it learns already");
        self.learning = Some(tokio::spawn(learner.run(self.app.stopping.clone())));
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = time::timeout(PATIENCE, to_bytes(body, usize::MAX)).await.unwrap().unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn with_body(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(
            Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap(),
        )
        .await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.with_body("POST", path, &body).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.with_body("PATCH", path, &body).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    /// Stores spans as if they had come in.
    async fn keep(&self, spans: Vec<model::Span>) {
        let records: Vec<_> = spans.into_iter().map(model::Record::Span).collect();
        self.app.traces.whole().append(&records).await.unwrap();
    }

    /// The run, once `ready` says so.
    async fn run_when(&self, id: &str, ready: impl Fn(&Run) -> bool) -> Run {
        let mut last = None;
        let polling = async {
            loop {
                let run: Run = self.get(&format!("/v1/runs/{id}")).await.json();
                if ready(&run) {
                    return run;
                }
                last = Some(run);
                pause().await;
            }
        };
        match time::timeout(PATIENCE, polling).await {
            Ok(run) => run,
            Err(_) => panic!("the run did not get there: {last:#?}"),
        }
    }

    /// The resource's runs, newest first, once the newest has converged.
    async fn converged(&self, resource: &str) -> Vec<Run> {
        let polling = async {
            loop {
                let page: RunPage = self.get(&format!("/v1/runs?resource={resource}")).await.json();
                if page.items[0].state == RunState::Converged {
                    return page.items;
                }
                pause().await;
            }
        };
        time::timeout(PATIENCE, polling).await.expect("a converged run in time")
    }

    /// The run, once it has ended.
    async fn ended(&self, id: &str) -> Run {
        self.run_when(id, |run| run.state.is_final()).await
    }

    /// Creates a toy and takes it to its fixpoint.
    async fn make(&self, body: Value) -> Run {
        let run = self.ended(&self.post("/v1/toys", body).await.run_id()).await;
        assert_eq!(run.state, RunState::Converged, "{run:#?}");
        run
    }
}

/// Lets others work. A busy loop would flood the trace store with the spans of its requests.
async fn pause() {
    let _elapsed = time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
}

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    #[track_caller]
    fn value(&self) -> Value {
        self.json()
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:#?}")).to_str().unwrap()
    }

    /// The run that the answer's `Location` names.
    #[track_caller]
    fn run_id(&self) -> String {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{self:#?}");
        self.header("location").strip_prefix("/v1/runs/").unwrap().to_owned()
    }
}
