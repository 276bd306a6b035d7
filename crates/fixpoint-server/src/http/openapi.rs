//! `/v1/openapi.json`: the API as an OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.0>).
//!
//! Not written by hand as a whole: bodies come from the wire types, specs from the kinds. What is
//! written here is which path takes and answers what; a golden file keeps it. The surprise: a
//! kind's POST body is its spec with `name` beside the spec's own fields.

use axum::{Json, extract::State};
use fixpoint_client::{
    FindPage, LogPage, PlanPreview, Problem, Resource, ResourcePage, Run, RunPage, TracePage,
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::App;
use crate::kinds::{AnyKind, Kinds};

pub(super) async fn document(State(app): State<App>) -> Json<Value> {
    Json(assemble(&app.kinds))
}

/// The whole document for these kinds.
pub(super) fn assemble(kinds: &Kinds) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut document = Document { generator: settings.into_generator(), paths: Map::new() };
    for kind in kinds.values() {
        document.kind(&**kind);
    }
    document.runs();
    document.traces();
    document.operations();
    // Every error answer is one of these, so it stands in the components and not in each path.
    let problem = document.generator.subschema_for::<Problem>();
    let mut schemas = document.generator.take_definitions(true);
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fixpoint",
            "version": "1",
            "description": "Reactive planning: say what you want, follow the run, read its trace. \
                Every answer names its trace in x-trace-id, traceresponse and Server-Timing. \
                traceparent, b3 and uber-trace-id of a request continue the caller's trace.",
        },
        "paths": document.paths,
        "components": {
            "schemas": schemas,
            "responses": { "Problem": {
                "description": "What went wrong (RFC 9457), and the trace that shows it.",
                "content": { "application/problem+json": { "schema": problem } },
            }},
        },
    })
}

struct Document {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Document {
    fn kind(&mut self, kind: &dyn AnyKind) {
        let name = kind.name();
        let spec = kind.schema(&mut self.generator);
        let new = json!({
            "description": "The resource's name, and the fields of its spec beside it.",
            "type": "object",
            "properties": { "name": { "type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" } },
            "required": ["name"],
            "allOf": [without_closing(&mut self.generator, &spec)],
        });
        let resource = self.json::<Resource>();
        let (accepted, preview) = (self.accepted(), self.json::<PlanPreview>());
        let (list, one) = (format!("/v1/{name}"), format!("/v1/{name}/{{name}}"));

        let page = self.json::<ResourcePage>();
        let operation = get("Lists by name.", &paging(&[]), &[("200", page)]);
        self.path(&list, "get", operation);
        let operation = json!({
            "summary": "Creates one. 202 names the run that does it.",
            "parameters": [dry_run(), {
                "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "maxLength": 200 },
                "description": "The same key with the same body gets the same answer, for a day.",
            }],
            "requestBody": body("application/json", &new),
            "responses": responses(&[("200", preview.clone()), ("202", accepted.clone())]),
        });
        self.path(&list, "post", operation);

        let mut named = vec![in_path("name", "The resource's name.")];
        let operation = get("Shows one. Its ETag is its generation.", &named, &[("200", resource)]);
        self.path(&one, "get", operation);
        let operation = get(
            "Shows what its plan would do now. Changes nothing.",
            &named,
            &[("200", preview.clone())],
        );
        self.path(&format!("{one}/plan"), "get", operation);
        let mut operation = get(
            "Plans it again as it is, unless a run is at it.",
            &named,
            &[("202", accepted.clone())],
        );
        self.path(&format!("{one}/runs"), "post", operation);

        named.extend([
            dry_run(),
            json!({
                "name": "If-Match", "in": "header", "schema": { "type": "string" },
                "description": "The ETag that the resource must have; else 412.",
            }),
        ]);
        operation = get(
            "Changes the spec by a JSON merge patch (RFC 7396). 200 if nothing had to change. \
             A run towards the spec before is cancelled.",
            &named,
            &[
                (
                    "200",
                    json!({ "description": "Unchanged, or the preview of a dry run.", "content": {
                        "application/json": { "schema": { "oneOf": [schema_of(&preview), self.schema::<Resource>()] } },
                    }}),
                ),
                ("202", accepted.clone()),
            ],
        );
        operation["requestBody"] =
            body("application/merge-patch+json", &json!({ "type": "object" }));
        self.path(&one, "patch", operation);
        let operation = get(
            "Deletes it; it is gone when the termination run has converged.",
            &named,
            &[("200", preview), ("202", accepted)],
        );
        self.path(&one, "delete", operation);
    }

    fn runs(&mut self) {
        let filters = paging(&[
            in_query("resource", "Only runs of this resource: kind/name."),
            json!({ "name": "state", "in": "query", "schema": self.schema::<fixpoint_client::RunState>() }),
        ]);
        let page = self.json::<RunPage>();
        self.path(
            "/v1/runs",
            "get",
            get("Lists runs, newest first, without plan_history.", &filters, &[("200", page)]),
        );
        let id = [in_path("id", "The run's id.")];
        let run = self.json::<Run>();
        self.path("/v1/runs/{id}", "get", get("Shows a run.", &id, &[("200", run.clone())]));
        let events =
            events("Event `run`: the Run, at once and on every change, until it has ended.");
        self.path("/v1/runs/{id}/events", "get", get("Follows a run.", &id, &[("200", events)]));
        let cancel = get("Asks for a run's end; its step at work finishes.", &id, &[("202", run)]);
        self.path("/v1/runs/{id}/cancel", "post", cancel);
    }

    fn traces(&mut self) {
        let filters = paging(&[
            in_query("name", "Only traces whose root span has this name."),
            in_query("service", "Only traces of this service."),
            in_query("error", "true: only traces with an error in them; false: only without."),
            in_query("since", "Only traces that started at or after this time (RFC 3339)."),
        ]);
        let page = self.json::<TracePage>();
        self.path(
            "/v1/traces",
            "get",
            get("Lists traces, newest first.", &filters, &[("200", page)]),
        );
        let id = [in_path("id", "The trace's id: 32 hex digits.")];
        let otlp = json!({
            "description": "OTLP JSON, as OpenTelemetry defines it. An open span has no endTimeUnixNano.",
            "content": { "application/json": { "schema": { "type": "object" } } },
        });
        self.path("/v1/traces/{id}", "get", get("Shows a trace.", &id, &[("200", otlp)]));
        let events = events(
            "Event `spans`: OTLP JSON of the spans that changed. Event `logs`: a LogPage of new lines. \
             Both with all there is at first.",
        );
        let [id] = id;
        let from = in_query("from", "start, if not set; now: only what changes from now on.");
        self.path(
            "/v1/traces/{id}/events",
            "get",
            get("Follows a trace.", &[id.clone(), from], &[("200", events)]),
        );
        self.rows(&id);
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
        let q = [in_query(
            "q",
            "A run, trace or span id, a resource's name, or any id that a span carries.",
        )];
        let found = self.json::<FindPage>();
        self.path(
            "/v1/find",
            "get",
            get("Finds runs, resources and traces by any id.", &q, &[("200", found)]),
        );
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
        let span_id = in_path("span_id", "The span's id: 16 hex digits.");
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

    fn operations(&mut self) {
        let plain = |description: &str, media: &str| json!({ "description": description, "content": { media: {} } });
        let healthy = plain("Both stores answer.", "application/json");
        self.path(
            "/healthz",
            "get",
            get("Says whether the server works.", &[], &[("200", healthy)]),
        );
        let text = plain("Prometheus text format.", "text/plain");
        self.path("/metrics", "get", get("Counts for Prometheus.", &[], &[("200", text)]));
        let document = plain("OpenAPI 3.1.", "application/json");
        self.path("/v1/openapi.json", "get", get("This document.", &[], &[("200", document)]));
    }

    fn path(&mut self, path: &str, method: &str, operation: Value) {
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = operation;
    }

    fn schema<T: schemars::JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// An answer with this body.
    fn json<T: schemars::JsonSchema>(&mut self) -> Value {
        let schema = self.schema::<T>();
        json!({ "description": "Ok.", "content": { "application/json": { "schema": schema } } })
    }

    fn accepted(&mut self) -> Value {
        let mut answer = self.json::<Resource>();
        answer["description"] = json!("Recorded, and being worked on.");
        answer["headers"] = json!({
            "Location": { "schema": { "type": "string" }, "description": "The run: /v1/runs/{id}." },
            "ETag": { "schema": { "type": "string" }, "description": "The generation, in quotes." },
        });
        answer
    }
}

/// A spec's schema for use beside `name`: `additionalProperties: false` would refuse the name.
fn without_closing(generator: &mut SchemaGenerator, schema: &schemars::Schema) -> Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
    if let Some(Value::Object(definition)) =
        name.and_then(|name| generator.definitions_mut().get_mut(name))
    {
        definition.shift_remove("additionalProperties");
    }
    schema.clone().to_value()
}

fn get(summary: &str, parameters: &[Value], answers: &[(&str, Value)]) -> Value {
    json!({ "summary": summary, "parameters": parameters, "responses": responses(answers) })
}

fn responses(answers: &[(&str, Value)]) -> Value {
    let mut responses: Map<_, _> =
        answers.iter().map(|(status, answer)| ((*status).to_owned(), answer.clone())).collect();
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    Value::Object(responses)
}

fn schema_of(answer: &Value) -> Value {
    answer["content"]["application/json"]["schema"].clone()
}

fn body(media: &str, schema: &Value) -> Value {
    json!({ "required": true, "content": { media: { "schema": schema } } })
}

fn events(description: &str) -> Value {
    json!({ "description": description, "content": { "text/event-stream": {} } })
}

fn in_path(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" }, "description": description })
}

fn in_query(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "query", "schema": { "type": "string" }, "description": description })
}

fn dry_run() -> Value {
    json!({
        "name": "dry_run", "in": "query", "schema": { "type": "boolean", "default": false },
        "description": "Changes nothing; answers with the steps that it would lead to.",
    })
}

fn paging(others: &[Value]) -> Vec<Value> {
    let limit = json!({
        "name": "limit", "in": "query",
        "schema": { "type": "integer", "minimum": 1, "maximum": 200, "default": 50 },
    });
    let token = in_query("page_token", "next_page_token of the page before.");
    others.iter().cloned().chain([limit, token]).collect()
}
