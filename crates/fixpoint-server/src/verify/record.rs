//! What is stored of the looks at a resource, and what of it still holds.
//!
//! Not here: how it comes about (`look.rs`). The surprise: a run that converges writes nothing
//! here. Its last `create` had no answer, which is a verification in itself; so what was recorded
//! after an earlier run holds no longer, and the run's end stands in its place.

use fixpoint_client::{Run, RunState, Verification};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::resource::ResourceRecord;

/// What is stored of the looks at a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VerificationRecord {
    /// The run that had solved it.
    pub(crate) run_id: String,
    #[serde(flatten)]
    pub(crate) shown: Verification,
    /// When it was mended, oldest first, as far back as the budget counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mends: Vec<Timestamp>,
}

/// Whether the run, the resource's newest, has solved it as it now is.
pub(crate) fn is_solved(resource: &ResourceRecord, run: &Run) -> bool {
    !resource.deleting
        && resource.run_id == run.id
        && resource.observed_generation == resource.generation
        && run.state == RunState::Converged
        && run.skipped.is_empty()
}

/// What is known of a resource whose newest run this is; nothing unless that has solved it.
pub(crate) fn show(
    resource: &ResourceRecord,
    run: &Run,
    record: Option<VerificationRecord>,
) -> Option<Verification> {
    if !is_solved(resource, run) {
        return None;
    }
    if let Some(record) = record.filter(|record| record.run_id == run.id) {
        return Some(record.shown);
    }
    let at = run.ended_at?;
    let trace_id = run.trace_id.clone();
    Some(Verification { verified_at: at, looked_at: at, trace_id, drift: None, error: None })
}
