//! What the server counts, for Prometheus.
//!
//! Written by hand in the text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>):
//! a few counters, gauges and histograms need no library. Not for traces. The surprise: labels are only
//! ever routes, kinds and states, never names or ids, so their number stays small.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fixpoint_client::{Api, Circuit, RunState};
use fixpoint_trace::{
    export::Copied,
    store::{Signal, Stats},
};

use crate::why::Size;

/// Upper bounds in seconds. From a store read to a step that waits for a load balancer.
const BUCKETS: [f64; 12] =
    [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

/// Counts since the server started.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By labels, as they stand in the exposition.
    requests: BTreeMap<String, Histogram>,
    steps: BTreeMap<String, Histogram>,
    runs: BTreeMap<String, u64>,
    verifications: BTreeMap<String, u64>,
    mends: BTreeMap<String, u64>,
    webhook: BTreeMap<String, u64>,
    received: BTreeMap<String, u64>,
    rejected: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    takeovers: u64,
    late_writes: u64,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Observations at or below each bound, and not below the one before.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(place) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[place] += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// What is true at this moment, read when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Unfinished runs by state.
    pub(crate) open_runs: BTreeMap<&'static str, u64>,
    /// Resources that have drifted, by kind.
    pub(crate) drifted: BTreeMap<&'static str, u64>,
    /// Notifications that the webhook has not taken yet.
    pub(crate) undelivered: u64,
    /// Records that the trace recorder lost.
    pub(crate) dropped: u64,
    /// What the trace store holds.
    pub(crate) store: Stats,
    /// How the APIs stand that plans call.
    pub(crate) apis: Vec<Api>,
    /// What has become of what is copied to other backends.
    pub(crate) exported: Vec<(Signal, Copied)>,
    /// The profiles of good runs and traces.
    pub(crate) profiles: Size,
}

impl Metrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        self.counts().requests.entry(labels).or_default().observe(took);
    }

    pub(crate) fn step_ended(&self, kind: &str, outcome: &str, took: Duration) {
        let labels = format!("kind=\"{kind}\",outcome=\"{outcome}\"");
        self.counts().steps.entry(labels).or_default().observe(took);
    }

    pub(crate) fn run_ended(&self, kind: &str, state: RunState) {
        *self.counts().runs.entry(format!("kind=\"{kind}\",state=\"{state}\"")).or_default() += 1;
    }

    /// A solved resource was looked at.
    pub(crate) fn verified(&self, kind: &str, result: &str) {
        let labels = format!("kind=\"{kind}\",result=\"{result}\"");
        *self.counts().verifications.entry(labels).or_default() += 1;
    }

    /// Drift was to be mended, and was or was not.
    pub(crate) fn mend(&self, kind: &str, outcome: &str) {
        let labels = format!("kind=\"{kind}\",outcome=\"{outcome}\"");
        *self.counts().mends.entry(labels).or_default() += 1;
    }

    /// The webhook was sent something, and took it or did not.
    pub(crate) fn webhook(&self, result: &str) {
        *self.counts().webhook.entry(format!("result=\"{result}\"")).or_default() += 1;
    }

    /// A run was taken over from another server.
    pub(crate) fn takeover(&self) {
        self.counts().takeovers += 1;
    }

    /// A write came after its run had been taken over, and was refused.
    pub(crate) fn late_write(&self) {
        self.counts().late_writes += 1;
    }

    /// Spans or log lines of others were stored.
    pub(crate) fn received(&self, protocol: &str, signal: &str, records: u64) {
        let labels = format!("protocol=\"{protocol}\",signal=\"{signal}\"");
        *self.counts().received.entry(labels).or_default() += records;
    }

    /// Spans or log lines were left out of a request that was stored.
    pub(crate) fn rejected(&self, protocol: &str, reason: &str, records: u64) {
        if records > 0 {
            let labels = format!("protocol=\"{protocol}\",reason=\"{reason}\"");
            *self.counts().rejected.entry(labels).or_default() += records;
        }
    }

    /// A request was not taken in; returns how many were not for this reason.
    pub(crate) fn refused(&self, protocol: &str, reason: &str) -> u64 {
        let labels = format!("protocol=\"{protocol}\",reason=\"{reason}\"");
        let mut counts = self.counts();
        let count = counts.refused.entry(labels).or_default();
        *count += 1;
        *count
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn exposition(&self, now: &Gauges) -> String {
        let counts = self.counts();
        let mut out = String::new();
        histogram(
            &mut out,
            "fixpoint_http_request_duration_seconds",
            "Answered requests.",
            &counts.requests,
        );
        histogram(&mut out, "fixpoint_step_duration_seconds", "Ended steps.", &counts.steps);
        for (name, help, counters) in [
            ("fixpoint_runs_total", "Ended runs.", &counts.runs),
            ("fixpoint_verifications_total", "Looks at solved resources.", &counts.verifications),
            (
                "fixpoint_mends_total",
                "Drift that was to be mended: a run was begun, or held back by the budget.",
                &counts.mends,
            ),
            (
                "fixpoint_webhook_deliveries_total",
                "Attempts to tell the webhook: delivered, to be made again, or failed for good.",
                &counts.webhook,
            ),
            (
                "fixpoint_received_records_total",
                "Spans and log lines of others that were stored.",
                &counts.received,
            ),
            (
                "fixpoint_rejected_records_total",
                "Spans and log lines of others that were left out.",
                &counts.rejected,
            ),
            (
                "fixpoint_refused_requests_total",
                "Requests with spans and log lines that were not taken in.",
                &counts.refused,
            ),
        ] {
            head(&mut out, name, help, "counter");
            for (labels, count) in counters {
                line(&mut out, name, labels, *count as f64);
            }
        }
        head(&mut out, "fixpoint_open_runs", "Runs that have not ended.", "gauge");
        for (state, count) in &now.open_runs {
            line(&mut out, "fixpoint_open_runs", &format!("state=\"{state}\""), *count as f64);
        }
        let name = "fixpoint_drifted_resources";
        head(&mut out, name, "Solved resources that are not as wanted any more.", "gauge");
        for (kind, count) in &now.drifted {
            line(&mut out, name, &format!("kind=\"{kind}\""), *count as f64);
        }
        let figures = [
            (
                "takeovers_total",
                "Runs taken over from another server.",
                "counter",
                counts.takeovers,
            ),
            (
                "late_writes_refused_total",
                "Writes that came after the run was another server's.",
                "counter",
                counts.late_writes,
            ),
            (
                "webhook_waiting",
                "Notifications that the webhook has not taken yet.",
                "gauge",
                now.undelivered,
            ),
            (
                "trace_records_dropped_total",
                "Spans and log lines that were lost.",
                "counter",
                now.dropped,
            ),
        ];
        plain(&mut out, "fixpoint_", &figures);
        store(&mut out, &now.store);
        let Size { profiles, bytes } = now.profiles;
        let figures = [
            ("", "Profiles of good runs and traces that are kept.", "gauge", profiles),
            ("_bytes", "Bytes that they take in memory.", "gauge", bytes),
        ];
        plain(&mut out, "fixpoint_profiles", &figures);
        exported(&mut out, &now.exported);
        apis(&mut out, &now.apis);
        out
    }
}

/// The trace store's own figures, each without labels.
fn store(out: &mut String, stats: &Stats) {
    let figures = [
        ("spans", "Spans that are stored.", "gauge", stats.spans),
        ("logs", "Log lines that are stored.", "gauge", stats.logs),
        ("bytes", "Bytes on disk, indexes and log included.", "gauge", stats.bytes),
        ("segments", "Sealed segments.", "gauge", stats.segments),
        ("rejected_total", "Spans and log lines that were not valid.", "counter", stats.rejected),
        ("overloaded_total", "Requests refused under too much load.", "counter", stats.overloaded),
        ("expired_total", "Spans and log lines past the retention.", "counter", stats.expired),
    ];
    plain(out, "fixpoint_trace_store_", &figures);
    if let Some(oldest) = stats.oldest {
        let name = "fixpoint_trace_store_oldest_timestamp_seconds";
        head(out, name, "When the oldest trace began.", "gauge");
        line(out, name, "", oldest as f64 / 1e9);
    }
    let Some(bucket) = &stats.bucket else { return };
    let figures = [
        (
            "usable",
            "Whether it could be used the last time.",
            "gauge",
            bucket.error.is_none().into(),
        ),
        ("unpublished_segments", "Segments not in it yet.", "gauge", bucket.unpublished),
        ("absent_segments", "Segments of it not readable here yet.", "gauge", bucket.absent),
        ("held_bytes", "Bytes of rows of segments that are here.", "gauge", bucket.held),
        ("failures_total", "How often it failed.", "counter", bucket.failures),
    ];
    plain(out, "fixpoint_trace_store_bucket_", &figures);
}

/// Figures without labels: name, help, kind and value of each.
fn plain(out: &mut String, prefix: &str, figures: &[(&str, &str, &str, u64)]) {
    for (name, help, kind, value) in figures {
        let name = format!("{prefix}{name}");
        head(out, &name, help, kind);
        line(out, &name, "", *value as f64);
    }
}

/// The circuit breakers and queues of the APIs that plans call; nothing before the first call.
fn apis(out: &mut String, apis: &[Api]) {
    if apis.is_empty() {
        return;
    }
    let name = "fixpoint_api_circuit_closed";
    head(out, name, "Whether calls of the API are sent.", "gauge");
    for api in apis {
        let closed = u32::from(api.circuit == Circuit::Closed);
        line(out, name, &format!("api=\"{}\"", api.name), closed.into());
    }
    let name = "fixpoint_api_waiting_calls";
    head(out, name, "Calls that wait for their turn.", "gauge");
    for api in apis {
        for (class, waiting) in &api.waiting {
            let labels = format!("api=\"{}\",class=\"{class}\"", api.name);
            line(out, name, &labels, *waiting as f64);
        }
    }
}

type Read = fn(&Copied) -> u64;

/// The copy's figures, by signal; nothing if nothing is copied.
fn exported(out: &mut String, signals: &[(Signal, Copied)]) {
    let figures: [(&str, &str, &str, Read); 5] = [
        ("sent_records_total", "Spans and log lines that were copied.", "counter", |it| it.sent),
        ("waiting_records", "Spans and log lines that wait to be copied.", "gauge", |it| {
            it.waiting
        }),
        ("queue_bytes", "Bytes on disk of what is copied.", "gauge", |it| it.bytes),
        ("refused_records_total", "Those that the other will not have.", "counter", |it| {
            it.refused
        }),
        ("dropped_records_total", "Those the queue had no room for.", "counter", |it| it.dropped),
    ];
    for (name, help, kind, read) in figures.into_iter().filter(|_| !signals.is_empty()) {
        let name = format!("fixpoint_export_{name}");
        head(out, &name, help, kind);
        for (signal, copied) in signals {
            let label = format!("signal=\"{}\"", signal.as_str());
            line(out, &name, &label, read(copied) as f64);
        }
    }
}

fn histogram(out: &mut String, name: &str, help: &str, by_labels: &BTreeMap<String, Histogram>) {
    head(out, name, help, "histogram");
    for (labels, histogram) in by_labels {
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(histogram.buckets) {
            below += count;
            line(out, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below as f64);
        }
        let all = histogram.count as f64;
        line(out, &format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), all);
        line(out, &format!("{name}_sum"), labels, histogram.sum);
        line(out, &format!("{name}_count"), labels, all);
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _never_fails = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _never_fails = writeln!(out, "{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposition_counts_cumulatively_and_ends_with_inf() {
        let metrics = Metrics::default();
        for millis in [1, 3, 700_000] {
            metrics.request("GET", "/healthz", 200, Duration::from_millis(millis));
        }
        metrics.run_ended("clusters", RunState::Converged);
        let store = Stats { spans: 7, oldest: Some(1_500_000_000), ..Stats::default() };
        let copied = Copied { sent: 3, waiting: 4, ..Copied::default() };
        let exported = vec![(Signal::Traces, copied), (Signal::Logs, Copied::default())];
        let apis = vec![Api {
            name: "EC2 in eu-west-1".to_owned(),
            circuit: Circuit::Open,
            unanswered: 8,
            waiting: BTreeMap::from([("read".to_owned(), 2)]),
        }];
        let profiles = Size { profiles: 2, bytes: 70_000 };
        let now = Gauges { store, exported, apis, profiles, ..Gauges::default() };
        let text = metrics.exposition(&now);
        let labels = "method=\"GET\",route=\"/healthz\",status=\"200\"";
        for wanted in [
            format!("fixpoint_http_request_duration_seconds_bucket{{{labels},le=\"0.001\"}} 1"),
            format!("fixpoint_http_request_duration_seconds_bucket{{{labels},le=\"600\"}} 2"),
            format!("fixpoint_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("fixpoint_http_request_duration_seconds_sum{{{labels}}} 700.004"),
            "fixpoint_runs_total{kind=\"clusters\",state=\"converged\"} 1".to_owned(),
            "fixpoint_trace_records_dropped_total 0".to_owned(),
            "fixpoint_export_sent_records_total{signal=\"traces\"} 3".to_owned(),
            "fixpoint_export_waiting_records{signal=\"traces\"} 4".to_owned(),
            "fixpoint_export_waiting_records{signal=\"logs\"} 0".to_owned(),
            "fixpoint_api_circuit_closed{api=\"EC2 in eu-west-1\"} 0".to_owned(),
            "fixpoint_api_waiting_calls{api=\"EC2 in eu-west-1\",class=\"read\"} 2".to_owned(),
            "fixpoint_trace_store_spans 7".to_owned(),
            "fixpoint_profiles 2".to_owned(),
            "fixpoint_profiles_bytes 70000".to_owned(),
            "fixpoint_trace_store_rejected_total 0".to_owned(),
            "fixpoint_trace_store_oldest_timestamp_seconds 1.5".to_owned(),
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted} is not in\n{text}");
        }
    }
}
