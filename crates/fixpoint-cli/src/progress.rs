//! Shows runs while they happen: a spinner for each step that runs, a line for each that ended.
//!
//! Not here: following (the client does) and what the end of a run means to a command. The
//! surprise: where there is no terminal the same changes come as plain lines, one for each, so a
//! CI log reads as the screen would have looked. A group of steps is no work of its own, and gets
//! no line.

use std::{collections::HashMap, time::Duration};

use fixpoint_client::{ActiveStep, Client, Iteration, Run, RunState};
use futures_util::{StreamExt, stream::FuturesUnordered};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::{
    error::Result,
    output::{Output, Paint, duration, truncate},
};

/// Follows runs until all have ended, and returns them as they then are, in the order given.
pub(crate) async fn follow(
    client: &Client,
    mut screen: Screen,
    run_ids: &[String],
) -> Result<Vec<Run>> {
    let mut followers: FuturesUnordered<_> = run_ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let mut follower = client.follow(id);
            async move { (at, follower.next().await, follower) }
        })
        .map(futures_util::FutureExt::boxed)
        .collect();
    let mut runs: Vec<Option<Run>> = vec![None; run_ids.len()];
    while let Some((at, run, mut follower)) = followers.next().await {
        let Some(run) = run.transpose()? else { continue };
        screen.show(runs[at].as_ref(), &run);
        runs[at] = Some(run);
        followers.push(futures_util::FutureExt::boxed(async move {
            (at, follower.next().await, follower)
        }));
    }
    Ok(runs.into_iter().flatten().collect())
}

/// The name of steps that only run others at once.
const GROUP: &str = "together";

/// Something that became different from one state of a run to the next.
#[derive(Debug, PartialEq)]
enum Change<'a> {
    Planned(&'a Iteration),
    Started(&'a ActiveStep),
    Waiting(&'a ActiveStep),
    Ended { step: &'a ActiveStep, took: Duration, failed: bool },
}

/// A step of one run: the same step may run again in a later iteration.
type StepId = (String, String, Timestamp);

fn id(run: &Run, step: &ActiveStep) -> StepId {
    (run.id.clone(), step.key.clone(), step.since)
}

fn changes<'a>(old: Option<&'a Run>, new: &'a Run, now: Timestamp) -> Vec<Change<'a>> {
    let was = old.map_or(&[][..], |run| &run.active);
    let same = |a: &ActiveStep, b: &ActiveStep| a.key == b.key && a.since == b.since;
    let ended = was.iter().filter(|step| !new.active.iter().any(|other| same(step, other)));
    let failed = |step: &ActiveStep| {
        let error = new.error.as_ref().and_then(|error| error.step.as_ref());
        new.state == RunState::Failed && error.is_some_and(|failed| failed.key == step.key)
    };
    let mut all: Vec<Change<'_>> = ended
        .map(|step| {
            let took = now.duration_since(step.since).unsigned_abs();
            Change::Ended { step, took, failed: failed(step) }
        })
        .collect();
    let planned = old.and_then(|run| run.plan_history.last()).map_or(0, |last| last.iteration);
    let iterations = new.plan_history.iter().filter(|iteration| iteration.iteration > planned);
    all.extend(iterations.map(Change::Planned));
    for step in &new.active {
        let before = was.iter().find(|other| same(step, other));
        if before.is_none() {
            all.push(Change::Started(step));
        }
        let seen = |step: &ActiveStep| step.waiting.as_ref().map(|waiting| waiting.seen.clone());
        if step.waiting.is_some() && before.and_then(seen) != seen(step) {
            all.push(Change::Waiting(step));
        }
    }
    all
}

/// Where progress is shown.
pub(crate) struct Screen {
    bars: MultiProgress,
    active: HashMap<StepId, ProgressBar>,
    live: bool,
    paint: Paint,
    /// The resource's name stands before each line.
    named: bool,
    write: Box<dyn Fn(&str) + Send>,
}

impl Screen {
    /// On stderr, as fits news that are no data.
    pub(crate) fn on_stderr(output: Output, named: bool) -> Self {
        let write = Box::new(move |line: &str| output.note(line));
        Self::on(ProgressDrawTarget::stderr(), output.err, named, write)
    }

    /// On stdout, for a command whose output is a story.
    pub(crate) fn on_stdout(output: Output) -> Self {
        // A story nobody reads any more goes on silently.
        let write = Box::new(move |line: &str| drop(output.text(line)));
        Self::on(ProgressDrawTarget::stdout(), output.out, false, write)
    }

    fn on(
        target: ProgressDrawTarget,
        paint: Paint,
        named: bool,
        write: Box<dyn Fn(&str) + Send>,
    ) -> Self {
        let live = !target.is_hidden();
        let bars = MultiProgress::with_draw_target(target);
        Self { bars, active: HashMap::new(), live, paint, named, write }
    }

    /// Shows what is new in a run.
    pub(crate) fn show(&mut self, old: Option<&Run>, new: &Run) {
        let name = new.resource.rsplit('/').next().unwrap_or_default();
        let prefix = if self.named { format!("{name}  ") } else { String::new() };
        for change in changes(old, new, Timestamp::now()) {
            match change {
                Change::Planned(iteration) => self.planned(&prefix, iteration),
                Change::Started(step) => self.started(&prefix, new, step),
                Change::Waiting(step) => self.waiting(&prefix, new, step),
                Change::Ended { step, took, failed } => {
                    self.ended(&prefix, new, step, took, failed);
                }
            }
        }
    }

    fn planned(&self, prefix: &str, iteration: &Iteration) {
        // On a terminal the spinners say it.
        if self.live {
            return;
        }
        let steps: Vec<&str> = iteration.steps.iter().map(|step| step.name.as_str()).collect();
        let steps = if steps.is_empty() { "nothing left".into() } else { steps.join(", ") };
        self.line(format!("   {prefix}iteration {}: {steps}", iteration.iteration));
    }

    fn started(&mut self, prefix: &str, run: &Run, step: &ActiveStep) {
        if !self.live || step.name == GROUP {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        // No unwrap: a template that does not parse would only cost the looks.
        if let Ok(style) = ProgressStyle::with_template("   {spinner:.yellow} {wide_msg}") {
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        bar.set_message(format!("{prefix}{}", step.name));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.active.insert(id(run, step), bar);
    }

    fn waiting(&self, prefix: &str, run: &Run, step: &ActiveStep) {
        let Some(waiting) = &step.waiting else { return };
        let seen = if waiting.seen.is_empty() { "not seen yet" } else { &waiting.seen };
        let said = format!("{}: {}", waiting.reason, seen);
        match self.active.get(&id(run, step)) {
            Some(bar) => {
                bar.set_message(format!("{prefix}{:<34} {}", step.name, self.paint.dim(said)));
            }
            None if !self.live => self.line(format!("   {prefix}{}: {said}", step.name)),
            None => {}
        }
    }

    fn ended(&mut self, prefix: &str, run: &Run, step: &ActiveStep, took: Duration, failed: bool) {
        if let Some(bar) = self.active.remove(&id(run, step)) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        if step.name == GROUP {
            return;
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mark = if failed { self.paint.bad("✗") } else { self.paint.good("✓") };
        let name = truncate(&step.name, 40);
        self.line(format!("   {mark} {prefix}{name:<40} {:>8}", duration(nanos)));
    }

    /// A line above the spinners.
    fn line(&self, text: impl AsRef<str>) {
        if self.live {
            self.bars.suspend(|| (self.write)(text.as_ref()));
        } else {
            (self.write)(text.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(active: serde_json::Value, iterations: usize) -> Run {
        let history: Vec<_> = (1..=iterations)
            .map(|n| json!({"iteration": n, "at": "2026-01-01T00:00:00Z", "steps": []}))
            .collect();
        serde_json::from_value(json!({
            "id": "r1", "resource": "clusters/idg", "generation": 1, "plan": "create_cluster",
            "state": "running", "trace_id": "t", "span_id": "s", "iterations": iterations,
            "steps": 0, "attempts": 1, "created_at": "2026-01-01T00:00:00Z",
            "active": active, "plan_history": history}))
        .unwrap()
    }

    fn step(name: &str, seen: Option<&str>) -> serde_json::Value {
        let mut step = json!({"name": name, "key": name, "since": "2026-01-01T00:00:01Z"});
        if let Some(seen) = seen {
            step["waiting"] = json!({"reason": "nodes", "wanted": "3", "seen": seen, "polls": 1});
        }
        step
    }

    fn said(old: Option<&Run>, new: &Run) -> Vec<String> {
        changes(old, new, "2026-01-01T00:00:03Z".parse().unwrap())
            .iter()
            .map(|change| match change {
                Change::Planned(iteration) => format!("planned {}", iteration.iteration),
                Change::Started(step) => format!("started {}", step.name),
                Change::Waiting(step) => {
                    format!("{} sees {}", step.name, step.waiting.as_ref().unwrap().seen)
                }
                Change::Ended { step, took, failed } => {
                    format!("ended {} {}s failed={failed}", step.name, took.as_secs())
                }
            })
            .collect()
    }

    #[test]
    fn steps_are_told_when_they_start_see_something_new_and_end() {
        let first = run(json!([step("wait", Some("0"))]), 1);
        assert_eq!(said(None, &first), ["planned 1", "started wait", "wait sees 0"]);
        assert!(said(Some(&first), &first).is_empty());
        let second = run(json!([step("wait", Some("1")), step("create", None)]), 1);
        assert_eq!(said(Some(&first), &second), ["wait sees 1", "started create"]);
        let third = run(json!([step("create", None)]), 2);
        assert_eq!(said(Some(&second), &third), ["ended wait 2s failed=false", "planned 2"]);
    }

    #[test]
    fn the_step_that_failed_the_run_ends_as_failed() {
        let before = run(json!([step("create", None)]), 1);
        let mut after = run(json!([]), 1);
        after.state = RunState::Failed;
        after.error = serde_json::from_value(json!({
            "message": "step create failed", "step": {"name": "create", "key": "create"}}))
        .unwrap();
        assert_eq!(said(Some(&before), &after), ["ended create 2s failed=true"]);
    }
}
