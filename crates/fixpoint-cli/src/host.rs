//! Puts a whole server together in this process: stores, recorder, AWS, the clusters application.
//!
//! For `dev`, `serve` and `demo`, which differ in the cloud beneath and in where log lines go.
//! Not here: the server itself. The surprise: what records spans ends last. Only when the server
//! has stopped is the recorder told to store what it still has, so its last spans are not lost.

mod access;
mod controls;
mod export;
mod receivers;
mod tls;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clusters::Clusters;
use fixpoint::Pace;
use fixpoint_aws::{
    Aws, AwsOptions, BeforeSend,
    limits::{self, Share},
    sandbox::{Faults, Sandbox, SandboxOptions},
};
use fixpoint_client::{Api, Circuit};
use fixpoint_server::{
    Protocol, Server, Verifying, Webhook,
    store::{DiskStore, RunStore},
};
use fixpoint_trace::{
    export::Exporter,
    layer::{JsonLines, RecordLayer},
    model::Value,
    record::Recorder,
    store::{
        TraceStore,
        engine::{Engine, Options as StoreOptions},
    },
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

pub(crate) use self::{access::Asking, receivers::Place, tls::TlsFiles};
use crate::error::{CliError, Result};

/// What to put together.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Where other programs' spans come in.
    pub(crate) receivers: Vec<(Protocol, Place)>,
    /// Who may ask.
    pub(crate) asking: Asking,
    /// What connections are secured with, if with anything.
    pub(crate) tls: TlsFiles,
    /// The folder of everything that is to survive.
    pub(crate) data: PathBuf,
    /// Where resources and runs are kept.
    pub(crate) runs: Runs,
    /// How long after this server was last heard of others may take over its runs.
    pub(crate) take_over_after: Option<Duration>,
    /// How solved resources are kept an eye on.
    pub(crate) verifying: Verifying,
    /// Who is told what went wrong for good.
    pub(crate) webhook: Option<Webhook>,
    /// How traces are kept.
    pub(crate) traces: StoreOptions,
    /// How much faster than real the world's clock goes.
    pub(crate) pace: Pace,
    /// What provisions.
    pub(crate) cloud: Cloud,
    /// Where log lines go.
    pub(crate) lines: Lines,
}

/// Where resources and runs are kept.
#[derive(Debug)]
pub(crate) enum Runs {
    /// In the data folder, for this server alone.
    Folder,
    /// In a store that servers share.
    #[cfg_attr(not(feature = "etcd"), expect(dead_code, reason = "there is none without etcd"))]
    Shared(Arc<dyn RunStore>),
}

/// What provisions.
#[derive(Debug)]
pub(crate) enum Cloud {
    /// A cloud in this process.
    Sandbox(Faults),
    /// AWS, by the ordinary credential chain.
    Aws { region: Option<String>, endpoint_url: Option<String>, share: Share },
}

/// Where log lines go, besides the trace store.
#[derive(Debug)]
pub(crate) enum Lines {
    Stdout,
    File(PathBuf),
}

/// How an API stands, in the words of the HTTP API.
fn api(state: limits::ApiState) -> Api {
    Api {
        name: state.api,
        circuit: match state.circuit {
            limits::Circuit::Closed => Circuit::Closed,
            limits::Circuit::Open => Circuit::Open,
            limits::Circuit::Trial => Circuit::Trial,
        },
        unanswered: state.unanswered,
        waiting: state.waiting.into_iter().map(|(class, n)| (class.to_owned(), n as u64)).collect(),
    }
}

/// A server that listens, and what works beside it.
pub(crate) struct Host {
    server: Server,
    listener: TcpListener,
    /// Where it listens, for people to open.
    pub(crate) url: String,
    /// Where other programs' spans come in.
    pub(crate) receivers: Vec<(Protocol, SocketAddr)>,
    /// The file with an administrator's token, if this start made one.
    pub(crate) admin_token: Option<PathBuf>,
    /// What does not work though it should, and what to do about it.
    pub(crate) warnings: Vec<String>,
    background: Background,
}

impl Host {
    /// Opens the stores, connects to the cloud and binds the ports. Serves nothing yet.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        let Options { listen, receivers, asking, tls, data, pace, lines, .. } = options;
        let Options { runs, take_over_after, verifying, webhook, traces, cloud, .. } = options;
        let secured = tls.read()?;
        // Whoever owned something under another name may still be about.
        let name = format!("{:08x}", fastrand::u32(..));
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            CliError::because(format!("cannot listen on {listen}"), error)
                .hint("choose another address with --listen; port 0 takes a free one")
        })?;
        let address = listener
            .local_addr()
            .map_err(|error| CliError::because("the address is not known", error))?;
        let bound = receivers::bind(&receivers).await?;
        access::folder_for_us(&data).map_err(|error| unusable(&data, error))?;
        let runs: Arc<dyn RunStore> = match runs {
            Runs::Shared(store) => store,
            Runs::Folder => {
                let store = DiskStore::open(data.join("runs"));
                Arc::new(store.map_err(|error| unusable(&data, error))?)
            }
        };
        let spans =
            Engine::open(data.join("traces"), traces).map_err(|error| unusable(&data, error))?;
        let listening = bound.on.iter().map(|(_, address)| *address).chain([address]);
        let exporter = export::exporter(&data, &listening.collect::<Vec<_>>()).await?;
        let spans: Arc<dyn TraceStore> = match &exporter {
            Some(exporter) => Arc::new(exporter.copying(spans)),
            None => Arc::new(spans),
        };
        let (recorder, writer) = Recorder::new(Arc::clone(&spans));
        record(&recorder, &name, lines)?;

        let (access, admin_token) = access::access(asking, &runs, &data).await?;
        if let Some(file) = &admin_token {
            tracing::info!(file = %file.display(), "made an administrator's token");
        }

        let mut background = Background::default();
        background.spawn(|stop| writer.run(stop));
        let exported = exporter.as_ref().map(Exporter::exported).unwrap_or_default();
        if let Some(exporter) = exporter {
            background.spawn(|stop| exporter.run(stop));
        }

        let is_secured = secured.is_some();
        if let Some(secured) = secured.clone() {
            background.spawn(|stop| tls.renew(secured, stop));
        }

        let recorded = recorder.clone();
        let before_send = Some(BeforeSend::new(move |outgoing| {
            let recorder = recorded.clone();
            async move {
                if outgoing.changes {
                    fixpoint_server::may_change()?;
                }
                recorder.flush().await?;
                // Last, since waiting takes time.
                Ok(fixpoint_server::may_act()?)
            }
        }));
        let mut server =
            Server::builder().name(&*name).runs(runs).traces(spans, recorder).pace(pace);
        server = server.access(access).verifying(verifying);
        if let Some(life) = take_over_after {
            server = server.take_over_after(life);
        }
        if let Some(webhook) = webhook {
            server = server.webhook(webhook);
        }
        if let Some(tls) = secured {
            server = server.tls(tls);
        }
        let aws = match cloud {
            Cloud::Sandbox(faults) => {
                let options = SandboxOptions {
                    data: Some(data.join("cloud")),
                    pace,
                    faults,
                    ..SandboxOptions::default()
                };
                let sandbox = Sandbox::open(options).map_err(|error| unusable(&data, error))?;
                server = server
                    .control("faults", Arc::new(controls::FaultRules(sandbox.clone())))
                    .control("sandbox", Arc::new(controls::Inventory(sandbox.clone())));
                AwsOptions { sandbox: Some(sandbox), pace, before_send, ..AwsOptions::default() }
            }
            Cloud::Aws { region, endpoint_url, share } => {
                let own = AwsOptions { region, endpoint_url, ..AwsOptions::default() };
                AwsOptions { pace, before_send, share, ..own }
            }
        };
        let aws = Aws::connect(aws).await;
        let limits = aws.limits().clone();
        let server = server
            .apis(move || limits.state().into_iter().map(api).collect())
            .kind(Clusters::new(aws))
            .receivers(bound.receivers)
            .exported(exported)
            .hints(fixpoint_aws::hint)
            .build()
            .map_err(|error| CliError::because("the server could not be built", error))?;
        tracing::info!(%address, data = %data.display(), server = name, "listening");
        for (protocol, address) in &bound.on {
            tracing::info!(%address, %protocol, "listening for spans");
        }
        for warning in &bound.off {
            tracing::warn!("{warning}");
        }
        let (receivers, warnings) = (bound.on, bound.off);
        let url = format!("{}://{address}", if is_secured { "https" } else { "http" });
        Ok(Self { server, listener, url, receivers, admin_token, warnings, background })
    }

    /// Serves until `stop` completes and every run can be left; at `abort`, ends at once. Either
    /// way what is unfinished goes on at the next start.
    pub(crate) async fn run(
        self,
        stop: impl Future<Output = ()>,
        abort: impl Future<Output = ()>,
    ) -> Result {
        let Self { server, listener, background, .. } = self;
        let result = tokio::select! {
            result = server.run(listener, stop) => result,
            () = abort => Ok(()),
        };
        tracing::info!("stopped");
        background.finish().await;
        result.map_err(|error| CliError::because("the server stopped", error))
    }
}

/// Serves until SIGINT or SIGTERM; a second one ends at once.
pub(crate) async fn serve(host: Host) -> Result {
    let mut signals = Signals::new()?;
    let (first, stop) = oneshot::channel();
    let (second, abort) = oneshot::channel();
    let watcher = tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping; runs are left where they can be taken up again");
        // The receivers are gone once the server has stopped by itself.
        let _stopped = first.send(());
        signals.next().await;
        let _stopped = second.send(());
    });
    let received = async |signal: oneshot::Receiver<()>| {
        if signal.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let result = Box::pin(host.run(received(stop), received(abort))).await;
    watcher.abort();
    result
}

/// The signals that ask a process to end.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes the signals over from the system's default, which is to end at once.
    pub(crate) fn new() -> Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let unheard = |error| CliError::because("signals cannot be listened for", error);
            Ok(Self { terminate: signal(SignalKind::terminate()).map_err(unheard)? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// The next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _heard = tokio::signal::ctrl_c().await;
    }
}

/// Work beside the server that must end after it.
#[derive(Default)]
struct Background(Vec<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Background {
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        work: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
    ) {
        let (stop, stopped) = oneshot::channel();
        // An error says that the sender is gone, which is as good a reason to stop.
        let stopped = Box::pin(async move { drop(stopped.await) });
        self.0.push((stop, tokio::spawn(work(stopped))));
    }

    /// Ends what was spawned, the writer first: an exporter copies what the writer stored.
    async fn finish(self) {
        for (stop, task) in self.0 {
            let _ended = stop.send(());
            let _panicked = task.await;
        }
    }
}

/// Sends every span and log line of this process to the recorder, and lines where they are wanted.
fn record(recorder: &Recorder, server: &str, lines: Lines) -> Result {
    let resource = [
        ("service.name", std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "fixpoint".into())),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
        ("service.instance.id", server.to_owned()),
        ("process.pid", std::process::id().to_string()),
    ];
    let resource = resource.map(|(name, value)| (name.to_owned(), Value::String(value)));
    let layer = RecordLayer::new(recorder.clone(), resource.into_iter().collect());
    let filter = EnvFilter::try_from_env("RUST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    let installed = match lines {
        Lines::Stdout => subscriber.with(JsonLines::stdout()).try_init(),
        Lines::File(path) => {
            let file = std::fs::File::create(&path).map_err(|error| unusable(&path, error))?;
            subscriber.with(JsonLines::to(file)).try_init()
        }
    };
    installed.map_err(|error| CliError::because("spans cannot be recorded", error))
}

fn unusable(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CliError {
    CliError::because(format!("{} cannot be used", path.display()), error)
        .hint("is another server running on this folder? Choose another with --data")
}
