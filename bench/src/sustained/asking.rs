//! Who asks: for changes, for plans to be asked again, and for what pages and the command line show.
//!
//! Not here: when (`round.rs`). The surprise: of a followed run the time to its first event counts; the
//! stream then stays open until the run has ended, as a page's does.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use fixpoint_client::Client;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::Result;
use crate::{errors::chain, measure::Times};

/// What the resources are.
pub const KIND: &str = "plants";

/// How many of the runs that were begun last are looked at.
const RECENT: usize = 5_000;

/// How many resources are made at the same time.
const AT_ONCE: usize = 16;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read, in turn. `{plant}`, `{run}` and `{trace}` are each time others.
const QUESTIONS: [(&str, &str); 14] = [
    ("resources: a page of 100", "/v1/plants?limit=100"),
    ("a resource", "/v1/plants/{plant}"),
    ("runs: the newest 50", "/v1/runs?limit=50"),
    ("runs of a resource", "/v1/runs?resource=plants/{plant}"),
    ("runs that failed", "/v1/runs?state=failed"),
    ("a run", "/v1/runs/{run}"),
    ("a trace", "/v1/traces/{trace}"),
    ("a trace's rows for the waterfall", "/v1/traces/{trace}/rows"),
    (
        "search: a resource's traces",
        "/v1/traces?q=fixpoint.resource%20%3D%20%22plants/{plant}%22&limit=20",
    ),
    ("search: errors within an hour", "/v1/traces?q=status%20%3D%20error&since=1h&limit=20"),
    ("find by an id", "/v1/find?q={trace}"),
    ("page: runs", "/runs"),
    ("page: a run", "/runs/{run}"),
    ("metrics", "/metrics"),
];

/// What was answered, and how fast.
#[derive(Debug, Default)]
pub struct Answers {
    /// By what was asked.
    pub times: BTreeMap<&'static str, Times>,
    /// How many questions had no good answer,
    pub failed: u64,
    /// and why the first of them had none.
    pub first_failure: Option<String>,
}

/// Asks a server. Shared by all that is asked at the same time.
#[derive(Debug)]
pub struct Asking {
    client: Client,
    http: reqwest::Client,
    plants: u64,
    recent: Mutex<VecDeque<(String, String)>>,
    answers: Mutex<Answers>,
    /// How many runs were begun.
    begun: AtomicU64,
    turn: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asking {
    /// Asks the server at an address, which has so many plants.
    ///
    /// # Errors
    /// If it is no address.
    pub fn new(url: &str, plants: u64) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self {
            client: Client::new(url)?,
            http,
            plants,
            recent: Mutex::default(),
            answers: Mutex::default(),
            begun: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        })
    }

    /// Makes the plants.
    ///
    /// # Errors
    /// If one cannot be made.
    pub async fn create(&self) -> Result {
        let mut making = JoinSet::new();
        for number in 0..self.plants {
            if making.len() == AT_ONCE {
                making.join_next().await.transpose()?.transpose()?;
            }
            let client = self.client.clone();
            making.spawn(async move {
                client.create(KIND, &json!({"name": format!("plant-{number}"), "size": 1})).await
            });
        }
        while let Some(made) = making.join_next().await {
            let made = made??;
            self.note(made.run_id, made.trace_id);
        }
        Ok(())
    }

    fn note(&self, run: Option<String>, trace: Option<String>) {
        if let Some(begun) = run.zip(trace) {
            self.begun.fetch_add(1, Relaxed);
            let mut recent = lock(&self.recent);
            recent.push_back(begun);
            if recent.len() > RECENT {
                recent.pop_front();
            }
        }
    }

    /// How many runs were begun so far.
    pub fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// What was answered since this was called last.
    pub fn take(&self) -> Answers {
        std::mem::take(&mut lock(&self.answers))
    }

    /// Has a run begin: four times a change of what is wanted, then a plan to be asked again.
    /// Returns the run, if it was begun.
    pub async fn begin(&self, number: u64, due: Instant) -> Option<String> {
        let plant = format!("plant-{}", number % self.plants);
        let (what, begun) = if number % 5 == 4 {
            ("plan again", self.plan_again(&plant).await)
        } else {
            let change = json!({"size": number + 2});
            let accepted = self.client.patch(KIND, &plant, &change, None).await;
            let begun = accepted.map(|accepted| (accepted.run_id, accepted.trace_id));
            ("change a resource", begun.map_err(Into::into))
        };
        self.answered(what, due, &begun);
        let (run, trace) = begun.ok()?;
        self.note(run.clone(), trace);
        run
    }

    async fn plan_again(&self, plant: &str) -> Result<(Option<String>, Option<String>)> {
        let url = format!("{}/v1/{KIND}/{plant}/runs", self.client.base());
        let answer = self.http.post(url).send().await?.error_for_status()?;
        let last = |name| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.and_then(|value| value.rsplit('/').next()).map(str::to_owned)
        };
        Ok((last("location"), last("x-trace-id")))
    }

    /// Follows a run to its end. What counts is how long it took until the first event was there.
    pub async fn follow(&self, run: &str) {
        let due = Instant::now();
        let mut events = self.client.follow(run);
        let first = events.next().await;
        let first = first.ok_or("no event").and_then(|first| first.map_err(|_| "no run"));
        self.answered("follow a run, first event", due, &first.map_err(Into::into));
        let _ended =
            timeout(PATIENCE, async { while let Some(Ok(_)) = events.next().await {} }).await;
    }

    /// Asks the next of the questions.
    pub async fn question(&self, due: Instant) {
        let turn = self.turn.fetch_add(1, Relaxed);
        let (what, path) = QUESTIONS[turn % QUESTIONS.len()];
        let Some((run, trace)) = fastrand::choice(lock(&self.recent).iter()).cloned() else {
            return;
        };
        let plant = format!("plant-{}", fastrand::u64(..self.plants));
        let path =
            path.replace("{plant}", &plant).replace("{run}", &run).replace("{trace}", &trace);
        self.answered(what, due, &self.get(&path).await);
    }

    /// The body of what is there.
    ///
    /// # Errors
    /// If the answer is not a good one.
    pub async fn get(&self, path: &str) -> Result<bytes::Bytes> {
        let answer = self.http.get(format!("{}{path}", self.client.base())).send().await?;
        Ok(answer.error_for_status()?.bytes().await?)
    }

    fn answered<T>(&self, what: &'static str, due: Instant, answer: &Result<T>) {
        let mut answers = lock(&self.answers);
        match answer {
            Ok(_) => answers.times.entry(what).or_default().add(due.elapsed()),
            Err(error) => {
                answers.failed += 1;
                answers.first_failure.get_or_insert_with(|| format!("{what}: {}", chain(&**error)));
            }
        }
    }

    /// The sum of all figures of this name in `/metrics`, whatever their labels.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics").await?;
        let text = std::str::from_utf8(&text)?;
        let of_name =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let figures = text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next());
        Ok(figures.filter_map(|figure| figure.parse::<f64>().ok()).sum())
    }

    /// Waits until no run is under way.
    ///
    /// # Errors
    /// If the server does not answer, or runs go on for longer than this.
    pub async fn quiet(&self, at_most: Duration) -> Result {
        let until = Instant::now() + at_most;
        while self.metric("fixpoint_open_runs").await? > 0.0 {
            if Instant::now() > until {
                return Err(format!("runs are under way after {at_most:?}").into());
            }
            let _over = timeout(Duration::from_millis(200), std::future::pending::<()>()).await;
        }
        Ok(())
    }
}
