//! Records every span and event of `tracing`: [`RecordLayer`] for the store, [`JsonLines`] for
//! stdout, and [`current`] to ask which span one is in.
//!
//! Not here: what becomes of a record (`record/`). The surprise: the chatter of HTTP and SDK
//! crates is turned off for the whole process as soon as one of the two layers is installed,
//! whatever `RUST_LOG` says, because at its finer levels it prints bodies and credentials.

mod clock;
mod fields;
mod lines;
mod noise;
mod owner;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    span::{Attributes, Id},
    subscriber::Interest,
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::{LookupSpan, SpanRef},
};

pub use self::lines::JsonLines;
use self::{clock::Clock, fields::Fields, noise::is_noise, owner::Owner};
use crate::{
    model::{self, Resource, SpanContext, SpanId, TraceId},
    record::{Line, Message, Opening, Recorder},
    semconv,
};

/// Sends spans and events to a [`Recorder`]: a span when it opens, when something is recorded on
/// it, and when it closes; an event when it happens.
///
/// Fields named in [`semconv::special`] steer how a span is recorded.
/// Otherwise a span belongs to the trace of its parent, and one without a parent starts a trace.
/// What is recorded below a span of a tenant ([`semconv::TENANT`]) is that tenant's as well, unless
/// it says otherwise; an empty text says that it is nobody's.
/// As always with `tracing`, a span closes when the last handle to it and its last child have gone.
pub struct RecordLayer {
    recorder: Recorder,
    resource: Arc<Resource>,
    find: OnceLock<Find>,
}

/// Finds the context of a span in the subscriber that the layer was put on, whose type only the
/// layer has seen.
type Find = fn(&Dispatch, &Id) -> Option<SpanContext>;

impl RecordLayer {
    /// A layer that says of every span that `resource` produced it, and that it was recorded here.
    pub fn new(recorder: Recorder, mut resource: Resource) -> Self {
        resource.insert(semconv::TELEMETRY_SDK_NAME.to_owned(), semconv::OUR_SDK.into());
        Self { recorder, resource: Arc::new(resource), find: OnceLock::new() }
    }
}

impl fmt::Debug for RecordLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordLayer").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// The context of the span that this code runs in, if it is recorded.
pub fn current() -> Option<SpanContext> {
    context(&tracing::Span::current())
}

/// The context of a span, if it is recorded.
pub fn context(span: &tracing::Span) -> Option<SpanContext> {
    span.with_subscriber(|(id, dispatch)| {
        let find = dispatch.downcast_ref::<RecordLayer>()?.find.get()?;
        find(dispatch, id)
    })?
}

fn find<S: Subscriber + for<'a> LookupSpan<'a>>(
    dispatch: &Dispatch,
    id: &Id,
) -> Option<SpanContext> {
    nearest(dispatch.downcast_ref::<S>()?.span(id)?)
}

/// The context of the span, or of the nearest ancestor that is recorded.
fn nearest<'a, S: LookupSpan<'a>>(span: SpanRef<'a, S>) -> Option<SpanContext> {
    let own = span.extensions().get::<SpanContext>().copied();
    own.or_else(|| span.scope().skip(1).find_map(|span| span.extensions().get().copied()))
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RecordLayer {
    fn on_layer(&mut self, _: &mut S) {
        // Set once: a layer is put on one subscriber.
        let _ = self.find.set(find::<S>);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_noise(metadata) { Interest::never() } else { Interest::always() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !is_noise(metadata)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id).filter(|span| !is_noise(span.metadata())) else { return };
        let (mut fields, ids) = Fields::of_span(attributes);
        let owner = Owner::said(&mut fields).or_else(|| span.parent().and_then(Owner::nearest));
        if let Some(owner) = &owner {
            fields.extend(owner.field());
        }
        let clock = span.parent().and_then(Clock::nearest).unwrap_or_else(Clock::start);
        let above = span.parent().and_then(nearest);
        let trace_id = ids.trace.or_else(|| Some(above?.trace_id)).unwrap_or_else(TraceId::random);
        let context = SpanContext { trace_id, span_id: ids.span.unwrap_or_else(SpanId::random) };
        let parent = ids.parent.or_else(|| {
            above.filter(|above| above.trace_id == trace_id).map(|above| above.span_id)
        });
        // A layer twice in one stack would record every span twice; the first one wins.
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<SpanContext>().is_some() {
            return;
        }
        extensions.insert(context);
        extensions.insert(clock);
        if let Some(owner) = owner {
            extensions.insert(owner);
        }
        drop(extensions);
        self.recorder.push(Message::Open(Opening {
            context,
            parent: parent.filter(|&parent| parent != context.span_id),
            reopens: ids.span.is_some(),
            name: span.metadata().name(),
            time: clock.now(),
            fields,
            resource: self.resource.clone(),
        }));
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, cx: Context<'_, S>) {
        if let Some(context) = own(&cx, id) {
            let mut fields = Fields::of_record(values);
            if let Some(owner) = Owner::said(&mut fields) {
                fields.extend(owner.field());
                if let Some(span) = cx.span(id) {
                    span.extensions_mut().replace(owner);
                }
            }
            self.recorder.push(Message::Set { context, fields });
        }
    }

    fn on_follows_from(&self, id: &Id, cause: &Id, cx: Context<'_, S>) {
        if let (Some(context), Some(to)) = (own(&cx, id), own(&cx, cause)) {
            self.recorder.push(Message::Link { context, to });
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let metadata = event.metadata();
        if is_noise(metadata) {
            return;
        }
        let (mut fields, message) = Fields::of_event(event);
        let owner = Owner::said(&mut fields).or_else(|| Owner::nearest(cx.event_span(event)?));
        fields.extend(owner.and_then(|owner| owner.field()));
        self.recorder.push(Message::Line(Box::new(Line {
            context: cx.event_span(event).and_then(nearest),
            time: cx.event_span(event).and_then(Clock::nearest).map_or_else(model::now, Clock::now),
            level: lines::level(*metadata.level()),
            target: metadata.target(),
            message,
            fields,
            resource: self.resource.clone(),
        })));
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        if let Some(context) = own(&cx, &id) {
            let time = cx.span(&id).and_then(Clock::nearest).map_or_else(model::now, Clock::now);
            self.recorder.push(Message::Close { context, time });
        }
    }
}

fn own<S: Subscriber + for<'a> LookupSpan<'a>>(
    cx: &Context<'_, S>,
    id: &Id,
) -> Option<SpanContext> {
    cx.span(id)?.extensions().get().copied()
}
