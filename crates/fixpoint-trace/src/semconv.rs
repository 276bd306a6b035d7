//! The attribute names that spans and log lines of this project carry, each in one place.
//!
//! OpenTelemetry's where it has one (semantic conventions 1.44), `fixpoint.*` where it has none.
//! Not here: what the values may be, beyond a line. The surprise: the names under [`special`]
//! never become attributes; the recording layer takes them off and acts on them.

/// Fields of a `tracing` span that steer how it is recorded instead of describing it.
pub mod special {
    /// The span's name, when it is only known at run time.
    pub const NAME: &str = "otel.name";
    /// The span's kind: `server`, `client`, `producer`, `consumer` or `internal`.
    pub const KIND: &str = "otel.kind";
    /// `OK` or `ERROR`.
    pub const STATUS_CODE: &str = "otel.status_code";
    /// Why the span failed; said without a status code, it means `ERROR`.
    pub const STATUS_DESCRIPTION: &str = "otel.status_description";
    /// The trace to belong to, as 32 hex digits.
    pub const TRACE_ID: &str = "fixpoint.trace_id";
    /// The span's own id, as 16 hex digits. If it was stored before, that span goes on.
    pub const SPAN_ID: &str = "fixpoint.span_id";
    /// The parent, as 16 hex digits, when `tracing` does not know it.
    pub const PARENT_ID: &str = "fixpoint.parent_id";
    /// Spans that caused this one: `traceid-spanid`, several parted by commas.
    pub const LINK: &str = "fixpoint.link";
}

/// The name of the service that produced a span; on the resource.
pub const SERVICE_NAME: &str = "service.name";
/// The version of that service; on the resource.
pub const SERVICE_VERSION: &str = "service.version";
/// Tells processes of one service apart; on the resource.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// What recorded a span; on the resource. Spans of [`RecordLayer`](crate::layer::RecordLayer) say
/// [`OUR_SDK`].
pub const TELEMETRY_SDK_NAME: &str = "telemetry.sdk.name";
/// The value of [`TELEMETRY_SDK_NAME`] on spans that this crate recorded.
pub const OUR_SDK: &str = "fixpoint";

/// `GET`, `PATCH`, ...
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
/// The route as the server wrote it down: `/v1/clusters/{name}`.
pub const HTTP_ROUTE: &str = "http.route";
/// The status code of an HTTP answer.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
/// How many times the same request was sent before.
pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
/// The path of a request, without its query.
pub const URL_PATH: &str = "url.path";
/// The host that was called.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that was called.
pub const SERVER_PORT: &str = "server.port";
/// What kind of failure it was: an AWS error code, a status code or [`WORKER_LOST`].
pub const ERROR_TYPE: &str = "error.type";
/// The value of [`ERROR_TYPE`] on a span that its process left open when it died.
pub const WORKER_LOST: &str = "fixpoint.worker_lost";

/// The remote system called: [`AWS_API`].
pub const RPC_SYSTEM: &str = "rpc.system";
/// The value of [`RPC_SYSTEM`] on calls of AWS.
pub const AWS_API: &str = "aws-api";
/// The service called: `EC2`, `ELBv2`.
pub const RPC_SERVICE: &str = "rpc.service";
/// The operation called: `RunInstances`.
pub const RPC_METHOD: &str = "rpc.method";
/// The region called.
pub const CLOUD_REGION: &str = "cloud.region";
/// The id that AWS gave the request.
pub const AWS_REQUEST_ID: &str = "aws.request_id";

/// How many attempts a call took.
pub const AWS_ATTEMPTS: &str = "fixpoint.aws.attempts";
/// Which attempt of a call this is, from 1.
pub const ATTEMPT: &str = "fixpoint.attempt";
/// Whether AWS refused the attempt because of too many requests.
pub const THROTTLED: &str = "fixpoint.throttled";
/// What was sent: compact JSON without secrets, capped.
pub const REQUEST: &str = "fixpoint.request";
/// What was answered: compact JSON without secrets, capped.
pub const RESPONSE: &str = "fixpoint.response";

/// The database called: `etcd`.
pub const DB_SYSTEM_NAME: &str = "db.system.name";
/// What was asked of it: `put`, `get`, `txn`.
pub const DB_OPERATION_NAME: &str = "db.operation.name";
/// Which part of it: what all keys begin with.
pub const DB_NAMESPACE: &str = "db.namespace";
/// How many writes a transaction has, if several.
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
/// The keys of Fixpoint's own records that a request to its store is about.
pub const STORE_KEY: &str = "fixpoint.store.key";
/// What a record held before a write.
pub const STORE_BEFORE: &str = "fixpoint.store.before";
/// What a record holds after it.
pub const STORE_AFTER: &str = "fixpoint.store.after";

/// Whose a span or log line is, where a server has tenants; on the resource of what a tenant sent,
/// on the span or line otherwise. Spans and lines below a span that has it are recorded with it.
pub const TENANT: &str = "fixpoint.tenant";

/// The server that drives a run.
pub const SERVER: &str = "fixpoint.server";
/// The server that drove a run before it was taken over.
pub const TAKEOVER_FROM: &str = "fixpoint.takeover.from";
/// The server that took it over.
pub const TAKEOVER_TO: &str = "fixpoint.takeover.to";
/// The steps that were at work when the run was last written down, by name.
pub const TAKEOVER_STEPS: &str = "fixpoint.takeover.steps";

/// What an operator did to the run: `pause`, `retry`.
pub const ACT_VERB: &str = "fixpoint.act.verb";
/// Who did it.
pub const ACT_BY: &str = "fixpoint.act.by";
/// Why, in their words.
pub const ACT_REASON: &str = "fixpoint.act.reason";

/// The `webhook-id` of what a webhook is told, the same in every attempt.
pub const WEBHOOK_ID: &str = "fixpoint.webhook.id";
/// What it is told of: `run.failed`.
pub const WEBHOOK_EVENT: &str = "fixpoint.webhook.event";

/// The run that a span belongs to.
pub const RUN_ID: &str = "fixpoint.run.id";
/// Why there is the run: `request`, `retry`, `roll_back` or `drift`.
pub const RUN_CAUSE: &str = "fixpoint.run.cause";
/// What a look at a solved resource found: `as_wanted`, `drifted`, `failed` or `interrupted`.
pub const VERIFY_RESULT: &str = "fixpoint.verify.result";
/// How the run ended.
pub const RUN_RESULT: &str = "fixpoint.run.result";
/// The resource that a run is for: `clusters/idg`.
pub const RESOURCE: &str = "fixpoint.resource";
/// The generation of the resource's spec that a run works towards.
pub const GENERATION: &str = "fixpoint.generation";
/// Which call of `create` this is, from 1.
pub const ITERATION: &str = "fixpoint.iteration";
/// The steps that `create` chose, by name.
pub const STEPS: &str = "fixpoint.steps";
/// The steps that `create` withheld, and why.
pub const WITHHELD: &str = "fixpoint.withheld";
/// What `create` saw of the world.
pub const SEEN: &str = "fixpoint.seen";
/// A step in full: its name and its parameters, without secrets.
pub const STEP_KEY: &str = "fixpoint.step.key";
/// What a wait is for.
pub const WAIT_REASON: &str = "fixpoint.wait.reason";
/// The value that a wait wants to see.
pub const WAIT_WANTED: &str = "fixpoint.wait.wanted";
/// The value that a wait saw last.
pub const WAIT_SEEN: &str = "fixpoint.wait.seen";
/// How often a wait has looked.
pub const WAIT_POLLS: &str = "fixpoint.wait.polls";
