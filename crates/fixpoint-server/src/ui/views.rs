//! Runs and resources as the pages show them.
//!
//! The surprise: what changed between two iterations is worked out here, by comparing the facts
//! that each `create` saw; a run stores them whole.

use fixpoint_client::{
    Iteration, OnFailure, Resource, Run, RunCause, RunState, SeenFact, Verb, Waiting,
};
use jiff::Timestamp;
use serde_json::Value;

use super::text;
use crate::why;

/// How many facts and status values are worth drawing; more than any eye takes in.
const MOST_VALUES: usize = 300;

/// A run, with how it is said.
#[derive(Debug, Clone)]
pub(crate) struct RunView {
    /// As it is stored.
    pub(crate) run: Run,
    /// Newest first.
    pub(crate) iterations: Vec<IterationView>,
}

/// One answer of `create`, beside the one before.
#[derive(Debug, Clone)]
pub(crate) struct IterationView {
    /// As it is stored.
    pub(crate) iteration: Iteration,
    /// The facts; those that changed first.
    pub(crate) facts: Vec<FactView>,
    /// True if it is the answer before over again: the same steps, nothing changed.
    pub(crate) again: bool,
    /// True if it should be open at first.
    pub(crate) open: bool,
}

/// A fact that `create` saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FactView {
    /// For example "registered nodes".
    pub(crate) what: String,
    /// Its value.
    pub(crate) value: String,
    /// What it was in the iteration before, if something else; empty if it was not seen at all.
    pub(crate) before: Option<String>,
}

/// Something that can be done to a run, as a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerbView {
    /// The verb as the API has it.
    pub(crate) verb: Verb,
    /// What the button says.
    pub(crate) text: &'static str,
    /// What it will do.
    pub(crate) title: &'static str,
    /// How it looks.
    pub(crate) class: &'static str,
}

impl VerbView {
    /// What can be done to the newest run of its resource in this state.
    pub(crate) fn of(state: RunState) -> Vec<Self> {
        let verbs: &[Verb] = match state {
            RunState::Pending | RunState::Running | RunState::Waiting => {
                &[Verb::Replan, Verb::Pause, Verb::Cancel]
            }
            RunState::Paused => &[Verb::Resume, Verb::Cancel],
            RunState::Converged => &[Verb::Replan],
            RunState::Failed | RunState::NotConverging | RunState::Cancelled => &[Verb::Retry],
        };
        verbs.iter().map(|verb| Self::new(*verb)).collect()
    }

    fn new(verb: Verb) -> Self {
        let (text, title) = match verb {
            Verb::Cancel => ("Cancel run", "Its step at work finishes, then it ends"),
            Verb::Pause => ("Pause", "Its step at work finishes, then it rests until resumed"),
            Verb::Resume => ("Resume", "Its plan looks at the world again, and it goes on"),
            Verb::Retry => ("Retry now", "A new run starts at once"),
            Verb::Replan => ("Plan again now", "Its plan looks at the world again at once"),
            Verb::Skip => ("Skip step", "It is not run, in this run and its retries"),
        };
        let class = if verb == Verb::Cancel { "danger" } else { "quiet" };
        Self { verb, text, title, class }
    }
}

impl RunView {
    /// The view of a run.
    pub(crate) fn new(run: Run) -> Self {
        let history = &run.plan_history;
        let before = |i: usize| i.checked_sub(1).and_then(|i| history.get(i));
        let mut iterations: Vec<_> =
            history.iter().enumerate().map(|(i, it)| IterationView::new(it, before(i))).collect();
        iterations.reverse();
        // What it kept seeing is why it does not converge; elsewhere the newest answer is in the way.
        if let Some(newest) = iterations.first_mut() {
            newest.open = run.state == RunState::NotConverging;
        }
        Self { run, iterations }
    }

    pub(crate) fn href(&self) -> String {
        format!("/runs/{}", text::encoded(&self.run.id))
    }

    pub(super) fn resource_href(&self) -> String {
        let (kind, name) = self.run.resource.split_once('/').unwrap_or((&self.run.resource, ""));
        format!("/{}/{}", text::encoded(kind), text::encoded(name))
    }

    pub(super) fn trace_href(&self) -> String {
        format!("/traces/{}", text::encoded(&self.run.trace_id))
    }

    pub(super) fn state(&self) -> &'static str {
        self.run.state.as_str()
    }

    pub(super) fn state_text(&self) -> &'static str {
        state_text(self.run.state)
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.run.state.is_final()
    }

    pub(super) fn went_wrong(&self) -> bool {
        why::went_wrong(self.run.outcome())
    }

    /// The steps that can be left out, by name: those of the newest answer, those at work, and the one
    /// that failed.
    pub(super) fn skippable(&self) -> Vec<&str> {
        let run = &self.run;
        let planned = run.plan_history.last().into_iter().flat_map(|iteration| &iteration.steps);
        let failed = run.error.iter().filter_map(|error| error.step.as_ref());
        let names = planned.chain(failed).map(|step| &*step.name);
        let names = names.chain(run.active.iter().map(|step| &*step.name));
        counted(names).into_iter().map(|(name, _)| name).collect()
    }

    pub(super) fn clock(&self, at: &Timestamp) -> String {
        text::clock(*at)
    }

    pub(super) fn started(&self) -> String {
        text::stamp(self.run.created_at)
    }

    pub(super) fn started_clock(&self) -> String {
        text::clock(self.run.created_at)
    }

    pub(super) fn duration(&self) -> String {
        let end = self.run.ended_at.unwrap_or_else(Timestamp::now);
        text::duration(end.duration_since(self.run.created_at))
    }

    /// The steps that run now, each name once, with how many of that name.
    pub(super) fn active(&self) -> Vec<(&str, usize)> {
        counted(self.run.active.iter().map(|step| step.name.as_str()))
    }

    /// What the steps that run now wait for, if for anything.
    pub(super) fn waits(&self) -> Vec<&Waiting> {
        self.run.active.iter().filter_map(|step| step.waiting.as_ref()).collect()
    }

    /// Whether it was begun because the resource had drifted.
    pub(super) fn mends_drift(&self) -> bool {
        self.run.cause == Some(RunCause::Drift)
    }

    pub(super) fn retry(&self) -> Option<String> {
        self.run.retry_at.map(text::clock)
    }
}

impl IterationView {
    fn new(iteration: &Iteration, before: Option<&Iteration>) -> Self {
        let old = |fact: &SeenFact| before?.seen.iter().find(|old| old.what == fact.what);
        let mut facts: Vec<_> = iteration
            .seen
            .iter()
            .take(MOST_VALUES)
            .map(|fact| FactView {
                what: fact.what.clone(),
                value: fact.value.clone(),
                before: match (before, old(fact)) {
                    (None, _) => None,
                    (Some(_), None) => Some(String::new()),
                    (Some(_), Some(old)) => (old.value != fact.value).then(|| old.value.clone()),
                },
            })
            .collect();
        facts.sort_by_key(|fact| fact.before.is_none());
        let again = before.is_some_and(|before| {
            before.steps == iteration.steps
                && before.seen == iteration.seen
                && !iteration.steps.is_empty()
        });
        Self { iteration: iteration.clone(), facts, again, open: false }
    }

    pub(super) fn clock(&self) -> String {
        text::clock(self.iteration.at)
    }

    pub(super) fn changed(&self) -> usize {
        self.facts.iter().filter(|fact| fact.before.is_some()).count()
    }

    /// The names of the steps, each once, with how often it was chosen.
    pub(super) fn step_names(&self) -> Vec<(&str, usize)> {
        counted(self.iteration.steps.iter().map(|step| step.name.as_str()))
    }
}

fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => *times += 1,
            None => counts.push((name, 1)),
        }
    }
    counts
}

/// A resource, with how it is said.
#[derive(Debug, Clone)]
pub(crate) struct ResourceView {
    /// As it is on the wire.
    pub(crate) resource: Resource,
}

/// A value somewhere in a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusValue {
    /// Where, for example `nodes › 0 › instance_id`.
    pub(crate) path: String,
    /// What.
    pub(crate) value: String,
    /// True if it looks like something one can search for.
    pub(crate) is_id: bool,
}

impl ResourceView {
    /// The view of a resource.
    pub(crate) fn new(resource: Resource) -> Self {
        Self { resource }
    }

    pub(crate) fn href(&self) -> String {
        format!("/{}/{}", text::encoded(&self.resource.kind), text::encoded(&self.resource.name))
    }

    pub(super) fn api(&self) -> String {
        format!("/v1{}", self.href())
    }

    /// What can be chosen for when a run fails: the word, what it means, and whether it is chosen.
    pub(super) fn policies(&self) -> Vec<(OnFailure, &'static str, bool)> {
        let text = |policy| match policy {
            OnFailure::Keep => "keep what is there",
            OnFailure::RollBack => "roll back a creation",
            OnFailure::Pause => "pause the run",
        };
        let chosen = self.resource.on_failure;
        OnFailure::ALL.into_iter().map(|policy| (policy, text(policy), policy == chosen)).collect()
    }

    /// What can be done to its newest run.
    pub(super) fn verbs(&self) -> Vec<VerbView> {
        self.resource.run_state.map(VerbView::of).unwrap_or_default()
    }

    pub(super) fn run_href(&self) -> Option<String> {
        self.resource.run_id.as_deref().map(|id| format!("/runs/{}", text::encoded(id)))
    }

    /// The word for its state: of its newest run, as long as that has not reached its spec.
    pub(super) fn state(&self) -> &'static str {
        self.resource.run_state.map_or("pending", RunState::as_str)
    }

    pub(super) fn state_text(&self) -> &'static str {
        self.resource.run_state.map_or("pending", state_text)
    }

    /// What would mend it, if it is not as wanted any more.
    pub(super) fn drift(&self) -> Option<String> {
        let drift = self.resource.verification.as_ref()?.drift.as_ref()?;
        let steps = counted(drift.steps.iter().map(|step| step.name.as_str())).into_iter();
        let steps = steps.map(|(name, times)| match times {
            1 => name.to_owned(),
            times => format!("{name} ×{times}"),
        });
        Some(steps.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn stamp(&self, at: &Timestamp) -> String {
        text::stamp(*at)
    }

    pub(super) fn updated(&self) -> String {
        text::stamp(self.resource.updated_at)
    }

    pub(super) fn reached(&self) -> bool {
        self.resource.observed_generation == self.resource.generation
    }

    /// The spec in a line: `nodes 3, addons grafana`. Objects and what is empty are left out.
    pub(super) fn summary(&self) -> String {
        let Value::Object(fields) = &self.resource.spec else { return String::new() };
        let plain = |value: &Value| match value {
            Value::Number(n) => Some(n.to_string()),
            Value::Array(items) if !items.is_empty() => {
                Some(items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(" "))
            }
            _ => None,
        };
        let parts =
            fields.iter().filter_map(|(key, value)| Some(format!("{key} {}", plain(value)?)));
        parts.take(3).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn spec(&self) -> Vec<StatusValue> {
        flatten(&self.resource.spec)
    }

    pub(super) fn status(&self) -> Vec<StatusValue> {
        flatten(&self.resource.status)
    }
}

impl StatusValue {
    pub(super) fn search(&self) -> String {
        format!("/search?q={}", text::encoded(&self.value))
    }
}

/// The state as an operator says it.
fn state_text(state: RunState) -> &'static str {
    match state {
        RunState::NotConverging => "not converging",
        other => other.as_str(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Every value of a JSON document with its path; lists of plain values count as one.
fn flatten(value: &Value) -> Vec<StatusValue> {
    let mut values = Vec::new();
    let mut stack = vec![(String::new(), value)];
    while let Some((path, value)) = stack.pop() {
        if values.len() == MOST_VALUES {
            break;
        }
        let inner =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path} › {key}") };
        match value {
            Value::Object(fields) => {
                stack.extend(fields.iter().rev().map(|(key, v)| (inner(key), v)));
            }
            Value::Array(items) if items.iter().any(|v| v.is_object() || v.is_array()) => {
                stack.extend(
                    items.iter().enumerate().rev().map(|(i, v)| (inner(&i.to_string()), v)),
                );
            }
            Value::Array(items) => {
                let value = items.iter().filter_map(scalar).collect::<Vec<_>>().join(", ");
                values.push(StatusValue { path, is_id: items.len() == 1 && is_id(&value), value });
            }
            other => {
                let value = scalar(other).unwrap_or_default();
                values.push(StatusValue { path, is_id: is_id(&value), value });
            }
        }
    }
    values
}

// `i-0f3a…`, `vpc-…`, `arn:…`: what a trace can be searched for.
fn is_id(value: &str) -> bool {
    let dashed = value.split_once('-').is_some_and(|(kind, id)| {
        kind.bytes().all(|b| b.is_ascii_lowercase())
            && id.len() >= 8
            && id.bytes().all(|b| b.is_ascii_hexdigit())
    });
    dashed || value.starts_with("arn:")
}

#[cfg(test)]
mod tests {
    use fixpoint_client::PlannedStep;
    use serde_json::json;

    use super::*;

    #[test]
    fn status_is_shown_flat_and_ids_can_be_searched_for() {
        let status = json!({
            "vpc": {"id": "vpc-0a1b2c3d4e5f"},
            "nodes": [{"id": "i-0123456789ab", "zone": "eu-central-1a"}],
            "addons": ["grafana", "kapacitor"],
            "ready": true,
        });
        let values: Vec<_> =
            flatten(&status).into_iter().map(|v| (v.path, v.value, v.is_id)).collect();
        let row = |path: &str, value: &str, id| (path.to_owned(), value.to_owned(), id);
        assert_eq!(
            values,
            [
                row("vpc › id", "vpc-0a1b2c3d4e5f", true),
                row("nodes › 0 › id", "i-0123456789ab", true),
                row("nodes › 0 › zone", "eu-central-1a", false),
                row("addons", "grafana, kapacitor", false),
                row("ready", "true", false),
            ]
        );
    }

    #[test]
    fn a_step_chosen_more_than_once_is_named_once() {
        let step = |name: &str, key: &str| PlannedStep { name: name.into(), key: key.into() };
        let steps = vec![step("subnet", "a"), step("vpc", "v"), step("subnet", "b")];
        let at = Timestamp::UNIX_EPOCH;
        let iteration = Iteration { iteration: 1, at, steps, withheld: vec![], seen: vec![] };
        let view = IterationView::new(&iteration, None);
        assert_eq!(view.step_names(), [("subnet", 2), ("vpc", 1)]);
    }

    #[test]
    fn facts_that_changed_come_first_with_what_they_were() {
        let fact = |what: &str, value: &str| SeenFact { what: what.into(), value: value.into() };
        let at = Timestamp::UNIX_EPOCH;
        let iteration =
            |iteration, seen| Iteration { iteration, at, steps: vec![], withheld: vec![], seen };
        let first = iteration(1, vec![fact("vpc", "none")]);
        let second =
            iteration(2, vec![fact("subnets", "2"), fact("nodes", "0 of 3"), fact("vpc", "one")]);
        let before =
            Iteration { seen: vec![fact("vpc", "none"), fact("nodes", "0 of 3")], ..first.clone() };

        assert_eq!(IterationView::new(&first, None).changed(), 0);
        let view = IterationView::new(&second, Some(&before));
        let told: Vec<_> =
            view.facts.iter().map(|f| (f.what.as_str(), f.before.as_deref())).collect();
        assert_eq!(told, [("subnets", Some("")), ("vpc", Some("none")), ("nodes", None)]);
        assert_eq!(view.changed(), 2);
        assert!(!view.again && !IterationView::new(&first, Some(&first)).again, "solved is solved");
        let step = PlannedStep { name: "register".into(), key: "Register".into() };
        let stuck = Iteration { steps: vec![step], ..second };
        assert!(IterationView::new(&stuck, Some(&stuck)).again);
    }
}
