//! The bodies of the HTTP API, one type each, as they stand on the wire.
//!
//! Not here: trace bodies, which are OTLP JSON as OpenTelemetry defines it. The surprise: every
//! field that may be absent is left out of the JSON rather than sent as `null`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Act, Notification, SkippedStep, Verification};

/// A resource: what is wanted (`spec`), what was made (`status`), and how far the two agree.
///
/// `observed_generation == generation` says that the newest spec has been reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// The kind's plural name, for example `clusters`.
    pub kind: String,
    /// Unique within its kind. That of a tenant's begins with the tenant's and two hyphens:
    /// `acme--idg`.
    pub name: String,
    /// Whose it is, if it is a tenant's: what its name says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Counts the changes of the spec, from 1. Also the resource's `ETag`.
    pub generation: u64,
    /// The newest generation that a run has taken to its fixpoint; 0 before the first.
    pub observed_generation: u64,
    /// What is wanted, in the kind's own words.
    pub spec: serde_json::Value,
    /// What the last iteration saw, with the ids of what was made.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub status: serde_json::Value,
    /// True from DELETE until the termination run has converged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// What happens when a run fails for good or does not converge.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// True from when its policy had what was made taken down until it is asked for again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
    /// The newest run for this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// That run's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_state: Option<RunState>,
    /// That run's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Whether the server mends it by itself when it is not as wanted any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mend: bool,
    /// Whether it is still as wanted; absent unless its newest run has converged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// When the resource was first asked for.
    pub created_at: Timestamp,
    /// When spec or status last changed.
    pub updated_at: Timestamp,
}

/// What happens when a run of a resource fails for good or does not converge. Until then it is tried
/// again as always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// What is there stays.
    #[default]
    Keep,
    /// What was made is taken down by a run of the termination plan, if the resource has never been
    /// as wanted. What has been in use stays.
    RollBack,
    /// The run stays paused, until an operator resumes or cancels it.
    Pause,
}

impl OnFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Keep, Self::RollBack, Self::Pause];

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::RollBack => "roll_back",
            Self::Pause => "pause",
        }
    }
}

impl std::fmt::Display for OnFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One page of resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourcePage {
    /// By name, ascending.
    pub items: Vec<Resource>,
    /// Pass as `page_token` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Where a run stands. `pending`, `running` and `waiting` go on, `paused` does when an operator
/// says so; the others are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Recorded, not started yet.
    Pending,
    /// Planning or running steps.
    Running,
    /// All that runs now waits for the world; `Run::active` says for what.
    Waiting,
    /// Somebody paused it; it stays as it is until it is resumed, cancelled or superseded.
    Paused,
    /// The plan is solved: its last `create` returned no step.
    Converged,
    /// A step or `create` failed.
    Failed,
    /// The plan kept returning the same steps without effect, or went over a budget.
    NotConverging,
    /// Cancelled before it was solved.
    Cancelled,
}

impl RunState {
    /// True for states that no run leaves.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Waiting | Self::Paused)
    }

    /// True if nothing more happens by itself: it is final, or paused.
    pub fn is_at_rest(self) -> bool {
        self.is_final() || self == Self::Paused
    }

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Converged => "converged",
            Self::Failed => "failed",
            Self::NotConverging => "not_converging",
            Self::Cancelled => "cancelled",
        }
    }

    /// All states, in the order in which a run may pass them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Converged,
        Self::Failed,
        Self::NotConverging,
        Self::Cancelled,
    ];
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// Somebody asked for it.
    Request,
    /// The run before it failed.
    Retry,
    /// The run before it failed for good, and its resource's failure policy has taken down what it made.
    RollBack,
    /// The resource was solved, and is not as wanted any more.
    Drift,
}

impl RunCause {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Retry => "retry",
            Self::RollBack => "roll_back",
            Self::Drift => "drift",
        }
    }
}

/// One execution of a plan, with one trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Unique and sortable by the time of its making.
    pub id: String,
    /// `kind/name`, for example `clusters/idg`.
    pub resource: String,
    /// The resource's generation that this run works towards.
    pub generation: u64,
    /// The plan's name, for example `create_cluster`.
    pub plan: String,
    /// Why there is this run; absent on those of before there was this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<RunCause>,
    /// Where it stands.
    pub state: RunState,
    /// Set while its resource's failure policy has it paused: how it would have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<RunState>,
    /// True if it takes down what an earlier run made, since the resource's failure policy says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolls_back: bool,
    /// The trace that holds every step and call of this run: 32 hex digits.
    pub trace_id: String,
    /// The run's own span in that trace: 16 hex digits.
    pub span_id: String,
    /// How many times `create` has answered.
    pub iterations: u32,
    /// How many steps have ended.
    pub steps: u32,
    /// How often a server has taken the run up: 1, and one more for each restart or pause that it
    /// lived through.
    pub attempts: u32,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The steps that run at this moment; what only holds others is left out.
    #[serde(default)]
    pub active: Vec<ActiveStep>,
    /// What each `create` answered, oldest first; the oldest are dropped past 200.
    #[serde(default)]
    pub plan_history: Vec<Iteration>,
    /// What operators did to it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Act>,
    /// What the server's webhook is told of it; for the server's own operators, not for tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Notification>,
    /// The steps of the newest answer of `create` that were skipped. A run that has converged with
    /// some has not reached its generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedStep>,
    /// Why it did not converge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// While it goes on: what of it is not as in good runs of its plan. It need not fail for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual: Option<String>,
    /// When the runner will plan this resource again after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

impl Run {
    /// The kind of the resource: `clusters`.
    pub fn kind(&self) -> &str {
        self.resource.split_once('/').map_or(&*self.resource, |(kind, _)| kind)
    }

    /// How it went: its state, or how it would have ended if its resource's policy had not paused it.
    pub fn outcome(&self) -> RunState {
        self.halted.unwrap_or(self.state)
    }

    /// Whether it shows how things are done: it reached what it was for. A run that found nothing
    /// to do says little of one that did.
    pub fn is_example(&self) -> bool {
        self.state == RunState::Converged && self.steps > 0 && self.skipped.is_empty()
    }

    /// Whether another run can be held against this one: it is of the same plan and kind.
    pub fn is_example_for(&self, other: &Self) -> bool {
        self.is_example()
            && self.plan == other.plan
            && self.kind() == other.kind()
            && self.id != other.id
    }
}

/// A step that runs at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActiveStep {
    /// The step's name.
    pub name: String,
    /// Its key: name and parameters, without secrets.
    pub key: String,
    /// When it started.
    pub since: Timestamp,
    /// Set while the step waits for the world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// What a waiting step waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// In the operator's words: "3 instances to be running".
    pub reason: String,
    /// The value that ends the wait.
    pub wanted: String,
    /// The value last seen; empty before the first look.
    pub seen: String,
    /// How often it has looked.
    pub polls: u32,
    /// When the wait gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// One `create` and what it answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Iteration {
    /// From 1.
    pub iteration: u32,
    /// When `create` answered.
    pub at: Timestamp,
    /// The steps chosen, in order. Empty: solved.
    pub steps: Vec<PlannedStep>,
    /// What the plan holds back, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<WithheldStep>,
    /// What the plan saw of the world.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenFact>,
}

/// A step as `create` returned it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// The step's name.
    pub name: String,
    /// Its key: name and parameters, without secrets.
    pub key: String,
}

/// Something the plan does not do yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WithheldStep {
    /// For example "add-on grafana".
    pub what: String,
    /// For example "waits for a healthy data node".
    pub why: String,
}

/// A fact the plan saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeenFact {
    /// For example "registered nodes".
    pub what: String,
    /// For example "0 of 3".
    pub value: String,
}

/// An error and its causes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReport {
    /// What failed, in one sentence.
    pub message: String,
    /// Why, outermost cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The step it happened in, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<PlannedStep>,
    /// True if trying again cannot help.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
}

/// One page of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPage {
    /// Newest first.
    pub items: Vec<Run>,
    /// Pass as `page_token` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What `create` would answer now. Nothing was changed to find out.
///
/// Only the steps that `create` returns itself: inner steps are known when their step has run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanPreview {
    /// The plan's name, for example `create_cluster`.
    pub plan: String,
    /// The trace of the look: 32 hex digits.
    pub trace_id: String,
    /// The answer.
    #[serde(flatten)]
    pub iteration: Iteration,
}

/// A trace in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceSummary {
    /// 32 hex digits.
    pub trace_id: String,
    /// The root span's name, or that of the earliest span while the root is unknown.
    pub name: String,
    /// The root's service.
    pub service: String,
    /// When its earliest span opened.
    pub started_at: Timestamp,
    /// When its last span ended; absent while one is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// True if the root span failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// How many spans there are.
    pub spans: u32,
    /// How many of them are open.
    pub open: u32,
    /// How many of them failed.
    pub errors: u32,
    /// How many log lines there are.
    pub logs: u32,
}

/// One page of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracePage {
    /// Newest first.
    pub items: Vec<TraceSummary>,
    /// Pass as `page_token` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// Why this is not all there is, if it is not: a file that could not be read, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// What became of a file of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    /// The traces in it, sorted.
    pub trace_ids: Vec<String>,
    /// How many spans and log lines are stored.
    pub accepted: u64,
    /// How many were left out, since they are not valid or too large.
    pub rejected: u64,
    /// Why the first of them was; empty if none was.
    pub message: String,
}

/// What an id was found in, best match first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindPage {
    /// Runs, then resources, then traces.
    pub hits: Vec<Hit>,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Hit {
    /// The run that has this id.
    Run(Box<Run>),
    /// A resource of this name.
    Resource(Box<Resource>),
    /// A trace in which the id occurs.
    Trace(TraceSummary),
}

/// The log lines of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// Oldest first.
    pub logs: Vec<LogLine>,
    /// True if older lines than these were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// One log line, as it is also printed on the server's stdout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When it was written.
    pub time: Timestamp,
    /// `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub level: String,
    /// What happened.
    pub message: String,
    /// The trace it belongs to: 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The span it was written in: 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The module that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Everything else the line says.
    #[serde(flatten)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// An error answer: RFC 9457 problem details, with the trace that shows what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Names the kind of problem: `about:blank`, or `/problems/<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, in a few words.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// This problem, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The fields at fault, as JSON pointers, each with what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Where a query is wrong, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The trace of the request.
    pub trace_id: String,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// A JSON pointer into the request's body, for example `/nodes`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A place in a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The parameter, for example `q`.
    pub parameter: String,
    /// Where the mistake begins, in bytes of the parameter's value.
    pub start: usize,
    /// Where it ends; the same as `start` where something is missing.
    pub end: usize,
    /// Two lines for a terminal: the text, and beneath it `^` under the mistake.
    pub excerpt: String,
}
