//! What the time is within a trace.
//!
//! Not here: the time of what others send. The surprise: the wall's clock is asked once, when the
//! first span of a trace opens in this process; from then on as much later as has passed since. So
//! a clock that is set while spans are open makes none of them end before it began, or last a day.

use std::time::Instant;

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::model::{self, SpanContext, UnixNanos};

/// Goes on from when it was started, whatever becomes of the wall's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    wall: UnixNanos,
    since: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { wall: model::now(), since: Instant::now() }
    }

    pub(super) fn now(self) -> UnixNanos {
        let passed = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.wall.saturating_add(passed)
    }

    /// That of the span, or of the nearest ancestor that is recorded.
    pub(super) fn nearest<'a, S: LookupSpan<'a>>(span: SpanRef<'a, S>) -> Option<Self> {
        let recorded = |span: &SpanRef<'a, S>| span.extensions().get::<SpanContext>().is_some();
        span.scope().find(recorded)?.extensions().get().copied()
    }
}
