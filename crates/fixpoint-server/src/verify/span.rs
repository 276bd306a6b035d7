//! The span of a look: how it opens, and what it says of what was found.
//!
//! Not here: the spans within it, which are the planner's and the client's.

use fixpoint_client::Verification;
use tracing::{Span, field::Empty};

use super::{case::Case, due::Wanted};
use crate::{records::ResourceKey, runner::Shared};

/// The span of a look: a trace of its own, unless a request asked for it. It is linked to the run
/// that had solved the resource.
pub(super) fn open(shared: &Shared, key: &ResourceKey, case: &Case, wanted: Wanted) -> Span {
    let (run, asked) = (case.run.span(), wanted.span);
    tracing::info_span!(
        parent: None,
        "verify",
        otel.name = format!("verify {}", key.kind),
        fixpoint.trace_id = asked.map(|span| span.trace_id.to_string()),
        fixpoint.parent_id = asked.map(|span| span.span_id.to_string()),
        fixpoint.link = run.map(|span| format!("{}-{}", span.trace_id, span.span_id)),
        fixpoint.resource = %key,
        fixpoint.tenant = key.tenant(),
        fixpoint.generation = case.resource.record.generation,
        fixpoint.server = shared.tenure.server,
        fixpoint.verify.result = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Ends the span with what was found; the result in a word.
pub(super) fn close(
    span: &Span,
    key: &ResourceKey,
    shown: &Verification,
    mended_by: Option<&str>,
) -> &'static str {
    let result = match (&shown.error, &shown.drift) {
        (Some(error), _) => {
            span.record("error.type", "not_verified");
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.as_str());
            span.in_scope(|| tracing::warn!("{key} could not be verified: {error}"));
            "failed"
        }
        (None, None) => {
            span.in_scope(|| tracing::info!("{key} is as wanted"));
            "as_wanted"
        }
        (None, Some(drift)) => {
            let steps: Vec<_> = drift.steps.iter().map(|step| &*step.name).collect();
            span.in_scope(|| {
                tracing::warn!("{key} has drifted; what would mend it: {}", steps.join(", "));
                if let Some(run) = mended_by {
                    tracing::info!("run {run} mends it");
                }
                if let Some(held) = &drift.held {
                    tracing::warn!("it is not mended: {held}");
                }
            });
            "drifted"
        }
    };
    span.record("fixpoint.verify.result", result);
    result
}
