//! The two kinds of spans, and what is written on them.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use aws_smithy_runtime_api::client::interceptors::context::{
    Error, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use aws_types::request_id::RequestId;
use fixpoint_trace::{redact, semconv};
use serde_json::Value;
use tracing::Span;
use tracing::field::Empty;

use super::{cap, form, secrets, xml};
use crate::error::is_throttle;
use crate::failure::{End, Reason, Said, garbled, is_timeout, unanswered};

const OUTCOME: &str = "fixpoint.outcome";

/// A span that its owner must close; dropped open, it was cancelled.
#[derive(Debug)]
struct Open {
    span: Span,
    closed: AtomicBool,
}

impl Open {
    fn new(span: Span) -> Self {
        Self { span, closed: AtomicBool::new(false) }
    }

    fn fail(&self, call: &str, failure: &Failure) {
        self.span.record(semconv::ERROR_TYPE, &*failure.kind);
        self.span.record(semconv::special::STATUS_CODE, "ERROR");
        self.span.record(semconv::special::STATUS_DESCRIPTION, failure.of_call(call));
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed.load(Ordering::Relaxed) {
            self.span.record(OUTCOME, "cancelled");
        }
    }
}

/// The span of a call.
#[derive(Debug)]
pub(super) struct CallSpan {
    open: Open,
    name: String,
    attempts: AtomicU32,
    last: Mutex<Option<Answer>>,
}

impl Storable for CallSpan {
    type Storer = StoreReplace<Self>;
}

impl CallSpan {
    /// Opens a span beneath the caller's. `body` is the request's form, if it lies in memory.
    pub(super) fn open(service: &str, method: &str, region: &str, body: Option<&[u8]>) -> Self {
        let name = format!("{service}.{method}");
        let span = tracing::info_span!(
            "call",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            rpc.system = semconv::AWS_API,
            rpc.service = service,
            rpc.method = method,
            cloud.region = region,
            aws.request_id = Empty,
            http.response.status_code = Empty,
            error.type = Empty,
            fixpoint.aws.attempts = Empty,
            fixpoint.request = Empty,
            fixpoint.response = Empty,
            fixpoint.outcome = Empty,
        );
        if let Some(body) = body.filter(|_| !span.is_disabled()) {
            span.record(semconv::REQUEST, shown(form::to_json(body)));
        }
        Self { open: Open::new(span), name, attempts: AtomicU32::new(0), last: Mutex::new(None) }
    }

    /// Opens the span of an attempt; says why, if it is not the first.
    pub(super) fn attempt(&self, number: u32) -> AttemptSpan {
        self.attempts.store(number, Ordering::Relaxed);
        let span = tracing::info_span!(
            parent: &self.open.span,
            "attempt",
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            fixpoint.attempt = number,
            fixpoint.throttled = Empty,
            aws.request_id = Empty,
            http.response.status_code = Empty,
            error.type = Empty,
            fixpoint.outcome = Empty,
        );
        if let Some(Answer { failure: Some(failure), request_id, .. }) = &*self.last() {
            let request_id = request_id.as_deref();
            let (call, why) = (&self.name, &failure.kind);
            let verb = if failure.throttled { "throttled" } else { "failed" };
            span.in_scope(|| {
                tracing::warn!(
                    aws.request_id = request_id,
                    error.type = &**why,
                    "{call} {verb} ({why}), attempt {number}"
                );
            });
        }
        AttemptSpan { open: Open::new(span), call: self.name.clone() }
    }

    /// Keeps the answer of the attempt that is over.
    pub(super) fn had(&self, answer: Answer) {
        *self.last() = Some(answer);
    }

    /// Closes the span; it is an error only if the call as a whole failed.
    pub(super) fn close(&self, context: &FinalizerInterceptorContextRef<'_>) {
        let span = &self.open.span;
        let answer = self.last().take().unwrap_or_else(|| Answer::of(context));
        span.record(semconv::AWS_ATTEMPTS, self.attempts.load(Ordering::Relaxed));
        answer.write_on(span);
        if let Some(body) = answer.body {
            span.record(semconv::RESPONSE, shown(body));
        }
        // A time-out of the whole call comes after its attempts, in a pause between them.
        let late = context.output_or_error().and_then(|r| r.err()).filter(|e| e.is_timeout_error());
        let failure = late.map(|error| Failure::silent("timeout", error)).or(answer.failure);
        if let Some(failure) = failure {
            self.open.fail(&self.name, &failure);
            let request_id = answer.request_id.as_deref();
            let (call, kind, text) = (&self.name, &*failure.kind, &failure.text);
            // "There is none" is an answer, not a failure of anything.
            let absent = kind.ends_with("NotFound") || kind == "NoSuchEntity";
            span.in_scope(|| match absent {
                true => tracing::info!(
                    aws.request_id = request_id,
                    error.type = kind,
                    "{call} found nothing: {text}"
                ),
                false => tracing::error!(
                    aws.request_id = request_id,
                    error.type = kind,
                    "{call} failed: {text}"
                ),
            });
        }
        self.open.close();
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Answer>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The span of one attempt of a call.
#[derive(Debug)]
pub(super) struct AttemptSpan {
    open: Open,
    call: String,
}

impl Storable for AttemptSpan {
    type Storer = StoreReplace<Self>;
}

impl AttemptSpan {
    /// Closes the span.
    pub(super) fn close(&self, answer: &Answer) {
        answer.write_on(&self.open.span);
        if let Some(failure) = &answer.failure {
            self.open.fail(&self.call, failure);
            self.open.span.record(semconv::THROTTLED, failure.throttled);
        }
        self.open.close();
    }
}

/// What came back of an attempt.
#[derive(Debug)]
pub(super) struct Answer {
    status: Option<u16>,
    request_id: Option<String>,
    body: Option<Value>,
    failure: Option<Failure>,
}

impl Answer {
    /// Reads the answer, if one came.
    pub(super) fn of(context: &FinalizerInterceptorContextRef<'_>) -> Self {
        let response = context.response();
        let body = response.and_then(body);
        let request_id = response
            .and_then(|response| response.request_id())
            .or_else(|| find(body.as_ref()?, "RequestId"));
        Self {
            status: response.map(|response| response.status().as_u16()),
            failure: Failure::of(context, body.as_ref(), request_id),
            request_id: request_id.map(str::to_owned),
            body,
        }
    }

    fn write_on(&self, span: &Span) {
        if let Some(status) = self.status {
            span.record(semconv::HTTP_RESPONSE_STATUS_CODE, status);
        }
        if let Some(id) = &self.request_id {
            span.record(semconv::AWS_REQUEST_ID, &**id);
        }
    }
}

/// Why an attempt or a call failed.
#[derive(Debug, Clone)]
struct Failure {
    /// AWS's code, else `timeout`, `connection`, `unreadable_answer` or `other`.
    kind: Cow<'static, str>,
    /// In one line; without the call's name.
    text: String,
    /// It is AWS that said so.
    said: bool,
    throttled: bool,
}

impl Failure {
    fn of(
        context: &FinalizerInterceptorContextRef<'_>,
        body: Option<&Value>,
        request_id: Option<&str>,
    ) -> Option<Self> {
        let error = context.output_or_error()?.err()?;
        if is_timeout(error) {
            return Some(Self::silent("timeout", error));
        }
        if error.is_connector_error() {
            return Some(Self::silent("connection", error));
        }
        match body.and_then(|body| Some((find(body, "Code")?, find(body, "Message")))) {
            // A dry run that would have succeeded comes as an error; it is none.
            Some(("DryRunOperation", _)) => None,
            Some((code, message)) => {
                let said = Said { code: Some(code), message, request_id }.to_string();
                let text = redact::text(&one_line(&said)).into_owned();
                let throttled = is_throttle(Some(code));
                Some(Self { kind: code.to_owned().into(), text, said: true, throttled })
            }
            None if error.is_response_error() => Some(Self::silent("unreadable_answer", error)),
            None => match context.response().filter(|_| error.is_operation_error()) {
                Some(response) => {
                    let reason = Reason::wordless(response.status().as_u16());
                    Some(Self::unsaid("other", &reason.to_string()))
                }
                None => Some(Self::silent("other", error)),
            },
        }
    }

    /// No word of AWS's.
    fn silent(kind: &'static str, error: &OrchestratorError<Error>) -> Self {
        let (end, reason) =
            if error.is_response_error() { garbled(error) } else { unanswered(error) };
        let text = match end {
            End::NotSent => format!("could not be sent: {reason}"),
            End::Unreachable => format!("AWS is not reachable: {reason}"),
            End::Garbled => format!("the answer makes no sense: {reason}"),
            End::Refused | End::Broke | End::Lost => reason.to_string(),
        };
        Self::unsaid(kind, &text)
    }

    fn unsaid(kind: &'static str, text: &str) -> Self {
        let text = redact::text(text).into_owned();
        Self { kind: kind.into(), text, said: false, throttled: false }
    }

    /// What an operator reads first: AWS's words with the call's name, else what happened.
    fn of_call(&self, call: &str) -> String {
        if self.said { format!("{call}: {}", self.text) } else { self.text.clone() }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The answer's body as JSON. All of AWS's XML; `None` for anything else.
fn body(response: &HttpResponse) -> Option<Value> {
    let bytes = response.body().bytes().filter(|bytes| !bytes.is_empty())?;
    if bytes.len() > cap::LARGEST_READ {
        return Some(cap::only_size(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Some(xml::to_json(text).unwrap_or_else(|| redact::text(text).into()))
}

/// The first text under `name`, whatever its case, in breadth of an answer's upper levels.
fn find<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    let object = body.as_object()?;
    let own =
        object.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && value.is_string());
    if let Some((_, value)) = own {
        return value.as_str();
    }
    let envelopes = ["Errors", "Error", "ResponseMetadata"];
    object.iter().filter(|(key, _)| envelopes.contains(&&***key)).find_map(|(_, v)| find(v, name))
}

/// How a request or an answer is shown: without secrets, and not too long.
fn shown(mut value: Value) -> String {
    secrets::remove(&mut value);
    redact::json(&mut value);
    cap::to_text(value)
}
