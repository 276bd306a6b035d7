//! One round: so many runs begun and so many questions asked a second, for so long.
//!
//! Not here: what is asked (`asking.rs`). The surprise: what memory does is told by a line through all
//! of its samples, since each single one depends on what the stores are just about to write out.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Result, asking::Asking};
use crate::{
    measure::{Summary, Times},
    process::Process,
};

/// The 99th percentile of all questions must stay below this, in milliseconds. Of one kind a short round
/// asks too few for a percentile to be more than luck.
pub const LIMIT: f64 = 50.0;

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_secs(5);

/// One of so many runs is followed.
const FOLLOWED: u64 = 4;

/// Runs that have not ended when the round does; so many are under way at any time.
const UNDER_WAY: f64 = 100.0;

/// How a round is played.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Runs begun in a second.
    pub runs: f64,
    /// Questions asked in a second.
    pub questions: f64,
    /// For how long.
    pub length: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Played {
    round: Round,
    ended: f64,
    open: f64,
    spans: f64,
    logs: f64,
    all: Summary,
    kinds: Vec<(&'static str, Summary)>,
    failed: u64,
    first_failure: Option<String>,
    cpu_server: f64,
    cpu_own: f64,
    /// Seconds since the begin, and megabytes.
    memory: Vec<(f64, f64)>,
}

impl Round {
    /// Plays it. What was asked before does not count.
    ///
    /// # Errors
    /// If the server is gone.
    pub async fn play(self, asking: &Arc<Asking>, server: &Process) -> Result<Played> {
        drop(asking.take());
        let own = Process::own();
        let count = async || -> Result<[f64; 3]> {
            Ok([
                asking.metric("fixpoint_runs_total").await?,
                asking.metric("fixpoint_trace_store_spans").await?,
                asking.metric("fixpoint_trace_store_logs").await?,
            ])
        };
        let before = (count().await?, server.cpu_seconds()?, own.cpu_seconds()?);
        let start = Instant::now();
        let ((), (), memory) = tokio::join!(
            self.begin_runs(asking, start),
            self.ask_questions(asking, start),
            watch(server, start, start + self.length),
        );
        let memory = memory?;
        let open = asking.metric("fixpoint_open_runs").await?;
        let (cpu_server, cpu_own) =
            (server.cpu_seconds()? - before.1, own.cpu_seconds()? - before.2);
        let counts = count().await?;
        let seconds = start.elapsed().as_secs_f64();
        let [ended, spans, logs] = [0, 1, 2].map(|at| (counts[at] - before.0[at]) / seconds);
        let answers = asking.take();
        let mut all = Times::default();
        answers.times.values().for_each(|times| all.extend(times.clone()));
        let kinds = answers.times.into_iter().map(|(what, times)| (what, times.summary()));
        Ok(Played {
            round: self,
            ended,
            open,
            spans,
            logs,
            all: all.summary(),
            kinds: kinds.collect(),
            failed: answers.failed,
            first_failure: answers.first_failure,
            cpu_server: cpu_server / seconds,
            cpu_own: cpu_own / seconds,
            memory,
        })
    }

    async fn begin_runs(self, asking: &Arc<Asking>, start: Instant) {
        let first = asking.begun();
        paced(start, self.length, self.runs, |number, due| {
            let asking = Arc::clone(asking);
            async move {
                let run = asking.begin(first + number, due).await;
                if number % FOLLOWED == 0
                    && let Some(run) = run
                {
                    asking.follow(&run).await;
                }
            }
        })
        .await;
    }

    async fn ask_questions(self, asking: &Arc<Asking>, start: Instant) {
        paced(start, self.length, self.questions, |_, due| {
            let asking = Arc::clone(asking);
            async move { asking.question(due).await }
        })
        .await;
    }
}

/// Begins something again and again, at a rate, whether or not what was begun before has ended. Returns
/// when all has.
async fn paced<F: Future<Output = ()> + Send + 'static>(
    start: Instant,
    length: Duration,
    rate: f64,
    begin: impl Fn(u64, Instant) -> F,
) {
    let (mut begun, mut after) = (JoinSet::new(), 0.0);
    for number in 0.. {
        let due = start + Duration::from_secs_f64(after / rate);
        if due >= start + length {
            break;
        }
        sleep_until(due).await;
        begun.spawn(begin(number, due));
        // What has ended need not be kept.
        while begun.try_join_next().is_some() {}
        after += 1.0;
    }
    begun.join_all().await;
}

/// How much memory the server has as time goes by.
async fn watch(server: &Process, start: Instant, until: Instant) -> Result<Vec<(f64, f64)>> {
    let mut samples = Vec::new();
    loop {
        #[allow(clippy::cast_precision_loss, reason = "megabytes")]
        let megabytes = server.memory()? as f64 / 1e6;
        samples.push((start.elapsed().as_secs_f64(), megabytes));
        let next = Instant::now() + SAMPLE;
        if next > until {
            return Ok(samples);
        }
        sleep_until(next).await;
    }
}

/// How fast the line through these points rises.
fn slope(points: &[(f64, f64)]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "some hundred")]
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let square: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if square > 0.0 { both / square } else { 0.0 }
}

impl Played {
    /// Why the rate did not hold; none if it did.
    pub fn broke(&self) -> Option<String> {
        if self.failed > 0 {
            let why = self.first_failure.as_deref().unwrap_or_default();
            return Some(format!("{} questions had no answer: {why}", self.failed));
        }
        if self.open > UNDER_WAY {
            return Some(format!("{} runs had not ended", self.open));
        }
        (self.all.p99 > LIMIT).then(|| "answers are slow".to_owned())
    }

    /// In a line.
    pub fn line(&self) -> String {
        let Self { round, all, spans, cpu_server, .. } = self;
        let held =
            self.broke().map_or_else(|| "holds".to_owned(), |why| format!("does not hold: {why}"));
        let slowest = self.kinds.iter().max_by(|a, b| a.1.p99.total_cmp(&b.1.p99));
        let slowest = slowest.map_or_else(String::new, |(what, it)| format!("; {what}: {it}"));
        format!(
            "{:.1} runs/s, {spans:.0} spans/s, {cpu_server:.2} cores, {all}{slowest}: {held}",
            round.runs
        )
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, ended, open, spans, logs, all, cpu_server, cpu_own, .. } = self;
        let row = |f: &mut fmt::Formatter<'_>, what: &str, it: &Summary| {
            let Summary { count, p50, p99, p999, max } = it;
            writeln!(f, "| {what} | {count} | {p50:.1} | {p99:.1} | {p999:.1} | {max:.1} |")
        };
        writeln!(
            f,
            "{:.0} s: {:.0} runs/min begun, {:.0} ended, {open:.0} open at the end; {spans:.0} spans/s, \
             {logs:.0} log lines/s; {:.0} questions/s\n",
            round.length.as_secs_f64(),
            round.runs * 60.0,
            ended * 60.0,
            round.questions,
        )?;
        writeln!(f, "| asked | times | p50 ms | p99 ms | p99.9 ms | longest ms |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- |")?;
        for (what, summary) in &self.kinds {
            row(f, what, summary)?;
        }
        row(f, "all", all)?;
        writeln!(f, "\nCPU: server {cpu_server:.2} cores, whoever asks {cpu_own:.2}")?;
        let minutes = self.memory.iter().enumerate();
        let every = 60 / SAMPLE.as_secs().max(1) as usize;
        let at_minutes: Vec<_> = minutes
            .filter(|(at, _)| at % every == 0)
            .map(|(_, (_, megabytes))| format!("{megabytes:.0}"))
            .collect();
        writeln!(f, "memory at each minute, MB: {}", at_minutes.join(", "))?;
        let half = &self.memory[self.memory.len() / 2..];
        writeln!(
            f,
            "memory grows by {:.2} MB a minute, {:.2} in the second half",
            slope(&self.memory) * 60.0,
            slope(half) * 60.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_the_line() {
        let points: Vec<_> = (0..100).map(f64::from).map(|x| (x, 7.0 + 0.5 * x)).collect();
        assert!((slope(&points) - 0.5).abs() < 1e-9);
        assert!(slope(&points[..1]).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_does_not_wait_for_what_was_asked_before() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        paced(start, second * 2, 2.0, |number, due| {
            let tell = tell.clone();
            async move {
                let _gone = tell.send((number, (due - start).as_millis(), start.elapsed()));
                sleep_until(start + second * 60).await;
            }
        })
        .await;
        let mut begun = Vec::new();
        while let Ok((number, due, late)) = heard.try_recv() {
            assert!(late < second * 2, "{late:?}");
            begun.push((number, due));
        }
        assert_eq!(begun, [(0, 0), (1, 500), (2, 1000), (3, 1500)]);
    }
}
