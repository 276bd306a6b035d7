//! What learning from good traces costs, in memory and from a store, and what holding one against
//! them does.
//!
//! Traces as a creation has them: 331 spans, steps with nine calls each, requests and answers of
//! AWS's size with ids in them, some of which vary; and log lines. A profile of 10,000 of them is
//! built from 500 different ones; these lie in the store as well, sealed. Building a profile takes as
//! long for each span however many there are, so 10 million take that many times as long.

use std::{error::Error, hint::black_box, path::Path, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fixpoint_trace::{
    compare::{
        explain::{Limits, explain},
        profile::Profile,
    },
    model::{
        Kind, Level, LogRecord, Record, Resource, Span, SpanContext, SpanId, Status, Trace, TraceId,
    },
    semconv,
    store::{
        StoreError, TraceQuery, TraceStore,
        engine::{Engine, Options},
    },
};

const STEPS: usize = 33;
const CALLS: usize = 9;
/// So many traces are different; they are counted again and again.
const DIFFERENT: u64 = 500;
const GOOD: u64 = 10_000;

fn trace(number: u64, resource: &Arc<Resource>) -> Trace {
    let random = &mut fastrand::Rng::with_seed(number);
    let trace_id = TraceId::from_bytes((u128::from(number) + 1).to_be_bytes());
    let trace_id = trace_id.unwrap_or_else(TraceId::random);
    let mut time = 1_780_000_000_000_000_000 + number * 3_600_000_000_000;
    let mut trace = Trace::default();
    let open = |name: String, parent: Option<SpanId>, time: u64, took: u64| {
        let span_id = SpanId::random();
        let mut span = Span::new(SpanContext { trace_id, span_id }, name, time);
        (span.parent, span.resource) = (parent, Arc::clone(resource));
        span.end = Some(time + took);
        span
    };
    let root = open("run clusters".into(), None, time, 150_000_000_000);
    let top = root.span_id;
    trace.spans.push(root);
    for step in 0..STEPS {
        // A number would be taken for an id.
        let letter = |of: usize| char::from(b'a' + (of % 26) as u8);
        let name = format!("step_{}{}", letter(step / 26), letter(step));
        let mut span = open(name, Some(top), time, 4_000_000_000);
        let key = format!("Step {{ cluster: \"{{name}}\", part: {step} }}");
        span.attributes.insert(semconv::STEP_KEY.into(), key.into());
        let mut line = LogRecord::new(time + 1, Level::Info, format!("doing step {step}"));
        line.span_id = Some(span.span_id);
        trace.logs.push(line);
        let above = span.span_id;
        trace.spans.push(span);
        for call in 0..CALLS {
            time += 300_000_000 + random.u64(0..100_000_000);
            let method = ["Describe", "Create", "DescribeAgain", "Tag"][call % 4];
            let took = random.u64(20_000_000..80_000_000);
            let mut span = open(format!("EC2.{method}"), Some(above), time, took);
            span.kind = Kind::Client;
            let id = format!("i-0{:016x}", random.u64(..) >> 4);
            let request = format!(
                r#"{{"Filters":[{{"Name":"tag:cluster","Values":["{{name}}"]}}],"Part":{step},"VpcId":"vpc-0{:016x}"}}"#,
                random.u64(..) >> 4
            );
            let state = if random.u8(0..20) == 0 { "pending" } else { "running" };
            let instance = format!(
                r#"{{"InstanceId":"{id}","State":{{"Name":"{state}","Code":16}},"InstanceType":"m7g.large","PrivateIpAddress":"10.0.1.{}","Tags":[{{"Key":"cluster","Value":"{{name}}"}}]}}"#,
                random.u8(..)
            );
            let instances = vec![instance; 1 + call % 3].join(",");
            let answer = format!(r#"{{"Reservations":[{{"Instances":[{instances}]}}]}}"#);
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
            trace.spans.push(span);
        }
    }
    trace
}

/// How many traces are read at once.
const AT_ONCE: usize = 100;

/// A store that holds the traces, in segments.
async fn stored(folder: &Path, traces: &[Trace]) -> Result<Engine, StoreError> {
    let engine = Engine::open(folder, Options::default())?;
    for trace in traces {
        let spans = trace.spans.iter().cloned().map(Record::Span);
        let logs = trace.logs.iter().cloned().map(Record::Log);
        engine.append(&spans.chain(logs).collect::<Vec<_>>()).await?;
    }
    engine.settle().await?;
    Ok(engine)
}

/// The profile of all traces of a store, or how many spans were read.
async fn read(engine: &Engine, ids: &[TraceId], mut profile: Option<Profile>) -> Option<u64> {
    let mut spans = 0;
    for ids in ids.chunks(AT_ONCE) {
        for trace in engine.traces(ids).await.ok()?.into_iter().flatten() {
            spans += trace.spans.len() as u64;
            if let Some(profile) = &mut profile {
                profile.add(&trace);
            }
        }
    }
    black_box(profile);
    Some(spans)
}

fn from_a_store(criterion: &mut Criterion, traces: &[Trace]) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let engine = runtime.block_on(stored(folder.path(), traces))?;
    let spans: usize = traces.iter().map(|trace| trace.spans.len()).sum();
    let query = TraceQuery { limit: traces.len(), ..TraceQuery::default() };
    let list = || runtime.block_on(engine.search(&query)).map(|page| page.items);
    let ids: Vec<TraceId> = list()?.iter().map(|summary| summary.trace_id).collect();
    assert_eq!(runtime.block_on(read(&engine, &ids, None)), Some(spans as u64));

    let mut group = criterion.benchmark_group("from a store");
    group.sample_size(10);
    group.throughput(Throughput::Elements(spans as u64));
    group.bench_function("listed", |bench| bench.iter(list));
    group.bench_function("read", |bench| {
        bench.iter(|| runtime.block_on(read(&engine, &ids, None)));
    });
    group.bench_function("read and counted", |bench| {
        bench.iter(|| runtime.block_on(read(&engine, &ids, Some(Profile::default()))));
    });
    group.finish();
    Ok(())
}

fn profiles(criterion: &mut Criterion) {
    let resource = Resource::from_iter([
        (semconv::SERVICE_NAME.to_owned(), "clusters".into()),
        (semconv::TELEMETRY_SDK_NAME.to_owned(), semconv::OUR_SDK.into()),
    ]);
    let resource = Arc::new(resource);
    let traces: Vec<Trace> = (0..DIFFERENT).map(|number| trace(number, &resource)).collect();
    let mut good = Profile::default();
    for trace in traces.iter().cycle().take(GOOD as usize) {
        good.add(trace);
    }
    assert!(good.paths().len() > 4 * STEPS, "each step has paths of its own");
    println!("a profile of {GOOD} traces: {} paths, {} bytes", good.paths().len(), good.bytes());
    let mut bad = trace(DIFFERENT, &resource);
    let at = bad.spans.len() * 2 / 3;
    bad.spans[at].status = Status::Error("Unavailable".into());

    let mut group = criterion.benchmark_group("profile");
    group.sample_size(20);
    group.throughput(Throughput::Elements(traces[0].spans.len() as u64));
    group.bench_function("a trace added", |bench| {
        let mut next = traces.iter().cycle();
        bench.iter(|| next.next().map(|trace| good.add(black_box(trace))));
    });
    let mut named = 0;
    group.bench_function("a trace held against it", |bench| {
        bench.iter(|| {
            let found = explain(&good, std::slice::from_ref(black_box(&bad)), Limits::default());
            named = found.findings.len();
        });
    });
    assert!(named > 0, "the failure is found");
    let mut one = Profile::default();
    one.add(&traces[0]);
    group.bench_function("a copy of it without one trace", |bench| {
        bench.iter(|| {
            let mut without = good.clone();
            without.take_out(&one);
            black_box(without)
        });
    });
    group.finish();
    if let Err(error) = from_a_store(criterion, &traces) {
        panic!("there is no store to read from: {error}");
    }
}

criterion_group!(benches, profiles);
criterion_main!(benches);
