//! Which services call which: what Zipkin and Jaeger call dependencies.
//!
//! Not here: how they write it. The surprise: it is counted from the newest traces of the time
//! asked for, at most 500, when somebody asks. No job counts all of them in the background.

use std::collections::{BTreeMap, HashMap};

use fixpoint_trace::{
    model::{Trace, UnixNanos},
    store::TraceQuery,
};

use super::{MAX_TRACES, Problem, View};

/// How often a service called another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) count: u64,
    /// How many of them failed, as the callee saw it.
    pub(super) errors: u64,
}

/// Calls by caller and callee.
pub(super) type ByPair = BTreeMap<(String, String), Calls>;

/// Who called whom in traces that started in a while.
pub(super) async fn between(
    app: &View,
    since: UnixNanos,
    until: UnixNanos,
) -> Result<ByPair, Problem> {
    let query = TraceQuery {
        since: Some(since),
        until: Some(until),
        limit: MAX_TRACES,
        ..TraceQuery::default()
    };
    let mut calls = ByPair::new();
    for trace in super::traces(app, query).await? {
        count(&trace, &mut calls);
    }
    Ok(calls)
}

/// A span of one service whose parent is another's is a call.
fn count(trace: &Trace, calls: &mut ByPair) {
    let services: HashMap<_, _> =
        trace.spans.iter().map(|span| (span.span_id, span.service())).collect();
    for span in &trace.spans {
        let caller = span.parent.and_then(|parent| services.get(&parent));
        let Some(caller) = caller.filter(|caller| **caller != span.service()) else { continue };
        let pair = ((*caller).to_owned(), span.service().to_owned());
        let calls = calls.entry(pair).or_default();
        calls.count += 1;
        calls.errors += u64::from(span.failed());
    }
}
