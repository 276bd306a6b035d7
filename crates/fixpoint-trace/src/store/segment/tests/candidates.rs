//! What the index says of a query against a look at every trace.

use proptest::option;

use super::*;
use crate::{
    model::{Attributes, Level, Scope, Status, Value},
    query::{Alternative, Condition, Field, Literal, Op, Query, TraceCondition},
};

/// Few texts, so that queries match; among them such as are numbers, or look like parts of a term.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "b",
    "a\0b",
    "b\0A",
    "5",
    "5.0",
    " 5",
    "+5",
    "0",
    "-0.0",
    "5.5",
    "true",
    "error",
    "open",
    "{\"a\":5}",
    "[5]",
    "MTIz",
    "1234",
    "9007199254740993",
    "1e15",
    "inf",
    "NaN",
];
const NAMES: &[&str] = &["a", "b", "a\0b", "fixpoint.request", "fixpoint.resource"];
const SAID: &[&str] = &[
    "",
    "target group gone",
    "Target",
    "group",
    "ΟΔΟΣ",
    "οδος",
    "İstanbul is",
    "i",
    "x-1",
    "get go",
];

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    (0..texts.len()).prop_map(|n| texts[n].to_owned())
}

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        4 => one_of(TEXTS).prop_map(Value::String),
        1 => Just(Value::Empty),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => (-1i64..7).prop_map(Value::Int),
        1 => Just(Value::Int(9_007_199_254_740_993)),
        1 => prop_oneof![Just(5.0), Just(-0.0), Just(5.5), Just(1e15), Just(f64::NAN)]
            .prop_map(Value::Double),
        // Its text is 1234.
        1 => Just(Value::Bytes(vec![0xd7, 0x6d, 0xf8])),
        1 => Just(Value::String("z".repeat(200))),
    ];
    plain.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((one_of(NAMES), inner), 0..3).prop_map(|it| Value::Map(it.into_iter().collect())),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec((one_of(NAMES), value()), 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

/// Attributes of one name, so that a span's, its resource's and its scope's get in each other's way.
fn alike() -> impl Strategy<Value = Attributes> {
    let plain = prop_oneof![
        one_of(&["a", "A", "5", "5.0", "1234", "true"]).prop_map(Value::String),
        prop_oneof![Just(5.0), Just(-0.0), Just(5.5)].prop_map(Value::Double),
        prop_oneof![Just(0), Just(5)].prop_map(Value::Int),
        prop_oneof![
            Just(Value::Bool(true)),
            Just(Value::Empty),
            Just(Value::Bytes(vec![0xd7, 0x6d, 0xf8])),
            Just(Value::String("z".repeat(200))),
        ],
    ];
    let value = prop_oneof![3 => plain.clone(), 1 => vec(plain, 0..3).prop_map(Value::Array)];
    option::of(value).prop_map(|value| value.map(|it| ("k".to_owned(), it)).into_iter().collect())
}

prop_compose! {
    fn span(id: TraceId, of: BoxedStrategy<Attributes>)(
        (name, service) in (one_of(&["a", "b", "a\0b"]), one_of(&["a", "b", "b\0a", ""])),
        (span_id, parent) in (any::span_id(), option::of(any::span_id())),
        (start, length) in (1u64..50, option::of(0u64..20)),
        status in prop_oneof![
            Just(Status::Unset), Just(Status::Ok), Just(Status::Error("a".into()))
        ],
        (attributes, mut resource, of_scope) in (of.clone(), of.clone(), of),
        kind in any::kind(),
    ) -> Span {
        resource.insert("service.name".into(), service.into());
        let scope = Scope { attributes: of_scope, ..Scope::named("a") };
        Span {
            parent,
            kind,
            end: length.map(|length| start + length),
            status,
            attributes,
            resource: resource.into(),
            scope: scope.into(),
            ..Span::new(SpanContext { trace_id: id, span_id }, name, start)
        }
    }
}

fn trace(of: BoxedStrategy<Attributes>) -> impl Strategy<Value = Trace> {
    any::trace_id().prop_flat_map(move |id| {
        let line = move |(time, text)| LogRecord {
            trace_id: Some(id),
            ..LogRecord::new(time, Level::Info, text)
        };
        let logs = vec((1u64..50, one_of(SAID)).prop_map(line), 0..3);
        (vec(span(id, of.clone()), 1..4), logs).prop_map(|(spans, logs)| {
            let mut trace = Trace { spans, logs, partial: None };
            trace.sort();
            trace
        })
    })
}

fn op(ops: &'static [Op]) -> impl Strategy<Value = Op> {
    (0..ops.len()).prop_map(|n| ops[n])
}

const ALL: &[Op] = &[
    Op::Equal,
    Op::Equal,
    Op::Equal,
    Op::NotEqual,
    Op::Less,
    Op::AtMost,
    Op::More,
    Op::AtLeast,
    Op::Contains,
    Op::Lacks,
    Op::Exists,
    Op::Absent,
];

fn condition() -> impl Strategy<Value = Condition> {
    let field = prop_oneof![
        Just(Field::Service),
        Just(Field::Name),
        Just(Field::Status),
        Just(Field::Duration),
        Just(Field::Scope),
        one_of(NAMES).prop_map(Field::Attribute),
        one_of(NAMES).prop_map(Field::Attribute),
    ];
    let value = prop_oneof![
        3 => one_of(TEXTS).prop_map(Literal::Text),
        1 => prop_oneof![Just(5.0), Just(0.0), Just(5.5), Just(123.0), Just(1234.0), Just(1e15)]
            .prop_map(Literal::Number),
        1 => (0u64..20).prop_map(Literal::Duration),
        1 => any::<bool>().prop_map(Literal::Bool),
    ];
    let any = (field, op(ALL), value).prop_map(|(field, op, value)| Condition { field, op, value });
    let slow = (op(&[Op::More, Op::AtLeast]), 0u64..20).prop_map(|(op, nanos)| Condition {
        field: Field::Duration,
        op,
        value: Literal::Duration(nanos),
    });
    prop_oneof![5 => any, 1 => slow]
}

/// Conditions; often those of an operation, which have a term of their own.
fn filter() -> impl Strategy<Value = Vec<Condition>> {
    let operation = (one_of(&["a", "b"]), one_of(&["a", "b", "a\0b"]), vec(condition(), 0..2))
        .prop_map(|(service, name, mut more)| {
            more.push(Condition::equal(Field::Service, service));
            more.push(Condition::equal(Field::Name, name));
            more
        });
    prop_oneof![vec(condition(), 0..3), operation]
}

fn trace_condition() -> impl Strategy<Value = TraceCondition> {
    prop_oneof![
        (op(&[Op::Equal, Op::Contains]), one_of(&["a", "b"]))
            .prop_map(|(op, name)| TraceCondition::Root(op, name)),
        (op(&[Op::More, Op::AtLeast]), 0u64..2)
            .prop_map(|(op, count)| TraceCondition::Errors(op, count)),
        any::<bool>().prop_map(TraceCondition::Open),
        (op(&[Op::Contains, Op::Lacks]), one_of(SAID))
            .prop_map(|(op, text)| TraceCondition::Log(op, text)),
        (op(&[Op::Contains]), "[a-zοσ ]{1,4}").prop_map(|(op, it)| TraceCondition::Log(op, it)),
        filter().prop_map(TraceCondition::Has),
        (filter(), option::of(filter()))
            .prop_map(|(what, after)| TraceCondition::Missing { what, after }),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let alternative = (filter(), vec(trace_condition(), 0..2))
        .prop_map(|(span, trace)| Alternative { span, trace });
    vec(alternative, 0..3).prop_map(|any| Query { any })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_trace_that_matches_is_left_out_and_none_is_sure_that_does_not(
        traces in vec(trace(attributes().boxed()), 1..6),
        queries in vec(query(), 40),
    ) {
        agrees(traces, &queries)?;
    }

    #[test]
    fn whose_an_attribute_is_and_of_what_type_misleads_no_search(
        traces in vec(trace(alike().boxed()), 1..4),
    ) {
        let texts = ["a", "A", "5", "5.0", "0", "-0.0", "1234", "true", "5.5", ""];
        let values = texts.map(|text| Literal::Text(text.to_owned())).into_iter();
        let values = values.chain([0.0, 5.0, 5.5, 1234.0].map(Literal::Number));
        let equal = |value| Condition { field: Field::Attribute("k".to_owned()), op: Op::Equal, value };
        let queries: Vec<Query> = values
            .chain([Literal::Bool(true)])
            .map(|value| Query::of_span(vec![equal(value)]))
            .collect();
        agrees(traces, &queries)?;
    }
}

/// Compares what the index says with a look at each trace.
fn agrees(mut traces: Vec<Trace>, queries: &[Query]) -> Result<(), TestCaseError> {
    // Of a term that occurs in one trace only, nothing is sure.
    traces.extend(traces.clone().into_iter().map(again));
    for written in write_both(traces, Vec::new()) {
        for query in queries {
            let found = written.segment.candidates(query).unwrap();
            let found: Vec<(u32, bool)> = (0..found.len()).filter_map(|n| found.get(n)).collect();
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{:?}", found);
            for (ordinal, trace) in (0..).zip(&written.traces) {
                let sure = found.iter().find(|it| it.0 == ordinal).map(|it| it.1);
                let matches = query.matches(trace);
                prop_assert!(!matches || sure.is_some(), "left out: {:?} {:?}", query, trace);
                prop_assert!(matches || sure != Some(true), "not so: {:?} {:?}", query, trace);
            }
        }
    }
    Ok(())
}

/// The same trace by another id.
fn again(mut trace: Trace) -> Trace {
    let id = TraceId::random();
    trace.spans.iter_mut().for_each(|span| span.trace_id = id);
    trace.logs.iter_mut().for_each(|log| log.trace_id = Some(id));
    trace
}

/// A trace of one span, with one attribute.
fn with(name: &str, value: impl Into<Value>) -> Trace {
    let attributes = [(name.to_owned(), value.into())];
    let span = Span { attributes: attributes.into(), ..named(TraceId::random(), "call", 1) };
    Trace { spans: vec![span], ..Trace::default() }
}

#[test]
fn the_index_alone_finds_what_is_asked_for_most() {
    let mut traces: Vec<Trace> = (0..50).map(|n| with("customer", format!("c-{n}"))).collect();
    traces.push(with("http.response.status_code", 503));
    traces.extend((0..5).map(|_| with("http.response.status_code", 200)));
    let mut failed = with("customer", "c-7");
    failed.spans[0].status = Status::Error("gone".into());
    failed.spans[0].end = Some(1 << 40);
    failed.logs = vec![LogRecord {
        trace_id: Some(id(&failed)),
        ..LogRecord::new(1, Level::Error, "target group tg-1 is gone")
    }];
    traces.push(failed);
    let written = write(traces, Vec::new());
    let count = |query: &str| match written.segment.candidates(&query.parse().unwrap()).unwrap() {
        Candidates::All(_) => None,
        Candidates::Some(found) => Some(found.len()),
    };
    assert_eq!(count("customer = c-7"), Some(2));
    assert_eq!(count("http.response.status_code = 503"), Some(1));
    assert_eq!(count("http.response.status_code = 200"), Some(5));
    assert_eq!(count("http.response.status_code = 404"), Some(0));
    assert_eq!(count("error"), Some(1));
    assert_eq!(count("log ~ \"target group\""), Some(1));
    assert_eq!(count("log ~ \"roup tg\""), Some(1));
    assert_eq!(count("root = call"), Some(57));
    assert_eq!(count("service = \"\" and name = call and duration > 1m"), Some(1));
    assert_eq!(count("customer ~ c-7"), None);
}
