//! What a server tells its operator's webhook: the events, their bodies, and what became of each.
//!
//! Not here: signing and sending, which the server does. The surprise: a run has at most one
//! notification of each event. A newer one of the same event takes the place of the older.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ErrorReport, PlannedStep, RunState};

/// Something that an operator may want to be told of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum WebhookEvent {
    /// A run failed for good, or does not converge. Nothing more happens by itself, unless the
    /// resource's failure policy has it rolled back.
    #[serde(rename = "run.failed")]
    RunFailed,
    /// A run that failed for good, or does not converge, was paused by its resource's failure policy.
    #[serde(rename = "run.paused")]
    RunPaused,
    /// What a failed creation had made has been taken down.
    #[serde(rename = "resource.rolled_back")]
    RolledBack,
    /// A solved resource is not as wanted any more.
    #[serde(rename = "resource.drifted")]
    Drifted,
    /// Nothing happened: somebody wants to see whether the webhook works.
    #[serde(rename = "ping")]
    Ping,
}

impl WebhookEvent {
    /// Those of runs and resources.
    pub const ALL: [Self; 4] = [Self::RunFailed, Self::RunPaused, Self::RolledBack, Self::Drifted];

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunFailed => "run.failed",
            Self::RunPaused => "run.paused",
            Self::RolledBack => "resource.rolled_back",
            Self::Drifted => "resource.drifted",
            Self::Ping => "ping",
        }
    }
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WebhookEvent {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|event| event.as_str() == word);
        known.ok_or_else(|| format!("one of {} is wanted", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// The body of a request to the webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookMessage {
    /// What happened.
    #[serde(rename = "type")]
    pub event: WebhookEvent,
    /// When it happened.
    pub timestamp: Timestamp,
    /// To what; absent in a ping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<WebhookData>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookData {
    /// The resource's kind: `clusters`.
    pub kind: String,
    /// The resource's name.
    pub name: String,
    /// Whose the resource is, if it is a tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The run; of drift, the one that had solved the resource.
    pub run_id: String,
    /// The trace that shows what happened: the run's, or that of the look that found drift.
    pub trace_id: String,
    /// The run's plan: `create_cluster`.
    pub plan: String,
    /// The run's state; of one that is paused, how it would have ended.
    pub state: RunState,
    /// Why the run did not converge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// The steps that would mend what has drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PlannedStep>,
    /// The run that was begun because of it: one that rolls back, or mends drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_id: Option<String>,
    /// The run's page, if the server knows where people open its pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What has become of telling the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// It is to be sent, or sent again.
    Waiting,
    /// The webhook has taken it.
    Delivered,
    /// It is not tried any more.
    Failed,
}

impl NotificationState {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One event of a run that the webhook is told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// Its `webhook-id`, the same in every attempt.
    pub id: String,
    /// What it tells of.
    pub event: WebhookEvent,
    /// Whether the webhook has been told.
    pub state: NotificationState,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<Timestamp>,
    /// The trace of that: 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// When it is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, attempts, .. } = self;
        let times =
            if *attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
        match self.state {
            NotificationState::Waiting if *attempts == 0 => write!(f, "{event} is to be sent"),
            NotificationState::Waiting => write!(f, "{event} not delivered yet after {times}"),
            NotificationState::Delivered => write!(f, "{event} delivered, {times}"),
            NotificationState::Failed => write!(f, "{event} given up after {times}"),
        }?;
        self.error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

/// How a ping went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookTest {
    /// The scheme, host and port that it was sent to; what else is in the URL may be secret.
    pub to: String,
    /// Its `webhook-id`.
    pub id: String,
    /// True if the answer was one of success.
    pub delivered: bool,
    /// The answer's status code; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of the answer's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why it was not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long the answer took, in milliseconds.
    pub took_ms: u64,
    /// The trace that shows it: 32 hex digits.
    pub trace_id: String,
}
