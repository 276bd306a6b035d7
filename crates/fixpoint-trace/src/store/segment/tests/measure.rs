//! What a span costs, by column and part of the index, and how fast spans are written and read.
//!
//! Not run by itself:
//! `cargo test --release -p fixpoint-trace --lib segment::tests::measure -- --ignored --nocapture`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::model::{Attributes, Kind, Resource, Scope, Value};

const SPANS: usize = 250_000;
const CALLS: [(&str, &str); 6] = [
    ("EC2.DescribeInstances", "DescribeInstances"),
    ("EC2.RunInstances", "RunInstances"),
    ("EC2.CreateTags", "CreateTags"),
    ("ELBv2.DescribeTargetGroups", "DescribeTargetGroups"),
    ("ELBv2.RegisterTargets", "RegisterTargets"),
    ("IAM.GetInstanceProfile", "GetInstanceProfile"),
];
const SERVICES: [&str; 8] =
    ["gateway", "checkout", "cart", "catalog", "pricing", "stock", "billing", "ledger"];

/// How long this thread has been at work, wherever the system says so: others may be at it too.
fn busy() -> Duration {
    static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

/// Digits that are never the same twice.
fn hex(random: &mut fastrand::Rng, digits: usize) -> String {
    format!("{:016x}", random.u64(..))[..digits].to_owned()
}

fn uuid(random: &mut fastrand::Rng) -> String {
    let parts = [8, 4, 4, 4, 12].map(|digits| hex(random, digits));
    parts.join("-")
}

fn text(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

/// Runs of 120 calls of AWS, each with a request id; 500 bytes a span.
fn provisioning(random: &mut fastrand::Rng, start: UnixNanos, all: &mut Shared) -> Trace {
    let id = TraceId::from_bytes(random.u128(..).to_be_bytes()).unwrap();
    let run = format!("run_{}", hex(random, 16));
    let customer = format!("clusters/customer-{:04}", random.u16(..2000));
    let mut now = start;
    let spans = (0..120).map(|_| {
        let (name, method) = CALLS[random.usize(..CALLS.len())];
        let attributes = [
            ("rpc.system.name", text("aws-api")),
            ("rpc.method", text(method)),
            ("server.address", text("elasticloadbalancing.eu-west-1.amazonaws.com")),
            ("cloud.region", text("eu-west-1")),
            ("aws.request_id", text(uuid(random))),
            ("http.response.status_code", Value::Int(200)),
            ("fixpoint.run.id", text(run.clone())),
            ("fixpoint.resource", text(customer.clone())),
            ("fixpoint.step.key", text(format!("{method} {{ node: {} }}", random.u8(..9)))),
            ("fixpoint.attempt", Value::Int(1)),
        ];
        let took = random.u64(20_000_000..800_000_000);
        now += took + random.u64(50_000..5_000_000);
        all.span(random, id, "clusters", name, (now - took, took), &attributes)
    });
    Trace { spans: spans.collect(), ..Trace::default() }
}

/// Many services, 60 spans a trace, in a quarter of them two JSON bodies of AWS; 1 KB a span.
fn wide(random: &mut fastrand::Rng, start: UnixNanos, all: &mut Shared) -> Trace {
    let id = TraceId::from_bytes(random.u128(..).to_be_bytes()).unwrap();
    let tenant = format!("tenant-{:04}", random.u16(..1000));
    let spans = (0..60).map(|_| {
        let service = SERVICES[random.usize(..SERVICES.len())];
        let operation = format!("{service}/Operation{}", random.u8(..5));
        let mut attributes = vec![
            ("rpc.system.name", text("grpc")),
            ("rpc.method", text(operation.clone())),
            ("http.response.status_code", Value::Int(200)),
            ("server.address", text(format!("{service}.internal.example.com"))),
            ("server.port", Value::Int(8000)),
            ("cloud.region", text("eu-west-1")),
            ("k8s.pod.name", text(format!("{service}-6f9c7d5b4-{:02}", random.u8(..8)))),
            ("tenant.id", text(tenant.clone())),
            ("enduser.id", text(format!("user-{:05}", random.u16(..10_000)))),
            ("thread.name", text(format!("worker-{}", random.u8(..16)))),
            ("code.function.name", text(format!("com.example.{service}.Handler.handle"))),
            ("request.id", text(uuid(random))),
        ];
        if random.bool() {
            attributes.push(("cpu.seconds", Value::Double(random.f64())));
        }
        if random.u8(..4) == 0 {
            attributes.push(("aws.request.body", text(body(random))));
            attributes.push(("aws.response.body", text(body(random))));
        }
        let times = (start + random.u64(..3_000_000_000), random.u64(1000..500_000_000));
        all.span(random, id, service, &operation, times, &attributes)
    });
    let mut trace = Trace { spans: spans.collect(), ..Trace::default() };
    trace.sort();
    trace
}

/// 300 to 1,500 bytes of JSON as AWS has it, with ids in it.
fn body(random: &mut fastrand::Rng) -> String {
    let wanted = random.usize(300..1500);
    let mut text = "{\"Reservations\":[".to_owned();
    while text.len() < wanted {
        text += &format!(
            "{{\"InstanceId\":\"i-0{}\",\"SubnetId\":\"subnet-0{}\",\"InstanceType\":\
             \"m6i.large\",\"PrivateIpAddress\":\"10.0.{}.{}\",\"State\":{{\"Code\":16,\"Name\":\
             \"running\"}},\"Placement\":{{\"AvailabilityZone\":\"eu-west-1a\",\"Tenancy\":\
             \"default\"}}}},",
            hex(random, 16),
            hex(random, 16),
            random.u8(..),
            random.u8(..)
        );
    }
    text
}

/// What spans of one process share.
#[derive(Default)]
struct Shared {
    resources: std::collections::HashMap<String, Arc<Resource>>,
    scope: Arc<Scope>,
    parent: Option<SpanContext>,
}

impl Shared {
    fn span(
        &mut self,
        random: &mut fastrand::Rng,
        id: TraceId,
        service: &str,
        name: &str,
        (start, took): (UnixNanos, u64),
        attributes: &[(&str, Value)],
    ) -> Span {
        let resource = self.resources.entry(service.to_owned()).or_insert_with(|| {
            let of =
                [("service.name", service), ("host.name", "ip-10-0-0-1"), ("os.type", "linux")];
            let of: Attributes = of.map(|(name, value)| (name.to_owned(), text(value))).into();
            Arc::new(of)
        });
        let span_id = SpanId::from_bytes(random.u64(..).to_be_bytes()).unwrap();
        let context = SpanContext { trace_id: id, span_id };
        // One in eight is called by the one before, as are those after it.
        if random.u8(..8) == 0 || self.parent.is_none_or(|parent| parent.trace_id != id) {
            self.parent = Some(context);
        }
        Span {
            parent: self.parent.map(|parent| parent.span_id).filter(|it| *it != span_id),
            kind: Kind::Client,
            end: Some(start + took),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            resource: Arc::clone(resource),
            scope: Arc::clone(&self.scope),
            ..Span::new(context, name, start)
        }
    }
}

/// A log line for every fifth span.
fn lines(trace: &Trace) -> Vec<LogRecord> {
    let spans = trace.spans.iter().step_by(5);
    let line = |span: &Span| LogRecord {
        trace_id: Some(span.trace_id),
        span_id: Some(span.span_id),
        resource: Arc::clone(&span.resource),
        ..LogRecord::new(
            span.start,
            crate::model::Level::Info,
            format!("{} answered after {:?} ns", span.name, span.duration()),
        )
    };
    spans.map(line).collect()
}

/// Parses spans one after the other, as sealing does.
fn each_view(encoded: &[Vec<u8>], mut each: impl FnMut(&SpanView<'_>)) {
    let mut spare = Spare::default();
    for bytes in encoded {
        let view = SpanView::parse(bytes, &mut spare).unwrap();
        each(&view);
        view.recycle(&mut spare);
    }
}

fn measure(
    what: &str,
    with_logs: bool,
    make: fn(&mut fastrand::Rng, UnixNanos, &mut Shared) -> Trace,
) {
    let (mut random, mut all) = (fastrand::Rng::with_seed(7), Shared::default());
    let (mut traces, mut spans) = (Vec::new(), 0);
    while spans < SPANS {
        let start = 1_700_000_000_000_000_000 + spans as u64 * 7_000_000;
        let mut trace = make(&mut random, start, &mut all);
        if with_logs {
            trace.logs = lines(&trace);
        }
        spans += trace.spans.len();
        traces.push(trace);
    }
    traces.sort_by_key(|trace| (start(trace), id(trace)));
    let encoded: Vec<Vec<Vec<u8>>> =
        traces.iter().map(|trace| trace.spans.iter().map(proto::encode_span).collect()).collect();
    let raw: usize = encoded.iter().flatten().map(Vec::len).sum();

    let folder = tempfile::tempdir().unwrap();
    let began = busy();
    encoded.iter().for_each(|bytes| each_view(bytes, |_| ()));
    let parsed = busy() - began;
    let began = busy();
    let mut rows = rows::SpansWriter::create(&folder.path().join("rows"), 64 << 10).unwrap();
    for (trace, bytes) in traces.iter().zip(&encoded) {
        let mut spans = trace.spans.iter();
        each_view(bytes, |view| {
            let span = spans.next().unwrap();
            rows.push(&span.resource, &span.scope, view, &view.attributes).unwrap();
        });
    }
    rows.finish().unwrap();
    let of_rows = busy() - began;
    let began = busy();
    let mut writer = Writer::create(folder.path(), 7).unwrap();
    for (trace, bytes) in traces.iter().zip(&encoded) {
        writer.trace(Some(id(trace))).unwrap();
        let mut spans = trace.spans.iter();
        each_view(bytes, |view| {
            let span = spans.next().unwrap();
            writer.span(&span.resource, &span.scope, view).unwrap();
        });
        write_logs(&mut writer, &trace.logs);
    }
    let until_end = busy() - began;
    let meta = writer.finish().unwrap();
    let took = busy() - began;
    let per = |bytes: u64| bytes as f64 / spans as f64;
    let nanos = |took: Duration| took.as_nanos() / spans as u128;
    println!(
        "\n{what}: {spans} spans of {:.0} B, {} lines; {:.1} B a span",
        per(raw as u64),
        meta.logs,
        per(meta.bytes)
    );
    println!(
        "  {} ns a span, or {:.0} spans/s; of that parsing {}, rows {}, index {} and at the end {}",
        nanos(took),
        spans as f64 / took.as_secs_f64(),
        nanos(parsed),
        nanos(of_rows.saturating_sub(parsed)),
        nanos(until_end.saturating_sub(of_rows)),
        nanos(took - until_end)
    );
    let files = Files::of(folder.path(), 7);
    for path in [&files.spans, &files.logs] {
        let Ok(file) = fs::File::open(path) else { continue };
        println!("  {:>7.2} {:?}", per(file.metadata().unwrap().len()), path.file_name().unwrap());
        let reader = SerializedFileReader::new(file).unwrap();
        let groups = reader.metadata().row_groups();
        for column in 0..groups[0].num_columns() {
            let bytes: i64 = groups.iter().map(|it| it.column(column).compressed_size()).sum();
            let path = groups[0].column(column).column_path().string();
            println!("    {:>7.2} {path}", per(bytes as u64));
        }
    }
    println!("  {:>7.2} index", per(fs::metadata(&files.index).unwrap().len()));

    let segment = Segment::open(folder.path(), 7, meta).unwrap();
    for (part, bytes) in segment.index.parts() {
        println!("    {:>7.2} {part}", per(bytes));
    }
    let ask = |what: &str, times: u32, mut ask: Box<dyn FnMut(usize) + '_>| {
        let began = busy();
        (0..times as usize).for_each(|n| ask(n * 7919 % traces.len()));
        println!("  {:>9.1?} {what}", (busy() - began) / times);
    };
    ask(
        "a trace by id",
        500,
        Box::new(|n| {
            let ordinal = segment.ordinal(id(&traces[n])).unwrap().unwrap();
            assert_eq!(
                segment.read(&[ordinal], Columns::All).unwrap()[0].spans.len(),
                traces[n].spans.len()
            );
        }),
    );
    ask(
        "a trace, light",
        500,
        Box::new(|n| {
            segment.read(&[n as u32], Columns::Light).unwrap();
        }),
    );
    ask(
        "an id that is not here",
        10_000,
        Box::new(|_| {
            segment.ordinal(TraceId::random()).unwrap();
        }),
    );
    ask(
        "a request id",
        200,
        Box::new(|n| {
            let attributes = &traces[n].spans[9].attributes;
            let word = attributes.values().filter_map(Value::as_str).find(|text| text.len() == 36);
            assert!(!segment.find(word.unwrap()).unwrap().is_empty());
        }),
    );
    ask(
        "an operation that took long",
        20,
        Box::new(|n| {
            let span = &traces[n].spans[3];
            let query = format!(
                "service = {} and name = \"{}\" and duration > 400ms",
                span.service(),
                span.name
            );
            segment.candidates(&query.parse().unwrap()).unwrap();
        }),
    );
}

#[test]
#[ignore = "measures, and checks nothing"]
fn bytes_and_speed() {
    measure("provisioning", false, provisioning);
    measure("provisioning with lines", true, provisioning);
    measure("wide", false, wide);
}
