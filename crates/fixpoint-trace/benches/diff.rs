//! What comparing two traces costs: 10,000 and 100,000 spans each, steps with calls that carry
//! requests and answers of the size that AWS's have, ids in all of them.
//!
//! Between the two, one call in a thousand is missing, failed or answered differently, and the
//! resource has another name.

use std::{hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use fixpoint_trace::{
    compare::diff::diff,
    model::{Kind, Resource, Span, SpanContext, SpanId, Status, Trace, TraceId},
    semconv,
};

/// Calls of a step.
const CALLS: usize = 9;

fn trace(number: u8, spans: usize) -> Trace {
    let random = &mut fastrand::Rng::with_seed(u64::from(number));
    let name = ["idg", "umbrella"][usize::from(number) % 2];
    let resource = Resource::from_iter([
        (semconv::SERVICE_NAME.to_owned(), "clusters".into()),
        (semconv::TELEMETRY_SDK_NAME.to_owned(), semconv::OUR_SDK.into()),
    ]);
    let resource = Arc::new(resource);
    let trace_id = TraceId::from_bytes([number + 1; 16]).unwrap_or_else(TraceId::random);
    let mut time = 1_780_000_000_000_000_000 + u64::from(number) * 3_600_000_000_000;
    let mut trace = Trace::default();
    let open = |name: String, parent: Option<SpanId>, time: u64| {
        let span_id = SpanId::random();
        let mut span = Span::new(SpanContext { trace_id, span_id }, name, time);
        (span.parent, span.resource) = (parent, Arc::clone(&resource));
        span.end = Some(time + 20_000_000);
        span
    };
    let mut root = open("run clusters".into(), None, time);
    root.attributes.insert(semconv::RESOURCE.into(), format!("clusters/{name}").into());
    let top = root.span_id;
    trace.spans.push(root);
    for step in 0..spans / (CALLS + 1) {
        time += 1_000_000;
        let mut span = open(format!("step_{}", step % 40), Some(top), time);
        let key = format!("Step {{ cluster: \"{name}\", part: {step} }}");
        span.attributes.insert(semconv::STEP_KEY.into(), key.into());
        let above = span.span_id;
        trace.spans.push(span);
        for call in 0..CALLS {
            time += 1_000_000;
            let which = step * CALLS + call;
            // One in a thousand of the second trace is gone, failed or odd.
            let odd = number == 1 && which % 1_000 == 500;
            if odd && which.is_multiple_of(3) {
                continue;
            }
            let method = ["Describe", "Create", "Describe", "Tag"][call % 4];
            let mut span = open(format!("EC2.{method}"), Some(above), time);
            span.kind = Kind::Client;
            let id = format!("i-0{:016x}", random.u64(..) >> 4);
            let request = format!(
                r#"{{"Filters":[{{"Name":"tag:cluster","Values":["{name}"]}}],"Part":{which},"VpcId":"vpc-0{:016x}"}}"#,
                random.u64(..) >> 4
            );
            let state = if odd { "stopped" } else { "running" };
            let answer = format!(
                r#"{{"Reservations":[{{"Instances":[{{"InstanceId":"{id}","State":{{"Name":"{state}"}},"PrivateIpAddress":"10.0.1.{}"}}]}}]}}"#,
                random.u8(..)
            );
            for (key, value) in [
                ("rpc.system", "aws-api".to_owned()),
                ("rpc.method", method.to_owned()),
                ("cloud.region", "eu-west-1".to_owned()),
                (semconv::AWS_REQUEST_ID, format!("{:032x}", random.u128(..))),
                (semconv::REQUEST, request),
                (semconv::RESPONSE, answer),
            ] {
                span.attributes.insert(key.into(), value.into());
            }
            if odd && which % 3 == 1 {
                span.status = Status::Error("Unavailable".into());
            }
            trace.spans.push(span);
        }
    }
    trace
}

fn diffs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff");
    group.sample_size(20);
    for spans in [10_000, 100_000] {
        let (a, b) = (trace(0, spans), trace(1, spans));
        let told = diff(&a, &b).differences.len();
        assert!((spans / 2_000..spans / 500).contains(&told), "{told} differences");
        group.bench_function(format!("{spans} spans each"), |bench| {
            bench.iter(|| black_box(diff(&a, &b)));
        });
    }
    group.finish();
}

criterion_group!(benches, diffs);
criterion_main!(benches);
