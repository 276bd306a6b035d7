//! Puts kinds, stores and the HTTP API together, and runs them until told to stop.
//!
//! Not here: reading flags, installing a subscriber, opening stores, binding a port, listening for
//! signals; all that is the binary's. The surprise: stopping has two stages, and the second is
//! dropping the future. At the first, no run starts, waits wake, and each run's step at work
//! finishes; what is unfinished goes on at the next start. Dropped, everything ends where it is,
//! as in a crash, and goes on at the next start too.

use std::{collections::BTreeMap, future, sync::Arc, time::Duration};

use fixpoint::{Pace, Scheduler};
use fixpoint_client::Api;
use fixpoint_trace::{export::Exported, record::Recorder, store::TraceStore};
use tokio::{net::TcpListener, sync::Semaphore, time};
use tokio_util::sync::CancellationToken;

use crate::{
    Kind,
    access::{Access, Sessions, Tokens},
    http::{self, Apis, App, Control, Receivers, Tls},
    intents::Intents,
    kinds::{AnyKind, Kinds},
    metrics::Metrics,
    records::Records,
    runner::{Runner, Shared, TakeoverError, Tenure},
    seen::Sealed,
    store::RunStore,
    verify::{Asking, Due, Verifier, Verifying},
    webhook::Webhook,
    why::{Explainer, Hints, Learner},
};

/// A run mostly waits, so many fit one process; this bounds the calls that are made at once.
const MAX_RUNS: usize = 64;

/// A server that is silent for so long is dead, or may as well be: renewals come three times as often.
const TAKE_OVER_AFTER: Duration = Duration::from_secs(5);

/// How long open requests may take once the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Why the server could not be built, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was given for something the server needs.
    #[error("a server needs {0}")]
    Missing(&'static str),
    /// The name cannot stand in a URL beside the others.
    #[error("{name:?} cannot be the name of a kind or control")]
    BadName {
        /// The name.
        name: String,
    },
    /// The work of a dead server could not be taken over.
    #[error("what an earlier server left behind could not be taken over")]
    TakeOver(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A Fixpoint server, ready to run.
pub struct Server {
    app: App,
    runner: Runner,
    learner: Learner,
    receivers: Receivers,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("kinds", &self.app.kinds.keys()).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts to put a server together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves until `shutdown` completes and every run has come to a place where it can be taken
    /// up again. Drop the future to end at once.
    ///
    /// # Errors
    /// If the stores cannot be read at the start.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let stopping = self.app.stopping.clone();
        // Whatever ends first, ends the others.
        let _guard = stopping.clone().drop_guard();
        let (explainer, until) = (self.app.explainer.clone(), stopping.clone());
        let watched = async { explainer.watch(until).await };
        let learned = self.learner.run(stopping.clone());
        let received = until_grace(self.receivers.serve(self.app.clone()), &stopping);
        let served = until_grace(http::serve(listener, self.app), &stopping);
        let ran = async {
            let result = self.runner.run().await;
            stopping.cancel();
            result
        };
        let stop = async {
            tokio::select! {
                () = shutdown => stopping.cancel(),
                () = stopping.cancelled() => {}
            }
        };
        let ((), (), ran, (), (), ()) = tokio::join!(served, received, ran, stop, watched, learned);
        ran.map_err(|error: TakeoverError| Error::TakeOver(error.into()))
    }

    /// The API without a listener, the runner and the learner without their tasks, for tests.
    #[cfg(test)]
    pub(crate) fn into_parts(self) -> (App, Runner, Learner) {
        (self.app, self.runner, self.learner)
    }
}

/// Serves requests; once `stopping`, for no longer than [`GRACE`].
async fn until_grace(serving: impl Future<Output = ()>, stopping: &CancellationToken) {
    tokio::select! {
        () = serving => {}
        () = async {
            stopping.cancelled().await;
            let _elapsed = time::timeout(GRACE, future::pending::<()>()).await;
        } => {}
    }
}

/// Takes the parts of a server.
#[derive(Default)]
pub struct Builder {
    kinds: Kinds,
    runs: Option<Arc<dyn RunStore>>,
    traces: Option<(Arc<dyn TraceStore>, Recorder)>,
    controls: BTreeMap<String, Arc<dyn Control>>,
    scheduler: Scheduler,
    pace: Pace,
    max_runs: Option<usize>,
    name: Option<String>,
    take_over_after: Option<Duration>,
    verifying: Verifying,
    receivers: Receivers,
    exported: Exported,
    hints: Option<Hints>,
    apis: Option<Apis>,
    access: Option<Access>,
    tls: Option<Tls>,
    webhook: Option<Webhook>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("kinds", &self.kinds.keys()).finish_non_exhaustive()
    }
}

impl Builder {
    /// Serves a kind of resource. At least one.
    #[must_use]
    pub fn kind<K: Kind>(mut self, kind: K) -> Self {
        let kind: Arc<dyn AnyKind> = Arc::new(kind);
        self.kinds.insert(kind.name(), kind);
        self
    }

    /// Keeps resources and runs here.
    #[must_use]
    pub fn runs(mut self, store: Arc<dyn RunStore>) -> Self {
        self.runs = Some(store);
        self
    }

    /// Reads traces from `store`. `recorder` is the one whose layer is installed and whose writer
    /// stores there; without a layer there are no traces, without a running writer no run starts.
    #[must_use]
    pub fn traces(mut self, store: Arc<dyn TraceStore>, recorder: Recorder) -> Self {
        self.traces = Some((store, recorder));
        self
    }

    /// Takes in other programs' spans and log lines, too, and stores them with the rest.
    #[must_use]
    pub fn receivers(mut self, receivers: Receivers) -> Self {
        self.receivers = receivers;
        self
    }

    /// Shows in `/metrics` what has become of what is copied to other backends.
    #[must_use]
    pub fn exported(mut self, exported: Exported) -> Self {
        self.exported = exported;
        self
    }

    /// What an operator can do about kinds of errors, for answers to why a run failed.
    #[must_use]
    pub fn hints(mut self, hints: Hints) -> Self {
        self.hints = Some(hints);
        self
    }

    /// Who says how the APIs stand that plans call, for `/v1/apis` and `/metrics`.
    #[must_use]
    pub fn apis(mut self, apis: impl Fn() -> Vec<Api> + Send + Sync + 'static) -> Self {
        self.apis = Some(Arc::new(apis));
        self
    }

    /// Who may ask. Whoever has a token, if not set.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Secures the API's connections and the receivers'. In clear, if not set.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How fast the world's clock goes. Real if not set.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The bounds of each run. The scheduler's own if not set.
    #[must_use]
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.scheduler = scheduler;
        self
    }

    /// How many runs may go on at the same time. 64 if not set; others stay pending.
    #[must_use]
    pub fn max_runs(mut self, runs: usize) -> Self {
        self.max_runs = Some(runs.max(1));
        self
    }

    /// What this server is called in traces and by others that share its run store: a name that no
    /// other process has or had. Random if not set.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long after this server was last heard of others may take over its runs. Five seconds if
    /// not set.
    #[must_use]
    pub fn take_over_after(mut self, life: Duration) -> Self {
        self.take_over_after = Some(life);
        self
    }

    /// When solved resources are looked at again, and how much is mended by itself. Only when
    /// somebody asks, if not set.
    #[must_use]
    pub fn verifying(mut self, verifying: Verifying) -> Self {
        self.verifying = verifying;
        self
    }

    /// Tells a webhook what went wrong for good. Nobody is told, if not set.
    #[must_use]
    pub fn webhook(mut self, webhook: Webhook) -> Self {
        self.webhook = Some(webhook);
        self
    }

    /// Mounts a control at `/dev/{name}`. For development servers only.
    #[must_use]
    pub fn control(mut self, name: impl Into<String>, control: Arc<dyn Control>) -> Self {
        self.controls.insert(name.into(), control);
        self
    }

    /// Puts the server together. Nothing runs yet.
    ///
    /// # Errors
    /// If a part is missing, or a name cannot stand in a URL.
    pub fn build(self) -> Result<Server, Error> {
        let store = self.runs.ok_or(Error::Missing("a run store"))?;
        let (traces, recorder) = self.traces.ok_or(Error::Missing("a trace store"))?;
        if self.kinds.is_empty() {
            return Err(Error::Missing("a kind of resource"));
        }
        let taken = self.kinds.keys().find(|name| http::TAKEN.contains(name)).copied();
        let names = self.kinds.keys().copied().chain(self.controls.keys().map(String::as_str));
        let bad = names.filter(|name| crate::resource::label_fault(name).is_some());
        if let Some(name) = bad.chain(taken).next() {
            return Err(Error::BadName { name: name.to_owned() });
        }
        let (kinds, records) = (Arc::new(self.kinds), Records::new(store));
        let metrics = Arc::new(Metrics::default());
        let stopping = CancellationToken::new();
        let hints = self.hints.unwrap_or(|_| None);
        let (explainer, learner) = Explainer::new(records.clone(), Arc::clone(&traces), hints);
        let name = self.name.unwrap_or_else(|| format!("{:08x}", fastrand::u32(..)));
        let life = self.take_over_after.unwrap_or(TAKE_OVER_AFTER);
        let tenure = Tenure::new(records.clone(), Arc::clone(&metrics), name, life);
        let due = Arc::new(Due::default());
        let shared = Arc::new(Shared {
            kinds: Arc::clone(&kinds),
            records: records.clone(),
            traces: Arc::clone(&traces),
            recorder: recorder.clone(),
            metrics: Arc::clone(&metrics),
            lessons: explainer.lessons(),
            scheduler: self.scheduler,
            pace: self.pace,
            room: Semaphore::new(self.max_runs.unwrap_or(MAX_RUNS)),
            born: crate::runner::now(),
            tenure,
            verifier: Verifier::new(self.verifying, Arc::clone(&due)),
            strays: Default::default(),
            webhook: self.webhook.clone(),
            stopping: stopping.clone(),
        });
        let (wakes, runner) = Runner::new(shared);
        let tokens = Tokens::new(records.clone());
        let app = App {
            kinds,
            access: self.access.unwrap_or(Access::Tokens),
            sessions: Sessions::new(records.clone(), tokens.clone()),
            tokens,
            tls: self.tls,
            asking: Asking::new(due, wakes.clone()),
            intents: Intents::new(records.clone(), wakes),
            records: Sealed::new(records),
            traces: Sealed::new(traces),
            recorder,
            metrics,
            explainer,
            apis: self.apis.unwrap_or_else(|| Arc::new(Vec::new)),
            exported: self.exported,
            webhook: self.webhook,
            controls: Arc::new(self.controls),
            pace: self.pace,
            stopping,
        };
        Ok(Server { app, runner, learner, receivers: self.receivers })
    }
}
