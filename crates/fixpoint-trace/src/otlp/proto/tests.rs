use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::{wire::Writer, *};
use crate::{
    model::{Attributes, Event, Level, Link, LogRecord, Span, SpanContext, SpanId, TraceId, Value},
    otlp::{
        encode_logs, encode_spans,
        view::{LogView, SpanView, Spare},
    },
    store::Signal,
};

/// Notes what it is shown.
#[derive(Default)]
struct Seen {
    places: Vec<Place>,
    names: Vec<String>,
    rejected: Vec<Invalid>,
}

impl Visitor for Seen {
    fn span(&mut self, place: &Place, span: &SpanView<'_>) {
        self.places.push(place.clone());
        self.names.push(span.name.to_owned());
    }

    fn log(&mut self, place: &Place, log: &LogView<'_>) {
        self.places.push(place.clone());
        self.names.push(log.severity_text.to_owned());
    }

    fn rejected(&mut self, why: Invalid) {
        self.rejected.push(why);
    }
}

fn span(name: &str) -> Span {
    Span::new(SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() }, name, 7)
}

fn of_service(name: &str, service: &str) -> Span {
    let resource = [("service.name".to_owned(), Value::from(service))];
    Span { resource: Arc::new(resource.into_iter().collect()), ..span(name) }
}

/// A request of one group with these messages as its spans.
fn request(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer::default();
    out.message(1, |out| {
        out.message(2, |out| messages.iter().for_each(|span| out.member_bytes(2, span)));
    });
    out.finish()
}

/// The `Span` message alone.
fn message(span: &Span) -> Vec<u8> {
    let request = encode_spans(&[span]);
    let mut seen = Seen::default();
    walk(Signal::Traces, &request, &mut seen).unwrap();
    request[seen.places[0].message.clone()].to_vec()
}

#[test]
fn a_walk_says_where_each_span_and_its_resource_and_scope_lie() {
    let mut spans = [of_service("a", "x"), of_service("b", "x"), of_service("c", "y")];
    spans[1].scope = Arc::new(crate::model::Scope::named("lib"));
    let request = encode_spans(&spans.iter().collect::<Vec<_>>());
    let mut seen = Seen::default();
    walk(Signal::Traces, &request, &mut seen).unwrap();
    assert_eq!(seen.names, ["a", "b", "c"]);
    for (span, place) in spans.iter().zip(&seen.places) {
        let mut spare = Spare::default();
        let view = SpanView::parse(&request[place.message.clone()], &mut spare).unwrap();
        let resource = Arc::new(resource(&request[place.resource.clone()]).unwrap());
        let scope = Arc::new(super::scope(&request[place.scope.clone()]).unwrap());
        assert_eq!(view.to_span(resource, scope).unwrap(), *span);
    }
}

#[test]
fn a_resource_behind_its_spans_is_theirs_all_the_same() {
    let mut out = Writer::default();
    out.message(1, |out| {
        out.message(2, |out| out.member_bytes(2, &message(&span("first"))));
        out.message(1, |out| {
            out.message(1, |out| out.bytes(1, b"key"));
        });
    });
    let decoded = crate::otlp::decode(Signal::Traces, &out.finish()).unwrap();
    let [crate::model::Record::Span(span)] = &decoded.records[..] else { panic!("{decoded:?}") };
    assert_eq!(span.resource["key"], Value::Empty);
}

#[test]
fn a_span_that_is_not_valid_costs_only_itself() {
    let good = message(&span("good"));
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let mut deep = Writer::default();
    nest(&mut deep, MAX_DEPTH + 1);
    let deep = deep.finish();
    for (bad, why) in [
        (changed(&|bad| bad[2..18].fill(0)), Invalid::Id("trace id")),
        (changed(&|bad| bad[20..28].fill(0)), Invalid::Id("span id")),
        (changed(&|bad| bad.extend([0x22, 1, 9])), Invalid::Id("parent span id")),
        (changed(&|bad| bad.extend([0x2a, 1, 0xff])), Invalid::Text),
        (changed(&|bad| bad.extend([0x2a, 9])), Invalid::Truncated),
        (changed(&|bad| bad.extend([0x0b])), Invalid::WireType(3)),
        (changed(&|bad| bad.extend([0x02, 0])), Invalid::FieldZero),
        (changed(&|bad| bad.extend([[0x30].as_slice(), &[0xff; 10]].concat())), Invalid::TooLong),
        // An event whose name is not a text.
        (changed(&|bad| bad.extend([0x5a, 3, 0x12, 1, 0xff])), Invalid::Text),
        (changed(&|bad| bad.extend(attribute(&deep))), Invalid::TooDeep),
    ] {
        let mut seen = Seen::default();
        walk(Signal::Traces, &request(&[bad, good.clone()]), &mut seen).unwrap();
        assert_eq!((seen.names, seen.rejected), (vec!["good".to_owned()], vec![why]));
    }
}

/// A span's field 9, a `KeyValue` with this value.
fn attribute(value: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.message(9, |out| out.member_bytes(2, value));
    out.finish()
}

/// A list of a list of a list …
fn nest(out: &mut Writer, depth: usize) {
    if depth > 0 {
        out.message(5, |out| out.message(1, |out| nest(out, depth - 1)));
    }
}

#[test]
fn values_are_taken_as_deep_as_json_can_say_them() {
    let mut deepest = Writer::default();
    nest(&mut deepest, MAX_DEPTH);
    let span = [message(&span("deep")), attribute(&deepest.finish())].concat();
    let decoded = crate::otlp::decode(Signal::Traces, &request(&[span])).unwrap();
    let [crate::model::Record::Span(span)] = &decoded.records[..] else { panic!("{decoded:?}") };
    let trace = crate::model::Trace { spans: vec![span.clone()], ..Default::default() };
    let json = crate::otlp::to_json(&trace).to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
}

#[test]
fn spans_of_an_unreadable_resource_are_left_out_with_its_reason() {
    let mut out = Writer::default();
    for resource in [[0x0a, 3, 0x0a, 1, 0xff].as_slice(), &[]] {
        out.message(1, |out| {
            out.member_bytes(1, resource);
            out.message(2, |out| out.member_bytes(2, &message(&span("kept"))));
        });
    }
    let decoded = crate::otlp::decode(Signal::Traces, &out.finish()).unwrap();
    let accepted = decoded.accepted;
    assert_eq!((accepted.accepted, accepted.rejected, decoded.records.len()), (1, 1, 1));
    assert_eq!(accepted.message, "a text is not UTF-8");
}

#[test]
fn a_link_to_no_possible_span_is_counted_as_dropped() {
    let mut sound = span("linked");
    sound.links = vec![Link::from(span("cause").context())];
    sound.dropped.links = 2;
    let mut bytes = message(&sound);
    bytes.extend([0x6a, 2, 0x0a, 0]);
    let mut spare = Spare::default();
    let view = SpanView::parse(&bytes, &mut spare).unwrap();
    assert_eq!(view.dropped.links, 3);
    assert_eq!([link(view.links[0]).unwrap()], sound.links[..]);
}

#[test]
fn a_line_that_says_only_when_it_was_collected_was_written_then() {
    let line = LogRecord { observed: 9, ..LogRecord::new(0, Level::Info, "late") };
    let decoded = crate::otlp::decode(Signal::Logs, &encode_logs(&[&line])).unwrap();
    let [crate::model::Record::Log(log)] = &decoded.records[..] else { panic!("{decoded:?}") };
    assert_eq!((log.time, log.observed), (9, 9));
}

#[test]
fn an_id_that_is_not_valid_parts_a_line_from_its_trace() {
    let line = LogRecord::new(3, Level::Warn, "alone");
    let request_of_line = encode_logs(&[&line]);
    let mut seen = Seen::default();
    walk(Signal::Logs, &request_of_line, &mut seen).unwrap();
    let sound = &request_of_line[seen.places[0].message.clone()];
    let message = [sound, &[0x4a, 2, 1, 1], &[0x52, 1, 1]].concat();
    let decoded = crate::otlp::decode(Signal::Logs, &request(&[message])).unwrap();
    assert_eq!(decoded.records, [crate::model::Record::Log(line)]);
}

#[test]
fn views_use_the_memory_of_those_before() {
    let attributes: Attributes = (0..9).map(|i| (format!("k{i}"), Value::Int(i))).collect();
    let events = vec![Event::default(); 3];
    let message = message(&Span { attributes, events, ..span("listed") });
    let mut spare = Spare::default();
    let view = SpanView::parse(&message, &mut spare).unwrap();
    let (attributes, events) = (view.attributes.as_ptr().addr(), view.events.as_ptr().addr());
    view.recycle(&mut spare);
    let again = SpanView::parse(&message, &mut spare).unwrap();
    assert_eq!(again.attributes.as_ptr().addr(), attributes);
    assert_eq!(again.events.as_ptr().addr(), events);
}

proptest! {
    #[test]
    fn a_walk_over_any_bytes_ends_within_them(bytes in vec(any::<u8>(), 0..200)) {
        for signal in [Signal::Traces, Signal::Logs] {
            let mut seen = Seen::default();
            let _ = walk(signal, &bytes, &mut seen);
            for place in seen.places {
                for part in [place.message, place.resource, place.scope] {
                    prop_assert!(bytes.get(part).is_some());
                }
            }
        }
    }

    #[test]
    fn what_a_walk_shows_can_be_owned(place in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut nested = of_service("n", "s");
        let list = Value::Array(vec![Value::from("x"), Value::Map(nested.resource.as_ref().clone())]);
        nested.attributes.insert("list".into(), list);
        nested.events.push(Event { attributes: nested.attributes.clone(), ..Event::default() });
        nested.links.push(Link { attributes: nested.attributes.clone(), ..nested.context().into() });
        let mut bytes = encode_spans(&[&nested]);
        let at = place.index(bytes.len());
        bytes[at] = to;
        let mut seen = Seen::default();
        if walk(Signal::Traces, &bytes, &mut seen).is_ok() {
            for place in seen.places {
                let mut spare = Spare::default();
                let view = SpanView::parse(&bytes[place.message], &mut spare).unwrap();
                let resource = Arc::new(resource(&bytes[place.resource]).unwrap());
                let scope = Arc::new(scope(&bytes[place.scope]).unwrap());
                prop_assert!(view.to_span(resource, scope).is_ok());
            }
        }
    }
}
