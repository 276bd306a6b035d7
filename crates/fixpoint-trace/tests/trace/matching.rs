//! What each condition of a query asks of a trace.
//!
//! The traces are written as short as their queries; each case says whether it is found.

use std::sync::Arc;

use fixpoint_trace::{
    model::{
        Kind, Level, LogRecord, Resource, Scope, Span, SpanContext, SpanId, Status, Trace, TraceId,
        Value,
    },
    query::Query,
};

const SECOND: u64 = 1_000_000_000;

/// Spans by name and start, each of which takes a second; the first is the root.
fn calls(calls: &[(&str, u64)]) -> Trace {
    let trace_id = TraceId::random();
    let mut spans: Vec<Span> = Vec::new();
    for (name, start) in calls {
        let context = SpanContext { trace_id, span_id: SpanId::random() };
        let mut span = Span::new(context, *name, start * SECOND);
        span.end = Some((start + 1) * SECOND);
        span.parent = spans.first().map(|root| root.span_id);
        spans.push(span);
    }
    let mut trace = Trace { spans, ..Trace::default() };
    trace.sort();
    trace
}

/// A trace of one span that has a bit of everything.
fn one() -> Trace {
    let mut trace = calls(&[("ELBv2.RegisterTargets", 5)]);
    let span = &mut trace.spans[0];
    span.kind = Kind::Client;
    span.status = Status::Error("target group is gone".into());
    span.scope = Arc::new(Scope {
        attributes: [("team".to_owned(), "edge".into())].into_iter().collect(),
        ..Scope::named("fixpoint_aws")
    });
    let resource = [("service.name", "clusters"), ("region", "of the resource")];
    let resource = resource.map(|(name, value)| (name.to_owned(), value.into()));
    span.resource = Arc::new(resource.into_iter().collect::<Resource>());
    for (name, value) in [
        ("region", Value::from("eu-west-1")),
        ("http.response.status_code", 503.into()),
        ("code.text", "503".into()),
        ("ratio", Value::Double(0.5)),
        ("cached", true.into()),
        ("timeout", "10m".into()),
        ("waited", 600_000_000_000_i64.into()),
        ("targets", Value::Array(vec!["i-1".into(), "i-2".into()])),
        ("none", Value::Array(vec![])),
        ("account", "012345678901".into()),
        ("odd name", "x".into()),
    ] {
        span.attributes.insert(name.to_owned(), value);
    }
    trace
}

fn found(trace: &Trace, query: &str) -> bool {
    query.parse::<Query>().unwrap_or_else(|error| panic!("{query}: {error}")).matches(trace)
}

#[track_caller]
fn check(trace: &Trace, yes: &[&str], no: &[&str]) {
    for query in yes {
        assert!(found(trace, query), "{query} does not find it");
    }
    for query in no {
        assert!(!found(trace, query), "{query} finds it");
    }
}

#[test]
fn fields_of_a_span_are_compared_as_texts() {
    check(
        &one(),
        &[
            "",
            "ELBv2.RegisterTargets",
            "name = ELBv2.RegisterTargets",
            "name ~ registertargets",
            "name !~ Deregister",
            "name != x",
            "service = clusters",
            "service != api",
            "service exists",
            "scope = fixpoint_aws",
            "scope ~ AWS",
            "status.message ~ gone",
            "status.message != x",
            "root = ELBv2.RegisterTargets",
            "root ~ targets",
            "root !~ x",
        ],
        &[
            "name = elbv2.registertargets",
            "name !~ TARGETS",
            "name != ELBv2.RegisterTargets",
            "service = api",
            "service missing",
            "scope != fixpoint_aws",
            "status.message !~ gone",
            "status.message missing",
            "root != ELBv2.RegisterTargets",
            "root !~ targets",
        ],
    );
    let mut silent = one();
    silent.spans[0].status = Status::Unset;
    silent.spans[0].resource = Arc::default();
    check(
        &silent,
        &["status.message missing", "service missing", "service = \"\""],
        &["status.message != x", "status.message !~ x", "service != api", "service !~ api"],
    );
}

#[test]
fn kind_and_status_are_one_of_few_words() {
    let mut trace = one();
    check(
        &trace,
        &["kind = client", "kind != server", "error", "status = error", "status != open"],
        &["kind = server", "kind != client", "status = ok", "status != error", "status = open"],
    );
    trace.spans[0].status = Status::Ok;
    check(&trace, &["status = ok", "status != error"], &["error", "status = unset"]);
    trace.spans[0].status = Status::Unset;
    trace.spans[0].end = None;
    check(
        &trace,
        &["status = unset", "status = open", "open", "trace.open", "duration missing"],
        &["status != open", "trace.open = false", "duration exists", "duration < 1d"],
    );
}

#[test]
fn durations_are_compared_to_the_nanosecond() {
    let mut trace = one();
    trace.spans[0].end = trace.spans[0].end.map(|end| end + 1);
    check(
        &trace,
        &[
            "duration > 1s",
            "duration >= 1s1ns",
            "duration = 1s1ns",
            "duration <= 1s1ns",
            "duration != 1s",
            "duration < 2s",
            "duration exists",
            "trace.duration > 1s",
            "trace.duration = 1s1ns",
        ],
        &["duration > 1s1ns", "duration < 1s1ns", "duration = 1s", "trace.duration <= 1s"],
    );
}

#[test]
fn attributes_are_of_the_span_then_of_its_resource_then_of_its_scope() {
    check(
        &one(),
        &[
            "region = eu-west-1",
            "service.name = clusters",
            "team = edge",
            "region exists",
            "customer missing",
            "`odd name` = x",
            "\"odd name\" = x",
        ],
        &["region = \"of the resource\"", "region missing", "customer exists", "Region exists"],
    );
}

#[test]
fn an_attribute_is_compared_as_what_it_is_and_as_what_is_asked_for() {
    check(
        &one(),
        &[
            "http.response.status_code = 503",
            "http.response.status_code = \"503\"",
            "http.response.status_code >= 500 and http.response.status_code < 600",
            "http.response.status_code > \"99\"",
            "http.response.status_code ~ 50",
            "http.response.status_code != abc",
            "code.text = 503",
            "code.text > 99",
            "ratio < 0.75",
            "ratio = 0.5",
            "cached = true",
            "cached = \"true\"",
            "cached != false",
            "timeout = 10m",
            "timeout = 600s",
            "timeout < 1h",
            "timeout = \"10m\"",
            "waited = 10m",
            "account = 012345678901",
            "region != 5",
        ],
        &[
            "http.response.status_code = 504",
            "http.response.status_code > 503",
            "http.response.status_code != 503",
            "region > 5",
            "region = 5",
            "cached = false",
            "cached != true",
            "timeout = \"600s\"",
            "timeout > 10m",
            "region = 10m",
            "customer != x",
            "customer !~ x",
            "customer = \"\"",
        ],
    );
}

#[test]
fn a_list_equals_any_of_its_values_and_differs_from_those_that_it_has_not() {
    check(
        &one(),
        &["targets = i-1", "targets = i-2", "targets != i-3", "targets !~ x", "targets exists"],
        &["targets = i-3", "targets != i-1", "targets !~ i-", "none = x", "none missing"],
    );
}

#[test]
fn and_holds_for_one_and_the_same_span_and_has_for_another() {
    let mut trace = calls(&[("a", 0), ("b", 1)]);
    trace.spans[1].status = Status::Error(String::new());
    check(
        &trace,
        &[
            "b and error",
            "a and has(error)",
            "a and has(b)",
            "has(b and error)",
            "x or b",
            "a or x",
        ],
        &["a and error", "a and b", "has(a and error)", "x or a and error", "has(x)"],
    );
}

#[test]
fn a_trace_is_counted_as_a_whole() {
    let mut trace = calls(&[("a", 0), ("b", 1), ("c", 9)]);
    trace.spans[1].status = Status::Error(String::new());
    check(
        &trace,
        &[
            "trace.spans = 3",
            "trace.spans > 2 and trace.spans < 4",
            "trace.errors = 1",
            "trace.errors != 0",
            "trace.duration = 10s",
            "root = a",
            "trace.open = false",
        ],
        &["trace.spans > 3", "trace.errors = 0", "trace.duration < 10s", "root = b", "trace.open"],
    );
    trace.spans[0].end = None;
    check(&trace, &["open", "trace.open"], &["trace.duration > 0s", "trace.duration < 1d"]);
}

#[test]
fn a_trace_without_spans_is_found_by_its_logs_and_by_what_it_lacks() {
    let logs = vec![LogRecord::new(1, Level::Info, "Registered 3 targets")];
    let trace = Trace { logs, ..Trace::default() };
    check(
        &trace,
        &["log ~ \"registered 3\"", "log !~ timeout", "missing(x)", "trace.spans = 0", ""],
        &["log ~ timeout", "log !~ REGISTERED", "x", "has(x)", "root != x", "missing(x) after y"],
    );
    check(&calls(&[("a", 0)]), &["log !~ registered"], &["log ~ registered"]);
}

#[test]
fn missing_after_looks_at_the_order_of_calls() {
    let register_after_describe = "missing(register) after describe";
    for (order, is_found, why) in [
        (&[("run", 0), ("describe", 1)][..], true, "it never came"),
        (&[("run", 0), ("describe", 1), ("register", 2)], false, "it came after"),
        (&[("run", 0), ("register", 1), ("describe", 2)], true, "it came before only"),
        (&[("run", 0), ("describe", 1), ("register", 1)], false, "it came at the same moment"),
        (
            &[("run", 0), ("describe", 1), ("register", 2), ("describe", 3)],
            false,
            "it came after the first, and only the first counts",
        ),
        (
            &[("run", 0), ("register", 1), ("describe", 2), ("register", 3)],
            false,
            "it came before and after",
        ),
        (&[("run", 0), ("register", 1)], false, "nothing that it should come after"),
        (&[("run", 0)], false, "neither of the two"),
    ] {
        assert_eq!(found(&calls(order), register_after_describe), is_found, "{why}");
    }
}

#[test]
fn missing_after_itself_means_that_it_was_not_called_again() {
    let once = "missing(describe) after describe";
    check(&calls(&[("run", 0), ("describe", 1)]), &[once], &[]);
    check(&calls(&[("run", 0), ("describe", 1), ("describe", 2)]), &[], &[once]);
    check(&calls(&[("run", 0), ("describe", 1), ("describe", 1)]), &[], &[once]);
}

#[test]
fn missing_after_takes_whole_filters_on_both_sides() {
    let mut trace = calls(&[("run", 0), ("describe", 1), ("register", 2), ("describe", 3)]);
    trace.spans[2].status = Status::Error("refused".into());
    check(
        &trace,
        &[
            "missing(name = register and status != error)",
            "missing(name = register and status != error) after describe",
            "missing(register) after (name = describe and region missing and duration < 1s) \
             or missing(register) after (name = register and error)",
        ],
        &[
            "missing(register)",
            "missing(register) after run",
            "missing(error) after describe",
            "missing(register) after (name = describe and error)",
        ],
    );
}
