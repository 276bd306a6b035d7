//! The paths about traces: one of them, a search for many, what they come to.
//!
//! Not here: how the document is put together (`openapi.rs`). The surprise: the query language is
//! described where it is used, in the description of `q`; `docs/search.md` teaches it.

use fixpoint_client::{
    AttributePage, FindPage, LogPage, OperationPage, PinPage, RatePage, ServicePage, StoreStats,
    TraceDiff, TracePage, Upload, Why,
};
use serde_json::{Value, json};

use super::{Document, events, get, in_path, in_query, paging};

const TRACE_ID: &str = "^[0-9a-fA-F]{32}$";
const SPAN_ID: &str = "^[0-9a-fA-F]{16}$";
const Q: &str = "What they must be like. Conditions are joined by `and`, alternatives by `or`. \
    Fields: service, name, kind, status, status.message, duration, scope, any attribute; of the \
    whole trace: root, trace.duration, trace.spans, trace.errors, trace.open, log. Comparisons: \
    = != < <= > >= ~ !~ exists missing. has(...) and missing(...) [after ...] ask for other spans: \
    missing(\"ELBv2.RegisterTargets\") after \"ELBv2.DescribeTargetGroups\". A name alone is that of \
    a span; error and open stand for status = error and trace.open. Empty: every trace.";
const SINCE: &str = "From this on: a time (RFC 3339), or a length back from now (10m, 1h30m, 7d).";
const UNTIL: &str = "Until before this: a time (RFC 3339), or a length back from now.";

impl Document {
    pub(super) fn traces(&mut self) {
        let filters =
            paging(&[in_query("q", Q), in_query("since", SINCE), in_query("until", UNTIL)]);
        let page = self.json::<TracePage>();
        let summary =
            "Searches traces, newest first. A query that is none is a 400 with its place.";
        self.path("/v1/traces", "get", get(summary, &filters, &[("200", page)]));
        let id = [shaped(in_path("id", "The trace's id: 32 hex digits."), TRACE_ID)];
        let otlp = json!({
            "description": "OTLP JSON, as OpenTelemetry defines it. An open span has no endTimeUnixNano.",
            "content": { "application/json": { "schema": { "type": "object" } } },
        });
        let format = "Gives the trace as a file instead: otlp, otlp-protobuf, jaeger or zipkin.";
        let mut format = in_query("format", format);
        format["schema"]["enum"] = json!(["otlp", "otlp-protobuf", "jaeger", "zipkin"]);
        let params = [id[0].clone(), format];
        self.path("/v1/traces/{id}", "get", get("Shows a trace.", &params, &[("200", otlp)]));
        let why = self.json::<Why>();
        let summary = "Says why a trace went as it did, beside good ones with the same root.";
        self.path("/v1/traces/{id}/why", "get", get(summary, &id, &[("200", why)]));
        let uploaded = self.json::<Upload>();
        let mut upload = get("Stores a file of traces.", &[], &[("200", uploaded)]);
        upload["requestBody"] = json!({
            "description": "OTLP in JSON or protobuf, Zipkin v2 or Jaeger JSON; its format is found by \
                looking at it. At most 64 MiB, also when it comes with content-encoding gzip or zstd.",
            "required": true,
            "content": { "application/json": {}, "application/octet-stream": {} },
        });
        self.path("/v1/traces", "post", upload);
        let events = events(
            "Event `spans`: OTLP JSON of the spans that changed. Event `logs`: a LogPage of new lines. \
             Both with all there is at first.",
        );
        let mut from = in_query("from", "start, if not set; now: only what changes from now on.");
        from["schema"]["enum"] = json!(["start", "now"]);
        let params = [id[0].clone(), from];
        self.path(
            "/v1/traces/{id}/events",
            "get",
            get("Follows a trace.", &params, &[("200", events)]),
        );
        self.rows(&id[0]);
        let any = "Trace, run, resource, or any id that occurs in a trace.";
        let mut rows = in_query("rows", "true: with both trees in one.");
        rows["schema"] = json!({ "type": "boolean", "default": false });
        let params = [
            in_path("a", &format!("The one to go by. {any}")),
            in_path("b", &format!("The one looked at. {any}")),
            rows,
        ];
        let diff = self.json::<TraceDiff>();
        let summary = "Compares two traces: what is missing, extra, failed, repeated, reordered, \
             changed, slower.";
        self.path("/v1/traces/{a}/diff/{b}", "get", get(summary, &params, &[("200", diff)]));
        let done = json!({ "description": "Done." });
        let pin = get("Keeps a trace past the retention.", &id, &[("204", done.clone())]);
        self.path("/v1/traces/{id}/pin", "put", pin);
        let unpin = get("Keeps a trace no longer than others.", &id, &[("204", done)]);
        self.path("/v1/traces/{id}/pin", "delete", unpin);
        let pins = self.json::<PinPage>();
        let summary = "Lists the traces that are kept past the retention.";
        self.path("/v1/pins", "get", get(summary, &[], &[("200", pins)]));
        let filters = [
            in_query("trace_id", "Only lines of this trace."),
            in_query("span_id", "Only lines of this span."),
            in_query("limit", "At most this many, the newest; 1,000 if not set."),
        ];
        let logs = self.json::<LogPage>();
        self.path(
            "/v1/logs",
            "get",
            get("Lists log lines, oldest first.", &filters, &[("200", logs)]),
        );
        let q = "A run, trace or span id, a resource's name, or any id that a span carries.";
        let mut q = [in_query("q", q)];
        q[0]["required"] = json!(true);
        q[0]["schema"] = json!({ "type": "string", "minLength": 1, "maxLength": 2048 });
        let found = self.json::<FindPage>();
        self.path(
            "/v1/find",
            "get",
            get("Finds runs, resources and traces by any id.", &q, &[("200", found)]),
        );
    }

    pub(super) fn counts(&mut self) {
        let (since, until) = (in_query("since", SINCE), in_query("until", UNTIL));
        let (service, name) = (
            in_query("service", "Only operations of this service."),
            in_query("name", "Only operations of this name."),
        );
        let filters = [since.clone(), until.clone(), limit()];
        let page = self.json::<ServicePage>();
        let summary = "Lists services, the busiest first: rate, errors and durations.";
        self.path("/v1/services", "get", get(summary, &filters, &[("200", page)]));

        let filters = [service.clone(), name.clone(), since, until.clone(), limit()];
        let page = self.json::<OperationPage>();
        let summary = "Lists operations, the busiest first: rate, errors and durations.";
        self.path("/v1/operations", "get", get(summary, &filters, &[("200", page)]));

        let since = in_query("since", &format!("{SINCE} 1h if not set."));
        let step = "The width of a bucket (5m), in whole minutes; a 60th of the while if not set.";
        let filters = [service, name, since, until, in_query("step", step), limit()];
        let page = self.json::<RatePage>();
        let summary = "Lists operations over time: rate, errors, durations and their histogram.";
        self.path("/v1/rates", "get", get(summary, &filters, &[("200", page)]));

        let filters = [in_query("name", "Lists the values of this attribute."), limit()];
        let page = self.json::<AttributePage>();
        let summary = "Lists the names of attributes or, of one, its most frequent values.";
        self.path("/v1/attributes", "get", get(summary, &filters, &[("200", page)]));
        let stats = self.json::<StoreStats>();
        let summary = "Says what the trace store holds, and what that takes.";
        self.path("/v1/store", "get", get(summary, &[], &[("200", stats)]));
    }

    /// What a waterfall reads of a trace of any size.
    fn rows(&mut self, id: &Value) {
        let object = |description: &str| json!({ "description": description, "content": { "application/json": { "schema": { "type": "object" } } } });
        let names = in_query("attributes", "Attributes to show, by name, with commas; 32 at most.");
        let columns = object(
            "Columns: the n-th entry of each list is the n-th span's, by start. Times are \
             nanoseconds after `origin`; a null duration is an open span.",
        );
        let summary = "Shows what a row has of every span, without bodies.";
        let operation = get(summary, &[id.clone(), names], &[("200", columns)]);
        self.path("/v1/traces/{id}/rows", "get", operation);
        let span_id = shaped(in_path("span_id", "The span's id: 16 hex digits."), SPAN_ID);
        let span = object("OTLP JSON with this one span.");
        let operation = get("Shows a span.", &[id.clone(), span_id], &[("200", span)]);
        self.path("/v1/traces/{id}/spans/{span_id}", "get", operation);
        let q = in_query(
            "q",
            "Words that must all occur, whatever their case, in name, service, id, message, \
             attributes, events or log lines; key=word asks for an attribute.",
        );
        let found = object("`spans`: the ids of the spans that match, by start.");
        let operation = get("Finds spans within a trace.", &[id.clone(), q], &[("200", found)]);
        self.path("/v1/traces/{id}/matches", "get", operation);
    }
}

/// A parameter whose text has a form.
fn shaped(mut parameter: Value, pattern: &str) -> Value {
    parameter["schema"]["pattern"] = json!(pattern);
    parameter
}

fn limit() -> Value {
    json!({
        "name": "limit", "in": "query",
        "schema": { "type": "integer", "minimum": 1, "maximum": 2000, "default": 200 },
    })
}
