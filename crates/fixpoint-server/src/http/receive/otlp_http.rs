//! OTLP over HTTP: `POST /v1/traces` and `/v1/logs`, in protobuf and JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. Not here: metrics, which are not stored;
//! their path is not found. The surprise: errors are answered in the encoding of the request, and
//! a body whose type is not known gets its error in JSON, which a person can read.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use fixpoint_trace::{
    otlp,
    store::{Accepted, Signal},
};
use prost::Message;
use serde_json::{Value, json};

use super::{
    body::{self, Encoding},
    intake::Intake,
    refusal::{Refusal, RpcStatus},
};

pub(super) fn routes(intake: Intake) -> Router {
    let traces = async |State(intake): State<Intake>, request: Request| {
        answer(&intake, Signal::Traces, request).await
    };
    let logs = async |State(intake): State<Intake>, request: Request| {
        answer(&intake, Signal::Logs, request).await
    };
    Router::new().route("/v1/traces", post(traces)).route("/v1/logs", post(logs)).with_state(intake)
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        match body::essence(headers).as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            other => Err(Refusal::media_type(other, "application/x-protobuf or application/json")),
        }
    }
}

async fn answer(intake: &Intake, signal: Signal, request: Request) -> Response {
    let form = Form::of(request.headers());
    let taken = match form {
        Ok(form) => take(intake, signal, form, request).await,
        Err(ref refusal) => Err(refusal.clone()),
    };
    let form = form.unwrap_or(Form::Json);
    match taken {
        Ok(accepted) => success(signal, form, &accepted),
        Err(refusal) => {
            intake.refused(&refusal);
            failure(form, &refusal)
        }
    }
}

async fn take(
    intake: &Intake,
    signal: Signal,
    form: Form,
    request: Request,
) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let encoding = Encoding::named(body::header(&head.headers, header::CONTENT_ENCODING))?;
    let sent = intake.decompress(encoding, intake.read(&head, body).await?)?;
    match form {
        Form::Protobuf => intake.otlp(signal, sent).await,
        Form::Json => intake.records(signal, sent, |bytes| otlp::decode_json(signal, bytes)).await,
    }
}

/// `Export…ServiceResponse`: empty, unless something was left out.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// `Export…PartialSuccess`
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

impl ExportResponse {
    pub(super) fn new(accepted: &Accepted) -> Self {
        let partial_success = (accepted.rejected > 0).then(|| PartialSuccess {
            rejected: i64::try_from(accepted.rejected).unwrap_or(i64::MAX),
            error_message: accepted.message.clone(),
        });
        Self { partial_success }
    }

    fn to_json(&self, signal: Signal) -> Value {
        let rejected = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
        };
        match &self.partial_success {
            None => json!({}),
            // 64-bit integers are text in protobuf's JSON.
            Some(partial) => json!({"partialSuccess": {
                rejected: partial.rejected.to_string(),
                "errorMessage": partial.error_message,
            }}),
        }
    }
}

fn success(signal: Signal, form: Form, accepted: &Accepted) -> Response {
    let response = ExportResponse::new(accepted);
    match form {
        Form::Protobuf => protobuf(StatusCode::OK, &response),
        Form::Json => Json(response.to_json(signal)).into_response(),
    }
}

fn failure(form: Form, refusal: &Refusal) -> Response {
    let RpcStatus { code, message, .. } = refusal.to_rpc();
    let mut response = match form {
        Form::Protobuf => protobuf(refusal.status(), &refusal.to_rpc()),
        Form::Json => {
            let status = json!({"code": code, "message": message});
            (refusal.status(), Json(status)).into_response()
        }
    };
    response.headers_mut().extend(refusal.headers());
    response
}

fn protobuf(status: StatusCode, message: &impl Message) -> Response {
    let kind = HeaderValue::from_static("application/x-protobuf");
    (status, [(header::CONTENT_TYPE, kind)], message.encode_to_vec()).into_response()
}
