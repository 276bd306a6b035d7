//! `/v1/openapi.json`: the API as an OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.0>).
//!
//! Not written by hand as a whole: bodies come from the wire types, specs from the kinds. What is
//! written here is which path takes and answers what; a golden file keeps it. The surprise: a
//! kind's POST body is its spec with `name` beside the spec's own fields.

mod traces;

use axum::{Json, extract::State};
use fixpoint_client::{
    ActRequest, ApiPage, CreatedToken, NewToken, OnFailure, PlanPreview, Problem, Resource,
    ResourcePage, Run, RunPage, SkipRequest, Token, TokenPage, Verb, WebhookEvent, WebhookMessage,
    WebhookTest, Why,
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::App;
use crate::{
    access::{Need, Reach},
    kinds::{AnyKind, Kinds},
};

pub(super) async fn document(State(app): State<App>) -> Json<Value> {
    Json(assemble(&app.kinds))
}

/// The whole document for these kinds.
pub(super) fn assemble(kinds: &Kinds) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut document = Document {
        kinds: kinds.keys().copied().collect(),
        generator: settings.into_generator(),
        paths: Map::new(),
    };
    for kind in kinds.values() {
        document.kind(&**kind);
    }
    document.runs();
    document.traces();
    document.counts();
    document.tokens();
    document.health();
    let message = document.schema::<WebhookMessage>();
    let webhooks: Map<_, _> = WebhookEvent::ALL
        .into_iter()
        .chain([WebhookEvent::Ping])
        .map(|event| (event.to_string(), json!({ "post": told(event, &message) })))
        .collect();
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
        "webhooks": webhooks,
        "security": [{ "token": [] }],
        "components": {
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "An API token: fixpoint token create. x-roles are the roles that may; \
                    x-tenants says whether a tenant's token may, for what is that tenant's. \
                    A server that asks nobody for tokens (fixpoint dev) takes no notice of them.",
            }},
            "schemas": schemas,
            "responses": { "Problem": {
                "description": "What went wrong (RFC 9457), and the trace that shows it.",
                "content": { "application/problem+json": { "schema": problem } },
            }},
        },
    })
}

struct Document {
    kinds: Vec<&'static str>,
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Document {
    fn kind(&mut self, kind: &dyn AnyKind) {
        let name = kind.name();
        let spec = kind.schema(&mut self.generator);
        let new = json!({
            "description": "The resource's name, the fields of its spec beside it, what happens when a run \
                fails for good, and whether drift is mended. A tenant may leave its own name and the two \
                hyphens out.",
            "type": "object",
            "properties": {
                "mend": { "type": "boolean", "default": false },
                "name": { "type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" },
                "on_failure": self.schema::<OnFailure>(),
            },
            "required": ["name"],
            "allOf": [without_closing(&mut self.generator, &spec)],
        });
        let resource = self.json::<Resource>();
        let (accepted, preview) = (self.accepted(), self.json::<PlanPreview>());
        let (list, one) = (format!("/v1/{name}"), format!("/v1/{name}/{{name}}"));

        let page = self.json::<ResourcePage>();
        let drifted = json!({
            "name": "drifted", "in": "query", "schema": { "type": "boolean", "default": false },
            "description": "Only those that are not as wanted any more, though no run is at them.",
        });
        let operation = get("Lists by name.", &paging(&[drifted]), &[("200", page)]);
        self.path(&list, "get", operation);
        let operation = json!({
            "summary": "Creates one. 202 names the run that does it.",
            "parameters": [dry_run(), {
                "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "pattern": "^[!-~]{1,200}$" },
                "description": "The same key with the same body gets the same answer, for a day.",
            }],
            "requestBody": body("application/json", &new),
            "responses": responses(&[("200", preview.clone()), ("202", accepted.clone())]),
        });
        self.path(&list, "post", operation);

        let mut named = vec![in_path("name", "The resource's name.")];
        let summary = "Shows one. Its ETag is its generation.";
        let operation = get(summary, &named, &[("200", resource.clone())]);
        self.path(&one, "get", operation);
        let operation = get(
            "Shows what its plan would do now. Changes nothing.",
            &named,
            &[("200", preview.clone())],
        );
        self.path(&format!("{one}/plan"), "get", operation);
        let mut operation = get(
            "Plans it again as it is, unless a run is at it. 409 if that run is paused.",
            &named,
            &[("202", accepted.clone())],
        );
        self.path(&format!("{one}/runs"), "post", operation);
        let answers = [("200", resource), ("202", accepted.clone())];
        let summary = "Looks now whether it is still as wanted, if a run has solved it. 202 if it is \
            not, and is mended.";
        self.path(&format!("{one}/verify"), "post", get(summary, &named, &answers));

        named.extend([
            dry_run(),
            json!({
                "name": "If-Match", "in": "header", "schema": { "type": "string" },
                "description": "The ETag that the resource must have; else 412.",
            }),
        ]);
        operation = get(
            "Changes the spec, and mend and on_failure beside it, by a JSON merge patch (RFC 7396). 200 if \
             that takes no run. \
             A run towards the spec before is cancelled, a paused one too.",
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
        let why = self.json::<Why>();
        let summary = "Says why a run went as it did, or goes as it does.";
        self.path("/v1/runs/{id}/why", "get", get(summary, &id, &[("200", why)]));
        let events =
            events("Event `run`: the Run, at once and on every change, until it has ended.");
        self.path("/v1/runs/{id}/events", "get", get("Follows a run.", &id, &[("200", events)]));
        for verb in Verb::ALL {
            let mut answer = run.clone();
            answer["description"] = json!("Noted. The run that goes on because of it.");
            answer["headers"] = json!({
                "Location": { "schema": { "type": "string" }, "description": "That run: /v1/runs/{id}." },
            });
            let mut operation = get(does(verb), &id, &[("202", answer)]);
            operation["requestBody"] = match verb {
                Verb::Skip => body("application/json", &self.schema::<SkipRequest>()),
                _ => body("application/json", &self.schema::<ActRequest>()),
            };
            operation["requestBody"]["required"] = json!(verb == Verb::Skip);
            self.path(&format!("/v1/runs/{{id}}/{verb}"), "post", operation);
        }
    }

    fn tokens(&mut self) {
        let page = self.json::<TokenPage>();
        let summary = "Lists API tokens, without their secrets.";
        self.path("/v1/tokens", "get", get(summary, &[], &[("200", page)]));
        let mut created = self.json::<CreatedToken>();
        created["description"] = json!("Made. This answer alone holds the secret.");
        let mut create = get("Makes an API token.", &[], &[("201", created)]);
        create["requestBody"] = body("application/json", &self.schema::<NewToken>());
        self.path("/v1/tokens", "post", create);
        let (id, token) = (in_path("id", "The token's id."), self.json::<Token>());
        let summary = "Revokes an API token: it is refused from now on.";
        self.path("/v1/tokens/{id}", "delete", get(summary, &[id], &[("200", token)]));
    }

    fn health(&mut self) {
        let apis = self.json::<ApiPage>();
        let summary =
            "Says how the APIs stand that plans call: whether calls are sent, how many wait.";
        self.path("/v1/apis", "get", get(summary, &[], &[("200", apis)]));
        let tested = self.json::<WebhookTest>();
        let summary = "Sends the webhook a ping, and says how it went. 409 if there is no webhook.";
        self.path("/v1/webhook/test", "post", get(summary, &[], &[("200", tested)]));
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

    fn path(&mut self, path: &str, method: &str, mut operation: Value) {
        // Methods of HTTP are written in capitals, those of OpenAPI are not.
        let http = method.to_ascii_uppercase().parse().unwrap_or_default();
        match Need::of(&http, Some(path)) {
            Need::Nothing => operation["security"] = json!([]),
            need => operation["x-roles"] = json!(need.roles()),
        }
        let reach = Reach::of(Some(path), |name| self.kinds.contains(&name));
        operation["x-tenants"] = json!(reach == Some(Reach::Scope));
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

fn does(verb: Verb) -> &'static str {
    match verb {
        Verb::Cancel => "Ends a run; its step at work finishes. 409 if it has ended.",
        Verb::Pause => {
            "Pauses a run once its step at work has finished; waits end at once. It stays so over \
             restarts, until it is resumed, cancelled, or superseded by a change of its resource. 409 \
             if it is paused, or has ended."
        }
        Verb::Resume => {
            "Lets a paused run go on, in the same trace: its plan looks again. 409 if it is not paused."
        }
        Verb::Retry => {
            "Starts a new run at once after one that did not go well, whenever the next was due. 409 if \
             it goes on, has converged, or is not its resource's newest."
        }
        Verb::Replan => {
            "Has the plan look at the world again at once: a run that goes on ends its waits, after one \
             that has converged a new one starts. 409 if it is paused, or did not go well."
        }
        Verb::Skip => {
            "Leaves out a step that the run has planned: of a run that goes on or is paused, and of its \
             retries; of one that did not go well, by a new run at once. 409 if it has converged, 422 if \
             it has no such step."
        }
    }
}

/// What the operator's webhook is sent.
fn told(event: WebhookEvent, message: &Value) -> Value {
    let summary = match event {
        WebhookEvent::RunFailed => "A run failed for good, or does not converge.",
        WebhookEvent::RunPaused => "A run was paused by its resource's failure policy.",
        WebhookEvent::RolledBack => "What a failed creation had made has been taken down.",
        WebhookEvent::Drifted => "A solved resource is not as wanted any more.",
        WebhookEvent::Ping => "Somebody wants to see whether the webhook works.",
    };
    let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| {
        json!({ "name": name, "in": "header", "required": true, "schema": { "type": "string" } })
    });
    json!({
        "summary": summary,
        "description": "Signed as Standard Webhooks has it. Sent again until it is answered with success.",
        "parameters": signed,
        "requestBody": body("application/json", message),
        "responses": { "2XX": { "description": "Taken." }, "410": { "description": "Not sent again." } },
    })
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
