//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Not here: what is told. The surprise: every stream ends when the server stops, or the server
//! could not.

use std::{convert::Infallible, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Serialize;

/// Below the idle time-out of common proxies, which is a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers with a stream of events.
pub(super) fn stream<S>(events: S) -> Sse<impl Stream<Item = Result<Event, Infallible>>>
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// An event whose data is JSON.
pub(super) fn event(name: &str, data: &impl Serialize) -> Result<Event, Infallible> {
    // The types told of all serialise; an event without data would be dropped by clients.
    let event = Event::default().event(name);
    Ok(event.json_data(data).unwrap_or_else(|_| Event::default().event(name).data("null")))
}
