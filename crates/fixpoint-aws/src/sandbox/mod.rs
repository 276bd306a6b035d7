//! The sandbox: an in-process AWS beneath the official SDK, stricter than the simulators.
//!
//! For running plans without an account, and for testing what simulators let pass: dependency
//! order, client tokens, consistency lag, states that take time, answers that get lost. Not for
//! data planes: nothing boots and no packet flows. The surprise: it is an `HttpClient`, so signing,
//! retries, time-outs and parsing above it are the real ones.

mod call;
mod cidr;
mod clock;
mod dice;
mod ec2;
mod elbv2;
mod entities;
mod faults;
mod glob;
mod iam;
mod inventory;
mod latency;
mod params;
mod refusal;
mod select;
mod store;
mod sts;
mod throttle;
mod wire;
mod world;
mod xml;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use fixpoint::Pace;

pub use faults::{Fault, Faults, Fired, Rule};

use crate::error::is_read;
use call::Call;
use clock::{Clock, Time};
use dice::Dice;
use faults::Armed;
use refusal::Refusal;
use store::Store;
use throttle::Buckets;
use wire::{Request, Response};
use world::World;
use xml::Xml;

/// How many earlier worlds are kept for stale reads.
const HISTORY: usize = 64;

/// How a sandbox is opened.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Folder that keeps the world, so that it outlives the process; in memory if `None`.
    pub data: Option<PathBuf>,
    /// How fast AWS's clock runs; latencies are divided by it.
    pub pace: Pace,
    /// Seed of ids, delays and latencies.
    pub seed: u64,
    /// Whether calls take as long as real ones (divided by the pace) or no time.
    pub latency: bool,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for SandboxOptions {
    /// In memory, at real pace, with real latencies, without faults.
    fn default() -> Self {
        let faults = Faults::default();
        SandboxOptions { data: None, pace: Pace::REAL, seed: 0, latency: true, faults }
    }
}

/// The sandbox's world could not be read.
#[derive(Debug, thiserror::Error)]
#[error("open the sandbox kept in {}", folder.display())]
pub struct SandboxError {
    folder: PathBuf,
    source: io::Error,
}

/// An in-process AWS. Clones share one world.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    clock: Clock,
    pace: Pace,
    latency: bool,
    store: Option<Store>,
    state: Mutex<State>,
    armed: Mutex<Armed>,
}

struct State {
    world: World,
    /// Earlier worlds, each with the time at which it was changed.
    history: VecDeque<(Time, World)>,
    buckets: Buckets,
    /// How often each operation was asked for since the sandbox was opened.
    calls: BTreeMap<String, u64>,
    /// Chance that is no part of the world: request ids and latencies.
    dice: Dice,
}

impl Sandbox {
    /// Opens a sandbox: the world that the folder holds, else an empty one.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be made or its file cannot be read.
    pub fn open(options: SandboxOptions) -> Result<Self, SandboxError> {
        let SandboxOptions { data, pace, seed, latency, faults } = options;
        let opened = data
            .map(|folder| Store::open(&folder).map_err(|source| SandboxError { folder, source }));
        let (store, kept) = opened.transpose()?.map_or((None, None), |(s, kept)| (Some(s), kept));
        let (saved, world) = kept.map_or((None, None), |(saved, world)| (Some(saved), Some(world)));
        let clock = Clock::start(pace, saved);
        // Request ids must differ between two lives of one world, so the start is mixed in.
        let chance = seed ^ (Time::wall().0 as u64).rotate_left(20);
        let state = State {
            world: world.unwrap_or_else(|| World::new(seed)),
            history: VecDeque::new(),
            buckets: Buckets::default(),
            calls: BTreeMap::new(),
            dice: Dice::new(chance),
        };
        let (state, armed) = (Mutex::new(state), Mutex::new(Armed::new(faults)));
        Ok(Sandbox(Arc::new(Shared { clock, pace, latency, store, state, armed })))
    }

    /// Returns the fault rules in force.
    pub fn faults(&self) -> Faults {
        lock(&self.0.armed).rules().clone()
    }

    /// Replaces the fault rules; counters and the list of fired faults start anew.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.0.armed) = Armed::new(faults);
    }

    /// Lists the faults that happened since the rules were set, oldest first, the last thousand.
    pub fn fired(&self) -> Vec<Fired> {
        lock(&self.0.armed).fired().to_vec()
    }

    /// Counts and lists what is alive: by kind, and by the tag `fixpoint:cluster` and kind. Counts
    /// the requests that have come since the sandbox was opened, too, by operation.
    pub fn inventory(&self) -> serde_json::Value {
        let now = self.0.clock.now();
        let mut state = lock(&self.0.state);
        state.world.settle(now);
        let mut list = inventory::list(&state.world, now);
        list["calls"] = serde_json::json!(state.calls);
        list
    }

    async fn serve(self, request: HttpRequest) -> Response {
        let shared = &*self.0;
        let id = request_id(&mut lock(&shared.state).dice);
        let request = match Request::read(&request) {
            Ok(request) => request,
            Err(refusal) => return wire::refuse(None, &refusal, &id),
        };
        let operation = request.operation();
        *lock(&shared.state).calls.entry(operation.clone()).or_insert(0) += 1;
        let (service, now) = (request.service, shared.clock.now());
        let (fault, throttling) = {
            let mut armed = lock(&shared.armed);
            let fault = armed.fire(&operation, &request.params, now.iso(), &id);
            (fault, armed.rules().throttling)
        };
        let pause = shared.pause(&operation, fault.as_ref());
        wait(pause).await;
        if throttling {
            let taken = lock(&shared.state).buckets.take(&request.region, &operation, now);
            if let Err(refusal) = taken {
                return wire::refuse(Some(service), &refusal, &id);
            }
        }
        let answer = match fault {
            Some(Fault::Timeout) => std::future::pending().await,
            Some(Fault::Throttle) => Err(throttle::refusal(service.name())),
            Some(Fault::Error { code, status, message }) => {
                let message = message.unwrap_or_else(|| "An injected fault.".into());
                Err(Refusal::new(code, message).with_status(status))
            }
            Some(Fault::LostAnswer) => {
                // Whatever the answer is, nobody will read it.
                let _ = shared.apply(&request);
                wait(pause).await;
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                return Err(ConnectorError::io(Box::new(reset)));
            }
            Some(Fault::StaleRead { seconds }) if is_read(&request.action) => {
                shared.recall(&request, seconds)
            }
            Some(Fault::EmptyPage) if is_read(&request.action) => {
                let mut state = lock(&shared.state);
                run(&mut state.world, &request, shared.clock.now(), true)
            }
            Some(Fault::Swallowed) if !is_read(&request.action) => shared.pretend(&request),
            _ => shared.apply(&request),
        };
        wait(pause).await;
        request.answer(answer, &id)
    }
}

impl Shared {
    /// Draws half of a call's latency in wall time.
    fn pause(&self, operation: &str, fault: Option<&Fault>) -> Option<Duration> {
        let factor = match fault {
            Some(Fault::Slow { factor }) => factor.clamp(0.0, 1e6),
            _ => 1.0,
        };
        let drawn = latency::draw(operation, &mut lock(&self.state).dice);
        self.latency.then(|| self.pace.wall(drawn.mul_f64(factor / 2.0)))
    }

    /// Runs a call; a change is on disk before this returns, and a refused one leaves no trace.
    fn apply(&self, request: &Request) -> Result<Xml, Refusal> {
        let now = self.clock.now();
        let state = &mut *lock(&self.state);
        state.world.settle(now);
        if is_read(&request.action) {
            let xml = run(&mut state.world, request, now, false)?;
            return if request.is_dry()? { Err(would_succeed()) } else { Ok(xml) };
        }
        let before = state.world.clone();
        let answer = run(&mut state.world, request, now, false).and_then(|xml| {
            if request.is_dry()? {
                return Err(would_succeed());
            }
            if let Some(store) = &self.store {
                store.save(self.clock.save(), &state.world).map_err(|error| {
                    let message = format!("The sandbox could not keep the change: {error}");
                    Refusal::new("InternalFailure", message).with_status(500)
                })?;
            }
            Ok(xml)
        });
        if answer.is_err() {
            state.world = before;
        } else {
            state.history.truncate(HISTORY - 1);
            state.history.push_front((now, before));
        }
        answer
    }

    /// Answers a change from a world that is thrown away afterwards.
    fn pretend(&self, request: &Request) -> Result<Xml, Refusal> {
        let now = self.clock.now();
        let state = &mut *lock(&self.state);
        state.world.settle(now);
        let mut world = state.world.clone();
        let answer = run(&mut world, request, now, false);
        // Else the next thing that is made would get the id that was just given out for nothing.
        state.world.dice = world.dice;
        if request.is_dry()? { Err(would_succeed()) } else { answer }
    }

    /// Answers a read from an earlier world.
    fn recall(&self, request: &Request, seconds: Option<f64>) -> Result<Xml, Refusal> {
        let now = self.clock.now();
        let state = lock(&self.state);
        let age = seconds.map(|seconds| (seconds * 1000.0) as i64);
        let then = age.map_or_else(
            || state.history.front().map_or(now, |(until, _)| *until),
            |age| now.plus(-age),
        );
        // The newest first; the one wanted is the oldest that lasted beyond that time.
        let lasting = state.history.iter().take_while(|(until, _)| *until > then).last();
        let past = match age {
            None => state.history.front(),
            Some(_) => lasting,
        };
        let mut world = past.map_or_else(|| state.world.clone(), |(_, world)| world.clone());
        drop(state);
        run(&mut world, request, then, false)
    }
}

/// Runs a call in a world.
fn run(world: &mut World, request: &Request, now: Time, empty: bool) -> Result<Xml, Refusal> {
    let mut call = Call {
        params: &request.params,
        region: world.regions.entry(request.region.clone()).or_default(),
        iam: &mut world.iam,
        dice: &mut world.dice,
        place: &request.region,
        now,
        item: request.service.item(),
        empty,
    };
    request.service.handle(&request.action, &mut call)
}

fn would_succeed() -> Refusal {
    let message = "Request would have succeeded, but DryRun flag is set.";
    Refusal::new("DryRunOperation", message).with_status(412)
}

fn request_id(dice: &mut Dice) -> String {
    let mut part = |digits| dice.hex(digits);
    format!("{}-{}-4{}-a{}-{}", part(8), part(4), part(3), part(3), part(12))
}

async fn wait(pause: Option<Duration>) {
    #[expect(clippy::disallowed_methods, reason = "a connector has no run that could be cancelled")]
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
    }
}

/// Locks; what a panicking thread left is still a world.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpClient for Sandbox {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Sandbox {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().serve(request))
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("pace", &self.0.pace).finish_non_exhaustive()
    }
}
