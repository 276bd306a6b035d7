//! Two traces compared: the cases in which other comparisons mislead, each with the whole answer.

mod cases;
mod ids;
mod like_siblings;
mod properties;
mod repeats;
mod told;

use std::sync::Arc;

use fixpoint_trace::{
    compare::diff::{Comparison, Difference, Kind, diff},
    model::{
        self, Attributes, Event, Level, LogRecord, Resource, Span, SpanContext, SpanId, Status,
        Trace, TraceId, Value,
    },
    semconv,
};

/// A span to be, with those below it.
#[derive(Debug, Clone, PartialEq)]
struct Act {
    name: String,
    kind: model::Kind,
    service: &'static str,
    /// Milliseconds beside those of its children.
    own: u64,
    error: Option<String>,
    attributes: Vec<(String, Value)>,
    events: Vec<(String, Vec<(String, Value)>)>,
    logs: Vec<String>,
    below: Vec<Act>,
    /// Its children start at once instead of in turn.
    at_once: bool,
}

fn act(name: impl Into<String>) -> Act {
    Act {
        name: name.into(),
        kind: model::Kind::Internal,
        service: "clusters",
        own: 20,
        error: None,
        attributes: Vec::new(),
        events: Vec::new(),
        logs: Vec::new(),
        below: Vec::new(),
        at_once: false,
    }
}

/// A step of ours.
fn step(name: &str, below: impl IntoIterator<Item = Act>) -> Act {
    act(name).over(below)
}

/// A call of AWS: `EC2.CreateVpc`.
fn aws(name: &str) -> Act {
    let mut call = act(name);
    call.kind = model::Kind::Client;
    call
}

/// A call of AWS as two libraries in a row record it.
fn wrapped(name: &str) -> Act {
    aws(name).over([aws("POST").with("http.response.status_code", 200_i64)])
}

impl Act {
    fn over(mut self, below: impl IntoIterator<Item = Act>) -> Self {
        self.below.extend(below);
        self
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    fn asks(self, request: &str) -> Self {
        self.with(semconv::REQUEST, request)
    }

    fn gets(self, response: &str) -> Self {
        self.with(semconv::RESPONSE, response)
    }

    fn fails(mut self, why: &str) -> Self {
        self.error = Some(why.to_owned());
        self
    }

    fn says(mut self, line: &str) -> Self {
        self.logs.push(line.to_owned());
        self
    }

    fn event(mut self, name: &str, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter().map(|&(key, value)| (key.to_owned(), value.into()));
        self.events.push((name.to_owned(), attributes.collect()));
        self
    }

    fn takes(mut self, ms: u64) -> Self {
        self.own = ms;
        self
    }

    fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// The trace of it. Another number gives other ids and another time.
    fn trace(&self, number: u8) -> Trace {
        let mut trace = Trace::default();
        let mut time = 1_780_000_000_000_000_000 + u64::from(number) * 3_600_000_000_000;
        self.play(number, None, &mut time, &mut trace);
        trace.sort();
        trace
    }

    fn play(&self, number: u8, parent: Option<SpanId>, time: &mut u64, trace: &mut Trace) {
        let trace_id = TraceId::from_bytes([number + 1; 16]).unwrap();
        let place = trace.spans.len();
        let id = (u64::from(number) + 1) << 32 | (place as u64 + 1);
        let span_id = SpanId::from_bytes(id.to_be_bytes()).unwrap();
        let start = *time;
        let resource =
            Resource::from_iter([(semconv::SERVICE_NAME.to_owned(), self.service.into())]);
        let status = self.error.clone().map_or(Status::Unset, Status::Error);
        let event = |(name, attributes): &(String, Vec<(String, Value)>)| Event {
            time: start,
            name: name.clone(),
            attributes: attributes.iter().cloned().collect::<Attributes>(),
            dropped_attributes: 0,
        };
        trace.spans.push(Span {
            parent,
            kind: self.kind,
            status,
            attributes: self.attributes.iter().cloned().collect(),
            events: self.events.iter().map(event).collect(),
            resource: Arc::new(resource),
            ..Span::new(SpanContext { trace_id, span_id }, self.name.clone(), start)
        });
        for line in &self.logs {
            let mut log = LogRecord::new(start, Level::Info, line.clone());
            (log.trace_id, log.span_id) = (Some(trace_id), Some(span_id));
            trace.logs.push(log);
        }
        *time += self.own * 500_000;
        let mut last = *time;
        for child in &self.below {
            child.play(number, Some(span_id), time, trace);
            last = last.max(*time);
            if self.at_once {
                *time = trace.spans[place].start + self.own * 500_000;
            }
        }
        *time = last + self.own * 500_000;
        trace.spans[place].end = Some(*time);
    }
}

/// Compares the traces of two acts, of which the second happened later.
fn compared(a: &Act, b: &Act) -> Comparison {
    diff(&a.trace(0), &b.trace(1))
}

/// Each difference in a line.
fn told(comparison: &Comparison) -> Vec<String> {
    comparison.differences.iter().map(line).collect()
}

fn line(difference: &Difference) -> String {
    let Difference { kind, name, path, spans, times, changes, .. } = difference;
    let kind = format!("{kind:?}").to_lowercase();
    let mut line =
        format!("{kind} {}", path.iter().chain([name]).cloned().collect::<Vec<_>>().join(" > "));
    if *spans > 1 {
        line.push_str(&format!(" ({spans} spans)"));
    }
    if difference.wrapper {
        line.push_str(" (only itself)");
    }
    if difference.follows {
        line.push_str(" (follows)");
    }
    if let Some(times) = times {
        line.push_str(&format!(" {} → {}", times.a, times.b));
    }
    for change in changes {
        let value = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        let part = format!("{:?}", change.part).to_lowercase();
        line.push_str(&format!(
            ", {part} {}: {} → {}",
            change.path,
            value(&change.a),
            value(&change.b)
        ));
    }
    line
}

/// The names of the spans on either side of a difference's place in the trace that lacks it.
fn stands(difference: &Difference, trace: &Trace) -> [String; 2] {
    let place = if difference.kind == Kind::Missing { difference.b } else { difference.a };
    assert_eq!(place.span, None, "it is not there");
    [place.parent, place.after].map(|id| {
        let span = trace.spans.iter().find(|span| Some(span.span_id) == id);
        span.map_or(String::new(), |span| span.name.clone())
    })
}
