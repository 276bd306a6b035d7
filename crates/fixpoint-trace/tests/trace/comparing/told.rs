//! Times, the two trees in one, and the answer as data.

use super::*;

#[test]
fn a_span_is_slow_by_its_own_time() {
    let run = |ms| {
        step(
            "run",
            [step("wait", [aws("EC2.RunInstances").takes(ms)]), step("rest", []).takes(500)],
        )
    };
    let answer = compared(&run(100), &run(260));
    assert_eq!(told(&answer), ["slower run > wait > EC2.RunInstances"]);
    assert_eq!(answer.counts.slower, 1);
    let times = answer.differences[0].own_time.unwrap();
    assert_eq!((times.a, times.b), (100_000_000, 260_000_000));
    assert_eq!(compared(&run(260), &run(100)).differences[0].kind, Kind::Faster);
}

#[test]
fn times_within_tolerance_are_not_told() {
    let run =
        |ms, rest| step("run", [aws("EC2.RunInstances").takes(ms), step("rest", []).takes(rest)]);
    assert!(compared(&run(100, 100), &run(199, 100)).is_same(), "not twice as long");
    assert!(compared(&run(1, 100), &run(5, 100)).is_same(), "only milliseconds");
    assert!(compared(&run(10, 9_000), &run(40, 9_000)).is_same(), "a small part of the trace");
}

#[test]
fn what_a_process_says_of_itself_is_told_once() {
    let version = |number, version: &str| {
        let mut trace = step("run", [step("a", []), step("b", [])]).trace(number);
        for span in &mut trace.spans {
            let mut resource = Resource::clone(&span.resource);
            resource.insert(semconv::SERVICE_VERSION.into(), version.into());
            resource.insert(semconv::SERVICE_INSTANCE_ID.into(), i64::from(number).into());
            span.resource = Arc::new(resource);
        }
        trace
    };
    assert_eq!(
        told(&diff(&version(0, "1.0"), &version(1, "1.1"))),
        ["changed run, resource service.version: \"1.0\" → \"1.1\""]
    );
}

#[test]
fn a_request_that_began_it_is_a_wrapper() {
    let run = || step("run clusters", [step("create_vpc", [aws("EC2.CreateVpc")])]);
    let mut request = act("PATCH /v1/clusters/{name}").over([run()]);
    request.kind = model::Kind::Server;
    assert_eq!(
        told(&compared(&request, &run())),
        ["missing PATCH /v1/clusters/{name} (only itself)"]
    );
    let mut other = act("POST /v1/clusters").over([run()]);
    other.kind = model::Kind::Server;
    assert_eq!(
        told(&compared(&request, &other)),
        ["changed POST /v1/clusters, name : \"PATCH /v1/clusters/{name}\" → \"POST /v1/clusters\""]
    );
}

#[test]
fn both_trees_stand_in_one() {
    let good = step("run", [step("a", [aws("x")]), step("b", [aws("y")]), step("c", [])]);
    let bad = step("run", [step("a", [aws("x"), aws("z")]), step("c", [])]);
    let answer = compared(&good, &bad);
    let (good, bad) = (good.trace(0), bad.trace(1));
    let name = |trace: &Trace, id| {
        let span = trace.spans.iter().find(|span| Some(span.span_id) == id);
        span.map_or_else(|| "-".to_owned(), |span| span.name.clone())
    };
    let rows: Vec<String> = answer
        .rows
        .iter()
        .map(|row| format!("{} {} {:?}", name(&good, row.a), name(&bad, row.b), row.parent))
        .collect();
    assert_eq!(
        rows,
        [
            "run run None",
            "a a Some(0)",
            "x x Some(1)",
            "- z Some(1)",
            "b - Some(0)",
            "y - Some(4)",
            "c c Some(0)",
        ]
    );
    assert_eq!(told(&answer), ["extra run > a > z", "missing run > b (2 spans)"]);
    assert_eq!(answer.differences[1].rows, [4]);
}

#[test]
fn an_empty_trace_lacks_everything() {
    let run = step("run", [step("a", [])]);
    let answer = diff(&run.trace(0), &Trace::default());
    assert_eq!(told(&answer), ["missing run (2 spans)"]);
    assert!(diff(&Trace::default(), &Trace::default()).is_same());
}

#[test]
fn a_run_that_goes_on_is_open() {
    let run = step("run", [step("a", [])]);
    let mut open = run.trace(1);
    open.spans.iter_mut().for_each(|span| span.end = None);
    let answer = diff(&run.trace(0), &open);
    assert_eq!(
        told(&answer),
        [
            "changed run (follows), status end: \"ended\" → \"open\"",
            "changed run > a, status end: \"ended\" → \"open\"",
        ]
    );
    assert_eq!(answer.b.open, 2);
}

#[test]
fn the_answer_is_plain_json() {
    let run = |call: &str| step("run", [aws(call)]);
    let json = serde_json::to_value(compared(&run("x"), &run("y"))).unwrap();
    assert_eq!(json["differences"][0]["kind"], "missing");
    assert_eq!(json["differences"][0]["b"]["span"], serde_json::Value::Null);
    assert_eq!(json["counts"]["extra"], 1);
}
