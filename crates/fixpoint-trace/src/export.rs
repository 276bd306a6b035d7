//! Copies ended spans to an outside collector by OTLP, over HTTP or gRPC.
//!
//! A follower of the store: it never slows recording down, and a collector that is away costs
//! spans of the copy, counted, not of the store. Log lines are not copied. The surprise: which
//! collector, and how, is read from the standard `OTEL_EXPORTER_OTLP_*` variables by the exporter
//! crate itself. TLS is had over HTTP, not over gRPC.

use std::{
    collections::VecDeque,
    future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{self as otel, TraceFlags, TraceState},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanEvents, SpanExporter, SpanLinks},
};
use tokio::{
    select,
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until, timeout_at},
};

use crate::model::{Attributes, Kind, Record, Resource, Span, SpanContext, Status, Value};

/// How many ended spans may wait for the collector.
const WAITING: usize = 8192;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);
/// How long the rest may take after shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// The exporter could not be made from the environment.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the OTLP exporter")]
pub struct ExportError(#[source] opentelemetry_otlp::ExporterBuildError);

/// What has become of the spans so far.
#[derive(Debug, Default)]
pub struct Exported {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Exported {
    /// How many spans the collector took.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// How many were lost: too many waited, or the collector refused them. Batches of records
    /// that came faster than they could be looked at count as one.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Sends ended spans to a collector.
#[derive(Debug)]
pub struct Exporter<E = opentelemetry_otlp::SpanExporter> {
    waiting: VecDeque<Span>,
    /// Away while it sends.
    exporter: Option<E>,
    exported: Arc<Exported>,
    failing: bool,
}

type Sending<E> = Pin<Box<dyn Future<Output = (E, usize, OTelSdkResult)> + Send>>;

impl Exporter {
    /// An exporter as the `OTEL_EXPORTER_OTLP_*` variables say. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the variables contradict each other or the HTTP client cannot be made.
    pub fn from_environment() -> Result<Self, ExportError> {
        let exporter = opentelemetry_otlp::SpanExporter::builder().build().map_err(ExportError)?;
        Ok(Self::new(exporter))
    }
}

impl<E: SpanExporter + 'static> Exporter<E> {
    /// An exporter that sends by way of `exporter`.
    pub fn new(exporter: E) -> Self {
        Self {
            waiting: VecDeque::new(),
            exporter: Some(exporter),
            exported: Arc::default(),
            failing: false,
        }
    }

    /// The counts, which go on while it runs.
    pub fn exported(&self) -> Arc<Exported> {
        self.exported.clone()
    }

    /// Sends the ended spans among `records` until `shutdown` completes, then what still waits
    /// if it goes fast, then returns.
    pub async fn run(
        mut self,
        mut records: Receiver<Arc<Vec<Record>>>,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = pin!(shutdown);
        let mut sending: Option<Sending<E>> = None;
        let mut send_at = Instant::now();
        loop {
            if sending.is_none() && (self.waiting.len() >= BATCH || Instant::now() >= send_at) {
                sending = self.send();
            }
            let was_empty = self.waiting.is_empty();
            select! {
                received = records.recv() => match received {
                    Ok(records) => self.take(&records),
                    Err(RecvError::Lagged(batches)) => self.lost(batches),
                    Err(RecvError::Closed) => break,
                },
                done = outcome(&mut sending) => { sending = None; self.sent(done); }
                () = sleep_until(send_at), if !was_empty && sending.is_none() => {}
                () = &mut shutdown => break,
            }
            if was_empty && !self.waiting.is_empty() {
                send_at = Instant::now() + GATHER;
            }
        }
        while let Ok(records) = records.try_recv() {
            self.take(&records);
        }
        let deadline = Instant::now() + GRACE;
        while sending.is_some() || !self.waiting.is_empty() {
            sending = sending.or_else(|| self.send());
            match timeout_at(deadline, outcome(&mut sending)).await {
                Ok(done) => self.sent(done),
                Err(_) => break,
            }
            sending = None;
        }
        self.lost(self.waiting.len() as u64);
    }

    fn take(&mut self, records: &[Record]) {
        for record in records {
            if let Record::Span(span @ Span { end: Some(_), .. }) = record {
                if self.waiting.len() < WAITING {
                    self.waiting.push_back(span.clone());
                } else {
                    self.lost(1);
                }
            }
        }
    }

    /// Starts to send the oldest spans of one resource.
    fn send(&mut self) -> Option<Sending<E>> {
        let resource = self.waiting.front()?.resource.clone();
        let mut exporter = self.exporter.take()?;
        let same = self.waiting.iter().take(BATCH).take_while(|span| span.resource == resource);
        let batch: Vec<_> = same.map(data).collect();
        self.waiting.drain(..batch.len());
        exporter.set_resource(&described(&resource));
        Some(Box::pin(async move {
            let count = batch.len();
            let result = exporter.export(batch).await;
            (exporter, count, result)
        }))
    }

    fn sent(&mut self, (exporter, count, result): (E, usize, OTelSdkResult)) {
        self.exporter = Some(exporter);
        match result {
            Ok(()) => {
                self.failing = false;
                self.exported.sent.fetch_add(count as u64, Relaxed);
            }
            Err(error) => {
                self.lost(count as u64);
                if !std::mem::replace(&mut self.failing, true) {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, spans = count, "spans could not be exported");
                }
            }
        }
    }

    fn lost(&self, count: u64) {
        self.exported.dropped.fetch_add(count, Relaxed);
    }
}

/// What becomes of the batch being sent; never, if none is.
async fn outcome<E>(sending: &mut Option<Sending<E>>) -> (E, usize, OTelSdkResult) {
    match sending {
        Some(sending) => sending.await,
        None => future::pending().await,
    }
}

fn described(resource: &Resource) -> opentelemetry_sdk::Resource {
    opentelemetry_sdk::Resource::builder_empty().with_attributes(key_values(resource)).build()
}

fn data(span: &Span) -> SpanData {
    let time = |nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    let mut events = SpanEvents::default();
    events.events.extend(span.events.iter().map(|event| {
        let attributes = key_values(&event.attributes);
        otel::Event::new(event.name.clone(), time(event.time), attributes, 0)
    }));
    let mut links = SpanLinks::default();
    links.links.extend(span.links.iter().map(|link| otel::Link::with_context(context(link.to))));
    SpanData {
        span_context: context(span.context()),
        parent_span_id: span
            .parent
            .map_or(otel::SpanId::INVALID, |parent| otel::SpanId::from_bytes(parent.to_bytes())),
        parent_span_is_remote: false,
        span_kind: match span.kind {
            Kind::Internal => otel::SpanKind::Internal,
            Kind::Server => otel::SpanKind::Server,
            Kind::Client => otel::SpanKind::Client,
            Kind::Producer => otel::SpanKind::Producer,
            Kind::Consumer => otel::SpanKind::Consumer,
        },
        name: span.name.clone().into(),
        start_time: time(span.start),
        end_time: time(span.end.unwrap_or(span.start)),
        attributes: key_values(&span.attributes),
        dropped_attributes_count: 0,
        events,
        links,
        status: match &span.status {
            Status::Unset => otel::Status::Unset,
            Status::Ok => otel::Status::Ok,
            Status::Error(why) => otel::Status::error(why.clone()),
        },
        instrumentation_scope: InstrumentationScope::builder("fixpoint").build(),
    }
}

fn context(context: SpanContext) -> otel::SpanContext {
    otel::SpanContext::new(
        otel::TraceId::from_bytes(context.trace_id.to_bytes()),
        otel::SpanId::from_bytes(context.span_id.to_bytes()),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    )
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), plain(value))).collect()
}

/// Arrays become arrays of text: the exporter's model has none of mixed types.
fn plain(value: &Value) -> opentelemetry::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::Empty | Value::Map(_) | Value::Bytes(_) => value.to_text().into_owned().into(),
        Value::String(value) => value.clone().into(),
        Value::Array(values) => {
            let texts = values.iter().map(|value| plain(value).as_str().into_owned().into());
            opentelemetry::Value::Array(opentelemetry::Array::String(texts.collect()))
        }
    }
}
