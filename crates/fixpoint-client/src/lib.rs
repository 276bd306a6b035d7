//! Wire types of the Fixpoint HTTP API, and a typed client for them.
//!
//! For whoever talks to a Fixpoint server: the command line, scripts, other services. Not for
//! what the server keeps: its stores have records of their own. The surprise: a resource's spec
//! is plain JSON here, because the kind that owns it (clusters, say) lives in the server's
//! application, and this crate depends on no other.

mod access;
mod acts;
mod apis;
#[cfg(feature = "client")]
mod client;
mod diff;
#[cfg(feature = "client")]
mod error;
#[cfg(feature = "client")]
mod follow;
mod notification;
mod search;
#[cfg(feature = "client")]
mod sse;
mod trace;
mod types;
mod verification;
mod why;

pub use access::{CreatedToken, NewToken, Role, Token, TokenPage};
pub use acts::{Act, ActRequest, Actor, SkipRequest, SkippedStep, Verb};
pub use apis::{Api, ApiPage, Circuit};
#[cfg(feature = "client")]
pub use client::{Accepted, Builder, Client, RateQuery, RunQuery, SearchQuery};
pub use diff::{
    Change, DiffCounts, DiffPlace, DiffRow, DiffSide, Difference, DifferenceKind, InBoth, Renamed,
    TraceDiff,
};
#[cfg(feature = "client")]
pub use error::Error;
#[cfg(feature = "client")]
pub use follow::{RunFollower, TraceFollower};
pub use notification::{
    Notification, NotificationState, WebhookData, WebhookEvent, WebhookMessage, WebhookTest,
};
pub use search::{
    AttributePage, BucketStats, Counts, DurationBucket, OperationPage, OperationSummary, PinPage,
    RateBucket, RatePage, Rates, ServicePage, ServiceSummary, StoreStats,
};
pub use trace::{Span, Trace};
pub use types::{
    ActiveStep, ErrorReport, FieldError, FindPage, Hit, Iteration, LogLine, LogPage, OnFailure,
    Place, PlanPreview, PlannedStep, Problem, Resource, ResourcePage, Run, RunCause, RunPage,
    RunState, SeenFact, TracePage, TraceSummary, Upload, Waiting, WithheldStep,
};
pub use verification::{Drift, Verification};
pub use why::{Baseline, Cause, CauseKind, Conclusion, Evidence, GoodOne, Why, WhyRun};
